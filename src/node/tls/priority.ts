/**
 * The property `priority` of credentials: GnuTLS' language for what a connection may use. Node.js has OpenSSL, which knows another
 * one, so only what says which versions of TLS there may be is understood; the rest is refused.
 */
import type { SecureVersion } from 'node:tls';
import { QmpError } from '../../qapi/index';

/** Words that a priority begins with and that allow what OpenSSL allows by itself. */
const ORDINARY = ['NORMAL', 'SYSTEM', '@SYSTEM', 'PERFORMANCE', 'SECURE', 'SECURE128', 'PFS'];
const VERSIONS: Readonly<Record<string, SecureVersion>> = { 'TLS1.2': 'TLSv1.2', 'TLS1.3': 'TLSv1.3' };
/** Versions that Node.js does not take any more unless it is made to. */
const OLD_VERSIONS = ['SSL3.0', 'TLS1.0', 'TLS1.1'];

/** The versions of TLS that there may be. */
export interface Versions {
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
}

/** Reads a priority; empty: the default. Throws for what OpenSSL cannot be told. */
export function versionsOf(priority: string): Versions {
  const [base = '', ...changes] = priority === '' ? ['NORMAL'] : priority.split(':');
  if (!ORDINARY.includes(base)) throw refused(priority, base);
  let versions = Object.values(VERSIONS);
  for (const change of changes) {
    const [, sign, name = ''] = /^([+!-])VERS-(.*)$/.exec(change) ?? [];
    const version = VERSIONS[name];
    if (sign === undefined) throw refused(priority, change);
    if (name === 'ALL' || name === 'TLS-ALL') versions = sign === '+' ? Object.values(VERSIONS) : [];
    else if (version === undefined && !(OLD_VERSIONS.includes(name) && sign !== '+'))
      throw refused(priority, change);
    else if (version !== undefined && sign === '+') versions = [...versions, version];
    else versions = versions.filter((other) => other !== version);
  }
  versions.sort();
  const [minVersion] = versions;
  const maxVersion = versions.at(-1);
  if (!minVersion || !maxVersion) throw refused(priority, changes.at(-1) ?? base);
  return { minVersion, maxVersion };
}

function refused(priority: string, word: string): QmpError {
  return new QmpError(
    `Cannot set default TLS session priority ${priority}: '${word}' is not available: Node.js uses OpenSSL, which does not know the names of GnuTLS`,
  );
}
