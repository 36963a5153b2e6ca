/** Key slots that are added and erased: by ours, by the real tool, and by power cuts in between. */
import { copyFileSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { KeyDerivation } from '../../../src/crypto/derivation';
import { createEngine } from '../../../src/engine/index';
import { MemoryLocks } from '../../../src/files/locks';
import { MemoryStore } from '../../../src/files/memory';
import { BlockGraph, GraphError, type QDict } from '../../../src/graph/index';
import type { BlockdevAmendOptions } from '../../../src/qapi/types.generated';
import { LuksContainer } from '../../../src/graph/luks/container';
import type { HeaderStorage } from '../../../src/graph/luks/storage';
import { newEngine, scratchDirectory } from '../../engine/support';
import { create, mustQemuImg, newGraph, qemuImg, readDisk, SECRETS } from './support';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const luks = (filename: string, secret = 'first'): Record<string, string> => ({
  driver: 'luks',
  'key-secret': secret,
  'file.filename': filename,
});
const imageOpts = (options: Record<string, string>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');

type Change = Omit<Extract<BlockdevAmendOptions, { driver: 'luks' }>, 'driver'>;

/** What x-blockdev-amend does with an image; the text of its failure, or null. */
async function amend(
  filename: string,
  change: Change,
  force = false,
  secret = 'first',
): Promise<string | null> {
  const graph = newGraph();
  try {
    const node: QDict = {
      'node-name': 'n',
      driver: 'luks',
      'key-secret': secret,
      file: { driver: 'file', filename },
    };
    await graph.blockdevAdd(node);
    const target = await graph.holdForAmend({
      nodeName: 'n',
      options: { driver: 'luks', ...change },
      force,
    });
    try {
      await target.run();
    } finally {
      await target.end();
    }
    return null;
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    return error.desc;
  } finally {
    await graph.close();
  }
}

const opens = (image: string, secret: string): Promise<boolean> =>
  readDisk(luks(image, secret)).then(
    () => true,
    () => false,
  );

/** A container whose one passphrase is the first secret. */
async function container(name: string): Promise<string> {
  const image = scratch.path(name);
  await create('luks', image, { size: 65536, 'key-secret': 'first', 'iter-time': 0 });
  return image;
}

test('keys are added and erased, and the real tool sees the same', async () => {
  const image = await container('amended.luks');
  expect(await amend(image, { state: 'active', 'new-secret': 'second', 'iter-time': 0 })).toBeNull();
  expect(
    await amend(image, { state: 'active', 'new-secret': 'third', keyslot: 6, 'iter-time': 0 }),
  ).toBeNull();
  const before = await readDisk(luks(image));
  for (const secret of ['first', 'second', 'third']) {
    expect(Buffer.compare(await readDisk(luks(image, secret)), before)).toBe(0);
    mustQemuImg('map', '--output=json', '--image-opts', imageOpts(luks(image, secret)));
  }
  expect(await amend(image, { state: 'inactive', keyslot: 0 })).toBeNull();
  expect(await opens(image, 'first')).toBe(false);
  expect(qemuImg('map', '--output=json', '--image-opts', imageOpts(luks(image, 'first'))).status).toBe(1);
  expect(await amend(image, { state: 'inactive', 'old-secret': 'third' }, false, 'second')).toBeNull();
  expect(await opens(image, 'third')).toBe(false);
  expect(Buffer.compare(await readDisk(luks(image, 'second')), before)).toBe(0);
  mustQemuImg('map', '--output=json', '--image-opts', imageOpts(luks(image, 'second')));
});

test('keys that the real tool adds and erases', async () => {
  const image = await container('theirs.luks');
  const before = await readDisk(luks(image));
  const change = 'state=active,new-secret=second,iter-time=1';
  mustQemuImg('amend', '--image-opts', '-o', change, imageOpts(luks(image)));
  expect(Buffer.compare(await readDisk(luks(image, 'second')), before)).toBe(0);
  mustQemuImg('amend', '--image-opts', '-o', 'state=inactive,keyslot=0', imageOpts(luks(image, 'second')));
  expect(await opens(image, 'first')).toBe(false);
  expect(Buffer.compare(await readDisk(luks(image, 'second')), before)).toBe(0);
});

/** Changes that are refused; the real tool is asked in the same words. */
const REFUSED: readonly [string, Change][] = [
  ['no new secret', { state: 'active' }],
  ['an old secret for a new key', { state: 'active', 'new-secret': 'second', 'old-secret': 'first' }],
  ['a slot that is none', { state: 'active', 'new-secret': 'second', keyslot: 8 }],
  ['a negative slot', { state: 'active', 'new-secret': 'second', keyslot: -1 }],
  ['an active slot', { state: 'active', 'new-secret': 'second', keyslot: 0 }],
  ['an unknown secret', { state: 'active', 'new-secret': 'nobody', 'iter-time': 0 }],
  ['nothing to erase', { state: 'inactive' }],
  ['a new secret to erase', { state: 'inactive', keyslot: 0, 'new-secret': 'second' }],
  ['time to erase', { state: 'inactive', keyslot: 0, 'iter-time': 5 }],
  ['an erased slot', { state: 'inactive', keyslot: 3 }],
  ['a slot that is none to erase', { state: 'inactive', keyslot: 9 }],
  ['the only slot', { state: 'inactive', keyslot: 0 }],
  ['the only passphrase', { state: 'inactive', 'old-secret': 'first' }],
  ['a passphrase of no slot', { state: 'inactive', 'old-secret': 'second' }],
  ['a passphrase of another slot', { state: 'inactive', 'old-secret': 'second', keyslot: 0 }],
];

test('changes that are refused have the texts of the real tool, and change nothing', async () => {
  const image = await container('refused.luks');
  const intact = readFileSync(image);
  for (const [name, change] of REFUSED) {
    const words = Object.entries(change).map(([key, value]) => `${key}=${value}`);
    const { stderr, status } = qemuImg(
      'amend',
      '--image-opts',
      '-o',
      words.join(','),
      imageOpts(luks(image)),
    );
    expect(status, name).toBe(1);
    // Hints for people are on lines of their own.
    const [theirs = ''] = stderr.split('\n');
    expect(`qemu-img: ${(await amend(image, change)) ?? ''}`, name).toBe(theirs);
    expect(Buffer.compare(readFileSync(image), intact), name).toBe(0);
  }
});

test('force erases the last key, and overwrites an active slot', async () => {
  const image = await container('forced.luks');
  const before = await readDisk(luks(image));
  const copy = scratch.path('copy.luks');
  copyFileSync(image, copy);
  expect(
    await amend(image, { state: 'active', 'new-secret': 'second', keyslot: 0, 'iter-time': 0 }, true),
  ).toBeNull();
  expect(await opens(image, 'first')).toBe(false);
  expect(Buffer.compare(await readDisk(luks(image, 'second')), before)).toBe(0);
  expect(await amend(copy, { state: 'inactive', keyslot: 0 }, true)).toBeNull();
  expect(await opens(copy, 'first')).toBe(false);
  const material = (path: string): Buffer => readFileSync(path).subarray(4096, 4096 + 256000);
  expect(Buffer.compare(material(copy), material(image))).not.toBe(0);
});

test('all eight slots, and no ninth', async () => {
  const image = await container('full.luks');
  for (let i = 0; i < 7; i++) {
    expect(await amend(image, { state: 'active', 'new-secret': 'second', 'iter-time': 0 })).toBeNull();
  }
  expect(await amend(image, { state: 'active', 'new-secret': 'third', 'iter-time': 0 })).toBe(
    "Can't add a keyslot - all keyslots are in use",
  );
});

/** A header in memory that remembers each write and flush. */
function recorded(bytes: Uint8Array): { storage: HeaderStorage; log: ([number, Uint8Array] | 'flush')[] } {
  const log: ([number, Uint8Array] | 'flush')[] = [];
  return {
    log,
    storage: {
      read: async (offset, count) => bytes.slice(offset, offset + count),
      async write(offset, data) {
        bytes.set(data, offset);
        log.push([offset, data.slice()]);
      },
      flush: async () => void log.push('flush'),
    },
  };
}

/** The states of a file that a power cut can leave: what was flushed, and any part of what was not, in any order. */
function* cuts(before: Uint8Array, log: readonly ([number, Uint8Array] | 'flush')[]): Generator<Uint8Array> {
  const flushed = before.slice();
  let pending: [number, Uint8Array][] = [];
  const with_ = (writes: readonly [number, Uint8Array][]): Uint8Array => {
    const state = flushed.slice();
    for (const [offset, data] of writes) state.set(data, offset);
    return state;
  };
  for (const entry of log) {
    if (entry === 'flush') {
      for (const [offset, data] of pending) flushed.set(data, offset);
      pending = [];
      continue;
    }
    pending.push(entry);
    yield with_(pending);
    yield with_([entry]);
    // A write that was cut in a sector.
    const [offset, data] = entry;
    const part = Math.min(data.length, Math.max(512 - (offset % 512), 512 * Math.floor(data.length / 1024)));
    yield with_([[offset, data.slice(0, part)]]);
    yield with_([[offset + part, data.slice(part)]]);
  }
}

const bytesOf = (id: string): Uint8Array => new TextEncoder().encode(SECRETS[id] ?? '');

test.each([
  ['adding a key', async (open: LuksContainer, key: Uint8Array) => open.addKey(3, key, bytesOf('second'), 0)],
  [
    'adding a key to a slot that two sectors of the header share',
    async (open: LuksContainer, key: Uint8Array) => open.addKey(6, key, bytesOf('second'), 0),
  ],
  [
    'overwriting the only key',
    async (open: LuksContainer, key: Uint8Array) => open.addKey(0, key, bytesOf('second'), 0),
  ],
  [
    'adding a key and erasing the old one',
    async (open: LuksContainer, key: Uint8Array) => {
      await open.addKey(1, key, bytesOf('second'), 0);
      await open.erase(0);
    },
  ],
])('a power cut while %s loses no last key', async (_, change) => {
  const engine = newEngine();
  const keys = new KeyDerivation();
  const small = await container('cut.luks');
  const before = Uint8Array.from(readFileSync(small));
  const { storage, log } = recorded(before.slice());
  const open = await LuksContainer.open({ engine, keys }, storage, false);
  const key = await open.unlock(bytesOf('first'));
  await change(open, key);
  let states = 0;
  for (const state of cuts(before, log)) {
    // What only overwrites erased material is the same to whoever opens the container.
    if (states++ > 24 && states % 8 !== 0) continue;
    const after = await LuksContainer.open({ engine, keys }, recorded(state).storage, false);
    const found =
      (await after.unlock(bytesOf('first')).catch(() => null)) ??
      (await after.unlock(bytesOf('second')).catch(() => null));
    expect(found).toEqual(key);
  }
  expect(states).toBeGreaterThan(4);
});

test('a failed write leaves the old key', async () => {
  const store = new MemoryStore();
  const handle = await store.open('image', { write: true, create: 'truncate' });
  handle.write(Uint8Array.from(readFileSync(await container('readonly.luks'))), 0);
  handle.close();
  const graph = new BlockGraph({
    engine: createEngine(new WebAssembly.Module(readFileSync('build/engine.wasm'))),
    files: store,
    locks: new MemoryLocks(),
  });
  graph.secrets.source = bytesOf;
  const node: QDict = {
    'node-name': 'n',
    driver: 'luks',
    'key-secret': 'first',
    'read-only': true,
    file: { driver: 'file', filename: 'image' },
  };
  await graph.blockdevAdd(node);
  const target = await graph.holdForAmend({
    nodeName: 'n',
    options: { driver: 'luks', state: 'active', 'new-secret': 'second', 'iter-time': 0 },
    force: false,
  });
  await expect(target.run()).rejects.toThrow('Block node is read-only');
  await target.end();
  await graph.close();
});
