/** The backing file that an image names in its header. */
import { BlockError } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import { refreshFilename } from '../filename';
import type { BlockNode } from '../node';

/**
 * Makes the image of `node` name another backing file, as `bdrv_change_backing_file`: the links of the graph stay as they
 * are. The node must be writable. Failures are `BlockError`s with the texts of strerror: EINVAL for names that cannot
 * be, ENOSPC for ones that the header has no room for, ENOTSUP for formats without backing files.
 *
 * @param file as stored; null: no backing file
 * @param format its format; null: none is stored
 * @param requireFormat a name without a format is refused, as qemu-img does
 */
export function changeBackingFile(
  node: BlockNode,
  file: string | null,
  format: string | null,
  requireFormat = false,
): void {
  if (file === null && format !== null) throw failure(Errno.EINVAL);
  if (requireFormat && file !== null && format === null) throw failure(Errno.EINVAL);
  if (!node.type.changeBackingFile) throw failure(Errno.ENOTSUP);
  node.type.changeBackingFile(node, file, format);
  node.backingFile = file ?? '';
  node.backingFormat = format ?? '';
  node.autoBackingFile = node.backingFile;
  refreshFilename(node);
}

function failure(errno: Errno): BlockError {
  return new BlockError(errno, strerror(errno));
}
