/** The data plane, instantiated. */
export { createEngine, loadEngine } from './engine';
export type { Accelerator, HostAes } from './accelerator';
