/** block-commit of images below the active one: what is checked, what the job holds, and what the chain is afterwards. */
import { Permission } from '../../files/locks';
import { changeBackingFile } from '../images/backingname';
import { backingOf, chain, freezeChain, inChain, overlayOf, skipFilters } from '../chain';
import { findBacking } from '../chainnames';
import { GraphChange, refreshNames } from '../changes/change';
import { GraphError } from '../errors';
import { commitTop, insertFilter, removeFilter } from './filter';
import type { JobHost } from './host';
import { checkNoJob, checkRoot, type JobLinks } from './links';
import { BlockNode } from '../node';
import { setReadOnly } from '../changes/reopen';
import type { NodeUser } from '../user';

const { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE, ALL } = {
  CONSISTENT_READ: Permission.CONSISTENT_READ,
  WRITE: Permission.WRITE,
  WRITE_UNCHANGED: Permission.WRITE_UNCHANGED,
  RESIZE: Permission.RESIZE,
  ALL: Permission.ALL,
} as const;

/** What block-commit says. */
export interface CommitRequest {
  device: string;
  top?: string | undefined;
  topNode?: string | undefined;
  base?: string | undefined;
  baseNode?: string | undefined;
  backingFile?: string | undefined;
  /** A protocol node as base is called `raw` in the header. */
  maskProtocol: boolean;
  filterName?: string | undefined;
}

/** A commit of an image that may be written to: it is done by a mirror to `base`. */
export interface ActiveCommit {
  top: BlockNode;
  base: BlockNode;
  filterName: string | undefined;
}

/** A commit whose images are found: nothing is changed yet. */
export class CommitGraph {
  private links: JobLinks | null = null;
  private baseUser: NodeUser | null = null;
  private topUser: NodeUser | null = null;
  private filter: BlockNode | null = null;
  private reopened: BlockNode[] = [];
  private unfreeze: () => void = () => undefined;
  private done = false;

  private constructor(
    private readonly host: JobHost,
    private readonly request: CommitRequest,
    private readonly device: BlockNode,
    /** The uppermost image whose data goes down. */
    readonly top: BlockNode,
    /** The image that the data goes to. */
    readonly base: BlockNode,
    /** The image above `top`, which will be above `base`. */
    private readonly overlay: BlockNode,
  ) {}

  /** Checks everything. Inside an exclusive change. The active layer is committed by a mirror. */
  static async find(host: JobHost, request: CommitRequest): Promise<CommitGraph | ActiveCommit> {
    const device = findDevice(host, request.device);
    checkNoJob(device);
    const top = await findTop(host, device, request);
    const base = await findBase(host, top, request);
    for (const node of chain(top, base)) checkNoJob(node);
    if (top === base) throw new GraphError('cannot commit an image into itself');
    checkNoJob(base);
    const written = (top.cumulative().perm & WRITE) !== 0;
    if (top === skipFilters(device) || written) {
      if (request.backingFile !== undefined) {
        const why = written && top !== device ? "'top' has a writer on it" : "'top' is the active layer";
        throw new GraphError(`'backing-file' specified, but ${why}`);
      }
      return { top, base, filterName: request.filterName };
    }
    const overlay = overlayOf(device, top);
    if (!overlay) throw new GraphError('Invalid files for merge: top and base are the same');
    return new CommitGraph(host, request, device, top, base, overlay);
  }

  /** Takes what the job needs, and puts its filter in its place. On a failure all is as before. */
  async hold(id: string): Promise<void> {
    try {
      await this.take(id);
    } catch (error) {
      await this.end();
      await this.release();
      throw error;
    }
  }

  private async take(id: string): Promise<void> {
    const { host, device, top, base, request } = this;
    const { opener } = host;
    const links = host.addJob('commit', id);
    this.links = links;
    await links.add(device, 'main node', { perm: 0, shared: ALL });
    if (base.readOnly) {
      await setReadOnly(opener, base, false);
      this.reopened.push(base);
    }
    this.filter = await insertFilter(opener, top, {
      driver: commitTop,
      linkName: 'backing',
      name: request.filterName,
      readOnly: true,
    });
    for (const node of chain(top, base)) {
      const reads = node.isFilter && skipFilters(node) === base ? CONSISTENT_READ : 0;
      await links.add(node, 'intermediate node', { perm: 0, shared: WRITE | WRITE_UNCHANGED | reads });
    }
    await links.add(base, 'base', { perm: 0, shared: ALL });
    const grows = base.length() < top.length();
    this.baseUser = await host.attachBackend(
      base,
      CONSISTENT_READ | WRITE | (grows ? RESIZE : 0),
      CONSISTENT_READ | WRITE_UNCHANGED,
    );
    this.topUser = await host.attachBackend(top, 0, ALL);
    this.unfreeze = freezeChain(this.overlay, base);
  }

  /** Makes the base as long as the top, if it is shorter. */
  growBase(): void {
    if (this.base.length() < this.top.length()) this.baseUser?.truncate(this.top.length());
  }

  /** All is copied: the overlay goes on with the base, and its image says so. */
  async finish(): Promise<void> {
    const { overlay, base, filter, request, host } = this;
    this.unfreeze();
    const image = skipFilters(base) ?? base;
    const format = request.maskProtocol && image.type.protocol ? 'raw' : image.driver;
    if (!filter) return;
    // The overlay's image must not name the base before the base has all of the data.
    await base.engine.presence.whenPresent(() => base.engine.flush(base.handle));
    if (overlay.readOnly) {
      await setReadOnly(host.opener, overlay, false);
      this.reopened.push(overlay);
    }
    const change = new GraphChange(host.opener);
    change.replaceNode(filter, base, (link) => link.parent instanceof BlockNode);
    await change.prepare();
    try {
      const name = request.backingFile ?? image.filename;
      await overlay.engine.presence.whenPresent(() => changeBackingFile(overlay, name, format));
    } catch (error) {
      await change.abort();
      throw error;
    }
    refreshNames([overlay]);
    await change.commit();
    this.done = true;
  }

  /** The work is over. The job is shown until it is dismissed; after a success its links to the images stay, as in QEMU. */
  async end(): Promise<void> {
    const { baseUser, topUser, filter } = this;
    this.baseUser = this.topUser = this.filter = null;
    this.unfreeze();
    await baseUser?.closeNow();
    await topUser?.closeNow();
    if (!this.done) await this.links?.release();
    if (filter) await removeFilter(this.host.opener, filter);
    for (const node of this.reopened.splice(0))
      await setReadOnly(this.host.opener, node, true).catch(() => undefined);
  }

  /** Gives the images back. Those that only the job kept are closed. */
  async release(): Promise<void> {
    const { links } = this;
    this.links = null;
    if (links) await this.host.removeJob(links, null);
  }
}

function findDevice(host: JobHost, name: string): BlockNode {
  const device = host.opener.table.find(name);
  if (!(device instanceof BlockNode))
    throw new GraphError(`Device '${name}' not found`, { errorClass: 'DeviceNotFound' });
  checkRoot(device);
  return device;
}

async function findTop(
  host: JobHost,
  device: BlockNode,
  { top, topNode }: CommitRequest,
): Promise<BlockNode> {
  if (topNode !== undefined && top !== undefined)
    throw new GraphError("'top-node' and 'top' are mutually exclusive");
  if (topNode !== undefined) {
    const node = host.opener.table.lookup(undefined, topNode);
    if (!inChain(device, node)) throw new GraphError(`'${topNode}' is not in this backing file chain`);
    return node;
  }
  if (top === undefined || top === device.filename) return skipFilters(device) ?? device;
  const node = await findBacking(host.opener, device, top);
  if (!node) throw new GraphError(`Top image file ${top} not found`);
  return node;
}

async function findBase(
  host: JobHost,
  top: BlockNode,
  { base, baseNode }: CommitRequest,
): Promise<BlockNode> {
  if (baseNode !== undefined && base !== undefined)
    throw new GraphError("'base-node' and 'base' are mutually exclusive");
  if (baseNode !== undefined) {
    const node = host.opener.table.lookup(undefined, baseNode);
    if (!inChain(top, node)) throw new GraphError(`'${baseNode}' is not in this backing file chain`);
    return node;
  }
  if (base !== undefined) {
    const node = await findBacking(host.opener, top, base);
    if (!node) throw new GraphError(`Can't find '${base}' in the backing chain`);
    return node;
  }
  let node = skipFilters(top) ?? top;
  for (let next = backingOf(node); next; next = backingOf(node)) node = next;
  return node;
}
