/** discard, alloc, map, truncate, length, info, flush, aio_flush */
import { BlockError, Prealloc, Status, type BlockStatus } from '../../../engine/contract';
import { Permission } from '../../../files/locks';
import { GraphError } from '../../../graph';
import { toFailure } from '../../failure';
import { ioSize } from '../../human';
import { describeSpecific } from '../../imageinfo';
import { MAX_REQUEST, readNumber } from '../arguments';
import { CommandFailure, SyntaxMistake, type IoCall, type IoCommand } from '../command';
import { bulkPieces, reportTransfer, waitFor } from '../transfer';

export const discard: IoCommand = {
  name: 'discard',
  alias: 'd',
  min: 2,
  syntax: '[-Cq] off len',
  summary: 'discards a number of bytes at a specified offset',
  needs: Permission.WRITE,
  details: [
    'Example: discard 512 1k   gives the kilobyte behind the first sector back',
    '-C      print the figures in one line for programs',
    '-q      do not print figures',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('Cq');
    const [offsetText, bytesText, extra] = operands;
    if (offsetText === undefined || bytesText === undefined || extra !== undefined) throw new SyntaxMistake();
    const offset = readNumber(offsetText);
    const bytes = readNumber(bytesText);
    if (bytes > MAX_REQUEST) {
      throw new CommandFailure(`length cannot exceed ${MAX_REQUEST}, given ${bytesText}`);
    }
    const since = performance.now();
    const { session, user } = call;
    const style = { quiet: flags.has('q'), machine: flags.has('C') };
    const extent = { offset, bytes };
    const run = (): Promise<void> =>
      bulkPieces(session, user, extent, (at, count) => user.discard(at, count));
    return waitFor(call, { writes: false, extent, run }, (failure) => {
      if (failure !== null) throw new CommandFailure(`discard failed: ${toFailure(failure).message}`);
      reportTransfer(session, 'discard', extent, since, style);
      return true;
    });
  },
};

/** Goes over a part of the top layer, run by run. */
async function eachRun(
  call: IoCall,
  from: number,
  to: number,
  each: (allocated: boolean, at: number, bytes: number) => void,
  failed: (message: string) => Error,
): Promise<void> {
  const pace = call.session.pace();
  await call.file.requests.beforeStatus();
  for (let at = from; at < to;) {
    const status = await statusAt(call, at, to - at, failed);
    if (status.bytes === 0) break;
    each((status.flags & Status.ALLOCATED) !== 0, at, status.bytes);
    at += status.bytes;
    await pace.rest(at - from, to - from);
  }
}

async function statusAt(
  { user }: IoCall,
  at: number,
  bytes: number,
  failed: (message: string) => Error,
): Promise<BlockStatus> {
  try {
    return await user.present(() => user.blockStatus(at, bytes));
  } catch (error) {
    throw failed(toFailure(error).message);
  }
}

export const alloc: IoCommand = {
  name: 'alloc',
  alias: 'a',
  min: 1,
  max: 2,
  syntax: 'offset [count]',
  summary: 'checks if offset is allocated in the file',
  run: async (call) => {
    const [offsetText = '', countText] = call.words;
    const offset = readNumber(offsetText);
    const wanted = countText === undefined ? 512 : readNumber(countText);
    const count = Math.max(0, Math.min(wanted, call.user.length() - offset));
    let allocated = 0;
    await eachRun(
      call,
      offset,
      offset + count,
      (is, _at, bytes) => (allocated += is ? bytes : 0),
      (message) => new CommandFailure(`is_allocated failed: ${message}`),
    );
    call.print(`${allocated}/${count} bytes allocated at offset ${ioSize(offset)}`);
    return true;
  },
};

export const map: IoCommand = {
  name: 'map',
  min: 0,
  max: 0,
  syntax: '',
  summary: 'prints the allocated areas of a file',
  run: async (call) => {
    let start = 0;
    let length = 0;
    let kind = false;
    const flush = (): void => {
      if (length === 0) return;
      const text = kind ? '    allocated' : 'not allocated';
      const size = `${ioSize(length)} (0x${length.toString(16)})`;
      call.print(`${size} bytes ${text} at offset ${ioSize(start)} (0x${start.toString(16)})`);
    };
    const add = (is: boolean, at: number, bytes: number): void => {
      if (length > 0 && is === kind) {
        length += bytes;
        return;
      }
      flush();
      start = at;
      length = bytes;
      kind = is;
    };
    const failed = (message: string): Error => new GraphError(`Failed to get allocation status: ${message}`);
    await eachRun(call, 0, call.user.length(), add, failed);
    flush();
    return true;
  },
};

const PREALLOCATIONS: Readonly<Record<string, Prealloc>> = {
  off: Prealloc.OFF,
  metadata: Prealloc.METADATA,
  falloc: Prealloc.FALLOC,
  full: Prealloc.FULL,
};

export const truncate: IoCommand = {
  name: 'truncate',
  alias: 't',
  min: 1,
  max: 3,
  syntax: '[-m prealloc_mode] off',
  summary: 'truncates the current file at the given offset',
  needs: Permission.WRITE | Permission.RESIZE,
  run: async (call) => {
    const { flags, operands } = call.options('m:');
    const mode = flags.get('m') ?? 'off';
    const preallocation = PREALLOCATIONS[mode];
    if (preallocation === undefined) {
      call.session.complain(`qemu-io: Invalid preallocation mode '${mode}'`);
      return false;
    }
    const [offsetText] = operands;
    if (offsetText === undefined) throw new SyntaxMistake();
    const size = readNumber(offsetText);
    const { user } = call;
    await call.file.requests.drain();
    await user.present(() => user.truncate(size, preallocation));
    return true;
  },
};

export const length: IoCommand = {
  name: 'length',
  alias: 'l',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'gets the length of the current file',
  run: (call) => {
    call.print(ioSize(call.user.length()));
    return true;
  },
};

export const info: IoCommand = {
  name: 'info',
  alias: 'i',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'prints information about the current file',
  run: async (call) => {
    const { node } = call.user;
    const told = await call.user.present(() => call.user.info());
    call.print(`format name: ${told.format}`);
    // A protocol has a second name, which is the same for all drivers there are.
    if (node.isProtocol) call.print(`format name: ${told.format}`);
    // These drivers have nothing to tell, which makes the command fail.
    if (told['dirty-flag'] === undefined) return false;
    const cluster = told['cluster-size'] ?? 0;
    call.print(`cluster size: ${ioSize(cluster)}`);
    // The state of a virtual machine starts behind the part that whole tables of the first level map.
    let image = node;
    while (image.isFilter && image.filtered) image = image.filtered;
    const { 'format-specific': specific } = await call.user.present(() => call.user.infoOf(image));
    const extended = specific?.type === 'qcow2' && specific.data['extended-l2'] === true;
    const perTable = cluster * (cluster / (extended ? 16 : 8));
    const isQcow2 = image.driver === 'qcow2';
    const state = isQcow2 ? Math.ceil(told['virtual-size'] / perTable) * perTable : 0;
    call.print(`vm state offset: ${ioSize(state)}`);
    call.session.context.stdout(describeSpecific(told));
    return true;
  },
};

export const flush: IoCommand = {
  name: 'flush',
  alias: 'f',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'flush all in-core file state to disk',
  run: async ({ file, user }) => {
    try {
      await file.requests.flush(async () => user.present(() => user.flush()));
    } catch (error) {
      // The real tool says so by its exit code alone.
      if (error instanceof BlockError) return false;
      throw error;
    }
    return true;
  },
};

export const aioFlush: IoCommand = {
  name: 'aio_flush',
  min: 0,
  max: 0,
  syntax: null,
  summary: 'completes all outstanding aio requests',
  run: async (call) => {
    await call.file.requests.drain();
    return true;
  },
};
