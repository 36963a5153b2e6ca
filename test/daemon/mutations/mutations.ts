/**
 * Commands with arguments that are nearly right: each member of a good request left out, or of another type, or with another
 * value, and members that do not belong there. What is made is the same every time.
 */

/** JSON, and integers beyond those that are numbers. */
type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

/** What takes the place of each value in turn. */
const VALUES: readonly Json[] = [
  null,
  true,
  1,
  -1,
  1.5,
  'x',
  '',
  {},
  [],
  [1],
  { a: 1 },
  1n << 63n,
  1n << 64n,
];

/** Requests that are mutated on the same ground. */
export interface MutationGroup {
  name: string;
  /** Shell commands that make files, for both daemons. */
  files?: readonly string[];
  /** Commands before all others, as `name {arguments}`. */
  before?: readonly string[];
  requests: readonly MutatedRequest[];
}

interface MutatedRequest {
  command: string;
  good: Record<string, Json>;
  /** Arguments that the real daemon does not survive. */
  fatal?: RegExp;
  /** Commands after each one, which look at what it did and undo it. */
  after?: readonly string[];
}

/** All commands of a group, as `name {arguments}`. */
export function commandsOf({ before = [], requests }: MutationGroup): string[] {
  return [
    ...before,
    ...requests.flatMap(({ command, good, fatal, after = [] }) =>
      [...new Set([good, ...mutations(good)].map(toText))]
        .filter((text) => !fatal?.test(text))
        .flatMap((text) => [`${command} ${text}`, ...after]),
    ),
  ];
}

function* mutations(value: Json): Generator<Json> {
  for (const replacement of VALUES) if (toText(replacement) !== toText(value)) yield replacement;
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) {
      yield value.toSpliced(index, 1);
      for (const mutated of mutations(element)) yield value.with(index, mutated);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== key));
      for (const mutated of mutations(member)) yield { ...value, [key]: mutated };
    }
    yield { ...value, zz: 1 };
  }
}

function toText(value: Json): string {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(toText).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}:${toText(member)}`)
    .join()}}`;
}
