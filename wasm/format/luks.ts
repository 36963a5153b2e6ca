/** The format `luks`: the payload of an encrypted container. Its header and keys are the control plane's business. */
import { Bits, DebugEvent, Driver, Err } from '../abi';
import { BlockNode, MAX_OFFSET } from '../block/node';
import { found } from '../block/status';
import { SectorCipher } from '../crypto/sector';
import { fail } from '../util/errors';
import { Scratch } from '../util/memory';

/** Bytes that are encrypted and written at a time: data of a request is not changed in its place. */
const PIECE: i32 = 262144;

export class LuksNode extends BlockNode {
  private bounce: Scratch = new Scratch();

  /**
   * @param cipher null: opened for information only, no data can be read; it is the node's from now on
   * @param start where the payload starts in the child, bytes
   * @param fixed its size; -1: up to the end of the child
   * @param firstSector what is added to the number of a sector, for its vector
   */
  constructor(
    file: BlockNode,
    private cipher: SectorCipher | null,
    private start: i64,
    private fixed: i64,
    private firstSector: i64,
    readOnly: bool,
  ) {
    super(Driver.LUKS);
    this.attach(file);
    this.readOnly = readOnly;
  }

  override size(): i64 {
    if (this.fixed >= 0) return this.fixed;
    return max<i64>(this.child!.size() - this.start, 0);
  }

  override release(): void {
    const cipher = this.cipher;
    if (cipher) cipher.wipe();
    this.cipher = null;
    this.bounce.release();
    super.release();
  }

  /** Encrypts or decrypts whole sectors from an offset on. */
  @inline
  private crypt(cipher: SectorCipher, encrypt: bool, offset: i64, at: usize, bytes: i32): void {
    cipher.run(encrypt, <u64>(this.firstSector + (offset >> 9)), at, bytes);
  }

  /** Reads and decrypts whole sectors. */
  private readSectors(cipher: SectorCipher, offset: i64, bytes: i32, to: usize): i32 {
    const file = this.child!;
    file.event(DebugEvent.READ_AIO);
    const r = file.pread(this.start + offset, bytes, to);
    if (r === 0) this.crypt(cipher, false, offset, to, bytes);
    return r;
  }

  doRead(offset: i64, bytes: i32, to: usize): i32 {
    const cipher = this.cipher;
    if (!cipher) return -Err.EIO;
    const mask: i64 = cipher.sectorBytes - 1;
    if (((offset | bytes) & mask) === 0) return this.readSectors(cipher, offset, bytes, to);
    while (bytes > 0) {
      const inside = <i32>(offset & mask);
      const wanted = min(bytes, PIECE - inside);
      const whole = <i32>((<i64>(inside + wanted) + mask) & ~mask);
      const piece = this.bounce.get(PIECE);
      const r = this.readSectors(cipher, offset - inside, whole, piece);
      if (r < 0) return r;
      memory.copy(to, piece + inside, wanted);
      offset += wanted;
      to += wanted;
      bytes -= wanted;
    }
    return 0;
  }

  doWrite(offset: i64, bytes: i32, from: usize): i32 {
    const cipher = this.cipher;
    if (!cipher) return -Err.EIO;
    const file = this.child!;
    const sector = cipher.sectorBytes;
    const mask: i64 = sector - 1;
    while (bytes > 0) {
      const inside = <i32>(offset & mask);
      const n = min(bytes, PIECE - inside);
      const start = offset - inside;
      const whole = <i32>((<i64>(inside + n) + mask) & ~mask);
      const piece = this.bounce.get(PIECE);
      // What of the first and of the last sector is not written stays.
      let r: i32 = inside ? this.readSectors(cipher, start, sector, piece) : 0;
      const last = whole - sector;
      if (r === 0 && inside + n < whole && (last > 0 || !inside)) {
        r = this.readSectors(cipher, start + last, sector, piece + last);
      }
      if (r < 0) return r;
      memory.copy(piece + inside, from, n);
      this.crypt(cipher, true, start, piece, whole);
      file.event(DebugEvent.WRITE_AIO);
      r = file.pwrite(this.start + start, whole, piece);
      if (r < 0) return r;
      offset += n;
      from += n;
      bytes -= n;
    }
    return 0;
  }

  /** Zeros are encrypted as any other data. */
  doZero(_offset: i64, _bytes: i64, _flags: i32): i32 {
    return -Err.ENOTSUP;
  }

  doDiscard(_offset: i64, _bytes: i64): i32 {
    return -Err.ENOTSUP;
  }

  doFlush(): i32 {
    return this.flushChild();
  }

  doTruncate(size: i64, preallocation: i32): i32 {
    if (this.fixed >= 0) return fail(Err.ENOTSUP, 'Cannot resize a payload of fixed size');
    if (MAX_OFFSET - this.start < size) return fail(Err.EFBIG, 'The requested file size is too large');
    return this.child!.ptruncate(this.start + size, preallocation);
  }

  doStatus(_wantZero: bool, _offset: i64, bytes: i64): i32 {
    found(bytes, 0, null);
    return Bits.DATA;
  }

  doAllocated(): i64 {
    return this.child!.doAllocated();
  }

  doClose(): i32 {
    return this.readOnly ? 0 : this.doFlush();
  }
}
