/** The command line of qemu-storage-daemon. */
import { unlinkSync, writeFileSync } from 'node:fs';
import { version } from '../../package.json';
import { Daemon } from '../daemon/index';
import { objectHelp } from '../daemon/objects/help';
import {
  parseJson,
  parseKeyval,
  QmpError,
  visitKeyval,
  visitType,
  type NbdServerOptions,
  type ObjectOptions,
  type KeyvalObject,
  type QmpValue,
} from '../qapi/index';
import { toFailure, ToolFailure } from '../tools/failure';
import { Getopt, type OptionTable } from '../tools/getopt';
import { versionText } from '../tools/version';
import { nodeTls } from './certificates';
import { readChardev } from './chardev';
import { nodeChardevs } from './chardevs';
import { connectTo } from './connect';
import { daemonHelp } from './daemonhelp';
import { nodeEnvironment, turn } from './environment';
import { listenOn } from './listen';
import { strerrorOf } from './strerror';

const PROGRAM = 'qemu-storage-daemon';

const VALUE_OPTIONS = ['blockdev', 'chardev', 'export', 'monitor', 'nbd-server', 'object', 'pidfile'];
const OPTIONS: OptionTable = {
  short: 'hT:V',
  long: [
    ...VALUE_OPTIONS.map((name) => ({ name, value: true, code: name })),
    { name: 'daemonize', value: false, code: 'daemonize' },
    { name: 'help', value: false, code: 'h' },
    { name: 'trace', value: true, code: 'T' },
    { name: 'version', value: false, code: 'V' },
  ],
};

/** An option that is acted on after start-up. */
interface GivenOption {
  code: string;
  value: string;
}

/** What the command line says. */
interface CommandLine {
  /** Text to print instead of running. */
  print: string | null;
  options: GivenOption[];
  pidFile: string | null;
}

/** Runs the daemon; resolves with the exit code when it has ended. */
export async function runDaemon(words: string[]): Promise<number> {
  let line: CommandLine;
  try {
    line = readCommandLine(words);
  } catch (error) {
    return complain(error);
  }
  if (line.print !== null) {
    process.stdout.write(line.print);
    return 0;
  }
  const running = new DaemonProcess();
  try {
    // A signal may end it while it still starts.
    await Promise.race([running.start(line), running.ended]);
  } catch (error) {
    await running.stop().catch(() => undefined);
    return complain(error);
  }
  return running.ended;
}

function complain(error: unknown): number {
  const failure = toFailure(error);
  process.stderr.write(
    [`${PROGRAM}: ${failure.message}`, ...failure.hints].map((text) => `${text}\n`).join(''),
  );
  return failure.code;
}

/** Some options are looked at before all others are acted on. */
function readCommandLine(words: string[]): CommandLine {
  const line: CommandLine = { print: null, options: [], pidFile: null };
  const parser = new Getopt(words, OPTIONS);
  for (let found = parser.next(); found; found = parser.next()) {
    if (found.kind === 'mistake') throw new ToolFailure(found.text);
    const { code, value } = found;
    if (code === 'h' || code === 'V')
      return { ...line, print: code === 'h' ? daemonHelp() : versionText(PROGRAM) };
    if (code === 'daemonize') throw new ToolFailure('--daemonize is not available');
    if (code === 'pidfile') line.pidFile = value;
    else line.options.push({ code, value });
  }
  const [extra] = parser.operands;
  if (extra !== undefined) throw new ToolFailure(`${extra}: Unexpected argument`);
  return line;
}

/** The running daemon with its character devices. */
class DaemonProcess {
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  private daemon: Daemon | null = null;
  private pidFile: string | null = null;
  /** What warnings are about: the program and the option at work; nothing for commands of a monitor. */
  private cause = '';
  private finish: (code: number) => void = () => undefined;
  /** Keeps the process when no client is there, and no input. */
  private readonly alive = setInterval(() => undefined, 0x7fffffff);

  constructor() {
    this.ended = new Promise((resolve) => (this.finish = resolve));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => void this.stop().catch(() => undefined));
    }
  }

  async start(line: CommandLine): Promise<void> {
    const daemon = new Daemon({
      ...(await nodeEnvironment()),
      version,
      now: () => performance.timeOrigin + performance.now(),
      turn,
      listen: (address, serve) => listenOn(address, serve),
      connect: (address) => connectTo(address),
      chardevs: nodeChardevs(),
      tls: nodeTls,
      info: (text) => void process.stderr.write(`${PROGRAM}: info: ${text}\n`),
      exit: () => this.exited(),
      warn: (text) => void process.stderr.write(`${this.cause}warning: ${text}\n`),
      notice: (text) => void process.stderr.write(`${text}\n`),
      output: (text) => void process.stdout.write(`${text}\n`),
    });
    this.daemon = daemon;
    for (const { code, value } of line.options) {
      const option = `--${code} ${value}: `;
      this.cause = `${PROGRAM}: ${option}`;
      try {
        await this.act(daemon, code, value);
      } catch (error) {
        throw toFailure(error).prefixed(option);
      }
    }
    this.cause = '';
    if (line.pidFile !== null) this.writePidFile(line.pidFile);
  }

  /** Ends the daemon as `quit` does, and resolves when it has. */
  async stop(): Promise<void> {
    try {
      await this.daemon?.end();
    } catch (error) {
      complain(error);
      throw error;
    } finally {
      if (this.daemon) await this.ended;
      else this.exited();
    }
  }

  private exited(): void {
    clearInterval(this.alive);
    if (this.pidFile !== null) unlinkSync(this.pidFile);
    this.pidFile = null;
    this.finish(0);
  }

  private async act(daemon: Daemon, code: string, value: string): Promise<void> {
    switch (code) {
      case 'blockdev':
        return execute(daemon, 'blockdev-add', readTyped('BlockdevOptions', value, 'driver'));
      case 'object':
        return this.addObject(daemon, value);
      case 'export':
        return execute(daemon, 'block-export-add', readTyped('BlockExportOptions', value, 'type'));
      case 'nbd-server':
        return daemon.startNbdServer(readTyped('NbdServerOptions', value) as NbdServerOptions);
      case 'chardev':
        return this.addChardev(daemon, value);
      case 'monitor':
        return this.addMonitor(daemon, value);
      default:
        throw new ToolFailure('not available yet');
    }
  }

  private async addObject(daemon: Daemon, value: string): Promise<void> {
    const help = objectHelp(value);
    if (help === null)
      return daemon.addObject(readTyped('ObjectOptions', value, 'qom-type') as ObjectOptions);
    process.stdout.write(help);
    await this.stop();
  }

  private async addChardev(daemon: Daemon, value: string): Promise<void> {
    if (value === 'help' || value === '?') {
      const kinds = (await daemon.execute('query-chardev-backends')).return as { name: string }[];
      process.stdout.write(
        `Available chardev backend types: \n${kinds.map(({ name }) => `  ${name}\n`).join('')}`,
      );
      await this.stop();
      return;
    }
    const { id, backend, mux } = readChardev(value);
    const base = mux ? `${id}-base` : id;
    await daemon.addChardev(base, backend);
    if (mux) await daemon.addChardev(id, { type: 'mux', data: { chardev: base } });
  }

  private addMonitor(daemon: Daemon, value: string): void {
    const { chardev, mode, pretty } = readMonitor(value);
    daemon.checkChardev(chardev);
    if (mode === 'readline') throw new ToolFailure('Only QMP is supported');
    daemon.addMonitor(chardev, pretty);
  }

  private writePidFile(path: string): void {
    try {
      writeFileSync(path, `${process.pid}\n`);
    } catch (error) {
      throw new ToolFailure(`cannot create PID file: Could not create '${path}': ${strerrorOf(error)}`);
    }
    this.pidFile = path;
  }
}

async function execute(daemon: Daemon, command: string, args: QmpValue): Promise<void> {
  const reply = await daemon.execute(command, args);
  if (reply.error) throw new QmpError(reply.error.desc, reply.error.class);
}

/** A value of a type of the schema, as JSON or as key=value,... */
function readTyped(type: string, text: string, impliedKey?: string): QmpValue {
  if (text === 'help' || text === '?') throw new ToolFailure('Help is not available for this option');
  if (text.startsWith('{')) return visitType(type, parseJson(text));
  return visitKeyval(type, parseKeyval(text, impliedKey));
}

interface MonitorRequest {
  chardev: string;
  mode: string;
  pretty: boolean;
}

/** --monitor, whose options the schema does not have. They are looked at in the order of the real tool. */
function readMonitor(text: string): MonitorRequest {
  const isJson = text.startsWith('{');
  const options = (isJson ? parseJson(text) : parseKeyval(text, 'chardev')) as KeyvalObject;
  const mode = options.mode ?? 'control';
  if (mode !== 'control' && mode !== 'readline') {
    throw new ToolFailure(`Parameter 'mode' does not accept value '${typeof mode === 'string' ? mode : ''}'`);
  }
  const pretty = readSwitch('pretty', options.pretty);
  if (typeof options.chardev !== 'string') throw new ToolFailure("Parameter 'chardev' is missing");
  for (const key of Object.keys(options)) {
    if (!['id', 'mode', 'pretty', 'chardev'].includes(key))
      throw new ToolFailure(`Parameter '${key}' is unexpected`);
  }
  return { chardev: options.chardev, mode, pretty };
}

function readSwitch(name: string, value: unknown): boolean {
  if (value === undefined || value === false) return false;
  if (value === true) return true;
  const text = typeof value === 'string' ? value : '';
  if (['on', 'yes', 'true', 'y'].includes(text)) return true;
  if (['off', 'no', 'false', 'n'].includes(text)) return false;
  throw new ToolFailure(`Parameter '${name}' expects 'on' or 'off'`);
}
