/** The daemon: one graph, its jobs, and the commands and events that monitors and programs see. */
import type { EngineEvent } from '../engine/contract';
import type { QuorumEvent } from '../engine/quorum';
import { strerror } from '../files/contract';
import { BlockGraph, corruptionNotice, mismatchNotice } from '../graph/index';
import {
  findEvent,
  orderOutput,
  QmpError,
  type ChardevBackend,
  type EventName,
  type Events,
  type NbdServerOptions,
  type ObjectOptions,
  type QmpValue,
} from '../qapi/index';
import { MonitorFrontend } from './chardevs/monitor';
import { ChardevTable } from './chardevs/table';
import type { CommandContext } from './commands/registry';
import { dispatch } from './dispatcher';
import { runGuest, type GuestStats } from './guest/guest';
import type { Workload } from './guest/workload';
import { EventRate } from './eventrate';
import type { DaemonEnvironment } from './environment';
import { ExportTable } from './exports/table';
import { JobTable } from './jobs/table';
import { Turns } from './jobs/turns';
import { ObjectTable } from './objects/table';
import { ObjectTree } from './objects/tree';
import { Monitor, type MonitorOptions } from './monitor';
import type { QmpEvent, QmpReply } from './message';

/** What a command that is opening or making an encrypted image does not change. */
const BESIDE_KEYS: ReadonlySet<string> = new Set([
  'query-version',
  'query-commands',
  'query-qmp-schema',
  'query-jobs',
  'query-block-jobs',
  'query-block-exports',
  'query-chardev',
  'query-iothreads',
]);

export class Daemon {
  readonly graph: BlockGraph;
  private readonly jobs: JobTable;
  private readonly exports: ExportTable;
  private readonly chardevs: ChardevTable;
  private readonly rate = new EventRate();
  private readonly listeners = new Set<(event: QmpEvent) => void>();
  private readonly context: CommandContext;
  /** Commands run one at a time, whichever monitor they come from; this is the end of the line. */
  private line: Promise<unknown> = Promise.resolve();
  /** What goes on with commands that need not wait for keys. */
  private readonly beside = new Set<() => void>();
  private ended: Promise<void> | null = null;

  constructor(readonly environment: DaemonEnvironment) {
    const { openNbd } = environment;
    this.graph = new BlockGraph({
      ...environment,
      ...(openNbd && {
        openNbd: (target) => openNbd(target, (address) => this.exports.connectOwn(address)),
      }),
    });
    const turns = new Turns(() => environment.turn());
    this.jobs = new JobTable({
      emit: (event, data) => this.emit(event, data),
      turn: () => turns.next(),
      now: () => performance.now(),
      throttled: () => environment.engine.throttle.delay(),
    });
    const quit = (): Promise<void> => this.end();
    const objects = new ObjectTable({ graph: this.graph, tls: environment.tls });
    this.exports = new ExportTable({
      environment,
      graph: this.graph,
      hasIothread: (path) => this.context.tree.hasIothread(path),
      acceptTls: (creds, authz) => objects.acceptTls(creds, authz),
      emit: (event, data) => this.emit(event, data),
      turn: () => turns.next(),
    });
    this.chardevs = new ChardevTable({
      environment,
      files: environment.files,
      acceptTls: (creds, authz) => objects.acceptTls(creds, authz),
      connectTls: (creds, hostname) => objects.connectTls(creds, hostname),
      quit: () => void quit().catch(() => undefined),
    });
    this.graph.onDrain = (order) => this.jobs.drain(order);
    this.context = {
      environment,
      graph: this.graph,
      jobs: this.jobs,
      exports: this.exports,
      objects,
      chardevs: this.chardevs,
      tree: new ObjectTree(objects, this.chardevs),
      quit,
    };
    environment.engine.onEvent = (event) => this.engineEvent(event);
  }

  /** Whether it has ended, or is about to. */
  get hasEnded(): boolean {
    return this.ended !== null;
  }

  /**
   * Does a command. Commands are done in the order in which they were given; only while a key is being derived, which takes
   * seconds, those that ask about other things do not wait.
   */
  async execute(name: string, args?: QmpValue): Promise<QmpReply> {
    const before = this.line;
    const ready = BESIDE_KEYS.has(name) ? this.untilKeys(before) : before;
    const turn = ready.then(() => this.answer(name, args));
    this.line = before.then(() => turn);
    return turn;
  }

  /** Resolves when the commands before are done, or as soon as one of them waits for a key. */
  private untilKeys(before: Promise<unknown>): Promise<void> {
    const { keys } = this.graph.opener;
    if (keys.busy) return Promise.resolve();
    return new Promise((resolve) => {
      this.beside.add(resolve);
      keys.onBusy = () => {
        for (const next of this.beside) next();
        this.beside.clear();
      };
      void before.then(() => {
        this.beside.delete(resolve);
        resolve();
      });
    });
  }

  private async answer(name: string, args: QmpValue | undefined): Promise<QmpReply> {
    if (this.ended) return { error: new QmpError('The daemon has ended').toReply() };
    try {
      return { return: await dispatch(name, args, this.context) };
    } catch (error) {
      // What is no refusal is an error of this program: the client is told, and the daemon goes on.
      const refusal =
        error instanceof QmpError
          ? error
          : new QmpError(`Internal error: ${error instanceof Error ? error.message : String(error)}`);
      return { error: refusal.toReply() };
    }
  }

  /** `--nbd-server`: as `nbd-server-start`, with an address of the newer form. Refusals are thrown. */
  startNbdServer(options: NbdServerOptions): Promise<void> {
    return this.exports.startServer(options);
  }

  /** A pretended guest works on a node until it is told to stop; see {@link runGuest}. */
  guest(
    node: string,
    workload: Workload,
    signal: AbortSignal,
    report: (stats: GuestStats) => void,
  ): Promise<GuestStats> {
    const { engine } = this.environment;
    return runGuest(
      node,
      workload,
      {
        engine,
        graph: this.graph,
        held: () => this.exports.held(),
        turn: () => this.environment.turn(),
        ended: () => this.hasEnded,
      },
      signal,
      report,
    );
  }

  /** Calls the listener with each event from now on; the result ends that. */
  subscribe(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** `--object`. Refusals are thrown. */
  addObject(options: ObjectOptions): Promise<void> {
    return this.context.objects.add(options);
  }

  /** `--chardev`. Refusals are thrown. */
  addChardev(id: string, backend: ChardevBackend): Promise<void> {
    return this.chardevs.addInitial(id, backend);
  }

  /** Throws if there is no such character device. */
  checkChardev(id: string): void {
    if (!this.chardevs.find(id)) throw new QmpError(`chardev "${id}" not found`);
  }

  /** `--monitor`: a monitor for everybody who comes through a character device. Refusals are thrown. */
  addMonitor(chardev: string, pretty: boolean): void {
    this.chardevs.attach(
      chardev,
      (device) => new MonitorFrontend((options) => this.openMonitor(options), device, pretty),
    );
  }

  /** A monitor that speaks the text protocol. It writes its greeting at once. */
  openMonitor(options: MonitorOptions): Monitor {
    return new Monitor(this, options);
  }

  /** Ends all jobs and closes all nodes; a failure to write something back is thrown after all is closed. */
  end(): Promise<void> {
    this.ended ??= this.close();
    return this.ended;
  }

  private async close(): Promise<void> {
    try {
      // Nodes of ours that are clients of the server are closed before what they use.
      const kept = await this.exports.closeAll({ keepOwn: true });
      await this.jobs.shutDown(this.graph.jobOrder());
      if (kept.length > 0) {
        await this.graph.close(kept);
        await this.exports.closeAll();
      }
      await this.graph.close();
    } finally {
      this.rate.end();
      // The reply of the command that brought this about goes first.
      setTimeout(() => {
        this.chardevs.closeAll();
        this.environment.exit();
      }, 0);
    }
  }

  /** Sends an event to everybody who listens. */
  private emit<N extends EventName>(event: N, data: Events[N]): void {
    const definition = findEvent(event);
    if (!definition) throw new TypeError(`no event '${event}' in the schema`);
    const now = this.environment.now();
    const seconds = Math.floor(now / 1000);
    const message: QmpEvent = {
      timestamp: { seconds, microseconds: Math.floor((now - seconds * 1000) * 1000) },
      event,
      data: orderOutput(definition.data, data),
    };
    this.rate.pass(event, data, () => {
      for (const listener of [...this.listeners]) listener(message);
    });
  }

  private engineEvent(event: EngineEvent): void {
    // The engine may serve other graphs too: their nodes are not this daemon's.
    // Filters of jobs have the handle of the node below them, which is the older one.
    const node = this.graph.nodes().findLast((candidate) => candidate.handle === event.node);
    if (!node) return;
    if (event.kind === 'write-threshold') {
      this.emit('BLOCK_WRITE_THRESHOLD', {
        'node-name': node.name,
        'amount-exceeded': event.exceeded,
        'write-threshold': event.threshold,
      });
      node.thresholdPassed();
      return;
    }
    if (event.kind === 'verify-mismatch') {
      this.environment.notice?.(mismatchNotice(event));
      return;
    }
    if (event.kind !== 'image-corrupted') {
      this.quorumEvent(node.name, event);
      return;
    }
    if (event.fatal) node.eject();
    this.environment.notice?.(corruptionNotice(event));
    this.emit('BLOCK_IMAGE_CORRUPTED', {
      device: '',
      'node-name': node.name,
      msg: event.message,
      ...(event.offset >= 0 && { offset: event.offset }),
      ...(event.size >= 0 && { size: event.size }),
      fatal: event.fatal,
    });
  }

  private quorumEvent(name: string, event: QuorumEvent): void {
    if (event.kind === 'contents-mismatch') {
      this.environment.notice?.(mismatchNotice(event));
      return;
    }
    const sector = Math.floor(event.offset / SECTOR);
    const range = {
      'sector-num': sector,
      'sectors-count': Math.ceil((event.offset + event.bytes) / SECTOR) - sector,
    };
    if (event.kind === 'quorum-failure') this.emit('QUORUM_FAILURE', { reference: name, ...range });
    else
      this.emit('QUORUM_REPORT_BAD', {
        type: event.operation,
        ...(event.errno !== 0 && { error: strerror(event.errno) }),
        'node-name': name,
        ...range,
      });
  }
}

/** Bytes. */
const SECTOR = 512;
