/** What happens inside requests and is told outside. */
import type { QuorumEvent } from './quorum';
import type { NodeHandle } from './request';
import type { VerifyEvent } from './storagefilters';

/** Something that happened inside a request and that the user is to be told. */
export type EngineEvent = CorruptionEvent | ThresholdEvent | QuorumEvent | VerifyEvent;

/** A write is about to end above the threshold that was set; there is none any more. Bytes. */
export interface ThresholdEvent {
  kind: 'write-threshold';
  node: NodeHandle;
  threshold: number;
  /** By how much. */
  exceeded: number;
}

/** An image turned out to be corrupt. */
export interface CorruptionEvent {
  kind: 'image-corrupted';
  node: NodeHandle;
  message: string;
  /** Bytes in the image file; -1: unknown. */
  offset: number;
  size: number;
  fatal: boolean;
}
