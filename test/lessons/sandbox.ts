/** The console's commands under Node: a daemon and the shell over the same files and locks, as the worker has them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine';
import type { Facts, Query } from '../../src/lessons/check';
import { toJson, type QmpObject, type QmpValue } from '../../src/qapi';
import { qemuImg } from '../../src/tools/img';
import { qemuIo } from '../../src/tools/io';
import { fileCommands, imageCommands, Shell } from '../../src/tools/shell';
import { toRequest } from '../../src/ui/console/qmp-shell';
import { openDaemonIn, type TestDaemon } from '../daemon/daemon';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));

/** What a line came to. */
export interface Outcome {
  /** The exit code of a command of the shell; 1 for an error of QMP. */
  code: number;
  stdout: string;
  stderr: string;
}

/** A console without a terminal. */
export class LessonSandbox implements Facts {
  readonly events: { event: string; data?: unknown }[] = [];
  readonly entered: string[] = [];
  readonly shell = new Shell([...fileCommands, ...imageCommands({ img: qemuImg, io: qemuIo })]);
  private readonly directory = mkdtempSync(join(tmpdir(), 'qsd-web-lesson-'));
  private current = this.launch();

  /** Forgets what happened, as when a lesson is begun. */
  begin(): void {
    this.events.length = this.entered.length = 0;
  }

  /** Runs a line of the console to its end. */
  async enter(line: string): Promise<Outcome> {
    this.entered.push(line);
    const [name] = line.split(' ');
    if (this.shell.all.some((command) => command.name === name)) return this.run(line);
    const { execute, arguments: args } = JSON.parse(toRequest(line)) as {
      execute: string;
      arguments?: QmpValue;
    };
    const reply = await this.current.daemon.execute(execute, args);
    if (execute === 'quit') this.current = this.launch();
    return 'error' in reply && reply.error
      ? { code: 1, stdout: '', stderr: reply.error.desc }
      : { code: 0, stdout: toJson(reply as unknown as QmpObject), stderr: '' };
  }

  async query(command: Query, args: Record<string, unknown> | undefined): Promise<unknown> {
    const reply = await this.current.daemon.execute(command, args as QmpValue | undefined);
    const { return: value } = JSON.parse(toJson(reply as unknown as QmpObject)) as { return?: unknown };
    return value;
  }

  async run(line: string): Promise<Outcome> {
    const { environment } = this.current.daemon;
    const outcome = { code: 0, stdout: '', stderr: '' };
    outcome.code = await this.shell.run(line, {
      engine: createEngine(MODULE),
      files: environment.files,
      locks: environment.locks,
      turn: () => environment.turn(),
      signal: new AbortController().signal,
      stdout: (text) => (outcome.stdout += text),
      stderr: (text) => (outcome.stderr += text),
    });
    return outcome;
  }

  /** Names of all that is in the sandbox. */
  readonly files = async (): Promise<string[]> =>
    (await this.current.daemon.environment.files.list('.')).map(({ name }) => name);

  /** Names of all commands of the console. */
  async commands(): Promise<string[]> {
    const reply = await this.current.daemon.execute('query-commands', undefined);
    const { return: commands } = JSON.parse(toJson(reply as unknown as QmpObject)) as {
      return: { name: string }[];
    };
    return [...this.shell.all, ...commands].map(({ name }) => name);
  }

  async dispose(): Promise<void> {
    await this.current.daemon.execute('quit');
    rmSync(this.directory, { recursive: true });
  }

  private launch(): Omit<TestDaemon, 'files'> {
    const opened = openDaemonIn(this.directory);
    opened.daemon.subscribe((event) =>
      this.events.push(JSON.parse(toJson(event as unknown as QmpObject)) as { event: string }),
    );
    return opened;
  }
}
