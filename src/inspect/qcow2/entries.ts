/** Entries of the tables of qcow2, decoded (qcow2.md section 3). */
import { hex } from '../bytes';
import { Use, type Field } from '../contract';
import type { Qcow2Header } from './header';

/** Bits of the high half of an entry. */
const COPIED = 0x80000000;
const COMPRESSED = 0x40000000;

/** An L2 entry. */
export interface L2Entry {
  use: Use;
  /** Its cluster is this entry's alone. */
  copied: boolean;
  /** Of the data in the file, bytes; 0: none. For compressed clusters not at the start of a cluster. */
  host: number;
  /** Bytes in the file. */
  length: number;
  /** Why it makes no sense; empty: it does. */
  problem: string;
}

/** Decodes an entry of an L2 table. `low` is the second half of an extended entry's bitmap: both are 0 without. */
export function decodeL2(header: Qcow2Header, view: DataView, at: number): L2Entry {
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  const { clusterBits, clusterSize } = header;
  if (high & COMPRESSED) {
    // Bits 0..x-1 are the offset, those up to 61 the number of further sectors; x is 62 - (clusterBits - 8).
    const shift = 62 - (clusterBits - 8);
    const place = high & 0x3fffffff;
    const host = (place % 2 ** (shift - 32)) * 2 ** 32 + low;
    const sectors = Math.floor(place / 2 ** (shift - 32)) + 1;
    const length = sectors * 512 - (host % 512);
    const problem = high & COPIED ? 'the copied flag must never be set for compressed clusters' : '';
    return { use: problem === '' ? Use.COMPRESSED : Use.BROKEN, copied: true, host, length, problem };
  }
  const host = (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
  const copied = (high & COPIED) !== 0;
  let use = host > 0 ? Use.DATA : Use.FREE;
  let problem = '';
  if (header.extendedL2) {
    const zero = view.getUint32(at + 8);
    const allocated = view.getUint32(at + 12);
    if ((zero & allocated) !== 0 || (host === 0 && allocated !== 0 && !header.externalData))
      problem = 'the bitmap of subclusters is corrupted';
    if (allocated !== 0) use = Use.DATA;
    else if (zero !== 0) use = Use.ZERO;
    else use = Use.FREE;
  } else {
    if (low & 1) {
      use = Use.ZERO;
      if (header.version < 3) problem = 'zero cluster entry in a version 2 image';
    } else if (header.externalData && copied) use = Use.DATA;
    if (low & 0x1fe) problem = 'reserved bits are set';
  }
  if (host % clusterSize !== 0) problem = 'the cluster is not properly aligned';
  else if (high & 0x3f000000) problem = 'reserved bits are set';
  return {
    use: problem === '' ? use : Use.BROKEN,
    copied: copied || host === 0,
    host,
    length: host > 0 ? clusterSize : 0,
    problem,
  };
}

/** An entry of an L1 table. */
export interface L1Entry {
  /** Of the L2 table; 0: there is none. */
  l2: number;
  copied: boolean;
  problem: string;
}

export function decodeL1(header: Qcow2Header, view: DataView, at: number): L1Entry {
  const high = view.getUint32(at);
  const low = view.getUint32(at + 4);
  const l2 = (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
  let problem = '';
  if (l2 % header.clusterSize !== 0) problem = 'the table is not cluster aligned';
  else if (high & 0x7f000000 || low & 0x1ff) problem = 'reserved bits are set';
  return { l2, copied: (high & COPIED) !== 0, problem };
}

const copiedText = (copied: boolean): string => (copied ? ', only used here' : ', shared');

/** An L1 entry as a field. */
export function l1Field(
  header: Qcow2Header,
  view: DataView,
  at: number,
  offset: number,
  index: number,
): Field {
  const { l2, copied, problem } = decodeL1(header, view, at);
  return {
    offset,
    length: 8,
    name: `L1[${index}]`,
    value: l2 === 0 ? 'none' : `L2 table at ${hex(l2)}${copiedText(copied)}`,
    meaning: `Leads to the L2 table for the disk from ${hex(index * header.clusterSize * header.l2Entries)} on.`,
    ...(l2 > 0 && problem === '' && { target: { offset: l2, length: header.clusterSize } }),
    ...(problem !== '' && { problem }),
  };
}

const L2_TEXTS: Partial<Record<Use, string>> = {
  [Use.FREE]: 'not allocated',
  [Use.ZERO]: 'zeros',
  [Use.DATA]: 'data',
  [Use.COMPRESSED]: 'compressed data',
  [Use.BROKEN]: 'broken',
};

/** An L2 entry as a field; `l1Index`: whose table it is in. */
export function l2Field(
  header: Qcow2Header,
  view: DataView,
  at: number,
  offset: number,
  { index, l1Index }: { index: number; l1Index: number | null },
): Field {
  const { use, copied, host, length, problem } = decodeL2(header, view, at);
  const where = host > 0 ? ` at ${hex(host)}` : '';
  const shared = use === Use.DATA && !copied ? ', shared' : '';
  const guest = l1Index === null ? null : (l1Index * header.l2Entries + index) * header.clusterSize;
  return {
    offset,
    length: header.l2EntryBytes,
    name: `L2[${index}]`,
    value: `${L2_TEXTS[use] ?? ''}${where}${use === Use.COMPRESSED ? `, at most ${length} bytes` : shared}`,
    meaning: guest === null ? 'A cluster of the disk.' : `The cluster of the disk at ${hex(guest)}.`,
    ...(host > 0 && !header.externalData && { target: { offset: host, length } }),
    ...(problem !== '' && { problem }),
  };
}

/** A reference count of a block. */
export function refcountOf(bytes: Uint8Array, order: number, index: number): number {
  if (order < 3) {
    const width = 1 << order;
    const perByte = 8 / width;
    const byte = bytes[Math.floor(index / perByte)] ?? 0;
    return (byte >> ((index % perByte) * width)) & ((1 << width) - 1);
  }
  const width = 1 << (order - 3);
  let value = 0;
  for (let at = index * width; at < (index + 1) * width; at++) value = value * 256 + (bytes[at] ?? 0);
  return value;
}
