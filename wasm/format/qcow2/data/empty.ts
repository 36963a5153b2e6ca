/** Emptying an image: everything of it is forgotten, as if nothing had been written; for commit. */
import { Err } from '../../../abi';
import { clock } from '../../../host';
import { fail } from '../../../util/errors';
import { Qcow2Node } from '../image';
import { writeCaches } from '../lifetime';
import { cutFile } from '../amend/resize';
import { unlinkTables } from '../mapping/tables';
import { bytesInTable } from '../mapping/translate';
import { discardClusters } from './zero';

/** Milliseconds that one step takes. */
const STEP_TIME: f64 = 6;

/**
 * Forgets clusters from `offset` on. Answers where to go on, 0 at the end, when the tables are gone too, or a negative
 * errno. A crash in between leaves a part of the disk.
 */
export function emptyImage(image: Qcow2Node, offset: i64): i64 {
  const r = image.ready();
  if (r < 0) return r;
  if (image.readOnly) return fail(Err.EACCES, 'Block node is read-only');
  // The tables reach behind the disk where the state of a machine was kept.
  const end = max(image.length, (<i64>image.l1Size) << (image.clusterBits + image.l2Bits));
  const start = clock();
  offset &= ~(<i64>image.clusterSize - 1);
  while (offset < end) {
    const n = min(bytesInTable(image, offset), end - offset);
    const code = discardClusters(image, offset, offset + n, true);
    if (code < 0) return code;
    offset += n;
    if (clock() - start > STEP_TIME && offset < end) return offset;
  }
  return finish(image);
}

function finish(image: Qcow2Node): i32 {
  let r = writeCaches(image);
  if (r === 0) r = image.flushChild();
  if (r === 0) r = unlinkTables(image, 0);
  if (r === 0) r = writeCaches(image);
  if (r === 0) r = image.flushChild();
  if (r === 0) cutFile(image);
  return r;
}
