/** Damaged images of the real tools. */
import { afterAll, expect, test } from 'vitest';
import { newEngine, scratchDirectory } from '../support';
import { useMutants } from './rounds';
import { theirs } from './victims';

const scratch = scratchDirectory();
afterAll(() => scratch.remove());

const ROUNDS = 60_000;

test(`${ROUNDS} mutants`, { timeout: 600_000 }, () => {
  const victims = theirs((name) => scratch.path(name));
  const { opened, checked, failures } = useMutants(newEngine(), victims, ROUNDS, 20_261_122);
  expect(opened).toBeGreaterThan(ROUNDS / 4);
  expect(checked).toBeGreaterThan(ROUNDS / 100);
  // Many rules were met, not the first one again and again.
  expect(failures.size).toBeGreaterThan(40);
});
