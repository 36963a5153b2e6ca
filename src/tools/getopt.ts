/**
 * Option parsing with the semantics of GNU getopt_long(3), which all tools of QEMU use: words that are no options may
 * stand anywhere and end up behind (unless `stopAtOperand`), `--` ends the options, short options cluster (`-qp`), a
 * value may be glued (`-fraw`, `--output=json`), and a long name may be shortened as long as it stays unique.
 *
 * Options come one after the other, so that a wrong value is reported before a later unknown option, as by the real
 * tools.
 */

/** A long option; `value` says whether it takes one. */
export interface LongOption {
  name: string;
  value: boolean;
  /** What {@link Getopt.next} answers for it: the letter of the short twin, or a name of its own. */
  code: string;
}

/** The options of one command. */
export interface OptionTable {
  /** As getopt(3) takes it: letters, each with `:` behind it if it needs a value. */
  short: string;
  /** Absent: words that start with `--` are short options too, as for getopt(3). */
  long?: readonly LongOption[];
}

/** The options of a table as they are typed, each with its short and its long name. */
export function optionNames({ short, long = [] }: OptionTable): { names: string[]; value: boolean }[] {
  const found = new Map<string, { names: string[]; value: boolean }>();
  for (const [, letter = '', colon] of short.matchAll(/([^:])(:?)/g))
    found.set(letter, { names: [`-${letter}`], value: colon === ':' });
  for (const { name, value, code } of long) {
    const twin = found.get(code);
    if (twin) twin.names.push(`--${name}`);
    else found.set(code, { names: [`--${name}`], value });
  }
  return [...found.values()];
}

/** One option found. */
export interface FoundOption {
  kind: 'option';
  code: string;
  /** Empty for an option without value. */
  value: string;
}

/** One mistake found. */
export interface OptionMistake {
  kind: 'mistake';
  /** The text of getopt, without the name of the program in front. */
  text: string;
  what: 'unknown' | 'ambiguous' | 'unwanted-value' | 'missing-value';
  /** The word with the mistake, whole. */
  word: string;
}

/** Reads options off the words of a command line. */
export class Getopt {
  /** Operands that were passed over so far; complete when {@link next} answered null. */
  readonly operands: string[] = [];
  /** How many of them stand before a `--`; known when {@link next} answered null. */
  operandsBeforeEnd = 0;
  private readonly short = new Map<string, boolean>();
  private readonly long: readonly LongOption[] | undefined;
  private position = 0;
  /** Letters of a cluster that are still to be read, and the word they are in. */
  private cluster = '';
  private clusterWord = '';
  /** Where the words of the last answer begin. */
  private begin = 0;

  constructor(
    private readonly words: readonly string[],
    table: OptionTable,
    private readonly stopAtOperand = false,
  ) {
    for (let i = 0; i < table.short.length; i++) {
      const value = table.short[i + 1] === ':';
      this.short.set(table.short.charAt(i), value);
      if (value) i++;
    }
    this.long = table.long;
  }

  /** The words of what {@link next} answered last, as they were typed. */
  get typed(): string {
    return this.words.slice(this.begin, this.position).join(' ');
  }

  /** The next option or mistake; null when none is left, and then {@link operands} is complete. */
  next(): FoundOption | OptionMistake | null {
    if (this.cluster !== '') return this.nextShort();
    for (;;) {
      const word = this.words[this.position];
      if (word === undefined) return this.endOfOptions();
      this.begin = this.position++;
      if (word === '--') return this.endOfOptions();
      if (word.startsWith('--') && this.long) return this.nextLong(word, this.long);
      if (word.startsWith('-') && word.length > 1) {
        this.cluster = word.slice(1);
        this.clusterWord = word;
        return this.nextShort();
      }
      if (this.stopAtOperand) {
        this.position--;
        return this.endOfOptions();
      }
      this.operands.push(word);
    }
  }

  private endOfOptions(): null {
    this.operandsBeforeEnd = this.operands.length;
    this.operands.push(...this.words.slice(this.position));
    this.position = this.words.length;
    return null;
  }

  private nextShort(): FoundOption | OptionMistake {
    const letter = this.cluster.charAt(0);
    this.cluster = this.cluster.slice(1);
    const takesValue = letter === ':' ? undefined : this.short.get(letter);
    if (takesValue === undefined) {
      return {
        kind: 'mistake',
        what: 'unknown',
        text: `invalid option -- '${letter}'`,
        word: this.clusterWord,
      };
    }
    if (!takesValue) return { kind: 'option', code: letter, value: '' };
    const glued = this.cluster;
    this.cluster = '';
    const value = glued !== '' ? glued : this.words[this.position++];
    if (value !== undefined) return { kind: 'option', code: letter, value };
    const text = `option requires an argument -- '${letter}'`;
    return { kind: 'mistake', what: 'missing-value', text, word: this.clusterWord };
  }

  private nextLong(word: string, long: readonly LongOption[]): FoundOption | OptionMistake {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    const mistake = (what: OptionMistake['what'], text: string): OptionMistake => ({
      kind: 'mistake',
      what,
      text,
      word,
    });
    const candidates = candidatesFor(long, name);
    const option = candidates[0];
    if (!option) return mistake('unknown', `unrecognized option '${word}'`);
    if (candidates.some((other) => other.code !== option.code || other.value !== option.value)) {
      const names = candidates.map((candidate) => ` '--${candidate.name}'`).join('');
      return mistake('ambiguous', `option '--${word.slice(2)}' is ambiguous; possibilities:${names}`);
    }
    if (!option.value) {
      if (equals >= 0)
        return mistake('unwanted-value', `option '--${option.name}' doesn't allow an argument`);
      return { kind: 'option', code: option.code, value: '' };
    }
    const value = equals >= 0 ? word.slice(equals + 1) : this.words[this.position++];
    if (value === undefined)
      return mistake('missing-value', `option '--${option.name}' requires an argument`);
    return { kind: 'option', code: option.code, value };
  }
}

/** The option with exactly this name, else all whose names start with it. */
function candidatesFor(long: readonly LongOption[], name: string): readonly LongOption[] {
  const exact = long.find((option) => option.name === name);
  return exact ? [exact] : long.filter((option) => option.name.startsWith(name));
}
