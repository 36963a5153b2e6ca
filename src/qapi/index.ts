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
export { dictOrder } from './dict-order';
export { QmpError, type QmpErrorClass } from './errors';
export { querySchema } from './introspect';
export { TRANSITIONS, verbRefusal, type JobVerb } from './job-states';
export { JsonParser, parseJson } from './json-parser';
export { toJson } from './json-print';
export { parseKeyval, parseKeyvalRequest, type KeyvalObject } from './keyval';
export { orderOutput } from './output';
export { findCommand, findEvent } from './schema';
export type * from './types.generated';
export { isObject, member, Real, type QmpObject, type QmpValue } from './value';
export { visitArguments, visitKeyval, visitType } from './visitor';
