/** The lines that were entered before: kept between visits, walked with the arrow keys, searched with Ctrl-R. */

import { withoutSecret } from './secrets';

/** Where the history is kept; `localStorage` is one. Failures (storage forbidden in a frame) are of no consequence. */
export interface HistoryStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

const LIMIT = 1000;
/** Longer entries (pasted documents) are not kept between visits. */
const KEPT_LENGTH = 16384;

/** Entries, oldest first. */
export class History {
  private readonly entries: string[] = [];
  /** Index of the entry shown; entries.length: the line being typed. */
  private shown = 0;
  private typed = '';

  constructor(
    private readonly storage: HistoryStorage | null = null,
    private readonly key = 'qsd-web.history',
  ) {
    this.load();
    this.shown = this.entries.length;
  }

  get all(): readonly string[] {
    return this.entries;
  }

  /** Adds a line that was entered, without secrets; one equal to the last is not added again. */
  add(entered: string): void {
    const line = withoutSecret(entered);
    if (line.trim() !== '' && this.entries.at(-1) !== line) {
      this.entries.push(line);
      if (this.entries.length > LIMIT) this.entries.splice(0, this.entries.length - LIMIT);
      this.save();
    }
    this.reset();
  }

  clear(): void {
    this.entries.length = 0;
    this.save();
    this.reset();
  }

  /** Back to the line being typed. */
  reset(): void {
    this.shown = this.entries.length;
    this.typed = '';
  }

  /** The entry before; null if there is none. `current` is the text in the editor, kept to come back to. */
  previous(current: string): string | null {
    if (this.shown === this.entries.length) this.typed = current;
    if (this.shown === 0) return null;
    this.shown--;
    return this.entries[this.shown] ?? null;
  }

  /** The entry after, at last the line that was being typed; null if that is shown already. */
  next(): string | null {
    if (this.shown >= this.entries.length) return null;
    this.shown++;
    return this.entries[this.shown] ?? this.typed;
  }

  /**
   * The newest entry older than index `before` that contains `text`.
   *
   * @param before an index into {@link all}; its length to search all.
   */
  search(text: string, before: number): { index: number; entry: string } | null {
    for (let index = Math.min(before, this.entries.length) - 1; index >= 0; index--) {
      const entry = this.entries[index] ?? '';
      if (entry.includes(text)) return { index, entry };
    }
    return null;
  }

  private load(): void {
    try {
      const kept: unknown = JSON.parse(this.storage?.getItem(this.key) ?? '[]');
      if (!Array.isArray(kept)) return;
      for (const entry of kept) {
        const line = typeof entry === 'string' ? withoutSecret(entry) : '';
        if (line !== '') this.entries.push(line);
      }
    } catch {
      // Not ours, broken or forbidden: the history starts empty.
    }
  }

  private save(): void {
    try {
      this.storage?.setItem(
        this.key,
        JSON.stringify(this.entries.filter((entry) => entry.length <= KEPT_LENGTH)),
      );
    } catch {
      // Storage full or forbidden: the history lasts as long as the page.
    }
  }
}
