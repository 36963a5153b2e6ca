/** What tools do to backing chains: write to a base, empty an overlay. */
import { BlockError } from '../../engine/contract';
import { Errno } from '../../files/contract';
import { Permission } from '../../files/locks';
import { skipFilters } from '../chain';
import type { BlockNode } from '../node';
import { setReadOnly } from '../changes/reopen';
import type { Opener } from '../open';

/** An image of a chain that is written to although others read it as their backing file. */
export interface WritableBase<User> {
  readonly user: User;
  /** Lets go of it; it is read-only again if it was. */
  end(): Promise<void>;
}

/** Who makes users of nodes. */
interface BaseHost<User> {
  readonly opener: Opener;
  /** Runs a change of the graph alone. */
  exclusive<T>(change: () => Promise<T>): Promise<T>;
  attach(node: BlockNode, perm: number, shared: number): Promise<User>;
}

/** Makes `base`, an image below another one, writable. Fails with the texts of locks and permissions. */
export function openBase<User extends { closeNow(): Promise<void> }>(
  host: BaseHost<User>,
  base: BlockNode,
): Promise<WritableBase<User>> {
  return host.exclusive(async () => {
    const { opener } = host;
    const turned = base.readOnly;
    if (turned) await setReadOnly(opener, base, false);
    try {
      const perm = Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE;
      const shared = Permission.ALL;
      base.references++;
      const user = await host.attach(base, perm, shared);
      const end = (): Promise<void> =>
        host.exclusive(async () => {
          await user.closeNow();
          if (turned) await setReadOnly(opener, base, true);
        });
      return { user, end };
    } catch (error) {
      if (turned) await setReadOnly(opener, base, true);
      throw error;
    } finally {
      await opener.unref(base);
    }
  });
}

/**
 * Begins to empty the image of a node: what its backing file holds shows through. The result works on for a few
 * milliseconds and answers whether there is more to do; null: the format cannot be emptied.
 */
export function beginEmpty(top: BlockNode): (() => boolean) | null {
  const node = skipFilters(top) ?? top;
  const { engine } = node;
  let at = 0;
  const step = (): boolean => (at = engine.amend.makeEmpty(node.handle, at)) > 0;
  let more: boolean;
  try {
    more = step();
  } catch (error) {
    if (error instanceof BlockError && error.errno === Errno.ENOTSUP) return null;
    throw error;
  }
  return () => more && (more = step());
}
