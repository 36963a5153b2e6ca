/** qemu-img convert */
import { Permission } from '../../files/locks';
import type { BlockGraph, BlockUser, CreateValues, OpenImageRequest } from '../../graph';
import { step, ToolExit, ToolFailure } from '../failure';
import { parseInteger } from '../../qapi/size';
import { asksForHelp, joinOptionLists, parseCreateOptions } from '../optionlist';
import { Progress } from '../progress';
import { copyImages } from './copy';
import { checkSourceBitmaps, copyBitmaps, keepsBitmaps } from './copybitmaps';
import { printCreateHelp } from './createhelp';
import { COMMON, PROGRAM, readCache, readSizeArgument, type Verb, type VerbSession } from './verb';
import { readSnapshot, showSnapshot, type SnapshotName } from './sourcesnapshot';
import { SECTOR } from './zeroruns';

const MAX_SPARSE = 16 * 1024 * 1024;

/** Copies images into another one, in another format if wished. */
export const convert: Verb = {
  name: 'convert',
  summary: 'Copy images into another one, in another format if wished',
  operands: 'SOURCE... TARGET',
  options: [
    COMMON.help,
    { short: 'f', long: ['source-format'], value: 'FMT', help: 'format of the sources (default: looked at)' },
    {
      long: ['image-opts', 'source-image-opts'],
      help: 'the names of the sources are lists of options, key=value,...',
    },
    {
      short: 'T',
      long: ['source-cache'],
      value: 'CACHE',
      help: 'cache mode of the sources (default: writeback)',
    },
    { short: 'l', long: ['source-snapshot'], value: 'SNAPSHOT', help: 'read this internal snapshot' },
    { short: 'O', long: ['target-format'], value: 'FMT', help: 'format of the target (default: raw)' },
    { long: ['target-image-opts'], help: 'the name of the target is a list of options; needs -n' },
    {
      short: 'o',
      long: ['target-options'],
      value: 'OPTIONS',
      help: 'options of the new image; -o help lists them',
    },
    {
      short: 't',
      long: ['target-cache'],
      value: 'CACHE',
      help: 'cache mode of the target (default: unsafe)',
    },
    {
      short: 'B',
      long: ['backing'],
      value: 'FILE',
      help: 'backing file of the target: what it holds is not copied',
    },
    { short: 'F', long: ['backing-format'], value: 'FMT', help: 'format of the backing file' },
    { short: 'n', long: ['no-create'], help: 'write into an image that is there' },
    { long: ['target-is-zero'], help: 'with -n: the target reads as zeros' },
    {
      short: 'S',
      long: ['sparse-size'],
      value: 'SIZE',
      help: 'leave out runs of zeros of this size (default: 4k)',
    },
    { short: 'c', long: ['compress'], help: 'write compressed clusters' },
    {
      short: 'C',
      long: ['copy-range-offloading'],
      help: 'let the host copy; falls back to reading and writing',
    },
    {
      short: 'm',
      long: ['parallel'],
      value: 'COUNT',
      help: 'requests at once, 1 to 16; here they run one by one',
    },
    { short: 'W', long: ['oob-writes'], help: 'allow writing out of order; here it is always in order' },
    { short: 'r', long: ['rate'], value: 'BYTES', help: 'bytes a second at the most' },
    { long: ['salvage'], help: 'take zeros for what cannot be read' },
    { long: ['bitmaps'], help: 'copy the dirty bitmaps too that the source keeps' },
    { long: ['skip-broken-bitmaps'], help: 'with --bitmaps: leave out those that are not consistent' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.quiet,
    COMMON.progress,
  ],
  run: async (session) => {
    const request = await readOptions(session);
    if (asksForHelp(request.createOptions)) {
      const target = session.operands.length > 1 ? session.operands.at(-1) : undefined;
      return printCreateHelp(session, request.targetFormat ?? 'raw', target);
    }
    const sources = session.operands.slice(0, -1);
    const target = session.operands.at(-1);
    if (target === undefined || sources.length === 0) throw new ToolFailure('Must specify image file name');
    const progress = new Progress(session.context, request.progress && !request.quiet, 1);
    try {
      await run(session, request, sources, target, progress);
    } catch (error) {
      progress.fail();
      throw error;
    }
    progress.end();
    return 0;
  },
};

interface Request {
  format: string | undefined;
  imageOpts: boolean;
  sourceCache: string;
  snapshot: SnapshotName | undefined;
  targetFormat: string | undefined;
  targetImageOpts: boolean;
  createOptions: string;
  targetCache: string;
  backing: string | undefined;
  backingFormat: string | undefined;
  noCreate: boolean;
  targetIsZero: boolean;
  minimumZeros: number;
  copyOffload: boolean;
  compress: boolean;
  rate: number;
  salvage: boolean;
  bitmaps: boolean;
  skipBroken: boolean;
  forceShare: boolean;
  quiet: boolean;
  progress: boolean;
}

async function readOptions(session: VerbSession): Promise<Request> {
  const request: Request = {
    format: undefined,
    imageOpts: false,
    sourceCache: 'writeback',
    snapshot: undefined,
    targetFormat: undefined,
    targetImageOpts: false,
    createOptions: '',
    targetCache: 'unsafe',
    backing: undefined,
    backingFormat: undefined,
    noCreate: false,
    targetIsZero: false,
    minimumZeros: 4096,
    copyOffload: false,
    compress: false,
    rate: 0,
    salvage: false,
    bitmaps: false,
    skipBroken: false,
    forceShare: false,
    quiet: false,
    progress: false,
  };
  const lists: string[] = [];
  let explicitSparse = false;
  const actions: Record<string, (value: string) => void> = {
    f: (value) => (request.format = value),
    'image-opts': () => (request.imageOpts = true),
    T: (value) => (request.sourceCache = value),
    l: (value) => (request.snapshot = readSnapshot(value)),
    O: (value) => (request.targetFormat = value),
    'target-image-opts': () => (request.targetImageOpts = true),
    o: (value) => {
      lists.push(value);
      joinOptionLists(lists);
    },
    t: (value) => (request.targetCache = value),
    B: (value) => (request.backing = value),
    F: (value) => (request.backingFormat = value),
    n: () => (request.noCreate = true),
    'target-is-zero': () => (request.targetIsZero = true),
    S: (value) => {
      request.minimumZeros = readSparseSize(value);
      explicitSparse = true;
    },
    c: () => (request.compress = true),
    C: () => (request.copyOffload = true),
    m: checkWorkers,
    W: () => undefined,
    r: (value) => (request.rate = Number(readSizeArgument('rate limit', value))),
    salvage: () => (request.salvage = true),
    bitmaps: () => (request.bitmaps = true),
    'skip-broken-bitmaps': () => (request.skipBroken = true),
    U: () => (request.forceShare = true),
    q: () => (request.quiet = true),
    p: () => (request.progress = true),
  };
  for await (const { code, value } of session.options()) actions[code]?.(value);
  request.createOptions = joinOptionLists(lists);
  const refuse = (condition: boolean, text: string): void => {
    if (condition) throw new ToolFailure(text);
  };
  refuse(request.skipBroken && !request.bitmaps, 'Use of --skip-broken-bitmaps requires --bitmaps');
  refuse(request.copyOffload && request.compress, 'Cannot enable copy offloading when -c is used');
  refuse(request.copyOffload && explicitSparse, 'Cannot enable copy offloading when -S is used');
  refuse(request.copyOffload && request.salvage, 'Cannot use copy offloading in salvaging mode');
  refuse(request.targetImageOpts && !request.noCreate, '--target-image-opts requires use of -n flag');
  refuse(request.noCreate && lists.length > 0, '-o has no effect when skipping image creation');
  refuse(request.targetIsZero && !request.noCreate, '--target-is-zero requires use of -n flag');
  return request;
}

function readSparseSize(text: string): number {
  const size = Number(readSizeArgument('buffer size for sparse output', text));
  if (size % SECTOR !== 0 || size > MAX_SPARSE) {
    throw new ToolFailure(
      `Invalid buffer size for sparse output specified. Valid sizes are multiples of ${SECTOR} up to ${MAX_SPARSE}. ` +
        'Select 0 to disable sparse detection (fully allocates output).',
    );
  }
  return size;
}

function checkWorkers(text: string): void {
  const count = parseInteger(text);
  if (count === null || count < 1n || count > 16n) {
    throw new ToolFailure('Invalid number of coroutines. Allowed number of coroutines is between 1 and 16');
  }
}

async function run(
  session: VerbSession,
  request: Request,
  names: readonly string[],
  targetName: string,
  progress: Progress,
): Promise<void> {
  const graph = session.graph();
  const sourceCache = readCache(request.sourceCache, 'source cache option');
  const sources: BlockUser[] = [];
  let total = 0;
  for (const name of names) {
    const image = { name, imageOpts: request.imageOpts, format: request.format };
    const how = { readOnly: true, cache: sourceCache, ...sourceSharing(request.forceShare) };
    const source = await session.open(graph, image, how);
    sources.push(source);
    total += await step(`Could not get size of ${name}: `, () => source.length());
  }
  if (request.snapshot !== undefined) await showSnapshot(sources, request.snapshot);
  const { backing, keys } = await prepareTarget(session, graph, request, sources, targetName, total);
  const target = await openTarget(session, graph, request, targetName, { backing, keys });
  const warn = (text: string): void => session.warn(text);
  try {
    if (request.noCreate && target.length() < total) {
      throw new ToolFailure('output file is smaller than input file');
    }
    if (request.compress) await checkCompressed(target);
    if (request.bitmaps && !(await keepsBitmaps(target))) {
      throw new ToolFailure(`Format driver '${target.node.driver}' does not support bitmaps`);
    }
    const plan = {
      sources,
      target,
      targetIsZero: !backing && (!request.noCreate || request.targetIsZero),
      backingLength: backing ? (request.noCreate ? Infinity : backingLength(target)) : null,
      minimumZeros: request.minimumZeros,
      // The host's copying moves data as it is.
      findZeros: !request.copyOffload,
      salvage: request.salvage,
      rate: request.rate,
      compress: request.compress ? clusterSize(target) : 0,
    };
    const warnOfReading = request.quiet ? () => undefined : warn;
    await copyImages(session.context, plan, progress, warnOfReading);
    const [source] = sources;
    if (request.bitmaps && source) {
      await copyBitmaps(session.context.engine.bitmaps, graph.bitmaps, source, target, warn);
    }
    await target.close();
  } catch (error) {
    if (session.context.signal.aborted && !request.noCreate) await discardTarget(session, target, targetName);
    throw error;
  }
}

/** A source may not change while it is copied, unless the user allows it. */
function sourceSharing(forceShare: boolean): Pick<OpenImageRequest, 'forceShare' | 'permissions'> {
  if (forceShare) return { forceShare };
  const shared = Permission.ALL & ~(Permission.WRITE | Permission.RESIZE);
  return { permissions: { perm: Permission.CONSISTENT_READ, shared } };
}

/** What is known of a target before it is opened. */
interface Target {
  /** It has a backing file. */
  backing: boolean;
  /** Options that say which secrets a new image was encrypted with. */
  keys: Record<string, string>;
}

/** Checks all that can be wrong with the target, and makes it. */
async function prepareTarget(
  session: VerbSession,
  graph: BlockGraph,
  request: Request,
  sources: readonly BlockUser[],
  filename: string,
  total: number,
): Promise<Target> {
  const format = request.targetFormat ?? 'raw';
  const refuse = (condition: boolean, text: string): void => {
    if (condition) throw new ToolFailure(text);
  };
  let values: CreateValues = {};
  if (!request.noCreate) {
    const { options } = graph.createSupport(format, filename);
    values = parseCreateOptions(request.createOptions, options);
    values.size = total;
    const takes = (name: string): boolean => options.some((option) => option.name === name);
    if (request.backing !== undefined) {
      refuse(!takes('backing_file'), `Backing file not supported for file format '${format}'`);
      values.backing_file = request.backing;
    }
    if (request.backingFormat !== undefined) {
      refuse(!takes('backing_fmt'), `Backing file format not supported for file format '${format}'`);
      values.backing_fmt = request.backingFormat;
    }
  }
  const backing = request.backing ?? values.backing_file;
  const backingFormat = request.backingFormat ?? values.backing_fmt;
  const hasBacking = backing !== undefined;
  if (hasBacking && request.targetIsZero) {
    // The real tool says so and ends with 0.
    session.context.stderr(
      `${PROGRAM}: Cannot use --target-is-zero when the destination image has a backing file\n`,
    );
    throw new ToolExit(0);
  }
  refuse(
    hasBacking && sources.length > 1,
    'Having a backing file for the target makes no sense when concatenating multiple input images',
  );
  refuse(
    hasBacking && backingFormat === undefined && !request.noCreate,
    'Use of backing file requires explicit backing format',
  );
  // What options describe is known when it is open.
  if (request.compress && !request.targetImageOpts) checkCompression(format, values);
  if (request.bitmaps) await checkSourceBitmaps(session.context.engine.bitmaps, sources, request.skipBroken);
  readCache(request.targetCache, 'cache option');
  if (!request.noCreate) {
    await step(`${filename}: error while converting ${format}: `, () =>
      graph.createImage({ filename, format, values }),
    );
  }
  const keys = Object.entries(values).filter(([name]) => name.endsWith('key-secret'));
  return { backing: hasBacking, keys: Object.fromEntries(keys.map(([name, id]) => [name, String(id)])) };
}

const NO_COMPRESSION = 'Compression not supported for this file format';
const NOT_BOTH = 'Compression and encryption not supported at the same time';

function checkCompression(format: string, values: CreateValues): void {
  if (format !== 'qcow2') throw new ToolFailure(NO_COMPRESSION);
  if (values.encryption === true || values['encrypt.format'] !== undefined) {
    throw new ToolFailure(NOT_BOTH);
  }
  if (values.preallocation !== undefined && values.preallocation !== 'off') {
    throw new ToolFailure('Compression and preallocation not supported at the same time');
  }
}

/** The real tool would write compressed clusters in the clear. */
async function checkCompressed(target: BlockUser): Promise<void> {
  if (!target.compresses) throw new ToolFailure(NO_COMPRESSION);
  const { encrypted } = await target.present(() => target.info());
  if (encrypted) throw new ToolFailure(NOT_BOTH);
}

async function openTarget(
  session: VerbSession,
  graph: BlockGraph,
  request: Request,
  name: string,
  { backing, keys }: Target,
): Promise<BlockUser> {
  const how = {
    cache: readCache(request.targetCache, 'cache option'),
    discard: request.minimumZeros === 0 ? ('ignore' as const) : ('unmap' as const),
    // A new image has no other backing file than the one it was told.
    noBacking: !backing && !request.noCreate,
    ...(Object.keys(keys).length > 0 && { options: keys }),
  };
  const format = request.targetImageOpts ? request.targetFormat : (request.targetFormat ?? 'raw');
  return session.open(graph, { name, imageOpts: request.targetImageOpts, format }, how);
}

function clusterSize(target: BlockUser): number {
  const bytes = target.clusterSize;
  if (bytes === null) throw new ToolFailure('could not get block driver info');
  return bytes;
}

function backingLength(target: BlockUser): number {
  let node = target.node;
  while (node.isFilter && node.filtered) node = node.filtered;
  return node.backing?.length() ?? 0;
}

/** Half an image is of no use to anybody who stopped its making. */
async function discardTarget(session: VerbSession, target: BlockUser, name: string): Promise<void> {
  await target.close().catch(() => undefined);
  await session.context.files.remove(name).catch(() => undefined);
}
