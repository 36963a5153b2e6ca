/** What the tests of the graph share: files in memory, an engine, and any number of "processes" on them. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Engine } from '../../src/engine/contract';
import { createEngine } from '../../src/engine/index';
import { Errno, FileError, type FileStore } from '../../src/files/contract';
import { MemoryLocks } from '../../src/files/locks';
import { MemoryStore } from '../../src/files/memory';
import { BlockGraph, GraphError, type GraphEnvironment } from '../../src/graph/index';

const MODULE = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));

export const MIB = 1024 * 1024;

/** Files, an engine, locks, and what was warned of. */
export class World {
  readonly files = new MemoryStore();
  readonly engine: Engine = createEngine(MODULE);
  readonly locks = new MemoryLocks();
  readonly warnings: string[] = [];

  /** The graph of one more process. */
  graph(environment: Partial<GraphEnvironment> = {}): BlockGraph {
    const { engine, files, locks } = this;
    const warn = (text: string): void => void this.warnings.push(text);
    return new BlockGraph({ engine, files, locks, warn, notice: warn, ...environment });
  }

  async file(name: string, content: Uint8Array | number): Promise<void> {
    const handle = await this.files.open(name, { write: true, create: 'truncate' });
    if (typeof content === 'number') handle.truncate(content);
    else handle.write(content, 0);
    handle.close();
  }

  async content(name: string): Promise<Uint8Array> {
    const handle = await this.files.open(name, { write: false });
    const bytes = new Uint8Array(handle.size());
    handle.read(bytes, 0);
    handle.close();
    return bytes;
  }

  /** A qcow2 image with a backing file whose existence nobody checks. */
  async image(name: string, backing?: { file: string; format: string }, size = MIB): Promise<void> {
    await this.graph().createImage({
      filename: name,
      format: 'qcow2',
      values: { size, ...(backing && { backing_file: backing.file, backing_fmt: backing.format }) },
    });
  }
}

/** A store in which some names can only be read. */
export function withReadOnly(files: FileStore, readOnly: Set<string>): FileStore {
  return new Proxy(files, {
    get(target, key) {
      if (key !== 'open') {
        const member: unknown = Reflect.get(target, key);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      }
      return async (path: string, mode: { write: boolean }) => {
        if (readOnly.has(path) && mode.write) {
          throw new FileError(Errno.EACCES);
        }
        return target.open(path, mode);
      };
    },
  });
}

/** That something fails with QEMU's text. */
export async function refused(
  action: Promise<unknown> | (() => unknown),
  text: string | RegExp,
): Promise<GraphError> {
  const promise = typeof action === 'function' ? Promise.resolve().then(action) : action;
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(GraphError);
  if (typeof text === 'string') expect((error as GraphError).desc).toBe(text);
  else expect((error as GraphError).desc).toMatch(text);
  return error as GraphError;
}
