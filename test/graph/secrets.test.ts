import { expect, test } from 'vitest';
import { GraphError } from '../../src/graph/errors';
import { Secrets } from '../../src/graph/secrets';

const DATA: Readonly<Record<string, readonly number[]>> = {
  plain: [0x70, 0xc3, 0xa4],
  latin: [0x70, 0xe4],
  zero: [0x70, 0, 0x71],
  empty: [],
};

function secrets(): Secrets {
  const made = new Secrets();
  made.source = (id) => {
    const bytes = DATA[id];
    if (!bytes) throw new GraphError(`No secret with id '${id}'`);
    return Uint8Array.from(bytes);
  };
  return made;
}

test('a secret is found by its id at the moment of use', () => {
  const made = secrets();
  expect([...made.lookup('latin')]).toEqual([0x70, 0xe4]);
  expect([...made.lookupText('plain')]).toEqual([0x70, 0xc3, 0xa4]);
  expect([...made.lookupText('empty')]).toEqual([]);
  expect(() => made.lookup('other')).toThrow("No secret with id 'other'");
  made.source = null;
  expect(() => made.lookup('plain')).toThrow("No secret with id 'plain'");
});

test('a passphrase is text without zero bytes', () => {
  const made = secrets();
  expect(() => made.lookupText('latin')).toThrow('Data from secret latin is not valid UTF-8');
  expect(() => made.lookupText('zero')).toThrow('Data from secret zero is not valid UTF-8');
});
