/** ext2, ext3 and ext4: one superblock 1024 bytes from the start. Offsets are those of the kernel's documentation of ext4. */
import { sizeText } from '../../bytes';
import { content, type Recogniser } from './superblock';

const AT = 1024;
const HAS_JOURNAL = 0x4;
/** What makes a file system an ext4, of the incompatible features: extents, 64 bit, flexible groups, inline data... */
const EXT4_INCOMPAT = 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;
/** Of those that a reader need not know: huge files, checksums of groups, many links, large inodes, checksums. */
const EXT4_RO_COMPAT = 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400;
const JOURNAL_DEVICE = 0x8;
const NEEDS_RECOVERY = 0x4;
const STATES = ['not unmounted cleanly', 'clean'];

export const ext: Recogniser = async (head, volume) => {
  const sb = head.part(AT, 1024);
  if (sb.u16(56) !== 0xef53) return null;
  const compat = sb.u32(92);
  const incompat = sb.u32(96);
  const roCompat = sb.u32(100);
  const shift = sb.u32(24);
  if (shift > 6) return null;
  const blockSize = 1024 << shift;
  const wide = (incompat & 0x80) !== 0;
  const blocks = sb.u32(4) + (wide ? sb.u32(336) * 2 ** 32 : 0);
  const free = sb.u32(12) + (wide ? sb.u32(344) * 2 ** 32 : 0);
  const type =
    incompat & JOURNAL_DEVICE
      ? 'jbd'
      : incompat & EXT4_INCOMPAT || roCompat & EXT4_RO_COMPAT
        ? 'ext4'
        : compat & HAS_JOURNAL
          ? 'ext3'
          : 'ext2';
  const size = blocks * blockSize;
  const problems: string[] = [];
  if (sb.u16(58) & 2) problems.push('It has found errors in itself: fsck is due');
  if (incompat & NEEDS_RECOVERY)
    problems.push('Its journal has changes that are not in place yet: what is shown may be older');
  const facts: [string, string][] = [
    ['Block size', sizeText(blockSize)],
    ['State', STATES[sb.u16(58) & 1] ?? ''],
    ['Inodes', `${sb.u32(0) - sb.u32(16)} of ${sb.u32(0)} used`],
  ];
  const mounted = sb.text(136, 64);
  if (mounted !== '') facts.push(['Last mounted on', mounted]);
  const written = sb.u32(48);
  if (written > 0)
    facts.push(['Last written', new Date(written * 1000).toISOString().slice(0, 19).replace('T', ' ')]);
  return content({
    type,
    title: type === 'jbd' ? 'ext journal' : type,
    label: sb.text(120, 16),
    uuid: sb.uuid(104),
    size,
    used: free <= blocks ? size - free * blockSize : null,
    facts,
    problems,
    readable: type !== 'jbd' && volume.size > 2048,
  });
};
