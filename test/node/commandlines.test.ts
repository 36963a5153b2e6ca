import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLines, recordedLines, runInProcess } from './commandlines';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'commandlines-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

describe('command lines of the daemon, as recorded from the real one', () => {
  it('are those of the list', () => {
    expect(recordedLines().map(({ line }) => line)).toEqual(commandLines());
  });

  it.each(recordedLines())('$line', async ({ line, ...real }) => {
    expect(await runInProcess(line, directory)).toEqual(real);
  });
});
