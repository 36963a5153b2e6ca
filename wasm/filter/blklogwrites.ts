/**
 * The filter `blklogwrites`: all that changes a disk is written to a log as well, in the format of the device mapper's
 * target log-writes, so that its states can be made again one after the other.
 *
 * The log is sectors: a superblock, then for each entry a sector that describes it and the sectors of its data. All numbers
 * are little endian.
 */
import { Driver, Err, LogFlag } from '../abi';
import { BlockNode, MAX_OFFSET } from '../block/node';
import { fail, prefixError } from '../util/errors';
import { Scratch, ZERO_BYTES, zeros } from '../util/memory';
import { FilterNode } from './filter';

/** `rhswfsj`, the first eight bytes. */
const MAGIC: u64 = ((<u64>0x6a7366) << 32) | 0x77736872;
const VERSION: u64 = 1;
/** Bytes of the fields of the superblock: magic, version, number of entries, u32 size of a sector. */
const SUPERBLOCK: i32 = 28;
/** Bytes of the fields of an entry: sector, number of sectors, flags, bytes of data (unused). */
const ENTRY: i32 = 32;
const ALL_FLAGS: u64 = LogFlag.FLUSH | LogFlag.FUA | LogFlag.DISCARD | LogFlag.MARK;
const MAX_SECTOR: u32 = 1 << 23;

/** Whether a log can have sectors of so many bytes. */
export function isLogSector(bytes: u64): bool {
  return bytes >= <u64>ENTRY && bytes <= <u64>MAX_SECTOR && (bytes & (bytes - 1)) === 0;
}

export class BlklogwritesNode extends FilterNode {
  /** Where the next entry goes, in sectors of the log. */
  private place: i64 = 1;
  private entries: u64 = 0;
  private widened: Scratch = new Scratch();
  private header: Scratch = new Scratch();

  constructor(
    file: BlockNode,
    private log: BlockNode,
    readOnly: bool,
    /** Bytes. */
    private sector: i32,
    /** The superblock is written anew after so many entries. */
    private interval: u64,
  ) {
    super(Driver.BLKLOGWRITES, file, readOnly);
    log.users++;
  }

  /** Finds the end of a log that is there, to go on with it; an empty one begins. Answers the bytes of its sectors. */
  append(): i32 {
    const log = this.log;
    const length = log.size();
    if (!length) return this.sector;
    const head = this.header.get(ENTRY);
    let r = log.pread(0, SUPERBLOCK, head);
    if (r < 0) return prefixError(r, 'Could not read log superblock: ');
    if (load<u64>(head) !== MAGIC) return fail(Err.EINVAL, 'Invalid log superblock magic');
    const version = load<u64>(head, 8);
    if (version !== VERSION) return fail(Err.EINVAL, `Unsupported log version ${version}`);
    const count = load<u64>(head, 16);
    const sector = load<u32>(head, 24);
    if (!isLogSector(sector)) return fail(Err.EINVAL, `Invalid log sector size ${sector}`);
    this.sector = <i32>sector;
    const last = <u64>MAX_OFFSET / sector;
    if (count > last) return fail(Err.EINVAL, `Invalid number of log entries ${count}`);
    let place: u64 = 1;
    for (let i: u64 = 0; i < count; i++) {
      const at = place * sector;
      if (at >= <u64>length) {
        // The rest reads as zeros: entries without data.
        place += count - i;
        break;
      }
      r = log.pread(at, ENTRY, head);
      if (r < 0) return prefixError(r, `Failed to read log entry ${i}: `);
      const flags = load<u64>(head, 16);
      if (flags & ~ALL_FLAGS) {
        return fail(Err.EINVAL, `Invalid flags 0x${flags.toString(16)} in log entry ${i}`);
      }
      place++;
      if (flags & LogFlag.DISCARD) continue;
      const sectors = load<u64>(head, 8);
      if (sectors > last) return fail(Err.EINVAL, `Invalid number of sectors ${sectors} in log entry ${i}`);
      place += sectors;
    }
    if (place > last) return fail(Err.EINVAL, 'The log ends behind the largest file');
    this.place = place;
    this.entries = count;
    return this.sector;
  }

  override doReplaceChild(old: BlockNode, now: BlockNode): i32 {
    if (this.log !== old) return super.doReplaceChild(old, now);
    this.log = now;
    old.users--;
    now.users++;
    return 0;
  }

  override reaches(node: BlockNode): bool {
    return this.log.reaches(node) || super.reaches(node);
  }

  override release(): void {
    this.log.users--;
    this.widened.release();
    this.header.release();
    super.release();
  }

  /** Writes an entry; `from` is its data, 0: zeros, or none at all if the flags say that there is none. */
  private write(offset: i64, bytes: i64, flags: i32, from: usize): i32 {
    const sector = this.sector;
    const log = this.log;
    const head = this.header.get(sector);
    memory.fill(head, 0, sector);
    store<i64>(head, offset / sector);
    store<i64>(head, bytes / sector, 8);
    store<i64>(head, flags, 16);
    const at = this.place * sector;
    let r = log.pwrite(at, sector, head);
    const data = flags & LogFlag.DISCARD ? 0 : bytes;
    if (r === 0 && data) {
      if (from) r = log.pwrite(at + sector, <i32>data, from);
      else r = log.pzero(at + sector, data, 0);
    }
    if (r < 0) return r;
    this.place += 1 + data / sector;
    this.entries++;
    if (flags & LogFlag.FLUSH || this.entries % this.interval === 0) return this.writeSuperblock();
    return 0;
  }

  /** What the superblock counts is in the log before it. */
  private writeSuperblock(): i32 {
    let r = this.log.pflush();
    if (r < 0) return r;
    const head = this.header.get(this.sector);
    memory.fill(head, 0, this.sector);
    store<u64>(head, MAGIC);
    store<u64>(head, VERSION, 8);
    store<u64>(head, this.entries, 16);
    store<u32>(head, this.sector, 24);
    r = this.log.pwrite(0, this.sector, head);
    return r < 0 ? r : this.log.pflush();
  }

  /** The answer to a request that went to the file and to the log. */
  @inline
  private both(file: i32, log: i32): i32 {
    return file < 0 ? file : log;
  }

  /** Sectors that are written in part are read first. */
  override doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const sector = this.sector;
    const head = <i32>(offset % sector);
    const over = <i32>((offset + bytes) % sector);
    if (!head && !over) return this.writeSectors(offset, bytes, from);
    const start = offset - head;
    const n = head + bytes + (over ? sector - over : 0);
    const wide = this.widened.get(n);
    let r = 0;
    if (head || n === sector) r = this.child!.pread(start, sector, wide);
    if (r === 0 && over && n > sector) r = this.child!.pread(start + n - sector, sector, wide + n - sector);
    if (r < 0) return r;
    memory.copy(wide + head, from, bytes);
    return this.writeSectors(start, n, wide);
  }

  private writeSectors(offset: i64, bytes: i32, from: usize): i32 {
    const r = this.child!.pwrite(offset, bytes, from);
    return this.both(r, this.write(offset, bytes, 0, from));
  }

  override doWriteCompressed(_offset: i64, _bytes: i32, _from: usize): i32 {
    return -Err.ENOTSUP;
  }

  /** Sectors in part are written as data, the rest as zeros. */
  override zeroPieces(offset: i64, bytes: i64, flags: i32): i32 {
    const sector = this.sector;
    const end = offset + bytes;
    const first = offset + ((sector - (offset % sector)) % sector);
    const last = end - (end % sector);
    if (first >= last && (first !== offset || last !== end)) return this.writeZeros(offset, bytes);
    let r = first > offset ? this.writeZeros(offset, first - offset) : 0;
    if (r === 0 && last > first) {
      r = this.child!.pzero(first, last - first, flags);
      r = this.both(r, this.write(first, last - first, 0, 0));
    }
    if (r === 0 && end > last) r = this.writeZeros(last, end - last);
    return r;
  }

  /** Zeros as data, less than two sectors. */
  private writeZeros(offset: i64, bytes: i64): i32 {
    if (bytes <= ZERO_BYTES) return this.doWrite(offset, <i32>bytes, zeros());
    const buffer = new Scratch();
    const from = buffer.get(<i32>bytes);
    memory.fill(from, 0, <usize>bytes);
    const r = this.doWrite(offset, <i32>bytes, from);
    buffer.release();
    return r;
  }

  /** Only whole sectors are discarded. */
  override doDiscard(offset: i64, bytes: i64): i32 {
    const sector = this.sector;
    const first = offset + ((sector - (offset % sector)) % sector);
    const end = offset + bytes;
    const last = end - (end % sector);
    if (last <= first) return 0;
    const r = this.child!.pdiscard(first, last - first);
    return this.both(r, this.write(first, last - first, LogFlag.DISCARD, 0));
  }

  /** The log does not tell of it; but it is a change that a flush is to follow. */
  override doTruncate(size: i64, preallocation: i32): i32 {
    const r = super.doTruncate(size, preallocation);
    if (r === 0) this.unflushed = true;
    return r;
  }

  override doFlush(): i32 {
    const r = this.child!.pflush();
    return this.unflushed ? this.both(r, this.write(0, 0, LogFlag.FLUSH, 0)) : r;
  }
}
