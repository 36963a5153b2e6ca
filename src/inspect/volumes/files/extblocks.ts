/** Where the blocks of a file of ext lie: a tree of extents, or tables of pointers in up to three levels. */
import { VolumeError } from '../contract';
import type { Fields } from '../source';

/** What leads to the blocks of a file. */
export interface ExtMap {
  blockSize: number;
  /** The 60 bytes in the inode. */
  root: Fields;
  extents: boolean;
  readBlock(block: number): Promise<Fields>;
}

/** Blocks in line: of the disk, or none (zeros). */
export interface ExtRun {
  physical: number | null;
  /** At least 1. */
  count: number;
}

const EXTENT_MAGIC = 0xf30a;
const MAX_DEPTH = 5;
const ENTRY = 12;
/** An extent of more blocks is one that was never written. */
const MAX_INIT = 32768;
const DIRECT = 12;
/** Zeros that are answered at once at most. */
const HOLE = 2 ** 31;

/** Finds a block of a file. */
export function locate(map: ExtMap, block: number): Promise<ExtRun> {
  return map.extents ? byExtents(map, block) : byPointers(map, block);
}

async function byExtents(map: ExtMap, block: number): Promise<ExtRun> {
  let node = map.root;
  /** The first block that is not below this node any more. */
  let end = block + HOLE;
  for (let depth: number | null = null; ;) {
    const levels = node.u16(6);
    if (node.u16(0) !== EXTENT_MAGIC || levels > MAX_DEPTH || (depth !== null && levels !== depth - 1))
      throw new VolumeError('Its tree of extents is damaged');
    depth = levels;
    const count = Math.min(node.u16(2), Math.floor((node.length - ENTRY) / ENTRY));
    let found = 0;
    for (let index = 1; index <= count; index++) {
      const first = node.u32(index * ENTRY);
      if (first > block) {
        end = Math.min(end, first);
        break;
      }
      found = index;
    }
    const at = found * ENTRY;
    if (found === 0) return { physical: null, count: end - block };
    if (levels === 0) {
      const first = node.u32(at);
      const told = node.u16(at + 4);
      const written = told <= MAX_INIT;
      const length = written ? told : told - MAX_INIT;
      if (block >= first + length) return { physical: null, count: end - block };
      const start = node.u16(at + 6) * 2 ** 32 + node.u32(at + 8);
      return { physical: written ? start + block - first : null, count: first + length - block };
    }
    node = await map.readBlock(node.u16(at + 8) * 2 ** 32 + node.u32(at + 4));
  }
}

async function byPointers(map: ExtMap, block: number): Promise<ExtRun> {
  const perBlock = map.blockSize / 4;
  if (block < DIRECT) return run(map.root, block, DIRECT);
  let index = block - DIRECT;
  let span = perBlock;
  for (let levels = 1; levels <= 3; levels++, span *= perBlock) {
    if (index >= span) {
      index -= span;
      continue;
    }
    let pointer = map.root.u32((DIRECT + levels - 1) * 4);
    for (let below = span / perBlock; pointer !== 0; below /= perBlock) {
      const table = await map.readBlock(pointer);
      if (below === 1) return run(table, index % perBlock, perBlock);
      pointer = table.u32(Math.floor((index / below) % perBlock) * 4);
      if (pointer === 0) return { physical: null, count: below - (index % below) };
    }
    return { physical: null, count: span - index };
  }
  throw new VolumeError('It is longer than its pointers reach');
}

/** Pointers that follow each other as their blocks do. */
function run(table: Fields, index: number, end: number): ExtRun {
  const first = table.u32(index * 4);
  let count = 1;
  while (index + count < end && table.u32((index + count) * 4) === (first === 0 ? 0 : first + count)) count++;
  return { physical: first === 0 ? null : first, count };
}
