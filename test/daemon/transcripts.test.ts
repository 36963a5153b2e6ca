import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, it } from 'vitest';
import type { FileStore } from '../../src/files/contract';
import { NodeStore } from '../../src/files/node/store';
import { openDaemon, openDaemonIn } from './daemon';
import { leaks } from './leaks';
import { haveTools } from '../tools/twins';
import { parseTranscript, run, shellIn, type Client, type RecordedFile, type Recording } from './transcript';

async function restore(store: FileStore, file: RecordedFile): Promise<void> {
  const folder = dirname(file.name);
  if (folder !== '.') await store.makeDirectory(folder).catch(() => undefined);
  const handle = await store.open(file.name, { write: true, create: 'truncate' });
  handle.truncate(file.size);
  for (const [offset, data] of file.pieces) handle.write(gunzipSync(Buffer.from(data, 'base64')), offset);
  handle.close();
}

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
    const transcript = parseTranscript(source);
    // Shell commands need files that they can see.
    const needsDisk = transcript.steps.some(({ kind }) => kind === 'shell');
    const directory = needsDisk ? mkdtempSync(join(tmpdir(), 'replay-')) : '';
    const { daemon, files, busy } = needsDisk
      ? { ...openDaemonIn(directory), files: new NodeStore(directory) }
      : await openDaemon();
    for (const file of recording.files) await restore(files, file);
    // Texts that the monitors have not taken yet, because a command is being done.
    let unread = 0;
    const open = async (): Promise<Client> => {
      let text = '';
      const monitor = daemon.openMonitor({ write: (chunk) => (text += chunk) });
      return {
        send: (bytes) => {
          unread++;
          void monitor.receive(Buffer.from(bytes, 'latin1')).finally(() => unread--);
        },
        received: () => text,
      };
    };
    const output = await run(
      transcript,
      open,
      needsDisk ? 15 : 4,
      shellIn(directory),
      () => busy() || unread > 0,
    );
    const steps = ['greeting', ...transcript.steps.map((step) => ('text' in step ? step.text : step.kind))];
    // What comes before a wait and what comes during it is one: which is which is a matter of speed.
    const joined = (lines: readonly string[][]): string[][] => {
      const all = lines.map((list) => [...list]);
      for (let i = all.length - 1; i > 0; i--)
        if (steps[i] === 'wait') all[i - 1]?.push(...(all[i]?.splice(0) ?? []));
      return all;
    };
    const differences = steps
      .map((step, i) => ({ step, ours: joined(output)[i], real: joined(recording.output)[i] }))
      .filter(({ ours, real }) => JSON.stringify(ours) !== JSON.stringify(real));
    expect(differences).toEqual([]);
    const jobs = (await daemon.execute('query-jobs')).return;
    if (Array.isArray(jobs) && jobs.length === 0) expect(await leaks(daemon)).toEqual([]);
    await daemon.end();
    expect(daemon.graph.nodes()).toEqual([]);
    if (needsDisk) rmSync(directory, { recursive: true });
  });
});
