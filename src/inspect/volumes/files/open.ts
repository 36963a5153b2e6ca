/** Opens the files of a volume by what was recognised in it. */
import type { DiskSource } from '../../contract';
import { VolumeError, type FileTree } from '../contract';
import { cached, slice } from '../source';
import { Ext } from './ext';
import { Fat } from './fat';
import { Iso } from './iso';
import { Tree } from './tree';

/** The files of a volume that lies in a range of a disk; `type` as in its content. Rejects with a {@link VolumeError}. */
export async function openFiles(
  disk: DiskSource,
  offset: number,
  length: number,
  type: string,
): Promise<FileTree> {
  const source = cached(slice(disk, offset, length));
  switch (type) {
    case 'ext2':
    case 'ext3':
    case 'ext4':
      return new Tree(await Ext.open(source));
    case 'vfat':
    case 'exfat':
      return new Tree(await Fat.open(source));
    case 'iso9660':
      return new Tree(await Iso.open(source));
    default:
      throw new VolumeError(`The files of ${type} cannot be read here`);
  }
}
