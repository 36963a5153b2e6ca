/** Other file systems of Linux: XFS, btrfs, squashfs. */
import { sizeText } from '../../bytes';
import { content, type Recogniser } from './superblock';
import type { VolumeContent } from '../contract';
import type { Fields } from '../source';

const BTRFS = 65536;
const COMPRESSIONS = ['', 'gzip', 'lzma', 'lzo', 'xz', 'lz4', 'zstd'];

export const linux: Recogniser = async (head) => {
  if (head.has(0, 'XFSB')) return xfs(head);
  if (head.has(BTRFS + 64, '_BHRfS_M')) return btrfs(head.part(BTRFS, 4096));
  if (head.has(0, 'hsqs')) return squashfs(head);
  return null;
};

function xfs(sb: Fields): VolumeContent {
  const blockSize = sb.u32be(4);
  const size = sb.u64be(8) * blockSize;
  const free = sb.u64be(144) * blockSize;
  return content({
    type: 'xfs',
    title: 'XFS',
    label: sb.text(108, 12),
    uuid: sb.uuid(32),
    size,
    used: free <= size ? size - free : null,
    facts: [
      ['Block size', sizeText(blockSize)],
      ['Version', String(sb.u16be(100) & 15)],
      ['Allocation groups', String(sb.u32be(88))],
    ],
  });
}

function btrfs(sb: Fields): VolumeContent {
  const devices = sb.u64(136);
  return content({
    type: 'btrfs',
    title: 'btrfs',
    label: sb.text(299, 256),
    uuid: sb.uuid(32),
    size: sb.u64(112),
    used: sb.u64(120) <= sb.u64(112) ? sb.u64(120) : null,
    facts: [
      ['Node size', sizeText(sb.u32(148))],
      ['Devices', String(devices)],
    ],
  });
}

function squashfs(sb: Fields): VolumeContent {
  const size = sb.u64(40);
  const made = sb.u32(8);
  return content({
    type: 'squashfs',
    title: `squashfs ${sb.u16(28)}.${sb.u16(30)}`,
    size,
    used: size,
    facts: [
      ['Compression', COMPRESSIONS[sb.u16(20)] ?? 'unknown'],
      ['Block size', sizeText(sb.u32(12))],
      ['Inodes', String(sb.u32(4))],
      ['Made', new Date(made * 1000).toISOString().slice(0, 19).replace('T', ' ')],
    ],
  });
}
