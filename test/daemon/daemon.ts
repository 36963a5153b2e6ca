/** A daemon over files in memory and the real data plane, for tests. */
import { readFileSync } from 'node:fs';
import { Daemon, type QmpEvent } from '../../src/daemon';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import type { FileStore } from '../../src/files/contract';
import { MountStore } from '../../src/files/mount';
import { NodeStore } from '../../src/files/node/store';
import { nodeTls } from '../../src/node/tls/index';
import { nodeChardevs } from '../../src/node/chardevs';
import { connectTo } from '../../src/node/connect';
import { listenOn } from '../../src/node/listen';
import { nbdOpener } from '../../src/nbd';

const MODULE = new WebAssembly.Module(readFileSync('build/engine.wasm'));

export interface TestDaemon {
  daemon: Daemon;
  files: MemoryStore;
  events: QmpEvent[];
  /** Whether the daemon has asked for its end. */
  exited: () => boolean;
  /** Whether something waits for its turn to work. */
  busy: () => boolean;
}

/** Each gets an engine of its own. */
export async function openDaemon(): Promise<TestDaemon> {
  const files = new MemoryStore();
  return { ...launch(files), files };
}

/** One whose files, and the Unix sockets that it listens on, are in a directory. */
export function openDaemonIn(directory: string): Omit<TestDaemon, 'files'> {
  return launch(new NodeStore(directory), directory);
}

/** One over any files; the Unix sockets that it connects to are in a directory, if one is given. */
export function openDaemonOn(files: FileStore, sockets?: string): Omit<TestDaemon, 'files'> {
  return launch(files, sockets);
}

function launch(files: FileStore, directory?: string): Omit<TestDaemon, 'files'> {
  let exited = false;
  let turns = 0;
  // As in a browser where files are in memory, unless a directory has them, as under Node.js.
  const tree = files instanceof NodeStore ? files : new MountStore(files);
  const engine = createEngine(MODULE);
  const daemon = new Daemon({
    engine,
    files: tree,
    locks: new MemoryLocks(),
    version: '0.0.0-test',
    now: () => Date.now(),
    turn: () => {
      turns++;
      return new Promise((resolve) =>
        setTimeout(() => {
          turns--;
          resolve();
        }, 0),
      );
    },
    exit: () => (exited = true),
    ...(tree instanceof MountStore && { mounts: tree }),
    ...(directory !== undefined && {
      listen: (address, serve) => listenOn(address, serve, directory),
      connect: (address) => connectTo(address, directory),
      openNbd: nbdOpener({
        presence: engine.presence,
        connect: (address) => connectTo(address, directory),
      }),
      chardevs: nodeChardevs(directory),
      tls: nodeTls,
    }),
  });
  const events: QmpEvent[] = [];
  daemon.subscribe((event) => events.push(event));
  return { daemon, events, exited: () => exited, busy: () => turns > 0 };
}
