/** Files of any kind, and pairs of pipes. */
import { closeSync, constants, createReadStream, createWriteStream, existsSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { resolve } from 'node:path';
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevFile } from '../../qapi/index';
import { strerrorOf } from '../strerror';
import { DuplexStream } from './duplex';

/** Opens a path; refusals have the text for the user. `directory` is where relative paths begin. */
export function openAt(directory: string, path: string, flags: number): number {
  try {
    if (path === '') throw new QmpError(`Could not open '': No such file or directory`);
    return openSync(resolve(directory, path), flags, 0o666);
  } catch (error) {
    throw error instanceof QmpError ? error : new QmpError(`Could not open '${path}': ${strerrorOf(error)}`);
  }
}

export function openFile(options: ChardevFile, directory: string): ByteStream {
  const behind = (options.append ?? false) ? constants.O_APPEND : constants.O_TRUNC;
  const output = openAt(directory, options.out, constants.O_WRONLY | constants.O_CREAT | behind);
  let input: number | null = null;
  try {
    if (options.in !== undefined) input = openAt(directory, options.in, constants.O_RDONLY);
  } catch (error) {
    closeSync(output);
    throw error;
  }
  const reader = input === null ? null : createReadStream('', { fd: input });
  const writer = createWriteStream('', { fd: output });
  return new DuplexStream(reader, writer, () => {
    writer.end();
    reader?.destroy();
  });
}

/** PATH.in and PATH.out if they are there, else PATH for both. */
export function openPipe(path: string, directory: string): ByteStream {
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const isPair = ['.in', '.out'].every((end) => existsSync(resolve(directory, path + end)));
  const input = openAt(directory, isPair ? `${path}.in` : path, flags);
  const output = openAt(directory, isPair ? `${path}.out` : path, flags);
  try {
    const reader = new Socket({ fd: input, readable: true, writable: false });
    const writer = new Socket({ fd: output, readable: false, writable: true });
    return new DuplexStream(reader, writer, () => {
      writer.end();
      writer.destroySoon();
      reader.destroy();
    });
  } catch {
    throw new QmpError(`Could not open '${path}': it is no pipe`);
  }
}
