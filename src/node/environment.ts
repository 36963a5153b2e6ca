/** What all command lines run on: the engine, the host's files and image locks among processes. */
import { readFileSync } from 'node:fs';
import { loadEngine } from '../engine/index';
import type { Engine } from '../engine/contract';
import type { FileStore } from '../files/contract';
import type { ImageLocks } from '../files/locks';
import { nodeLocks } from '../files/node/locks';
import { NodeStore } from '../files/node/store';
import type { OpenNbdBeside } from '../nbd/index';
import type { Argon2Thread, DerivationHost } from '../crypto/derivation';
import { nodeAccelerator } from './accelerator';
import { threadArgon2 } from './argon2';

/** The layers below the graph. */
export interface NodeEnvironment {
  engine: Engine;
  files: FileStore;
  locks: ImageLocks;
  openNbd: OpenNbdBeside;
  argon2: Argon2Thread;
  derivation: DerivationHost;
}

/** Loads the engine, which lies beside the program. */
export async function nodeEnvironment(): Promise<NodeEnvironment> {
  const bytes = readFileSync(new URL('engine.wasm', import.meta.url));
  const engine = await loadEngine(bytes, nodeAccelerator);
  const openNbd: OpenNbdBeside = async (target, own) => {
    // Few need it: programs start without.
    const { nodeNbd } = await import('./nbd/open');
    return nodeNbd(engine)(target, own);
  };
  return {
    engine,
    files: new NodeStore(),
    locks: nodeLocks(),
    openNbd,
    argon2: threadArgon2,
    derivation: { argon2: threadArgon2 },
  };
}

/** Lets timers, sockets and signals be served. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
