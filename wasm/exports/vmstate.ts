/** Exports for the state of a virtual machine, which some formats keep beside the disk. */
import { Err } from '../abi';
import { BlockNode } from '../block/node';
import { nodeAt } from '../block/table';
import { loadVmState, saveVmState } from '../format/qcow2/data/vmstate';
import { Qcow2Node } from '../format/qcow2/image';
import { clearError, fail } from '../util/errors';

/** The image that keeps it, at this node or below; null: none can. */
function keeper(handle: i32): Qcow2Node | null {
  clearError();
  let node: BlockNode | null = nodeAt(handle);
  while (node && !(node instanceof Qcow2Node)) node = node.child;
  return node ? (node as Qcow2Node) : null;
}

/** ENOTSUP: no image here keeps such a state. */
export function vmStateLoad(handle: i32, offset: f64, bytes: i32, to: usize): i32 {
  const image = keeper(handle);
  return image ? loadVmState(image, <i64>offset, bytes, to) : -Err.ENOTSUP;
}

export function vmStateSave(handle: i32, offset: f64, bytes: i32, from: usize): i32 {
  const image = keeper(handle);
  if (!image) return -Err.ENOTSUP;
  if (image.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  return saveVmState(image, <i64>offset, bytes, from);
}
