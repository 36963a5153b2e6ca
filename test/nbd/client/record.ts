/**
 * What the real tools say about each of the servers: `npx tsx test/nbd/client/record.ts` writes fixtures.json. `info` is
 * what qemu-img answers about an export called `a`, `list` what qemu-nbd --list prints.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SocketStream } from '../../../src/node/socketstream';
import { broken, Client, working, type FakeServer } from './servers';

const directory = mkdtempSync(join(tmpdir(), 'nbd-servers-'));

/** Runs a tool once against a server. */
async function ask(server: FakeServer, program: string, words: string[]): Promise<string> {
  const listener = createServer((socket) => {
    const stream = new SocketStream(socket);
    void server(new Client(stream))
      .catch(() => undefined)
      .finally(() => stream.close());
  });
  await new Promise<void>((resolve) => listener.listen(join(directory, 's.sock'), resolve));
  try {
    return await new Promise((resolve) => {
      execFile(program, words, { cwd: directory, timeout: 10_000 }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
  } finally {
    await new Promise((resolve) => listener.close(resolve));
    rmSync(join(directory, 's.sock'), { force: true });
  }
}

const records: Record<string, { info: string; list: string }> = {};
for (const [name, server] of [...broken, ...working]) {
  records[name] = {
    info: await ask(server, 'qemu-img', ['info', 'nbd+unix:///a?socket=s.sock']),
    list: await ask(server, 'qemu-nbd', ['--list', '-k', join(directory, 's.sock')]),
  };
}
rmSync(directory, { recursive: true });
writeFileSync(new URL('fixtures.json', import.meta.url), `${JSON.stringify(records, null, 2)}\n`);
