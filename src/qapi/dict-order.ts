/**
 * The order in which QEMU's dictionaries give their members.
 *
 * They are hash tables of 512 buckets: buckets come in ascending order, and inside one bucket the member that was
 * inserted last comes first. Replies, events, `json:` names and the choice of the first unexpected member all show it.
 */

const BUCKETS = 512;
const encoder = new TextEncoder();

/** The bucket of a key, 0 to 511. */
function dictBucket(key: string): number {
  const bytes = encoder.encode(key);
  let hash = Math.imul(0x238f13af, bytes.length) >>> 0;
  for (let i = 0; i < bytes.length; i++) hash = (hash + ((bytes[i] ?? 0) << ((i * 5) % 24))) >>> 0;
  hash = (Math.imul(1103515243, hash) + 12345) >>> 0;
  return hash % BUCKETS;
}

/** The keys, given in the order of insertion, in the order of a dictionary. */
export function dictOrder(keys: readonly string[]): string[] {
  const buckets = keys.map((key, insertion) => ({ key, insertion, bucket: dictBucket(key) }));
  buckets.sort((a, b) => a.bucket - b.bucket || b.insertion - a.insertion);
  return buckets.map((entry) => entry.key);
}
