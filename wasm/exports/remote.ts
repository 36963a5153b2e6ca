/** Nodes over disks that the host has elsewhere. */
import { addNode } from '../block/table';
import { RemoteNode } from '../format/remote';
import { clearError } from '../util/errors';

/** @param disk the number that the host gave to the disk */
export function openRemote(disk: i32, size: f64, readOnly: i32): i32 {
  clearError();
  return addNode(new RemoteNode(disk, <i64>size, readOnly !== 0));
}
