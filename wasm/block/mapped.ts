/** Formats that say where each range of the disk is. The one loop that reads from such a map, and its block status. */
import { Bits, DebugEvent } from '../abi';
import { SectorCipher } from '../crypto/sector';
import { BlockNode } from './node';
import { found } from './status';

/** Where a range of the disk is. */
export const enum Place {
  /** In no cluster: the backing node shows through. */
  UNALLOCATED = 0,
  /** Zeros that take no space. */
  ZERO = 1,
  /** Zeros, with a place kept at `mapHost`. */
  ZERO_AT = 2,
  /** At `mapHost` in the node that holds the data. */
  DATA = 3,
  /** Compressed; `mapHost` means something to the driver. */
  COMPRESSED = 4,
  /** As UNALLOCATED, with a place kept at `mapHost`. */
  UNALLOCATED_AT = 5,
}

/** With {@link MappedNode.map}: offset in the node that holds the data. */
export let mapHost: i64 = 0;
/** Bytes for which the answer holds. */
export let mapBytes: i64 = 0;

/** Called by `map` to fill in its answer; answers `place`. */
@inline
export function mapped(place: i32, host: i64, bytes: i64): i32 {
  mapHost = host;
  mapBytes = bytes;
  return place;
}

export abstract class MappedNode extends BlockNode {
  /** The {@link Place} of a prefix (> 0 bytes) of a range, or a negative errno. */
  abstract map(offset: i64, bytes: i64): i32;
  /** Reads a piece of one compressed cluster. */
  abstract readCompressed(offset: i64, descriptor: i64, bytes: i32, to: usize): i32;
  /** Whether holes are to be looked for in the file below data. */
  abstract recurse(): bool;

  /** Data is encrypted: where it is in the file tells nobody what it is. */
  encrypted: bool = false;
  /** What data is decrypted with; null: nothing, or the key is not known. */
  cipher: SectorCipher | null = null;
  /** The offset in the disk counts for the cipher, not the one in the file. */
  cipherByGuest: bool = false;

  /** Reads data that is in one piece in the file. */
  @inline
  private readData(guest: i64, host: i64, bytes: i32, to: usize): i32 {
    const file = this.storage;
    file.event(DebugEvent.READ_AIO);
    const r = file.pread(host, bytes, to);
    const cipher = this.cipher;
    if (cipher && r === 0) cipher.run(false, <u64>((this.cipherByGuest ? guest : host) >> 9), to, bytes);
    return r;
  }

  /** Reads a range; extents that are neighbours in the file become one request. */
  readMapped(offset: i64, bytes: i32, to: usize): i32 {
    const file = this.storage;
    let host: i64 = 0;
    let pending = 0;
    let into: usize = 0;
    while (bytes > 0) {
      const place = this.map(offset, bytes);
      if (place < 0) return place;
      const n = <i32>mapBytes;
      if (place === Place.DATA) {
        if (pending && host + pending === mapHost) {
          pending += n;
        } else {
          if (pending) {
            const start = mapHost;
            const r = this.readData(offset - pending, host, pending, into);
            if (r < 0) return r;
            host = start;
          } else {
            host = mapHost;
          }
          pending = n;
          into = to;
        }
      } else {
        if (pending) {
          const descriptor = mapHost;
          const r = this.readData(offset - pending, host, pending, into);
          if (r < 0) return r;
          pending = 0;
          mapHost = descriptor;
        }
        let r = 0;
        if (place === Place.COMPRESSED) r = this.readCompressed(offset, mapHost, n, to);
        else if ((place === Place.UNALLOCATED || place === Place.UNALLOCATED_AT) && this.backing) {
          file.event(DebugEvent.READ_BACKING_AIO);
          r = this.backing!.pread(offset, n, to);
        } else memory.fill(to, 0, n);
        if (r < 0) return r;
      }
      offset += n;
      to += n;
      bytes -= n;
    }
    if (!pending) return 0;
    return this.readData(offset - pending, host, pending, into);
  }

  doStatus(wantZero: bool, offset: i64, bytes: i64): i32 {
    const place = this.map(offset, bytes);
    if (place < 0) return place;
    const n = mapBytes;
    const host = mapHost;
    if (this.encrypted) {
      found(n, 0, null);
      if (place === Place.COMPRESSED) return Bits.DATA | Bits.COMPRESSED;
      if (place === Place.DATA) return Bits.DATA;
      return place === Place.ZERO || place === Place.ZERO_AT ? Bits.ZERO : 0;
    }
    switch (place) {
      case Place.DATA: {
        const flags = Bits.DATA | Bits.OFFSET_VALID;
        const deeper = wantZero && this.recurse();
        found(n, host, this.storage);
        return deeper ? flags | Bits.RECURSE : flags;
      }
      case Place.ZERO_AT:
        found(n, host, this.storage);
        return Bits.ZERO | Bits.OFFSET_VALID;
      case Place.COMPRESSED:
        found(n, 0, null);
        return Bits.DATA | Bits.COMPRESSED;
      case Place.UNALLOCATED_AT:
        found(n, host, this.child);
        return Bits.OFFSET_VALID;
      case Place.ZERO:
        found(n, 0, null);
        return Bits.ZERO;
      default:
        found(n, 0, null);
        return 0;
    }
  }
}
