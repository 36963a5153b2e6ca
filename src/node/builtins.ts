/** Parts of Node.js that take a noticeable part of the start of a command, and that few commands need. */
import type * as Crypto from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Tls from 'node:tls';

const require = createRequire(import.meta.url);

/** `node:crypto`, loaded at once when it is first needed. */
export function nodeCrypto(): typeof Crypto {
  return require('node:crypto') as typeof Crypto;
}

/** `node:tls`, loaded at once when it is first needed. */
export function tlsModule(): typeof Tls {
  return require('node:tls') as typeof Tls;
}
