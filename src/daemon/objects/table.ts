/** The objects of a daemon and the tree of paths that they are found by. */
import { QmpError, type ObjectOptions, type QmpValue } from '../../qapi/index';
import type { DaemonObject, ObjectHost, ObjectType, PropertyInfo, PropertyValue } from './object';
import { throttleGroup } from './throttle-group';

/** All types of objects; a new one is a file of its own and an entry here. */
const TYPES: readonly ObjectType[] = [throttleGroup];

/** Containers below the root; objects are in the second one. */
const CONTAINERS = ['backend', 'objects', 'chardevs'];

const IDENTIFIER = /^[A-Za-z][A-Za-z0-9._-]*$/;
const TYPE: PropertyInfo = { name: 'type', type: 'string' };

interface Entry {
  type: ObjectType;
  object: DaemonObject;
}

/** Something that a path leads to: a container, or an object. */
interface Place {
  path: string;
  typeName: string;
  /** Children, the newest first, with their types. */
  children: ReadonlyMap<string, string>;
  entry: Entry | null;
}

export class ObjectTable {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly host: ObjectHost) {}

  /** `object-add`; the options have passed the schema. */
  add(options: ObjectOptions): void {
    const { 'qom-type': name, id, ...properties } = options;
    const type = TYPES.find((candidate) => candidate.name === name);
    if (!type) throw new QmpError(`Not available yet: object type '${name}'`);
    if (!IDENTIFIER.test(id)) throw new QmpError("Parameter 'id' expects an identifier");
    if (this.entries.has(id)) {
      throw new QmpError(`attempt to add duplicate property '${id}' to object (type 'container')`);
    }
    this.entries.set(id, { type, object: type.create(id, properties, this.host) });
  }

  /** `object-del` */
  remove(id: string): void {
    const entry = this.entries.get(id);
    if (!entry) throw new QmpError(`object '${id}' not found`);
    if (entry.object.inUse()) throw new QmpError(`object '${id}' is in use, can not be deleted`);
    this.entries.delete(id);
    entry.object.remove();
  }

  /** `qom-list` */
  list(path: string): PropertyInfo[] {
    const { children, entry } = this.find(path);
    const below = [...children].map(([name, type]) => ({ name, type: `child<${type}>` }));
    return [TYPE, ...below, ...(entry?.type.properties ?? [])];
  }

  /** `qom-get` */
  get(path: string, property: string): PropertyValue {
    const place = this.find(path);
    if (property === TYPE.name) return place.typeName;
    if (place.children.has(property)) return `${place.path === '/' ? '' : place.path}/${property}`;
    return this.entryWith(place, property).object.get(property);
  }

  /** `qom-set` */
  set(path: string, property: string, value: QmpValue): void {
    const place = this.find(path);
    if (property === TYPE.name || place.children.has(property)) {
      throw new QmpError(`Property '${place.typeName}.${property}' is not writable`);
    }
    this.entryWith(place, property).object.set(property, value);
  }

  private entryWith({ typeName, entry }: Place, property: string): Entry {
    if (entry?.type.properties.some(({ name }) => name === property)) return entry;
    throw new QmpError(`Property '${typeName}.${property}' not found`);
  }

  /** What an absolute path leads to, or the end of one. */
  private find(path: string): Place {
    const words = path.split('/').filter((word) => word !== '');
    const [container = '', id, ...rest] = words;
    const objects = [...this.entries].reverse().map(([name, { type }]) => [name, type.name] as const);
    const inside = (name: string): Place => ({
      path: `/${name}`,
      typeName: 'container',
      children: new Map(name === 'objects' ? objects : []),
      entry: null,
    });
    const atObject = (name: string | undefined): Place | null => {
      const entry = name === undefined ? undefined : this.entries.get(name);
      if (!entry) return null;
      return { path: `/objects/${name}`, typeName: entry.type.name, children: new Map(), entry };
    };
    let place: Place | null = null;
    if (words.length === 0 && path.startsWith('/')) {
      const children = new Map(CONTAINERS.map((name) => [name, 'container']));
      place = { path: '/', typeName: 'container', children, entry: null };
    } else if (CONTAINERS.includes(container) && id === undefined) {
      place = inside(container);
    } else if (container === 'objects' && rest.length === 0) {
      place = atObject(id);
    } else if (!path.startsWith('/') && id === undefined) {
      place = atObject(container);
    }
    if (!place) throw new QmpError(`Device '${path}' not found`, 'DeviceNotFound');
    return place;
  }
}
