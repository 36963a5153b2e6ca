/** Texts of the C library for the errors of Node. */
import { getSystemErrorMap } from 'node:util';
import { strerror } from '../files/contract';

/** strerror(3) of what a call of Node failed with. */
export function strerrorOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'Connection refused';
  if (code === 'EADDRINUSE') return 'Address already in use';
  if (code === 'EADDRNOTAVAIL') return 'Cannot assign requested address';
  if (errno === undefined) return error.message;
  const text = strerror(Math.abs(errno));
  return text.startsWith('Unknown error') ? (getSystemErrorMap().get(errno)?.[1] ?? text) : text;
}
