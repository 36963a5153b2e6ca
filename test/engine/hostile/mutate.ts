/** Structure-aware damage: fields of an image get the values that break rules. */
import type { Field, Region } from './anatomy';

/** Numbers below a limit, repeatable. */
export type Lots = (below: number) => number;

/** What a mutator works on: an image and what is known of it. */
export interface Victim {
  name: string;
  bytes: Buffer;
  /** What its data file holds; null: it has none. */
  data: Buffer | null;
  clusterBits: number;
  /** Fields by structure, so that a small one is met as often as a large one. */
  regions: ReadonlyMap<Region, readonly Field[]>;
}

/** The fields by their structures. */
export function byRegion(fields: readonly Field[]): Map<Region, Field[]> {
  const regions = new Map<Region, Field[]>();
  for (const field of fields) regions.set(field.region, [...(regions.get(field.region) ?? []), field]);
  return regions;
}

/** Values that are special to some rule: ends of ranges, signs, limits of tables, flags alone. */
const SPECIAL = [
  0n,
  1n,
  2n,
  3n,
  7n,
  255n,
  511n,
  512n,
  1023n,
  1024n,
  65535n,
  65536n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 53n,
  (1n << 56n) - 512n,
  1n << 56n,
  1n << 61n,
  1n << 62n,
  (1n << 62n) | (1n << 61n) | 0x50_000n,
  (1n << 63n) - 1n,
  (1n << 63n) - 512n,
  1n << 63n,
  (1n << 64n) - 512n,
  (1n << 64n) - 1n,
];

/** Flags of L1 and L2 entries, subclusters too. */
const FLAGS = [0n, 1n, 2n, 1n << 63n, (1n << 63n) | 1n, 1n << 62n, 3n << 62n, 1n << 56n, 1n << 32n];

/**
 * Damages a copy of a victim.
 * @param image the copy; only the first `victim.bytes.length` bytes are changed
 * @returns the length that the file is to have: sometimes it is cut or longer
 */
export function mutate(victim: Victim, image: Buffer, pick: Lots): number {
  const regions = [...victim.regions.values()];
  const one = (): Field => {
    const fields = regions[pick(regions.length)]!;
    return fields[pick(fields.length)]!;
  };
  for (let left = pick(3) === 0 ? 1 + pick(5) : 1; left > 0; left--) {
    const field = one();
    write(image, field, value(victim, image, field, one, pick));
  }
  const { length } = victim.bytes;
  const cluster = 1 << victim.clusterBits;
  if (pick(24) === 0) return pick(length);
  if (pick(24) === 0) return length + pick(40) * cluster + pick(513);
  return length;
}

function value(victim: Victim, image: Buffer, field: Field, one: () => Field, pick: Lots): bigint {
  const old = read(image, field);
  const cluster = 1 << victim.clusterBits;
  switch (pick(7)) {
    case 0:
      return old ^ (1n << BigInt(pick(field.bytes * 8)));
    case 1:
      return old + BigInt(pick(2) * 2 - 1);
    case 2:
      return SPECIAL[pick(SPECIAL.length)]!;
    case 3:
      // What is right somewhere else.
      return read(image, one());
    case 4:
    case 5: {
      // A cluster of this image or one a little behind its end; now and then not at its start.
      const where = BigInt(pick(victim.bytes.length / cluster + 4) * cluster + (pick(4) ? 0 : pick(cluster)));
      return where | FLAGS[pick(FLAGS.length)]!;
    }
    default:
      return (BigInt(pick(2 ** 32)) << 32n) | BigInt(pick(2 ** 32));
  }
}

function read(image: Buffer, { at, bytes }: Field): bigint {
  if (bytes === 8) return image.readBigUInt64BE(at);
  return BigInt(image.readUIntBE(at, bytes));
}

function write(image: Buffer, { at, bytes }: Field, to: bigint): void {
  const cut = BigInt.asUintN(bytes * 8, to);
  if (bytes === 8) image.writeBigUInt64BE(cut, at);
  else image.writeUIntBE(Number(cut), at, bytes);
}
