export { NbdServer, type Listener } from './server';
export { ClientHandshake, flagNames, type ListedExport } from './client/handshake';
export { nbdOpener, type OpenNbdBeside } from './client/open';
export { NbdFailure } from './client/options';
export type { ExportBitmap, NbdExport } from './export';
export type { ByteStream } from './stream';
export { MAX_STRING } from './wire';
export type { Upgrade } from './tls';
export { acceptWebSocket } from './websocket';
