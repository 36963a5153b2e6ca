/** Encrypted images that the real tools made, opened with their passphrases. */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { must } from '../engine/support';
import { inspectPath, scratch } from './support';

const directory = scratch();
const path = (name: string): string => directory.path(name);
afterAll(() => directory.remove());

const SECRET = ['--object', 'secret,id=s,data=abc'];

/** Writes 4 KiB of 0x5a at 64 KiB of an image. */
function fill(options: string): void {
  must('qemu-io', ...SECRET, '-c', 'write -P 0x5a 64k 4k', '--image-opts', options);
}

const IMAGES: Record<string, (file: string) => void> = {
  'LUKS1 by qemu-img': (file) => {
    must('qemu-img', 'create', '-q', '-f', 'luks', ...SECRET, '-o', 'key-secret=s,iter-time=10', file, '1M');
    fill(`driver=luks,key-secret=s,file.filename=${file}`);
  },
  'qcow2 with LUKS': (file) => {
    const options = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';
    must('qemu-img', 'create', '-q', '-f', 'qcow2', ...SECRET, '-o', options, file, '1M');
    fill(`driver=qcow2,encrypt.key-secret=s,file.filename=${file}`);
  },
  'qcow2 with the old AES': (file) => {
    const options = 'encrypt.format=aes,encrypt.key-secret=s';
    must('qemu-img', 'create', '-q', '-f', 'qcow2', ...SECRET, '-o', options, file, '1M');
    // Only tools open it; the real qemu-io is one.
    fill(`driver=qcow2,encrypt.key-secret=s,file.filename=${file}`);
  },
};

test.each(Object.entries(IMAGES))('%s', async (name, make) => {
  const file = path(`${name.replaceAll(' ', '-')}.img`);
  make(file);
  const inspection = await inspectPath(file);
  expect((await inspection.refresh()).encryption).toBe('locked');
  await expect(inspection.read('guest', 65536, 16)).rejects.toThrow(/key-secret/);
  if (name !== 'qcow2 with the old AES') {
    await expect(inspection.unlock('abd')).rejects.toThrow(/Invalid password, cannot unlock any keyslot/);
    expect((await inspection.refresh()).encryption).toBe('locked');
  }
  await inspection.unlock('abc');
  expect((await inspection.refresh()).encryption).toBe('unlocked');
  expect([...(await inspection.read('guest', 65536, 4))]).toEqual([0x5a, 0x5a, 0x5a, 0x5a]);
  expect(await inspection.size('guest')).toBe(1 << 20);
  // Another try closes what was open.
  await inspection.unlock('abc');
  await inspection.close();
});

test('LUKS2 with Argon2 tells how far it is, and can be cancelled', async () => {
  const file = path('two.luks');
  must('truncate', '-s', '20M', file);
  writeFileSync(path('key'), 'abc');
  const cost = ['--pbkdf-memory', '65536', '--pbkdf-parallel', '1', '--pbkdf-force-iterations', '12'];
  must(
    'cryptsetup',
    'luksFormat',
    '-q',
    '--type',
    'luks2',
    '--pbkdf',
    'argon2id',
    ...cost,
    file,
    path('key'),
  );
  const inspection = await inspectPath(file);
  expect((await inspection.refresh()).encryption).toBe('locked');
  const cancelled = inspection.unlock('abc');
  await inspection.cancelUnlock();
  await expect(cancelled).rejects.toThrow('Cancelled');
  expect((await inspection.refresh()).encryption).toBe('locked');
  await inspection.unlock('abc');
  expect((await inspection.refresh()).encryption).toBe('unlocked');
  expect((await inspection.read('guest', 0, 512)).length).toBe(512);
  await inspection.close();
});

test('what has no lock needs no passphrase; a closed inspection takes none', async () => {
  const file = path('plain.qcow2');
  must('qemu-img', 'create', '-q', '-f', 'qcow2', file, '1M');
  const inspection = await inspectPath(file);
  expect((await inspection.refresh()).encryption).toBeNull();
  await expect(inspection.unlock('abc')).rejects.toThrow('This image needs no passphrase');
  await inspection.close();
  await expect(inspection.unlock('abc')).rejects.toThrow('The inspection has ended');
});
