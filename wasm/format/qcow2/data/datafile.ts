/**
 * Images whose data is in a file of its own, at the same offsets as on the disk: there is nothing to be allocated, counted
 * or moved. With "raw external data" that file must also stay readable as the disk itself.
 */
import { Err, Preallocation, Request } from '../../../abi';
import { BlockNode } from '../../../block/node';
import { be64 } from '../../../util/endian';
import { fail, hash } from '../../../util/errors';
import { zeros } from '../../../util/memory';
import { signalCorruption } from '../corruption';
import { Qcow2Node } from '../image';
import { COMPRESSED, COPIED, EXTERNAL_DATA, OFFSET_MASK, RAW_EXTERNAL, ZERO } from '../layout';

/** Bytes at the start of an empty file that get their storage when it grows, as QEMU does it. */
const FIRST_BLOCK: i64 = 4096;

/** Whether the data file must be readable as the disk. */
@inline
export function isRaw(image: Qcow2Node): bool {
  return (image.autoclear & RAW_EXTERNAL) !== 0;
}

/** Takes up the node of the data file; the header must ask for one exactly if there is one. */
export function takeDataFile(image: Qcow2Node, data: BlockNode | null): i32 {
  if (!(image.incompatible & EXTERNAL_DATA)) {
    if (!data) return 0;
    return fail(Err.EINVAL, "'data-file' can only be set for images with an external data file");
  }
  if (!data) return fail(Err.EINVAL, "'data-file' is required for this image");
  image.attachExternal(data);
  image.presentMask = OFFSET_MASK | COPIED;
  return 0;
}

/** Signals an entry that does not say the place that its cluster has in the data file. */
export function checkExternalEntry(image: Qcow2Node, entry: u64, guest: i64, table: i64, l2Index: i32): i32 {
  let message: string;
  if (entry & COMPRESSED) {
    const where = `(L2 offset: ${hash(table)}, L2 index: ${hash(l2Index)})`;
    message = 'Compressed cluster entry found in image with external data file ' + where;
  } else {
    const host = <i64>(entry & OFFSET_MASK);
    if (host === guest) return 0;
    // No place is said.
    if (!host && (entry & ZERO || !(entry & COPIED))) return 0;
    // What is unaligned is told in other words.
    if (host & (image.clusterSize - 1)) return 0;
    message =
      `External data file host cluster offset ${hash(host)} does not match guest cluster offset: ${hash(guest)}, ` +
      `L2 index: ${hash(l2Index)})`;
  }
  signalCorruption(image, true, -1, -1, message);
  return -Err.EIO;
}

/**
 * Gives back the place of clusters whose entries no longer point there. Nobody else can take it, and what is read until the
 * entries are on stable storage is zeros: so it need not wait.
 */
export function dropData(image: Qcow2Node, offset: i64, clusters: i64): void {
  if (image.passDiscard) image.external!.pdiscard(offset, clusters << image.clusterBits);
}

/**
 * Before clusters become zero: the same in a data file that must stay readable as the disk.
 * @param entries the entries of `n` clusters from guest offset `guest` on
 */
export function zeroRawData(image: Qcow2Node, entries: usize, n: i32, guest: i64, unmap: bool): i32 {
  const data = image.external!;
  const flags = unmap ? Request.MAY_UNMAP : 0;
  let i = 0;
  while (i < n) {
    let run = 0;
    while (i + run < n && showsData(image, be64(entries + ((<usize>(i + run)) << image.entryShift)))) run++;
    if (run) {
      const start = guest + ((<i64>i) << image.clusterBits);
      // Behind the end of the disk only what is there.
      const end = min(start + ((<i64>run) << image.clusterBits), max(image.length, data.size()));
      const r = data.pzero(start, end - start, flags);
      if (r < 0) return r;
    }
    i += run + 1;
  }
  return 0;
}


@inline
function showsData(image: Qcow2Node, entry: u64): bool {
  // Where the bitmap says what reads as zeros, that is not looked into: all of the cluster will be.
  return !(entry & COMPRESSED) && (image.extended || !(entry & ZERO)) && (entry & image.presentMask) !== 0;
}

/** Sets the length of the data file; `least`: it may stay longer. */
export function resizeData(image: Qcow2Node, size: i64, least: bool, preallocation: i32): i32 {
  const data = image.external!;
  const old = data.size();
  if (least && size <= old) return 0;
  if (!old && size && preallocation === Preallocation.OFF) {
    const r = data.pwrite(0, <i32>min(size, FIRST_BLOCK), zeros());
    if (r < 0) return r;
  }
  return data.ptruncate(size, preallocation);
}
