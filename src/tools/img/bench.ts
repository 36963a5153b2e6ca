/** qemu-img bench */
import { parseInteger } from '../../qapi/size';
import type { IoBuffer } from '../../engine/contract';
import type { BlockUser } from '../../graph';
import { step, ToolFailure } from '../failure';
import { Pace } from '../pace';
import { COMMON, readCache, readSizeArgument, type Verb, type VerbSession } from './verb';

const INT_MAX = 2n ** 31n - 1n;
const AIO_MODES = ['threads', 'native', 'io_uring'];

/** Measures how long requests of one kind take. */
export const bench: Verb = {
  name: 'bench',
  summary: 'Measure how long simple requests to an image take',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 'c', long: ['count'], value: 'COUNT', help: 'how many requests (default: 75000)' },
    {
      short: 'd',
      long: ['depth'],
      value: 'DEPTH',
      help: 'requests at once (default: 64); here they run one by one',
    },
    { short: 's', long: ['buffer-size'], value: 'SIZE', help: 'bytes of a request (default: 4k)' },
    {
      short: 'S',
      long: ['step-size'],
      value: 'SIZE',
      help: 'from one request to the next (default: as its bytes)',
    },
    { short: 'o', long: ['offset'], value: 'OFFSET', help: 'where the first request is (default: 0)' },
    { short: 'w', long: ['write'], help: 'write; what the image holds there is lost' },
    { long: ['pattern'], value: 'BYTE', help: 'what is written (default: 0)' },
    { long: ['flush-interval'], value: 'COUNT', help: 'with -w: a flush after so many requests' },
    {
      long: ['no-drain'],
      help: 'with a flush: do not wait for the requests before it; here none are under way',
    },
    { short: 't', long: ['cache'], value: 'MODE', help: 'cache mode of the image (default: writeback)' },
    { short: 'i', long: ['aio'], value: 'MODE', help: 'threads, native or io_uring; all the same here' },
    { short: 'n', long: ['native'], help: 'as -i native' },
    COMMON.forceShare,
    COMMON.quiet,
  ],
  run: async (session) => {
    const call = await readCall(session);
    const name = session.oneFile();
    const { imageOpts, format, forceShare } = call;
    const how = { cache: call.cache, ...(call.write ? {} : { readOnly: true }), forceShare };
    const user = await session.open(session.graph(), { name, imageOpts, format }, how);
    if (
      call.aio === 'native' &&
      call.cache !== 'none' &&
      call.cache !== 'off' &&
      call.cache !== 'directsync'
    ) {
      const reason = 'aio=native was specified, but it requires cache.direct=on, which was not specified.';
      throw new ToolFailure(`Could not open '${name}': ${reason}`);
    }
    const kind = call.write ? 'write' : 'read';
    const place = `(starting at offset ${call.offset}, step size ${call.step})`;
    const print = (text: string): void => session.context.stdout(`${text}\n`);
    print(
      `Sending ${call.count} ${kind} requests, ${call.bytes} bytes each, ${call.depth} in parallel ${place}`,
    );
    if (call.flushInterval > 0) print(`Sending flush every ${call.flushInterval} requests`);
    const buffer = session.context.engine.alloc(call.bytes);
    const start = performance.now();
    try {
      buffer.view(0, call.bytes).fill(call.pattern);
      await sendAll(session, user, buffer, call);
    } finally {
      buffer.free();
    }
    print(`Run completed in ${((performance.now() - start) / 1000).toFixed(3)} seconds.`);
    await user.close();
    return 0;
  },
};

interface Call {
  imageOpts: boolean;
  format: string | undefined;
  forceShare: boolean;
  cache: ReturnType<typeof readCache>;
  aio: string;
  count: number;
  depth: number;
  /** Of a request. */
  bytes: number;
  /** Bytes from one request to the next. */
  step: number;
  offset: number;
  write: boolean;
  pattern: number;
  /** Requests; 0: never. */
  flushInterval: number;
}

async function readCall(session: VerbSession): Promise<Call> {
  const call: Call = {
    imageOpts: false,
    format: undefined,
    forceShare: false,
    cache: 'writeback',
    aio: 'threads',
    count: 75000,
    depth: 64,
    bytes: 4096,
    step: 0,
    offset: 0,
    write: false,
    pattern: 0,
    flushInterval: 0,
  };
  const actions: Record<string, (value: string) => void> = {
    f: (value) => (call.format = value),
    'image-opts': () => (call.imageOpts = true),
    U: () => (call.forceShare = true),
    c: (value) => (call.count = readCount('request count', value, 1n)),
    d: (value) => (call.depth = readCount('queue depth', value, 1n)),
    s: (value) => (call.bytes = Number(readSizeArgument('buffer size', value, INT_MAX, 1n))),
    S: (value) => (call.step = Number(readSizeArgument('step_size', value, INT_MAX))),
    o: (value) => (call.offset = Number(readSizeArgument('offset', value))),
    w: () => (call.write = true),
    pattern: (value) => (call.pattern = readCount('pattern byte', value, 0n, 255n)),
    'flush-interval': (value) => (call.flushInterval = readCount('flush interval', value, 0n)),
    t: (value) => {
      try {
        call.cache = readCache(value, 'cache option');
      } catch {
        throw new ToolFailure('Invalid cache mode');
      }
    },
    i: (value) => {
      if (!AIO_MODES.includes(value)) throw new ToolFailure(`Invalid aio option: ${value}`);
      call.aio = value;
    },
    n: () => (call.aio = 'native'),
  };
  for await (const { code, value } of session.options()) actions[code]?.(value);
  if (!call.write && call.flushInterval > 0) {
    throw new ToolFailure('--flush-interval is only available in write tests');
  }
  if (call.flushInterval > 0 && call.flushInterval < call.depth) {
    throw new ToolFailure("Flush interval can't be smaller than depth");
  }
  call.step ||= call.bytes;
  return call;
}

/** A plain number: no suffix means anything here. */
function readCount(what: string, text: string, min: bigint, max = INT_MAX): number {
  const value = parseInteger(text);
  if (value === null || value < min || value > max) throw new ToolFailure(`Invalid ${what} specified`);
  return Number(value);
}

async function sendAll(session: VerbSession, user: BlockUser, buffer: IoBuffer, call: Call): Promise<void> {
  const pace = new Pace(session.context);
  const length = user.length();
  let { offset } = call;
  for (let sent = 1; sent <= call.count; sent++) {
    const request = (): void => {
      if (call.write) user.write(offset, call.bytes, buffer);
      else user.read(offset, call.bytes, buffer);
      if (call.flushInterval > 0 && sent % call.flushInterval === 0) user.flush();
    };
    await step('Failed request: ', () => user.present(request));
    offset += call.step;
    if (length > 0) offset %= length;
    await pace.rest(sent, call.count);
  }
}
