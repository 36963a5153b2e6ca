/** Serial lines: terminals that the system has. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants } from 'node:fs';
import { isatty, ReadStream, WriteStream } from 'node:tty';
import type { ByteStream } from '../../nbd/index';
import { QmpError } from '../../qapi/index';
import { DuplexStream } from './duplex';
import { openAt } from './files';

/** As QEMU sets a line up: every byte goes through unchanged. */
const SETTINGS = ['raw', '-echo', '115200', 'cs8', '-cstopb', '-parenb'];

/** @param directory where a relative path begins */
export function openSerial(path: string, directory: string): ByteStream & { sendBreak(): void } {
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  const input = openAt(directory, path, flags);
  if (!isatty(input)) {
    closeSync(input);
    throw new QmpError(`Could not open '${path}': Inappropriate ioctl for device`);
  }
  const { error, status } = spawnSync('stty', SETTINGS, { stdio: [input, 'ignore', 'ignore'] });
  if (error ?? status !== 0) {
    closeSync(input);
    throw new QmpError(
      `'serial' is not available: Node.js cannot set up the line '${path}', and stty, which does it here, ${
        error ? 'is not there' : 'failed'
      }`,
    );
  }
  const output = openAt(directory, path, flags);
  const reader = new ReadStream(input);
  const writer = new WriteStream(output);
  const line = new DuplexStream(reader, writer, () => {
    reader.destroy();
    writer.destroySoon();
    // The streams have opened the terminal for themselves.
    closeSync(input);
    closeSync(output);
  });
  return Object.assign(line, { sendBreak: () => sendBreak(output) });
}

/** Python has the call that Node.js lacks; without it no break is sent. */
function sendBreak(line: number): void {
  const program = 'import termios; termios.tcsendbreak(0, 1)';
  spawn('python3', ['-I', '-c', program], { stdio: [line, 'ignore', 'ignore'] }).on('error', () => undefined);
}
