/** qemu-img: one file per verb. */
import type { Tool } from '../context';
import { ToolExit, ToolFailure, ToolHelp, toFailure } from '../failure';
import { Getopt } from '../getopt';
import { endsOnMismatch } from '../mismatch';
import type { Subcommand } from '../shell/command';
import { versionText } from '../version';
import { amend } from './amend';
import { bench } from './bench';
import { bitmap } from './bitmap';
import { check } from './check';
import { commit } from './commit';
import { compare } from './compare';
import { convert } from './convert';
import { create } from './create';
import { dd } from './dd';
import { mainHelp } from './help';
import { info } from './info';
import { map } from './map';
import { measure } from './measure';
import { rebase } from './rebase';
import { resize } from './resize';
import { snapshot } from './snapshot';
import { mistakeFailure, PROGRAM, usageFailure, VerbSession, type Verb } from './verb';

const VERBS: readonly Verb[] = [
  amend,
  bench,
  bitmap,
  check,
  commit,
  compare,
  convert,
  create,
  dd,
  info,
  map,
  measure,
  rebase,
  resize,
  snapshot,
];

/** The verbs with their options, for those who type them. */
export const imgSubcommands: readonly Subcommand[] = VERBS.map(({ name, summary, options }) => ({
  name,
  summary,
  options: options.map(({ short, long = [], value, help }) => ({
    names: [...(short === undefined ? [] : [`-${short}`]), ...long.map((one) => `--${one}`)],
    ...(value !== undefined && { value }),
    help,
  })),
}));

/** The exit code of a process that Ctrl-C ended. */
const INTERRUPTED = 130;

/** Runs one command line of qemu-img; answers its exit code. */
export const qemuImg: Tool = endsOnMismatch(async (words, context) => {
  let session: VerbSession | undefined;
  try {
    const rest = readMainOptions(words, (text) => context.stdout(text));
    const [name, ...verbWords] = rest;
    if (name === undefined) throw usageFailure('Not enough arguments');
    const verb = VERBS.find((candidate) => candidate.name === name);
    if (!verb) throw usageFailure(`Command not found: ${name}`);
    session = new VerbSession(context, verbWords, verb);
    const code = await verb.run(session);
    await session.end();
    return code;
  } catch (error) {
    // What was still open is closed; a second failure on the way tells nothing new.
    await session?.end().catch(() => undefined);
    if (error instanceof ToolHelp) context.stdout(error.text);
    if (error instanceof ToolExit) return error.code;
    if (context.signal.aborted) return INTERRUPTED;
    const failure = toFailure(error);
    context.stderr([`${PROGRAM}: ${failure.message}`, ...failure.hints].map((line) => `${line}\n`).join(''));
    return failure.code;
  }
});

/** The options in front of the verb; answers the verb and what follows it. */
function readMainOptions(words: readonly string[], print: (text: string) => void): string[] {
  const table = {
    short: 'hVT:',
    long: [
      { name: 'help', value: false, code: 'h' },
      { name: 'version', value: false, code: 'V' },
      { name: 'trace', value: true, code: 'T' },
    ],
  };
  const parser = new Getopt(words, table, true);
  for (let found = parser.next(); found; found = parser.next()) {
    if (found.kind === 'mistake') throw mistakeFailure(found);
    if (found.code === 'T') throw new ToolFailure('--trace is not supported');
    print(found.code === 'h' ? mainHelp(VERBS) : versionText(PROGRAM));
    throw new ToolExit(0);
  }
  return parser.operands;
}
