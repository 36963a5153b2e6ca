/** DER, the encoding of certificates, as far as something has to be read that Node.js does not show. */

/** The elements of DER that stand side by side in some bytes. */
export function elements(bytes: Uint8Array | undefined): { tag: number; content: Uint8Array }[] {
  const list: { tag: number; content: Uint8Array }[] = [];
  if (!bytes) return list;
  for (let at = 0; at + 2 <= bytes.length;) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1] ?? 0;
    at += 2;
    if (length & 0x80) {
      const count = length & 0x7f;
      length = 0;
      for (let i = 0; i < count && i < 4; i++) length = length * 256 + (bytes[at + i] ?? 0);
      at += count;
    }
    list.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return list;
}
