/** open, close, reopen */
import type { QDict } from '../../../graph';
import { imageOptions } from '../../optionlist';
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

/** Options that may change while the image stays open. */
const CHANGEABLE: ReadonlySet<string> = new Set([
  'read-only',
  'auto-read-only',
  'cache.direct',
  'cache.no-flush',
  'cache.writeback',
  'discard',
  'detect-zeroes',
  'offset',
  'size',
  'lazy-refcounts',
  'pass-discard-request',
  'pass-discard-snapshot',
  'pass-discard-other',
  'discard-no-unref',
  'overlap-check',
  'overlap-check.template',
  'cache-size',
  'l2-cache-size',
  'l2-cache-entry-size',
  'refcount-cache-size',
  'cache-clean-interval',
]);

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
    if (cache !== undefined && Object.keys(changes).some((key) => key.startsWith('cache.'))) {
      return complain('Cannot set both -c and the cache options');
    }
    for (const [key, value] of Object.entries(changes)) {
      if (!CHANGEABLE.has(key) && !isUnchanged(call, key, value))
        return complain(`Cannot change the option '${key}'`);
    }
    return openAgain(call, changes, { readOnly, cache });
  },
};

function isUnchanged(call: IoCall, key: string, value: unknown): boolean {
  return key === 'driver' && value === call.user.node.driver;
}

/** Closes the image and opens it with the new options; if that fails, with the old ones. */
async function openAgain(
  call: IoCall,
  changes: QDict,
  how: { readOnly: boolean | undefined; cache: IoOpenRequest['cache'] | undefined },
): Promise<boolean> {
  const { session } = call;
  const before = session.file?.request;
  if (!before) return false;
  const request: IoOpenRequest = { ...before, format: call.user.node.driver };
  const { 'read-only': readOnlyText, ...others } = changes;
  if (Object.keys(others).length > 0) request.options = { ...before.options, ...others };
  if (before.options?.driver !== undefined) delete request.format;
  if (how.readOnly !== undefined) request.readOnly = how.readOnly;
  else if (readOnlyText !== undefined) request.readOnly = readOnlyText === 'on';
  if (how.cache !== undefined) request.cache = how.cache;
  await session.file?.requests.drain();
  await session.drop();
  try {
    session.file = await session.openFile(request);
    return true;
  } catch (error) {
    session.report(error);
    session.file = await session.openFile(before);
    return false;
  }
}
