/**
 * The lexer of QMP's JSON, byte by byte.
 *
 * It differs from the standard: strings may stand in single quotes, bare words are lower-case letters, a number that is
 * just `0` ends there (`0e1` is `0` and then a word), and a byte that fits nowhere is an error that is reported with the
 * text so far. After an error bytes are skipped up to the next structural character, line end, other control character
 * or impossible UTF-8 byte (0xfe, 0xff), so clients can force the parser into a known state.
 */

/** A piece of JSON. Structural characters are their own kind. */
export interface Token {
  readonly kind: '{' | '}' | '[' | ']' | ':' | ',' | 'string' | 'integer' | 'float' | 'keyword';
  /** The bytes, quotes included; empty for structural characters. */
  readonly bytes: Uint8Array;
}

/** What the lexer hands on. */
export interface LexerSink {
  token(token: Token): void;
  /** Bytes that begin no token, up to and with the one that does not fit. */
  stray(bytes: Uint8Array): void;
}

const enum State {
  START,
  RECOVERY,
  DOUBLE,
  DOUBLE_ESCAPE,
  SINGLE,
  SINGLE_ESCAPE,
  MINUS,
  ZERO,
  DIGITS,
  POINT,
  FRACTION,
  EXPONENT,
  EXPONENT_SIGN,
  EXPONENT_DIGITS,
  KEYWORD,
}

const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const ZERO_DIGIT = 0x30;
const EMPTY_BYTES = new Uint8Array(0);
/** Bytes of the buffer that is kept for the next token. */
const MAX_KEPT = 1 << 16;

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
const isExponent = (byte: number): boolean => byte === 0x65 || byte === 0x45;
/** Bytes that no string contains, and that (but for TAB) end the skipping after an error. */
const breaksString = (byte: number): boolean => byte < 0x20 || byte >= 0xfe;

/** The tokens of structural characters, by byte. */
const STRUCTURAL: readonly (Token | undefined)[] = (() => {
  const table = new Array<Token | undefined>(256).fill(undefined);
  for (const kind of ['{', '}', '[', ']', ':', ','] as const)
    table[kind.charCodeAt(0)] = { kind, bytes: EMPTY_BYTES };
  return table;
})();

/** Splits a stream of bytes into tokens. */
export class JsonLexer {
  private state = State.START;
  private text = new Uint8Array(64);
  private length = 0;

  constructor(private readonly sink: LexerSink) {}

  /** Bytes of the token that is being read. */
  get pending(): number {
    return this.length;
  }

  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.state === State.DOUBLE || this.state === State.SINGLE) at = this.run(bytes, at);
      const byte = bytes[at];
      // A byte that ends a token is looked at again as the start of the next one.
      while (byte !== undefined && !this.step(byte));
    }
  }

  /** Takes the bytes of a string that need no thought, all at once; answers where they end. */
  private run(bytes: Uint8Array, from: number): number {
    const quote = this.state === State.DOUBLE ? QUOTE : APOSTROPHE;
    let end = from;
    for (; end < bytes.length; end++) {
      const byte = bytes[end] ?? 0;
      if (byte === quote || byte === BACKSLASH || breaksString(byte)) break;
    }
    this.reserve(end - from);
    this.text.set(bytes.subarray(from, end), this.length);
    this.length += end - from;
    return end;
  }

  /** The end of the input: what is left is a whole token, or stray. */
  end(): void {
    switch (this.state) {
      case State.START:
      case State.RECOVERY:
        break;
      case State.ZERO:
      case State.DIGITS:
        this.finish('integer');
        break;
      case State.FRACTION:
      case State.EXPONENT_DIGITS:
        this.finish('float');
        break;
      case State.KEYWORD:
        this.finish('keyword');
        break;
      default:
        this.fail();
    }
  }

  /** Forgets a token that is half read, and the memory of a long one. */
  reset(): void {
    this.state = State.START;
    this.length = 0;
    if (this.text.length > MAX_KEPT) this.text = new Uint8Array(64);
  }

  /** Takes a byte, or answers false when the byte has only ended the token before it. */
  private step(byte: number): boolean {
    switch (this.state) {
      case State.START:
        this.start(byte);
        return true;
      case State.RECOVERY:
        if (!STRUCTURAL[byte] && (byte === TAB || !breaksString(byte))) return true;
        this.state = State.START;
        return false;
      case State.DOUBLE:
        return this.inString(byte, QUOTE, State.DOUBLE_ESCAPE);
      case State.SINGLE:
        return this.inString(byte, APOSTROPHE, State.SINGLE_ESCAPE);
      case State.DOUBLE_ESCAPE:
        return this.keepIf(!breaksString(byte), byte, State.DOUBLE);
      case State.SINGLE_ESCAPE:
        return this.keepIf(!breaksString(byte), byte, State.SINGLE);
      case State.MINUS:
        return this.keepIf(isDigit(byte), byte, byte === ZERO_DIGIT ? State.ZERO : State.DIGITS);
      case State.ZERO:
        if (isDigit(byte)) return this.keepIf(false, byte, State.ZERO);
        if (byte === 0x2e) return this.keep(byte, State.POINT);
        return this.finish('integer');
      case State.DIGITS:
        if (isDigit(byte)) return this.keep(byte, State.DIGITS);
        if (byte === 0x2e) return this.keep(byte, State.POINT);
        if (isExponent(byte)) return this.keep(byte, State.EXPONENT);
        return this.finish('integer');
      case State.POINT:
        return this.keepIf(isDigit(byte), byte, State.FRACTION);
      case State.FRACTION:
        if (isDigit(byte)) return this.keep(byte, State.FRACTION);
        if (isExponent(byte)) return this.keep(byte, State.EXPONENT);
        return this.finish('float');
      case State.EXPONENT:
        if (byte === 0x2b || byte === 0x2d) return this.keep(byte, State.EXPONENT_SIGN);
        return this.keepIf(isDigit(byte), byte, State.EXPONENT_DIGITS);
      case State.EXPONENT_SIGN:
        return this.keepIf(isDigit(byte), byte, State.EXPONENT_DIGITS);
      case State.EXPONENT_DIGITS:
        if (isDigit(byte)) return this.keep(byte, State.EXPONENT_DIGITS);
        return this.finish('float');
      case State.KEYWORD:
        if (isLetter(byte)) return this.keep(byte, State.KEYWORD);
        return this.finish('keyword');
    }
  }

  private start(byte: number): void {
    const token = STRUCTURAL[byte];
    if (token) this.sink.token(token);
    else if (byte === 0x20 || byte === TAB || byte === LF || byte === CR) return;
    else if (byte === QUOTE) this.keep(byte, State.DOUBLE);
    else if (byte === APOSTROPHE) this.keep(byte, State.SINGLE);
    else if (byte === 0x2d) this.keep(byte, State.MINUS);
    else if (byte === ZERO_DIGIT) this.keep(byte, State.ZERO);
    else if (isDigit(byte)) this.keep(byte, State.DIGITS);
    else if (isLetter(byte)) this.keep(byte, State.KEYWORD);
    else this.keepIf(false, byte, State.START);
  }

  private inString(byte: number, quote: number, escape: State): boolean {
    if (byte === quote) {
      this.append(byte);
      this.finish('string');
      return true;
    }
    if (byte === BACKSLASH) return this.keep(byte, escape);
    return this.keepIf(!breaksString(byte), byte, this.state);
  }

  private keep(byte: number, next: State): true {
    this.append(byte);
    this.state = next;
    return true;
  }

  private keepIf(fits: boolean, byte: number, next: State): true {
    this.keep(byte, next);
    if (!fits) this.fail();
    return true;
  }

  private append(byte: number): void {
    this.reserve(1);
    this.text[this.length++] = byte;
  }

  /** Makes room for more bytes of the token. */
  private reserve(bytes: number): void {
    if (this.length + bytes <= this.text.length) return;
    const grown = new Uint8Array(Math.max(2 * this.text.length, this.length + bytes));
    grown.set(this.text.subarray(0, this.length));
    this.text = grown;
  }

  private take(): Uint8Array {
    const bytes = this.text.slice(0, this.length);
    this.reset();
    return bytes;
  }

  private finish(kind: Token['kind']): false {
    this.sink.token({ kind, bytes: this.take() });
    return false;
  }

  private fail(): void {
    const bytes = this.take();
    this.state = State.RECOVERY;
    this.sink.stray(bytes);
  }
}
