/** Runs a recorded transcript with our daemon, and tells where it answers otherwise than the real one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Daemon } from '../../src/daemon';
import type { FileStore } from '../../src/files/contract';
import { NodeStore } from '../../src/files/node/store';
import { openDaemon, openDaemonIn } from './daemon';
import { parseTranscript, run, shellIn, type Client, type RecordedFile, type Recording } from './transcript';

async function restore(store: FileStore, file: RecordedFile): Promise<void> {
  const folder = dirname(file.name);
  if (folder !== '.') await store.makeDirectory(folder).catch(() => undefined);
  const handle = await store.open(file.name, { write: true, create: 'truncate' });
  handle.truncate(file.size);
  for (const [offset, data] of file.pieces) handle.write(gunzipSync(Buffer.from(data, 'base64')), offset);
  handle.close();
}

/** A step that the two daemons answer differently. */
export interface Difference {
  step: string;
  ours: string[] | undefined;
  real: string[] | undefined;
}

/** Answers the differences, and our daemon as it is then; `remove` takes away its files. */
export async function replay(
  recording: Recording,
): Promise<{ differences: Difference[]; daemon: Daemon; remove: () => void }> {
  const transcript = parseTranscript(recording.source);
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
  const remove = (): void => {
    if (needsDisk) rmSync(directory, { recursive: true });
  };
  return { differences, daemon, remove };
}
