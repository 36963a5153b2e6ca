/** Damaged images of this engine. */
import { expect, test } from 'vitest';
import { newEngine } from '../support';
import { useMutants } from './rounds';
import { ours } from './victims';

const ROUNDS = 40_000;

test(`${ROUNDS} mutants`, { timeout: 600_000 }, async () => {
  const engine = newEngine();
  const { opened, checked, failures } = useMutants(engine, await ours(engine), ROUNDS, 3);
  expect(opened).toBeGreaterThan(ROUNDS / 4);
  expect(checked).toBeGreaterThan(ROUNDS / 100);
  expect(failures.size).toBeGreaterThan(30);
});
