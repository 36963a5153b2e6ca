import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NameTable } from '../../src/qapi/name-table';

test('has each name once, whatever comes and goes', () => {
  const name = fc.string({ maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), name), { maxLength: 200 }), (steps) => {
      const table = new NameTable();
      const names = new Set<string>();
      for (const [adds, text] of steps) {
        if (adds && !names.has(text)) table.add(text);
        if (!adds && names.has(text)) table.remove(text);
        if (adds) names.add(text);
        else names.delete(text);
        expect(table.list().sort()).toEqual([...names].sort());
      }
    }),
    { numRuns: 50 },
  );
});

// Orders with many names, and after removals, are in the transcript object-order.
test('gives the order of the real daemon', () => {
  expect(new NameTable(['objects', 'chardevs', 'backend']).list()).toEqual([
    'backend',
    'objects',
    'chardevs',
  ]);
  expect(new NameTable(['io0', 'io1', 'ml', 'as', 'al', 'al2', 'tg']).list()).toEqual(
    'tg io0 ml as io1 al2 al'.split(' '),
  );
});
