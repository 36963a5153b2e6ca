/** open, close, reopen */
import { CACHE_MODES, GraphError, type CacheMode, type QDict } from '../../../graph';
import { imageOptions } from '../../optionlist';
import { Permission } from '../../../files/locks';
import { CommandFailure, SyntaxMistake, type IoCall, type IoCommand } from '../command';
import { OpenOptions, readCacheMode } from '../openoptions';
import type { IoOpenRequest } from '../session';

export const open: IoCommand = {
  name: 'open',
  alias: 'o',
  min: 1,
  syntax: '[-rsCnkU] [-t cache] [-d discard] [-o options] [path]',
  summary: 'open the file specified by path',
  fileless: true,
  details: [
    'Example: open -r -o driver=raw disk.img   opens a raw image to read',
    '-r      open it read-only',
    '-U      open it even if another process writes to it',
    '-n, -t  how to cache (-n is -t none)',
    '-d      what to do with discards: ignore or unmap',
    '-o      options, key=value,...',
    '-s      write to a temporary image above it',
    '-C      keep what is read from backing files',
    '-k, -i  how the host does the requests; changes nothing here',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('rsCnkUt:d:i:o:');
    const options = new OpenOptions();
    for (const [letter, value] of flags) options.take(letter, value);
    const list = flags.get('o');
    if (list !== undefined && call.session.imageOpts) {
      throw new CommandFailure("--image-opts and 'open -o' are mutually exclusive");
    }
    const [path, extra] = operands;
    if (extra !== undefined || (path === undefined && list === undefined)) throw new SyntaxMistake();
    const request: IoOpenRequest = options.request();
    const warn = (text: string): void => call.session.warn(text);
    if (list !== undefined) request.options = imageOptions(list, undefined, warn);
    if (path !== undefined && call.session.imageOpts) request.options = imageOptions(path, undefined, warn);
    else if (path !== undefined) request.filename = path;
    return call.session.open(request);
  },
};

export const close: IoCommand = {
  name: 'close',
  alias: 'c',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'close the current open file',
  run: async (call) => {
    await call.session.close();
    return true;
  },
};

export const reopen: IoCommand = {
  name: 'reopen',
  min: 0,
  syntax: '[(-r|-w)] [-c cache] [-o options]',
  summary: 'reopens an image with new options',
  details: [
    'Example: reopen -o lazy-refcounts=on',
    '-r, -w  make it read-only or writable',
    '-c      how to cache',
    '-o      options, key=value,...',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('o:rwc:');
    const complain = (text: string): boolean => {
      call.session.complain(`qemu-io: ${text}`);
      return false;
    };
    const cacheText = flags.get('c');
    const cache = cacheText === undefined ? undefined : readCacheMode(cacheText);
    if (flags.has('r') && flags.has('w')) return complain('Only one -r/-w option may be given');
    if (operands.length > 0) throw new SyntaxMistake();
    const list = flags.get('o');
    const changes =
      list === undefined ? {} : imageOptions(list, undefined, (text) => call.session.warn(text));
    const readOnly = flags.has('r') ? true : flags.has('w') ? false : undefined;
    if (readOnly !== undefined && changes['read-only'] !== undefined) {
      return complain("Cannot set both -r/-w and 'read-only'");
    }
    if (cache !== undefined && ('cache.direct' in changes || 'cache.no-flush' in changes)) {
      return complain('Cannot set both -c and the cache options');
    }
    return openAgain(call, changes, { readOnly, cache });
  },
};

/** Gives the image new options where it is. */
async function openAgain(
  call: IoCall,
  changes: QDict,
  { readOnly, cache }: { readOnly: boolean | undefined; cache: CacheMode | undefined },
): Promise<boolean> {
  const { file, user, session } = call;
  await file.requests.drain();
  const options: QDict = { ...changes };
  if (readOnly !== undefined) options['read-only'] = readOnly;
  const mode = cache === undefined ? null : CACHE_MODES[cache];
  if (mode) Object.assign(options, { 'cache.direct': mode.direct, 'cache.no-flush': mode.noFlush });
  const { perm, shared } = user;
  try {
    // Who asks for it in so many words does not write any more.
    if (readOnly) await user.setPermissions(perm & ~Permission.WRITE, shared);
    if (file.copyOnRead !== null && turnsReadOnly(options)) {
      throw new GraphError(`Can't set node '${user.node.name}' to r/o with copy-on-read enabled`);
    }
    await user.reopen(options, mode?.writeThrough);
    if (!user.node.readOnly) await user.setPermissions(user.perm | Permission.WRITE, shared);
    return true;
  } catch (error) {
    await user.setPermissions(perm, shared);
    session.report(error);
    return false;
  }
}

function turnsReadOnly({ 'read-only': wanted }: QDict): boolean {
  return wanted === true || wanted === 'on';
}
