/**
 * Records what the real commands (coreutils 9.1 and util-linux of Debian 12) answer to {@link LINES}:
 *
 *     npx tsx test/tools/shell/record.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LINES } from './commands';

const directory = mkdtempSync(join(tmpdir(), 'qsd-web-shell-'));
const at = (name: string): string => join(directory, name);
writeFileSync(at('a'), 'abc\n');
writeFileSync(at('f'), '');
writeFileSync(at('big'), Buffer.alloc(2_000_000, 'big'));
writeFileSync(at('sparse'), Buffer.from(Array.from({ length: 100 }, (_, index) => (index * 37) & 255)));
truncateSync(at('sparse'), 10_000);
mkdirSync(at('d'));
const results = LINES.map((line) => {
  // Ours marks directories with a slash, as ls -p does.
  const { stdout, stderr, status } = spawnSync('sh', ['-c', line.replace(/^ls/, 'ls -p')], {
    cwd: directory,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { line, stdout, stderr, status };
});
rmSync(directory, { recursive: true });
writeFileSync(
  fileURLToPath(new URL('fixtures/commands.json', import.meta.url)),
  JSON.stringify(results, null, 1) + '\n',
);
