/** Help: the list of all commands; one command with its arguments, types, values and what depends on what. */
import type { ShellCommandInfo } from '../../client/protocol';
import { describeCommand, type MemberDescription } from '../../qapi/catalog';
import { commands, findCommand, findType, type ObjectType, type SchemaType } from '../../qapi/schema';
import type { PartialObject } from './json-cursor';
import { candidateRows } from './menu';
import { paint, type Colour } from './paint';
import { asObject, possibleMembers, typeLabel, warnings } from './schema-walk';

/** The list of all commands. */
export function overview(
  shell: readonly ShellCommandInfo[],
  page: readonly ShellCommandInfo[],
  columns: number,
): string {
  const names = commands()
    .map(({ name }) => ({ text: name, label: name }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
  const both = [...shell, ...page];
  const width = Math.max(...both.map(({ name }) => name.length));
  const line = ({ name, summary }: ShellCommandInfo): string =>
    `  ${paint('key', name.padEnd(width))}  ${summary}`;
  return [
    paint('heading', 'QMP commands'),
    ...candidateRows(names, columns, Infinity),
    '',
    'Give them as  ' + paint('accent', 'blockdev-del node-name=disk'),
    '     or JSON  ' + paint('accent', '{"execute": "blockdev-del", "arguments": {"node-name": "disk"}}'),
    '',
    paint('heading', 'Files and tools'),
    ...shell.map(line),
    '',
    paint('heading', 'This console'),
    ...page.map(line),
    '',
    paint('heading', 'Keys'),
    '  Tab completes, twice shows more. Up, Down and Ctrl-R go through the history.',
    '  Ctrl-C stops what runs. Ctrl-A/E/K/U/W/Y and Alt-B/F/D edit the line.',
    '  Shift-Tab leaves the console.',
    '',
    `${paint('accent', 'help COMMAND')} explains one.`,
    '',
  ].join('\n');
}

/** Help on a QMP command or one of the console; null if there is no such. */
export function helpOn(
  name: string,
  given: readonly string[],
  others: readonly ShellCommandInfo[],
  columns: number,
): string | null {
  const other = others.find((command) => command.name === name);
  if (!other) return commandHelp(name, given, columns);
  const lines = [paint('heading', `${name} ${other.usage}`.trimEnd()), other.summary];
  if (other.subcommands) lines.push(`Commands: ${other.subcommands.map((one) => one.name).join(', ')}`);
  if (other.arguments === 'files') lines.push(`${paint('accent', `${name} --help`)} shows its options.`);
  return lines.join('\n') + '\n';
}

/**
 * Describes a command; null if the schema has none of this name.
 *
 * @param given discriminators given after the name (`driver=qcow2`), which add the arguments of that branch.
 * @param columns width of the screen.
 */
export function commandHelp(name: string, given: readonly string[] = [], columns = 80): string | null {
  const command = findCommand(name);
  const description = describeCommand(name);
  if (!command || !description) return null;
  const typed: PartialObject = new Map(
    given.map((word) => {
      const equals = word.indexOf('=');
      return [word.slice(0, equals), word.slice(equals + 1)] as const;
    }),
  );
  const object = asObject(findType(command.arguments));
  const lines = [paint('heading', [name, ...given].join(' '))];
  lines.push(`${description.help}.`);
  const marks = warnings(description);
  if (marks.length > 0) lines.push(paint('event', `This command is ${marks.join(' and ')}.`));
  const members = object ? possibleMembers(object, typed) : [];
  if (members.length === 0) lines.push('No arguments.');
  else {
    const width = Math.max(...members.map((member) => member.name.length));
    lines.push('', ...members.flatMap((member) => memberLines(member, width, columns)));
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

/** Name, whether it is needed, type and a word on it; what is too long goes on below the type. */
function memberLines(member: MemberDescription, width: number, columns: number): string[] {
  const type = findType(member.type);
  const marks = warnings(member);
  const head = `  ${paint('key', member.name.padEnd(width))}  ${member.optional ? paint('dim', 'optional') : 'required'}  `;
  const indent = width + 14;
  const words: [string, Colour | null][] = [
    ...split(typeLabel(type), null),
    ...split(marks.length > 0 ? `(${marks.join(', ')})` : '', 'event'),
    ...split(member.help ?? '', 'dim'),
  ];
  const lines: string[] = [];
  let line = head;
  let column = indent;
  for (const [word, colour] of words) {
    if (column > indent && column + 1 + word.length > columns) {
      lines.push(line);
      line = ' '.repeat(indent);
      column = indent;
    }
    const gap = column > indent ? ' ' : '';
    line += gap + (colour ? paint(colour, word) : word);
    column += gap.length + word.length;
  }
  return [...lines, line];
}

function split(text: string, colour: Colour | null): [string, Colour | null][] {
  return text === '' ? [] : text.split(' ').map((word) => [word, colour]);
}

function returnLabel(type: SchemaType): string {
  const object = asObject(type);
  if (!object) return typeLabel(type);
  if (object.members.length === 0 && object.variants.size === 0) return 'nothing';
  return `${typeLabel(type)} {${object.members.map(({ name }) => name).join(', ')}}`;
}
