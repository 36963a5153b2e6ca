/** `qemu-img amend` of qcow2 images: what can be changed, and what is wrong with what cannot (qcow2.md 14). */
import type { AmendChanges } from '../../engine/amend';
import type { CreateOption, CreateValues } from '../api';
import { GraphError } from '../errors';
import { AMEND_OPTIONS } from './amendluks';
import type { BlockNode } from '../node';

/** The encryption method of a header that has key slots. */
const LUKS = 2;

/** Options of creation that can be amended too. */
const NAMES = [
  'size',
  'compat',
  'backing_file',
  'backing_fmt',
  'data_file',
  'data_file_raw',
  'lazy_refcounts',
  'refcount_bits',
];

/** What only amending takes. */
const KEY_OPTIONS: readonly CreateOption[] = AMEND_OPTIONS.map((option) => ({
  ...option,
  name: `encrypt.${option.name}`,
}));

/** The options that can be amended, from those of creation. */
export function qcow2AmendOptions(creation: readonly CreateOption[]): CreateOption[] {
  return [...creation.filter(({ name }) => NAMES.includes(name)), ...KEY_OPTIONS];
}

/** Whether something is to be done to key slots. */
export function amendsKeys(values: CreateValues): boolean {
  return KEY_OPTIONS.some(({ name }) => values[name] !== undefined);
}

const VERSIONS: Readonly<Record<string, 2 | 3>> = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 };

/** What is to be changed, with QEMU's texts for what cannot be, in the order of its checks. */
export function qcow2AmendChanges(node: BlockNode, values: CreateValues): AmendChanges {
  const changes: AmendChanges = {};
  const { compat, size } = values;
  if (compat !== undefined) {
    const version = VERSIONS[String(compat)];
    if (version === undefined) throw new GraphError(`Unknown compatibility level ${String(compat)}`);
    changes.version = version;
  }
  if (size !== undefined) {
    if (Number(size) > 2 ** 63 - 1) throw new GraphError('Image size cannot be negative');
    changes.size = Number(size);
  }
  checkBacking(node, values);
  if (amendsKeys(values)) {
    const { cryptMethod } = node.engine.qcow2Info(node.handle);
    if (cryptMethod === 0) throw new GraphError("Can't amend encryption options - encryption not present");
    if (cryptMethod !== LUKS) throw new GraphError('Only LUKS encryption options can be amended');
  }
  if (values.lazy_refcounts !== undefined) changes.lazyRefcounts = values.lazy_refcounts === true;
  takeDataFile(node, values, changes);
  if (values.refcount_bits !== undefined) {
    const bits = Number(values.refcount_bits);
    if (bits < 1 || bits > 64 || !Number.isInteger(Math.log2(bits))) {
      throw new GraphError('Refcount width must be a power of two and may not exceed 64 bits');
    }
    changes.refcountBits = bits;
  }
  return changes;
}

function checkBacking(node: BlockNode, values: CreateValues): void {
  const { backing_file: file, backing_fmt: format } = values;
  const other =
    (file !== undefined && file !== node.backingFile) ||
    (format !== undefined && format !== node.backingFormat);
  if (!other && !(file === '' && node.backingFile === '')) return;
  throw new GraphError('Cannot amend the backing file', {
    hints: ["You can use 'qemu-img rebase' instead."],
  });
}

function takeDataFile(node: BlockNode, values: CreateValues, changes: AmendChanges): void {
  const { data_file: file, data_file_raw: raw } = values;
  const { externalData, dataFileRaw } = node.engine.qcow2Info(node.handle);
  if (file !== undefined && !externalData) {
    throw new GraphError('data-file can only be set for images that use an external data file');
  }
  if (raw === true && !dataFileRaw) throw new GraphError('data-file-raw cannot be set on existing images');
  if (file !== undefined) changes.dataFile = String(file);
  if (raw === false) changes.rawDataOff = true;
}
