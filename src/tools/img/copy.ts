/** The copying of qemu-img convert: from one or several images, one behind the other, into a target (tools.md 1.7). */
import { Status, RequestFlag, type BlockStatus, type IoBuffer } from '../../engine/contract';
import type { BlockUser } from '../../graph';
import type { ToolContext } from '../context';
import { step, ToolFailure, toFailure } from '../failure';
import { Pace } from '../pace';
import type { Progress } from '../progress';
import { RateLimit } from '../ratelimit';
import { nextRun, SECTOR } from './zeroruns';

/** Data is looked through for zeros in pieces of at most this many bytes, as by the real tool. */
const PIECE = 2 * 1024 * 1024;
/** It moves in smaller ones, which stay in the caches of the processor from the read to the write. */
const MOVED = 512 * 1024;
/** Zeros are written in pieces of at most this many bytes, so that no call takes long. */
const ZERO_PIECE = 64 * 1024 * 1024;

/** What is copied where. */
export interface CopyPlan {
  sources: readonly BlockUser[];
  target: BlockUser;
  /** The target reads as zeros where nothing was written yet. */
  targetIsZero: boolean;
  /**
   * Bytes of the target's backing file; null: there is none. Only what differs from it is copied, and what reads as zeros
   * behind its end is left alone in a new image. Infinity: into an image that was there, where nothing is known.
   */
  backingLength: number | null;
  /** Runs of zeros of at least this many bytes are not written as data; 0: all is. */
  minimumZeros: number;
  /** Data is looked through for zeros. */
  findZeros: boolean;
  /** Sectors that cannot be read become zeros. */
  salvage: boolean;
  /** Bytes a second; 0: no limit. */
  rate: number;
  /** Bytes of a cluster, to write compressed ones; 0: nothing is compressed. */
  compress: number;
}

/** What a piece of the source is to the target. */
type Kind = 'data' | 'zero' | 'backing';

interface Piece {
  kind: Kind;
  bytes: number;
  source: BlockUser;
  /** Offset in the source. */
  from: number;
}

/** Copies all of it. Failures are {@link ToolFailure}s with the text of the real tool. */
export async function copyImages(
  context: ToolContext,
  plan: CopyPlan,
  progress: Progress,
  warn: (text: string) => void,
): Promise<void> {
  const copier = new Copier(context, plan, progress, warn);
  try {
    await copier.run();
  } finally {
    copier.free();
  }
}

class Copier {
  private readonly buffer: IoBuffer;
  private readonly total: number;
  private readonly starts: readonly number[];
  /** A power of two: data runs end on it. */
  private readonly alignment: number;
  /** Bytes, to whose multiples on the target data is moved; Infinity: whole pieces are. */
  private readonly moved: number;
  private readonly pace: Pace;
  private readonly limit: RateLimit;
  private copied = 0;

  constructor(
    private readonly context: ToolContext,
    private readonly plan: CopyPlan,
    private readonly progress: Progress,
    private readonly warn: (text: string) => void,
  ) {
    const starts: number[] = [];
    let total = 0;
    for (const source of plan.sources) {
      starts.push(total);
      total += source.length();
    }
    this.starts = starts;
    this.total = total;
    this.alignment = plan.minimumZeros === 0 ? SECTOR : 2 ** Math.floor(Math.log2(plan.minimumZeros));
    // A run of zeros must not be cut where that would make it too short to count; clusters are written whole.
    const splits =
      plan.minimumZeros === 0 || (this.alignment === plan.minimumZeros && this.alignment <= MOVED);
    this.moved = splits ? Math.max(MOVED, plan.target.clusterSize ?? 0) : Infinity;
    this.buffer = context.engine.alloc(PIECE);
    this.pace = new Pace(context);
    this.limit = new RateLimit(context, plan.rate);
  }

  free(): void {
    this.buffer.free();
  }

  async run(): Promise<void> {
    const work = await this.measure();
    for (let at = 0; at < this.total;) {
      const piece = await this.pieceAt(at);
      if (piece.kind === 'data') await this.copy(piece, at, work);
      else if (piece.kind === 'zero') await this.zero(at, piece.bytes, work);
      at += piece.bytes;
      await this.pace.rest(this.copied, work);
    }
    if (this.plan.compress === 0) return;
    // No bytes: that was the last compressed cluster.
    const { target } = this.plan;
    await step('', () => target.present(() => target.writeCompressed(0, 0, this.buffer)));
  }

  /** How many bytes are going to be written, for the progress. */
  private async measure(): Promise<number> {
    let work = 0;
    for (let at = 0; at < this.total;) {
      const piece = await this.pieceAt(at);
      if (this.counts(piece.kind)) work += piece.bytes;
      at += piece.bytes;
      await this.pace.rest();
    }
    return work;
  }

  private counts(kind: Kind): boolean {
    return kind === 'data' || (kind === 'zero' && this.plan.minimumZeros === 0);
  }

  private async pieceAt(at: number): Promise<Piece> {
    const { sources, backingLength } = this.plan;
    let index = this.starts.findLastIndex((start) => start <= at);
    // A source without any bytes starts where the next one does.
    if (index < 0) index = 0;
    const source = sources[index];
    if (!source) throw new ToolFailure('Invalid source');
    const from = at - (this.starts[index] ?? 0);
    let limit = source.length() - from;
    if (backingLength !== null && at < backingLength) limit = Math.min(limit, backingLength - at);
    const status = await step(`error while reading block status at offset ${at}: `, () =>
      source.present(() => this.status(source, from, limit)),
    );
    const bytes = Math.max(Math.min(status.bytes, limit), Math.min(SECTOR, limit));
    const piece = { kind: this.kindOf(status.flags, at), bytes, source, from };
    const cluster = this.plan.compress;
    if (cluster === 0) return piece;
    // Clusters are compressed as a whole: one of which a part is data is data, and may reach into the next source.
    if (bytes < cluster) return { ...piece, kind: 'data', bytes: Math.min(cluster, this.total - at) };
    return { ...piece, bytes: bytes - (bytes % cluster) };
  }

  private status(source: BlockUser, from: number, bytes: number): Pick<BlockStatus, 'flags' | 'bytes'> {
    // With a backing file below the target, what the source's own backing files hold is there already.
    let top = source.node;
    while (top.isFilter && top.filtered) top = top.filtered;
    const base = this.plan.backingLength === null ? null : top.backing;
    try {
      return source.blockStatusAbove(base, from, bytes);
    } catch (error) {
      if (!this.plan.salvage) throw error;
      return { flags: Status.DATA, bytes: Math.min(bytes, SECTOR) };
    }
  }

  private kindOf(flags: number, at: number): Kind {
    const { backingLength } = this.plan;
    if (flags & Status.ZERO) return backingLength !== null && at >= backingLength ? 'backing' : 'zero';
    if (flags & Status.DATA) return 'data';
    return backingLength === null ? 'data' : 'backing';
  }

  /** Writes the clusters of a piece compressed, but for those that hold nothing but zeros. */
  private async compress(at: number, bytes: number, work: number): Promise<void> {
    const { minimumZeros, compress: cluster } = this.plan;
    for (let done = 0; done < bytes; done += PIECE) {
      const n = Math.min(PIECE, bytes - done);
      await this.readAcross(at + done, n);
      for (let used = 0; used < n; used += cluster) {
        const size = Math.min(cluster, n - used);
        const zero = minimumZeros !== 0 && this.context.engine.zeroRun(this.buffer, used, size) === size;
        if (zero) await this.writeZeroes(at + done + used, size);
        else await this.write(at + done + used, size, used);
        await this.report(size, work);
      }
    }
  }

  /** Reads a range that may reach from one source into the next. */
  private async readAcross(at: number, bytes: number): Promise<void> {
    for (let done = 0; done < bytes;) {
      const index = this.starts.findLastIndex((start) => start <= at + done);
      const source = this.plan.sources[index];
      if (!source) throw new ToolFailure('Invalid source');
      const from = at + done - (this.starts[index] ?? 0);
      const n = Math.min(bytes - done, source.length() - from);
      await this.read(source, from, n, at + done, done);
      done += n;
    }
  }

  private async copy(piece: Piece, at: number, work: number): Promise<void> {
    if (this.plan.compress) return this.compress(at, piece.bytes, work);
    const { engine } = this.context;
    const { minimumZeros, findZeros } = this.plan;
    const verbatim = minimumZeros === 0 || !findZeros;
    for (let done = 0; done < piece.bytes;) {
      const inPiece = PIECE - (done % PIECE);
      const inMoved = this.moved === Infinity ? PIECE : this.moved - ((at + done) % this.moved);
      const bytes = Math.min(inPiece, inMoved, piece.bytes - done);
      await this.read(piece.source, piece.from + done, bytes, at + done);
      const view = (from: number, length: number): number => engine.zeroRun(this.buffer, from, length);
      for (let used = 0; used < bytes;) {
        const offset = at + done + used;
        const rules = { alignment: this.alignment, minimum: minimumZeros };
        const run = verbatim
          ? { data: true, bytes: bytes - used }
          : nextRun(view, used, bytes - used, offset, rules);
        if (run.data) await this.write(offset, run.bytes, used);
        else await this.writeZeroes(offset, run.bytes);
        used += run.bytes;
      }
      done += bytes;
      if (done % PIECE === 0 || done === piece.bytes) await this.report(((done - 1) % PIECE) + 1, work);
      else await this.pace.rest(this.copied, work);
    }
  }

  /** Reads to `to` of the buffer; `at` is the offset in the target. */
  private async read(source: BlockUser, from: number, bytes: number, at: number, to = 0): Promise<void> {
    try {
      await source.present(() => source.read(from, bytes, this.buffer, to));
      return;
    } catch (error) {
      if (!this.plan.salvage) throw toFailure(error).prefixed(`error while reading at byte ${at}: `);
    }
    for (let done = 0; done < bytes; done += SECTOR) {
      const size = Math.min(SECTOR, bytes - done);
      try {
        await source.present(() => source.read(from + done, size, this.buffer, to + done));
      } catch (error) {
        this.warn(`error while reading offset ${at + done}: ${toFailure(error).message}`);
        this.buffer.view(to + done, size).fill(0);
      }
      await this.pace.rest();
    }
  }

  private async zero(at: number, bytes: number, work: number): Promise<void> {
    if (this.plan.minimumZeros !== 0) {
      await this.writeZeroes(at, bytes);
      return;
    }
    this.buffer.view(0, Math.min(PIECE, bytes)).fill(0);
    for (let done = 0; done < bytes;) {
      const size = Math.min(PIECE, bytes - done);
      await this.write(at + done, size, 0);
      done += size;
      await this.report(size, work);
    }
  }

  private async write(at: number, bytes: number, from: number): Promise<void> {
    const { target, compress } = this.plan;
    await step(`error while writing at byte ${at}: `, () =>
      target.present(() => {
        if (compress) target.writeCompressed(at, bytes, this.buffer, from);
        else target.write(at, bytes, this.buffer, from);
      }),
    );
  }

  private async writeZeroes(at: number, bytes: number): Promise<void> {
    const { target, targetIsZero } = this.plan;
    if (targetIsZero) return;
    for (let done = 0; done < bytes;) {
      const size = Math.min(ZERO_PIECE, bytes - done);
      await step(`error while writing at byte ${at}: `, () =>
        target.present(() => target.writeZeroes(at + done, size, RequestFlag.MAY_UNMAP)),
      );
      done += size;
      await this.pace.rest();
    }
  }

  /** Counts what was written, shows it, and waits if that was faster than wished. */
  private async report(bytes: number, work: number): Promise<void> {
    this.copied += bytes;
    this.progress.report((100 * this.copied) / Math.max(work, 1));
    await this.pace.rest(this.copied, work);
    await this.limit.account(bytes);
  }
}
