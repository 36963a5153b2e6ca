/**
 * Sets of bits for disks of any size: a directory of pages of 4 KiB, where a page that is all zeros or all ones takes no
 * memory and is passed in one step. So the memory is bounded by what was set, and searches by what is mixed.
 */
import { Err } from '../abi';

/** log2 of the bits of a page. */
const PAGE_SHIFT: i32 = 15;
const PAGE_BITS: i64 = 1 << 15;
const PAGE_BYTES: i32 = 4096;
/** In front of the bits: how many are set (i32). */
const HEADER: usize = 16;
/** Stand in the directory for pages that are the same all over. */
const EMPTY: usize = 0;
const FULL: usize = 1;
/** Pages of the largest set: as many as 2^53 bytes have at 64 KiB a bit; their directory takes 16 MiB. */
const MAX_PAGES: i64 = 1 << 22;

/** Bits are numbered from 0; in memory as in files the lowest of a byte comes first. */
export class BitSet {
  /** How many bits there are. */
  length: i64 = 0;
  /** How many are set. */
  count: i64 = 0;
  private directory: usize = 0;
  private pages: i32 = 0;

  /** Whether a set of so many bits can be made. */
  static fits(length: i64): bool {
    return (length + PAGE_BITS - 1) >> PAGE_SHIFT <= MAX_PAGES;
  }

  release(): void {
    for (let i = 0; i < this.pages; i++) this.replace(i, EMPTY);
    if (this.directory) heap.free(this.directory);
    this.directory = 0;
    this.pages = 0;
    this.length = 0;
    this.count = 0;
  }


  @inline
  private slot(page: i32): usize {
    return load<usize>(this.directory + <usize>page * sizeof<usize>());
  }

  /** Puts a page, or what stands for one, in the place of another, which is freed. */
  private replace(page: i32, by: usize): void {
    const at = this.directory + <usize>page * sizeof<usize>();
    const old = load<usize>(at);
    if (old > FULL) heap.free(old);
    store<usize>(at, by);
  }

  /** Bits that a page has. */

  @inline
  private bitsOf(page: i32): i32 {
    return <i32>min(PAGE_BITS, this.length - ((<i64>page) << PAGE_SHIFT));
  }

  /** The page as memory that can be changed. */
  private own(page: i32): usize {
    const slot = this.slot(page);
    if (slot > FULL) return slot;
    const at = heap.alloc(HEADER + <usize>PAGE_BYTES);
    memory.fill(at + HEADER, 0, PAGE_BYTES);
    store<i32>(at, 0);
    if (slot === FULL) {
      const bits = this.bitsOf(page);
      changeWords(at + HEADER, 0, bits, true);
      store<i32>(at, bits);
    }
    store<usize>(this.directory + <usize>page * sizeof<usize>(), at);
    return at;
  }

  /** Gives the memory of a page back that is the same all over. */
  private settle(page: i32): void {
    const slot = this.slot(page);
    if (slot <= FULL) return;
    const n = load<i32>(slot);
    if (n === 0) this.replace(page, EMPTY);
    else if (n === this.bitsOf(page)) this.replace(page, FULL);
  }

  /** Bits set in a page. */
  private countOf(page: i32): i32 {
    const slot = this.slot(page);
    return slot > FULL ? load<i32>(slot) : slot === FULL ? this.bitsOf(page) : 0;
  }

  /** Changes the number of bits; new ones are 0. ENOMEM: too many. */
  resize(length: i64): i32 {
    if (length === this.length) return 0;
    if (!BitSet.fits(length)) return -Err.ENOMEM;
    if (length < this.length) this.change(length, this.length, false);
    // The last page of before has other bits from now on, so nothing may stand for it.
    if (this.pages && this.slot(this.pages - 1) === FULL) this.own(this.pages - 1);
    const pages = <i32>((length + PAGE_BITS - 1) >> PAGE_SHIFT);
    const kept = min(pages, this.pages);
    if (pages !== this.pages) {
      const directory = heap.alloc(max<usize>(<usize>pages * sizeof<usize>(), 16));
      memory.fill(directory, 0, <usize>pages * sizeof<usize>());
      if (kept) memory.copy(directory, this.directory, <usize>kept * sizeof<usize>());
      for (let i = kept; i < this.pages; i++) this.replace(i, EMPTY);
      if (this.directory) heap.free(this.directory);
      this.directory = directory;
      this.pages = pages;
    }
    if (kept && kept < pages && this.slot(kept - 1) === FULL) this.own(kept - 1);
    this.length = length;
    if (kept) this.settle(kept - 1);
    return 0;
  }

  /** Sets or clears the bits [first, end). */
  change(first: i64, end: i64, on: bool): void {
    end = min(end, this.length);
    while (first < end) {
      const page = <i32>(first >> PAGE_SHIFT);
      const low = <i32>(first & (PAGE_BITS - 1));
      const bits = this.bitsOf(page);
      const high = <i32>min<i64>(bits, end - ((<i64>page) << PAGE_SHIFT));
      const slot = this.slot(page);
      if (slot !== (on ? FULL : EMPTY)) {
        if (high - low === bits) {
          const before = this.countOf(page);
          this.replace(page, on ? FULL : EMPTY);
          this.count += (on ? bits : 0) - before;
        } else {
          const at = this.own(page);
          const n = changeWords(at + HEADER, low, high, on);
          if (n) {
            store<i32>(at, load<i32>(at) + (on ? n : -n));
            this.count += on ? n : -n;
          }
          this.settle(page);
        }
      }
      first += high - low;
    }
  }

  /** Whether a bit is set; behind the end none is. */
  has(bit: i64): bool {
    return bit >= 0 && bit < this.length && this.find(bit, bit + 1, true) === bit;
  }

  /** The first bit of [from, end) that is set (or that is not); -1: there is none. */
  find(from: i64, end: i64, on: bool): i64 {
    end = min(end, this.length);
    while (from < end) {
      const page = <i32>(from >> PAGE_SHIFT);
      const start = (<i64>page) << PAGE_SHIFT;
      const slot = this.slot(page);
      if (slot === (on ? FULL : EMPTY)) return from;
      if (slot > FULL) {
        const high = <i32>min<i64>(PAGE_BITS, end - start);
        const found = findInPage(slot + HEADER, <i32>(from - start), high, on);
        if (found >= 0) return start + found;
      }
      from = start + PAGE_BITS;
    }
    return -1;
  }

  /** Sets all bits that are set in a set of the same length. */
  add(other: BitSet): void {
    for (let page = 0; page < this.pages; page++) {
      const from = other.slot(page);
      const start = (<i64>page) << PAGE_SHIFT;
      if (from === EMPTY || this.slot(page) === FULL) continue;
      if (from === FULL || this.slot(page) === EMPTY) {
        if (from === FULL) {
          this.change(start, start + PAGE_BITS, true);
          continue;
        }
        const at = heap.alloc(HEADER + <usize>PAGE_BYTES);
        memory.copy(at, from, HEADER + <usize>PAGE_BYTES);
        this.replace(page, at);
        this.count += load<i32>(at);
        continue;
      }
      const at = this.slot(page);
      let n = 0;
      for (let i: usize = 0; i < <usize>PAGE_BYTES; i += 8) {
        const old = load<u64>(at + HEADER + i);
        const word = old | load<u64>(from + HEADER + i);
        store<u64>(at + HEADER + i, word);
        n += <i32>(popcnt(word) - popcnt(old));
      }
      store<i32>(at, load<i32>(at) + n);
      this.count += n;
      this.settle(page);
    }
  }

  /** Writes `bytes` bytes of the set, from the byte `first` on, to memory; behind the end are zeros. */
  store(first: i64, bytes: i64, to: usize): void {
    while (bytes > 0) {
      const page = first >> (PAGE_SHIFT - 3);
      const inside = <i32>(first & (PAGE_BYTES - 1));
      const n = <i32>min<i64>(bytes, PAGE_BYTES - inside);
      const slot = page < this.pages ? this.slot(<i32>page) : EMPTY;
      if (slot > FULL) {
        memory.copy(to, slot + HEADER + inside, n);
      } else {
        memory.fill(to, 0, n);
        if (slot === FULL) {
          const high = min(this.bitsOf(<i32>page) - (inside << 3), n << 3);
          for (let i = 0; i < high >> 3; i++) store<u8>(to + i, 0xff);
          if (high > 0 && high & 7) {
            const rest = (1 << (high & 7)) - 1;
            store<u8>(to + (high >> 3), <u8>rest);
          }
        }
      }
      first += n;
      bytes -= n;
      to += n;
    }
  }

  /** Takes `bytes` bytes, from the byte `first` of the set on, from memory. EINVAL: bits behind the end are set. */
  load(first: i64, bytes: i64, from: usize): i32 {
    while (bytes > 0) {
      const page = first >> (PAGE_SHIFT - 3);
      const inside = <i32>(first & (PAGE_BYTES - 1));
      const n = <i32>min<i64>(bytes, PAGE_BYTES - inside);
      const bits = page < this.pages ? max(this.bitsOf(<i32>page) - (inside << 3), 0) : 0;
      if (!clearFrom(from, bits, n << 3)) return -Err.EINVAL;
      const used = min((bits + 7) >> 3, n);
      if (used) {
        const at = this.own(<i32>page);
        let change = 0;
        for (let i = 0; i < used; i++) {
          const old = load<u8>(at + HEADER + inside + i);
          const byte = load<u8>(from + i);
          store<u8>(at + HEADER + inside + i, byte);
          change += <i32>popcnt<u32>(byte) - <i32>popcnt<u32>(old);
        }
        store<i32>(at, load<i32>(at) + change);
        this.count += change;
        this.settle(<i32>page);
      }
      first += n;
      bytes -= n;
      from += n;
    }
    return 0;
  }

  /** Changes places with another set. */
  exchange(other: BitSet): void {
    const length = this.length;
    const count = this.count;
    const directory = this.directory;
    const pages = this.pages;
    this.length = other.length;
    this.count = other.count;
    this.directory = other.directory;
    this.pages = other.pages;
    other.length = length;
    other.count = count;
    other.directory = directory;
    other.pages = pages;
  }
}

/** Sets or clears bits [low, high) of words; answers how many changed. */
function changeWords(at: usize, low: i32, high: i32, on: bool): i32 {
  let changed = 0;
  while (low < high) {
    const bit = low & 63;
    const n = min(64 - bit, high - low);
    const mask = (n === 64 ? u64.MAX_VALUE : ((<u64>1) << n) - 1) << bit;
    const word = at + ((low >> 6) << 3);
    const old = load<u64>(word);
    const now = on ? old | mask : old & ~mask;
    store<u64>(word, now);
    changed += <i32>popcnt(old ^ now);
    low += n;
  }
  return changed;
}

/** The first bit of [low, high) of words that is set (or not); -1: none. */
function findInPage(at: usize, low: i32, high: i32, on: bool): i32 {
  const flip: u64 = on ? 0 : u64.MAX_VALUE;
  let i = low & ~63;
  let word = (load<u64>(at + (i >> 3)) ^ flip) & (u64.MAX_VALUE << (low & 63));
  while (true) {
    if (word) {
      const found = i + <i32>ctz(word);
      return found < high ? found : -1;
    }
    i += 64;
    if (i >= high) return -1;
    word = load<u64>(at + (i >> 3)) ^ flip;
  }
}

/** Whether the bits [low, high) in memory are all 0. */
function clearFrom(at: usize, low: i32, high: i32): bool {
  while (low < high) {
    if (low & 7 || high - low < 8) {
      if ((load<u8>(at + (low >> 3)) >> (<u8>(low & 7))) & 1) return false;
      low++;
    } else {
      if (load<u8>(at + (low >> 3))) return false;
      low += 8;
    }
  }
  return true;
}
