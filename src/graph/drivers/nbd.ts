/** nbd: an export of an NBD server, over a socket. */
import { Errno, strerror } from '../../files/contract';
import type { SocketAddress } from '../../qapi/types.generated';
import type { CreateValues } from '../api';
import { takeExisting } from '../images/existing';
import { GraphError } from '../errors';
import type { NbdDevice, TlsCredentials, TlsUpgrade } from '../nbd';
import { BlockNode, Role } from '../node';
import type { Options } from '../options';
import type { Driver, OpenContext, ImageMaker } from './driver';

const DEFAULT_PORT = '10809';
const BASE_ALLOCATION = 'base:allocation';
/** UTF-8 bytes of an export's name. */
const MAX_NAME = 4096;
const EXPORT_NAME = ':exportname=';

/** The devices of open nodes. */
const devices = new WeakMap<BlockNode, NbdDevice>();

/** Takes an URI apart: `nbd://host:port/export`, `nbd+tcp://...`, `nbd+unix:///export?socket=path`. */
function parseUri(filename: string, options: Options): void {
  const invalid = new GraphError('No valid URL specified');
  const match =
    /^nbd(\+tcp|\+unix)?:\/\/(?:[^@/?#]*@)?(\[[^\]/?#]*\]|[^:/?#]*)(?::([^/?#]*))?([^?#]*)(?:\?([^#]*))?$/.exec(
      filename,
    );
  if (!match) throw invalid;
  const [, transport, shownHost = '', port = '', path = '', query = ''] = match;
  if (!/^\d*$/.test(port) || Number(port) > 65535) throw invalid;
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw invalid;
    }
  };
  const name = decode(path.replace(/^\//, ''));
  if (name !== '') options.set('export', name);
  if (transport === '+unix') {
    const socket = /^socket=(.*)$/.exec(query)?.[1];
    if (shownHost !== '' || port !== '' || socket === undefined || socket.includes('&')) throw invalid;
    options.set('server.type', 'unix');
    options.set('server.path', decode(socket));
    return;
  }
  const host = decode(shownHost.replace(/^\[(.*)\]$/, '$1'));
  if (host === '' || query !== '') throw invalid;
  options.set('server.type', 'inet');
  options.set('server.host', host);
  options.set('server.port', port === '' ? DEFAULT_PORT : port);
}

/** Takes one of the older names apart: `nbd:host:port[:exportname=NAME]`, `nbd:unix:path[:exportname=NAME]`. */
function parseOldName(filename: string, options: Options): void {
  let rest = filename.slice('nbd:'.length);
  const at = rest.indexOf(EXPORT_NAME);
  if (at >= 0) {
    const name = rest.slice(at + EXPORT_NAME.length);
    // Without a name nothing else counts either.
    if (name === '') return;
    options.set('export', name);
    rest = rest.slice(0, at);
  }
  if (rest === '') return;
  if (rest.startsWith('unix:')) {
    options.set('server.type', 'unix');
    options.set('server.path', rest.slice('unix:'.length));
    return;
  }
  const match = /^(?:\[([^\]]+)\]|([^:]*)):([^,]+)(?:,.*)?$/.exec(rest);
  if (!match) throw new GraphError(`error parsing address '${rest}'`);
  const [, literal, host = '', port = ''] = match;
  options.set('server.type', 'inet');
  options.set('server.host', literal ?? host);
  options.set('server.port', port);
}

/** The address of the server; throws what is wrong with the options. */
function takeAddress(options: Options): SocketAddress {
  const path = options.takeText('path');
  const host = options.takeText('host');
  const port = options.takeText('port');
  const server = options.takeBelow('server');
  if (path !== undefined && host !== undefined) {
    throw new GraphError('path and host may not be used at the same time');
  }
  if (path !== undefined || host !== undefined) {
    if (server.size > 0) throw new GraphError("Cannot use 'server' and path/host/port at the same time");
    if (path !== undefined) return { type: 'unix', path };
    return { type: 'inet', host: host ?? '', port: port ?? DEFAULT_PORT };
  }
  if (server.size === 0) throw new GraphError('NBD server address missing');
  if (port !== undefined) throw new GraphError("Cannot use 'server' and path/host/port at the same time");
  const address = addressOf(server);
  const left = server.first();
  if (left !== undefined) throw new GraphError(`Parameter '${left}' is unexpected`);
  return address;
}

/** A `SocketAddress` from options that may all be text. */
function addressOf(server: Options): SocketAddress {
  const need = (key: string): string => {
    const value = server.takeText(key);
    if (value === undefined) throw new GraphError(`Parameter '${key}' is missing`);
    return value;
  };
  const flag = <K extends string>(key: K): Partial<Record<K, boolean>> => {
    const value = server.takeBoolean(key);
    return value === undefined ? {} : ({ [key]: value } as Partial<Record<K, boolean>>);
  };
  const type = need('type');
  switch (type) {
    case 'unix':
      return { type, path: need('path'), ...flag('abstract'), ...flag('tight') };
    case 'inet': {
      const host = need('host');
      const port = need('port');
      const more = { ...flag('numeric'), ...flag('ipv4'), ...flag('ipv6'), ...flag('keep-alive') };
      server.takeNumber('to');
      server.takeBoolean('mptcp');
      return { type, host, port, ...more };
    }
    case 'fd':
      return { type, str: need('str') };
    case 'vsock':
      return { type, cid: need('cid'), port: need('port') };
    default:
      throw new GraphError(`Parameter 'type' does not accept value '${type}'`);
  }
}

function takeSeconds(options: Options, key: string): number {
  return Number(BigInt.asUintN(32, options.takeNumber(key) ?? 0n)) * 1000;
}

/**
 * Whether somebody counts on what was written: a format that has its tables in the node, by way of filters perhaps, or a
 * job that copies to it.
 */
function isCountedOn(node: BlockNode): boolean {
  return node.parents.some(({ name, role, parent }) => {
    if (role & Role.METADATA || name === 'target') return true;
    return parent instanceof BlockNode && (role & Role.COW) === 0 && isCountedOn(parent);
  });
}

const refusal = (errno: Errno) => new GraphError(`Could not open image: ${strerror(errno)}`, { errno });

/** A certificate has to name the host that is connected to, unless another name is given. */
function takeTls(options: Options, server: SocketAddress, tls: TlsCredentials): TlsUpgrade | null {
  const id = options.takeText('tls-creds');
  const hostname = options.takeText('tls-hostname') ?? (server.type === 'inet' ? server.host : null);
  return id === undefined ? null : tls.lookup(id, hostname);
}

export const nbd: Driver = {
  name: 'nbd',
  protocol: true,
  prefixes: ['nbd', 'nbd+tcp', 'nbd+unix'],
  filter: false,
  backing: false,
  needsFilename: false,
  strongOptions: ['path', 'host', 'port', 'export', 'tls-creds', 'tls-hostname', 'server.'],
  resizable: true,
  exactSize: 'Cannot resize NBD nodes',
  parseFilename(filename, options) {
    if (['host', 'port', 'path'].some((key) => options.has(key))) {
      throw new GraphError('host/port/path and file names may not be specified at the same time');
    }
    if (filename.includes('://')) parseUri(filename, options);
    else parseOldName(filename, options);
  },
  async open({ engine, node, options, openNbd, tls }: OpenContext) {
    const server = takeAddress(options);
    const name = options.takeText('export') ?? '';
    if (new TextEncoder().encode(name).length > MAX_NAME) {
      throw new GraphError('export name too long to send to server');
    }
    const context = options.takeText('x-dirty-bitmap');
    if (context !== undefined && new TextEncoder().encode(context).length > MAX_NAME) {
      throw new GraphError('x-dirty-bitmap query too long to send to server');
    }
    const device = await openNbd({
      server,
      name,
      context: context ?? BASE_ALLOCATION,
      upgrade: takeTls(options, server, tls),
      reconnectDelay: takeSeconds(options, 'reconnect-delay'),
      openTimeout: takeSeconds(options, 'open-timeout'),
    });
    try {
      if (context !== undefined && !device.hasContext) throw refusal(Errno.EINVAL);
      if (device.readOnly && !node.common.readOnly) {
        if (!node.common.autoReadOnly) throw refusal(Errno.EACCES);
        node.common.readOnly = true;
      }
      device.keepsWrites = () => isCountedOn(node);
      devices.set(node, device);
      return engine.openRemote(device, { readOnly: node.common.readOnly });
    } catch (error) {
      device.close();
      throw error;
    }
  },
  reopen({ node }) {
    if (!node.common.readOnly && devices.get(node)?.readOnly) {
      throw new GraphError("Can't reopen read-only NBD mount as read/write");
    }
  },
  requestAlignment: (node) => devices.get(node)?.minimumBlock ?? 1,
  plainName({ given }) {
    // Options of command lines are text; a port may come as a number.
    const own = given.clone();
    const text = (key: string): string | undefined => own.takeText(key);
    const name = text('export');
    const type = text('server.type');
    const path = text('path') ?? (type === 'unix' ? text('server.path') : undefined);
    if (path !== undefined)
      return name === undefined ? `nbd+unix://?socket=${path}` : `nbd+unix:///${name}?socket=${path}`;
    const plain = text('host');
    const host = plain ?? (type === 'inet' ? text('server.host') : undefined);
    if (host === undefined) return null;
    const port = text(plain === undefined ? 'server.port' : 'port') ?? DEFAULT_PORT;
    return name === undefined ? `nbd://${host}:${port}` : `nbd://${host}:${port}/${name}`;
  },
  details: () => null,
  createOptions: [{ name: 'size', type: 'size', help: 'Virtual disk size' }],
  createImage: (maker: ImageMaker, filename: string, values: CreateValues) =>
    takeExisting(maker, 'nbd', filename, Number(values.size ?? 0)),
};
