/**
 * Checks of state as data: what queries of the daemon and commands of the shell answer, which events came and what was
 * entered in the console.
 */
import type { Commands, Events } from '../qapi/types.generated';

/** Queries that change nothing. */
export type Query = Extract<keyof Commands, `query-${string}`>;

/** What is asked for. */
export type Check =
  /** A query's answer is like the pattern. A query that fails answers nothing. */
  | { query: Query; arguments?: Record<string, unknown>; answers: Pattern }
  /**
   * A command of the shell that only reads: its exit code (0 if not said), what it prints as JSON, a part of what it
   * prints (errors included).
   */
  | { run: string; code?: number; answers?: Pattern; prints?: string }
  /** An event has come since the lesson was begun. */
  | { event: keyof Events; data?: Pattern }
  /** A line with all these words, in this order, was entered since the lesson was begun. */
  | { entered: string }
  | { all: readonly Check[] }
  | { any: readonly Check[] }
  | { not: Check };

/**
 * What a JSON value is like. Scalars are equal. An object has the members named here, whatever else it has. An array has,
 * for each pattern in a list, an element that is like it. `$` names a test.
 */
export type Pattern =
  | string
  | number
  | boolean
  | null
  | readonly Pattern[]
  | { $absent: true }
  | { $not: Pattern }
  | { $above: number }
  | { $length: number }
  | { [member: string]: Pattern };

/** What checks are answered from. */
export interface Facts {
  /** The answer of a query; undefined if it fails. */
  query(command: Query, args: Record<string, unknown> | undefined): Promise<unknown>;
  /** Runs a line of the shell. */
  run(line: string): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Events since the lesson was begun. */
  readonly events: readonly { event: string; data?: unknown }[];
  /** Lines entered since the lesson was begun. */
  readonly entered: readonly string[];
}

/** Whether a check holds now. */
export async function holds(check: Check, facts: Facts): Promise<boolean> {
  if ('query' in check) return matches(await facts.query(check.query, check.arguments), check.answers);
  if ('run' in check) {
    const { code, stdout, stderr } = await facts.run(check.run);
    if (code !== (check.code ?? 0)) return false;
    if (check.prints !== undefined && !(stdout + stderr).includes(check.prints)) return false;
    return check.answers === undefined || matches(parsed(stdout), check.answers);
  }
  if ('event' in check)
    return facts.events.some(
      ({ event, data }) => event === check.event && (check.data === undefined || matches(data, check.data)),
    );
  if ('entered' in check) return facts.entered.some((line) => hasWords(line, check.entered));
  if ('not' in check) return !(await holds(check.not, facts));
  const every = 'all' in check;
  for (const part of every ? check.all : check.any) if ((await holds(part, facts)) !== every) return !every;
  return every;
}

/** Whether a JSON value is like a pattern. */
export function matches(value: unknown, pattern: Pattern): boolean {
  if (Array.isArray(pattern)) {
    const wanted: readonly Pattern[] = pattern;
    return Array.isArray(value) && wanted.every((part) => value.some((element) => matches(element, part)));
  }
  if (typeof pattern !== 'object' || pattern === null) return value === pattern;
  const test = pattern as Record<string, Pattern>;
  if ('$absent' in test) return value === undefined;
  if ('$not' in test) return !matches(value, test.$not);
  if ('$above' in test) return typeof value === 'number' && value > Number(test.$above);
  if ('$length' in test) return Array.isArray(value) && value.length === test.$length;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(test).every(([name, part]) =>
    matches(Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined, part),
  );
}

function hasWords(line: string, wanted: string): boolean {
  const words = line.trim().split(/\s+/);
  let at = 0;
  for (const word of wanted.split(' ')) {
    at = words.indexOf(word, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
