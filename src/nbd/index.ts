export { NbdServer, type Listener } from './server';
export type { ExportBitmap, NbdExport } from './export';
export type { ByteStream } from './stream';
export { MAX_STRING } from './wire';
