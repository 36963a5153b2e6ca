/**
 * Asynchronous requests of qemu-io, and requests that stop at a breakpoint.
 *
 * Requests of the engine run to their end at once. What shows of a real queue is kept: a result is printed when the tool
 * next waits for the image; a request that comes to a breakpoint fails, is kept, and is sent again when it is resumed,
 * where the events that it had come to do not happen again.
 * A wait for a request that stands still ends with Ctrl-C only, as with the real tool.
 */
import { BlockError, Status, type Engine } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import { breakpointsOf, type BlockUser, type Breakpoints } from '../../graph';
import type { Pace } from '../pace';
import type { Extent } from './extent';

/** A request that may run while other commands do. */
export interface AioRequest {
  writes: boolean;
  extent: Extent;
  /** Sends it. May be called again. */
  run(): Promise<void>;
  /** Prints how it ended; `failure` null: well. */
  report(failure: unknown): void;
}

/** How soon requests end, by what they have to wait for. */
const enum Speed {
  /** For nothing: they are refused, or there is no file. */
  INSTANT,
  FILE,
  /** For stable storage. */
  STORAGE,
}

interface Pending {
  request: AioRequest;
  failure: unknown;
  speed: Speed;
  /** Those of a lower one were sent before others were waited for. */
  batch: number;
}

/** A request that stands at an event. */
interface Suspended {
  pending: Pending;
  /** The breakpoint that stopped it, as the data plane calls it. */
  number: number;
  /** Of the breakpoints that it must be resumed from. */
  tags: string[];
  /** It came to the event when all was done. */
  complete: boolean;
  /** Clusters that it is about to allocate: other writes to them wait. */
  claim: Extent | null;
}

interface Breakpoint {
  event: string;
  tag: string;
  /** What the data plane calls it. */
  number: number;
}

/** A day, milliseconds: the longest wait is repeated without end. */
const LONG = 86_400_000;

const NOT_FOUND = (): BlockError => new BlockError(Errno.ENOENT, strerror(Errno.ENOENT));

function overlap(a: Extent, b: Extent): boolean {
  return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

/** The requests of one open image. */
export class Requests {
  /** Issued, and not sent before the next wait: the tables of the image must be read first. */
  private queued: AioRequest[] = [];
  private suspended: Suspended[] = [];
  private blocked: Pending[] = [];
  private ended: Pending[] = [];
  private breakpoints: Breakpoint[] = [];
  private readonly debug: Breakpoints | null;
  private nextNumber = 0;
  private batch = 0;
  /** No table of the image has been read yet. */
  private cold: boolean;
  /** Nothing has to be waited for. */
  private readonly instant: boolean;

  constructor(
    private readonly user: BlockUser,
    private readonly host: {
      engine: Engine;
      print(line: string): void;
      pace(): Pace;
    },
  ) {
    this.debug = breakpointsOf(host.engine, user.node);
    this.cold = user.node.driver === 'qcow2';
    let bottom = user.node;
    for (let next = bottom.filtered ?? bottom.primary; next; next = next.filtered ?? next.primary)
      bottom = next;
    this.instant = bottom.driver.startsWith('null-');
  }

  /** Takes a request that the command does not wait for. */
  async issue(request: AioRequest): Promise<void> {
    if (this.cold) this.queued.push(request);
    else await this.send(this.pending(request));
  }

  /** A request that the command waits for. Others that end earlier are reported before. */
  async wait(request: Pick<AioRequest, 'writes' | 'extent' | 'run'>): Promise<void> {
    const { extent, writes } = request;
    if (extent.offset + extent.bytes > this.user.length()) return request.run();
    if (!this.instant) await this.settle(writes ? Speed.STORAGE : Speed.FILE);
    if (writes && this.isClaimed(extent)) await this.hang();
    await this.runNow(request.run);
  }

  /** Flushes: what has to be stored is waited for. */
  async flush(run: () => Promise<void>): Promise<void> {
    const writes = this.ended.some((one) => one.request.writes) || this.queued.some((one) => one.writes);
    if (!this.instant) await this.settle(writes ? Speed.STORAGE : Speed.INSTANT);
    await this.runNow(run);
  }

  /** Runs a request that the command waits for. At a breakpoint it waits for ever: nobody can resume it. */
  private async runNow(run: () => Promise<void>): Promise<void> {
    this.debug?.begin(null);
    try {
      await run();
    } finally {
      const stopped = this.debug?.takeStopped() ?? null;
      if (stopped !== null) {
        this.announce(stopped);
        await this.hang();
      }
    }
  }

  /** What the tool waits for when it asks for the state of the image. */
  async beforeStatus(): Promise<void> {
    if (this.cold) await this.settle(Speed.FILE);
  }

  /** Lets time pass: all that runs ends. */
  async pass(milliseconds: number): Promise<void> {
    await this.settle(milliseconds > 0 ? Speed.STORAGE : Speed.INSTANT);
  }

  /** Whether results wait to be printed. */
  get hasNews(): boolean {
    return this.queued.length + this.ended.length > 0;
  }

  /** Waits for all requests. */
  async drain(): Promise<void> {
    await this.settle(Speed.STORAGE);
    if (this.suspended.length > 0) await this.hang();
  }

  setBreakpoint(event: string, tag: string): void {
    const number = this.nextNumber++;
    this.needDebug().set(event, number);
    this.breakpoints.push({ event, tag, number });
  }

  /** Takes the breakpoints with a tag away, and resumes what stands at them. ENOENT: there was no breakpoint. */
  async removeBreakpoint(tag: string): Promise<void> {
    const debug = this.needDebug();
    const removed = this.breakpoints.filter((one) => one.tag === tag);
    this.breakpoints = this.breakpoints.filter((one) => one.tag !== tag);
    for (const { number } of removed) debug.remove(number);
    while (this.suspended.some(({ tags }) => tags.includes(tag))) await this.resume(tag);
    if (removed.length === 0) throw NOT_FOUND();
  }

  /** Lets the request go on that stands at a breakpoint. ENOENT: none does. */
  async resume(tag: string): Promise<void> {
    this.needDebug();
    const found = this.suspended.find(({ tags }) => tags.includes(tag));
    if (!found) throw NOT_FOUND();
    found.tags.splice(found.tags.indexOf(tag), 1);
    this.host.print(`blkdebug: Resuming request '${tag}'`);
    if (found.tags.length > 0) return;
    this.suspended.splice(this.suspended.indexOf(found), 1);
    this.batch++;
    const { pending } = found;
    pending.batch = this.batch;
    if (found.complete) this.ended.unshift(pending);
    else await this.send(pending, found.number);
    const blocked = this.blocked;
    this.blocked = [];
    for (const one of blocked) {
      one.batch = ++this.batch;
      await this.send(one);
    }
  }

  /** Waits until a request stands at a breakpoint. */
  async waitFor(tag: string): Promise<void> {
    const stands = (): boolean => this.suspended.some(({ tags }) => tags.includes(tag));
    if (!stands()) await this.start();
    if (stands()) return;
    await this.settle(Speed.STORAGE);
    await this.hang();
  }

  private needDebug(): Breakpoints {
    if (!this.debug) throw new BlockError(Errno.ENOTSUP, strerror(Errno.ENOTSUP));
    return this.debug;
  }

  private pending(request: AioRequest): Pending {
    const { offset, bytes } = request.extent;
    const refused = offset + bytes > this.user.length();
    const stored = request.writes && this.user.writeThrough;
    const speed = refused || this.instant ? Speed.INSTANT : stored ? Speed.STORAGE : Speed.FILE;
    return { request, failure: null, speed, batch: this.batch };
  }

  /** Sends what is queued. */
  private async start(): Promise<void> {
    this.cold = false;
    const queued = this.queued;
    this.queued = [];
    for (const request of queued) await this.send(this.pending(request));
  }

  /** Reports what ends while the tool waits so long: the last of a batch first, as the real tool does. */
  private async settle(speed: Speed): Promise<void> {
    await this.start();
    this.batch++;
    const now = this.ended.filter((one) => one.speed <= speed);
    this.ended = this.ended.filter((one) => one.speed > speed);
    now.sort((a, b) => a.speed - b.speed || a.batch - b.batch);
    for (const { request, failure } of now) request.report(failure);
  }

  /** @param stoppedAt the breakpoint at which it stood when it was sent before */
  private async send(pending: Pending, stoppedAt: number | null = null): Promise<void> {
    const { request } = pending;
    if (request.writes && this.isClaimed(request.extent)) {
      this.blocked.push(pending);
      return;
    }
    this.debug?.begin(stoppedAt);
    try {
      await request.run();
      pending.failure = null;
    } catch (error) {
      pending.failure = error;
    }
    const stopped = this.debug?.takeStopped() ?? null;
    if (stopped === null) this.ended.unshift(pending);
    else this.suspend(pending, stopped);
  }

  private suspend(pending: Pending, stopped: number): void {
    const tags = this.announce(stopped);
    const complete = pending.failure === null;
    const allocates = pending.request.writes && !complete;
    const claim = allocates ? this.needDebug().beside(() => this.claimOf(pending.request.extent)) : null;
    this.suspended.push({ pending, number: stopped, tags, complete, claim });
  }

  /** A request uses up all breakpoints of the event it came to, the newest first. */
  private announce(stopped: number): string[] {
    const event = this.breakpoints.find(({ number }) => number === stopped)?.event ?? '';
    const used = this.breakpoints.filter((one) => one.event === event).reverse();
    this.breakpoints = this.breakpoints.filter((one) => one.event !== event);
    for (const { tag, number } of used) {
      if (number !== stopped) this.needDebug().remove(number);
      this.host.print(`blkdebug: Suspended request '${tag}'`);
    }
    return used.map(({ tag }) => tag);
  }

  /** The clusters of a qcow2 image that a write has to allocate; null: it has none to. */
  private claimOf({ offset, bytes }: Extent): Extent | null {
    const cluster = this.user.clusterSize;
    if (cluster === null) return null;
    const start = offset - (offset % cluster);
    const end = Math.min(Math.ceil((offset + bytes) / cluster) * cluster, this.user.length());
    const inPlace = Status.ALLOCATED | Status.DATA | Status.OFFSET_VALID;
    for (let at = start; at < end;) {
      const { flags, bytes: run } = this.user.blockStatus(at, end - at);
      if (run === 0) break;
      if ((flags & inPlace) !== inPlace) return { offset: start, bytes: end - start };
      at += run;
    }
    return null;
  }

  private isClaimed(extent: Extent): boolean {
    return this.suspended.some(({ claim }) => claim !== null && overlap(claim, extent));
  }

  /** Waits for what does not come. Rejects after Ctrl-C. */
  private async hang(): Promise<never> {
    for (;;) await this.host.pace().wait(LONG);
  }
}
