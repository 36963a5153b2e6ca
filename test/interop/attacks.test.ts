/**
 * Images that want something of their reader: to open other files, to read in circles, to allocate without bound, to write
 * where tables are. Each has an end, in bounded time and memory, with the text of the real tool where that says something.
 */
import {
  openSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newEngine } from '../engine/support';
import { haveTools, runOurs, runReal, splitWords, Twins, type Outcome } from '../tools/twins';

let twins: Twins;
beforeEach(() => {
  twins = new Twins();
});
afterEach(() => twins.remove());

/** Much more than any of these needs, even on a slow machine. Milliseconds. */
const LIMIT = 10_000;

/** Memory of the data plane, bytes: a table of 32 MiB is the largest that is held, with a copy of it. */
const MOST = 160 * 2 ** 20;

/** Changes a file in both directories. */
function patch(name: string, at: number, bytes: Uint8Array | bigint | string): void {
  const data =
    typeof bytes === 'bigint'
      ? Buffer.from(bytes.toString(16).padStart(16, '0'), 'hex')
      : typeof bytes === 'string'
        ? Buffer.from(bytes)
        : bytes;
  for (const directory of [twins.real, twins.ours]) {
    const file = openSync(join(directory, name), 'r+');
    writeSync(file, data, 0, data.length, at);
    closeSync(file);
  }
}

const u32 = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

/** Without times, and what a file occupies. */
function plain({ stdout, stderr, code }: Outcome): Outcome {
  return { stdout: stdout.replace(/ops; .*|disk size: .*/g, ''), stderr, code };
}

/** Both tools say and do the same. */
async function same(command: string): Promise<Outcome> {
  const ours = await ourOutcome(command);
  const real = runReal(splitWords(command), twins.real);
  expect(plain(ours), command).toEqual(plain(real));
  return ours;
}

/** Ours refuses; the real tool does something else (or nothing sane). */
async function refused(command: string, text: string | RegExp): Promise<void> {
  const ours = await ourOutcome(command);
  expect(ours.code, command).not.toBe(0);
  expect(ours.stderr, command).toMatch(text);
}

const create = (name = 'a.q', size = '64M', options = 'cluster_size=64k') =>
  twins.prepare(`qemu-img create -q -f qcow2 -o ${options} ${name} ${size}`);

describe.runIf(haveTools)('names in images', () => {
  const names = [
    '/etc/hostname',
    '../secret',
    './secret',
    'file:secret',
    'json:{"driver":"raw","file":{"driver":"file","filename":"secret"}}',
    'json:{"driver":"nonsense"}',
    'json:{',
    'json:[]',
    'nonsense:secret',
    'a.q',
    'secret\0hidden',
  ];
  test.each(names)('backing file %j', async (name) => {
    twins.prepare('printf %512s secret > secret');
    twins.prepare('qemu-img create -q -f qcow2 -u -b placeholder -F raw a.q 64M');
    const at = 0x210;
    patch('a.q', at, name);
    patch('a.q', 16, u32(Buffer.byteLength(name)));
    await same('qemu-img info a.q');
    await same('qemu-io -r -c "read 0 512" a.q');
    await same('qemu-img map a.q');
  });

  // A data file is a plain file whatever its name looks like: QEMU's own prefixes are not looked at.
  test.each(['json:{"driver":"null-co"}', 'nbd:localhost:1', 'missing/file', '/proc/self/missing'])(
    'data file %j',
    async (name) => {
      create('a.q', '1M', 'data_file=0123456789012345678901234567890123456789');
      const at = readFileSync(join(twins.real, 'a.q')).indexOf('0123456789');
      patch('a.q', at, name.padEnd(40, '\0'));
      for (const directory of [twins.real, twins.ours]) writeFileSync(join(directory, 'found'), '');
      await same('qemu-img info a.q');
      await refused('qemu-io -r -c "read 0 512" a.q', /Could not open/);
    },
  );
});

describe.runIf(haveTools)('chains', () => {
  test.each([2, 7])('a circle of %i', async (length) => {
    for (let i = 0; i < length; i++)
      twins.prepare(`qemu-img create -q -f qcow2 -u -b c${(i + 1) % length}.q -F qcow2 c${i}.q 1M`);
    await same('qemu-img info --backing-chain c0.q');
    // QEMU opens files until it has no descriptors left.
    const ours = await ourOutcome('qemu-io -r -c "read 0 1k" c0.q');
    expect(ours.code).toBe(1);
    expect(ours.stderr).toContain('creates an infinite loop.');
  });

  test('one image is its own backing file by another path', async () => {
    for (const directory of [twins.real, twins.ours]) mkdirSync(join(directory, 'd'));
    twins.prepare('qemu-img create -q -f qcow2 -u -b d/../a.q -F qcow2 a.q 1M');
    const ours = await ourOutcome('qemu-io -r -c "read 0 1k" a.q');
    expect(ours.stderr).toContain('creates an infinite loop.');
  });
});

/** By our tool alone. */
async function ourOutcome(command: string): Promise<Outcome> {
  const start = performance.now();
  const engine = newEngine();
  const outcome = await runOurs(splitWords(command), twins.ours, [], engine);
  expect(performance.now() - start, command).toBeLessThan(LIMIT);
  expect(engine.memoryBytes(), command).toBeLessThan(MOST);
  return outcome;
}

describe.runIf(haveTools)('numbers', () => {
  const fields: [string, number, Uint8Array | bigint][] = [
    ['a disk of 2^63-1 bytes', 24, 2n ** 63n - 1n],
    ['a disk of 2^63-512 bytes', 24, 2n ** 63n - 512n],
    ['a disk of 2^64-512 bytes', 24, 2n ** 64n - 512n],
    ['a refcount table at 2^63-64K', 48, 2n ** 63n - 65536n],
    ['an L1 table of 2 GiB', 36, u32(2 ** 28)],
    ['an L1 table of 32 GiB', 36, u32(2 ** 32 - 1)],
    ['a refcount table of 4G clusters', 56, u32(2 ** 32 - 1)],
    ['a refcount table of 128 clusters', 56, u32(128)],
    ['4G snapshots', 60, u32(2 ** 32 - 1)],
    ['65536 snapshots in nothing', 60, u32(65536)],
    ['a backing name of 4 GiB', 16, u32(2 ** 32 - 1)],
  ];
  test.each(fields)('%s', async (_title, at, value) => {
    create();
    patch('a.q', at, value);
    await same('qemu-io -r -c "read 0 1k" a.q');
    await same('qemu-img info a.q');
    await same('qemu-img check a.q');
  });

  test('an L1 table at 2^63-64K', async () => {
    create();
    patch('a.q', 40, 2n ** 63n - 65536n);
    await same('qemu-io -r -c "read 0 1k" a.q');
    await same('qemu-io -c "write 0 1k" a.q');
    await same('qemu-img check a.q');
  });

  test('an L1 table of 2 GiB that is there', async () => {
    create('a.q', '1M');
    for (const directory of [twins.real, twins.ours]) {
      const file = openSync(join(directory, 'a.q'), 'r+');
      ftruncateSync(file, 2 ** 32);
      closeSync(file);
    }
    patch('a.q', 36, u32(2 ** 28));
    patch('a.q', 40, 2n ** 31n);
    await same('qemu-io -c "read 0 1k" a.q');
  });
});

describe.runIf(haveTools)('tables that overlap', () => {
  // Layout of a new image: header, refcount table, refcount block, L1; the first write makes L2 table and data.
  const write = 'qemu-io -c "write -P 1 0 64k"';
  const cases: [string, number, bigint][] = [
    ['L1 is the header', 40, 0n],
    ['L1 is the refcount table', 40, 0x10000n],
    ['L1 is the refcount block', 40, 0x20000n],
    ['the refcount table is the header', 48, 0n],
    ['the refcount table is L1', 48, 0x30000n],
    ['the refcount block is the header', 0x10000, 0n],
    ['the refcount block is the refcount table', 0x10000, 0x10000n],
    ['the refcount block is L1', 0x10000, 0x30000n],
    ['an L2 table is the header', 0x30000, 2n ** 63n],
    ['an L2 table is the refcount table', 0x30000, 2n ** 63n + 0x10000n],
    ['an L2 table is the refcount block', 0x30000, 2n ** 63n + 0x20000n],
    ['an L2 table is L1', 0x30000, 2n ** 63n + 0x30000n],
    ['an L2 table is itself data', 0x40000, 2n ** 63n + 0x40000n],
    ['data is the header', 0x40000, 2n ** 63n + 0x0n],
    ['data is the refcount table', 0x40000, 2n ** 63n + 0x10000n],
    ['data is the refcount block', 0x40000, 2n ** 63n + 0x20000n],
    ['data is L1', 0x40000, 2n ** 63n + 0x30000n],
  ];
  // QEMU ends with a failed assertion for some of them, or goes on after the first failure.
  test.each(cases)('%s', async (_title, at, value) => {
    create();
    twins.prepare('qemu-io -c "write -P 9 0 64k" a.q');
    patch('a.q', at, value);
    const tables = (): Buffer => readFileSync(join(twins.ours, 'a.q')).subarray(0, 0x10000);
    const before = tables();
    await ourOutcome('qemu-io -r -c "read 0 1k" a.q');
    const { code, stderr } = await ourOutcome(`${write} a.q`);
    if (code === 0) {
      const command = 'qemu-io -r -c "read -P 1 0 64k" a.q';
      expect(await ourOutcome(command)).toMatchObject({ code: 0 });
      expect(runReal(splitWords(command), twins.ours)).toMatchObject({ code: 0 });
    } else {
      expect(stderr).toMatch(/Marking image as corrupt|Could not|can't open/);
      // No byte of the header but those of the features has changed.
      const now = tables();
      expect(Buffer.concat([now.subarray(0, 72), now.subarray(96)])).toEqual(
        Buffer.concat([before.subarray(0, 72), before.subarray(96)]),
      );
    }
    expect((await ourOutcome('qemu-img info a.q')).stdout).toContain('virtual size: 64 MiB');
  });
});
