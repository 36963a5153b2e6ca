/** The daemon: QMP monitors, commands, events and jobs over a graph of block nodes. */
export { Daemon } from './daemon';
export { QEMU_VERSION } from './environment';
export type { QmpEvent } from './message';
export type { Monitor } from './monitor';
