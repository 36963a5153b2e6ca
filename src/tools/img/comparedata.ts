/** The comparing of qemu-img compare (tools.md 1.6). */
import { Status, type BlockStatus, type IoBuffer } from '../../engine/contract';
import type { BlockUser } from '../../graph';
import type { ToolContext } from '../context';
import { ToolFailure, toFailure } from '../failure';
import { Pace } from '../pace';
import type { Progress } from '../progress';
import { SECTOR } from './zeroruns';

/** Data is compared in pieces of at most this many bytes. */
const PIECE = 2 * 1024 * 1024;

/** Exit codes of failures. */
const STATUS_FAILED = 3;
const READ_FAILED = 4;

/** The result, and how it is told. */
export interface Verdict {
  same: boolean;
  text: string;
}

/** One side of the comparison. */
interface Image {
  user: BlockUser;
  /** As the user named it. */
  name: string;
}

const IDENTICAL: Verdict = { same: true, text: 'Images are identical.' };

function mismatch(offset: number): Verdict {
  return { same: false, text: `Content mismatch at offset ${offset}!` };
}

/** One comparison of two images. Failures are {@link ToolFailure}s with the text and the exit code of the real tool. */
export class Comparison {
  private readonly buffers: readonly [IoBuffer, IoBuffer];
  private readonly pace: Pace;
  /** Bytes that are looked at in all. */
  private total = 0;

  constructor(
    private readonly context: ToolContext,
    private readonly images: readonly [Image, Image],
    private readonly strict: boolean,
    private readonly progress: Progress,
  ) {
    this.buffers = [context.engine.alloc(PIECE), context.engine.alloc(PIECE)];
    this.pace = new Pace(context);
  }

  free(): void {
    for (const buffer of this.buffers) buffer.free();
  }

  /** @param sizesDiffer called when all is equal up to the end of the shorter image */
  async run(sizesDiffer: () => void): Promise<Verdict> {
    const [a, b] = this.images;
    const [lengthA, lengthB] = [await length(a), await length(b)];
    this.total = Math.max(lengthA, lengthB);
    if (this.strict && lengthA !== lengthB) {
      return { same: false, text: 'Strict mode: Image size mismatch!' };
    }
    const common = Math.min(lengthA, lengthB);
    const different = await this.compareCommon(common);
    if (different) return different;
    if (lengthA === lengthB) return IDENTICAL;
    sizesDiffer();
    return (await this.checkTail(lengthA > lengthB ? a : b, common)) ?? IDENTICAL;
  }

  private async compareCommon(end: number): Promise<Verdict | null> {
    const [a, b] = this.images;
    for (let at = 0; at < end;) {
      const [ofA, ofB] = [await status(a, at, end - at), await status(b, at, end - at)];
      if (this.strict && ofA.flags !== ofB.flags) {
        return { same: false, text: `Strict mode: Offset ${at} block status mismatch!` };
      }
      let bytes = Math.min(ofA.bytes, ofB.bytes, end - at);
      const [inA, inB] = [ofA.flags & Status.ALLOCATED, ofB.flags & Status.ALLOCATED];
      const bothZero = ofA.flags & ofB.flags & Status.ZERO;
      if (!bothZero && (inA || inB)) {
        bytes = Math.min(bytes, PIECE);
        const found = await (inA && inB
          ? this.compareData(at, bytes)
          : this.checkZeros(inA ? a : b, at, bytes));
        if (found !== null) return mismatch(found);
      }
      at += bytes;
      await this.report(at);
    }
    return null;
  }

  /** Looks for data behind the end of the shorter image. */
  private async checkTail(image: Image, from: number): Promise<Verdict | null> {
    for (let at = from; at < this.total;) {
      const { flags, bytes } = await status(image, at, this.total - at);
      let step = Math.min(bytes, this.total - at);
      if (flags & Status.ALLOCATED && !(flags & Status.ZERO)) {
        step = Math.min(step, PIECE);
        const found = await this.checkZeros(image, at, step);
        if (found !== null) return mismatch(found);
      }
      at += step;
      await this.report(at);
    }
    return null;
  }

  /** The offset of the first sector that differs; null: none does. */
  private async compareData(at: number, bytes: number): Promise<number | null> {
    const [a, b] = this.buffers;
    await read(this.images[0], at, bytes, a);
    await read(this.images[1], at, bytes, b);
    const equal = this.context.engine.compareRun(a, b, 0, bytes, SECTOR);
    return equal === bytes ? null : at + Math.max(0, equal);
  }

  /** The offset of the first sector that is not zero; null: there is none. */
  private async checkZeros(image: Image, at: number, bytes: number): Promise<number | null> {
    const [buffer] = this.buffers;
    await read(image, at, bytes, buffer);
    const zeros = Math.max(0, this.context.engine.zeroRun(buffer, 0, bytes));
    return zeros === bytes ? null : at + zeros - (zeros % SECTOR);
  }

  private async report(done: number): Promise<void> {
    this.progress.report((100 * done) / this.total);
    await this.pace.rest(done, this.total);
  }
}

/** Bytes, in whole sectors. */
function length({ user, name }: Image): Promise<number> {
  return attempt(
    `Can't get size of ${name}: `,
    READ_FAILED,
    () => Math.ceil(user.length() / SECTOR) * SECTOR,
  );
}

async function status({ user, name }: Image, at: number, bytes: number): Promise<BlockStatus> {
  try {
    const found = await user.present(() => user.blockStatusAbove(null, at, bytes));
    // The last sector may be longer than the file.
    return found.bytes > 0 ? found : { ...found, bytes };
  } catch (error) {
    toFailure(error);
    throw new ToolFailure(`Sector allocation test failed for ${name}`, [], STATUS_FAILED);
  }
}

function read({ user, name }: Image, at: number, bytes: number, buffer: IoBuffer): Promise<void> {
  return attempt(`Error while reading offset ${at} of ${name}: `, READ_FAILED, () =>
    user.present(() => user.read(at, bytes, buffer)),
  );
}

async function attempt<T>(prefix: string, code: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message, hints } = toFailure(error);
    throw new ToolFailure(prefix + message, hints, code);
  }
}
