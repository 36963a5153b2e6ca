/** Files of FAT12, FAT16, FAT32 and exFAT: clusters chained by a table, by Microsoft's specifications of both. */
import type { DiskSource } from '../../contract';
import { VolumeError } from '../contract';
import { readRecord } from '../source';
import { fatGeometry } from '../superblocks/fat';
import { exfatEntries } from './exfatentries';
import { fatEntries, type FatEntry } from './fatentries';
import { rootNode, type FileSystem } from './tree';

/** Bytes of the table that are read at once; a multiple of 12 bits, so that no entry is cut. */
const WINDOW = 49152;
/** Bytes of a directory that are looked at. FAT allows 2 MiB, exFAT 256. */
const MAX_DIRECTORY = 2 ** 28;

interface Layout {
  exfat: boolean;
  bits: 12 | 16 | 32;
  clusterSize: number;
  fatOffset: number;
  dataOffset: number;
  clusters: number;
  /** The fixed root directory of FAT12 and FAT16. */
  fixedRoot: { offset: number; length: number } | null;
  rootCluster: number;
}

export class Fat implements FileSystem<FatEntry> {
  readonly root: FatEntry;
  /** Where the last read came to in a chain: reading on begins there. */
  private readonly places = new Map<number, { index: number; cluster: number }>();

  private constructor(
    private readonly source: DiskSource,
    private readonly layout: Layout,
  ) {
    this.root = { node: rootNode(), cluster: layout.rootCluster, contiguous: false, valid: 0 };
  }

  static async open(source: DiskSource): Promise<Fat> {
    const boot = await readRecord(source, 0, 512);
    if (boot.has(3, 'EXFAT   ')) {
      const sector = 2 ** boot.u8(108);
      const clusterSize = sector * 2 ** boot.u8(109);
      if (boot.u8(108) < 9 || boot.u8(108) > 12 || clusterSize > 2 ** 25)
        throw new VolumeError('The boot sector has an impossible geometry');
      return new Fat(source, {
        exfat: true,
        bits: 32,
        clusterSize,
        fatOffset: boot.u32(80) * sector,
        dataOffset: boot.u32(88) * sector,
        clusters: boot.u32(92),
        fixedRoot: null,
        rootCluster: boot.u32(96),
      });
    }
    const geometry = fatGeometry(boot);
    if (!geometry) throw new VolumeError('The boot sector has an impossible geometry');
    return new Fat(source, {
      exfat: false,
      ...geometry,
      fixedRoot:
        geometry.bits === 32 ? null : { offset: geometry.rootOffset, length: geometry.rootEntries * 32 },
      rootCluster: geometry.bits === 32 ? boot.u32(44) : 0,
    });
  }

  scan(directory: FatEntry): AsyncIterable<FatEntry> {
    return this.layout.exfat ? exfatEntries(this.pieces(directory)) : fatEntries(this.pieces(directory));
  }

  async read(file: FatEntry, offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    const { clusterSize } = this.layout;
    // exFAT says how much was ever written; the rest are zeros.
    const end = Math.min(offset + length, file.valid);
    for (let at = offset; at < end;) {
      const index = Math.floor(at / clusterSize);
      const within = at - index * clusterSize;
      const cluster = await this.clusterOf(file, index);
      const piece = Math.min(clusterSize - within, end - at);
      bytes.set(await this.data(cluster, within, piece), at - offset);
      at += piece;
    }
    return bytes;
  }

  /** The bytes of a directory, a cluster (or a part of one) at a time. */
  private async *pieces(directory: FatEntry): AsyncGenerator<Uint8Array> {
    const { fixedRoot, clusterSize } = this.layout;
    const step = Math.min(clusterSize, 65536);
    if (directory === this.root && fixedRoot) {
      yield await this.source.read(fixedRoot.offset, fixedRoot.length);
      return;
    }
    let cluster = directory.cluster;
    const limit = directory.contiguous ? directory.node.size : MAX_DIRECTORY;
    const seen = new Set<number>();
    for (let at = 0; at < limit;) {
      if (seen.has(cluster)) throw new VolumeError('Its chain of clusters runs in a circle');
      seen.add(cluster);
      for (let within = 0; within < clusterSize; within += step) yield await this.data(cluster, within, step);
      at += clusterSize;
      if (directory.contiguous) cluster++;
      else {
        const next = await this.next(cluster);
        if (next === null) return;
        cluster = next;
      }
    }
  }

  private async data(cluster: number, within: number, length: number): Promise<Uint8Array> {
    const { clusters, clusterSize, dataOffset } = this.layout;
    const at = dataOffset + (cluster - 2) * clusterSize + within;
    if (cluster < 2 || cluster >= clusters + 2 || at + length > this.source.size)
      throw new VolumeError('Its chain of clusters leads out of the file system');
    return this.source.read(at, length);
  }

  private async clusterOf(file: FatEntry, index: number): Promise<number> {
    if (file.contiguous) return file.cluster + index;
    const place = this.places.get(file.cluster);
    let at = place && place.index <= index ? place : { index: 0, cluster: file.cluster };
    while (at.index < index) {
      const next = await this.next(at.cluster);
      if (next === null) throw new VolumeError('Its chain of clusters ends before the file does');
      at = { index: at.index + 1, cluster: next };
    }
    if (this.places.size > 100) this.places.clear();
    this.places.set(file.cluster, at);
    return at.cluster;
  }

  private window: { offset: number; bytes: Uint8Array } | null = null;

  /** The cluster that follows another one; null: it is the last. */
  private async next(cluster: number): Promise<number | null> {
    const { bits, fatOffset, clusters } = this.layout;
    if (cluster < 2 || cluster >= clusters + 2)
      throw new VolumeError('Its chain of clusters leads out of the file system');
    const byte = Math.floor((cluster * bits) / 8);
    const offset = byte - (byte % WINDOW);
    if (this.window?.offset !== offset)
      // One byte more: an entry of 12 bits is read as 16.
      this.window = { offset, bytes: (await readRecord(this.source, fatOffset + offset, WINDOW + 4)).bytes };
    const view = new DataView(this.window.bytes.buffer);
    const at = byte - offset;
    const value =
      bits === 32
        ? view.getUint32(at, true) & (this.layout.exfat ? 0xffffffff : 0x0fffffff)
        : bits === 16
          ? view.getUint16(at, true)
          : (view.getUint16(at, true) >> (cluster & 1 ? 4 : 0)) & 0xfff;
    const next = value >>> 0;
    const mask = bits === 32 ? (this.layout.exfat ? 0xffffffff : 0x0fffffff) : 2 ** bits - 1;
    if (next >= mask - 7) return null;
    if (next < 2 || next >= clusters + 2) throw new VolumeError('Its chain of clusters is broken');
    return next;
  }
}
