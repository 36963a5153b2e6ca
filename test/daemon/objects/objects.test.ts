import { createCipheriv } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MemoryStore } from '../../../src/files/memory';
import { BlockGraph } from '../../../src/graph';
import { ObjectTable } from '../../../src/daemon/objects/table';
import { NodeStore } from '../../../src/files/node/store';
import type { ObjectOptions, QmpValue } from '../../../src/qapi';
import { openDaemon, openDaemonIn } from '../daemon';

const KEY = Buffer.from('01234567890123456789012345678901');
const IV = Buffer.from('fedcba9876543210');

function encrypt(text: string): string {
  const cipher = createCipheriv('aes-256-cbc', KEY, IV);
  return Buffer.concat([cipher.update(text), cipher.final()]).toString('base64');
}

async function write(files: MemoryStore, name: string, content: string | Uint8Array): Promise<void> {
  const file = await files.open(name, { write: true, create: 'truncate' });
  file.write(Buffer.from(content), 0);
  file.close();
}

async function opened() {
  const { daemon, files } = await openDaemon();
  const add = (options: object) => daemon.execute('object-add', options as QmpValue);
  const secret = (id: string) => Buffer.from(daemon.graph.secrets.lookup(id)).toString();
  return { daemon, files, add, secret };
}

describe('secrets', () => {
  it('has what was given as text, as base64 and in a file', async () => {
    const { files, add, secret } = await opened();
    await write(files, 'pass', 'line\n');
    await write(files, 'pass64', 'aGVs\nbG8=\n');
    for (const options of [
      { id: 'raw', data: 'pässword\n' },
      { id: 'base64', data: 'aGVsbG8=', format: 'base64' },
      { id: 'file', file: 'pass' },
      { id: 'file64', file: 'pass64', format: 'base64', loaded: true },
    ])
      expect(await add({ 'qom-type': 'secret', ...options })).toEqual({ return: {} });
    expect(secret('raw')).toBe('pässword\n');
    expect(secret('base64')).toBe('hello');
    // A line feed at the end of a file belongs to it.
    expect(secret('file')).toBe('line\n');
    expect(secret('file64')).toBe('hello');
  });

  it('decrypts with another secret, whatever the length', async () => {
    const { files, add, secret } = await opened();
    await add({ 'qom-type': 'secret', id: 'key', data: KEY.toString('base64'), format: 'base64' });
    const iv = IV.toString('base64');
    for (const text of ['', 'a', 'fifteen letters', 'sixteen letters!', 'x'.repeat(100)]) {
      const id = `s${text.length}`;
      const common = { 'qom-type': 'secret', keyid: 'key', iv };
      expect(await add({ ...common, id, data: encrypt(text), format: 'base64' })).toEqual({ return: {} });
      expect(secret(id)).toBe(text);
      await write(files, id, Buffer.from(encrypt(text), 'base64'));
      expect(await add({ ...common, id: `${id}f`, file: id })).toEqual({ return: {} });
      expect(secret(`${id}f`)).toBe(text);
    }
  });

  it('shows nobody what it is', async () => {
    const { daemon, add } = await opened();
    await add({ 'qom-type': 'secret', id: 's', data: 'hunter2' });
    const answers = [
      await daemon.execute('qom-get', { path: '/objects/s', property: 'data' }),
      await daemon.execute('qom-list', { path: '/objects/s' }),
      await daemon.execute('qom-set', { path: 's', property: 'data', value: 5 }),
      await daemon.execute('query-named-block-nodes'),
      await add({ 'qom-type': 'secret', id: 't', data: 'hunter2', format: 'base65' }),
      await add({ 'qom-type': 'secret', id: 't', data: 'hunter2 ', format: 'base64' }),
      await add({ 'qom-type': 'secret', id: 't', data: 'hunter2', keyid: 's' }),
      await add({ 'qom-type': 'secret', id: 's', data: 'hunter2' }),
    ];
    expect(answers[0]).toEqual({
      error: { class: 'GenericError', desc: "Property 'secret.data' is not readable" },
    });
    expect(JSON.stringify(answers)).not.toContain('hunter2');
  });

  it('says why there is none', async () => {
    const { daemon, add, secret } = await opened();
    await add({ 'qom-type': 'iothread', id: 'io' });
    expect(() => secret('nope')).toThrow("No secret with id 'nope'");
    expect(() => secret('io')).toThrow("Object with id 'io' is not a secret");
    await add({ 'qom-type': 'secret', id: 's', data: 'x' });
    const bytes = daemon.graph.secrets.lookup('s');
    await daemon.execute('object-del', { id: 's' });
    expect(() => secret('s')).toThrow("No secret with id 's'");
    // It is wiped, not only forgotten.
    expect([...bytes]).toEqual([0]);
  });

  it('refuses a directory and what is too large', async () => {
    const { files, add } = await opened();
    await files.makeDirectory('dir');
    await write(files, 'large', new Uint8Array(17 << 20));
    expect((await add({ 'qom-type': 'secret', id: 's', file: 'dir' })).error?.desc).toBe(
      'Unable to read dir: Error reading file “dir”: Is a directory',
    );
    expect((await add({ 'qom-type': 'secret', id: 's', file: 'large' })).error?.desc).toBe(
      'Unable to read large: Failed to open file “large”: File too large',
    );
  });

  it('reads pipes under Node', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'secret-'));
    try {
      const { daemon } = openDaemonIn(directory);
      execFileSync('mkfifo', [join(directory, 'pipe')]);
      const added = daemon.execute('object-add', { 'qom-type': 'secret', id: 's', file: 'pipe' });
      await writeFile(join(directory, 'pipe'), 'hidden');
      expect(await added).toEqual({ return: {} });
      expect(Buffer.from(daemon.graph.secrets.lookup('s')).toString()).toBe('hidden');
      await daemon.end();
      await expect(new NodeStore(directory).readStream('/dev/zero', 1000)).rejects.toThrow('File too large');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('authorization', () => {
  async function table() {
    const { daemon, files } = await openDaemon();
    const graph = new BlockGraph(daemon.environment);
    const objects = new ObjectTable({ graph });
    const allowed = async (options: object, ...names: string[]) => {
      await objects.add({ id: 'z', ...options } as ObjectOptions);
      const answers = names.map((name) => objects.find('z')?.allows?.(name));
      objects.remove('z');
      return answers;
    };
    return { files, allowed, objects };
  }

  it('lets in who fits the first rule that fits', async () => {
    const { allowed } = await table();
    const simple = { 'qom-type': 'authz-simple', identity: 'fred' };
    expect(await allowed(simple, 'fred', 'Fred', '', 'fred2')).toEqual([true, false, false, false]);
    const rules = [
      { match: 'fred', policy: 'deny' },
      { match: 'f*', policy: 'allow', format: 'glob' },
      { match: 'CN=?,O=[!a-c]', policy: 'allow', format: 'glob' },
      { match: 'b*', policy: 'allow' },
    ];
    expect(
      await allowed({ 'qom-type': 'authz-list', rules }, 'fred', 'fr', 'CN=x,O=d', 'CN=x,O=b', 'bob', 'b*'),
    ).toEqual([false, true, true, false, false, true]);
    expect(await allowed({ 'qom-type': 'authz-list', policy: 'allow', rules }, 'fred', 'bob')).toEqual([
      false,
      true,
    ]);
    expect(await allowed({ 'qom-type': 'authz-list' }, 'fred')).toEqual([false]);
  });

  it('reads rules from a file', async () => {
    const { files, allowed, objects } = await table();
    const list = { policy: 'allow', rules: [{ match: 'fred', policy: 'deny' }] };
    await write(files, 'rules.json', JSON.stringify(list));
    expect(await allowed({ 'qom-type': 'authz-listfile', filename: 'rules.json' }, 'fred', 'bob')).toEqual([
      false,
      true,
    ]);
    await write(files, 'bad.json', '[1');
    await write(files, 'list.json', '[1]');
    await write(files, 'rule.json', '{"rules": [{"match": "x"}]}');
    const refused = (filename: string) =>
      objects.add({ 'qom-type': 'authz-listfile', id: 'z', filename }).then(
        () => '',
        (error: Error) => error.message,
      );
    expect(await refused('none')).toBe(
      "Unable to read 'none': Failed to open file “none”: No such file or directory",
    );
    expect(await refused('bad.json')).toContain('JSON parse error');
    expect(await refused('list.json')).toBe('File must contain a JSON object');
    expect(await refused('rule.json')).toBe("Parameter 'rules[0].policy' is missing");
    expect(objects.list()).toEqual([]);
  });
});

describe('types of objects', () => {
  it('names the reason why some cannot be', async () => {
    const { add } = await opened();
    for (const options of [
      { 'qom-type': 'secret_keyring', serial: 5 },
      { 'qom-type': 'thread-context' },
      { 'qom-type': 'pr-manager-helper', path: '/x' },
      { 'qom-type': 'tls-creds-psk', dir: '/x' },
    ]) {
      const { error } = await add({ ...options, id: 'x' });
      expect(error?.desc).toMatch(/^Objects of type \S+ are not available: (neither )?a browser /);
    }
  });

  it('has the properties of 9.1 that 10.0 has no more', async () => {
    const { daemon, add } = await opened();
    await add({ 'qom-type': 'secret', id: 's', data: 'x' });
    expect(await daemon.execute('qom-get', { path: 's', property: 'loaded' })).toEqual({ return: true });
    const { return: properties } = await daemon.execute('qom-list-properties', { typename: 'secret' });
    expect((properties as { name: string }[]).map(({ name }) => name)).toEqual([
      'type',
      'iv',
      'keyid',
      'loaded',
      'format',
      'file',
      'data',
    ]);
  });

  it('lists all types', async () => {
    const { daemon } = await opened();
    const types = async (args: QmpValue) =>
      (await daemon.execute('qom-list-types', args)).return as { name: string; abstract?: boolean }[];
    const concrete = await types({});
    const all = await types({ abstract: true });
    expect(concrete).toHaveLength(35);
    expect(all).toHaveLength(46);
    expect(all.filter(({ abstract }) => !abstract)).toEqual(concrete);
  });
});
