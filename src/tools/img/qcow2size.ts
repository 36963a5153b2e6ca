/** How large the structures of a new qcow2 image are (`qemu-img measure`), from the options of its creation. */
import { luksHeaderBytes, type CreateValues } from '../../graph';
import { ToolFailure } from '../failure';

const MIN_CLUSTER = 512;
const MAX_CLUSTER = 2 ** 21;
/** Least size of a cluster with extended L2 entries. */
const MIN_EXTENDED = 16384;
/** Bytes of the largest L1 table. */
const MAX_L1 = 32n << 20n;
const PREALLOCATIONS = ['off', 'metadata', 'falloc', 'full'];
/** Bytes of an entry of the bitmap directory before the name. */
const DIRECTORY_ENTRY = 24n;

/** The sizes of one choice of options. All numbers are bytes. */
export interface Qcow2Layout {
  clusterSize: bigint;
  /** All of the disk takes room at once: it is preallocated, or it hides a backing file. */
  wholeDisk: boolean;
  /** It can hold bitmaps. */
  bitmaps: boolean;
  roundUp(bytes: bigint): bigint;
  /** With every cluster of a disk in use. Throws if the disk is too large. */
  fullSize(disk: bigint): bigint;
  /** What bitmaps of a disk take, each with its table and data, and their directory. */
  bitmapSize(disk: bigint, bitmaps: readonly { name: string; granularity: number }[]): bigint;
}

const divideUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/**
 * Checks the options in the order of the real tool.
 * @param checkSecret throws unless there is a secret of this id
 */
export function qcow2Layout(values: CreateValues, checkSecret: (id: string) => void): Qcow2Layout {
  const cluster = Number(values.cluster_size ?? 65536);
  if (cluster < MIN_CLUSTER || cluster > MAX_CLUSTER || !Number.isInteger(Math.log2(cluster))) {
    throw new ToolFailure('Cluster size must be a power of two between 512 and 2048k');
  }
  const extended = values.extended_l2 === true;
  if (extended && cluster < MIN_EXTENDED) {
    throw new ToolFailure(
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
    );
  }
  const preallocation = String(values.preallocation ?? 'off');
  if (!PREALLOCATIONS.includes(preallocation)) {
    throw new ToolFailure(`invalid parameter value: ${preallocation}`);
  }
  const compat = String(values.compat ?? 'v3');
  const version = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 }[compat];
  if (version === undefined) throw new ToolFailure(`Invalid compatibility level: '${compat}'`);
  const bits = Number(values.refcount_bits ?? 16);
  if (bits < 1 || bits > 64 || !Number.isInteger(Math.log2(bits))) {
    throw new ToolFailure('Refcount width must be a power of two and may not exceed 64 bits');
  }
  if (version < 3 && bits !== 16) {
    throw new ToolFailure(
      'Different refcount widths than 16 bits require compatibility level 1.1 or above (use compat=1.1 or greater)',
    );
  }
  const size = BigInt(cluster);
  const luks = values['encrypt.format'] === 'luks';
  const header = luks ? divideUp(BigInt(luksHeaderBytes(values, 'encrypt.', checkSecret)), size) * size : 0n;
  return {
    clusterSize: size,
    wholeDisk: preallocation === 'falloc' || preallocation === 'full' || values.backing_file !== undefined,
    bitmaps: version >= 3,
    roundUp: (bytes) => divideUp(bytes, size) * size,
    fullSize: (disk) => header + fullSize(disk, size, extended ? 16n : 8n, BigInt(bits)),
    bitmapSize: (disk, bitmaps) => bitmapSize(disk, size, bitmaps),
  };
}

function fullSize(disk: bigint, cluster: bigint, l2Entry: bigint, refcountBits: bigint): bigint {
  const clusters = divideUp(disk, cluster);
  const l2 = divideUp(clusters, cluster / l2Entry) * cluster;
  const l1 = divideUp(l2 / cluster, cluster / 8n) * cluster;
  if ((l2 / cluster) * 8n > MAX_L1) {
    throw new ToolFailure('The image size is too large (try using a larger cluster size)');
  }
  const counted = 1n + (l2 + l1) / cluster + clusters;
  // The counts count themselves: the number grows until it holds.
  let blocks = 0n;
  let table = 0n;
  for (let before = -1n; before !== blocks + table;) {
    before = blocks + table;
    blocks = divideUp((counted + before) * refcountBits, 8n * cluster);
    table = divideUp(blocks * 8n, cluster);
  }
  return (counted + blocks + table) * cluster;
}

function bitmapSize(
  disk: bigint,
  cluster: bigint,
  bitmaps: readonly { name: string; granularity: number }[],
): bigint {
  let total = 0n;
  let directory = 0n;
  for (const { name, granularity } of bitmaps) {
    const bytes = divideUp(divideUp(disk, BigInt(granularity)), 8n);
    const clusters = divideUp(bytes, cluster);
    total += clusters * cluster + divideUp(clusters * 8n, cluster) * cluster;
    const entry = DIRECTORY_ENTRY + BigInt(new TextEncoder().encode(name).length);
    directory += divideUp(entry, 8n) * 8n;
  }
  return total + divideUp(directory, cluster) * cluster;
}
