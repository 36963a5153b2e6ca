/** The description of an image, as a record. */
import { Qcow2Flag, Qcow2Record } from '../../abi';
import { KeptBytes, Qcow2Node } from './image';
import { CORRUPT, DIRTY, EXTENDED_L2, EXTERNAL_DATA, LAZY_REFCOUNTS, RAW_EXTERNAL } from './layout';

function putText(at: usize, text: KeptBytes | null): void {
  store<i32>(at, text ? <i32>text.at : 0);
  store<i32>(at, text ? text.bytes : -1, 4);
}

/** Fills a {@link Qcow2Record}. */
export function describeImage(image: Qcow2Node, to: usize): void {
  store<i32>(to + Qcow2Record.VERSION, image.version);
  store<i32>(to + Qcow2Record.CLUSTER_SIZE, image.clusterSize);
  store<i32>(to + Qcow2Record.REFCOUNT_BITS, 1 << image.refcountOrder);
  store<i32>(to + Qcow2Record.CRYPT_METHOD, image.cryptMethod);
  store<i32>(to + Qcow2Record.COMPRESSION_TYPE, image.compressionType);
  store<i32>(to + Qcow2Record.SNAPSHOTS, image.snapshots);
  store<i32>(to + Qcow2Record.L1_ENTRIES, image.l1Size);
  let flags = 0;
  if (image.compatible & LAZY_REFCOUNTS) flags |= Qcow2Flag.LAZY_REFCOUNTS;
  if (image.incompatible & DIRTY) flags |= Qcow2Flag.DIRTY;
  if (image.incompatible & CORRUPT) flags |= Qcow2Flag.CORRUPT;
  if (image.incompatible & EXTENDED_L2) flags |= Qcow2Flag.EXTENDED_L2;
  if (image.incompatible & EXTERNAL_DATA) flags |= Qcow2Flag.EXTERNAL_DATA;
  if (image.autoclear & RAW_EXTERNAL) flags |= Qcow2Flag.DATA_FILE_RAW;
  store<i32>(to + Qcow2Record.FLAGS, flags);
  putText(to + Qcow2Record.BACKING_FILE, image.backingFile);
  putText(to + Qcow2Record.BACKING_FORMAT, image.backingFormat);
  putText(to + Qcow2Record.DATA_FILE, image.dataFile);
  store<f64>(to + Qcow2Record.SIZE_BYTES, <f64>image.length);
  let bytes: i64 = image.clusterSize;
  const l2 = image.l2Cache;
  if (l2) bytes += l2.bytes() + ((<i64>image.l1Size) << 3);
  const refs = image.refCache;
  if (refs) bytes += refs.bytes() + ((<i64>image.reftableEntries) << 3);
  store<f64>(to + Qcow2Record.CACHE_BYTES, <f64>bytes);
}
