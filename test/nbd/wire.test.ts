/** Conversations byte by byte: the real daemon and ours must answer the same, to clients of every kind. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/nbd/stream';
import type { QmpObject } from '../../src/qapi';
import { openDaemonIn } from '../daemon/daemon';
import { haveTools } from '../tools/twins';
import { contextData, hello, infoData, longRequest, option, request, type RequestFields } from './messages';

const root = mkdtempSync(join(tmpdir(), 'nbd-wire-'));
const real = join(root, 'real');
const ours = join(root, 'ours');
let program: ChildProcess;
let daemon: ReturnType<typeof openDaemonIn>['daemon'];

const NODES: QmpObject[] = [
  { driver: 'qcow2', 'node-name': 'q', file: { driver: 'file', filename: 'a.qcow2' } },
  { driver: 'file', 'node-name': 'ro', filename: 'r.img', 'read-only': true },
];
const EXPORTS = [
  { type: 'nbd', id: 'e', 'node-name': 'q', writable: true, 'allocation-depth': true, description: 'hello' },
  { type: 'nbd', id: 'r', 'node-name': 'ro' },
] as const;

beforeAll(async () => {
  if (!haveTools) return;
  for (const directory of [real, ours]) {
    mkdirSync(directory);
    const run = (program: string, ...words: string[]) => execFileSync(program, words, { cwd: directory });
    run('qemu-img', 'create', '-q', '-f', 'qcow2', 'a.qcow2', '64M');
    run(
      'qemu-io',
      '-f',
      'qcow2',
      '-c',
      'write -P 5 64k 128k',
      '-c',
      'write -z 1M 64k',
      '-c',
      'write 2M 64k',
      'a.qcow2',
    );
    run('qemu-img', 'create', '-q', '-f', 'raw', 'r.img', '1000000');
    run('qemu-io', '-f', 'raw', '-c', 'write -P 3 0 1000448', 'r.img');
  }
  const words = [...NODES.flatMap((node) => ['--blockdev', JSON.stringify(node)])];
  words.push('--nbd-server', 'addr.type=unix,addr.path=n.sock');
  words.push(...EXPORTS.flatMap((target) => ['--export', JSON.stringify(target)]));
  program = spawn('qemu-storage-daemon', words, { cwd: real, stdio: 'ignore' });
  daemon = openDaemonIn(ours).daemon;
  for (const node of NODES) expect(await daemon.execute('blockdev-add', { ...node })).toEqual({ return: {} });
  await daemon.startNbdServer({ addr: { type: 'unix', path: 'n.sock' } });
  for (const target of EXPORTS)
    expect(await daemon.execute('block-export-add', target)).toEqual({ return: {} });
  while (!existsSync(join(real, 'n.sock'))) await sleep(20);
});

afterAll(async () => {
  program.kill();
  await daemon.end();
  rmSync(root, { recursive: true });
});

/** Milliseconds after which a server that says nothing has said all. */
const QUIET = 15;
/** The same for a second try: a flush of a disk with other work takes longer than the first allows. */
const PATIENT = 1000;

/**
 * Sends everything at once; answers what came when the server says no more, and whether it has ended the connection then.
 * A server that gives up with data unread may lose what it said before, so that is not looked at.
 */
async function converse(directory: string, pieces: readonly Uint8Array[], quiet = QUIET): Promise<string> {
  const socket = connect(join(directory, 'n.sock'));
  let answer = '';
  let seen = -1;
  let ended = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('hex')));
  socket.on('error', () => undefined);
  socket.on('close', () => (ended = ' the end'));
  socket.write(Buffer.concat(pieces));
  while (seen !== answer.length && ended === '') {
    seen = answer.length;
    await sleep(seen === 0 ? 2 * quiet : quiet);
  }
  socket.destroy();
  return answer + ended;
}

const ABORT = option(2);
const DISC = request({ type: 2 });
const GO = option(7, infoData('q'));
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Handshakes. */
const HANDSHAKES: Record<string, Uint8Array[]> = {
  'unknown client flags': [hello(4)],
  'an option before fixed newstyle': [hello(0), option(3)],
  'EXPORT_NAME with zeroes': [hello(1), option(1, text('q')), DISC],
  'EXPORT_NAME of the oldest client': [hello(0), option(1, text('q')), DISC],
  'EXPORT_NAME without zeroes': [hello(), option(1, text('ro')), DISC],
  'EXPORT_NAME unknown': [hello(), option(1, text('nope'))],
  'EXPORT_NAME too long': [hello(), option(1, new Uint8Array(5000))],
  abort: [hello(), ABORT],
  'abort with data': [hello(), option(2, bytes(1, 2, 3))],
  'wrong magic': [hello(), bytes(...new Uint8Array(16))],
  list: [hello(), option(3)],
  'list with data': [hello(), option(3, bytes(1, 2))],
  'peek, unknown options': [hello(), option(4), option(99, bytes(1, 2, 3)), option(0)],
  starttls: [hello(), option(5), option(5, bytes(1))],
  'too much data': [hello(), option(6, new Uint8Array(0), 33554433)],
  'info of each kind': [hello(), option(6, infoData('q', [0, 1, 2, 3])), option(6, infoData('q', [77]))],
  'info of an unknown export': [hello(), option(6, infoData('nope')), option(6, infoData('n'.repeat(200)))],
  'info of a name that is too long': [hello(), option(6, infoData('n'.repeat(4097)))],
  'info with too few requests': [hello(), option(6, infoData('q', [1], 2))],
  'info with too many requests': [hello(), option(6, infoData('q', [1, 2], 1))],
  'info that is cut off': [hello(), option(6, bytes(0, 0)), option(6, bytes(0, 0, 0, 9, 1, 2))],
  'info without data': [hello(), option(6), option(7)],
  'go of an unknown export': [hello(), option(7, infoData('nope'))],
  structured: [hello(), option(8), option(8), option(6, infoData('q'))],
  'structured with data': [hello(), option(8, bytes(1))],
  extended: [hello(), option(11), option(11), option(8), option(6, infoData('ro'))],
  'extended with data': [hello(), option(11, bytes(1)), option(11)],
  'extended after structured': [hello(), option(8), option(11), option(6, infoData('q'))],
  'set context too early': [hello(), option(10, contextData('q', ['base:allocation']))],
  'list contexts': [hello(), option(9, contextData('q')), option(9, contextData('ro'))],
  'list contexts by group': [
    hello(),
    ...['base:', 'qemu:', 'qemu:dirty-bitmap:', 'qemu:allocation-depth', 'x', ''].map((query) =>
      option(9, contextData('q', [query])),
    ),
  ],
  'list several contexts': [hello(), option(9, contextData('q', ['qemu:', 'base:', 'base:allocation']))],
  'list of an unknown export': [
    hello(),
    option(9, contextData('nope')),
    option(9, contextData('x'.repeat(5000))),
  ],
  'set contexts by group': [
    hello(),
    option(8),
    ...['base:', 'qemu:', 'base:allocation', 'nope:'].map((query) => option(10, contextData('q', [query]))),
    option(10, contextData('q')),
  ],
  'set of an unknown export': [hello(), option(8), option(10, contextData('nope', ['base:allocation']))],
  'a long query': [hello(), option(9, contextData('q', ['q'.repeat(5000), 'base:allocation']))],
  'queries that are cut off': [
    hello(),
    option(9, contextData('q', ['base:'], 2)),
    option(9, bytes(0, 0, 0, 1, 0x71)),
    option(9, bytes(0, 0, 0, 1, 0x71, 0, 0, 0, 1, 0, 0, 0, 200, 1)),
    option(9),
  ],
};

/** How a client begins to transmit. */
const STARTS = {
  simple: [hello(), GO],
  structured: [hello(), option(8), GO],
  'structured with contexts': [
    hello(),
    option(8),
    option(10, contextData('q', ['base:allocation', 'qemu:allocation-depth'])),
    GO,
  ],
  'read-only': [hello(), option(8), option(7, infoData('ro'))],
  'contexts of another export': [hello(), option(8), option(10, contextData('ro', ['base:allocation'])), GO],
};

const SECTOR = new Uint8Array(512).fill(0xee);
const SIZE = 64 * 1024 * 1024;
/** Requests, each alone. */
const REQUESTS: Record<string, RequestFields> = {
  read: { type: 0, offset: 65536, length: 512 },
  'read of zeros': { type: 0, offset: 0, length: 512 },
  'read of both': { type: 0, offset: 0, length: 1024 * 1024 },
  'read in one chunk': { type: 0, flags: 4, offset: 0, length: 131072 },
  'read with flush': { type: 0, flags: 1, offset: 65536, length: 1 },
  'read of nothing': { type: 0, offset: 0 },
  'read behind the end': { type: 0, offset: SIZE, length: 512 },
  'read of nothing behind the end': { type: 0, offset: SIZE + 1 },
  'read across the end': { type: 0, offset: SIZE - 512, length: 1024 },
  'read far away': { type: 0, offset: 0xfffffffffffffff0n, length: 0xffff },
  'read too much': { type: 0, length: 32 * 1024 * 1024 + 1 },
  'read with wrong flags': { type: 0, flags: 2 | 8, length: 512 },
  write: { type: 1, offset: 2097152, length: 512, data: SECTOR },
  'write through': { type: 1, flags: 1, offset: 2097152, length: 512, data: SECTOR },
  'write of nothing': { type: 1, offset: 0 },
  'write behind the end': { type: 1, offset: SIZE, length: 512, data: SECTOR },
  'write with wrong flags': { type: 1, flags: 4, offset: 0, length: 512, data: SECTOR },
  'write too much': { type: 1, length: 32 * 1024 * 1024 + 1 },
  flush: { type: 3 },
  'flush with values': { type: 3, offset: 5, length: 7 },
  'flush with flags': { type: 3, flags: 1 },
  'flush with wrong flags': { type: 3, flags: 2 },
  trim: { type: 4, offset: 3145728, length: 65536 },
  'trim of nothing': { type: 4, offset: 0 },
  'trim behind the end': { type: 4, offset: SIZE, length: 65536 },
  'trim through': { type: 4, flags: 1, offset: 3145728, length: 65536 },
  'trim of much': { type: 4, offset: 8388608, length: 50331648 },
  cache: { type: 5, offset: 0, length: 1048576 },
  'cache too much': { type: 5, offset: 0, length: 50331648 },
  'cache with wrong flags': { type: 5, flags: 4, length: 512 },
  'cache behind the end': { type: 5, offset: SIZE, length: 512 },
  zero: { type: 6, offset: 4194304, length: 65536 },
  'zero of much': { type: 6, offset: 8388608, length: 50331648 },
  'zero without holes': { type: 6, flags: 2, offset: 4194304, length: 65536 },
  'zero quickly': { type: 6, flags: 16, offset: 4194304, length: 65536 },
  'zero of nothing': { type: 6 },
  'zero with wrong flags': { type: 6, flags: 4, length: 512 },
  'zero behind the end': { type: 6, offset: SIZE, length: 65536 },
  status: { type: 7, length: SIZE },
  'status of a part': { type: 7, offset: 65536 + 512, length: 65536 },
  'one status': { type: 7, flags: 8, length: SIZE },
  'status of nothing': { type: 7 },
  'status behind the end': { type: 7, offset: SIZE, length: 512 },
  'status with wrong flags': { type: 7, flags: 16, length: 512 },
  'no such request': { type: 8, length: 512 },
  'no such request with flags': { type: 4242, flags: 0xffff, length: 512 },
};

const both = async (pieces: readonly Uint8Array[]) => {
  const ask = (quiet: number) => Promise.all([converse(real, pieces, quiet), converse(ours, pieces, quiet)]);
  let [fromReal, fromOurs] = await ask(QUIET);
  if (fromReal !== fromOurs) [fromReal, fromOurs] = await ask(PATIENT);
  return { real: fromReal, ours: fromOurs };
};

describe.runIf(haveTools)('handshakes', () => {
  it.each(Object.entries(HANDSHAKES))('%s', async (_name, pieces) => {
    const found = await both(pieces);
    expect(found.ours).toBe(found.real);
  });
});

describe.runIf(haveTools).each(Object.entries(STARTS))('requests, %s', (_name, start) => {
  it.each(Object.entries(REQUESTS))('%s', async (_request, fields) => {
    const found = await both([...start, request(fields)]);
    expect(found.ours).toBe(found.real);
  });

  it('a wrong magic number', async () => {
    const found = await both([...start, new Uint8Array(40).fill(0x21)]);
    expect(found.ours).toBe(found.real);
  });

  it('the wish to end', async () => {
    const found = await both([...start, DISC]);
    expect(found.ours).toBe(found.real);
  });
});

const payload = (length: number, ...ids: number[]): Uint8Array => {
  const writer = new ByteWriter().u64(length);
  for (const id of ids) writer.u32(id);
  return writer.done();
};
const withPayload = (data: Uint8Array, flags = 32) => ({ type: 7, flags, length: data.length, data });
const EXTENDED_STARTS = {
  extended: [hello(), option(11), GO],
  'extended with contexts': [
    hello(),
    option(11),
    option(10, contextData('q', ['base:allocation', 'qemu:allocation-depth'])),
    GO,
  ],
};
const EXTENDED: Record<string, Parameters<typeof longRequest>[0]> = {
  'write with its length': { type: 1, flags: 32, offset: 2097152, length: 512, data: SECTOR },
  'read with a payload': { type: 0, flags: 32, offset: 2097152, length: 512, data: SECTOR },
  'flush with a payload': { type: 3, flags: 32, length: 512, data: SECTOR },
  'read of 2^40': { type: 0, length: 2 ** 40 },
  'zero of 2^40': { type: 6, length: 2 ** 40 },
  'zero at 2^63': { type: 6, offset: 2n ** 63n, length: 2n ** 63n },
  'trim of all': { type: 4, length: 0xffffffffffffffffn },
  'payload with both': withPayload(payload(SIZE, 0, 1)),
  'payload in another order': withPayload(payload(SIZE, 1, 0)),
  'payload with one': withPayload(payload(SIZE, 1)),
  'payload with one extent': withPayload(payload(SIZE, 1), 32 | 8),
  'payload with one twice': withPayload(payload(SIZE, 1, 1)),
  'payload with an unknown one': withPayload(payload(SIZE, 0, 9)),
  'payload with none': withPayload(payload(SIZE)),
  'payload of odd size': withPayload(new Uint8Array(13)),
  'payload that is too short': withPayload(new Uint8Array(4)),
  'payload of no length': withPayload(payload(0, 0)),
  'payload for too much': withPayload(payload(2 * SIZE, 0)),
  'payload of no bytes': withPayload(new Uint8Array(0)),
};

describe.runIf(haveTools).each(Object.entries(EXTENDED_STARTS))('requests, %s', (name, start) => {
  // Without contexts such a payload ends the real daemon.
  const extended = Object.entries(EXTENDED).filter(
    ([request]) => name === 'extended with contexts' || !request.startsWith('payload'),
  );
  it.each([...Object.entries(REQUESTS), ...extended])('%s', async (_request, fields) => {
    const found = await both([...start, longRequest(fields)]);
    expect(found.ours).toBe(found.real);
  });
});
