/** Walks the schema along what is being typed: which members and values are possible at a place. */
import {
  findType,
  type AlternateType,
  type EnumType,
  type ObjectType,
  type SchemaType,
} from '../../qapi/schema';
import { membersOf, type MemberDescription } from '../../qapi/catalog';
import type { PartialObject } from './json-cursor';

/** The member of `object` called `name` if it is an object itself. */
export function partialMember(object: PartialObject | undefined, name: string): PartialObject | undefined {
  const value = object?.get(name);
  return typeof value === 'object' ? value : undefined;
}

/** The object type that a value of this type can be: itself, or the one among an alternate's branches. */
export function asObject(type: SchemaType): ObjectType | null {
  if (type.kind === 'object') return type;
  if (type.kind !== 'alternate') return null;
  return branchesOf(type).find((branch) => branch.kind === 'object') ?? null;
}

export function branchesOf(type: AlternateType): SchemaType[] {
  return type.branches.map(findType);
}

/** All members that an object can have, given what is typed of it: discriminators add those of their branch. */
export function possibleMembers(type: ObjectType, typed: PartialObject | undefined): MemberDescription[] {
  const given: Record<string, string> = {};
  for (const [name, value] of typed ?? []) if (typeof value === 'string') given[name] = value;
  return membersOf(type.name, given);
}

/** `deprecated`, `unstable`: what is to be known before one uses it. */
export function warnings({ deprecated, unstable }: { deprecated: boolean; unstable: boolean }): string[] {
  return [...(deprecated ? ['deprecated'] : []), ...(unstable ? ['unstable'] : [])];
}

/**
 * The type at the end of a path of member names and list indices; null if the path leads nowhere.
 *
 * @param typed what is typed of the object of type `root`, for the discriminators on the way.
 */
export function typeAt(
  root: string,
  path: readonly string[],
  typed: PartialObject | undefined,
): { type: SchemaType; member: MemberDescription | null } | null {
  let type = findType(root);
  let member: MemberDescription | null = null;
  let level = typed;
  for (const name of path) {
    if (type.kind === 'array') {
      type = findType(type.element);
    } else {
      const object = asObject(type);
      const found = object && possibleMembers(object, level).find((candidate) => candidate.name === name);
      if (!found) return null;
      member = found;
      type = findType(found.type);
    }
    level = partialMember(level, name);
  }
  return { type, member };
}

/** The enum that a value of this type can be; null: none. */
export function asEnum(type: SchemaType): EnumType | null {
  if (type.kind === 'enum') return type;
  if (type.kind !== 'alternate') return null;
  return branchesOf(type).find((branch) => branch.kind === 'enum') ?? null;
}

/** Whether a string without further rules can stand for this type: text, or an alternate with text. */
function takesString(type: SchemaType): boolean {
  if (type.kind === 'builtin') return type.name === 'str';
  return type.kind === 'alternate' && type.branches.includes('str');
}

/** What a value of a type is, in help and hints: `integer`, `off | on | unmap`, `object or string`. */
export function typeLabel(type: SchemaType): string {
  switch (type.kind) {
    case 'builtin':
      return BUILTIN_LABELS[type.name] ?? 'integer';
    case 'enum':
      return type.values.map(({ name }) => name).join(' | ');
    case 'array':
      return `list of ${typeLabel(findType(type.element))}`;
    case 'object':
      return 'object';
    case 'alternate':
      return branchesOf(type).map(typeLabel).join(' or ');
  }
}

const BUILTIN_LABELS: Readonly<Record<string, string>> = {
  str: 'string',
  bool: 'boolean',
  number: 'number',
  size: 'size in bytes',
  null: 'null',
  any: 'any value',
};

/** Strings whose meaning is known from the name of the member. */
export type Meaning = 'node' | 'file' | 'job';

/** Besides those that the catalogue of the schema knows. */
const NODE_MEMBERS: ReadonlySet<string> = new Set([
  'target',
  'bottom',
  'replaces',
  'parent',
  'child',
  'top',
  'base',
]);

/** What a string at this place names; null: nothing that could be listed. */
export function meaningOf(
  command: string,
  member: MemberDescription | null,
  type: SchemaType,
): Meaning | null {
  if (!takesString(type)) return null;
  const name = member?.name ?? '';
  if (member?.refersTo === 'file') return 'file';
  if (command.startsWith('job-') && name === 'id') return 'job';
  if (command.startsWith('block-job-') && (name === 'device' || name === 'id')) return 'job';
  // Here a node gets its name.
  if (command === 'blockdev-add' && name === 'node-name') return null;
  return member?.refersTo === 'node' || NODE_MEMBERS.has(name) ? 'node' : null;
}
