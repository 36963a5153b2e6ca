/** help, quit, sleep, abort, sigraise, and the commands for drivers that can suspend requests or have zones */
import { Errno, strerror } from '../../../files/contract';
import { ToolExit } from '../../failure';
import { parseInteger } from '../../../qapi/size';
import { readNumber } from '../arguments';
import { findCommand, helpLine, type IoCommand } from '../command';

/** The longest time to sleep, milliseconds: what a timer takes. */
const MAX_SLEEP = 0x7fffffff;
/** The real tool compares with how many there are, counted with 0: it tries 65, to no effect. */
const MAX_NUMBER = 65;
/** Linux has signals 1 to 64. */
const MAX_SIGNAL = 64;
/** What a shell adds to the number of the signal that ended a process. */
const SIGNALLED = 128;
const SIGABRT = 6;
/** Signals that the real tool ignores or has handlers for: BUS, USR1, PIPE, ALRM, CHLD, CONT, URG, WINCH, IO, and two of libc. */
const SURVIVED: ReadonlySet<number> = new Set([7, 10, 13, 14, 17, 18, 23, 28, 29, 32, 33]);
/** STOP, TSTP, TTIN, TTOU: the process goes on when it is continued. */
const STOPPING: ReadonlySet<number> = new Set([19, 20, 21, 22]);

const UNSUPPORTED = strerror(Errno.ENOTSUP);

export const quit: IoCommand = {
  name: 'quit',
  alias: 'q',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'exit the program',
  fileless: true,
  run: (call) => {
    call.session.ended = true;
    return true;
  },
};

export const sleep: IoCommand = {
  name: 'sleep',
  min: 1,
  max: 1,
  syntax: null,
  summary: 'waits for the given value in milliseconds',
  fileless: true,
  run: async (call) => {
    const [text = ''] = call.words;
    const time = parseInteger(text);
    if (time === null || time < 0n) {
      call.print(`${text} is not a valid number`);
      return false;
    }
    const milliseconds = Math.min(Number(time), MAX_SLEEP);
    await call.session.file?.requests.pass(milliseconds);
    await call.session.pace().wait(milliseconds);
    return true;
  },
};

export const abort: IoCommand = {
  name: 'abort',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'simulate a program crash using abort(3)',
  fileless: true,
  run: async (call) => {
    call.session.kill();
    await call.session.context.raise?.(SIGABRT);
    throw new ToolExit(SIGNALLED + SIGABRT);
  },
};

export const sigraise: IoCommand = {
  name: 'sigraise',
  min: 1,
  max: 1,
  syntax: 'signal',
  summary: 'raises a signal',
  fileless: true,
  details: ['Example: sigraise 15   ends as if terminated'],
  run: async (call) => {
    const [text = ''] = call.words;
    const signal = readNumber(text);
    if (signal > MAX_NUMBER) {
      call.print(`signal argument '${text}' is too large to be a valid signal`);
      return false;
    }
    if (signal === 0 || signal > MAX_SIGNAL || SURVIVED.has(signal)) return true;
    const { context } = call.session;
    if (context.raise && STOPPING.has(signal)) {
      await context.raise(signal);
      return true;
    }
    call.session.kill();
    await context.raise?.(signal);
    throw new ToolExit(SIGNALLED + signal);
  },
};

/** The command `help`, which knows all commands. */
export function makeHelp(all: () => readonly IoCommand[]): IoCommand {
  return {
    name: 'help',
    alias: '?',
    min: 0,
    max: 1,
    syntax: '[command]',
    summary: 'help for one or all commands',
    fileless: true,
    run: (call) => {
      const [name] = call.words;
      if (name === undefined) {
        for (const command of all()) call.print(helpLine(command));
        call.print("\nUse 'help commandname' for extended help.");
        return true;
      }
      const command = findCommand(all(), name);
      if (!command) {
        call.print(`command ${name} not found`);
        return true;
      }
      call.print(helpLine(command));
      if (command.details) call.print(`\n${command.details.map((line) => ` ${line}\n`).join('')}`);
      return true;
    },
  };
}

/** A command for devices with zones; no driver has them. */
function zoneCommand(
  name: string,
  alias: string,
  syntax: string,
  summary: string,
  counts = { min: 2, max: 2 },
): IoCommand {
  return {
    name,
    alias,
    ...counts,
    syntax,
    summary,
    run: (call) => {
      call.words.forEach(readNumber);
      call.print(`${name.replace('_', ' ')} failed: ${UNSUPPORTED}`);
      return false;
    },
  };
}

export const zoneCommands: readonly IoCommand[] = [
  zoneCommand(
    'zone_append',
    'zap',
    'offset len [len..]',
    'append write a number of bytes at a specified offset',
    {
      min: 3,
      max: 4,
    },
  ),
  zoneCommand('zone_close', 'zc', 'offset len', 'close a range of zones in zone block device'),
  zoneCommand('zone_finish', 'zf', 'offset len', 'finish a range of zones in zone block device'),
  zoneCommand('zone_open', 'zo', 'offset len', 'explicit open a range of zones in zone block device'),
  zoneCommand('zone_report', 'zrp', 'offset number', 'report zone information'),
  zoneCommand('zone_reset', 'zrs', 'offset len', 'reset a zone write pointer in zone block device'),
];
