/** The references that a check counts: one number for each host cluster, in pages that exist where something was counted. */
import { Err } from '../../../abi';

/** log2 of the counts of a page. */
const PAGE_BITS: i64 = 12;
const PAGE_COUNTS: usize = 1 << 12;
/** Memory for pages at most, bytes: 128 million clusters that are all in use. */
const MAX_BYTES: usize = 256 << 20;

/** Host clusters of a file that can be checked, as in QEMU. */
export const MAX_CLUSTERS: i64 = i32.MAX_VALUE;

export class CountTable {
  /** Clusters that there are counts for. */
  clusters: i64 = 0;
  private pages: usize = 0;
  private pageCount: i32 = 0;
  private pageBytes: usize = 0;
  private used: usize = 0;
  private limit: u32;
  private wide: bool;

  /** @param limit the largest count that the image can store */
  constructor(limit: u64) {
    this.limit = <u32>min<u64>(limit, u32.MAX_VALUE);
    this.wide = limit > 0xffff;
    this.pageBytes = this.wide ? PAGE_COUNTS << 2 : PAGE_COUNTS << 1;
  }

  /** Makes room for so many clusters; ENOMEM if they are too many. */
  grow(clusters: i64): i32 {
    if (clusters <= this.clusters) return 0;
    if (clusters > MAX_CLUSTERS) return -Err.EFBIG;
    const count = <i32>((clusters + (1 << PAGE_BITS) - 1) >> PAGE_BITS);
    if (count > this.pageCount) {
      // A growth cluster by cluster must not copy the directory each time.
      const room = max(count, this.pageCount + (this.pageCount >> 1));
      const bytes = (<usize>room) << 2;
      const old = (<usize>this.pageCount) << 2;
      this.pages = this.pages ? heap.realloc(this.pages, bytes) : heap.alloc(bytes);
      memory.fill(this.pages + old, 0, bytes - old);
      this.pageCount = room;
    }
    this.clusters = clusters;
    return 0;
  }


  @inline
  private page(cluster: i64): usize {
    return load<usize>(this.pages + ((<usize>(cluster >> PAGE_BITS)) << 2));
  }

  /** Whether nothing was counted among the clusters of the page of `cluster`; see {@link pageEnd}. */
  emptyPage(cluster: i64): bool {
    return !this.page(cluster);
  }

  /** The first cluster behind the page of `cluster`. */
  pageEnd(cluster: i64): i64 {
    return min(this.clusters, ((cluster >> PAGE_BITS) + 1) << PAGE_BITS);
  }

  /** The count of a cluster; 0 behind the end. */
  get(cluster: i64): u32 {
    if (cluster >= this.clusters) return 0;
    const page = this.page(cluster);
    if (!page) return 0;
    const index = <usize>(cluster & ((1 << PAGE_BITS) - 1));
    return this.wide ? load<u32>(page + (index << 2)) : load<u16>(page + (index << 1));
  }

  /** Adds 1. Answers 0; ERANGE: the count is at its limit already; ENOMEM: there is no memory for it. */
  add(cluster: i64): i32 {
    if (cluster >= this.clusters) {
      const r = this.grow(cluster + 1);
      if (r < 0) return r;
    }
    let page = this.page(cluster);
    if (!page) {
      if (this.used + this.pageBytes > MAX_BYTES) return -Err.ENOMEM;
      page = heap.alloc(this.pageBytes);
      memory.fill(page, 0, this.pageBytes);
      store<usize>(this.pages + ((<usize>(cluster >> PAGE_BITS)) << 2), page);
      this.used += this.pageBytes;
    }
    const index = <usize>(cluster & ((1 << PAGE_BITS) - 1));
    if (this.wide) {
      const at = page + (index << 2);
      const count = load<u32>(at);
      if (count >= this.limit) return -Err.ERANGE;
      store<u32>(at, count + 1);
    } else {
      const at = page + (index << 1);
      const count: u32 = load<u16>(at);
      if (count >= this.limit) return -Err.ERANGE;
      store<u16>(at, <u16>(count + 1));
    }
    return 0;
  }

  /** Forgets all counts. */
  clear(): void {
    for (let i = 0; i < this.pageCount; i++) {
      const at = this.pages + ((<usize>i) << 2);
      const page = load<usize>(at);
      if (page) heap.free(page);
      store<usize>(at, 0);
    }
    this.used = 0;
  }

  /** Frees the memory. */
  release(): void {
    this.clear();
    if (this.pages) heap.free(this.pages);
    this.pages = 0;
    this.pageCount = 0;
    this.clusters = 0;
  }
}
