/** Lists of options whose names and types are declared: `--chardev`, `--trace`, `-l snapshot....`. */
import { ToolFailure, ToolHelp } from './failure';
import { readCreateValue, splitOptions } from './optionlist';

type Value = string | number | boolean;

/** What a list may have. */
export interface ListDeclaration {
  /** As its help calls it. */
  readonly name: string;
  /** The option whose name may be left out at the start of a list. */
  readonly implied?: string;
  readonly types: Readonly<Record<string, 'str' | 'bool' | 'num' | 'size'>>;
}

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9._-]*$/;

/**
 * The values of a list; the last one of a name wins. Every list may have an `id`. A bare name means on and a bare `noNAME`
 * off, which is warned of. Throws a {@link ToolHelp} when the list asks for help, with exit code 1 as the real tools, and a
 * {@link ToolFailure} for what is wrong with it.
 */
export function readCheckedList(
  text: string,
  { name: listName, implied, types }: ListDeclaration,
  warn: (text: string) => void,
): Map<string, Value> {
  const items = splitOptions(text, implied);
  // Who has a bad name has it before anything else is looked at.
  const id = items.find(({ key }) => key === 'id')?.value;
  if (id !== undefined && id !== null && !IDENTIFIER.test(id)) {
    throw new ToolFailure("Parameter 'id' expects an identifier", [
      "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
    ]);
  }
  const values = new Map<string, Value>();
  for (const item of items) {
    let { key } = item;
    let value = item.value ?? 'on';
    if (item.value === null) {
      if (asksForHelp(key)) throw new ToolHelp(helpOf(listName, types), 1);
      if (key.startsWith('no')) [key, value] = [key.slice(2), 'off'];
      // The opposite of `delay` has a name of its own.
      const [named, meaning] = key === 'delay' ? ['nodelay', value === 'on' ? 'off' : 'on'] : [key, value];
      warn(`short-form boolean option '${item.key}' deprecated\nPlease use ${named}=${meaning} instead`);
    }
    const type = key === 'id' ? 'str' : types[key];
    if (type === undefined) throw new ToolFailure(`Invalid parameter '${key}'`);
    values.set(key, readCreateValue({ name: key, type }, value));
  }
  return values;
}

/** Whether a word asks for help. */
export function asksForHelp(word: string): boolean {
  return word === 'help' || word === '?';
}

function helpOf(name: string, types: ListDeclaration['types']): string {
  const shown = { str: 'str', bool: 'bool (on/off)', num: 'num', size: 'size' };
  const lines = Object.entries(types).map(([option, type]) => `  ${option}=<${shown[type]}>\n`);
  return `${name} options:\n${lines.sort().join('')}`;
}
