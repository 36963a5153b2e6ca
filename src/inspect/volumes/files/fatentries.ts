/** Directories of FAT: entries of 32 bytes with short names, and before them pieces of long ones. */
import type { FileNode } from '../contract';
import { Fields } from '../source';
import { safeName, type Item } from './tree';

/** Where a file or directory of FAT or exFAT lies. */
export interface FatEntry extends Item {
  /** The first one; 0: it has none. */
  cluster: number;
  /** Its clusters are in line, and the table does not have them. */
  contiguous: boolean;
  /** Bytes that were written; those behind them are zeros. */
  valid: number;
}

const ENTRY = 32;
const enum Attribute {
  READ_ONLY = 1,
  HIDDEN = 2,
  SYSTEM = 4,
  LABEL = 8,
  DIRECTORY = 16,
}
const LONG = 0x0f;
const DELETED = 0xe5;
/** Flags of Windows NT: letters of the short name are small. */
const SMALL_BASE = 8;
const SMALL_EXTENSION = 16;
const MAX_PIECES = 20;

/** Entries of a directory, whose bytes come in pieces of whole entries. */
export async function* fatEntries(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<FatEntry> {
  let long: string[] = [];
  let checksum = -1;
  for await (const piece of pieces) {
    for (let at = 0; at + ENTRY <= piece.length; at += ENTRY) {
      const entry = new Fields(piece.subarray(at, at + ENTRY));
      const first = entry.u8(0);
      if (first === 0) return;
      const attributes = entry.u8(11);
      if (first === DELETED) long = [];
      else if ((attributes & 0x3f) === LONG) {
        // The last piece of the name comes first.
        if (first & 0x40) {
          long = [];
          checksum = entry.u8(13);
        }
        if (entry.u8(13) === checksum && long.length < MAX_PIECES) long.unshift(pieceOf(entry));
        else long = [];
      } else {
        const name =
          long.length > 0 && shortChecksum(entry) === checksum ? cutName(long.join('')) : shortName(entry);
        long = [];
        if (attributes & Attribute.LABEL || name === '.' || name === '..') continue;
        const directory = (attributes & Attribute.DIRECTORY) !== 0;
        const size = directory ? 0 : entry.u32(28);
        const node: FileNode = {
          name: safeName(name),
          kind: directory ? 'directory' : 'file',
          size,
          modified: dosTime(entry.u16(24), entry.u16(22)),
          mode: attributesText(attributes),
        };
        yield {
          node,
          cluster: entry.u16(26) + (entry.u16(20) & 0x0fff) * 65536,
          contiguous: false,
          valid: size,
        };
      }
    }
  }
}

/** `ro,hidden,system`. */
export function attributesText(attributes: number): string {
  const names: [number, string][] = [
    [Attribute.READ_ONLY, 'ro'],
    [Attribute.HIDDEN, 'hidden'],
    [Attribute.SYSTEM, 'system'],
  ];
  return names
    .filter(([bit]) => attributes & bit)
    .map(([, name]) => name)
    .join(',');
}

/** Date and time of DOS, which has no time zone. */
export function dosTime(date: number, time: number): number | null {
  if (date === 0) return null;
  return Date.UTC(
    1980 + (date >> 9),
    ((date >> 5) & 15) - 1,
    date & 31,
    time >> 11,
    (time >> 5) & 63,
    (time & 31) * 2,
  );
}

/** Thirteen characters of a long name, in three places. */
function pieceOf(entry: Fields): string {
  const units: number[] = [];
  for (const [from, count] of [
    [1, 5],
    [14, 6],
    [28, 2],
  ] as const)
    for (let index = 0; index < count; index++) units.push(entry.u16(from + index * 2));
  return String.fromCharCode(...units);
}

/** A long name ends with a zero, or fills its pieces. */
function cutName(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

function shortName(entry: Fields): string {
  const bytes = entry.bytes.slice(0, 11);
  if (bytes[0] === 0x05) bytes[0] = 0xe5;
  // Which code page it was written with is not known.
  const text = (from: number, to: number): string =>
    new TextDecoder('windows-1252').decode(bytes.subarray(from, to)).trimEnd();
  const flags = entry.u8(12);
  const base = text(0, 8);
  const extension = text(8, 11);
  const name = flags & SMALL_BASE ? base.toLowerCase() : base;
  return extension === '' ? name : `${name}.${flags & SMALL_EXTENSION ? extension.toLowerCase() : extension}`;
}

function shortChecksum(entry: Fields): number {
  let sum = 0;
  for (let index = 0; index < 11; index++) sum = (((sum & 1) << 7) + (sum >> 1) + entry.u8(index)) & 0xff;
  return sum;
}
