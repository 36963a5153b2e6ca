/** The graph of block nodes: names, options, opening, permissions, information, creation. */
export type * from './api';
export { breakpointsOf, type Breakpoints } from './breakpoints';
export { corruptionNotice, mismatchNotice } from './corruption';
export { imageFormats, knownToQemu } from './drivers/table';
export { CACHE_MODES } from './cachemodes';
export { GraphError } from './errors';
export { BlockGraph } from './graph';
export { luksHeaderBytes } from './images/createluks';
export { listSnapshots } from './images/snapshots';
export { probeFormat } from './images/probe';
