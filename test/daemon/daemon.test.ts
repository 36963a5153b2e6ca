import { describe, expect, it } from 'vitest';
import { commandNames, querySchema, type QmpValue } from '../../src/qapi';
import { openDaemon } from './daemon';

const ok = (value: QmpValue = {}): { return: QmpValue } => ({ return: value });
const refused = (desc: string, errorClass = 'GenericError'): object => ({
  error: { class: errorClass, desc },
});

/** Lets everything run that can. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

describe('the daemon', () => {
  it('answers values, whatever is asked', async () => {
    const { daemon } = await openDaemon();
    expect(await daemon.execute('query-jobs')).toEqual(ok([]));
    expect(await daemon.execute('nonsense')).toEqual(
      refused('The command nonsense has not been found', 'CommandNotFound'),
    );
    expect(await daemon.execute('__proto__')).toEqual(
      refused('The command __proto__ has not been found', 'CommandNotFound'),
    );
    expect(await daemon.execute('job-pause', { id: 1 })).toEqual(
      refused("Invalid parameter type for 'id', expected: string"),
    );
  });

  it('knows all commands', async () => {
    const { daemon } = await openDaemon();
    const list = (await daemon.execute('query-commands')).return as { name: string }[];
    expect(list.map((entry) => entry.name).sort()).toEqual(commandNames());
    expect(list[0]?.name).toBe('object-del');
    expect((await daemon.execute('query-qmp-schema')).return).toEqual(querySchema());
    expect(await daemon.execute('block-stream', { 'job-id': 'j' })).toEqual(
      refused("Parameter 'device' is missing"),
    );
    for (const name of commandNames().filter((command) => command !== 'quit')) {
      expect((await daemon.execute(name)).error?.desc ?? '').not.toContain('Internal error');
    }
    expect((await daemon.execute('qmp_capabilities')).error).toEqual({
      class: 'CommandNotFound',
      desc: 'Capabilities negotiation is already complete, command ignored',
    });
  });

  it('creates an image by a job, opens and resizes it', async () => {
    const { daemon, files, events } = await openDaemon();
    const create = async (id: string, options: QmpValue): Promise<void> => {
      expect(await daemon.execute('blockdev-create', { 'job-id': id, options })).toEqual(ok());
      while (((await daemon.execute('query-jobs')).return as { status: string }[])[0]?.status !== 'concluded')
        await settle();
      expect(await daemon.execute('job-dismiss', { id })).toEqual(ok());
    };
    await create('j1', { driver: 'file', filename: 'a.qcow2', size: 0 });
    await create('j2', { driver: 'qcow2', file: { driver: 'file', filename: 'a.qcow2' }, size: 1 << 20 });
    expect((await files.info('a.qcow2')).size).toBeGreaterThan(3 * 65536 - 1);
    const node = { driver: 'qcow2', 'node-name': 'q', file: { driver: 'file', filename: 'a.qcow2' } };
    expect(await daemon.execute('blockdev-add', node)).toEqual(ok());
    expect(await daemon.execute('block_resize', { 'node-name': 'q', size: 2 << 20 })).toEqual(ok());
    expect((await daemon.execute('query-named-block-nodes')).return).toMatchObject([
      { 'node-name': 'q', image: { 'virtual-size': 2 << 20 } },
      { drv: 'file' },
    ]);
    expect(events.map((event) => (event.data as { status: string }).status)).toEqual(
      ['created', 'running', 'waiting', 'pending', 'concluded', 'null'].flatMap((s, _, all) =>
        s === 'null' ? [s, ...all] : [s],
      ),
    );
    expect(events[0]?.timestamp.seconds).toBeCloseTo(Date.now() / 1000, -2);
    expect(events[0]?.timestamp.microseconds).toBeLessThan(1_000_000);
  });

  it('does commands one after the other, whoever gives them', async () => {
    const { daemon } = await openDaemon();
    const add = (name: string): Promise<unknown> =>
      daemon.execute('blockdev-add', { driver: 'null-co', 'node-name': name, size: 512 });
    const replies = await Promise.all([
      add('a'),
      add('a'),
      daemon.execute('blockdev-del', { 'node-name': 'a' }),
      add('a'),
      daemon.execute('blockdev-del', { 'node-name': 'b' }),
    ]);
    expect(replies).toEqual([
      ok(),
      refused("Duplicate nodes with node-name='a'"),
      ok(),
      ok(),
      refused("Failed to find node with node-name='b'"),
    ]);
  });

  it('ends on quit: nodes closed, jobs dismissed, then the exit', async () => {
    const { daemon, events, exited } = await openDaemon();
    await daemon.execute('blockdev-create', {
      'job-id': 'j',
      options: { driver: 'file', filename: 'a', size: 0 },
    });
    await settle();
    expect(exited()).toBe(false);
    const reply = daemon.execute('quit');
    const late = daemon.execute('query-jobs');
    expect(await reply).toEqual(ok());
    expect(events.at(-1)).toMatchObject({ event: 'JOB_STATUS_CHANGE', data: { id: 'j', status: 'null' } });
    expect(await late).toEqual(refused('The daemon has ended'));
    await settle();
    expect(exited()).toBe(true);
  });

  it('cancels on quit what is still under way', async () => {
    const { daemon, events } = await openDaemon();
    const options = { driver: 'file', filename: 'a', size: 0 };
    const [created, quit] = await Promise.all([
      daemon.execute('blockdev-create', { 'job-id': 'j', options }),
      daemon.execute('quit'),
    ]);
    expect([created, quit]).toEqual([ok(), ok()]);
    expect(events.map((event) => (event.data as { status: string }).status)).toEqual([
      'created',
      'running',
      'aborting',
      'concluded',
      'null',
    ]);
  });
});
