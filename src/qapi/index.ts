/** The interface of QMP: schema, types, validation, introspection, JSON and options as QEMU reads and prints them. */
export {
  commandNames,
  completions,
  describeCommand,
  describeEvent,
  eventNames,
  membersOf,
  registeredCommands,
} from './catalog';
export type { CommandDescription, MemberDescription, Referent } from './catalog';
export { dictOrder } from './dict-order';
export { QmpError, type QmpErrorClass } from './errors';
export { querySchema } from './introspect';
export { JsonParser, parseJson, type JsonResult } from './json-parser';
export { quoteJson, toJson, type JsonStyle } from './json-print';
export { parseKeyval, type KeyvalObject, type KeyvalValue } from './keyval';
export { orderOutput } from './output';
export { findCommand, findEvent, type CommandDefinition, type EventDefinition } from './schema';
export { parseInteger, parseNumber, parseSize } from './size';
export type * from './types.generated';
export { isObject, kindOf, member, Real, setMember, type QmpObject, type QmpValue } from './value';
export { MAX_EXACT, visitArguments, visitKeyval, visitType, type PlainValue } from './visitor';
