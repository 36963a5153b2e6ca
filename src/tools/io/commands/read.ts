/** read, readv, aio_read */
import type { IoBuffer } from '../../../engine/contract';
import { CommandFailure, SyntaxMistake, type Flags, type IoCall, type IoCommand } from '../command';
import { MAX_REQUEST, needSectors, readLengths, readNumber, readPattern } from '../arguments';
import { toFailure } from '../../failure';
import { NOWHERE, type Extent } from '../extent';
import { dump, readPieces, reportTransfer, vmStateOf, waitFor } from '../transfer';

/** The part of what was read that must have a pattern. */
interface Check {
  pattern: number;
  /** From the start of what was read. */
  start: number;
  bytes: number;
}

/** Where a read goes, and what shows of it. */
interface Reading {
  extent: Extent;
  flags: Flags;
  check: Check | null;
  /** Starts the text of a failure. */
  failed: string;
  /** Not the disk: the state of a virtual machine. */
  vmState?: boolean;
}

/** A read that can be sent more than once; `report` dumps and checks what it got, and answers whether that was right. */
function makeRead(call: IoCall, { extent, flags, check, failed, vmState = false }: Reading) {
  const since = performance.now();
  const { session, user, file } = call;
  let wrong = false;
  let text = '';
  const target = vmState
    ? vmStateOf(user)
    : {
        length: () => user.length(),
        read: (offset: number, bytes: number, buffer: IoBuffer) => file.read(offset, bytes, buffer),
      };
  return {
    writes: false,
    extent,
    run: (): Promise<void> => {
      wrong = false;
      text = '';
      return readPieces(session, target, extent, (bytes, at) => {
        if (check) {
          const from = Math.max(check.start - at, 0);
          const to = Math.min(check.start + check.bytes - at, bytes.length);
          if (from < to && bytes.subarray(from, to).some((byte) => byte !== check.pattern)) wrong = true;
        }
        if (flags.has('v')) text += dump(bytes, extent.offset + at);
      });
    },
    report: (failure: unknown): boolean => {
      if (failure !== null) {
        call.print(`${failed}: ${toFailure(failure).message}`);
        return false;
      }
      if (check && wrong) {
        const start = extent.offset + check.start;
        call.print(`Pattern verification failed at offset ${start}, ${check.bytes} bytes`);
      }
      session.context.stdout(text);
      reportTransfer(session, 'read', extent, since, { quiet: flags.has('q'), machine: flags.has('C') });
      return !wrong;
    },
  };
}

/** Reads, dumps and checks; answers whether it went well, and the pattern was right. */
function readAndReport(call: IoCall, reading: Reading): Promise<boolean> {
  const request = makeRead(call, reading);
  // The state of a machine is no part of the disk, and has no end.
  const sent = reading.vmState ? { ...request, extent: NOWHERE } : request;
  return waitFor(call, sent, (failure) => request.report(failure));
}

function wholeCheck(flags: Flags, bytes: number): Check | null {
  const pattern = flags.get('P');
  return pattern === undefined ? null : { pattern: readPattern(pattern), start: 0, bytes };
}

export const read: IoCommand = {
  name: 'read',
  alias: 'r',
  min: 2,
  syntax: '[-abCqrv] [-P pattern [-s off] [-l len]] off len',
  summary: 'reads a number of bytes at a specified offset',
  details: [
    'Example: read -v 512 1k   dumps the kilobyte behind the first sector',
    '-b      read the state of a virtual machine that the image keeps',
    '-C      print the figures in one line for programs',
    '-P, -s, -l   the bytes from -s on, -l of them, must all be this byte',
    '-q      do not print figures',
    '-v      dump what was read',
    '-p, -r  change nothing here',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('bCl:pP:qrs:v');
    const number = (letter: string): number | undefined => {
      const text = flags.get(letter);
      return text === undefined ? undefined : readNumber(text);
    };
    const patternText = flags.get('P');
    const pattern = patternText === undefined ? undefined : readPattern(patternText);
    const length = number('l');
    const start = number('s');
    const [offsetText, bytesText, extra] = operands;
    if (offsetText === undefined || bytesText === undefined || extra !== undefined) throw new SyntaxMistake();
    const offset = readNumber(offsetText);
    const bytes = readNumber(bytesText);
    if (bytes > MAX_REQUEST) {
      throw new CommandFailure(`length cannot exceed ${MAX_REQUEST}, given ${bytesText}`);
    }
    if (pattern === undefined && (length !== undefined || start !== undefined)) throw new SyntaxMistake();
    const from = start ?? 0;
    const count = length ?? bytes - from;
    if (from + count > bytes || count < 0) {
      throw new CommandFailure('pattern verification range exceeds end of read data');
    }
    if (flags.has('b')) {
      needSectors(offset, bytes);
      if (flags.has('r'))
        throw new CommandFailure('I/O buffer registration is not supported when reading from vmstate');
    }
    const check = pattern === undefined ? null : { pattern, start: from, bytes: count };
    return readAndReport(call, {
      extent: { offset, bytes },
      flags,
      check,
      failed: 'read failed',
      vmState: flags.has('b'),
    });
  },
};

export const readv: IoCommand = {
  name: 'readv',
  min: 2,
  syntax: '[-Cqrv] [-P pattern] off len [len..]',
  summary: 'reads a number of bytes at a specified offset',
  details: ['Example: readv -v 512 1k 1k   reads two kilobytes as one request', 'Options as for read.'],
  run: async (call) => {
    const { flags, operands } = call.options('CP:qrv');
    const [offsetText, ...lengths] = operands;
    if (flags.has('P')) readPattern(flags.get('P') ?? '');
    if (offsetText === undefined || lengths.length === 0) throw new SyntaxMistake();
    const offset = readNumber(offsetText);
    const bytes = readLengths(lengths);
    return readAndReport(call, {
      extent: { offset, bytes },
      flags,
      check: wholeCheck(flags, bytes),
      failed: 'readv failed',
    });
  },
};

export const aioRead: IoCommand = {
  name: 'aio_read',
  min: 2,
  syntax: '[-Ciqrv] [-P pattern] off len [len..]',
  summary: 'asynchronously reads a number of bytes',
  details: [
    'Ends by itself, and says so when another command waits (aio_flush: for all); failing does not make the command fail.',
    '-i      count an invalid request instead',
    'Other options as for read.',
  ],
  run: async (call) => {
    const { flags, operands } = call.options('CiP:qrv');
    if (flags.has('P')) readPattern(flags.get('P') ?? '');
    if (flags.has('i')) {
      call.print('injecting invalid read request');
      return true;
    }
    const [offsetText, ...lengths] = operands;
    if (offsetText === undefined || lengths.length === 0) throw new SyntaxMistake();
    const offset = readNumber(offsetText);
    const bytes = readLengths(lengths);
    const request = makeRead(call, {
      extent: { offset, bytes },
      flags,
      check: wholeCheck(flags, bytes),
      failed: 'readv failed',
    });
    await call.file.requests.issue({ ...request, report: (failure) => void request.report(failure) });
    return true;
  },
};
