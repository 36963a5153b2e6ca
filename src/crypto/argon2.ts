/** Argon2 (RFC 9106), version 0x13, by the library hash-wasm. */
import { library } from './hash';

export interface Argon2Request {
  variant: 'argon2i' | 'argon2id';
  password: Uint8Array;
  salt: Uint8Array;
  /** Passes over the memory. */
  time: number;
  /** KiB. */
  memory: number;
  /** Lanes. */
  lanes: number;
  /** Of the result. */
  bytes: number;
}

/**
 * Derives a key; rejects for parameters that Argon2 does not have, and where there is not so much memory. It works in one go: the
 * thread does nothing else meanwhile, so callers bound the work.
 */
export async function argon2(request: Argon2Request): Promise<Uint8Array> {
  const { variant, password, salt, time, memory, lanes, bytes } = request;
  const { argon2i, argon2id } = await library();
  const derive = variant === 'argon2i' ? argon2i : argon2id;
  return derive({
    password,
    salt,
    iterations: time,
    memorySize: memory,
    parallelism: lanes,
    hashLength: bytes,
    outputType: 'binary',
  });
}

/** KiB of a trial: enough to be measured, and done within a few milliseconds. */
const TRIAL_MEMORY = 4096;

/** The same with as little work as tells how fast it is. */
export function trialOf(request: Argon2Request): Argon2Request {
  const least = 8 * request.lanes;
  return { ...request, time: 1, memory: Math.max(least, Math.min(request.memory, TRIAL_MEMORY)) };
}
