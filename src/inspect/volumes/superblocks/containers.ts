/** What holds other things: LUKS, LVM, RAID, images in an image; and swap space. */
import { sizeText } from '../../bytes';
import { content, type Recogniser } from './superblock';
import type { VolumeContent } from '../contract';
import type { Fields } from '../source';

/** Sizes of pages that swap space is made for. */
const PAGES = [4096, 8192, 16384, 32768, 65536];
const RAID_MAGIC = 0xa92b4efc;

export const containers: Recogniser = async (head, volume) =>
  luks(head) ?? lvm(head) ?? raid(head) ?? swap(head) ?? image(head, volume.size);

function luks(head: Fields): VolumeContent | null {
  if (!head.has(0, 'LUKS') || head.u16be(4) !== 0xbabe) return null;
  const version = head.u16be(6);
  return content({
    type: 'crypto_LUKS',
    title: `LUKS${version}`,
    kind: 'container',
    label: version === 2 ? head.text(24, 48) : '',
    uuid: head.text(168, 40),
    facts:
      version === 1
        ? [
            ['Cipher', `${head.text(8, 32)}-${head.text(40, 32)}`],
            ['Hash', head.text(72, 32)],
          ]
        : [],
  });
}

function lvm(head: Fields): VolumeContent | null {
  for (let sector = 0; sector < 4; sector++) {
    const label = head.part(sector * 512, 512);
    if (!label.has(0, 'LABELONE') || !label.has(24, 'LVM2 001')) continue;
    const at = Math.min(label.u32(20), 512 - 40);
    const id = label.text(at, 32);
    return content({
      type: 'LVM2_member',
      title: 'LVM physical volume',
      kind: 'container',
      uuid: id.replace(/^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-$5-$6-'),
      size: label.u64(at + 32),
    });
  }
  return null;
}

/** Version 1.1 and 1.2 of Linux' software RAID; 1.0 and 0.90 are at the end of a volume, which then shows what is in them. */
function raid(head: Fields): VolumeContent | null {
  for (const at of [0, 4096]) {
    if (head.u32(at) !== RAID_MAGIC || head.u32(at + 4) !== 1) continue;
    return content({
      type: 'linux_raid_member',
      title: 'Linux RAID',
      kind: 'container',
      label: head.text(at + 32, 32),
      uuid: head.uuid(at + 16),
      facts: [
        ['Level', String(head.u32(at + 72))],
        ['Devices', String(head.u32(at + 92))],
      ],
    });
  }
  return null;
}

function swap(head: Fields): VolumeContent | null {
  for (const page of PAGES) {
    if (!head.has(page - 10, 'SWAPSPACE2')) continue;
    return content({
      type: 'swap',
      title: 'Linux swap',
      kind: 'swap',
      label: head.text(1052, 16),
      uuid: head.uuid(1036),
      size: (head.u32(1028) + 1) * page,
      facts: [['Page size', sizeText(page)]],
    });
  }
  return null;
}

function image(head: Fields, bytes: number): VolumeContent | null {
  const known = (type: string, title: string, size: number | null): VolumeContent =>
    content({
      type,
      title: `${title} image`,
      kind: 'image',
      facts: size === null ? [] : [['Disk size', sizeText(size)]],
      problems: ['It is an image in an image: open it with its own format to see the disk in it'],
    });
  if (head.has(0, 'QFI') && head.u8(3) === 0xfb)
    return known('qcow2', `qcow2 v${head.u32be(4)}`, head.u64be(24));
  if (head.has(0, 'vhdxfile')) return known('vhdx', 'VHDX', null);
  if (head.has(0, 'KDMV')) return known('vmdk', 'VMDK', head.u64(12) * 512);
  if (head.has(64, '\x7f\x10\xda\xbe') && bytes > 512) return known('vdi', 'VDI', head.u64(368));
  return null;
}
