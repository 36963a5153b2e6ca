import { expose } from 'comlink';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect, Disk, PageSocket, type Client } from '../../src/client';
import type {
  Exported,
  FileEntry,
  FileResult,
  GuestStats,
  QmpReply,
  ShellIo,
  StartInfo,
  StorageUsage,
  WorkerApi,
  Workload,
} from '../../src/client/protocol';

/** A worker's side that keeps what it is asked. */
class FakeWorker implements WorkerApi {
  readonly calls: unknown[][] = [];
  readonly listeners = new Map<number, (event: string) => void>();
  private readonly aborts = new Map<number, () => void>();
  private readonly interrupted = new Set<number>();

  async start(): Promise<StartInfo> {
    this.calls.push(['start']);
    return { version: '0', qemu: '9.1.0', shell: [], formats: [], storage: true };
  }
  async execute(command: string, args: object | undefined): Promise<QmpReply<unknown>> {
    this.calls.push([command, args]);
    if (command === 'query-jobs') return { return: [] };
    return { error: { class: 'GenericError', desc: 'no' } };
  }
  async qmp(text: string): Promise<string[]> {
    return [`{"return": ${JSON.stringify(text)}}`];
  }
  async subscribe(listener: (event: string) => void): Promise<number> {
    this.listeners.set(7, listener);
    return 7;
  }
  async unsubscribe(ticket: number): Promise<void> {
    this.listeners.delete(ticket);
  }
  async runShell(ticket: number, line: string, io: ShellIo): Promise<number> {
    await io.stdout(`ran ${line}`);
    if (line === 'ls') return 3;
    if (this.interrupted.has(ticket)) return 130;
    return new Promise((resolve) => this.aborts.set(ticket, () => resolve(130)));
  }
  async interrupt(ticket: number): Promise<void> {
    this.interrupted.add(ticket);
    this.aborts.get(ticket)?.();
  }
  async list(): Promise<FileResult<FileEntry[]>> {
    return { failure: 'No such file or directory' };
  }
  async importFile(
    _ticket: number,
    _file: File,
    progress: (done: number, total: number) => void | Promise<void>,
  ): Promise<FileResult<string>> {
    await progress(1, 2);
    return { value: 'name' };
  }
  async importUrl(_ticket: number, address: string): Promise<FileResult<string>> {
    return { value: address };
  }
  async openLocal(): Promise<FileResult<string>> {
    return { value: 'name' };
  }
  async exportFile(): Promise<FileResult<Exported>> {
    return { failure: 'No such file or directory' };
  }
  async remove(): Promise<FileResult<null>> {
    return { value: null };
  }
  async openInspection() {
    return { failure: "Cannot find node 'n'" };
  }
  async connectSocket(path: string, port: MessagePort) {
    if (path !== 'n.sock') return { failure: `Failed to connect to '${path}': No such file or directory` };
    port.onmessage = ({ data }: MessageEvent<unknown>) => port.postMessage(data);
    return { value: null };
  }

  async usage(): Promise<StorageUsage> {
    return { used: 1, quota: 2, persistent: false };
  }
  async runGuest(
    ticket: number,
    node: string,
    workload: Workload,
    progress: (stats: GuestStats) => void | Promise<void>,
  ): Promise<FileResult<GuestStats>> {
    this.calls.push(['runGuest', node, workload]);
    const stats = {
      reads: 1,
      writes: 2,
      flushes: 0,
      discards: 0,
      bytesRead: 4,
      bytesWritten: 8,
      errors: 0,
      lastError: '',
    };
    await progress(stats);
    if (node === 'nope') return { failure: 'no such node' };
    if (!this.interrupted.has(ticket)) await new Promise<void>((resolve) => this.aborts.set(ticket, resolve));
    return { value: { ...stats, reads: 9 } };
  }
  async flush(): Promise<void> {
    this.calls.push(['flush']);
  }
  emit(event: string, data: object): void {
    const text = JSON.stringify({ event, data, timestamp: { seconds: 1, microseconds: 2 } });
    for (const listener of this.listeners.values()) listener(text);
  }
}

let worker: FakeWorker;
let channel: MessageChannel;
let client: Client;

beforeEach(() => {
  channel = new MessageChannel();
  worker = new FakeWorker();
  expose(worker, channel.port1);
  client = connect(channel.port2);
});

afterEach(() => {
  channel.port1.close();
  channel.port2.close();
});

describe('the client', () => {
  test('replies and errors are values', async () => {
    expect(await client.execute('query-jobs')).toEqual({ return: [] });
    expect(await client.execute('blockdev-del', { 'node-name': 'a' })).toEqual({
      error: { class: 'GenericError', desc: 'no' },
    });
    expect(worker.calls).toEqual([
      ['query-jobs', undefined],
      ['blockdev-del', { 'node-name': 'a' }],
    ]);
  });

  test('starts once', async () => {
    await Promise.all([client.start(), client.start()]);
    expect(worker.calls).toEqual([['start']]);
  });

  test('tells of commands that may change something', async () => {
    let told = 0;
    const end = client.onCommand(() => told++);
    await client.execute('query-jobs');
    await client.execute('x-debug-query-block-graph');
    expect(told).toBe(0);
    await client.execute('blockdev-del', { 'node-name': 'a' });
    await client.qmp('{}');
    expect(told).toBe(2);
    end();
    await client.qmp('{}');
    expect(told).toBe(2);
  });

  test('a guest works until it is told to stop', async () => {
    const workload: Workload = {
      pattern: 'random',
      blockSize: 512,
      rate: 0,
      mix: { read: 1, write: 0, flush: 0, discard: 0 },
    };
    const controller = new AbortController();
    const seen: number[] = [];
    const options = { signal: controller.signal, progress: ({ reads }: GuestStats) => void seen.push(reads) };
    expect(await client.runGuest('nope', workload, options)).toEqual({ failure: 'no such node' });
    const running = client.runGuest('a', workload, options);
    await expect.poll(() => seen).toEqual([1, 1]);
    controller.abort();
    expect(await running).toMatchObject({ value: { reads: 9 } });
    expect(worker.calls.at(-1)).toEqual(['runGuest', 'a', workload]);
  });

  test('goes on with another worker when the plug is pulled', async () => {
    const names: string[] = [];
    const events = client.events({ names: ['JOB_STATUS_CHANGE'] });
    await client.start();
    const io: ShellIo = {
      stdout: () => undefined,
      stderr: () => undefined,
      progress: () => undefined,
      readLine: async () => null,
    };
    const lost = client.runShell('long', io).catch((error: unknown) => (error as Error).message);
    let told = 0;
    client.onCommand(() => told++);
    const next = new MessageChannel();
    const other = new FakeWorker();
    expose(other, next.port1);
    await client.replaceWorker(next.port2);
    expect(await lost).toBe('The daemon was ended');
    expect(told).toBe(1);
    expect(other.calls).toEqual([['start']]);
    expect(await client.execute('query-jobs')).toEqual({ return: [] });
    expect(worker.calls).not.toContainEqual(['query-jobs', undefined]);
    // Those who listen hear the new one.
    await expect.poll(() => other.listeners.size).toBe(1);
    other.emit('JOB_STATUS_CHANGE', { id: 'new', status: 'created' });
    const { value } = await events.next();
    if (value) names.push(value.data.id);
    expect(names).toEqual(['new']);
    events.dispose();
    next.port1.close();
    next.port2.close();
  });

  test('runs the shell with its output, and interrupts it', async () => {
    let output = '';
    const io: ShellIo = {
      stdout: (text) => void (output += text),
      stderr: () => undefined,
      progress: () => undefined,
      readLine: async () => null,
    };
    expect(await client.runShell('ls', io)).toBe(3);
    expect(output).toBe('ran ls');
    const controller = new AbortController();
    const running = client.runShell('long', io, controller.signal);
    await expect.poll(() => output).toBe('ran lsran long');
    controller.abort();
    expect(await running).toBe(130);
    // A signal that was aborted before stops it too.
    expect(await client.runShell('aborted', io, controller.signal)).toBe(130);
  });

  test('passes progress on', async () => {
    const seen: number[][] = [];
    const result = await client.importFile(new File(['x'], 'x'), {
      progress: (...numbers) => seen.push(numbers),
    });
    expect(result).toEqual({ value: 'name' });
    expect(seen).toEqual([[1, 2]]);
  });
});

describe('events', () => {
  test('come in order, none lost, filtered by name and by function', async () => {
    const all = client.events();
    const some = client.events({ names: ['JOB_STATUS_CHANGE'], where: ({ data }) => data.id === 'b' });
    await expect.poll(() => worker.listeners.size).toBe(1);
    worker.emit('JOB_STATUS_CHANGE', { id: 'a', status: 'running' });
    worker.emit('BLOCK_JOB_READY', { device: 'b' });
    worker.emit('JOB_STATUS_CHANGE', { id: 'b', status: 'running' });
    const names: string[] = [];
    for await (const event of all) {
      names.push(event.event);
      if (names.length === 3) break;
    }
    expect(names).toEqual(['JOB_STATUS_CHANGE', 'BLOCK_JOB_READY', 'JOB_STATUS_CHANGE']);
    expect((await some.next()).value).toMatchObject({ data: { id: 'b' } });
    const waiting = some.next();
    some.dispose();
    expect(await waiting).toEqual({ done: true, value: undefined });
    // Nobody listens any more: the worker is told.
    await expect.poll(() => worker.listeners.size).toBe(0);
  });

  test('as text, until it is ended', async () => {
    const texts: string[] = [];
    const end = client.onEventText((text) => texts.push(text));
    await expect.poll(() => worker.listeners.size).toBe(1);
    worker.emit('BLOCK_JOB_READY', {});
    await expect.poll(() => texts.length).toBe(1);
    end();
    await expect.poll(() => worker.listeners.size).toBe(0);
  });
});

describe('sockets', () => {
  test('carry bytes both ways, and end on both sides', async () => {
    const { port1, port2 } = new MessageChannel();
    const [near, far] = [new PageSocket(port1), new PageSocket(port2)];
    const large = new Uint8Array(3_000_000).fill(9);
    const writing = near.write([new Uint8Array([1, 2]), large]);
    const got = await far.read();
    expect(got?.length).toBe(3_000_002);
    expect(await writing).toBe(true);
    far.close();
    expect(await near.read()).toBe(null);
    expect(await near.write([large])).toBe(false);
  });

  test('that nobody listens on are refused', async () => {
    await expect(client.openDisk('m.sock', 'd')).rejects.toThrow(
      "Failed to connect to 'm.sock': No such file or directory",
    );
  });

  test('of something else than NBD are no disks', async () => {
    const port = await client.connectPort('n.sock');
    const opening = Disk.open(new PageSocket(port), 'd');
    port.dispatchEvent(new MessageEvent('message', { data: new Uint8Array(18) }));
    await expect(opening).rejects.toThrow('This is no NBD server');
    port.close();
  });
});
