/** Amending an image: version, width of counts, lazy refcounts, size; in QEMU's order, in steps, safe at every write. */
import { Err } from '../../../abi';
import { fail, hash, prefixError } from '../../../util/errors';
import { EXTERNAL_DATA, COMPRESSION, LAZY_REFCOUNTS } from '../layout';
import { ZeroExpansion } from './expand';
import { updateHeader } from '../header';
import { Qcow2Node } from '../image';
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
}

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

  /** How far it is, 0 to 1. */
  progress(): f64 {
    const width = this.width;
    const expansion = this.expansion;
    const both: f64 = this.wanted.refcountBits >= 0 && this.wanted.version === 2 ? 0.5 : 1;
    if (this.phase === Phase.DONE) return 1;
    if (this.phase === Phase.WIDTH && width) return width.progress() * both;
    if (this.phase === Phase.EXPAND && expansion) return 1 - both + expansion.progress() * both;
    return this.phase > Phase.WIDTH ? 1 - both : 0;
  }

  /** Ends it, complete or not: what was done up to now stays, and the image is sound. */
  release(): void {
    const width = this.width;
    if (width) width.release();
    const expansion = this.expansion;
    if (expansion) expansion.release();
    this.width = null;
    this.expansion = null;
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
        return this.then(width ? width.step() : 0, Phase.FLAGS);
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
      case Phase.EXPAND:
        return this.then(this.expand(), Phase.VERSION);
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
    if (target > image.version) {
      r = this.setVersion(3, 0, 0, 0);
      if (r < 0) return r;
    }
    if (refcountBits >= 0 && refcountBits !== bits) {
      this.width = new WidthChange(image, <i32>ctz<u32>(<u32>refcountBits));
    }
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
    const r = updateHeader(image);
    if (r < 0) {
      image.version = old;
      image.incompatible = oldIncompatible;
      image.compatible = oldCompatible;
      image.autoclear = oldAutoclear;
      image.compressionType = oldType;
    }
    return r;
  }

  private setFlags(): i32 {
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
    const r = updateHeader(image);
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
