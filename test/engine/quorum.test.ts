import { describe, expect, it } from 'vitest';
import type { EngineEvent } from '../../src/engine/contract';
import { Errno } from '../../src/files/contract';
import { memoryFile, newEngine } from './support';

const SIZE = 1 << 20;

async function quorum(
  options: { threshold: number; fifo?: boolean; verify?: boolean; rewrite?: boolean },
  bytes: number[],
) {
  const engine = newEngine();
  const events: EngineEvent[] = [];
  engine.onEvent = (event) => events.push(event);
  const children = [];
  for (const byte of bytes) {
    children.push(engine.openFile(await memoryFile(new Uint8Array(SIZE).fill(byte)), { readOnly: false }));
  }
  const all = { readOnly: false, fifo: false, verify: false, rewrite: false, ...options };
  const node = engine.quorum.open(children, all);
  const buffer = engine.alloc(4096);
  const first = (handle = node) => {
    engine.read(handle, 0, 4096, buffer);
    return buffer.view()[0];
  };
  return { engine, events, children, node, buffer, first };
}

describe('quorum', () => {
  it('reads what most agree on, tells who does not, and repairs it if it may', async () => {
    const plain = await quorum({ threshold: 2 }, [1, 2, 1]);
    expect(plain.first()).toBe(1);
    expect(plain.events).toEqual([
      { kind: 'quorum-bad', node: plain.children[1], operation: 'read', errno: 0, offset: 0, bytes: 4096 },
    ]);
    expect(plain.first(plain.children[1])).toBe(2);
    const repaired = await quorum({ threshold: 2, rewrite: true }, [2, 1, 1]);
    expect(repaired.first()).toBe(1);
    expect(repaired.first(repaired.children[0])).toBe(1);
    repaired.events.length = 0;
    expect(repaired.first()).toBe(1);
    expect(repaired.events).toEqual([]);
  });

  it('fails where too few agree', async () => {
    const { node, events, first } = await quorum({ threshold: 2 }, [1, 2, 3]);
    expect(() => first()).toThrow(expect.objectContaining({ errno: Errno.EIO }));
    expect(events).toEqual([{ kind: 'quorum-failure', node, offset: 0, bytes: 4096 }]);
  });

  it('tells the first byte that differs when all must be the same', async () => {
    const { engine, node, children, buffer, events, first } = await quorum(
      { threshold: 2, verify: true },
      [1, 1],
    );
    expect(first()).toBe(1);
    buffer.view()[0] = 9;
    engine.write(children[1]!, 100, 1, buffer);
    expect(() => first()).toThrow(expect.objectContaining({ errno: Errno.EIO }));
    expect(events).toEqual([{ kind: 'contents-mismatch', node, offset: 0, bytes: 4096, at: 100 }]);
  });

  it('takes the first answer with fifo, and writes everywhere', async () => {
    const { engine, node, children, buffer, first } = await quorum({ threshold: 1, fifo: true }, [1, 2]);
    expect(first()).toBe(1);
    buffer.view().fill(7);
    engine.write(node, 0, 4096, buffer);
    expect(children.map((child) => first(child))).toEqual([7, 7]);
    engine.writeZeroes(node, 0, 4096);
    expect(children.map((child) => first(child))).toEqual([0, 0]);
  });

  it('takes and gives up children, whose lengths must be equal at first', async () => {
    const { engine, node, children, first } = await quorum({ threshold: 1 }, [1, 1]);
    const other = engine.openFile(await memoryFile(new Uint8Array(SIZE).fill(3)), { readOnly: false });
    engine.quorum.add(node, other);
    engine.quorum.remove(node, children[0]!);
    engine.close(children[0]!);
    expect(() => engine.quorum.remove(node, node)).toThrow();
    engine.quorum.remove(node, children[1]!);
    expect(first()).toBe(3);
    const short = engine.openFile(await memoryFile(new Uint8Array(512)), { readOnly: false });
    const options = { readOnly: false, threshold: 1, fifo: false, verify: false, rewrite: false };
    expect(() => engine.quorum.open([other, short], options)).toThrow(
      expect.objectContaining({ errno: Errno.EIO }),
    );
    // What did not open holds nothing.
    engine.close(short);
    engine.close(node);
    engine.close(other);
  });
});
