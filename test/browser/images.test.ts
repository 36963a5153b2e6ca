/** Images that real tools made, opened in Chromium: the content and the block status are what the real tools read. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ImageFolder, recipes } from '../interop/images';
import type { MadeImage, MapEntry } from '../interop/images';
import { startBrowser } from './browser';
import type { TestBrowser, TestWorker } from './browser';
import type { ReadImage } from './images.worker';

let browser: TestBrowser;
let worker: TestWorker;
let folder: ImageFolder;

beforeAll(async () => {
  folder = new ImageFolder();
  browser = await startBrowser();
  worker = await browser.startWorker(await browser.newPage(), new URL('images.worker.ts', import.meta.url));
});
afterAll(async () => {
  folder.remove();
  await browser.close();
});

/**
 * What a backend that cannot tell holes reports: an allocated cluster is data, also where the file has a hole. Entries
 * that are then alike are one.
 */
function withoutHoles(map: readonly MapEntry[]): MapEntry[] {
  const entries: MapEntry[] = [];
  for (const { ...entry } of map) {
    if (entry.data) entry.zero = false;
    const last = entries.at(-1);
    const { offset } = entry;
    const follows =
      last !== undefined &&
      (last.offset === undefined ? offset === undefined : offset === last.offset + last.length) &&
      (['depth', 'present', 'zero', 'data', 'compressed'] as const).every((key) => last[key] === entry[key]);
    if (follows) last.length += entry.length;
    else entries.push(entry);
  }
  return entries;
}

describe.each(recipes.map((recipe) => ({ name: recipe.name, recipe })))('$name', ({ recipe }) => {
  let image: MadeImage;
  let paths: string[];
  let expected: ReadImage;
  // The format of qcow2 images is found by looking; a raw one could be taken for anything its guest writes.
  const format = recipe.format === 'raw' ? ['raw'] : [];

  beforeAll(() => {
    image = folder.make(recipe);
    paths = recipe.files.map((file) => join(image.folder, file));
    const map = recipe.holes ? withoutHoles(image.map) : image.map;
    expected = { sha256: image.sha256, bytes: image.bytes, map };
  });

  test('in place from a local file', async () => {
    expect(await worker.callWithFiles('readInPlace', paths, ...format)).toEqual(expected);
  });

  test('from the files of the origin', async () => {
    expect(await worker.callWithFiles('readFromOrigin', paths, ...format)).toEqual(expected);
  });
});
