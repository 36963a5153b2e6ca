import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { MemoryStore } from '../../src/files/memory';
import { openDaemon } from './daemon';
import { parseTranscript, run, type Client, type RecordedFile, type Recording } from './transcript';

async function restore(store: MemoryStore, file: RecordedFile): Promise<void> {
  const folder = dirname(file.name);
  if (folder !== '.') await store.makeDirectory(folder).catch(() => undefined);
  const handle = await store.open(file.name, { write: true, create: 'truncate' });
  handle.truncate(file.size);
  for (const [offset, data] of file.pieces) handle.write(gunzipSync(Buffer.from(data, 'base64')), offset);
  handle.close();
}

const folder = join(import.meta.dirname, 'transcripts');

describe('transcripts of the real daemon', () => {
  it.each(readdirSync(folder).map((file) => basename(file, '.txt')))('%s', async (name) => {
    const source = readFileSync(join(folder, `${name}.txt`), 'utf8');
    const path = join(import.meta.dirname, 'fixtures', `${name}.json`);
    if (!existsSync(path)) throw new Error(`${name} has not been recorded`);
    const recording = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    expect(recording.source, 'the transcript has changed: record it again').toBe(source);
    const transcript = parseTranscript(source);
    const { daemon, files } = await openDaemon();
    for (const file of recording.files) await restore(files, file);
    const open = async (): Promise<Client> => {
      let text = '';
      const monitor = daemon.openMonitor({ write: (chunk) => (text += chunk) });
      return {
        send: (bytes) => void monitor.receive(Buffer.from(bytes, 'latin1')),
        received: () => text,
      };
    };
    const output = await run(transcript, open, 15);
    const steps = ['greeting', ...transcript.steps.map((step) => ('text' in step ? step.text : step.kind))];
    const differences = steps
      .map((step, i) => ({ step, ours: output[i], real: recording.output[i] }))
      .filter(({ ours, real }) => JSON.stringify(ours) !== JSON.stringify(real));
    expect(differences).toEqual([]);
    await daemon.end();
  });
});
