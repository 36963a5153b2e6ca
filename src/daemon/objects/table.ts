/** The objects of a daemon, or of a tool, by id. */
import { GraphError } from '../../graph/index';
import { QmpError, type ObjectOptions } from '../../qapi/index';
import { KINDS, UNAVAILABLE } from './kinds';
import type { DaemonObject, ObjectHost, ObjectLookup } from './object';
import { NameTable } from '../../qapi/name-table';
import type { Upgrade } from '../../nbd/index';
import type { TlsCredentials, TlsSupport } from './tls';

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9._-]*$/;

export class ObjectTable implements ObjectLookup {
  private readonly objects = new Map<string, DaemonObject>();
  private readonly order = new NameTable();

  /** The graph finds its secrets and its TLS credentials here from now on. */
  constructor(private readonly host: ObjectHost) {
    host.graph.secrets.source = (id) => this.secret(id);
    host.graph.tls.source = (id, hostname) => this.connectTls(id, hostname);
  }

  /** `object-add`; the options have passed the schema. */
  async add(options: ObjectOptions): Promise<void> {
    const { 'qom-type': name, id, ...properties } = options;
    if (!IDENTIFIER.test(id)) {
      throw new GraphError("Parameter 'id' expects an identifier", {
        hints: ["Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."],
      });
    }
    const reason = UNAVAILABLE[name];
    if (reason !== undefined) throw new QmpError(`Objects of type ${name} are not available: ${reason}`);
    const make = KINDS[name];
    if (!make) throw new QmpError(`invalid object type: ${name}`);
    const object = make({ id, properties: properties, host: this.host, others: this });
    if (this.objects.has(id)) {
      throw new QmpError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    // It is there while it completes, as with QEMU: it can name itself, and one that fails leaves a trace in the order.
    this.objects.set(id, object);
    this.order.add(id);
    try {
      await object.complete?.();
    } catch (error) {
      this.drop(id, object);
      throw error;
    }
  }

  /** `object-del` */
  remove(id: string): void {
    const object = this.objects.get(id);
    if (!object) throw new QmpError(`object '${id}' not found`);
    if (object.inUse?.()) throw new QmpError(`object '${id}' is in use, can not be deleted`);
    this.drop(id, object);
  }

  private drop(id: string, object: DaemonObject): void {
    this.objects.delete(id);
    this.order.remove(id);
    object.remove?.();
  }

  /** The ids, as QEMU lists them. */
  list(): string[] {
    return this.order.list();
  }

  find(id: string): DaemonObject | undefined {
    return this.objects.get(id);
  }

  count(typeName: string): number {
    return [...this.objects.values()].filter((object) => object.typeName === typeName).length;
  }

  secret(id: string): Uint8Array {
    const object = this.objects.get(id);
    if (!object) throw new QmpError(`No secret with id '${id}'`);
    if (!object.secret) throw new QmpError(`Object with id '${id}' is not a secret`);
    const bytes = object.secret();
    if (!bytes) throw new QmpError(`Secret with id '${id}' has no data`);
    return bytes;
  }

  /**
   * Credentials for TLS; throws the text for the user.
   * @param endpoint the side that they have to be for
   */
  tls(id: string, endpoint: TlsCredentials['endpoint']): TlsCredentials {
    const object = this.objects.get(id);
    if (!object) throw new QmpError(`No TLS credentials with id '${id}'`);
    if (!object.tls) throw new QmpError(`Object with id '${id}' is not TLS credentials`);
    if (object.tls.endpoint !== endpoint) {
      throw new QmpError(`Expected TLS credentials for a ${endpoint} endpoint`);
    }
    return object.tls;
  }

  /**
   * How clients of a server begin TLS; throws the text for the user.
   * @param authz id of the list that says who is let in; it is looked for when somebody comes
   */
  acceptTls(id: string, authz?: string): Upgrade {
    const authorize = (identity: string): boolean => {
      const list = authz === undefined ? undefined : this.objects.get(authz);
      if (!list) throw new QmpError(`Cannot find QAuthZ object ID ${authz}`);
      if (!list.allows) throw new QmpError(`Object '${authz}' is not a QAuthZ subclass`);
      return list.allows(identity);
    };
    const credentials = this.tls(id, 'server');
    return this.support.accept(credentials, authz === undefined ? null : authorize);
  }

  /**
   * How a client begins TLS; throws the text for the user.
   * @param hostname what the server's certificate has to name; null: unknown
   */
  connectTls(id: string, hostname: string | null): Upgrade {
    return this.support.connect(this.tls(id, 'client'), hostname);
  }

  private get support(): TlsSupport {
    const { tls } = this.host;
    // Without it there are no credentials.
    if (!tls) throw new TypeError('there is no TLS here');
    return tls;
  }
}
