/** The daemon in a worker, as a program uses it: typed commands, replies as values, events as a stream. */
import { proxy, releaseProxy, transfer, wrap, type Endpoint, type Remote } from 'comlink';
import type { Commands, Empty, Events } from '../qapi/types.generated';
import { Disk } from './disk';
import { EventStream, type EventFilter, type QmpEvent } from './events';
import { Inspection } from './inspection';
import type {
  Exported,
  FileEntry,
  FileResult,
  GuestStats,
  InspectTarget,
  QmpReply,
  RawEvent,
  ShellIo,
  StartInfo,
  StorageUsage,
  Ticket,
  WorkerApi,
  Workload,
} from './protocol';
import { PageSocket } from './socket';

/** Commands that can be given without arguments: those with none, or with optional ones only. */
export type BareCommand = {
  [K in keyof Commands]: Record<never, never> extends Commands[K]['arguments'] ? K : never;
}[keyof Commands];

/** Options of work that takes time. */
export interface TaskOptions {
  /** Stops the work; what was begun is taken back. */
  signal?: AbortSignal;
  /** Bytes done and in all (0: not known). */
  progress?(done: number, total: number): void;
}

/** What runs `src/worker`, or a port to it. */
type WorkerEndpoint = Worker | MessagePort | Endpoint;

/** Connects to a worker (or a message port) that runs `src/worker`. The worker starts by itself. */
export function connect(endpoint: WorkerEndpoint): Client {
  return new Client(endpoint);
}

/** Rejects when a worker's script cannot be loaded or run. */
function failureOf(endpoint: object): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (typeof Worker === 'undefined' || !(endpoint instanceof Worker)) return;
    endpoint.addEventListener('error', ({ message }) => {
      reject(new Error(message || 'the worker could not be loaded'));
    });
  });
}

/** A connection to the daemon. */
export class Client {
  private tickets = 0;
  private readonly streams = new Set<EventStream>();
  private readonly textListeners = new Set<(event: string) => void>();
  private readonly commandListeners = new Set<() => void>();
  private subscription: Promise<Ticket> | null = null;
  private starting: Promise<StartInfo> | null = null;
  private remote: Remote<WorkerApi>;
  /** Rejects if the worker dies before it answers. */
  private failure: Promise<never>;
  /** Calls under way, to be rejected when the worker is ended. */
  private readonly calls = new Set<(error: Error) => void>();

  constructor(private endpoint: WorkerEndpoint) {
    this.remote = wrap<WorkerApi>(endpoint);
    this.failure = failureOf(endpoint);
    this.failure.catch(() => undefined);
  }

  /**
   * Pulls the plug: ends the worker at once, as when a computer loses its power, and goes on with another one. Calls under way
   * are rejected; streams and listeners go on. What the daemon had in memory is lost, files keep what was written to them.
   */
  async replaceWorker(endpoint: WorkerEndpoint): Promise<void> {
    const old = this.endpoint;
    if (typeof Worker !== 'undefined' && old instanceof Worker) old.terminate();
    this.endpoint = endpoint;
    this.remote = wrap<WorkerApi>(endpoint);
    this.failure = failureOf(endpoint);
    this.failure.catch(() => undefined);
    this.starting = null;
    for (const reject of [...this.calls]) reject(new Error('The daemon was ended'));
    if (this.subscription) {
      this.subscription = null;
      this.subscribe();
    }
    try {
      await this.start();
    } finally {
      this.tellCommand();
    }
  }

  /** A call that is rejected if the worker is ended meanwhile. */
  private call<P extends Promise<unknown>>(work: P): Promise<Awaited<P>> {
    return new Promise((resolve, reject) => {
      this.calls.add(reject);
      void (work as Promise<Awaited<P>>).then(resolve, reject).finally(() => this.calls.delete(reject));
    });
  }

  /** Resolves when the daemon takes commands; rejects if it cannot run here. */
  start(): Promise<StartInfo> {
    return (this.starting ??= this.call(Promise.race([this.remote.start(), this.failure])));
  }

  /** Runs a QMP command. A command that fails answers `{error}`; it does not throw. */
  execute<K extends BareCommand>(
    command: K,
    args?: Commands[K]['arguments'],
  ): Promise<QmpReply<Commands[K]['return']>>;
  execute<K extends keyof Commands>(
    command: K,
    args: Commands[K]['arguments'],
  ): Promise<QmpReply<Commands[K]['return']>>;
  execute<K extends keyof Commands>(
    command: K,
    args?: Commands[K]['arguments'] | Empty,
  ): Promise<QmpReply<Commands[K]['return']>> {
    // The daemon has validated the arguments and made the reply by the same schema that the types come from.
    const reply = this.call(this.remote.execute(command, args)) as Promise<QmpReply<Commands[K]['return']>>;
    return /(^|-)query-/.test(command) ? reply : this.told(reply);
  }

  /** Sends text as a QMP client would; answers the replies as JSON texts, one for each request. */
  qmp(text: string): Promise<string[]> {
    return this.told(this.call(this.remote.qmp(text)));
  }

  /**
   * Calls back after each command that may have changed something (not all changes have events); answers a function that
   * ends it. Text sent by {@link qmp} counts whatever it is.
   */
  onCommand(listener: () => void): () => void {
    this.commandListeners.add(listener);
    return () => this.commandListeners.delete(listener);
  }

  private async told<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply;
    } finally {
      this.tellCommand();
    }
  }

  private tellCommand(): void {
    for (const listener of this.commandListeners) listener();
  }

  /** Events from now on: `for await (const event of client.events({ names: ['JOB_STATUS_CHANGE'] }))`. */
  events<Name extends keyof Events = keyof Events>(filter: EventFilter<Name> = {}): EventStream<Name> {
    const stream = new EventStream<Name>(filter, () => {
      this.streams.delete(stream as unknown as EventStream);
      this.unsubscribeIfUnused();
    });
    this.streams.add(stream as unknown as EventStream);
    this.subscribe();
    return stream;
  }

  /** Calls back with each event as JSON text; answers a function that ends it. */
  onEventText(listener: (event: string) => void): () => void {
    this.textListeners.add(listener);
    this.subscribe();
    return () => {
      this.textListeners.delete(listener);
      this.unsubscribeIfUnused();
    };
  }

  /** Runs a line of the shell (`ls -l`, `qemu-img info a.qcow2`); resolves to its exit code. */
  async runShell(line: string, io: ShellIo, signal?: AbortSignal): Promise<number> {
    const code = await this.withTicket(signal, (ticket) => this.remote.runShell(ticket, line, proxy(io)));
    // One of the shell's commands starts the daemon anew, others change files below its nodes.
    this.tellCommand();
    return code;
  }

  /** Entries of a directory of the sandbox; without a path its root. */
  list(directory = ''): Promise<FileResult<FileEntry[]>> {
    return this.call(this.remote.list(directory));
  }

  /** Copies a local file into the sandbox. */
  importFile(file: File, options: TaskOptions = {}): Promise<FileResult<string>> {
    const progress = proxy((done: number, total: number) => options.progress?.(done, total));
    return this.withTicket(
      options.signal,
      async (ticket) => await this.remote.importFile(ticket, file, progress),
    );
  }

  /** Copies a file of the web into the sandbox; the host has to allow that (CORS). */
  importUrl(address: string, options: TaskOptions = {}): Promise<FileResult<string>> {
    const progress = proxy((done: number, total: number) => options.progress?.(done, total));
    return this.withTicket(
      options.signal,
      async (ticket) => await this.remote.importUrl(ticket, address, progress),
    );
  }

  /** Makes a local file readable where it is; nothing is copied. */
  openLocal(file: File): Promise<FileResult<string>> {
    return this.call(this.remote.openLocal(file));
  }

  /** The content of a file, for a download. */
  exportFile(path: string): Promise<FileResult<Exported>> {
    return this.call(this.remote.exportFile(path));
  }

  /** Removes a file or an empty directory. */
  remove(path: string): Promise<FileResult<null>> {
    return this.call(this.remote.remove(path));
  }

  usage(): Promise<StorageUsage> {
    return this.call(this.remote.usage());
  }

  /**
   * A connection to a socket that the daemon listens on (`nbd-server-start` with a unix address), as a port that can be
   * handed on to other workers and tabs; wrap it in a `PageSocket` there. Rejects if nobody listens.
   */
  async connectPort(path: string): Promise<MessagePort> {
    const { port1, port2 } = new MessageChannel();
    const result = await this.call(this.remote.connectSocket(path, transfer(port2, [port2])));
    if ('failure' in result) throw new Error(result.failure);
    return port1;
  }

  /** An export of the daemon's NBD server as a disk. */
  async openDisk(path: string, exportName: string): Promise<Disk> {
    return Disk.open(new PageSocket(await this.connectPort(path)), exportName);
  }

  /**
   * Looks at the structure of a node's image, of a file of the sandbox, or of a local file, which is read in place. Rejects with
   * a text for the user; close it when it is not needed any more.
   */
  async inspect(target: InspectTarget | File): Promise<Inspection> {
    const { port1, port2 } = new MessageChannel();
    const result = await this.call(this.remote.openInspection(target, transfer(port2, [port2])));
    if ('failure' in result) throw new Error(result.failure);
    return new Inspection(port1, (work) => this.call(work));
  }

  /** A pretended guest works on a node until `signal` says stop; `progress` gets what it did so far. */
  runGuest(
    node: string,
    workload: Workload,
    options: { signal: AbortSignal; progress(stats: GuestStats): void },
  ): Promise<FileResult<GuestStats>> {
    const progress = proxy((stats: GuestStats) => options.progress(stats));
    return this.withTicket(
      options.signal,
      async (ticket) => await this.remote.runGuest(ticket, node, workload, progress),
    );
  }

  /** Writes to the files what the daemon keeps in memory. A node that fails keeps it; its statistics count the failure. */
  flush(): Promise<void> {
    return this.call(this.remote.flush());
  }

  /** Ends all streams and lets go of the port. The worker goes on; terminate it if it is not needed. */
  dispose(): void {
    for (const stream of [...this.streams]) stream.dispose();
    this.textListeners.clear();
    this.commandListeners.clear();
    this.unsubscribeIfUnused();
    this.remote[releaseProxy]();
  }

  private async withTicket<T>(
    signal: AbortSignal | undefined,
    work: (ticket: Ticket) => Promise<T>,
  ): Promise<T> {
    const ticket = ++this.tickets;
    const interrupt = (): void => void this.remote.interrupt(ticket);
    signal?.addEventListener('abort', interrupt, { once: true });
    try {
      const result = this.call(work(ticket));
      // Behind the start: the worker knows the ticket then.
      if (signal?.aborted) interrupt();
      return await result;
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  private subscribe(): void {
    this.subscription ??= this.remote.subscribe(
      proxy((text: string) => {
        for (const listener of this.textListeners) listener(text);
        const event = JSON.parse(text) as RawEvent;
        for (const stream of this.streams) stream.push(event as QmpEvent);
      }),
    );
  }

  private unsubscribeIfUnused(): void {
    if (this.streams.size > 0 || this.textListeners.size > 0 || !this.subscription) return;
    const subscription = this.subscription;
    this.subscription = null;
    void subscription.then((ticket) => this.remote.unsubscribe(ticket));
  }
}
