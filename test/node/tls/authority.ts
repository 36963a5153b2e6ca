/** Certificates and keys for tests, made by openssl. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes certificates in folders of a directory. */
export class Authorities {
  constructor(private readonly directory: string) {
    this.write('plain.cnf', '[req]\ndistinguished_name=d\n[d]\n');
  }

  private write(name: string, content: string): void {
    writeFileSync(join(this.directory, name), content);
  }

  private openssl(...words: string[]): void {
    execFileSync('openssl', words, { cwd: this.directory, stdio: 'ignore' });
  }

  /** An authority of its own for a folder. */
  found(folder: string): void {
    mkdirSync(join(this.directory, folder), { recursive: true });
    this.openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', `/CN=Authority ${folder}`, '-config', 'plain.cnf', '-keyout', `${folder}/ca-key.pem`],
      ...['-out', `${folder}/ca-cert.pem`, '-addext', 'basicConstraints=critical,CA:TRUE'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    );
  }

  /**
   * A certificate of a server or a client, by the authority of a folder.
   * @param subject as openssl takes it: `/O=Test/CN=localhost`
   * @param names what else it is for: `DNS:localhost,IP:127.0.0.1`
   */
  certify(folder: string, role: 'server' | 'client', subject: string, names = '', days = 30): void {
    const at = `${folder}/${role}`;
    this.openssl(
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', subject],
      ...['-utf8', '-keyout', `${at}-key.pem`, '-out', `${at}.csr`],
    );
    const usage = 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n';
    this.write('extensions', names === '' ? usage : `${usage}subjectAltName=${names}\n`);
    this.openssl(
      ...['x509', '-req', '-in', `${at}.csr`, '-CA', `${folder}/ca-cert.pem`],
      ...['-CAkey', `${folder}/ca-key.pem`, '-CAcreateserial', '-days', String(days)],
      ...['-extfile', 'extensions', '-out', `${at}-cert.pem`],
    );
  }

  /** Keys that both ends have beforehand. */
  share(folder: string, keys: Readonly<Record<string, string>>): void {
    mkdirSync(join(this.directory, folder), { recursive: true });
    this.write(
      `${folder}/keys.psk`,
      Object.entries(keys)
        .map(([user, key]) => `${user}:${key}\n`)
        .join(''),
    );
  }
}
