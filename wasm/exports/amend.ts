/** The exported ABI for changes of what an image is: its header, its format, all of its content at once. */
import { Err } from '../abi';
import { nodeAt } from '../block/table';
import { changeBackingFile } from '../format/qcow2/backingname';
import { Qcow2Node } from '../format/qcow2/image';
import { clearError } from '../util/errors';

function imageAt(handle: i32): Qcow2Node | null {
  clearError();
  const node = nodeAt(handle);
  return node instanceof Qcow2Node ? <Qcow2Node>node : null;
}

/** Stores another backing file in the header. Texts are UTF-8; a length < 0: none. ENOTSUP: no qcow2 image. */
export function changeBacking(
  handle: i32,
  file: usize,
  fileBytes: i32,
  format: usize,
  formatBytes: i32,
): i32 {
  const image = imageAt(handle);
  return image ? changeBackingFile(image, file, fileBytes, format, formatBytes) : -Err.ENOTSUP;
}
