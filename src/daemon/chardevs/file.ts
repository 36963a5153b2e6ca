/** file, over any store of files: writes go to one file, and what is read comes from another one. */
import { FileError, type FileStore } from '../../files/contract';
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevFile } from '../../qapi/index';

/** Bytes that are read at once. */
const PIECE = 65536;

/** Opens the files. Without one to read from nothing ever comes in. */
export async function openFileStream(files: FileStore, options: ChardevFile): Promise<ByteStream> {
  const open = async (path: string, mode: Parameters<FileStore['open']>[1]) =>
    files.open(path, mode).catch((error: unknown) => {
      if (!(error instanceof FileError)) throw error;
      throw new QmpError(`Could not open '${path}': ${error.message}`);
    });
  const append = options.append ?? false;
  const output = await open(options.out, { write: true, create: append ? 'keep' : 'truncate' });
  let end = append ? output.size() : 0;
  const input = options.in === undefined ? null : await open(options.in, { write: false });
  let at = 0;
  let closed = false;
  let ended: () => void = () => undefined;
  const close = (): void => {
    if (closed) return;
    closed = true;
    ended();
    output.close();
    input?.close();
  };
  return {
    async read() {
      if (!input) {
        await new Promise<void>((resolve) => (ended = resolve));
        return null;
      }
      if (closed) return null;
      const bytes = new Uint8Array(PIECE);
      const length = input.read(bytes, at);
      at += length;
      return length === 0 ? null : bytes.subarray(0, length);
    },
    async write(pieces) {
      if (closed) return false;
      try {
        for (const piece of pieces) {
          output.write(piece, end);
          end += piece.length;
        }
        return true;
      } catch (error) {
        if (error instanceof FileError) return false;
        throw error;
      }
    },
    close,
    destroy: close,
  };
}
