/** x-blockdev-amend: changes of an open image that only its format understands. */
import type { BlockdevAmendOptions } from '../../qapi/types.generated';
import { GraphError } from '../errors';
import type { UserHost } from '../user';

/** What x-blockdev-amend says. */
export interface AmendRequest {
  nodeName: string;
  options: BlockdevAmendOptions;
  /** Allows what can make data unreadable. */
  force: boolean;
}

/** An image that is going to be amended, and is held until `end`. */
export interface AmendTarget {
  /** Does it. */
  run(): Promise<void>;
  /** Lets go of the node. */
  end(): Promise<void>;
}

/** Checks what can be known before the work begins, and holds the node. Inside an exclusive change. */
export function holdForAmend(host: UserHost, { nodeName, options, force }: AmendRequest): AmendTarget {
  const { opener } = host;
  const node = opener.table.lookup(undefined, nodeName);
  const { type } = node;
  if (options.driver !== node.driver)
    throw new GraphError("x-blockdev-amend doesn't support changing the block driver");
  if (!type.amend) throw new GraphError('Driver does not support x-blockdev-amend');
  node.references++;
  return {
    run: () => host.exclusive(async () => type.amend?.(node, options, force)),
    end: () => host.exclusive(() => opener.unref(node)),
  };
}
