/** The copying of qemu-img commit: what a chain holds above an image is written to that image (tools.md 1.9). */
import { RequestFlag, Status, type IoBuffer } from '../../engine/contract';
import type { BlockUser } from '../../graph';
import type { ToolContext } from '../context';
import { Pace } from '../pace';
import type { Progress } from '../progress';
import { RateLimit } from '../ratelimit';

/** Data moves in pieces of at most this many bytes, or a cluster of the base: they stay in the caches of the processor. */
const PIECE = 512 * 1024;
/** Zeros are written in pieces of at most this many bytes, so that no call takes long. */
const ZERO_PIECE = 64 * 1024 * 1024;
/** Pieces are whole multiples of the base's clusters, within these bounds: as QEMU's dirty bitmaps count. */
const MIN_GRAIN = 4096;
const MAX_GRAIN = 65536;

/** What is written where. */
interface CommitPlan {
  /** The image on top; it reads the same before, after and in between. */
  image: BlockUser;
  /** An image below it. It becomes as long as the one on top. */
  base: BlockUser;
  /** Bytes a second; 0: no limit. */
  rate: number;
}

/** A range of the disk, in bytes. */
interface Range {
  from: number;
  end: number;
}

/** Writes everything, and has it on stable storage at the end. */
export async function commitData(context: ToolContext, plan: CommitPlan, progress: Progress): Promise<void> {
  const work = new CommitWork(context, plan, progress);
  try {
    await work.run();
  } finally {
    work.free();
  }
}

class CommitWork {
  private readonly buffer: IoBuffer;
  private readonly pace: Pace;
  private readonly limit: RateLimit;
  /** Bytes. */
  private readonly piece: number;
  private readonly grain: number;
  private readonly length: number;
  private done = 0;
  private total = 0;

  constructor(
    context: ToolContext,
    private readonly plan: CommitPlan,
    private readonly progress: Progress,
  ) {
    const cluster = plan.base.clusterSize ?? MAX_GRAIN;
    this.grain = Math.min(Math.max(cluster, MIN_GRAIN), MAX_GRAIN);
    this.length = plan.image.length();
    this.piece = Math.max(PIECE, cluster);
    this.buffer = context.engine.alloc(this.piece);
    this.pace = new Pace(context);
    this.limit = new RateLimit(context, plan.rate);
  }

  free(): void {
    this.buffer.free();
  }

  async run(): Promise<void> {
    const { base } = this.plan;
    if (base.length() < this.length) await base.present(() => base.truncate(this.length));
    for await (const { from, end } of this.held()) this.total += end - from;
    for await (const range of this.held()) await this.write(range);
    await base.present(() => base.flush());
  }

  /** What is allocated above the base, widened to whole grains; ascending, and no byte comes twice. */
  private async *held(): AsyncGenerator<Range> {
    const { image, base } = this.plan;
    const { grain, length } = this;
    let last: Range = { from: 0, end: 0 };
    for (let at = 0; at < length;) {
      await this.pace.rest(this.done, this.total);
      const { flags, bytes } = await image.present(() => image.blockStatusAbove(base.node, at, length - at));
      const next = at + Math.max(bytes, 1);
      if (flags & Status.ALLOCATED) {
        const from = Math.max(last.end, at - (at % grain));
        const end = Math.min(length, Math.ceil(next / grain) * grain);
        if (from < end) yield (last = { from, end });
      }
      at = Math.max(next, last.end);
    }
  }

  private async write({ from: start, end }: Range): Promise<void> {
    const { image, base } = this.plan;
    for (let at = start; at < end;) {
      const from = at;
      const status = await image.present(() => image.blockStatusAbove(null, from, end - from));
      // A grain that is zero in part only is data.
      const whole = status.bytes >= end - at ? end - at : status.bytes - (status.bytes % this.grain);
      const zero = whole > 0 && (status.flags & Status.ZERO) !== 0;
      const bytes = Math.min(whole || Math.min(this.grain, end - at), zero ? ZERO_PIECE : this.piece);
      await image.present(() => {
        if (zero) base.writeZeroes(from, bytes, RequestFlag.MAY_UNMAP);
        else this.copy(from, bytes);
      });
      at += bytes;
      await this.report(bytes);
    }
  }

  private copy(at: number, bytes: number): void {
    this.plan.image.read(at, bytes, this.buffer);
    this.plan.base.write(at, bytes, this.buffer);
  }

  private async report(bytes: number): Promise<void> {
    this.done += bytes;
    this.progress.report((100 * this.done) / this.total);
    await this.pace.rest(this.done, this.total);
    await this.limit.account(bytes);
  }
}
