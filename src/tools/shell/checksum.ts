/** sha256sum */
import { createSHA256 } from 'hash-wasm';
import { Errno, FileError, present } from '../../files/contract';
import type { ToolContext } from '../context';
import { CommandError, Pace, parse, reason, withHint, type ShellCommand } from './command';

const CHUNK = 1 << 20;

export const sha256sum: ShellCommand = {
  name: 'sha256sum',
  summary: 'prints the SHA-256 of files',
  usage: 'FILE...',
  arguments: 'files',
  run: async (words, context) => {
    const { operands } = parse('sha256sum', words, 'b');
    if (operands.length === 0) throw new CommandError(withHint('sha256sum', 'missing operand'));
    let code = 0;
    for (const path of operands) {
      try {
        context.stdout(`${await digest(path, context)}  ${path}\n`);
      } catch (error) {
        context.stderr(`sha256sum: ${path}: ${reason(error)}\n`);
        code = 1;
      }
    }
    return code;
  },
};

async function digest(path: string, context: ToolContext): Promise<string> {
  const { kind } = await context.files.info(path);
  if (kind === 'directory') throw new FileError(Errno.EISDIR);
  const file = await context.files.open(path, { write: false });
  try {
    const hash = await createSHA256();
    const size = file.size();
    const buffer = new Uint8Array(Math.min(CHUNK, Math.max(1, size)));
    const pace = new Pace(context);
    for (let at = 0; at < size;) {
      await pace.step(at, size);
      const piece = buffer.subarray(0, Math.min(buffer.length, size - at));
      const from = at;
      const got = await present(file, () => file.read(piece, from));
      if (got === 0) break;
      hash.update(buffer.subarray(0, got));
      at += got;
    }
    return hash.digest('hex');
  } finally {
    file.close();
  }
}
