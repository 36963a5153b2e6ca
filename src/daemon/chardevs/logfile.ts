/** The file that keeps a copy of what goes out through a character device. */
import { FileError, type BlockFile, type FileStore } from '../../files/contract';
import { QmpError } from '../../qapi/index';

export class LogFile {
  private constructor(
    private readonly file: BlockFile,
    private position: number,
  ) {}

  /** @param append behind what is in the file already */
  static async open(files: FileStore, path: string, append: boolean): Promise<LogFile> {
    try {
      const file = await files.open(path, { write: true, create: append ? 'keep' : 'truncate' });
      return new LogFile(file, append ? file.size() : 0);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      throw new QmpError(`Could not create '${path}': ${error.message}`);
    }
  }

  /** What the storage does not take is left out: the device works on. */
  append(bytes: Uint8Array): void {
    try {
      this.file.write(bytes, this.position);
      this.position += bytes.length;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
    }
  }

  close(): void {
    this.file.close();
  }
}
