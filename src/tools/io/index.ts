/** qemu-io: opens an image and runs commands on it, from -c or from the standard input. */
import type { Tool, ToolContext } from '../context';
import { ToolExit, ToolFailure, ToolHelp, toFailure } from '../failure';
import { Getopt, optionNames, type OptionTable } from '../getopt';
import { endsOnMismatch } from '../mismatch';
import { imageOptions } from '../optionlist';
import type { ShellOption } from '../shell/command';
import { versionText } from '../version';
import { runLine, type IoCommand } from './command';
import { close, open, reopen } from './commands/open';
import { breakpointCommands } from './commands/break';
import { abort, makeHelp, quit, sigraise, sleep, zoneCommands } from './commands/other';
import { aioRead, read, readv } from './commands/read';
import { aioFlush, alloc, discard, flush, info, length, map, truncate } from './commands/space';
import { aioWrite, write, writev } from './commands/write';
import { usage } from './help';
import { OpenOptions } from './openoptions';
import { IoSession, PROGRAM, type IoOpenRequest } from './session';

const help = makeHelp(() => COMMANDS);

/** All commands, in the order of their names. */
const COMMANDS: readonly IoCommand[] = [
  ...[
    abort,
    aioFlush,
    aioRead,
    aioWrite,
    alloc,
    close,
    discard,
    flush,
    help,
    info,
    length,
    map,
    open,
    quit,
    read,
  ],
  ...[readv, reopen, sigraise, sleep, truncate, write, writev],
  ...breakpointCommands,
  ...zoneCommands,
].sort((a, b) => (a.name < b.name ? -1 : 1));

const OPTIONS: OptionTable = {
  short: 'hVc:d:f:rsnCmki:t:T:U',
  long: [
    { name: 'help', value: false, code: 'h' },
    { name: 'version', value: false, code: 'V' },
    { name: 'cmd', value: true, code: 'c' },
    { name: 'format', value: true, code: 'f' },
    { name: 'read-only', value: false, code: 'r' },
    { name: 'snapshot', value: false, code: 's' },
    { name: 'nocache', value: false, code: 'n' },
    { name: 'copy-on-read', value: false, code: 'C' },
    { name: 'misalign', value: false, code: 'm' },
    { name: 'native-aio', value: false, code: 'k' },
    { name: 'aio', value: true, code: 'i' },
    { name: 'discard', value: true, code: 'd' },
    { name: 'cache', value: true, code: 't' },
    { name: 'trace', value: true, code: 'T' },
    { name: 'force-share', value: false, code: 'U' },
    { name: 'object', value: true, code: 'object' },
    { name: 'image-opts', value: false, code: 'image-opts' },
  ],
};

/** What the values of options are. */
const VALUES: Readonly<Record<string, string>> = {
  '-c': 'COMMAND',
  '-f': 'FMT',
  '-d': 'MODE',
  '-i': 'MODE',
  '-t': 'MODE',
  '--object': 'OBJECT',
};

/** The options, for those who type them. */
export const ioOptions: readonly ShellOption[] = optionNames(OPTIONS).map(({ names, value }) => ({
  names,
  ...(value && { value: VALUES[names[0] ?? ''] ?? 'VALUE' }),
}));

/** The exit code of a process that Ctrl-C ended. */
const INTERRUPTED = 130;

/** Runs one command line of qemu-io; answers its exit code. */
export const qemuIo: Tool = endsOnMismatch(async (words, context) => {
  let session: IoSession | undefined;
  try {
    const call = readCommandLine(words, context);
    // The schema is loaded only if it is needed.
    const addObjects =
      call.objects.length > 0 ? (await import('../objects')).readObjects(call.objects, context.tls) : null;
    session = new IoSession(context, call.imageOpts, addObjects);
    if (addObjects) await session.checkObjects();
    const request = call.file === undefined ? null : openRequest(session, call, call.file);
    if (request && !(await session.open(request))) return 1;
    const ok = call.commands.length > 0 ? await runAll(session, call.commands) : await interact(session);
    await session.close();
    return ok ? 0 : 1;
  } catch (error) {
    // What was still open is closed; a second failure on the way tells nothing new.
    await session?.drop().catch(() => undefined);
    if (error instanceof ToolHelp) context.stdout(error.text);
    if (error instanceof ToolExit) return error.code;
    if (context.signal.aborted) return INTERRUPTED;
    const failure = toFailure(error);
    context.stderr([`${PROGRAM}: ${failure.message}`, ...failure.hints].map((line) => `${line}\n`).join(''));
    return failure.code;
  }
});

interface CommandLine {
  commands: string[];
  format: string | undefined;
  imageOpts: boolean;
  options: OpenOptions;
  forceShare: boolean;
  /** Objects for the graph, as they were given. */
  objects: string[];
  file: string | undefined;
}

function readCommandLine(words: readonly string[], context: ToolContext): CommandLine {
  const options = new OpenOptions();
  const call: CommandLine = {
    commands: [],
    format: undefined,
    imageOpts: false,
    options,
    forceShare: false,
    objects: [],
    file: undefined,
  };
  const parser = new Getopt(words, OPTIONS);
  for (let found = parser.next(); found; found = parser.next()) {
    if (found.kind === 'mistake') {
      context.stderr(`${PROGRAM}: ${found.text}\n`);
      context.stdout(usage());
      throw new ToolExit(1);
    }
    const { code, value } = found;
    if (code === 'U') call.forceShare = true;
    if (options.take(code, value)) continue;
    if (code === 'h' || code === 'V') {
      context.stdout(code === 'h' ? usage() : versionText(PROGRAM));
      throw new ToolExit(0);
    }
    if (code === 'c') call.commands.push(value);
    else if (code === 'f') call.format = value;
    else if (code === 'image-opts') call.imageOpts = true;
    else if (code === 'object') call.objects.push(value);
    // -m tells how memory is aligned, which does not matter here.
    else if (code !== 'm') throw new ToolFailure('--trace is not supported');
  }
  if (parser.operands.length > 1) {
    context.stdout(usage());
    throw new ToolExit(1);
  }
  if (call.format !== undefined && call.imageOpts) {
    throw new ToolFailure('--image-opts and -f are mutually exclusive');
  }
  call.file = parser.operands[0];
  return call;
}

function openRequest(session: IoSession, call: CommandLine, file: string): IoOpenRequest {
  const named = call.imageOpts ? '' : ` device ${file}`;
  let request: IoOpenRequest;
  try {
    request = call.options.request();
  } catch (error) {
    throw toFailure(error).prefixed(`can't open${named}: `);
  }
  if (call.imageOpts) {
    request.options = imageOptions(file, undefined, (text) => session.warn(text));
    const share = request.options['force-share'];
    if (call.forceShare && share !== undefined && share !== 'on')
      throw new ToolFailure('-U conflicts with image options');
  } else {
    request.filename = file;
    if (call.format !== undefined) request.format = call.format;
  }
  return request;
}

async function runAll(session: IoSession, commands: readonly string[]): Promise<boolean> {
  let ok = true;
  for (const command of commands) {
    if (!(await runLine(session, COMMANDS, command))) ok = false;
    session.context.signal.throwIfAborted();
    if (session.ended) break;
  }
  return ok;
}

async function interact(session: IoSession): Promise<boolean> {
  let ok = true;
  const { context } = session;
  while (!session.ended) {
    context.stdout(`${PROGRAM}> `);
    const line = await nextLine(session);
    context.signal.throwIfAborted();
    if (line === null) break;
    if (!(await runLine(session, COMMANDS, line))) ok = false;
  }
  return ok;
}

/** Results that are ready are printed while the user thinks: input that is there already comes before. */
const THINKING = 20;

async function nextLine(session: IoSession): Promise<string | null> {
  const reading = session.context.readLine?.() ?? Promise.resolve(null);
  const requests = session.file?.requests;
  if (requests?.hasNews) {
    const pause = session.pace().wait(THINKING);
    const typed = reading.then(() => true);
    if (!(await Promise.race([typed, pause.then(() => false)]))) await requests.pass(THINKING);
    pause.catch(() => undefined);
  }
  return reading;
}
