/** The block exports of a daemon and its NBD server: made, told, and removed in QEMU's order and words. */
import { checkUsable, type NodeBitmap } from '../../graph/bitmaps';
import type { BlockGraph, BlockUser } from '../../graph/index';
import { Permission } from '../../files/locks';
import {
  MAX_STRING,
  NbdServer,
  type ByteStream,
  type Listener,
  type NbdExport,
  type Upgrade,
} from '../../nbd/index';
import {
  QmpError,
  type BlockDirtyBitmapOrStr,
  type BlockExportInfo,
  type BlockExportOptions,
  type EventName,
  type Events,
  type NbdServerOptions,
  type SocketAddress,
} from '../../qapi/index';
import type { DaemonEnvironment } from '../environment';
import { exportBitmap } from './bitmaps';
import type { BlockExport } from './export';
import { showNode } from './fuse';

/** Connections at the same time, unless told otherwise. */
const MAX_CONNECTIONS = 100;
/** Seconds that a client has to choose an export. */
const HANDSHAKE_SECONDS = 10;
/** A size is rounded down to this, bytes. */
const SECTOR = 512;

/** What the table needs of the daemon. */
export interface ExportSurroundings {
  readonly environment: DaemonEnvironment;
  readonly graph: BlockGraph;
  emit<N extends EventName>(event: N, data: Events[N]): void;
  /** Whether a path of an object, or the end of one, leads to an iothread. */
  hasIothread(path: string): boolean;
  /** How clients of a server begin TLS, by ids of objects; throws the text for the user. */
  acceptTls(creds: string, authz?: string): Upgrade;
  /** Resolves when everything else had its turn. */
  turn(): Promise<void>;
}

/** An export in the table. */
interface Entry extends BlockExport {
  shuttingDown: boolean;
  /** Resolves when it is gone. */
  gone: Promise<void>;
}

/** What an NBD export is made from. */
type NbdOptions = Extract<BlockExportOptions, { type: 'nbd' }>;

export class ExportTable {
  /** Oldest first. */
  private readonly list: Entry[] = [];
  private server: NbdServer | null = null;
  /** Where it listens. */
  private address: SocketAddress | null = null;
  /** Changes of the graph that forbid requests of clients meanwhile. */
  private holds = 0;
  private released: Promise<void> = Promise.resolve();
  private release: () => void = () => undefined;

  constructor(private readonly surroundings: ExportSurroundings) {}

  // ---- requests of clients wait while the graph changes

  /** Does something while no request of a client is served. */
  async quiesced<T>(change: () => Promise<T>): Promise<T> {
    if (this.holds++ === 0) this.released = new Promise((resolve) => (this.release = resolve));
    try {
      return await change();
    } finally {
      if (--this.holds === 0) this.release();
    }
  }

  /** null: requests of clients may be served now; else they may when it resolves. */
  held(): Promise<void> | null {
    return this.holds > 0 ? this.released : null;
  }

  // ---- the server

  async startServer(options: NbdServerOptions): Promise<void> {
    if (this.server) throw new QmpError('NBD server already running');
    this.server = await this.listen(options);
    this.address = options.addr;
  }

  /**
   * The way of a node of this daemon to its own server; null: the address is another one's. Refusals are thrown.
   * A node must not wait for the server as other clients do: commands that are waited for could be what it waits for.
   */
  connectOwn(address: SocketAddress): ByteStream | null {
    const { server } = this;
    if (!server || !this.address || !isPlace(address, this.address, server.place)) return null;
    const stream = server.connectOwn();
    if (!stream) throw new QmpError('Failed to connect to the own NBD server: it has no connection left');
    return stream;
  }

  private async listen(options: NbdServerOptions): Promise<NbdServer> {
    const { environment } = this.surroundings;
    const { listen } = environment;
    if (!listen) throw new QmpError('This program has no sockets to listen on');
    let server: NbdServer | null = null;
    const listener = await listen(options.addr, (stream) => void server?.connect(stream));
    try {
      // The socket is looked at before the credentials, as by QEMU. Nobody comes before this function has ended.
      const creds = options['tls-creds'];
      server = new NbdServer(
        {
          engine: environment.engine,
          turn: () => this.surroundings.turn(),
          held: () => this.held(),
          log: (text) => environment.complain?.(text),
        },
        {
          maxConnections: options['max-connections'] ?? MAX_CONNECTIONS,
          handshakeSeconds: HANDSHAKE_SECONDS,
          ...(creds !== undefined && { upgrade: this.surroundings.acceptTls(creds, options['tls-authz']) }),
        },
      );
      server.listenOn(listener);
      return server;
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  /** nbd-server-stop: all that it serves ends, the newest first. */
  async stopServer(): Promise<void> {
    if (!this.server) throw new QmpError('NBD server not running');
    await this.endAll(this.list.filter(({ type }) => type === 'nbd'));
    await this.endServer();
  }

  /**
   * Ends all exports and the server, which refuses new clients from now on.
   * @param keepOwn but not those that nodes of this daemon use, nor the server then
   * @returns the users of what is kept
   */
  async closeAll({ keepOwn = false } = {}): Promise<BlockUser[]> {
    const kept = keepOwn ? this.list.filter((entry) => entry.inUseByOwn()) : [];
    await this.endAll(this.list.filter((entry) => !kept.includes(entry)));
    if (kept.length === 0) await this.endServer();
    return kept.map(({ user }) => user);
  }

  private async endServer(): Promise<void> {
    const { server } = this;
    this.server = null;
    await server?.close();
  }

  /** Removes exports, the last one first. */
  private async endAll(entries: readonly Entry[]): Promise<void> {
    const order = [...entries].reverse();
    // The node of one may be a client of an older one, which is needed until it is flushed.
    const { active } = this.surroundings.environment.engine.presence;
    if (!active) for (const entry of order) this.startRemoval(entry);
    for (const entry of order) {
      this.startRemoval(entry);
      await entry.gone;
    }
  }

  get serverRuns(): boolean {
    return this.server !== null;
  }

  // ---- exports

  /** query-block-exports: the newest first. */
  query(): BlockExportInfo[] {
    return [...this.list].reverse().map(({ id, type, user, shuttingDown }) => ({
      id,
      type,
      'node-name': user.node.name,
      'shutting-down': shuttingDown,
    }));
  }

  /** block-export-add */
  async add(options: BlockExportOptions): Promise<void> {
    const { id } = options;
    if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) throw new QmpError('Invalid block export id');
    if (this.list.some((entry) => entry.id === id)) {
      throw new QmpError(`Block export id '${id}' is already in use`);
    }
    await this.open(options, (user) => this.make(options, user));
  }

  private make(options: BlockExportOptions, user: BlockUser): Promise<BlockExport> {
    const { type } = options;
    const { mounts, engine } = this.surroundings.environment;
    if (type === 'nbd') return this.makeNbd(options, user);
    if (type === 'fuse' && mounts) return showNode(options, user, engine, mounts, () => this.holds > 0);
    throw new QmpError(unavailable(type));
  }

  /** Opens the node that an export is of, and adds the export. */
  private async open(
    options: BlockExportOptions,
    make: (user: BlockUser) => Promise<BlockExport>,
  ): Promise<void> {
    const { graph } = this.surroundings;
    const nodeName = options['node-name'];
    const writable = options.writable ?? false;
    if (writable && graph.find(nodeName)?.readOnly) {
      throw new QmpError('Cannot export read-only node as writable');
    }
    const { iothread } = options;
    if (iothread !== undefined && graph.find(nodeName) && !this.surroundings.hasIothread(iothread)) {
      throw new QmpError(`iothread "${iothread}" not found`);
    }
    const perm = Permission.CONSISTENT_READ | (writable ? Permission.WRITE : 0);
    const user = await graph.attach({ nodeName }, { perm, shared: Permission.ALL });
    try {
      const made = await make(user);
      this.list.push({ ...made, shuttingDown: false, gone: Promise.resolve() });
    } catch (error) {
      await user.close();
      throw error;
    }
  }

  private async makeNbd(options: NbdOptions, user: BlockUser): Promise<BlockExport> {
    const { server } = this;
    if (!server) throw new QmpError('NBD server not running');
    const name = options.name ?? options['node-name'];
    const description = options.description ?? '';
    if (bytesOf(name) > MAX_STRING) throw new QmpError(`export name '${name}' too long`);
    if (bytesOf(description) > MAX_STRING) throw new QmpError(`description '${description}' too long`);
    if (server.exports.some((other) => other.name === name)) {
      throw new QmpError(`NBD server already has export named '${name}'`);
    }
    // Its size is told to clients once.
    await user.setPermissions(user.perm, Permission.ALL & ~Permission.RESIZE);
    const writable = options.writable ?? false;
    const size = user.length();
    const bitmaps = (options.bitmaps ?? []).map((wanted) => this.bitmap(user, wanted, writable));
    for (const bitmap of bitmaps) bitmap.busy = true;
    const target: NbdExport = {
      name,
      description,
      size: size - (size % SECTOR),
      writable,
      writeThrough: options.writethrough ?? false,
      minBlock: user.node.requestAlignment,
      device: user,
      allocationDepth: options['allocation-depth'] ?? false,
      bitmaps: bitmaps.map((bitmap) => exportBitmap(bitmap)),
    };
    server.add(target);
    return {
      id: options.id,
      type: 'nbd',
      user,
      inUse: () => server.inUse(target),
      inUseByOwn: () => server.inUseByOwn(target),
      shut: () => server.remove(target),
      end: async () => {
        await server.drop(target);
        for (const bitmap of bitmaps) bitmap.busy = false;
      },
    };
  }

  /** The bitmap that clients are to see; nobody has claimed it yet. */
  private bitmap(user: BlockUser, wanted: BlockDirtyBitmapOrStr, writable: boolean): NodeBitmap {
    const { bitmaps } = this.surroundings.graph;
    const bitmap =
      typeof wanted === 'string'
        ? bitmaps.below(user.node.name, wanted)
        : bitmaps.lookup(wanted.node, wanted.name);
    if (!bitmap)
      throw new QmpError(`Bitmap '${typeof wanted === 'string' ? wanted : wanted.name}' is not found`);
    checkUsable(bitmap, { readOnly: 'allowed' });
    // Who names the node means that very bitmap, as it is.
    if (typeof wanted === 'string' && !writable && !bitmap.node.readOnly && bitmap.recording) {
      throw new QmpError(`Enabled bitmap '${bitmap.state.name}' incompatible with readonly export`);
    }
    return bitmap;
  }

  /** nbd-server-add: a read-only node is exported read-only without a word. */
  async addByDevice(options: {
    device: string;
    name?: string;
    description?: string;
    writable?: boolean;
    bitmap?: string;
  }): Promise<void> {
    const { graph } = this.surroundings;
    const { device, name = device, description, writable = false, bitmap } = options;
    const node = graph.find(device);
    if (!node) throw new QmpError(`Cannot find device='${device}' nor node-name='${device}'`);
    await this.add({
      type: 'nbd',
      id: name,
      'node-name': device,
      name,
      writable: writable && !node.readOnly,
      ...(description !== undefined && { description }),
      ...(bitmap !== undefined && { bitmaps: [bitmap] }),
    });
  }

  /** block-export-del. It is gone when this resolves, unless clients have to be cut off. */
  async remove(id: string, hard: boolean): Promise<void> {
    const entry = this.list.find((candidate) => candidate.id === id);
    if (!entry) throw new QmpError(`Export '${id}' is not found`);
    if (entry.shuttingDown) throw new QmpError(`Export '${id}' is already shutting down`);
    const inUse = entry.inUse();
    if (!hard && inUse) throw new QmpError(`export '${id}' still in use`);
    this.startRemoval(entry);
    if (!inUse) await entry.gone;
  }

  private startRemoval(entry: Entry): void {
    if (entry.shuttingDown) return;
    entry.shuttingDown = true;
    entry.shut();
    entry.gone = this.finishRemoval(entry);
  }

  private async finishRemoval(entry: Entry): Promise<void> {
    await entry.end();
    try {
      await entry.user.close();
    } catch (error) {
      // The export ends all the same; the data stays in the node, which tells again when it is closed.
      this.surroundings.environment.notice?.(error instanceof Error ? error.message : String(error));
    }
    this.list.splice(this.list.indexOf(entry), 1);
    this.surroundings.emit('BLOCK_EXPORT_DELETED', { id: entry.id });
  }
}

/** Whether an address is that which a server listens on, as far as can be told without asking anybody. */
function isPlace(address: SocketAddress, own: SocketAddress, place: Listener['place']): boolean {
  if (address.type === 'unix' && own.type === 'unix')
    return address.path === own.path && (address.abstract ?? false) === (own.abstract ?? false);
  if (address.type !== 'inet' || own.type !== 'inet' || address.port !== String(place?.port ?? own.port))
    return false;
  return address.host === own.host || address.host === place?.host;
}

/** Why there are no exports of this type. */
function unavailable(type: 'vhost-user-blk' | 'fuse' | 'vduse-blk'): string {
  const reasons = {
    fuse: 'only a sandbox in a browser can show a node in its tree of files',
    'vhost-user-blk': 'it needs memory shared with a virtual machine',
    'vduse-blk': 'it needs a kernel with VDUSE',
  };
  return `Exports of type '${type}' are not available: ${reasons[type]}; use type 'nbd'`;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
