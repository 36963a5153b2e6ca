/** block-stream in the graph: what is checked, what the job holds while it runs, and what the chain is afterwards. */
import { Permission } from '../../files/locks';
import { changeBackingFile } from '../images/backingname';
import { belowInChain, chain, freezeChain, inChain, overlayOf, skipFilters } from '../chain';
import { findBacking } from '../chainnames';
import { checkNoJob, type JobLinks } from './links';
import { GraphChange, refreshNames } from '../changes/change';
import { explain, GraphError } from '../errors';
import type { JobHost } from './host';
import { copyOnRead } from '../drivers/copyonread';
import { insertFilter, removeFilter } from './filter';
import { Role, type BlockNode } from '../node';
import { setReadOnly } from '../changes/reopen';
import type { NodeUser } from '../user';

const { CONSISTENT_READ, WRITE, WRITE_UNCHANGED, ALL } = {
  CONSISTENT_READ: Permission.CONSISTENT_READ,
  WRITE: Permission.WRITE,
  WRITE_UNCHANGED: Permission.WRITE_UNCHANGED,
  ALL: Permission.ALL,
} as const;

/** What block-stream says. */
export interface StreamRequest {
  device: string;
  base?: string | undefined;
  baseNode?: string | undefined;
  bottom?: string | undefined;
  backingFile?: string | undefined;
  /** A protocol node as base is called `raw` in the header. */
  maskProtocol: boolean;
  filterName?: string | undefined;
}

/** A stream that was prepared: the filter is there, and the job is still to be made. */
export class StreamGraph {
  /** The job's links; there from {@link hold} on. */
  private links: JobLinks | null = null;
  private user: NodeUser | null = null;
  private filter: BlockNode | null = null;
  private unfreeze: () => void = () => undefined;

  private constructor(
    private readonly host: JobHost,
    private readonly request: StreamRequest,
    /** The image that data is copied into. */
    readonly top: BlockNode,
    /** The last image that data is copied from; null: there is nothing to copy. */
    private readonly bottom: BlockNode | null,
    private readonly wasReadOnly: boolean,
  ) {}

  /** Checks everything and puts the filter in its place. Inside an exclusive change. */
  static async begin(host: JobHost, request: StreamRequest): Promise<StreamGraph> {
    const { table } = host.opener;
    const { base, baseNode, bottom } = request;
    if (base !== undefined && baseNode !== undefined)
      throw new GraphError("'base' and 'base-node' cannot be specified at the same time");
    if (base !== undefined && bottom !== undefined)
      throw new GraphError("'base' and 'bottom' cannot be specified at the same time");
    if (bottom !== undefined && baseNode !== undefined)
      throw new GraphError("'bottom' and 'base-node' cannot be specified at the same time");
    const top = table.lookup(request.device, request.device);
    const below = await findBase(host, top, request);
    const end = bottom === undefined ? null : findBottom(host, top, bottom);
    const last = end ?? (below ? overlayOf(top, below) : (chain(top).findLast((n) => !n.isFilter) ?? top));
    const kept = last ? belowInChain(last) : null;
    for (const node of chain(top, kept)) checkNoJob(node);
    if (request.backingFile !== undefined && !kept)
      throw new GraphError('backing file specified, but streaming the entire chain');
    const stream = new StreamGraph(host, request, top, last === top ? null : last, top.readOnly);
    try {
      if (top.readOnly) await setReadOnly(host.opener, top, false);
      stream.filter = await explain(
        () =>
          insertFilter(host.opener, top, {
            driver: copyOnRead,
            linkName: 'file',
            name: request.filterName,
            readOnly: false,
            open: (below) =>
              top.engine.filters.openCopyOnRead(below, {
                readOnly: false,
                cluster: top.type.details(top)?.clusterSize ?? 0,
                bottom: (stream.bottom ?? top).handle,
              }),
          }),
        (error) => error.prefixed('Could not create node: '),
      );
    } catch (error) {
      await stream.discard();
      throw error;
    }
    return stream;
  }

  /** The node below the last one that data is copied from: what stays in the chain; null: nothing. */
  private get kept(): BlockNode | null {
    return belowInChain(this.bottom ?? this.top);
  }

  /** Takes what the job needs. */
  async hold(id: string): Promise<void> {
    const { filter, top, host } = this;
    if (!filter) return;
    this.user = await host.attachBackend(filter, CONSISTENT_READ, CONSISTENT_READ | WRITE | WRITE_UNCHANGED);
    this.links = host.addJob('stream', id);
    await this.links.add(filter, 'main node', { perm: 0, shared: ALL });
    await this.links.add(top, 'active node', {
      perm: 0,
      shared: CONSISTENT_READ | WRITE_UNCHANGED | WRITE,
    });
    for (const node of chain(top, this.kept).slice(1)) {
      await this.links.add(node, 'intermediate node', { perm: 0, shared: CONSISTENT_READ | WRITE_UNCHANGED });
    }
    this.unfreeze = freezeChain(filter, this.kept);
  }

  /** Where to copy from: the node below the top, down to (but without) `above`. Null: there is nothing to copy. */
  source(): { source: BlockNode; above: BlockNode | null } | null {
    // Filters above the image are read through: they may slow it down, or let it fail.
    const source = this.bottom ? (skipFilters(this.top)?.backing ?? null) : null;
    return source ? { source, above: this.kept } : null;
  }

  /** All is copied: the chain goes on below what was copied, and the image says so. */
  async finish(): Promise<void> {
    const { top, request, kept } = this;
    const hadBacking = belowInChain(top) !== null;
    await this.dropFilter();
    if (!hadBacking || kept === belowInChain(top)) return;
    const image = kept && (kept.isFilter ? kept.filtered : kept);
    const name = request.backingFile ?? image?.filename ?? null;
    const format = image && (request.maskProtocol && image.type.protocol ? 'raw' : image.driver);
    const change = new GraphChange(this.host.opener);
    change.setChild(top, 'backing', Role.COW, kept);
    await change.prepare();
    try {
      // The image must not lose sight of its backing file before it has all of the data.
      await top.engine.presence.whenPresent(() => top.engine.flush(top.handle));
      await top.engine.presence.whenPresent(() => changeBackingFile(top, image ? name : null, format));
    } catch (error) {
      await change.abort();
      throw error;
    }
    refreshNames([top]);
    await change.commit();
  }

  /** The work is over; the chain stays as it is now. The job's links to the images stay too, as in QEMU. */
  async end(): Promise<void> {
    await this.dropFilter();
    if (this.wasReadOnly && !this.top.readOnly)
      await setReadOnly(this.host.opener, this.top, true).catch(() => undefined);
  }

  /** Gives the images back. Those that only the job kept are closed. */
  async release(): Promise<void> {
    const { links } = this;
    this.links = null;
    if (links) await this.host.removeJob(links, null);
  }

  /** Ends what was begun, when there is no job that could do it. */
  async discard(): Promise<void> {
    await this.end();
    await this.release();
  }

  private async dropFilter(): Promise<void> {
    const { user, filter, links } = this;
    this.user = null;
    this.filter = null;
    this.unfreeze();
    this.unfreeze = () => undefined;
    await user?.closeNow();
    if (!filter) return;
    await links?.drop(filter);
    await removeFilter(this.host.opener, filter);
  }
}

async function findBase(host: JobHost, top: BlockNode, request: StreamRequest): Promise<BlockNode | null> {
  if (request.base !== undefined) {
    const base = await findBacking(host.opener, top, request.base);
    if (!base) throw new GraphError(`Can't find '${request.base}' in the backing chain`);
    return base;
  }
  if (request.baseNode === undefined) return null;
  const base = host.opener.table.lookup(undefined, request.baseNode);
  if (base === top || !inChain(top, base))
    throw new GraphError(`Node '${request.baseNode}' is not a backing image of '${request.device}'`);
  return base;
}

function findBottom(host: JobHost, top: BlockNode, name: string): BlockNode {
  const bottom = host.opener.table.lookup(undefined, name);
  if (bottom.isFilter) throw new GraphError(`Node '${name}' is a filter, use a non-filter node as 'bottom'`);
  if (!inChain(top, bottom))
    throw new GraphError(`Node '${name}' is not in a chain starting from '${top.name}'`);
  return bottom;
}
