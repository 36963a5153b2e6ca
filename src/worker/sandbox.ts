/** The composition root: files, engine, daemon and shell of one tab, behind the interface of src/client. */
import { version } from '../../package.json';
import type {
  Exported,
  FileEntry,
  FileResult,
  GuestStats,
  InspectTarget,
  QmpReply,
  ShellIo,
  StartInfo,
  StorageUsage,
  Ticket,
  WorkerApi,
  Workload,
} from '../client/protocol';
import { Daemon, QEMU_VERSION } from '../daemon';
import { createEngine } from '../engine';
import { workerArgon2 } from './argon2';
import type { Engine } from '../engine/contract';
import { openBrowserFiles, type BrowserFiles } from '../files/browser/open';
import { exportFile, importFile } from '../files/browser/transfer';
import { FileError } from '../files/contract';
import { LockError, Permission } from '../files/locks';
import { imageFormats } from '../graph';
import { nbdOpener, type OpenNbdBeside } from '../nbd';
import { JsonParser, QmpError, toJson, type QmpObject, type QmpValue } from '../qapi';
import type { ToolContext } from '../tools/context';
import { qemuImg } from '../tools/img';
import { qemuIo } from '../tools/io';
import { daemonCommand } from '../tools/daemon/restart';
import { fileCommands, imageCommands, Shell } from '../tools/shell';
import { serveInspection } from './inspections';
import { FetchError, fetchFile } from './fetch';
import { freeName } from './names';
import { Output } from './output';
import { PageSockets } from './sockets';
import { turn } from './turn';

/** Everything that runs in the worker. */
export class Sandbox implements WorkerApi {
  private readonly shell = new Shell([
    ...fileCommands,
    ...imageCommands({ img: qemuImg, io: qemuIo }),
    daemonCommand({ restart: () => this.restart(), warn: (to) => (this.warn = to) }),
  ]);
  private readonly running = new Map<Ticket, AbortController>();
  private readonly listeners = new Map<Ticket, (event: string) => void | Promise<void>>();
  /** Resolves when all events so far have arrived at the page. */
  private events: Promise<unknown> = Promise.resolve();
  private readonly sockets = new PageSockets();
  private lastSubscription = 0;
  private readonly parts: Promise<{ store: BrowserFiles; module: WebAssembly.Module }>;
  private readonly daemon: Promise<Daemon>;
  private current: Daemon | null = null;
  private launched: ((daemon: Daemon) => void) | null = null;
  private warn: ((text: string) => void) | null = null;

  /** @param module the compiled data plane, on its way */
  constructor(module: Promise<WebAssembly.Module>) {
    this.parts = Promise.all([openBrowserFiles(), module]).then(([store, compiled]) => ({
      store,
      module: compiled,
    }));
    this.daemon = this.parts.then(({ store, module: compiled }) => this.launch(store, compiled));
    // start() reports a failure; until somebody calls it, it is no unhandled one.
    this.daemon.catch(() => undefined);
  }

  async start(): Promise<StartInfo> {
    await this.daemon;
    const { store } = await this.parts;
    const { major, minor, micro } = QEMU_VERSION;
    return {
      version,
      qemu: `${major}.${minor}.${micro}`,
      shell: this.shell.all.map(({ name, summary, usage, arguments: words, subcommands, options }) => ({
        name,
        summary,
        usage,
        arguments: words,
        ...(subcommands && { subcommands }),
        ...(options && { options }),
      })),
      formats: imageFormats(),
      storage: store.storage,
    };
  }

  // ---- QMP

  async execute(command: string, args: object | undefined): Promise<QmpReply<unknown>> {
    const daemon = await this.activeDaemon();
    const reply = await daemon.execute(command, args as QmpValue | undefined);
    return this.inOrder(reply);
  }

  async qmp(text: string): Promise<string[]> {
    const daemon = await this.activeDaemon();
    const replies: string[] = [];
    const monitor = daemon.openMonitor({ write: (message) => replies.push(message.trimEnd()) });
    await monitor.receive('{"execute": "qmp_capabilities"}');
    replies.length = 0;
    await monitor.receive(`${text}\n`);
    monitor.close();
    // Events have their own way to the page.
    const answers = replies.filter((reply) => !('event' in (JSON.parse(reply) as object)));
    return this.inOrder([...answers, ...unfinished(text)]);
  }

  async subscribe(listener: (event: string) => void | Promise<void>): Promise<Ticket> {
    const ticket = ++this.lastSubscription;
    this.listeners.set(ticket, listener);
    return ticket;
  }

  async unsubscribe(ticket: Ticket): Promise<void> {
    this.listeners.delete(ticket);
  }

  // ---- the shell

  async runShell(ticket: Ticket, line: string, io: ShellIo): Promise<number> {
    const { store, module } = await this.parts;
    return this.interruptible(ticket, async (signal) => {
      const output = new Output(io);
      // Each tool is a process of its own: an engine for it alone, made when it asks for one.
      let engine: Engine | undefined;
      const context: ToolContext = {
        get engine() {
          return (engine ??= createEngine(module));
        },
        files: store.files,
        locks: store.locks,
        openNbd: (target) => this.opener(context.engine)(target),
        signal,
        stdout: (text) => output.write('stdout', text),
        stderr: (text) => output.write('stderr', text),
        progress: (done, total) => output.progress(done, total),
        argon2: workerArgon2,
        readLine: async () => {
          await output.arrived();
          return io.readLine();
        },
        turn: async () => {
          output.flush();
          await output.room();
          await turn();
        },
      };
      try {
        return await this.shell.run(line, context);
      } finally {
        await output.arrived();
      }
    });
  }

  async interrupt(ticket: Ticket): Promise<void> {
    this.running.get(ticket)?.abort();
  }

  // ---- files

  async list(directory: string): Promise<FileResult<FileEntry[]>> {
    return this.result(async ({ files }) => {
      const entries = await files.list(directory === '' ? '.' : directory);
      return entries.map(({ name, kind, size, modified, readOnly }) => ({
        name,
        kind,
        size,
        local: readOnly ?? false,
        ...(modified !== undefined && { modified }),
      }));
    });
  }

  async importFile(
    ticket: Ticket,
    file: File,
    progress: (done: number, total: number) => void | Promise<void>,
  ): Promise<FileResult<string>> {
    return this.result(({ files, locks }) =>
      this.interruptible(ticket, async (signal) => {
        const name = await freeName(files, file.name);
        await importFile(files, locks, file, name, {
          progress: (done, total) => void progress(done, total),
          signal,
        });
        return name;
      }),
    );
  }

  async importUrl(
    ticket: Ticket,
    address: string,
    progress: (done: number, total: number) => void | Promise<void>,
  ): Promise<FileResult<string>> {
    const { used, quota } = await this.usage();
    return this.result(({ files, locks }) =>
      this.interruptible(ticket, async (signal) => {
        const { name: theirs, source } = await fetchFile(
          address,
          quota === 0 ? Infinity : quota - used,
          signal,
        );
        const name = await freeName(files, theirs);
        await importFile(files, locks, source, name, {
          progress: (done, total) => void progress(done, total),
          signal,
        });
        return name;
      }),
    );
  }

  async openLocal(file: File): Promise<FileResult<string>> {
    return this.result(async ({ files, local }) => {
      const name = await freeName(files, file.name);
      local.add(file, name);
      await files.mount(name, local, name);
      return name;
    });
  }

  async exportFile(path: string): Promise<FileResult<Exported>> {
    return this.result(async ({ files, locks }) => {
      // What the daemon still keeps in its caches belongs to the image.
      this.flushNodes((error) => {
        throw error;
      });
      const lock = locks.claim(await files.identity(path));
      const inUse = await lock.set(0, Permission.ALL & ~Permission.WRITE).then(
        () => false,
        (error: unknown) => {
          if (error instanceof LockError) return true;
          throw error;
        },
      );
      lock.release();
      return { content: await exportFile(files, path), inUse };
    });
  }

  async remove(path: string): Promise<FileResult<null>> {
    return this.result(async ({ files }) => {
      await files.remove(path);
      return null;
    });
  }

  async usage(): Promise<StorageUsage> {
    // A page without TLS has no storage; a sandboxed frame has one that refuses.
    const { storage } = navigator as { storage?: StorageManager };
    try {
      const { usage = 0, quota = 0 } = (await storage?.estimate()) ?? {};
      return { used: usage, quota, persistent: (await storage?.persisted()) ?? false };
    } catch {
      return { used: 0, quota: 0, persistent: false };
    }
  }

  async connectSocket(path: string, port: MessagePort): Promise<FileResult<null>> {
    await this.activeDaemon();
    const failure = this.sockets.connect(path, port);
    return failure === null ? { value: null } : { failure };
  }

  async openInspection(target: InspectTarget | File, port: MessagePort): Promise<FileResult<null>> {
    await this.activeDaemon();
    const { store, module } = await this.parts;
    const host = {
      files: store.files,
      newEngine: () => createEngine(module),
      daemon: () => {
        if (!this.current) return null;
        const { graph, environment } = this.current;
        return { find: (name: string) => graph.find(name), engine: environment.engine };
      },
    };
    return serveInspection(host, target, port);
  }

  async runGuest(
    ticket: Ticket,
    node: string,
    workload: Workload,
    progress: (stats: GuestStats) => void | Promise<void>,
  ): Promise<FileResult<GuestStats>> {
    const daemon = await this.activeDaemon();
    try {
      const value = await this.interruptible(ticket, (signal) =>
        daemon.guest(node, workload, signal, (stats) => void progress(stats)),
      );
      return { value };
    } catch (error) {
      if (error instanceof QmpError) return { failure: error.message };
      throw error;
    }
  }

  async flush(): Promise<void> {
    this.flushNodes(() => undefined);
  }

  // ----

  /** Flushes each writable node of the daemon; `failed` gets the error of one that cannot be flushed. */
  private flushNodes(failed: (error: unknown) => void): void {
    if (!this.current) return;
    const { graph, environment } = this.current;
    for (const { handle, readOnly } of graph.nodes()) {
      if (readOnly) continue;
      try {
        environment.engine.flush(handle);
      } catch (error) {
        failed(error);
      }
    }
  }

  /** How nodes of an engine reach the servers of this page, and bridges. */
  private opener({ presence }: Engine): OpenNbdBeside {
    return nbdOpener({ presence, connect: (address) => this.sockets.dial(address) });
  }

  /** Starts a daemon. When `quit` ends it, another one takes its place, as when the program is started again. */
  private launch(store: BrowserFiles, module: WebAssembly.Module): Daemon {
    const engine = createEngine(module);
    const daemon = new Daemon({
      engine,
      openNbd: this.opener(engine),
      files: store.files,
      locks: store.locks,
      mounts: store.files,
      version,
      now: () => performance.timeOrigin + performance.now(),
      turn,
      listen: (address, serve) => this.sockets.listen(address, serve),
      connect: (address) => this.sockets.dial(address),
      warn: (text) => this.warn?.(text),
      derivation: { argon2: workerArgon2 },
      exit: () => this.launch(store, module),
    });
    daemon.subscribe((event) => {
      const text = toJson(event as unknown as QmpObject);
      this.events = this.events.then(() =>
        Promise.allSettled([...this.listeners.values()].map(async (listener) => listener(text))),
      );
    });
    this.current = daemon;
    this.launched?.(daemon);
    this.launched = null;
    return daemon;
  }

  /** Ends the daemon as `quit` does; answers the next one. */
  private async restart(): Promise<Daemon> {
    const daemon = await this.activeDaemon();
    const next = new Promise<Daemon>((resolve) => (this.launched = resolve));
    // What could not be written back is lost with it, as when the program is stopped; the next one runs anyway.
    await daemon.end().catch((error: unknown) => this.warn?.(String(error)));
    return next;
  }

  /**
   * Keeps a reply in its place among the events, which go over ports of their own: those before it have arrived when
   * this resolves, those after it are sent a task later.
   */
  private async inOrder<T>(reply: T): Promise<T> {
    const before = this.events;
    this.events = before.then(turn);
    await before;
    return reply;
  }

  private async activeDaemon(): Promise<Daemon> {
    return this.current ?? (await this.daemon);
  }

  private async interruptible<T>(ticket: Ticket, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.running.set(ticket, controller);
    try {
      return await work(controller.signal);
    } finally {
      this.running.delete(ticket);
    }
  }

  /** A failure that a user can meet as a value; anything else is an error of this program and thrown. */
  private async result<T>(work: (store: BrowserFiles) => Promise<T>): Promise<FileResult<T>> {
    const { store } = await this.parts;
    try {
      return { value: await work(store) };
    } catch (error) {
      if (error instanceof FileError || error instanceof LockError || error instanceof FetchError)
        return { failure: error.message };
      throw error;
    }
  }
}

/** The reply to a request that the text begins and does not end. */
function unfinished(text: string): string[] {
  const errors: string[] = [];
  let ended = false;
  const parser = new JsonParser((result) => {
    if (ended && 'error' in result) errors.push(toJson({ error: { ...result.error.toReply() } }));
  });
  parser.feed(`${text}\n`);
  ended = true;
  parser.end();
  return errors;
}
