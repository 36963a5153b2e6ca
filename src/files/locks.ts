/**
 * Image locks: what QEMU's file driver does with byte-range locks so that two processes do not spoil each other's image.
 *
 * A holder says which permissions it uses on a file and which of them it lets others use. Two holders of one file
 * conflict when one uses what the other does not share. Rules and texts: `Failed to get "write" lock` (a needed
 * permission is unshared by somebody) and `Failed to get shared "write" lock` (an unshared one is used by somebody).
 */

/** Permission bits in QEMU's order, which is also the order in which conflicts are looked for. */
export const enum Permission {
  CONSISTENT_READ = 1,
  WRITE = 2,
  WRITE_UNCHANGED = 4,
  RESIZE = 8,
  ALL = 15,
}

/** A conflict of image locks; `message` is QEMU's text without the hint line of the command line tools. */
export class LockError extends Error {
  override readonly name = 'LockError';
}

/** One holder's claim on one file. */
export interface ImageLock {
  /**
   * Changes the claim. On a conflict rejects with {@link LockError} and leaves the claim as it was; a change that only
   * loosens never fails.
   */
  set(used: number, shared: number): Promise<void>;
  /** Gives the claim up. Never throws. */
  release(): void;
}

/** A table of claims: one for all "processes" that share a store (daemon, each call of a tool). */
export interface ImageLocks {
  /** A new claim on the file with this {@link FileStore.identity}; it claims nothing and shares all at first. */
  claim(identity: string): ImageLock;
}

const NAMES: readonly [Permission, string][] = [
  [Permission.CONSISTENT_READ, 'consistent read'],
  [Permission.WRITE, 'write'],
  [Permission.WRITE_UNCHANGED, 'write unchanged'],
  [Permission.RESIZE, 'resize'],
];

/** What a holder says of a file: {@link Permission} bits. */
export interface Claim {
  /** The permissions it uses. */
  used: number;
  /** The permissions it lets others use. */
  shared: number;
}

/**
 * Throws {@link LockError} if `wanted` conflicts with one of `others`. As in QEMU, all needed permissions are looked at
 * before the first one that is not shared.
 */
export function checkClaims(wanted: Claim, others: Iterable<Claim>): void {
  let unshared = 0;
  let used = 0;
  for (const other of others) {
    unshared |= Permission.ALL & ~other.shared;
    used |= other.used;
  }
  for (const [bit, name] of NAMES) {
    if (wanted.used & bit & unshared) throw new LockError(`Failed to get "${name}" lock`);
  }
  for (const [bit, name] of NAMES) {
    if (used & bit & ~wanted.shared) throw new LockError(`Failed to get shared "${name}" lock`);
  }
}

/** Locks among the users of one JavaScript realm. */
export class MemoryLocks implements ImageLocks {
  private readonly claims = new Map<string, Set<Claim>>();

  claim(identity: string): ImageLock {
    let claims = this.claims.get(identity);
    if (!claims) this.claims.set(identity, (claims = new Set()));
    const held = claims;
    const own: Claim = { used: 0, shared: Permission.ALL };
    held.add(own);
    return {
      set: async (used, shared) => {
        if (used & ~own.used || own.shared & ~shared) {
          checkClaims(
            { used, shared },
            [...held].filter((claim) => claim !== own),
          );
        }
        own.used = used;
        own.shared = shared;
      },
      release: () => {
        held.delete(own);
        if (held.size === 0 && this.claims.get(identity) === held) this.claims.delete(identity);
      },
    };
  }
}
