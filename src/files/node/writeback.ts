/** Bringing a host file to stable storage in the background, so that the flush that follows finds little left to do. */
import { closeSync, constants, fdatasync, openSync } from 'node:fs';

/**
 * Writes back through a descriptor of its own: the system tells a failure of writing back once to each descriptor, and
 * who flushes the file itself must be told. Only on Linux, where a descriptor can be opened again.
 */
export class WriteBack {
  private running: Promise<void> | null = null;
  private closed = false;

  private constructor(private readonly own: number) {}

  /** @param fd stays the caller's; null: it cannot be opened again */
  static of(fd: number): WriteBack | null {
    if (process.platform !== 'linux') return null;
    try {
      return new WriteBack(openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY));
    } catch {
      // Not every container has /proc.
      return null;
    }
  }

  /** Begins, unless it is under way already; resolves, never rejects, when that has ended. */
  start(): Promise<void> {
    return (this.running ??= new Promise((resolve) => {
      fdatasync(this.own, () => {
        this.running = null;
        if (this.closed) closeSync(this.own);
        resolve();
      });
    }));
  }

  /** Gives the descriptor back, when nothing uses it any more. */
  close(): void {
    this.closed = true;
    if (!this.running) closeSync(this.own);
  }
}
