/**
 * `qemu-storage-daemon` where there is no process for it: the command line starts the daemon of the page anew, and is done when
 * all its options are.
 */
import type { Daemon } from '../../daemon/index';
import type { ToolContext } from '../context';
import { toFailure } from '../failure';
import type { ShellCommand } from '../shell/command';
import { daemonOptions, type GivenOption, PROGRAM, readCommandLine } from './commandline';
import { applyOptions } from './options';

/** The place where one daemon runs at a time. */
export interface DaemonSeat {
  /** Ends the daemon that runs, as `quit` does, and answers the one that takes its place. */
  restart(): Promise<Daemon>;
  /** Where warnings go from now on; null: nowhere. */
  warn(to: ((text: string) => void) | null): void;
}

/** The command of the shell. */
export function daemonCommand(seat: DaemonSeat): ShellCommand {
  return {
    name: PROGRAM,
    summary: 'starts the daemon anew, with images, objects and exports',
    usage: '[OPTION]...   for example: qemu-storage-daemon --blockdev file,node-name=disk,filename=disk.img',
    arguments: 'files',
    options: daemonOptions,
    run: (words, context) => run(seat, words, context),
  };
}

async function run(seat: DaemonSeat, words: string[], context: ToolContext): Promise<number> {
  const complain = (error: unknown): number => {
    const { message, hints, code } = toFailure(error);
    context.stderr([`${PROGRAM}: ${message}`, ...hints].map((text) => `${text}\n`).join(''));
    return code;
  };
  let options: GivenOption[];
  try {
    const line = readCommandLine(words);
    if (line.print !== null) {
      context.stdout(line.print);
      return 0;
    }
    options = line.options.map(here);
  } catch (error) {
    return complain(error);
  }
  const daemon = await seat.restart();
  let cause = '';
  let ended = 0;
  seat.warn((text) => context.stderr(`${cause}warning: ${text}\n`));
  try {
    await applyOptions(daemon, options, {
      print: (text) => context.stdout(text),
      end: async (code) => {
        ended = code;
        await seat.restart();
      },
      cause: (prefix) => (cause = prefix),
      warn: (text) => context.stderr(`${cause}warning: ${text}\n`),
      complain: (line) => context.stderr(`${PROGRAM}${line}\n`),
      hasInput: true,
    });
    return ended;
  } catch (error) {
    // A process would be gone with all that its first options did.
    await seat.restart();
    return complain(error);
  } finally {
    seat.warn(null);
  }
}

/** The monitor on standard input and output is the console itself: a device of this kind has nothing else to do. */
function here(option: GivenOption): GivenOption {
  const value = /^(?:backend=)?stdio(?=,|$)/.test(option.value)
    ? option.value.replace('stdio', 'null')
    : option.value;
  return option.code === 'chardev' ? { ...option, value } : option;
}
