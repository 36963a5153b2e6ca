/** What is looked at in the certificates of tls-creds-x509 before they are used, with the words of QEMU. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import type { CredentialFile, X509Files } from '../../daemon/objects/tls';
import { QmpError } from '../../qapi/index';
import { nodeCrypto } from '../builtins';
import { elements } from './der';

const BAD_HEADER = 'Base64 unexpected header error.';
const BAD_BASE64 = 'Base64 decoding error.';

/** As `TlsSupport.checkCertificates`. */
export function checkCertificates(
  files: X509Files,
  endpoint: 'client' | 'server',
  sanityCheck: boolean,
): void {
  if (sanityCheck) checkSanity(files, endpoint);
  if (files.own) checkPair(files.own.certificate, files.own.key, files.password);
  if (files.crl && !hasBlock(files.crl, 'X509 CRL')) {
    throw new QmpError(`Cannot load CRL '${files.crl.path}': ${BAD_BASE64}`);
  }
}

/** As `TlsSupport.checkDhParameters`. */
export function checkDhParameters(file: CredentialFile): void {
  if (hasBlock(file, 'DH PARAMETERS')) return;
  throw new QmpError(`Unable to load DH parameters from ${file.path}: ${BAD_HEADER}`);
}

/** The blocks of a kind in PEM text. */
function blocks({ content }: CredentialFile, kind: string): string[] {
  const pattern = new RegExp(`-----BEGIN ${kind}-----[^-]*-----END ${kind}-----`, 'g');
  return Buffer.from(content).toString('latin1').match(pattern) ?? [];
}

function hasBlock(file: CredentialFile, kind: string): boolean {
  return blocks(file, kind).length > 0;
}

function certificates(file: CredentialFile): X509Certificate[] | null {
  try {
    const { X509Certificate } = nodeCrypto();
    return blocks(file, 'CERTIFICATE').map((text) => new X509Certificate(text));
  } catch {
    return null;
  }
}

function checkSanity({ ca, own }: X509Files, endpoint: 'client' | 'server'): void {
  const mine = own ? certificates(own.certificate) : [];
  if (own && !mine?.[0]) {
    throw new QmpError(`Unable to import ${endpoint} certificate ${own.certificate.path}: ${BAD_HEADER}`);
  }
  const authorities = certificates(ca);
  if (!authorities || authorities.length === 0) {
    throw new QmpError(`Unable to import CA certificate list ${ca.path}`);
  }
  const first = mine?.[0];
  if (own && first) checkOne(first, own.certificate.path, endpoint);
  for (const authority of authorities) checkOne(authority, ca.path, 'CA');
  if (own && first) checkIssuer(first, authorities, own.certificate.path, ca.path);
}

function checkOne(certificate: X509Certificate, path: string, role: 'client' | 'server' | 'CA'): void {
  const isCa = role === 'CA';
  const name = isCa ? 'CA' : role;
  if (Date.parse(certificate.validTo) < Date.now()) {
    throw new QmpError(`The ${name} certificate ${path} has expired`);
  }
  if (Date.parse(certificate.validFrom) > Date.now()) {
    throw new QmpError(`The ${name} certificate ${path} is not yet active`);
  }
  const { basicConstraints, keyUsage } = extensionsOf(certificate.raw);
  if (isCa && basicConstraints === null) {
    throw new QmpError(`The certificate ${path} is missing basic constraints for a CA`);
  }
  if (isCa && basicConstraints === false) {
    throw new QmpError(`The certificate ${path} basic constraints do not show a CA`);
  }
  if (!isCa && basicConstraints === true) {
    throw new QmpError(`The certificate ${path} basic constraints show a CA, but we need one for a ${role}`);
  }
  if (keyUsage === null) return;
  const isCritical = keyUsage.critical;
  if (isCa && !(keyUsage.bits & KeyUsage.CERT_SIGN) && isCritical) {
    throw new QmpError(`Certificate ${path} usage does not permit certificate signing`);
  }
  if (!isCa && !(keyUsage.bits & KeyUsage.DIGITAL_SIGNATURE) && isCritical) {
    throw new QmpError(`Certificate ${path} usage does not permit digital signature`);
  }
}

function checkIssuer(
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
  path: string,
  caPath: string,
): void {
  const signed = authorities.some(
    (authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
  if (signed) return;
  throw new QmpError(
    `Our own certificate ${path} failed validation against ${caPath}: The certificate hasn't got a known issuer`,
  );
}

function checkPair(certificate: CredentialFile, key: CredentialFile, password: string | null): void {
  const refuse = (reason: string): QmpError =>
    new QmpError(`Cannot load certificate '${certificate.path}' & key '${key.path}': ${reason}`);
  const [first] = certificates(certificate) ?? [];
  if (!first) throw refuse(BAD_BASE64);
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(Buffer.from(key.content).toString('latin1'))) {
    throw refuse('The requested data were not available.');
  }
  let own: KeyObject;
  try {
    own = nodeCrypto().createPrivateKey({
      key: Buffer.from(key.content),
      format: 'pem',
      ...(password !== null && { passphrase: password }),
    });
  } catch {
    throw refuse('Decryption has failed.');
  }
  if (!nodeCrypto().createPublicKey(own).equals(first.publicKey)) {
    throw refuse('The certificate and the given key do not match.');
  }
}

/** Bits of the extension of that name, the first one highest. */
const enum KeyUsage {
  DIGITAL_SIGNATURE = 0x80,
  CERT_SIGN = 0x04,
}

interface Extensions {
  /** Whether it is one of an authority; null: it does not say. */
  basicConstraints: boolean | null;
  keyUsage: { bits: number; critical: boolean } | null;
}

/** The two extensions that Node.js does not show, out of the DER of a certificate that it has read. */
function extensionsOf(der: Uint8Array): Extensions {
  const found: Extensions = { basicConstraints: null, keyUsage: null };
  const [certificate] = elements(der);
  const [tbs] = elements(certificate?.content);
  const list = elements(tbs?.content).find(({ tag }) => tag === 0xa3);
  for (const { content } of elements(elements(list?.content)[0]?.content)) {
    const parts = elements(content);
    const oid = Buffer.from(parts[0]?.content ?? []).toString('hex');
    const critical = parts.some(({ tag, content: [value] }) => tag === 0x01 && value !== 0);
    const value = elements(parts.at(-1)?.content)[0]?.content ?? new Uint8Array();
    if (oid === '551d13') {
      found.basicConstraints = elements(value).some(({ tag, content: [bit] }) => tag === 0x01 && bit !== 0);
    } else if (oid === '551d0f') {
      found.keyUsage = { bits: value[1] ?? 0, critical };
    }
  }
  return found;
}
