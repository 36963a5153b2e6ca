/**
 * Encrypted images: data is encrypted sector by sector, in place of which its offset in the file counts (LUKS), or its offset in the
 * disk (the old AES encryption). Tables and compressed clusters are not encrypted.
 */
import { DebugEvent, Err } from '../../../abi';
import { SectorCipher } from '../../../crypto/sector';
import { putBe64 } from '../../../util/endian';
import { zeros, ZERO_BYTES } from '../../../util/memory';
import { KeptBytes, Qcow2Node } from '../image';
import { CRYPT_AES, CRYPT_LUKS } from '../layout';
import { updateHeader } from '../header';
import { allocateClusters } from '../refcounts/allocate';
import { writeGuest } from './write';

/** Bytes that are encrypted and written at a time, or read to get at a part of a sector. */
const PIECE: i32 = 262144;
const SECTOR: i32 = 512;
const MASK: i64 = 511;
/** The largest header of a container that is made, bytes. */
const MAX_HEADER: i64 = 1 << 30;

/** Reads any range: parts of sectors are read whole. */
export function readEncrypted(image: Qcow2Node, offset: i64, bytes: i32, to: usize): i32 {
  if (((offset | bytes) & MASK) === 0) return image.readMapped(offset, bytes, to);
  while (bytes > 0) {
    const inside = <i32>(offset & MASK);
    const n = min(bytes, PIECE - inside);
    const whole = (inside + n + SECTOR - 1) & ~(SECTOR - 1);
    const piece = image.sectors.get(PIECE);
    const r = image.readMapped(offset - inside, whole, piece);
    if (r < 0) return r;
    memory.copy(to, piece + inside, n);
    offset += n;
    to += n;
    bytes -= n;
  }
  return 0;
}

/** Writes any range: what is not written of the first and of the last sector stays. */
export function writeEncrypted(image: Qcow2Node, offset: i64, bytes: i32, from: usize): i32 {
  if (((offset | bytes) & MASK) === 0) return writeGuest(image, offset, bytes, from);
  while (bytes > 0) {
    const inside = <i32>(offset & MASK);
    const n = min(bytes, PIECE - inside);
    const start = offset - inside;
    const whole = (inside + n + SECTOR - 1) & ~(SECTOR - 1);
    const piece = image.sectors.get(PIECE);
    const last = whole - SECTOR;
    let r: i32 = inside ? image.readMapped(start, SECTOR, piece) : 0;
    if (r === 0 && inside + n < whole && (last > 0 || !inside)) {
      r = image.readMapped(start + last, SECTOR, piece + last);
    }
    if (r < 0) return r;
    memory.copy(piece + inside, from, n);
    r = writeGuest(image, start, whole, piece);
    if (r < 0) return r;
    offset += n;
    from += n;
    bytes -= n;
  }
  return 0;
}

/**
 * Encrypts whole sectors and writes them to the file that holds the data; what is at `from` stays as it is.
 * @param guest where they are in the disk
 * @param host where they are in the file
 */
export function writeCipher(
  image: Qcow2Node,
  cipher: SectorCipher,
  guest: i64,
  host: i64,
  bytes: i32,
  from: usize,
): i32 {
  // What is added to an offset in the file to have the one that counts.
  const moved = image.cipherByGuest ? guest - host : 0;
  while (bytes > 0) {
    const n = min(bytes, PIECE);
    const piece = image.ciphered.get(PIECE);
    memory.copy(piece, from, n);
    cipher.run(true, <u64>((host + moved) >> 9), piece, n);
    const r = image.storage.pwrite(host, n, piece);
    if (r < 0) return r;
    host += n;
    from += n;
    bytes -= n;
  }
  return 0;
}

/** Says in the image's header that its data is encrypted in the old way, with AES and a passphrase for key. */
export function markAes(image: Qcow2Node): i32 {
  if (image.cryptMethod || image.readOnly) return -Err.EINVAL;
  image.cryptMethod = CRYPT_AES;
  return updateHeader(image);
}

/** Makes room for the header of a LUKS container and says in the image's header where it is; answers its offset. */
export function makeCryptoHeader(image: Qcow2Node, bytes: i64): i64 {
  if (image.cryptMethod || image.readOnly || bytes <= 0 || bytes > MAX_HEADER) return -Err.EINVAL;
  const clusters = (bytes + image.clusterSize - 1) >> image.clusterBits;
  const offset = allocateClusters(image, clusters);
  if (offset < 0) return offset;
  // What the clusters held before must not look like key material.
  const end = offset + (clusters << image.clusterBits);
  for (let at = offset; at < end; at += ZERO_BYTES) {
    const r = image.file.pwrite(at, <i32>min<i64>(ZERO_BYTES, end - at), zeros());
    if (r < 0) return r;
  }
  // Kept with the header as it was read, and freed with it.
  const field = heap.alloc(16);
  image.cryptoField = field;
  putBe64(field, offset);
  putBe64(field + 8, bytes);
  image.cryptMethod = CRYPT_LUKS;
  image.cryptoHeader = new KeptBytes(field, 16);
  image.file.event(DebugEvent.FLUSH_TO_OS);
  let r = image.doFlush();
  if (r === 0) r = updateHeader(image);
  return r < 0 ? r : offset;
}
