/** An open qcow2 image: its state, and the driver's entry points. What they do is in the files next to this one. */
import { Driver, Err, Overlap, Request } from '../../abi';
import { MappedNode, Place } from '../../block/mapped';
import { BlockNode } from '../../block/node';
import { isZero } from '../../block/status';
import { be64 } from '../../util/endian';
import { TableCache, WriteGuard } from '../../util/cache';
import { Scratch } from '../../util/memory';
import { Amend } from './amend/amend';
import { StoredBitmap } from './bitmaps/directory';
import { storeBitmaps } from './bitmaps/persistent';
import { Check } from './check/check';
import { writeCompressedClusters } from './data/compress';
import { readCompressedCluster } from './data/compressed';
import { readEncrypted, writeEncrypted } from './data/encrypted';
import { checkMetadataWrite } from './overlap';
import { DIRTY, OFFSET_MASK } from './layout';
import { detectPreallocation } from './preallocation';
import { markClean } from './refcounts/lazy';
import { closeImage, enterWritable, flushImage } from './lifetime';
import { resize } from './amend/resize';
import { translate } from './mapping/translate';
import { writeGuest } from './data/write';
import { discardClusters, zeroRange } from './data/zero';

/** Bytes of the header cluster that are kept to be written back as they were. */
export class KeptBytes {
  constructor(
    public at: usize,
    public bytes: i32,
  ) {}
}

export class Qcow2Node extends MappedNode {
  version: i32 = 3;
  clusterBits: i32 = 16;
  /** Bytes. */
  clusterSize: i32 = 65536;
  /** log2 of the entries of an L2 table. */
  l2Bits: i32 = 13;
  /** Entries of L2 tables say of each subcluster what it is, and have 16 bytes; see subclusters.ts. */
  extended: bool = false;
  /** log2 of the bytes of an L2 entry. */
  entryShift: i32 = 3;
  /** log2 of the bytes of a subcluster; of a cluster where there are none. */
  subclusterBits: i32 = 16;
  /** A slice is the part of an L2 table that is cached as one. */
  sliceBytes: i32 = 65536;
  sliceBits: i32 = 13;

  incompatible: u64 = 0;
  compatible: u64 = 0;
  autoclear: u64 = 0;
  cryptMethod: u32 = 0;
  compressionType: i32 = 0;
  noIo: bool = false;
  /** Any of these bits in an L2 entry: there is a cluster. In a data file it may be at offset 0; COPIED tells then. */
  presentMask: u64 = OFFSET_MASK;
  /** Opened to be checked: what a check may repair does not forbid opening. */
  forCheck: bool = false;
  /** Counts may be written later than the tables; see lazy.ts. */
  lazy: bool = false;
  passDiscard: bool = false;
  /** Pass discards on when a snapshot gives clusters back. */
  passDiscardSnapshot: bool = false;
  /** Pass discards on when tables give clusters back. */
  passDiscardOther: bool = false;
  /** Discarded clusters keep their places. */
  discardNoUnref: bool = false;

  /** The active L1 table, as on disk (big endian). */
  l1: usize = 0;
  l1Size: i32 = 0;
  l1Offset: i64 = 0;

  /** log2 of the bits of a reference count. */
  refcountOrder: i32 = 4;
  /** log2 of the entries of a refcount block. */
  refblockBits: i32 = 15;
  /** The refcount table, as on disk. */
  reftable: usize = 0;
  reftableEntries: i32 = 0;
  reftableOffset: i64 = 0;
  /** One more than the last entry in use. */
  reftableUsed: i32 = 0;

  snapshots: i32 = 0;
  snapshotsOffset: i64 = 0;
  snapshotsBytes: i64 = 0;
  /** Snapshots of an image that was opened to be checked, while their table was not read. */
  unreadSnapshots: u32 = 0;
  /** For each snapshot: L1 offset (i64), L1 bytes (i64). */
  snapshotTables: usize = 0;
  /** The snapshot table as on disk; 0: not loaded. And an entry of it that was found: its index and its offset. */
  snapshotBytes: usize = 0;
  snapshotIndex: i32 = 0;
  snapshotAt: i64 = 0;
  /** The tables are those of a snapshot: nothing can be written. */
  showsSnapshot: bool = false;

  l2Cache: TableCache | null = null;
  refCache: TableCache | null = null;

  /** No free cluster is below this index. */
  freeIndex: i64 = 0;
  /** Where compressed data ended last: the next goes there; 0: into a new cluster. See compress.ts. */
  freeByte: i64 = 0;
  /** Clusters to be given back at the next flush, and how many ranges of them; see deferred.ts. */
  freed: usize = 0;
  freedRanges: i32 = 0;
  /** Which clusters may hold metadata: one bit for each cluster index modulo its size; 0: not made yet. */
  metadataFilter: usize = 0;
  /** The same for L2 tables of snapshots; see inactive.ts. */
  inactiveFilter: usize = 0;
  /** {@link Overlap}: what a write must not touch. */
  overlapCheck: i32 = Overlap.CACHED;

  /** A fatal corruption was found: nothing is read or written any more. */
  unusable: bool = false;
  signaled: bool = false;

  /** -1: not known yet; see preallocation.ts. */
  preallocated: i32 = -1;

  /** The check that is under way. */
  check: Check | null = null;
  /** The amendment that is under way. */
  amend: Amend | null = null;

  /** The last decompressed cluster, and the L2 entry it came from. */
  plain: usize = 0;
  plainEntry: u64 = 0;

  /** Where the clusters of the last step of a write ended: the next ones are best put there; -1: nowhere. */
  nextHost: i64 = -1;
  /** Entries that a step replaces; what is copied on write; compressed data. */
  replaced: Scratch = new Scratch();
  copied: Scratch = new Scratch();
  compressed: Scratch = new Scratch();
  /** Whole sectors of a part, and data that was encrypted; see encrypted.ts. */
  sectors: Scratch = new Scratch();
  ciphered: Scratch = new Scratch();

  /** The first cluster as it was read, and what lies in it. */
  header: usize = 0;
  /** Names of the header that are not in the cluster that was read; 0: none. */
  names: usize = 0;
  /** The same for the name of the data file. */
  dataFileName: usize = 0;
  unknownFields: KeptBytes | null = null;
  backingFile: KeptBytes | null = null;
  backingFormat: KeptBytes | null = null;
  dataFile: KeptBytes | null = null;
  cryptoHeader: KeptBytes | null = null;
  /** Memory of `cryptoHeader` where it was made, not read; 0: it was not. */
  cryptoField: usize = 0;
  bitmaps: KeptBytes | null = null;
  /** The extension about bitmaps that was written since; 0: it is that of the header as it was read. */
  bitmapFields: usize = 0;
  /** The entries of the directory of bitmaps, as in the file, and where it is. */
  storedBitmaps: Array<StoredBitmap> = [];
  directoryOffset: i64 = 0;
  directoryBytes: i64 = 0;
  /** The header was found to name a directory that did not count any more. */
  staleBitmaps: bool = false;
  unknownExtensions: Array<KeptBytes> = [];

  constructor(file: BlockNode) {
    super(Driver.QCOW2);
    this.supportsBacking = true;
    this.attach(file);
  }

  /** The L2 cache of an image that is open for I/O. */
  @inline
  get l2(): TableCache {
    return this.l2Cache!;
  }


  @inline
  get refs(): TableCache {
    return this.refCache!;
  }


  @inline
  get file(): BlockNode {
    return this.child!;
  }


  @inline
  l1Entry(index: i32): u64 {
    return be64(this.l1 + ((<usize>index) << 3));
  }


  @inline
  l2TableOffset(index: i32): i64 {
    return <i64>(this.l1Entry(index) & OFFSET_MASK);
  }

  /** Clusters that the disk is made of. */
  clusters(): i64 {
    return (this.length + this.clusterSize - 1) >> this.clusterBits;
  }

  map(offset: i64, bytes: i64): i32 {
    return translate(this, offset, bytes);
  }

  readCompressed(offset: i64, descriptor: i64, bytes: i32, to: usize): i32 {
    return readCompressedCluster(this, offset, <u64>descriptor, bytes, to);
  }

  recurse(): bool {
    return detectPreallocation(this);
  }

  /** What forbids any I/O; 0: nothing. */
  @inline
  ready(): i32 {
    return this.unusable || this.noIo || this.forCheck || (this.encrypted && !this.cipher)
      ? -Err.ENOMEDIUM
      : 0;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    const r = this.ready();
    if (r < 0) return r;
    return this.encrypted ? readEncrypted(this, offset, bytes, to) : this.readMapped(offset, bytes, to);
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const r = this.ready();
    if (r < 0) return r;
    if (offset + bytes > this.length) return -Err.EIO;
    return this.encrypted ? writeEncrypted(this, offset, bytes, from) : writeGuest(this, offset, bytes, from);
  }

  override doWriteCompressed(offset: i64, bytes: i32, from: usize): i32 {
    const r = this.ready();
    if (r < 0) return r;
    if (this.encrypted) return -Err.ENOTSUP;
    return offset + bytes > this.length ? -Err.EIO : writeCompressedClusters(this, offset, bytes, from);
  }

  doZero(offset: i64, bytes: i64, flags: i32): i32 {
    const r = this.ready();
    if (r < 0) return r;
    const end = offset + bytes;
    if (end > this.length) return -Err.EIO;
    // Of a subcluster, where there are such.
    const mask: i64 = this.zeroAlignment - 1;
    const start = offset & ~mask;
    const stop = (end + mask) & ~mask;
    if (start < offset || (end < stop && end < this.length)) {
      // A part of one: possible only if the rest of it reads as zeros and no data is there.
      const place = translate(this, start, 1);
      if (place < 0) return place;
      if (place === Place.DATA || place === Place.COMPRESSED) return -Err.ENOTSUP;
      if (!isZero(this, start, offset - start) || !isZero(this, end, stop - end)) return -Err.ENOTSUP;
    }
    return zeroRange(this, start, min(stop, (this.length + mask) & ~mask), (flags & Request.MAY_UNMAP) !== 0);
  }

  doDiscard(offset: i64, bytes: i64): i32 {
    const r = this.ready();
    if (r < 0) return r;
    const mask: i64 = this.clusterSize - 1;
    let end = offset + bytes;
    if (end > this.length) return -Err.EIO;
    // The partial cluster at the end of the disk counts as a whole one.
    if (end === this.length) end = (end + mask) & ~mask;
    return discardClusters(this, (offset + mask) & ~mask, end & ~mask, false);
  }

  doFlush(): i32 {
    // Nothing of an image that turned out to be corrupt may be written any more.
    if (this.unusable || this.noIo) return 0;
    return flushImage(this);
  }

  doTruncate(size: i64, preallocation: i32): i32 {
    const r = this.ready();
    return r < 0 ? r : resize(this, size, preallocation);
  }

  override doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    const r = this.ready();
    return r < 0 ? r : super.doStatus(wantZero, offset, bytes);
  }

  doAllocated(): i64 {
    const data = this.external;
    return this.file.doAllocated() + (data ? data.doAllocated() : 0);
  }

  override doSetReadOnly(readOnly: bool): i32 {
    if (!readOnly) return enterWritable(this);
    let r = this.unusable ? 0 : storeBitmaps(this);
    if (r === 0 && !this.unusable) r = markClean(this);
    if (r < 0) return r;
    this.readOnly = true;
    return 0;
  }

  override doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    const r = super.doReplaceChild(old, now);
    const l2 = this.l2Cache;
    const refs = this.refCache;
    if (r === 0 && l2) {
      l2.file = this.file;
      l2.data = this.storage;
    }
    if (r === 0 && refs) refs.file = this.file;
    return r;
  }

  /** The same of the data file. */
  override flushChild(): i32 {
    const r = super.flushChild();
    const data = this.external;
    return r < 0 || !data ? r : data.pflush();
  }

  doClose(): i32 {
    return closeImage(this);
  }

  /** Whether the header says that the refcounts may be wrong. */
  isDirty(): bool {
    return (this.incompatible & DIRTY) !== 0;
  }
}

/** Checks writes of the caches of an image against its other metadata. */
export class ImageGuard extends WriteGuard {
  constructor(private image: Qcow2Node) {
    super();
  }

  beforeWrite(cache: TableCache, offset: i64, bytes: i32): i32 {
    return checkMetadataWrite(this.image, cache, offset, bytes);
  }
}
