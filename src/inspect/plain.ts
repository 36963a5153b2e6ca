/** Images without tables: raw, LUKS containers, and formats that are only recognised. */
import { hex, overlapping, sizeText, type ByteSource } from './bytes';
import {
  CellFlag,
  Use,
  type Field,
  type FileRange,
  type ImageView,
  type KeySlot,
  type Place,
  type Remark,
  type Section,
} from './contract';
import { luksSections } from './luks/luks1';
import { readLuks2 } from './luks/luks2';
import type { Cells, FormatOverview, Structure } from './structure';
import { useTitle } from './uses';

/** What a cell of the map stands for at least, bytes. */
const CELL = 65536;
/** Extents of the file that are asked for until the time is looked at. */
const PACE = 64;

/** What is where, beside the disk itself. */
interface Layout {
  overview: FormatOverview;
  /** Where the disk begins in the file; null: it is not in the file as it is. */
  payload: number | null;
  marks: readonly (FileRange & { use: Use })[];
}

export class PlainStructure implements Structure {
  readonly overview: FormatOverview;

  constructor(
    private readonly source: ByteSource,
    private readonly layout: Layout,
  ) {
    this.overview = layout.overview;
  }

  fill(cells: Cells, until: number): number {
    const shift = cells.view === 'guest' ? (this.layout.payload ?? 0) : 0;
    const end = cells.view === 'guest' ? (this.overview.diskSize ?? 0) + shift : this.source.size();
    let extent = { from: -1, to: -1, data: true };
    let steps = 0;
    for (; cells.next < cells.uses.length; cells.next++) {
      const start = cells.offset + cells.next * cells.cellBytes + shift;
      const stop = Math.min(start + cells.cellBytes, end);
      if (start >= end) break;
      let used = 0;
      let at = start;
      while (at < stop) {
        if (at < extent.from || at >= extent.to) {
          if (++steps % PACE === 0 && performance.now() >= until) return cells.next / cells.uses.length;
          extent = this.extentAt(at);
        }
        const next = Math.min(extent.to, stop);
        if (extent.data) used += next - at;
        at = next;
      }
      const mark = cells.view === 'file' ? this.markIn(start, stop) : null;
      cells.uses[cells.next] = mark ?? (used > 0 ? Use.DATA : Use.FREE);
      cells.fill[cells.next] = used === 0 ? 0 : Math.max(1, Math.round((used * 255) / (stop - start)));
      cells.flags[cells.next] = used > 0 && used < stop - start ? CellFlag.MIXED : 0;
    }
    cells.next = cells.uses.length;
    return 1;
  }

  private extentAt(at: number): { from: number; to: number; data: boolean } {
    const extent = at < this.source.size() ? this.source.extent?.(at) : undefined;
    if (!extent || extent.bytes <= 0)
      return { from: at, to: Math.max(at + 1, this.source.size()), data: true };
    return { from: at, to: at + extent.bytes, data: extent.data };
  }

  private markIn(start: number, stop: number): Use | null {
    return (
      this.layout.marks.find(({ offset, length }) => offset < stop && start < offset + length)?.use ?? null
    );
  }

  describe(view: ImageView, offset: number): Place {
    const start = Math.floor(offset / 4096) * 4096;
    const inFile = start + (view === 'guest' ? (this.layout.payload ?? 0) : 0);
    const use = this.markIn(inFile, inFile + 4096) ?? (this.extentAt(inFile).data ? Use.DATA : Use.FREE);
    const facts: [string, string][] = [];
    if (use === Use.FREE) facts.push(['Reads', 'as zeros: a hole in the file takes no space']);
    const links: Place['links'][number][] = [];
    const { payload } = this.layout;
    if (view === 'guest' && payload !== null) {
      facts.push(['In the file', hex(inFile)]);
      links.push({ label: 'Its bytes in the file', view: 'file', offset: inFile, length: 4096 });
    } else if (view === 'file' && payload !== null && offset >= payload) {
      facts.push(['Of the disk', hex(start - payload)]);
      links.push({ label: 'Its place on the disk', view: 'guest', offset: start - payload, length: 4096 });
    }
    return { use, offset: start, length: 4096, title: useTitle(use, view), facts, links };
  }

  fields(offset: number, length: number): Field[] {
    const fields = this.overview.sections.flatMap((section) => section.fields);
    return overlapping(fields, offset, length).sort((a, b) => a.offset - b.offset || b.length - a.length);
  }
}

function overviewOf(
  format: string,
  diskSize: number | null,
  parts: { facts: [string, string][]; sections?: Section[]; slots?: KeySlot[]; remarks?: Remark[] },
): FormatOverview {
  const { facts, sections = [], slots = [], remarks = [] } = parts;
  return { format, diskSize, clusterSize: CELL, remarks, facts, sections, snapshots: [], bitmaps: [], slots };
}

/** A raw image: all of the file is the disk. */
export function rawStructure(source: ByteSource): PlainStructure {
  const size = source.size();
  const facts: [string, string][] = [
    ['Disk', `${sizeText(size)} (${size} bytes)`],
    ['Structure', 'none: the bytes of the file are the bytes of the disk'],
  ];
  return new PlainStructure(source, { overview: overviewOf('raw', size, { facts }), payload: 0, marks: [] });
}

/** A format whose inside cannot be told. */
export function unknownStructure(source: ByteSource, format: string): PlainStructure {
  return new PlainStructure(source, {
    overview: overviewOf(format, null, {
      facts: [['Structure', `recognised as ${format}; only its bytes can be shown`]],
      remarks: [{ kind: 'info', text: `The inside of ${format} images is not known to this program.` }],
    }),
    payload: null,
    marks: [],
  });
}

/** A LUKS container of either version; null: it is none. */
export function luksStructure(source: ByteSource): PlainStructure | null {
  const one = luksSections(source, 0);
  if (one) {
    const size = one.payload === 0 ? null : Math.max(0, source.size() - one.payload);
    const facts: [string, string][] = [
      ['Disk', size === null ? 'in another file (detached header)' : `${sizeText(size)} (${size} bytes)`],
      ['Version', '1'],
      ['Cipher', `${one.cipher}, ${one.keyBytes * 8} bits of key`],
      ['Hash', one.hash],
      ['Key slots', `${one.slots.filter(({ active }) => active).length} of 8 in use`],
      ['UUID', one.uuid],
    ];
    const end = one.payload || source.size();
    return new PlainStructure(source, {
      overview: overviewOf('luks', size, { facts, sections: one.sections, slots: one.slots }),
      payload: one.payload === 0 ? null : one.payload,
      marks: [{ offset: 0, length: end, use: Use.KEYS }],
    });
  }
  const two = readLuks2(source);
  if (!two) return null;
  const size = two.payload === null ? null : Math.max(0, source.size() - two.payload);
  const facts: [string, string][] = [
    ['Disk', size === null ? 'unknown' : `${sizeText(size)} (${size} bytes)`],
    ['Version', '2'],
    ...two.facts,
    ['Key slots', `${two.slots.length} in use`],
  ];
  return new PlainStructure(source, {
    overview: overviewOf('luks2', size, {
      facts,
      sections: two.sections,
      slots: two.slots,
      remarks: two.remarks,
    }),
    payload: two.payload,
    marks: [{ offset: 0, length: Math.min(two.end, two.payload ?? two.end), use: Use.KEYS }],
  });
}
