/** telnet, tn3270 and WebSockets on sockets of character devices: what the real daemon says to each client, ours says too. */
import fc from 'fast-check';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Daemon } from '../../../src/daemon';
import { acceptTelnet } from '../../../src/daemon/chardevs/telnet';
import { acceptWebSocket, type ByteStream } from '../../../src/nbd';
import { openDaemonIn } from '../../daemon/daemon';
import { haveTools } from '../../tools/twins';
import { until } from '../built';

const NOTHING = Buffer.alloc(0);
const PROTOCOLS = ['telnet', 'tn3270', 'websocket'] as const;
type Protocol = (typeof PROTOCOLS)[number];
const root = mkdtempSync(join(tmpdir(), 'protocols-'));
const ours = join(root, 'ours');
let daemon: Daemon;

beforeAll(async () => {
  mkdirSync(ours);
  daemon = openDaemonIn(ours).daemon;
  for (const id of PROTOCOLS) {
    const addr = { type: 'unix', data: { path: id } };
    const backend = { type: 'socket', data: { addr, wait: false, [id]: true } };
    expect(await daemon.execute('chardev-add', { id, backend })).toEqual({ return: {} });
    daemon.addMonitor(id, false);
  }
});

afterAll(async () => {
  await daemon.end();
  rmSync(root, { recursive: true });
});

/** What the real daemon says. Now and then 10.0 ends at a WebSocket without a word: another one is asked then. */
async function real(protocol: Protocol, said: Buffer[], last?: string): Promise<string> {
  for (let i = 0; i < 20; i++) {
    const heard = await newReal(protocol, said, last);
    if (heard !== '') return heard;
  }
  throw new Error('the real daemon says nothing');
}

async function newReal(protocol: Protocol, said: Buffer[], last?: string): Promise<string> {
  const directory = mkdtempSync(join(root, 'real-'));
  const words = ['--chardev', `socket,id=c,path=${protocol},server=on,wait=off,${protocol}=on`];
  const program = spawn('qemu-storage-daemon', [...words, '--monitor', 'c'], {
    cwd: directory,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => program.on('close', resolve));
  try {
    await until(
      () => existsSync(join(directory, protocol)),
      () => 'the socket of the real daemon',
    );
    return await answer(directory, protocol, said, last);
  } finally {
    program.kill('SIGKILL');
    await ended;
  }
}

/**
 * What a server says, up to the end of the connection or up to a piece of text. The client says its second piece when it has
 * been greeted.
 */
async function answer(directory: string, name: string, said: Buffer[], last?: string): Promise<string> {
  const socket: Socket = connect(join(directory, name));
  const rest = [...said];
  let heard = '';
  // The version is of another length, and so is its frame.
  const masked = (): string =>
    heard.replace(/Server: .*|Date: .*/g, 'MASKED').replace(/(\x82~[^]{2})?\{"QMP".*\]\}\}/, 'GREETING');
  await new Promise<void>((resolve) => {
    socket.on('data', (piece: Buffer) => {
      heard += piece.toString('latin1');
      if (heard.includes('}\r\n')) for (const next of rest.splice(0)) socket.write(next);
      if (last !== undefined && masked().includes(last)) resolve();
    });
    // A server that has gone while there was more to say resets the connection.
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.write(rest.shift() ?? NOTHING);
  });
  socket.destroy();
  return masked();
}

const HEAD = {
  Host: 'x',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Protocol': 'binary',
};

function head(changes: Record<string, string | null> = {}, line = 'GET / HTTP/1.1'): Buffer {
  const fields = Object.entries({ ...HEAD, ...changes }).filter(([, value]) => value !== null);
  return Buffer.from([line, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n'));
}

/** A frame of a client. */
function frame(content: Uint8Array, { opcode = 2, fin = 1, masked = true, reserved = 0 } = {}): Buffer {
  const { length } = content;
  const short = length < 126 ? length : length < 65536 ? 126 : 127;
  const more = Buffer.alloc(short === 126 ? 2 : short === 127 ? 8 : 0);
  if (short === 126) more.writeUInt16BE(length);
  if (short === 127) more.writeBigUInt64BE(BigInt(length));
  const mask = masked ? [1, 2, 3, 4] : [];
  const data = content.map((byte, i) => byte ^ (mask[i & 3] ?? 0));
  const first = (fin << 7) | (reserved << 4) | opcode;
  return Buffer.concat([Buffer.of(first, (masked ? 128 : 0) | short), more, Buffer.of(...mask), data]);
}

const CLOSE = frame(NOTHING, { opcode: 8 });

/** Requests that are refused. */
const REFUSED: Record<string, Buffer> = {
  'another protocol': head({ 'Sec-WebSocket-Protocol': 'foo' }),
  'another version': head({ 'Sec-WebSocket-Version': '8' }),
  'no version': head({ 'Sec-WebSocket-Version': null }),
  'no key': head({ 'Sec-WebSocket-Key': null }),
  'a short key': head({ 'Sec-WebSocket-Key': 'short' }),
  'no host': head({ Host: null }),
  'no upgrade': head({ Upgrade: null }),
  'another upgrade': head({ Upgrade: 'foo' }),
  'another connection': head({ Connection: 'close' }),
  'another method': head({}, 'POST / HTTP/1.1'),
  'another path': head({}, 'GET /foo HTTP/1.1'),
  'an older version': head({}, 'GET / HTTP/1.0'),
  'no words': Buffer.from('hello\r\n\r\n'),
  'no fields': Buffer.from('GET / HTTP/1.1\r\nfoo\r\n\r\n'),
  'too many fields': head(Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`a${i}`, 'b']))),
  'too long': Buffer.alloc(4096, 'x'),
};

/** Requests that are granted. */
const GRANTED: Record<string, Buffer> = {
  'all fields': head(),
  'no protocol asked for': head({ 'Sec-WebSocket-Protocol': null }),
  'one protocol of some': head({ 'Sec-WebSocket-Protocol': 'foo, binary' }),
  'words in a list': head({ Upgrade: 'WebSocket', Connection: 'keep-alive, Upgrade' }),
};

/**
 * Frames that end a connection, and what the server says to them. The texts are the real daemon's; it is not asked here, for it
 * misses what comes soon after its own greeting.
 */
const ENDS: Record<string, [said: Buffer, answer: string]> = {
  'a goodbye': [CLOSE, '\x88\x16\x03\xe8peer requested close'],
  'a text': [
    frame(Buffer.from('{}'), { opcode: 1 }),
    '\x88\x39\x03\xebonly binary, close, ping, and pong frames are supported',
  ],
  'no mask': [frame(Buffer.from('{}'), { masked: false }), '\x88\x1e\x03\xeaclient frames must be masked'],
  'another kind of frame': [
    frame(NOTHING, { opcode: 3 }),
    '\x88\x39\x03\xebonly binary, close, ping, and pong frames are supported',
  ],
  'a long ping': [frame(Buffer.alloc(126), { opcode: 9 }), '\x88\x1c\x03\xeacontrol frame is too large'],
  'a ping in pieces': [frame(NOTHING, { opcode: 9, fin: 0 }), '\x88\x1e\x03\xeacontrol frames must be whole'],
  'reserved bits': [frame(NOTHING, { reserved: 1 }), '\x88\x1c\x03\xeareserved bits must be zero'],
  'more of no message': [
    frame(NOTHING, { opcode: 0 }),
    '\x88\x2c\x03\xeaframes of a message must follow each other',
  ],
  'a message within a message': [
    Buffer.concat([frame(NOTHING, { fin: 0 }), frame(NOTHING)]),
    '\x88\x2c\x03\xeaframes of a message must follow each other',
  ],
  'more than there can be': [
    Buffer.of(0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4),
    '\x88\x14\x03\xeaframe is too large',
  ],
};

describe.runIf(haveTools)('as with the real daemon', () => {
  it.each(Object.entries(REFUSED))('a WebSocket with %s is refused', async (_name, said) => {
    const expected = await real('websocket', [said]);
    expect(expected).toMatch(/^HTTP\/1.1 4/);
    // QEMU forgets the empty line behind the fields of some.
    expect((await answer(ours, 'websocket', [said])).trimEnd()).toBe(expected.trimEnd());
  });

  it.each(Object.entries(GRANTED))('a WebSocket with %s is granted', async (_name, said) => {
    const expected = await real('websocket', [said], 'GREETING');
    expect(await answer(ours, 'websocket', [said], 'GREETING')).toBe(expected);
  });

  it.each(['telnet', 'tn3270'] as const)('a client of %s is greeted', async (protocol) => {
    const expected = await real(protocol, [], 'GREETING\r\n');
    expect(expected).toContain('\xff');
    expect(await answer(ours, protocol, [], 'GREETING\r\n')).toBe(expected);
  });

  it('commands of telnet are taken out', async () => {
    const said = Buffer.from('{"execute":\xff\xfd\x01 "qmp_\xff\xf3capabilities"}', 'latin1');
    for (const heard of [await real('telnet', [said], '{}}'), await answer(ours, 'telnet', [said], '{}}')])
      expect(heard).toMatch(/GREETING\r\n\{"return": \{\}\}/);
  });
});

describe('a monitor', () => {
  const ask = Buffer.from('{"execute": "qmp_capabilities"}{"execute": "query-chardev"}');

  it('on a WebSocket, asked in pieces', async () => {
    const pieces = Buffer.concat([
      head(),
      frame(Buffer.from('12'), { opcode: 9 }),
      frame(ask.subarray(0, 40), { fin: 0 }),
      frame(NOTHING, { opcode: 10 }),
      frame(ask.subarray(40), { opcode: 0 }),
      frame(Buffer.alloc(70000, ' ')),
    ]);
    const heard = await answer(ours, 'websocket', [pieces], '"label": "websocket"');
    expect(heard).toContain('\x8a\x0212');
    // Each message is a frame: of 16 bytes, and of some more.
    expect(heard).toContain('\x82\x10{"return": {}}\r\n\x82~');
  });

  it.each(Object.entries(ENDS))('on a WebSocket ends with %s', async (_name, [said, last]) => {
    const heard = await answer(ours, 'websocket', [head(), said]);
    expect(heard.slice(heard.indexOf('GREETING'))).toBe(`GREETING\r\n${last}`);
  });

  it('is told by its name which protocol it has', async () => {
    for (const [protocol, shown] of [
      ['telnet', 'telnet'],
      ['tn3270', 'tcp'],
      ['websocket', 'websocket'],
    ] as const) {
      const addr = { type: 'inet', data: { host: '127.0.0.1', port: '0' } };
      const backend = { type: 'socket', data: { addr, wait: false, [protocol]: true } };
      await daemon.execute('chardev-add', { id: 'i', backend });
      const list = (await daemon.execute('query-chardev')).return as { label: string; filename: string }[];
      expect(list.find(({ label }) => label === 'i')?.filename).toMatch(
        new RegExp(`^disconnected:${shown}:127.0.0.1:\\d+,server=on$`),
      );
      await daemon.execute('chardev-remove', { id: 'i' });
    }
  });

  it('serves the next client when one does not get through', async () => {
    expect(await answer(ours, 'websocket', [Buffer.from('x\r\n\r\n')])).toContain('400 Bad Request');
    expect(await answer(ours, 'websocket', [head(), CLOSE])).toContain('GREETING');
  });
});

/** A stream of these pieces; what is written is kept. */
function streamOf(pieces: Uint8Array[], written: Uint8Array[] = []): ByteStream {
  return {
    read: async () => pieces.shift() ?? null,
    write: async (sent) => written.push(...sent.map((piece) => piece.slice())) > 0,
    close: () => undefined,
    destroy: () => undefined,
  };
}

async function everything(stream: ByteStream): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let piece = await stream.read(); piece; piece = await stream.read()) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Cuts bytes at places that depend on a number. */
function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

describe('whatever comes, in whichever pieces', () => {
  it('a WebSocket carries it, and answers nothing wrong with more than an end', async () => {
    const some = fc.uint8Array({ minLength: 1, maxLength: 300 });
    await fc.assert(
      fc.asyncProperty(fc.array(some), fc.integer({ min: 1, max: 50 }), async (messages, size) => {
        const said = Buffer.concat([head(), ...messages.map((message) => frame(message))]);
        const stream = await acceptWebSocket(streamOf(cut(said, size)));
        expect(await everything(stream)).toEqual(Buffer.concat(messages));
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 1, max: 50 }),
        async (bytes, size) => {
          const said = Buffer.concat([head(), bytes]);
          const stream = await acceptWebSocket(streamOf(cut(said, size)));
          expect((await everything(stream)).length).toBeLessThanOrEqual(bytes.length);
          expect(await stream.read()).toBeNull();
        },
      ),
    );
  });

  it('telnet carries all bytes, and nothing of its commands', async () => {
    const command = fc.constantFrom([255, 241], [255, 251, 1], [255, 250, 24, 0, 255, 240], [255, 243]);
    const part = fc.oneof(fc.uint8Array(), command);
    await fc.assert(
      fc.asyncProperty(fc.array(part), fc.integer({ min: 1, max: 9 }), async (parts, size) => {
        const plain = parts.filter((each) => each instanceof Uint8Array);
        const said = parts.flatMap((each) =>
          each instanceof Uint8Array
            ? [...each].flatMap((byte) => (byte === 255 ? [255, 255] : [byte]))
            : each,
        );
        const written: Uint8Array[] = [];
        const stream = await acceptTelnet(streamOf(cut(Uint8Array.from(said), size), written), 'telnet');
        expect(await everything(stream)).toEqual(Buffer.concat(plain));
        // What is sent comes out of another one as it was.
        written.length = 0;
        await stream.write(plain);
        const other = await acceptTelnet(streamOf(written.filter(({ length }) => length > 0)), 'telnet');
        expect(await everything(other)).toEqual(Buffer.concat(plain));
      }),
    );
  });

  it('tn3270 leaves records and terminals to the user', async () => {
    const said = Uint8Array.of(1, 255, 253, 25, 255, 239, 255, 250, 24, 0, 65, 255, 240, 2);
    for (const size of [1, 3, 20]) {
      const stream = await acceptTelnet(streamOf(cut(said, size)), 'tn3270');
      expect([...(await everything(stream))]).toEqual([1, 255, 239, 255, 250, 24, 0, 65, 255, 240, 2]);
    }
  });
});
