/** The header of a qcow2 image and its extensions (qcow2.md sections 1 and 2). */
import { hex, overlapping, readView, sizeText, targetOf, textOf, u64, type ByteSource } from '../bytes';
import type { FeatureBit, Field, FileRange, Remark, Section } from '../contract';
import { AUTOCLEAR, COMPATIBLE, INCOMPATIBLE, UNKNOWN_MEANINGS, type KnownFeature } from './features';

const MAX_L1_BYTES = 32 << 20;
const MAX_REFTABLE_BYTES = 8 << 20;
const MAX_SNAPSHOTS = 65536;
/** Entries of a feature name table that are read. */
const MAX_NAMES = 192;
const EXTENSIONS: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  0: ['End of the extensions', 'Behind it comes the name of the backing file, if there is one.'],
  0xe2792aca: ['Backing format', 'The format of the backing file, so that nobody has to guess it.'],
  0x6803f857: ['Feature names', 'Names of feature bits, for programs that do not know them.'],
  0x23852875: ['Bitmaps', 'Where the dirty bitmaps are that are kept in the image.'],
  0x0537be77: ['LUKS header', 'Where the header and the key slots of the encryption are.'],
  0x44415441: ['External data file', 'The name of the file that has the data of the disk.'],
};

/** What the rest of the inspection needs of the header. Numbers are bounded: a table that cannot be is empty. */
export interface Qcow2Header {
  version: number;
  clusterBits: number;
  clusterSize: number;
  diskSize: number;
  l1: FileRange;
  refcountTable: FileRange;
  refcountOrder: number;
  snapshots: { offset: number; count: number };
  bitmaps: { offset: number; length: number; count: number } | null;
  luks: FileRange | null;
  cryptMethod: number;
  backingFile: string;
  backingFormat: string;
  dataFile: string;
  externalData: boolean;
  extendedL2: boolean;
  /** Bytes of an L2 entry, and entries of an L2 table. */
  l2EntryBytes: number;
  l2Entries: number;
  dirty: boolean;
  corrupt: boolean;
  lazyRefcounts: boolean;
  compression: string;
  sections: Section[];
  remarks: Remark[];
}

/** Reads the header. Null: cluster size or version make no sense, so nothing behind them can be told. */
export function readHeader(source: ByteSource): Qcow2Header | { sections: Section[]; remarks: Remark[] } {
  const head = readView(source, 0, 112);
  const fields: Field[] = [];
  const remarks: Remark[] = [];
  const add = (
    offset: number,
    length: number,
    name: string,
    value: string,
    meaning: string,
    more: Pick<Field, 'bits' | 'target' | 'problem'> = {},
  ): void => {
    fields.push({ offset, length, name, value, meaning, ...more });
    if (more.problem !== undefined) remarks.push({ kind: 'problem', text: `${name}: ${more.problem}` });
  };
  const section = (length: number): Section => ({
    id: 'header',
    title: 'Header',
    meaning: 'The first thing in the file: what kind of image it is, and where its tables are.',
    offset: 0,
    length,
    fields,
  });
  const version = head.getUint32(4);
  add(0, 4, 'magic', 'QFI\\xfb', 'The mark of all qcow images.');
  const known = version === 2 || version === 3;
  add(
    4,
    4,
    'version',
    `${version}`,
    version === 3
      ? 'qcow2 with feature bits (compat=1.1).'
      : 'The older qcow2 without feature bits (compat=0.10).',
    {
      ...(!known && { problem: `Unsupported qcow2 version ${version}` }),
    },
  );
  const clusterBits = head.getUint32(20);
  const goodBits = clusterBits >= 9 && clusterBits <= 21;
  if (!known || !goodBits) {
    if (!goodBits)
      add(20, 4, 'cluster_bits', `${clusterBits}`, 'The size of a cluster as a power of two.', {
        problem: `Unsupported cluster size: 2^${clusterBits}`,
      });
    return { sections: [section(24)], remarks };
  }
  const clusterSize = 2 ** clusterBits;
  const backing = { offset: u64(head, 8), length: head.getUint32(16) };
  const goodBacking =
    backing.offset <= clusterSize && backing.length <= Math.min(1023, clusterSize - backing.offset);
  add(
    8,
    8,
    'backing_file_offset',
    backing.offset === 0 ? 'none' : hex(backing.offset),
    'Where the name of the backing file is; what this image has not got is read from that file.',
    {
      ...(goodBacking
        ? targetOf(backing.offset, backing.length)
        : { problem: 'Invalid backing file offset' }),
    },
  );
  add(16, 4, 'backing_file_size', `${backing.length} bytes`, 'The length of that name.');
  add(
    20,
    4,
    'cluster_bits',
    `${clusterBits} (${sizeText(clusterSize)})`,
    'The size of a cluster, the unit in which space is given out, as a power of two.',
  );
  const diskSize = Math.floor(u64(head, 24) / 512) * 512;
  add(24, 8, 'size', `${sizeText(diskSize)} (${diskSize})`, 'The size of the disk as its user sees it.', {
    ...(diskSize > Number.MAX_SAFE_INTEGER && { problem: 'Image is too big' }),
  });
  const cryptMethod = head.getUint32(32);
  add(
    32,
    4,
    'crypt_method',
    ['0 (none)', '1 (AES)', '2 (LUKS)'][cryptMethod] ?? `${cryptMethod}`,
    'How the data of the disk is encrypted. Tables never are.',
    {
      ...(cryptMethod > 2 && { problem: `Unsupported encryption method ${cryptMethod}` }),
    },
  );
  const table = (offset: number, length: number, most: number): FileRange | null =>
    offset % clusterSize === 0 && offset + length <= Number.MAX_SAFE_INTEGER && length <= most
      ? { offset, length }
      : null;
  const l1Entries = head.getUint32(36);
  const l1 = table(u64(head, 40), l1Entries * 8, MAX_L1_BYTES);
  add(36, 4, 'l1_size', `${l1Entries} entries`, 'Entries of the L1 table. Each one leads to an L2 table.', {
    ...(l1Entries * 8 > MAX_L1_BYTES && { problem: 'Active L1 table too large' }),
  });
  add(
    40,
    8,
    'l1_table_offset',
    hex(u64(head, 40)),
    'Where the L1 table is, the first of the two steps from an offset of the disk to its data.',
    {
      ...(l1 ? targetOf(l1.offset, l1.length) : { problem: 'Active L1 table offset invalid' }),
    },
  );
  const reftableBytes = head.getUint32(56) * clusterSize;
  const refcountTable = table(u64(head, 48), reftableBytes, MAX_REFTABLE_BYTES);
  add(
    48,
    8,
    'refcount_table_offset',
    hex(u64(head, 48)),
    'Where the refcount table is, which leads to the counts of how often each cluster of the file is used.',
    {
      ...(refcountTable
        ? targetOf(refcountTable.offset, reftableBytes)
        : { problem: 'Reference count table offset invalid' }),
    },
  );
  add(56, 4, 'refcount_table_clusters', `${head.getUint32(56)}`, 'Its size in clusters.', {
    ...(reftableBytes === 0 && { problem: 'Image does not contain a reference count table' }),
    ...(reftableBytes > MAX_REFTABLE_BYTES && { problem: 'Reference count table too large' }),
  });
  const snapshotCount = head.getUint32(60);
  const snapshotsAt = table(u64(head, 64), 0, 0);
  const goodSnapshots = snapshotCount <= MAX_SNAPSHOTS && snapshotsAt !== null;
  add(60, 4, 'nb_snapshots', `${snapshotCount}`, 'How many internal snapshots there are.', {
    ...(snapshotCount > MAX_SNAPSHOTS && { problem: 'Snapshot table too large' }),
  });
  add(
    64,
    8,
    'snapshots_offset',
    snapshotCount === 0 ? hex(u64(head, 64)) : hex(u64(head, 64)),
    'Where the table of snapshots is.',
    {
      ...(snapshotsAt
        ? snapshotCount > 0
          ? targetOf(snapshotsAt.offset, clusterSize)
          : {}
        : { problem: 'Snapshot table offset invalid' }),
    },
  );

  let headerLength = 72;
  let refcountOrder = 4;
  let flags = { incompatible: 0, compatible: 0, autoclear: 0 };
  let compression = 'zlib';
  if (version === 3) {
    headerLength = head.getUint32(100);
    const goodLength = headerLength >= 104 && headerLength <= clusterSize;
    flags = {
      incompatible: head.getUint32(76),
      compatible: head.getUint32(84),
      autoclear: head.getUint32(92),
    };
    const extensions = readExtensions(
      source,
      goodLength ? headerLength : clusterSize,
      clusterSize,
      backing.offset,
    );
    const names = extensions.names;
    add(
      72,
      8,
      'incompatible_features',
      bitsText(head, 72),
      'A program that does not know one of these must not use the image.',
      {
        bits: bitsOf(head, 72, 0, INCOMPATIBLE, names),
      },
    );
    add(
      80,
      8,
      'compatible_features',
      bitsText(head, 80),
      'These may be ignored by programs that do not know them.',
      {
        bits: bitsOf(head, 80, 1, COMPATIBLE, names),
      },
    );
    add(
      88,
      8,
      'autoclear_features',
      bitsText(head, 88),
      'A program that does not know one of these and writes to the image clears it.',
      {
        bits: bitsOf(head, 88, 2, AUTOCLEAR, names),
      },
    );
    refcountOrder = head.getUint32(96);
    add(
      96,
      4,
      'refcount_order',
      `${refcountOrder} (${2 ** Math.min(refcountOrder, 32)} bits)`,
      'The width of a reference count as a power of two.',
      {
        ...(refcountOrder > 6 && {
          problem: 'Reference count entry width too large; may not exceed 64 bits',
        }),
      },
    );
    add(100, 4, 'header_length', `${headerLength} bytes`, 'Where the header ends and its extensions begin.', {
      ...(headerLength < 104 && { problem: 'qcow2 header too short' }),
      ...(headerLength > clusterSize && { problem: 'qcow2 header exceeds cluster size' }),
    });
    if (headerLength > 104) {
      const type = head.getUint8(104);
      compression = ['zlib', 'zstd'][type] ?? `${type}`;
      add(
        104,
        1,
        'compression_type',
        `${type} (${compression})`,
        'What compressed clusters are compressed with.',
        {
          ...(type > 1 && { problem: `qcow2: unknown compression type: ${type}` }),
        },
      );
      if (headerLength >= 112) add(105, 7, 'padding', 'zero', 'Not in use.');
      if (headerLength > 112)
        add(
          112,
          headerLength - 112,
          'unknown fields',
          `${headerLength - 112} bytes`,
          'Of a later version of the format; kept as they are.',
        );
    }
    if (!goodLength) headerLength = 104;
    const unknown = bitsOf(head, 72, 0, INCOMPATIBLE, names).filter(({ bit }) => bit > 4);
    if (unknown.length > 0)
      remarks.push({
        kind: 'problem',
        text: `Unsupported qcow2 feature(s): ${unknown.map(({ name }) => name).join(', ')}`,
      });
  }
  const extensions = readExtensions(source, headerLength, clusterSize, backing.offset);
  remarks.push(...extensions.remarks);
  const sections = [section(headerLength), ...extensions.sections];
  let backingFile = '';
  if (goodBacking && backing.offset > 0) {
    backingFile = new TextDecoder().decode(readView(source, backing.offset, backing.length));
    sections.push({
      id: 'backing',
      title: 'Name of the backing file',
      meaning: 'What this image has not got is read from there.',
      ...backing,
      fields: [
        {
          ...backing,
          name: 'backing file',
          value: backingFile,
          meaning: 'As it is stored; relative names start at the folder of this image.',
        },
      ],
    });
  }
  const extendedL2 = (flags.incompatible & 16) !== 0;
  if (extendedL2 && clusterBits < 14)
    remarks.push({ kind: 'problem', text: `Unsupported subcluster size: ${clusterSize / 32}` });
  const l2EntryBytes = extendedL2 ? 16 : 8;
  const header: Qcow2Header = {
    version,
    clusterBits,
    clusterSize,
    diskSize,
    l1: l1 ?? { offset: 0, length: 0 },
    refcountTable: refcountTable ?? { offset: 0, length: 0 },
    refcountOrder: Math.min(refcountOrder, 6),
    snapshots: { offset: snapshotsAt?.offset ?? 0, count: goodSnapshots ? snapshotCount : 0 },
    bitmaps: extensions.bitmaps,
    luks: extensions.luks,
    cryptMethod,
    backingFile,
    backingFormat: extensions.backingFormat,
    dataFile: extensions.dataFile,
    externalData: (flags.incompatible & 4) !== 0,
    extendedL2,
    l2EntryBytes,
    l2Entries: clusterSize / l2EntryBytes,
    dirty: (flags.incompatible & 1) !== 0,
    corrupt: (flags.incompatible & 2) !== 0,
    lazyRefcounts: (flags.compatible & 1) !== 0,
    compression,
    sections,
    remarks,
  };
  if (header.dirty)
    remarks.push({
      kind: 'warning',
      text: 'The image was not closed properly (dirty bit): reference counts may be wrong.',
    });
  if (header.corrupt)
    remarks.push({
      kind: 'problem',
      text: 'The image is marked as corrupt: it is only opened to be read or repaired.',
    });
  if (extensions.bitmaps && version === 3 && (flags.autoclear & 1) === 0)
    remarks.push({
      kind: 'warning',
      text: 'A program lacking bitmap support modified this file, so all bitmaps are now considered inconsistent.',
    });
  return header;
}

function bitsText(view: DataView, at: number): string {
  return `0x${view.getBigUint64(at).toString(16)}`;
}

/** The known bits of a set, and those others that are set. */
function bitsOf(
  view: DataView,
  at: number,
  set: 0 | 1 | 2,
  known: readonly KnownFeature[],
  names: ReadonlyMap<string, string>,
): FeatureBit[] {
  const value = view.getBigUint64(at);
  const isSet = (bit: number): boolean => (value & (1n << BigInt(bit))) !== 0n;
  const bits: FeatureBit[] = known.map((feature) => ({ ...feature, set: isSet(feature.bit) }));
  for (let bit = 0; bit < 64; bit++) {
    if (!isSet(bit) || known.some((feature) => feature.bit === bit)) continue;
    bits.push({
      bit,
      name: names.get(`${set} ${bit}`) ?? `bit ${bit}`,
      set: true,
      meaning: UNKNOWN_MEANINGS[set],
    });
  }
  return bits;
}

interface Extensions {
  sections: Section[];
  remarks: Remark[];
  names: Map<string, string>;
  backingFormat: string;
  dataFile: string;
  bitmaps: Qcow2Header['bitmaps'];
  luks: FileRange | null;
}

/** Reads the extensions, which lie in the first cluster. */
function readExtensions(
  source: ByteSource,
  start: number,
  clusterSize: number,
  backingOffset: number,
): Extensions {
  const result: Extensions = {
    sections: [],
    remarks: [],
    names: new Map(),
    backingFormat: '',
    dataFile: '',
    bitmaps: null,
    luks: null,
  };
  const end = backingOffset > start && backingOffset < clusterSize ? backingOffset : clusterSize;
  const view = readView(source, 0, clusterSize);
  const bytes = new Uint8Array(view.buffer);
  // A cluster has room for 2^18 empty extensions; nobody writes more than a few.
  for (let at = start; at + 8 <= end && result.sections.length < 64;) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    const [title, meaning] = EXTENSIONS[type] ?? [
      `Extension ${hex(type)}`,
      'Not known to this program; kept as it is.',
    ];
    const data = at + 8;
    const fields: Field[] = [
      { offset: at, length: 4, name: 'type', value: hex(type), meaning: title },
      {
        offset: at + 4,
        length: 4,
        name: 'length',
        value: `${length} bytes`,
        meaning: 'Of the data behind it.',
      },
    ];
    if (type !== 0 && data + length > end) {
      result.remarks.push({ kind: 'problem', text: 'Header extension too large' });
      fields.push({
        offset: data,
        length: end - data,
        name: 'data',
        value: '',
        meaning: 'It runs past its end.',
        problem: 'Header extension too large',
      });
    } else if (type !== 0) {
      fields.push(...extensionFields(type, view, bytes, data, length, result));
    }
    const padded = type === 0 ? 8 : Math.min(end, data + Math.ceil(length / 8) * 8) - at;
    result.sections.push({
      id: `extension-${at}`,
      title: type === 0 ? title : `Extension: ${title}`,
      meaning,
      offset: at,
      length: padded,
      fields,
    });
    if (type === 0 || data + length > end) break;
    at += Math.max(8, padded);
  }
  return result;
}

function extensionFields(
  type: number,
  view: DataView,
  bytes: Uint8Array,
  at: number,
  length: number,
  result: Extensions,
): Field[] {
  const data = bytes.subarray(at, at + length);
  const field = (
    offset: number,
    size: number,
    name: string,
    value: string,
    meaning: string,
    more: Partial<Field> = {},
  ): Field => ({
    offset: at + offset,
    length: size,
    name,
    value,
    meaning,
    ...more,
  });
  switch (type) {
    case 0xe2792aca:
      result.backingFormat = new TextDecoder().decode(data);
      return [field(0, length, 'format', result.backingFormat, 'A driver: raw, qcow2, ...')];
    case 0x44415441:
      result.dataFile = new TextDecoder().decode(data);
      return [field(0, length, 'name', result.dataFile, 'The data of the disk is there.')];
    case 0x6803f857: {
      const fields: Field[] = [];
      for (let index = 0; index < Math.min(MAX_NAMES, Math.floor(length / 48)); index++) {
        const set = data[index * 48] ?? 0;
        const bit = data[index * 48 + 1] ?? 0;
        const name = textOf(data.subarray(index * 48 + 2, index * 48 + 48));
        result.names.set(`${set} ${bit}`, name);
        const kind = ['incompatible', 'compatible', 'autoclear'][set] ?? `set ${set}`;
        fields.push(field(index * 48, 48, `${kind} ${bit}`, name, 'The name of this feature bit.'));
      }
      return fields;
    }
    case 0x23852875: {
      if (length < 24) return [];
      const count = view.getUint32(at);
      const directory = { offset: u64(view, at + 16), length: u64(view, at + 8) };
      const good =
        count > 0 &&
        count <= 65535 &&
        directory.length <= 1024 * 65535 &&
        directory.offset <= Number.MAX_SAFE_INTEGER;
      if (good) result.bitmaps = { ...directory, count };
      else
        result.remarks.push({
          kind: 'problem',
          text: count === 0 ? 'found bitmaps extension with zero bitmaps' : 'Broken bitmap directory',
        });
      return [
        field(0, 4, 'nb_bitmaps', `${count}`, 'How many bitmaps there are.'),
        field(4, 4, 'reserved', `${view.getUint32(at + 4)}`, 'Must be 0.'),
        field(
          8,
          8,
          'bitmap_directory_size',
          sizeText(directory.length),
          'The length of the list of bitmaps.',
        ),
        field(
          16,
          8,
          'bitmap_directory_offset',
          hex(directory.offset),
          'Where that list is.',
          good ? targetOf(directory.offset, directory.length) : {},
        ),
      ];
    }
    case 0x0537be77: {
      if (length < 16) return [];
      const range = { offset: u64(view, at), length: u64(view, at + 8) };
      if (range.offset + range.length <= Number.MAX_SAFE_INTEGER) result.luks = range;
      return [
        field(
          0,
          8,
          'offset',
          hex(range.offset),
          'Where the LUKS header is.',
          targetOf(range.offset, range.length),
        ),
        field(8, 8, 'length', sizeText(range.length), 'Of the header with all key slots.'),
      ];
    }
    default:
      return [field(0, length, 'data', `${length} bytes`, 'Not known to this program.')];
  }
}

/** Fields of some sections that overlap a range. */
export function sectionFields(sections: readonly Section[], offset: number, length: number): Field[] {
  return overlapping(
    sections.flatMap(({ fields }) => fields),
    offset,
    length,
  );
}
