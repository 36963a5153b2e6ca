/** Which format an image is of, from its first sector (graph.md section 7). */

/** Bytes that are looked at; a shorter file is filled up with zeros. */
export const PROBE_BYTES = 512;

/** The texts that QEMU prints when a writable image without given format is raw. */
export function rawGuessWarning(filename: string): string {
  return (
    `WARNING: Image format was not specified for '${filename}' and probing guessed raw.\n` +
    '         Automatically detecting the format is dangerous for raw images, ' +
    'write operations on block 0 will be restricted.\n' +
    "         Specify the 'raw' format explicitly to remove the restrictions."
  );
}

interface Sector {
  bytes: Uint8Array;
  /** The bytes as text, one character for each. */
  text: string;
  view: DataView;
}

const starts = (sector: Sector, magic: string, at = 0) => sector.text.startsWith(magic, at);

/** The text up to the first zero byte that a field of `bytes` bytes holds. */
function field(sector: Sector, at: number, bytes: number): string {
  const text = sector.text.slice(at, at + bytes);
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

/** A VMDK descriptor: comments and lines of blanks, then the version. */
function isVmdkDescriptor({ text }: Sector): boolean {
  let at = 0;
  while (at < text.length) {
    if (text[at] === '#') {
      const end = text.indexOf('\n', at);
      if (end < 0) return false;
      at = end + 1;
    } else if (text[at] === ' ') {
      while (text[at] === ' ') at++;
      if (text.startsWith('\r\n', at)) at += 2;
      else if (text[at] === '\n') at++;
      else return false;
    } else {
      return /^version=[123]\r?\n/.test(text.slice(at));
    }
  }
  return false;
}

const CLOOP = '#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n';

/** Conditions in the order of registration; the first one of the highest score wins. */
const FORMATS: readonly [
  format: string,
  score: number,
  test: (sector: Sector, filename: string) => boolean,
][] = [
  ['bochs', 100, isBochs],
  ['cloop', 2, (sector) => starts(sector, CLOOP)],
  ['dmg', 2, (_, filename) => filename.endsWith('.dmg')],
  ['luks', 100, (sector) => starts(sector, 'LUKS\xba\xbe') && sector.view.getUint16(6) === 1],
  ['parallels', 100, isParallels],
  ['qcow', 100, (sector) => starts(sector, 'QFI\xfb') && sector.view.getUint32(4) === 1],
  ['qcow2', 100, (sector) => starts(sector, 'QFI\xfb') && sector.view.getUint32(4) >= 2],
  ['qed', 100, (sector) => starts(sector, 'QED\0')],
  ['vdi', 100, (sector) => sector.view.getUint32(0x40, true) === 0xbeda107f],
  ['vhdx', 100, (sector) => starts(sector, 'vhdxfile')],
  ['vmdk', 100, (sector) => starts(sector, 'KDMV') || starts(sector, 'COWD') || isVmdkDescriptor(sector)],
  ['vpc', 100, (sector) => starts(sector, 'conectix')],
];

function isBochs(sector: Sector): boolean {
  const version = sector.view.getUint32(68, true);
  return (
    field(sector, 0, 32) === 'Bochs Virtual HD Image' &&
    field(sector, 32, 16) === 'Redolog' &&
    field(sector, 48, 16) === 'Growing' &&
    (version === 0x20000 || version === 0x10000)
  );
}

function isParallels(sector: Sector): boolean {
  const magic = starts(sector, 'WithoutFreeSpace') || starts(sector, 'WithouFreSpacExt');
  return magic && sector.view.getUint32(16, true) === 2;
}

/** The format of an image that begins with `start` (at most {@link PROBE_BYTES} count); `raw` if no other fits. */
export function probeFormat(start: Uint8Array, filename: string): string {
  const bytes = new Uint8Array(PROBE_BYTES);
  bytes.set(start.subarray(0, PROBE_BYTES));
  const sector: Sector = { bytes, text: String.fromCharCode(...bytes), view: new DataView(bytes.buffer) };
  let best = 'raw';
  let high = 1;
  for (const [format, score, test] of FORMATS) {
    if (score > high && test(sector, filename)) {
      best = format;
      high = score;
    }
  }
  return best;
}
