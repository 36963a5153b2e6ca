/** Start scripts in the address of the page: `#start=` with the script deflated, or as plain text that one can read and write. */

const DEFLATED = 'z.';
/** A script of a link is at most so long, characters. */
const MOST = 65536;

/** What a link says that is no script. */
export class LinkError extends Error {
  override readonly name = 'LinkError';
}

/** The fragment of a link to a script, without `#`. */
export async function encodeScript(script: string): Promise<string> {
  const text = script.trim();
  const plain = `start=${encodeURIComponent(text).replace(/%20/g, '+').replace(/%3D/g, '=')}`;
  if (plain.length <= 200 || typeof CompressionStream === 'undefined') return plain;
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream('deflate-raw'));
  const letters = btoa(String.fromCharCode(...bytes));
  const packed = letters.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  const deflated = `start=${DEFLATED}${packed}`;
  return deflated.length < plain.length ? deflated : plain;
}

/**
 * The script of a fragment (`#start=...`); null: it has none.
 * @throws LinkError it is damaged, or longer than a script may be
 */
export async function decodeScript(hash: string): Promise<string | null> {
  const value = /^#start=(.*)$/s.exec(hash)?.[1];
  if (value === undefined || value === '') return null;
  try {
    if (!value.startsWith(DEFLATED)) return bounded(decodeURIComponent(value.replace(/\+/g, ' ')));
    const letters = atob(value.slice(DEFLATED.length).replace(/-/g, '+').replace(/_/g, '/'));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const text = await through(bytes, new DecompressionStream('deflate-raw'));
    return bounded(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (error) {
    if (error instanceof LinkError) throw error;
    throw new LinkError('The start script of this link is damaged: was all of the link copied?');
  }
}

function bounded(script: string): string {
  if (script.length > MOST)
    throw new LinkError(`The start script of this link is longer than ${MOST} characters.`);
  return script;
}

/** Sends bytes through a stream; stops when more comes out than a script may have. */
async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const part = read.value as Uint8Array;
    parts.push(part);
    // A few bytes can stand for very many. UTF-8 has at most three for each unit of a string.
    if ((length += part.length) > 3 * MOST) throw new LinkError('The start script of this link is too long.');
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
