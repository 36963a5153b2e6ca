/**
 * PBKDF2 (RFC 8018): by WebCrypto, which works in a thread of its own, where it has the hash; else step by step in this one,
 * with the library's HMAC.
 */
import { DIGEST_BYTES, hasherOf, library, type HashName } from './hash';

/** The hashes that WebCrypto has. It is missing where a page was not loaded safely. */
const WEB_NAMES: Readonly<Partial<Record<HashName, string>>> = {
  sha1: 'SHA-1',
  sha256: 'SHA-256',
  sha384: 'SHA-384',
  sha512: 'SHA-512',
};

/** More iterations than this some implementations of WebCrypto do not take. */
const MAX_WEB_ITERATIONS = 2 ** 31 - 1;

/** Milliseconds that this thread is kept from other work, and iterations between two looks at the clock. */
const TURN = 8;
const LOOK = 500;

export interface Pbkdf2Request {
  hash: HashName;
  password: Uint8Array;
  salt: Uint8Array;
  /** At least 1. */
  iterations: number;
  /** Of the result. */
  bytes: number;
}

/**
 * Derives a key. The password and the result are the caller's to overwrite.
 * @param signal ends the work where it is done step by step
 */
export async function pbkdf2(request: Pbkdf2Request, signal?: AbortSignal): Promise<Uint8Array> {
  const name = WEB_NAMES[request.hash];
  const { subtle } = crypto;
  if (name === undefined || !subtle || request.iterations > MAX_WEB_ITERATIONS)
    return bySteps(request, signal);
  // HMAC fills a key up with zeros, so that an empty one, which not all implementations take, is one zero byte.
  const password = request.password.length === 0 ? new Uint8Array(1) : request.password;
  const key = await subtle.importKey('raw', password, 'PBKDF2', false, ['deriveBits']);
  const { salt, iterations, bytes } = request;
  const bits = await subtle.deriveBits({ name: 'PBKDF2', hash: name, salt, iterations }, key, bytes * 8);
  return new Uint8Array(bits);
}

/** The same without WebCrypto; others get a turn every few milliseconds. */
export async function bySteps(
  { hash, password, salt, iterations, bytes }: Pbkdf2Request,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const loaded = await library();
  const hmac = await loaded.createHMAC(
    hasherOf(loaded, hash),
    password.length === 0 ? new Uint8Array(1) : password,
  );
  const mac = (data: Uint8Array): Uint8Array => hmac.init().update(data).digest('binary');
  const result = new Uint8Array(bytes);
  let until = performance.now() + TURN;
  for (let at = 0, block = 1; at < bytes; at += DIGEST_BYTES[hash], block++) {
    const first = new Uint8Array(salt.length + 4);
    first.set(salt);
    new DataView(first.buffer).setUint32(salt.length, block);
    let last = mac(first);
    const sum = last.slice();
    for (let i = 1; i < iterations; i++) {
      last = mac(last);
      for (let j = 0; j < sum.length; j++) sum[j]! ^= last[j]!;
      if (i % LOOK === 0 && performance.now() > until) {
        await new Promise<void>((resolve) => void setTimeout(resolve));
        signal?.throwIfAborted();
        until = performance.now() + TURN;
      }
    }
    result.set(sum.subarray(0, bytes - at), at);
  }
  return result;
}

/** Iterations of a first trial, and its limits in milliseconds. */
const TRIAL = 32768;
const TOO_SHORT = 100;
const LONG_ENOUGH = 500;

/** How many iterations this machine does in a second. Trials take a second or two (luks.md A.6). */
export async function measurePbkdf2(
  request: Omit<Pbkdf2Request, 'iterations'>,
  now: () => number = () => performance.now(),
): Promise<number> {
  for (let iterations = TRIAL; ;) {
    const start = now();
    (await pbkdf2({ ...request, iterations })).fill(0);
    const took = Math.max(now() - start, 1);
    const rate = (iterations * 1000) / took;
    if (took > LONG_ENOUGH) return Math.floor(rate);
    iterations = took < TOO_SHORT ? iterations * 10 : Math.floor(rate);
  }
}
