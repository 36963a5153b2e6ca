/** Encryption: the cipher against a library in JavaScript, reading through the whole stack, and unlocking. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ecb } from '@noble/ciphers/aes.js';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { BlockGraph } from '../../src/graph';
import type { Engine } from '../../src/engine/contract';
import { nodeAccelerator } from '../../src/node/accelerator';
import { compare } from '../measure';
import { type Line, rate } from '../report';

const module = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));
const KEY = Uint8Array.from({ length: 64 }, (_, i) => i * 7 + 1);
const PASSWORD = 'correct horse battery staple';
const MIB = 1 << 20;

/** AES-256-XTS of `data` in sectors of 512 bytes by the library, which has no XTS of its own. */
function libraryXts(data: Uint8Array): void {
  const cipher = ecb(KEY.subarray(0, 32), { disablePadding: true });
  const tweaks = new Uint8Array(data.length);
  const vectors = new Uint8Array((data.length / 512) * 16);
  for (let sector = 0; sector * 512 < data.length; sector++) vectors[sector * 16] = sector;
  const first = ecb(KEY.subarray(32), { disablePadding: true }).encrypt(vectors);
  const words = new Uint32Array(tweaks.buffer);
  const start = new Uint32Array(first.buffer, first.byteOffset, first.length / 4);
  for (let block = 0; block < data.length / 16; block++) {
    const at = block * 4;
    if (block % 32 === 0) {
      words.set(start.subarray((block / 32) * 4, (block / 32) * 4 + 4), at);
      continue;
    }
    let carry = 0;
    for (let i = 0; i < 4; i++) {
      const word = words[at - 4 + i]!;
      words[at + i] = (word << 1) | carry;
      carry = word >>> 31;
    }
    if (carry) words[at]! ^= 0x87;
  }
  const view = new Uint32Array(data.buffer, data.byteOffset, data.length / 4);
  for (let i = 0; i < view.length; i++) view[i]! ^= words[i]!;
  data.set(cipher.decrypt(data));
  for (let i = 0; i < view.length; i++) view[i]! ^= words[i]!;
}

/** Reads of 4 KiB in a round. */
const REQUESTS = 100;

/** Decrypts them, one after the other. */
function requestsOf4KiB(engine: Engine): () => void {
  const cipher = engine.crypto.make({
    cipher: 'aes',
    mode: 'xts',
    iv: 'plain64',
    key: KEY,
    sectorBytes: 512,
  });
  const buffer = engine.alloc(4096);
  return () => {
    for (let i = 0; i < REQUESTS; i++) engine.crypto.run(cipher, 'decrypt', i * 8, buffer, 0, 4096);
  };
}

/** The cipher alone, in requests of 4 KiB. */
async function cipherLine(): Promise<Line> {
  const data = new Uint8Array(4096);
  const result = await compare(
    61,
    { run: requestsOf4KiB(createEngine(module)) },
    {
      run: () => {
        for (let i = 0; i < REQUESTS; i++) libraryXts(data);
      },
    },
  );
  const bytes = REQUESTS * 4096;
  return {
    what: 'AES-256-XTS, 4 KiB, against noble-ciphers',
    ours: rate(bytes, result.ours, 'MB/s'),
    reference: rate(bytes, result.reference, 'MB/s'),
    value: result.ratio,
    unit: '',
    target: { least: 8 },
  };
}

/** The rate of the cipher by itself, in requests of 4 KiB. */
function rateLine({ ours }: Line): Line {
  const what = 'AES-256-XTS, 4 KiB';
  return {
    what,
    ours,
    reference: '',
    value: parseFloat(ours.replaceAll(',', '')),
    unit: 'MB/s',
    target: { least: 300 },
  };
}

/** The same requests as `qsd-web` makes them under Node.js, whose AES the data plane uses. */
async function hostedLine(): Promise<Line> {
  const ours = requestsOf4KiB(createEngine(module, nodeAccelerator));
  const own = requestsOf4KiB(createEngine(module));
  const result = await compare(61, { run: ours }, { run: own });
  return {
    what: 'Node: AES-256-XTS, 4 KiB, against the same without the AES of Node',
    ours: rate(REQUESTS * 4096, result.ours, 'MB/s'),
    reference: rate(REQUESTS * 4096, result.reference, 'MB/s'),
    value: result.ratio,
    unit: '',
  };
}

/** A graph that knows the passphrase. */
function newGraph(): BlockGraph {
  const graph = new BlockGraph({
    engine: createEngine(module),
    files: new NodeStore(),
    locks: new MemoryLocks(),
  });
  graph.secrets.source = () => new TextEncoder().encode(PASSWORD);
  return graph;
}

/** Reads of 1 MiB through file, container and cipher, against the cipher alone. */
async function stackLine(filename: string): Promise<Line> {
  const size = 64 * MIB;
  const graph = newGraph();
  const values = { size, 'key-secret': 's', 'iter-time': 0, preallocation: 'full' };
  await graph.createImage({ filename, format: 'luks', values });
  const options = { driver: 'luks', 'key-secret': 's', 'file.filename': filename };
  const user = await graph.openImage({ options, readOnly: true });
  const { engine } = graph.opener.environment;
  const buffer = engine.alloc(MIB);
  const cipher = engine.crypto.make({
    cipher: 'aes',
    mode: 'xts',
    iv: 'plain64',
    key: KEY,
    sectorBytes: 512,
  });
  const result = await compare(
    61,
    { run: (round) => user.read((round % 64) * MIB, MIB, buffer) },
    { run: (round) => engine.crypto.run(cipher, 'decrypt', round, buffer, 0, MIB) },
  );
  await graph.close();
  return {
    what: 'LUKS, reads of 1 MiB, against the cipher alone',
    ours: rate(MIB, result.ours, 'MB/s'),
    reference: rate(MIB, result.reference, 'MB/s'),
    value: result.ratio,
    unit: '',
    target: { least: 0.85 },
  };
}

/** Unlocking a key slot that was made to take two seconds, against cryptsetup. */
async function unlockLine(filename: string, keyFile: string): Promise<Line> {
  const graph = newGraph();
  const values = { size: MIB, 'key-secret': 's', 'iter-time': 2000 };
  await graph.createImage({ filename, format: 'luks', values });
  await graph.close();
  writeFileSync(keyFile, PASSWORD);
  const options = { driver: 'luks', 'key-secret': 's', 'file.filename': filename };
  const result = await compare(
    3,
    {
      run: async () => {
        const opened = newGraph();
        await opened.openImage({ options, readOnly: true });
        await opened.close();
      },
    },
    {
      run: () => {
        const words = ['open', '--test-passphrase', '--disable-locks', '--key-file', keyFile, filename];
        if (spawnSync('cryptsetup', words).status !== 0) throw new Error('cryptsetup failed');
      },
    },
  );
  return {
    what: 'unlocking a key slot of 2 s, against cryptsetup',
    ours: `${result.ours.toFixed(0)} ms`,
    reference: `${result.reference.toFixed(0)} ms`,
    value: result.ours / result.reference,
    unit: '',
    target: { below: 2 },
  };
}

export async function luksLines(): Promise<Line[]> {
  const directory = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  try {
    const cipher = await cipherLine();
    return [
      rateLine(cipher),
      cipher,
      await hostedLine(),
      await stackLine(join(directory, 'stack.luks')),
      await unlockLine(join(directory, 'unlock.luks'), join(directory, 'key')),
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
