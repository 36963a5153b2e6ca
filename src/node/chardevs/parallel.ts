/** Parallel ports, which Node.js cannot drive. */
import { closeSync, constants, fstatSync } from 'node:fs';
import { QmpError } from '../../qapi/index';
import { openAt } from './files';

/** The driver of parallel ports in Linux. */
const MAJOR = 99;

/**
 * Why a port cannot be had; what is wrong with the path itself is thrown.
 * @param directory where a relative path begins
 */
export function parallelRefusal(path: string, directory: string): string {
  const port = openAt(directory, path, constants.O_RDWR | constants.O_NONBLOCK);
  const status = fstatSync(port);
  closeSync(port);
  const major = Math.floor(status.rdev / 256) % 4096;
  if (!status.isCharacterDevice() || major !== MAJOR) {
    throw new QmpError('not a parallel port: Inappropriate ioctl for device');
  }
  return 'Node.js cannot drive parallel ports';
}
