/** Files of the web, to be copied into the sandbox. */
import { Errno, FileError } from '../files/contract';
import type { Source } from '../files/browser/transfer';

/** Why a file cannot be had from an address; the message is for the user. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

/** A file that begins to come. */
export interface RemoteFile {
  /** What its host calls it, else the end of its address. */
  name: string;
  source: Source;
}

/**
 * Asks for a file. Nothing that identifies the user is sent.
 * @param free bytes that there is room for
 * @throws FetchError
 */
export async function fetchFile(address: string, free: number, signal: AbortSignal): Promise<RemoteFile> {
  const url = parse(address);
  const response = await request(url, signal);
  if (!response.ok || !response.body) {
    void response.body?.cancel();
    throw new FetchError(`The host answers ${response.status} ${response.statusText}`.trimEnd());
  }
  const size = sizeOf(response);
  if (size !== null && size > free) {
    void response.body.cancel();
    throw new FetchError(`It has ${size} bytes, and there is room for ${free}`);
  }
  const { body } = response;
  return { name: nameOf(response, url), source: { size, pieces: () => pieces(body, size, signal) } };
}

function parse(address: string): URL {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new FetchError('That is no address: it has to begin with https:// or http://');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new FetchError('Only addresses that begin with https:// or http:// can be imported');
  return url;
}

async function request(url: URL, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal, credentials: 'omit', referrerPolicy: 'no-referrer' });
  } catch (error) {
    if (signal.aborted) throw new FileError(Errno.ECANCELED);
    if (!(error instanceof TypeError)) throw error;
    // A browser does not tell a program which of these it is.
    throw new FetchError(
      'The host cannot be reached, or does not let other sites read this file (CORS). Download it with the browser, and import it from there',
    );
  }
}

/** Bytes that will come; null: not told, or told of the compressed form. */
function sizeOf({ headers }: Response): number | null {
  const length = headers.get('content-length');
  if (length === null || headers.get('content-encoding') !== null) return null;
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

function nameOf({ headers, url }: Response, asked: URL): string {
  const given = /filename\*?=(?:UTF-8'')?"?([^";]+)/i.exec(headers.get('content-disposition') ?? '')?.[1];
  const path = new URL(url === '' ? asked : url).pathname;
  const raw = given ?? path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

async function* pieces(
  body: ReadableStream<Uint8Array>,
  size: number | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let done = 0;
  try {
    for (;;) {
      const read = await reader.read().catch((error: unknown) => {
        if (signal.aborted) throw new FileError(Errno.ECANCELED);
        if (!(error instanceof TypeError)) throw error;
        throw new FetchError(`The connection broke off after ${done} bytes`);
      });
      if (read.done) break;
      done += read.value.length;
      yield read.value;
    }
    if (size !== null && done !== size) throw new FetchError(`Only ${done} of ${size} bytes came`);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
