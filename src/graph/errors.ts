/** Failures of the graph, with the texts of QEMU; a QMP reply takes `errorClass` and `desc`, a tool prints `desc`. */
import { BlockError } from '../engine/contract';
import { Errno, FileError } from '../files/contract';
import { LockError } from '../files/locks';
import { QmpError, type QmpErrorClass } from '../qapi/errors';

/** A refused or failed operation on the graph. */
export class GraphError extends QmpError {
  /** A positive errno for what turns on the kind of failure (qemu-img create: EFBIG). */
  readonly errno: Errno;

  /** @param desc QEMU's text, without a prefix of the program. */
  constructor(
    desc: string,
    details: { errorClass?: QmpErrorClass; errno?: Errno; hints?: readonly string[] } = {},
  ) {
    super(desc, details.errorClass, details.hints);
    this.errno = details.errno ?? Errno.EINVAL;
  }

  /** The same failure with more in front of its text. */
  prefixed(prefix: string): GraphError {
    return new GraphError(prefix + this.desc, this);
  }
}

/** What was thrown below the graph as a {@link GraphError}; anything that is no failure of a request is thrown on. */
export function toGraphError(error: unknown): GraphError {
  if (error instanceof GraphError) return error;
  if (error instanceof BlockError || error instanceof FileError) {
    const [text = '', ...hints] = error.message.split('\n');
    return new GraphError(text, { errno: error.errno, hints });
  }
  if (error instanceof LockError) return new GraphError(error.message, { errno: Errno.EAGAIN });
  throw error;
}

/** Runs something whose failures get a text of their own, made from the failure. */
export async function explain<T>(
  run: () => T | Promise<T>,
  explained: (error: GraphError) => GraphError,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw explained(toGraphError(error));
  }
}
