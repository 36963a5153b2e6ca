/**
 * Opening and closing of nodes: options to driver, file name and children, in QEMU's order, so that names, errors and
 * the order of nodes come out the same. Every open that no command named goes through {@link Opener.gate}.
 */
import { KeyDerivation } from '../crypto/derivation';
import { Permission } from '../files/locks';
import { parseJson } from '../qapi/json-parser';
import { QmpError } from '../qapi/errors';
import { isObject } from '../qapi/value';
import type { DetectZeroes, GraphEnvironment, ImplicitOpen, ImplicitOpenReason } from './api';
import { CycleError, reaches } from './changes/change';
import type { Driver, OpenContext } from './drivers/driver';
import { findDriver, protocolDriver } from './drivers/table';
import { GraphError, toGraphError } from './errors';
import { refreshFilename } from './filename';
import { protocolOf, resolveStored } from './stored-name';
import { NodeTable } from './names';
import { BlockNode, Role, type CommonOptions, type Link } from './node';
import { TlsCredentials } from './nbd';
import { Options } from './options';
import { attach, detach } from './permissions';
import { Secrets } from './secrets';
import { ThrottleGroups } from './throttle';
import { PROBE_BYTES, probeFormat, rawGuessWarning } from './images/probe';

/** Backing files below one node, at most: a chain that goes on for longer is taken for one without end. */
const MAX_CHAIN = 2000;

/** Why a node is being opened although nobody named it. */
interface Implicit {
  reason: ImplicitOpenReason;
  origin: string;
  /** The files of the chain so far, to find circles. */
  chain: readonly string[];
}

/** What is to be opened. */
export interface OpenRequest {
  filename?: string | undefined;
  /** Name of a node that is there. */
  reference?: string | undefined;
  options?: Options;
  /** What holds unless the options, or those of a `json:` name, say something else. */
  defaults?: Options;
  /** Nothing but a file name may make it a format: the bottom of a file is being opened. */
  protocol?: boolean;
  noBacking?: boolean;
  noIo?: boolean;
  /** The node, if it is a format, is to be checked. */
  check?: boolean;
  implicit?: Implicit | null;
  /** Of the options, those that are not inherited; default: all. */
  explicit?: Options;
}

/** Makes and ends nodes of one graph. */
export class Opener {
  readonly table = new NodeTable();
  /** Called before links between nodes change: QEMU stops all requests of all nodes for that moment. */
  onDrain: () => void = () => undefined;

  readonly throttleGroups: ThrottleGroups;
  readonly secrets = new Secrets();
  readonly tls = new TlsCredentials();
  readonly keys: KeyDerivation;

  constructor(readonly environment: GraphEnvironment) {
    this.keys = new KeyDerivation(environment.derivation);
    this.throttleGroups = new ThrottleGroups(environment.engine, () => this.table.all());
  }

  drain(): void {
    this.onDrain();
  }

  /** Opens a node, or finds the one that is referred to. The caller has one reference afterwards. */
  async open(request: OpenRequest): Promise<BlockNode> {
    const options = request.options ?? new Options();
    if (request.reference !== undefined) return this.refer(request, options);
    const implicit = request.implicit ?? null;
    const filename = readJsonName(request.filename, options);
    if (request.defaults) options.join(request.defaults);
    const inside = request.filename !== undefined && filename === undefined && implicit;
    const state: Opening = {
      options,
      filename,
      protocol: request.protocol ?? false,
      noBacking: request.noBacking ?? false,
      noIo: request.noIo ?? false,
      check: request.check ?? false,
      explicit: request.explicit ?? null,
      implicit: inside ? { ...implicit, reason: 'json' } : implicit,
    };
    takeNoBacking(state, this.environment);
    const driver = fillDriver(state);
    return driver?.protocol ? this.openDriver(state, driver, null) : this.openFormat(state, driver);
  }

  private refer(request: OpenRequest, options: Options): BlockNode {
    const name = request.reference ?? '';
    if (options.size > 0 || request.filename !== undefined) {
      throw new GraphError(
        'Cannot reference an existing block device with additional options or a new filename',
      );
    }
    if (request.implicit) this.gate(request.implicit, name, null);
    const node = this.table.lookup(name, name);
    node.references++;
    return node;
  }

  /** Throws if the policy refuses an implicit open. */
  private gate(implicit: Implicit, filename: string, driver: string | null): void {
    const asked: ImplicitOpen = { reason: implicit.reason, origin: implicit.origin, filename, driver };
    const refusal = this.environment.policy?.(asked) ?? null;
    if (refusal !== null) throw new GraphError(refusal);
  }

  /** A format or filter: its file comes first, and tells the format if no driver was given. */
  private async openFormat(state: Opening, given: Driver | null): Promise<BlockNode> {
    const { options } = state;
    const file = await this.openBelow(state, 'file', Role.PRIMARY | Role.DATA, state.filename);
    try {
      let driver = given;
      let guessed = false;
      if (!driver) {
        if (!file) throw new GraphError('Must specify either driver or file');
        const format = await this.probe(state, file);
        guessed = format === 'raw';
        driver = findDriver(format);
        options.set('driver', format);
      }
      const node = await this.openDriver({ ...state, file }, driver, file);
      if (guessed && !node.readOnly) {
        node.guardProbe = true;
        this.environment.notice?.(rawGuessWarning(node.filename));
      }
      return node;
    } finally {
      if (file) await this.unref(file);
    }
  }

  private async probe(state: Opening, file: BlockNode): Promise<string> {
    const { engine } = this.environment;
    const filename = file.filename;
    if (state.implicit) this.gate({ ...state.implicit, reason: 'probe' }, filename, null);
    const length = Math.min(PROBE_BYTES, engine.length(file.handle));
    if (length === 0) return 'raw';
    const buffer = engine.alloc(PROBE_BYTES);
    try {
      await engine.presence.whenPresent(() => engine.read(file.handle, 0, length, buffer));
      return probeFormat(buffer.view(0, length), filename);
    } catch (error) {
      const { desc, errno } = toGraphError(error);
      throw new GraphError(`Could not read image for determining its format: ${desc}`, { errno });
    } finally {
      buffer.free();
    }
  }

  /** The node itself: common options, name, driver, backing file, what is left over. */
  private async openDriver(state: Opening, driver: Driver, file: BlockNode | null): Promise<BlockNode> {
    const { options } = state;
    const given = givenOptions(options);
    options.take('driver');
    const name = options.takeText('node-name');
    const filename = file ? file.exactFilename : (options.text('filename') ?? '');
    const common = takeCommon(options, () => {
      if (driver.needsFilename && filename === '') {
        throw new GraphError(`The '${driver.name}' block driver requires a file name`);
      }
    });
    if (state.implicit && driver.protocol) this.gate(state.implicit, filename, driver.name);
    const node = new BlockNode(this.environment.engine, driver, given, common, state.noIo);
    node.forCheck = state.check;
    if (state.explicit) node.explicit = givenOptions(state.explicit);
    this.table.name(node, name);
    try {
      node.handle = await driver.open(this.context(state, node, filename));
      node.engine.changes.setSpaceOptions(node.handle, common);
      await this.openBacking(state, node);
      checkLeftovers(options, driver);
      refreshFilename(node);
      node.ready = true;
      return node;
    } catch (error) {
      await this.unref(node).catch(() => undefined);
      throw error;
    }
  }

  private context(state: Opening, node: BlockNode, filename: string): OpenContext {
    const openChild = async (
      name: string,
      role: number,
      required: boolean,
      filename?: string,
    ): Promise<BlockNode | null> => {
      const ready = name === 'file' ? (state.file ?? null) : null;
      if (ready) ready.references++;
      const child = ready ?? (await this.openBelow({ ...state, parent: node }, name, role, filename));
      // Nobody else knows a node that was opened just now, for these options.
      const described = child?.references === (ready ? 2 : 1);
      if (child) await this.link(node, child, { name, role, described });
      else if (required) throw new GraphError(`A block device must be specified for "${name}"`);
      return child;
    };
    const openStored = async (name: 'data-file', role: number, stored: string): Promise<BlockNode> => {
      const options = new Options();
      options.set('driver', 'file');
      options.set('filename', stored);
      const explicit = options.clone();
      inherit(options, state.options, node);
      const chain = state.implicit?.chain ?? [];
      const child = await this.open({
        options,
        explicit,
        protocol: true,
        implicit: { reason: name, origin: node.name, chain },
      });
      await this.link(node, child, { name, role, described: true });
      return child;
    };
    return {
      engine: this.environment.engine,
      files: this.environment.files,
      locks: this.environment.locks,
      throttleGroups: this.throttleGroups,
      secrets: this.secrets,
      openNbd: this.environment.openNbd ?? noNbd,
      tls: this.tls,
      keys: this.keys,
      node,
      find: (name) => this.table.find(name),
      options: state.options,
      filename,
      warn: (text) => this.environment.warn?.(text),
      openChild: openChild as OpenContext['openChild'],
      openStored,
    };
  }

  /** Makes `child` a child of `node`; the caller's reference on it goes over to the link. */
  private async link(
    node: BlockNode,
    child: BlockNode,
    { name, role, described }: { name: string; role: number; described: boolean },
  ): Promise<void> {
    const link: Link = { name, role, parent: node, node: child, perm: 0, shared: Permission.ALL };
    try {
      if (reaches(child, node)) throw new CycleError(child, name, node);
      this.drain();
      await attach(link, node);
      if (described) child.inheritsFrom = node;
    } finally {
      await this.unref(child);
    }
  }

  /** Opens what the options call `name`: a reference, options below it, or a file name. Null if there is nothing. */
  private async openBelow(
    state: Opening & { parent?: BlockNode },
    name: string,
    role: number,
    filename: string | undefined,
  ): Promise<BlockNode | null> {
    const below = state.options.takeBelow(name);
    const reference = state.options.text(name);
    if (reference !== undefined) state.options.delete(name);
    if (reference === undefined && below.size === 0 && filename === undefined) return null;
    const explicit = below.clone();
    if (reference === undefined) inherit(below, state.options, state.parent ?? null);
    return this.open({
      filename,
      reference,
      options: below,
      explicit,
      protocol:
        (role & (Role.PRIMARY | Role.METADATA)) !== 0 || ((role & Role.DATA) !== 0 && holdsFormat(state)),
      noIo: role & (Role.METADATA | Role.PRIMARY) ? false : state.noIo,
      implicit: state.implicit,
    });
  }

  /** Opens the backing file that the image names, for a node that was opened without. */
  async openStoredBacking(node: BlockNode): Promise<void> {
    if (node.backing || node.backingFile === '') return;
    await this.openBacking(
      {
        options: new Options(),
        filename: undefined,
        protocol: false,
        noBacking: false,
        noIo: false,
        check: false,
        explicit: null,
        implicit: null,
      },
      node,
    );
    refreshFilename(node);
  }

  private async openBacking(state: Opening, node: BlockNode): Promise<void> {
    const { options } = state;
    if (state.noBacking) return;
    const below = options.takeBelow('backing');
    const reference = options.text('backing');
    if (reference !== undefined) options.delete('backing');
    const explicit = reference !== undefined || below.has('file.filename');
    if (!explicit && node.backingFile === '' && below.size === 0) return;
    if (!node.type.backing) throw new GraphError("Driver doesn't support backing files");
    const overridden = explicit || below.size > 0;
    const stored = explicit || node.backingFile === '' ? undefined : resolveStored(node, node.backingFile);
    if (reference === undefined && node.backingFormat !== '') below.setDefault('driver', node.backingFormat);
    try {
      await this.attachBacking(state, node, { below, reference, stored });
    } catch (error) {
      // A circle is found when the file is open already.
      if (error instanceof CycleError) throw error;
      throw toGraphError(error).prefixed('Could not open backing file: ');
    }
    if (!overridden) node.autoBackingFile = node.backing?.filename ?? '';
  }

  private async attachBacking(
    state: Opening,
    node: BlockNode,
    {
      below,
      reference,
      stored,
    }: { below: Options; reference: string | undefined; stored: string | undefined },
  ): Promise<void> {
    const explicit = below.clone();
    if (reference === undefined) inheritBacking(below, node.common);
    const implicit = stored === undefined ? state.implicit : await this.extendChain(state, node, stored);
    const child = await this.open({
      filename: stored,
      reference,
      options: below,
      explicit,
      noIo: state.noIo,
      implicit,
    });
    const described = child.references === 1;
    await this.link(node, child, { name: 'backing', role: Role.COW, described });
    this.environment.engine.setBacking(node.handle, child.handle);
  }

  /**
   * The chain of files with one more; throws if it has no end. Files are told by what they are, not by their names: `./a`
   * and `././a` would never meet.
   */
  private async extendChain(state: Opening, node: BlockNode, stored: string): Promise<Implicit> {
    const chain = state.implicit?.chain ?? [];
    const plain = protocolOf(stored) === null;
    const { files } = this.environment;
    // What cannot be identified cannot be opened either, and opening it gives the proper text.
    const link = plain ? await files.identity(stored).catch(() => stored) : stored;
    if (chain.includes(link) || chain.length >= MAX_CHAIN) {
      throw new GraphError(`Backing file '${stored}' creates an infinite loop.`);
    }
    return { reason: 'backing', origin: node.name, chain: [...chain, link] };
  }

  /** Gives a reference back; the last one closes the node. The first failure is thrown when all is closed. */
  async unref(node: BlockNode): Promise<void> {
    if (--node.references > 0) return;
    this.drain();
    let failure: unknown = null;
    node.ready = false;
    try {
      await node.closeHandle();
    } catch (error) {
      if (!node.failsOnPurpose) failure = error;
    }
    node.follower?.release();
    this.table.remove(node);
    for (const link of [...node.links]) {
      try {
        await detach(link, node);
        await this.unref(link.node);
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== null) throw toGraphError(failure);
  }
}

/** Whether the data of the node that is being opened is in files, and not in images: it is no filter and no quorum. */
function holdsFormat({ parent }: { parent?: BlockNode }): boolean {
  return !parent || (!parent.isFilter && !parent.type.changeableChildren);
}

function noNbd(): never {
  throw new GraphError('There are no NBD servers here: nothing can be connected to');
}

/** An open under way. */
interface Opening {
  options: Options;
  filename: string | undefined;
  protocol: boolean;
  noBacking: boolean;
  noIo: boolean;
  check: boolean;
  explicit: Options | null;
  implicit: Implicit | null;
  /** The `file` child of a format, which is open before the format itself is known. */
  file?: BlockNode | null;
}

/** What the user gave, without what belongs to children. */
function givenOptions(options: Options): Options {
  const given = options.clone();
  for (const child of ['file', 'backing', 'data-file', 'header', 'image', 'raw', 'test', 'log', 'children']) {
    given.takeBelow(child);
    given.delete(child);
  }
  return given;
}

/** Replaces a `json:` name by the options it holds; those that are there already win. */
function readJsonName(filename: string | undefined, options: Options): string | undefined {
  if (!filename?.startsWith('json:')) return filename;
  let value;
  try {
    value = parseJson(filename.slice('json:'.length));
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    throw new GraphError(`Could not parse the JSON options: ${error.desc}`);
  }
  if (!isObject(value)) throw new GraphError('Invalid JSON object given');
  options.join(Options.from(value));
  return undefined;
}

/** `backing: null` and the older `backing: ""`. */
function takeNoBacking(state: Opening, environment: GraphEnvironment): void {
  const backing = state.options.get('backing');
  if (backing !== null && backing !== '') return;
  if (backing === '') {
    environment.warn?.('Use of "backing": "" is deprecated; use "backing": null instead');
  }
  state.options.delete('backing');
  state.noBacking = true;
}

/** Finds the driver, from its name or from the file name. Null: a format that is still to be probed. */
function fillDriver(state: Opening): Driver | null {
  const { options } = state;
  const wanted = options.text('driver');
  const driver = wanted === undefined ? null : findDriver(wanted);
  const protocol = driver ? driver.protocol : state.protocol;
  let parse = false;
  if (protocol && state.filename !== undefined) {
    if (options.has('filename')) {
      throw new GraphError("Can't specify 'file' and 'filename' options at the same time");
    }
    options.set('filename', state.filename);
    parse = true;
  }
  if (!protocol) return driver;
  const filename = options.text('filename');
  const found = driver ?? byFilename(filename, parse);
  options.set('driver', found.name);
  if (parse && filename !== undefined) {
    found.parseFilename?.(filename, options);
    if (!found.needsFilename) options.delete('filename');
  }
  return found;
}

function byFilename(filename: string | undefined, parse: boolean): Driver {
  if (filename === undefined) throw new GraphError('Must specify either driver or file');
  return protocolDriver(filename, parse);
}

/** Hands the options on that a child has from its parent unless it has its own (graph.md section 2). */
export function inherit(below: Options, options: Options, parent: BlockNode | null): void {
  const pass = (key: string, effective: boolean | undefined) => {
    const value = effective ?? options.get(key);
    if (value !== undefined) below.setDefault(key, value);
  };
  pass('cache.direct', parent?.common.direct);
  pass('cache.no-flush', parent?.common.noFlush);
  pass('force-share', parent?.common.forceShare);
  pass('read-only', parent?.common.readOnly);
  pass('auto-read-only', parent?.common.autoReadOnly);
  below.setDefault('discard', 'unmap');
}

/** The same for a backing file, which is only read. */
export function inheritBacking(below: Options, common: CommonOptions): void {
  below.setDefault('cache.direct', common.direct);
  below.setDefault('cache.no-flush', common.noFlush);
  below.setDefault('force-share', common.forceShare);
  below.setDefault('read-only', true);
  below.setDefault('auto-read-only', false);
  below.setDefault('discard', 'unmap');
}

/** @param checkFilename called between the checks as in QEMU, and may throw */
function takeCommon(options: Options, checkFilename: () => void): CommonOptions {
  const forceShare = options.takeBoolean('force-share') ?? false;
  const common: CommonOptions = { ...readCommon(options), forceShare };
  if (forceShare && !common.readOnly) {
    throw new GraphError('force-share=on can only be used with read-only images');
  }
  checkFilename();
  checkCommon(common);
  return common;
}

/** Takes the options of every node that can be changed while it is open. */
export function readCommon(options: Options): Omit<CommonOptions, 'forceShare'> {
  return {
    readOnly: options.takeBoolean('read-only') ?? false,
    autoReadOnly: options.takeBoolean('auto-read-only') ?? false,
    direct: options.takeBoolean('cache.direct') ?? false,
    noFlush: options.takeBoolean('cache.no-flush') ?? false,
    discard: takeDiscard(options),
    detectZeroes: options.takeEnum<DetectZeroes>('detect-zeroes', ['off', 'on', 'unmap']) ?? 'off',
  };
}

/** What these options forbid each other. */
export function checkCommon({ detectZeroes, discard }: Omit<CommonOptions, 'forceShare'>): void {
  if (detectZeroes === 'unmap' && !discard) {
    throw new GraphError(
      'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap',
    );
  }
}

function takeDiscard(options: Options): boolean {
  const discard = options.takeText('discard') ?? 'ignore';
  if (discard === 'unmap' || discard === 'on') return true;
  if (discard === 'ignore' || discard === 'off') return false;
  throw new GraphError('Invalid discard option');
}

function checkLeftovers(options: Options, driver: Driver): void {
  const left = options.first();
  if (left === undefined) return;
  throw new GraphError(
    driver.protocol
      ? `Block protocol '${driver.name}' doesn't support the option '${left}'`
      : `Block format '${driver.name}' does not support the option '${left}'`,
  );
}
