/** ls */
import { FileError, type FileInfo } from '../../files/contract';
import type { ToolContext } from '../context';
import { join, parse, type ShellCommand } from './command';

const MINOR = 1;
const MAJOR = 2;

export const ls: ShellCommand = {
  name: 'ls',
  summary: 'lists files with their sizes',
  usage: '[-alh1] [FILE]...',
  details: [
    '  -l  mode, size in use, size, date, name',
    '  -h  with -l: sizes in units',
    '  -a  hidden files too',
    '  -1  one name a line (as without it)',
  ],
  arguments: 'files',
  run: async (words, context) => {
    const { operands, options } = parse('ls', words, 'alh1', MAJOR);
    const paths = operands.length > 0 ? operands : ['.'];
    let code = 0;
    const files: FileInfo[] = [];
    const directories: string[] = [];
    for (const path of paths) {
      try {
        const info = await context.files.info(path);
        if (info.kind === 'directory') directories.push(path);
        else files.push({ ...info, name: path });
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        context.stderr(`ls: cannot access '${path}': ${error.message}\n`);
        code = MAJOR;
      }
    }
    print(files, options, context);
    for (const [index, path] of directories.entries()) {
      try {
        const entries = (await context.files.list(path)).filter(
          ({ name }) => options.has('a') || !name.startsWith('.'),
        );
        if (paths.length > 1) context.stdout(`${index > 0 || files.length > 0 ? '\n' : ''}${path}:\n`);
        print(entries, options, context);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        context.stderr(`ls: cannot open directory '${path}': ${error.message}\n`);
        code = code || (path === '.' ? MAJOR : MINOR);
      }
    }
    return code;
  },
};

function print(entries: FileInfo[], options: Map<string, string>, context: ToolContext): void {
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!options.has('l')) {
    context.stdout(
      entries.map(({ name, kind }) => `${kind === 'directory' ? join(name, '') : name}\n`).join(''),
    );
    return;
  }
  const size = options.has('h') ? short : String;
  const rows = entries.map((entry) => [
    mode(entry),
    entry.allocated === undefined ? '-' : size(entry.allocated),
    size(entry.size),
    entry.modified === undefined ? '-' : date(entry.modified),
    entry.kind === 'directory' ? join(entry.name, '') : entry.name,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const width = widths[column];
      return width === undefined
        ? cell
        : column === 1 || column === 2
          ? cell.padStart(width)
          : cell.padEnd(width);
    });
    context.stdout(`${cells.join(' ')}\n`);
  }
}

function mode({ kind, readOnly }: FileInfo): string {
  if (kind === 'directory') return 'drwxr-xr-x';
  return readOnly ? '-r--r--r--' : '-rw-r--r--';
}

/** As coreutils' -h: one digit behind the point below 10, rounded up. */
function short(bytes: number): string {
  let value = bytes;
  let unit = '';
  for (const next of 'KMGTPE') {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  if (unit === '') return String(bytes);
  const tenths = Math.ceil(value * 10);
  return `${tenths < 100 ? (tenths / 10).toFixed(1) : Math.ceil(value)}${unit}`;
}

function date(milliseconds: number): string {
  const time = new Date(milliseconds);
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}
