/** Ways to read a disk: a part of it, with a cache, as records. */
import type { DiskSource } from '../contract';
import { MAX_READ } from './contract';

/** A range of a disk as a disk of its own. What lies behind the end of the whole disk cannot be read. */
export function slice(source: DiskSource, offset: number, length: number): DiskSource {
  const size = Math.max(0, Math.min(length, source.size - offset));
  return {
    size,
    read: (at, bytes) => source.read(offset + at, Math.max(0, Math.min(bytes, size - at))),
  };
}

/** Bytes that the cache reads at once. */
const BLOCK = 65536;
/** Blocks that it keeps: 4 MiB. */
const BLOCKS = 64;

/** Reads in blocks and keeps those used last. Requests of any length up to {@link MAX_READ} are answered. */
export function cached(source: DiskSource): DiskSource {
  const blocks = new Map<number, Promise<Uint8Array>>();
  const block = (index: number): Promise<Uint8Array> => {
    const known = blocks.get(index);
    if (known) {
      blocks.delete(index);
      blocks.set(index, known);
      return known;
    }
    const made = source.read(index * BLOCK, Math.min(BLOCK, source.size - index * BLOCK));
    blocks.set(index, made);
    // A failure may pass, e.g. of a node that is being changed.
    made.catch(() => blocks.delete(index));
    for (const oldest of blocks.keys()) {
      if (blocks.size <= BLOCKS) break;
      blocks.delete(oldest);
    }
    return made;
  };
  return {
    size: source.size,
    async read(offset, length) {
      const end = Math.min(source.size, offset + Math.min(length, MAX_READ));
      if (offset < 0 || end <= offset) return new Uint8Array(0);
      const bytes = new Uint8Array(end - offset);
      for (let at = offset; at < end;) {
        const index = Math.floor(at / BLOCK);
        const from = at - index * BLOCK;
        const piece = (await block(index)).subarray(from, from + end - at);
        if (piece.length === 0) return bytes.slice(0, at - offset);
        bytes.set(piece, at - offset);
        at += piece.length;
      }
      return bytes;
    },
  };
}

/** Bytes of a range as a record; what is behind the end of the disk is zero. */
export async function readRecord(source: DiskSource, offset: number, length: number): Promise<Fields> {
  const bytes = new Uint8Array(length);
  if (offset >= 0 && offset < source.size) bytes.set((await source.read(offset, length)).subarray(0, length));
  return new Fields(bytes);
}

/** Fields of an on-disk record. Numbers are little-endian unless the name says `be`; offsets must lie in the record. */
export class Fields {
  private readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    return this.view.getUint8(at);
  }

  u16(at: number): number {
    return this.view.getUint16(at, true);
  }

  u32(at: number): number {
    return this.view.getUint32(at, true);
  }

  /** What is larger than 2^53 loses digits: compare it with a bound before use. */
  u64(at: number): number {
    return this.u32(at + 4) * 2 ** 32 + this.u32(at);
  }

  u16be(at: number): number {
    return this.view.getUint16(at);
  }

  u32be(at: number): number {
    return this.view.getUint32(at);
  }

  u64be(at: number): number {
    return this.u32be(at) * 2 ** 32 + this.u32be(at + 4);
  }

  /** A piece of the record; short at its end. */
  part(at: number, length: number): Fields {
    return new Fields(this.bytes.subarray(at, at + length));
  }

  /** Whether ASCII text is there. */
  has(at: number, text: string): boolean {
    if (at + text.length > this.length) return false;
    for (let i = 0; i < text.length; i++) if (this.bytes[at + i] !== text.charCodeAt(i)) return false;
    return true;
  }

  /** Text in UTF-8 up to a zero byte, without padding. */
  text(at: number, length: number): string {
    return decode('utf-8', this.bytes.subarray(at, at + length));
  }

  /** Text in UTF-16, little-endian. */
  text16(at: number, length: number): string {
    return decode('utf-16le', this.bytes.subarray(at, at + length));
  }

  /** Text in UTF-16, big-endian. */
  text16be(at: number, length: number): string {
    const bytes = this.bytes.slice(at, at + (length & ~1));
    for (let i = 0; i + 1 < bytes.length; i += 2) bytes.set([bytes[i + 1] ?? 0, bytes[i] ?? 0], i);
    return decode('utf-16le', bytes);
  }

  /** A UUID whose bytes are in the order of its text. */
  uuid(at: number): string {
    return dashed(hexOf(this.bytes.subarray(at, at + 16)));
  }

  /** A GUID, whose first three groups are little-endian. */
  guid(at: number): string {
    const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    return dashed(hexOf(order.map((i) => this.bytes[at + i] ?? 0))).toUpperCase();
  }

  /** Whether all bytes of a range are zero. */
  isZero(at: number, length: number): boolean {
    return this.bytes.subarray(at, at + length).every((byte) => byte === 0);
  }
}

function decode(encoding: 'utf-8' | 'utf-16le', bytes: Uint8Array): string {
  const text = new TextDecoder(encoding).decode(bytes);
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)).trimEnd();
}

function hexOf(bytes: Iterable<number>): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function dashed(hex: string): string {
  return hex === '0'.repeat(32) ? '' : hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
