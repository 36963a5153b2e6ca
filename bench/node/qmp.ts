/** A storage daemon in a process of its own, ours or the real one, and a client of its monitor on a Unix socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

type Json = Readonly<Record<string, unknown>>;

interface Message {
  return?: unknown;
  error?: { desc: string };
  event?: string;
  data?: Json;
}

/** A daemon that runs, and the one client of its monitor. */
export class DaemonProcess {
  /** Who waits for answers, in the order of the commands. */
  private readonly waiting: ((message: Message) => void)[] = [];
  private watchers: ((message: Message) => void)[] = [];

  private constructor(
    private readonly child: ChildProcess,
    private readonly socket: Socket,
  ) {
    const lines = createInterface(socket).on('line', (line) => {
      const message = JSON.parse(line) as Message;
      if (message.event !== undefined) for (const watch of [...this.watchers]) watch(message);
      else this.waiting.shift()?.(message);
    });
    // QEMU resets the connection when it quits.
    for (const source of [socket, lines]) source.on('error', () => undefined);
  }

  /**
   * Starts a daemon and negotiates.
   * @param command the program with its first words
   * @param path of the monitor's socket, which the daemon makes
   */
  static async start(command: readonly string[], path: string): Promise<DaemonProcess> {
    const [program = '', ...words] = command;
    const child = spawn(
      program,
      [...words, '--chardev', `socket,id=c,server=on,wait=off,path=${path}`, '--monitor', 'c'],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const socket = await connect(path);
    const daemon = new DaemonProcess(child, socket);
    await daemon.nextAnswer();
    await daemon.execute('qmp_capabilities');
    return daemon;
  }

  private nextAnswer(): Promise<Message> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** What a command returns; its error is thrown. */
  async execute(command: string, args: Json = {}): Promise<unknown> {
    const answered = this.nextAnswer();
    this.socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const message = await answered;
    if (message.error) throw new Error(`${command}: ${message.error.desc}`);
    return message.return;
  }

  /** Resolves when a job comes to a status; call it before what brings that about. */
  jobStatus(id: string, status: string): Promise<void> {
    return new Promise((resolve) => {
      const watch = ({ event, data }: Message): void => {
        if (event !== 'JOB_STATUS_CHANGE' || data?.id !== id || data.status !== status) return;
        this.watchers = this.watchers.filter((other) => other !== watch);
        resolve();
      };
      this.watchers.push(watch);
    });
  }

  async quit(): Promise<void> {
    const ended = this.child.exitCode === null ? once(this.child, 'exit') : null;
    await this.execute('quit').catch(() => undefined);
    await ended;
    this.socket.destroy();
  }
}

/** The daemon makes its socket when it gets to it. */
async function connect(path: string): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    const socket = createConnection(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === 500) throw error;
      await sleep(20);
    }
  }
}
