/** Lists of options, `key=value,key=value` with `,,` for a comma: of `-o`, `--image-opts` and `qemu-io open -o`. */
import type { CreateOption, CreateValues, QDict } from '../graph';
import { parseInteger, readSize } from '../qapi/size';

/** A mistake in a list of options; `hints` are lines for a person, printed after the text. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
  constructor(
    message: string,
    readonly hints: readonly string[] = [],
  ) {
    super(message);
  }
}

const SIZE_HINTS = [
  'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-',
  'and exabytes, respectively.',
];

const UINT64_END = 1n << 64n;

const BOOLEANS: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

/** One item: with a value, or bare (`lazy_refcounts`, which means on). */
export interface OptionItem {
  key: string;
  value: string | null;
}

/** Splits a list into its items; in values `,,` becomes a comma. With an implied key a bare first item is its value. */
export function splitOptions(text: string, impliedKey?: string): OptionItem[] {
  const items: OptionItem[] = [];
  let at = 0;
  while (at < text.length) {
    // A key ends at the first = or comma; only values have escaped commas.
    const keyEnd = /[=,]/.exec(text.slice(at));
    const end = keyEnd ? at + keyEnd.index : text.length;
    if (text[end] === '=') {
      const [value, next] = readValue(text, end + 1);
      items.push({ key: text.slice(at, end), value });
      at = next;
    } else if (items.length === 0 && impliedKey !== undefined) {
      const [value, next] = readValue(text, at);
      items.push({ key: impliedKey, value });
      at = next;
    } else {
      items.push({ key: text.slice(at, end), value: null });
      at = end + 1;
    }
  }
  return items;
}

function readValue(text: string, from: number): [string, number] {
  let value = '';
  for (let at = from; ; at += 2) {
    const comma = text.indexOf(',', at);
    if (comma < 0) return [value + text.slice(at), text.length];
    value += text.slice(at, comma);
    if (text[comma + 1] !== ',') return [value, comma + 1];
    value += ',';
    at = comma;
  }
}

/** Joins the arguments of several `-o`. Throws if one of them is empty or starts or ends with a comma. */
export function joinOptionLists(lists: readonly string[]): string {
  for (const list of lists) {
    const trailing = /,*$/.exec(list)?.[0].length ?? 0;
    if (list === '' || list.startsWith(',') || trailing % 2 === 1)
      throw new OptionError(`Invalid option list: ${list}`);
  }
  return lists.join(',');
}

/** Whether the list asks for help: an item `help` or `?`. */
export function asksForHelp(list: string): boolean {
  return splitOptions(list).some((item) => item.value === null && (item.key === 'help' || item.key === '?'));
}

/** What a bare item means: `key` is on, `nokey` is off. */
function bare(key: string): [key: string, value: string] {
  return key.startsWith('no') ? [key.slice(2), 'off'] : [key, 'on'];
}

/**
 * The values of a list, checked against what the format takes. The last value of a key wins. Sizes are numbers, exact to
 * 2^53.
 */
export function parseCreateOptions(list: string, known: readonly CreateOption[]): CreateValues {
  const values: CreateValues = {};
  for (const item of splitOptions(list)) {
    const [key, value] = item.value === null ? bare(item.key) : [item.key, item.value];
    const option = known.find((candidate) => candidate.name === key);
    // Every list of options of QEMU may have an id, which means nothing here.
    if (option) values[key] = readCreateValue(option, value);
    else if (key !== 'id') throw new OptionError(`Invalid parameter '${key}'`);
  }
  return values;
}

/** How the user spelled the booleans of a list, which is how the line of `create` shows them. */
export function spelledBooleans(list: string, known: readonly CreateOption[]): Record<string, string> {
  const spelled: Record<string, string> = {};
  for (const item of splitOptions(list)) {
    const [key, value] = item.value === null ? bare(item.key) : [item.key, item.value];
    if (known.some(({ name, type }) => name === key && type === 'bool')) spelled[key] = value;
  }
  return spelled;
}

/** The value of one option as its type. */
export function readCreateValue(
  option: Pick<CreateOption, 'name' | 'type'>,
  text: string,
): string | number | boolean {
  switch (option.type) {
    case 'str':
      return text;
    case 'bool': {
      const value = BOOLEANS[text];
      if (value === undefined) throw new OptionError(`Parameter '${option.name}' expects 'on' or 'off'`);
      return value;
    }
    case 'num': {
      const value = parseInteger(text);
      if (value === null) throw new OptionError(`Parameter '${option.name}' expects a number`);
      if (value >= UINT64_END)
        throw new OptionError(`Value '${text}' is too large for parameter '${option.name}'`);
      return Number(BigInt.asIntN(64, value));
    }
    case 'size': {
      const value = readSize(text);
      if (value === 'range')
        throw new OptionError(`Value '${text}' is out of range for parameter '${option.name}'`);
      if (value === 'invalid') {
        throw new OptionError(
          `Parameter '${option.name}' expects a non-negative number below 2^64`,
          SIZE_HINTS,
        );
      }
      return Number(value);
    }
  }
}

/** The lines of `-o help`, sorted by name. */
export function describeOptions(options: readonly CreateOption[]): string {
  const type = { str: '<str>', size: '<size>', num: '<num>', bool: '<bool (on/off)>' } as const;
  const names = [...options].sort((a, b) => (a.name < b.name ? -1 : 1));
  return names
    .map((option) => `  ${`${option.name}=${type[option.type]}`.padEnd(22)} - ${option.help}\n`)
    .join('');
}

/**
 * What `--image-opts` says, as options for opening: dotted keys, all values text. A bare item is on or off, with a warning
 * (without the prefix of the program).
 */
export function imageOptions(
  text: string,
  impliedKey: string | undefined,
  warn: (text: string) => void,
): QDict {
  const options: QDict = {};
  for (const item of splitOptions(text, impliedKey)) {
    const [key, value] = item.value === null ? bare(item.key) : [item.key, item.value];
    if (item.value === null) {
      warn(`short-form boolean option '${item.key}' deprecated\nPlease use ${key}=${value} instead`);
    }
    options[key] = value;
  }
  return options;
}
