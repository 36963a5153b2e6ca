/** Base64 as QEMU and GLib read it. */
import { QmpError } from '../../qapi/index';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * Decodes: line feeds do not count, an incomplete last group is dropped, and text behind the padding goes on. Throws a
 * {@link QmpError} for other characters.
 */
export function decodeBase64(text: string): Uint8Array {
  if (/[^A-Za-z0-9+/=\n]/.test(text)) throw new QmpError('Base64 data contains invalid characters');
  const digits = text.replaceAll('\n', '');
  const bytes: number[] = [];
  for (let at = 0; at + 4 <= digits.length; at += 4) {
    const group = digits.slice(at, at + 4);
    const bits = [...group].reduce((sum, digit) => sum * 64 + Math.max(0, ALPHABET.indexOf(digit)), 0);
    bytes.push(bits >>> 16);
    if (group[2] !== '=') bytes.push((bits >>> 8) & 0xff);
    if (group[3] !== '=') bytes.push(bits & 0xff);
  }
  return Uint8Array.from(bytes);
}

/** Encodes with padding, on one line. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | (b << 8) | c;
    const digits = [18, 12, 6, 0].map((shift) => ALPHABET[(bits >>> shift) & 63] ?? '');
    text +=
      digits.slice(0, Math.min(4, bytes.length - at + 1)).join('') +
      '=='.slice(0, Math.max(0, 3 - (bytes.length - at)));
  }
  return text;
}
