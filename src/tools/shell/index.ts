/** The shell of the console: commands on files, and the command line tools. */
import type { Tool, ToolContext } from '../context';
import { imgSubcommands } from '../img';
import { ioOptions } from '../io';
import { sha256sum } from './checksum';
import { CommandError, helpText, Interrupted, INTERRUPTED, type ShellCommand } from './command';
import { cp, mv } from './copy';
import { hexdump } from './dump';
import { ls } from './list';
import { mkdir, rm } from './remove';
import { expand, LineError, splitLine } from './words';

export type { ShellCommand } from './command';

/** The commands on files. */
export const fileCommands: readonly ShellCommand[] = [ls, cp, mv, rm, mkdir, hexdump, sha256sum];

/** The commands of QEMU, with the tools that run them. */
export function imageCommands(tools: { img: Tool; io: Tool }): ShellCommand[] {
  return [
    {
      name: 'qemu-img',
      summary: 'makes, shows and converts disk images',
      usage: 'COMMAND [OPTION]... FILE...',
      arguments: 'files',
      subcommands: imgSubcommands,
      run: tools.img,
    },
    {
      name: 'qemu-io',
      summary: 'reads and writes the disk in an image',
      usage: "[OPTION]... [-c COMMAND]... [FILE]   for example: qemu-io -c 'read 0 4k' disk.qcow2",
      arguments: 'files',
      options: ioOptions,
      run: tools.io,
    },
  ];
}

/** Runs lines with a set of commands. */
export class Shell {
  private readonly commands: ReadonlyMap<string, ShellCommand>;

  constructor(commands: readonly ShellCommand[]) {
    this.commands = new Map(commands.map((command) => [command.name, command]));
  }

  get all(): ShellCommand[] {
    return [...this.commands.values()];
  }

  /** Runs a line to its end; answers the exit code, 127 for an unknown command, 130 after Ctrl-C. Never throws for bad input. */
  async run(line: string, context: ToolContext): Promise<number> {
    let name = '';
    try {
      const [first, ...words] = await expand(splitLine(line), context.files);
      if (first === undefined) return 0;
      name = first;
      const command = this.commands.get(name);
      if (!command) {
        context.stderr(`${name}: command not found\n`);
        return 127;
      }
      // The tools of QEMU print their own help.
      if (
        fileCommands.includes(command) &&
        (words.includes('--help') || (words.length === 1 && words[0] === '-h'))
      ) {
        context.stdout(helpText(command));
        return 0;
      }
      const code = await command.run(words, context);
      return context.signal.aborted ? INTERRUPTED : code;
    } catch (error) {
      if (error instanceof Interrupted || context.signal.aborted) return INTERRUPTED;
      if (error instanceof LineError) {
        context.stderr(`${error.message}\n`);
        return 2;
      }
      if (!(error instanceof CommandError)) throw error;
      context.stderr(`${name}: ${error.message}\n`);
      return error.code;
    }
  }
}
