/** Backups in the graph: what is checked, the filter above the source, the bitmap that says what changed (jobs.md 5.4). */
import type { EngineBackup } from '../../engine/backup';
import type { Presence } from '../../engine/presence';
import type { BitmapSyncMode, MirrorSyncMode } from '../../qapi/types.generated';
import { Permission } from '../../files/locks';
import { checkUsable, findBitmap, type NodeBitmap } from '../bitmaps';
import { GraphChange } from '../changes/change';
import { backingOf } from '../chain';
import type { Creator } from '../images/create';
import { discardsSource, keepCluster } from '../drivers/copybeforewrite';
import { explain, GraphError } from '../errors';
import { removeFilter } from './filter';
import type { JobHost } from './host';
import { checkNoJob, type JobLinks } from './links';
import { Role, type BlockNode } from '../node';
import { Options } from '../options';
import type { QDict } from '../api';

/** Bytes that are copied at once, if clusters are not larger. */
const CHUNK = 1 << 20;
const MAX_INT = 2147483647;

/** What blockdev-backup and drive-backup say of a backup. */
export interface BackupOptions {
  device: string;
  sync: MirrorSyncMode;
  bitmap?: string | undefined;
  bitmapMode?: BitmapSyncMode | undefined;
  compress: boolean;
  discardSource: boolean;
  filterName?: string | undefined;
  maxWorkers?: number | undefined;
  maxChunk?: number | undefined;
}

/** What blockdev-backup says. */
export interface BackupRequest extends BackupOptions {
  target: string;
}

/** What drive-backup says. */
export interface DriveBackupRequest extends BackupOptions {
  /** A file name. */
  target: string;
  /** Default: that of the source; of a file that is there it is probed. */
  format?: string | undefined;
  /** The file is there. */
  existing: boolean;
}

/** A backup that was prepared: its filter keeps what the source was at that moment. */
export class BackupGraph {
  private links: JobLinks | null = null;
  private last = { done: 0, total: 0 };

  private constructor(
    private readonly host: JobHost,
    private readonly request: BackupOptions,
    private readonly target: BlockNode,
    private filterNode: BlockNode | null,
    private readonly bitmap: NodeBitmap | null,
    /** Bytes of a cluster: what is copied is copied in whole ones. */
    readonly cluster: number,
  ) {}

  /** Checks everything, and puts the filter in its place. Inside an exclusive change. */
  static async begin(host: JobHost, request: BackupRequest): Promise<BackupGraph> {
    const { table } = host.opener;
    const source = table.lookup(request.device, request.device);
    return prepare(host, request, source, table.lookup(request.target, request.target));
  }

  /** The same to a file, which is made unless it is there. */
  static async beginDrive(
    host: JobHost,
    creator: Creator,
    request: DriveBackupRequest,
  ): Promise<BackupGraph> {
    const { opener } = host;
    const device = opener.table.lookup(request.device, request.device);
    checkNoJob(device);
    const format = request.format ?? (request.existing ? undefined : device.driver);
    const below = request.sync === 'top' ? backingOf(device) : request.sync === 'none' ? device : null;
    const sync = request.sync === 'top' && !below ? 'full' : request.sync;
    if (!request.existing && format !== undefined) {
      const backing = below && { backing_file: below.filename, backing_fmt: below.driver };
      const values = { size: device.length(), ...backing };
      const image = await creator.prepare({ filename: request.target, format, values }, true);
      opener.environment.output?.(`Formatting '${request.target}', ${image.line}`);
      await creator.createImage(image);
    }
    const { direct, noFlush } = device.common;
    const options: QDict = {
      ...(format !== undefined && { driver: format }),
      'cache.direct': direct,
      'cache.no-flush': noFlush,
      discard: 'unmap',
      'detect-zeroes': 'unmap',
    };
    const target = await opener.open({
      filename: request.target,
      options: Options.from(options),
      noBacking: sync === 'none',
    });
    try {
      if (sync === 'none') {
        const change = new GraphChange(opener);
        change.setChild(target, 'backing', Role.COW, device);
        await change.apply();
      }
      return await prepare(host, { ...request, sync }, device, target);
    } finally {
      await opener.unref(target);
    }
  }

  /** The filter is there, and the job is still to be made. */
  static inPlace(
    host: JobHost,
    request: BackupOptions,
    place: { target: BlockNode; filter: BlockNode; bitmap: NodeBitmap | null; cluster: number },
  ): BackupGraph {
    return new BackupGraph(host, request, place.target, place.filter, place.bitmap, place.cluster);
  }

  /** Takes what the job needs. */
  async hold(id: string): Promise<void> {
    this.links = this.host.addJob('backup', id);
    await this.links.add(this.filter, 'main node', { perm: 0, shared: Permission.ALL });
    await this.links.add(this.target, 'target', { perm: 0, shared: Permission.ALL });
  }

  /** The filter; there until {@link end}. */
  get filter(): BlockNode {
    if (!this.filterNode) throw new GraphError('The backup has ended');
    return this.filterNode;
  }

  get sync(): MirrorSyncMode {
    return this.request.sync;
  }

  /** What of the disk or the target may be elsewhere. */
  get presence(): Presence {
    return this.target.engine.presence;
  }

  get engine(): EngineBackup {
    return this.target.engine.backup;
  }

  length(): number {
    return this.filter.length();
  }

  /** Bytes to copy at once. */
  get chunk(): number {
    const { compress, maxChunk = 0 } = this.request;
    const chunk = compress ? this.cluster : Math.max(CHUNK, this.cluster);
    return maxChunk > 0 ? Math.min(chunk, Math.floor(maxChunk / this.cluster) * this.cluster) : chunk;
  }

  /** Bytes that were copied, by the job and for guests, and these and those to come together. */
  progress(): { done: number; total: number } {
    if (this.filterNode) {
      const { copied, left } = this.engine.progress(this.filterNode.handle);
      this.last = { done: copied, total: copied + left };
    }
    return this.last;
  }

  /** The bitmap goes on: with what was written meanwhile, and, if the backup failed, with what it does not have. */
  endBitmap(success: boolean): void {
    const { bitmap, filterNode } = this;
    if (!bitmap?.frozen) return;
    const always = this.request.bitmapMode === 'always';
    if (always || (success && this.request.bitmapMode === 'on-success')) bitmap.abdicate();
    else bitmap.reclaim();
    if (always && !success && filterNode) this.engine.addPending(filterNode.handle, bitmap.handle);
  }

  /** Gives everything back; without {@link endBitmap} before, the backup was none. */
  async end(): Promise<void> {
    this.progress();
    this.endBitmap(false);
    const { links, filterNode } = this;
    this.links = null;
    this.filterNode = null;
    if (links) await this.host.removeJob(links, filterNode);
    else if (filterNode) await removeFilter(this.host.opener, filterNode);
  }

  /** The job is gone: QEMU stops all requests once more, though nothing is left to give back. */
  release(): Promise<void> {
    this.host.opener.drain();
    return Promise.resolve();
  }
}

/** The bitmap that the arguments name, and how it is used; in QEMU's order. */
function takeBitmap(
  source: BlockNode,
  request: BackupOptions,
): [NodeBitmap | null, BitmapSyncMode | undefined] {
  const { sync, bitmap: name } = request;
  let mode = request.bitmapMode;
  if ((sync === 'bitmap' || sync === 'incremental') && name === undefined)
    throw new GraphError(`must provide a valid bitmap name for '${sync}' sync mode`);
  if (sync === 'incremental') {
    if (mode !== undefined && mode !== 'on-success')
      throw new GraphError("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'");
    mode = 'on-success';
  }
  if (name === undefined) {
    if (mode !== undefined) throw new GraphError('Cannot specify bitmap sync mode without a bitmap');
    return [null, undefined];
  }
  const bitmap = findBitmap(source, name);
  if (!bitmap) throw new GraphError(`Bitmap '${name}' could not be found`);
  if (mode === undefined) throw new GraphError('Bitmap sync mode must be given when providing a bitmap');
  checkUsable(bitmap, mode === 'never' ? { readOnly: 'allowed' } : {});
  if (sync === 'none') throw new GraphError(`sync mode '${sync}' does not produce meaningful bitmap outputs`);
  if (mode === 'never' && sync !== 'bitmap' && sync !== 'incremental')
    throw new GraphError(
      `Bitmap sync mode '${mode}' has no meaningful effect when combined with sync mode '${sync}'`,
    );
  return [bitmap, mode];
}

async function prepare(
  host: JobHost,
  asked: BackupOptions,
  source: BlockNode,
  target: BlockNode,
): Promise<BackupGraph> {
  const { maxWorkers = 1, maxChunk = 0 } = asked;
  const [bitmap, bitmapMode] = takeBitmap(source, asked);
  const request = {
    ...asked,
    bitmapMode,
    sync: asked.sync === 'incremental' ? 'bitmap' : asked.sync,
  } as const;
  if (source === target) throw new GraphError('Source and target cannot be the same');
  if (request.compress && !target.type.compresses)
    throw new GraphError('Compression is not supported for this drive ');
  checkNoJob(source);
  checkNoJob(target);
  if (maxWorkers < 1 || maxWorkers > MAX_INT)
    throw new GraphError(`max-workers must be between 1 and ${MAX_INT}`);
  if (maxChunk < 0) throw new GraphError('max-chunk must be zero (which means no limit) or positive');
  if (source.length() !== target.length())
    throw new GraphError('Source and target image have different sizes');
  bitmap?.freeze();
  let filter: BlockNode | null = null;
  try {
    filter = await openFilter(host, source, target, request);
    const cluster = keepCluster(target, () => undefined);
    if (maxChunk > 0 && maxChunk < cluster)
      throw new GraphError(`Required max-chunk (${maxChunk}) is less than backup cluster size (${cluster})`);
    const engine = source.engine.backup;
    const { compress, discardSource, sync } = request;
    engine.setMode(filter.handle, { topOnly: sync === 'top', compress, discardSource });
    if (sync === 'bitmap' && bitmap) engine.selectCopied(filter.handle, bitmap.handle);
    if (discardSource) discardsSource(filter);
    const change = new GraphChange(host.opener);
    const made = filter;
    await explain(
      async () => {
        change.replaceNode(source, made);
        await change.apply();
      },
      (error) => error.prefixed('Could not replace node: '),
    );
    return BackupGraph.inPlace(host, request, { target, filter, bitmap, cluster });
  } catch (error) {
    if (filter) await removeFilter(host.opener, filter);
    bitmap?.reclaim();
    throw error;
  }
}

/** Opens the filter above the source; its users are still the source's. */
async function openFilter(
  { opener }: JobHost,
  source: BlockNode,
  target: BlockNode,
  { filterName }: BackupOptions,
): Promise<BlockNode> {
  const options: QDict = {
    driver: 'copy-before-write',
    ...(filterName !== undefined && { 'node-name': filterName }),
    file: source.name,
    target: target.name,
  };
  const filter = await explain(
    () => opener.open({ options: Options.from(options) }),
    (error) => error.prefixed('Could not create node: '),
  );
  filter.implicit = filterName === undefined;
  return filter;
}
