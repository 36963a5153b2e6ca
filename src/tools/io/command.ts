/** What a command of qemu-io is, and how one line becomes a call of it. */
import type { BlockUser } from '../../graph';
import { ToolExit } from '../failure';
import { Getopt } from '../getopt';
import type { IoSession, OpenFile } from './session';

/** A command of qemu-io. */
export interface IoCommand {
  name: string;
  /** A shorter name. */
  alias?: string;
  /** Number of words after the name; no `max`: any number. */
  min: number;
  max?: number;
  /** Shown behind the name in the help; null: nothing, not even a blank. */
  syntax: string | null;
  /** Ends the line of help. */
  summary: string;
  /** More help; without it the line is all. */
  details?: readonly string[];
  /** Works without an open file. */
  fileless?: true;
  /** Permissions that the command needs (bits of `Permission`). */
  needs?: number;
  /** Answers whether it went well. */
  run(call: IoCall): Promise<boolean> | boolean;
}

/** The short options of a call, by letter; without value: an empty text. */
export type Flags = ReadonlyMap<string, string>;

/** Ends a command that was called in a wrong way: the mistake was printed, the line of help follows. */
export class SyntaxMistake extends Error {
  override readonly name = 'SyntaxMistake';
}

/** Ends a command with a text on standard output. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

/** One call of a command. */
export class IoCall {
  constructor(
    readonly session: IoSession,
    readonly command: IoCommand,
    /** The name as it was typed. */
    readonly name: string,
    /** What follows the name. */
    readonly words: readonly string[],
  ) {}

  /** What is open. Commands that are `fileless` may not ask. */
  get file(): OpenFile {
    const { file } = this.session;
    if (!file) throw new Error(`${this.name} without an open file`);
    return file;
  }

  /** The open image. */
  get user(): BlockUser {
    return this.file.user;
  }

  print(line: string): void {
    this.session.print(line);
  }

  /** Reads short options. Throws {@link SyntaxMistake} on a wrong one. */
  options(short: string): { flags: Flags; operands: string[] } {
    const flags = new Map<string, string>();
    const parser = new Getopt(this.words, { short });
    for (let found = parser.next(); found; found = parser.next()) {
      if (found.kind === 'mistake') {
        this.session.complain(`${this.name}: ${found.text}`);
        throw new SyntaxMistake();
      }
      flags.set(found.code, found.value);
    }
    return { flags, operands: parser.operands };
  }
}

/** The line of help of a command. */
export function helpLine(command: IoCommand): string {
  return `${command.name}${command.syntax === null ? '' : ` ${command.syntax}`} -- ${command.summary}`;
}

/** Finds a command by its name or its short one. */
export function findCommand(commands: readonly IoCommand[], name: string): IoCommand | undefined {
  return commands.find((command) => command.name === name || command.alias === name);
}

/** Runs one line. Answers whether it went well; an empty line does. */
export async function runLine(
  session: IoSession,
  commands: readonly IoCommand[],
  line: string,
): Promise<boolean> {
  const [name, ...words] = line.split(' ').filter((word) => word !== '');
  if (name === undefined) return true;
  const command = findCommand(commands, name);
  if (!command) {
    session.complain(`command "${name}" not found`);
    return false;
  }
  if (!command.fileless && !session.file) {
    session.complain("no file open, try 'help open'");
    return false;
  }
  const wrong = countMistake(command, words.length);
  if (wrong !== null) {
    session.complain(`bad argument count ${words.length} to ${name}, expected ${wrong}`);
    return false;
  }
  try {
    if (command.needs !== undefined) await takePermissions(session, command.needs);
  } catch (error) {
    session.report(error);
    return false;
  }
  try {
    return await command.run(new IoCall(session, command, name, words));
  } catch (error) {
    if (error instanceof ToolExit || session.context.signal.aborted) throw error;
    if (error instanceof SyntaxMistake) session.print(helpLine(command));
    else if (error instanceof CommandFailure) session.print(error.message);
    else session.report(error);
    return false;
  }
}

function countMistake(command: IoCommand, count: number): string | null {
  const { min, max } = command;
  if (count >= min && (max === undefined || count <= max)) return null;
  if (max === undefined) return `at least ${min} arguments`;
  return min === max ? `${min} arguments` : `between ${min} and ${max} arguments`;
}

async function takePermissions(session: IoSession, needed: number): Promise<void> {
  const user = session.file?.user;
  if (user && (user.perm & needed) !== needed) await user.setPermissions(user.perm | needed, user.shared);
}
