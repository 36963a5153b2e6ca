/**
 * One damaged image after the other is opened and used. Requests may fail, each with a text; but the engine does not trap,
 * does not hang, does not take memory out of proportion and writes to no file but the image's own.
 */
import { expect } from 'vitest';
import { BlockError, RequestFlag } from '../../../src/engine/contract';
import type { Engine, IoBuffer, NodeHandle } from '../../../src/engine/contract';
import { random } from '../support';
import { GuardedFile } from './file';
import { mutate, type Lots, type Victim } from './mutate';

/** The largest snapshot table takes 64 MiB and the largest L1 table 32; memory grows by doubling. */
const MEMORY_MAX = 256 << 20;
/** No use of an image takes so much of the processor's time, milliseconds; a loop without end would. */
const TIME_MAX = 10_000;
const PIECE = 65536;

/** What came of the rounds; a suite asks that enough images opened for the requests to be tried. */
export interface Outcome {
  opened: number;
  checked: number;
  failures: Set<string>;
}

/** Uses `rounds` mutants, the victims in turn. */
export function useMutants(
  engine: Engine,
  victims: readonly Victim[],
  rounds: number,
  seed: number,
): Outcome {
  const file = new GuardedFile();
  const data = new GuardedFile();
  const backing = new GuardedFile();
  backing.reset(Buffer.alloc(PIECE, 0xbb));
  backing.writable = false;
  const backingFile = engine.openFile(backing, { readOnly: false });
  const raw = engine.openRaw(backingFile, { readOnly: false });
  const round = new Round(engine, random(seed), raw);
  let empty = 0;
  engine.onFinding = (text) => void (empty += Number(text === ''));
  for (let i = 0; i < rounds; i++) {
    const victim = victims[i % victims.length]!;
    file.reset(victim.bytes);
    const length = mutate(victim, file.bytes, round.pick);
    file.truncate(length);
    if (victim.data) data.reset(victim.data);
    const start = process.cpuUsage();
    const protocol = engine.openFile(file, { readOnly: false });
    // Some images that have no data file are given one, and some that have are not.
    const external =
      (victim.data === null) === (round.pick(64) === 0)
        ? engine.openFile(data, { readOnly: false })
        : undefined;
    // What is not open for writing is not written.
    const guard = (readOnly: boolean) => {
      file.writable = !readOnly;
      data.writable = !readOnly && victim.data !== null;
    };
    try {
      round.use(protocol, external, victim, guard);
    } catch (error) {
      throw new Error(`mutant ${i} of ${victim.name}, seed ${seed}`, { cause: error });
    }
    if (external !== undefined) engine.close(external);
    engine.close(protocol);
    file.writable = data.writable = true;
    expect(process.cpuUsage(start).user / 1000, `mutant ${i} of ${victim.name}`).toBeLessThan(TIME_MAX);
    if (i % 512 === 0) expect(engine.memoryBytes()).toBeLessThan(MEMORY_MAX);
  }
  expect(empty).toBe(0);
  expect([file.trespasses, data.trespasses, backing.trespasses]).toEqual([0, 0, 0]);
  expect(engine.memoryBytes()).toBeLessThan(MEMORY_MAX);
  for (const node of [raw, backingFile]) engine.close(node);
  round.buffer.free();
  return round.outcome;
}

class Round {
  readonly outcome: Outcome = { opened: 0, checked: 0, failures: new Set() };
  readonly buffer: IoBuffer;

  constructor(
    private readonly engine: Engine,
    readonly pick: Lots,
    private readonly raw: NodeHandle,
  ) {
    this.buffer = engine.alloc(PIECE);
  }

  /** Runs a request, which may fail as requests may. */
  private attempt(request: () => void): boolean {
    try {
      request();
      return true;
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      if (error.message === '' || error.message.includes('Internal error')) throw error;
      this.outcome.failures.add(error.message);
      return false;
    }
  }

  use(
    protocol: NodeHandle,
    dataFile: NodeHandle | undefined,
    victim: Victim,
    guard: (readOnly: boolean) => void,
  ): void {
    const { engine, pick } = this;
    const kind = pick(8);
    const check = kind === 0;
    const noIo = kind === 1;
    const readOnly = kind < 3 && pick(2) === 0;
    guard(readOnly || noIo);
    let image: NodeHandle | null = null;
    this.attempt(() => {
      image = engine.openQcow2(protocol, { readOnly, check, noIo, dataFile });
    });
    if (image === null) return;
    const node: NodeHandle = image;
    this.outcome.opened++;
    if (check) this.check(node);
    else {
      if (pick(2)) engine.setBacking(node, this.raw);
      this.look(node);
      for (let i = 0; i < 8; i++) this.request(node, victim);
      this.attempt(() => engine.flush(node));
    }
    this.attempt(() => void engine.qcow2Info(node));
    this.attempt(() => engine.close(node));
  }

  private check(node: NodeHandle): void {
    const { engine, pick } = this;
    const started = this.attempt(() =>
      engine.checkStart(node, { leaks: pick(2) === 1, errors: pick(2) === 1 }),
    );
    if (!started) return;
    this.attempt(() => {
      while (engine.checkStep(node));
      this.outcome.checked++;
    });
    engine.checkEnd(node);
  }

  /** Reads and asks, from a few places on. */
  private look(node: NodeHandle): void {
    const { engine, pick, buffer } = this;
    const length = engine.length(node);
    for (const start of [0, pick(160) * 1024, Math.max(0, length - PIECE)]) {
      const bytes = Math.min(PIECE, length - start);
      if (bytes <= 0) continue;
      this.attempt(() => engine.read(node, start, bytes, buffer));
      for (let at = start, asked = 0; at < length && asked < 40; asked++) {
        let status = 0;
        if (!this.attempt(() => (status = engine.blockStatus(node, at, length - at).bytes))) break;
        expect(status).toBeGreaterThan(0);
        at += status;
      }
    }
  }

  private request(node: NodeHandle, victim: Victim): void {
    const { engine, pick, buffer } = this;
    const length = engine.length(node);
    const cluster = 1 << victim.clusterBits;
    const offset = pick(Math.max(1, Math.min(length, 160 * 1024) / 512)) * 512;
    const bytes = Math.min(length - offset, 512 * (1 + pick(PIECE / 512)));
    this.attempt(() => {
      switch (pick(14)) {
        case 0:
          return engine.writeCompressed(node, offset & -cluster, Math.min(cluster, PIECE), buffer);
        case 1:
        case 2:
          return engine.writeZeroes(node, offset, bytes, pick(2) ? RequestFlag.MAY_UNMAP : 0);
        case 3:
        case 4:
          return engine.discard(node, offset, bytes);
        case 5:
          return engine.truncate(node, pick(2) ? length + pick(100) * PIECE : pick(400) * 512);
        case 6:
          return this.snapshot(node);
        case 7:
          return this.bitmap(node);
        default:
          return engine.write(node, offset, bytes, buffer);
      }
    });
  }

  private bitmap(node: NodeHandle): void {
    const { bitmaps } = this.engine;
    const all = bitmaps.of(node);
    const one = all[this.pick(all.length + 1)];
    if (one === undefined) bitmaps.setPersistent(bitmaps.create(node, 512 << this.pick(8), 'new'), true);
    else {
      bitmaps.removeStored(one);
      bitmaps.release(one);
    }
  }

  private snapshot(node: NodeHandle): void {
    const { engine, pick } = this;
    const count = engine.snapshots(node).length;
    const index = pick(count + 1);
    const kind = pick(3);
    if (kind === 0) {
      const when = { dateSec: 0, dateNsec: 0, vmClockSec: 0, vmClockNsec: 0, icount: null };
      engine.createSnapshot(node, { name: 'new', ...when });
    } else if (kind === 1) engine.deleteSnapshot(node, index);
    else engine.revertSnapshot(node, index);
  }
}
