/**
 * Amending an image: version, width of counts, data file, lazy refcounts, size; in QEMU's order, in steps, safe at every
 * write.
 */
import { AmendPart, Err } from '../../../abi';
import { fail, failErrno, hash, prefixError } from '../../../util/errors';
import { EXTERNAL_DATA, COMPRESSION, LAZY_REFCOUNTS, RAW_EXTERNAL } from '../layout';
import { ZeroExpansion } from './expand';
import { rewriteHeader } from '../header';
import { KeptBytes, Qcow2Node } from '../image';
import { markClean } from '../refcounts/lazy';
import { resize } from './resize';
import { snapshotError, snapshotOf } from '../snapshots/table';
import { WidthChange } from './width';

/** What the image is to become; -1: as it is. */
export class AmendOptions {
  version: i32 = -1;
  refcountBits: i32 = -1;
  /** 0 or 1. */
  lazyRefcounts: i32 = -1;
  /** Bytes. */
  size: i64 = -1;
  /** The data file need not read as the disk any more. */
  rawDataOff: bool = false;
  /** UTF-8, owned by the options. */
  dataFile: usize = 0;
  /** 0: the header names no data file. */
  dataFileBytes: i32 = -1;

  release(): void {
    if (this.dataFile) heap.free(this.dataFile);
    this.dataFile = 0;
  }
}

/** Units of work of an upgrade: before and after the header is written. */
const UPGRADE_UNITS: f64 = 2;

const enum Phase {
  BEGIN,
  WIDTH,
  FLAGS,
  SIZE,
  DOWNGRADE,
  SEARCH,
  EXPAND,
  VERSION,
  DONE,
}

export class Amend {
  private phase: Phase = Phase.BEGIN;
  private width: WidthChange | null = null;
  private expansion: ZeroExpansion | null = null;
  private lazyBefore: bool;
  /** Units of the operations that are complete; see {@link AmendPart}. */
  private before: f64 = 0;
  private done: f64 = 0;
  private total: f64 = 0;
  /** Operations that are not complete. */
  private left: i32 = 0;

  constructor(
    private image: Qcow2Node,
    private wanted: AmendOptions,
  ) {
    this.lazyBefore = image.lazy;
  }

  /** Works on for some milliseconds at most; 1: there is more to do, 0: it is done; or a negative errno. */
  step(): i32 {
    const r = this.advance();
    if (r < 0) this.phase = Phase.DONE;
    return r;
  }

  /** How far it is. */
  part(which: AmendPart): f64 {
    if (which === AmendPart.BEFORE) return this.before;
    if (which === AmendPart.LEFT) return this.left;
    const width = this.phase === Phase.WIDTH ? this.width : null;
    const expansion = this.phase === Phase.EXPAND ? this.expansion : null;
    if (which === AmendPart.TOTAL) {
      return width ? <f64>width.units() : expansion ? <f64>expansion.units : this.total;
    }
    return width ? <f64>width.unitsDone() : expansion ? <f64>expansion.unitsDone : this.done;
  }

  /** An operation of so many units is complete. */
  private complete(units: f64): void {
    this.before += units;
    this.left--;
  }

  /** Ends it, complete or not: what was done up to now stays, and the image is sound. */
  release(): void {
    const width = this.width;
    if (width) width.release();
    const expansion = this.expansion;
    if (expansion) expansion.release();
    this.width = null;
    this.expansion = null;
    this.wanted.release();
    const image = this.image;
    image.lazy = this.lazyBefore && image.version >= 3;
  }

  private then(r: i32, phase: Phase): i32 {
    if (r !== 0) return r;
    this.phase = phase;
    return 1;
  }

  private advance(): i32 {
    const image = this.image;
    switch (this.phase) {
      case Phase.BEGIN:
        return this.then(this.begin(), Phase.WIDTH);
      case Phase.WIDTH: {
        const width = this.width;
        const r = this.then(width ? width.step() : 0, Phase.FLAGS);
        if (width && this.phase === Phase.FLAGS) this.complete(<f64>width.units());
        return r;
      }
      case Phase.FLAGS:
        return this.then(this.setFlags(), Phase.SIZE);
      case Phase.SIZE:
        return this.then(this.setSize(), Phase.DOWNGRADE);
      case Phase.DOWNGRADE:
        if (this.wanted.version !== 2 || image.version === 2) return this.finish();
        return this.then(this.checkDowngrade(), Phase.SEARCH);
      case Phase.SEARCH:
        return this.then(this.searchCompressed(), Phase.EXPAND);
      case Phase.EXPAND: {
        const r = this.then(this.expand(), Phase.VERSION);
        if (this.phase === Phase.VERSION) this.complete(<f64>this.expansion!.units);
        return r;
      }
      case Phase.VERSION:
        return this.then(this.downgrade(), Phase.DONE);
      default:
        return 0;
    }
  }

  /** What can be refused at once is; an upgrade is done. */
  private begin(): i32 {
    const image = this.image;
    const refcountBits = this.wanted.refcountBits;
    const version = this.wanted.version;
    const target = version < 0 ? image.version : version;
    const level = 'compatibility level 1.1 or above (use compat=1.1 or greater)';
    const bits = 1 << image.refcountOrder;
    if (refcountBits >= 0) {
      if (refcountBits < 1 || refcountBits > 64 || popcnt<i32>(refcountBits) !== 1) {
        return fail(Err.EINVAL, 'Refcount width must be a power of two and may not exceed 64 bits');
      }
      if (target < 3 && refcountBits !== 16) {
        return fail(Err.EINVAL, 'Refcount widths other than 16 bits require ' + level);
      }
    }
    let r = markClean(image);
    if (r < 0) return r;
    // Until the end counts are written when they change: what is written to the header then is true.
    image.lazy = false;
    const otherWidth = refcountBits >= 0 && refcountBits !== bits;
    this.left = i32(target !== image.version) + i32(otherWidth);
    if (target > image.version) {
      r = this.setVersion(3, 0, 0, 0);
      if (r < 0) return r;
      this.complete(UPGRADE_UNITS);
    }
    if (otherWidth) this.width = new WidthChange(image, <i32>ctz<u32>(<u32>refcountBits));
    if (this.wanted.lazyRefcounts === 1 && target < 3) this.refuseLazy = true;
    return 0;
  }

  private refuseLazy: bool = false;

  private setVersion(version: i32, incompatible: u64, compatible: u64, autoclear: u64): i32 {
    const image = this.image;
    const old = image.version;
    const oldIncompatible = image.incompatible;
    const oldCompatible = image.compatible;
    const oldAutoclear = image.autoclear;
    const oldType = image.compressionType;
    image.version = version;
    image.incompatible = incompatible;
    image.compatible = compatible;
    image.autoclear = autoclear;
    if (version < 3) image.compressionType = 0;
    const r = this.storeHeader();
    if (r < 0) {
      image.version = old;
      image.incompatible = oldIncompatible;
      image.compatible = oldCompatible;
      image.autoclear = oldAutoclear;
      image.compressionType = oldType;
    }
    return r;
  }

  /** Writes the changed header, flushed. */
  private storeHeader(): i32 {
    let r = rewriteHeader(this.image);
    if (r === 0) r = this.image.file.pflush();
    return r < 0 ? failErrno(r, 'Failed to update the image header') : 0;
  }

  private setFlags(): i32 {
    const r = this.setDataFile();
    return r < 0 ? r : this.setLazy();
  }

  /** What the header says of the data file, in one write. The node goes on with the one that it has. */
  private setDataFile(): i32 {
    const image = this.image;
    const wanted = this.wanted;
    const raw = wanted.rawDataOff && (image.autoclear & RAW_EXTERNAL) !== 0;
    if (wanted.dataFileBytes < 0 && !raw) return 0;
    const oldAutoclear = image.autoclear;
    const oldName = image.dataFile;
    if (raw) image.autoclear &= ~RAW_EXTERNAL;
    if (wanted.dataFileBytes >= 0) {
      image.dataFile = wanted.dataFileBytes ? new KeptBytes(wanted.dataFile, wanted.dataFileBytes) : null;
    }
    const r = this.storeHeader();
    if (r < 0) {
      image.autoclear = oldAutoclear;
      image.dataFile = oldName;
    } else if (wanted.dataFileBytes >= 0) {
      if (image.dataFileName) heap.free(image.dataFileName);
      image.dataFileName = wanted.dataFile;
      wanted.dataFile = 0;
    }
    return r;
  }

  private setLazy(): i32 {
    const image = this.image;
    const lazy = this.wanted.lazyRefcounts;
    if (this.refuseLazy) {
      return fail(
        Err.EINVAL,
        'Lazy refcounts only supported with compatibility level 1.1 and above (use compat=1.1 or greater)',
      );
    }
    if (lazy < 0 || image.version < 3) return 0;
    this.lazyBefore = lazy === 1;
    const old = image.compatible;
    image.compatible = lazy === 1 ? old | LAZY_REFCOUNTS : old & ~LAZY_REFCOUNTS;
    if (image.compatible === old) return 0;
    const r = this.storeHeader();
    if (r < 0) image.compatible = old;
    return r;
  }

  private setSize(): i32 {
    const size = this.wanted.size;
    return size < 0 ? 0 : resize(this.image, size, 0);
  }

  private checkDowngrade(): i32 {
    const image = this.image;
    if (image.refcountOrder !== 4) return fail(Err.ENOTSUP, 'compat=0.10 requires refcount_bits=16');
    if (image.incompatible & EXTERNAL_DATA) {
      return fail(Err.ENOTSUP, 'Cannot downgrade an image with a data file');
    }
    for (let i = 0; i < image.snapshots; i++) {
      const snapshot = snapshotOf(image, i);
      if (!snapshot) return snapshotError;
      if (snapshot.diskSize !== <u64>image.length || snapshot.vmState > u32.MAX_VALUE) {
        return fail(Err.ENOTSUP, 'Internal snapshots prevent downgrade of image');
      }
    }
    const rest = image.incompatible & ~COMPRESSION;
    if (rest)
      return fail(Err.ENOTSUP, `Cannot downgrade an image with incompatible features ${hash(rest)} set`);
    this.expansion = new ZeroExpansion(image, true);
    return 0;
  }

  /** Version 2 knows one compression only. */
  private searchCompressed(): i32 {
    const search = this.expansion!;
    if (this.image.compressionType) {
      const r = search.step();
      if (r) return r;
      if (search.found) {
        return fail(
          Err.ENOTSUP,
          'Cannot downgrade an image with zstd compression type and existing compressed clusters',
        );
      }
    }
    search.release();
    this.expansion = new ZeroExpansion(this.image, false);
    return 0;
  }

  private expand(): i32 {
    const r = this.expansion!.step();
    return r < 0 ? prefixError(r, 'Failed to turn zero into data clusters: ') : r;
  }

  private downgrade(): i32 {
    const r = markClean(this.image);
    return r < 0 ? r : this.setVersion(2, 0, 0, 0);
  }

  private finish(): i32 {
    this.phase = Phase.DONE;
    return markClean(this.image);
  }
}
