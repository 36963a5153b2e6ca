/**
 * Internal snapshots: ours and the real tool work on one image in turn, and each snapshot keeps what the disk held; the
 * power is cut at every write of taking, deleting and applying one.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { BlockError, type Engine, type NodeHandle, type NewSnapshot } from '../../src/engine/contract';
import { Errno, FileError, type BlockFile } from '../../src/files/contract';
import { cutAt, recorded, type Step } from './powercuts/recording';
import {
  bytesOf,
  contentOf,
  load,
  memoryFile,
  must,
  newEngine,
  openQcow2,
  random,
  run,
  save,
  scratchDirectory,
} from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

function named(name: string): NewSnapshot {
  return {
    name,
    dateSec: 1_700_000_000,
    dateNsec: 5,
    vmClockSec: 3661,
    vmClockNsec: 7_000_000,
    icount: null,
  };
}

const indexOf = (engine: Engine, node: NodeHandle, name: string): number =>
  engine.snapshots(node).findIndex((snapshot) => snapshot.name === name);

/** `qemu-img check` must find nothing at all. */
function checkClean(path: string, what: string): void {
  const { status, stdout, stderr } = run('qemu-img', 'check', path);
  expect(status, `${what}\n${stdout}${stderr}`).toBe(0);
}

/** The disk as it was at a snapshot, read by the real tool. */
function contentAt(path: string, name: string): Uint8Array {
  const out = scratch.path('snapshot.raw');
  must('qemu-img', 'convert', '-O', 'raw', '-l', name, path, out);
  return readFileSync(out);
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe.each([
  ['cluster_size=512', 1 << 20, true],
  ['cluster_size=4k,refcount_bits=8', 4 << 20, true],
  ['cluster_size=64k', 4 << 20, true],
  ['cluster_size=64k,compat=0.10', 4 << 20, false],
  ['cluster_size=4k,refcount_bits=64', 4 << 20, true],
])('%s', (options, size, resizes) => {
  test('taken, deleted and applied by ours and by the real tool in turn', async () => {
    const path = scratch.path('turns.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, String(size));
    if (options.endsWith('refcount_bits=64')) {
      // Compressed clusters share host clusters: their counts are large.
      must('qemu-io', '-c', `write -P 77 0 ${size}`, path);
      must('qemu-img', 'convert', '-c', '-O', 'qcow2', '-o', options, path, `${path}.c`);
      renameSync(`${path}.c`, path);
    }
    const pick = random(options.length * 7 + 1);
    let disk: Uint8Array = new Uint8Array(size);
    const kept = new Map<string, Uint8Array>();
    const engine = newEngine();
    const buffer = engine.alloc(1 << 18);
    for (let round = 0; round < 16; round++) {
      const ours = pick(3) > 0;
      const file = await load(path);
      const image = openQcow2(engine, file, { readOnly: false });
      const { node } = image;
      for (let i = 0; i < 14; i++) {
        const length = 512 * (1 + pick(300));
        const offset = 512 * pick((disk.length - length) / 512);
        const kind = pick(6);
        if (kind < 3) {
          buffer.view(0, length).fill(1 + pick(255));
          engine.write(node, offset, length, buffer);
        } else if (kind < 5) engine.writeZeroes(node, offset, length, pick(2) * 2);
        else engine.discard(node, offset, length);
      }
      if (resizes && pick(5) === 0) engine.truncate(node, size + 65536 * pick(8));
      disk = contentOf(engine, node);
      // What is done to the snapshots, by one of the two.
      const name = `s${round}`;
      const old = [...kept.keys()][pick(Math.max(kept.size, 1))];
      const kind = pick(8);
      const action = kind < 4 || old === undefined ? 'c' : kind < 6 ? 'd' : 'a';
      const subject = action === 'c' ? name : old!;
      if (ours) {
        if (action === 'c') engine.createSnapshot(node, named(name));
        else if (action === 'd') engine.deleteSnapshot(node, indexOf(engine, node, subject));
        else engine.revertSnapshot(node, indexOf(engine, node, subject));
        if (action === 'a') expect(same(contentOf(engine, node), kept.get(subject)!), 'applied').toBe(true);
      }
      image.close();
      save(file, path);
      if (!ours) must('qemu-img', 'snapshot', `-${action}`, subject, path);
      if (action === 'c') kept.set(name, disk);
      else if (action === 'd') kept.delete(subject);
      else disk = kept.get(subject)!;
      checkClean(path, `round ${round}: ${action} ${subject} by ${ours ? 'ours' : 'the real tool'}`);

      // Both read all snapshots, and the disk, alike.
      const after = await load(path);
      const reader = openQcow2(engine, after, { readOnly: true });
      expect(engine.snapshots(reader.node).map((snapshot) => snapshot.name)).toEqual([...kept.keys()]);
      expect(same(contentOf(engine, reader.node), disk), `disk in round ${round}`).toBe(true);
      reader.close();
      for (const [snapshot, content] of kept) {
        const shown = openQcow2(engine, after, { readOnly: true });
        engine.showSnapshot(shown.node, indexOf(engine, shown.node, snapshot));
        const length = Math.min(engine.length(shown.node), content.length);
        const read = contentOf(engine, shown.node).subarray(0, length);
        expect(same(read, content.subarray(0, length)), `${snapshot} in round ${round}`).toBe(true);
        shown.close();
        if (round % 4 === 3) {
          expect(same(contentAt(path, snapshot).subarray(0, length), content.subarray(0, length))).toBe(true);
        }
      }
    }
    expect(kept.size).toBeGreaterThan(0);
  });
});

describe('a power cut at any write', () => {
  test.each([
    ['cluster_size=512', 1 << 18, 'create'],
    ['cluster_size=512', 1 << 18, 'delete'],
    ['cluster_size=512', 1 << 18, 'revert'],
    ['cluster_size=4k,refcount_bits=4', 2 << 20, 'create'],
    ['cluster_size=4k,refcount_bits=4', 2 << 20, 'delete'],
    ['cluster_size=4k,refcount_bits=4', 2 << 20, 'revert'],
    ['cluster_size=64k,compat=0.10', 2 << 20, 'create'],
    ['cluster_size=64k', 2 << 20, 'delete'],
    ['cluster_size=64k', 2 << 20, 'revert'],
  ])('%s, %i bytes: %s', async (options, size, action) => {
    const path = scratch.path('cut.qcow2');
    must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, String(size));
    const engine = newEngine();
    const pick = random(options.length + action.length);
    const buffer = engine.alloc(1 << 16);
    const file = await load(path);
    let image = openQcow2(engine, file, { readOnly: false });
    const kept = new Map<string, Uint8Array>();
    const scribble = (): void => {
      for (let i = 0; i < 12; i++) {
        const length = 512 * (1 + pick(100));
        const offset = 512 * pick((size - length) / 512);
        buffer.view(0, length).fill(1 + pick(255));
        if (pick(4)) engine.write(image.node, offset, length, buffer);
        else engine.discard(image.node, offset, length);
      }
    };
    for (const name of ['first', 'second']) {
      scribble();
      kept.set(name, contentOf(engine, image.node));
      engine.createSnapshot(image.node, named(name));
    }
    // Of three snapshots one has another size than the disk.
    if (!options.includes('0.10')) engine.truncate(image.node, size + 65536);
    scribble();
    const before = contentOf(engine, image.node);
    image.close();

    const start = bytesOf(file);
    const steps: Step[] = [];
    image = openQcow2(engine, recorded(file, steps), { readOnly: false });
    if (action === 'create') engine.createSnapshot(image.node, named('new'));
    else if (action === 'delete') engine.deleteSnapshot(image.node, 1);
    else engine.revertSnapshot(image.node, 0);
    engine.flush(image.node);
    const done = steps.length;
    const after = contentOf(engine, image.node);
    // What is written next must not reach the snapshots either.
    scribble();
    const end = steps.length;
    image.close();

    let old = 0;
    for (let at = 0; at <= end; at++) {
      const whole = cutAt(start, steps, at, () => true);
      const parts = cutAt(start, steps, at, () => pick(2) === 1);
      for (const bytes of same(whole, parts) ? [whole] : [whole, parts]) {
        writeFileSync(path, bytes);
        const { status, stdout, stderr } = run('qemu-img', 'check', path);
        expect([0, 3], `cut at ${at} of ${end}\n${stdout}${stderr}`).toContain(status);
        const left = await memoryFile(bytes);
        const disk = openQcow2(engine, left, { readOnly: true });
        const names = engine.snapshots(disk.node).map((snapshot) => snapshot.name);
        const content = contentOf(engine, disk.node);
        disk.close();
        const was =
          action === 'create' ? !names.includes('new') : action === 'delete' ? names.length === 2 : null;
        const isOld = was ?? same(content, before);
        if (isOld) old++;
        // Once the call has returned, its work outlives any cut.
        if (at >= done) expect(isOld, `cut at ${at} of ${end}`).toBe(false);
        else expect(same(content, isOld ? before : after), `disk, cut at ${at} of ${end}`).toBe(true);
        const others = action === 'delete' ? ['first'] : ['first', 'second'];
        expect(names).toEqual(expect.arrayContaining(others));
        for (const [index, name] of names.entries()) {
          const shown = openQcow2(engine, left, { readOnly: true });
          engine.showSnapshot(shown.node, index);
          const wanted = kept.get(name) ?? before;
          const length = Math.min(wanted.length, engine.length(shown.node));
          const read = contentOf(engine, shown.node).subarray(0, length);
          expect(same(read, wanted.subarray(0, length)), `${name}, cut at ${at} of ${end}`).toBe(true);
          shown.close();
        }
      }
    }
    expect(old).toBeGreaterThan(0);
  });
});

/** An image with two snapshots, made by the real tool. */
async function twoSnapshots(options = 'cluster_size=4k'): Promise<BlockFile> {
  const path = scratch.path('two.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, '2M');
  must('qemu-io', '-c', 'write -P 1 0 1M', path);
  must('qemu-img', 'snapshot', '-c', 'one', path);
  must('qemu-io', '-c', 'write -P 2 512k 1M', path);
  must('qemu-img', 'snapshot', '-c', 'two', path);
  must('qemu-io', '-c', 'write -P 3 100k 300k', path);
  return load(path);
}

/** Where the snapshot table is. */
const tableOf = (bytes: Uint8Array): number => Number(new DataView(bytes.buffer).getBigUint64(64));

test('what is recorded of a snapshot comes back', async () => {
  const file = await twoSnapshots();
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  const long = 'ä'.repeat(200);
  engine.createSnapshot(image.node, { ...named(long), icount: 77 });
  const [, , last] = engine.snapshots(image.node);
  // 255 bytes, of which the last is half a letter.
  expect(last?.name).toBe('ä'.repeat(127) + '\ufffd');
  expect(last).toMatchObject({ id: '3', dateSec: 1_700_000_000, dateNsec: 5, vmClockSec: 3661, icount: 77 });
  expect(last).toMatchObject({ vmClockNsec: 7_000_000, vmStateSize: 0, diskSize: 2 << 20 });
  image.close();
});

test('extra data that nobody knows stays with its entry', async () => {
  const file = await twoSnapshots();
  const before = bytesOf(file);
  const at = tableOf(before);
  // 8 more bytes of extra data in the first entry; there is room in its cluster.
  const table = before.slice(at, at + 512);
  before.set(table.subarray(64), at + 72);
  before.set([9, 8, 7, 6, 5, 4, 3, 2], at + 64);
  new DataView(before.buffer).setUint32(at + 36, 32);
  const changed = await memoryFile(before);
  const path = scratch.path('extra.qcow2');
  save(changed, path);
  checkClean(path, 'with extra data');

  const engine = newEngine();
  const image = openQcow2(engine, changed, { readOnly: false });
  engine.createSnapshot(image.node, named('three'));
  engine.deleteSnapshot(image.node, 1);
  expect(engine.snapshots(image.node).map(({ id, name }) => `${id} ${name}`)).toEqual(['1 one', '3 three']);
  image.close();
  save(changed, path);
  checkClean(path, 'after two changes');
  const after = bytesOf(changed);
  expect([...after.subarray(tableOf(after) + 64, tableOf(after) + 72)]).toEqual([9, 8, 7, 6, 5, 4, 3, 2]);
  expect(must('qemu-img', 'snapshot', '-l', path)).toContain('three');
});

test('a count that is at its limit forbids a snapshot and nothing is changed', async () => {
  const path = scratch.path('limit.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'refcount_bits=2', path, '1M');
  must('qemu-io', '-c', 'write 0 256k', path);
  const file = await load(path);
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  engine.createSnapshot(image.node, named('a'));
  engine.createSnapshot(image.node, named('b'));
  expect(() => engine.createSnapshot(image.node, named('c'))).toThrow('Invalid argument');
  expect(engine.snapshots(image.node)).toHaveLength(2);
  image.close();
  save(file, path);
  checkClean(path, 'after the refusal');
});

test('clusters that a snapshot gives back are discarded in the file', async () => {
  const file = await twoSnapshots();
  const holes: [number, number][] = [];
  const punching: BlockFile = {
    ...recorded(file, []),
    punch: (at, bytes) => {
      holes.push([at, bytes]);
      return false;
    },
  };
  const engine = newEngine();
  const image = openQcow2(engine, punching, { readOnly: false, passDiscardSnapshot: true });
  engine.deleteSnapshot(image.node, 0);
  // Only the first snapshot had the 512 KiB that were overwritten after it.
  expect(holes.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeGreaterThanOrEqual(512 << 10);
  image.close();
  const quiet = openQcow2(engine, { ...punching }, { readOnly: false });
  holes.length = 0;
  engine.deleteSnapshot(quiet.node, 0);
  expect(holes).toEqual([]);
  quiet.close();
});

test('a shown snapshot cannot be written, and a node that is written shows none', async () => {
  const file = await twoSnapshots();
  const engine = newEngine();
  const image = openQcow2(engine, file, { readOnly: false });
  expect(() => engine.showSnapshot(image.node, 0)).toThrow('Device is not readonly');
  expect(() => engine.revertSnapshot(image.node, 2)).toThrow('Invalid argument');
  expect(() => engine.deleteSnapshot(image.node, -1)).toThrow('Invalid argument');
  engine.setReadOnly(image.node, true);
  expect(() => engine.createSnapshot(image.node, named('x'))).toThrow('Block node is read-only');
  engine.showSnapshot(image.node, 0);
  expect(() => engine.setReadOnly(image.node, false)).toThrow('Block node is read-only');
  image.close();
});

test('a file that fails half-way leaves the image as it was', async () => {
  const start = bytesOf(await twoSnapshots());
  const path = scratch.path('fails.qcow2');
  let refused = 0;
  for (let limit = 0; limit < 14; limit++) {
    for (const action of ['create', 'delete', 'revert']) {
      const file = await memoryFile(start);
      const engine = newEngine();
      let left = Infinity;
      const failing: BlockFile = {
        ...recorded(file, []),
        write: (from, at) => {
          if (left-- === 0) throw new FileError(Errno.EIO, 'Input/output error');
          file.write(from, at);
        },
      };
      const image = openQcow2(engine, failing, { readOnly: false });
      const before = contentOf(engine, image.node);
      left = limit;
      try {
        if (action === 'create') engine.createSnapshot(image.node, named('new'));
        else if (action === 'delete') engine.deleteSnapshot(image.node, 0);
        else engine.revertSnapshot(image.node, 1);
      } catch (error) {
        expect(error).toMatchObject({ errno: Errno.EIO });
        refused++;
        if (engine.snapshots(image.node).length === 2 && action !== 'revert') {
          expect(same(contentOf(engine, image.node), before)).toBe(true);
        }
      }
      left = Infinity;
      image.close();
      save(file, path);
      const { status, stdout, stderr } = run('qemu-img', 'check', path);
      expect([0, 3], `${action}, write ${limit}\n${stdout}${stderr}`).toContain(status);
    }
  }
  expect(refused).toBeGreaterThan(20);
});

test('damaged images: no trap, no endless work', async () => {
  const start = bytesOf(await twoSnapshots('cluster_size=512'));
  const view = new DataView(start.buffer);
  const pick = random(99);
  const spots = [tableOf(start), Number(view.getBigUint64(40)), Number(view.getBigUint64(48))];
  // The L1 tables of both snapshots, an L2 table, and the first refcount block.
  spots.push(Number(view.getBigUint64(tableOf(start))));
  spots.push(Number(view.getBigUint64(spots[1]!) & 0xfffffffffffe00n));
  spots.push(Number(view.getBigUint64(spots[2]!)));
  const engine = newEngine();
  const before = engine.memoryBytes();
  let failures = 0;
  for (let i = 0; i < 800; i++) {
    const bytes = start.slice();
    for (let n = 1 + pick(3); n > 0; n--) {
      const at = spots[pick(spots.length)]! + pick(160);
      bytes[at] = pick(3) ? pick(256) : 0xff;
    }
    const file = await memoryFile(bytes);
    try {
      const image = openQcow2(engine, file, { readOnly: false });
      try {
        engine.snapshots(image.node);
        const action = pick(3);
        if (action === 0) engine.createSnapshot(image.node, named('x'));
        else if (action === 1) engine.deleteSnapshot(image.node, pick(2));
        else engine.revertSnapshot(image.node, pick(2));
        engine.setReadOnly(image.node, true);
        engine.showSnapshot(image.node, 0);
      } finally {
        image.close();
      }
    } catch (error) {
      expect(error).toBeInstanceOf(BlockError);
      expect((error as BlockError).message).not.toContain('Internal error');
      failures++;
    }
  }
  expect(failures).toBeGreaterThan(60);
  expect(engine.memoryBytes() - before).toBeLessThan(128 << 20);
}, 60_000);
