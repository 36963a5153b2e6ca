/** qemu-img dd */
import type { BlockUser } from '../../graph';
import { step, ToolFailure } from '../failure';
import { Pace } from '../pace';
import { COMMON, readSizeArgument, type Verb, type VerbSession } from './verb';
import { SECTOR } from './zeroruns';

const MAX_BLOCK = 2n ** 31n - 1n;
const DEFAULT_BLOCK = 512n;
/** Data moves in pieces of at most this many bytes, however small the blocks are. */
const PIECE = 2 * 1024 * 1024;

/** Copies blocks of an image into a new one. */
export const dd: Verb = {
  name: 'dd',
  summary: 'Copy blocks of an image into a new one',
  operands: 'if=FILE of=FILE [bs=SIZE] [count=N] [skip=N]',
  options: [
    COMMON.help,
    { ...COMMON.format, help: 'format of the input (default: looked at)' },
    { short: 'O', long: ['output-format'], value: 'FMT', help: 'format of the output (default: raw)' },
    { ...COMMON.imageOpts, help: 'the name of the input is a list of options, key=value,...' },
    COMMON.forceShare,
    COMMON.object,
  ],
  run: async (session) => {
    let imageOpts = false;
    let inputFormat: string | undefined;
    let format = 'raw';
    let forceShare = false;
    for await (const { code, value } of session.options()) {
      if (code === 'f') inputFormat = value;
      else if (code === 'O') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 'U') forceShare = true;
    }
    const { input, output, block, count, skip } = readOperands(session.operands);
    const graph = session.graph();
    const source = await session.open(
      graph,
      { name: input, imageOpts, format: inputFormat },
      { readOnly: true, forceShare },
    );
    checkFormat(session, format, output);
    let end = BigInt(Math.ceil(source.length() / SECTOR) * SECTOR);
    // Counted from the start of the input, not from the first block that is copied.
    if (count !== undefined && count * block < end) end = count * block;
    const from = skip * block;
    const size = from > end ? 0 : Number(end - from);
    await step(`${output}: error while creating output image: `, () =>
      graph.createImage({ filename: output, format, values: { size } }),
    );
    const target = await session.open(graph, { name: output, imageOpts: false, format }, {});
    if (from > end) {
      // That is no failure.
      session.context.stderr(`qemu-img: ${input}: cannot skip to specified offset\n`);
    } else {
      await copyOrDiscard(session, { source, target, output, from: Number(from), bytes: size });
    }
    await target.close();
    await source.close();
    return 0;
  },
};

interface Operands {
  input: string;
  output: string;
  /** Bytes of a block. */
  block: bigint;
  /** Blocks; undefined: all. */
  count: bigint | undefined;
  skip: bigint;
}

function readOperands(words: readonly string[]): Operands {
  let input: string | undefined;
  let output: string | undefined;
  let block = DEFAULT_BLOCK;
  let count: bigint | undefined;
  let skip = 0n;
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const value = word.slice(equals + 1);
    if (equals < 0) throw new ToolFailure(`unrecognized operand ${name}`);
    if (name === 'if') input = value;
    else if (name === 'of') output = value;
    else if (name === 'bs') block = readSizeArgument('bs', value, MAX_BLOCK, 1n);
    else if (name === 'count') count = readSizeArgument('count', value);
    else if (name === 'skip') skip = readSizeArgument('skip', value);
    else throw new ToolFailure(`unrecognized operand ${name}`);
  }
  if (input === undefined || output === undefined) {
    throw new ToolFailure('Must specify both input and output files');
  }
  return { input, output, block, count, skip };
}

function checkFormat(session: VerbSession, format: string, output: string): void {
  try {
    session.graph().createSupport(format, output);
  } catch (error) {
    // The real tool does not say which one.
    const unknown = error instanceof Error && error.message === `Unknown file format '${format}'`;
    throw unknown ? new ToolFailure('Unknown file format') : error;
  }
}

interface Copy {
  source: BlockUser;
  target: BlockUser;
  output: string;
  /** Offset in the source, and bytes. */
  from: number;
  bytes: number;
}

/** Half an image is of no use to anybody who stopped its making. */
async function copyOrDiscard(session: VerbSession, copy: Copy): Promise<void> {
  try {
    await copyBlocks(session, copy);
  } catch (error) {
    if (session.context.signal.aborted) {
      await copy.target.close().catch(() => undefined);
      await session.context.files.remove(copy.output).catch(() => undefined);
    }
    throw error;
  }
}

async function copyBlocks(session: VerbSession, { source, target, from, bytes }: Copy): Promise<void> {
  const { context } = session;
  const buffer = context.engine.alloc(PIECE);
  const pace = new Pace(context);
  try {
    for (let done = 0; done < bytes;) {
      const n = Math.min(PIECE, bytes - done);
      await step('error while reading from input image file: ', () =>
        source.present(() => source.read(from + done, n, buffer)),
      );
      await step('error while writing to output image file: ', () =>
        target.present(() => target.write(done, n, buffer)),
      );
      done += n;
      await pace.rest(done, bytes);
    }
  } finally {
    buffer.free();
  }
}
