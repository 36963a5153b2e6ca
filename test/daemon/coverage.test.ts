/** The table of README.md: each command and event of the reference is in a transcript of the real daemon. */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commandNames, eventNames } from '../../src/qapi/catalog';
import { parseTranscript, type Recording } from './transcript';

const ALL = [...commandNames(), ...eventNames()];

const here = import.meta.dirname;

/** Commands that succeeded, and events that came, by transcript. */
function recorded(name: string): { commands: Set<string>; events: Set<string> } {
  const recording = JSON.parse(readFileSync(join(here, 'fixtures', `${name}.json`), 'utf8')) as Recording;
  const commands = new Set<string>();
  const events = new Set<string>();
  const { steps } = parseTranscript(recording.source);
  for (const [index, lines] of recording.output.entries()) {
    const step = steps[index - 1];
    const text = lines.join('\n');
    for (const [, event = ''] of text.matchAll(/"event": "([^"]+)"/g)) events.add(event);
    if (!step || !('text' in step) || !text.includes('{"return"')) continue;
    const [, command = ''] = /"execute": ?"([^"]+)"/.exec(step.text) ?? [];
    commands.add(command);
  }
  return { commands, events };
}

const names = readdirSync(join(here, 'fixtures')).map((file) => basename(file, '.json'));

/** Rows of the table: what is in the first column, and in the second. */
const rows = new Map(
  readFileSync(join(here, 'README.md'), 'utf8')
    .split('\n')
    .map((line) => /^\| `([A-Za-z0-9_-]+)` +\| (.+?) +\|$/.exec(line))
    .filter((match) => match !== null)
    .map(([, what = '', where = '']) => [what, where]),
);

describe('the table of commands and events', () => {
  it.each(ALL)('%s is in a transcript, or it is said why not', (what) => {
    const where = rows.get(what) ?? '';
    const [, name] = /^`([a-z0-9-]+)`$/.exec(where) ?? [];
    if (name === undefined) {
      const found = names.filter((one) => {
        const { commands, events } = recorded(one);
        return commands.has(what) || events.has(what);
      });
      expect(where, `${what} is in ${found.join(' ')}`).toMatch(/^not recorded: .{10,}/);
      expect(found, `${what} is recorded after all`).toEqual([]);
      return;
    }
    const { commands, events } = recorded(name);
    expect([...commands, ...events]).toContain(what);
  });

  it('has a row for everything, and for nothing else', () => {
    expect([...rows.keys()].sort()).toEqual([...ALL].sort());
  });
});
