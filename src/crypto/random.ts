/** Random bytes for keys. */

/** So many come from one call. */
const PIECE = 65536;

export function randomBytes(bytes: number): Uint8Array {
  const result = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += PIECE) crypto.getRandomValues(result.subarray(at, at + PIECE));
  return result;
}

/** A random UUID (RFC 9562, version 4). */
export function randomUuid(): string {
  const bytes = randomBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
