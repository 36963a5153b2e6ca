/** What a client can reach: a node under a name, with what else the server tells about it. */
import type { IoBuffer } from '../engine/contract';
import type { Presence } from '../engine/presence';
import type { BlockUser } from '../graph/api';
import type { ReplyMemory } from './outbox';

/** A dirty bitmap that clients can ask for as `qemu:dirty-bitmap:NAME`. */
export interface ExportBitmap {
  readonly name: string;
  /** Whether the byte at `offset` is dirty, and how many bytes from there on, up to `end`, are like it. */
  extent(offset: number, end: number): { dirty: boolean; bytes: number };
}

/** One export. */
export interface NbdExport {
  /** At most 4096 bytes of UTF-8; may be empty. */
  readonly name: string;
  /** For people; may be empty. */
  readonly description: string;
  /** Bytes. */
  readonly size: number;
  readonly writable: boolean;
  /** Every write is on stable storage when it is answered. */
  readonly writeThrough: boolean;
  /** Bytes, a power of two: requests must be aligned to it. */
  readonly minBlock: number;
  /** Requests go there. It holds the permissions that they need. */
  readonly device: BlockUser;
  /** Clients can ask for `qemu:allocation-depth`. */
  readonly allocationDepth: boolean;
  readonly bitmaps: readonly ExportBitmap[];
}

/** How the server works; the same for all its connections. */
export interface SessionHost {
  /** Data on its way between a connection and the engine: requests are synchronous, so all share one buffer. */
  readonly buffer: IoBuffer;
  /** For what is answered. */
  readonly memory: ReplyMemory;
  /** Of the engine: exports may be of nodes that are elsewhere. */
  readonly presence: Presence;
  /** Resolves when everything else had its turn: long work is cut into pieces of a few milliseconds. */
  turn(): Promise<void>;
  /** null: requests may be served now; else they may when it resolves (a change of the graph is being made). */
  held(): Promise<void> | null;
  /** Milliseconds that the requests since it was last asked are to take longer (throttle nodes). */
  throttled(): number;
}
