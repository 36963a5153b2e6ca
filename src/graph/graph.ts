/** The graph of one emulated process: what commands and tools do to it. */
import type { FileStore } from '../files/contract';
import { Permission } from '../files/locks';
import type { SnapshotInfo } from '../qapi/types.generated';
import type {
  BlockDeviceInfo,
  BlockGraphApi,
  BlockStats,
  BlockUser,
  CreateImageRequest,
  CreateOption,
  CreateSupport,
  DebugGraph,
  GraphEnvironment,
  NewOverlay,
  NodeView,
  OpenImageRequest,
  PlacedOverlay,
  PreparedCreate,
  QDict,
} from './api';
import { holdForAmend, type AmendRequest, type AmendTarget } from './images/amend';
import { BackupGraph, type BackupRequest, type DriveBackupRequest } from './jobs/backup';
import { checkNotBacking } from './busy';
import { CommitGraph, type ActiveCommit, type CommitRequest } from './jobs/commit';
import { GraphBitmaps } from './bitmaps';
import { corruptionNotice, mismatchNotice } from './corruption';
import { Creator } from './images/create';
import { checkCreatable, findAmender } from './drivers/table';
import { GraphError, toGraphError } from './errors';
import { deviceInfo, nodeStats } from './info';
import { beginActiveCommit, beginDriveMirror, beginMirror } from './jobs/mirror';
import type { DriveMirrorRequest, MirrorRequest } from './jobs/mirror';
import type { MirrorGraph } from './jobs/mirrorgraph';
import type { BlockNode, Link } from './node';
import { Opener } from './open';
import type { TlsCredentials } from './nbd';
import { Options } from './options';
import { placeNewOverlay, placeOverlay } from './changes/overlay';
import { removeFilter } from './jobs/filter';
import type { JobHost } from './jobs/host';
import { checkNoJob, JobLinks } from './jobs/links';
import { permissionList } from './permissions';
import { Reopening } from './changes/reopen';
import { changeBackingName, changeChildren } from './changes/restructure';
import { createInternal, deleteInternal } from './images/snapshots';
import { StreamGraph, type StreamRequest } from './jobs/stream';
import type { Secrets } from './secrets';
import type { ThrottleGroups } from './throttle';
import { CACHE_MODES } from './cachemodes';
import { NodeUser, type UserHost } from './user';

/** The graph of one emulated process (the daemon, a call of a tool). */
export class BlockGraph implements BlockGraphApi, UserHost, JobHost {
  readonly opener: Opener;
  readonly bitmaps: GraphBitmaps;
  private readonly creator: Creator;
  /** Users, oldest first. */
  private readonly users: NodeUser[] = [];
  /** What jobs hold, the newest first. */
  private readonly jobLinks: JobLinks[] = [];
  /** Called for each change of the links between nodes while jobs have nodes, with the {@link jobOrder}. */
  onDrain: ((jobs: readonly string[]) => void) | null = null;
  /** The end of the last change that was asked for. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(environment: GraphEnvironment) {
    environment.engine.onEvent ??= (event) => {
      if (event.kind === 'image-corrupted') environment.notice?.(corruptionNotice(event));
      else if (event.kind === 'contents-mismatch' || event.kind === 'verify-mismatch')
        environment.notice?.(mismatchNotice(event));
      if (event.kind === 'verify-mismatch') environment.onMismatch?.();
    };
    environment.engine.onFinding ??= (text) => environment.notice?.(text);
    this.opener = new Opener(environment);
    this.bitmaps = new GraphBitmaps(this.opener.table);
    this.opener.onDrain = () => this.drain();
    this.creator = new Creator(this);
  }

  /** The files that names of the user mean. */
  get files(): FileStore {
    return this.opener.environment.files;
  }

  /** Limits that throttle nodes share. */
  get throttleGroups(): ThrottleGroups {
    return this.opener.throttleGroups;
  }

  /** Passphrases and keys; who has them says so here. */
  get secrets(): Secrets {
    return this.opener.secrets;
  }

  /** TLS credentials; who has them says so here. */
  get tls(): TlsCredentials {
    return this.opener.tls;
  }

  /** Changes of the graph run one after the other. */
  exclusive<T>(change: () => Promise<T>): Promise<T> {
    const result = this.last.then(async () => {
      try {
        return await change();
      } catch (error) {
        throw toGraphError(error);
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** No request of any job is under way for a moment; jobs are told. */
  drain(): void {
    if (this.jobLinks.length > 0) this.onDrain?.(this.jobOrder());
  }

  /** The ids of the jobs that have nodes, by the age of their oldest one: in this order they stop for a {@link drain}. */
  jobOrder(): string[] {
    const ids = new Set<string>();
    for (const node of this.opener.table.all()) {
      for (const { parent } of node.parents) if (parent instanceof JobLinks) ids.add(parent.id);
    }
    return [...ids];
  }

  forget(user: NodeUser): void {
    const at = this.users.indexOf(user);
    if (at >= 0) this.users.splice(at, 1);
  }

  blockdevAdd(options: QDict): Promise<void> {
    return this.exclusive(async () => {
      if (options['node-name'] === undefined) {
        throw new GraphError("'node-name' must be specified for the root node");
      }
      const node = await this.opener.open({ options: Options.from(options) });
      node.monitorOwned = true;
    });
  }

  blockdevDel(nodeName: string): Promise<void> {
    return this.exclusive(async () => {
      const node = this.opener.table.named(nodeName);
      if (node.parents.some((link) => link.parent instanceof NodeUser)) {
        throw new GraphError(`Node ${nodeName} is in use`);
      }
      checkNoJob(node);
      checkNotBacking(node);
      if (!node.monitorOwned) throw new GraphError(`Node ${nodeName} is not owned by the monitor`);
      if (node.references > 1) throw new GraphError(`Block device ${nodeName} is in use`);
      node.monitorOwned = false;
      await this.opener.unref(node);
    });
  }

  blockdevReopen(list: readonly QDict[]): Promise<void> {
    return this.exclusive(async () => {
      const reopening = new Reopening(this.opener);
      for (const options of list) {
        const name = options['node-name'];
        if (typeof name !== 'string') throw new GraphError('node-name not specified');
        reopening.add(this.opener.table.named(name), Options.from(options), false);
      }
      await reopening.apply();
    });
  }

  blockResize(target: { device?: string; nodeName?: string; size: number }): Promise<void> {
    return this.exclusive(async () => {
      const node = this.opener.table.lookup(target.device, target.nodeName);
      if (target.size < 0) throw new GraphError("Parameter 'size' expects a >0 size");
      checkNoJob(node);
      checkNotBacking(node);
      const options = { name: '', perm: Permission.RESIZE, shared: Permission.ALL, writeThrough: false };
      const user = await NodeUser.attach(this, node, options);
      try {
        await user.present(() => user.truncate(target.size, undefined, true));
      } finally {
        await user.closeNow();
      }
    });
  }

  snapshotInternal(device: string, name: string): Promise<void> {
    return this.exclusive(async () => {
      const node = this.opener.table.lookup(device, device);
      await node.engine.presence.whenPresent(() => createInternal(node, device, name));
    });
  }

  snapshotDeleteInternal(target: { device: string; id?: string; name?: string }): Promise<SnapshotInfo> {
    const { device, id, name } = target;
    return this.exclusive(async () => {
      const node = this.opener.table.lookup(device, device);
      return node.engine.presence.whenPresent(() => deleteInternal(node, device, id, name));
    });
  }

  placeOverlay(node: string, overlay: string): Promise<PlacedOverlay> {
    return this.exclusive(async () => this.inTurn(await placeOverlay(this.opener, node, overlay)));
  }

  placeNewOverlay(wanted: NewOverlay): Promise<PlacedOverlay> {
    return this.exclusive(async () => this.inTurn(await placeNewOverlay(this.opener, this.creator, wanted)));
  }

  /** The ends of a change are changes of the graph themselves. */
  private inTurn({ commit, abort }: PlacedOverlay): PlacedOverlay {
    return { commit: () => this.exclusive(commit), abort: () => this.exclusive(abort) };
  }

  changeBackingName(names: { device: string; image: string; file: string }): Promise<void> {
    return this.exclusive(() => changeBackingName(this.opener, names));
  }

  changeChildren(names: {
    parent: string;
    child?: string | undefined;
    node?: string | undefined;
  }): Promise<void> {
    return this.exclusive(async () => changeChildren(this.opener, names));
  }

  setWriteThreshold(nodeName: string, bytes: number): void {
    const node = this.opener.table.find(nodeName);
    if (!node) throw new GraphError(`Device '${nodeName}' not found`);
    node.engine.changes.setWriteThreshold(node.handle, bytes);
    node.writeThreshold = bytes;
  }

  /** Whether a node may get another thread; throws the reason why not. There is one thread, so nothing else is to be done. */
  checkMovable(nodeName: string, force: boolean): void {
    const node = this.opener.table.named(nodeName);
    if (!force && node.parents.some((link) => link.parent instanceof NodeUser)) {
      throw new GraphError(
        `Node ${nodeName} is associated with a BlockBackend and could be in use (use force=true to override this check)`,
      );
    }
  }

  namedBlockNodes(flat: boolean): BlockDeviceInfo[] {
    return this.newestFirst().map((node) => deviceInfo(node, flat));
  }

  blockStats(): BlockStats[] {
    return this.opener.table.all().map(nodeStats);
  }

  debugGraph(): DebugGraph {
    const ids = new Map<unknown, number>();
    const idOf = (object: unknown) => {
      const id = ids.get(object) ?? ids.size + 1;
      ids.set(object, id);
      return id;
    };
    // The lists come out in the reverse order of the walk, but numbers are given on the way.
    const graph: DebugGraph = { nodes: [], edges: [] };
    const addEdge = (parent: unknown, link: Link) =>
      graph.edges.unshift({
        parent: idOf(parent),
        child: idOf(link.node),
        name: link.name,
        perm: permissionList(link.perm),
        'shared-perm': permissionList(link.shared),
      });
    for (const user of this.users) {
      graph.nodes.unshift({ id: idOf(user), type: 'block-backend', name: user.name });
      addEdge(user, user.root);
    }
    for (const job of this.jobLinks) {
      graph.nodes.unshift({ id: idOf(job), type: 'block-job', name: job.id });
      for (const link of job.links) addEdge(job, link);
    }
    for (const node of this.opener.table.all()) {
      graph.nodes.unshift({ id: idOf(node), type: 'block-driver', name: node.name });
      for (const link of node.links) addEdge(node, link);
    }
    return graph;
  }

  create(options: QDict, turn?: () => Promise<void>): Promise<void> {
    return this.exclusive(() => this.creator.create(options, turn));
  }

  checkCreatable(driver: string): void {
    checkCreatable(driver);
  }

  openImage(request: OpenImageRequest): Promise<BlockUser> {
    return this.exclusive(async () => {
      const options = Options.from(request.options ?? {});
      const readOnly = request.readOnly ?? false;
      const { direct, noFlush, writeThrough } = CACHE_MODES[request.cache ?? 'writeback'];
      if (request.format !== undefined) options.set('driver', request.format);
      if (request.forceShare) options.set('force-share', true);
      const defaults = Options.from({
        'read-only': readOnly,
        'cache.direct': direct,
        'cache.no-flush': noFlush,
        discard: request.discard ?? 'unmap',
        ...(request.detectZeroes !== undefined && { 'detect-zeroes': request.detectZeroes }),
      });
      const noIo = request.noIo ?? false;
      const node = await this.opener.open({
        filename: request.filename,
        options,
        defaults,
        noBacking: request.noBacking ?? false,
        noIo,
        check: request.check ?? false,
      });
      const reads = noIo ? 0 : Permission.CONSISTENT_READ;
      const writes = readOnly ? 0 : Permission.WRITE | Permission.RESIZE;
      const permissions = request.permissions ?? { perm: reads | writes, shared: Permission.ALL };
      return this.attachUser(node, { name: '', writeThrough, ...permissions });
    });
  }

  attach(
    target: { device?: string; nodeName?: string },
    permissions: { perm: number; shared: number },
    name = '',
  ): Promise<BlockUser> {
    return this.exclusive(async () => {
      const node = this.opener.table.lookup(target.device, target.nodeName);
      node.references++;
      return this.attachUser(node, { name, writeThrough: false, ...permissions });
    });
  }

  /** A user that lasts; takes over the caller's reference on the node. */
  private async attachUser(
    node: BlockNode,
    options: { name: string; perm: number; shared: number; writeThrough: boolean },
  ): Promise<NodeUser> {
    try {
      const user = await NodeUser.attach(this, node, options);
      this.users.push(user);
      return user;
    } finally {
      await this.opener.unref(node);
    }
  }

  async attachBackend(node: BlockNode, perm: number, shared: number): Promise<NodeUser> {
    const user = await NodeUser.attach(this, node, { name: '', perm, shared, writeThrough: false });
    this.users.push(user);
    return user;
  }

  addJob(type: JobLinks['type'], id: string): JobLinks {
    const job = new JobLinks(this.opener, type, id);
    this.jobLinks.unshift(job);
    return job;
  }

  async removeJob(job: JobLinks, filter: BlockNode | null): Promise<void> {
    await job.release();
    this.jobLinks.splice(this.jobLinks.indexOf(job), 1);
    if (filter) await removeFilter(this.opener, filter);
  }

  /** `x-blockdev-amend`: checks, and holds the node until the end of the result. */
  holdForAmend(request: AmendRequest): Promise<AmendTarget> {
    return this.exclusive(() => Promise.resolve(holdForAmend(this, request)));
  }

  beginStream(request: StreamRequest): Promise<StreamGraph> {
    return this.exclusive(() => StreamGraph.begin(this, request));
  }

  findCommit(request: CommitRequest): Promise<CommitGraph | ActiveCommit> {
    return this.exclusive(() => CommitGraph.find(this, request));
  }

  /** `blockdev-mirror`: the filter is in its place when it resolves. */
  beginMirror(request: MirrorRequest): Promise<MirrorGraph> {
    return this.exclusive(() => beginMirror(this, request));
  }

  /** `drive-mirror`: makes the target, or opens it, too. */
  beginDriveMirror(request: DriveMirrorRequest): Promise<MirrorGraph> {
    return this.exclusive(() => beginDriveMirror(this, this.creator, request));
  }

  beginActiveCommit(commit: ActiveCommit): Promise<MirrorGraph> {
    return this.exclusive(() => beginActiveCommit(this, commit));
  }

  beginBackup(request: BackupRequest): Promise<BackupGraph> {
    return this.exclusive(() => BackupGraph.begin(this, request));
  }

  beginDriveBackup(request: DriveBackupRequest): Promise<BackupGraph> {
    return this.exclusive(() => BackupGraph.beginDrive(this, this.creator, request));
  }

  createSupport(format: string, filename?: string): CreateSupport {
    return this.creator.support(format, filename);
  }

  amendSupport(format: string): readonly CreateOption[] {
    return findAmender(format).options;
  }

  prepareCreate(request: CreateImageRequest, unsafe: boolean): Promise<PreparedCreate> {
    return this.exclusive(() => this.creator.prepare(request, unsafe));
  }

  createImage(request: CreateImageRequest): Promise<void> {
    return this.exclusive(() => this.creator.createImage(request));
  }

  find(nodeName: string): NodeView | null {
    return this.opener.table.find(nodeName);
  }

  nodes(): NodeView[] {
    return this.newestFirst();
  }

  private newestFirst(): BlockNode[] {
    return [...this.opener.table.all()].reverse();
  }

  /** Closes all nodes, but those that the users need that stay. */
  close(stay: readonly BlockUser[] = []): Promise<void> {
    return this.exclusive(async () => {
      let failure: unknown = null;
      const attempt = async (end: () => Promise<void>) => {
        try {
          await end();
        } catch (error) {
          failure ??= error;
        }
      };
      for (const user of [...this.users]) if (!stay.includes(user)) await attempt(() => user.closeNow());
      for (const node of this.newestFirst()) {
        if (!node.monitorOwned) continue;
        node.monitorOwned = false;
        await attempt(() => this.opener.unref(node));
      }
      if (stay.length === 0) this.throttleGroups.clear();
      if (failure !== null) throw toGraphError(failure);
    });
  }
}
