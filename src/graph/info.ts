/** What is told of nodes: BlockNodeInfo, ImageInfo, BlockGraphInfo, BlockDeviceInfo, BlockStats (graph.md section 11). */
import { BlockError } from '../engine/contract';
import { Errno } from '../files/contract';
import type { BlockDeviceInfo, BlockGraphInfo, BlockNodeInfo, BlockStats, ImageInfo } from './api';
import { belowInChain } from './chain';
import { dirtyInfo } from './bitmaps';
import { GraphError } from './errors';
import { fullBackingName } from './stored-name';
import { Role, type BlockNode } from './node';
import { listSnapshots, snapshotsOf } from './images/snapshots';

/** Bytes of storage below a node; null: a node below it cannot tell. */
function allocatedBytes(node: BlockNode): number | null {
  try {
    return node.engine.allocated(node.handle);
  } catch (error) {
    if (error instanceof BlockError && error.errno === Errno.ENOTSUP) return null;
    throw error;
  }
}

/** Facts of one node. Members that do not apply are left out. */
export function nodeInfo(node: BlockNode): BlockNodeInfo {
  if (node.ejected) throw new GraphError(`Block device ${node.name} is ejected`);
  const info: BlockNodeInfo = {
    filename: node.filename,
    format: node.driver,
    'virtual-size': node.length(),
  };
  const allocated = allocatedBytes(node);
  if (allocated !== null) info['actual-size'] = allocated;
  const details = node.type.details(node);
  if (details) {
    info['dirty-flag'] = details.dirty;
    if (details.clusterSize > 0) info['cluster-size'] = details.clusterSize;
  }
  if (node.type.encrypted?.(node)) info.encrypted = true;
  if (node.backingFile !== '') {
    info['backing-filename'] = node.backingFile;
    const full = fullBackingName(node);
    if (full !== null) info['full-backing-filename'] = full;
    if (node.backingFormat !== '') info['backing-filename-format'] = node.backingFormat;
  }
  const holder = snapshotsOf(node);
  const snapshots = (holder && listSnapshots(holder)) ?? [];
  if (snapshots.length > 0) info.snapshots = snapshots;
  const specific = node.type.specific?.(node);
  if (specific) info['format-specific'] = specific;
  return info;
}

/** Facts of a node and, unless `flat`, of its backing chain. */
function imageInfo(node: BlockNode, flat: boolean): ImageInfo {
  const top: ImageInfo = nodeInfo(node);
  let info = top;
  let at = belowInChain(node);
  while (!flat && at) {
    const next: ImageInfo = nodeInfo(at);
    info['backing-image'] = next;
    info = next;
    at = belowInChain(at);
  }
  return top;
}

/** Facts of a node and of all below it. */
export function graphInfo(node: BlockNode): BlockGraphInfo {
  const children = node.links.map((link) => ({ name: link.name, info: graphInfo(link.node) }));
  return { ...nodeInfo(node), children };
}

/** A node as query-named-block-nodes shows it. */
export function deviceInfo(node: BlockNode, flat: boolean): BlockDeviceInfo {
  // The chain is not walked for a flat list, not even to count it.
  let depth = 0;
  for (let at = flat ? null : belowInChain(node); at; at = belowInChain(at)) depth++;
  const { backing, common } = node;
  const dirty = dirtyInfo(node);
  return {
    file: node.filename,
    'node-name': node.name,
    ro: common.readOnly,
    drv: node.driver,
    ...(backing && { backing_file: backing.filename }),
    backing_file_depth: depth,
    encrypted: node.type.encrypted?.(node) ?? false,
    detect_zeroes: common.detectZeroes,
    bps: 0,
    bps_rd: 0,
    bps_wr: 0,
    iops: 0,
    iops_rd: 0,
    iops_wr: 0,
    image: imageInfo(node, flat),
    cache: { writeback: true, direct: common.direct, 'no-flush': common.noFlush },
    ...(dirty.length > 0 && { 'dirty-bitmaps': dirty }),
    write_threshold: node.writeThreshold,
  };
}

/**
 * Counters of a node and of what is below it. Requests are counted at devices, which the storage daemon has not: of a
 * node only the highest offset written is known, and what the driver itself counts.
 */
export function nodeStats(node: BlockNode): BlockStats {
  const child = statsChild(node);
  const specific = node.type.statistics?.(node);
  return {
    'node-name': node.name,
    stats: {
      rd_bytes: 0,
      wr_bytes: 0,
      zone_append_bytes: 0,
      unmap_bytes: 0,
      rd_operations: 0,
      wr_operations: 0,
      zone_append_operations: 0,
      flush_operations: 0,
      unmap_operations: 0,
      rd_total_time_ns: 0,
      wr_total_time_ns: 0,
      zone_append_total_time_ns: 0,
      flush_total_time_ns: 0,
      unmap_total_time_ns: 0,
      wr_highest_offset: node.engine.stats(node.handle).highestWrite,
      rd_merged: 0,
      wr_merged: 0,
      zone_append_merged: 0,
      unmap_merged: 0,
      failed_rd_operations: 0,
      failed_wr_operations: 0,
      failed_zone_append_operations: 0,
      failed_flush_operations: 0,
      failed_unmap_operations: 0,
      invalid_rd_operations: 0,
      invalid_wr_operations: 0,
      invalid_zone_append_operations: 0,
      invalid_flush_operations: 0,
      invalid_unmap_operations: 0,
      account_invalid: false,
      account_failed: false,
      timed_stats: [],
    },
    ...(specific && { 'driver-specific': specific }),
    ...(child && { parent: nodeStats(child) }),
  };
}

/** The one child whose counters stand for the storage below. */
function statsChild(node: BlockNode): BlockNode | null {
  const storage = node.links.filter((link) => link.role & (Role.DATA | Role.FILTERED));
  return storage.length === 1 ? (storage[0]?.node ?? null) : node.primary;
}
