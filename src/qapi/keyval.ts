/**
 * `key=value,...` as the command lines of the storage daemon take it.
 *
 * Keys are fragments joined by `.`; a fragment is a name (a letter, then letters, digits, `-`, `_`) or an index of a list
 * (digits). In values `,,` is a comma. Every value is text; the visitor of strings (visitor.ts) reads it as its type.
 */
import { dictOrder } from './dict-order';
import { QmpError } from './errors';
import { setMember } from './value';

/** What a text of options becomes: text, lists and objects, nested. */
type KeyvalValue = string | KeyvalValue[] | KeyvalObject;
export interface KeyvalObject {
  [key: string]: KeyvalValue;
}

/** The length of a fragment, and of a key without dots, in bytes. */
const MAX_FRAGMENT = 127;
const INDEX = /^[0-9]+$/;
const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;

/** While parsing everything is an object; lists are made at the end. */
interface Draft {
  [key: string]: string | Draft;
}

/** Options, and whether `help` or `?` stands among them. */
export interface KeyvalRequest {
  options: KeyvalObject;
  help: boolean;
}

/**
 * Parses options that have no help. With an implied key a first item without `=` is its value (`qcow2,file=a` with `driver`).
 * Throws {@link QmpError} with QEMU's texts.
 */
export function parseKeyval(text: string, impliedKey?: string): KeyvalObject {
  const { options, help } = parseKeyvalRequest(text, impliedKey);
  if (help) throw new QmpError('Help is not available for this option');
  return options;
}

/** The same where there is help. What is wrong with options goes before it. */
export function parseKeyvalRequest(text: string, impliedKey?: string): KeyvalRequest {
  let help = false;
  const draft: Draft = {};
  let at = 0;
  let first = true;
  while (at < text.length) {
    const comma = text.indexOf(',', at);
    const itemEnd = comma < 0 ? text.length : comma;
    const equals = text.indexOf('=', at);
    let key: string;
    let value: string;
    if (equals >= 0 && equals < itemEnd) {
      key = text.slice(at, equals);
      checkKey(key);
      [value, at] = parseValue(text, equals + 1);
    } else if (/^(?:help|\?)$/.test(text.slice(at, itemEnd))) {
      help = true;
      first = false;
      at = itemEnd + 1;
      continue;
    } else if (first && impliedKey !== undefined && itemEnd > at) {
      key = impliedKey;
      value = text.slice(at, itemEnd);
      at = itemEnd + 1;
    } else {
      key = text.slice(at, itemEnd);
      checkKey(key);
      throw new QmpError(`Expected '=' after parameter '${key}'`);
    }
    insert(draft, key, value);
    first = false;
  }
  return { options: listify(draft, '') as KeyvalObject, help };
}

function checkKey(key: string): void {
  for (const [i, fragment] of key.split('.').entries()) {
    if (!NAME.test(fragment) && (i === 0 || !INDEX.test(fragment)))
      throw new QmpError(`Invalid parameter '${key}'`);
    if (fragment.length > MAX_FRAGMENT) {
      const what = fragment === key ? 'Parameter' : 'Parameter fragment';
      throw new QmpError(`${what} '${fragment}' is too long`);
    }
  }
}

/** The value from an offset on, and the offset of the next item. */
function parseValue(text: string, from: number): [string, number] {
  let value = '';
  let at = from;
  for (;;) {
    const comma = text.indexOf(',', at);
    if (comma < 0) return [value + text.slice(at), text.length];
    value += text.slice(at, comma);
    if (text[comma + 1] !== ',') return [value, comma + 1];
    value += ',';
    at = comma + 2;
  }
}

const inconsistent = (key: string): QmpError => new QmpError(`Parameters '${key}.*' used inconsistently`);

function insert(root: Draft, key: string, value: string): void {
  const fragments = key.split('.');
  const last = fragments.pop() ?? '';
  let object = root;
  let path = '';
  for (const fragment of fragments) {
    path = path ? `${path}.${fragment}` : fragment;
    const existing = Object.hasOwn(object, fragment) ? object[fragment] : undefined;
    if (typeof existing === 'string') throw inconsistent(path);
    if (existing) {
      object = existing;
    } else {
      const made: Draft = {};
      setMember(object, fragment, made);
      object = made;
    }
  }
  if (Object.hasOwn(object, last) && typeof object[last] !== 'string') throw inconsistent(key);
  setMember(object, last, value);
}

/** Turns objects all of whose keys are indices into lists, from the inside out. */
function listify(draft: Draft, path: string): KeyvalValue {
  const inner = new Map<string, KeyvalValue>();
  for (const key of dictOrder(Object.keys(draft))) {
    const value = draft[key] ?? '';
    inner.set(key, typeof value === 'string' ? value : listify(value, path ? `${path}.${key}` : key));
  }
  const indices = [...inner.keys()].filter((key) => INDEX.test(key)).length;
  if (indices === 0) {
    const object: KeyvalObject = {};
    for (const key of Object.keys(draft)) setMember(object, key, inner.get(key) ?? '');
    return object;
  }
  if (indices < inner.size) throw inconsistent(path);
  const byIndex = new Map([...inner].map(([key, value]) => [BigInt(key), value]));
  const elements: KeyvalValue[] = [];
  for (let i = 0; i < byIndex.size; i++) {
    const element = byIndex.get(BigInt(i));
    if (element === undefined) throw new QmpError(`Parameter '${path}.${i}' missing`);
    elements.push(element);
  }
  return elements;
}
