/** A monitor: the text protocol of QMP for one client after the other. */
import {
  dictOrder,
  isObject,
  JsonParser,
  QmpError,
  toJson,
  visitArguments,
  type QmpObject,
  type QmpValue,
} from '../qapi/index';
import { versionInfo } from './commands/control';
import { isCommand } from './dispatcher';
import type { DaemonEnvironment } from './environment';
import type { QmpEvent, QmpReply } from './message';

/** Who does what clients of a monitor ask for. */
export interface MonitoredDaemon {
  readonly environment: DaemonEnvironment;
  /** It takes no more commands. */
  readonly hasEnded: boolean;
  execute(command: string, args?: QmpValue): Promise<QmpReply>;
  /** Tells a listener each event; answers a function that ends it. */
  subscribe(listener: (event: QmpEvent) => void): () => void;
}

export interface MonitorOptions {
  /**
   * Takes what the client is to get: whole messages, all lines with CR LF at their ends. Resolves when the client has taken
   * enough of it; without a promise it has.
   */
  write(text: string): unknown;
  /** Replies and events are indented by four blanks. */
  pretty?: boolean;
}

/** A request that passed the checks of its form. */
interface Request {
  command: string;
  args: QmpValue | undefined;
  outOfBand: boolean;
}

/** With out-of-band execution, so many requests may wait before reading stops. */
const QUEUE_LENGTH = 8;
/** Characters that wait for a client to take them; no command of it is begun while there are more. */
const MAX_UNSENT = 64 * 1024;
/** Characters that wait while commands of others bring about events; the client does not get those behind. */
const MAX_UNSENT_EVENTS = 16 * 1024 * 1024;

export class Monitor {
  private readonly parser: JsonParser;
  private readonly unsubscribe: () => void;
  private negotiated = false;
  private outOfBand = false;
  private closed = false;
  /** Characters that the client has not taken. */
  private unsent = 0;
  /** What has been read and not been answered yet. */
  private readonly waiting: (() => Promise<void>)[] = [];
  private working = false;
  private readonly drained: (() => void)[] = [];

  constructor(
    private readonly daemon: MonitoredDaemon,
    private readonly options: MonitorOptions,
  ) {
    this.parser = new JsonParser((result) => {
      if ('value' in result) this.request(result.value);
      else this.enqueue(async () => this.reply(undefined, { error: result.error.toReply() }));
    });
    this.unsubscribe = daemon.subscribe((event) => {
      if (this.negotiated && this.unsent < MAX_UNSENT_EVENTS) this.send(event as unknown as QmpObject);
    });
    this.send({ QMP: { version: versionInfo(daemon.environment), capabilities: ['oob'] } });
  }

  /**
   * Takes text from the client, cut anywhere. Resolves when more may come: while a request is being done (with
   * out-of-band execution: while eight are waiting) the rest has to wait.
   */
  async receive(chunk: string | Uint8Array): Promise<void> {
    this.parser.feed(chunk);
    while (!this.closed && this.waiting.length >= (this.outOfBand ? QUEUE_LENGTH : 1)) {
      await this.changed();
    }
  }

  /** The client has gone: nothing more is written. What it asked for is still done. */
  close(): void {
    this.closed = true;
    this.unsubscribe();
    this.wake();
  }

  private send(message: QmpObject): void {
    if (this.closed) return;
    const text = `${toJson(message, { pretty: this.options.pretty ?? false })}\n`;
    const taken = this.options.write(text.replaceAll('\n', '\r\n'));
    if (taken instanceof Promise) void this.count(text.length, taken);
  }

  /** Counts what waits for the client. */
  private async count(length: number, taken: Promise<unknown>): Promise<void> {
    this.unsent += length;
    await taken;
    this.unsent -= length;
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.drained.splice(0)) resolve();
  }

  private changed(): Promise<void> {
    return new Promise((resolve) => this.drained.push(resolve));
  }

  private reply(id: QmpValue | undefined, reply: QmpReply): void {
    const message: QmpObject = reply.error ? { error: { ...reply.error } } : { return: reply.return };
    if (id !== undefined) message.id = id;
    this.send(message);
  }

  private enqueue(task: () => Promise<void>): void {
    this.waiting.push(task);
    if (!this.working) void this.work();
  }

  private async work(): Promise<void> {
    this.working = true;
    for (let task = this.waiting[0]; task; task = this.waiting[0]) {
      // Who does not read what it asked for does not get more of it made.
      while (this.unsent > MAX_UNSENT && !this.closed) await this.changed();
      // Behind a quit nobody answers any more.
      if (!this.daemon.hasEnded) await task();
      this.waiting.shift();
      this.wake();
      // Who sends many commands at once does not keep other clients waiting until all are done.
      if (this.waiting.length > 0) await this.daemon.environment.turn();
    }
    this.working = false;
  }

  private request(value: QmpValue): void {
    const id = isObject(value) ? value.id : undefined;
    const task = async (): Promise<void> => this.reply(id, await this.answer(value));
    // Out-of-band requests overtake those that wait.
    if (this.outOfBand && isObject(value) && 'exec-oob' in value && !('execute' in value)) void task();
    else this.enqueue(task);
  }

  private async answer(value: QmpValue): Promise<QmpReply> {
    try {
      const { command, args, outOfBand } = this.check(value);
      if (!this.negotiated || command === 'qmp_capabilities') return this.negotiate(command, args, outOfBand);
      if (outOfBand && isCommand(command)) throw new QmpError(`The command ${command} does not support OOB`);
      return await this.daemon.execute(command, args);
    } catch (error) {
      if (error instanceof QmpError) return { error: error.toReply() };
      throw error;
    }
  }

  /** The form of a request; members are looked at in the order of QEMU's dictionaries. */
  private check(value: QmpValue): Request {
    if (!isObject(value)) throw new QmpError('QMP input must be a JSON object');
    let command: string | undefined;
    let commandKey = '';
    let args: QmpValue | undefined;
    for (const key of dictOrder(Object.keys(value))) {
      const member = value[key];
      if (key === 'execute' || (key === 'exec-oob' && this.outOfBand)) {
        if (command !== undefined)
          throw new QmpError(`QMP input member '${key}' clashes with '${commandKey}'`);
        if (typeof member !== 'string') throw new QmpError(`QMP input member '${key}' must be a string`);
        command = member;
        commandKey = key;
      } else if (key === 'arguments') {
        if (!isObject(member)) throw new QmpError("QMP input member 'arguments' must be an object");
        args = member;
      } else if (key !== 'id') {
        throw new QmpError(`QMP input member '${key}' is unexpected`);
      }
    }
    if (command === undefined) throw new QmpError("QMP input lacks member 'execute'");
    return { command, args, outOfBand: commandKey === 'exec-oob' };
  }

  private negotiate(command: string, args: QmpValue | undefined, outOfBand: boolean): QmpReply {
    if (!this.negotiated && command !== 'qmp_capabilities')
      throw new QmpError("Expecting capabilities negotiation with 'qmp_capabilities'", 'CommandNotFound');
    if (outOfBand) throw new QmpError(`The command ${command} does not support OOB`);
    const { enable } = visitArguments('qmp_capabilities', args ?? {});
    if (this.negotiated)
      throw new QmpError('Capabilities negotiation is already complete, command ignored', 'CommandNotFound');
    this.outOfBand = enable?.includes('oob') ?? false;
    this.negotiated = true;
    return { return: {} };
  }
}
