/** The NBD server of this build and of the real tools, side by side on one file, and how soon a daemon greets. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare, duration, randomOffsets, Sequence, slice } from '../measure';
import { type Line, rate } from '../report';

const PROGRAM = join(import.meta.dirname, '../../dist/node/qsd-web.js');
const BYTES = 512 * 2 ** 20;
const NOISE = 16 * 2 ** 20;
const BLOCK = 4096;
const DEPTH = 16;
const READS = 4096;

function writeDisk(path: string): void {
  const sequence = new Sequence();
  const words = new Uint32Array(NOISE / 4);
  for (let i = 0; i < words.length; i++) words[i] = sequence.next(2 ** 32);
  const file = openSync(path, 'w');
  for (let written = 0; written < BYTES; written += NOISE) writeSync(file, words);
  closeSync(file);
}

/** A server of one file, and a client that reads from it. */
class Server {
  private constructor(
    private readonly stop: () => Promise<void>,
    readonly uri: string,
    private readonly socket: Socket,
  ) {}

  static async start(command: readonly string[], path: string, disk: string): Promise<Server> {
    const [program = '', ...words] = command;
    const child = spawn(program, [...words, '-k', path, '-t', '-e', '0', '-r', '-f', 'raw', disk], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const socket = await connected(path);
    const ended = once(child, 'exit');
    const stop = async (): Promise<void> => {
      socket.destroy();
      child.kill();
      await ended;
    };
    await enter(socket);
    return new Server(stop, `nbd+unix:///?socket=${path}`, socket);
  }

  /** Copies all to nowhere. */
  copy(): void {
    execFileSync('nbdcopy', [this.uri, 'null:'], { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Reads blocks; {@link DEPTH} requests are under way. */
  read(offsets: readonly number[]): Promise<void> {
    const { socket } = this;
    return new Promise((resolve) => {
      let sent = 0;
      let received = 0;
      const send = (count: number): void => {
        const end = Math.min(offsets.length, sent + count);
        if (end === sent) return;
        const requests = Buffer.alloc(28 * (end - sent));
        for (let at = 0; sent < end; sent++, at += 28) {
          requests.writeUInt32BE(0x25609513, at);
          requests.writeBigUInt64BE(BigInt(sent), at + 8);
          requests.writeBigUInt64BE(BigInt(offsets[sent] ?? 0), at + 16);
          requests.writeUInt32BE(BLOCK, at + 24);
        }
        socket.write(requests);
      };
      const take = (bytes: Buffer): void => {
        const before = Math.floor(received / (BLOCK + 16));
        received += bytes.length;
        const answered = Math.floor(received / (BLOCK + 16));
        if (answered < offsets.length) {
          send(answered - before);
          return;
        }
        socket.off('data', take);
        resolve();
      };
      socket.on('data', take);
      send(DEPTH);
    });
  }

  async end(): Promise<void> {
    await this.stop();
  }
}

/** The server makes its socket when it gets to it. */
async function connected(path: string): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    const socket = createConnection(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === 500) throw error;
      await sleep(20);
    }
  }
}

/** The shortest handshake: the export without a name, simple replies. */
async function enter(socket: Socket): Promise<void> {
  let received = 0;
  const entered = new Promise<void>((resolve) => {
    const take = (bytes: Buffer): void => {
      received += bytes.length;
      // The greeting, size and flags: no zeros behind them were agreed upon.
      if (received < 18 + 10) return;
      socket.off('data', take);
      resolve();
    };
    socket.on('data', take);
  });
  const hello = Buffer.alloc(20);
  hello.writeUInt32BE(3);
  hello.write('IHAVEOPT', 4);
  hello.writeUInt32BE(1, 12);
  socket.write(hello);
  await entered;
}

/** Milliseconds until a new daemon has greeted. */
async function untilGreeting(): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, 'daemon', '--chardev', 'stdio,id=c', '--monitor', 'c']);
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}

export async function nbdLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-nbd-'));
  const disk = join(folder, 'disk.img');
  writeDisk(disk);
  const ours = await Server.start([process.execPath, PROGRAM, 'nbd'], join(folder, 'ours.sock'), disk);
  const real = await Server.start(['qemu-nbd'], join(folder, 'real.sock'), disk);
  try {
    const copies = await compare(7, { run: () => ours.copy() }, { run: () => real.copy() });
    const offsets = randomOffsets(READS * 8, BLOCK, BYTES);
    const reads = await compare(
      15,
      { run: (round) => ours.read(slice(offsets, READS, round)) },
      { run: (round) => real.read(slice(offsets, READS, round)) },
    );
    const start = await duration(9, { run: untilGreeting });
    return [
      {
        what: 'NBD: nbdcopy from an export (qemu-nbd)',
        ours: rate(BYTES, copies.ours, 'MB/s'),
        reference: rate(BYTES, copies.reference, 'MB/s'),
        value: copies.ratio,
        unit: '',
        target: { least: 0.7 },
      },
      {
        what: 'NBD: 4 KiB random reads, 16 under way (qemu-nbd)',
        ours: rate(READS, reads.ours, '/s'),
        reference: rate(READS, reads.reference, '/s'),
        value: reads.ratio,
        unit: '',
        target: { least: 0.7 },
      },
      {
        what: 'Daemon under Node.js: start to greeting',
        ours: `${start.toFixed(0)} ms`,
        reference: '',
        value: start,
        unit: 'ms',
        target: { below: 150 },
      },
    ];
  } finally {
    await ours.end();
    await real.end();
    rmSync(folder, { recursive: true });
  }
}
