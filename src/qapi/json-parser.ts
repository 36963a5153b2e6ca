/** The parser of QMP's JSON: a stream of bytes becomes values and errors, in order, with QEMU's texts. */
import { QmpError } from './errors';
import { JsonLexer, type Token } from './json-lexer';
import { Real, setMember, type QmpObject, type QmpValue } from './value';

/** A value, or why there is none. */
export type JsonResult = { value: QmpValue } | { error: QmpError };

/** Limits of one value: depth of nesting, bytes of its tokens, number of tokens. */
const MAX_NESTING = 1024;
const MAX_TOKEN_BYTES = 64 << 20;
const MAX_TOKENS = 2 << 20;

const MIN_I64 = -(2n ** 63n);
const MAX_U64 = 2n ** 64n - 1n;

const encoder = new TextEncoder();
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const parseError = (what: string): QmpError => new QmpError(`JSON parse error, ${what}`);

/** Bytes as a message shows them: up to a NUL, what is no UTF-8 replaced. */
function shown(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return lenient.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * Reads values from a stream. A value ends where its brackets are closed; words and numbers on the top level end with
 * the next byte that is not theirs. After an error the parser goes on with what follows.
 */
export class JsonParser {
  private tokens: Token[] = [];
  private braces = 0;
  private brackets = 0;
  private size = 0;
  private readonly lexer: JsonLexer;

  constructor(private readonly emit: (result: JsonResult) => void) {
    this.lexer = new JsonLexer({
      token: (token) => {
        this.accept(token);
      },
      stray: (bytes) => {
        this.drop();
        this.emit({ error: parseError(`stray '${shown(bytes)}'`) });
      },
    });
  }

  /** Text counts as its UTF-8 bytes. */
  feed(input: Uint8Array | string): void {
    const bytes = typeof input === 'string' ? encoder.encode(input) : input;
    // A token is looked at when it is complete, so an endless string must be stopped here.
    const step = 1 << 20;
    for (let at = 0; at < bytes.length; at += step) {
      this.lexer.feed(bytes.subarray(at, at + step));
      if (this.size + this.lexer.pending > MAX_TOKEN_BYTES) {
        this.lexer.reset();
        this.fail('JSON token size limit exceeded');
      }
    }
  }

  /** The end of the input; a value that is not complete is an error. */
  end(): void {
    this.lexer.end();
    if (this.tokens.length) this.parse();
  }

  private accept(token: Token): void {
    switch (token.kind) {
      case '{':
        this.braces++;
        break;
      case '}':
        this.braces--;
        break;
      case '[':
        this.brackets++;
        break;
      case ']':
        this.brackets--;
        break;
      default:
    }
    this.size += token.bytes.length || 1;
    if (this.size > MAX_TOKEN_BYTES) return this.fail('JSON token size limit exceeded');
    if (this.tokens.length + 1 > MAX_TOKENS) return this.fail('JSON token count limit exceeded');
    if (this.braces + this.brackets > MAX_NESTING) return this.fail('JSON nesting depth limit exceeded');
    this.tokens.push(token);
    if ((this.braces <= 0 && this.brackets <= 0) || this.braces < 0 || this.brackets < 0) this.parse();
  }

  private fail(text: string): void {
    this.drop();
    this.emit({ error: new QmpError(text) });
  }

  private drop(): void {
    this.tokens = [];
    this.braces = 0;
    this.brackets = 0;
    this.size = 0;
  }

  private parse(): void {
    const { tokens } = this;
    this.drop();
    let result: JsonResult;
    try {
      result = { value: new ValueReader(tokens).value() };
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      result = { error };
    }
    this.emit(result);
  }
}

/**
 * Reads the one value that a text is (an option of the command line, a `json:` name). Throws {@link QmpError} with the
 * texts of the stream parser, or because there is no value or more than one.
 */
export function parseJson(text: string): QmpValue {
  const results: JsonResult[] = [];
  const parser = new JsonParser((result) => results.push(result));
  parser.feed(text);
  parser.end();
  const [first, second] = results;
  if (!first) throw new QmpError('Expecting a JSON value');
  if ('error' in first) throw first.error;
  if (second) throw new QmpError('Expecting at most one JSON value');
  return first.value;
}

/** Recursive descent over the tokens of one value; the nesting is bounded by {@link MAX_NESTING}. */
class ValueReader {
  private at = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  value(): QmpValue {
    const token = this.next();
    switch (token.kind) {
      case '{':
        return this.object();
      case '[':
        return this.list();
      case 'string':
        return decodeString(token.bytes);
      case 'integer':
        return integer(shown(token.bytes));
      case 'float':
        return real(Number(shown(token.bytes)));
      case 'keyword':
        return keyword(shown(token.bytes));
      default:
        throw parseError('expecting value');
    }
  }

  private next(): Token {
    const token = this.tokens[this.at++];
    if (!token) throw parseError('premature EOI');
    return token;
  }

  /** Takes the next token if it is this one. */
  private skip(kind: Token['kind']): boolean {
    const token = this.next();
    if (token.kind === kind) return true;
    this.at--;
    return false;
  }

  private object(): QmpObject {
    const object: QmpObject = {};
    if (this.skip('}')) return object;
    for (;;) {
      const key = this.value();
      if (typeof key !== 'string') throw parseError('key is not a string in object');
      if (!this.skip(':')) throw parseError('missing : in object pair');
      const value = this.value();
      if (Object.hasOwn(object, key)) throw parseError('duplicate key');
      setMember(object, key, value);
      if (this.skip('}')) return object;
      if (!this.skip(',')) throw parseError('expected separator in dict');
    }
  }

  private list(): QmpValue[] {
    const list: QmpValue[] = [];
    if (this.skip(']')) return list;
    for (;;) {
      list.push(this.value());
      if (this.skip(']')) return list;
      if (!this.skip(',')) throw parseError('expected separator in list');
    }
  }
}

function keyword(word: string): null | boolean {
  switch (word) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    default:
      throw parseError(`invalid keyword '${word}'`);
  }
}

/** Exact within 64 bits, signed or not; beyond that it is no integer any more. */
function integer(text: string): QmpValue {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number + 0;
  const exact = BigInt(text);
  return exact < MIN_I64 || exact > MAX_U64 ? new Real(number) : exact;
}

const real = (value: number): QmpValue => (Number.isInteger(value) ? new Real(value) : value);

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** The four hexadecimal digits at an offset, or -1. */
function hex4(bytes: Uint8Array, at: number): number {
  const digits = shown(bytes.subarray(at, at + 4));
  return /^[0-9a-fA-F]{4}$/.test(digits) ? parseInt(digits, 16) : -1;
}

/** Code points that are no characters: U+FDD0 to U+FDEF and the last two of each plane. */
const isNoncharacter = (code: number): boolean =>
  (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;

/** The text of a string token: quotes off, escapes replaced, UTF-8 checked. */
function decodeString(bytes: Uint8Array): string {
  let text = '';
  let at = 1;
  const end = bytes.length - 1;
  while (at < end) {
    const backslash = bytes.subarray(at, end).indexOf(0x5c);
    const plainEnd = backslash < 0 ? end : at + backslash;
    text += decodePlain(bytes.subarray(at, plainEnd));
    at = plainEnd;
    if (at === end) break;
    const letter = String.fromCharCode(bytes[at + 1] ?? 0);
    if (letter !== 'u') {
      const character = ESCAPES[letter];
      if (character === undefined) throw parseError('invalid escape sequence in string');
      text += character;
      at += 2;
      continue;
    }
    let code = hex4(bytes, at + 2);
    let size = 6;
    if (code >= 0xd800 && code <= 0xdbff && bytes[at + 6] === 0x5c && bytes[at + 7] === 0x75) {
      const low = hex4(bytes, at + 8);
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        size = 12;
      }
    }
    if (code < 0 || (code >= 0xd800 && code <= 0xdfff) || isNoncharacter(code))
      throw parseError(`${shown(bytes.subarray(at, at + 6))} is not a valid Unicode character`);
    text += String.fromCodePoint(code);
    at += size;
  }
  return text;
}

/** A piece without escapes. The overlong form of NUL (C0 80) is NUL. */
function decodePlain(bytes: Uint8Array): string {
  let text = '';
  let at = 0;
  for (;;) {
    const overlong = bytes.indexOf(0xc0, at);
    const pieceEnd = overlong < 0 ? bytes.length : overlong;
    let piece: string;
    try {
      piece = strict.decode(bytes.subarray(at, pieceEnd));
    } catch {
      throw parseError('invalid UTF-8 sequence in string');
    }
    for (const character of piece)
      if (isNoncharacter(character.codePointAt(0) ?? 0)) throw parseError('invalid UTF-8 sequence in string');
    text += piece;
    if (overlong < 0) return text;
    if (bytes[overlong + 1] !== 0x80) throw parseError('invalid UTF-8 sequence in string');
    text += '\0';
    at = overlong + 2;
  }
}
