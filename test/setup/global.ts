/** Runs once before all tests: the data plane they load is compiled from the sources that are there now. */
import { buildWasm } from '../../scripts/build-wasm.mjs';

export async function setup(): Promise<void> {
  await buildWasm();
}
