/** Numbers of the qcow2 format. */

/** 'Q' 'F' 'I' 0xfb */
export const MAGIC: u32 = 0x514649fb;

/** Byte offsets of the header's fields. */
export const enum Field {
  VERSION = 4,
  BACKING_OFFSET = 8,
  BACKING_SIZE = 16,
  CLUSTER_BITS = 20,
  SIZE = 24,
  CRYPT_METHOD = 32,
  L1_SIZE = 36,
  L1_OFFSET = 40,
  REFTABLE_OFFSET = 48,
  REFTABLE_CLUSTERS = 56,
  SNAPSHOTS = 60,
  SNAPSHOTS_OFFSET = 64,
  INCOMPATIBLE = 72,
  COMPATIBLE = 80,
  AUTOCLEAR = 88,
  REFCOUNT_ORDER = 96,
  HEADER_LENGTH = 100,
  COMPRESSION_TYPE = 104,
}

/** Length of a version 2 header, of the least version 3 header, and of the one that is written. */
export const V2_HEADER: i32 = 72;
export const V3_HEADER: i32 = 104;
export const FULL_HEADER: i32 = 112;

/** Header extensions. */
export const EXT_END: u32 = 0;
export const EXT_BACKING_FORMAT: u32 = 0xe2792aca;
export const EXT_FEATURES: u32 = 0x6803f857;
export const EXT_BITMAPS: u32 = 0x23852875;
export const EXT_CRYPTO: u32 = 0x0537be77;
export const EXT_DATA_FILE: u32 = 0x44415441;

/** Incompatible feature bits. */
export const DIRTY: u64 = 1;
export const CORRUPT: u64 = 2;
export const EXTERNAL_DATA: u64 = 4;
export const COMPRESSION: u64 = 8;
export const EXTENDED_L2: u64 = 16;
export const KNOWN_INCOMPATIBLE: u64 = 31;

/** Compatible feature bits. */
export const LAZY_REFCOUNTS: u64 = 1;

/** Autoclear feature bits. */
export const BITMAPS: u64 = 1;
export const RAW_EXTERNAL: u64 = 2;

/** L1 and L2 entries: the reference count of what it points to is exactly 1. */
export const COPIED: u64 = 1 << 63;
export const COMPRESSED: u64 = 1 << 62;
/** L2 entry: reads as zeros. */
export const ZERO: u64 = 1;
/** The host offset in L1 and standard L2 entries. */
export const OFFSET_MASK: u64 = 0x00fffffffffffe00;
export const REFTABLE_MASK: u64 = ~(<u64>511);

/** How compressed clusters are compressed. */
export const enum CompressionType {
  ZLIB = 0,
  ZSTD = 1,
}

/** Limits of what is read into memory. */
export const MAX_L1_BYTES: i64 = 32 << 20;
export const MAX_REFTABLE_BYTES: i64 = 8 << 20;
export const MAX_SNAPSHOTS: u32 = 65536;
export const MAX_SNAPSHOT_TABLE: i64 = 64 << 20;
export const MAX_SNAPSHOT_EXTRA: u32 = 1024;

/** Host clusters must start below this (the format's limit is 2^56, files end at 2^53). */
export const MAX_HOST: i64 = 1 << 53;

/** Encryption methods. */
export const CRYPT_AES: u32 = 1;
export const CRYPT_LUKS: u32 = 2;
