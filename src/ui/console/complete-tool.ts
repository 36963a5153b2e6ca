/** What Tab offers for the words of a tool: its options, and their values where it is known what they are. */
import type { FormatInfo, OptionInfo } from '../../client/protocol';
import type { Candidate, Completion } from './completion';
import { asEnum, typeAt } from './schema-walk';
import type { Token } from './tokens';

/** The words of a tool, up to the one at the cursor. */
export interface ToolLine {
  /** Its first word, if that is one of its subcommands. */
  verb: string;
  options: readonly OptionInfo[];
  /** The words before the one at the cursor. */
  words: readonly Token[];
  word: Token;
}

/** Where values come from. */
export interface ToolSources {
  formats: readonly FormatInfo[];
  /** Files whose path begins with a text; those that are complete end with `end`. */
  files(typed: string, end: string): Promise<Candidate[]>;
  /** One `key=value` of a list that is an object of the schema. */
  item(list: SchemaList, items: readonly Token[], current: Token): Promise<Completion>;
}

/** An option whose value is an object of the schema, written as `key=value,key=value`. */
export interface SchemaList {
  type: string;
  /** The key of a first value without one. */
  implied?: string;
  /** The command of QMP that does the same. */
  command: string;
}

const SCHEMA_LISTS: Readonly<Record<string, SchemaList>> = {
  '--blockdev': { type: 'BlockdevOptions', implied: 'driver', command: 'blockdev-add' },
  '--export': { type: 'BlockExportOptions', implied: 'type', command: 'block-export-add' },
  '--nbd-server': { type: 'NbdServerOptions', command: 'nbd-server-start' },
  '--object': { type: 'ObjectOptions', implied: 'qom-type', command: 'object-add' },
};

const CACHE_MODES = ['none', 'writeback', 'unsafe', 'directsync', 'writethrough'];
/** Values of options that have a few. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  '--cache': CACHE_MODES,
  '--source-cache': CACHE_MODES,
  '--target-cache': CACHE_MODES,
  '--backing-cache': CACHE_MODES,
  '--aio': ['threads', 'native', 'io_uring'],
  '--discard': ['ignore', 'unmap'],
  '--preallocation': ['off', 'metadata', 'falloc', 'full'],
};

/** What can stand at the cursor. */
export async function completeTool(line: ToolLine, sources: ToolSources): Promise<Completion> {
  const { options, words, word } = line;
  const { pending, ended, values } = readOptions(options, words);
  if (pending) return completeValue(line, pending, word, values, sources);
  if (!ended) {
    const glued = /^(--[^=]+)=/.exec(word.text);
    const option = glued && findLong(options, glued[1] ?? '');
    if (glued) {
      const from = glued[0].length;
      const value = { text: word.text.slice(from), start: word.start + from, end: word.end };
      return option?.value === undefined
        ? offer(value, [])
        : completeValue(line, option, value, values, sources);
    }
    if (word.text.startsWith('-')) return offer(word, optionCandidates(options, word.text));
  }
  return offer(word, await sources.files(word.text, ' '));
}

/** Short names while one dash is typed, so that the list is short; an option without one by its long name. */
function optionCandidates(options: readonly OptionInfo[], typed: string): Candidate[] {
  return options.flatMap(({ names, value, help }) => {
    const name = typed.startsWith('--') ? names.find((one) => one.startsWith('--')) : names[0];
    if (!name?.startsWith(typed)) return [];
    const label = `${names.join(', ')}${value === undefined ? '' : ` ${value}`}`;
    return [{ text: `${name} `, label, ...(help !== undefined && { note: help }) }];
  });
}

async function completeValue(
  line: ToolLine,
  option: OptionInfo,
  word: Token,
  values: ReadonlyMap<OptionInfo, string>,
  sources: ToolSources,
): Promise<Completion> {
  const { names, value = '' } = option;
  const list = names.map((name) => SCHEMA_LISTS[name]).find((one) => one !== undefined);
  if (list) return completeSchemaList(list, word, sources);
  if (value === 'FILE') return offer(word, await sources.files(word.text, ' '));
  if (value === 'OPTIONS') return completeFormatList(line, word, values, sources);
  const known =
    value === 'FMT'
      ? sources.formats.map(({ name }) => name)
      : value.includes('|')
        ? value.split('|')
        : names.flatMap((name) => CHOICES[name] ?? []);
  return offer(word, choices(known, word.text, ' '), value);
}

// ---- lists

/** The items of a list, and where they are; `,,` is a comma in a value. */
function listItems({ text, start, end }: Token): Token[] {
  const items: Token[] = [];
  // The list as a whole may be in quotes.
  let from = /^["']/.test(text) ? 1 : 0;
  for (let at = from; at < text.length; at++) {
    if (text.charAt(at) !== ',') continue;
    if (text.charAt(at + 1) === ',') at++;
    else {
      items.push({ text: text.slice(from, at), start: start + from, end: start + at });
      from = at + 1;
    }
  }
  return [...items, { text: text.slice(from), start: start + from, end }];
}

async function completeSchemaList(list: SchemaList, word: Token, sources: ToolSources): Promise<Completion> {
  if (/^["']?\{/.test(word.text)) return offer(word, []);
  const items = listItems(word);
  const current = items.at(-1) ?? word;
  const completion = await sources.item(list, items, current);
  return { ...completion, candidates: inList(word, completion.candidates) };
}

/** Candidates as a part of a list: the user goes on with a comma or a blank, and quotes do not nest. */
function inList(word: Token, candidates: Candidate[]): Candidate[] {
  const quoted = /^["']/.test(word.text);
  return candidates
    .map((one) => ({ ...one, text: one.text.replace(/ $/, '').replace(/,/g, ',,') }))
    .filter(({ text }) => !quoted || !/["']/.test(text));
}

/** `-o key=value,...` of a format. */
async function completeFormatList(
  { verb, options }: ToolLine,
  word: Token,
  values: ReadonlyMap<OptionInfo, string>,
  sources: ToolSources,
): Promise<Completion> {
  const named =
    options.find(({ names }) => names.includes('-O')) ?? options.find(({ names }) => names.includes('-f'));
  const given = named && values.get(named);
  if (given === undefined && verb === 'amend') return offer(word, [], 'the format comes first: -f FMT');
  const name = given ?? 'raw';
  const format = sources.formats.find((one) => one.name === name);
  const known = (verb === 'amend' ? format?.amend : format?.create) ?? [];
  const items = listItems(word);
  const current = items.at(-1) ?? word;
  const equals = current.text.indexOf('=');
  if (equals < 0) {
    const taken = new Set(items.map(({ text }) => text.replace(/=.*/s, '')));
    const keys = known.filter((one) => one.name.startsWith(current.text) && !taken.has(one.name));
    const candidates = keys.map(({ name: key, help }) => ({ text: `${key}=`, label: `${key}=`, note: help }));
    return offer(current, candidates);
  }
  const key = current.text.slice(0, equals);
  const option = known.find((one) => one.name === key);
  const from = equals + 1;
  const value = { text: current.text.slice(from), start: current.start + from, end: current.end };
  if (!option) return offer(value, [], `no option '${key}' of ${name}`);
  if (key.endsWith('_file')) return offer(value, inList(word, await sources.files(value.text, ' ')));
  const possible =
    option.type === 'bool'
      ? ['on', 'off']
      : key === 'backing_fmt'
        ? sources.formats.map((one) => one.name)
        : key === 'compat'
          ? ['0.10', '1.1']
          : schemaValues(name, key);
  return offer(value, choices(possible, value.text, ''), option.help);
}

/** What the schema lets the same option of blockdev-create be. */
function schemaValues(format: string, key: string): string[] {
  const path = key.replace(/_/g, '-').split('.');
  const typed = new Map<string, string | Map<string, string>>([
    ['driver', format],
    ['encrypt', new Map([['format', 'luks']])],
  ]);
  const place = typeAt('BlockdevCreateOptions', path, typed);
  return (place && asEnum(place.type)?.values.map(({ name }) => name)) ?? [];
}

// ---- options that were typed

interface ReadOptions {
  /** The option whose value comes next. */
  pending: OptionInfo | null;
  /** `--` was typed: no options come any more. */
  ended: boolean;
  /** Values so far, the last one of an option given twice. */
  values: ReadonlyMap<OptionInfo, string>;
}

/** Reads words by the rules of getopt_long(3). */
function readOptions(options: readonly OptionInfo[], words: readonly Token[]): ReadOptions {
  const values = new Map<OptionInfo, string>();
  let pending: OptionInfo | null = null;
  let ended = false;
  for (const { text } of words) {
    if (pending) {
      values.set(pending, text);
      pending = null;
    } else if (ended) continue;
    else if (text === '--') ended = true;
    else if (text.startsWith('--')) {
      const equals = text.indexOf('=');
      const option = findLong(options, equals < 0 ? text : text.slice(0, equals));
      if (option?.value === undefined) continue;
      if (equals < 0) pending = option;
      else values.set(option, text.slice(equals + 1));
    } else if (text.startsWith('-')) {
      for (let at = 1; at < text.length; at++) {
        const option = options.find(({ names }) => names.includes(`-${text.charAt(at)}`));
        if (option?.value === undefined) continue;
        if (at + 1 === text.length) pending = option;
        else values.set(option, text.slice(at + 1));
        break;
      }
    }
  }
  return { pending, ended, values };
}

/** A long option by its name, or by the beginning that only it has. */
function findLong(options: readonly OptionInfo[], typed: string): OptionInfo | undefined {
  const exact = options.find(({ names }) => names.includes(typed));
  if (exact) return exact;
  const possible = options.filter(({ names }) => names.some((name) => name.startsWith(typed)));
  return possible.length === 1 ? possible[0] : undefined;
}

// ----

function choices(values: readonly string[], typed: string, end: string): Candidate[] {
  return values
    .filter((value) => value.startsWith(typed))
    .map((value) => ({ text: value + end, label: value }));
}

/** `expected` is shown where nothing was typed and nothing can be offered. */
function offer(word: Token, candidates: Candidate[], expected?: string): Completion {
  return {
    from: word.start,
    to: word.end,
    candidates,
    ...(expected !== undefined && candidates.length === 0 && word.text === '' && { expected }),
  };
}
