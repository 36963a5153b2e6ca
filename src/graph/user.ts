/** Users of nodes from outside the graph: block backends. */
import {
  BlockError,
  RequestFlag,
  type BlockStatus,
  type CheckFinding,
  type CheckRepair,
  type Engine,
  type IoBuffer,
  type NodeHandle,
  type NodeStats,
  type Prealloc,
} from '../engine/contract';
import { Errno, strerror } from '../files/contract';
import { Permission } from '../files/locks';
import type {
  BlockGraphInfo,
  BlockNodeInfo,
  BlockUser,
  CreateValues,
  ImageAmendment,
  ImageCheck,
  ImageSnapshots,
  NodeView,
  QDict,
} from './api';
import { changeBackingFile } from './images/backingname';
import { checkBitmapsResizable } from './bitmaps';
import { Reopening } from './changes/reopen';
import { skipFilters } from './chain';
import { findBacking } from './chainnames';
import { findAmender } from './drivers/table';
import { toGraphError } from './errors';
import { resolveNamed } from './stored-name';
import { graphInfo, nodeInfo } from './info';
import { Role, type BlockNode, type Link, type LinkParent } from './node';
import type { Opener } from './open';
import { Options } from './options';
import { attach, detach, refreshPermissions } from './permissions';
import { PROBE_BYTES, probeFormat } from './images/probe';
import { snapshotsOf } from './images/snapshots';
import { beginEmpty, openBase, type WritableBase } from './images/toolchain';

/** What of the graph a user needs. */
export interface UserHost {
  readonly opener: Opener;
  /** Runs a change of the graph when no other one is under way. */
  exclusive<T>(change: () => Promise<T>): Promise<T>;
  /** The user is gone. */
  forget(user: NodeUser): void;
}

/** How a user sends requests. */
export interface UserOptions {
  name: string;
  perm: number;
  shared: number;
  /** Every write is on stable storage when it returns. */
  writeThrough: boolean;
}

/** A block backend on a node. */
export class NodeUser implements BlockUser, LinkParent {
  private link: Link | null = null;
  readonly name: string;
  writeThrough: boolean;

  private constructor(
    private readonly host: UserHost,
    private readonly first: BlockNode,
    options: UserOptions,
  ) {
    this.name = options.name;
    this.writeThrough = options.writeThrough;
  }

  /** Attaches a new user to a node. Runs inside an exclusive change; the node gets a reference of its own. */
  static async attach(host: UserHost, node: BlockNode, options: UserOptions): Promise<NodeUser> {
    const user = new NodeUser(host, node, options);
    const link: Link = {
      name: 'root',
      role: 0,
      parent: user,
      node,
      perm: options.perm,
      shared: options.shared,
    };
    host.opener.drain();
    await attach(link, null);
    user.link = link;
    return user;
  }

  get node(): BlockNode {
    return this.link?.node ?? this.first;
  }

  describe(): string {
    return 'an unnamed block device';
  }

  get root(): Link {
    if (!this.link) throw new BlockError(Errno.ENOMEDIUM, strerror(Errno.ENOMEDIUM));
    return this.link;
  }

  get perm(): number {
    return this.root.perm;
  }

  get shared(): number {
    return this.root.shared;
  }

  setPermissions(perm: number, shared: number): Promise<void> {
    return this.host.exclusive(async () => {
      const link = this.root;
      const before = { perm: link.perm, shared: link.shared };
      Object.assign(link, { perm, shared });
      try {
        await refreshPermissions([link.node]);
      } catch (error) {
        Object.assign(link, before);
        throw error;
      }
    });
  }

  reopen(changes: QDict, writeThrough = this.writeThrough): Promise<void> {
    return this.host.exclusive(async () => {
      const reopening = new Reopening(this.host.opener);
      reopening.add(this.root.node, Options.from(changes), true);
      await reopening.apply();
      this.writeThrough = writeThrough;
    });
  }

  private get handle(): NodeHandle {
    const { serving, node } = this.root;
    return (serving ?? node).handle;
  }

  private need(permission: number): void {
    if (!(this.root.perm & permission)) throw new BlockError(Errno.EPERM, strerror(Errno.EPERM));
  }

  length(): number {
    return this.node.engine.length(this.handle);
  }

  present<T>(request: () => T): T | Promise<T> {
    return this.node.engine.presence.present(request);
  }

  read(offset: number, bytes: number, buffer: IoBuffer, at = 0): void {
    this.node.engine.read(this.handle, offset, bytes, buffer, at);
  }

  write(offset: number, bytes: number, buffer: IoBuffer, at = 0, flags = 0): void {
    this.need(Permission.WRITE);
    const { engine } = this.node;
    if (this.node.guardProbe && offset < PROBE_BYTES && bytes > 0)
      this.guardSector(offset, bytes, buffer, at);
    const flagged = this.writeThrough ? flags | RequestFlag.FUA : flags;
    engine.write(this.handle, offset, bytes, buffer, at, flagged);
  }

  writeCompressed(offset: number, bytes: number, buffer: IoBuffer, at = 0, flags = 0): void {
    this.need(Permission.WRITE);
    const flagged = this.writeThrough ? flags | RequestFlag.FUA : flags;
    this.node.engine.writeCompressed(this.handle, offset, bytes, buffer, at, flagged);
  }

  /** Refuses to make the first sector of an image that was guessed to be raw look like another format. */
  private guardSector(offset: number, bytes: number, buffer: IoBuffer, at: number): void {
    const { engine } = this.node;
    const sector = engine.alloc(PROBE_BYTES);
    try {
      sector.view().fill(0);
      engine.read(this.handle, 0, Math.min(PROBE_BYTES, this.length()), sector);
      const end = Math.min(PROBE_BYTES, offset + bytes);
      sector.view(offset, end - offset).set(buffer.view(at, end - offset));
      if (probeFormat(sector.view(), this.node.filename) !== 'raw') {
        throw new BlockError(Errno.EPERM, strerror(Errno.EPERM));
      }
    } finally {
      sector.free();
    }
  }

  writeZeroes(offset: number, bytes: number, flags = 0): void {
    this.need(Permission.WRITE);
    this.node.engine.writeZeroes(
      this.handle,
      offset,
      bytes,
      this.writeThrough ? flags | RequestFlag.FUA : flags,
    );
  }

  discard(offset: number, bytes: number): void {
    this.need(Permission.WRITE);
    this.node.engine.discard(this.handle, offset, bytes);
  }

  flush(): void {
    this.node.engine.flush(this.handle);
  }

  truncate(size: number, preallocation?: Prealloc, exact = false): void {
    this.need(Permission.RESIZE);
    checkResizable(this.root.node, exact && size !== this.length());
    checkBitmapsResizable(this.root.node);
    try {
      this.node.engine.truncate(this.handle, size, preallocation);
    } catch (error) {
      // The image was found to be corrupt before, and can no longer be used.
      const gone = error instanceof BlockError && error.errno === Errno.ENOMEDIUM;
      throw gone ? new BlockError(Errno.ENOMEDIUM, 'No medium inserted') : error;
    }
  }

  readVmState(offset: number, bytes: number, buffer: IoBuffer): void {
    this.node.engine.vmState.load(this.handle, offset, bytes, buffer);
  }

  writeVmState(offset: number, bytes: number, buffer: IoBuffer): void {
    this.need(Permission.WRITE);
    this.node.engine.vmState.save(this.handle, offset, bytes, buffer);
    if (this.writeThrough) this.flush();
  }

  blockStatus(offset: number, bytes: number): BlockStatus {
    return this.node.engine.blockStatus(this.handle, offset, bytes);
  }

  blockStatusAbove(base: NodeView | null, offset: number, bytes: number): BlockStatus {
    return this.node.engine.blockStatusAbove(this.handle, base?.handle ?? null, offset, bytes);
  }

  check(repair: CheckRepair, report: CheckFinding): ImageCheck {
    if (repair.leaks || repair.errors) this.need(Permission.WRITE);
    const { engine } = this.node;
    const handle = this.handle;
    engine.checkStart(handle, repair);
    return {
      step: () => {
        const { presence } = engine;
        // A step that is repeated finds the same again.
        if (presence.active) return this.stepElsewhere(handle, report);
        return checkStep(engine, handle, report);
      },
      end: () => engine.checkEnd(handle),
    };
  }

  private async stepElsewhere(handle: NodeHandle, report: CheckFinding): Promise<boolean> {
    const { engine } = this.node;
    let found: Parameters<CheckFinding>[] = [];
    const tell = () => {
      for (const finding of found) report(...finding);
    };
    try {
      const more = await engine.presence.whenPresent(() => {
        found = [];
        return checkStep(engine, handle, (...finding) => void found.push(finding));
      });
      tell();
      return more;
    } catch (error) {
      tell();
      throw error;
    }
  }

  changeBackingFile(file: string | null, format: string | null): void {
    changeBackingFile(this.root.node, file, format, true);
  }

  amend(values: CreateValues, force: boolean): ImageAmendment {
    this.need(Permission.WRITE);
    const { node } = this.root;
    return findAmender(node.driver).start(node, values, force);
  }

  get compresses(): boolean {
    return skipFilters(this.root.node)?.type.compresses ?? false;
  }

  findBacking(name: string): Promise<NodeView | null> {
    return findBacking(this.host.opener, this.root.node, name);
  }

  resolve(name: string, opened: string): string {
    return resolveNamed(this.root.node.exactFilename || opened, name);
  }

  openBase(base: NodeView): Promise<WritableBase<NodeUser>> {
    const { host } = this;
    const attach = (node: BlockNode, perm: number, shared: number) =>
      NodeUser.attach(host, node, { name: '', perm, shared, writeThrough: false });
    return openBase(
      { opener: host.opener, exclusive: (change) => host.exclusive(change), attach },
      host.opener.table.lookup(undefined, base.name),
    );
  }

  makeEmpty(): (() => boolean) | null {
    this.need(Permission.WRITE);
    return beginEmpty(this.root.node);
  }

  stats(): NodeStats {
    return this.node.engine.stats(this.handle);
  }

  nodeOf(handle: NodeHandle): NodeView | null {
    return this.host.opener.table.all().find((node) => node.handle === handle) ?? null;
  }

  get clusterSize(): number | null {
    const { node } = this.root;
    const bytes = node.type.details(node)?.clusterSize ?? 0;
    return bytes > 0 ? bytes : null;
  }

  info(): BlockNodeInfo {
    return nodeInfo(this.root.node);
  }

  infoOf({ name }: NodeView): BlockNodeInfo {
    return nodeInfo(this.host.opener.table.lookup(undefined, name));
  }

  graphInfo(): BlockGraphInfo {
    return graphInfo(this.root.node);
  }

  snapshots(): ImageSnapshots | null {
    return snapshotsOf(this.root.node);
  }

  close(): Promise<void> {
    return this.host.exclusive(() => this.closeNow());
  }

  /** The same inside an exclusive change. */
  async closeNow(): Promise<void> {
    const link = this.link;
    if (!link) return;
    let failure: unknown = null;
    const simulated = link.node.failsOnPurpose;
    try {
      if (link.perm & Permission.WRITE) await this.present(() => this.flush());
    } catch (error) {
      failure = error;
    }
    this.link = null;
    this.host.forget(this);
    this.host.opener.drain();
    await detach(link, null);
    await this.host.opener.unref(link.node);
    if (failure !== null && !simulated) throw toGraphError(failure);
  }
}

/** A step of a check whose findings go to `report`. */
function checkStep(engine: Engine, handle: NodeHandle, report: CheckFinding): boolean {
  const before = engine.onFinding;
  engine.onFinding = report;
  try {
    return engine.checkStep(handle);
  } finally {
    engine.onFinding = before;
  }
}

/** Throws the texts for nodes that cannot change their size; a node without tables of its own changes its file's. */
function checkResizable(top: BlockNode, exact: boolean): void {
  for (let node: BlockNode | null = top; node;) {
    if (node.readOnly) throw new BlockError(Errno.EACCES, 'Image is read-only');
    if (!node.type.resizable) {
      throw new BlockError(Errno.ENOTSUP, 'Image format driver does not support resize');
    }
    if (exact && node.type.exactSize !== undefined) {
      throw new BlockError(Errno.ENOTSUP, node.type.exactSize);
    }
    const link: Link | undefined = node.links.find(
      ({ role }) => role & Role.PRIMARY && !(role & Role.METADATA),
    );
    node = link && !node.given.has('size') ? link.node : null;
  }
}
