/** The text being typed and the cursor in it, with the moves and deletions of a shell's line editor. No display here. */

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/**
 * An edit buffer. `cursor` is an index into `text` in UTF-16 units and always between two graphemes. Text that is
 * deleted by words or to the end of a line can be put back with {@link yank}.
 */
export class LineEditor {
  private content = '';
  private position = 0;
  private killed = '';

  get text(): string {
    return this.content;
  }

  get cursor(): number {
    return this.position;
  }

  /** Replaces all. The cursor goes to `cursor`, by default the end. */
  set(text: string, cursor = text.length): void {
    this.content = text;
    this.position = Math.max(0, Math.min(cursor, text.length));
  }

  /** Forgets all, what was deleted too. */
  forget(): void {
    this.set('');
    this.killed = '';
  }

  /** Puts text in at the cursor. */
  insert(text: string): void {
    this.replace(this.position, this.position, text);
  }

  /** Replaces the range [from, to) and puts the cursor behind the new text. */
  replace(from: number, to: number, text: string): void {
    this.content = this.content.slice(0, from) + text + this.content.slice(to);
    this.position = from + text.length;
  }

  left(): void {
    this.position = this.before(this.position);
  }

  right(): void {
    this.position = this.after(this.position);
  }

  /** To the start of the line the cursor is in. */
  home(): void {
    this.position = this.lineStart(this.position);
  }

  /** To the end of the line the cursor is in. */
  end(): void {
    this.position = this.lineEnd(this.position);
  }

  /** To the line above, at the same column if it is long enough. False if there is none. */
  up(): boolean {
    const start = this.lineStart(this.position);
    if (start === 0) return false;
    const column = this.position - start;
    const above = this.lineStart(start - 1);
    this.position = this.snap(Math.min(above + column, start - 1));
    return true;
  }

  /** To the line below. False if there is none. */
  down(): boolean {
    const end = this.lineEnd(this.position);
    if (end === this.content.length) return false;
    const column = this.position - this.lineStart(this.position);
    this.position = this.snap(Math.min(end + 1 + column, this.lineEnd(end + 1)));
    return true;
  }

  wordLeft(): void {
    this.position = this.wordStart();
  }

  wordRight(): void {
    this.position = this.wordEnd();
  }

  backspace(): void {
    this.replace(this.before(this.position), this.position, '');
  }

  /** Deletes what is under the cursor. */
  delete(): void {
    const at = this.position;
    this.replace(at, this.after(at), '');
  }

  /** Deletes to the start of the word, a word being letters and digits. */
  deleteWordLeft(): void {
    this.kill(this.wordStart(), this.position);
  }

  deleteWordRight(): void {
    this.kill(this.position, this.wordEnd());
  }

  /** Deletes to the blank before the cursor (Ctrl-W of a shell). */
  deleteBlankWordLeft(): void {
    let at = this.position;
    while (at > 0 && /\s/.test(this.content.charAt(at - 1))) at--;
    while (at > 0 && !/\s/.test(this.content.charAt(at - 1))) at--;
    this.kill(at, this.position);
  }

  /** Deletes to the end of the line; at its end, the line feed. */
  deleteToEnd(): void {
    const end = this.lineEnd(this.position);
    this.kill(this.position, end === this.position ? Math.min(end + 1, this.content.length) : end);
  }

  /** Deletes to the start of the line. */
  deleteToStart(): void {
    this.kill(this.lineStart(this.position), this.position);
  }

  /** Puts back what was deleted last by words or lines. */
  yank(): void {
    this.insert(this.killed);
  }

  /** Swaps the two characters before the cursor, or those around it inside the line. */
  transpose(): void {
    const start = this.lineStart(this.position);
    const middle = this.position === this.lineEnd(this.position) ? this.before(this.position) : this.position;
    const first = this.before(middle);
    if (middle <= start || first < start) return;
    const end = this.after(middle);
    this.replace(first, end, this.content.slice(middle, end) + this.content.slice(first, middle));
  }

  private kill(from: number, to: number): void {
    if (from === to) return;
    this.killed = this.content.slice(from, to);
    this.replace(from, to, '');
  }

  private lineStart(at: number): number {
    return at === 0 ? 0 : this.content.lastIndexOf('\n', at - 1) + 1;
  }

  private lineEnd(at: number): number {
    const end = this.content.indexOf('\n', at);
    return end < 0 ? this.content.length : end;
  }

  private wordStart(): number {
    let at = this.position;
    while (at > 0 && !isWord(this.content.charAt(at - 1))) at--;
    while (at > 0 && isWord(this.content.charAt(at - 1))) at--;
    return at;
  }

  private wordEnd(): number {
    let at = this.position;
    while (at < this.content.length && !isWord(this.content.charAt(at))) at++;
    while (at < this.content.length && isWord(this.content.charAt(at))) at++;
    return at;
  }

  private before(at: number): number {
    return graphemes.segment(this.content).containing(at - 1)?.index ?? 0;
  }

  private after(at: number): number {
    const segment = graphemes.segment(this.content).containing(at);
    return segment ? segment.index + segment.segment.length : this.content.length;
  }

  /** The nearest place at or before `at` that is between two graphemes. */
  private snap(at: number): number {
    return at >= this.content.length
      ? this.content.length
      : (graphemes.segment(this.content).containing(at)?.index ?? at);
  }
}

function isWord(character: string): boolean {
  return /[\p{L}\p{N}_]/u.test(character) || /[\ud800-\udfff]/.test(character);
}
