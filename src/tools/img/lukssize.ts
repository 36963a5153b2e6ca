/** What the header of a LUKS volume with its key slots takes, from the options of its creation (luks.md, `qemu-img measure`). */
import type { CreateValues } from '../../graph';
import { ToolFailure } from '../failure';

/** Bytes of a key by cipher; null: there is no such cipher here, as in most builds of QEMU. */
const KEY_BYTES: Readonly<Record<string, number | null>> = {
  'aes-128': 16,
  'aes-192': 24,
  'aes-256': 32,
  des: null,
  '3des': 24,
  'cast5-128': 16,
  'serpent-128': 16,
  'serpent-192': 24,
  'serpent-256': 32,
  'twofish-128': 16,
  'twofish-192': 24,
  'twofish-256': 32,
  sm4: 16,
};
const MODES = ['ecb', 'cbc', 'xts', 'ctr'];
const KEY_SLOTS = 8;
/** Parts that a key is split into in each slot. */
const STRIPES = 4000;
/** The header, and each slot, are whole multiples of this. */
const ALIGNMENT = 4096;

/**
 * Bytes in front of the data.
 * @param prefix of the names of options
 * @param checkSecret throws unless there is a secret of this id
 */
export function luksHeaderBytes(
  values: CreateValues,
  prefix: '' | 'encrypt.',
  checkSecret: (id: string) => void,
): number {
  const text = (name: string, otherwise: string): string => String(values[prefix + name] ?? otherwise);
  const cipher = text('cipher-alg', 'aes-256');
  const mode = text('cipher-mode', 'xts');
  const refuse = (name: string, value: string): never => {
    throw new ToolFailure(`Parameter '${name}' does not accept value '${value}'`);
  };
  if (!Object.hasOwn(KEY_BYTES, cipher)) refuse('cipher-alg', cipher);
  if (!MODES.includes(mode)) refuse('cipher-mode', mode);
  const secret = values[`${prefix}key-secret`];
  if (secret === undefined) throw new ToolFailure(`Parameter '${prefix}key-secret' is required for cipher`);
  checkSecret(String(secret));
  const bytes = KEY_BYTES[cipher];
  if (!bytes) throw new ToolFailure(`Algorithm '${cipher}' not supported`);
  const split = bytes * (mode === 'xts' ? 2 : 1) * STRIPES;
  return ALIGNMENT + KEY_SLOTS * Math.ceil(split / ALIGNMENT) * ALIGNMENT;
}
