/**
 * A bounded LRU cache of metadata tables of one size, written back in an order that survives a crash: an entry reaches
 * the file only after everything that it depends on is on stable storage.
 */
import { BlockNode } from '../block/node';

/** Asked before a range of metadata is written; a negative answer stops the write. */
export abstract class WriteGuard {
  abstract beforeWrite(cache: TableCache, offset: i64, bytes: i32): i32;
}

/** What is kept of a cached table. Links are slot numbers, -1: none. */
@unmanaged
class Slot {
  /** -1: none. */
  offset: i64;
  /** 0: freed by `clean`. */
  data: usize;
  /** Next slot of the same hash bucket. */
  next: i32;
  newer: i32;
  older: i32;
  /** Bytes [dirtyFrom, dirtyTo) are not in the file yet; dirtyTo 0: none. */
  dirtyFrom: i32;
  dirtyTo: i32;
  /** {@link TableCache.age} when it was last asked for after another table. */
  stamp: i32;
}

const SLOT_BYTES: usize = offsetof<Slot>();

export class TableCache {
  /** Why the last `get` answered 0: a negative errno. */
  error: i32 = 0;
  private shift: u32;
  private slots: usize = 0;
  private capacity: i32 = 0;
  private used: i32 = 0;
  /** Of these, slots that have memory for a table. */
  private filled: i32 = 0;
  /** Counts calls of `clean`. */
  private age: i32 = 0;
  /** Bucket heads; as many as `capacity`, a power of two. */
  private heads: usize = 0;
  private newest: i32 = -1;
  private oldest: i32 = -1;
  private dirtySlots: i32 = 0;
  private dependsOn: TableCache | null = null;
  private needsFlush: bool = false;
  /** What is flushed for {@link dependOnFlush}. */
  data: BlockNode;

  constructor(
    public file: BlockNode,
    private guard: WriteGuard,
    /** Bytes of a table, a power of two. */
    readonly entryBytes: i32,
    /** Tables held at most, >= 2. */
    readonly limit: i32,
    /** What a blkdebug node is told before a table is read, and before it is written. */
    private loadEvent: i32,
    private updateEvent: i32,
  ) {
    this.shift = ctz<u32>(<u32>entryBytes);
    this.data = file;
  }

  /** Bytes of linear memory in use. */
  bytes(): i64 {
    return <i64>this.filled * this.entryBytes + <i64>this.capacity * (<i64>SLOT_BYTES + 4);
  }


  @inline
  private slot(index: i32): Slot {
    return changetype<Slot>(this.slots + <usize>index * SLOT_BYTES);
  }


  @inline
  private bucket(offset: i64): usize {
    const key = <u32>(offset >> this.shift) * 0x9e3779b1;
    return this.heads + (((<usize>(key >> 7)) & (<usize>this.capacity - 1)) << 2);
  }

  private lookup(offset: i64): i32 {
    if (!this.capacity) return -1;
    let i = load<i32>(this.bucket(offset));
    while (i >= 0) {
      const slot = this.slot(i);
      if (slot.offset === offset) break;
      i = slot.next;
    }
    return i;
  }

  private unhash(index: i32): void {
    const slot = this.slot(index);
    const bucket = this.bucket(slot.offset);
    let i = load<i32>(bucket);
    if (i === index) {
      store<i32>(bucket, slot.next);
      return;
    }
    while (this.slot(i).next !== index) i = this.slot(i).next;
    this.slot(i).next = slot.next;
  }

  private hash(index: i32): void {
    const slot = this.slot(index);
    const bucket = this.bucket(slot.offset);
    slot.next = load<i32>(bucket);
    store<i32>(bucket, index);
  }

  private unlink(index: i32): void {
    const slot = this.slot(index);
    if (slot.newer >= 0) this.slot(slot.newer).older = slot.older;
    else this.newest = slot.older;
    if (slot.older >= 0) this.slot(slot.older).newer = slot.newer;
    else this.oldest = slot.newer;
  }

  private linkNewest(index: i32): void {
    const slot = this.slot(index);
    slot.stamp = this.age;
    slot.newer = -1;
    slot.older = this.newest;
    if (this.newest >= 0) this.slot(this.newest).newer = index;
    else this.oldest = index;
    this.newest = index;
  }

  private linkOldest(index: i32): void {
    const slot = this.slot(index);
    slot.older = -1;
    slot.newer = this.oldest;
    if (this.oldest >= 0) this.slot(this.oldest).older = index;
    else this.newest = index;
    this.oldest = index;
  }

  /** Room for more slots; all of them are hashed anew. */
  private grow(): void {
    const capacity = this.capacity ? this.capacity << 1 : 16;
    this.slots = this.slots
      ? heap.realloc(this.slots, <usize>capacity * SLOT_BYTES)
      : heap.alloc(<usize>capacity * SLOT_BYTES);
    if (this.heads) heap.free(this.heads);
    this.heads = heap.alloc((<usize>capacity) << 2);
    memory.fill(this.heads, 0xff, (<usize>capacity) << 2);
    this.capacity = capacity;
    for (let i = 0; i < this.used; i++) if (this.slot(i).offset >= 0) this.hash(i);
  }

  /** A slot for a new table; -1 and `error` if an old one could not be written back. */
  private claim(offset: i64): i32 {
    let index: i32;
    if (this.used < this.limit && (this.oldest < 0 || this.slot(this.oldest).offset >= 0)) {
      if (this.used === this.capacity) this.grow();
      index = this.used++;
      this.slot(index).data = 0;
    } else {
      index = this.oldest;
      const r = this.writeSlot(index);
      if (r < 0) {
        this.error = r;
        return -1;
      }
      if (this.slot(index).offset >= 0) this.unhash(index);
      this.unlink(index);
    }
    const slot = this.slot(index);
    if (!slot.data) {
      slot.data = heap.alloc(this.entryBytes);
      this.filled++;
    }
    slot.offset = offset;
    slot.dirtyFrom = 0;
    slot.dirtyTo = 0;
    this.hash(index);
    this.linkNewest(index);
    return index;
  }

  /**
   * Address of the table at `offset`, read if need be; 0: see `error`. It stays valid while fewer than `limit` other
   * tables are asked for.
   */
  get(offset: i64): usize {
    if (this.newest >= 0) {
      const slot = this.slot(this.newest);
      if (slot.offset === offset) return slot.data;
    }
    let index = this.lookup(offset);
    if (index >= 0) {
      this.unlink(index);
      this.linkNewest(index);
      return this.slot(index).data;
    }
    index = this.claim(offset);
    if (index < 0) return 0;
    const data = this.slot(index).data;
    this.file.event(this.loadEvent);
    const r = this.file.pread(offset, this.entryBytes, data);
    if (r < 0) {
      this.forget(index);
      this.error = r;
      return 0;
    }
    return data;
  }

  /** Address of a new, all zero table at `offset`, dirty as a whole; 0: see `error`. */
  create(offset: i64): usize {
    let index = this.lookup(offset);
    if (index < 0) index = this.claim(offset);
    if (index < 0) return 0;
    const slot = this.slot(index);
    memory.fill(slot.data, 0, this.entryBytes);
    this.touch(offset, 0, this.entryBytes);
    return slot.data;
  }

  /** Notes that bytes [from, to) of a cached table were changed. */
  touch(offset: i64, from: i32, to: i32): void {
    const index = this.lookup(offset);
    if (index < 0) return;
    const slot = this.slot(index);
    if (!slot.dirtyTo) {
      this.dirtySlots++;
      slot.dirtyFrom = from;
      slot.dirtyTo = to;
      return;
    }
    slot.dirtyFrom = min(slot.dirtyFrom, from);
    slot.dirtyTo = max(slot.dirtyTo, to);
  }

  private forget(index: i32): void {
    const slot = this.slot(index);
    this.unhash(index);
    this.unlink(index);
    if (slot.dirtyTo) this.dirtySlots--;
    slot.dirtyTo = 0;
    slot.offset = -1;
    this.linkOldest(index);
  }

  /** Drops the tables in a range without writing them. */
  drop(offset: i64, bytes: i64): void {
    for (const end = offset + bytes; offset < end; offset += this.entryBytes) {
      const index = this.lookup(offset);
      if (index >= 0) this.forget(index);
    }
  }

  /** Drops everything without writing it. */
  clear(): void {
    for (let i = 0; i < this.used; i++) if (this.slot(i).offset >= 0) this.forget(i);
    this.dependsOn = null;
    this.needsFlush = false;
  }

  /**
   * Frees the memory of tables that were not asked for since the last call; changed ones stay. The newest table counts as
   * unused when no other one was asked for in between: it costs a read at the most, and `get` need not note each use.
   */
  clean(): void {
    for (let i = 0; i < this.used; i++) {
      const slot = this.slot(i);
      if (!slot.data || slot.dirtyTo || (slot.offset >= 0 && slot.stamp === this.age)) continue;
      if (slot.offset >= 0) this.forget(i);
      heap.free(slot.data);
      slot.data = 0;
      this.filled--;
    }
    this.age++;
    if (this.used && !this.filled) this.release();
  }

  /** From now on nothing of this cache is written before all of `other` is on stable storage. */
  depend(other: TableCache): i32 {
    if (this.dependsOn === other) return 0;
    // A ring of dependencies could never be written: break it first.
    if (other.dependsOn) {
      const r = other.settle();
      if (r < 0) return r;
    }
    if (this.dependsOn) {
      const r = this.settle();
      if (r < 0) return r;
    }
    this.dependsOn = other;
    return 0;
  }

  /** From now on nothing of this cache is written before the file that holds data was flushed. */
  dependOnFlush(): void {
    this.needsFlush = true;
  }

  /** Brings what this cache depends on to stable storage. */
  private settle(): i32 {
    const other = this.dependsOn;
    if (other) {
      const r = other.write();
      if (r < 0) return r;
    }
    if (this.needsFlush) {
      const r = this.data.pflush();
      if (r < 0) return r;
    }
    if (other && !(this.needsFlush && this.data === this.file)) {
      const r = this.file.pflush();
      if (r < 0) return r;
    }
    this.dependsOn = null;
    this.needsFlush = false;
    return 0;
  }

  private writeSlot(index: i32): i32 {
    let slot = this.slot(index);
    if (!slot.dirtyTo) return 0;
    let r = this.settle();
    if (r < 0) return r;
    slot = this.slot(index);
    const at = slot.offset + slot.dirtyFrom;
    const bytes = slot.dirtyTo - slot.dirtyFrom;
    r = this.guard.beforeWrite(this, at, bytes);
    if (r < 0) return r;
    this.file.event(this.updateEvent);
    r = this.file.pwrite(at, bytes, slot.data + slot.dirtyFrom);
    if (r < 0) return r;
    slot.dirtyTo = 0;
    this.dirtySlots--;
    return 0;
  }

  /** Writes all that is dirty (after what it depends on); it is not flushed. */
  write(): i32 {
    for (let i = 0; i < this.used && this.dirtySlots; i++) {
      const r = this.writeSlot(i);
      if (r < 0) return r;
    }
    return 0;
  }

  /** Frees the memory. */
  release(): void {
    for (let i = 0; i < this.used; i++) {
      const data = this.slot(i).data;
      if (data) heap.free(data);
    }
    this.filled = 0;
    if (this.slots) heap.free(this.slots);
    if (this.heads) heap.free(this.heads);
    this.slots = 0;
    this.heads = 0;
    this.used = 0;
    this.capacity = 0;
    this.newest = -1;
    this.oldest = -1;
    this.dirtySlots = 0;
  }
}
