/** Credentials for TLS: what is wrong with files is told in the words of the real daemon. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ObjectTable } from '../../../src/daemon/objects/table';
import { BlockGraph } from '../../../src/graph';
import { nodeTls } from '../../../src/node/tls/index';
import type { ObjectOptions } from '../../../src/qapi';
import { openDaemonIn } from '../../daemon/daemon';

const haveTools = ['openssl', 'qemu-storage-daemon'].every(
  (program) => spawnSync('which', [program]).status === 0,
);

let directory: string;
const openssl = (...words: string[]): void => {
  execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' });
};
const write = (name: string, content: string): void => writeFileSync(join(directory, name), content);

/** A certificate that signs itself, with these extensions. */
function authority(folder: string, ...extensions: string[]): void {
  mkdirSync(join(directory, folder), { recursive: true });
  write('plain.cnf', '[req]\ndistinguished_name=d\n[d]\n');
  openssl(
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=CA', '-config', 'plain.cnf'],
    ...['-keyout', `${folder}/ca-key.pem`, '-out', `${folder}/ca-cert.pem`],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  );
}

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
const LEAF = 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n';

/** A certificate that the authority of the folder signs. */
function leaf(folder: string, role: string, extensions: string, days = 1): void {
  const at = `${folder}/${role}`;
  openssl(
    ...['req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/O=Test/CN=${role}`],
    ...['-keyout', `${at}-key.pem`, '-out', `${at}.csr`],
  );
  write('extensions', extensions);
  openssl(
    ...['x509', '-req', '-in', `${at}.csr`, '-CA', `${folder}/ca-cert.pem`, '-CAkey', `${folder}/ca-key.pem`],
    ...['-CAcreateserial', '-days', String(days), '-extfile', 'extensions', '-out', `${at}-cert.pem`],
  );
}

const copy = (folder: string): void =>
  cpSync(join(directory, 'good'), join(directory, folder), { recursive: true });
const remove = (name: string): void => rmSync(join(directory, name));
const replace = (name: string, by: string): void => cpSync(join(directory, by), join(directory, name));

const SERVERS = [
  'good',
  'nokey',
  'nocert',
  'badkey',
  'badcert',
  'wrongkey',
  'emptyca',
  'badcrl',
  'baddh',
  'otherca',
].concat(['expired', 'leafca', 'unsigning', 'unmarked', 'unusable', 'cacert', 'locked', 'none']);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tls-creds-'));
  if (!haveTools) return;
  authority('good', ...CA);
  leaf('good', 'server', LEAF);
  leaf('good', 'client', LEAF);
  for (const folder of ['nokey', 'nocert', 'badkey', 'badcert', 'wrongkey', 'emptyca', 'badcrl', 'baddh'])
    copy(folder);
  for (const folder of [
    'otherca',
    'leafca',
    'locked',
    'noclient',
    'halfclient',
    'expired',
    'unusable',
    'cacert',
  ])
    copy(folder);
  remove('nokey/server-key.pem');
  remove('nocert/server-cert.pem');
  write('badkey/server-key.pem', 'junk\n');
  write('badcert/server-cert.pem', 'junk\n');
  replace('wrongkey/server-key.pem', 'good/client-key.pem');
  write('emptyca/ca-cert.pem', '');
  write('badcrl/ca-crl.pem', 'junk\n');
  write('baddh/dh-params.pem', 'junk\n');
  authority('otherca', ...CA);
  replace('leafca/ca-cert.pem', 'good/server-cert.pem');
  for (const name of ['client-key.pem', 'client-cert.pem']) remove(`noclient/${name}`);
  remove('halfclient/client-key.pem');
  leaf('expired', 'server', LEAF, -1);
  leaf('unusable', 'server', 'keyUsage=critical,keyCertSign\n');
  leaf('cacert', 'server', 'basicConstraints=CA:TRUE\n');
  authority('unsigning', 'keyUsage=critical,digitalSignature', 'basicConstraints=critical,CA:TRUE');
  authority('unmarked', 'subjectKeyIdentifier=hash');
  for (const folder of ['unsigning', 'unmarked']) leaf(folder, 'server', LEAF);
  openssl(
    ...['pkcs8', '-topk8', '-in', 'good/server-key.pem', '-out', 'locked/server-key.pem'],
    ...['-passout', 'pass:hello', '-v2', 'aes-256-cbc'],
  );
  mkdirSync(join(directory, 'psk'));
  write('psk/keys.psk', 'qemu:abcdef0123\nodd:abc\n# qemu2:ab\n');
  mkdirSync(join(directory, 'dirpsk/keys.psk'), { recursive: true });
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true }));

type Options = Record<string, string | boolean>;

/** What the real daemon says to each object. */
function real(list: readonly Options[]): string[] {
  const requests = ['{"execute": "qmp_capabilities"}']
    .concat(list.map((options) => JSON.stringify({ execute: 'object-add', arguments: options })))
    .concat('{"execute": "quit"}');
  const { stdout } = spawnSync('qemu-storage-daemon', ['--chardev', 'stdio,id=c', '--monitor', 'c'], {
    cwd: directory,
    input: requests.join('\n'),
    encoding: 'utf8',
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const replies = stdout.trim().split(/\r?\n/).slice(2, -1);
  return replies.map((line) => (JSON.parse(line) as { error?: { desc: string } }).error?.desc ?? 'made');
}

describe.runIf(haveTools)('credentials', () => {
  it('are refused as the real daemon refuses them', async () => {
    const x509 = (id: string, folder: string, endpoint: string, more: Options = {}): Options => {
      return { 'qom-type': 'tls-creds-x509', id, dir: folder, endpoint, ...more };
    };
    const psk = (id: string, more: Options): Options => ({ 'qom-type': 'tls-creds-psk', id, ...more });
    const anon = (id: string, more: Options): Options => ({ 'qom-type': 'tls-creds-anon', id, ...more });
    const unchecked = { 'sanity-check': false };
    const list: Options[] = [
      ...SERVERS.map((folder) => x509(folder, folder, 'server')),
      ...['good', 'noclient', 'halfclient', 'otherca', 'none'].map((folder) =>
        x509(`c-${folder}`, folder, 'client'),
      ),
      ...['expired', 'badcert', 'badcrl', 'emptyca', 'wrongkey', 'otherca'].map((folder) =>
        x509(`u-${folder}`, folder, 'server', unchecked),
      ),
      { 'qom-type': 'secret', id: 'hello', data: 'hello' },
      { 'qom-type': 'secret', id: 'wrong', data: 'wrong' },
      ...['hello', 'wrong', 'nobody'].map((passwordid) =>
        x509(`l-${passwordid}`, 'locked', 'server', { passwordid }),
      ),
      { 'qom-type': 'tls-creds-x509', id: 'x' },
      psk('p0', {}),
      psk('p1', { dir: 'none', endpoint: 'server' }),
      psk('p2', { dir: 'psk', endpoint: 'server' }),
      psk('p3', { dir: 'psk', endpoint: 'server', username: 'qemu' }),
      psk('p4', { dir: 'psk' }),
      psk('p5', { dir: 'psk', username: 'nobody' }),
      psk('p6', { dir: 'psk', username: '' }),
      psk('p7', { dir: 'psk', username: 'odd' }),
      psk('p8', { dir: 'dirpsk' }),
      psk('p9', { dir: 'dirpsk', endpoint: 'server' }),
      psk('pa', { dir: 'psk', endpoint: 'neither' }),
      anon('a0', {}),
      anon('a1', { endpoint: 'server' }),
      anon('a2', { endpoint: 'server', dir: 'good' }),
      anon('a3', { endpoint: 'server', dir: 'baddh' }),
      anon('a4', { endpoint: 'client', dir: 'baddh' }),
      anon('a5', { endpoint: 'client', dir: 'none' }),
    ];
    const { daemon } = openDaemonIn(directory);
    const ours: string[] = [];
    for (const options of list)
      ours.push((await daemon.execute('object-add', options)).error?.desc ?? 'made');
    const named = (said: readonly string[]): string[] =>
      said.map((text, i) => `${String(list[i]?.id)}: ${text}`);
    expect(named(ours)).toEqual(named(real(list)));
    await daemon.end();
  }, 60_000);

  it('have what a connection needs', async () => {
    const { daemon } = openDaemonIn(directory);
    const objects = new ObjectTable({ graph: new BlockGraph(daemon.environment), tls: nodeTls });
    const add = (options: Options) => objects.add(options as unknown as ObjectOptions);
    await add({ 'qom-type': 'tls-creds-psk', id: 'p', dir: 'psk', endpoint: 'server' });
    await add({
      'qom-type': 'tls-creds-x509',
      id: 'x',
      dir: 'good',
      endpoint: 'server',
      'verify-peer': false,
    });
    await add({ 'qom-type': 'secret', id: 's', data: 'x' });
    expect(objects.tls('p', 'server')).toMatchObject({
      kind: 'psk',
      endpoint: 'server',
      verifyPeer: true,
      keys: new Map([['qemu', Uint8Array.of(0xab, 0xcd, 0xef, 0x01, 0x23)]]),
    });
    expect(objects.tls('x', 'server')).toMatchObject({
      kind: 'x509',
      verifyPeer: false,
      files: { ca: { path: 'good/ca-cert.pem' }, crl: null, own: { key: { path: 'good/server-key.pem' } } },
    });
    expect(() => objects.tls('s', 'server')).toThrow("Object with id 's' is not TLS credentials");
    expect(() => objects.tls('n', 'server')).toThrow("No TLS credentials with id 'n'");
    await daemon.end();
  });
});
