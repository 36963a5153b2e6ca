/**
 * The state of a virtual machine in a qcow2 image: kept as data of the guest behind the end of the disk, from the first
 * byte on that no L2 table of the disk maps.
 */
import { DebugEvent, Err } from '../../../abi';
import { MAX_OFFSET } from '../../../block/node';
import { Qcow2Node } from '../image';
import { growL1 } from '../mapping/tables';
import { readEncrypted, writeEncrypted } from './encrypted';
import { writeGuest } from './write';

/** Where it starts among the guest's offsets. */
function vmStateOffset(image: Qcow2Node): i64 {
  const perTable: i64 = (<i64>1) << (image.clusterBits + image.l2Bits);
  return (image.length + perTable - 1) & -perTable;
}

/** Reads; what was never written is zeros. */
export function loadVmState(image: Qcow2Node, offset: i64, bytes: i32, to: usize): i32 {
  const r = image.ready();
  if (r < 0) return r;
  const at = vmStateOffset(image) + offset;
  if (at > MAX_OFFSET) return -Err.EIO;
  image.file.event(DebugEvent.VMSTATE_LOAD);
  return image.encrypted ? readEncrypted(image, at, bytes, to) : image.readMapped(at, bytes, to);
}

/** Writes; the L1 table grows as it must. */
export function saveVmState(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  let r = image.ready();
  if (r < 0) return r;
  const at = vmStateOffset(image) + offset;
  const end = at + bytes;
  if (end > MAX_OFFSET) return -Err.EIO;
  image.file.event(DebugEvent.VMSTATE_SAVE);
  r = makeRoom(image, end);
  if (r < 0) return r;
  image.unflushed = true;
  return image.encrypted ? writeEncrypted(image, at, bytes, from) : writeGuest(image, at, bytes, from);
}

/** Makes the L1 table reach to `end`: it grows by half as often as it must, so that it seldom has to. */
function makeRoom(image: Qcow2Node, end: i64): i32 {
  const tableBits = image.clusterBits + image.l2Bits;
  const needed = (end + ((<i64>1) << tableBits) - 1) >> tableBits;
  let entries: i64 = max(image.l1Size, 1);
  while (entries < needed) entries = (entries * 3 + 1) >> 1;
  return growL1(image, entries);
}
