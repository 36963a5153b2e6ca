/** Requests of qemu-io of any length, done in pieces that fit a small buffer; and the lines printed about them. */
import { BlockError, type IoBuffer } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import type { BlockUser } from '../../graph';
import { ioDuration, ioSize } from '../human';
import { decimal } from '../sizes';
import type { IoCall } from './command';
import type { Extent } from './extent';
import type { IoSession } from './session';

/** Bytes moved at once. */
const PIECE = 2 * 1024 * 1024;
/** Bytes zeroed or discarded at once; requests have less than 2^31. */
const BULK_PIECE = 1024 * 1024 * 1024;
const DUMP_WIDTH = 16;

/** Sends a request, and waits for it; `report` prints how it ended and answers whether well. */
export async function waitFor(
  call: IoCall,
  request: { writes: boolean; extent: Extent; run(): Promise<void> },
  report: (failure: unknown) => boolean,
): Promise<boolean> {
  let failure: unknown = null;
  try {
    await call.file.requests.wait(request);
  } catch (error) {
    if (call.session.context.signal.aborted) throw error;
    failure = error;
  }
  return report(failure);
}

/** Refuses what is not inside the image, before anything was done. */
function checkBounds(user: { length(): number }, { offset, bytes }: Extent): void {
  if (offset + bytes > user.length()) throw new BlockError(Errno.EIO, strerror(Errno.EIO));
}

/** Requests for the disk, or for something else that is kept like it. */
export interface Target {
  read(offset: number, bytes: number, buffer: IoBuffer): void;
  write(offset: number, bytes: number, buffer: IoBuffer, at: number, flags: number): void;
  /** Bytes. */
  length(): number;
}

/** The state of a virtual machine, which has no end. */
export function vmStateOf(user: BlockUser): Target {
  return {
    read: (offset, bytes, buffer) => user.readVmState(offset, bytes, buffer),
    write: (offset, bytes, buffer) => user.writeVmState(offset, bytes, buffer),
    length: () => Infinity,
  };
}

/** Reads; `each` gets the bytes piece by piece (valid during the call) with the place of the piece in the extent. */
export async function readPieces(
  session: IoSession,
  target: Pick<Target, 'read' | 'length'>,
  extent: Extent,
  each: (bytes: Uint8Array, at: number) => void,
): Promise<void> {
  checkBounds(target, extent);
  const { presence } = session.context.engine;
  const pace = session.pace();
  const buffer = session.context.engine.alloc(Math.min(PIECE, Math.max(extent.bytes, 1)));
  try {
    for (let at = 0; at < extent.bytes; at += PIECE) {
      const bytes = Math.min(PIECE, extent.bytes - at);
      await presence.present(() => target.read(extent.offset + at, bytes, buffer));
      each(buffer.view(0, bytes), at);
      await pace.rest(at, extent.bytes);
    }
  } finally {
    buffer.free();
  }
}

/** Writes what `fill` puts into each piece. */
export async function writePieces(
  session: IoSession,
  target: Pick<Target, 'write' | 'length'>,
  extent: Extent,
  flags: number,
  fill: (bytes: Uint8Array, at: number) => void,
): Promise<void> {
  checkBounds(target, extent);
  const { presence } = session.context.engine;
  const pace = session.pace();
  const buffer = session.context.engine.alloc(Math.min(PIECE, Math.max(extent.bytes, 1)));
  try {
    for (let at = 0; at < extent.bytes; at += PIECE) {
      const bytes = Math.min(PIECE, extent.bytes - at);
      fill(buffer.view(0, bytes), at);
      await presence.present(() => target.write(extent.offset + at, bytes, buffer, 0, flags));
      await pace.rest(at, extent.bytes);
    }
  } finally {
    buffer.free();
  }
}

/**
 * The same compressed. A piece is always whole clusters; a request that is not must fail before any of it is written.
 */
export async function compressPieces(
  session: IoSession,
  user: BlockUser,
  extent: Extent,
  flags: number,
  fill: (bytes: Uint8Array, at: number) => void,
): Promise<void> {
  const { offset, bytes } = extent;
  checkBounds(user, extent);
  const cluster = user.clusterSize;
  // With its data in a file of its own the image takes no compressed data at all.
  if (cluster !== null && !user.node.children.some(({ name }) => name === 'data-file')) {
    const whole = bytes % cluster === 0 || offset + bytes === user.length();
    if (offset % cluster !== 0 || !whole) throw new BlockError(Errno.EINVAL, strerror(Errno.EINVAL));
  }
  const pace = session.pace();
  const buffer = session.context.engine.alloc(Math.min(PIECE, Math.max(bytes, 1)));
  try {
    let at = 0;
    // A request of no bytes means something too: it ends a series.
    do {
      const n = Math.min(PIECE, bytes - at);
      fill(buffer.view(0, n), at);
      const from = offset + at;
      await user.present(() => user.writeCompressed(from, n, buffer, 0, flags));
      await pace.rest(at, bytes);
      at += PIECE;
    } while (at < bytes);
  } finally {
    buffer.free();
  }
}

/** Zeroes or discards in pieces. */
export async function bulkPieces(
  session: IoSession,
  user: BlockUser,
  extent: Extent,
  request: (offset: number, bytes: number) => void,
): Promise<void> {
  checkBounds(user, extent);
  const pace = session.pace();
  for (let at = 0; at < extent.bytes; at += BULK_PIECE) {
    const offset = extent.offset + at;
    await user.present(() => request(offset, Math.min(BULK_PIECE, extent.bytes - at)));
    await pace.rest(at, extent.bytes);
  }
}

/** How the two lines about a request are printed. */
export interface ReportStyle {
  quiet: boolean;
  /** -C: one line for programs. */
  machine: boolean;
}

/** Prints what was done: `verb` is `read`, `wrote` or `discard`. `since` is a time of performance.now(). */
export function reportTransfer(
  session: IoSession,
  verb: string,
  { offset, bytes }: Extent,
  since: number,
  style: ReportStyle,
): void {
  if (style.quiet) return;
  // A clock that is too coarse must not make the rate infinite.
  const seconds = Math.max(performance.now() - since, 0.0001) / 1000;
  const rate = bytes / seconds;
  if (style.machine) {
    const time = ioDuration(seconds, true);
    session.print(`${bytes},1,${time},${rate.toFixed(3)},${(1 / seconds).toFixed(3)}`);
    return;
  }
  session.print(`${verb} ${bytes}/${bytes} bytes at offset ${decimal(offset)}`);
  session.print(
    `${ioSize(bytes)}, 1 ops; ${ioDuration(seconds)} (${ioSize(rate)}/sec and ${(1 / seconds).toFixed(4)} ops/sec)`,
  );
}

/** Lines of 16 bytes, in hexadecimal and as characters. */
export function dump(bytes: Uint8Array, offset: number): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += DUMP_WIDTH) {
    const row = bytes.subarray(at, at + DUMP_WIDTH);
    const numbers = Array.from(row, (byte) => `${byte.toString(16).padStart(2, '0')} `).join('');
    const characters = Array.from(row, (byte) => printable(byte)).join('');
    lines.push(`${(offset + at).toString(16).padStart(8, '0')}:  ${numbers} ${characters}\n`);
  }
  return lines.join('');
}

function printable(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[0-9A-Za-z]/.test(character) ? character : '.';
}
