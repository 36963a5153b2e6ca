/**
 * The order of names that QEMU keeps in a hash table of GLib: the children of a place in its tree of objects, the members of
 * a request that have not been read yet.
 *
 * They are kept in a hash table of GLib: open addressing with quadratic steps over 2^n slots, the first slot found modulo a
 * prime, the table made to fit when a name comes. Lists give the slots from the last one to the first.
 * Found by comparing lists of the real daemon.
 */

/** The prime below each size of a table; GLib's tables have at least 8 slots. */
const PRIMES = [1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521];
const MIN_SHIFT = 3;
const MAX_SHIFT = PRIMES.length - 1;

interface Name {
  readonly text: string;
  readonly hash: number;
}

/** A slot: empty, used before, or a name. */
type Slot = null | 'removed' | Name;

const encoder = new TextEncoder();

/** g_str_hash: 33 times the hash so far and the next byte, which is signed. */
function hashOf(text: string): number {
  let hash = 5381;
  for (const byte of encoder.encode(text)) hash = (Math.imul(hash, 33) + ((byte << 24) >> 24)) >>> 0;
  // The values 0 and 1 mark slots without a name.
  return Math.max(hash, 2);
}

const isName = (slot: Slot | undefined): slot is Name => typeof slot === 'object' && slot !== null;

/** A set of names that answers them in the order of a list of QEMU. */
export class NameTable {
  private shift = MIN_SHIFT;
  private slots: Slot[] = new Array<Slot>(1 << MIN_SHIFT).fill(null);
  private names = 0;
  /** Names and slots that were used before. */
  private occupied = 0;

  constructor(names: readonly string[] = []) {
    for (const name of names) this.add(name);
  }

  /** All names, as a list of QEMU has them. */
  list(): string[] {
    return this.slots
      .filter(isName)
      .map(({ text }) => text)
      .reverse();
  }

  /** Adds a name that is not there. */
  add(text: string): void {
    const name = { text, hash: hashOf(text) };
    const at = this.find(name);
    const wasEmpty = this.slots[at] === null;
    this.slots[at] = name;
    this.names++;
    if (wasEmpty) {
      this.occupied++;
      this.fit();
    }
  }

  /** Removes a name that is there. */
  remove(text: string): void {
    const at = this.find({ text, hash: hashOf(text) });
    if (!isName(this.slots[at])) return;
    // The size stays: QEMU removes while it walks through the table.
    this.slots[at] = 'removed';
    this.names--;
  }

  private first({ hash }: Name): number {
    return (Math.imul(hash, 11) >>> 0) % (PRIMES[this.shift] ?? 1);
  }

  /** The slot of a name; if it is not there the one that it would get. */
  private find(name: Name): number {
    let removed: number | null = null;
    let at = this.first(name);
    for (let step = 1; ; step++) {
      const slot = this.slots[at] ?? null;
      if (slot === null) return removed ?? at;
      if (slot === 'removed') removed ??= at;
      else if (slot.text === name.text) return at;
      at = (at + step) & (this.slots.length - 1);
    }
  }

  /** Changes the size when too few or too many slots are in use. */
  private fit(): void {
    const size = this.slots.length;
    const tooLarge = size > this.names * 4 && size > 1 << MIN_SHIFT;
    if (!tooLarge && size > this.occupied + Math.floor(this.occupied / 16)) return;
    const wanted = 32 - Math.clz32(Math.floor(this.names * 1.333));
    this.shift = Math.min(Math.max(wanted, MIN_SHIFT), MAX_SHIFT);
    this.place();
  }

  /** Each name, in the order of the old slots, takes its place; one that stood there and has not moved yet moves next. */
  private place(): void {
    const old = this.slots.length;
    const size = 1 << this.shift;
    const slots = this.slots.concat(new Array<Slot>(Math.max(0, size - old)).fill(null));
    const settled = new Set<number>();
    for (let i = 0; i < old; i++) {
      let moving = slots[i] ?? null;
      if (settled.has(i)) continue;
      slots[i] = null;
      while (isName(moving)) {
        let at = this.first(moving);
        for (let step = 1; settled.has(at); step++) at = (at + step) & (size - 1);
        settled.add(at);
        const before: Slot = slots[at] ?? null;
        slots[at] = moving;
        moving = before;
      }
    }
    this.slots = slots.slice(0, size);
    this.occupied = this.names;
  }
}
