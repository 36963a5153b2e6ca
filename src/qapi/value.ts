/**
 * Values of QMP.
 *
 * A plain JavaScript number without fraction is an integer, one with a fraction is not. Text can say more than that: an
 * integer beyond 2^53 is a `bigint`, and a number that was written with a fraction or an exponent and has no fraction
 * (`1.0`, `1e2`) is a {@link Real}, because a member of an integer type does not take it.
 */

/** Any value that the parsers of this layer make and {@link toJson} prints. */
export type QmpValue = null | boolean | number | bigint | string | Real | QmpValue[] | QmpObject;

/** An object of QMP. A key may be any text, `__proto__` too: write with {@link setMember}, read with {@link member}. */
export interface QmpObject {
  [key: string]: QmpValue;
}

/** A number that is no integer although its value has no fraction. */
export class Real {
  constructor(readonly value: number) {}
}

/** The types of a value, as QEMU's messages name them. */
export type ValueKind = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object';

/** The kind of a value. */
export function kindOf(value: QmpValue): ValueKind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    case 'number':
    case 'bigint':
      return 'number';
    default:
      return value instanceof Real ? 'number' : 'object';
  }
}

/** Whether the value is an object of QMP. */
export function isObject(value: QmpValue | undefined): value is QmpObject {
  return value !== undefined && kindOf(value) === 'object';
}

/** The member of an object; undefined if it has none of this name (what it inherits does not count). */
export function member(object: QmpObject, key: string): QmpValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets a member of an object, whatever its name. */
export function setMember<T>(object: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    object[key] = value;
  }
}

/** A visited value: numbers are plain, integers exact to 2^53. */
export type PlainValue = null | boolean | number | string | PlainValue[] | { [key: string]: PlainValue };
