/** The name of whom a certificate is about, written as GnuTLS writes it: rules of authorization compare that text. */
import { elements } from './der';

/** Short names of attributes by the hexadecimal digits of their identifiers. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  '550403': 'CN',
  '550404': 'SURNAME',
  '550405': 'serialNumber',
  '550406': 'C',
  '550407': 'L',
  '550408': 'ST',
  '550409': 'STREET',
  '55040a': 'O',
  '55040b': 'OU',
  '55040c': 'title',
  '55042a': 'givenName',
  '55042b': 'initials',
  '550441': 'pseudonym',
  '0992268993f22c640101': 'UID',
  '0992268993f22c640119': 'DC',
  '2a864886f70d010901': 'EMAIL',
};

/** Tag of texts of 16-bit units. */
const BMP_STRING = 0x1e;
/** Tags of texts of one byte a character. */
const TELETEX_STRING = 0x14;

/**
 * The subject of a certificate, in the order of the certificate: `C=DE,O=Example\, Inc,CN=client`.
 * @param der the certificate
 */
export function subjectName(der: Uint8Array): string {
  const [certificate] = elements(der);
  const [tbs] = elements(certificate?.content);
  const parts = elements(tbs?.content);
  // A version may stand before: number, algorithm, issuer, validity, subject.
  const subject = parts[parts[0]?.tag === 0xa0 ? 5 : 4];
  return elements(subject?.content)
    .map(({ content }) => elements(content).map(attribute).join('+'))
    .join(',');
}

function attribute({ content }: { content: Uint8Array }): string {
  const [type, value] = elements(content);
  const oid = Buffer.from(type?.content ?? []).toString('hex');
  const name = ATTRIBUTES[oid];
  if (name === undefined || !value) {
    return `${dotted(type?.content ?? new Uint8Array())}=#${Buffer.from(content.subarray((type?.content.length ?? 0) + 2)).toString('hex')}`;
  }
  return `${name}=${escaped(textOf(value))}`;
}

function textOf({ tag, content }: { tag: number; content: Uint8Array }): string {
  if (tag === TELETEX_STRING) return Buffer.from(content).toString('latin1');
  if (tag !== BMP_STRING) return Buffer.from(content).toString('utf8');
  let text = '';
  for (let at = 0; at + 1 < content.length; at += 2)
    text += String.fromCharCode((content[at] ?? 0) * 256 + (content[at + 1] ?? 0));
  return text;
}

/** RFC 4514, section 2.4. */
function escaped(text: string): string {
  return text
    .replace(/[,+"\\<>;]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ');
}

/** An object identifier as people write it. */
function dotted(bytes: Uint8Array): string {
  const numbers: bigint[] = [];
  let number = 0n;
  for (const byte of bytes) {
    number = number * 128n + BigInt(byte & 0x7f);
    if (byte & 0x80) continue;
    if (numbers.length === 0) {
      const first = number < 40n ? 0n : number < 80n ? 1n : 2n;
      numbers.push(first, number - 40n * first);
    } else {
      numbers.push(number);
    }
    number = 0n;
  }
  return numbers.join('.');
}
