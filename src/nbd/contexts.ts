/** Metadata contexts: what a client asks for by name, and what block status tells in each of them. */
import { Status } from '../engine/contract';
import type { NbdExport } from './export';
import { Allocation } from './wire';

const BASE = 'base:allocation';
const DEPTH = 'qemu:allocation-depth';
const BITMAP = 'qemu:dirty-bitmap:';

/** A context of an export. */
export interface MetaContext {
  readonly id: number;
  readonly name: string;
  /** What is at `offset`: bits or a number, and how many bytes from there on, up to `end`, are alike. */
  extent(offset: number, end: number): { value: number; bytes: number };
}

/** `base:allocation` */
export function allocationContext({ device }: NbdExport): MetaContext {
  return {
    id: 0,
    name: BASE,
    extent: (offset, end) => {
      const { flags, bytes } = device.blockStatusAbove(null, offset, end - offset);
      const hole = flags & Status.DATA ? 0 : Allocation.HOLE;
      return { value: hole | (flags & Status.ZERO ? Allocation.ZERO : 0), bytes };
    },
  };
}

/** All contexts of an export, in the order in which a server tells them. */
export function contextsOf(target: NbdExport): MetaContext[] {
  const { device } = target;
  const contexts = [allocationContext(target)];
  if (target.allocationDepth) {
    contexts.push({
      id: 1,
      name: DEPTH,
      extent: (offset, end) => {
        const { depth, bytes } = device.blockStatusAbove(null, offset, end - offset);
        return { value: depth, bytes };
      },
    });
  }
  for (const [index, bitmap] of target.bitmaps.entries()) {
    contexts.push({
      id: 2 + index,
      name: BITMAP + bitmap.name,
      extent: (offset, end) => {
        const { dirty, bytes } = bitmap.extent(offset, end);
        return { value: Number(dirty), bytes };
      },
    });
  }
  return contexts;
}

/**
 * The contexts that queries choose, in their own order.
 * @param listing LIST_META_CONTEXT: the name of a group means all of the group
 */
export function chooseContexts(
  contexts: readonly MetaContext[],
  queries: readonly string[],
  listing: boolean,
): MetaContext[] {
  const chosen = (name: string): boolean =>
    queries.some(
      (query) =>
        query === name ||
        (listing &&
          ((query === 'base:' && name === BASE) ||
            (query === 'qemu:' && name !== BASE) ||
            (query === BITMAP && name.startsWith(BITMAP)))),
    );
  return contexts.filter(({ name }) => chosen(name));
}

/** A run of bytes with one value. */
export interface Extent {
  bytes: number;
  value: number;
}

/**
 * Extents from `offset` on, neighbours with the same value joined; they end at `end`, or before the first one that is too
 * many.
 */
export function* extentsOf(
  context: MetaContext,
  offset: number,
  end: number,
  most: number,
): Generator<undefined, Extent[]> {
  const extents: Extent[] = [];
  for (let at = offset; at < end;) {
    const { value, bytes } = context.extent(at, end);
    const length = Math.min(bytes, end - at);
    if (length <= 0) break;
    const last = extents.at(-1);
    if (last?.value === value) last.bytes += length;
    else if (extents.length === most) break;
    else extents.push({ bytes: length, value });
    at += length;
    yield;
  }
  return extents;
}
