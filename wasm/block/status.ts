/** Block status: what is at an offset, in one node or in a chain. The rules are those of QEMU's block layer. */
import { Bits } from '../abi';
import { BlockNode } from './node';

/** Bytes that the last status is true for. */
export let foundBytes: i64 = 0;
/** With OFFSET_VALID or RAW: the offset in {@link foundFile}. */
export let foundMap: i64 = 0;
/** The node that `foundMap` is an offset of. */
export let foundFile: BlockNode | null = null;
/** Nodes that {@link statusAbove} asked until one said ALLOCATED; 0: none did. */
export let foundDepth: i32 = 0;

/** Called by drivers to fill in their answer. */
export function found(bytes: i64, map: i64, file: BlockNode | null): void {
  foundBytes = bytes;
  foundMap = map;
  foundFile = file;
}

/**
 * The status of a prefix of a range in one node: Bits, or a negative errno.
 * @param wantZero spend time on telling zeros from data
 */
export function statusOne(node: BlockNode, wantZero: bool, offset: i64, bytes: i64): i32 {
  const length = node.size();
  found(0, 0, null);
  if (offset >= length) return Bits.EOF;
  bytes = min(bytes, length - offset);
  if (!bytes) return 0;

  let flags = node.doStatus(wantZero, offset, bytes);
  if (flags < 0) return flags;
  if (flags & Bits.RAW) {
    flags = statusOne(foundFile!, wantZero, foundMap, foundBytes);
    if (flags < 0) return flags;
  } else {
    if (flags & (Bits.DATA | Bits.ZERO)) {
      flags |= Bits.ALLOCATED;
    } else if (node.supportsBacking) {
      const backing = node.backing;
      if (!backing) flags |= Bits.ZERO;
      else if (wantZero && offset >= backing.size()) flags |= Bits.ZERO;
    }
    const mask = Bits.RECURSE | Bits.DATA | Bits.ZERO | Bits.OFFSET_VALID;
    if (wantZero && (flags & mask) === (Bits.RECURSE | Bits.DATA | Bits.OFFSET_VALID)) {
      flags = zerosBelow(flags);
    }
  }
  flags &= ~Bits.RECURSE;
  if (offset + foundBytes === length) flags |= Bits.EOF;
  else flags &= ~Bits.EOF;
  return flags;
}

/** Asks the file whether the data found there is a hole. */
function zerosBelow(flags: i32): i32 {
  const bytes = foundBytes;
  const map = foundMap;
  const file = foundFile!;
  const below = statusOne(file, true, map, bytes);
  const belowBytes = foundBytes;
  found(bytes, map, file);
  if (below < 0) return flags;
  if (below & Bits.EOF && (!belowBytes || below & Bits.ZERO)) return flags | Bits.ZERO;
  foundBytes = belowBytes;
  return flags | (below & Bits.ZERO);
}

/** The status from `top` down to `base` (excluded; null: the whole chain). */
export function statusAbove(
  top: BlockNode,
  base: BlockNode | null,
  wantZero: bool,
  offset: i64,
  bytes: i64,
): i32 {
  foundDepth = 0;
  if (top === base) {
    found(bytes, 0, null);
    return 0;
  }
  let depth = 1;
  let flags = statusOne(top, wantZero, offset, bytes);
  if (flags < 0 || !foundBytes) return flags;
  let node = top;
  const end: i64 = flags & Bits.EOF ? offset + foundBytes : -1;
  while (!(flags & Bits.ALLOCATED)) {
    const next = below(node);
    if (!next || next === base) {
      if (offset + foundBytes === end) flags |= Bits.EOF;
      return flags;
    }
    node = next;
    depth++;
    const wanted = foundBytes;
    flags = statusOne(node, wantZero, offset, wanted);
    if (flags < 0) return flags;
    if (!foundBytes) {
      // The node above is longer than this one: what it lacks here reads as zeros.
      found(wanted, 0, node);
      flags = Bits.ZERO | Bits.ALLOCATED;
    }
    flags &= ~Bits.EOF;
  }
  foundDepth = depth;
  if (end >= 0 && offset + foundBytes === end) flags |= Bits.EOF;
  return flags;
}

/** The next node of the chain that was not asked yet: a filter has answered for its child. */
function below(node: BlockNode): BlockNode | null {
  while (node.passesOn) node = node.child!;
  return node.supportsBacking ? node.backing : null;
}

/** Whether all of a range is known to read as zeros. Behind the end everything does. */
export function isZero(node: BlockNode, offset: i64, bytes: i64): bool {
  bytes = min(bytes, node.size() - offset);
  while (bytes > 0) {
    const flags = statusAbove(node, null, true, offset, bytes);
    if (flags < 0 || !(flags & Bits.ZERO) || !foundBytes) return false;
    offset += foundBytes;
    bytes -= foundBytes;
  }
  return true;
}
