/**
 * Image locks among several realms: processes under Node.js, tabs in a browser.
 *
 * Each platform has something that all realms can put up and look at and that vanishes with its owner: abstract Unix
 * sockets on Linux, Web Locks in a browser. A claim is such a thing with a name that says it all. To take one, put it up
 * first, then look at all that are there, and take it down again on a conflict; of two that come at once both may fail,
 * but never do both succeed. This is also how QEMU uses byte-range locks.
 */
import { isLocal, REALM } from './identity';
import { checkClaims, Permission } from './locks';
import type { Claim, ImageLock, ImageLocks } from './locks';

/** Names that all realms see. */
export interface NoticeBoard {
  /** Puts up a name (up to 100 bytes) that nobody else uses, and answers what takes it down again. */
  put(name: string): Promise<() => void>;
  /** All names that are up now; others than ours may be among them. */
  names(): Promise<string[]>;
}

/** Options of {@link SharedLocks}. */
export interface SharedLocksOptions {
  /** Claims of other programs on a file, made in ways of their own. */
  foreign?: (identity: string) => Promise<Claim[]>;
  /** Stands for the realm in the names; only tests have a reason to give one. */
  realm?: string;
}

const PREFIX = 'qsd-web';

/** The name of a claim on the board. The file comes last, as it may contain anything. */
function nameOf(realm: string, number: number, claim: Claim, identity: string): string {
  return `${PREFIX} ${realm} ${number} ${claim.used} ${claim.shared} ${identity}`;
}

/** The claims on a file that realms other than `realm` have put up. */
function claimsOn(identity: string, names: readonly string[], realm: string): Claim[] {
  const claims: Claim[] = [];
  for (const name of names) {
    const words = name.split(' ');
    const [prefix, owner, , used, shared] = words;
    if (prefix !== PREFIX || owner === realm || words.slice(5).join(' ') !== identity) continue;
    // Anybody can put up anything: only bits that mean something are taken.
    claims.push({ used: Number(used) & Permission.ALL, shared: Number(shared) & Permission.ALL });
  }
  return claims;
}

/** One claim of this realm: its place in the table, and what stands on the board for it. */
interface Entry extends Claim {
  takeDown: (() => void) | null;
  released: boolean;
}

/** Locks among all realms that share a {@link NoticeBoard}; one object for each realm. */
export class SharedLocks implements ImageLocks {
  private readonly entries = new Map<string, Set<Entry>>();
  private readonly realm: string;
  /** Changes of claims run one after the other: two at once would take each other for a conflict. */
  private queue: Promise<void> = Promise.resolve();
  private lastNumber = 0;

  constructor(
    private readonly board: NoticeBoard,
    private readonly options: SharedLocksOptions = {},
  ) {
    this.realm = options.realm ?? REALM;
  }

  claim(identity: string): ImageLock {
    let entries = this.entries.get(identity);
    if (!entries) this.entries.set(identity, (entries = new Set()));
    const entry: Entry = { used: 0, shared: Permission.ALL, takeDown: null, released: false };
    const held = entries;
    held.add(entry);
    return {
      set: (used, shared) => {
        const change = this.queue.then(() => this.change(identity, entry, { used, shared }));
        this.queue = change.catch(() => undefined);
        return change;
      },
      release: () => {
        entry.released = true;
        entry.takeDown?.();
        entry.takeDown = null;
        held.delete(entry);
        if (held.size === 0 && this.entries.get(identity) === held) this.entries.delete(identity);
      },
    };
  }

  private async change(identity: string, entry: Entry, wanted: Claim): Promise<void> {
    if (entry.released) return;
    const tighter = (wanted.used & ~entry.used) !== 0 || (entry.shared & ~wanted.shared) !== 0;
    if (tighter) {
      const takeDown = await this.put(identity, wanted);
      try {
        const names = isLocal(identity) ? [] : await this.board.names();
        const others = claimsOn(identity, names, this.realm);
        others.push(...((await this.options.foreign?.(identity)) ?? []));
        const own = [...(this.entries.get(identity) ?? [])].filter((other) => other !== entry);
        checkClaims(wanted, [...own, ...others]);
      } catch (error) {
        takeDown();
        throw error;
      }
      this.replace(entry, wanted, takeDown);
      return;
    }
    if (wanted.used === entry.used && wanted.shared === entry.shared) return;
    if (wanted.used === 0 && (~wanted.shared & Permission.ALL) === 0) {
      this.replace(entry, wanted, null);
      return;
    }
    // A change that only loosens never fails: if the new name cannot be put up, the old one stays and says too much.
    const takeDown = await this.put(identity, wanted).catch(() => entry.takeDown);
    this.replace(entry, wanted, takeDown);
  }

  private async put(identity: string, claim: Claim): Promise<() => void> {
    if (isLocal(identity)) return () => undefined;
    return this.board.put(nameOf(this.realm, ++this.lastNumber, claim, identity));
  }

  private replace(entry: Entry, claim: Claim, takeDown: (() => void) | null): void {
    if (entry.released) {
      takeDown?.();
      return;
    }
    if (entry.takeDown !== takeDown) entry.takeDown?.();
    entry.takeDown = takeDown;
    entry.used = claim.used;
    entry.shared = claim.shared;
  }
}
