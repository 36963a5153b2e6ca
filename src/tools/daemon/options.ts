/** What the options of qemu-storage-daemon do to a daemon, one after the other. */
import type { Daemon } from '../../daemon/index';
import { objectHelp } from '../../daemon/objects/help';
import {
  parseJson,
  parseKeyval,
  QmpError,
  visitKeyval,
  visitType,
  type KeyvalObject,
  type NbdServerOptions,
  type ObjectOptions,
  type QmpValue,
} from '../../qapi/index';
import { toFailure, ToolFailure } from '../failure';
import { readChardev } from './chardev';
import { readTrace } from '../trace';
import { PROGRAM, type GivenOption } from './commandline';

/** How the program is told of what an option says. */
export interface OptionHost {
  print(text: string): void;
  /** An option that only asked for help: the daemon is to be ended, and nothing after it is done. */
  end(): Promise<void>;
  /** What warnings are about from now on: the program and the option at work; nothing for commands of a monitor. */
  cause(prefix: string): void;
  /** A remark on the option at work. */
  warn(text: string): void;
  /** Character devices may use the standard input and output. */
  readonly hasInput: boolean;
}

/** Acts on options in their order. Throws a {@link ToolFailure} with the option in front for the first that is refused. */
export async function applyOptions(
  daemon: Daemon,
  options: readonly GivenOption[],
  host: OptionHost,
): Promise<void> {
  for (const { code, value } of options) {
    if (daemon.hasEnded) return;
    const option = `--${code === 'T' ? 'trace' : code} ${value}: `;
    host.cause(`${PROGRAM}: ${option}`);
    try {
      await act(daemon, code, value, host);
    } catch (error) {
      throw toFailure(error).prefixed(option);
    }
  }
  host.cause('');
}

async function act(daemon: Daemon, code: string, value: string, host: OptionHost): Promise<void> {
  switch (code) {
    case 'blockdev':
      return execute(daemon, 'blockdev-add', readTyped('BlockdevOptions', value, 'driver'));
    case 'object':
      return addObject(daemon, value, host);
    case 'export':
      return execute(daemon, 'block-export-add', readTyped('BlockExportOptions', value, 'type'));
    case 'nbd-server':
      return daemon.startNbdServer(readTyped('NbdServerOptions', value) as NbdServerOptions);
    case 'chardev':
      return addChardev(daemon, value, host);
    case 'monitor':
      return addMonitor(daemon, value);
    default:
      readTrace(value, (text) => host.warn(text));
  }
}

async function addObject(daemon: Daemon, value: string, host: OptionHost): Promise<void> {
  const help = objectHelp(value);
  if (help === null) return daemon.addObject(readTyped('ObjectOptions', value, 'qom-type') as ObjectOptions);
  host.print(help);
  await host.end();
}

async function addChardev(daemon: Daemon, value: string, host: OptionHost): Promise<void> {
  if (value === 'help' || value === '?') {
    const kinds = (await daemon.execute('query-chardev-backends')).return as { name: string }[];
    host.print(`Available chardev backend types: \n${kinds.map(({ name }) => `  ${name}\n`).join('')}`);
    await host.end();
    return;
  }
  const { id, backend, mux } = readChardev(value);
  if (backend.type === 'stdio' && !host.hasInput) throw new ToolFailure('cannot use stdio with -daemonize');
  const base = mux ? `${id}-base` : id;
  await daemon.addChardev(base, backend);
  if (mux) await daemon.addChardev(id, { type: 'mux', data: { chardev: base } });
}

function addMonitor(daemon: Daemon, value: string): void {
  const { chardev, mode, pretty } = readMonitor(value);
  daemon.checkChardev(chardev);
  if (mode === 'readline') throw new ToolFailure('Only QMP is supported');
  daemon.addMonitor(chardev, pretty);
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
