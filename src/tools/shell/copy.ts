/** cp, mv */
import { Errno, FileError, present, strerror, type BlockFile } from '../../files/contract';
import type { ToolContext } from '../context';
import {
  baseName,
  CommandError,
  isDirectory,
  join,
  Pace,
  parse,
  reason,
  withHint,
  type ShellCommand,
} from './command';

const CHUNK = 1 << 20;

export const cp: ShellCommand = {
  name: 'cp',
  summary: 'copies files; holes stay holes',
  usage: '[-r] FILE... TARGET',
  details: ['  -r  directories with all that is in them'],
  arguments: 'files',
  run: async (words, context) => {
    const { operands, options } = parse('cp', words, 'rRaf');
    const recursive = ['r', 'R', 'a'].some((letter) => options.has(letter));
    return each('cp', operands, context, (from, to) => copy(from, to, recursive, context));
  },
};

export const mv: ShellCommand = {
  name: 'mv',
  summary: 'renames files',
  usage: 'FILE... TARGET',
  arguments: 'files',
  run: async (words, context) => {
    const { operands } = parse('mv', words, 'f');
    return each('mv', operands, context, (from, to) => move(from, to, context));
  },
};

/** Calls `work` for each source with its target; answers 1 if one of them failed. */
async function each(
  name: string,
  operands: readonly string[],
  context: ToolContext,
  work: (from: string, to: string) => Promise<void>,
): Promise<number> {
  const sources = operands.slice(0, -1);
  const target = operands.at(-1);
  if (target === undefined) throw new CommandError(withHint(name, 'missing file operand'));
  if (sources.length === 0) {
    throw new CommandError(withHint(name, `missing destination file operand after '${target}'`));
  }
  const into = await isDirectory(context, target);
  if (sources.length > 1 && !into) {
    const text = await context.files.info(target).then(() => strerror(Errno.ENOTDIR), reason);
    throw new CommandError(`target '${target}': ${text}`);
  }
  let code = 0;
  for (const source of sources) {
    try {
      await work(source, into ? join(target, baseName(source)) : target);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      context.stderr(`${name}: ${error.message}\n`);
      code = error.code;
    }
  }
  return code;
}

async function move(from: string, to: string, context: ToolContext): Promise<void> {
  const { files } = context;
  const source = await files.info(from).catch((error: unknown) => {
    throw new CommandError(`cannot stat '${from}': ${reason(error)}`);
  });
  if (await same(from, to, context)) throw new CommandError(`'${from}' and '${to}' are the same file`);
  if (source.kind === 'directory' && `${to}/`.startsWith(`${from.replace(/\/+$/, '')}/`)) {
    throw new CommandError(`cannot move '${from}' to a subdirectory of itself, '${to}'`);
  }
  await files.rename(from, to).catch((error: unknown) => {
    throw new CommandError(`cannot move '${from}' to '${to}': ${reason(error)}`);
  });
}

async function copy(from: string, to: string, recursive: boolean, context: ToolContext): Promise<void> {
  const { files } = context;
  const source = await files.info(from).catch((error: unknown) => {
    throw new CommandError(`cannot stat '${from}': ${reason(error)}`);
  });
  if (source.kind === 'directory') {
    if (!recursive) throw new CommandError(`-r not specified; omitting directory '${from}'`);
    if (`${to}/`.startsWith(`${from.replace(/\/+$/, '')}/`)) {
      throw new CommandError(`cannot copy a directory, '${from}', into itself, '${to}'`);
    }
    if (!(await isDirectory(context, to))) {
      await files.makeDirectory(to).catch((error: unknown) => {
        throw new CommandError(`cannot create directory '${to}': ${reason(error)}`);
      });
    }
    for (const { name } of await files.list(from))
      await copy(join(from, name), join(to, name), true, context);
    return;
  }
  if (await same(from, to, context)) throw new CommandError(`'${from}' and '${to}' are the same file`);
  await copyFile(from, to, context);
}

/** Copies one file. If that fails or is interrupted, the target is removed. */
async function copyFile(from: string, to: string, context: ToolContext): Promise<void> {
  const { files } = context;
  const source = await files.open(from, { write: false }).catch((error: unknown) => {
    throw new CommandError(`cannot open '${from}' for reading: ${reason(error)}`);
  });
  try {
    const target = await files.open(to, { write: true, create: 'truncate' }).catch((error: unknown) => {
      throw new CommandError(`cannot create regular file '${to}': ${reason(error)}`);
    });
    try {
      await copyBytes(source, target, context);
      await present(target, () => target.flush());
    } catch (error) {
      target.close();
      await files.remove(to);
      if (error instanceof FileError) {
        throw new CommandError(
          error.errno === Errno.ENOSPC
            ? `error writing '${to}': ${error.message}`
            : `error copying '${from}': ${error.message}`,
        );
      }
      throw error;
    } finally {
      target.close();
    }
  } finally {
    source.close();
  }
}

async function copyBytes(source: BlockFile, target: BlockFile, context: ToolContext): Promise<void> {
  const size = source.size();
  const buffer = new Uint8Array(Math.min(CHUNK, Math.max(1, size)));
  const pace = new Pace(context);
  // The size first: what is not written is a hole.
  await present(target, () => target.truncate(size));
  for (let at = 0; at < size;) {
    const from = at;
    const extent = (await present(source, () => source.extent?.(from))) ?? { data: true, bytes: size - at };
    if (!extent.data) {
      at += extent.bytes;
      continue;
    }
    for (const end = at + extent.bytes; at < end;) {
      await pace.step(at, size);
      const wanted = Math.min(buffer.length, end - at);
      const here = at;
      const got = await present(source, () => source.read(buffer.subarray(0, wanted), here));
      if (got === 0) return;
      await present(target, () => target.write(buffer.subarray(0, got), here));
      at += got;
    }
  }
}

async function same(a: string, b: string, context: ToolContext): Promise<boolean> {
  try {
    return (await context.files.identity(a)) === (await context.files.identity(b));
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}
