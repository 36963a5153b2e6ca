/**
 * Input visitors: values of a request become typed values, or QEMU's error.
 *
 * Members are visited in the order of the schema (base, tag, variant), the first failure wins, and members that nobody
 * asked for are found when their object is left. There are two kinds: for JSON, where values have types, and for the
 * text of command lines (keyval.ts), where everything is a string. Texts: qmp.md 3, and the recorded fixtures.
 */
import { NameTable } from './name-table';
import { dictOrder } from './dict-order';
import { QmpError } from './errors';
import {
  findCommand,
  findType,
  type AlternateType,
  type BuiltinName,
  type EnumType,
  type Member,
  type ObjectType,
  type SchemaType,
} from './schema';
import { parseInteger, parseNumber, parseSize } from './size';
import type { CommandName, Commands } from './types.generated';
import { kindOf, Real, setMember, type PlainValue, type QmpObject, type QmpValue } from './value';

/** The largest integer, either sign, that this daemon takes. */
const MAX_EXACT = 2n ** 53n;

const MIN_I64 = -(2n ** 63n);
const MAX_I64 = 2n ** 63n - 1n;
const MAX_U64 = 2n ** 64n - 1n;

/** Ranges and C names of the sized integers; those of 64 bits have their own texts. */
const SIZED: Readonly<Partial<Record<BuiltinName, [low: bigint, high: bigint, name: string]>>> = {
  int8: [-128n, 127n, 'int8_t'],
  int16: [-32768n, 32767n, 'int16_t'],
  int32: [-(2n ** 31n), 2n ** 31n - 1n, 'int32_t'],
  uint8: [0n, 255n, 'uint8_t'],
  uint16: [0n, 65535n, 'uint16_t'],
  uint32: [0n, 2n ** 32n - 1n, 'uint32_t'],
};

/** Where a value stands. */
interface Place {
  /** The whole path: `file.filename`, `options[0].file` (JSON) or `options.0.file` (text). */
  readonly full: string;
  /** The name of the member alone; null for an element of a list and for the root. */
  readonly local: string | null;
}

const ROOT: Place = { full: '', local: null };

const missing = (place: Place): QmpError => new QmpError(`Parameter '${place.full}' is missing`);
const wrongType = (name: string, expected: string): QmpError =>
  new QmpError(`Invalid parameter type for '${name}', expected: ${expected}`);
/** The name in the texts that know only the innermost name; C prints "null" where there is none. */
const localName = (place: Place): string => place.local ?? 'null';
const fullName = (place: Place): string => place.full || '<anonymous>';
const memberOf = (object: QmpObject, key: string): QmpValue | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

/** What differs between JSON and the text of command lines. */
interface Scalars {
  element(list: Place, index: number): Place;
  text(value: QmpValue, place: Place): string;
  boolean(value: QmpValue, place: Place): boolean;
  /** An integer that fits 64 bits, signed or not. */
  integer(value: QmpValue, place: Place, unsigned: boolean): bigint;
  size(value: QmpValue, place: Place): bigint;
  number(value: QmpValue, place: Place): number;
}

/** The integer that a number is, or null. */
function asInteger(value: QmpValue): bigint | null {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : null;
}

const JSON_SCALARS: Scalars = {
  element: (list, index) => ({ full: `${list.full}[${index}]`, local: null }),
  text(value, place) {
    if (typeof value !== 'string') throw wrongType(fullName(place), 'string');
    return value;
  },
  boolean(value, place) {
    if (typeof value !== 'boolean') throw wrongType(fullName(place), 'boolean');
    return value;
  },
  integer(value, place, unsigned) {
    const integer = asInteger(value);
    if (unsigned) {
      if (integer === null || integer < MIN_I64 || integer > MAX_U64)
        throw new QmpError(`Parameter '${fullName(place)}' expects uint64`);
      // Negative numbers wrap around; old clients rely on it.
      return BigInt.asUintN(64, integer);
    }
    if (integer === null || integer < MIN_I64 || integer > MAX_I64)
      throw wrongType(fullName(place), 'integer');
    return integer;
  },
  size(value, place) {
    return this.integer(value, place, true);
  },
  number(value, place) {
    if (kindOf(value) !== 'number') throw wrongType(fullName(place), 'number');
    return value instanceof Real ? value.value : Number(value);
  },
};

/** The text of a scalar; sub-keys were given if it is none. */
function scalarText(value: QmpValue, place: Place): string {
  if (typeof value === 'string') return value;
  throw new QmpError(`Parameters '${fullName(place)}.*' are unexpected`);
}

const TEXT_SCALARS: Scalars = {
  element: (list, index) => ({ full: `${list.full}.${index}`, local: null }),
  text: scalarText,
  boolean(value, place) {
    const text = scalarText(value, place);
    if (['on', 'yes', 'true', 'y'].includes(text)) return true;
    if (['off', 'no', 'false', 'n'].includes(text)) return false;
    throw new QmpError(`Parameter '${fullName(place)}' expects 'on' or 'off'`);
  },
  integer(value, place, unsigned) {
    const integer = parseInteger(scalarText(value, place));
    const low = unsigned ? -MAX_U64 : MIN_I64;
    const high = unsigned ? MAX_U64 : MAX_I64;
    if (integer === null || integer < low || integer > high)
      throw new QmpError(`Parameter '${fullName(place)}' expects integer`);
    return unsigned ? BigInt.asUintN(64, integer) : integer;
  },
  size(value, place) {
    const size = parseSize(scalarText(value, place));
    if (size === null) throw new QmpError(`Parameter '${fullName(place)}' expects size`);
    return size;
  },
  number(value, place) {
    const number = parseNumber(scalarText(value, place));
    if (number === null) throw wrongType(fullName(place), 'number');
    return number;
  },
};

class InputVisitor {
  constructor(private readonly scalars: Scalars) {}

  visit(type: SchemaType, value: QmpValue, place: Place): PlainValue {
    switch (type.kind) {
      case 'builtin':
        return this.builtin(type.name, value, place);
      case 'enum':
        return this.enumeration(type, value, place);
      case 'object':
        return this.object(type, value, place);
      case 'alternate':
        return this.alternate(type, value, place);
      case 'array': {
        if (!Array.isArray(value)) throw wrongType(fullName(place), 'array');
        const element = findType(type.element);
        return value.map((item, i) => this.visit(element, item, this.scalars.element(place, i)));
      }
    }
  }

  private builtin(name: BuiltinName, value: QmpValue, place: Place): PlainValue {
    switch (name) {
      case 'str':
      case 'QType':
        return this.scalars.text(value, place);
      case 'bool':
        return this.scalars.boolean(value, place);
      case 'number':
        return this.scalars.number(value, place);
      case 'null':
        if (value !== null) throw wrongType(fullName(place), 'null');
        return null;
      case 'any':
        return plain(value, place);
      case 'size':
        return exact(this.scalars.size(value, place), place);
      default: {
        const integer = this.scalars.integer(value, place, name.startsWith('u'));
        const range = SIZED[name];
        if (range && (integer < range[0] || integer > range[1]))
          throw new QmpError(`Parameter '${localName(place)}' expects ${range[2]}`);
        return exact(integer, place);
      }
    }
  }

  private enumeration(type: EnumType, value: QmpValue, place: Place): string {
    const text = this.scalars.text(value, place);
    if (!type.values.some((known) => known.name === text))
      throw new QmpError(`Parameter '${localName(place)}' does not accept value '${text}'`);
    return text;
  }

  private alternate(type: AlternateType, value: QmpValue, place: Place): PlainValue {
    const kind = kindOf(value);
    for (const name of type.branches) {
      const branch = findType(name);
      if (kindOfType(branch) === kind) return this.visit(branch, value, place);
    }
    throw wrongType(localName(place), type.name);
  }

  private object(type: ObjectType, value: QmpValue, place: Place): PlainValue {
    if (kindOf(value) !== 'object') throw wrongType(fullName(place), 'object');
    const input = value as QmpObject;
    const output: Record<string, PlainValue> = {};
    const left = new Set(Object.keys(input).filter((key) => input[key] !== undefined));
    const prefix = place.full ? `${place.full}.` : '';
    const take = (members: readonly Member[]): void => {
      for (const { name, type: memberType, optional } of members) {
        const inner: Place = { full: prefix + name, local: name };
        const given = memberOf(input, name);
        if (given === undefined) {
          if (optional) continue;
          throw missing(inner);
        }
        left.delete(name);
        setMember(output, name, this.visit(findType(memberType), given, inner));
      }
    };
    let current: ObjectType | undefined = type;
    while (current) {
      take(current.members);
      const chosen: PlainValue | undefined = current.tag === undefined ? undefined : output[current.tag];
      const variant: string | undefined =
        typeof chosen === 'string' ? current.variants.get(chosen) : undefined;
      current = variant === undefined ? undefined : (findType(variant) as ObjectType);
    }
    const unexpected = left.size > 1 ? firstLeft(Object.keys(input), left) : [...left][0];
    if (unexpected !== undefined) throw new QmpError(`Parameter '${prefix}${unexpected}' is unexpected`);
    return output;
  }
}

/** Of several members that do not belong there the one that the real daemon names. */
function firstLeft(members: readonly string[], left: ReadonlySet<string>): string | undefined {
  const table = new NameTable(dictOrder(members));
  for (const name of members) if (!left.has(name)) table.remove(name);
  return table.list().at(-1);
}

function kindOfType(type: SchemaType): string {
  switch (type.kind) {
    case 'enum':
      return 'string';
    case 'object':
      return 'object';
    case 'array':
      return 'array';
    case 'alternate':
      return 'alternate';
    case 'builtin':
      if (type.name === 'str') return 'string';
      if (type.name === 'bool') return 'boolean';
      return type.name === 'null' ? 'null' : 'number';
  }
}

function exact(value: bigint, place: Place): number {
  if (value > MAX_EXACT || value < -MAX_EXACT)
    throw new QmpError(
      `Parameter '${fullName(place)}' is ${value}, but qsd-web handles integers exactly only up to ${MAX_EXACT} (2^53)`,
    );
  return Number(value);
}

function plain(value: QmpValue, place: Place): PlainValue {
  if (typeof value === 'bigint') return exact(value, place);
  if (value instanceof Real) return value.value;
  if (Array.isArray(value)) return value.map((item) => plain(item, place));
  if (value === null || typeof value !== 'object') return value;
  const output: Record<string, PlainValue> = {};
  for (const [key, item] of Object.entries(value)) setMember(output, key, plain(item, place));
  return output;
}

const JSON_VISITOR = new InputVisitor(JSON_SCALARS);
const TEXT_VISITOR = new InputVisitor(TEXT_SCALARS);

/**
 * Checks a value against a type of the schema (`BlockdevOptions`, `[str]`) and answers it with plain numbers, members in
 * the order of the schema. Throws {@link QmpError} with QEMU's text.
 */
export function visitType(typeName: string, value: QmpValue): PlainValue {
  return JSON_VISITOR.visit(findType(typeName), value, ROOT);
}

/** As {@link visitType}, for what `parseKeyval` made: every scalar is text and is read as its type. */
export function visitKeyval(typeName: string, value: QmpValue): PlainValue {
  return TEXT_VISITOR.visit(findType(typeName), value, ROOT);
}

/**
 * Checks the arguments of a command (absent: none were given). Throws {@link QmpError}; a TypeError if there is no such
 * command.
 */
export function visitArguments<N extends CommandName>(
  command: N,
  args: QmpValue = {},
): Commands[N]['arguments'] {
  const definition = findCommand(command);
  if (!definition) throw new TypeError(`no command '${command}' in the schema`);
  return visitType(definition.arguments, args) as Commands[N]['arguments'];
}
