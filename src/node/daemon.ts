/** The command line of qemu-storage-daemon. */
import { unlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { version } from '../../package.json';
import { Daemon } from '../daemon/index';
import { PROGRAM, readCommandLine, type CommandLine } from '../tools/daemon/commandline';
import { applyOptions } from '../tools/daemon/options';
import { toFailure, ToolFailure } from '../tools/failure';
import { goOnInBackground, isInBackground, isReady } from './background';
import { nodeChardevs } from './chardevs';
import { connectTo } from './connect';
import { nodeEnvironment, turn } from './environment';
import { listenOn } from './listen';
import { strerrorOf } from './strerror';
import { nodeTls } from './tls/index';

/** Runs the daemon; resolves with the exit code when it has ended. */
export async function runDaemon(words: string[]): Promise<number> {
  let line: CommandLine;
  try {
    line = readCommandLine(words);
  } catch (error) {
    return complain(error);
  }
  if (line.print !== null) {
    process.stdout.write(line.print);
    return 0;
  }
  if (line.daemonize && !isInBackground()) return goOnInBackground();
  const running = new DaemonProcess();
  try {
    // A signal may end it while it still starts.
    await Promise.race([running.start(line), running.ended]);
    if (line.daemonize) isReady();
  } catch (error) {
    await running.stop().catch(() => undefined);
    return complain(error);
  }
  return running.ended;
}

function complain(error: unknown): number {
  const failure = toFailure(error);
  process.stderr.write(
    [`${PROGRAM}: ${failure.message}`, ...failure.hints].map((text) => `${text}\n`).join(''),
  );
  return failure.code;
}

/** The running daemon with its character devices. */
class DaemonProcess {
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  private daemon: Daemon | null = null;
  private pidFile: string | null = null;
  /** What warnings are about: the program and the option at work; nothing for commands of a monitor. */
  private cause = '';
  private exitCode = 0;
  private finish: (code: number) => void = () => undefined;
  /** Keeps the process when no client is there, and no input. */
  private readonly alive = setInterval(() => undefined, 0x7fffffff);

  constructor() {
    this.ended = new Promise((resolve) => (this.finish = resolve));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => void this.stop().catch(() => undefined));
    }
  }

  async start(line: CommandLine): Promise<void> {
    const daemon = new Daemon({
      ...(await nodeEnvironment()),
      version,
      now: () => performance.timeOrigin + performance.now(),
      turn,
      listen: (address, serve) => listenOn(address, serve),
      connect: (address) => connectTo(address),
      chardevs: nodeChardevs(),
      tls: nodeTls,
      info: (text) => void process.stderr.write(`${this.cause}info: ${text}\n`),
      exit: () => this.exited(),
      complain: (text) => void process.stderr.write(`${PROGRAM}: ${text}\n`),
      warn: (text) => void process.stderr.write(`${this.cause}warning: ${text}\n`),
      notice: (text) => void process.stderr.write(`${text}\n`),
      output: (text) => void process.stdout.write(`${text}\n`),
    });
    this.daemon = daemon;
    await applyOptions(daemon, line.options, {
      print: (text) => void process.stdout.write(text),
      end: (code) => {
        this.exitCode = code;
        return this.stop();
      },
      cause: (prefix) => (this.cause = prefix),
      warn: (text) => void process.stderr.write(`${this.cause}warning: ${text}\n`),
      complain: (text) => void process.stderr.write(`${PROGRAM}${text}\n`),
      hasInput: !line.daemonize,
    });
    if (line.pidFile !== null) this.writePidFile(line.pidFile);
  }

  /** Ends the daemon as `quit` does, and resolves when it has. */
  async stop(): Promise<void> {
    try {
      await this.daemon?.end();
    } catch (error) {
      complain(error);
      throw error;
    } finally {
      if (this.daemon) await this.ended;
      else this.exited();
    }
  }

  private exited(): void {
    clearInterval(this.alive);
    if (this.pidFile !== null) unlinkSync(this.pidFile);
    this.pidFile = null;
    this.finish(this.exitCode);
  }

  private writePidFile(path: string): void {
    try {
      writeFileSync(path, `${process.pid}\n`);
    } catch (error) {
      throw new ToolFailure(`cannot create PID file: Could not create '${path}': ${strerrorOf(error)}`);
    }
    this.pidFile = resolve(path);
  }
}
