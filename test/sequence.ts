/** Numbers that look random and are the same in each run: xorshift of 32 bits. For tests that need many of them quickly. */
export class Sequence {
  constructor(private state = 0x9e3779b9) {}

  /** The next whole number from 0 to `limit` - 1. */
  next(limit: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }
}
