/** What a type of object is (the schema's ObjectType): one file for each type, and a table of all in table.ts. */
import type { BlockGraph } from '../../graph/index';
import type {
  Commands,
  ObjectPropertyInfo,
  ObjectType as TypeName,
  QmpObject,
  QmpValue,
} from '../../qapi/index';

/** What objects may work with. */
export interface ObjectHost {
  readonly graph: BlockGraph;
}

/** A property as qom-list shows it. */
export type PropertyInfo = Pick<ObjectPropertyInfo, 'name' | 'type'>;

/** The value of a property. */
export type PropertyValue = Commands['qom-get']['return'];

/** An object that was added. Its properties are those of its type. */
export interface DaemonObject {
  /** The value of a property that the type has. */
  get(property: string): PropertyValue;
  /** Changes a property that the type has, or throws why it cannot be. */
  set(property: string, value: QmpValue): void;
  /** Something needs it: it cannot be removed. */
  inUse(): boolean;
  /** It is gone from the table. */
  remove(): void;
}

export interface ObjectType {
  readonly name: TypeName;
  /** Without `type`, which all have. In the order of qom-list. */
  readonly properties: readonly PropertyInfo[];
  /** Makes an object of the members of the type, which have passed the schema. */
  create(id: string, properties: QmpObject, host: ObjectHost): DaemonObject;
}
