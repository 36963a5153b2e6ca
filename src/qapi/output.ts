/** The output side: replies and events in the order of the schema. */
import { findType, type ObjectType, type SchemaType } from './schema';
import { setMember, type QmpObject, type QmpValue } from './value';

/**
 * A value of a type with its members in the order of the schema and without those that are undefined. The order decides
 * which of two members with one bucket is printed first (dict-order.ts). Throws a TypeError if the value has members that
 * the type has not, or lacks one: that is an error of the program.
 */
export function orderOutput(typeName: string, value: unknown): QmpValue {
  return order(findType(typeName), value);
}

function order(type: SchemaType, value: unknown): QmpValue {
  if (type.kind === 'array') {
    const element = findType(type.element);
    return (value as unknown[]).map((item) => order(element, item));
  }
  if (type.kind === 'alternate') {
    const object = type.branches.map(findType).find((branch) => branch.kind === 'object');
    return object && typeof value === 'object' && value !== null ? order(object, value) : (value as QmpValue);
  }
  return type.kind === 'object' ? orderObject(type, value) : (value as QmpValue);
}

function orderObject(type: ObjectType, value: unknown): QmpObject {
  const input = (value ?? {}) as Record<string, unknown>;
  const output: QmpObject = {};
  const left = new Set(Object.keys(input).filter((key) => input[key] !== undefined));
  let current: ObjectType | undefined = type;
  while (current) {
    for (const member of current.members) {
      if (left.delete(member.name))
        setMember(output, member.name, order(findType(member.type), input[member.name]));
      else if (!member.optional)
        throw new TypeError(`'${member.name}' is missing in a value of ${type.name}`);
    }
    const chosen: QmpValue | undefined = current.tag === undefined ? undefined : output[current.tag];
    const variant: string | undefined = typeof chosen === 'string' ? current.variants.get(chosen) : undefined;
    current = variant === undefined ? undefined : (findType(variant) as ObjectType);
  }
  for (const name of left) throw new TypeError(`'${name}' is not in type ${type.name}`);
  return output;
}
