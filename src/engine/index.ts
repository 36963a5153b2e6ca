/** The data plane, instantiated. */
export { createEngine, loadEngine } from './engine';
