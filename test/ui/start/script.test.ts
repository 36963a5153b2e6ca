import { expect, test } from 'vitest';
import { asLine, changesSomething, mentioned, scriptLines } from '../../../src/ui/start/script';
import { Visit } from '../../../src/ui/start/visit';

test('blank lines and comments are no lines', () => {
  expect(scriptLines('# makes a disk\n\n  qemu-img create a 1G  \n#end\nls\n')).toEqual([
    'qemu-img create a 1G',
    'ls',
  ]);
});

test.each([
  ['qemu-img create a 1G', true],
  ['qemu-img info a', false],
  ['qemu-img check a', false],
  ['qemu-img check -r all a', true],
  ['qemu-img snapshot -l a', false],
  ['qemu-img snapshot -c one a', true],
  ['qemu-io -c "write 0 64k" a', true],
  ['query-block-jobs', false],
  ['{"execute": "query-status"}', false],
  ['{"execute": "blockdev-add", "arguments": {}}', true],
  ['listen', true],
  ['undo', false],
])('%s: %s', (line, expected) => expect(changesSomething(line)).toBe(expected));

test('names are found as words and as values', () => {
  const script =
    'qemu-img create -b base.qcow2 a.qcow2\nblockdev-add file.filename=disk.img\n{"filename": "b.img"}\n# no.img';
  const names = ['base.qcow2', 'a.qcow2', 'disk.img', 'b.img', 'no.img', 'disk'];
  expect(mentioned(script, names)).toEqual(['base.qcow2', 'a.qcow2', 'disk.img', 'b.img']);
});

test.each([
  ['rm -r *', ['a.img', 'b c.img', 'dir', 'x']],
  ['rm ?.img', ['a.img']],
  ['rm [ab]*', ['a.img', 'b c.img', 'dir', 'x']],
  ['cp x ./a.img', ['a.img', 'x']],
  ['rm "b c.img"', ['b c.img']],
  ['rm dir/deep.img', ['dir']],
  ['reset -y', ['a.img', 'b c.img', 'dir', 'x']],
  ['qemu-img resize other.img 1G', []],
])('what %s may change is found', (line, expected) => {
  expect(mentioned(line, ['a.img', 'b c.img', 'dir', 'x'])).toEqual(expected);
});

test('a request typed in several lines becomes one', () => {
  expect(asLine('{"execute":\n   "quit"\n}')).toBe('{"execute": "quit" }');
});

test('a visit keeps what changed something, and knows when that is not all', () => {
  const visit = new Visit(true);
  expect(visit.cannotUndo).toBe('nothing was changed yet');
  visit.record('qemu-img create a 1G', 0);
  visit.record('qemu-img create a 1Q', 1);
  visit.record('ls', 0);
  expect(visit.lines).toEqual(['qemu-img create a 1G']);
  expect(visit.cannotUndo).toBeNull();
  visit.record('import https://example.org/disk.img', 0);
  expect(visit.cannotUndo).toBeNull();
  visit.record('', 0);
  expect(visit.cannotUndo).toMatch(/secret/);
  visit.record('import "disk.img"', 0);
  expect(visit.cannotUndo).toMatch(/outside/);
  visit.restart();
  expect(visit.lines).toEqual([]);
  expect(new Visit(false).cannotUndo).toMatch(/were files/);
});
