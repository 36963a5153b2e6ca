import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine } from '../../src/engine';
import { MemoryLocks } from '../../src/files/locks';
import { NodeStore } from '../../src/files/node/store';
import { BlockGraph } from '../../src/graph';
import { mapOf, readAll } from './content';
import { ImageFolder, recipes } from './images';

let folder: ImageFolder;
let module: WebAssembly.Module;

beforeAll(() => {
  folder = new ImageFolder();
  module = new WebAssembly.Module(readFileSync('build/engine.wasm'));
});
afterAll(() => folder.remove());

test.each(recipes.map((recipe) => ({ name: recipe.name, recipe })))('$name', async ({ recipe }) => {
  const image = folder.make(recipe);
  const engine = createEngine(module);
  const graph = new BlockGraph({ engine, files: new NodeStore(image.folder), locks: new MemoryLocks() });
  const [filename] = recipe.files;
  // The format of qcow2 images is found by looking; a raw one could be taken for anything its guest writes.
  const format = recipe.format === 'raw' ? { format: 'raw' } : {};
  const user = await graph.openImage({ filename, readOnly: true, ...format });
  try {
    const hash = createHash('sha256');
    readAll(engine, user, (piece) => hash.update(piece));
    expect(user.length()).toBe(image.bytes);
    expect(hash.digest('hex')).toBe(image.sha256);
    expect(mapOf(engine, user)).toEqual(image.map);
  } finally {
    await user.close();
    await graph.close();
  }
});
