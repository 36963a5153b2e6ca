/**
 * Partitions of a disk, what lies in them, and the files of common file systems: plain data, for it crosses between workers.
 *
 * Offsets and sizes are bytes, whole numbers up to 2^53. What a disk says is hostile: lists are cut where they get long, and what
 * points out of the disk is told as a problem and never followed.
 */

/** What a volume (a partition, or the whole disk) has in it. */
export interface VolumeContent {
  /** `ext4`, `vfat`, `iso9660`...: as blkid calls it. */
  type: string;
  /** For people: `ext4`, `FAT32`, `ISO 9660 with Joliet`. */
  title: string;
  /** What one can expect of it. */
  kind: 'file system' | 'container' | 'swap' | 'image';
  label: string;
  /** As the tools print it; empty: it has none. */
  uuid: string;
  /** By its own superblock; null: it does not say. */
  size: number | null;
  /** How much of {@link size} is in use; null: the superblock does not say. */
  used: number | null;
  /** More about it: label and value. */
  facts: readonly (readonly [string, string])[];
  /** Why a reader would distrust it. */
  problems: readonly string[];
  /** Its files can be listed: see {@link FileTree}. */
  readable: boolean;
}

/** An entry of a partition table that is in use. */
export interface Partition {
  /** As Linux numbers it: from 1; logical ones from 5. */
  number: number;
  kind: 'primary' | 'extended' | 'logical' | 'gpt';
  offset: number;
  length: number;
  /** `0x83`, or the GUID. */
  type: string;
  /** What the type is for; empty: not known. */
  typeName: string;
  /** Only GPT has names. */
  name: string;
  /** GUID of the partition itself; empty for MBR. */
  id: string;
  /** `bootable`, `required`... */
  flags: readonly string[];
  problems: readonly string[];
  /** Null: nothing that is known. */
  content: VolumeContent | null;
}

/** How a disk is divided. */
export interface DiskLayout {
  size: number;
  /** Of the partition table: 512 or 4096. */
  sectorSize: number;
  /** `hybrid`: a GPT whose MBR has real partitions too. Null: no table. */
  table: 'mbr' | 'gpt' | 'hybrid' | null;
  /** Signature of the MBR (`0x1234abcd`) or GUID of the disk; empty: none. */
  tableId: string;
  /** What is wrong with the table, or worth to be known. */
  remarks: readonly { kind: 'info' | 'warning' | 'problem'; text: string }[];
  /** In the order of the disk. */
  partitions: readonly Partition[];
  /** What begins at the start of the disk itself, e.g. a file system without a table, or a hybrid ISO. */
  content: VolumeContent | null;
}

/** An entry of a directory. */
export interface FileNode {
  name: string;
  kind: 'file' | 'directory' | 'symlink' | 'other';
  size: number;
  /** Milliseconds since the epoch; null: unknown. */
  modified: number | null;
  /** Permissions as `rwxr-xr-x`, or attributes of FAT as `ro,hidden`; empty: none. */
  mode: string;
  /** Where a symbolic link points to. */
  target?: string;
}

/** Entries of a directory. */
export interface FileListing {
  entries: readonly FileNode[];
  /** There are more, which are not shown; or the rest cannot be read. Empty: this is all. */
  incomplete: string;
}

/**
 * The files of a volume, read-only. A path is names with `/` between them, from the root, which is the empty path. Symbolic links
 * are not followed. Methods reject with a {@link VolumeError}.
 */
export interface FileTree {
  list(path: string): Promise<FileListing>;
  stat(path: string): Promise<FileNode>;
  /** At most 1 MiB; short only at the end of the file. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>;
}

/** A failure to be told to the user. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
}

/** Entries of a directory that are shown at most. */
export const MAX_ENTRIES = 10_000;
/** Bytes that are read at once at most. */
export const MAX_READ = 2 ** 20;
