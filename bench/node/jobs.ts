/** Block jobs of this build's daemon and of the real one, on the same files, side by side. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compare, percentile, Sequence, type Side } from '../measure';
import { type Line, rate } from '../report';
import { DaemonProcess } from './qmp';

const PROGRAM = join(import.meta.dirname, '../../dist/node/qsd-web.js');
const BYTES = 2 ** 30;
const ROUNDS = 7;
/** Bytes of noise that the disk is made of, again and again. */
const NOISE = 16 * 2 ** 20;

type Format = 'raw' | 'qcow2';
type Kind = 'mirror' | 'backup';

function writeDisk(path: string): void {
  const sequence = new Sequence();
  const words = new Uint32Array(NOISE / 4);
  for (let i = 0; i < words.length; i++) words[i] = sequence.next(2 ** 32);
  const file = openSync(path, 'w');
  for (let written = 0; written < BYTES; written += NOISE) writeSync(file, words);
  closeSync(file);
}

/** A daemon that copies the disk, which it can have open several times. */
class Copier {
  private constructor(
    private readonly folder: string,
    private readonly name: string,
    readonly daemon: DaemonProcess,
  ) {}

  static async start(folder: string, name: string, command: readonly string[]): Promise<Copier> {
    return new Copier(folder, name, await DaemonProcess.start(command, join(folder, `${name}.sock`)));
  }

  /** Adds the disk as a node. */
  async addSource(node: string, driver: Format): Promise<void> {
    const file = { driver: 'file', filename: join(this.folder, `disk.${driver}`) };
    await this.daemon.execute('blockdev-add', { 'node-name': node, driver, 'read-only': true, file });
  }

  /** Adds a new, empty qcow2 image of the size of the disk as a node. */
  async addTarget(node: string): Promise<void> {
    const path = join(this.folder, `${this.name}-${node}.qcow2`);
    rmSync(path, { force: true });
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(BYTES)]);
    const file = { driver: 'file', filename: path };
    await this.daemon.execute('blockdev-add', { 'node-name': node, driver: 'qcow2', file });
  }

  async remove(node: string): Promise<void> {
    await this.daemon.execute('blockdev-del', { 'node-name': node });
  }

  /** Copies the disk to a target, up to the end of the job. */
  async copy(kind: Kind, from: string, to: string): Promise<void> {
    const { daemon } = this;
    const id = `job-${to}`;
    const over = daemon.jobStatus(id, 'null');
    const ready = kind === 'mirror' ? daemon.jobStatus(id, 'ready') : null;
    await daemon.execute(`blockdev-${kind}`, { 'job-id': id, device: from, target: to, sync: 'full' });
    if (ready) {
      await ready;
      await daemon.execute('job-complete', { id });
    }
    await over;
  }

  /** One of the sides of a comparison; needs the node `source`. */
  side(kind: Kind): Side & { finish(): Promise<void> } {
    let used = false;
    const finish = async (): Promise<void> => {
      if (used) await this.remove('target');
      used = false;
    };
    return {
      prepare: async () => {
        await finish();
        await this.addTarget('target');
        used = true;
        // What the system still has to write of the last round is not part of this one.
        execFileSync('sync');
      },
      run: () => this.copy(kind, 'source', 'target'),
      finish,
    };
  }
}

/** Copying the disk, by ours and by the real daemon. */
async function copyLine(kind: Kind, from: Format, ours: Copier, real: Copier): Promise<Line> {
  for (const copier of [ours, real]) await copier.addSource('source', from);
  const [a, b] = [ours.side(kind), real.side(kind)];
  const result = await compare(ROUNDS, a, b);
  for (const side of [a, b]) await side.finish();
  for (const copier of [ours, real]) await copier.remove('source');
  return {
    what: `Node: ${kind} of 1 GiB, ${from} to qcow2, against qemu-storage-daemon`,
    ours: rate(BYTES, result.ours, 'MB/s'),
    reference: rate(BYTES, result.reference, 'MB/s'),
    value: result.ratio,
    unit: '',
    target: { least: 1 },
  };
}

/** How long a monitor waits for its replies while four jobs copy the disk at full speed. */
async function replyLine(ours: Copier): Promise<Line> {
  const jobs: Promise<void>[] = [];
  for (const kind of ['mirror', 'backup'] as const) {
    for (const format of ['raw', 'qcow2'] as const) {
      const [source, target] = [`${kind}-${format}-source`, `${kind}-${format}`];
      await ours.addSource(source, format);
      await ours.addTarget(target);
      jobs.push(ours.copy(kind, source, target));
    }
  }
  let running = true;
  const done = Promise.all(jobs).then(() => (running = false));
  const times: number[] = [];
  while (running) {
    const start = performance.now();
    await ours.daemon.execute('query-jobs');
    times.push(performance.now() - start);
    await sleep(1);
  }
  await done;
  return {
    what: 'Node: reply to query-jobs while four jobs copy 1 GiB each, 99th percentile',
    ours: `${times.length} replies`,
    reference: '',
    value: percentile(times, 0.99),
    unit: 'ms',
    target: { below: 20 },
  };
}

export async function jobLines(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qsd-web-bench-'));
  const daemons: Copier[] = [];
  try {
    const raw = join(folder, 'disk.raw');
    writeDisk(raw);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(folder, 'disk.qcow2')]);
    const ours = await Copier.start(folder, 'ours', [process.execPath, PROGRAM, 'daemon']);
    daemons.push(ours);
    const real = await Copier.start(folder, 'real', ['qemu-storage-daemon']);
    daemons.push(real);
    const lines: Line[] = [];
    for (const kind of ['mirror', 'backup'] as const) {
      for (const from of ['raw', 'qcow2'] as const) lines.push(await copyLine(kind, from, ours, real));
    }
    lines.push(await replyLine(ours));
    return lines;
  } finally {
    for (const { daemon } of daemons) await daemon.quit();
    rmSync(folder, { recursive: true, force: true });
  }
}
