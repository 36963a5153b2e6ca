/** The daemon: QMP monitors, commands, events and jobs over a graph of block nodes. */
export { Daemon, type QmpEvent } from './daemon';
export { QEMU_VERSION } from './environment';
export type { Monitor } from './monitor';
