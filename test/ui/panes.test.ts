import { expect, test } from 'vitest';
import { INITIAL, readLayout } from '../../src/ui/panes/layout';

test('what was kept is taken as far as it makes sense', () => {
  expect(readLayout(null, null)).toEqual(INITIAL);
  expect(readLayout('{', null)).toEqual(INITIAL);
  expect(readLayout('[]', null)).toEqual(INITIAL);
  expect(
    readLayout(
      '{"consolePart": 30, "graphPart": 99, "tab": "jobs", "shown": {"graph": false, "tabs": 1}}',
      null,
    ),
  ).toEqual({ ...INITIAL, consolePart: 30, tab: 'jobs', shown: { console: true, graph: false, tabs: true } });
  expect(readLayout('{"tab": "nothing"}', null).tab).toBe('files');
});

test('something is always seen', () => {
  const none = '{"shown": {"console": false, "graph": false, "tabs": false}}';
  expect(readLayout(none, null).shown).toEqual({ console: true, graph: false, tabs: false });
  expect(readLayout(null, 'nonsense').shown).toEqual({ console: true, graph: false, tabs: false });
});

test('the address decides', () => {
  const layout = readLayout('{"shown": {"console": false}}', 'console,files');
  expect(layout.shown).toEqual({ console: true, graph: false, tabs: true });
  expect(layout.tab).toBe('files');
  expect(layout.consolePart).toBe(76);
  expect(readLayout(null, 'graph,jobs')).toMatchObject({
    shown: { console: false, graph: true, tabs: true },
    tab: 'jobs',
  });
});
