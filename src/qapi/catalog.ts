/** The schema for people: what a console offers to complete and explains. */
import { COMMAND_HELP, EVENT_HELP, MEMBER_HELP } from './help';
import { commands, EMPTY, events, findCommand, findType, type ObjectType, type SchemaType } from './schema';

/** What kind of name a text member wants, as far as its name tells. */
type Referent = 'node' | 'file' | 'job' | 'export' | 'bitmap';

/** One member of a command's arguments or of a type. */
export interface MemberDescription {
  name: string;
  /** As the reference calls the type: `str`, `int`, `BlockdevRef`, `[str]`. */
  type: string;
  optional: boolean;
  /** Values of an enumeration, `true` and `false` of a boolean; absent: any. */
  values?: readonly string[];
  /** The object type whose members come behind a `.`, if there is one. */
  object?: string;
  refersTo?: Referent;
  /** One line; absent if there is none. */
  help?: string;
  deprecated: boolean;
  unstable: boolean;
}

/** A command with its direct arguments. */
export interface CommandDescription {
  name: string;
  help: string;
  deprecated: boolean;
  unstable: boolean;
  /** Name of the type of the arguments, for {@link membersOf}. */
  argumentType: string;
  /** Arguments that do not depend on the value of another one. */
  arguments: MemberDescription[];
  /** As the reference calls the type; null: nothing is returned. */
  returns: string | null;
}

/** Names of all commands, in alphabetical order. */
export function commandNames(): string[] {
  return commands()
    .map((command) => command.name)
    .sort();
}

/** Names of all commands in the order in which query-commands lists them. */
export function registeredCommands(): string[] {
  return commands()
    .map((command) => command.name)
    .reverse();
}

/** Names of all events, in alphabetical order. */
export function eventNames(): string[] {
  return events()
    .map((event) => event.name)
    .sort();
}

/** When an event is sent; empty for an unknown one. */
export function describeEvent(name: string): string {
  return EVENT_HELP[name] ?? '';
}

/** A command, or null if there is none of this name. */
export function describeCommand(name: string): CommandDescription | null {
  const command = findCommand(name);
  if (!command) return null;
  return {
    name,
    help: COMMAND_HELP[name] ?? '',
    deprecated: command.features.includes('deprecated'),
    unstable: command.features.includes('unstable'),
    argumentType: command.arguments,
    arguments: membersOf(command.arguments),
    returns: command.returns === EMPTY ? null : command.returns,
  };
}

/**
 * The members of an object type. `given` holds what is known of its members: for a union it decides which others there
 * are (`membersOf('BlockdevOptions', {driver: 'qcow2'})`).
 */
export function membersOf(
  typeName: string,
  given: Readonly<Record<string, string>> = {},
): MemberDescription[] {
  const list: MemberDescription[] = [];
  let current = objectOf(findType(typeName));
  while (current) {
    const { tag } = current;
    for (const member of current.members) {
      const type = findType(member.type);
      const object = objectOf(type);
      const values = valuesOf(type);
      const help = MEMBER_HELP[member.name];
      const refersTo = referent(member.name, member.type);
      list.push({
        name: member.name,
        type: member.type,
        optional: member.optional,
        ...(values && { values }),
        ...(object && { object: object.name }),
        ...(refersTo && { refersTo }),
        ...(help !== undefined && { help }),
        deprecated: member.features.includes('deprecated'),
        unstable: member.features.includes('unstable'),
      });
    }
    const chosen: string | undefined = tag === undefined ? undefined : given[tag];
    const variant: string | undefined = chosen === undefined ? undefined : current.variants.get(chosen);
    current = variant === undefined ? undefined : objectOf(findType(variant));
  }
  return list;
}

/**
 * The members at a dotted path of a command's arguments: `completions('blockdev-add', 'file', given)` lists what can
 * follow `file.`. `given` holds values by dotted key (`{'driver': 'qcow2', 'file.driver': 'file'}`). An index of a list
 * is a part of the path. Empty if the path leads nowhere.
 */
export function completions(
  command: string,
  path: string,
  given: Readonly<Record<string, string>> = {},
): MemberDescription[] {
  let type: string | undefined = findCommand(command)?.arguments;
  let prefix = '';
  for (const part of path === '' ? [] : path.split('.')) {
    if (type === undefined) return [];
    const known = findType(type);
    if (known.kind === 'array') {
      if (!/^\d+$/.test(part)) return [];
      type = known.element;
    } else {
      type = membersOf(type, under(given, prefix)).find((member) => member.name === part)?.type;
    }
    prefix = `${prefix}${part}.`;
  }
  return type === undefined ? [] : membersOf(type, under(given, prefix));
}

/** The values whose keys start with a prefix, without it. */
function under(given: Readonly<Record<string, string>>, prefix: string): Record<string, string> {
  const inner: Record<string, string> = {};
  for (const [key, value] of Object.entries(given))
    if (key.startsWith(prefix)) inner[key.slice(prefix.length)] = value;
  return inner;
}

/** The object type that a value of a type can be. */
function objectOf(type: SchemaType): ObjectType | undefined {
  if (type.kind === 'object') return type;
  if (type.kind !== 'alternate') return undefined;
  return type.branches.map(findType).find((branch) => branch.kind === 'object');
}

function valuesOf(type: SchemaType): readonly string[] | undefined {
  if (type.kind === 'enum') return type.values.map((value) => value.name);
  if (type.kind === 'builtin' && type.name === 'bool') return ['true', 'false'];
  if (type.kind === 'alternate')
    return type.branches
      .map(findType)
      .map(valuesOf)
      .find((values) => values !== undefined);
  return undefined;
}

const NODE_MEMBERS: ReadonlySet<string> = new Set([
  'node-name',
  'node',
  'device',
  'base-node',
  'top-node',
  'overlay',
]);

function referent(name: string, type: string): Referent | undefined {
  if (type === 'BlockdevRef' || type === 'BlockdevRefOrNull') return 'node';
  if (type !== 'str') return undefined;
  if (NODE_MEMBERS.has(name)) return 'node';
  if (name === 'filename' || name.endsWith('-file') || name === 'path') return 'file';
  if (name === 'job-id') return 'job';
  return undefined;
}
