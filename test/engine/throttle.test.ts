import { describe, expect, it } from 'vitest';
import type { ThrottleConfig, ThrottleLimit, ThrottleName } from '../../src/engine/throttle';
import { newEngine } from './support';

const NONE: ThrottleLimit = { avg: 0, max: 0, maxLength: 1 };

function config(given: Partial<Record<ThrottleName, Partial<ThrottleLimit>>>, iopsSize = 0): ThrottleConfig {
  const limit = (name: ThrottleName): ThrottleLimit => ({ ...NONE, ...given[name] });
  return {
    limits: {
      'bps-total': limit('bps-total'),
      'bps-read': limit('bps-read'),
      'bps-write': limit('bps-write'),
      'iops-total': limit('iops-total'),
      'iops-read': limit('iops-read'),
      'iops-write': limit('iops-write'),
    },
    iopsSize,
  };
}

function throttled(...parameters: Parameters<typeof config>) {
  const engine = newEngine();
  const group = engine.throttle.createGroup(config(...parameters));
  const below = engine.openNull({ size: 2 ** 40, readZeroes: true });
  const open = () => engine.throttle.open(below, { readOnly: false, group });
  return { engine, group, open, node: open(), buffer: engine.alloc(1 << 20) };
}

/** The delay of a request lies so many milliseconds around what is expected: the clock runs on meanwhile. */
const SLACK = 60;

function expectDelay(delay: number, expected: number): void {
  expect(delay).toBeLessThanOrEqual(expected + 0.01);
  expect(delay).toBeGreaterThan(expected - SLACK);
}

describe('throttle', () => {
  it('lets a tenth of a second pass, and asks for the rest of the time', () => {
    const { engine, node, buffer } = throttled({ 'bps-total': { avg: 1000 } });
    engine.read(node, 0, 100, buffer);
    expect(engine.throttle.delay()).toBe(0);
    engine.write(node, 0, 5000, buffer);
    expectDelay(engine.throttle.delay(), 5000);
    expect(engine.throttle.delay()).toBe(0);
    engine.writeZeroes(node, 0, 2000);
    expectDelay(engine.throttle.delay(), 7000);
    engine.discard(node, 0, 3000);
    expectDelay(engine.throttle.delay(), 10000);
    engine.flush(node);
    expect(engine.throttle.delay()).toBe(0);
  });

  it('counts reads and writes, bytes and operations apart', () => {
    const { engine, node, buffer } = throttled({
      'bps-read': { avg: 1000 },
      'iops-write': { avg: 10 },
    });
    engine.write(node, 0, 100000, buffer);
    expect(engine.throttle.delay()).toBe(0);
    engine.write(node, 0, 1, buffer);
    expectDelay(engine.throttle.delay(), 100);
    engine.read(node, 0, 1100, buffer);
    expectDelay(engine.throttle.delay(), 1000);
  });

  it('counts a large request as several operations', () => {
    const { engine, node, buffer } = throttled({ 'iops-total': { avg: 10 } }, 4096);
    engine.read(node, 0, 4096, buffer);
    expect(engine.throttle.delay()).toBe(0);
    engine.read(node, 0, 10240, buffer);
    expectDelay(engine.throttle.delay(), 250);
  });

  it('lets bursts pass, and no faster than they may be', () => {
    const short = throttled({ 'iops-total': { avg: 10, max: 100 } });
    for (let i = 0; i < 100; i++) short.engine.read(short.node, 0, 1, short.buffer);
    expect(short.engine.throttle.delay()).toBe(0);
    for (let i = 0; i < 10; i++) short.engine.read(short.node, 0, 1, short.buffer);
    expectDelay(short.engine.throttle.delay(), 1000);
    const long = throttled({ 'iops-total': { avg: 10, max: 100, maxLength: 10 } });
    for (let i = 0; i < 110; i++) long.engine.read(long.node, 0, 1, long.buffer);
    expectDelay(long.engine.throttle.delay(), 1000);
  });

  it('shares a group among nodes, and forgets debts with new limits', () => {
    const { engine, group, open, node, buffer } = throttled({ 'bps-total': { avg: 1000 } });
    const other = open();
    engine.read(node, 0, 1100, buffer);
    expectDelay(engine.throttle.delay(), 1000);
    engine.read(other, 0, 1000, buffer);
    expectDelay(engine.throttle.delay(), 2000);
    engine.throttle.configure(group, config({ 'bps-total': { avg: 10000 } }));
    engine.read(other, 0, 2000, buffer);
    expectDelay(engine.throttle.delay(), 100);
    const free = engine.throttle.createGroup(config({}));
    engine.throttle.join(other, free);
    engine.read(other, 0, 100000, buffer);
    expect(engine.throttle.delay()).toBe(0);
    engine.close(other);
    engine.close(node);
    engine.throttle.dropGroup(free);
    engine.throttle.dropGroup(group);
    expect(() => engine.throttle.dropGroup(group)).toThrow();
  });

  it('keeps a rate within 5 percent, shared fairly by those who take turns', async () => {
    const { engine, open, buffer } = throttled({ 'bps-total': { avg: 1 << 20 } });
    const until = performance.now() + 1000;
    const send = async (bytes: number): Promise<number> => {
      const node = open();
      let count = 0;
      for (; performance.now() < until; count++) {
        engine.read(node, 0, bytes, buffer);
        await new Promise((resolve) => setTimeout(resolve, engine.throttle.delay()));
      }
      return count;
    };
    const counts = await Promise.all([send(8192), send(8192), send(8192)]);
    const sum = counts.reduce((a, b) => a + b, 0);
    // A second and the tenth that passes at once.
    expect(sum * 8192).toBeLessThan(1.05 * 1.1 * (1 << 20) + 3 * 8192);
    expect(sum * 8192).toBeGreaterThan(0.85 * 1.1 * (1 << 20));
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(5);
  });
});
