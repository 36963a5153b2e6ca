/** hexdump, in the canonical form of `hexdump -C` */
import { present, type BlockFile } from '../../files/contract';
import type { ToolContext } from '../context';
import { CommandError, Pace, parse, reason, type ShellCommand } from './command';

const ROW = 16;
const CHUNK = 64 * 1024;

export const hexdump: ShellCommand = {
  name: 'hexdump',
  summary: 'shows the bytes of a file',
  usage: '[-Cv] [-n LENGTH] [-s OFFSET] FILE',
  details: [
    '  -n  so many bytes only; like the offset decimal, 0x.. or with one of the suffixes k, m, g',
    '  -s  from this offset on',
    '  -v  repeated rows too (else a * stands for them)',
    '  -C  hexadecimal and characters (as without it)',
  ],
  arguments: 'files',
  run: async (words, context) => {
    const { operands, options } = parse('hexdump', words, 'Cvn:s:');
    const length = options.has('n') ? number(options.get('n') ?? '', 'length') : Infinity;
    const skip = options.has('s') ? number(options.get('s') ?? '', 'offset') : 0;
    const [path] = operands;
    if (path === undefined || operands.length > 1) throw new CommandError('exactly one file is needed');
    const file = await context.files.open(path, { write: false }).catch((error: unknown) => {
      context.stderr(`hexdump: ${path}: ${reason(error)}\n`);
      throw new CommandError('all input file arguments failed');
    });
    try {
      await dump(file, skip, Math.min(file.size(), skip + length), options.has('v'), context);
    } finally {
      file.close();
    }
    return 0;
  },
};

/** A number of util-linux: decimal or hexadecimal with an optional suffix. */
function number(text: string, what: string): number {
  const match = /^(0x[0-9a-f]+|\d+)([bkmg]?)$/i.exec(text);
  const scale = { '': 1, b: 512, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  // In a hexadecimal number a `b` is a digit: the expression takes it as one.
  const value = match ? Number(match[1]) * scale : NaN;
  if (!Number.isSafeInteger(value))
    throw new CommandError(`failed to parse ${what}: '${text}': Invalid argument`);
  return value;
}

/** Prints the bytes [from, end). */
async function dump(
  file: BlockFile,
  from: number,
  end: number,
  all: boolean,
  context: ToolContext,
): Promise<void> {
  if (from >= end) return;
  const buffer = new Uint8Array(CHUNK);
  const pace = new Pace(context);
  let previous: string | null = null;
  let starred = false;
  let at = from;
  while (at < end) {
    const piece = buffer.subarray(0, Math.min(CHUNK, end - at));
    const here = at;
    const got = await present(file, () => file.read(piece, here));
    if (got === 0) break;
    let output = '';
    for (let row = 0; row < got; row += ROW) {
      const bytes = buffer.subarray(row, Math.min(row + ROW, got));
      const text = rowText(bytes);
      const repeated = !all && bytes.length === ROW && text === previous;
      if (!repeated) output += `${offset(at + row)}  ${text}\n`;
      else if (!starred) output += '*\n';
      starred = repeated;
      previous = text;
    }
    context.stdout(output);
    at += got;
    await pace.step(at - from, end - from);
  }
  context.stdout(`${offset(at)}\n`);
}

function offset(at: number): string {
  return at.toString(16).padStart(8, '0');
}

function rowText(bytes: Uint8Array): string {
  let hex = '';
  let characters = '';
  for (let i = 0; i < ROW; i++) {
    if (i === ROW / 2) hex += ' ';
    const byte = bytes[i];
    hex += byte === undefined ? '   ' : `${byte.toString(16).padStart(2, '0')} `;
    if (byte !== undefined) characters += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
  }
  return `${hex} |${characters}|`;
}
