/** blockdev-mirror, drive-mirror and block-commit of the active layer: what is checked before the job is there. */
import type { QDict } from '../api';
import { checkNotBacking } from '../busy';
import { backingOf, skipFilters } from '../chain';
import type { ActiveCommit } from './commit';
import type { Creator } from '../images/create';
import { GraphError } from '../errors';
import type { JobHost } from './host';
import { checkNoJob, checkRoot } from './links';
import { canReplace, clusterSizeOf, MirrorGraph, type MirrorPlan } from './mirrorgraph';
import type { BlockNode } from '../node';
import { Options } from '../options';
import { setReadOnly } from '../changes/reopen';

/** What both commands say. */
interface CommonRequest {
  device: string;
  sync: 'full' | 'top' | 'none' | 'incremental' | 'bitmap';
  granularity: number | undefined;
  bufSize: number | undefined;
  replaces: string | undefined;
  unmap: boolean;
}

/** What blockdev-mirror says. */
export interface MirrorRequest extends CommonRequest {
  /** Name of a node. */
  target: string;
  filterName: string | undefined;
}

/** What drive-mirror says. */
export interface DriveMirrorRequest extends CommonRequest {
  /** A file name. */
  target: string;
  format: string | undefined;
  nodeName: string | undefined;
  /** The file is there, with what it says of its backing file. */
  existing: boolean;
}

/** Granularities, bytes: by default that of the target's clusters, between these. */
const MIN_DEFAULT = 4096;
const MAX_DEFAULT = 65536;

/** Inside an exclusive change, as the two others. */
export async function beginMirror(host: JobHost, request: MirrorRequest): Promise<MirrorGraph> {
  const source = findSource(host, request.device);
  const target = host.opener.table.lookup(request.target, request.target);
  const plan = makePlan(host, source, target, request);
  return MirrorGraph.begin(host, {
    ...plan,
    zeroTarget: request.sync === 'full',
    backing: { kind: 'keep' },
    filterName: request.filterName,
    ownsTarget: false,
  });
}

export async function beginDriveMirror(
  host: JobHost,
  creator: Creator,
  request: DriveMirrorRequest,
): Promise<MirrorGraph> {
  const { existing, sync, target: filename, nodeName } = request;
  const source = findSource(host, request.device);
  if (request.replaces !== undefined && nodeName === undefined)
    throw new GraphError('a node-name must be provided when replacing a named node of the graph');
  const below = sync === 'none' ? source : sync === 'top' ? backingOf(source) : null;
  const image = skipFilters(source) ?? source;
  const format = request.format ?? (existing ? undefined : image.driver);
  if (!existing && format !== undefined) {
    const values = {
      size: source.length(),
      ...(below && { backing_file: below.filename, backing_fmt: below.driver }),
    };
    const prepared = await creator.prepare({ filename, format, values }, true);
    host.opener.environment.output?.(`Formatting '${filename}', ${prepared.line}`);
    await creator.createImage(prepared);
  }
  const { direct, noFlush, discard } = source.common;
  const options: QDict = {
    ...(format !== undefined && { driver: format }),
    ...(nodeName !== undefined && { 'node-name': nodeName }),
    'cache.direct': direct,
    'cache.no-flush': noFlush,
    discard: discard ? 'unmap' : 'ignore',
  };
  const target = await host.opener.open({ filename, options: Options.from(options), noBacking: true });
  try {
    const plan = makePlan(host, source, target, request);
    return await MirrorGraph.begin(host, {
      ...plan,
      zeroTarget: sync === 'full' && existing,
      backing: existing ? { kind: 'stored' } : { kind: 'node', node: below },
      filterName: undefined,
      ownsTarget: true,
    });
  } catch (error) {
    await host.opener.unref(target).catch(() => undefined);
    throw error;
  }
}

export async function beginActiveCommit(
  host: JobHost,
  { top, base, filterName }: ActiveCommit,
): Promise<MirrorGraph> {
  const reopened = base.readOnly;
  if (reopened) await setReadOnly(host.opener, base, false);
  try {
    return await MirrorGraph.begin(host, {
      type: 'commit',
      source: top,
      target: base,
      base,
      writesOnly: false,
      zeroTarget: false,
      granularity: defaultGranularity(base),
      replaces: undefined,
      backing: { kind: 'keep' },
      filterName,
      unmap: true,
      ownsTarget: false,
      reopened,
    });
  } catch (error) {
    if (reopened) await setReadOnly(host.opener, base, true).catch(() => undefined);
    throw error;
  }
}

function findSource(host: JobHost, name: string): BlockNode {
  const source = host.opener.table.lookup(name, name);
  checkRoot(source);
  return source;
}

/** Checks in QEMU's order. */
function makePlan(
  host: JobHost,
  source: BlockNode,
  target: BlockNode,
  request: CommonRequest,
): Omit<MirrorPlan, 'zeroTarget' | 'backing' | 'filterName' | 'ownsTarget'> {
  const { granularity = 0, bufSize = 0, replaces, unmap } = request;
  if (granularity !== 0 && (granularity < 512 || granularity > 64 << 20))
    throw new GraphError("Parameter 'granularity' expects a value in range [512B, 64MB]");
  if (granularity & (granularity - 1)) throw new GraphError("Parameter 'granularity' expects a power of 2");
  checkNoJob(source);
  checkNoJob(target);
  checkNotBacking(target);
  const below = backingOf(source);
  const sync = request.sync === 'top' && !below ? 'full' : request.sync;
  if (replaces !== undefined) checkReplaces(host, source, replaces);
  if (sync === 'incremental' || sync === 'bitmap') throw new GraphError(`Sync mode '${sync}' not supported`);
  if (bufSize < 0) throw new GraphError("Invalid parameter 'buf-size'");
  if (skipFilters(source) === skipFilters(target)) throw new GraphError("Can't mirror node into itself");
  return {
    type: 'mirror',
    source,
    target,
    base: sync === 'top' ? below : null,
    writesOnly: sync === 'none',
    granularity: granularity === 0 ? defaultGranularity(target) : granularity,
    replaces,
    unmap,
    reopened: false,
  };
}

function checkReplaces(host: JobHost, source: BlockNode, replaces: string): void {
  const node = host.opener.table.find(replaces);
  if (!node) throw new GraphError(`Failed to find node with node-name='${replaces}'`);
  checkNoJob(node);
  checkNotBacking(node);
  if (!canReplace(source, node)) {
    throw new GraphError(
      `Cannot replace '${replaces}' by a node mirrored from '${source.name}', because it cannot be guaranteed that ` +
        'doing so would not lead to an abrupt change of visible data',
    );
  }
  if (node.length() !== source.length())
    throw new GraphError('cannot replace image with a mirror image of different size');
}

function defaultGranularity(target: BlockNode): number {
  const clusterSize = clusterSizeOf(target);
  return clusterSize === 0 ? MAX_DEFAULT : Math.min(MAX_DEFAULT, Math.max(MIN_DEFAULT, clusterSize));
}
