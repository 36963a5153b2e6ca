import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlockUser } from '../../src/graph/api';
import { Permission } from '../../src/files/locks';
import type { QmpValue } from '../../src/qapi';
import { openDaemon, type TestDaemon } from './daemon';

const SECTOR = 512;
const SIZE = 1024 * 1024;

async function must({ daemon }: TestDaemon, command: string, args: QmpValue): Promise<QmpValue> {
  const reply = await daemon.execute(command, args);
  if (reply.error) throw new Error(reply.error.desc);
  return reply.return;
}

async function image(
  test: TestDaemon,
  name: string,
  values: Record<string, string | number> = {},
  options: Record<string, QmpValue> = {},
): Promise<void> {
  const filename = `${name}.qcow2`;
  await test.daemon.graph.createImage({ filename, format: 'qcow2', values: { size: SIZE, ...values } });
  const file = { driver: 'file', filename };
  await must(test, 'blockdev-add', { driver: 'qcow2', 'node-name': name, file, ...options });
}

/** A guest, and what it has written. */
class Guest {
  readonly model = new Uint8Array(SIZE);
  private readonly buffer;

  private constructor(
    test: TestDaemon,
    readonly user: BlockUser,
  ) {
    this.buffer = test.daemon.environment.engine.alloc(SIZE);
  }

  static async on(test: TestDaemon, nodeName: string): Promise<Guest> {
    const perm = Permission.CONSISTENT_READ | Permission.WRITE;
    const shared = Permission.ALL & ~Permission.RESIZE;
    const guest = new Guest(test, await test.daemon.graph.attach({ nodeName }, { perm, shared }));
    guest.model.set(guest.content());
    return guest;
  }

  write(value: number, offset: number, bytes: number): void {
    this.buffer.view(0, bytes).fill(value);
    this.user.write(offset, bytes, this.buffer);
    this.model.fill(value, offset, offset + bytes);
  }

  zero(offset: number, bytes: number): void {
    this.user.writeZeroes(offset, bytes, 2);
    this.model.fill(0, offset, offset + bytes);
  }

  /** What it reads afterwards is for the image to say. */
  discard(offset: number, bytes: number): void {
    this.user.discard(offset, bytes);
    this.model.set(this.content());
  }

  content(): Uint8Array {
    this.user.read(0, SIZE, this.buffer);
    return this.buffer.view(0, SIZE).slice();
  }
}

/** What a node reads. */
function contentOf({ daemon }: TestDaemon, name: string): Uint8Array {
  const { engine } = daemon.environment;
  const node = daemon.graph.find(name);
  if (!node) throw new Error(`no node ${name}`);
  const buffer = engine.alloc(SIZE);
  engine.read(node.handle, 0, SIZE, buffer);
  const bytes = buffer.view().slice();
  buffer.free();
  return bytes;
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 1));
  if (!condition()) throw new Error('it did not come');
}

const came = (test: TestDaemon, event: string) => test.events.some((each) => each.event === event);
const gone = (test: TestDaemon) =>
  test.events.some(
    ({ event, data }) => event === 'JOB_STATUS_CHANGE' && (data as { status: string }).status === 'null',
  );

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const action = fc.record({
  kind: fc.constantFrom('write', 'write', 'write', 'zero', 'discard', 'turn', 'turn'),
  offset: fc.integer({ min: 0, max: SIZE / SECTOR - 1 }),
  sectors: fc.integer({ min: 1, max: 300 }),
  value: fc.integer({ min: 1, max: 255 }),
});
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function act(guest: Guest, { kind, offset, sectors, value }: Action): Promise<void> {
  const start = offset * SECTOR;
  const bytes = Math.min(sectors * SECTOR, SIZE - start);
  if (kind === 'write') guest.write(value, start, bytes);
  else if (kind === 'zero') guest.zero(start, bytes);
  else if (kind === 'discard') guest.discard(start, bytes);
  else await new Promise((resolve) => setTimeout(resolve, value % 3));
}

describe('mirrors', () => {
  it('are equal to the source at the pivot, whatever guests write, in both copy modes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 10 }),
        fc.array(action, { maxLength: 25 }),
        fc.array(action, { maxLength: 10 }),
        fc.constantFrom('background', 'write-blocking', 'change'),
        fc.constantFrom('full', 'top'),
        fc.constantFrom(512, 4096, 65536, 262144),
        fc.constantFrom(4096, 65536, 262144),
        fc.boolean(),
        async (before, during, after, mode, sync, granularity, cluster, complete) => {
          const test = await openDaemon();
          await image(test, 'a');
          const below = await Guest.on(test, 'a');
          below.write(77, 3 * SECTOR, 400 * SECTOR);
          await below.user.close();
          await image(test, 's', { backing_file: 'a.qcow2', backing_fmt: 'qcow2' }, { backing: 'a' });
          const backed: Record<string, string> =
            sync === 'top' ? { backing_file: 'a.qcow2', backing_fmt: 'qcow2' } : {};
          await image(
            test,
            't',
            { cluster_size: cluster, ...backed },
            { ...(sync === 'top' && { backing: null }), discard: 'unmap' },
          );
          const guest = await Guest.on(test, 's');
          for (const each of before) await act(guest, each);
          await must(test, 'blockdev-mirror', {
            device: 's',
            target: 't',
            sync,
            'job-id': 'j',
            granularity,
            'copy-mode': mode === 'change' ? 'background' : mode,
          });
          for (const each of during) await act(guest, each);
          await until(() => came(test, 'BLOCK_JOB_READY'));
          if (mode === 'change')
            await must(test, 'block-job-change', { id: 'j', type: 'mirror', 'copy-mode': 'write-blocking' });
          for (const each of after) await act(guest, each);
          if (complete) await must(test, 'block-job-complete', { device: 'j' });
          else await must(test, 'block-job-cancel', { device: 'j' });
          // The target's own backing file is opened later: until then nobody may begin a cluster of it.
          if (complete && sync === 'full') guest.write(9, 5 * SECTOR, SECTOR);
          await until(() => gone(test));
          expect(guest.user.node.name).toBe(complete ? 't' : 's');
          await must(test, 'blockdev-reopen', {
            options: [
              {
                driver: 'qcow2',
                'node-name': 't',
                discard: 'unmap',
                backing: sync === 'top' ? 'a' : null,
                file: { driver: 'file', filename: 't.qcow2' },
              },
            ],
          }).catch((error: unknown) => {
            // The full copy has no backing file to be told of.
            if (sync === 'top') throw error;
          });
          expect(same(contentOf(test, complete ? 't' : 's'), guest.model)).toBe(true);
          expect(same(contentOf(test, 't'), guest.model)).toBe(true);
          await guest.user.close();
          await test.daemon.end();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('fill an image that is there, whatever it held, while guests write', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 10 }),
        fc.array(action, { maxLength: 20 }),
        fc.constantFrom('qcow2', 'raw'),
        fc.constantFrom('background', 'write-blocking'),
        fc.boolean(),
        async (before, during, format, mode, complete) => {
          const test = await openDaemon();
          await image(test, 's');
          // What the target holds before must not show afterwards.
          const filename = `t.${format}`;
          const file = { driver: 'file', filename };
          await test.daemon.graph.createImage({ filename, format, values: { size: SIZE } });
          await must(test, 'blockdev-add', { driver: format, 'node-name': 'old', file });
          const stale = await Guest.on(test, 'old');
          stale.write(99, 64 * SECTOR, 1500 * SECTOR);
          await stale.user.close();
          await must(test, 'blockdev-del', { 'node-name': 'old' });
          const guest = await Guest.on(test, 's');
          for (const each of before) await act(guest, each);
          await must(test, 'drive-mirror', {
            device: 's',
            target: filename,
            format,
            mode: 'existing',
            sync: 'full',
            'copy-mode': mode,
            'node-name': 't',
            'job-id': 'j',
          });
          for (const each of during) await act(guest, each);
          await until(() => came(test, 'BLOCK_JOB_READY'));
          await must(test, complete ? 'block-job-complete' : 'block-job-cancel', { device: 'j' });
          await until(() => gone(test));
          expect(same(guest.content(), guest.model)).toBe(true);
          await guest.user.close();
          if (test.daemon.graph.find('t'))
            await must(test, 'blockdev-del', { 'node-name': 't' }).catch(() => undefined);
          await must(test, 'blockdev-add', { driver: format, 'node-name': 'after', 'read-only': true, file });
          expect(same(contentOf(test, 'after'), guest.model)).toBe(true);
          await test.daemon.end();
        },
      ),
      { numRuns: 15 },
    );
  });

  it('commit the active layer into the base, whatever guests write', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 10 }),
        fc.array(action, { maxLength: 20 }),
        fc.boolean(),
        async (before, during, middle) => {
          const test = await openDaemon();
          await image(test, 'a');
          await image(
            test,
            'b',
            { backing_file: 'a.qcow2', backing_fmt: 'qcow2' },
            { backing: 'a', 'read-only': true },
          );
          await image(test, 'c', { backing_file: 'b.qcow2', backing_fmt: 'qcow2' }, { backing: 'b' });
          const guest = await Guest.on(test, 'c');
          for (const each of before) await act(guest, each);
          const base = middle ? 'b' : 'a';
          await must(test, 'block-commit', { device: 'c', 'base-node': base, 'job-id': 'j' });
          for (const each of during) await act(guest, each);
          await until(() => came(test, 'BLOCK_JOB_READY'));
          await must(test, 'block-job-complete', { device: 'j' });
          await until(() => gone(test));
          expect(guest.user.node.name).toBe(base);
          guest.write(3, 0, SECTOR);
          expect(same(contentOf(test, base), guest.model)).toBe(true);
          await guest.user.close();
          await test.daemon.end();
        },
      ),
      { numRuns: 30 },
    );
  });

  it('bring what guests write to the target at once, when they are told to', async () => {
    const test = await openDaemon();
    await image(test, 's');
    await image(test, 't');
    const guest = await Guest.on(test, 's');
    await must(test, 'blockdev-mirror', { device: 's', target: 't', sync: 'full', 'job-id': 'j' });
    await until(() => came(test, 'BLOCK_JOB_READY'));
    await must(test, 'block-job-change', { id: 'j', type: 'mirror', 'copy-mode': 'write-blocking' });
    guest.write(5, SECTOR, SECTOR);
    expect(same(contentOf(test, 't'), guest.model)).toBe(true);
    guest.zero(0, 70000 - (70000 % SECTOR));
    expect(same(contentOf(test, 't'), guest.model)).toBe(true);
    const [job] = (await must(test, 'query-block-jobs', {})) as { 'actively-synced': boolean }[];
    expect(job?.['actively-synced']).toBe(true);
    await test.daemon.end();
  });

  it('keep the target equal while the end waits for the user', async () => {
    const test = await openDaemon();
    await image(test, 's');
    await image(test, 't');
    const guest = await Guest.on(test, 's');
    await must(test, 'blockdev-mirror', {
      device: 's',
      target: 't',
      sync: 'full',
      'job-id': 'j',
      'auto-finalize': false,
    });
    await until(() => came(test, 'BLOCK_JOB_READY'));
    await must(test, 'block-job-complete', { device: 'j' });
    await until(() => came(test, 'BLOCK_JOB_PENDING'));
    guest.write(5, SECTOR, 3 * SECTOR);
    guest.discard(0, 65536);
    await must(test, 'job-finalize', { id: 'j' });
    expect(guest.user.node.name).toBe('t');
    expect(same(guest.content(), guest.model)).toBe(true);
    await test.daemon.end();
  });

  it('tell of a target that fails while guests write, and guests do not notice', async () => {
    for (const policy of ['report', 'ignore', 'stop']) {
      const test = await openDaemon();
      await image(test, 's');
      await test.daemon.graph.createImage({
        filename: 't.qcow2',
        format: 'qcow2',
        values: { size: SIZE },
      });
      await must(test, 'blockdev-add', {
        driver: 'qcow2',
        'node-name': 't',
        file: {
          driver: 'blkdebug',
          image: { driver: 'file', filename: 't.qcow2' },
          'inject-error': [{ event: 'write_aio', errno: 5, once: true }],
        },
      });
      const guest = await Guest.on(test, 's');
      await must(test, 'blockdev-mirror', {
        device: 's',
        target: 't',
        sync: 'none',
        'job-id': 'j',
        'copy-mode': 'write-blocking',
        'on-target-error': policy,
      });
      await until(() => came(test, 'BLOCK_JOB_READY'));
      guest.write(5, 0, 65536);
      await until(() => came(test, 'BLOCK_JOB_ERROR'));
      if (policy === 'report') {
        await until(() => gone(test));
      } else {
        if (policy === 'stop') await must(test, 'block-job-resume', { device: 'j' });
        await must(test, 'block-job-complete', { device: 'j' });
        await until(() => gone(test));
        expect(guest.user.node.name).toBe('t');
      }
      expect(same(guest.content(), guest.model)).toBe(true);
      await test.daemon.end();
    }
  });

  it('copy zeros at any speed, as the real ones do', async () => {
    const test = await openDaemon();
    for (const name of ['s', 't']) await image(test, name, { size: 4 * SIZE });
    await must(test, 'blockdev-mirror', {
      device: 's',
      target: 't',
      sync: 'full',
      'job-id': 'j',
      speed: 1,
    });
    await until(() => came(test, 'BLOCK_JOB_READY'));
    await test.daemon.end();
  });
});
