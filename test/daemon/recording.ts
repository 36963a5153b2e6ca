/** Runs a transcript with the real storage daemon; what record.ts stores and compare.ts holds ours against. */
import { execFileSync, execSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { parseTranscript, run, shellIn, type Client, type RecordedFile, type Recording } from './transcript';

/** Bytes of a unit in which zeros are left out. */
const UNIT = 4096;

function recordFile(directory: string, name: string): RecordedFile {
  const content = readFileSync(join(directory, name));
  const pieces: [number, string][] = [];
  for (let at = 0; at < content.length;) {
    let end = at;
    while (end < content.length && content.subarray(end, end + UNIT).some((byte) => byte !== 0)) end += UNIT;
    if (end > at) pieces.push([at, gzipSync(content.subarray(at, end)).toString('base64')]);
    at = end + UNIT;
  }
  return { name, size: content.length, pieces };
}

/** Runs the text of a transcript; `quiet` is the silence in milliseconds that ends a step. */
export async function recordTranscript(source: string, quiet: number): Promise<Recording> {
  const transcript = parseTranscript(source);
  const directory = mkdtempSync(join(tmpdir(), 'transcript-'));
  for (const command of transcript.setup)
    execSync(command, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort()
    .map((name) => recordFile(directory, name));
  // One socket for each monitor that the transcript names: QEMU serves one client on each.
  const sockets = mkdtempSync(join(tmpdir(), 'monitor-'));
  const monitors = [...new Set(['m', ...transcript.steps.map((step) => step.monitor)])];
  const daemon = spawn(
    'qemu-storage-daemon',
    monitors.flatMap((m) => [
      '--chardev',
      `socket,id=c${m},server=on,wait=off,path=${join(sockets, m)}`,
      '--monitor',
      `c${m}`,
    ]),
    { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const open = async (monitor: string): Promise<Client> => {
    for (let attempt = 0; ; attempt++) {
      const socket = connect(join(sockets, monitor));
      try {
        await once(socket, 'connect');
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(20);
        continue;
      }
      let text = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      // The daemon drops the connection when it quits.
      socket.on('error', () => undefined);
      return { send: (bytes) => socket.write(bytes, 'latin1'), received: () => text };
    }
  };
  try {
    const output = await run(transcript, open, quiet, shellIn(directory));
    const version =
      execFileSync('qemu-storage-daemon', ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
    return { version, source, files, output };
  } finally {
    daemon.kill();
    rmSync(directory, { recursive: true });
    rmSync(sockets, { recursive: true });
  }
}
