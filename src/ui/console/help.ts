/** Help on a command of the schema: its arguments with types, values and what depends on what. */
import { findCommand, findType, type ObjectType, type SchemaType } from '../../qapi/schema';
import type { PartialObject } from './json-cursor';
import { paint } from './paint';
import { asObject, possibleMembers, typeLabel, type PossibleMember } from './schema-walk';

/**
 * Describes a command; null if the schema has none of this name.
 *
 * @param given discriminators given after the name (`driver=qcow2`), which add the arguments of that branch.
 */
export function commandHelp(name: string, given: readonly string[] = []): string | null {
  const command = findCommand(name);
  if (!command) return null;
  const typed: PartialObject = new Map(
    given.map((word) => {
      const equals = word.indexOf('=');
      return [word.slice(0, equals), word.slice(equals + 1)] as const;
    }),
  );
  const object = asObject(findType(command.arguments));
  const lines = [paint('heading', [name, ...given].join(' '))];
  const warnings = command.features.filter((feature) => feature === 'deprecated' || feature === 'unstable');
  if (warnings.length > 0) lines.push(paint('event', `This command is ${warnings.join(' and ')}.`));
  const members = object ? possibleMembers(object, typed) : [];
  if (members.length === 0) lines.push('No arguments.');
  else {
    const width = Math.max(...members.map((member) => member.name.length));
    lines.push('', ...members.map((member) => memberLine(member, width)));
  }
  const open = object && openTag(object, typed);
  if (open) {
    const values = [...open.variants.keys()];
    const chosen = typed.get(open.tag);
    lines.push(
      '',
      typeof chosen === 'string'
        ? `${open.tag}=${chosen} adds no arguments.`
        : `More arguments depend on ${open.tag}; see for example ${paint('accent', `help ${[name, ...given].join(' ')} ${open.tag}=${values.includes('qcow2') ? 'qcow2' : values[0]}`)}`,
    );
  }
  lines.push('', `Returns: ${returnLabel(findType(command.returns))}`);
  return lines.join('\n') + '\n';
}

/** The discriminator that is not given yet, or whose branch has nothing. */
function openTag(
  object: ObjectType,
  typed: PartialObject,
): { tag: string; variants: ReadonlyMap<string, string> } | null {
  if (object.tag === undefined) return null;
  const chosen = typed.get(object.tag);
  const branch = typeof chosen === 'string' ? object.variants.get(chosen) : undefined;
  if (branch === undefined) return { tag: object.tag, variants: object.variants };
  const next = asObject(findType(branch));
  return next ? openTag(next, typed) : null;
}

function memberLine(member: PossibleMember, width: number): string {
  const type = findType(member.type);
  const marks = member.features.filter((feature) => feature === 'deprecated' || feature === 'unstable');
  const label = type.kind === 'enum' ? type.values.map(({ name }) => name).join(' | ') : typeLabel(type);
  return [
    `  ${paint('key', member.name.padEnd(width))}  `,
    member.optional ? paint('dim', 'optional  ') : 'required  ',
    label,
    marks.length > 0 ? paint('event', ` (${marks.join(', ')})`) : '',
  ].join('');
}

function returnLabel(type: SchemaType): string {
  const object = asObject(type);
  if (!object) return typeLabel(type);
  if (object.members.length === 0 && object.variants.size === 0) return 'nothing';
  return `${typeLabel(type)} {${object.members.map(({ name }) => name).join(', ')}}`;
}
