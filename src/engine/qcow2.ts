/** What is said of qcow2 images: headers, how they are opened and created, checks, internal snapshots. */
import type { NodeHandle, Prealloc } from './request';

/** The header of a qcow2 image. Big fields are exact to 2^53. */
export interface Qcow2Info {
  version: 2 | 3;
  clusterSize: number;
  /** Bits of a refcount entry: 1, 2, 4 .. 64. */
  refcountBits: number;
  size: number;
  lazyRefcounts: boolean;
  dirty: boolean;
  corrupt: boolean;
  extendedL2: boolean;
  compressionType: 'zlib' | 'zstd';
  /** 0 none, 1 AES, 2 LUKS. */
  cryptMethod: number;
  /** As stored, undecoded bytes read as UTF-8; null: none. */
  backingFile: string | null;
  backingFormat: string | null;
  /** Data is in another file; its name as stored, null: none is. */
  externalData: boolean;
  dataFile: string | null;
  dataFileRaw: boolean;
  snapshots: number;
  l1Entries: number;
  /** The image's own cost in the linear memory (tables and caches), bytes. */
  cacheBytes: number;
}

/** Kinds of metadata that overlap checks look for, and the sets that have names (`qcow2.md` section 12). */
export const enum OverlapKind {
  HEADER = 1,
  ACTIVE_L1 = 2,
  ACTIVE_L2 = 4,
  REFTABLE = 8,
  REFBLOCK = 16,
  SNAPSHOT_TABLE = 32,
  INACTIVE_L1 = 64,
  INACTIVE_L2 = 128,
  BITMAP_DIRECTORY = 256,
  NONE = 0,
  CONSTANT = 299,
  CACHED = 383,
  ALL = 511,
}

/** How a qcow2 image is opened. */
export interface Qcow2OpenOptions {
  readOnly: boolean;
  /** Only the header is to be read (qemu-img info): features that forbid reading data do not forbid opening. */
  noIo?: boolean;
  /** Bytes; default as in `qcow2.md` section 10. */
  l2CacheSize?: number;
  refcountCacheSize?: number;
  /** Bytes, a power of two from 512 to the cluster size. */
  l2CacheEntrySize?: number;
  /** Counts may be written late. Default: as the header says. */
  lazyRefcounts?: boolean;
  /** Pass guest discards of freed clusters on to the file. Default: false. */
  passDiscard?: boolean;
  /** To be checked: an image that is corrupt or has no refcount table opens too, and a dirty one is left as it is. */
  check?: boolean;
  /** Discard clusters in the file that a snapshot gives back. Default: false. */
  passDiscardSnapshot?: boolean;
  /** Discard clusters in the file that tables give back. Default: false. */
  passDiscardOther?: boolean;
  /** Discarded clusters keep their places in the file. Version 3 only. Default: false. */
  discardNoUnref?: boolean;
  /** {@link OverlapKind}s of metadata that no other write may touch. Default: CACHED. */
  overlapCheck?: number;
  /** The node that holds the data of an image with an external data file. It may not be `child`. */
  dataFile?: NodeHandle;
}

/** What a new qcow2 image is to be. Values are checked by the data plane too, with the texts of `qcow2.md` section 14. */
export interface Qcow2CreateOptions {
  size: number;
  version: 2 | 3;
  clusterSize: number;
  refcountBits: number;
  lazyRefcounts: boolean;
  preallocation: Prealloc;
  /** Default: zlib. */
  compressionType?: 'zlib' | 'zstd';
  /** Subclusters. Default: false. */
  extendedL2?: boolean;
  backingFile: string | null;
  backingFormat: string | null;
  /** Data is to be in another node. */
  dataFile?: NewDataFile;
}

/** The data file of a new qcow2 image. */
export interface NewDataFile {
  /** Writable, not the image's own file. */
  node: NodeHandle;
  /** As the image stores it. */
  name: string;
  /** It must stay readable as the disk. */
  raw: boolean;
}

/** What a check may repair: clusters that nobody uses, and all else that can be repaired. */
export interface CheckRepair {
  leaks: boolean;
  errors: boolean;
}

/** What a check counted (`qcow2.md` section 13). */
export interface CheckResult {
  corruptions: number;
  leaks: number;
  /** What could not be checked. */
  checkErrors: number;
  corruptionsFixed: number;
  leaksFixed: number;
  /** Bytes: where the last cluster of the file that is in use ends. */
  imageEnd: number;
  /** Clusters of the disk; the next three are about those that the active tables allocate. */
  totalClusters: number;
  allocatedClusters: number;
  fragmentedClusters: number;
  compressedClusters: number;
}

/**
 * A line about something that a check found, without a line feed.
 * @param program the name of the program is to be put in front
 */
export type CheckFinding = (text: string, program: boolean) => void;

/** What is recorded of an internal snapshot that is being taken. Seconds and nanoseconds are whole numbers. */
export interface NewSnapshot {
  /** UTF-8, cut to 255 bytes. */
  name: string;
  dateSec: number;
  dateNsec: number;
  /** The clock of the virtual machine. */
  vmClockSec: number;
  vmClockNsec: number;
  /** Count of instructions; null: none. */
  icount: number | null;
}

/** An internal snapshot of a qcow2 image. Big numbers are exact to 2^53. */
export interface Snapshot extends NewSnapshot {
  id: string;
  /** Bytes. */
  vmStateSize: number;
  /** Bytes. */
  diskSize: number;
}
