/** The job of mirrors, and of the commit of an active layer: the target is made equal to the source, and kept so. */
import { BlockError, RequestFlag, Status, type Engine } from '../../engine/contract';
import { copyPresent, type CopyResult } from '../../engine/copy';
import { GraphError } from '../../graph/errors';
import type { MirrorGraph } from '../../graph/jobs/mirrorgraph';
import type { BlockNode } from '../../graph/node';
import { writeBack } from '../../graph/writeback';
import { QmpError, type BlockdevOnError, type MirrorCopyMode } from '../../qapi/index';
import type { BlockJobControl, BlockJobDriver } from './blockjob';

/** Bytes that are copied at once, at most. */
const PIECE = 1 << 20;
/** Bytes that are made zero at once, at most: where a file takes zeros as data only, that must not take long either. */
const ZERO_PIECE = 4 << 20;
/** Bytes that are looked at at once for what is allocated, at most. */
const LOOK = 1 << 30;
/** A ready job looks for new work so often; milliseconds. */
const POLL = 100;

/** Bytes that are written to the target before they begin to go to stable storage. */
const WRITE_BACK = 32 << 20;

/** Default of `buf-size`, bytes. */
const BUFFER = 16 << 20;

/** What a job needs of the graph: changes one after the other. */
type Exclusive = <T>(change: () => Promise<T>) => Promise<T>;

export interface MirrorOptions {
  onSourceError: BlockdevOnError;
  onTargetError: BlockdevOnError;
  /** Bytes that are issued before the speed is looked at; 0: the default. */
  bufSize: number;
  copyMode: MirrorCopyMode;
}

export function mirrorJob(
  engine: Engine,
  exclusive: Exclusive,
  graph: MirrorGraph,
  options: MirrorOptions,
): BlockJobDriver {
  const mirror = new Mirror(engine, graph, options);
  return {
    type: graph.plan.type,
    eager: true,
    softCancel: true,
    endsAfterReply: true,
    get activelySynced() {
      return mirror.activelySynced;
    },
    get holdsSource() {
      return mirror.workDone;
    },
    run: (control) => mirror.run(control),
    complete: () => mirror.complete(),
    ...(graph.plan.type === 'mirror' && {
      change: (wanted) => {
        if ('copy-mode' in wanted) mirror.change(wanted['copy-mode']);
      },
    }),
    prepare: async () => {
      await mirror.catchUp();
      await exclusive(() => graph.finish(mirror.replaced, () => mirror.synchronize()));
    },
    clean: () => exclusive(() => graph.end()),
    dispose: () => exclusive(() => graph.release()),
  };
}

class Mirror {
  /** The node that the target is to replace, when the user has asked for that. */
  replaced: BlockNode | null = null;
  /** From now on guests' writes go to the target too, whatever the copy mode. */
  workDone = false;
  private ready = false;
  private copyMode: MirrorCopyMode;
  /** Where the last piece ended. */
  private position = 0;
  /** Bytes that were copied, or written to the target by guests. */
  private done = 0;
  /** Bytes that were written to the target since it last began to go to stable storage. */
  private unsettled = 0;
  /** There from the start of the work on. */
  private control: BlockJobControl | null = null;

  constructor(
    private readonly engine: Engine,
    private readonly graph: MirrorGraph,
    private readonly options: MirrorOptions,
  ) {
    this.copyMode = options.copyMode;
  }

  get activelySynced(): boolean {
    const active = this.copyMode === 'write-blocking' || this.graph.plan.source.length() === 0;
    return this.ready && active && this.dirty === 0;
  }

  complete(): void {
    this.replaced = this.graph.replaced();
  }

  change(mode: MirrorCopyMode): void {
    if (mode === this.copyMode) return;
    if (mode !== 'write-blocking') throw new QmpError(`Change to copy mode '${mode}' is not implemented`);
    this.copyMode = mode;
    this.engine.mirror.setActive(this.graph.handle, true);
  }

  /** Bytes that may differ. */
  private get dirty(): number {
    return this.engine.bitmaps.count(this.graph.bitmap);
  }

  async run(control: BlockJobControl): Promise<void> {
    this.control = control;
    const { source, target, type, writesOnly } = this.graph.plan;
    const length = source.length();
    const { presence } = this.engine;
    if (type === 'commit') await presence.whenPresent(() => this.graph.growTarget());
    else if (target.length() !== length) throw new GraphError('Source and target image have different sizes');
    if (this.copyMode === 'write-blocking') this.engine.mirror.setActive(this.graph.handle, true);
    if (length > 0 && !writesOnly) await this.markContent(control, length);
    for (;;) {
      this.checkGuests(control);
      this.progress(control, 0);
      const ending = this.replaced !== null || control.cancelRequested;
      if (this.dirty > 0) {
        await this.copySome(control);
        // A ready job looks for work in turns, too: it must not run against a guest that never rests.
        await control.pausePoint();
        continue;
      }
      if (!this.ready || ending) {
        if (await this.settle(control)) continue;
        if (!(await this.flush(control))) continue;
      }
      if (!this.ready) {
        this.ready = true;
        control.becomeReady();
        await control.sleep(0);
        continue;
      }
      if (ending) break;
      await control.sleep(POLL);
      // Whoever woke the job is answered first.
      if (this.replaced !== null || control.cancelRequested) await control.sleep(0);
    }
    this.workDone = true;
    this.engine.mirror.setActive(this.graph.handle, true);
  }

  /** Marks what is to be copied at first, after the target was made zero if that can be done well. */
  private async markContent(control: BlockJobControl, length: number): Promise<void> {
    const { engine } = this;
    const { source, target, base, zeroTarget } = this.graph.plan;
    const { bitmap } = this.graph;
    // The command is answered before anything is copied.
    await control.pausePoint();
    if (zeroTarget && !zeroesUnmap(target)) {
      engine.bitmaps.set(bitmap, 0, length);
      return;
    }
    for (let offset = 0; zeroTarget && offset < length; offset += ZERO_PIECE) {
      await control.pausePoint();
      const bytes = Math.min(ZERO_PIECE, length - offset);
      await engine.presence.whenPresent(() =>
        engine.writeZeroes(target.handle, offset, bytes, RequestFlag.MAY_UNMAP),
      );
    }
    for (let offset = 0; offset < length;) {
      await control.pausePoint();
      const look = Math.min(LOOK, length - offset);
      const from = offset;
      const status = await engine.presence.whenPresent(() =>
        engine.blockStatusAbove(source.handle, base?.handle ?? null, from, look),
      );
      const bytes = status.bytes || look;
      if (status.flags & Status.ALLOCATED) engine.bitmaps.set(bitmap, offset, bytes);
      offset += bytes;
    }
  }

  /** Copies the next marked area, up to the size of the buffer. */
  private async copySome(control: BlockJobControl): Promise<void> {
    const { engine, graph, options } = this;
    const { granularity, source } = graph.plan;
    const length = source.length();
    const limit = Math.max(options.bufSize || BUFFER, granularity);
    const area =
      engine.bitmaps.nextDirtyArea(graph.bitmap, this.position, length, limit) ??
      engine.bitmaps.nextDirtyArea(graph.bitmap, 0, length, limit);
    if (!area) return;
    const start = Math.floor(area.offset / granularity) * granularity;
    const whole = Math.max(
      granularity,
      Math.floor((area.offset - start + area.bytes) / granularity) * granularity,
    );
    const end = Math.min(length, start + whole);
    engine.bitmaps.reset(graph.bitmap, start, end - start);
    let written = 0;
    let moved = 0;
    let reported: BlockError | null = null;
    for (let offset = start; offset < end;) {
      if (offset > start) await control.breathe();
      const bytes = Math.min(PIECE, end - offset);
      const result = await this.copyRange(offset, bytes);
      written += result.written;
      moved += result.moved;
      const { failure } = result;
      if (!failure) {
        offset += bytes;
        this.done += Math.max(bytes, result.done);
      } else {
        // The others of the requests that make up the area are not kept from being done.
        const copied = Math.min(result.done, bytes);
        this.done += copied;
        offset = await this.skipFailed(offset + copied, end);
        const { operation, error } = failure;
        const policy = operation === 'read' ? options.onSourceError : options.onTargetError;
        if (control.requestFailed(policy, operation, error) === 'report') reported ??= error;
      }
      this.progress(control, end - offset);
    }
    this.position = end < length ? end : 0;
    // Zeros cost nothing of the speed, here alone of all jobs.
    control.account(moved);
    this.unsettled += written;
    if (this.unsettled >= WRITE_BACK) {
      this.unsettled = 0;
      void writeBack(graph.plan.target);
    }
    if (reported) throw reported;
  }

  /** Copies a range whose bits are clean; what could not be copied is marked again. */
  private async copyRange(offset: number, bytes: number): Promise<CopyResult> {
    const { engine, graph } = this;
    if (!engine.presence.active) return engine.mirror.copy(graph.handle, offset, bytes);
    const result = await copyPresent(engine.presence, () => {
      // An attempt before has marked it again.
      engine.bitmaps.reset(graph.bitmap, offset, bytes);
      return engine.mirror.copy(graph.handle, offset, bytes);
    });
    // The failure of a target elsewhere comes when the copy has ended.
    if (result.failure) engine.bitmaps.set(graph.bitmap, offset, bytes);
    return result;
  }

  /** What failed at an offset stays marked, and nothing else; answers where that ends. */
  private async skipFailed(offset: number, end: number): Promise<number> {
    const { engine, graph } = this;
    const { granularity, source } = graph.plan;
    const look = Math.min(PIECE, end - offset);
    let bytes = look;
    try {
      const status = await engine.presence.whenPresent(() =>
        engine.blockStatusAbove(source.handle, null, offset, look),
      );
      bytes = status.bytes || look;
    } catch (error) {
      // Where the source cannot tell what it has, the piece is what failed.
      if (!(error instanceof BlockError)) throw error;
    }
    const next = Math.min(end, Math.ceil((offset + bytes) / granularity) * granularity);
    if (next < end) engine.bitmaps.reset(graph.bitmap, next, end - next);
    return next;
  }

  /**
   * Waits in the background, where that can be, for most of what a flush would make the worker wait for. Answers whether
   * guests have written meanwhile.
   */
  private async settle(control: BlockJobControl): Promise<boolean> {
    const begun = this.unsettled > 0 ? writeBack(this.graph.plan.target) : null;
    this.unsettled = 0;
    if (!begun) return false;
    await control.waitFor(begun);
    return this.dirty > 0;
  }

  /** Brings the target to stable storage. Whether it is there. */
  private async flush(control: BlockJobControl): Promise<boolean> {
    const { target } = this.graph.plan;
    try {
      await this.engine.presence.whenPresent(() => this.engine.flush(target.handle));
      return true;
    } catch (error) {
      if (control.requestFailed(this.options.onTargetError, 'write', error) === 'report') throw error;
      await control.pausePoint();
      return false;
    }
  }

  /** What guests wrote to the target themselves; what they could not is an error of the target. */
  private checkGuests(control: BlockJobControl): void {
    const { mirror } = this.engine;
    this.done += mirror.takeActiveBytes(this.graph.handle);
    const failure = mirror.takeActiveFailure(this.graph.handle);
    if (!failure) return;
    if (control.requestFailed(this.options.onTargetError, 'write', failure) === 'report') throw failure;
  }

  private progress(control: BlockJobControl, rest: number): void {
    control.setProgress(this.done, this.done + this.dirty + rest);
  }

  /**
   * Copies in turns what guests could not bring to the target since the job has done its work: a user may let it wait for
   * its end for long. What they write meanwhile goes to both, so that {@link synchronize} has hardly anything to do.
   */
  async catchUp(): Promise<void> {
    while (await this.engine.presence.whenPresent(() => this.copyNow())) await this.control?.breathe();
  }

  /** Copies at once what still differs. */
  synchronize(): void {
    while (this.copyNow());
  }

  /** Copies the next area that differs, up to a piece. Whether there was one; throws why it cannot be copied. */
  private copyNow(): boolean {
    const { engine, graph } = this;
    const { granularity, source } = graph.plan;
    const length = source.length();
    const area = engine.bitmaps.nextDirtyArea(graph.bitmap, 0, length, PIECE);
    if (!area) return false;
    const start = Math.floor(area.offset / granularity) * granularity;
    const end = Math.min(length, Math.max(start + granularity, area.offset + area.bytes));
    engine.bitmaps.reset(graph.bitmap, start, end - start);
    const { failure } = engine.mirror.copy(graph.handle, start, end - start);
    if (failure) throw failure.error;
    return true;
  }
}

/** Whether zeros cost the target nothing, and give back what it has. */
function zeroesUnmap(target: BlockNode): boolean {
  for (
    let node: BlockNode | null = target;
    node;
    node = node.isFilter || node.driver === 'raw' ? node.primary : null
  ) {
    if (!node.common.discard) return false;
    if (node.driver === 'qcow2') return node.engine.qcow2Info(node.handle).version >= 3;
    if (node.driver === 'file') return true;
  }
  return false;
}
