import { describe, expect, test } from 'vitest';
import { commandHelp, helpOn, overview } from '../../src/ui/console/help';
import { stripEscapes, textWidth } from '../../src/ui/console/width';
import { commands } from '../../src/qapi/schema';

const shell = [
  {
    name: 'qemu-img',
    summary: 'makes images',
    usage: 'COMMAND',
    arguments: 'files' as const,
    subcommands: [{ name: 'create' }],
  },
];

describe('help', () => {
  test('the overview names every command and fits the screen', () => {
    const text = overview(shell, [], 80);
    for (const { name } of commands()) expect(text).toContain(name);
    expect(text).toContain('makes images');
    expect(Math.max(...text.split('\n').map(textWidth))).toBeLessThanOrEqual(80);
  });

  test('every command of the schema can be explained', () => {
    for (const { name } of commands()) {
      const text = stripEscapes(commandHelp(name) ?? '');
      expect(text.split('\n')[0]).toBe(name);
      expect(text).toMatch(/Returns: ./);
    }
  });

  test('a discriminator adds the arguments of its branch', () => {
    const without = stripEscapes(commandHelp('blockdev-add') ?? '');
    expect(without).not.toContain('lazy-refcounts');
    expect(without).toContain('help blockdev-add driver=qcow2');
    const qcow2 = stripEscapes(commandHelp('blockdev-add', ['driver=qcow2']) ?? '');
    expect(qcow2).toMatch(/^ {2}lazy-refcounts +optional {2}boolean/m);
    expect(qcow2).toMatch(/^ {2}file +required {2}object or string/m);
    expect(qcow2).toMatch(/^ {2}detect-zeroes +optional {2}off \| on \| unmap/m);
  });

  test('long lists of values are wrapped below each other', () => {
    const lines = (commandHelp('blockdev-add', [], 60) ?? '').split('\n');
    const wide = lines.filter((line) => textWidth(line) > 60);
    expect(wide.map(stripEscapes)).toEqual([expect.stringContaining('More arguments depend on driver')]);
    const driver = lines.findIndex((line) => stripEscapes(line).startsWith('  driver'));
    expect(stripEscapes(lines[driver + 1] ?? '')).toMatch(/^ {28}\S/);
  });

  test('deprecated and unstable commands are marked', () => {
    expect(commandHelp('drive-backup')).toContain('This command is deprecated.');
    expect(commandHelp('x-blockdev-amend')).toContain('This command is unstable.');
  });

  test('commands of the console', () => {
    const text = stripEscapes(helpOn('qemu-img', [], shell, 80) ?? '');
    expect(text).toContain('qemu-img COMMAND\nmakes images\nCommands: create\n');
    expect(helpOn('nonsense', [], shell, 80)).toBeNull();
  });
});
