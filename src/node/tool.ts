/** Runs a tool in this process: its output to ours, Ctrl-C to it. */
import type { Tool, ToolContext } from '../tools/context';
import { nodeTls } from './tls/index';
import { nodeEnvironment, turn } from './environment';
import { keyProgress } from './keyprogress';
import { LineReader } from './lines';
import { NodeTemporaryFiles } from './temporary';

/** What a shell adds to the number of the signal that ended a process. */
const SIGNALLED = 128;
/** STOP, TSTP, TTIN, TTOU: the process stands still until it is continued. */
const STOPS: ReadonlySet<number> = new Set([19, 20, 21, 22]);
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Answers the exit code. The first signal asks the tool to stop, the second one ends the process. */
export async function runTool(tool: Tool, words: string[]): Promise<number> {
  const stop = new AbortController();
  /** The number of the signal that came; 0: none. */
  const state = { signal: 0, abandoned: false };
  for (const [name, number] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (state.signal !== 0) process.exit(SIGNALLED + number);
      state.signal = number;
      stop.abort();
    });
  }
  const lines = new LineReader(() => process.stdin, stop.signal);
  const shown = keyProgress(process.stderr);
  const context: ToolContext = {
    ...(await nodeEnvironment()),
    tls: nodeTls,
    temporary: () => new NodeTemporaryFiles(),
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    readLine: () => lines.next(),
    raise,
    onAbandoned: () => (state.abandoned = true),
    ...(shown && { keyProgress: shown }),
    signal: stop.signal,
    turn,
  };
  const code = await tool(words, context);
  // At its end the process would wait for what its threads do. It does not if the signal ends it.
  if (state.signal !== 0 && state.abandoned) {
    await flushed(process.stdout);
    await flushed(process.stderr);
    await raise(state.signal);
  }
  return state.signal === 0 ? code : SIGNALLED + state.signal;
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

/** How long a signal may take to arrive, milliseconds. */
const ARRIVAL = 1000;

/** Sends a signal to this process, which does with it what the system does by default. */
async function raise(signal: number): Promise<void> {
  for (const name of Object.keys(SIGNALS)) process.removeAllListeners(name);
  process.kill(process.pid, signal);
  await new Promise((resolve) => setTimeout(resolve, STOPS.has(signal) ? 0 : ARRIVAL));
}
