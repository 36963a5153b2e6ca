/** What the tests of LUKS share: graphs on real files with passphrases, and the real tools with the same ones. */
import { readFileSync } from 'node:fs';
import { createEngine } from '../../../src/engine/index';
import { MemoryLocks } from '../../../src/files/locks';
import { NodeStore } from '../../../src/files/node/store';
import { BlockGraph, GraphError, type CreateValues } from '../../../src/graph/index';
import { must, run, type ToolResult } from '../../engine/support';

const MODULE = new WebAssembly.Module(readFileSync(new URL('../../../build/engine.wasm', import.meta.url)));

/** Secrets by id; the real tools get the same. */
export const SECRETS: Readonly<Record<string, string>> = {
  first: 'open sesame',
  second: 'another one, mit Umlaut: ä',
  third: 'x',
};

/** A graph on real files that knows {@link SECRETS}. */
export function newGraph(): BlockGraph {
  const graph = new BlockGraph({
    engine: createEngine(MODULE),
    files: new NodeStore(),
    locks: new MemoryLocks(),
  });
  graph.secrets.source = (id) => {
    const secret = SECRETS[id];
    if (secret === undefined) throw new GraphError(`No secret with id '${id}'`);
    return new TextEncoder().encode(secret);
  };
  return graph;
}

/** The same secrets for the real tools. */
const objects = Object.entries(SECRETS).flatMap(([id, data]) => [
  '--object',
  `secret,id=${id},data=${data.replaceAll(',', ',,')}`,
]);

/** Runs a verb of the real qemu-img with the secrets. */
export function qemuImg(verb: string, ...words: string[]): ToolResult {
  return run('qemu-img', verb, ...objects, ...words);
}

/** The same, and it must succeed. */
export function mustQemuImg(verb: string, ...words: string[]): string {
  return must('qemu-img', verb, ...objects, ...words);
}

/** Makes an image in a graph of its own. */
export async function create(format: string, filename: string, values: CreateValues): Promise<void> {
  const graph = newGraph();
  await graph.createImage({ filename, format, values });
  await graph.close();
}

/** All bytes of a disk. */
export async function readDisk(options: Record<string, string>): Promise<Uint8Array> {
  const graph = newGraph();
  try {
    const user = await graph.openImage({ options, readOnly: true });
    const bytes = user.length();
    const buffer = graph.opener.environment.engine.alloc(bytes);
    user.read(0, bytes, buffer);
    const content = buffer.view().slice();
    buffer.free();
    return content;
  } finally {
    await graph.close();
  }
}

/** Writes a whole disk. */
export async function writeDisk(options: Record<string, string>, content: Uint8Array): Promise<void> {
  const graph = newGraph();
  try {
    const user = await graph.openImage({ options });
    const buffer = graph.opener.environment.engine.alloc(content.length);
    buffer.view().set(content);
    user.write(0, content.length, buffer);
    buffer.free();
    await user.close();
  } finally {
    await graph.close();
  }
}

/** Bytes that repeat nowhere soon. */
export function pattern(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255);
}
