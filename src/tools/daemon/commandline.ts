/** The command line of qemu-storage-daemon: what is looked at before anything is done. */
import { ToolFailure } from '../failure';
import { Getopt, optionNames, type OptionTable } from '../getopt';
import type { ShellOption } from '../shell/command';
import { versionText } from '../version';
import { daemonHelp } from './help';

export const PROGRAM = 'qemu-storage-daemon';

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

/** The options, for those who type them. */
export const daemonOptions: readonly ShellOption[] = optionNames(OPTIONS).map(({ names, value }) => ({
  names,
  ...(value && { value: names.at(-1)?.replace(/^-+/, '').toUpperCase() ?? '' }),
}));

/** The code of a word that is no option. */
export const STRAY = 'stray';

/** An option that is acted on after start-up. */
export interface GivenOption {
  code: string;
  value: string;
  /** As it was typed. */
  typed: string;
}

/** What the command line says. */
export interface CommandLine {
  /** Text to print instead of running. */
  print: string | null;
  options: GivenOption[];
  pidFile: string | null;
  /** It goes on in the background when all options were acted on. */
  daemonize: boolean;
}

/** Some options are looked at before all others are acted on. Throws a {@link ToolFailure}. */
export function readCommandLine(words: string[]): CommandLine {
  const line: CommandLine = { print: null, options: [], pidFile: null, daemonize: false };
  const parser = new Getopt(words, OPTIONS);
  let strays = 0;
  // Words that are no options are met in the order of the line. As with the real daemon, nobody looks behind a `--`.
  const meet = (operands: readonly string[]): void => {
    for (const value of operands.slice(strays)) line.options.push({ code: STRAY, value, typed: value });
    strays = operands.length;
  };
  for (let found = parser.next(); found; found = parser.next()) {
    meet(parser.operands);
    if (found.kind === 'mistake') throw new ToolFailure(found.text);
    const { code, value } = found;
    if (code === 'h' || code === 'V')
      return { ...line, print: code === 'h' ? daemonHelp() : versionText(PROGRAM) };
    if (code === 'daemonize') line.daemonize = true;
    else if (code === 'pidfile') line.pidFile = value;
    else line.options.push({ code, value, typed: parser.typed });
  }
  meet(parser.operands.slice(0, parser.operandsBeforeEnd));
  return line;
}
