/** A qcow2 image as the inspector tells it. */
import { hex, readBytes, readView, sizeText, u64, type ByteSource } from '../bytes';
import {
  CellFlag,
  Use,
  type Field,
  type FileRange,
  type ImageView,
  type InspectedBitmap,
  type Place,
  type Section,
} from '../contract';
import { luksSections } from '../luks/luks1';
import { DIRTY_IN, type Cells, type FormatOverview, type Structure } from '../structure';
import { useTitle } from '../uses';
import { DiskTables } from './disk';
import { l1Field, l2Field, refcountOf } from './entries';
import { sectionFields, type Qcow2Header } from './header';
import { readBitmaps, readSnapshots, StoredBits } from './lists';
import { FileUsage } from './usage';

/** Time for the walk when only some fields are wanted, milliseconds. */
const LITTLE = 8;

export class Qcow2Structure implements Structure {
  readonly overview: FormatOverview;
  private readonly usage: FileUsage;
  private readonly disk: DiskTables;
  private readonly bits: StoredBits[];
  private readonly sections: readonly Section[];

  constructor(
    private readonly source: ByteSource,
    private readonly header: Qcow2Header,
  ) {
    this.usage = new FileUsage(source, header);
    this.disk = new DiskTables(source, header);
    const bitmaps = readBitmaps(source, header);
    this.bits = bitmaps
      .filter(({ inUse }) => !inUse)
      .map((one) => new StoredBits(source, header.clusterSize, one));
    this.overview = this.tell(bitmaps);
    this.sections = this.overview.sections;
  }

  private tell(bitmaps: InspectedBitmap[]): FormatOverview {
    const { header, source } = this;
    const luks = header.luks && header.cryptMethod === 2 ? luksSections(source, header.luks.offset) : null;
    const snapshots = readSnapshots(source, header);
    const remarks = [...header.remarks];
    if (snapshots.list.length < header.snapshots.count)
      remarks.push({
        kind: 'warning',
        text: `Only ${snapshots.list.length} of ${header.snapshots.count} snapshots could be read or are shown.`,
      });
    for (const { name, inUse } of bitmaps)
      if (inUse)
        remarks.push({
          kind: 'info',
          text: `Bitmap '${name}' is in use, or was not saved when the image was last closed: what the file has of it is not up to date.`,
        });
    const encryption = ['none', 'AES (old, weak)', 'LUKS'][header.cryptMethod] ?? 'unknown';
    const facts: [string, string][] = [
      ['Disk', `${sizeText(header.diskSize)} (${header.diskSize} bytes)`],
      ['Version', header.version === 3 ? '3 (compat 1.1)' : '2 (compat 0.10)'],
      ['Cluster size', sizeText(header.clusterSize)],
      ['Reference counts', `${2 ** header.refcountOrder} bits${header.lazyRefcounts ? ', lazy' : ''}`],
      ['Compression', header.compression],
      ['Encryption', encryption],
    ];
    if (header.extendedL2)
      facts.push(['Subclusters', `32 of ${sizeText(header.clusterSize / 32)} in a cluster`]);
    if (header.backingFile !== '')
      facts.push([
        'Backing file',
        `${header.backingFile}${header.backingFormat === '' ? '' : ` (${header.backingFormat})`}`,
      ]);
    if (header.externalData)
      facts.push(['Data file', header.dataFile === '' ? 'not named' : header.dataFile]);
    facts.push([
      'L1 table',
      `${header.l1.length / 8} entries, each for ${sizeText(header.clusterSize * header.l2Entries)} of the disk`,
    ]);
    return {
      format: 'qcow2',
      diskSize: header.diskSize,
      clusterSize: header.clusterSize,
      remarks,
      facts,
      sections: [...header.sections, ...(luks?.sections ?? [])],
      snapshots: snapshots.list,
      bitmaps,
      slots: luks?.slots ?? [],
    };
  }

  fill(cells: Cells, until: number): number {
    if (cells.view === 'file') {
      this.usage.run(until);
      const { unitBytes } = this.usage;
      this.usage.cells(
        Math.floor(cells.offset / unitBytes),
        Math.max(1, Math.round(cells.cellBytes / unitBytes)),
        cells.uses,
        cells.fill,
        cells.flags,
      );
      return this.usage.known;
    }
    const from = cells.next;
    cells.next = this.disk.cells({ ...cells, from }, cells, until);
    for (let cell = from; cell < cells.next; cell++) {
      const start = cells.offset + cell * cells.cellBytes;
      const length = Math.min(cells.cellBytes, this.header.diskSize - start);
      if (length > 0 && this.bits.some((bits) => bits.any(start, length)))
        cells.flags[cell] = (cells.flags[cell] ?? 0) | CellFlag.DIRTY;
    }
    return cells.next / cells.uses.length;
  }

  describe(view: ImageView, offset: number): Place {
    return view === 'file' ? this.describeFile(offset) : this.describeDisk(offset);
  }

  private describeDisk(offset: number): Place {
    const { clusterSize, externalData, backingFile } = this.header;
    const start = Math.floor(offset / clusterSize) * clusterSize;
    const { l1Index, l2, l2Index, entry, problem } = this.disk.lookup(offset);
    const use = problem !== '' ? Use.BROKEN : (entry?.use ?? Use.FREE);
    const facts: [string, string][] = [
      ['L1 entry', l2 === 0 ? `${l1Index}: none` : `${l1Index}: L2 table at ${hex(l2)}`],
    ];
    const links: Place['links'][number][] = [
      { label: `L1 entry ${l1Index}`, view: 'file', offset: this.header.l1.offset + l1Index * 8, length: 8 },
    ];
    if (entry) {
      facts.push(['L2 entry', `${l2Index}`]);
      links.push({
        label: `L2 entry ${l2Index}`,
        view: 'file',
        offset: l2 + l2Index * this.header.l2EntryBytes,
        length: this.header.l2EntryBytes,
      });
      if (entry.host > 0) {
        facts.push([
          externalData ? 'In the data file' : 'In the file',
          `${hex(entry.host)}${entry.use === Use.COMPRESSED ? `, at most ${entry.length} bytes` : ''}`,
        ]);
        if (!externalData)
          links.push({
            label: 'Its bytes in the file',
            view: 'file',
            offset: entry.host,
            length: entry.length,
          });
        if (entry.use === Use.DATA && !entry.copied)
          facts.push(['Shared', 'with a snapshot: it is copied when it is written']);
      }
      if (entry.problem !== '') facts.push(['Problem', entry.problem]);
    }
    if (problem !== '') facts.push(['Problem', problem]);
    if (use === Use.FREE)
      facts.push(['Reads', backingFile === '' ? 'as zeros' : `from the backing file ${backingFile}`]);
    const dirty = this.overview.bitmaps
      .filter(({ inUse }) => !inUse)
      .filter((_, index) => this.bits[index]?.any(start, clusterSize));
    if (dirty.length > 0) facts.push([DIRTY_IN, dirty.map(({ name }) => name).join(', ')]);
    return { use, offset: start, length: clusterSize, title: useTitle(use, 'guest'), facts, links };
  }

  private describeFile(offset: number): Place {
    const unit = this.usage.at(offset);
    const facts: [string, string][] = [];
    if (this.usage.known === 1) {
      facts.push(['Reference count', `${unit.count}${unit.count === 255 ? ' or more' : ''}`]);
      facts.push(['Found used', unit.references === 1 ? 'once' : `${unit.references} times`]);
    } else
      facts.push(['Known', `${Math.floor(this.usage.known * 100)} % of the tables were looked at so far`]);
    const links: Place['links'][number][] = [];
    if (unit.owner !== null && (unit.use === Use.DATA || unit.use === Use.COMPRESSED)) {
      facts.push(['Of the disk', `${hex(unit.owner)} (${sizeText(unit.owner)})`]);
      links.push({
        label: 'Its place on the disk',
        view: 'guest',
        offset: unit.owner,
        length: this.header.clusterSize,
      });
    } else if (unit.owner !== null && unit.use === Use.L2) {
      facts.push(['For the disk from', sizeText(unit.owner * this.disk.reach)]);
      links.push({
        label: `L1 entry ${unit.owner}`,
        view: 'file',
        offset: this.header.l1.offset + unit.owner * 8,
        length: 8,
      });
    }
    if (unit.shared) facts.push(['Shared', 'by several tables (snapshots)']);
    if (this.usage.unitBytes > this.header.clusterSize)
      facts.push([
        'Together with',
        `${this.usage.unitBytes / this.header.clusterSize - 1} clusters beside it`,
      ]);
    return {
      use: unit.use,
      offset: unit.offset,
      length: unit.length,
      title: useTitle(unit.use, 'file'),
      facts,
      links,
    };
  }

  fields(offset: number, length: number): Field[] {
    const fields = sectionFields(this.sections, offset, length);
    this.usage.run(performance.now() + LITTLE);
    fields.push(
      ...this.l1Fields(this.header.l1, offset, length),
      ...this.refcountTableFields(offset, length),
      ...this.listFields(offset, length),
    );
    const { clusterSize } = this.header;
    for (let at = Math.floor(offset / clusterSize) * clusterSize; at < offset + length; at += clusterSize) {
      const from = Math.max(at, offset);
      const to = Math.min(at + clusterSize, offset + length);
      const unit = this.usage.at(at);
      if (unit.use === Use.L2 || unit.use === Use.SNAPSHOT_L2)
        fields.push(...this.l2Fields(at, unit.owner, from, to));
      else if (unit.use === Use.REFCOUNT_BLOCK && unit.owner !== null)
        fields.push(...this.refcountFields(at, unit.owner / clusterSize, from, to));
    }
    return fields.sort((a, b) => a.offset - b.offset || b.length - a.length);
  }

  private l1Fields(l1: FileRange, offset: number, length: number): Field[] {
    const from = Math.max(l1.offset, Math.floor(offset / 8) * 8);
    const to = Math.min(l1.offset + l1.length, offset + length);
    if (to <= from) return [];
    const view = readView(this.source, from, Math.ceil((to - from) / 8) * 8);
    return Array.from({ length: view.byteLength / 8 }, (_, index) =>
      l1Field(this.header, view, index * 8, from + index * 8, (from - l1.offset) / 8 + index),
    );
  }

  private refcountTableFields(offset: number, length: number): Field[] {
    const { refcountTable: table, clusterSize, refcountOrder } = this.header;
    const from = Math.max(table.offset, Math.floor(offset / 8) * 8);
    const to = Math.min(table.offset + table.length, offset + length);
    if (to <= from) return [];
    const view = readView(this.source, from, Math.ceil((to - from) / 8) * 8);
    const reach = ((clusterSize * 8) / 2 ** refcountOrder) * clusterSize;
    return Array.from({ length: view.byteLength / 8 }, (_, at) => {
      const index = (from - table.offset) / 8 + at;
      const block = u64(view, at * 8);
      return {
        offset: from + at * 8,
        length: 8,
        name: `refcount table[${index}]`,
        value: block === 0 ? 'none' : `block at ${hex(block)}`,
        meaning: `The counts of the clusters of the file from ${hex(index * reach)} on.`,
        ...(block > 0 && block % clusterSize === 0 && { target: { offset: block, length: clusterSize } }),
        ...(block % clusterSize !== 0 && { problem: 'the block is not cluster aligned' }),
      };
    });
  }

  private l2Fields(table: number, l1Index: number | null, from: number, to: number): Field[] {
    const { l2EntryBytes } = this.header;
    const first = Math.floor((from - table) / l2EntryBytes);
    const count = Math.ceil((to - table) / l2EntryBytes) - first;
    const start = table + first * l2EntryBytes;
    const view = readView(this.source, start, count * l2EntryBytes);
    return Array.from({ length: count }, (_, index) =>
      l2Field(this.header, view, index * l2EntryBytes, start + index * l2EntryBytes, {
        index: first + index,
        l1Index,
      }),
    );
  }

  private refcountFields(block: number, index: number, from: number, to: number): Field[] {
    const { refcountOrder, clusterSize } = this.header;
    const bytes = readBytes(this.source, block, clusterSize);
    const width = 2 ** refcountOrder;
    const per = Math.max(1, 8 / width);
    const entryBytes = Math.max(1, width / 8);
    const perBlock = (clusterSize * 8) / width;
    const fields: Field[] = [];
    for (let at = Math.floor((from - block) / entryBytes) * entryBytes; at < to - block; at += entryBytes) {
      const first = (at / entryBytes) * per;
      const counts = Array.from({ length: per }, (_, entry) =>
        refcountOf(bytes, refcountOrder, first + entry),
      );
      const cluster = index * perBlock + first;
      fields.push({
        offset: block + at,
        length: entryBytes,
        name: per === 1 ? `refcount[${cluster}]` : `refcounts[${cluster}..${cluster + per - 1}]`,
        value: counts.join(' '),
        meaning: `How often the cluster of the file at ${hex(cluster * clusterSize)} is used.`,
        ...(cluster * clusterSize < this.source.size() && {
          target: { offset: cluster * clusterSize, length: clusterSize },
        }),
      });
    }
    return fields;
  }

  /** Entries of the lists of snapshots and bitmaps. */
  private listFields(offset: number, length: number): Field[] {
    const all: Field[] = [
      ...this.overview.snapshots.map(({ offset: at, length: bytes, id, name, l1 }) => ({
        offset: at,
        length: bytes,
        name: `snapshot ${id}`,
        value: name,
        meaning: `An internal snapshot; its own L1 table is at ${hex(l1.offset)}.`,
        target: l1,
      })),
      ...this.overview.bitmaps.map(({ offset: at, length: bytes, name, granularity, table }) => ({
        offset: at,
        length: bytes,
        name: 'bitmap',
        value: name,
        meaning: `A dirty bitmap, a bit for ${sizeText(granularity)}; its table is at ${hex(table.offset)}.`,
        target: table,
      })),
    ];
    return all.filter((field) => field.offset < offset + length && offset < field.offset + field.length);
  }
}
