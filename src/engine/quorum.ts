/** Quorum nodes: how they are made and changed, and what they report. */
import { QuorumOp } from '../../wasm/abi';
import type { NodeHandle } from './request';

/** A child of a quorum failed, or (errno 0) differs from what was agreed on. */
export interface QuorumBadEvent {
  kind: 'quorum-bad';
  /** The child. */
  node: NodeHandle;
  operation: 'read' | 'write' | 'flush';
  errno: number;
  /** Bytes. */
  offset: number;
  bytes: number;
}

/** Too few children of a quorum agree, or too few did what was asked: the request fails. Bytes. */
export interface QuorumFailureEvent {
  kind: 'quorum-failure';
  node: NodeHandle;
  offset: number;
  bytes: number;
}

/** Two children that must never differ do; the read fails. Bytes. */
export interface MismatchEvent {
  kind: 'contents-mismatch';
  node: NodeHandle;
  offset: number;
  bytes: number;
  /** The first byte that differs. */
  at: number;
}

export type QuorumEvent = QuorumBadEvent | QuorumFailureEvent | MismatchEvent;

export interface QuorumOptions {
  readOnly: boolean;
  /** How many children must agree. */
  threshold: number;
  /** Reads go to one child after the other until one answers. */
  fifo: boolean;
  /** Two children that must never differ. */
  verify: boolean;
  /** What differs is written anew. */
  rewrite: boolean;
}

export interface Quorum {
  /** EIO: the children are not of one length. */
  open(children: readonly NodeHandle[], options: QuorumOptions): NodeHandle;
  /** Adds a last child; its data must be what the others have. */
  add(node: NodeHandle, child: NodeHandle): void;
  remove(node: NodeHandle, child: NodeHandle): void;
}

/** What the data plane exports (wasm/exports/quorum.ts). */
export interface QuorumExports {
  openQuorum(threshold: number, fifo: number, verify: number, rewrite: number, readOnly: number): number;
  quorumAdd(node: number, child: number, opening: number): number;
  quorumRemove(node: number, child: number): number;
  close(node: number): number;
}

const OPERATIONS = { [QuorumOp.READ]: 'read', [QuorumOp.WRITE]: 'write', [QuorumOp.FLUSH]: 'flush' } as const;

/** The data plane's reports as events. */
export function quorumImports(
  emit: (event: QuorumEvent) => void,
): Record<string, (...args: number[]) => void> {
  const send = (event: QuorumEvent) => {
    try {
      emit(event);
    } catch {
      // Whoever takes the report may fail without spoiling the request.
    }
  };
  return {
    quorumReport: (node = 0, op = 0, errno = 0, offset = 0, bytes = 0) => {
      const operation = OPERATIONS[op as QuorumOp];
      send({ kind: 'quorum-bad', node: node as NodeHandle, operation, errno, offset, bytes });
    },
    quorumFailed: (node = 0, offset = 0, bytes = 0) =>
      send({ kind: 'quorum-failure', node: node as NodeHandle, offset, bytes }),
    contentsMismatch: (node = 0, offset = 0, bytes = 0, at = 0) =>
      send({ kind: 'contents-mismatch', node: node as NodeHandle, offset, bytes, at }),
  };
}

/** @param call runs a call of the data plane: a negative answer is thrown */
export function makeQuorum(wasm: QuorumExports, call: (run: () => number) => number): Quorum {
  return {
    open(children, { readOnly, threshold, fifo, verify, rewrite }) {
      const node = call(() =>
        wasm.openQuorum(threshold, Number(fifo), Number(verify), Number(rewrite), Number(readOnly)),
      ) as NodeHandle;
      try {
        for (const child of children) call(() => wasm.quorumAdd(node, child, 1));
      } catch (error) {
        wasm.close(node);
        throw error;
      }
      return node;
    },
    add: (node, child) => void call(() => wasm.quorumAdd(node, child, 0)),
    remove: (node, child) => void call(() => wasm.quorumRemove(node, child)),
  };
}
