/**
 * The driver nbd with the servers of others: nbdkit with plugins and filters that serve, restrict, fail and delay. The tools are
 * run on the same servers as the real ones, and print the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { comparable, runOurs, runReal, splitWords, type Outcome } from '../tools/twins';

let root: string;
let pids: number[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nbdkit-'));
  pids = [];
});

afterEach(() => {
  for (const pid of pids) {
    try {
      process.kill(pid);
    } catch {
      // It has ended with its client.
    }
  }
  rmSync(root, { recursive: true });
});

/** Starts nbdkit on a socket in the directory; it listens when this returns. */
async function serve(words: string, socket = 's'): Promise<string> {
  const pidFile = join(root, `${socket}.pid`);
  execFileSync('nbdkit', ['-U', join(root, socket), '-P', pidFile, ...splitWords(words)], { cwd: root });
  await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8')).toMatch(/\d\n/);
  pids.push(Number(readFileSync(pidFile, 'utf8')));
  return `nbd+unix:///?socket=${socket}`;
}

/** What both tools say of the same server; they must agree. */
async function both(line: string): Promise<Outcome> {
  const words = splitWords(line);
  const real = comparable(runReal(words, root));
  const ours = comparable(await runOurs(words, root));
  expect(ours, line).toEqual(real);
  return ours;
}

describe('what is served', () => {
  it.each([
    ['memory', 'memory 64M'],
    ['a pattern', 'pattern 3M'],
    ['an odd size', 'pattern 1000001'],
    ['sparse data', "data '@0x100000 1 2 3 @0x2000000 0x55*65536' size=64M"],
    ['no extents', "--filter=noextents data '@0x100000 1 2 3' size=4M"],
    ['read-only', '-r pattern 1M'],
    ['nothing', 'null 0'],
  ])('%s', async (_name, plugin) => {
    const uri = await serve(plugin);
    await both(`qemu-img info ${uri}`);
    await both(`qemu-img map --output=json ${uri}`);
    await both(`qemu-io -r -f raw -c 'read -v 0 64' -c 'read 1M 64k' -c map ${uri}`);
    await both(`qemu-img convert -f raw -O qcow2 ${uri} c.qcow2`);
    await both(`qemu-img compare -f raw -F qcow2 ${uri} c.qcow2`);
  });

  it('a file, written both ways', async () => {
    runReal(['qemu-img', 'create', '-q', '-f', 'raw', 'disk', '32M'], root);
    const uri = await serve('file disk');
    await both(`qemu-io -f raw -c 'write -P 1 0 5M' -c 'write -z 1M 1M' -c 'discard 3M 1M' -c flush ${uri}`);
    expect(
      runReal(['qemu-io', '-f', 'raw', '-c', 'read -P 1 0 1M', '-c', 'read -P 0 1M 1M', 'disk'], root).code,
    ).toBe(0);
    runReal(['qemu-img', 'create', '-q', '-f', 'qcow2', 'source', '32M'], root);
    runReal(['qemu-io', '-c', 'write -P 7 3M 3M', 'source'], root);
    await both(`qemu-img convert -n -f qcow2 -O raw source ${uri}`);
    expect((await both('qemu-img compare -f raw -F qcow2 disk source')).stdout).toBe(
      'Images are identical.\n',
    );
  });

  it('a qcow2 image in an export, with its internal snapshots', async () => {
    runReal(['qemu-img', 'create', '-q', '-f', 'qcow2', 'disk', '16M'], root);
    runReal(['qemu-io', '-c', 'write -P 3 1M 1M', 'disk'], root);
    runReal(['qemu-img', 'snapshot', '-c', 'first', 'disk'], root);
    const uri = await serve('file disk');
    await both(`qemu-img check -f qcow2 ${uri}`);
    await both(`qemu-img compare -f qcow2 -F qcow2 ${uri} disk`);
    await both(`qemu-img dd -f qcow2 -O raw bs=64k if=${uri} of=out`);
  });

  it('exports by their names', async () => {
    const uri = await serve('--filter=exportname memory 1M exportname-strict=true exportname=a exportname=b');
    await both(`qemu-img info ${uri}`);
    await both('qemu-img info nbd+unix:///a?socket=s');
    await both('qemu-img info nbd+unix:///c?socket=s');
  });
});

describe('what is restricted', () => {
  it('writes to a server that only reads', async () => {
    const uri = await serve('-r memory 1M');
    await both(`qemu-io -f raw -c 'write 0 512' ${uri}`);
    await both(`qemu-img convert -n -f raw -O raw ${uri} ${uri}`);
  });

  it('blocks of a size, and requests that do not fit', async () => {
    const uri = await serve(
      '--filter=blocksize-policy pattern 8M blocksize-error-policy=error blocksize-minimum=4096 blocksize-preferred=64k blocksize-maximum=1M',
    );
    await both(`qemu-img info ${uri}`);
    await both(`qemu-io -r -f raw -c 'read -v 100 16' -c 'read 1 3M' -c 'read 4095 2' ${uri}`);
  });

  it.each([
    ['without zero requests', '--filter=nozero memory 8M zeromode=none'],
    ['zeros that are emulated', '--filter=nozero memory 8M zeromode=emulate'],
    ['without FUA', '--filter=fua memory 8M fuamode=emulate'],
    ['small requests', '--filter=blocksize memory 8M minblock=512 maxdata=64k maxlen=128k'],
    ['without several connections', '--filter=multi-conn memory 8M multi-conn-mode=disable'],
    ['one request at a time', '--filter=noparallel memory 8M'],
    ['without structured replies', '--no-sr memory 8M'],
    ['with a cache, slowly', '--filter=cache --filter=delay memory 8M delay-read=5ms'],
  ])('%s', async (_name, words) => {
    const uri = await serve(words);
    await both(
      `qemu-io -f raw -c 'write -P 1 0 3M' -c 'write -z 64k 100k' -c 'write -zu 1M 1M' -c 'write -f -P 2 5M 1' -c 'discard 2M 64k' ` +
        `-c flush -c 'read -P 1 0 64k' -c 'read -P 0 64k 100k' -c 'read -P 0 1M 1M' -c 'read -P 2 5M 1' -c map ${uri}`,
    );
  });
});

describe('what goes wrong', () => {
  it.each([
    ['EIO', 'pread'],
    ['ENOSPC', 'pwrite'],
    ['EPERM', 'pwrite'],
    ['EINVAL', 'pread'],
    ['ENOMEM', 'pread'],
    ['ESHUTDOWN', 'pread'],
    ['EINVAL', 'zero'],
  ])('a server that answers %s to a %s', async (error, request) => {
    const uri = await serve(`--filter=error memory 8M error=${error} error-${request}-rate=100%`);
    await both(
      `qemu-io -f raw -c 'read 0 64k' -c 'write 0 64k' -c 'write -z 0 64k' -c 'discard 0 64k' -c flush ${uri}`,
    );
  });

  it('a server that fails in the middle of a conversion', async () => {
    const uri = await serve(
      "eval get_size='echo 8M' pread='if [ $4 -ge 4194304 ]; then echo EIO broken >&2; exit 1; fi; dd if=/dev/zero count=$3 iflag=count_bytes 2>/dev/null'",
    );
    await both(`qemu-img convert -W -m 1 -f raw -O raw ${uri} out`);
  });

  it('the old protocol, and no NBD at all', async () => {
    const uri = await serve('-o memory 1M');
    await both(`qemu-img info ${uri}`);
    await both('qemu-img info nbd+unix:///?socket=none');
  });
});
