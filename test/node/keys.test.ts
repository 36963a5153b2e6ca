/** Keys that are derived in a thread of their own by the built program. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyProgress } from '../../src/node/keyprogress';
import { type Built, buildProgram, run, Running } from './built';

const PASSWORD = 'open sesame';
const SECRET = ['--object', `secret,id=s,data=${PASSWORD}`];
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

test('a signal ends a derivation that nothing can stop, and nothing is left of the image', async () => {
  const made = join(folder, 'made.luks');
  const options = ['-o', 'key-secret=s,iter-time=600000', made, '1M'];
  const running = new Running([built.program, 'img', 'create', '-f', 'luks', ...SECRET, ...options]);
  await running.sees(/Formatting/);
  running.child.kill('SIGINT');
  const { stderr } = await running.ended;
  expect(running.child.signalCode ?? running.child.exitCode).toBe('SIGINT');
  expect(stderr).toBe('');
  expect(existsSync(made)).toBe(false);
});

test('a signal that comes while a key slot is made leaves the container as it was', async () => {
  const slots = join(folder, 'slots.luks');
  const made = run([
    built.program,
    'img',
    'create',
    '-q',
    '-f',
    'luks',
    ...SECRET,
    '-o',
    'key-secret=s,iter-time=1',
    slots,
    '1M',
  ]);
  expect(made.code).toBe(0);
  const before = readFileSync(slots);
  const opened = `driver=luks,key-secret=s,file.filename=${slots}`;
  const changes = ['-o', 'state=active,new-secret=s,iter-time=600000'];
  const running = new Running([
    built.program,
    'img',
    'amend',
    '-p',
    ...SECRET,
    '--image-opts',
    opened,
    ...changes,
  ]);
  await running.sees(/0.00/);
  running.child.kill('SIGTERM');
  await running.ended;
  expect(running.child.signalCode).toBe('SIGTERM');
  expect(readFileSync(slots).equals(before)).toBe(true);
});

test('a terminal shows how far a key is, for as long as it is derived; nobody else sees anything', () => {
  let printed = '';
  let time = 0;
  const write = (text: string): void => void (printed += text);
  expect(keyProgress({ write })).toBeUndefined();
  const show = keyProgress({ isTTY: true, write }, () => time)!;
  const at = (now: number, done: number, total: number): void => {
    time = now;
    show(done, total);
  };
  // What is over at once is not worth a word.
  at(0, 0, 0);
  at(400, 1, 1);
  expect(printed).toBe('');
  at(1000, 0, 0);
  at(1600, 600, 0);
  at(1700, 700, 0);
  at(1800, 1, 1);
  expect(printed).toBe('\r\u001b[KMeasuring how fast keys are derived here ...\r\u001b[K');
  printed = '';
  at(2000, 0, 2000);
  at(3000, 1000, 2000);
  at(4000, 2000, 2000);
  expect(printed).toBe('\r\u001b[KDeriving a key: 50 %\r\u001b[K');
});
