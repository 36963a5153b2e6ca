/** Keys that are derived in a thread of their own by the built program. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Built, buildProgram, run, Running } from './built';

const PASSWORD = 'open sesame';
const folder = mkdtempSync(join(tmpdir(), 'qsd-web-keys-'));
const image = join(folder, 'argon2.luks');
let built: Built;

/** The words that open the container. */
const words = (password: string): string[] => [
  built.program,
  'io',
  '-r',
  '--object',
  `secret,id=s,data=${password}`,
  '--image-opts',
  `driver=luks,key-secret=s,file.filename=${image}`,
  '-c',
  'length',
];

beforeAll(async () => {
  built = await buildProgram();
  writeFileSync(image, '');
  truncateSync(image, 20 << 20);
  const kdf = ['--pbkdf', 'argon2id', '--pbkdf-memory', '131072', '--pbkdf-parallel', '1'];
  const rest = ['--pbkdf-force-iterations', '4', image, '-'];
  execFileSync('cryptsetup', ['luksFormat', '-q', '--disable-locks', '--type', 'luks2', ...kdf, ...rest], {
    input: PASSWORD,
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
});
afterAll(() => {
  built.remove();
  rmSync(folder, { recursive: true });
});

test('a container with Argon2 is opened; a wrong passphrase is refused', () => {
  expect(run(words(PASSWORD))).toEqual({ stdout: '4 MiB\n', stderr: '', code: 0 });
  const { code, stderr } = run(words('wrong'));
  expect(code).toBe(1);
  expect(stderr).toContain('Invalid password, cannot unlock any keyslot');
});

test('a signal ends it while the key is derived', async () => {
  const running = new Running(words(PASSWORD));
  setTimeout(() => running.child.kill('SIGINT'), 700);
  const { code, stdout } = await running.ended;
  expect(stdout).toBe('');
  expect(code).not.toBe(0);
});
