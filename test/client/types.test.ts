import { expect, expectTypeOf, test } from 'vitest';
import type { BareCommand, Client, QmpReply } from '../../src/client';
import type { BlockDeviceInfo, Empty } from '../../src/qapi/types.generated';

/** Never called: what must and what must not compile. */
export function calls(client: Client): void {
  void client.execute('blockdev-add', {
    driver: 'qcow2',
    'node-name': 'disk',
    file: { driver: 'file', filename: 'disk.qcow2' },
    backing: null,
  });
  void client.execute('query-jobs');
  void client.execute('query-named-block-nodes');
  void client.execute('query-named-block-nodes', { flat: true });
  // @ts-expect-error the driver decides which members there are
  void client.execute('blockdev-add', { driver: 'file', 'node-name': 'disk', 'lazy-refcounts': true });
  // @ts-expect-error an unknown driver
  void client.execute('blockdev-add', { driver: 'nonsense', 'node-name': 'disk' });
  // @ts-expect-error a file node needs a filename
  void client.execute('blockdev-add', { driver: 'file', 'node-name': 'disk' });
  // @ts-expect-error an unknown command
  void client.execute('blockdev-frob', {});
  // @ts-expect-error arguments are needed
  void client.execute('blockdev-del');
  // @ts-expect-error a member of the wrong type
  void client.execute('block_resize', { 'node-name': 'disk', size: '1G' });
  // @ts-expect-error no such event
  client.events({ names: ['NO_SUCH_EVENT'] });
}

function nodes(client: Client): Promise<QmpReply<BlockDeviceInfo[]>> {
  return client.execute('query-named-block-nodes', { flat: true });
}

function del(client: Client): Promise<QmpReply<Empty>> {
  return client.execute('blockdev-del', { 'node-name': 'disk' });
}

test('replies are typed by the command', () => {
  expectTypeOf(nodes).returns.resolves.toEqualTypeOf<QmpReply<BlockDeviceInfo[]>>();
  expectTypeOf(del).returns.resolves.toEqualTypeOf<QmpReply<Empty>>();
  expectTypeOf<'query-jobs'>().toExtend<BareCommand>();
  expectTypeOf<'blockdev-del'>().not.toExtend<BareCommand>();
  expect(calls).toBeTypeOf('function');
});
