/** Encrypted images: what kind of lock they have, and how they are opened with a passphrase. */
import type { QDict } from '../graph/api';

/** A container of LUKS (1 or 2), or a qcow2 image whose data is encrypted. */
export type Lock = 'luks' | 'qcow2-luks' | 'qcow2-aes';

/** What the passphrase is called while an image is opened. */
export const SECRET = 'passphrase';

/** Options of a read-only node over a file that has this lock. */
export function unlockOptions(lock: Lock, filename: string): QDict {
  const file = { driver: 'file', filename };
  if (lock === 'luks') return { driver: 'luks', file, 'key-secret': SECRET };
  const format = lock === 'qcow2-luks' ? 'luks' : 'aes';
  return { driver: 'qcow2', file, encrypt: { format, 'key-secret': SECRET } };
}
