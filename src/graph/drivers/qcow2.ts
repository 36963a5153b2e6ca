/** qcow2: options, header information, creation options. The format itself is in the data plane. */
import {
  OverlapKind,
  type Engine,
  type NodeHandle,
  type Qcow2Info,
  type Qcow2OpenOptions,
} from '../../engine/contract';
import type { ImageInfoSpecificQCow2, Qcow2BitmapInfo } from '../../qapi/types.generated';
import type { CreateOption, CreateValues } from '../api';
import { amendValues } from '../images/amendluks';
import { amendsKeys, qcow2AmendChanges, qcow2AmendOptions } from '../images/amendqcow2';
import { GraphError } from '../errors';
import { Role, type BlockNode, type ReopenContext } from '../node';
import type { Options } from '../options';
import { amendEncryption, encryptionInfo, takeEncryption, unlockImage } from './qcow2crypt';
import type { Driver, OpenContext, ImageMaker } from './driver';

/** Templates of overlap checks, in the order of the text that names them. */
const OVERLAP_TEMPLATES: Readonly<Record<string, number>> = {
  none: OverlapKind.NONE,
  constant: OverlapKind.CONSTANT,
  cached: OverlapKind.CACHED,
  all: OverlapKind.ALL,
};
const OVERLAP_KINDS: Readonly<Record<string, number>> = {
  'main-header': OverlapKind.HEADER,
  'active-l1': OverlapKind.ACTIVE_L1,
  'active-l2': OverlapKind.ACTIVE_L2,
  'refcount-table': OverlapKind.REFTABLE,
  'refcount-block': OverlapKind.REFBLOCK,
  'snapshot-table': OverlapKind.SNAPSHOT_TABLE,
  'inactive-l1': OverlapKind.INACTIVE_L1,
  'inactive-l2': OverlapKind.INACTIVE_L2,
  'bitmap-directory': OverlapKind.BITMAP_DIRECTORY,
};
/** Seconds. */
const CLEAN_INTERVAL = 600;
const MAX_INTERVAL = 2n ** 32n - 1n;
/** Of the file header: up to the incompatible features. */
const HEADER_START = 80;
/** Incompatible features: data is in another file; a compression type that is not zlib. */
const EXTERNAL_DATA = 4;
const COMPRESSION_TYPE = 8;

/** What must be known of an image before it is opened. */
interface HeaderStart {
  /** Bytes; 64 KiB if there is no header, which the open will complain about. */
  clusterSize: number;
  /** Its compressed clusters are zstd's, the only other type. */
  zstd: boolean;
  /** Data is in another file. */
  external: boolean;
}

function readHeaderStart(engine: Engine, file: BlockNode): HeaderStart {
  const buffer = engine.alloc(512);
  try {
    engine.read(file.handle, 0, HEADER_START, buffer);
    const header = new DataView(buffer.view().slice().buffer);
    const bits = header.getUint32(20);
    const features = header.getUint32(4) >= 3 ? header.getUint32(76) : 0;
    return {
      clusterSize: bits >= 9 && bits <= 21 ? 2 ** bits : 65536,
      zstd: (features & COMPRESSION_TYPE) !== 0,
      external: (features & EXTERNAL_DATA) !== 0,
    };
  } catch {
    return { clusterSize: 65536, zstd: false, external: false };
  } finally {
    buffer.free();
  }
}

function headerStart({ engine }: OpenContext, file: BlockNode): Promise<HeaderStart> {
  return engine.presence.whenPresent(() => readHeaderStart(engine, file));
}

/** Fetches the code of zstd. Data of the image cannot be read before it is there. */
async function loadZstd({ engine }: OpenContext): Promise<void> {
  try {
    await engine.codecs.loadZstd();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GraphError(`Could not load the zstd codec: ${reason}`);
  }
}

interface CacheSizes {
  total?: number;
  l2?: number;
  refcount?: number;
}

/** How the bytes of `cache-size` are divided: refcounts get four clusters, tables the rest (qcow2.md section 10). */
function divideCache({ total, l2, refcount }: CacheSizes, clusterSize: number): CacheSizes {
  if (total === undefined)
    return { ...(l2 !== undefined && { l2 }), ...(refcount !== undefined && { refcount }) };
  if (l2 !== undefined && refcount !== undefined) {
    throw new GraphError('cache-size, l2-cache-size and refcount-cache-size may not be set at the same time');
  }
  if (l2 !== undefined && l2 > total) throw new GraphError('l2-cache-size may not exceed cache-size');
  if (refcount !== undefined && refcount > total) {
    throw new GraphError('refcount-cache-size may not exceed cache-size');
  }
  if (l2 !== undefined) return { l2, refcount: total - l2 };
  const share = refcount ?? Math.min(total, 4 * clusterSize);
  return { l2: total - share, refcount: share };
}

/** The set of kinds that the options ask for: a template, and what is added to it or taken away. */
function takeOverlapCheck(options: Options): number {
  const mode = options.takeText('overlap-check');
  const template = options.takeText('overlap-check.template');
  if (mode !== undefined && template !== undefined && mode !== template) {
    throw new GraphError(
      `Conflicting values for qcow2 options 'overlap-check' ('${mode}') and 'overlap-check.template' ('${template}')`,
    );
  }
  const chosen = mode ?? template ?? 'cached';
  let kinds = Object.hasOwn(OVERLAP_TEMPLATES, chosen) ? OVERLAP_TEMPLATES[chosen] : undefined;
  if (kinds === undefined) {
    throw new GraphError(
      `Unsupported value '${chosen}' for qcow2 option 'overlap-check'. ` +
        `Allowed are any of the following: ${Object.keys(OVERLAP_TEMPLATES).join(', ')}`,
    );
  }
  for (const [name, kind] of Object.entries(OVERLAP_KINDS)) {
    const wanted = options.takeBoolean(`overlap-check.${name}`);
    if (wanted !== undefined) kinds = wanted ? kinds | kind : kinds & ~kind;
  }
  return kinds;
}

interface OpenOptions extends Qcow2OpenOptions {
  /** Seconds; 0: caches are not cleaned. */
  cleanInterval: number;
}

function takeOpenOptions(
  { node, options }: Pick<OpenContext, 'node' | 'options'>,
  imageClusterSize: number,
): OpenOptions {
  const lazyRefcounts = options.takeBoolean('lazy-refcounts');
  const passDiscard = options.takeBoolean('pass-discard-request') ?? node.common.discard;
  const passDiscardSnapshot = options.takeBoolean('pass-discard-snapshot') ?? true;
  const passDiscardOther = options.takeBoolean('pass-discard-other') ?? false;
  const discardNoUnref = options.takeBoolean('discard-no-unref') ?? false;
  const overlapCheck = takeOverlapCheck(options);
  const total = options.takeSize('cache-size');
  const l2 = options.takeSize('l2-cache-size');
  const entry = options.takeSize('l2-cache-entry-size');
  const refcount = options.takeSize('refcount-cache-size');
  const interval = options.takeNumber('cache-clean-interval');
  const clusterSize = total === undefined && entry === undefined ? 65536 : imageClusterSize;
  const sizes = divideCache(
    {
      ...(total !== undefined && { total }),
      ...(l2 !== undefined && { l2 }),
      ...(refcount !== undefined && { refcount }),
    },
    clusterSize,
  );
  if (entry !== undefined && (entry < 512 || entry > clusterSize || !Number.isInteger(Math.log2(entry)))) {
    throw new GraphError(
      `L2 cache entry size must be a power of two between 512 and the cluster size (${clusterSize})`,
    );
  }
  if (interval !== undefined && interval > MAX_INTERVAL) throw new GraphError('Cache clean interval too big');
  return {
    readOnly: node.readOnly,
    noIo: node.noIo,
    check: node.forCheck,
    passDiscard,
    passDiscardSnapshot,
    passDiscardOther,
    discardNoUnref,
    overlapCheck,
    cleanInterval: Number(interval ?? CLEAN_INTERVAL),
    ...(lazyRefcounts !== undefined && { lazyRefcounts }),
    ...(sizes.l2 !== undefined && { l2CacheSize: sizes.l2 }),
    ...(sizes.refcount !== undefined && { refcountCacheSize: sizes.refcount }),
    ...(entry !== undefined && { l2CacheEntrySize: entry }),
  };
}

function checkNoUnref(wanted: Qcow2OpenOptions, header: Qcow2Info): void {
  if (wanted.discardNoUnref && header.version < 3) {
    throw new GraphError('discard-no-unref is only supported since qcow2 version 3');
  }
}

/** A name of the header as QEMU reads it: up to the first zero byte. */
function stored(name: string | null): string {
  return /^[^\0]*/.exec(name ?? '')?.[0] ?? '';
}

/**
 * The node of the data file: the one that the options say, or else the one that the image names. Null: the image has none,
 * or only information is wanted.
 */
async function openDataFile(
  context: OpenContext,
  file: BlockNode,
  { external }: HeaderStart,
): Promise<BlockNode | null> {
  const { engine, node, options } = context;
  if (node.noIo) {
    options.take('data-file');
    options.takeBelow('data-file');
    return null;
  }
  const given = await context.openChild('data-file', Role.DATA, false);
  if (!external) return given;
  // The image's own file holds no data then.
  for (const link of node.links) if (link.node === file && link.name === 'file') link.role &= ~Role.DATA;
  if (given) return given;
  const header = await openHeader(engine, file);
  let name: string | null;
  try {
    name = engine.qcow2Info(header).dataFile;
  } finally {
    engine.close(header);
  }
  return name === null ? null : context.openStored('data-file', Role.DATA, stored(name));
}

/** Opens no more than the header, whose faults are thrown. */
function openHeader(engine: Engine, file: BlockNode): Promise<NodeHandle> {
  return engine.presence.whenPresent(() => engine.openQcow2(file.handle, { readOnly: true, noIo: true }));
}

/** Says that the bitmaps of an image are lost: somebody wrote to it who did not know of them. */
function warnStale(context: OpenContext, version: number): void {
  const lost =
    version >= 3
      ? 'a program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent'
      : 'This qcow2 v2 image contains bitmaps, but they may have been modified by a program without persistent ' +
        'bitmap support; so now they must all be considered inconsistent';
  const leaked = "Some clusters may be leaked, run 'qemu-img check -r' on the image file to fix.";
  context.warn(`${lost}\n${leaked}`);
}

/** `bitmaps` of the information about an image: what its file says of them. */
function bitmapInfo(node: BlockNode): Qcow2BitmapInfo[] {
  const stored = node.engine.bitmaps.stored(node.handle) ?? [];
  return stored.map(({ name, granularity, inUse, auto }) => ({
    name,
    granularity,
    flags: [...(inUse ? (['in-use'] as const) : []), ...(auto ? (['auto'] as const) : [])],
  }));
}

const info = (node: BlockNode): Qcow2Info => node.engine.qcow2Info(node.handle);

function specificInfo(node: BlockNode): ImageInfoSpecificQCow2 {
  const header = info(node);
  const bitmaps = bitmapInfo(node);
  const encrypt = encryptionInfo(node, header.cryptMethod);
  const common = { 'compression-type': header.compressionType, 'refcount-bits': header.refcountBits };
  if (header.version === 2) return { compat: '0.10', ...common, ...(encrypt && { encrypt }) };
  return {
    compat: '1.1',
    ...common,
    ...(encrypt && { encrypt }),
    'lazy-refcounts': header.lazyRefcounts,
    ...(bitmaps.length > 0 && { bitmaps }),
    corrupt: header.corrupt,
    'extended-l2': header.extendedL2,
    ...(header.dataFile !== null && { 'data-file': stored(header.dataFile) }),
    ...(header.externalData && { 'data-file-raw': header.dataFileRaw }),
  };
}

const CREATE_OPTIONS: readonly CreateOption[] = [
  {
    name: 'encryption',
    type: 'bool',
    help: "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)",
  },
  { name: 'encrypt.format', type: 'str', help: "Encrypt the image, format choices: 'aes', 'luks'" },
  { name: 'encrypt.key-secret', type: 'str', help: 'ID of secret providing qcow AES key or LUKS passphrase' },
  { name: 'encrypt.cipher-alg', type: 'str', help: 'Name of encryption cipher algorithm' },
  { name: 'encrypt.cipher-mode', type: 'str', help: 'Name of encryption cipher mode' },
  { name: 'encrypt.ivgen-alg', type: 'str', help: 'Name of IV generator algorithm' },
  { name: 'encrypt.ivgen-hash-alg', type: 'str', help: 'Name of IV generator hash algorithm' },
  { name: 'encrypt.hash-alg', type: 'str', help: 'Name of encryption hash algorithm' },
  { name: 'encrypt.iter-time', type: 'num', help: 'Time to spend in PBKDF in milliseconds' },
  { name: 'cluster_size', type: 'size', help: 'qcow2 cluster size', default: '65536' },
  { name: 'extended_l2', type: 'bool', help: 'Extended L2 tables', default: 'off' },
  {
    name: 'preallocation',
    type: 'str',
    help: 'Preallocation mode (allowed values: off, metadata, falloc, full)',
  },
  {
    name: 'compression_type',
    type: 'str',
    help: 'Compression method used for image cluster compression',
    default: 'zlib',
  },
  { name: 'size', type: 'size', help: 'Virtual disk size' },
  { name: 'compat', type: 'str', help: 'Compatibility level (v2 [0.10] or v3 [1.1])' },
  { name: 'backing_file', type: 'str', help: 'File name of a base image' },
  { name: 'backing_fmt', type: 'str', help: 'Image format of the base image' },
  { name: 'data_file', type: 'str', help: 'File name of an external data file' },
  { name: 'data_file_raw', type: 'bool', help: 'The external data file must stay valid as a raw image' },
  { name: 'lazy_refcounts', type: 'bool', help: 'Postpone refcount updates', default: 'off' },
  { name: 'refcount_bits', type: 'num', help: 'Width of a reference count entry in bits', default: '16' },
];

export const qcow2: Driver = {
  name: 'qcow2',
  protocol: false,
  prefixes: [],
  filter: false,
  backing: true,
  needsFilename: false,
  strongOptions: ['encrypt.key-secret'],
  resizable: true,
  internalSnapshots: true,
  compresses: true,
  persistentBitmaps: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const file = await context.openChild('file', Role.METADATA | Role.DATA | Role.PRIMARY, true);
    const start = await headerStart(context, file);
    let dataFile: BlockNode | null;
    let wanted: OpenOptions;
    try {
      dataFile = await openDataFile(context, file, start);
      wanted = takeOpenOptions(context, start.clusterSize);
    } catch (error) {
      // QEMU reads the header before it looks at options: what is wrong with the image is told first.
      engine.close(await openHeader(engine, file));
      throw error;
    }
    const encryption = takeEncryption(options);
    if (!node.noIo && start.zstd) await loadZstd(context);
    const handle = await engine.presence.whenPresent(() =>
      engine.openQcow2(file.handle, {
        ...wanted,
        ...(dataFile && { dataFile: dataFile.handle }),
      }),
    );
    try {
      const header = engine.qcow2Info(handle);
      await unlockImage(context, { handle, file, method: header.cryptMethod }, encryption);
      checkNoUnref(wanted, header);
      const bitmaps = await engine.presence.whenPresent(() => engine.bitmaps.stored(handle));
      if (bitmaps === null) warnStale(context, header.version);
      node.backingFile = stored(header.backingFile);
      node.backingFormat = stored(header.backingFormat);
      node.autoBackingFile = node.backingFile;
    } catch (error) {
      engine.close(handle);
      throw error;
    }
    if (!node.noIo) node.cacheCleaner.start(wanted.cleanInterval);
    return handle;
  },
  mutableOptions: [
    'lazy-refcounts',
    'pass-discard-request',
    'pass-discard-snapshot',
    'pass-discard-other',
    'discard-no-unref',
    'overlap-check',
    'overlap-check.',
    'cache-size',
    'l2-cache-size',
    'l2-cache-entry-size',
    'refcount-cache-size',
    'cache-clean-interval',
    'encrypt.key-secret',
  ],
  reopen(context: ReopenContext) {
    const { engine, node, options, before, later } = context;
    const header = info(node);
    const wanted = takeOpenOptions(context, header.clusterSize);
    checkNoUnref(wanted, header);
    const old = takeOpenOptions({ ...context, options: before.given.clone() }, header.clusterSize);
    takeEncryption(options);
    later(() => {
      const turn = (to: OpenOptions): void | Promise<void> =>
        engine.presence.present(() => {
          engine.changes.reopenQcow2(node.handle, to);
          node.cacheCleaner.start(to.cleanInterval);
        });
      const undo = () => turn(old);
      const turned = turn(wanted);
      return turned instanceof Promise ? turned.then(() => undo) : undo;
    });
  },
  details: (node) => {
    const { clusterSize, dirty } = info(node);
    return { clusterSize, dirty };
  },
  specific: (node) => ({ type: 'qcow2', data: specificInfo(node) }),
  encrypted: (node) => info(node).cryptMethod !== 0,
  changeBackingFile: ({ engine, handle }, file, format) =>
    engine.amend.changeBackingFile(handle, file, format),
  async amend(node, options, force) {
    // Nothing but key slots can be amended while the image is open.
    if (options.driver !== 'qcow2' || !options.encrypt) return;
    if (info(node).cryptMethod === 0) throw new GraphError("image is not encrypted, can't amend");
    if (info(node).cryptMethod !== 2 || options.encrypt.format !== 'luks') {
      throw new GraphError("Amend can't be used to change the qcow2 encryption format");
    }
    await amendEncryption(node, options.encrypt, force);
  },
  imageAmend: {
    options: qcow2AmendOptions(CREATE_OPTIONS),
    start(node, values, force) {
      const { handle } = node;
      const { amend } = node.engine;
      const changes = qcow2AmendChanges(node, values);
      let keys = amendsKeys(values) ? amendValues(values, 'encrypt.') : null;
      amend.start(handle, changes);
      return {
        async step() {
          if (keys) await amendEncryption(node, keys, force);
          keys = null;
          return node.engine.presence.whenPresent(() => amend.step(handle));
        },
        progress: () => amend.progress(handle),
        end: () => amend.end(handle),
      };
    },
  },
  createOptions: CREATE_OPTIONS,
  async createImage(maker: ImageMaker, filename: string, values: CreateValues) {
    await maker.createQcow2Image(filename, values);
  },
};
