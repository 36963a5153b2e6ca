/** The lists of an image that have entries of different lengths: snapshots and bitmaps (qcow2.md sections 6 and 7). */
import { readView, u64, type ByteSource } from '../bytes';
import type { InspectedBitmap, InspectedSnapshot } from '../contract';
import type { Qcow2Header } from './header';

/** Entries that are told; more are only counted. */
const MOST = 1000;
/** Bytes of a list that are read. */
const MOST_BYTES = 4 << 20;

/** The first snapshots, and where their table ends as far as it was read. */
export function readSnapshots(
  source: ByteSource,
  header: Qcow2Header,
): { list: InspectedSnapshot[]; end: number } {
  const list: InspectedSnapshot[] = [];
  const { offset, count } = header.snapshots;
  let at = offset;
  while (list.length < Math.min(count, MOST) && at - offset < MOST_BYTES && at + 40 <= source.size()) {
    const fixed = readView(source, at, 64);
    const extra = fixed.getUint32(36);
    const idLength = fixed.getUint16(12);
    const nameLength = fixed.getUint16(14);
    if (extra > 1024) break;
    const names = readView(source, at + 40 + extra, idLength + nameLength);
    const text = (from: number, length: number): string =>
      new TextDecoder().decode(new Uint8Array(names.buffer, from, length));
    const length = Math.ceil((40 + extra + idLength + nameLength) / 8) * 8;
    list.push({
      offset: at,
      length,
      id: text(0, idLength),
      name: text(idLength, nameLength),
      date: fixed.getUint32(16) * 1000 + Math.floor(fixed.getUint32(20) / 1e6),
      vmStateSize: extra >= 8 ? u64(fixed, 40) : fixed.getUint32(32),
      diskSize: extra >= 16 ? u64(fixed, 48) : header.diskSize,
      l1: { offset: u64(fixed, 0), length: Math.min(fixed.getUint32(8) * 8, 32 << 20) },
    });
    at += length;
  }
  return { list, end: at };
}

export function readBitmaps(source: ByteSource, header: Qcow2Header): InspectedBitmap[] {
  const list: InspectedBitmap[] = [];
  const directory = header.bitmaps;
  if (!directory) return list;
  const end = Math.min(directory.offset + directory.length, source.size());
  let at = directory.offset;
  while (list.length < Math.min(directory.count, MOST) && at + 24 <= end) {
    const entry = readView(source, at, 24);
    const bits = entry.getUint8(17);
    const nameLength = entry.getUint16(18);
    const extra = entry.getUint32(20);
    const length = Math.ceil((24 + extra + nameLength) / 8) * 8;
    if (bits < 9 || bits > 31 || nameLength === 0 || nameLength > 1023 || at + length > end + 8) break;
    const flags = entry.getUint32(12);
    list.push({
      offset: at,
      length,
      name: new TextDecoder().decode(readView(source, at + 24 + extra, nameLength)),
      granularity: 2 ** bits,
      inUse: (flags & 1) !== 0,
      auto: (flags & 2) !== 0,
      table: { offset: u64(entry, 0), length: Math.min(entry.getUint32(8), 1 << 22) * 8 },
    });
    at += length;
  }
  return list;
}

/** The bits of a bitmap in the file; `any` tells whether one is set in a range of the disk. Reads a cluster at a time. */
export class StoredBits {
  private at = -1;
  private bytes = new Uint8Array(0);
  private kind: 'zeros' | 'ones' | 'data' = 'zeros';

  constructor(
    private readonly source: ByteSource,
    private readonly clusterSize: number,
    private readonly bitmap: InspectedBitmap,
  ) {}

  any(offset: number, length: number): boolean {
    const { granularity, table } = this.bitmap;
    const last = Math.floor((offset + length - 1) / granularity);
    const perCluster = this.clusterSize * 8;
    for (let bit = Math.floor(offset / granularity); bit <= last;) {
      const index = Math.floor(bit / perCluster);
      if (index * 8 >= table.length) return false;
      this.load(index);
      const end = Math.min(last + 1, (index + 1) * perCluster);
      if (this.kind === 'ones') return true;
      if (this.kind === 'data' && this.inCluster(bit - index * perCluster, end - index * perCluster))
        return true;
      bit = end;
    }
    return false;
  }

  private inCluster(from: number, to: number): boolean {
    for (let bit = from; bit < to;) {
      const byte = this.bytes[bit >> 3] ?? 0;
      if ((bit & 7) === 0 && to - bit >= 8) {
        if (byte !== 0) return true;
        bit += 8;
      } else {
        if (byte & (1 << (bit & 7))) return true;
        bit++;
      }
    }
    return false;
  }

  private load(index: number): void {
    if (index === this.at) return;
    this.at = index;
    const entry = readView(this.source, this.bitmap.table.offset + index * 8, 8);
    const offset = u64(entry, 0) % 2 ** 56;
    const cluster = Math.floor(offset / 512) * 512;
    this.kind = cluster > 0 ? 'data' : (entry.getUint8(7) & 1) === 1 ? 'ones' : 'zeros';
    this.bytes =
      this.kind === 'data'
        ? new Uint8Array(readView(this.source, cluster, this.clusterSize).buffer)
        : new Uint8Array(0);
  }
}
