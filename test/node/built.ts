/** The command line, built from the sources that are there now, and how tests run it. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';

/** A built program in a directory of its own. */
export interface Built {
  /** Path of qsd-web.js. */
  program: string;
  remove(): void;
}

/** Builds the command line. */
export async function buildProgram(): Promise<Built> {
  const directory = mkdtempSync(join(tmpdir(), 'qsd-web-'));
  await build({ mode: 'node', logLevel: 'error', build: { outDir: directory, emptyOutDir: true } });
  return { program: join(directory, 'qsd-web.js'), remove: () => rmSync(directory, { recursive: true }) };
}

/** What a program printed and how it ended. */
export interface Ended {
  stdout: string;
  stderr: string;
  code: number | null;
}

/** Runs a program to its end. */
export function run(words: string[], options: { cwd?: string; input?: string } = {}): Ended {
  const [program = '', ...rest] = words;
  const result = spawnSync(program, rest, { ...options, encoding: 'utf8', timeout: 30_000 });
  if (result.error) throw result.error;
  return { stdout: result.stdout, stderr: result.stderr, code: result.status };
}

/** A program that runs on. */
export class Running {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  readonly child: ChildProcessWithoutNullStreams;

  constructor(words: string[], cwd?: string) {
    const [program = '', ...rest] = words;
    this.child = spawn(program, rest, { cwd, stdio: 'pipe' });
    this.child.stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) =>
      this.child.on('close', (code, signal) =>
        resolve({ stdout: this.stdout, stderr: this.stderr, code: signal ? -1 : code }),
      ),
    );
  }

  /** Resolves when what was printed matches. */
  async sees(pattern: RegExp): Promise<void> {
    await until(
      () => pattern.test(this.stdout),
      () => `${pattern}: ${this.stdout} ${this.stderr}`,
    );
  }
}

/** Waits until the condition holds, at most 20 seconds. */
export async function until(condition: () => boolean, what: () => string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port of TCP that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as { port: number };
  await new Promise((done) => probe.close(done));
  return port;
}
