/**
 * The types of the object model, as a storage daemon of QEMU 9.1 has them: what qom-list-types and qom-list-properties
 * answer, and which properties an object has. The order is that of the real daemon.
 */
import { QmpError, type ObjectTypeInfo } from '../../qapi/index';
import { NUMBERS } from './throttle-group';
import type { PropertyInfo } from './object';

interface TypeInfo {
  parent?: string;
  abstract?: true;
  /** `object-add` makes objects of it and of the types below it. */
  creatable?: true;
  /** Its own properties, without those of its parents. */
  properties?: readonly PropertyInfo[];
}

const all = (type: string, ...names: string[]): PropertyInfo[] => names.map((name) => ({ name, type }));

/** `limits` stands among the numbers where the names' hashes put it. */
const THROTTLE = all('int', ...NUMBERS.map((name) => `x-${name}`));
THROTTLE.splice(3, 0, { name: 'limits', type: 'ThrottleLimits' });

const channel = { parent: 'qio-channel' };

/** In the order of qom-list-types. */
const TYPES: Readonly<Record<string, TypeInfo>> = {
  'qio-channel-null': channel,
  'authz-simple': { parent: 'authz', creatable: true, properties: all('string', 'identity') },
  'qio-channel-socket': channel,
  secret_common: {
    parent: 'object',
    abstract: true,
    creatable: true,
    properties: [
      ...all('string', 'iv', 'keyid'),
      { name: 'loaded', type: 'bool' },
      { name: 'format', type: 'QCryptoSecretFormat' },
    ],
  },
  container: { parent: 'object' },
  interface: { abstract: true },
  'tls-creds-anon': { parent: 'tls-creds', creatable: true, properties: all('bool', 'loaded') },
  'pr-manager-helper': { parent: 'pr-manager', properties: all('string', 'path') },
  iothread: {
    parent: 'event-loop-base',
    properties: all('int', 'poll-max-ns', 'poll-grow', 'poll-shrink'),
  },
  secret: { parent: 'secret_common', properties: all('string', 'file', 'data') },
  authz: { parent: 'object', abstract: true },
  'chardev-serial': { parent: 'chardev-fd' },
  'qio-channel': { parent: 'object', abstract: true },
  'chardev-mux': { parent: 'chardev' },
  'tls-creds-psk': {
    parent: 'tls-creds',
    creatable: true,
    properties: [...all('string', 'username'), ...all('bool', 'loaded')],
  },
  'tls-creds': {
    parent: 'object',
    abstract: true,
    properties: [
      { name: 'endpoint', type: 'QCryptoTLSCredsEndpoint' },
      { name: 'dir', type: 'string' },
      { name: 'verify-peer', type: 'bool' },
      { name: 'priority', type: 'string' },
    ],
  },
  'qio-channel-file': channel,
  'qio-channel-command': channel,
  'qio-channel-websock': channel,
  'chardev-pipe': { parent: 'chardev-fd' },
  'main-loop': { parent: 'event-loop-base' },
  'chardev-parallel': { parent: 'chardev' },
  'qio-channel-tls': channel,
  'authz-list-file': {
    parent: 'authz',
    creatable: true,
    properties: [...all('string', 'filename'), ...all('bool', 'refresh')],
  },
  'qio-net-listener': { parent: 'object' },
  'pr-manager': { parent: 'object', abstract: true, creatable: true },
  'chardev-null': { parent: 'chardev' },
  'chardev-ringbuf': { parent: 'chardev' },
  'authz-list': {
    parent: 'authz',
    creatable: true,
    properties: [
      { name: 'policy', type: 'QAuthZListPolicy' },
      { name: 'rules', type: 'QAuthZListRule' },
    ],
  },
  'qio-dns-resolver': { parent: 'object' },
  'event-loop-base': {
    parent: 'object',
    abstract: true,
    creatable: true,
    properties: all('int', 'thread-pool-min', 'aio-max-batch', 'thread-pool-max'),
  },
  'chardev-fd': { parent: 'chardev', abstract: true },
  chardev: { parent: 'object', abstract: true },
  'user-creatable': { parent: 'interface', abstract: true },
  'chardev-socket': {
    parent: 'chardev',
    properties: [
      { name: 'connected', type: 'bool' },
      { name: 'addr', type: 'SocketAddress' },
    ],
  },
  'chardev-stdio': { parent: 'chardev-fd' },
  'chardev-memory': { parent: 'chardev-ringbuf' },
  'qio-channel-buffer': channel,
  object: { abstract: true, properties: all('string', 'type') },
  'chardev-udp': { parent: 'chardev' },
  'tls-creds-x509': {
    parent: 'tls-creds',
    creatable: true,
    properties: [...all('bool', 'sanity-check'), ...all('string', 'passwordid'), ...all('bool', 'loaded')],
  },
  'chardev-file': { parent: 'chardev-fd' },
  'chardev-pty': { parent: 'chardev' },
  'thread-context': {
    parent: 'object',
    creatable: true,
    properties: all('int', 'thread-id', 'node-affinity', 'cpu-affinity'),
  },
  secret_keyring: { parent: 'secret_common', properties: [{ name: 'serial', type: 'int32_t' }] },
  'throttle-group': { parent: 'object', creatable: true, properties: THROTTLE },
};

const find = (name: string): TypeInfo | undefined => (Object.hasOwn(TYPES, name) ? TYPES[name] : undefined);

/** A type, its parent and so on, up to the last. */
function* lineage(name: string): Generator<[name: string, type: TypeInfo]> {
  for (let at: string | undefined = name; at !== undefined;) {
    const type = find(at);
    if (!type) return;
    yield [at, type];
    at = type.parent;
  }
}

/** All properties of a type, as qom-list has them. */
export function propertiesOf(name: string): PropertyInfo[] {
  return [...lineage(name)].reverse().flatMap(([, type]) => type.properties ?? []);
}

function isA(name: string, wanted: string): boolean {
  const types = [...lineage(name)];
  const isCreatable = types.some(([, type]) => type.creatable);
  if (isCreatable && (wanted === 'user-creatable' || wanted === 'interface')) return true;
  return types.some(([other]) => other === wanted);
}

/** `qom-list-types` */
export function listTypes(implementing: string | undefined, abstract: boolean): ObjectTypeInfo[] {
  return Object.entries(TYPES)
    .filter(([, type]) => abstract || !type.abstract)
    .filter(([name]) => implementing === undefined || isA(name, implementing))
    .map(([name, { parent, abstract: isAbstract }]) => ({
      name,
      ...(isAbstract && { abstract: true }),
      ...(parent !== undefined && { parent }),
    }));
}

/** `qom-list-properties` */
export function listProperties(name: string): PropertyInfo[] {
  if (!find(name)) throw new QmpError(`Class '${name}' not found`, 'DeviceNotFound');
  if (isA(name, 'interface') && !isA(name, 'object')) {
    throw new QmpError("Parameter 'typename' expects a QOM type");
  }
  return propertiesOf(name);
}
