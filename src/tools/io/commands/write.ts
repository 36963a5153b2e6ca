/** write, writev, aio_write */
import { RequestFlag } from '../../../engine/contract';
import { FileError, present } from '../../../files/contract';
import { Permission } from '../../../files/locks';
import { MAX_REQUEST, needSectors, readLengths, readNumber, readPattern } from '../arguments';
import { CommandFailure, SyntaxMistake, type Flags, type IoCall, type IoCommand } from '../command';
import { toFailure } from '../../failure';
import { NOWHERE, type Extent } from '../extent';
import { bulkPieces, compressPieces, reportTransfer, vmStateOf, waitFor, writePieces } from '../transfer';

const DEFAULT_PATTERN = 0xcd;

/** Puts bytes into a piece that starts at `at` of the request. */
type Fill = (bytes: Uint8Array, at: number) => void;

const fillWith =
  (pattern: number): Fill =>
  (bytes) =>
    void bytes.fill(pattern);

function requestFlags(flags: Flags): number {
  return (
    (flags.has('f') ? RequestFlag.FUA : 0) |
    (flags.has('u') ? RequestFlag.MAY_UNMAP : 0) |
    (flags.has('n') ? RequestFlag.NO_FALLBACK : 0)
  );
}

/** Where a write goes, and what shows of it. */
interface Writing {
  extent: Extent;
  flags: Flags;
  /** null: zeros. */
  fill: Fill | null;
  /** Starts the text of a failure. */
  failed: string;
  /** Not the disk: the state of a virtual machine. */
  vmState?: boolean;
}

/** A write that can be sent more than once; `report` prints the result, and answers whether it went well. */
function makeWrite(call: IoCall, { extent, flags, fill, failed, vmState = false }: Writing) {
  const since = performance.now();
  const { session, user } = call;
  const bits = requestFlags(flags);
  return {
    writes: true,
    extent,
    run: (): Promise<void> => {
      if (!fill) {
        return bulkPieces(session, user, extent, (offset, bytes) => user.writeZeroes(offset, bytes, bits));
      }
      if (flags.has('c')) return compressPieces(session, user, extent, bits, fill);
      return writePieces(session, vmState ? vmStateOf(user) : user, extent, bits, fill);
    },
    report: (failure: unknown): boolean => {
      if (failure !== null) {
        call.print(`${failed}: ${toFailure(failure).message}`);
        return false;
      }
      reportTransfer(session, 'wrote', extent, since, { quiet: flags.has('q'), machine: flags.has('C') });
      return true;
    },
  };
}

/** Writes and prints the result; answers whether it went well. */
function writeAndReport(call: IoCall, writing: Writing): Promise<boolean> {
  const request = makeWrite(call, writing);
  // The state of a machine is no part of the disk, and has no end.
  const sent = writing.vmState ? { ...request, extent: NOWHERE } : request;
  return waitFor(call, sent, (failure) => request.report(failure));
}

/** The contents of a file, over and over; null (a complaint was printed) if that cannot be. */
async function fillFromFile(call: IoCall, path: string, bytes: number): Promise<Fill | null> {
  const { session } = call;
  let content: Uint8Array;
  try {
    const file = await session.context.files.open(path, { write: false });
    try {
      const all = new Uint8Array(Math.min(file.size(), bytes));
      await present(file, () => file.read(all, 0));
      content = all;
      if (file.size() === 0) {
        session.complain(`${path}: file is empty`);
        return null;
      }
    } finally {
      file.close();
    }
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    session.complain(`${path}: ${error.message}`);
    return null;
  }
  return (piece, at) => {
    for (let done = 0; done < piece.length;) {
      const from = (at + done) % content.length;
      const part = content.subarray(from, from + piece.length - done);
      piece.set(part, done);
      done += part.length;
    }
  };
}

function checkExclusions(flags: Flags): void {
  const refuse = (condition: boolean, text: string): void => {
    if (condition) throw new CommandFailure(text);
  };
  const has = (letter: string): boolean => flags.has(letter);
  refuse(has('b') && has('z'), '-b and -z cannot be specified at the same time');
  refuse(has('f') && (has('b') || has('c')), '-f and -b or -c cannot be specified at the same time');
  refuse(has('n') && !has('z'), '-n requires -z to be specified');
  refuse(has('u') && !has('z'), '-u requires -z to be specified');
  const contents = ['z', 'P', 's'].filter(has).length;
  refuse(contents > 1, 'Only one of -z, -P, and -s can be specified at the same time');
}

export const write: IoCommand = {
  name: 'write',
  alias: 'w',
  min: 2,
  syntax: '[-bcCfnqruz] [-P pattern | -s source_file] off len',
  summary: 'writes a number of bytes at a specified offset',
  needs: Permission.WRITE,
  details: [
    'Example: write 512 1k   fills the kilobyte behind the first sector with 0xcd',
    '-b      write the state of a virtual machine, which the image keeps beside the disk',
    '-c      write compressed, whole clusters that hold no data yet',
    '-C      print the figures in one line for programs',
    '-f      be on stable storage when it ends',
    '-n      with -z: fail rather than write data',
    '-P      fill with this byte',
    '-q      do not print figures',
    '-s      write the contents of this file, over and over',
    '-u      with -z: space may be given back',
    '-z      write zeros',
    '-p, -r  change nothing here',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('bcCfnpP:qrs:uz');
    const patternText = flags.get('P');
    const pattern = patternText === undefined ? DEFAULT_PATTERN : readPattern(patternText);
    const [offsetText, bytesText, extra] = operands;
    if (offsetText === undefined || bytesText === undefined || extra !== undefined) throw new SyntaxMistake();
    checkExclusions(flags);
    const offset = readNumber(offsetText);
    const bytes = readNumber(bytesText);
    if (bytes > MAX_REQUEST && !flags.has('n')) {
      throw new CommandFailure(`length cannot exceed ${MAX_REQUEST} without -n, given ${bytesText}`);
    }
    if (flags.has('b') || flags.has('c')) needSectors(offset, bytes);
    if (flags.has('z') && flags.has('r')) {
      throw new CommandFailure('cannot combine zero write with registered I/O buffer');
    }
    const extent = { offset, bytes };
    const failed = 'write failed';
    if (flags.has('z')) return writeAndReport(call, { extent, flags, fill: null, failed });
    const source = flags.get('s');
    const fill = source === undefined ? fillWith(pattern) : await fillFromFile(call, source, bytes);
    return fill ? writeAndReport(call, { extent, flags, fill, failed, vmState: flags.has('b') }) : false;
  },
};

export const writev: IoCommand = {
  name: 'writev',
  min: 2,
  syntax: '[-Cfqr] [-P pattern] off len [len..]',
  summary: 'writes a number of bytes at a specified offset',
  needs: Permission.WRITE,
  details: ['Example: writev 512 1k 1k   writes two kilobytes as one request', 'Options as for write.'],
  run: async (call) => {
    const { flags, operands } = call.options('CfqrP:');
    const patternText = flags.get('P');
    const pattern = patternText === undefined ? DEFAULT_PATTERN : readPattern(patternText);
    const [offsetText, ...lengths] = operands;
    if (offsetText === undefined || lengths.length === 0) throw new SyntaxMistake();
    const offset = readNumber(offsetText);
    const bytes = readLengths(lengths);
    return writeAndReport(call, {
      extent: { offset, bytes },
      flags,
      fill: fillWith(pattern),
      failed: 'writev failed',
    });
  },
};

export const aioWrite: IoCommand = {
  name: 'aio_write',
  min: 2,
  syntax: '[-Cfiqruz] [-P pattern] off len [len..]',
  summary: 'asynchronously writes a number of bytes',
  needs: Permission.WRITE,
  details: [
    'Ends by itself, and says so when another command waits (aio_flush: for all); failing does not make the command fail.',
    '-i      count an invalid request instead',
    'Other options as for write.',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('CfiP:qruz');
    const patternText = flags.get('P');
    const pattern = patternText === undefined ? DEFAULT_PATTERN : readPattern(patternText);
    if (flags.has('i')) {
      call.print('injecting invalid write request');
      return true;
    }
    const [offsetText, ...lengths] = operands;
    if (offsetText === undefined || lengths.length === 0) throw new SyntaxMistake();
    const zero = flags.has('z');
    if (zero && lengths.length !== 1) throw new CommandFailure('-z supports only a single length parameter');
    if (flags.has('u') && !zero) throw new CommandFailure('-u requires -z to be specified');
    if (zero && patternText !== undefined)
      throw new CommandFailure('-z and -P cannot be specified at the same time');
    if (zero && flags.has('r'))
      throw new CommandFailure('cannot combine zero write with registered I/O buffer');
    const offset = readNumber(offsetText);
    const bytes = zero ? readNumber(lengths[0] ?? '') : readLengths(lengths);
    const request = makeWrite(call, {
      extent: { offset, bytes },
      flags,
      fill: zero ? null : fillWith(pattern),
      failed: 'aio_write failed',
    });
    await call.file.requests.issue({ ...request, report: (failure) => void request.report(failure) });
    return true;
  },
};
