/**
 * zstd, by the library @hpcc-js/wasm-zstd: the reference implementation as WebAssembly, inside one module of JavaScript,
 * so that it works in workers and under Node.js without a request for a second file. It is only loaded when an image
 * needs it.
 *
 * The convenience functions of the library copy byte by byte (17 MB/s) and take the size of what they allocate from the
 * data. So its C functions are called here as they are, on two blocks of memory whose sizes are those of a cluster.
 */

/** The C functions; a failure is a size that {@link Functions.isError} knows. */
interface Functions {
  malloc(bytes: number): number;
  free(pointer: number): void;
  compress(to: number, capacity: number, from: number, bytes: number, level: number): number;
  decompress(to: number, capacity: number, from: number, bytes: number): number;
  /** Bytes of the frame at `from`. */
  findFrameCompressedSize(from: number, bytes: number): number;
  compressBound(bytes: number): number;
  isError(code: number): number;
  defaultCLevel(): number;
}

/** What the library's object holds. */
interface Internals {
  _zstdClass: Functions;
  _mainModule: { _module: { HEAPU8: Uint8Array } };
}

/** A block of the library's memory that grows to the largest size asked for. */
class Block {
  private pointer = 0;
  private bytes = 0;

  constructor(private readonly functions: Functions) {}

  /** Address of at least `bytes`; 0: there is no memory. The content is lost. */
  get(bytes: number): number {
    if (bytes > this.bytes) {
      if (this.pointer) this.functions.free(this.pointer);
      this.pointer = this.functions.malloc(bytes);
      this.bytes = this.pointer ? bytes : 0;
    }
    return this.pointer;
  }
}

/** Compresses and decompresses clusters. */
export class Zstd {
  private readonly input: Block;
  private readonly output: Block;

  private constructor(
    private readonly functions: Functions,
    private readonly module: Internals['_mainModule']['_module'],
  ) {
    this.input = new Block(functions);
    this.output = new Block(functions);
  }

  static async load(): Promise<Zstd> {
    const library = await import('@hpcc-js/wasm-zstd');
    const { _zstdClass, _mainModule } = (await library.Zstd.load()) as unknown as Internals;
    return new Zstd(_zstdClass, _mainModule._module);
  }

  /** Puts bytes into the library's memory; 0: there is none. */
  private put(bytes: Uint8Array): number {
    const pointer = this.input.get(bytes.length);
    if (pointer) this.module.HEAPU8.set(bytes, pointer);
    return pointer;
  }

  /** Compresses at the default level, as one frame, into `to`; answers its length, or 0 if it does not fit. */
  compress(from: Uint8Array, to: Uint8Array): number {
    const { functions, module } = this;
    const source = this.put(from);
    const capacity = functions.compressBound(from.length);
    const target = this.output.get(capacity);
    if (!source || !target) return 0;
    const bytes = functions.compress(target, capacity, source, from.length, functions.defaultCLevel());
    if (functions.isError(bytes) || bytes > to.length) return 0;
    to.set(module.HEAPU8.subarray(target, target + bytes));
    return bytes;
  }

  /**
   * Decompresses frame by frame until `to` is full; what is behind the last frame is padding. False: the data is damaged,
   * or it is less than `to`, or a frame is more.
   */
  decompress(from: Uint8Array, to: Uint8Array): boolean {
    const { functions, module } = this;
    const source = this.put(from);
    const target = this.output.get(to.length);
    if (!source || !target) return false;
    let read = 0;
    let written = 0;
    while (written < to.length) {
      // Its end must be known: the library takes what follows a frame for the next one, and padding is none.
      const frame = functions.findFrameCompressedSize(source + read, from.length - read);
      if (functions.isError(frame) || frame === 0) return false;
      const bytes = functions.decompress(target + written, to.length - written, source + read, frame);
      if (functions.isError(bytes)) return false;
      read += frame;
      written += bytes;
    }
    to.set(module.HEAPU8.subarray(target, target + to.length));
    return true;
  }
}
