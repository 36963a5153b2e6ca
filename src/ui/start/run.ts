/** Enters the lines of a script one after the other. */
import type { Client } from '../../client';

/** The part of `<qsd-console>` that is needed. */
export interface LineConsole extends EventTarget {
  enter(line: string): void;
}

/** States in which a job waits for somebody, or is over. */
const SETTLED: ReadonlySet<string> = new Set([
  'created',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'concluded',
  'null',
]);
/** How long jobs are waited for before the next line, milliseconds. */
const PATIENCE = 3000;
const POLL = 40;

/**
 * Enters lines as if somebody typed them, each when the one before has ended and its jobs have come to a state in which they
 * wait: a script has no other way to say that a mirror is to be ready before it is completed. Resolves with how many were entered.
 */
export async function runScript(
  terminal: LineConsole,
  client: Client,
  lines: readonly string[],
  signal?: AbortSignal,
): Promise<number> {
  let entered = 0;
  for (const line of lines) {
    if (signal?.aborted) break;
    const done = new Promise((resolve) => terminal.addEventListener('qsd-done', resolve, { once: true }));
    terminal.enter(line);
    await done;
    entered++;
    await jobsSettled(client);
  }
  return entered;
}

async function jobsSettled(client: Client): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const jobs = (await client.execute('query-jobs')).return ?? [];
    if (jobs.every(({ status }) => SETTLED.has(status)) || performance.now() > end) return;
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}
