/**
 * tls-creds-anon, -psk and -x509: what proves who the two ends of a TLS connection are. The files are read when the object is
 * made; what is in them the platform checks that brings TLS along.
 */
import { Errno, FileError, strerror } from '../../files/contract';
import { QmpError } from '../../qapi/index';
import { decodeText } from '../../nbd/stream';
import type { MakeContext, MakeObject } from './object';
import { StoredProperties } from './properties';
import { readWhole } from './read-file';
import type { CommonCredentials, CredentialFile, TlsCredentials, TlsSupport, X509Files } from './tls';

/** The user that a client is if it does not say. */
const DEFAULT_USER = 'qemu';

abstract class Credentials extends StoredProperties {
  private loaded: TlsCredentials | null = null;

  constructor(
    typeName: string,
    schema: string,
    defaults: Record<string, string | boolean>,
    protected readonly context: MakeContext,
    protected readonly support: TlsSupport,
  ) {
    const common = { endpoint: 'client', dir: '', 'verify-peer': true, priority: '', loaded: true };
    super(typeName, schema, { ...common, ...defaults });
    this.start(context.properties);
  }

  get tls(): TlsCredentials {
    if (!this.loaded) throw new TypeError('the credentials are not complete');
    return this.loaded;
  }

  async complete(): Promise<void> {
    this.loaded = await this.load({
      endpoint: this.get('endpoint') === 'server' ? 'server' : 'client',
      verifyPeer: this.get('verify-peer') === true,
      priority: this.text('priority'),
    });
  }

  protected abstract load(common: CommonCredentials): Promise<TlsCredentials>;

  /** The path of a file of the directory; null if it is not there. */
  protected async find(name: string): Promise<string | null> {
    const directory = this.option<string>('dir');
    if (directory === undefined) throw new QmpError("Missing 'dir' property value");
    const path = `${directory}/${name}`;
    try {
      await this.context.host.graph.files.info(path);
      return path;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (error.errno === Errno.ENOENT) return null;
      throw new QmpError(`Unable to access credentials ${path}: ${error.message}`);
    }
  }

  /** As {@link find}, for a file that must be there. */
  protected async need(name: string): Promise<string> {
    const path = await this.find(name);
    if (path !== null) return path;
    throw new QmpError(`Unable to access credentials ${this.text('dir')}/${name}: ${strerror(Errno.ENOENT)}`);
  }

  protected async read(path: string, refusal: string): Promise<CredentialFile> {
    try {
      return { path, content: await readWhole(this.context.host.graph.files, path) };
    } catch (error) {
      throw error instanceof QmpError ? new QmpError(`${refusal} ${path}: ${error.desc}`) : error;
    }
  }

  /** Only a server has a say in the group of a key exchange. */
  protected async dhParameters({ endpoint }: CommonCredentials): Promise<CredentialFile | null> {
    if (endpoint === 'client') return null;
    const path = await this.find('dh-params.pem');
    if (path === null) return null;
    const file = await this.read(path, 'Unable to load DH parameters from');
    this.support.checkDhParameters(file);
    return file;
  }
}

class AnonymousCredentials extends Credentials {
  protected async load(common: CommonCredentials): Promise<TlsCredentials> {
    const hasFiles = this.option('dir') !== undefined;
    return { ...common, kind: 'anon', dhParameters: hasFiles ? await this.dhParameters(common) : null };
  }
}

class PskCredentials extends Credentials {
  protected async load(common: CommonCredentials): Promise<TlsCredentials> {
    const user = this.option<string>('username');
    if (common.endpoint === 'server') {
      if (user !== undefined) throw new QmpError('username should not be set when endpoint=server');
      const dhParameters = await this.dhParameters(common);
      const path = await this.need('keys.psk');
      const keys = await this.read(path, 'Cannot read PSK file').then(
        ({ content }) => readKeys(content),
        // QEMU looks into the file when a client comes, and then finds no key for it.
        () => new Map<string, Uint8Array>(),
      );
      return { ...common, kind: 'psk', dhParameters, keys };
    }
    const name = user ?? DEFAULT_USER;
    const { path, content } = await this.read(await this.need('keys.psk'), 'Cannot read PSK file');
    const digits = keyLines(content).find(([other]) => other === name && name !== '')?.[1];
    if (digits === undefined) throw new QmpError(`Username ${name} not found in PSK file ${path}`);
    const key = hexBytes(digits);
    if (!key) throw new QmpError('Cannot set PSK client credentials: Error in parsing.');
    return { ...common, kind: 'psk', dhParameters: null, keys: new Map([[name, key]]) };
  }
}

class X509Credentials extends Credentials {
  protected async load(common: CommonCredentials): Promise<TlsCredentials> {
    const { endpoint } = common;
    const paths =
      endpoint === 'server'
        ? {
            ca: await this.need('ca-cert.pem'),
            crl: await this.find('ca-crl.pem'),
            certificate: await this.need('server-cert.pem'),
            key: await this.need('server-key.pem'),
          }
        : {
            ca: await this.need('ca-cert.pem'),
            crl: null,
            certificate: await this.find('client-cert.pem'),
            key: await this.find('client-key.pem'),
          };
    const passwordId = this.option<string>('passwordid');
    const file = (path: string): Promise<CredentialFile> => this.read(path, 'Cannot load certificate');
    const files: X509Files = {
      ca: await file(paths.ca),
      crl: paths.crl === null ? null : await file(paths.crl),
      own:
        paths.certificate === null || paths.key === null
          ? null
          : { certificate: await file(paths.certificate), key: await file(paths.key) },
      password: passwordId === undefined ? null : decodeText(this.context.others.secret(passwordId)),
    };
    this.support.checkCertificates(files, endpoint, this.get('sanity-check') === true);
    return { ...common, kind: 'x509', dhParameters: await this.dhParameters(common), files };
  }
}

/** The lines `user:key` of a file. */
function keyLines(content: Uint8Array): [user: string, digits: string][] {
  return decodeText(content)
    .split('\n')
    .filter((line) => line.includes(':') && !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimEnd()]);
}

function readKeys(content: Uint8Array): Map<string, Uint8Array> {
  const keys = new Map<string, Uint8Array>();
  for (const [user, digits] of keyLines(content)) {
    const key = hexBytes(digits);
    if (key && !keys.has(user)) keys.set(user, key);
  }
  return keys;
}

/** The bytes that hexadecimal digits stand for; null if that is not what the text is. */
function hexBytes(digits: string): Uint8Array | null {
  if (digits.length === 0 || digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The reason why there are no such objects where the platform has no TLS. */
const NO_TLS = 'a browser gives no program TLS over connections of its own';

function supportOf({ host }: MakeContext, typeName: string): TlsSupport {
  if (host.tls) return host.tls;
  throw new QmpError(`Objects of type ${typeName} are not available: ${NO_TLS}`);
}

export const tlsCredsAnon: MakeObject = (context) =>
  new AnonymousCredentials(
    'tls-creds-anon',
    'TlsCredsAnonProperties',
    {},
    context,
    supportOf(context, 'tls-creds-anon'),
  );

export const tlsCredsPsk: MakeObject = (context) =>
  new PskCredentials(
    'tls-creds-psk',
    'TlsCredsPskProperties',
    { username: '' },
    context,
    supportOf(context, 'tls-creds-psk'),
  );

export const tlsCredsX509: MakeObject = (context) =>
  new X509Credentials(
    'tls-creds-x509',
    'TlsCredsX509Properties',
    { 'sanity-check': true, passwordid: '' },
    context,
    supportOf(context, 'tls-creds-x509'),
  );
