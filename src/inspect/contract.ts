/**
 * The structure of an image as data, in pages. Everything is plain data, for it crosses from the worker to the page.
 *
 * Offsets and lengths are whole numbers of bytes up to 2^53. What an image says is hostile: lists are cut where they get long,
 * and nothing is read as a whole.
 */

/** The disk as a guest sees it: what partition tables and file systems are read from. */
export interface DiskSource {
  /** Bytes. */
  readonly size: number;
  /**
   * At most 1 MiB at once; short only at the end of the disk. Rejects with a text for the user where it cannot be read (no key, a
   * broken image).
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** What is inspected: a node of the daemon, or a file of the sandbox. */
export type InspectTarget = { node: string } | { path: string };

/** The image as a file, or the disk that is in it. */
export type ImageView = 'file' | 'guest';

/** A range of the file. */
export interface FileRange {
  offset: number;
  length: number;
}

/** One bit of a field of feature bits. */
export interface FeatureBit {
  bit: number;
  /** As the format calls it, or as the image's own table of names does. */
  name: string;
  set: boolean;
  /** What it means, in a plain sentence. */
  meaning: string;
}

/** A field of a header or an entry of a table. */
export interface Field extends FileRange {
  /** As the specification of the format calls it. */
  name: string;
  /** For people: `64 KiB`, `v3`, a hexadecimal offset. */
  value: string;
  meaning: string;
  bits?: readonly FeatureBit[];
  /** Where an offset leads. */
  target?: FileRange;
  /** Why a reader refuses or distrusts it. */
  problem?: string;
}

/** Fields that belong together. */
export interface Section extends FileRange {
  id: string;
  title: string;
  meaning: string;
  fields: readonly Field[];
}

/** Something that the user should know of the image as a whole. */
export interface Remark {
  kind: 'info' | 'warning' | 'problem';
  text: string;
}

/** An internal snapshot. */
export interface InspectedSnapshot extends FileRange {
  id: string;
  name: string;
  /** Milliseconds since the epoch. */
  date: number;
  diskSize: number;
  vmStateSize: number;
  l1: FileRange;
}

/** A bitmap that is kept in the image. */
export interface InspectedBitmap extends FileRange {
  name: string;
  /** Bytes of the disk that a bit stands for. */
  granularity: number;
  /** It was not put away properly, and cannot be trusted. */
  inUse: boolean;
  auto: boolean;
  table: FileRange;
}

/** A bitmap that the daemon's memory has of a node; its image may keep it, too. */
export interface LiveBitmap {
  /** Empty: it belongs to a job. */
  name: string;
  /** Bytes of the disk that a bit stands for. */
  granularity: number;
  /** Bytes. */
  dirty: number;
  /** Writes mark it. */
  recording: boolean;
  /** The image keeps it when the node is closed. */
  persistent: boolean;
}

/** A place for a passphrase. */
export interface KeySlot extends FileRange {
  name: string;
  active: boolean;
  /** How a passphrase becomes a key, e.g. `pbkdf2-sha256, 1234567 iterations`. */
  derivation: string;
  /** The encrypted pieces of the key. */
  material: FileRange;
}

/** What is told at once. */
export interface Overview {
  /** As probed or opened: `qcow2`, `luks`, `luks2`, `raw`, or the name of a format that is only recognised. */
  format: string;
  name: string;
  /** By which commands can name the image file; null: it is nowhere in the sandbox. */
  path: string | null;
  /** Bytes of the image file. */
  fileSize: number;
  /** Bytes of the disk; null: it cannot be told. */
  diskSize: number | null;
  /** Bytes; for a format without clusters what a cell of the map stands for at least. */
  clusterSize: number;
  remarks: readonly Remark[];
  /** Of an encrypted image that a passphrase opens: whether it was given; null: it needs none. */
  encryption: 'locked' | 'unlocked' | null;
  /** First the most important ones: label and value. */
  facts: readonly (readonly [string, string])[];
  sections: readonly Section[];
  snapshots: readonly InspectedSnapshot[];
  bitmaps: readonly InspectedBitmap[];
  /** Of a node: what is in memory now. */
  live: readonly LiveBitmap[];
  slots: readonly KeySlot[];
}

/** What a piece of the disk or of the file is used for. The number is the code in {@link MapPage.uses}. */
export const enum Use {
  /** Nothing is known yet. */
  UNKNOWN = 0,
  /** Of the disk: not in this image, read from the backing file or as zeros. Of the file: free. */
  FREE = 1,
  ZERO = 2,
  DATA = 3,
  COMPRESSED = 4,
  HEADER = 5,
  L1 = 6,
  L2 = 7,
  REFCOUNT_TABLE = 8,
  REFCOUNT_BLOCK = 9,
  SNAPSHOT_TABLE = 10,
  SNAPSHOT_L1 = 11,
  SNAPSHOT_L2 = 12,
  /** Only snapshots have it. */
  SNAPSHOT_DATA = 13,
  BITMAP = 14,
  /** Header and key slots of LUKS. */
  KEYS = 15,
  /** Counted as used, and nobody uses it. */
  LEAKED = 16,
  /** Used and counted as free, used for two things, or not to be understood. */
  BROKEN = 17,
}

/** More about a cell; bits of {@link MapPage.flags}. */
export const enum CellFlag {
  /** Some of it has several users: a snapshot shares it. */
  SHARED = 1,
  /** A dirty bitmap has marked some of it. */
  DIRTY = 2,
  /** Parts of it are used for different things. */
  MIXED = 4,
}

/** Which cells of the map are wanted. */
export interface MapRequest {
  view: ImageView;
  offset: number;
  /** Bytes that a cell stands for: a multiple of the cluster size. */
  cellBytes: number;
  /** At most 65536. */
  cells: number;
}

/** Cells of the map. */
export interface MapPage {
  /** For each cell the {@link Use} that matters most in it. */
  uses: Uint8Array;
  /** For each cell how much of it is in use: 0..255. */
  fill: Uint8Array;
  /** For each cell {@link CellFlag}s. */
  flags: Uint8Array;
  /** 0..1: how much of the image's tables was looked at. Below 1 the same request answers more later. */
  known: number;
}

/** What is at a place. */
export interface Place extends FileRange {
  use: Use;
  title: string;
  /** Label and value. */
  facts: readonly (readonly [string, string])[];
  /** Where one can go from here. */
  links: readonly { label: string; view: ImageView; offset: number; length: number }[];
}

/** What a check may do: look, or show what a repair would do. Nothing is written to the image. */
export type CheckMode = 'look' | 'leaks' | 'all';

/** A piece of the file that a repair would write. */
export interface RepairChange extends FileRange {
  /** What is there. */
  what: string;
}

/** How far a check is. */
export interface CheckState {
  done: boolean;
  /** 0..1, estimated. */
  progress: number;
  /** What was found since the last time, in the words of qemu-img. */
  findings: readonly string[];
  /** Findings that were left out since there are too many. */
  more: number;
  counts: {
    corruptions: number;
    leaks: number;
    checkErrors: number;
    corruptionsFixed: number;
    leaksFixed: number;
  } | null;
  /** Of a repair: what it would write, and how much would still be wrong then. */
  changes: readonly RepairChange[];
  after: { corruptions: number; leaks: number } | null;
  /** Why it cannot go on. */
  failure: string;
}

/** An image under inspection. Methods reject with a text for the user, e.g. if the node is gone. */
export interface ImageInspection {
  /** Looks at the image as it is now; what was known of its tables is forgotten. */
  refresh(): Promise<Overview>;
  /** A text that is another one when the image may have changed since. Costs little, and does nothing to the image. */
  state(): Promise<string>;
  map(request: MapRequest): Promise<MapPage>;
  /** What is at an offset of a view. */
  describe(view: ImageView, offset: number): Promise<Place>;
  /** At most 1 MiB; short only at the end. */
  read(view: ImageView, offset: number, length: number): Promise<Uint8Array>;
  /** Fields and table entries that overlap a range of the file, in their order; at most 4 KiB are looked at. */
  fields(offset: number, length: number): Promise<readonly Field[]>;
  /** Bytes of a view. The disk of an image that cannot be opened has none: rejects with the reason. */
  size(view: ImageView): Promise<number>;
  /**
   * Opens the disk of an encrypted image. Rejects with the text of qemu-img if the passphrase opens nothing. It is not kept.
   * @param progress milliseconds of those that the derivation of the key is estimated to take; not called if it is quick
   */
  unlock(passphrase: string, progress?: (done: number, total: number) => void): Promise<void>;
  /** Ends an {@link unlock} that is under way: it rejects. */
  cancelUnlock(): Promise<void>;
  /** Begins a check; ends one that is under way. */
  beginCheck(mode: CheckMode): Promise<void>;
  /** Works on for a moment. */
  check(): Promise<CheckState>;
  close(): Promise<void>;
}
