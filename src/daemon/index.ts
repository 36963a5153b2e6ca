/** The daemon: QMP monitors, commands, events and jobs over a graph of block nodes. */
export { Daemon, type QmpEvent, type QmpReply } from './daemon';
export { QEMU_VERSION, type DaemonEnvironment } from './environment';
export type { Monitor, MonitorOptions } from './monitor';
