/** rm, mkdir */
import { Errno, FileError, strerror } from '../../files/contract';
import { CommandError, join, parse, reason, withHint, type ShellCommand } from './command';

export const rm: ShellCommand = {
  name: 'rm',
  summary: 'removes files; a local file that was opened in place is only let go of',
  usage: '[-rf] FILE...',
  details: ['  -r  directories with all that is in them', '  -f  no message about files that do not exist'],
  arguments: 'files',
  run: async (words, context) => {
    const { operands, options } = parse('rm', words, 'rRf');
    const recursive = options.has('r') || options.has('R');
    const force = options.has('f');
    if (operands.length === 0 && !force) throw new CommandError(withHint('rm', 'missing operand'));
    let code = 0;
    for (const path of operands) {
      try {
        const { kind } = await context.files.info(path);
        if (kind === 'directory' && !recursive) throw new FileError(Errno.EISDIR);
        await context.files.remove(path, { recursive });
      } catch (error) {
        const text = reason(error);
        if (force && error instanceof FileError && error.errno === Errno.ENOENT) continue;
        context.stderr(`rm: cannot remove '${path}': ${text}\n`);
        code = 1;
      }
    }
    return code;
  },
};

export const mkdir: ShellCommand = {
  name: 'mkdir',
  summary: 'makes directories',
  usage: '[-p] DIRECTORY...',
  details: ['  -p  those above too; one that exists is no error'],
  arguments: 'files',
  run: async (words, context) => {
    const { operands, options } = parse('mkdir', words, 'p');
    if (operands.length === 0) throw new CommandError(withHint('mkdir', 'missing operand'));
    let code = 0;
    for (const path of operands) {
      const parts = path.split('/');
      // With -p each prefix of the path, one after the other.
      const paths = options.has('p')
        ? parts.map((_part, index) => join('', parts.slice(0, index + 1).join('/')))
        : [path];
      for (const one of paths) {
        if (one === '') continue;
        try {
          await context.files.makeDirectory(one);
        } catch (error) {
          let text = reason(error);
          if (options.has('p') && error instanceof FileError && error.errno === Errno.EEXIST) {
            if ((await context.files.info(one)).kind === 'directory') continue;
            if (one !== paths.at(-1)) text = strerror(Errno.ENOTDIR);
          }
          context.stderr(`mkdir: cannot create directory '${one}': ${text}\n`);
          code = 1;
          break;
        }
      }
    }
    return code;
  },
};
