/** A random session of a guest and its administrator on one image, with everything that reaches the file recorded. */
import { BlockError, RequestFlag, Status } from '../../../src/engine/contract';
import type { Engine, IoBuffer, NodeHandle } from '../../../src/engine/contract';
import type { BlockFile } from '../../../src/files/contract';
import { contentOf, openQcow2, random, type OpenImage } from '../support';
import { Guest } from './guest';
import { recorded, type Step } from './recording';

/** What may happen in a session, and how often. */
export interface Habits {
  write?: number;
  zero?: number;
  discard?: number;
  compressed?: number;
  flush?: number;
  snapshot?: number;
  resize?: number;
  /** A persistent bitmap is made or removed. */
  bitmap?: number;
  /** The image is closed and opened again. */
  reopen?: number;
}

const SECTOR = 512;
/** Sectors of the longest disk. */
const MAX_SECTORS = 6 << 11;

export class Session {
  readonly steps: Step[] = [];
  readonly guest: Guest;
  private readonly pick: (below: number) => number;
  private readonly buffer: IoBuffer;
  private image: OpenImage;
  private stamp = 0;

  constructor(
    private readonly engine: Engine,
    private readonly file: BlockFile,
    seed: number,
  ) {
    this.pick = random(seed);
    this.buffer = engine.alloc(1 << 18);
    this.image = this.open();
    const start = new Uint8Array(MAX_SECTORS);
    const content = contentOf(engine, this.node);
    for (let sector = 0; sector * SECTOR < content.length; sector++)
      start[sector] = content[sector * SECTOR]!;
    this.guest = new Guest(start);
  }

  private get node(): NodeHandle {
    return this.image.node;
  }

  private open(): OpenImage {
    // The smallest caches: tables are written back in the middle of requests.
    const small = { l2CacheSize: 0, refcountCacheSize: 0, l2CacheEntrySize: 512 };
    return openQcow2(this.engine, recorded(this.file, this.steps), { readOnly: false, ...small });
  }

  /** Does `count` things, then closes the image. */
  run(count: number, habits: Habits): void {
    const kinds = Object.entries<number | undefined>({ ...habits }).flatMap(([kind, often]) =>
      new Array<keyof Habits>(often ?? 0).fill(kind as keyof Habits),
    );
    for (let i = 0; i < count; i++) this.one(kinds[this.pick(kinds.length)]!);
    this.close();
  }

  private close(): void {
    const begin = this.steps.length;
    this.image.close();
    this.guest.flushed(this.steps.length);
    this.guest.closed(begin);
  }

  private one(kind: keyof Habits): void {
    const { engine, pick, node, guest, buffer } = this;
    const begin = this.steps.length;
    const length = engine.length(node);
    const bytes = Math.min(length, SECTOR * (1 + pick(pick(4) ? 60 : 400)));
    const offset = SECTOR * pick((length - bytes) / SECTOR + 1);
    switch (kind) {
      case 'write': {
        const value = this.nextStamp();
        buffer.view(0, bytes).fill(value);
        guest.fill(begin, offset, bytes, value);
        return engine.write(node, offset, bytes, buffer);
      }
      case 'zero':
        guest.fill(begin, offset, bytes, 0);
        return engine.writeZeroes(node, offset, bytes, pick(2) ? RequestFlag.MAY_UNMAP : 0);
      case 'discard':
        engine.discard(node, offset, bytes);
        // What is discarded reads as zeros where it was whole clusters, and stays where not.
        return this.look(begin, offset, bytes);
      case 'compressed':
        return this.compressed(begin, offset);
      case 'flush':
        engine.flush(node);
        return guest.flushed(this.steps.length);
      case 'snapshot':
        return this.snapshot(begin);
      case 'resize':
        return this.resize(begin, length);
      case 'bitmap':
        return this.bitmap();
      case 'reopen':
        this.close();
        this.image = this.open();
    }
  }

  private nextStamp(): number {
    this.stamp = (this.stamp % 255) + 1;
    return this.stamp;
  }

  /** Tells the guest what is there after a change whose result the image decides. */
  private look(begin: number, offset: number, bytes: number): void {
    const values = new Uint8Array(bytes / SECTOR);
    for (let at = 0; at < bytes; at += this.buffer.bytes) {
      const n = Math.min(this.buffer.bytes, bytes - at);
      this.engine.read(this.node, offset + at, n, this.buffer);
      const view = this.buffer.view(0, n);
      for (let i = 0; i < n; i += SECTOR) values[(at + i) / SECTOR] = view[i]!;
    }
    this.guest.change(begin, offset, values);
  }

  private compressed(begin: number, offset: number): void {
    const { engine, node, buffer } = this;
    const { clusterSize } = engine.qcow2Info(node);
    const start = offset - (offset % clusterSize);
    const bytes = Math.min(clusterSize, engine.length(node) - start);
    // A cluster may be there in part.
    const status = engine.blockStatus(node, start, bytes);
    if (status.flags & Status.ALLOCATED || status.bytes < bytes) return;
    const value = this.nextStamp();
    buffer.view(0, bytes).fill(value);
    this.guest.fill(begin, start, bytes, value);
    engine.writeCompressed(node, start, bytes, buffer);
  }

  private snapshot(begin: number): void {
    const { engine, pick, node } = this;
    const { length } = engine.snapshots(node);
    try {
      if (length === 0 || (length < 4 && pick(3) === 0)) {
        const when = { dateSec: 0, dateNsec: 0, vmClockSec: 0, vmClockNsec: 0, icount: null };
        engine.createSnapshot(node, { name: `s${this.steps.length}`, ...when });
      } else if (pick(3) === 0) {
        const before = engine.length(node);
        engine.revertSnapshot(node, pick(length));
        const after = engine.length(node);
        this.look(begin, 0, after);
        if (after < before) this.guest.fill(begin, after, before - after, 0);
      } else engine.deleteSnapshot(node, pick(length));
    } catch (error) {
      // Narrow refcounts allow no more references.
      if (!(error instanceof BlockError)) throw error;
    }
  }

  private bitmap(): void {
    const { bitmaps } = this.engine;
    const all = bitmaps.of(this.node);
    if (all.length < 3 && this.pick(3) > 0) {
      const made = bitmaps.create(this.node, 512 << this.pick(9), `b${this.steps.length}`);
      bitmaps.setPersistent(made, true);
    } else if (all.length > 0) {
      const gone = all[this.pick(all.length)]!;
      bitmaps.removeStored(gone);
      bitmaps.release(gone);
    }
  }

  private resize(begin: number, length: number): void {
    const { engine, pick, node, guest } = this;
    const size = SECTOR * (1 + pick(MAX_SECTORS));
    try {
      engine.truncate(node, size);
    } catch (error) {
      // Version 2 with snapshots, or a snapshot of another size.
      if (!(error instanceof BlockError)) throw error;
      return;
    }
    if (size < length) guest.fill(begin, size, length - size, 0);
  }
}
