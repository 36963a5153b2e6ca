/** Another name of the backing file in the header. */
import { Err } from '../../../abi';
import { fail } from '../../../util/errors';
import { rewriteHeader } from '../header';
import { KeptBytes, Qcow2Node } from '../image';
import { RAW_EXTERNAL } from '../layout';

/** Bytes of the name of a backing file, at most. */
const MAX_NAME: i32 = 1023;
/** Bytes of the name of its format: what a reader has room for. */
const MAX_FORMAT: i32 = 15;

/**
 * Stores another backing file, which changes nothing of what the node reads now. Texts are UTF-8; a length < 0: none.
 * EINVAL: the name is too long, or the data file must read as the disk; ENOSPC: the header has no room for it. The
 * header cluster is written in one request.
 */
export function changeBackingFile(
  image: Qcow2Node,
  file: usize,
  fileBytes: i32,
  format: usize,
  formatBytes: i32,
): i32 {
  if (image.noIo || image.unusable) return -Err.ENOMEDIUM;
  if (image.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  if (fileBytes > MAX_NAME || formatBytes > MAX_FORMAT) return -Err.EINVAL;
  if (fileBytes >= 0 && image.autoclear & RAW_EXTERNAL) return -Err.EINVAL;
  const names = heap.alloc(MAX_NAME + MAX_FORMAT);
  const oldFile = image.backingFile;
  const oldFormat = image.backingFormat;
  image.backingFile = keep(names, file, fileBytes);
  image.backingFormat = keep(names + MAX_NAME, format, formatBytes);
  let r = rewriteHeader(image);
  if (r === 0) r = image.file.pflush();
  if (r < 0) {
    image.backingFile = oldFile;
    image.backingFormat = oldFormat;
    heap.free(names);
    return r;
  }
  if (image.names) heap.free(image.names);
  image.names = names;
  return 0;
}

function keep(to: usize, text: usize, bytes: i32): KeptBytes | null {
  if (bytes <= 0) return null;
  memory.copy(to, text, bytes);
  return new KeptBytes(to, bytes);
}
