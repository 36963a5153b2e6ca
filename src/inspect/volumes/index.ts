/** Partitions, what lies in them, and the files of common file systems. */
export { openFiles } from './files/open';
export { readLayout } from './layout';
