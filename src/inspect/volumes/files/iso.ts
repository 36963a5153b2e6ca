/** Files of ISO 9660 (ECMA-119) with the names of Rock Ridge (SUSP and RRIP), else of Joliet, else its own. */
import type { DiskSource } from '../../contract';
import { VolumeError, type FileNode } from '../contract';
import type { Fields } from '../source';
import { readRecord } from '../source';
import { extentOf, ISO_SECTOR, readIso, type IsoExtent, type IsoVolume } from '../superblocks/iso';
import { kindOf, modeText, rootNode, safeName, type FileSystem, type Item } from './tree';

const DIRECTORY = 2;
/** More of the file follows in the next record. */
const CONTINUED = 0x80;
/** Bytes of a directory that are looked at. */
const MAX_DIRECTORY = 2 ** 26;
/** Continuation areas of an entry that are followed. */
const MAX_CONTINUATIONS = 32;
/** Pieces of a file: 4 GiB each. */
const MAX_PIECES = 1024;

interface IsoItem extends Item {
  extents: IsoExtent[];
}

/** What the system use area of Rock Ridge says. */
interface RockRidge {
  name: string;
  mode: number | null;
  target: string;
  modified: number | null;
  /** The directory was moved to this sector. */
  moved: number | null;
  /** It is where others were moved to. */
  hidden: boolean;
}

export class Iso implements FileSystem<IsoItem> {
  readonly root: IsoItem;
  private readonly joliet: boolean;

  private constructor(
    private readonly source: DiskSource,
    private readonly volume: IsoVolume,
  ) {
    this.joliet = volume.rockRidgeSkip === null && volume.joliet !== null;
    this.root = { node: rootNode(), extents: [this.joliet && volume.joliet ? volume.joliet : volume.root] };
  }

  static async open(source: DiskSource): Promise<Iso> {
    const volume = await readIso(source);
    if (!volume) throw new VolumeError('The volume descriptor is damaged');
    return new Iso(source, volume);
  }

  async *scan({ extents }: IsoItem): AsyncGenerator<IsoItem> {
    const extent = extents[0] ?? { offset: 0, length: 0 };
    let pending: IsoItem | null = null;
    for await (const record of this.records(extent)) {
      const flags = record.u8(25);
      const item = await this.item(record);
      if (!item) continue;
      if (pending) {
        const more: Item['node'] = pending.node;
        pending.extents.push(...item.extents);
        more.size += item.node.size;
      } else pending = item;
      if (flags & CONTINUED && pending.extents.length < MAX_PIECES) continue;
      yield pending;
      pending = null;
    }
    if (pending) yield pending;
  }

  async read({ extents }: IsoItem, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let start = 0;
    for (const extent of extents) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + length, start + extent.length);
      if (from < to) {
        const at = extent.offset + from - start;
        if (at + to - from > this.source.size) throw new VolumeError('It lies outside of the image');
        bytes.set(await this.source.read(at, to - from), from - offset);
      }
      start += extent.length;
    }
    return bytes;
  }

  /** Records do not cross sectors; the rest of a sector is zero. The first two are for the directory and the one above. */
  private async *records({ offset, length }: IsoExtent): AsyncGenerator<Fields> {
    const end = Math.min(length, MAX_DIRECTORY);
    for (let at = 0; at < end; at += ISO_SECTOR) {
      if (offset + at >= this.source.size)
        throw new VolumeError('The directory goes beyond the end of the image');
      const sector = await readRecord(this.source, offset + at, ISO_SECTOR);
      for (let inside = 0; inside + 34 <= ISO_SECTOR;) {
        const bytes = sector.u8(inside);
        if (bytes === 0) break;
        if (bytes < 34 || inside + bytes > ISO_SECTOR || 33 + sector.u8(inside + 32) > bytes)
          throw new VolumeError('The directory is damaged: the rest of it cannot be read');
        const record = sector.part(inside, bytes);
        if (record.u8(32) !== 1 || record.u8(33) > 1) yield record;
        inside += bytes;
      }
    }
  }

  private async item(record: Fields): Promise<IsoItem | null> {
    const length = record.u8(32);
    const directory = (record.u8(25) & DIRECTORY) !== 0;
    const plain = this.joliet ? record.text16be(33, length) : record.text(33, length);
    const node: FileNode = {
      name: plain.replace(/\.?;\d+$/, ''),
      kind: directory ? 'directory' : 'file',
      size: directory ? 0 : record.u32(10),
      modified: recordTime(record, 18),
      mode: '',
    };
    // What comes before the extent is an extended attribute record.
    const extent = extentOf(record);
    extent.offset += record.u8(1) * ISO_SECTOR;
    const { rockRidgeSkip } = this.volume;
    if (rockRidgeSkip !== null) {
      const rock = await this.rockRidge(record, 33 + length + (length % 2 === 0 ? 1 : 0) + rockRidgeSkip);
      if (rock.hidden) return null;
      if (rock.name !== '') node.name = rock.name;
      if (rock.modified !== null) node.modified = rock.modified;
      if (rock.mode !== null) {
        node.mode = modeText(rock.mode);
        node.kind = kindOf(rock.mode);
      }
      if (node.kind === 'symlink') node.target = rock.target;
      if (rock.moved !== null) {
        node.kind = 'directory';
        node.size = 0;
        extent.offset = rock.moved * ISO_SECTOR;
        // Its own first record says how long it is.
        extent.length = (await readRecord(this.source, extent.offset, 34)).u32(10);
      } else if (directory !== (node.kind === 'directory')) node.kind = directory ? 'directory' : 'file';
    }
    node.name = safeName(node.name);
    return { node, extents: [extent] };
  }

  private async rockRidge(record: Fields, from: number): Promise<RockRidge> {
    const rock: RockRidge = { name: '', mode: null, target: '', modified: null, moved: null, hidden: false };
    let area = record.part(from, Math.max(0, record.length - from));
    for (let hops = 0; hops < MAX_CONTINUATIONS; hops++) {
      const next = readArea(area, rock);
      if (!next) break;
      area = await readRecord(this.source, next.offset, Math.min(next.length, ISO_SECTOR));
    }
    return rock;
  }
}

/** Reads the fields of an area; answers where it is continued. */
function readArea(area: Fields, rock: RockRidge): IsoExtent | null {
  let next: IsoExtent | null = null;
  for (let at = 0; at + 4 <= area.length;) {
    const length = area.u8(at + 2);
    if (length < 4 || at + length > area.length) break;
    const field = area.part(at, length);
    at += length;
    if (field.has(0, 'ST')) break;
    else if (field.has(0, 'NM') && length > 5) rock.name += field.u8(4) & 6 ? '' : field.text(5, length - 5);
    else if (field.has(0, 'PX') && length >= 12) rock.mode = field.u32(4);
    else if (field.has(0, 'SL') && length > 5) rock.target = link(field, rock.target);
    else if (field.has(0, 'TF') && length > 5) rock.modified = stampOf(field) ?? rock.modified;
    else if (field.has(0, 'CL') && length >= 12) rock.moved = field.u32(4);
    else if (field.has(0, 'RE')) rock.hidden = true;
    else if (field.has(0, 'CE') && length >= 28)
      next = { offset: field.u32(4) * ISO_SECTOR + field.u32(12), length: field.u32(20) };
  }
  return next;
}

/** A symbolic link is made of components. */
function link(field: Fields, before: string): string {
  let text = before;
  for (let at = 5; at + 2 <= field.length;) {
    const flags = field.u8(at);
    const length = field.u8(at + 1);
    const piece = flags & 2 ? '.' : flags & 4 ? '..' : field.text(at + 2, length);
    if (flags & 8) text = '/';
    else text += text === '' || text.endsWith('/') ? piece : `/${piece}`;
    at += 2 + length;
  }
  return text;
}

/** The time of the last change, of the times that a TF field has. */
function stampOf(field: Fields): number | null {
  const flags = field.u8(4);
  const long = (flags & 0x80) !== 0;
  if (!(flags & 2) || long) return null;
  const at = 5 + (flags & 1 ? 7 : 0);
  return at + 7 <= field.length ? recordTime(field, at) : null;
}

/** Seven bytes: year since 1900, month, day, hour, minute, second, zone in quarters of an hour. */
function recordTime(record: Fields, at: number): number | null {
  if (record.isZero(at, 6)) return null;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = record.bytes.subarray(at, at + 6);
  const zone = (record.u8(at + 6) << 24) >> 24;
  return Date.UTC(1900 + year, month - 1, day, hour, minute, second) - zone * 15 * 60_000;
}
