/** Walks the schema along what is being typed: which members and values are possible at a place. */
import {
  findType,
  type AlternateType,
  type EnumType,
  type Member,
  type ObjectType,
  type SchemaType,
} from '../../qapi/schema';
import type { PartialObject } from './json-cursor';

/** A member that is possible at a place, with the object type that has it. */
export interface PossibleMember extends Member {
  owner: string;
}

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

/**
 * All members that an object can have, given what is typed of it: those of the type, and those of the branch that its
 * discriminator chooses (branches may have discriminators of their own).
 */
export function possibleMembers(type: ObjectType, typed: PartialObject | undefined): PossibleMember[] {
  const members: PossibleMember[] = type.members.map((member) => ({ ...member, owner: type.name }));
  if (type.tag === undefined) return members;
  const chosen = typed?.get(type.tag);
  const branch = typeof chosen === 'string' ? type.variants.get(chosen) : undefined;
  if (branch === undefined) return members;
  const object = asObject(findType(branch));
  return object ? [...members, ...possibleMembers(object, typed)] : members;
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
): { type: SchemaType; member: PossibleMember | null } | null {
  let type = findType(root);
  let member: PossibleMember | null = null;
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
export function takesString(type: SchemaType): boolean {
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

const NODE_MEMBERS: ReadonlySet<string> = new Set([
  'node-name',
  'node',
  'device',
  'target',
  'overlay',
  'base-node',
  'top-node',
  'bottom',
  'replaces',
  'parent',
  'child',
  'top',
  'base',
]);

/** Commands that give a node its name rather than ask for one. */
const NAMING: ReadonlySet<string> = new Set(['BlockdevOptions']);

/** What a string at this place names; null: nothing that could be listed. */
export function meaningOf(command: string, member: PossibleMember | null, type: SchemaType): Meaning | null {
  if (!takesString(type)) return null;
  if (type.kind === 'alternate') return type.branches.includes('BlockdevOptions') ? 'node' : null;
  const name = member?.name ?? '';
  if (name === 'filename') return 'file';
  if (command.startsWith('job-') && name === 'id') return 'job';
  if (command.startsWith('block-job-') && (name === 'device' || name === 'id')) return 'job';
  if (NAMING.has(member?.owner ?? '') && name === 'node-name') return null;
  return NODE_MEMBERS.has(name) ? 'node' : null;
}
