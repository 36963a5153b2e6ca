/** The feature bits of qcow2, in plain words (qcow2.md section 1). */

/** A bit that is known. */
export interface KnownFeature {
  bit: number;
  name: string;
  meaning: string;
}

export const INCOMPATIBLE: readonly KnownFeature[] = [
  {
    bit: 0,
    name: 'dirty bit',
    meaning:
      'The image was not closed properly: reference counts may be wrong, and are repaired when it is next opened to be written.',
  },
  {
    bit: 1,
    name: 'corrupt bit',
    meaning: 'Something in it is broken: it is only opened to be read, or repaired.',
  },
  {
    bit: 2,
    name: 'external data file',
    meaning: 'The data of the disk is in another file; here are only the tables.',
  },
  {
    bit: 3,
    name: 'compression type',
    meaning: 'Compressed clusters are compressed with something else than zlib.',
  },
  {
    bit: 4,
    name: 'extended L2 entries',
    meaning: 'Each cluster has 32 subclusters that are allocated one by one: small writes copy less.',
  },
];

export const COMPATIBLE: readonly KnownFeature[] = [
  {
    bit: 0,
    name: 'lazy refcounts',
    meaning: 'Reference counts may be written late: faster, and after a crash they are made anew.',
  },
];

export const AUTOCLEAR: readonly KnownFeature[] = [
  { bit: 0, name: 'bitmaps', meaning: 'The bitmaps in the image are up to date.' },
  { bit: 1, name: 'raw external data', meaning: 'The external data file can be read as a raw image.' },
];

/** What an unknown bit of each set means. */
export const UNKNOWN_MEANINGS = [
  'Not known to this program: the image cannot be used.',
  'Not known to this program, and may be ignored.',
  'Not known to this program: it is cleared when the image is written.',
] as const;
