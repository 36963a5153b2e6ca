/**
 * What Tab offers: commands, argument names, enum values from the schema; nodes, jobs and files as they are now.
 * It works in `command key=value` lines, inside QMP JSON (also as a value in such a line) and for the shell's commands.
 */
import type { FormatInfo, ShellCommandInfo } from '../../client/protocol';
import { describeCommand, type MemberDescription } from '../../qapi/catalog';
import { commands, findCommand, findType, type SchemaType } from '../../qapi/schema';
import { completeTool, type SchemaList } from './complete-tool';
import { inputKind } from './input';
import { jsonCursor, partialObject, type JsonCursor, type PartialObject } from './json-cursor';
import { splitPair, unquote } from './qmp-shell';
import {
  asEnum,
  asObject,
  branchesOf,
  meaningOf,
  partialMember,
  possibleMembers,
  typeAt,
  typeLabel,
  warnings,
  type Meaning,
} from './schema-walk';
import type { Candidate, Completion } from './completion';
import { tokenize, type Token } from './tokens';

/** An entry of a directory. */
export interface DirectoryEntry {
  name: string;
  directory: boolean;
}

/** Where the names come from that the schema does not know. */
export interface CompletionSources {
  /** Commands of the shell and of the page. */
  shell: readonly ShellCommandInfo[];
  /** Image formats, for the options of the tools. */
  formats: readonly FormatInfo[];
  nodeNames(): Promise<string[]>;
  jobIds(): Promise<string[]>;
  /** Entries of a directory, empty if there is none. The path is empty or ends with a slash. */
  files(directory: string): Promise<DirectoryEntry[]>;
}

/** What can stand at `cursor` (an index into `text`). Sources that fail offer nothing. */
export async function complete(
  text: string,
  cursor: number,
  sources: CompletionSources,
): Promise<Completion> {
  const before = text.slice(0, cursor);
  const all =
    inputKind(text) === 'json'
      ? await completeRequest(text, before, sources)
      : await completeWords(text, before, sources);
  // A quote that was typed ahead is replaced by the one that the candidate ends with.
  const next = text.charAt(cursor);
  const closes =
    (next === '"' || next === "'") && all.candidates.every(({ text: word }) => word.endsWith(next));
  return closes && all.candidates.length > 0 ? { ...all, to: cursor + 1 } : all;
}

/** The longest text that all candidates begin with. */
export function commonPrefix(candidates: readonly Candidate[]): string {
  const [first, ...others] = candidates.map(({ text }) => text);
  if (first === undefined) return '';
  let length = first.length;
  for (const other of others) {
    while (!other.startsWith(first.slice(0, length))) length--;
  }
  return first.slice(0, length);
}

const nothing = (at: number, expected?: string): Completion => ({
  from: at,
  to: at,
  candidates: [],
  ...(expected === undefined ? {} : { expected }),
});

// ---- words

async function completeWords(text: string, before: string, sources: CompletionSources): Promise<Completion> {
  const { tokens } = tokenize(before);
  const last = tokens.at(-1);
  const current: Token =
    last && (last.end === before.length || tokens.length === 0)
      ? last
      : { text: '', start: before.length, end: before.length };
  const first = tokens[0];
  if (!first || first.start === current.start) return completeCommand(current, sources);
  const shell = sources.shell.find(({ name }) => name === first.text);
  if (shell) return completeShellWord(shell, tokens, current, sources);
  const command = findCommand(first.text);
  if (!command) return nothing(before.length);
  // Arguments behind the cursor count too: `driver=` may be there.
  const words = tokenize(text).tokens.slice(1);
  return completeArgument(command.name, command.arguments, words, current, sources);
}

function completeCommand(word: Token, sources: CompletionSources): Completion {
  const candidates: Candidate[] = [
    ...sources.shell.map(({ name, summary }) => ({ text: `${name} `, label: name, note: summary })),
    ...commands().map(({ name, arguments: type }) => {
      const object = asObject(findType(type));
      const bare = !object || (object.members.length === 0 && object.variants.size === 0);
      const note = describeCommand(name)?.help;
      return { text: bare ? name : `${name} `, label: name, ...(note !== undefined && { note }) };
    }),
  ];
  return { from: word.start, to: word.end, candidates: matching(candidates, word.text) };
}

async function completeShellWord(
  command: ShellCommandInfo,
  tokens: Token[],
  word: Token,
  sources: CompletionSources,
): Promise<Completion> {
  if (command.arguments === 'command') {
    // `help blockdev-add driver=...` completes as the command itself would.
    const [, topic] = tokens;
    if (!topic || topic.start === word.start) {
      const completion = completeCommand(word, sources);
      return { ...completion, candidates: completion.candidates.map((one) => ({ ...one, text: one.label })) };
    }
    const target = findCommand(topic.text);
    if (!target) return nothing(word.end);
    return completeArgument(target.name, target.arguments, tokens.slice(2), word, sources);
  }
  if (command.subcommands && (tokens.length === 1 || tokens[1]?.start === word.start)) {
    const candidates = command.subcommands.map(({ name, summary }) => ({
      text: `${name} `,
      label: name,
      ...(summary !== undefined && { note: summary }),
    }));
    return { from: word.start, to: word.end, candidates: matching(candidates, word.text) };
  }
  if (command.arguments === 'none') return nothing(word.end);
  const verb = command.subcommands?.find(({ name }) => name === tokens[1]?.text);
  const options = verb?.options ?? command.options;
  if (options) {
    const words = tokens.slice(verb ? 2 : 1).filter((one) => one.start < word.start);
    return completeTool(
      { verb: verb?.name ?? '', options, words, word },
      {
        formats: sources.formats,
        files: (typed, end) => fileCandidates(typed, sources, end),
        item: (list, items, current) => completeItem(list, items, current, sources),
      },
    );
  }
  if (word.text.startsWith('-')) return nothing(word.end);
  return { from: word.start, to: word.end, candidates: await fileCandidates(word.text, sources, ' ') };
}

/** An item of a list `key=value,...`: as an argument of a command. The first one may be a value alone. */
async function completeItem(
  { type, implied, command }: SchemaList,
  items: readonly Token[],
  current: Token,
  sources: CompletionSources,
): Promise<Completion> {
  const [first, ...others] = items;
  if (implied === undefined || !first || first.text.includes('='))
    return completeArgument(command, type, items, current, sources);
  const whole: Token = {
    text: `${implied}=${first.text}`,
    start: first.start - implied.length - 1,
    end: first.end,
  };
  if (first !== current) return completeArgument(command, type, [whole, ...others], current, sources);
  const keys = await completeArgument(command, type, items, current, sources);
  const values = await completeArgument(command, type, items, whole, sources);
  return { ...keys, candidates: [...values.candidates, ...keys.candidates] };
}

async function completeArgument(
  command: string,
  type: string,
  words: readonly Token[],
  word: Token,
  sources: CompletionSources,
): Promise<Completion> {
  const typed = typedArguments(words, word);
  const pair = splitPair(word.text);
  if (!pair) return completeKey(type, typed, word);
  const path = pair.key.split('.');
  const from = word.end - pair.value.length;
  if (/^[{[]/.test(pair.value)) {
    const inside = await completeJson(
      command,
      type,
      path,
      typed,
      pair.value,
      partialObject(pair.value),
      sources,
    );
    return { ...inside, from: from + inside.from, to: from + inside.to };
  }
  const place = typeAt(type, path, typed);
  if (!place) return nothing(word.end, `no argument '${pair.key}'`);
  const quote = /^["']/.exec(pair.value)?.[0] ?? '';
  const plain = pair.value.slice(quote.length);
  const values = await valueCandidates(command, place.type, place.member, plain, sources);
  const candidates = values
    .filter(({ value, string }) => value.startsWith(plain) && (string || quote === ''))
    .map(({ value, more }) => {
      const mark = quote !== '' ? quote : /[\s"'{}[\]]/.test(value) ? '"' : '';
      const escaped = mark === '' ? value : escapeIn(mark, value);
      return { text: mark + escaped + (more ? '' : `${mark} `), label: value };
    });
  return {
    from,
    to: word.end,
    candidates,
    ...(candidates.length === 0 && pair.value === '' ? { expected: typeLabel(place.type) } : {}),
  };
}

/** Argument names, as the dotted key typed so far leads to them. */
function completeKey(type: string, typed: PartialObject, word: Token): Completion {
  const names = word.text.split('.');
  const prefix = names.pop() ?? '';
  const place = typeAt(type, names, typed);
  const object = place && asObject(place.type);
  if (!object) return nothing(word.end);
  const level = names.reduce<PartialObject | undefined>(partialMember, typed);
  const path = names.map((name) => `${name}.`).join('');
  const candidates = possibleMembers(object, level)
    // A member is not offered twice, but one with members of its own can be gone into again.
    .filter(({ name, type: member }) => level?.get(name) === undefined || asObject(findType(member)) !== null)
    .flatMap((member) => keyCandidates(path, member, level));
  return { from: word.start, to: word.end, candidates: matching(candidates, path + prefix) };
}

function keyCandidates(
  path: string,
  member: MemberDescription,
  level: PartialObject | undefined,
): Candidate[] {
  const type = findType(member.type);
  const note = describe(member, type);
  const key = path + member.name;
  const candidates: Candidate[] = [];
  if (type.kind !== 'object' && typeof level?.get(member.name) !== 'object') {
    candidates.push({ text: `${key}=`, label: `${member.name}=`, note });
  }
  const object = asObject(type);
  if (object && (object.members.length > 0 || object.variants.size > 0)) {
    candidates.push({ text: `${key}.`, label: `${member.name}.`, note });
  }
  return candidates;
}

/** The arguments of a line as nested objects; the word at the cursor is left out. */
function typedArguments(words: readonly Token[], current: Token): PartialObject {
  const root: PartialObject = new Map();
  for (const word of words) {
    if (word.start === current.start) continue;
    const pair = splitPair(word.text);
    if (!pair) continue;
    const names = pair.key.split('.');
    const last = names.pop() ?? '';
    let level = root;
    for (const name of names) {
      let next = level.get(name);
      if (typeof next !== 'object') level.set(name, (next = new Map()));
      level = next;
    }
    const value = /^[{[]/.test(pair.value) ? partialObject(pair.value) : (unquote(pair.value) ?? pair.value);
    level.set(last, value);
  }
  return root;
}

// ---- JSON

/** The outermost object of a request: its members are those of the protocol, not of the schema. */
async function completeRequest(
  text: string,
  before: string,
  sources: CompletionSources,
): Promise<Completion> {
  const cursor = jsonCursor(before);
  const whole = partialObject(withoutOpenString(text, before, cursor));
  const typedName = whole.get('execute') ?? whole.get('exec-oob');
  const command = typeof typedName === 'string' ? findCommand(typedName) : undefined;
  const [outermost, ...path] = cursor.path;
  if (cursor.expects === 'none') return nothing(before.length);
  if (outermost === undefined) {
    const members = ['execute', 'arguments', 'id'].filter((name) => !cursor.present.has(name));
    const candidates = members.map((name) => ({
      text: `"${name}": ${name === 'arguments' ? '{' : ''}`,
      label: name,
    }));
    return { from: cursor.from, to: before.length, candidates: matching(candidates, `"${cursor.prefix}`) };
  }
  if (outermost === 'execute' || outermost === 'exec-oob') {
    if (path.length > 0) return nothing(before.length);
    const candidates = commands().map(({ name }) => ({ text: `"${name}"`, label: name }));
    return { from: cursor.from, to: before.length, candidates: matching(candidates, `"${cursor.prefix}`) };
  }
  if (outermost !== 'arguments' || !command) return nothing(before.length);
  const start = argumentsStart(before);
  if (start === null) return nothing(before.length);
  const typed = partialMember(whole, 'arguments') ?? new Map<string, string>();
  const inside = await completeJson(
    command.name,
    command.arguments,
    [],
    typed,
    before.slice(start),
    typed,
    sources,
  );
  return { ...inside, from: start + inside.from, to: start + inside.to };
}

/** The text with the string at the cursor closed: else it would swallow what stands behind it. */
function withoutOpenString(text: string, before: string, { from, quote }: JsonCursor): string {
  if (quote === '') return text;
  const behind = text.slice(before.length);
  const rest = /^[\w./-]*(["'])/.exec(behind);
  const closed = rest?.[1] === quote ? behind.slice(rest[0].length) : behind;
  return `${before.slice(0, from)}${quote}${before.slice(from + 1)}${quote}${closed}`;
}

/** Index of the brace that opens the value of `arguments`. */
function argumentsStart(before: string): number | null {
  for (let at = before.indexOf('{', before.indexOf('{') + 1); at >= 0; at = before.indexOf('{', at + 1)) {
    const { path, expects } = jsonCursor(before.slice(0, at));
    if (expects === 'value' && path.length === 1 && path[0] === 'arguments') return at;
  }
  return null;
}

/**
 * Inside the JSON value of the argument at `path`.
 *
 * @param before the value up to the cursor; the range of the answer is in it.
 * @param typed the arguments outside of the value.
 * @param inner what the whole value holds.
 */
async function completeJson(
  command: string,
  root: string,
  path: readonly string[],
  typed: PartialObject,
  before: string,
  inner: PartialObject,
  sources: CompletionSources,
): Promise<Completion> {
  const cursor = jsonCursor(before);
  const { expects, prefix, quote, from } = cursor;
  const to = before.length;
  if (expects === 'none') return nothing(to);
  const outer = typeAt(root, path, typed);
  if (!outer) return nothing(to);
  if (expects === 'key') {
    const place = typeAt(outer.type.name, cursor.path, inner);
    const object = place && asObject(place.type);
    if (!object) return nothing(to);
    const level = cursor.path.reduce<PartialObject | undefined>(partialMember, inner);
    const mark = quote === '' ? '"' : quote;
    const candidates = possibleMembers(object, level)
      .filter(({ name }) => !cursor.present.has(name))
      .map((member) => {
        const type = findType(member.type);
        const opens = type.kind === 'object' ? '{' : type.kind === 'array' ? '[' : '';
        return {
          text: `${mark}${member.name}${mark}: ${opens}`,
          label: member.name,
          note: describe(member, type),
        };
      });
    return { from, to, candidates: matching(candidates, mark + prefix) };
  }
  const place = typeAt(outer.type.name, cursor.path, inner);
  if (!place) return nothing(to);
  const values = await valueCandidates(command, place.type, place.member, prefix, sources);
  const mark = quote === '' ? '"' : quote;
  const candidates = values
    .filter(({ string }) => string || quote === '')
    .map(({ value, string, more }) => ({
      text: string ? `${mark}${escapeIn(mark, value)}${more ? '' : mark}` : value,
      label: value,
    }));
  if (quote === '' && prefix === '' && asObject(place.type)) candidates.push({ text: '{', label: '{' });
  const shown = candidates.filter(({ label }) => label.startsWith(prefix));
  return {
    from,
    to,
    candidates: shown,
    ...(shown.length === 0 && prefix === '' ? { expected: typeLabel(place.type) } : {}),
  };
}

// ---- values

interface ValueCandidate {
  value: string;
  /** Written in quotes in JSON. */
  string: boolean;
  /** The value goes on (a directory). */
  more: boolean;
}

async function valueCandidates(
  command: string,
  type: SchemaType,
  member: MemberDescription | null,
  typed: string,
  sources: CompletionSources,
): Promise<ValueCandidate[]> {
  const found: ValueCandidate[] = [];
  const add = (value: string, string: boolean, more = false): void =>
    void found.push({ value, string, more });
  for (const value of asEnum(type)?.values ?? []) add(value.name, true);
  const kinds = type.kind === 'alternate' ? branchesOf(type) : [type];
  for (const kind of kinds) {
    if (kind.kind !== 'builtin') continue;
    if (kind.name === 'bool') ['true', 'false'].forEach((value) => add(value, false));
    if (kind.name === 'null') add('null', false);
  }
  const meaning = meaningOf(command, member, type);
  if (meaning === 'file') {
    for (const { text, label } of await fileCandidates(typed, sources, ''))
      add(text, true, label.endsWith('/'));
  } else if (meaning) for (const name of await names(meaning, sources)) add(name, true);
  return found;
}

async function names(meaning: Exclude<Meaning, 'file'>, sources: CompletionSources): Promise<string[]> {
  try {
    return await (meaning === 'node' ? sources.nodeNames() : sources.jobIds());
  } catch {
    return [];
  }
}

/** Files whose path begins with `typed`; directories end with a slash, files with `end`. */
async function fileCandidates(typed: string, sources: CompletionSources, end: string): Promise<Candidate[]> {
  const quote = /^["']/.exec(typed)?.[0] ?? '';
  const path = typed.slice(quote.length);
  const directory = path.slice(0, path.lastIndexOf('/') + 1);
  let entries: DirectoryEntry[];
  try {
    entries = await sources.files(directory);
  } catch {
    return [];
  }
  return entries
    .filter(({ name }) => (directory + name).startsWith(path))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, directory: isDirectory }) => {
      const plain = directory + name;
      const mark = quote !== '' ? quote : end !== '' && /[\s"'{}[\]*?\\|<>;&]/.test(plain) ? '"' : '';
      const close = isDirectory ? '/' : mark + end;
      // The shell has no escapes between single quotes.
      const shown = mark === '"' ? escapeIn(mark, plain) : plain;
      return { text: mark + shown + close, label: isDirectory ? `${name}/` : name };
    });
}

/** A note on an argument: its type, whether it must be given, and what is to be known before one uses it. */
function describe(member: MemberDescription, type: SchemaType): string {
  const facts = [member.optional ? 'optional' : 'required', typeLabel(type), ...warnings(member)].join(', ');
  return member.help === undefined ? facts : `${facts}; ${member.help}`;
}

/** A text as it stands between such quotes: the quote and the backslash get a backslash before them. */
function escapeIn(quote: string, text: string): string {
  return text.replace(/["'\\]/g, (character) =>
    character === quote || character === '\\' ? `\\${character}` : character,
  );
}

function matching(candidates: readonly Candidate[], prefix: string): Candidate[] {
  return candidates.filter(({ text }) => text.startsWith(prefix));
}
