/** Programs that go on in the background when they are ready: the process that was started ends then. */
import { spawn } from 'node:child_process';

/** Set for the process that does the work. */
const MARK = 'QSD_WEB_IN_BACKGROUND';

/** Whether this is the process that does the work. */
export function isInBackground(): boolean {
  return process.env[MARK] === '1';
}

/**
 * Leaves the work to a process of its own with the same command line; ends when that one says {@link isReady}, or has failed.
 * @returns the exit code
 */
export function goOnInBackground(): Promise<number> {
  const [program = '', ...words] = process.argv;
  const child = spawn(program, [...process.execArgv, ...words], {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.stdout?.pipe(process.stdout, { end: false });
  child.stderr?.pipe(process.stderr, { end: false });
  return new Promise((resolve) => {
    child.once('close', (code) => resolve(code ?? 1));
    child.once('message', () => {
      child.disconnect();
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      resolve(0);
    });
  });
}

/** What the work was started for is there: who started it may go. Relative paths mean something else from now on. */
export function isReady(): void {
  if (!isInBackground()) return;
  // Nobody reads messages when the starting process has gone. That is no reason to end.
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error').on('error', () => undefined);
  }
  process.send?.('ready');
  process.chdir('/');
}
