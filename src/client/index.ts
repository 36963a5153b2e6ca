/** The public interface: a typed client for the storage daemon that runs in a worker. */
export { connect, Client, type BareCommand, type TaskOptions } from './client';
export { Disk, DiskError } from './disk';
export { EventStream, type EventFilter, type QmpEvent } from './events';
export { Inspection } from './inspection';
export type {
  Exported,
  FileEntry,
  FileResult,
  FormatInfo,
  GuestStats,
  InspectTarget,
  OptionInfo,
  QmpError,
  QmpReply,
  ShellCommandInfo,
  ShellIo,
  StartInfo,
  StorageUsage,
  Workload,
} from './protocol';
export { startScript } from './script';
export { PageSocket } from './socket';
export { Volumes, type VolumeRange } from './volumes';
export type { Commands, Events } from '../qapi/types.generated';
export { CellFlag, Use } from '../inspect/contract';
export type {
  CheckMode,
  CheckState,
  DiskSource,
  Field,
  FileRange,
  ImageView,
  MapPage,
  Overview,
  Place,
  Section,
} from '../inspect/contract';
export type { DiskLayout, FileNode, Partition, VolumeContent } from '../inspect/volumes/contract';
