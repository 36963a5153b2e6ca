/** Runs once before all tests: the data plane they load is compiled from the sources that are there now. */
import { existsSync } from 'node:fs';
import { buildWasm } from '../../scripts/build-wasm.mjs';

export async function setup(): Promise<void> {
  if (!existsSync('wasm/index.ts')) return;
  try {
    await buildWasm();
  } catch (error) {
    if (!existsSync('build/engine.wasm')) throw error;
    console.error('The data plane does not compile; the tests run with the last one that did.', error);
  }
}
