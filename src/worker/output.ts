/** The output of a tool on its way to the page: pieces are put together, so that a message is not sent for each. */

/** Characters after which a piece is sent at once. */
const LIMIT = 16 * 1024;
/** Progress is sent at most this often, milliseconds. */
const PROGRESS_EVERY = 50;
/** Messages that may be on their way before a tool waits. */
const MAX_UNDERWAY = 8;

/** Where it goes; `src/client`'s ShellIo over a port is one: its calls answer when they have arrived. */
interface Sink {
  stdout(text: string): void | Promise<void>;
  stderr(text: string): void | Promise<void>;
  progress(done: number, total: number): void | Promise<void>;
}

/** Keeps the order of stdout and stderr. */
export class Output {
  private text = '';
  private kind: 'stdout' | 'stderr' = 'stdout';
  private lastProgress = -Infinity;
  /** Messages that have not arrived yet, the oldest first. */
  private readonly underway: Promise<void>[] = [];

  constructor(private readonly sink: Sink) {}

  write(kind: 'stdout' | 'stderr', text: string): void {
    if (kind !== this.kind) this.flush();
    this.kind = kind;
    this.text += text;
    if (this.text.length >= LIMIT) this.flush();
  }

  progress(done: number, total: number): void {
    const now = performance.now();
    if (now - this.lastProgress < PROGRESS_EVERY) return;
    this.lastProgress = now;
    this.send(this.sink.progress(done, total));
  }

  /** Sends what is there. */
  flush(): void {
    if (this.text === '') return;
    const { text } = this;
    this.text = '';
    this.send(this.sink[this.kind](text));
  }

  /** Resolves when few messages are on their way: the page must not be flooded. */
  async room(): Promise<void> {
    while (this.underway.length > MAX_UNDERWAY) await this.underway[0];
  }

  /** Sends what is there and resolves when all has arrived. */
  async arrived(): Promise<void> {
    this.flush();
    await Promise.all(this.underway);
  }

  private send(arrival: void | Promise<void>): void {
    // A page that is gone takes nothing: nobody is left to be told.
    const settled = Promise.resolve(arrival).catch(() => undefined);
    this.underway.push(settled);
    void settled.then(() => this.underway.splice(this.underway.indexOf(settled), 1));
  }
}
