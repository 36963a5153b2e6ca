/** What an object is: one file for each kind, and a table of all that can be made in kinds.ts. */
import type { BlockGraph } from '../../graph/index';
import type { Commands, ObjectPropertyInfo, QmpObject, QmpValue } from '../../qapi/index';
import type { TlsCredentials, TlsSupport } from './tls';

/** What objects may work with. */
export interface ObjectHost {
  readonly graph: BlockGraph;
  /** Absent: the platform has no TLS. */
  readonly tls?: TlsSupport | undefined;
}

/** A property as qom-list shows it. */
export type PropertyInfo = Pick<ObjectPropertyInfo, 'name' | 'type'>;

/** The value of a property. */
export type PropertyValue = Commands['qom-get']['return'];

/** Something in the tree of objects with properties of its type (types.ts). */
export interface PropertyHolder {
  readonly typeName: string;
  /** The value of a property that the type has; throws why it cannot be read. */
  get(property: string): PropertyValue;
  /** Changes a property that the type has; throws why it cannot be changed. */
  set(property: string, value: QmpValue): void;
}

/** An object that was added. What it is good for is in its optional members. */
export interface DaemonObject extends PropertyHolder {
  /** Makes it work: it is in the tree already. It leaves again when this throws. */
  complete?(): void | Promise<void>;
  /** Something needs it: it cannot be removed. */
  inUse?(): boolean;
  /** It is gone from the table. */
  remove?(): void;

  /** A secret: its bytes, or null when nothing has been read. They are neither changed nor kept. */
  secret?(): Uint8Array | null;
  /** Credentials for TLS. */
  readonly tls?: TlsCredentials;
  /** A list of who is let in: whether this one is. */
  allows?(identity: string): boolean;
}

/** What a kind needs to make an object. */
export interface MakeContext {
  readonly id: string;
  /** The members of the kind, which have passed the schema. */
  readonly properties: QmpObject;
  readonly host: ObjectHost;
  /** The objects that are there. */
  readonly others: ObjectLookup;
}

/** Objects by id, for those that name each other. */
export interface ObjectLookup {
  /** The bytes of a secret; throws the text for the user. */
  secret(id: string): Uint8Array;
  /** How many objects of a type there are. */
  count(typeName: string): number;
}

/** Makes objects of one type. */
export type MakeObject = (context: MakeContext) => DaemonObject;
