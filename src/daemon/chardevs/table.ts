/** The character devices of a daemon by id. */
import type { FileStore } from '../../files/contract';
import {
  QmpError,
  type ChardevBackend,
  type ChardevCommon,
  type ChardevInfo,
  type ChardevReturn,
  type ChardevSocket,
  type SocketAddress,
} from '../../qapi/index';
import type { Upgrade } from '../../nbd/index';
import type { DaemonEnvironment } from '../environment';
import { NameTable } from '../../qapi/name-table';
import { NullDevice, type CharDevice, type CharFrontend, type ChardevKind } from './device';
import { openFileStream } from './file';
import { LogFile } from './logfile';
import { MuxDevice } from './mux';
import { TerminalDevice } from './pty';
import { RingBuffer } from './ringbuf';
import { checkSocket, SocketDevice } from './socket';
import { StreamDevice } from './stream';

/** What devices work with. */
export interface ChardevHost {
  readonly environment: DaemonEnvironment;
  readonly files: FileStore;
  /** How the ends of a connection begin TLS, by ids of objects; both throw the text for the user. */
  acceptTls(creds: string, authz?: string): Upgrade;
  connectTls(creds: string, hostname: string | null): Upgrade;
  /** Ends the program. */
  quit(): void;
}

/** All kinds that a storage daemon has, in the order of query-chardev-backends. */
const KINDS: readonly ChardevKind[] = [
  'serial',
  'mux',
  'pipe',
  'parallel',
  'null',
  'ringbuf',
  'socket',
  'stdio',
  'memory',
  'udp',
  'file',
  'pty',
];

/** Kinds that every platform has. */
const EVERYWHERE: ReadonlySet<ChardevKind> = new Set(['mux', 'null', 'ringbuf', 'memory', 'socket', 'file']);

/** Why a browser has not the others. */
const NOT_IN_A_BROWSER: Readonly<Partial<Record<ChardevKind, string>>> = {
  serial: 'a browser lets no program of a worker use serial lines',
  parallel: 'a browser has no parallel ports',
  pipe: 'a browser has no pipes; use socket, whose path is a name for programs of this page',
  stdio: 'a browser has no standard input and output',
  udp: 'a browser lets no page send datagrams',
  pty: 'a browser has no pseudo terminals',
};

export class ChardevTable {
  private readonly devices = new Map<string, CharDevice>();
  private readonly order = new NameTable();

  constructor(private readonly host: ChardevHost) {}

  /** `chardev-add` */
  async add(id: string, backend: ChardevBackend): Promise<ChardevReturn> {
    if (this.devices.has(id)) throw new QmpError(`Chardev with id '${id}' already exists`);
    const device = await named(id, () => this.make(id, backend));
    this.put(id, device);
    return replyOf(device);
  }

  /** `--chardev`: an address may be a descriptor that the process was started with. */
  async addInitial(id: string, backend: ChardevBackend): Promise<void> {
    const device = await this.make(id, backend, true);
    if (this.devices.has(id)) {
      device.close();
      throw new QmpError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    this.put(id, device);
    if (device instanceof TerminalDevice)
      this.host.environment.output?.(`char device redirected to ${device.path} (label ${id})`);
  }

  /** `chardev-change`: the old one stays if the new one cannot be made. */
  async change(id: string, backend: ChardevBackend): Promise<ChardevReturn> {
    const device = this.devices.get(id);
    if (!device) throw new QmpError(`Chardev '${id}' does not exist`);
    if (device instanceof MuxDevice) throw new QmpError('For mux or hub device hotswap is not supported yet');
    if (device.busy) throw new QmpError('Chardev user does not support chardev hotswap');
    const changed = await named(id, () => this.make(id, backend));
    this.drop(id, device);
    this.put(id, changed);
    return replyOf(changed);
  }

  /** `chardev-remove` */
  remove(id: string): void {
    const device = this.devices.get(id);
    if (!device) throw new QmpError(`Chardev '${id}' not found`);
    if (device.busy) throw new QmpError(`Chardev '${id}' is busy`);
    this.drop(id, device);
  }

  /** `chardev-send-break`: only serial lines have one. */
  sendBreak(id: string): void {
    const device = this.devices.get(id);
    if (!device) throw new QmpError(`Chardev '${id}' not found`);
    device.sendBreak();
  }

  /** `query-chardev` */
  query(): ChardevInfo[] {
    return this.list().flatMap((label) => {
      const device = this.devices.get(label);
      return device ? [{ label, filename: device.filename, 'frontend-open': isUsed(device) }] : [];
    });
  }

  /** `query-chardev-backends`: the kinds that can be made here. */
  kinds(): ChardevKind[] {
    return KINDS.filter((kind) => EVERYWHERE.has(kind) || this.platformHas(kind));
  }

  /** The device behind ringbuf-read and ringbuf-write. */
  ring(id: string): RingBuffer {
    const device = this.devices.get(id);
    if (!device) throw new QmpError(`Device '${id}' not found`);
    if (!(device instanceof RingBuffer)) throw new QmpError(`${id} is not a ringbuf device`);
    return device;
  }

  /** Gives a device to a user, which `make` makes for it. */
  attach(id: string, make: (device: CharDevice) => CharFrontend): void {
    const device = this.devices.get(id);
    if (!device) throw new QmpError(`chardev "${id}" not found`);
    device.attach(make(device), id);
  }

  list(): string[] {
    return this.order.list();
  }

  find(id: string): CharDevice | undefined {
    return this.devices.get(id);
  }

  /** Multiplexers go before what they stand on. */
  closeAll(): void {
    for (const device of [...this.devices.values()].reverse()) device.close();
    this.devices.clear();
  }

  private put(id: string, device: CharDevice): void {
    this.devices.set(id, device);
    this.order.add(id);
  }

  private drop(id: string, device: CharDevice): void {
    device.close();
    this.devices.delete(id);
    this.order.remove(id);
  }

  private platformHas(kind: ChardevKind): boolean {
    return this.host.environment.chardevs?.kinds.includes(kind) ?? false;
  }

  private async make(id: string, backend: ChardevBackend, isInitial = false): Promise<CharDevice> {
    this.checkKind(backend);
    const common: ChardevCommon = backend.data;
    const log =
      common.logfile === undefined
        ? null
        : await LogFile.open(this.host.files, common.logfile, common.logappend ?? false);
    try {
      const device = await this.open(id, backend, isInitial);
      device.log = log;
      return device;
    } catch (error) {
      log?.close();
      throw error;
    }
  }

  private checkKind(backend: ChardevBackend): void {
    const kind = backend.type;
    if (EVERYWHERE.has(kind) || this.platformHas(kind)) return;
    const { chardevs } = this.host.environment;
    const reason = chardevs ? chardevs.reason(backend) : NOT_IN_A_BROWSER[kind];
    throw new QmpError(
      reason === undefined
        ? `'${kind}' is not a valid char driver name`
        : `'${kind}' is not available: ${reason}`,
    );
  }

  private async open(id: string, backend: ChardevBackend, isInitial: boolean): Promise<CharDevice> {
    const { environment, files } = this.host;
    if (backend.type === 'null') return new NullDevice();
    if (backend.type === 'ringbuf' || backend.type === 'memory') {
      return new RingBuffer(backend.type, backend.data.size);
    }
    if (backend.type === 'mux') return this.openMux(backend.data.chardev);
    if (backend.type === 'socket') {
      const { addr } = backend.data;
      const upgrade = this.upgradeOf(backend.data);
      if (upgrade && addr.type === 'unix') {
        throw new QmpError("'tls_creds' option is incompatible with 'unix' address type");
      }
      checkSocket(backend.data);
      if (addr.type === 'fd' && !isInitial) throw new QmpError('only QEMU supports file descriptor passing');
      return SocketDevice.open(
        { environment, id, upgrade },
        { type: addr.type, ...addr.data } as SocketAddress,
        backend.data,
      );
    }
    const { chardevs } = environment;
    if (backend.type === 'file' && !chardevs?.kinds.includes('file')) {
      return new StreamDevice('file', await openFileStream(files, backend.data));
    }
    if (!chardevs) throw new TypeError(`no platform for a character device of kind ${backend.type}`);
    if (backend.type === 'pty') return TerminalDevice.open(chardevs.openTerminal);
    return new StreamDevice(backend.type, await chardevs.open(backend));
  }

  /** How the connections of a socket begin TLS; null: they do not. */
  private upgradeOf(options: ChardevSocket): Upgrade | null {
    const { addr, server, 'tls-creds': creds, 'tls-authz': authz } = options;
    if (creds === undefined) return null;
    if (server ?? true) return this.host.acceptTls(creds, authz);
    return this.host.connectTls(creds, addr.type === 'inet' ? addr.data.host : null);
  }

  private openMux(baseId: string): MuxDevice {
    const base = this.devices.get(baseId);
    if (!base) throw new QmpError(`mux: base chardev ${baseId} not found`);
    return new MuxDevice(base, baseId, () => this.host.quit());
  }
}

function replyOf(device: CharDevice): ChardevReturn {
  return device instanceof TerminalDevice ? { pty: device.path } : {};
}

/** Whether there is a user, and not only a multiplexer without one. */
function isUsed({ user, busy }: CharDevice): boolean {
  return user instanceof MuxDevice ? user.busy : busy;
}

async function named(id: string, make: () => Promise<CharDevice>): Promise<CharDevice> {
  try {
    return await make();
  } catch (error) {
    throw error instanceof QmpError ? new QmpError(`Failed to add chardev '${id}': ${error.desc}`) : error;
  }
}
