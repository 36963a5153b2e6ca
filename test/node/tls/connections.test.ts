/** NBD over TLS: real clients at our server, our client at real servers; who is refused learns it as with the real daemon. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { haveTools, splitWords } from '../../tools/twins';
import { buildProgram, freePort, run, Running, until, type Built } from '../built';
import { Authorities } from './authority';

const haveAll = haveTools && ['openssl', 'nbdinfo'].every((each) => spawnSync('which', [each]).status === 0);

let directory: string;
let built: Built;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tls-'));
  built = await buildProgram();
  if (!haveAll) return;
  const authorities = new Authorities(directory);
  const localhost = 'DNS:localhost,IP:127.0.0.1';
  for (const folder of ['good', 'other']) {
    authorities.found(folder);
    authorities.certify(folder, 'server', '/O=Test/CN=localhost', localhost);
    authorities.certify(folder, 'client', '/C=DE/O=Test, Inc/OU=Grün/CN=client one', '');
  }
  const copy = (folder: string) =>
    cpSync(join(directory, 'good'), join(directory, folder), { recursive: true });
  for (const folder of ['noclient', 'expired']) copy(folder);
  for (const name of ['client-key.pem', 'client-cert.pem']) rmSync(join(directory, 'noclient', name));
  authorities.certify('expired', 'server', '/CN=localhost', localhost, -1);
  authorities.certify('expired', 'client', '/CN=late', '', -1);
  authorities.share('psk', {
    qemu: '0123456789abcdef0123456789abcdef',
    rich: 'ffeeddccbbaa99887766554433221100',
  });
  authorities.share('otherpsk', { qemu: 'ffff456789abcdef0123456789abcdef' });
  writeFileSync(join(directory, 'r.img'), '');
  truncateSync(join(directory, 'r.img'), 1024 * 1024);
}, 60_000);

afterAll(() => {
  built.remove();
  rmSync(directory, { recursive: true });
});

const SOCKET = 's.sock';
const ours = (tool: string): string[] => [process.execPath, built.program, tool];

/** What ends a connection has many words, by chance and by library: all are one here. */
function plain(text: string): string {
  return (
    text
      .replaceAll(directory, '')
      .replace(
        /(Unexpected end-of-file before all data were read|Unable to (read from|write to) socket: [A-Z][a-z ]+|(Cannot read from TLS channel: )?The TLS connection was non-properly terminated\.|A TLS fatal alert has been received\.|Error in the push function\.(: Unable to write to socket: Broken pipe)?)/g,
        'The end.',
      )
      .replace(/gnutls_\w+: .*/, 'The end.')
      // Whether the server is gone before the client sends, or after it, is chance too.
      .replace(/Failed to (?:send option request header|read option reply): The end\./g, 'The end.')
  );
}

/** A daemon with a node on its NBD server, over TLS. */
async function serving(program: string[], options: string, use: () => void): Promise<string> {
  const words = [
    ...['--object', 'authz-simple,id=us,identity=C=DE,,O=Test\\,, Inc,,OU=Grün,,CN=client one'],
    ...['--object', 'authz-simple,id=them,identity=somebody'],
    ...['--blockdev', 'file,node-name=d,filename=r.img', ...splitWords(options)],
    ...['--export', 'nbd,id=e,node-name=d', '--pidfile', 'pid'],
  ];
  const daemon = new Running([...program, ...words], directory);
  await until(
    () => run(['test', '-e', 'pid'], { cwd: directory }).code === 0,
    () => daemon.stderr,
  );
  try {
    use();
  } finally {
    daemon.child.kill();
    await daemon.ended;
  }
  return daemon.stderr;
}

const image = (object: string, more = ''): string =>
  `qemu-img info --object ${object},id=c,endpoint=client --image-opts driver=nbd,path=${SOCKET},export=d,tls-creds=c${more}`;
const list = (object: string, more = ''): string =>
  `qemu-nbd -L --object ${object},id=c,endpoint=client --tls-creds c -k DIR/${SOCKET}${more}`;
const x509 = (folder: string): string => `tls-creds-x509,dir=${folder},sanity-check=off`;

const CLIENTS: Readonly<Record<string, string[]>> = {
  x509: [
    ...['good', 'noclient', 'other', 'expired'].map((folder) =>
      image(x509(folder), ',tls-hostname=localhost'),
    ),
    image(x509('good')),
    image(x509('good'), ',tls-hostname=elsewhere'),
    image(`${x509('other')},verify-peer=off`),
    `qemu-img info --image-opts driver=nbd,path=${SOCKET},export=d`,
    list(x509('good'), ' --tls-hostname localhost'),
    list(x509('good'), ' --tls-hostname foo'),
    list(x509('good')),
    `qemu-nbd -L -k DIR/${SOCKET}`,
    ...['good', 'other'].map(
      (folder) => `nbdinfo "nbds+unix:///d?socket=${SOCKET}&tls-certificates=${folder}"`,
    ),
    `nbdinfo nbd+unix:///d?socket=${SOCKET}`,
  ],
  psk: [
    image('tls-creds-psk,dir=psk'),
    image('tls-creds-psk,dir=psk,username=rich'),
    image('tls-creds-psk,dir=otherpsk'),
    image(x509('good'), ',tls-hostname=localhost'),
    image('tls-creds-anon'),
    list('tls-creds-psk,dir=psk'),
    `nbdinfo "nbds+unix://rich@/d?socket=${SOCKET}&tls-psk-file=psk/keys.psk"`,
    `nbdinfo "nbds+unix://qemu@/d?socket=${SOCKET}&tls-psk-file=otherpsk/keys.psk"`,
  ],
  anon: [image('tls-creds-anon'), list('tls-creds-anon'), image('tls-creds-psk,dir=psk')],
};

const server = (creds: string, more = ''): string =>
  `--object ${creds},id=t,endpoint=server --nbd-server addr.type=unix,addr.path=${SOCKET},tls-creds=t${more}`;

/** Servers, and the clients that come to them. */
const SERVERS: [name: string, options: string, clients: string[]][] = [
  ['certificates', server('tls-creds-x509,dir=good'), CLIENTS.x509 ?? []],
  [
    'certificates of servers alone',
    server('tls-creds-x509,dir=good,verify-peer=off', ',tls-authz=them'),
    CLIENTS.x509?.slice(0, 3) ?? [],
  ],
  [
    'an expired certificate',
    server('tls-creds-x509,dir=expired,sanity-check=off'),
    CLIENTS.x509?.slice(0, 2) ?? [],
  ],
  ...['us', 'them', 'nobody', 't'].map((authz): [string, string, string[]] => [
    `authorization ${authz}`,
    server('tls-creds-x509,dir=good', `,tls-authz=${authz}`),
    CLIENTS.x509?.slice(0, 1) ?? [],
  ]),
  ['keys', server('tls-creds-psk,dir=psk'), CLIENTS.psk ?? []],
  ['no proof', server('tls-creds-anon'), CLIENTS.anon ?? []],
];

/** What clients print. */
const answers = (
  clients: readonly string[],
  qemuNbd: readonly string[],
  qemuImg: readonly string[] = ['qemu-img'],
): unknown[] =>
  clients.map((line) => {
    const [program = '', ...words] = splitWords(line.replaceAll('DIR', directory));
    const programs = { 'qemu-nbd': qemuNbd, 'qemu-img': qemuImg };
    const command = programs[program as keyof typeof programs] ?? [program];
    const { stdout, stderr, code } = run([...command, ...words], { cwd: directory });
    return { line, stdout: plain(stdout), stderr: plain(stderr), code };
  });

describe.runIf(haveAll)('connections', () => {
  it.each(SERVERS)(
    'with %s are as those of the real daemon',
    async (_name, options, clients) => {
      let expected: unknown[] = [];
      const realNotes = await serving(['qemu-storage-daemon'], options, () => {
        expected = answers(clients, ['qemu-nbd']);
      });
      const notes = await serving(ours('daemon'), options, () => {
        expect(answers(clients, ['qemu-nbd'])).toEqual(expected);
      });
      // Our client at the real server, too.
      await serving(['qemu-storage-daemon'], options, () => {
        const lists = clients.filter((line) => line.startsWith('qemu-nbd'));
        expect(answers(lists, ours('nbd'))).toEqual(answers(lists, ['qemu-nbd']));
        const images = clients.filter((line) => line.startsWith('qemu-img'));
        expect(answers(images, [], ours('img'))).toEqual(answers(images, []));
      });
      const remarks = (text: string): string[] =>
        text.split('\n').filter((line) => !/TLS handshake|opts magic/.test(line));
      expect(remarks(notes)).toEqual(remarks(realNotes));
    },
    60_000,
  );

  it.each([
    ['of the real client', () => ['qemu-io']],
    ['of our client', () => ours('io')],
  ])(
    'carry data %s, over TCP',
    async (_name, client) => {
      const port = await freePort();
      const creds = '--object tls-creds-x509,id=t,dir=good,endpoint=server --tls-creds t --tls-authz us';
      const authz = ['--object', 'authz-simple,id=us,identity=C=DE,,O=Test\\,, Inc,,OU=Grün,,CN=client one'];
      const program = new Running(
        [
          ...ours('nbd'),
          ...authz,
          ...splitWords(`${creds} -b 127.0.0.1 -p ${port} -f raw r.img`),
          '--pid-file',
          'pid',
        ],
        directory,
      );
      await until(
        () => run(['test', '-e', 'pid'], { cwd: directory }).code === 0,
        () => program.stderr,
      );
      const { stdout } = run(
        [
          ...client(),
          ...['--object', 'tls-creds-x509,id=c,dir=good,endpoint=client', '--image-opts'],
          ...['-c', 'write -P 7 0 1M', '-c', 'read -P 7 0 1M', '-c', 'write -P 9 4k 4k'],
          `driver=raw,file.driver=nbd,file.host=localhost,file.port=${port},file.tls-creds=c`,
        ],
        { cwd: directory },
      );
      expect(stdout.match(/^(wrote|read) /gm)).toHaveLength(3);
      expect(await program.ended).toMatchObject({ code: 0, stderr: '' });
      expect(
        run(['qemu-io', '-f', 'raw', '-c', 'read -P 9 4k 4k', 'r.img'], { cwd: directory }).stdout,
      ).not.toContain('failed');
    },
    30_000,
  );

  it('are refused by servers without TLS', async () => {
    const plainServer = `--nbd-server addr.type=unix,addr.path=${SOCKET}`;
    await serving(['qemu-storage-daemon'], plainServer, () => {
      const lines = [list('tls-creds-anon')];
      expect(answers(lines, ours('nbd'))).toEqual(answers(lines, ['qemu-nbd']));
    });
    await serving(ours('daemon'), plainServer, () => {
      expect(
        run(splitWords(list('tls-creds-anon').replace('DIR', directory)), { cwd: directory }).stderr,
      ).toBe('qemu-nbd: Denied by server for option 5 (starttls)\nserver reported: TLS not configured\n');
    });
  });
});
