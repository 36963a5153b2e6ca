/** The reply of query-qmp-schema: the schema, with the names of its types replaced by numbers. */
import { commands, EMPTY, events, findType, type SchemaType } from './schema';
import type { SchemaInfo } from './types.generated';

/** What introspection shows of a builtin type; every kind of integer is `int`. */
function builtinName(name: string): string {
  if (name === 'size' || /^u?int\d*$/.test(name)) return 'int';
  return name === 'QType' ? 'str' : name;
}

const JSON_TYPES = {
  str: 'string',
  int: 'int',
  number: 'number',
  bool: 'boolean',
  null: 'null',
  any: 'value',
} as const;

/** Types get their numbers in the order in which they are first mentioned, and are described in that order. */
class Introspection {
  /** Names in the reply, by name in the schema. */
  private readonly names = new Map<string, string>();
  private readonly queue: SchemaType[] = [];
  private next = 0;

  list(): SchemaInfo[] {
    const list: SchemaInfo[] = [];
    for (const command of commands()) {
      list.push({
        name: command.name,
        'meta-type': 'command',
        'arg-type': this.use(command.arguments),
        'ret-type': this.use(command.returns),
        ...(command.oob && { 'allow-oob': true }),
        ...features(command.features),
      });
    }
    for (const event of events()) {
      list.push({
        name: event.name,
        'meta-type': 'event',
        'arg-type': this.use(event.data),
        ...features(event.features),
      });
    }
    // Describing a type may put others on the queue; the iteration reaches them.
    for (const type of this.queue) list.push(this.describe(type));
    return list;
  }

  /** The name of a type in the reply; the first use puts it on the list. */
  private use(name: string): string {
    const type = findType(name);
    let key = type.kind === 'builtin' ? builtinName(name) : name;
    if (type.kind === 'array') key = `[${this.use(type.element)}]`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const shown = type.kind === 'builtin' || type.kind === 'array' ? key : String(this.next++);
    this.names.set(key, shown);
    this.queue.push(type);
    return shown;
  }

  private describe(type: SchemaType): SchemaInfo {
    const name = this.use(type.name);
    switch (type.kind) {
      case 'builtin': {
        const shown = builtinName(type.name) as keyof typeof JSON_TYPES;
        return { name, 'meta-type': 'builtin', 'json-type': JSON_TYPES[shown] };
      }
      case 'enum':
        return {
          name,
          'meta-type': 'enum',
          members: type.values.map((value) => ({ name: value.name, ...features(value.features) })),
          values: type.values.map((value) => value.name),
        };
      case 'array':
        return { name, 'meta-type': 'array', 'element-type': this.use(type.element) };
      case 'alternate':
        return {
          name,
          'meta-type': 'alternate',
          members: type.branches.map((branch) => ({ type: this.use(branch) })),
        };
      case 'object': {
        const members = type.members.map((member) => ({
          name: member.name,
          type: this.use(member.type),
          ...(member.optional && { default: null }),
          ...features(member.features),
        }));
        return { name, 'meta-type': 'object', members, ...this.union(type), ...features(type.features) };
      }
    }
  }

  private union(type: SchemaType & { kind: 'object' }): {
    tag?: string;
    variants?: { case: string; type: string }[];
  } {
    const { tag } = type;
    if (tag === undefined) return {};
    const values = findType(type.members.find((member) => member.name === tag)?.type ?? '');
    if (values.kind !== 'enum') throw new TypeError(`the tag of ${type.name} is no enum`);
    return {
      tag,
      variants: values.values.map((value) => ({
        case: value.name,
        type: this.use(type.variants.get(value.name) ?? EMPTY),
      })),
    };
  }
}

const features = (list: readonly string[]): { features?: string[] } =>
  list.length ? { features: [...list] } : {};

let cached: SchemaInfo[] | undefined;

/** The reply of query-qmp-schema (made at the first call). */
export function querySchema(): SchemaInfo[] {
  return (cached ??= new Introspection().list());
}
