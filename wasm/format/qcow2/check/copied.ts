/** The part of a check that looks at the COPIED flags of the active tables: set exactly where the count is 1. */
import { CheckFix, Err } from '../../../abi';
import { be64, putBe64 } from '../../../util/endian';
import { hex } from '../../../util/errors';
import { zeroPrefix } from '../../../util/memory';
import { Check } from './check';
import { loadStored, stored } from './compare';
import { COMPRESSED, COPIED, EXTENDED_L2, OFFSET_MASK } from '../layout';
import { checkWrite, Meta } from '../overlap';

/** The flags may be repaired with the leaks where nothing else is wrong. */
function mayRepair(check: Check): bool {
  if (check.fix & CheckFix.ERRORS) return true;
  return check.fix !== 0 && !check.errors && !check.corruptions && !check.leaks;
}

/** Looks at one L2 table; 0: the end. */
export function stepCopied(check: Check): i32 {
  const image = check.image;
  if (!check.index) {
    check.repairsFlags = mayRepair(check);
    // A flag may say "mine alone" only after the count that it relies on is stored.
    if (check.repairsFlags) {
      let r = image.refs.write();
      if (r === 0) r = image.file.pflush();
      if (r < 0) return r;
    }
  }
  let skipped = 0;
  while (check.index < image.l1Size) {
    const index = check.index++;
    if (image.l2TableOffset(index)) {
      const r = checkTable(check, index);
      if (r === -Err.EAGAIN) check.index--;
      return r < 0 ? r : 1;
    }
    if (++skipped === 65536) return 1;
  }
  return 0;
}

function checkTable(check: Check, index: i32): i32 {
  const image = check.image;
  const table = image.l2TableOffset(index);
  let r = loadStored(check, table >> image.clusterBits);
  if (r < 0) return r === -Err.EAGAIN ? r : 0;
  const entry = image.l1Entry(index);
  const read = check.readL2(entry);
  if (check.elsewhere) {
    r = read === 0 ? loadAllStored(check) : read;
    if (r === 0) r = loadStored(check, table >> image.clusterBits);
    if (r === -Err.EAGAIN) return r;
  }
  if ((stored === 1) !== ((entry & COPIED) !== 0)) {
    const count = stored;
    check.tell(
      `${check.verb(check.repairsFlags)} OFLAG_COPIED L2 cluster: l1_index=${index} l1_entry=${hex(entry)} refcount=${count}`,
    );
    if (!check.repairsFlags) {
      check.corruptions++;
      check.flagErrors++;
    } else {
      const at = image.l1 + ((<usize>index) << 3);
      putBe64(at, count === 1 ? entry | COPIED : entry & ~COPIED);
      const to = image.l1Offset + ((<i64>index) << 3);
      r = checkWrite(image, Meta.ACTIVE_L1, to, 8);
      if (r === 0) r = image.file.pwrite(to, 8, at);
      if (r < 0) {
        check.errors++;
        return r;
      }
      check.corruptionsFixed++;
    }
  }
  if (read < 0) {
    check.tell('ERROR: I/O error in check_oflag_copied');
    check.errors++;
    return 0;
  }
  return checkEntries(check, table);
}

/** Has the counts of all that the table points to here before anything is told. */
function loadAllStored(check: Check): i32 {
  const image = check.image;
  const step = image.incompatible & EXTENDED_L2 ? 16 : 8;
  for (let at = 0; at < image.clusterSize && !check.hasDataFile; at += step) {
    const entry = be64(check.table + at);
    const host = entry & COMPRESSED ? 0 : <i64>(entry & OFFSET_MASK);
    if (host && loadStored(check, host >> image.clusterBits) === -Err.EAGAIN) return -Err.EAGAIN;
  }
  return 0;
}

function checkEntries(check: Check, table: i64): i32 {
  const image = check.image;
  const step = image.incompatible & EXTENDED_L2 ? 16 : 8;
  let from = -1;
  let to = 0;
  let changed: i64 = 0;
  for (let at = 0; at < image.clusterSize; at += step) {
    const entry = be64(check.table + at);
    if (!entry) {
      at += max(zeroPrefix(check.table + at, image.clusterSize - at) & -step, step) - step;
      continue;
    }
    if (entry & COMPRESSED) continue;
    const host = <i64>(entry & OFFSET_MASK);
    let alone = true;
    if (check.hasDataFile) {
      if (!host && !(entry & COPIED)) continue;
    } else {
      if (!host) continue;
      if (loadStored(check, host >> image.clusterBits) < 0) continue;
      alone = stored === 1;
    }
    if (alone === ((entry & COPIED) !== 0)) continue;
    check.tell(
      `${check.verb(check.repairsFlags)} OFLAG_COPIED data cluster: l2_entry=${hex(entry)} refcount=${check.hasDataFile ? 1 : stored}`,
    );
    if (!check.repairsFlags) {
      check.corruptions++;
      check.flagErrors++;
      continue;
    }
    putBe64(check.table + at, alone ? entry | COPIED : entry & ~COPIED);
    if (from < 0) from = at;
    to = at + 8;
    changed++;
  }
  if (!changed) return 0;
  let r = checkWrite(image, Meta.ACTIVE_L2, table, image.clusterSize);
  if (r < 0) {
    check.tell('ERROR: Could not write L2 table; metadata overlap check failed: Input/output error');
  } else {
    r = image.file.pwrite(table + from, to - from, check.table + from);
    if (r < 0) check.tell('ERROR: Could not write L2 table');
  }
  if (r < 0) {
    check.errors++;
    check.corruptions += changed;
    return r;
  }
  check.corruptionsFixed += changed;
  return 0;
}
