/** A daemon over files in memory and the real data plane, for tests. */
import { readFileSync } from 'node:fs';
import { Daemon, type QmpEvent } from '../../src/daemon';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));

export interface TestDaemon {
  daemon: Daemon;
  files: MemoryStore;
  events: QmpEvent[];
  /** Whether the daemon has asked for its end. */
  exited: () => boolean;
}

/** Each gets an engine of its own. */
export async function openDaemon(): Promise<TestDaemon> {
  const files = new MemoryStore();
  let exited = false;
  const daemon = new Daemon({
    engine: createEngine(MODULE),
    files,
    locks: new MemoryLocks(),
    version: '0.0.0-test',
    now: () => Date.now(),
    turn: () => new Promise((resolve) => setTimeout(resolve, 0)),
    exit: () => (exited = true),
  });
  const events: QmpEvent[] = [];
  daemon.subscribe((event) => events.push(event));
  return { daemon, files, events, exited: () => exited };
}
