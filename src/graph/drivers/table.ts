/** All drivers, by name and by the prefix of file names. */
import { GraphError } from '../errors';
import type { CreateOption } from '../api';
import { protocolOf } from '../stored-name';
import type { BlockdevDriver } from '../../qapi/types.generated';
import { blkdebug } from './blkdebug';
import { blklogwrites } from './blklogwrites';
import { blkverify } from './blkverify';
import { compress } from './compress';
import { copyBeforeWrite, snapshotAccess } from './copybeforewrite';
import { copyOnRead } from './copyonread';
import type { Driver } from './driver';
import type { AmendDriver } from '../node';
import { notYet } from './driver';
import { file } from './file';
import { luks } from './luks';
import { nbd } from './nbd';
import { nullAio, nullCo } from './null';
import { preallocate } from './preallocate';
import { qcow2 } from './qcow2';
import { quorum } from './quorum';
import { raw } from './raw';
import { throttle } from './throttle';

const DRIVERS: ReadonlyMap<string, Driver> = new Map(
  [
    file,
    luks,
    nbd,
    nullCo,
    nullAio,
    qcow2,
    raw,
    blkdebug,
    compress,
    copyOnRead,
    throttle,
    quorum,
    copyBeforeWrite,
    snapshotAccess,
    preallocate,
    blkverify,
    blklogwrites,
  ].map((driver) => [driver.name, driver]),
);

/** Prefixes of file names that QEMU gives to other protocols, and their drivers. */
const OTHER_PREFIXES: Readonly<Record<string, string>> = {
  fat: 'vvfat',
  ftp: 'ftp',
  ftps: 'ftps',
  host_device: 'host_device',
  http: 'http',
  https: 'https',
  nvme: 'nvme',
  ssh: 'ssh',
};

/** Drivers of the schema that make new images with blockdev-create and are not here yet. */
const OTHER_CREATORS = ['parallels', 'qcow', 'qed', 'vdi', 'vhdx', 'vmdk', 'vpc'];

/** Drivers of the schema that are not here yet. */
const LATER: Readonly<
  Record<
    Exclude<
      BlockdevDriver,
      | 'file'
      | 'luks'
      | 'nbd'
      | 'null-co'
      | 'null-aio'
      | 'qcow2'
      | 'raw'
      | 'blkdebug'
      | 'compress'
      | 'copy-on-read'
      | 'throttle'
      | 'quorum'
      | 'copy-before-write'
      | 'snapshot-access'
      | 'preallocate'
      | 'blkverify'
      | 'blklogwrites'
    >,
    true
  >
> = {
  blkreplay: true,
  bochs: true,
  cloop: true,
  dmg: true,
  ftp: true,
  ftps: true,
  gluster: true,
  host_cdrom: true,
  host_device: true,
  http: true,
  https: true,
  iscsi: true,
  nfs: true,
  nvme: true,
  parallels: true,
  qcow: true,
  qed: true,
  rbd: true,
  replication: true,
  ssh: true,
  vdi: true,
  vhdx: true,
  vmdk: true,
  vpc: true,
  vvfat: true,
};

/**
 * Whether the schema has a driver of this name. The compiler compares the names with the schema's, so that the tools start
 * without its data.
 */
export function knownToQemu(name: string): boolean {
  return DRIVERS.has(name) || Object.hasOwn(LATER, name);
}

const missing = (name: string) => notYet(`block driver '${name}'`);

/** The driver of this name; throws for unknown ones and for those that are still to come. */
export function findDriver(name: string): Driver {
  const driver = DRIVERS.get(name);
  if (driver) return driver;
  throw knownToQemu(name) ? missing(name) : new GraphError(`Unknown driver '${name}'`);
}

/** The driver to create an image with, by `qemu-img`'s rules: some drivers of the schema cannot, in QEMU neither. */
export function findCreator(name: string): Driver {
  if (DRIVERS.has(name) || OTHER_CREATORS.includes(name)) return findDriver(name);
  throw new GraphError(
    knownToQemu(name)
      ? `Format driver '${name}' does not support image creation`
      : `Unknown file format '${name}'`,
  );
}

/** What an image format can be told at creation and by amend; absent: it cannot be made, or changed. */
export interface ImageFormat {
  name: string;
  create?: readonly CreateOption[];
  amend?: readonly CreateOption[];
}

/** Formats that users name: those that are made by `qemu-img create`, in the order of their names. */
export function imageFormats(): ImageFormat[] {
  return [...DRIVERS.values()]
    .filter(({ createOptions, prefixes }) => createOptions && prefixes.length === 0)
    .map(({ name, createOptions = [], imageAmend }) => ({
      name,
      create: createOptions,
      ...(imageAmend && { amend: imageAmend.options }),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** How `qemu-img amend` changes images of a format; throws for formats that it cannot change. */
export function findAmender(name: string): AmendDriver {
  if (!knownToQemu(name)) throw new GraphError(`Unknown file format '${name}'`);
  const amender = DRIVERS.get(name)?.imageAmend;
  if (!amender) throw new GraphError(`Format driver '${name}' does not support option amendment`);
  return amender;
}

/** The driver that a file name asks for: by its prefix, or `file`. */
export function protocolDriver(filename: string, allowPrefix: boolean): Driver {
  const prefix = allowPrefix ? protocolOf(filename) : null;
  if (prefix === null) return file;
  for (const driver of DRIVERS.values()) {
    if (driver.prefixes.includes(prefix)) return driver;
  }
  const other = Object.hasOwn(OTHER_PREFIXES, prefix) ? OTHER_PREFIXES[prefix] : undefined;
  throw other === undefined ? new GraphError(`Unknown protocol '${prefix}'`) : missing(other);
}

/** Throws unless `blockdev-create` can make images of this driver. */
export function checkCreatable(name: string): void {
  if (name === 'file' || name === 'qcow2' || name === 'luks') return;
  if (OTHER_CREATORS.includes(name)) throw notYet(`creation of ${name} images`);
  throw new GraphError('Driver does not support blockdev-create');
}
