/**
 * libnbd in Python, as nbdsh has it, on the daemon's exports and on those of the real daemon: the scripts here print the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram, Running, until, type Built } from '../../node/built';

let built: Built;
let root: string;

beforeAll(async () => {
  built = await buildProgram();
  root = mkdtempSync(join(tmpdir(), 'nbdsh-'));
});

afterAll(() => {
  built.remove();
  rmSync(root, { recursive: true });
});

/** The images that are exported, made by the real tools. */
function makeImages(directory: string): void {
  const tool = (line: string) => execFileSync('sh', ['-c', line], { cwd: directory });
  tool('qemu-img create -q -f qcow2 base.qcow2 64M');
  tool("qemu-io -f qcow2 -c 'write -P 5 1M 3M' -c 'write -P 8 40M 64k' base.qcow2");
  tool('qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 a.qcow2');
  tool('qemu-img bitmap --add a.qcow2 b0 && qemu-img bitmap --add -g 4k a.qcow2 b1');
  tool("qemu-io -f qcow2 -c 'write -P 6 2M 64k' -c 'write -z 3M 64k' -c 'discard 60M 1M' a.qcow2");
  tool('qemu-img bitmap --clear a.qcow2 b1');
  tool("qemu-io -f qcow2 -c 'write -P 7 20M 64k' a.qcow2");
  writeFileSync(join(directory, 'raw'), new Uint8Array(3_000_000).fill(3));
  writeFileSync(
    join(directory, 'odd'),
    Uint8Array.from({ length: 1_000_001 }, (_, at) => at % 251),
  );
}

const SERVER = [
  '--blockdev driver=file,node-name=f,filename=a.qcow2',
  '--blockdev driver=qcow2,node-name=q,file=f',
  '--blockdev driver=file,node-name=r,filename=raw',
  '--blockdev driver=file,node-name=odd,filename=odd',
  '--blockdev driver=null-co,node-name=empty,size=0,read-zeroes=on',
  '--chardev socket,id=c,path=m.sock,server=on,wait=off --monitor chardev=c',
  '--nbd-server addr.type=unix,addr.path=n.sock,max-connections=0',
  '--export nbd,id=q,node-name=q,writable=on,bitmaps.0=b0,bitmaps.1=b1,allocation-depth=on,description=a-chain',
  '--export nbd,id=r,node-name=r',
  '--export nbd,id=odd,node-name=odd,writable=on',
  '--export nbd,id=empty,node-name=empty,writable=on',
  '--export nbd,id=n,node-name=r,name=nameless',
].flatMap((words) => words.split(' '));

/** What a script prints at a daemon with the images of its own. */
async function at(daemon: string[], name: string, script: string): Promise<string[]> {
  const directory = join(root, name);
  mkdirSync(directory);
  makeImages(directory);
  const server = new Running([...daemon, ...SERVER], directory);
  try {
    const up = (): boolean => existsSync(join(directory, 'm.sock')) && existsSync(join(directory, 'n.sock'));
    await until(up, () => server.stderr);
    // The interpreter that Debian's packages are for.
    const client = new Running(['/usr/bin/python3', '-B', join(import.meta.dirname, script)], directory);
    const { stdout, stderr, code } = await client.ended;
    return [...stdout.split('\n'), ...(code === 0 ? [] : [stderr])];
  } finally {
    server.child.kill();
    await server.ended;
  }
}

describe('libnbd sees the same', () => {
  it.each(['handshake.py', 'requests.py', 'reads.py', 'removal.py'])(
    '%s',
    { timeout: 120_000 },
    async (script) => {
      const real = await at(['qemu-storage-daemon'], `${script}.real`, script);
      const ours = await at([process.execPath, built.program, 'daemon'], `${script}.ours`, script);
      expect(real.length).toBeGreaterThan(10);
      expect(ours).toEqual(real);
    },
  );
});
