/** qemu-img measure */
import { Status } from '../../engine/contract';
import { luksHeaderBytes, type BlockUser } from '../../graph';
import { step, ToolExit, ToolFailure, toFailure } from '../failure';
import { prettyJson } from '../json';
import { asksForHelp, joinOptionLists, parseCreateOptions } from '../optionlist';
import { Pace } from '../pace';
import { keepsBitmaps, keptBitmaps } from './copybitmaps';
import { printCreateHelp } from './createhelp';
import { qcow2Layout, type Qcow2Layout } from './qcow2size';
import { otherOptions } from './otheroptions';
import { readSnapshot, showSnapshot, type SnapshotName } from './sourcesnapshot';
import { COMMON, readOutputFormat, readSizeArgument, type Verb, type VerbSession } from './verb';

const SECTOR = 512n;

/** Says how much room an image will take. */
export const measure: Verb = {
  name: 'measure',
  summary: 'Say how much room a new image will take',
  operands: '[FILE]',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 'O', long: ['target-format'], value: 'FMT', help: 'format of the new image (default: raw)' },
    {
      short: 'o',
      long: ['options'],
      value: 'OPTIONS',
      help: 'options of the format, key=value,...; -o help lists them',
    },
    { short: 'l', long: ['snapshot'], value: 'SNAPSHOT', help: 'measure this internal snapshot of FILE' },
    { short: 's', long: ['size'], value: 'SIZE', help: 'size of the disk, in place of FILE' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.output,
  ],
  run: async (session) => {
    const call = await readCall(session);
    const graph = session.graph();
    let source: BlockUser | null = null;
    if (call.filename !== undefined) {
      const { imageOpts, format, forceShare } = call;
      const image = { name: call.filename, imageOpts, format };
      source = await session.open(graph, image, { readOnly: true, forceShare });
      if (call.snapshot !== undefined) await showSnapshot([source], call.snapshot);
    }
    const options = otherOptions(call.target) ?? graph.createSupport(call.target).options;
    const values = await withNote(session, call.target, () => parseCreateOptions(call.list, options));
    const size = source ? BigInt(source.length()) : (call.size ?? 0n);
    const sectors = ((size + SECTOR - 1n) / SECTOR) * SECTOR;
    const secret = (id: string): void => void graph.secrets.lookup(id);
    if (call.target === 'qcow2') {
      const layout = qcow2Layout(values, secret);
      print(session, call.output, await measureQcow2(session, source, sectors, layout));
    } else if (call.target === 'raw') {
      print(session, call.output, { required: sectors, full: sectors, bitmaps: null });
    } else if (call.target === 'luks') {
      // Not in whole sectors, unlike the others.
      const bytes = size + BigInt(luksHeaderBytes(values, '', secret));
      print(session, call.output, { required: bytes, full: bytes, bitmaps: null });
    } else {
      throw new ToolFailure(`Block driver '${call.target}' does not support size measurement`);
    }
    await source?.close();
    return 0;
  },
};

interface Call {
  filename: string | undefined;
  size: bigint | undefined;
  snapshot: SnapshotName | undefined;
  format: string | undefined;
  target: string;
  imageOpts: boolean;
  forceShare: boolean;
  list: string;
  output: 'human' | 'json';
}

async function readCall(session: VerbSession): Promise<Call> {
  const call: Call = {
    filename: undefined,
    size: undefined,
    snapshot: undefined,
    format: undefined,
    target: 'raw',
    imageOpts: false,
    forceShare: false,
    list: '',
    output: 'human',
  };
  const lists: string[] = [];
  for await (const { code, value } of session.options()) {
    if (code === 'f') call.format = value;
    else if (code === 'O') call.target = value;
    else if (code === 'o') {
      lists.push(value);
      joinOptionLists(lists);
    } else if (code === 'l') call.snapshot = readSnapshot(value);
    else if (code === 's') call.size = readSizeArgument('image size', value);
    else if (code === 'U') call.forceShare = true;
    else if (code === 'image-opts') call.imageOpts = true;
    else if (code === 'output') call.output = readOutputFormat(value);
  }
  call.list = joinOptionLists(lists);
  const [filename, ...more] = session.operands;
  if (more.length > 0) throw new ToolFailure('At most one filename argument is allowed.');
  if (
    filename === undefined &&
    (call.imageOpts || call.format !== undefined || call.snapshot !== undefined)
  ) {
    throw new ToolFailure('--image-opts, -f, and -l require a filename argument.');
  }
  if (filename === undefined && call.size === undefined) {
    throw new ToolFailure('Either --size N or one filename must be specified.');
  }
  if (filename !== undefined && call.size !== undefined) {
    throw new ToolFailure('--size N cannot be used together with a filename.');
  }
  if (asksForHelp(call.list)) throw new ToolExit(printCreateHelp(session, call.target, undefined));
  call.filename = filename;
  return call;
}

/** Reads the options of the new image; a mistake gets a second line that names the format. */
async function withNote<T>(session: VerbSession, format: string, read: () => T): Promise<T> {
  try {
    return await step('', read);
  } catch (error) {
    const failure = toFailure(error);
    session.context.stderr(
      [`qemu-img: ${failure.message}`, ...failure.hints].map((line) => `${line}\n`).join(''),
    );
    throw new ToolFailure(`Invalid options for file format '${format}'`);
  }
}

/** Bytes; `bitmaps` null: it does not apply. */
interface Measurement {
  required: bigint;
  full: bigint;
  bitmaps: bigint | null;
}

async function measureQcow2(
  session: VerbSession,
  source: BlockUser | null,
  size: bigint,
  layout: Qcow2Layout,
): Promise<Measurement> {
  const full = layout.fullSize(size);
  const rounded = layout.roundUp(size);
  let data = layout.wholeDisk ? rounded : 0n;
  if (!layout.wholeDisk && source) {
    data = BigInt(await allocatedBytes(session, source, Number(layout.clusterSize)));
  }
  return {
    required: full - rounded + data,
    full,
    bitmaps: layout.bitmaps ? await bitmapBytes(session, source, layout) : null,
  };
}

/** Bytes of the clusters that the source has data in. */
async function allocatedBytes(session: VerbSession, source: BlockUser, cluster: number): Promise<number> {
  const pace = new Pace(session.context);
  const wanted = Status.DATA | Status.ALLOCATED;
  const length = source.length();
  let data = 0;
  for (let at = 0; at < length;) {
    const { flags, bytes } = await step('Unable to get block status: ', () =>
      source.present(() => source.blockStatusAbove(null, at, length - at)),
    );
    let next = at + bytes;
    if ((flags & wanted) === wanted && !(flags & Status.ZERO)) {
      next = Math.ceil(next / cluster) * cluster;
      data += (at % cluster) + next - at;
    }
    if (bytes === 0) break;
    at = next;
    await pace.rest(at, length);
  }
  return data;
}

/** What the source's persistent bitmaps take in the new image; null: the source cannot have any. */
async function bitmapBytes(
  session: VerbSession,
  source: BlockUser | null,
  layout: Qcow2Layout,
): Promise<bigint | null> {
  if (!source || !(await keepsBitmaps(source))) return null;
  const persistent = keptBitmaps(session.context.engine.bitmaps, source);
  return layout.bitmapSize(BigInt(source.length()), persistent);
}

function print(session: VerbSession, output: 'human' | 'json', told: Measurement): void {
  const { required, full, bitmaps } = told;
  if (output === 'json') {
    const shown = { required, 'fully-allocated': full, ...(bitmaps !== null && { bitmaps }) };
    session.context.stdout(`${prettyJson(shown)}\n`);
    return;
  }
  session.context.stdout(`required size: ${required}\nfully allocated size: ${full}\n`);
  if (bitmaps !== null) session.context.stdout(`bitmaps size: ${bitmaps}\n`);
}
