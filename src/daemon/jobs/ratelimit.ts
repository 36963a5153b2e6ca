/** The speed of a job: bytes are counted in slices of 100 ms, and a slice that got too much is made longer. */

/** Milliseconds of a slice. */
const SLICE = 100;

export class RateLimit {
  /** Bytes a second; 0: no limit. */
  private bytesPerSecond = 0;
  private start = -Infinity;
  /** Bytes that were done in the slice. */
  private done = 0;

  get speed(): number {
    return this.bytesPerSecond;
  }

  /** What was done in the slice under way counts for the new speed too. */
  set speed(speed: number) {
    this.bytesPerSecond = speed;
  }

  /** Counts bytes that were just done; `now` in milliseconds. The first of them always go at once. */
  account(bytes: number, now: number): void {
    if (this.bytesPerSecond === 0) return;
    this.follow(now);
    this.done += bytes;
  }

  /** Milliseconds from `now` until more may be done. */
  delay(now: number): number {
    if (this.bytesPerSecond === 0 || this.done <= this.quota) return 0;
    return Math.max(0, this.end - now);
  }

  /** Bytes of one slice. */
  private get quota(): number {
    return Math.max(1, (this.bytesPerSecond * SLICE) / 1000);
  }

  private get end(): number {
    return this.start + SLICE * Math.max(1, this.done / this.quota);
  }

  /**
   * Begins the next slice when one is over: where it ended, so that a job that gets its turn late makes up for it; but
   * whoever did nothing for longer than a slice has nothing to make up for.
   */
  private follow(now: number): void {
    if (now < this.end) return;
    this.start = now - this.end > SLICE ? now : this.end;
    this.done = 0;
  }
}
