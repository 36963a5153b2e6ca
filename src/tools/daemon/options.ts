/** What the options of qemu-storage-daemon do to a daemon, one after the other. */
import type { Daemon } from '../../daemon/index';
import { objectHelp } from '../../daemon/objects/help';
import {
  parseJson,
  parseKeyval,
  QmpError,
  visitKeyval,
  visitType,
  type MonitorOptions,
  type NbdServerOptions,
  type ObjectOptions,
  type QmpValue,
} from '../../qapi/index';
import { asksForHelp } from '../checkedlist';
import { toFailure, ToolExit, ToolFailure, ToolHelp } from '../failure';
import { readChardev, readChardevList } from './chardev';
import { readTrace } from '../trace';
import { PROGRAM, STRAY, type GivenOption } from './commandline';

/** How the program is told of what an option says. */
export interface OptionHost {
  print(text: string): void;
  /** An option that only asked for help, or has said what is wrong: the daemon is to be ended with this exit code. */
  end(code: number): Promise<void>;
  /** What warnings are about from now on: the program and the option at work; nothing for commands of a monitor. */
  cause(prefix: string): void;
  /** A remark on the option at work. */
  warn(text: string): void;
  /** A line that is about a file: what comes behind the name of the program. */
  complain(line: string): void;
  /** Character devices may use the standard input and output. */
  readonly hasInput: boolean;
}

/** Acts on options in their order. Throws a {@link ToolFailure} with the option in front for the first that is refused. */
export async function applyOptions(
  daemon: Daemon,
  options: readonly GivenOption[],
  host: OptionHost,
): Promise<void> {
  for (const { code, value, typed } of options) {
    if (daemon.hasEnded) return;
    host.cause(`${PROGRAM}: ${typed}: `);
    try {
      await act(daemon, code, value, host);
    } catch (error) {
      if (!(error instanceof ToolExit)) throw toFailure(error).prefixed(`${typed}: `);
      if (error instanceof ToolHelp) host.print(error.text);
      return host.end(error.code);
    }
  }
  host.cause('');
}

async function act(daemon: Daemon, code: string, value: string, host: OptionHost): Promise<void> {
  switch (code) {
    case 'blockdev':
      return execute(daemon, 'blockdev-add', readTyped('BlockdevOptions', value, 'driver'));
    case 'object':
      return addObject(daemon, value);
    case 'export':
      return execute(daemon, 'block-export-add', readTyped('BlockExportOptions', value, 'type'));
    case 'nbd-server':
      return daemon.startNbdServer(readTyped('NbdServerOptions', value) as NbdServerOptions);
    case 'chardev':
      return addChardev(daemon, value, host);
    case 'monitor':
      return addMonitor(daemon, value);
    case STRAY:
      throw new ToolFailure('Unexpected argument');
    default:
      return readTrace(value, {
        files: daemon.environment.files,
        warn: (text) => host.warn(text),
        complain: (line) => host.complain(line),
      });
  }
}

function addObject(daemon: Daemon, value: string): Promise<void> {
  const help = objectHelp(value);
  if (help !== null) throw new ToolHelp(help);
  return daemon.addObject(readTyped('ObjectOptions', value, 'qom-type') as ObjectOptions);
}

async function addChardev(daemon: Daemon, value: string, host: OptionHost): Promise<void> {
  const values = readChardevList(value, (text) => host.warn(text));
  if (asksForHelp(values.text('backend') ?? '')) {
    const kinds = (await daemon.execute('query-chardev-backends')).return as { name: string }[];
    throw new ToolHelp(
      `Available chardev backend types: \n${kinds.map(({ name }) => `  ${name}\n`).join('')}`,
    );
  }
  const { id, backend, mux } = readChardev(values);
  if (backend.type === 'stdio' && !host.hasInput) throw new ToolFailure('cannot use stdio with -daemonize');
  const base = mux ? `${id}-base` : id;
  await daemon.addChardev(base, backend);
  if (mux) await daemon.addChardev(id, { type: 'mux', data: { chardev: base } });
}

function addMonitor(daemon: Daemon, value: string): void {
  const { chardev, mode, pretty } = readTyped('MonitorOptions', value, 'chardev') as MonitorOptions;
  daemon.checkChardev(chardev);
  if (mode === 'readline') throw new ToolFailure('Only QMP is supported');
  daemon.addMonitor(chardev, pretty ?? false);
}

async function execute(daemon: Daemon, command: string, args: QmpValue): Promise<void> {
  const reply = await daemon.execute(command, args);
  if (reply.error) throw new QmpError(reply.error.desc, reply.error.class);
}

/** A value of a type of the schema, as JSON or as key=value,... */
function readTyped(type: string, text: string, impliedKey?: string): QmpValue {
  if (text.startsWith('{')) return visitType(type, parseJson(text));
  return visitKeyval(type, parseKeyval(text, impliedKey));
}
