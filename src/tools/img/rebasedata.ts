/**
 * The copying of a safe qemu-img rebase: where an image holds nothing and its old and its new backing file differ, it gets
 * what the old one holds (tools.md 1.8).
 */
import { Status, type IoBuffer } from '../../engine/contract';
import type { BlockNodeInfo, BlockUser, NodeView } from '../../graph';
import type { ToolContext } from '../context';
import { step, ToolFailure } from '../failure';
import { Pace } from '../pace';
import type { Progress } from '../progress';
import { backingOf } from './chain';

/** Bytes that are compared at once. */
const PIECE = 2 * 1024 * 1024;
/** A cluster with extended L2 entries has so many parts. */
const SUBCLUSTERS = 32;
const SECTOR = 512;

/** What is compared, and where to the differences go. */
interface RebasePlan {
  image: BlockUser;
  /** The old backing file; null: there is none. */
  before: BlockUser | null;
  /** The new one; null: there will be none. */
  after: BlockUser | null;
  /** The node of the new one if it is in the chain of the image: only what is above it can differ. */
  shared: NodeView | null;
  compress: boolean;
}

/** Writes everything that differs, and has it on stable storage at the end. */
export async function rebaseData(context: ToolContext, plan: RebasePlan, progress: Progress): Promise<void> {
  const info = await plan.image.present(() => plan.image.info());
  const work = new RebaseWork(context, plan, info, progress);
  try {
    await work.run();
  } finally {
    work.free();
  }
}

class RebaseWork {
  private readonly old: IoBuffer;
  private readonly next: IoBuffer;
  private readonly pace: Pace;
  private readonly length: number;
  private readonly beforeLength: number;
  private readonly afterLength: number;
  /** What the image allocates at once, and what is compressed at once; bytes. */
  private readonly unit: number;
  private readonly cluster: number;

  constructor(
    private readonly context: ToolContext,
    private readonly plan: RebasePlan,
    info: BlockNodeInfo,
    private readonly progress: Progress,
  ) {
    const { image, before, after, compress } = plan;
    this.cluster = info['cluster-size'] ?? SECTOR;
    const specific = info['format-specific'];
    const extended = specific?.type === 'qcow2' && specific.data['extended-l2'] === true;
    this.unit = extended && !compress ? this.cluster / SUBCLUSTERS : this.cluster;
    this.length = image.length();
    this.beforeLength = before?.length() ?? 0;
    this.afterLength = after?.length() ?? 0;
    this.old = context.engine.alloc(PIECE);
    this.next = context.engine.alloc(PIECE);
    this.pace = new Pace(context);
  }

  free(): void {
    this.old.free();
    this.next.free();
  }

  async run(): Promise<void> {
    const { image, compress } = this.plan;
    // Every piece that is compared counts as one of so many as the disk has.
    const share = 100 / Math.floor(this.length / Math.min(this.length, PIECE));
    let percent = 0;
    for (let at = 0; at < this.length;) {
      const found = await this.pieceAt(at);
      if (found.differs) {
        at -= at % this.unit;
        const bytes = Math.min(Math.ceil((found.end - at) / this.unit) * this.unit, PIECE, this.length - at);
        await this.piece(at, bytes);
        at += bytes;
        percent = Math.min(100, percent + share);
        this.progress.report(percent);
      } else at = found.end;
      await this.pace.rest(at, this.length);
    }
    // No bytes: that was the last compressed cluster.
    await image.present(() => {
      if (compress) image.writeCompressed(0, 0, this.old);
      image.flush();
    });
  }

  /** What begins at an offset: a range that may differ, or one that needs no look. */
  private async pieceAt(at: number): Promise<{ differs: boolean; end: number }> {
    const { image, shared } = this.plan;
    const backing = backingOf(image.node);
    const look = (): { differs: boolean; end: number } => {
      const bytes = Math.min(PIECE, this.length - at);
      const own = image.blockStatus(at, bytes);
      const end = at + Math.max(1, Math.min(own.bytes, bytes));
      if (own.flags & Status.ALLOCATED) return { differs: false, end };
      if (!shared || !backing) return { differs: true, end };
      const between = image.blockStatusAbove(shared, at, end - at);
      const until = at + Math.max(1, Math.min(between.bytes, end - at));
      return { differs: (between.flags & Status.ALLOCATED) !== 0, end: until };
    };
    return step('error while reading image metadata: ', () => image.present(look));
  }

  /** Compares a piece and writes what differs; it is whole units, and at most as long as the buffers. */
  private async piece(at: number, bytes: number): Promise<void> {
    await this.read(
      this.plan.before,
      this.beforeLength,
      this.old,
      at,
      bytes,
      'error while reading from old backing file',
    );
    await this.read(
      this.plan.after,
      this.afterLength,
      this.next,
      at,
      bytes,
      'error while reading from new backing file',
    );
    for (let done = 0; done < bytes;) {
      const run = this.context.engine.compareRun(this.old, this.next, done, bytes - done, this.unit);
      if (run < 0) await this.write(at + done, -run, done);
      done += Math.abs(run);
    }
  }

  /** What a file lacks behind its end reads as zeros. */
  private async read(
    from: BlockUser | null,
    length: number,
    buffer: IoBuffer,
    at: number,
    bytes: number,
    failure: string,
  ): Promise<void> {
    const there = Math.max(0, Math.min(bytes, length - at));
    try {
      if (there > 0) await from?.present(() => from.read(at, there, buffer));
    } catch {
      throw new ToolFailure(failure);
    }
    buffer.view(there, bytes - there).fill(0);
  }

  private async write(at: number, bytes: number, from: number): Promise<void> {
    const { image, compress } = this.plan;
    const write = (): void => {
      if (at >= this.beforeLength) return image.writeZeroes(at, bytes);
      if (!compress) return image.write(at, bytes, this.old, from);
      for (let done = 0; done < bytes; done += this.cluster) {
        const n = Math.min(this.cluster, bytes - done);
        this.writeCluster(at + done, n, from + done);
      }
    };
    await step('Error while writing to COW image: ', () => image.present(write));
  }

  /** Writes a cluster compressed, unless parts of it are there: these stay, and so does all of it as it is. */
  private writeCluster(at: number, bytes: number, from: number): void {
    const { image } = this.plan;
    const status = image.blockStatus(at, bytes);
    if (!(status.flags & Status.ALLOCATED) && status.bytes >= bytes) {
      image.writeCompressed(at, bytes, this.old, from);
      return;
    }
    for (let done = 0; done < bytes;) {
      const part = image.blockStatus(at + done, bytes - done);
      const n = Math.min(bytes - done, Math.max(1, part.bytes));
      if (!(part.flags & Status.ALLOCATED)) image.write(at + done, n, this.old, from + done);
      done += n;
    }
  }
}
