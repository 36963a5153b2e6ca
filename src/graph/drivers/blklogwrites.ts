/** blklogwrites: all that changes a disk is written to a log as well. */
import type { NodeHandle } from '../../engine/contract';
import { GraphError } from '../errors';
import { Role, type BlockNode } from '../node';
import { filteredDetails, type Driver, type OpenContext } from './driver';

const SECTOR = 512;
const MAX_SECTOR = 8 * 1024 * 1024;
/** Bytes of an entry, which must fit a sector. */
const ENTRY = 32;
const INTERVAL = 4096n;

/** Bytes of the sectors of a node's log. */
const sectors = new WeakMap<BlockNode, number>();

function checkSector(bytes: number): number {
  const power = bytes > 0 && Number.isInteger(Math.log2(bytes));
  if (!power || bytes < ENTRY || bytes > MAX_SECTOR) {
    throw new GraphError(`Invalid log sector size ${bytes}`);
  }
  return bytes;
}

export const blklogwrites: Driver = {
  name: 'blklogwrites',
  protocol: false,
  prefixes: [],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: ['log-append', 'log-sector-size'],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    const log = await context.openChild('log', Role.METADATA, true);
    const append = options.takeBoolean('log-append') ?? false;
    const given = options.takeSize('log-sector-size');
    const interval = options.takeNumber('log-super-update-interval') ?? INTERVAL;
    if (append && given !== undefined) {
      throw new GraphError('log-append and log-sector-size are mutually exclusive');
    }
    const sector = checkSector(given ?? SECTOR);
    if (interval === 0n) throw new GraphError('Invalid log superblock update interval 0');
    const handle = engine.storageFilters.openBlklogwrites(file.handle, log.handle, {
      readOnly: node.readOnly,
      sector,
      // More entries than there can be.
      interval: Math.min(Number(interval), Number.MAX_SAFE_INTEGER),
    });
    try {
      sectors.set(node, append ? engine.storageFilters.appendLog(handle) : sector);
    } catch (error) {
      engine.close(handle);
      throw error;
    }
    return handle;
  },
  requestAlignment: (node) => sectors.get(node) ?? 1,
  details: filteredDetails,
};
