/** The browser's half of the benchmark of jobs: a daemon in a dedicated worker, on the origin private file system. */
import { Daemon } from '../../src/daemon';
import { loadEngine } from '../../src/engine';
import { OpfsStore } from '../../src/files/browser/opfs-store';
import { MemoryLocks } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { turn } from '../../src/worker/turn';
import { type Comparison, compare, Sequence } from '../measure';

const MIB = 2 ** 20;
const ROUNDS = 5;

async function bareHandle(name: string): Promise<FileSystemSyncAccessHandle> {
  const root = await navigator.storage.getDirectory();
  const file = await root.getFileHandle(name, { create: true });
  return file.createSyncAccessHandle();
}

/** Makes a file of so many bytes of noise, a multiple of 16 MiB. */
async function writeDisk(name: string, bytes: number): Promise<void> {
  const sequence = new Sequence();
  const words = new Uint32Array(4 * MIB);
  for (let i = 0; i < words.length; i++) words[i] = sequence.next(2 ** 32);
  const handle = await bareHandle(name);
  handle.truncate(0);
  for (let at = 0; at < bytes; at += words.byteLength) handle.write(words, { at });
  handle.flush();
  handle.close();
}

/** A copy of one file to another as plain as can be; both handles are kept open. */
class BareCopy {
  private readonly piece = new Uint8Array(MIB);

  private constructor(
    private readonly from: FileSystemSyncAccessHandle,
    private readonly to: FileSystemSyncAccessHandle,
  ) {}

  static async open(from: string, to: string): Promise<BareCopy> {
    return new BareCopy(await bareHandle(from), await bareHandle(to));
  }

  prepare(): void {
    this.to.truncate(0);
    this.to.flush();
  }

  run(): void {
    for (let at = 0; ; at += MIB) {
      const bytes = this.from.read(this.piece, { at });
      if (bytes === 0) break;
      this.to.write(this.piece.subarray(0, bytes), { at });
    }
    this.to.flush();
  }

  close(): void {
    this.from.close();
    this.to.close();
  }
}

/** A daemon whose commands throw. */
class Commands {
  private constructor(private readonly daemon: Daemon) {}

  static async start(): Promise<Commands> {
    const reply = await fetch(new URL('../../build/engine.wasm', import.meta.url));
    if (!reply.ok) throw new Error(`build/engine.wasm: ${reply.status}`);
    const daemon = new Daemon({
      engine: await loadEngine(await reply.arrayBuffer()),
      files: await OpfsStore.create({ shared: true }),
      locks: new MemoryLocks(),
      version: 'bench',
      now: () => performance.timeOrigin + performance.now(),
      turn,
      exit: () => undefined,
    });
    return new Commands(daemon);
  }

  async execute(command: string, args: QmpValue): Promise<void> {
    const { error } = await this.daemon.execute(command, args);
    if (error) throw new Error(`${command}: ${error.desc}`);
  }

  /** Resolves when a job comes to a status; call it before what brings that about. */
  jobStatus(id: string, status: string): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.daemon.subscribe(({ event, data }) => {
        if (event !== 'JOB_STATUS_CHANGE') return;
        const change = data as Readonly<Record<string, unknown>>;
        if (change.id !== id || change.status !== status) return;
        stop();
        resolve();
      });
    });
  }

  /** Makes an empty qcow2 image and adds it as a node. */
  async addImage(node: string, filename: string, size: number): Promise<void> {
    const made = this.jobStatus('create', 'concluded');
    await this.execute('blockdev-add', { 'node-name': 'file', driver: 'file', filename });
    const options = { driver: 'qcow2', file: 'file', size };
    await this.execute('blockdev-create', { 'job-id': 'create', options });
    await made;
    await this.execute('job-dismiss', { id: 'create' });
    await this.execute('blockdev-del', { 'node-name': 'file' });
    const file = { driver: 'file', filename };
    await this.execute('blockdev-add', { 'node-name': node, driver: 'qcow2', file });
  }

  /** Runs a job from `source` to `target` to its end; what was written is flushed. */
  async copy(kind: string): Promise<void> {
    const over = this.jobStatus('j', 'null');
    const ready = kind === 'mirror' ? this.jobStatus('j', 'ready') : null;
    const nodes = { device: 'source', target: 'target', sync: 'full' };
    await this.execute(`blockdev-${kind}`, { 'job-id': 'j', ...nodes });
    if (ready) {
      await ready;
      await this.execute('job-complete', { id: 'j' });
    }
    await over;
  }
}

/** A job from an image in a format to qcow2, against copying as many bytes with bare handles; both flushed. */
export async function jobAgainstCopy(
  kind: 'mirror' | 'backup',
  format: 'raw' | 'qcow2',
  bytes: number,
): Promise<Comparison> {
  await writeDisk('disk.raw', bytes);
  for (const name of ['made.qcow2', 'target.qcow2']) (await bareHandle(name)).close();
  const commands = await Commands.start();
  const disk = { driver: 'file', filename: 'disk.raw' };
  const source = { 'node-name': 'source', driver: 'raw', 'read-only': true, file: disk };
  await commands.execute('blockdev-add', source);
  if (format === 'qcow2') {
    await commands.addImage('target', 'made.qcow2', bytes);
    await commands.copy('mirror');
    for (const node of ['source', 'target']) await commands.execute('blockdev-del', { 'node-name': node });
    const file = { driver: 'file', filename: 'made.qcow2' };
    await commands.execute('blockdev-add', { ...source, driver: 'qcow2', file });
  }
  await writeDisk('bare.raw', bytes);
  const copy = await BareCopy.open('bare.raw', 'bare-copy.raw');
  let used = false;
  const removeTarget = async (): Promise<void> => {
    if (used) await commands.execute('blockdev-del', { 'node-name': 'target' });
    used = false;
  };
  try {
    return await compare(
      ROUNDS,
      {
        prepare: async () => {
          await removeTarget();
          const old = await bareHandle('target.qcow2');
          old.truncate(0);
          old.close();
          await commands.addImage('target', 'target.qcow2', bytes);
          used = true;
        },
        run: async () => {
          await commands.copy(kind);
          // A backup leaves that to whoever closes the image.
          if (kind === 'backup') await removeTarget();
        },
      },
      copy,
    );
  } finally {
    copy.close();
    await removeTarget();
    await commands.execute('blockdev-del', { 'node-name': 'source' });
  }
}
