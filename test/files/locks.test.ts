import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { REALM } from '../../src/files/identity';
import { checkClaims, LockError, MemoryLocks, Permission } from '../../src/files/locks';
import type { Claim, ImageLocks } from '../../src/files/locks';
import { nodeLocks, parseLocks, socketNames } from '../../src/files/node/locks';
import { NodeStore } from '../../src/files/node/store';
import { SharedLocks } from '../../src/files/shared-locks';
import type { NoticeBoard } from '../../src/files/shared-locks';

const CONSISTENT_READ = Permission.CONSISTENT_READ as number;
const WRITE = Permission.WRITE as number;
const WRITE_UNCHANGED = Permission.WRITE_UNCHANGED as number;
const RESIZE = Permission.RESIZE as number;
const ALL = Permission.ALL as number;
/** What a qcow2 node claims on its file, read-write and read-only. */
const WRITER: Claim = { used: CONSISTENT_READ | WRITE | RESIZE, shared: CONSISTENT_READ | WRITE_UNCHANGED };
const READER: Claim = { used: CONSISTENT_READ, shared: CONSISTENT_READ | WRITE_UNCHANGED };

const root = mkdtempSync(join(tmpdir(), 'qsd-web-locks-'));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(root, { recursive: true, force: true });
});

/** What claiming it answers: the text of the conflict, or null. */
async function conflict(
  locks: ImageLocks,
  identity: string,
  { used, shared }: Claim,
): Promise<string | null> {
  const lock = locks.claim(identity);
  try {
    await lock.set(used, shared);
    return null;
  } catch (error) {
    if (error instanceof LockError) return error.message;
    throw error;
  } finally {
    lock.release();
  }
}

describe('checkClaims', () => {
  const check = (wanted: Claim, ...others: Claim[]) => {
    try {
      checkClaims(wanted, others);
      return null;
    } catch (error) {
      return error instanceof LockError ? error.message : String(error);
    }
  };

  test('the cases of one image in two hands', () => {
    expect(check(READER, READER)).toBe(null);
    expect(check(READER, WRITER)).toBe('Failed to get shared "write" lock');
    expect(check(WRITER, READER)).toBe('Failed to get "write" lock');
    expect(check(WRITER, WRITER)).toBe('Failed to get "write" lock');
    expect(check({ used: CONSISTENT_READ, shared: ALL }, WRITER)).toBe(null);
    expect(check({ used: WRITE | RESIZE, shared: ALL }, READER)).toBe('Failed to get "write" lock');
  });

  // Seen with the real tool and single bytes locked by hand: 101 and 203, 201 and 103, 103 and 201 (read-only), 200.
  test('needed permissions come before shared ones', () => {
    expect(check(WRITER, { used: WRITE, shared: ALL & ~RESIZE })).toBe('Failed to get "resize" lock');
    expect(check(WRITER, { used: RESIZE, shared: ALL & ~WRITE })).toBe('Failed to get "write" lock');
    expect(check(READER, { used: RESIZE, shared: ALL & ~WRITE })).toBe('Failed to get shared "resize" lock');
    expect(check(READER, { used: 0, shared: 0 })).toBe('Failed to get "consistent read" lock');
  });

  test('a conflict is mutual, and every claim goes with one that uses nothing and shares all', () => {
    const claim = fc.record({ used: fc.nat(15), shared: fc.nat(15) });
    fc.assert(
      fc.property(claim, claim, (a, b) => {
        expect(check(a, b) === null).toBe(check(b, a) === null);
        expect(check(a, { used: 0, shared: ALL })).toBe(null);
        expect(check(a, b) === null).toBe((a.used & ~b.shared) === 0 && (b.used & ~a.shared) === 0);
      }),
    );
  });
});

/** Things that several realms of one process can put up and see: what the platforms' own boards are. */
function memoryBoard(): NoticeBoard {
  const names = new Set<string>();
  return {
    put: async (name) => {
      names.add(name);
      return () => void names.delete(name);
    },
    names: async () => [...names],
  };
}

describe.each([
  ['MemoryLocks', () => new MemoryLocks()],
  ['SharedLocks', () => new SharedLocks(memoryBoard())],
  ['nodeLocks', () => nodeLocks()],
])('%s, in one realm', (_name, make: () => ImageLocks) => {
  test('claims conflict, go and change', async () => {
    const locks = make();
    const writer = locks.claim('image:1');
    await writer.set(WRITER.used, WRITER.shared);
    expect(await conflict(locks, 'image:1', READER)).toBe('Failed to get shared "write" lock');
    expect(await conflict(locks, 'image:2', WRITER)).toBe(null);
    await writer.set(READER.used, READER.shared);
    expect(await conflict(locks, 'image:1', READER)).toBe(null);
    const reader = locks.claim('image:1');
    await reader.set(READER.used, READER.shared);
    await expect(writer.set(WRITER.used, WRITER.shared)).rejects.toThrow('Failed to get "write" lock');
    // The failed change left the claim as it was.
    expect(await conflict(locks, 'image:1', { used: WRITE, shared: ALL })).toBe('Failed to get "write" lock');
    reader.release();
    await writer.set(WRITER.used, WRITER.shared);
    writer.release();
    writer.release();
    expect(await conflict(locks, 'image:1', WRITER)).toBe(null);
  });

  test('of many claims at once the first one gets it', async () => {
    const locks = make();
    const claims = Array.from({ length: 5 }, () => locks.claim('image:3'));
    const results = await Promise.allSettled(claims.map((claim) => claim.set(WRITER.used, WRITER.shared)));
    expect(results.map((result) => result.status)).toEqual([
      'fulfilled',
      ...Array<string>(4).fill('rejected'),
    ]);
    for (const claim of claims) claim.release();
    expect(await conflict(locks, 'image:3', WRITER)).toBe(null);
  });

  test('a claim that is given up while it is being made leaves nothing', async () => {
    const locks = make();
    const claim = locks.claim('image:4');
    const set = claim.set(WRITER.used, WRITER.shared);
    claim.release();
    await set;
    expect(await conflict(locks, 'image:4', WRITER)).toBe(null);
  });
});

describe('SharedLocks, in several realms', () => {
  test('claims of other realms count', async () => {
    const board = memoryBoard();
    const [ours, theirs] = [new SharedLocks(board), new SharedLocks(board, { realm: 'other' })];
    const writer = theirs.claim('image 1');
    await writer.set(WRITER.used, WRITER.shared);
    expect(await conflict(ours, 'image 1', READER)).toBe('Failed to get shared "write" lock');
    expect(await conflict(ours, 'image', READER)).toBe(null);
    await writer.set(READER.used, READER.shared);
    expect(await conflict(ours, 'image 1', READER)).toBe(null);
    expect(await conflict(ours, 'image 1', WRITER)).toBe('Failed to get "write" lock');
    writer.release();
    expect(await conflict(ours, 'image 1', WRITER)).toBe(null);
    expect(await board.names()).toEqual([]);
  });

  test('a change that loosens works even where nothing can be put up any more', async () => {
    let full = false;
    const board = memoryBoard();
    const tight: NoticeBoard = {
      names: () => board.names(),
      put: async (name) => {
        if (full) throw new Error('no room');
        return board.put(name);
      },
    };
    const locks = new SharedLocks(tight);
    const claim = locks.claim('image');
    await claim.set(WRITER.used, WRITER.shared);
    full = true;
    await claim.set(READER.used, READER.shared);
    await expect(claim.set(WRITER.used, WRITER.shared)).rejects.toThrow('no room');
    claim.release();
    expect(await board.names()).toEqual([]);
  });

  test('files that only this realm knows are not put up', async () => {
    const board = memoryBoard();
    const locks = new SharedLocks(board);
    const claim = locks.claim(`memory:${REALM}:1`);
    await claim.set(WRITER.used, WRITER.shared);
    expect(await board.names()).toEqual([]);
    expect(await conflict(locks, `memory:${REALM}:1`, READER)).toBe('Failed to get shared "write" lock');
    claim.release();
  });
});

describe('what the system shows', () => {
  test('/proc/locks', () => {
    const table = [
      '1: OFDLCK ADVISORY  READ -1 fe:00:2162834 203 203',
      '2: OFDLCK ADVISORY  READ -1 fe:00:2162834 201 201',
      '3: OFDLCK ADVISORY  READ -1 fe:00:2162834 103 103',
      '4: OFDLCK ADVISORY  READ -1 fe:00:2162834 100 101',
      '5: FLOCK  ADVISORY  WRITE 42 fe:00:2162834 0 EOF',
      '6: -> OFDLCK ADVISORY  READ -1 fe:00:2162834 102 102',
      '7: POSIX  ADVISORY  WRITE 42 fe:01:2162834 0 EOF',
      '8: POSIX  ADVISORY  WRITE 42 103:12345:77 0 EOF',
      '',
    ].join('\n');
    const claims = parseLocks(table, 0xfe00n, 2162834n);
    expect(claims.reduce((used, claim) => used | claim.used, 0)).toBe(WRITER.used);
    expect(claims.reduce((shared, claim) => shared & claim.shared, ALL)).toBe(WRITER.shared);
    expect(parseLocks(table, 0xfe01n, 2162834n)).toEqual([{ used: ALL, shared: 0 }]);
    // Major 0x103, minor 0x12345, put together as the C library's makedev() does.
    expect(parseLocks(table, 0x12310345n, 77n)).toEqual([{ used: ALL, shared: 0 }]);
    expect(parseLocks(table, 0xfe00n, 1n)).toEqual([]);
  });

  test('/proc/net/unix', () => {
    const table = [
      'Num       RefCount Protocol Flags    Type St Inode Path',
      '0000000022a96bdf: 00000002 00000000 00010000 0001 01 16857 @qsd-web a 1 2 3 node:1:2@@@@@',
      '0000000022a96be0: 00000002 00000000 00010000 0001 01 16858 @qsd-web b 1 2 3 node:1:3',
      '0000000022a96be1: 00000003 00000000 00000000 0001 03 16859',
      '0000000022a96be2: 00000002 00000000 00010000 0001 01 16860 /run/some.sock',
    ].join('\n');
    expect(socketNames(table)).toEqual(['qsd-web a 1 2 3 node:1:2', 'qsd-web b 1 2 3 node:1:3']);
  });

  test('any text is read without a failure', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseLocks(text, 1n, 1n)).toEqual([]);
        expect(Array.isArray(socketNames(text))).toBe(true);
      }),
    );
  });
});

/** The text after the file name in qemu-io's complaint about a second opener; null if it opens. */
function realConflict(image: string, ...options: string[]): string | null {
  const run = spawnSync('qemu-io', [...options, '-c', 'length', image], { encoding: 'utf8' });
  return /^qemu-io: can't open device [^:]*: (.*)$/m.exec(run.stderr)?.[1] ?? null;
}

/** Starts a real tool that opens an image and holds it until it is killed. */
async function holder(command: string, words: string[], ready: RegExp): Promise<ChildProcess> {
  const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise<void>((done, fail) => {
    let text = '';
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      if (ready.test(text)) done();
    });
    child.once('exit', (code) => fail(new Error(`${command} ended with ${code}: ${text}`)));
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done));
  child.kill();
  await ended;
}

describe('with the real tools', () => {
  const store = new NodeStore(root);
  const image = join(root, 'disk.qcow2');

  async function compare(): Promise<void> {
    const identity = await store.identity('disk.qcow2');
    const locks = nodeLocks();
    const writer = await conflict(locks, identity, WRITER);
    const reader = await conflict(locks, identity, READER);
    expect([writer, reader]).toEqual([realConflict(image), realConflict(image, '-r')]);
    expect(await conflict(locks, identity, { used: CONSISTENT_READ, shared: ALL })).toBe(
      realConflict(image, '-r', '-U'),
    );
  }

  test('an image that qemu-io or qemu-storage-daemon holds gives their texts', async () => {
    spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M']);
    await compare();
    const identity = await store.identity('disk.qcow2');
    for (const options of [[], ['-r'], ['-r', '-U']]) {
      const child = await holder('qemu-io', [...options, image], /qemu-io> /);
      await compare();
      await end(child);
    }
    expect(await conflict(nodeLocks(), identity, WRITER)).toBe(null);
    const daemon = await holder(
      'qemu-storage-daemon',
      [
        '--blockdev',
        `qcow2,node-name=disk,file.driver=file,file.filename=${image}`,
        '--chardev',
        'stdio,id=qmp',
        '--monitor',
        'qmp',
      ],
      /"QMP"/,
    );
    expect(await conflict(nodeLocks(), identity, WRITER)).toBe('Failed to get "write" lock');
    expect(await conflict(nodeLocks(), identity, READER)).toBe('Failed to get shared "write" lock');
    await compare();
    await end(daemon);
    await compare();
  });
});

describe('two processes of ours', () => {
  test('each sees the claims of the other, until it ends', async () => {
    writeFileSync(join(root, 'raw.img'), 'x');
    const script = join(root, 'holder.mts');
    const source = (file: string) => JSON.stringify(join(process.cwd(), 'src/files', file));
    writeFileSync(
      script,
      `import { nodeLocks } from ${source('node/locks.ts')};
       import { NodeStore } from ${source('node/store.ts')};
       const lock = nodeLocks().claim(await new NodeStore().identity(${JSON.stringify(join(root, 'raw.img'))}));
       await lock.set(${WRITER.used}, ${WRITER.shared});
       console.log('held');
       process.stdin.on('data', async () => {
         await lock.set(${READER.used}, ${READER.shared});
         console.log('reads');
       });`,
    );
    const child = await holder(process.execPath, ['--import', 'tsx', script], /held/);
    const identity = await new NodeStore(root).identity('raw.img');
    const locks = nodeLocks();
    expect(await conflict(locks, identity, READER)).toBe('Failed to get shared "write" lock');
    expect(await conflict(locks, identity, WRITER)).toBe('Failed to get "write" lock');
    const reads = new Promise((done) => child.stdout?.once('data', done));
    child.stdin?.write('\n');
    await reads;
    expect(await conflict(locks, identity, READER)).toBe(null);
    expect(await conflict(locks, identity, WRITER)).toBe('Failed to get "write" lock');
    await end(child);
    expect(await conflict(locks, identity, WRITER)).toBe(null);
  });

  test('a claim does not keep the process alive', () => {
    const script = join(root, 'ends.mts');
    const source = JSON.stringify(join(process.cwd(), 'src/files/node/locks.ts'));
    writeFileSync(
      script,
      `import { nodeLocks } from ${source}; await nodeLocks().claim('node:1:1').set(1, 5);`,
    );
    const run = spawnSync(process.execPath, ['--import', 'tsx', script], { timeout: 20_000 });
    expect([run.status, run.signal]).toEqual([0, null]);
  });
});
