/** What the commands of the shell have in common: help, options, messages, pace. */
import { FileError } from '../../files/contract';
import type { Tool, ToolContext } from '../context';
import { Getopt } from '../getopt';

/** An option of a command, for those who type it; the parsers have tables of their own. */
export interface ShellOption {
  /** As they are typed: `-f`, `--format`. */
  names: readonly string[];
  /** What its value is; absent: it takes none. */
  value?: string;
  help?: string;
}

/** A first word of a command. */
export interface Subcommand {
  name: string;
  /** One line on what it does. */
  summary?: string;
  options?: readonly ShellOption[];
}

/** A command of the shell. */
export interface ShellCommand {
  name: string;
  /** One line on what it does. */
  summary: string;
  /** The words behind the name. */
  usage: string;
  /** Lines on its options, for its help. */
  details?: readonly string[];
  /** What its words are. */
  arguments: 'files' | 'none';
  subcommands?: readonly Subcommand[];
  options?: readonly ShellOption[];
  run: Tool;
}

/** The exit code of a command that Ctrl-C stopped (128 + SIGINT). */
export const INTERRUPTED = 130;

/** Thrown to end a command: `message` is printed with the name of the command in front. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  constructor(
    message: string,
    readonly code = 1,
  ) {
    super(message);
  }
}

/** Thrown when Ctrl-C stops a command. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The text of `--help`. */
export function helpText({ name, usage, summary, details = [] }: ShellCommand): string {
  return [
    `usage: ${name} ${usage}`.trimEnd(),
    summary,
    ...(details.length > 0 ? ['', ...details] : []),
    '',
  ].join('\n');
}

/** What a command was called with. */
export interface Parsed {
  operands: string[];
  /** The letters given; values of those that take one. */
  options: Map<string, string>;
}

/**
 * Reads the options of a command like GNU coreutils.
 *
 * @param short letters, with `:` behind those that take a value.
 * @throws CommandError with the hint line of coreutils
 */
export function parse(name: string, words: readonly string[], short: string, code = 1): Parsed {
  const getopt = new Getopt(words, { short });
  const options = new Map<string, string>();
  for (let found = getopt.next(); found; found = getopt.next()) {
    if (found.kind === 'mistake') throw new CommandError(withHint(name, found.text), code);
    options.set(found.code, found.value);
  }
  return { operands: getopt.operands, options };
}

/** A usage error with the line that coreutils print after it. */
export function withHint(name: string, text: string): string {
  return `${text}\nTry '${name} --help' for more information.`;
}

/** The reason of a failed file operation in words. */
export function reason(error: unknown): string {
  if (error instanceof FileError) return error.message;
  throw error;
}

/** Keeps long work interruptible: call {@link step} often, it gives way when 10 ms are over. */
export class Pace {
  private last = performance.now();

  constructor(private readonly context: ToolContext) {}

  /** Throws {@link Interrupted} after Ctrl-C. */
  async step(done?: number, total?: number): Promise<void> {
    if (performance.now() - this.last >= 10) {
      if (done !== undefined) this.context.progress?.(done, total ?? 0);
      await this.context.turn();
      this.last = performance.now();
    }
    if (this.context.signal.aborted) throw new Interrupted();
  }
}

/** The path of `name` in a directory. */
export function join(directory: string, name: string): string {
  if (directory === '' || directory === '.') return name;
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
}

/** The last component of a path. */
export function baseName(path: string): string {
  const trimmed = path.replace(/\/+$/, '');
  return trimmed.slice(trimmed.lastIndexOf('/') + 1) || '/';
}

/** Whether a path names a directory; false if it names nothing. */
export async function isDirectory(context: ToolContext, path: string): Promise<boolean> {
  try {
    return (await context.files.info(path)).kind === 'directory';
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}
