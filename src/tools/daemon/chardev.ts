/** The option --chardev: from its list of options to what chardev-add takes. */
import type { ChardevBackend, ChardevCommon, SocketAddressLegacy } from '../../qapi/index';
import { ToolFailure } from '../failure';
import { readCheckedList, type ListDeclaration } from '../checkedlist';

/** One --chardev. */
export interface InitialChardev {
  readonly id: string;
  readonly backend: ChardevBackend;
  /** Other options see a multiplexer on it, under its id. */
  readonly mux: boolean;
}

const CHARDEV: ListDeclaration = {
  name: 'chardev',
  implied: 'backend',
  types: {
    ...typed('str', 'backend', 'path', 'input-path', 'host', 'port', 'localaddr', 'localport', 'fd'),
    ...typed('str', 'tls-creds', 'tls-authz', 'chardev', 'logfile', 'name'),
    ...typed('bool', 'server', 'wait', 'delay', 'nodelay', 'telnet', 'tn3270', 'websocket', 'signal', 'mux'),
    ...typed('bool', 'append', 'logappend', 'ipv4', 'ipv6', 'abstract', 'tight', 'mouse', 'clipboard'),
    ...typed('num', 'to', 'reconnect', 'width', 'height', 'cols', 'rows', 'debug'),
    ...typed('size', 'size'),
  },
};

function typed<T extends string>(type: T, ...names: string[]): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, type]));
}

/** The values of one list. */
export class ChardevList {
  constructor(private readonly values: ReadonlyMap<string, string | number | boolean>) {}

  text(key: string): string | undefined {
    return this.values.get(key)?.toString();
  }

  /** Those of the members that were given. */
  pick<K extends string>(...keys: K[]): Partial<Record<K, never>> {
    // Each value has the type that the schema gives the member of its name.
    return Object.fromEntries(
      keys.flatMap((key) => (this.values.has(key) ? [[key, this.values.get(key)]] : [])),
    ) as Partial<Record<K, never>>;
  }

  isOn(key: string): boolean | undefined {
    const value = this.values.get(key);
    return typeof value === 'boolean' ? value : undefined;
  }

  need(key: string, refusal: string): string {
    const text = this.text(key);
    if (text === undefined) throw new ToolFailure(`chardev: ${refusal}`);
    return text;
  }
}

/** Reads the value of --chardev as a list. Throws what the real tool says, and a `ToolHelp` where the list asks for help. */
export function readChardevList(text: string, warn: (text: string) => void): ChardevList {
  return new ChardevList(readCheckedList(text, CHARDEV, warn));
}

/** What the list makes. Throws what the real tool says. */
export function readChardev(values: ChardevList): InitialChardev {
  const id = values.text('id');
  const backend = values.text('backend');
  if (backend === undefined || id === undefined) {
    throw new ToolFailure(id === undefined ? 'chardev: no id specified' : `chardev: "${id}" missing backend`);
  }
  return { id, backend: readBackend(backend, values), mux: values.isOn('mux') ?? false };
}

function readBackend(name: string, values: ChardevList): ChardevBackend {
  const common: ChardevCommon = values.pick('logfile', 'logappend');
  switch (name) {
    case 'null':
    case 'pty':
      return { type: name, data: common };
    case 'stdio':
      return { type: name, data: { ...common, ...values.pick('signal') } };
    case 'ringbuf':
    case 'memory':
      return { type: name, data: { ...common, ...values.pick('size') } };
    case 'file': {
      const out = values.need('path', 'file: no filename given');
      const input = values.text('input-path');
      return {
        type: name,
        data: { ...common, ...values.pick('append'), out, ...(input !== undefined && { in: input }) },
      };
    }
    case 'pipe':
    case 'parallel':
      return {
        type: name,
        data: { ...common, device: values.need('path', `${name}: no device path given`) },
      };
    case 'serial':
      return {
        type: name,
        data: { ...common, device: values.need('path', 'serial/tty: no device path given') },
      };
    case 'mux':
      return { type: name, data: { ...common, chardev: values.need('chardev', 'mux: no chardev given') } };
    case 'udp':
      return readUdp(common, values);
    case 'socket':
      return readSocket(common, values);
    default:
      throw new ToolFailure(`'${name}' is not a valid char driver name`);
  }
}

function readUdp(common: ChardevCommon, values: ChardevList): ChardevBackend {
  const unspecified = 'udp: remote port not specified';
  const port = values.need('port', unspecified);
  if (port === '') throw new ToolFailure(`chardev: ${unspecified}`);
  const families = values.pick('ipv4', 'ipv6');
  const remote: SocketAddressLegacy = {
    type: 'inet',
    data: { host: values.text('host') ?? 'localhost', port, ...families },
  };
  const [localHost, localPort] = [values.text('localaddr'), values.text('localport')];
  if (localHost === undefined && localPort === undefined) return { type: 'udp', data: { ...common, remote } };
  const local: SocketAddressLegacy = {
    type: 'inet',
    data: { host: localHost ?? '', port: localPort ?? '0' },
  };
  return { type: 'udp', data: { ...common, remote, local } };
}

function readSocket(common: ChardevCommon, values: ChardevList): ChardevBackend {
  const addr = readAddress(values);
  const server = values.isOn('server') ?? false;
  const delay = values.isOn('delay');
  const named = values.isOn('nodelay');
  if (delay !== undefined && named !== undefined)
    throw new ToolFailure("'delay' and 'nodelay' are mutually exclusive");
  const noDelay = delay === undefined ? named : !delay;
  // On the command line a server waits for its first client unless it is told not to.
  const wait = values.isOn('wait') ?? (server ? true : undefined);
  return {
    type: 'socket',
    data: {
      ...common,
      ...values.pick('tls-creds', 'tls-authz', 'telnet', 'tn3270', 'websocket', 'reconnect'),
      addr,
      server,
      ...(wait !== undefined && { wait }),
      ...(noDelay !== undefined && { nodelay: noDelay }),
    },
  };
}

function readAddress(values: ChardevList): SocketAddressLegacy {
  const [path, fd, host] = [values.text('path'), values.text('fd'), values.text('host')];
  const port = values.text('port');
  if ([path, fd, host].filter((place) => place !== undefined).length > 1) {
    throw new ToolFailure("None or one of 'path', 'fd' or 'host' option required.");
  }
  if (path !== undefined) return { type: 'unix', data: { path, ...values.pick('abstract', 'tight') } };
  if (host !== undefined) {
    if (port === undefined) throw new ToolFailure('chardev: socket: no port given');
    return { type: 'inet', data: { host, port, ...values.pick('to', 'ipv4', 'ipv6') } };
  }
  return { type: 'fd', data: { str: fd ?? '' } };
}
