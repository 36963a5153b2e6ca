/** socket: a server for one client at a time, or a client that can come back. */
import { acceptWebSocket, type ByteStream, type Listener, type Upgrade } from '../../nbd/index';
import { QmpError, type ChardevSocket, type SocketAddress } from '../../qapi/index';
import type { DaemonEnvironment } from '../environment';
import type { PropertyValue } from '../objects/object';
import { ConnectionDevice } from './stream';
import { acceptTelnet } from './telnet';

/** Where a socket is: its sockets and its name. */
interface SocketHost {
  readonly environment: DaemonEnvironment;
  readonly id: string;
  /** How connections begin TLS; null: they are plain. */
  readonly upgrade: Upgrade | null;
}

/** Clients that wait for one to go, at most. */
const MOST_WAITING = 64;
/** Milliseconds that a client may take until it is let in. */
const HANDSHAKE_LIMIT = 10_000;

export class SocketDevice extends ConnectionDevice {
  readonly typeName = 'chardev-socket';
  private listener: Listener | null = null;
  /** Clients that wait until the one that is served has gone. */
  private readonly clients: ByteStream[] = [];
  /** The one that does what has to be done first. */
  private arriving: ByteStream | null = null;
  private address: SocketAddress;
  private timer: unknown = null;
  private gone = false;
  private firstClient: () => void = () => undefined;

  private constructor(
    private readonly host: SocketHost,
    address: SocketAddress,
    private readonly options: ChardevSocket,
  ) {
    super();
    this.address = address;
  }

  /** Opens it as the options say, which {@link checkSocket} has passed. */
  static async open(host: SocketHost, address: SocketAddress, options: ChardevSocket): Promise<SocketDevice> {
    const device = new SocketDevice(host, address, options);
    if (options.server ?? true) await device.listen();
    else if (options.reconnect) await device.connectAgain();
    else void device.serve(await device.connect());
    return device;
  }

  private get isServer(): boolean {
    return this.options.server ?? true;
  }

  private async listen(): Promise<void> {
    const { address } = this;
    const { environment } = this.host;
    if (!environment.listen) throw new QmpError('This program has no sockets to listen on');
    const first = new Promise<void>((resolve) => (this.firstClient = resolve));
    this.listener = await environment.listen(address, (stream) => {
      if (this.clients.length === MOST_WAITING) {
        stream.destroy();
        return;
      }
      this.clients.push(stream);
      this.next();
    });
    const { place, path } = this.listener;
    if (path !== undefined) this.address = { type: 'unix', path };
    if (place) {
      const family = place.host.includes(':') ? { ipv6: true } : { ipv4: true };
      this.address = { type: 'inet', host: place.host, port: String(place.port), ...family };
    }
    if (!this.options.wait) return;
    environment.info?.(`QEMU waiting for connection on: ${this.filename}`);
    await first;
  }

  private next(): void {
    if (this.stream || this.arriving || this.gone) return;
    const client = this.clients.shift();
    if (client) void this.serveClient(client).then(() => this.next());
  }

  private async serveClient(client: ByteStream): Promise<void> {
    this.arriving = client;
    const timer = setTimeout(() => client.destroy(), HANDSHAKE_LIMIT);
    const ready = await this.accept(client).catch(() => null);
    clearTimeout(timer);
    this.arriving = null;
    // As with QEMU: who does not get through is not told why.
    if (!ready || this.gone) {
      (ready ?? client).close();
      return;
    }
    this.firstClient();
    await this.serve(ready);
  }

  /** What a client has to do first, and the protocol that then goes around what it says. */
  private async accept(client: ByteStream): Promise<ByteStream> {
    const { telnet, tn3270, websocket } = this.options;
    let stream = await this.secure(client);
    if (websocket) stream = await acceptWebSocket(stream);
    if (telnet || tn3270) stream = await acceptTelnet(stream, tn3270 ? 'tn3270' : 'telnet');
    return stream;
  }

  private async secure(stream: ByteStream): Promise<ByteStream> {
    return this.host.upgrade ? this.host.upgrade(stream, new Uint8Array()) : stream;
  }

  private async connect(): Promise<ByteStream> {
    const { connect } = this.host.environment;
    if (!connect) throw new QmpError('This program has no sockets to connect');
    const stream = await connect(this.address);
    try {
      return await this.secure(stream);
    } catch (error) {
      stream.destroy();
      throw new QmpError(error instanceof Error ? error.message : String(error));
    }
  }

  /** Connects now, or as often as it takes; afterwards again whenever the connection has ended. */
  private async connectAgain(): Promise<void> {
    try {
      const stream = await this.connect();
      if (this.gone) stream.close();
      else void this.serve(stream).then(() => this.later());
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      const { environment, id } = this.host;
      environment.warn?.(`Unable to connect character device ${id}: ${error.desc}`);
      this.later();
    }
  }

  private later(): void {
    if (this.gone) return;
    this.timer = setTimeout(() => void this.connectAgain(), (this.options.reconnect ?? 0) * 1000);
  }

  get filename(): string {
    const { stream, isServer, address } = this;
    const server = isServer ? ',server=on' : '';
    if (!stream) return `disconnected:${this.shown(address)}${server}`;
    if (!stream.ends) return `${this.shown(address)}${server}`;
    return `${this.protocol}:${stream.ends.local}${server} <-> ${stream.ends.peer}`;
  }

  private get protocol(): string {
    return this.options.telnet ? 'telnet' : this.options.websocket ? 'websocket' : 'tcp';
  }

  private shown(address: SocketAddress): string {
    switch (address.type) {
      case 'unix':
        return `unix:${address.path}${address.abstract ? ',abstract=on' : ''}${
          address.abstract && (address.tight ?? true) ? ',tight=on' : ''
        }`;
      case 'inet':
        return `${this.protocol}:${address.host}:${address.port}`;
      case 'fd':
        return `fd:${address.str}`;
      case 'vsock':
        return `vsock:${address.cid}:${address.port}`;
    }
  }

  override get(property: string): PropertyValue {
    return property === 'connected' ? this.stream !== null : this.address;
  }

  override close(): void {
    this.gone = true;
    clearTimeout(this.timer);
    this.listener?.close();
    this.arriving?.destroy();
    for (const client of this.clients) client.destroy();
    super.close();
  }
}

/** What cannot go together; the order is QEMU's. */
export function checkSocket(options: ChardevSocket): void {
  const server = options.server ?? true;
  if (server && options.reconnect) {
    throw new QmpError("'reconnect' option is incompatible with socket in server listen mode");
  }
  if (!server && options.wait !== undefined) {
    throw new QmpError("'wait' option is incompatible with socket in client connect mode");
  }
  if (options.websocket && !server) throw new QmpError('Websocket client is not implemented');
  if (options['tls-authz'] !== undefined && options['tls-creds'] === undefined) {
    throw new QmpError("'tls_authz' option requires 'tls_creds' option");
  }
}
