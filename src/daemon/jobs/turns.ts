/**
 * The worker's time, shared out: whoever waits gets one turn after the other, in the order of asking, and between two turns
 * everything else of the worker (commands, events, the page) is served.
 */
export class Turns {
  private line: Promise<void> = Promise.resolve();

  /** @param turn resolves in a new task, when what has come meanwhile has been served */
  constructor(private readonly turn: () => Promise<void>) {}

  /** Resolves when it is the caller's turn. */
  next(): Promise<void> {
    this.line = this.line.then(this.turn);
    return this.line;
  }
}
