/**
 * Records how the real storage daemon reads broken and unusual JSON: `npx tsx test/qapi/record-json.ts`.
 *
 * json-cases.json is a list of texts whose characters are bytes (U+00FF is 0xff). Each is sent to a fresh monitor; the
 * replies go to fixtures/json.json: `{"id": VALUE}` is answered with an error that echoes the value.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const here = import.meta.dirname;
const texts = JSON.parse(readFileSync(join(here, 'json-cases.json'), 'utf8')) as string[];

async function replies(text: string): Promise<string[]> {
  const daemon = spawn('qemu-storage-daemon', ['--chardev', 'stdio,id=c', '--monitor', 'c'], {
    stdio: 'pipe',
  });
  let out = '';
  daemon.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  daemon.stdin.write('{"execute":"qmp_capabilities"}\n');
  while (out.split('\n').length < 3) await sleep(2);
  daemon.stdin.write(Buffer.from(text, 'latin1'));
  for (let seen = ''; seen !== out; await sleep(text.length > 1000 ? 600 : 60)) seen = out;
  daemon.kill();
  await once(daemon, 'close');
  return out
    .split('\r\n')
    .slice(2)
    .filter((line) => line !== '');
}

const cases = [];
for (const text of texts) cases.push({ text, replies: await replies(text) });
writeFileSync(join(here, 'fixtures/json.json'), JSON.stringify(cases, null, 1) + '\n');
