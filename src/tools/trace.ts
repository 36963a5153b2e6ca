/** The option --trace: it is understood, and there are no events that it could switch on. */
import { readBytes } from '../daemon/objects/read-file';
import { FileError, type FileStore } from '../files/contract';
import { asksForHelp, readCheckedList, type ListDeclaration } from './checkedlist';
import { ToolExit, ToolHelp } from './failure';

const TRACE: ListDeclaration = {
  name: 'trace',
  implied: 'enable',
  types: { enable: 'str', events: 'str', file: 'str' },
};

/** Where messages about the option go. */
export interface TraceHost {
  readonly files: FileStore;
  /** A remark on the option. */
  warn(text: string): void;
  /** A line that is about a file: what comes behind the name of the program. */
  complain(line: string): void;
}

/**
 * Acts on the value of --trace: names of events that there are not are warned of. Throws a `ToolHelp` for the list of events,
 * which is empty, and a `ToolFailure` for what is wrong.
 */
export async function readTrace(value: string, host: TraceHost): Promise<void> {
  const values = readCheckedList(value, TRACE, (text) => host.warn(text));
  const enable = values.get('enable')?.toString();
  if (enable !== undefined) switchOn(enable, (text) => host.warn(text));
  const path = values.get('events')?.toString();
  if (path !== undefined) await readEvents(path, host);
}

function switchOn(pattern: string, warn: (text: string) => void): void {
  if (asksForHelp(pattern)) throw new ToolHelp('');
  const name = pattern.replace(/^-/, '');
  if (!/[*?]/.test(name)) warn(`trace event '${name}' does not exist`);
}

/** A file with a pattern on each line. */
async function readEvents(path: string, host: TraceHost): Promise<void> {
  let text: string;
  try {
    text = new TextDecoder().decode(await readBytes(host.files, path));
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    host.complain(`:${path}: ${error.message}`);
    throw new ToolExit(1);
  }
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '' || line.startsWith('#') || asksForHelp(line)) continue;
    switchOn(line, (warning) => host.complain(`:${path}:${index + 1}: warning: ${warning}`));
  }
}
