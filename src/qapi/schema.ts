/**
 * The interface as data: commands, events and types of the 9.1 reference, from `schema/*.json` (one file a chapter, made
 * by scripts/import-schema.mjs).
 *
 * In the files a member whose name ends in `?` is optional, `[T]` is a list of T, members of base types are part of the
 * type, and what stands under an `if` exists only where that condition of QEMU's build holds. Members stand in the order
 * in which they are visited, which decides the first error.
 */
import authz from './schema/authz.json';
import block from './schema/block.json';
import chardev from './schema/chardev.json';
import common from './schema/common.json';
import control from './schema/control.json';
import crypto from './schema/crypto.json';
import introspect from './schema/introspect.json';
import jobs from './schema/jobs.json';
import qom from './schema/qom.json';
import sockets from './schema/sockets.json';
import transaction from './schema/transaction.json';

/** Conditions of QEMU's build that do not hold for a daemon on Linux as distributions build it; all others hold. */
const ABSENT_CONDITIONS: ReadonlySet<string> = new Set(['CONFIG_BLKIO', 'CONFIG_WIN32']);

/** The builtin types: sized and unsized integers, text, and the rest. */
const BUILTINS = [
  'str',
  'bool',
  'number',
  'int',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'size',
  'null',
  'any',
  'QType',
] as const;
export type BuiltinName = (typeof BUILTINS)[number];

interface Annotated {
  /** `deprecated`, `unstable` and markers of single changes. */
  readonly features: readonly string[];
}
interface BuiltinType {
  readonly kind: 'builtin';
  readonly name: BuiltinName;
}
interface EnumValue extends Annotated {
  readonly name: string;
}
export interface EnumType {
  readonly kind: 'enum';
  readonly name: string;
  readonly values: readonly EnumValue[];
}
export interface Member extends Annotated {
  readonly name: string;
  /** Name of its type, see {@link findType}. */
  readonly type: string;
  readonly optional: boolean;
}
export interface ObjectType extends Annotated {
  readonly kind: 'object';
  readonly name: string;
  readonly members: readonly Member[];
  /** For a union: the member that chooses. */
  readonly tag?: string;
  /** For a union: the type whose members are added, by value of the tag; a value that is not here adds nothing. */
  readonly variants: ReadonlyMap<string, string>;
}
export interface AlternateType {
  readonly kind: 'alternate';
  readonly name: string;
  /** Names of the types, each of another kind of value. */
  readonly branches: readonly string[];
}
interface ArrayType {
  readonly kind: 'array';
  readonly name: string;
  readonly element: string;
}
export type SchemaType = BuiltinType | EnumType | ObjectType | AlternateType | ArrayType;

export interface CommandDefinition extends Annotated {
  readonly kind: 'command';
  readonly name: string;
  /** Type of the arguments; {@link EMPTY} if there are none. */
  readonly arguments: string;
  /** Type of the result; {@link EMPTY} if there is none. */
  readonly returns: string;
  readonly oob: boolean;
}
export interface EventDefinition extends Annotated {
  readonly kind: 'event';
  readonly name: string;
  /** Type of the data; {@link EMPTY} if there is none. */
  readonly data: string;
}

/** Name of the object type without members. */
export const EMPTY = 'q_empty';

// ---- the form of the files

interface RawAnnotations {
  features?: string[];
  if?: string;
}
type RawMember = string | (RawAnnotations & { type: string });
type RawValue = string | (RawAnnotations & { name: string });
interface RawObject extends RawAnnotations {
  members: Record<string, RawMember | undefined>;
  tag?: string;
  variants?: Record<string, RawMember | undefined>;
}
interface RawChapter {
  commands: Record<string, RawAnnotations & { arguments?: string; returns?: string; oob?: boolean }>;
  events: Record<string, RawAnnotations & { data?: string }>;
  objects: Record<string, RawObject>;
  enums: Record<string, RawValue[] | (RawAnnotations & { values: RawValue[] })>;
  alternates: Record<string, string[]>;
}

/** In the order in which QEMU's schema includes them; introspection and query-commands show it. */
const CHAPTERS = [
  common,
  sockets,
  crypto,
  jobs,
  block,
  chardev,
  authz,
  transaction,
  control,
  introspect,
  qom,
] as unknown as readonly RawChapter[];

const holds = (item: RawMember | RawValue | RawAnnotations): boolean =>
  typeof item === 'string' || item.if === undefined || !ABSENT_CONDITIONS.has(item.if);
const featuresOf = (item: RawMember | RawValue | RawAnnotations): readonly string[] =>
  typeof item === 'string' ? [] : (item.features ?? []);
const typeOf = (item: RawMember): string => (typeof item === 'string' ? item : item.type);

const types = new Map<string, SchemaType>();
const commandMap = new Map<string, CommandDefinition>();
const eventMap = new Map<string, EventDefinition>();

function loadObject(name: string, raw: RawObject): ObjectType {
  const members: Member[] = [];
  for (const [key, item] of Object.entries(raw.members)) {
    if (item === undefined || !holds(item)) continue;
    const optional = key.endsWith('?');
    members.push({
      name: optional ? key.slice(0, -1) : key,
      type: typeOf(item),
      optional,
      features: featuresOf(item),
    });
  }
  const variants = new Map<string, string>();
  for (const [key, item] of Object.entries(raw.variants ?? {}))
    if (item !== undefined && holds(item)) variants.set(key, typeOf(item));
  return {
    kind: 'object',
    name,
    members,
    variants,
    features: featuresOf(raw),
    ...(raw.tag === undefined ? {} : { tag: raw.tag }),
  };
}

function load(chapter: RawChapter): void {
  for (const [name, raw] of Object.entries(chapter.enums)) {
    const values = Array.isArray(raw) ? raw : raw.values;
    if (!Array.isArray(raw) && !holds(raw)) continue;
    types.set(name, {
      kind: 'enum',
      name,
      values: values.filter(holds).map((value) => ({
        name: typeof value === 'string' ? value : value.name,
        features: featuresOf(value),
      })),
    });
  }
  for (const [name, branches] of Object.entries(chapter.alternates))
    types.set(name, { kind: 'alternate', name, branches });
  for (const [name, raw] of Object.entries(chapter.objects))
    if (holds(raw)) types.set(name, loadObject(name, raw));
  for (const [name, raw] of Object.entries(chapter.commands)) {
    if (!holds(raw)) continue;
    commandMap.set(name, {
      kind: 'command',
      name,
      arguments: raw.arguments ?? EMPTY,
      returns: raw.returns ?? EMPTY,
      oob: raw.oob ?? false,
      features: featuresOf(raw),
    });
  }
  for (const [name, raw] of Object.entries(chapter.events))
    if (holds(raw))
      eventMap.set(name, { kind: 'event', name, data: raw.data ?? EMPTY, features: featuresOf(raw) });
}

for (const name of BUILTINS) types.set(name, { kind: 'builtin', name });
types.set(EMPTY, { kind: 'object', name: EMPTY, members: [], variants: new Map(), features: [] });
for (const chapter of CHAPTERS) load(chapter);

/** The type with this name, `[T]` for a list; throws a TypeError if the schema has none. */
export function findType(name: string): SchemaType {
  const known = types.get(name);
  if (known) return known;
  if (name.startsWith('[') && name.endsWith(']')) {
    const array: ArrayType = { kind: 'array', name, element: name.slice(1, -1) };
    types.set(name, array);
    return array;
  }
  throw new TypeError(`no type '${name}' in the schema`);
}

/** Names of all types that have one (no lists). */
export function typeNames(): string[] {
  return [...types.keys()].filter((name) => !name.startsWith('['));
}

/** All commands, in the order of the schema. */
export function commands(): readonly CommandDefinition[] {
  return [...commandMap.values()];
}

/** All events, in the order of the schema. */
export function events(): readonly EventDefinition[] {
  return [...eventMap.values()];
}

/** The command with this name, or undefined. */
export function findCommand(name: string): CommandDefinition | undefined {
  return commandMap.get(name);
}

/** The event with this name, or undefined. */
export function findEvent(name: string): EventDefinition | undefined {
  return eventMap.get(name);
}
