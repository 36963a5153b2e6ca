/** Names of files that no other process and no other tab can open. */

/** Tells this realm (tab, worker, process) from all others. */
export const REALM: string = [...crypto.getRandomValues(new Uint8Array(8))]
  .map((byte) => byte.toString(16).padStart(2, '0'))
  .join('');

/** The identity of file number `id` of this realm's stores of one kind, told apart from those of every other realm. */
export function localIdentity(kind: string, id: number): string {
  return `${kind}:${REALM}:${id}`;
}

/** Whether an identity is one that only this realm can know. */
export function isLocal(identity: string): boolean {
  return identity.includes(`:${REALM}:`);
}
