import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { combinePaths, protocolOf, resolveNamed } from '../../src/graph/stored-name';
import type { QDict } from '../../src/graph/index';
import { parseJson } from '../../src/qapi/json-parser';
import { refused, World } from './support';

describe('paths', () => {
  test.each([
    ['a/b.qcow2', 'c.img', 'a/c.img'],
    ['b.qcow2', 'c.img', 'c.img'],
    ['/x/y/b', '../c', '/x/y/../c'],
    ['a/b', '/abs', '/abs'],
    ['a/b', 'nbd://h/x', 'nbd://h/x'],
    ['a/b', './x:y', 'a/./x:y'],
    ['http://h/d/b', 'c', 'http://h/d/c'],
    ['proto:b', 'c', 'proto:c'],
  ])('%s and %s', (base, name, path) => {
    expect(combinePaths(base, name)).toBe(path);
  });

  test('a prefix ends at the first colon and has no slash', () => {
    expect(protocolOf('nbd:x')).toBe('nbd');
    expect(protocolOf('./nbd:x')).toBeNull();
    expect(protocolOf('x')).toBeNull();
    expect(protocolOf(':x')).toBe('');
  });

  test('names inside an image of which only a json: name is known', async () => {
    expect(resolveNamed('json:{}', '/a')).toBe('/a');
    await refused(() => resolveNamed('json:{}', 'a'), "Cannot use relative backing file names for 'json:{}'");
  });
});

describe('generated names', () => {
  const world = new World();
  const graph = world.graph();
  afterEach(() => graph.close());

  test('are cut after 4095 bytes', async () => {
    const long = 'x'.repeat(200);
    const path = `${`${long}/`.repeat(25)}f`;
    let folder = '';
    for (let i = 0; i < 25; i++) await world.files.makeDirectory((folder += `${i ? '/' : ''}${long}`));
    await world.file(path, 1024);
    await graph.blockdevAdd({
      driver: 'raw',
      'node-name': 'a',
      offset: 512,
      file: { driver: 'file', filename: path },
    });
    const name = graph.find('a')?.filename ?? '';
    expect(name).toHaveLength(4095);
    expect(name).toMatch(/^json:\{"offset": 512.*x\.\.\.$/);
  });

  test('open the same node again', async () => {
    await world.file('raw.img', 1 << 16);
    const layer = fc.constantFrom<QDict>(
      { driver: 'raw' },
      { driver: 'raw', offset: 512 },
      { driver: 'raw', offset: 1 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { maxLength: 4 }), fc.boolean(), async (below, cut) => {
        const layers = cut ? [...below, { driver: 'raw', size: 512 }] : below;
        const file: QDict = { driver: 'file', filename: 'raw.img', locking: 'off' };
        const options = layers.reduce<QDict>((child, one) => ({ ...one, file: child }), file);
        await graph.blockdevAdd({ ...options, 'node-name': 'top' });
        const node = graph.find('top');
        const name = node?.filename ?? '';
        const length = node?.length();
        await graph.blockdevDel('top');
        if (name.startsWith('json:')) parseJson(name.slice(5));
        const user = await graph.openImage({ filename: name, readOnly: true });
        expect(user.node.filename).toBe(name);
        expect(user.length()).toBe(length);
        await user.close();
      }),
      { numRuns: 30 },
    );
  });
});
