/** Reading compressed clusters. */
import { DebugEvent, Err } from '../../../abi';
import { inflate } from '../../../codec/inflate';
import { zstdDecompress } from '../../../host';
import { compressedBytes, compressedOffset } from '../refcounts/allocate';
import { Qcow2Node } from '../image';
import { CompressionType } from '../layout';

/**
 * Copies a piece of a compressed cluster. The cluster that was decompressed last is kept: the pieces of one cluster are
 * mostly asked for one after the other.
 */
export function readCompressedCluster(image: Qcow2Node, offset: i64, entry: u64, bytes: i32, to: usize): i32 {
  const size = image.clusterSize;
  const inside = <i32>(offset & (size - 1));
  const whole = bytes === size;
  if (image.plainEntry !== entry) {
    const stored = compressedBytes(image, entry);
    const source = image.compressed.get(stored);
    image.file.event(DebugEvent.READ_COMPRESSED);
    const r = image.file.pread(compressedOffset(image, entry), stored, source);
    if (r < 0) return r;
    let target = to;
    if (!whole) {
      if (!image.plain) image.plain = heap.alloc(size);
      target = image.plain;
      image.plainEntry = 0;
    }
    const zstd = image.compressionType === CompressionType.ZSTD;
    const got = zstd ? zstdDecompress(source, stored, target, size) : inflate(source, stored, target, size);
    if (got !== size) return -Err.EIO;
    if (whole) return 0;
    image.plainEntry = entry;
  }
  memory.copy(to, image.plain + inside, bytes);
  return 0;
}
