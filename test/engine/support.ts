/** What the engine's tests share: an engine, image files in memory and on disk, and the real tools. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '../../src/engine/index';
import type { Engine, NodeHandle, Qcow2OpenOptions } from '../../src/engine/contract';
import type { BlockFile } from '../../src/files/contract';
import { MemoryStore } from '../../src/files/memory';

const MODULE = new WebAssembly.Module(readFileSync(new URL('../../build/engine.wasm', import.meta.url)));

export function newEngine(): Engine {
  return createEngine(MODULE);
}

/** A directory of its own for a test file; call `remove` at the end. */
export function scratchDirectory(): { path(name: string): string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'qsd-web-engine-'));
  return {
    path: (name) => join(directory, name),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface ToolResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a tool; the environment's language is C. */
export function run(tool: string, ...words: string[]): ToolResult {
  const { status, stdout, stderr, error } = spawnSync(tool, words, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 1 << 28,
  });
  if (error) throw error;
  return { status: status ?? -1, stdout, stderr };
}

/** Runs a tool that must succeed; answers what it printed. */
export function must(tool: string, ...words: string[]): string {
  const { status, stdout, stderr } = run(tool, ...words);
  if (status !== 0) throw new Error(`${tool} ${words.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

/**
 * An open file in memory.
 * @param sparse blocks of zeros become holes
 */
export async function memoryFile(bytes: Uint8Array = new Uint8Array(0), sparse = false): Promise<BlockFile> {
  const file = await new MemoryStore().open('image', { write: true, create: 'truncate' });
  for (let at = 0; at < bytes.length; at += 4096) {
    const block = bytes.subarray(at, at + 4096);
    if (!sparse || block.some((b) => b !== 0)) file.write(block, at);
  }
  file.truncate(bytes.length);
  return file;
}

/** An image of the disk, loaded into memory. */
export async function load(path: string, sparse = false): Promise<BlockFile> {
  return memoryFile(readFileSync(path), sparse);
}

/** All bytes of a file. */
export function bytesOf(file: BlockFile): Uint8Array {
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  return bytes;
}

/** Writes what a file holds to the disk, for the real tools. */
export function save(file: BlockFile, path: string): void {
  writeFileSync(path, bytesOf(file));
}

/** A file that stays open when its node is closed. */
export function keptOpen(file: BlockFile): BlockFile {
  return new Proxy(file, {
    get(target, key) {
      if (key === 'close') return () => undefined;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** An open qcow2 image and its file node. */
export interface OpenImage {
  node: NodeHandle;
  file: NodeHandle;
  close(): void;
}

export function openQcow2(
  engine: Engine,
  file: BlockFile,
  options: Qcow2OpenOptions,
  backing: NodeHandle | null = null,
): OpenImage {
  const fileNode = engine.openFile(keptOpen(file), { readOnly: options.readOnly });
  let node: NodeHandle;
  try {
    node = engine.openQcow2(fileNode, options);
  } catch (error) {
    engine.close(fileNode);
    throw error;
  }
  if (backing !== null) engine.setBacking(node, backing);
  return {
    node,
    file: fileNode,
    close: () => {
      try {
        engine.close(node);
      } finally {
        engine.close(fileNode);
      }
    },
  };
}

/** All bytes of a node. */
export function contentOf(engine: Engine, node: NodeHandle, step = 1 << 20): Uint8Array {
  const length = engine.length(node);
  const content = new Uint8Array(length);
  const buffer = engine.alloc(step);
  for (let at = 0; at < length; at += step) {
    const n = Math.min(step, length - at);
    engine.read(node, at, n, buffer);
    content.set(buffer.view(0, n), at);
  }
  buffer.free();
  return content;
}

/** One line of `qemu-img map --output=json`. */
export interface MapEntry {
  start: number;
  length: number;
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  compressed: boolean;
  offset?: number;
}

/** The map of a chain as qemu-img puts it together: each layer is asked until one says data or zeros. */
export function mapOf(engine: Engine, chain: NodeHandle[]): MapEntry[] {
  const entries: MapEntry[] = [];
  const length = engine.length(chain[0]!);
  for (let start = 0; start < length;) {
    let depth = 0;
    let status = engine.blockStatus(chain[0]!, start, length - start);
    while (!(status.flags & 3) && depth + 1 < chain.length) {
      status = engine.blockStatus(chain[++depth]!, start, status.bytes);
    }
    const { flags } = status;
    const next: MapEntry = {
      start,
      length: status.bytes,
      depth,
      present: (flags & 0x10) !== 0,
      zero: (flags & 2) !== 0,
      data: (flags & 1) !== 0,
      compressed: (flags & 0x80) !== 0,
    };
    if (flags & 4) next.offset = status.map;
    const last = entries.at(-1);
    if (last && continues(last, next)) last.length += next.length;
    else entries.push(next);
    start += status.bytes;
  }
  return entries;
}

function continues(a: MapEntry, b: MapEntry): boolean {
  if (a.depth !== b.depth || a.present !== b.present || a.zero !== b.zero || a.data !== b.data) return false;
  if (a.compressed !== b.compressed) return false;
  return a.offset === undefined ? b.offset === undefined : b.offset === a.offset + a.length;
}

/** A random generator with a seed (xorshift32), so that a failure can be repeated. */
export function random(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
