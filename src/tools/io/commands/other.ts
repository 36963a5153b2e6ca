/** help, quit, sleep, abort, sigraise, and the commands for drivers that can suspend requests or have zones */
import { Errno, strerror } from '../../../files/contract';
import { ToolExit } from '../../failure';
import { parseInteger } from '../../../qapi/size';
import { readNumber } from '../arguments';
import { findCommand, helpLine, type IoCommand } from '../command';

/** The longest time to sleep, milliseconds: what a timer takes. */
const MAX_SLEEP = 0x7fffffff;
/** Linux has signals 1 to 64. */
const MAX_SIGNAL = 64;
/** What a shell adds to the number of the signal that ended a process. */
const SIGNALLED = 128;
const SIGABRT = 6;

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
    await call.session.pace().wait(Math.min(Number(time), MAX_SLEEP));
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
  run: (call) => {
    call.session.kill();
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
  run: (call) => {
    const [text = ''] = call.words;
    const signal = readNumber(text);
    if (signal > MAX_SIGNAL) {
      call.print(`signal argument '${text}' is too large to be a valid signal`);
      return false;
    }
    if (signal === 0) return true;
    call.session.kill();
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

/** A command for blkdebug, which no image has yet: it fails as with every other driver. */
function breakpointCommand(
  name: string,
  syntax: string,
  words: number,
  summary: string,
  failure: string,
): IoCommand {
  return {
    name,
    min: words,
    max: words,
    syntax,
    summary,
    run: (call) => {
      call.print(`${failure.replace('%s', call.words.at(-1) ?? '')}: ${UNSUPPORTED}`);
      return false;
    },
  };
}

export const breakpointCommands: readonly IoCommand[] = [
  breakpointCommand(
    'break',
    'event tag',
    2,
    'sets a breakpoint on event and tags the stopped request as tag',
    'Could not set breakpoint',
  ),
  breakpointCommand('remove_break', 'tag', 1, 'remove a breakpoint by tag', 'Could not remove breakpoint %s'),
  breakpointCommand('resume', 'tag', 1, 'resumes the request tagged as tag', 'Could not resume request'),
  breakpointCommand(
    'wait_break',
    'tag',
    1,
    'waits for the suspension of a request',
    'Could not wait for breakpoint %s',
  ),
];

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
