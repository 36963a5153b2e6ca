/** Directories of exFAT: sets of entries of 32 bytes, a file, its stream, and pieces of its name. */
import { Fields } from '../source';
import { attributesText, dosTime, type FatEntry } from './fatentries';
import { safeName } from './tree';

const ENTRY = 32;
/** Types of entries in use. */
const END = 0;
const FILE = 0x85;
const STREAM = 0xc0;
const NAME = 0xc1;
const DIRECTORY = 16;
const NO_TABLE = 2;
/** Largest size of a file that a number can hold exactly. */
const MAX_SIZE = Number.MAX_SAFE_INTEGER;

/** Entries of a directory, whose bytes come in pieces of whole entries. */
export async function* exfatEntries(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<FatEntry> {
  let file: Fields | null = null;
  let stream: Fields | null = null;
  let name = '';
  for await (const piece of pieces) {
    for (let at = 0; at + ENTRY <= piece.length; at += ENTRY) {
      const entry = new Fields(piece.subarray(at, at + ENTRY));
      const type = entry.u8(0);
      if (type === END) return;
      if (type === FILE) {
        file = entry;
        stream = null;
        name = '';
      } else if (type === STREAM && file) stream = entry;
      else if (type === NAME && file && stream) {
        const length = stream.u8(3);
        for (let index = 0; index < 15 && name.length < length; index++)
          name += String.fromCharCode(entry.u16(2 + index * 2));
        if (name.length < length) continue;
        yield made(file, stream, name);
        file = stream = null;
      }
    }
  }
}

function made(file: Fields, stream: Fields, name: string): FatEntry {
  const attributes = file.u16(4);
  const directory = (attributes & DIRECTORY) !== 0;
  const size = Math.min(stream.u64(24), MAX_SIZE);
  const contiguous = (stream.u8(1) & NO_TABLE) !== 0;
  return {
    node: {
      name: safeName(name),
      kind: directory ? 'directory' : 'file',
      size,
      modified: dosTime(file.u16(14), file.u16(12)),
      mode: attributesText(attributes),
    },
    cluster: stream.u32(20),
    contiguous,
    valid: Math.min(stream.u64(8), size),
  };
}
