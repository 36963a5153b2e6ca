/**
 * What was written and is not answered yet, in its order. Many entries are on their way at the same time, but none that
 * overlaps an earlier one, and none behind a flush before that is answered: so what is on the server after a crash is what
 * a disk of its own could hold.
 */

/** Entries that are looked at for more to send. */
const WINDOW = 64;
const IN_FLIGHT = 16;

/** Something that changes the disk; a flush has no range. */
export interface LogEntry {
  readonly kind: 'write' | 'zero' | 'discard' | 'flush';
  readonly at: number;
  /** Where it ends. */
  readonly end: number;
  /** Of a write. */
  readonly data?: Uint8Array;
  /** Flags of the command. */
  readonly flags?: number;
}

interface Waiting {
  entry: LogEntry;
  sent: boolean;
  /** Tells who wrote it; afterwards the entry is nobody's. */
  done: ((errno: number) => void) | null;
}

export class WriteLog {
  private readonly waiting: Waiting[] = [];
  private inFlight = 0;
  private failure = 0;
  private watchers: (() => void)[] = [];

  /**
   * @param send has the server carry out an entry; 0 or an errno
   * @param keeps whether an entry that fails must stay: what is above the disk believes that it was written. Else whoever
   *   wrote it knows better.
   */
  constructor(
    private readonly send: (entry: LogEntry) => Promise<number>,
    private readonly keeps: () => boolean,
  ) {}

  /** The errno of the entry that nothing gets past; 0: all goes well. */
  get halted(): number {
    return this.failure;
  }

  /** What the server may not have yet, oldest first. */
  *unanswered(): Generator<LogEntry> {
    for (const { entry } of this.waiting) yield entry;
  }

  get empty(): boolean {
    return this.waiting.length === 0;
  }

  /** Takes an entry; resolves to the server's answer, 0 or an errno. */
  append(entry: LogEntry): Promise<number> {
    return new Promise((done) => {
      this.waiting.push({ entry, sent: false, done });
      this.pump();
    });
  }

  /** Tries again what failed; resolves when all has been answered, or something failed. */
  async retry(): Promise<void> {
    if (this.failure !== 0) {
      this.failure = 0;
      this.pump();
    }
    if (this.waiting.length > 0) await new Promise<void>((resolve) => this.watchers.push(resolve));
  }

  private pump(): void {
    if (this.failure !== 0) return;
    for (let index = 0; index < Math.min(this.waiting.length, WINDOW); index++) {
      if (this.inFlight >= IN_FLIGHT) return;
      const next = this.waiting[index]!;
      const flush = next.entry.kind === 'flush';
      if (!next.sent && (flush ? index === 0 : this.isFree(index))) void this.carryOut(next);
      if (flush) return;
    }
  }

  /** Whether nothing before it touches the same bytes. */
  private isFree(index: number): boolean {
    const { at, end } = this.waiting[index]!.entry;
    for (let before = 0; before < index; before++) {
      const other = this.waiting[before]!.entry;
      if (other.at < end && at < other.end) return false;
    }
    return true;
  }

  private async carryOut(waiting: Waiting): Promise<void> {
    waiting.sent = true;
    this.inFlight++;
    const errno = await this.send(waiting.entry);
    this.inFlight--;
    if (errno === 0 || !this.keeps()) {
      this.waiting.splice(this.waiting.indexOf(waiting), 1);
      waiting.done?.(errno);
    } else {
      waiting.sent = false;
      this.halt(errno);
    }
    this.pump();
    if (this.waiting.length === 0 || this.failure !== 0) this.tell();
  }

  /** Nothing more is sent; all who wait get the errno. */
  private halt(errno: number): void {
    this.failure ||= errno;
    for (const waiting of this.waiting) {
      waiting.done?.(errno);
      waiting.done = null;
    }
  }

  private tell(): void {
    const { watchers } = this;
    this.watchers = [];
    for (const resolve of watchers) resolve();
  }
}
