/**
 * What each cluster of the file is used for: a walk over all tables that is cut into small steps. Seven bytes are kept for a
 * cluster; in files of more than {@link MOST_UNITS} clusters several share one unit.
 */
import { Absent, readBytes, readView, u64, type ByteSource } from '../bytes';
import { CellFlag, Use, type FileRange } from '../contract';
import { decodeL1, decodeL2, refcountOf } from './entries';
import type { Qcow2Header } from './header';
import { readBitmaps, readSnapshots } from './lists';

/** 28 MiB at the most. */
const MOST_UNITS = 1 << 22;
/** L2 tables that are looked at. */
const MOST_L2 = 1 << 20;
/** Bytes of a table that are read between two moments to stop. */
const PIECE = 65536;

/** One kind of data may take the place of another in a unit of several clusters: the later one of these. */
const WEIGHT: readonly Use[] = [
  Use.UNKNOWN,
  Use.FREE,
  Use.SNAPSHOT_DATA,
  Use.DATA,
  Use.COMPRESSED,
  Use.BITMAP,
  Use.KEYS,
  Use.SNAPSHOT_L2,
  Use.SNAPSHOT_L1,
  Use.SNAPSHOT_TABLE,
  Use.L2,
  Use.L1,
  Use.REFCOUNT_BLOCK,
  Use.REFCOUNT_TABLE,
  Use.HEADER,
  Use.LEAKED,
  Use.BROKEN,
];
const rank = new Uint8Array(32);
WEIGHT.forEach((use, index) => (rank[use] = index));

/** The heavier of two uses: what a cell of several shows. */
export function heavier(a: Use, b: Use): Use {
  return (rank[a] ?? 0) >= (rank[b] ?? 0) ? a : b;
}

/** What is known of a unit. */
export interface Unit extends FileRange {
  use: Use;
  /** How often it is used, and what the image counts; 255: so often or more. Of a unit of several clusters the most. */
  references: number;
  count: number;
  shared: boolean;
  /** Data: the offset of the disk. L2 table: its place in the L1 table. Null: unknown. */
  owner: number | null;
}

export class FileUsage {
  readonly unitBytes: number;
  readonly units: number;
  private readonly clustersPerUnit: number;
  private readonly uses: Uint8Array;
  private readonly references: Uint8Array;
  private readonly counts: Uint8Array;
  private readonly owners: Uint32Array;
  /** Of L2 tables: bit 0: the active L1 table has it; the rest: how many have it. */
  private readonly l2 = new Map<number, { active: boolean; users: number; l1Index: number }>();
  private readonly walking: Generator<void, void>;
  private done = 0;
  private work = 1;
  private finished = false;
  /** The walk waits for bytes that are elsewhere. */
  private absent: Absent | null = null;
  /** Not all tables were followed, so what seems leaked may be in use. */
  partial = false;

  constructor(
    private readonly source: ByteSource,
    private readonly header: Qcow2Header,
  ) {
    const clusters = Math.max(1, Math.ceil(source.size() / header.clusterSize));
    let each = 1;
    while (clusters / each > MOST_UNITS) each *= 2;
    this.clustersPerUnit = each;
    this.unitBytes = each * header.clusterSize;
    this.units = Math.ceil(clusters / each);
    this.uses = new Uint8Array(this.units);
    this.references = new Uint8Array(this.units);
    this.counts = new Uint8Array(this.units);
    this.owners = new Uint32Array(this.units);
    this.walking = this.walk();
  }

  /** 0..1 */
  get known(): number {
    return this.finished ? 1 : Math.min(0.99, this.done / this.work);
  }

  /** Goes on until a moment of `performance.now()`. */
  run(until: number): void {
    while (!this.finished && performance.now() < until) {
      if (this.walking.next().done) this.finished = true;
      const { absent } = this;
      this.absent = null;
      if (absent) throw absent;
    }
  }

  /** What a read of the file answers; the walk rests while the bytes are elsewhere. */
  private *present<T>(read: () => T): Generator<void, T> {
    for (;;) {
      try {
        return read();
      } catch (error) {
        if (!(error instanceof Absent)) throw error;
        this.absent = error;
      }
      yield;
    }
  }

  /** The unit that has a byte of the file. */
  at(offset: number): Unit {
    const index = Math.min(this.units - 1, Math.floor(offset / this.unitBytes));
    const references = this.references[index] ?? 0;
    const owner = this.owners[index] ?? 0;
    const use = this.useOf(index);
    return {
      offset: index * this.unitBytes,
      length: Math.min(this.unitBytes, Math.max(0, this.source.size() - index * this.unitBytes)),
      use,
      references,
      count: this.counts[index] ?? 0,
      shared: this.isShared(index),
      owner: owner === 0 ? null : use === Use.L2 ? owner - 1 : (owner - 1) * this.header.clusterSize,
    };
  }

  /** The cells of a map; each is `cellUnits` units. */
  cells(first: number, cellUnits: number, uses: Uint8Array, fill: Uint8Array, flags: Uint8Array): void {
    for (let cell = 0; cell < uses.length; cell++) {
      const from = first + cell * cellUnits;
      const to = Math.min(from + cellUnits, this.units);
      let best = Use.UNKNOWN;
      let used = 0;
      let flag = 0;
      for (let unit = from; unit < to; unit++) {
        const use = this.useOf(unit);
        if (use !== Use.FREE && use !== Use.UNKNOWN) used++;
        if (unit > from && use !== best) flag |= CellFlag.MIXED;
        best = heavier(use, best);
        if (this.isShared(unit)) flag |= CellFlag.SHARED;
      }
      uses[cell] = best;
      fill[cell] = used === 0 ? 0 : Math.max(1, Math.round((used * 255) / (to - from)));
      flags[cell] = flag;
    }
  }

  private isShared(unit: number): boolean {
    const use = this.uses[unit];
    return (this.references[unit] ?? 0) > 1 && (use === Use.DATA || use === Use.L2);
  }

  private useOf(unit: number): Use {
    const use = (this.uses[unit] ?? 0) as Use;
    if (!this.finished || use === Use.BROKEN) return use;
    const references = this.references[unit] ?? 0;
    const count = this.counts[unit] ?? 0;
    if (references === 0) {
      if (count === 0) return Use.FREE;
      return this.partial ? Use.SNAPSHOT_DATA : Use.LEAKED;
    }
    // A count that is too small is corruption; in a unit of several clusters only that nothing is counted can be told.
    if (count === 0 || (this.clustersPerUnit === 1 && references < 255 && count < references))
      return Use.BROKEN;
    return use;
  }

  /** Marks a range of the file; `alone`: nothing else may be there. */
  private mark(offset: number, length: number, use: Use, { owner = 0, times = 1, alone = false } = {}): void {
    if (length <= 0 || offset >= this.source.size()) return;
    const first = Math.floor(offset / this.unitBytes);
    const last = Math.min(this.units - 1, Math.floor((offset + length - 1) / this.unitBytes));
    for (let unit = first; unit <= last; unit++) {
      const before = (this.uses[unit] ?? 0) as Use;
      const clash =
        before !== Use.UNKNOWN && this.clustersPerUnit === 1 && (alone || isTable(before) || before !== use);
      this.uses[unit] =
        clash && before !== Use.SNAPSHOT_DATA && use !== Use.SNAPSHOT_DATA && !sameKind(before, use)
          ? Use.BROKEN
          : heavier(before, use);
      this.references[unit] = Math.min(255, (this.references[unit] ?? 0) + times);
      if (owner > 0 && owner < 2 ** 32) this.owners[unit] = owner;
    }
  }

  private *walk(): Generator<void, void> {
    const { header, source } = this;
    const { clusterSize } = header;
    const snapshots = yield* this.present(() => readSnapshots(source, header));
    this.partial = snapshots.list.length < header.snapshots.count;
    this.work = 2 + header.l1.length / PIECE + snapshots.list.length + this.units / 4096;
    this.mark(0, clusterSize, Use.HEADER, { alone: true });
    yield* this.markTable(header.refcountTable, Use.REFCOUNT_TABLE);
    yield* this.markTable(header.l1, Use.L1);
    if (header.luks) yield* this.markTable(header.luks, Use.KEYS);
    yield* this.markTable(
      { offset: header.snapshots.offset, length: snapshots.end - header.snapshots.offset },
      Use.SNAPSHOT_TABLE,
    );
    yield* this.bitmaps();
    yield* this.l1Table(header.l1, true);
    for (const { l1 } of snapshots.list) {
      yield* this.markTable(l1, Use.SNAPSHOT_L1);
      yield* this.l1Table(l1, false);
      this.done++;
    }
    this.work += this.l2.size;
    for (const [offset, table] of this.l2) {
      yield* this.l2Table(offset, table);
      this.done++;
    }
    yield* this.refcounts();
  }

  private bytes(offset: number, length: number): Generator<void, Uint8Array<ArrayBuffer>> {
    return this.present(() => readBytes(this.source, offset, length));
  }

  private *markTable({ offset, length }: FileRange, use: Use): Generator<void, void> {
    const end = Math.min(offset + length, this.source.size());
    for (let at = offset; at < end; at += 4096 * this.unitBytes) {
      this.mark(at, Math.min(4096 * this.unitBytes, end - at), use, { alone: true });
      yield;
    }
  }

  private *bitmaps(): Generator<void, void> {
    const { header, source } = this;
    if (!header.bitmaps) return;
    yield* this.markTable(header.bitmaps, Use.BITMAP);
    for (const { table } of yield* this.present(() => readBitmaps(source, header))) {
      yield* this.markTable(table, Use.BITMAP);
      for (let at = 0; at < table.length; at += PIECE) {
        const piece = yield* this.bytes(table.offset + at, Math.min(PIECE, table.length - at));
        const view = new DataView(piece.buffer);
        for (let entry = 0; entry + 8 <= piece.length; entry += 8) {
          const data = Math.floor((u64(view, entry) % 2 ** 56) / 512) * 512;
          if (data > 0) this.mark(data, header.clusterSize, Use.BITMAP, { alone: true });
        }
        yield;
      }
    }
  }

  /** Notes the L2 tables of an L1 table. */
  private *l1Table(l1: FileRange, active: boolean): Generator<void, void> {
    const { header, source } = this;
    for (let at = 0; at < l1.length; at += PIECE) {
      const piece = yield* this.bytes(l1.offset + at, Math.min(PIECE, l1.length - at));
      const view = new DataView(piece.buffer);
      for (let entry = 0; entry + 8 <= piece.length; entry += 8) {
        const { l2, problem } = decodeL1(header, view, entry);
        if (l2 === 0 || problem !== '' || l2 >= source.size()) continue;
        const l1Index = (at + entry) / 8;
        const known = this.l2.get(l2);
        if (known) {
          known.users++;
          known.active ||= active;
          this.mark(l2, header.clusterSize, known.active ? Use.L2 : Use.SNAPSHOT_L2);
        } else if (this.l2.size < MOST_L2) {
          this.l2.set(l2, { active, users: 1, l1Index });
          this.mark(l2, header.clusterSize, active ? Use.L2 : Use.SNAPSHOT_L2, {
            owner: active ? l1Index + 1 : 0,
          });
        } else this.partial = true;
      }
      if (active) this.done++;
      yield;
    }
  }

  private *l2Table(
    offset: number,
    { active, users, l1Index }: { active: boolean; users: number; l1Index: number },
  ): Generator<void, void> {
    const { header } = this;
    const { clusterSize, l2EntryBytes, l2Entries } = header;
    for (let at = 0; at < clusterSize; at += PIECE / 4) {
      const piece = yield* this.bytes(offset + at, Math.min(PIECE / 4, clusterSize - at));
      const view = new DataView(piece.buffer);
      for (let entry = 0; entry + l2EntryBytes <= piece.length; entry += l2EntryBytes) {
        if (view.getUint32(entry) === 0 && view.getUint32(entry + 4) === 0) continue;
        const { use, host, length } = decodeL2(header, view, entry);
        if (host === 0 || header.externalData || use === Use.BROKEN) continue;
        const index = l1Index * l2Entries + (at + entry) / l2EntryBytes;
        // A cluster that reads as zeros may keep its place: its content is nothing, and its place is taken.
        const kind = use === Use.COMPRESSED ? Use.COMPRESSED : active ? Use.DATA : Use.SNAPSHOT_DATA;
        this.mark(host, length, kind, { owner: active ? index + 1 : 0, times: users });
      }
      yield;
    }
  }

  private *refcounts(): Generator<void, void> {
    const { header, source } = this;
    const { clusterSize, refcountTable, refcountOrder } = header;
    const perBlock = (clusterSize * 8) / 2 ** refcountOrder;
    const clusters = Math.ceil(source.size() / clusterSize);
    const blocks = Math.min(refcountTable.length / 8, Math.ceil(clusters / perBlock));
    this.work += blocks;
    for (let block = 0; block < blocks; block++) {
      const entry = yield* this.present(() => readView(source, refcountTable.offset + block * 8, 8));
      const offset = Math.floor((u64(entry, 0) % 2 ** 53) / 512) * 512;
      this.done++;
      if (offset === 0 || offset % clusterSize !== 0) continue;
      this.mark(offset, clusterSize, Use.REFCOUNT_BLOCK, { alone: true, owner: block + 1 });
      const bytes = yield* this.bytes(offset, clusterSize);
      const entries = Math.min(perBlock, clusters - block * perBlock);
      for (let index = 0; index < entries; index++) {
        const count = refcountOf(bytes, refcountOrder, index);
        if (count > 0) {
          const unit = Math.floor((block * perBlock + index) / this.clustersPerUnit);
          this.counts[unit] = Math.max(this.counts[unit] ?? 0, Math.min(255, count));
        }
        if (index % 8192 === 8191) yield;
      }
      yield;
    }
  }
}

function isTable(use: Use): boolean {
  return use >= Use.HEADER && use !== Use.SNAPSHOT_DATA;
}

/** Uses that may share a cluster: data of the disk and of snapshots, their tables, pieces of compressed clusters. */
function sameKind(a: Use, b: Use): boolean {
  const group = (use: Use): number =>
    use === Use.DATA || use === Use.SNAPSHOT_DATA
      ? 1
      : use === Use.COMPRESSED
        ? 2
        : use === Use.L2 || use === Use.SNAPSHOT_L2
          ? 3
          : 0;
  return group(a) !== 0 && group(a) === group(b);
}
