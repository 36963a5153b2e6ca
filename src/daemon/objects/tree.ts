/** The tree of objects and the paths through it: `/objects/ID`, `/chardevs/ID`, and the ends of such paths. */
import { QmpError, type QmpValue } from '../../qapi/index';
import type { PropertyHolder, PropertyInfo, PropertyValue } from './object';
import { NameTable } from '../../qapi/name-table';
import { propertiesOf } from './types';

/** Something that has children by name. */
interface Children {
  /** Names, as QEMU lists them. */
  list(): string[];
  find(name: string): PropertyHolder | undefined;
}

/** A container, or what is in one. */
interface Place {
  path: string;
  holder: PropertyHolder | null;
  children: ReadonlyMap<string, Place>;
}

const CONTAINER = 'container';
const NOT_FOUND = 'DeviceNotFound';

export class ObjectTree {
  private readonly containers: ReadonlyMap<string, Children>;
  private readonly order: string[];

  constructor(objects: Children, chardevs: Children) {
    const none: Children = { list: () => [], find: () => undefined };
    // Backends of devices of a machine, which is not there.
    this.containers = new Map([
      ['objects', objects],
      ['chardevs', chardevs],
      ['backend', none],
    ]);
    this.order = new NameTable([...this.containers.keys()]).list();
  }

  /** `qom-list` */
  list(path: string): PropertyInfo[] {
    const places = this.find(path);
    const [place, ...others] = places;
    if (others.length > 0) throw new QmpError(`Path '${path}' is ambiguous`);
    if (!place) throw new QmpError(`Device '${path}' not found`, NOT_FOUND);
    const [type, ...own] = propertiesOf(typeOf(place));
    const children = [...place.children].map(([name, child]) => ({ name, type: `child<${typeOf(child)}>` }));
    return [...(type ? [type] : []), ...children, ...own];
  }

  /** `qom-get` */
  get(path: string, property: string): PropertyValue {
    const place = this.only(path);
    if (property === 'type') return typeOf(place);
    const child = place.children.get(property);
    if (child) return child.path;
    return this.holderOf(place, property).get(property);
  }

  /** `qom-set` */
  set(path: string, property: string, value: QmpValue): void {
    const place = this.only(path);
    if (property === 'type' || place.children.has(property)) {
      throw new QmpError(`Property '${typeOf(place)}.${property}' is not writable`);
    }
    this.holderOf(place, property).set(property, value);
  }

  /** Whether a path leads to one iothread; where there is only one, the end of any path to it does, and none at all. */
  hasIothread(path: string): boolean {
    return this.find(path).filter((place) => typeOf(place) === 'iothread').length === 1;
  }

  private holderOf(place: Place, property: string): PropertyHolder {
    const { holder } = place;
    if (holder && propertiesOf(holder.typeName).some(({ name }) => name === property)) return holder;
    throw new QmpError(`Property '${typeOf(place)}.${property}' not found`);
  }

  private only(path: string): Place {
    const [place, ...others] = this.find(path);
    if (!place || others.length > 0) throw new QmpError(`Device '${path}' not found`, NOT_FOUND);
    return place;
  }

  /** What an absolute path leads to; all that the end of one does. */
  private find(path: string): Place[] {
    const words = path.split('/').filter((word) => word !== '');
    const root = this.root();
    if (path.startsWith('/')) return follow(root, words);
    // The end of a path may begin anywhere.
    const starts: Place[] = [root];
    for (const start of starts) starts.push(...start.children.values());
    return starts.flatMap((start) => follow(start, words));
  }

  private root(): Place {
    const containers = this.order.map((name): [string, Place] => {
      const children = this.containers.get(name);
      const inside = (children?.list() ?? []).flatMap((child): [string, Place][] => {
        const holder = children?.find(child);
        return holder ? [[child, { path: `/${name}/${child}`, holder, children: new Map() }]] : [];
      });
      return [name, { path: `/${name}`, holder: null, children: new Map(inside) }];
    });
    return { path: '/', holder: null, children: new Map(containers) };
  }
}

function typeOf({ holder }: Place): string {
  return holder?.typeName ?? CONTAINER;
}

function follow(start: Place, words: readonly string[]): Place[] {
  let place: Place | undefined = start;
  for (const word of words) place = place?.children.get(word);
  return place ? [place] : [];
}
