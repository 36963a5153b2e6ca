/** The option --chardev: from its list of options to what chardev-add takes. */
import type { ChardevBackend, ChardevCommon, SocketAddressLegacy } from '../../qapi/index';
import { ToolFailure } from '../failure';
import { readCreateValue, splitOptions } from '../optionlist';

/** One --chardev. */
export interface InitialChardev {
  readonly id: string;
  readonly backend: ChardevBackend;
  /** Other options see a multiplexer on it, under its id. */
  readonly mux: boolean;
}

/** Options that are not text. */
const TYPES: Readonly<Record<string, 'bool' | 'num' | 'size'>> = {
  ...typed('bool', 'server', 'wait', 'delay', 'nodelay', 'telnet', 'tn3270', 'websocket', 'signal', 'mux'),
  ...typed('bool', 'append', 'logappend', 'ipv4', 'ipv6', 'abstract', 'tight', 'mouse', 'clipboard'),
  ...typed('num', 'to', 'reconnect', 'width', 'height', 'cols', 'rows'),
  ...typed('size', 'size'),
};

const TEXTS: ReadonlySet<string> = new Set([
  ...['backend', 'id', 'path', 'input-path', 'host', 'port', 'localaddr', 'localport', 'fd'],
  ...['tls-creds', 'tls-authz', 'chardev', 'logfile', 'name', 'fqdn'],
]);

function typed<T extends string>(type: T, ...names: string[]): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, type]));
}

/** The values of one list. */
class Values {
  private readonly values = new Map<string, string | number | boolean>();

  constructor(text: string) {
    for (const { key, value } of splitOptions(text, 'backend')) {
      const type = TYPES[key] ?? (TEXTS.has(key) ? 'str' : undefined);
      if (type === undefined) throw new ToolFailure(`Invalid parameter '${key}'`);
      this.values.set(key, readCreateValue({ name: key, type }, value ?? 'on'));
      if (key === 'id' && !/^[A-Za-z][A-Za-z0-9._-]*$/.test(value ?? '')) {
        throw new ToolFailure("Parameter 'id' expects an identifier", [
          "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
        ]);
      }
    }
  }

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

/** Reads the value of --chardev. Throws what the real tool says. */
export function readChardev(text: string): InitialChardev {
  const values = new Values(text);
  const id = values.text('id');
  const backend = values.text('backend');
  if (backend === undefined || id === undefined) {
    throw new ToolFailure(
      backend === undefined && id !== undefined ? 'chardev: "" missing backend' : 'chardev: no id specified',
    );
  }
  return { id, backend: readBackend(backend, values), mux: values.isOn('mux') ?? false };
}

function readBackend(name: string, values: Values): ChardevBackend {
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

function readUdp(common: ChardevCommon, values: Values): ChardevBackend {
  const port = values.need('port', 'udp: remote port not specified');
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

function readSocket(common: ChardevCommon, values: Values): ChardevBackend {
  const server = values.isOn('server') ?? false;
  const noDelay =
    values.isOn('nodelay') ?? (values.isOn('delay') === undefined ? undefined : !values.isOn('delay'));
  // On the command line a server waits for its first client unless it is told not to.
  const wait = values.isOn('wait') ?? (server ? true : undefined);
  return {
    type: 'socket',
    data: {
      ...common,
      ...values.pick('tls-creds', 'tls-authz', 'telnet', 'tn3270', 'websocket', 'reconnect'),
      addr: readAddress(values),
      server,
      ...(wait !== undefined && { wait }),
      ...(noDelay !== undefined && { nodelay: noDelay }),
    },
  };
}

function readAddress(values: Values): SocketAddressLegacy {
  const path = values.text('path');
  const host = values.text('host');
  const port = values.text('port');
  if (path !== undefined) {
    if (host !== undefined) throw new ToolFailure("None or one of 'path', 'fd' or 'host' option required.");
    return { type: 'unix', data: { path, ...values.pick('abstract', 'tight') } };
  }
  if (host !== undefined || port !== undefined) {
    if (port === undefined) throw new ToolFailure('chardev: socket: no port given');
    return { type: 'inet', data: { host: host ?? '', port, ...values.pick('to', 'ipv4', 'ipv6') } };
  }
  return { type: 'fd', data: { str: values.text('fd') ?? '' } };
}
