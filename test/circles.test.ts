/** Imports run one way, those of types too: no file of `src` comes back to itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { preProcessFile } from 'typescript';
import { expect, test } from 'vitest';

const ROOT = resolve('src');

/** The files of `src` that a file imports. */
function importsOf(file: string): string[] {
  return preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles.flatMap(({ fileName }) => {
    if (!fileName.startsWith('.')) return [];
    const path = resolve(file, '..', fileName.replace(/\?.*$/, ''));
    return [path, `${path}.ts`, join(path, 'index.ts')].filter(
      (one) => one.endsWith('.ts') && existsSync(one),
    );
  });
}

test('no circles', () => {
  const state = new Map<string, 'open' | 'done'>();
  const path: string[] = [];
  const circles: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      const circle = [...path.slice(path.indexOf(file)), file];
      circles.push(circle.map((one) => relative(ROOT, one)).join(' -> '));
      return;
    }
    state.set(file, 'open');
    path.push(file);
    for (const next of importsOf(file)) visit(next);
    path.pop();
    state.set(file, 'done');
  };
  const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  expect(files.length).toBeGreaterThan(300);
  for (const name of files) visit(join(ROOT, name));
  expect(circles).toEqual([]);
});
