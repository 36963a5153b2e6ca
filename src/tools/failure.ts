/** How a tool ends when something is wrong: a text, lines for a person, an exit code. */
import { BlockError } from '../engine/contract';
import { FileError } from '../files/contract';
import { LockError } from '../files/locks';
import { QmpError } from '../qapi/errors';
import { OptionError } from './optionlist';

/** Ends a command. The text is printed with the name of the program in front, the hints behind it without. */
export class ToolFailure extends Error {
  override readonly name = 'ToolFailure';
  constructor(
    message: string,
    readonly hints: readonly string[] = [],
    readonly code = 1,
  ) {
    super(message);
  }

  /** The same failure with more in front of its text. */
  prefixed(prefix: string): ToolFailure {
    return new ToolFailure(prefix + this.message, this.hints, this.code);
  }
}

/** Ends a command quietly: all was printed before. */
export class ToolExit extends Error {
  override readonly name = 'ToolExit';
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/** Ends a command with the help that one of its options asked for. */
export class ToolHelp extends ToolExit {
  constructor(
    readonly text: string,
    code = 0,
  ) {
    super(code);
  }
}

/** What a layer below threw, as a {@link ToolFailure}; what is a mistake of the program is thrown on. */
export function toFailure(error: unknown): ToolFailure {
  if (error instanceof ToolFailure) return error;
  if (error instanceof QmpError) return new ToolFailure(error.desc, error.hints);
  if (error instanceof OptionError) return new ToolFailure(error.message, error.hints);
  if (error instanceof BlockError || error instanceof FileError || error instanceof LockError) {
    return new ToolFailure(error.message);
  }
  throw error;
}

/** Runs one step; a failure gets `prefix` in front of its text. */
export async function step<T>(prefix: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ToolExit) throw error;
    throw toFailure(error).prefixed(prefix);
  }
}
