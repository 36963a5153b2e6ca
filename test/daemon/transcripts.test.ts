import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'vitest';
import { leaks } from './leaks';
import { haveTools } from '../tools/twins';
import { replay } from './replay';
import type { Recording } from './transcript';

const folder = join(import.meta.dirname, 'transcripts');

const sources = readdirSync(folder).map((file) => ({
  name: basename(file, '.txt'),
  source: readFileSync(join(folder, file), 'utf8'),
}));
// Shell commands are those of the real tools.
const replayable = sources.filter(({ source }) => haveTools || !/^! /m.test(source));

describe('transcripts of the real daemon', () => {
  // Most of the time they wait for silence.
  it.concurrent.for(replayable)('$name', async ({ name, source }, { expect }) => {
    const path = join(import.meta.dirname, 'fixtures', `${name}.json`);
    if (!existsSync(path)) throw new Error(`${name} has not been recorded`);
    const recording = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    expect(recording.source, 'the transcript has changed: record it again').toBe(source);
    const { differences, daemon, remove } = await replay(recording);
    expect(differences).toEqual([]);
    const jobs = (await daemon.execute('query-jobs')).return;
    if (Array.isArray(jobs) && jobs.length === 0) expect(await leaks(daemon)).toEqual([]);
    await daemon.end();
    expect(daemon.graph.nodes()).toEqual([]);
    remove();
  });
});
