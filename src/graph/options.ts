/**
 * Options of nodes: nested dictionaries are flattened to dotted keys, each layer takes what it knows, and what is left
 * over at the end is an error. Values come typed from QMP and `json:` names, and as text from command lines.
 */
import { dictOrder } from '../qapi/dict-order';
import { parseInteger, parseSize } from '../qapi/size';
import { isObject, Real, setMember, type QmpObject, type QmpValue } from '../qapi/value';
import { GraphError } from './errors';

const TRUE = ['on', 'yes', 'true', 'y'];
const FALSE = ['off', 'no', 'false', 'n'];
const MAX_U64 = (1n << 64n) - 1n;

const SIZE_HINTS = [
  'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-',
  'and exabytes, respectively.',
];

/** A flat dictionary of options. */
export class Options {
  private readonly values = new Map<string, QmpValue>();

  /** The flattened form of a dictionary, whose keys may be dotted already. */
  static from(dictionary: QmpObject = {}): Options {
    const options = new Options();
    options.flatten('', dictionary);
    return options;
  }

  private flatten(prefix: string, dictionary: QmpObject): void {
    for (const [key, value] of Object.entries(dictionary)) {
      const name = prefix + key;
      if (Array.isArray(value) && value.length > 0) {
        this.flatten(`${name}.`, Object.fromEntries(value.map((item, index) => [String(index), item])));
      } else if (isObject(value) && Object.keys(value).length > 0) {
        this.flatten(`${name}.`, value);
      } else {
        this.values.set(name, value);
      }
    }
  }

  get size(): number {
    return this.values.size;
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  get(key: string): QmpValue | undefined {
    return this.values.get(key);
  }

  set(key: string, value: QmpValue): void {
    this.values.set(key, value);
  }

  setDefault(key: string, value: QmpValue): void {
    if (!this.values.has(key)) this.values.set(key, value);
  }

  delete(key: string): void {
    this.values.delete(key);
  }

  /** Takes over what `other` has and this has not. */
  join(other: Options): void {
    for (const [key, value] of other.values) this.setDefault(key, value);
  }

  clone(): Options {
    const copy = new Options();
    for (const [key, value] of this.values) copy.values.set(key, value);
    return copy;
  }

  entries(): IterableIterator<[string, QmpValue]> {
    return this.values.entries();
  }

  /** The first key in the order of QEMU's dictionaries. */
  first(): string | undefined {
    return dictOrder([...this.values.keys()])[0];
  }

  /** Takes away the options `prefix.*` and answers them without the prefix. */
  takeBelow(prefix: string): Options {
    const below = new Options();
    for (const [key, value] of [...this.values]) {
      if (!key.startsWith(`${prefix}.`)) continue;
      below.values.set(key.slice(prefix.length + 1), value);
      this.values.delete(key);
    }
    return below;
  }

  /** Takes an option away; undefined if it is not there. */
  take(key: string): QmpValue | undefined {
    const value = this.values.get(key);
    this.values.delete(key);
    return value;
  }

  /** The value of an option if it is a string; it stays. */
  text(key: string): string | undefined {
    const value = this.values.get(key);
    return typeof value === 'string' ? value : undefined;
  }

  /** Takes an option as text, whatever scalar it is: numbers print, booleans become `on` and `off`. */
  takeText(key: string): string | undefined {
    const value = this.values.get(key);
    if (value === undefined || value === null || typeof value === 'object') {
      if (!(value instanceof Real)) return undefined;
    }
    this.values.delete(key);
    if (typeof value === 'boolean') return value ? 'on' : 'off';
    return value instanceof Real ? String(value.value) : String(value);
  }

  takeBoolean(key: string): boolean | undefined {
    const text = this.takeText(key);
    if (text === undefined) return undefined;
    if (TRUE.includes(text)) return true;
    if (FALSE.includes(text)) return false;
    throw new GraphError(`Parameter '${key}' expects 'on' or 'off'`);
  }

  /** Takes a number of bytes, up to 2^53. */
  takeSize(key: string): number | undefined {
    const text = this.takeText(key);
    if (text === undefined) return undefined;
    const value = parseSize(text);
    if (value !== null) return exact(key, value);
    const integer = /^\s*-?[0-9]+$/.test(text);
    if (integer) throw new GraphError(`Value '${text}' is out of range for parameter '${key}'`);
    throw new GraphError(`Parameter '${key}' expects a non-negative number below 2^64`, {
      hints: SIZE_HINTS,
    });
  }

  /** Takes a whole number of 64 bits; a negative one is the complement of two, as in QEMU. */
  takeNumber(key: string): bigint | undefined {
    const text = this.takeText(key);
    if (text === undefined) return undefined;
    const value = parseInteger(text);
    if (value === null) throw new GraphError(`Parameter '${key}' expects a number`);
    if (value > MAX_U64 || value < -MAX_U64) {
      throw new GraphError(`Value '${text}' is out of range for parameter '${key}'`);
    }
    return BigInt.asUintN(64, value);
  }

  /** Takes one of some words. */
  takeEnum<T extends string>(key: string, words: readonly T[]): T | undefined {
    const text = this.takeText(key);
    if (text === undefined) return undefined;
    const word = words.find((item) => item === text);
    if (word === undefined) throw new GraphError(`invalid parameter value: ${text}`);
    return word;
  }
}

function exact(key: string, value: bigint): number {
  if (value > 2n ** 53n)
    throw new GraphError(`Parameter '${key}' is beyond 2^53, the largest size handled here`);
  return Number(value);
}

/** Dotted keys as a nested dictionary, a list where all keys of a level are 0, 1, 2 ... */
export function nest(options: Iterable<[string, QmpValue]>): QmpObject {
  const root: QmpObject = {};
  for (const [key, value] of options) {
    const path = key.split('.');
    const last = path.pop() ?? '';
    let at = root;
    for (const part of path) {
      const next = Object.hasOwn(at, part) ? at[part] : undefined;
      if (isObject(next)) {
        at = next;
      } else {
        const made: QmpObject = {};
        setMember(at, part, made);
        at = made;
      }
    }
    setMember(at, last, value);
  }
  return root;
}
