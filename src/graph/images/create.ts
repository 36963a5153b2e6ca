/** Creation of images: blockdev-create, and the older way of `qemu-img create` and `convert`. */
import type { KeyDerivation } from '../../crypto/derivation';
import { BlockError, Prealloc, type Engine, type Qcow2CreateOptions } from '../../engine/contract';
import { Errno, FileError, present, strerror, type BlockFile } from '../../files/contract';
import { Permission, type ImageLock } from '../../files/locks';
import { isObject, type QmpObject, type QmpValue } from '../../qapi/value';
import type { CreateOption, CreateImageRequest, CreateSupport, CreateValues, PreparedCreate } from '../api';
import type { Driver, ImageMaker } from '../drivers/driver';
import { checkCreatable, findCreator, knownToQemu, protocolDriver } from '../drivers/table';
import { createLuks, luksValues } from './createluks';
import type { QCryptoBlockCreateOptions } from '../../qapi/types.generated';
import { encryptNewImage } from '../drivers/qcow2crypt';
import { NewImageLinks } from './datafile';
import { PREALLOC } from './preallocation';
import { explain, GraphError, toGraphError } from '../errors';
import { resolveNamed } from '../stored-name';
import type { BlockNode } from '../node';
import type { Opener } from '../open';
import { Options } from '../options';
import type { Secrets } from '../secrets';
import { NodeUser, type UserHost } from '../user';

const DEFAULT_CLUSTER = 65536;
const DEFAULT_REFCOUNT_BITS = 16;
const MIN_CLUSTER = 512;
const MAX_CLUSTER = 2 ** 21;
const MAX_SIZE = 2 ** 53;
/** Bytes at the start of a new file that are allocated in any case. */
const FIRST_BLOCK = 4096;

/** A new file of the store. */
export interface NewFile {
  filename: string;
  size: number;
  preallocation: string;
}

/** Makes images in one graph. All of it runs inside an exclusive change. */
export class Creator implements ImageMaker {
  private readonly opener: Opener;

  constructor(private readonly host: UserHost) {
    this.opener = host.opener;
  }

  get engine(): Engine {
    return this.opener.environment.engine;
  }

  get secrets(): Secrets {
    return this.opener.secrets;
  }

  get keys(): KeyDerivation {
    return this.opener.keys;
  }

  openTarget(target: QmpValue | undefined): Promise<BlockNode> {
    return isObject(target)
      ? this.opener.open({ options: Options.from(target) })
      : this.opener.open({ reference: textOf(target) });
  }

  openFile(filename: string): Promise<BlockNode> {
    return this.opener.open({ filename, protocol: true, options: new Options() });
  }

  async use(node: BlockNode, perm: number): Promise<NodeUser> {
    try {
      const options = { name: '', perm, shared: Permission.ALL, writeThrough: false };
      return await NodeUser.attach(this.host, node, options);
    } finally {
      await this.opener.unref(node);
    }
  }

  /**
   * `blockdev-create`; the options passed the schema.
   * @param turn lets others run; called when a new file is open, before anything is done to it
   */
  async create(options: QmpObject, turn?: () => Promise<void>): Promise<void> {
    const driver = textOf(options.driver);
    checkCreatable(driver);
    if (driver === 'file') {
      const size = Number(options.size);
      const preallocation = textOf(options.preallocation) || 'off';
      await this.createFile({ filename: textOf(options.filename), size, preallocation }, turn);
      return;
    }
    if (driver === 'luks') {
      await createLuks(this, options);
      return;
    }
    const node = await this.openTarget(options.file);
    await this.formatQcow2(node, options);
  }

  /** Makes a file, or empties the one of this name, and sets its size. */
  async createFile({ filename, size, preallocation }: NewFile, turn?: () => Promise<void>): Promise<void> {
    const mode = PREALLOC[preallocation] ?? Prealloc.OFF;
    const { files, locks, engine } = this.opener.environment;
    let opened: BlockFile;
    try {
      opened = await files.open(filename, { write: true, create: 'keep' });
    } catch (error) {
      if (!(error instanceof FileError)) throw creationFailure(error, filename);
      throw new GraphError(`Could not create '${filename}': ${strerror(error.errno)}`, {
        errno: error.errno,
      });
    }
    let lock: ImageLock | null = null;
    let handle = null;
    try {
      lock = locks.claim(await files.identity(filename));
      await lock.set(Permission.WRITE | Permission.RESIZE, Permission.ALL);
      await turn?.();
      await present(opened, () => opened.truncate(0));
      handle = engine.openFile(opened, { readOnly: false });
      if (mode === Prealloc.METADATA)
        throw new GraphError(`Unsupported preallocation mode: ${preallocation}`);
      if (size < 0 || size > MAX_SIZE) throw new BlockError(Errno.EINVAL, strerror(Errno.EINVAL));
      // QEMU has the first block of a new file allocated, to find out the alignment of requests by it.
      const made = handle;
      await engine.presence.whenPresent(() => {
        if (size > 0) opened.write(new Uint8Array(Math.min(size, FIRST_BLOCK)), 0);
        engine.truncate(made, size, mode);
      });
    } catch (error) {
      throw creationFailure(error, filename);
    } finally {
      if (handle === null) opened.close();
      else engine.close(handle);
      lock?.release();
    }
  }

  /** Writes an empty qcow2 image into a node; gives the caller's reference on it back. */
  private async formatQcow2(node: BlockNode, options: QmpObject): Promise<void> {
    let user: NodeUser;
    let checked: Qcow2CreateOptions;
    let data: BlockNode | null = null;
    try {
      checked = qcow2Options(options);
      if (options['data-file'] !== undefined) data = await this.openTarget(options['data-file']);
    } catch (error) {
      await this.opener.unref(node);
      throw error;
    }
    try {
      user = await this.use(node, Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE);
    } catch (error) {
      if (data) await this.opener.unref(data);
      throw error;
    }
    let held: NewImageLinks | null = null;
    try {
      const { table } = this.opener;
      // QEMU opens the new image as a node to complete it, and once more to see that it is there.
      const name = table.skip();
      if (data) {
        held = await NewImageLinks.attach(this.opener, name, node, data);
        const raw = options['data-file-raw'] === true;
        checked.dataFile = { node: data.handle, name: data.filename, raw };
      }
      const { engine } = this;
      await engine.presence.whenPresent(() => engine.createQcow2(node.handle, checked));
      if (isObject(options.encrypt))
        await encryptNewImage(this, node, options.encrypt as QCryptoBlockCreateOptions);
      table.skip();
    } catch (error) {
      throw toGraphError(error);
    } finally {
      await held?.release();
      if (data) await this.opener.unref(data);
      await user.closeNow();
    }
  }

  /** The file that a format's image is going to be in, without content. */
  async createProtocolFile(filename: string, values: CreateValues): Promise<void> {
    const driver = protocolDriver(filename, true);
    if (!driver.createImage) throw noCreation('Protocol', driver);
    await driver.createImage(this, filename, values);
  }

  /** qcow2 by options of a command line. */
  async createQcow2Image(filename: string, values: CreateValues): Promise<void> {
    const options = qcow2Values(values);
    // Looked at before the file is made as well, so that a wrong option costs nobody an image.
    qcow2Options(options);
    const empty = this.protocolValues(values);
    const dataFile = typeof options['data-file'] === 'string' ? options['data-file'] : null;
    await this.createProtocolFile(filename, empty);
    const made = [filename];
    let data: BlockNode | null = null;
    try {
      const node = await this.openFile(filename);
      if (dataFile !== null) {
        try {
          await this.createProtocolFile(dataFile, empty);
          made.push(dataFile);
          data = await this.openFile(dataFile);
          options['data-file'] = data.name;
        } catch (error) {
          await this.opener.unref(node);
          throw error;
        }
      }
      await this.formatQcow2(node, options);
    } catch (error) {
      if (data) await this.opener.unref(data);
      data = null;
      for (const name of made) await this.removeImage(name);
      throw error;
    } finally {
      if (data) await this.opener.unref(data);
    }
  }

  /** Removes what could not be completed; the failure that led here is the one to tell. */
  async removeFile(filename: string): Promise<void> {
    await this.opener.environment.files.remove(filename).catch(() => undefined);
  }

  /** The values that concern the file, not the format; it is made without content. */
  protocolValues(values: CreateValues): CreateValues {
    return { ...protocolValues(values), size: 0 };
  }

  /** Removes an image that could not be completed; the failure that led here is the one to tell. */
  async removeImage(filename: string): Promise<void> {
    await protocolDriver(filename, true).removeImage?.(this, filename);
  }

  /** The options that a format and the protocol of a file name take. */
  support(format: string, filename: string | undefined): CreateSupport {
    const driver = findCreator(format);
    const options: CreateOption[] = [...(driver.createOptions ?? [])];
    if (!driver.createOptions) throw noCreation('Format', driver);
    if (filename !== undefined) {
      const protocol = protocolDriver(filename, true);
      if (!protocol.createOptions) throw noCreation('Protocol', protocol);
      const known = new Set(options.map((option) => option.name));
      options.push(...protocol.createOptions.filter((option) => !known.has(option.name)));
    }
    return { format, options };
  }

  /** The checks of `qemu-img create`, up to the line it prints. */
  async prepare(request: CreateImageRequest, unsafe: boolean): Promise<PreparedCreate> {
    const { filename, format, values, spelled = {} } = request;
    const { options } = this.support(format, filename);
    const has = (name: string) => options.some((option) => option.name === name);
    const backing = values.backing_file;
    const backingFormat = values.backing_fmt;
    if (backing !== undefined && !has('backing_file')) {
      throw new GraphError(`Backing file not supported for file format '${format}'`);
    }
    if (backingFormat !== undefined && !has('backing_fmt')) {
      throw new GraphError(`Backing file format not supported for file format '${format}'`);
    }
    if (backing !== undefined && backing === filename) {
      throw new GraphError('Error: Trying to create an image with the same filename as the backing file');
    }
    if (backing === '') throw new GraphError('Expected backing file name, got empty string');
    const made: CreateValues = { ...values };
    if (typeof backing === 'string') {
      await this.checkBacking(filename, backing, backingFormat, unsafe, made);
    }
    if (made.size === undefined) throw new GraphError('Image creation needs a size parameter');
    const line = `fmt=${format} ${valuesLine(options, { ...made, ...spelled })}`;
    return { filename, format, values: made, line };
  }

  /** Opens the backing file to see that it is there, and takes the size from it if none was given. */
  private async checkBacking(
    filename: string,
    backing: string,
    format: CreateValues[string] | undefined,
    unsafe: boolean,
    made: CreateValues,
  ): Promise<void> {
    let detected: string | null = null;
    if (!unsafe) {
      const full = resolveNamed(filename, backing);
      const options = new Options();
      if (format !== undefined) options.set('driver', String(format));
      options.set('read-only', true);
      // Nothing but the size is wanted, so nobody who uses the image is in the way.
      options.set('force-share', true);
      const node = await explain(
        () => this.opener.open({ filename: full, options, noIo: true, noBacking: true }),
        (error) =>
          new GraphError(error.desc, { ...error, hints: [...error.hints, 'Could not open backing image.'] }),
      );
      detected = node.driver;
      made.size ??= node.length();
      await this.opener.unref(node);
    }
    if (format === undefined) {
      throw new GraphError('Backing file specified without backing format', {
        hints: detected === null ? [] : [`Detected format of ${detected}.`],
      });
    }
  }

  /** Makes the image that a command line tool asked for. */
  async createImage({ filename, format, values }: CreateImageRequest): Promise<void> {
    const driver = findCreator(format);
    if (!driver.createImage) throw noCreation('Format', driver);
    try {
      await driver.createImage(this, filename, values);
    } catch (error) {
      const failure = toGraphError(error);
      if (failure.errno !== Errno.EFBIG) throw failure;
      const cluster = driver.createOptions?.some((option) => option.name === 'cluster_size');
      const hint = cluster ? ' (try using a larger cluster size)' : '';
      throw new GraphError(`The image size is too large for file format '${format}'${hint}`, failure);
    }
  }
}

/** The value of a member that the schema says is a string; empty if it is absent. */
function textOf(value: QmpValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function noCreation(kind: 'Format' | 'Protocol', driver: Driver): GraphError {
  return new GraphError(`${kind} driver '${driver.name}' does not support image creation`);
}

function creationFailure(error: unknown, filename: string): GraphError {
  const failure = toGraphError(error);
  if (error instanceof GraphError) return failure;
  // What the engine says is complete.
  if (error instanceof BlockError && error.message !== strerror(error.errno)) return failure;
  if (error instanceof FileError || error instanceof BlockError) {
    return new GraphError(`Could not resize file: ${failure.desc}`, failure);
  }
  return new GraphError(failure.desc, {
    errno: failure.errno,
    hints: [`Is another process using the image [${filename}]?`],
  });
}

/** The values that concern the file, not the format. */
function protocolValues(values: CreateValues): CreateValues {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => name === 'nocow' || name === 'extent_size_hint'),
  );
}

/** A value of an option list as it is printed: commas are doubled. */
function printed(value: CreateValues[string]): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'number' ? String(value) : value.replaceAll(',', ',,');
}

function valuesLine(options: readonly CreateOption[], values: CreateValues): string {
  const words: string[] = [];
  for (const { name, default: fallback } of options) {
    const value = values[name] ?? fallback;
    if (value !== undefined) words.push(`${name}=${printed(value)}`);
  }
  return words.join(' ');
}

const VERSIONS: Readonly<Record<string, string>> = { '0.10': 'v2', '1.1': 'v3' };

/** Options of a command line in the names of QMP, with the texts of its validation. */
function qcow2Values(values: CreateValues): QmpObject {
  const text = (name: string) => (values[name] === undefined ? undefined : String(values[name]));
  const enumeration = (name: string, value: string | undefined, words: readonly string[]) => {
    if (value !== undefined && !words.includes(value)) {
      throw new GraphError(`Parameter '${name}' does not accept value '${value}'`);
    }
    return value;
  };
  const compat = text('compat');
  const backingFormat = text('backing_fmt');
  if (backingFormat !== undefined && !knownToQemu(backingFormat)) {
    throw new GraphError(`Parameter 'backing-fmt' does not accept value '${backingFormat}'`);
  }
  const options: Record<string, QmpValue | undefined> = {
    size: Math.ceil(Number(values.size ?? 0) / 512) * 512,
    version: enumeration('version', compat === undefined ? undefined : (VERSIONS[compat] ?? compat), [
      'v2',
      'v3',
    ]),
    'backing-file': text('backing_file'),
    'backing-fmt': backingFormat,
    'cluster-size': values.cluster_size,
    preallocation: enumeration('preallocation', text('preallocation'), Object.keys(PREALLOC)),
    'lazy-refcounts': values.lazy_refcounts,
    'refcount-bits': values.refcount_bits,
    'compression-type': enumeration('compression-type', text('compression_type'), ['zlib', 'zstd']),
    'extended-l2': values.extended_l2,
    'data-file': text('data_file'),
    'data-file-raw': values.data_file_raw,
  };
  const encrypt = encryptionValues(values);
  if (encrypt) options.encrypt = encrypt;
  return Object.fromEntries(
    Object.entries(options).filter((entry): entry is [string, QmpValue] => entry[1] !== undefined),
  );
}

/** Options of `encrypt` that the old AES encryption has not. */
const LUKS_ONLY = ['cipher-alg', 'cipher-mode', 'ivgen-alg', 'ivgen-hash-alg', 'hash-alg', 'iter-time'];

/** What a command line says of encryption; undefined: nothing. */
function encryptionValues(values: CreateValues): QmpObject | undefined {
  const old = values.encryption === true;
  const format = values['encrypt.format'];
  if (old && format !== undefined) {
    throw new GraphError("'encrypt.format' and its alias 'encryption' can't be used at the same time");
  }
  if (!old && format === undefined) {
    const others = Object.keys(values).some((name) => name.startsWith('encrypt.'));
    if (others) throw new GraphError("Parameter 'encrypt.format' is missing");
    return undefined;
  }
  if (format === 'luks') return { format, ...luksValues(values, 'encrypt.') };
  if (!old && format !== 'aes' && format !== 'qcow') {
    throw new GraphError(`Parameter 'format' does not accept value '${String(format)}'`);
  }
  const secret = values['encrypt.key-secret'];
  const odd = LUKS_ONLY.find((name) => values[`encrypt.${name}`] !== undefined);
  if (odd !== undefined) throw new GraphError(`Parameter 'encrypt.${odd}' is unexpected`);
  return { format: 'qcow', ...(secret !== undefined && { 'key-secret': String(secret) }) };
}

/** The checks of qcow2.md section 14, in the order of the real tool. */
function qcow2Options(options: QmpObject): Qcow2CreateOptions {
  const size = Number(options.size);
  const version = options.version === 'v2' ? 2 : 3;
  const clusterSize = Number(options['cluster-size'] ?? DEFAULT_CLUSTER);
  const refcountBits = Number(options['refcount-bits'] ?? DEFAULT_REFCOUNT_BITS);
  const preallocation = PREALLOC[textOf(options.preallocation)] ?? Prealloc.OFF;
  const lazyRefcounts = options['lazy-refcounts'] === true;
  const extendedL2 = options['extended-l2'] === true;
  const backingFile = typeof options['backing-file'] === 'string' ? options['backing-file'] : null;
  const backingFormat = typeof options['backing-fmt'] === 'string' ? options['backing-fmt'] : null;

  if (size % 512 !== 0) throw new GraphError('Image size must be a multiple of 512 bytes');
  const power = Number.isInteger(Math.log2(clusterSize));
  if (clusterSize < MIN_CLUSTER || clusterSize > MAX_CLUSTER || !power) {
    throw new GraphError('Cluster size must be a power of two between 512 and 2048k');
  }
  if (extendedL2) {
    if (version < 3) {
      throw new GraphError(
        'Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)',
      );
    }
    if (clusterSize < 16384) {
      throw new GraphError(
        'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
      );
    }
  }
  if (preallocation !== Prealloc.OFF && backingFile !== null && !extendedL2) {
    throw new GraphError(
      'Backing file and preallocation can only be used at the same time if extended_l2 is on',
    );
  }
  if (backingFormat !== null && backingFile === null) {
    throw new GraphError('Backing format cannot be used without backing file');
  }
  if (version < 3 && lazyRefcounts) {
    throw new GraphError(
      'Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)',
    );
  }
  if (refcountBits < 1 || refcountBits > 64 || !Number.isInteger(Math.log2(refcountBits))) {
    throw new GraphError('Refcount width must be a power of two and may not exceed 64 bits');
  }
  if (version < 3 && refcountBits !== DEFAULT_REFCOUNT_BITS) {
    throw new GraphError(
      'Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)',
    );
  }
  checkDependent(options, version);
  if (size < 0) throw new GraphError('Could not resize image: Image size cannot be negative');
  return {
    size,
    version,
    clusterSize,
    refcountBits,
    lazyRefcounts,
    preallocation,
    extendedL2,
    compressionType: options['compression-type'] === 'zstd' ? 'zstd' : 'zlib',
    backingFile,
    backingFormat,
  };
}

/** Checks of what goes with other options only. */
function checkDependent(options: QmpObject, version: number): void {
  const needsV3 = (what: string) =>
    new GraphError(
      `${what} only supported with compatibility level 1.1 and above (use version=v3 or greater)`,
    );
  if (options['data-file-raw'] === true && options['data-file'] === undefined) {
    throw new GraphError('data-file-raw requires data-file');
  }
  if (options['data-file-raw'] === true && options['backing-file'] !== undefined) {
    throw new GraphError('Backing file and data-file-raw cannot be used at the same time');
  }
  if (options['data-file'] !== undefined) {
    if (version < 3) throw needsV3('External data files are');
  }
  if (options['compression-type'] === 'zstd' && version < 3) throw needsV3('Non-zlib compression type is');
  if (isObject(options.encrypt) && options.encrypt.format !== 'luks') {
    if (options.encrypt['key-secret'] === undefined) {
      throw new GraphError("Parameter 'encrypt.key-secret' is required for cipher");
    }
  }
}
