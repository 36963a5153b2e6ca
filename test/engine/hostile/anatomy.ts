/**
 * Where the fields of a qcow2 image are, found by a reader that shares nothing with the data plane: what a mutator
 * changes to reach every rule and not only the first check of the header. The image must be valid.
 */

/** A number that is stored in an image, big endian. */
export interface Field {
  /** The structure that it belongs to. */
  region: Region;
  /** Byte offset in the image. */
  at: number;
  bytes: 1 | 2 | 4 | 8;
}

export type Region =
  | 'header'
  | 'extension'
  | 'L1'
  | 'L2'
  | 'refcount table'
  | 'refcount block'
  | 'snapshot table'
  | 'snapshot L1'
  | 'bitmap directory'
  | 'bitmap table'
  | 'compressed data';

const OFFSET = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 1n << 62n;
/** Of a long table the entries around those in use, and so many empty ones, are fields. */
const EMPTY_ENTRIES = 3;

/** All fields of an image. */
export function anatomy(image: Buffer): Field[] {
  return new Reader(image).all();
}

class Reader {
  private readonly fields: Field[] = [];
  private readonly clusterBits: number;
  private readonly version: number;
  private readonly entryBytes: number;

  constructor(private readonly image: Buffer) {
    this.version = image.readUInt32BE(4);
    this.clusterBits = image.readUInt32BE(20);
    const extended = this.version > 2 && (image.readBigUInt64BE(72) & 16n) !== 0n;
    this.entryBytes = extended ? 16 : 8;
  }

  all(): Field[] {
    this.header();
    this.extensions();
    this.activeTables();
    this.refcounts();
    this.snapshots();
    return this.fields;
  }

  private add(region: Region, at: number, bytes: Field['bytes']): void {
    if (at >= 0 && at + bytes <= this.image.length) this.fields.push({ region, at, bytes });
  }

  /** Several fields in a row. */
  private row(region: Region, at: number, widths: readonly Field['bytes'][]): number {
    for (const bytes of widths) {
      this.add(region, at, bytes);
      at += bytes;
    }
    return at;
  }

  private header(): void {
    const at = this.row('header', 0, [4, 4, 8, 4, 4, 8, 4, 4, 8, 8, 4, 4, 8]);
    if (this.version > 2) this.row('header', at, [8, 8, 8, 4, 4, 1]);
  }

  private extensions(): void {
    let at = this.version > 2 ? this.image.readUInt32BE(100) : 72;
    for (;;) {
      const type = this.image.readUInt32BE(at);
      const length = this.image.readUInt32BE(at + 4);
      this.row('extension', at, [4, 4]);
      if (type === 0) return;
      if (type === 0x23852875) {
        this.row('extension', at + 8, [4, 4, 8, 8]);
        this.bitmaps(at + 8);
      } else for (let i = 0; i < length; i++) this.add('extension', at + 8 + i, 1);
      at += 8 + Math.ceil(length / 8) * 8;
    }
  }

  private u64(at: number): bigint {
    return at + 8 <= this.image.length ? this.image.readBigUInt64BE(at) : 0n;
  }

  /** Calls `used` for the entries of a table that are not zero; they and a few others become fields. */
  private table(
    region: Region,
    at: number,
    entries: number,
    step: number,
    used: (value: bigint) => void,
  ): void {
    let empty = EMPTY_ENTRIES;
    for (let i = 0; i < entries; i++) {
      const value = this.u64(at + i * step);
      if (value === 0n && empty-- <= 0) continue;
      for (let part = 0; part < step; part += 8) this.add(region, at + i * step + part, 8);
      if (value !== 0n) used(value);
    }
  }

  private l1(region: Region, at: number, entries: number): void {
    const tableEntries = (1 << this.clusterBits) / this.entryBytes;
    this.table(region, at, entries, 8, (l1) =>
      this.table('L2', Number(l1 & OFFSET), tableEntries, this.entryBytes, (l2) => this.compressed(l2)),
    );
  }

  private compressed(entry: bigint): void {
    if (!(entry & COMPRESSED)) return;
    const bits = BigInt(62 - (this.clusterBits - 8));
    const at = Number(entry & ((1n << bits) - 1n));
    for (let i = 0; i < 24; i++) this.add('compressed data', at + i, 1);
  }

  private activeTables(): void {
    this.l1('L1', Number(this.u64(40)), this.image.readUInt32BE(36));
  }

  private refcounts(): void {
    const entries = (this.image.readUInt32BE(56) << this.clusterBits) / 8;
    this.table('refcount table', Number(this.u64(48)), entries, 8, (entry) => {
      const block = Number(entry & ~511n);
      for (let i = 0; i < 64; i++) this.add('refcount block', block + i, 1);
    });
  }

  private snapshots(): void {
    let at = Number(this.u64(64));
    for (let left = this.image.readUInt32BE(60); left > 0; left--) {
      const [id, name, extra] = [at + 12, at + 14, at + 36].map((where, i) =>
        i < 2 ? this.image.readUInt16BE(where) : this.image.readUInt32BE(where),
      ) as [number, number, number];
      this.l1('snapshot L1', Number(this.u64(at)), this.image.readUInt32BE(at + 8));
      this.row('snapshot table', at, [8, 4, 2, 2, 4, 4, 8, 4, 4]);
      for (let i = 0; i + 8 <= extra; i += 8) this.add('snapshot table', at + 40 + i, 8);
      const texts = at + 40 + extra;
      for (let i = 0; i < id + name; i++) this.add('snapshot table', texts + i, 1);
      at = Math.ceil((texts + id + name) / 8) * 8;
    }
  }

  private bitmaps(extension: number): void {
    let at = Number(this.u64(extension + 16));
    for (let left = this.image.readUInt32BE(extension); left > 0; left--) {
      const name = this.image.readUInt16BE(at + 18);
      this.table('bitmap table', Number(this.u64(at)), this.image.readUInt32BE(at + 8), 8, () => undefined);
      this.row('bitmap directory', at, [8, 4, 4, 1, 1, 2, 4]);
      for (let i = 0; i < name; i++) this.add('bitmap directory', at + 24 + i, 1);
      at += Math.ceil((24 + name) / 8) * 8;
    }
  }
}
