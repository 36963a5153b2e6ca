/**
 * The few globals that browsers, workers and Node.js all have and that the layers without DOM and without Node
 * types may use. Anything else reaches those layers through an interface passed in by a composition root.
 */
declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: ArrayBufferView | ArrayBuffer, options?: { stream?: boolean }): string;
}
declare class AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
declare function setTimeout(callback: () => void, milliseconds?: number): unknown;
declare function clearTimeout(handle: unknown): void;
/** Base64 of a text whose characters are bytes. */
declare function btoa(bytes: string): string;
declare function queueMicrotask(callback: () => void): void;
declare const performance: { now(): number };
declare const crypto: {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  /** Missing in pages that were not loaded safely. */
  readonly subtle?: SubtleCrypto;
};
interface SubtleCrypto {
  digest(algorithm: 'SHA-1', bytes: Uint8Array): Promise<ArrayBuffer>;
  importKey(
    format: 'raw',
    key: Uint8Array,
    algorithm: 'PBKDF2',
    extractable: false,
    usages: readonly 'deriveBits'[],
  ): Promise<CryptoKey>;
  deriveBits(
    algorithm: { name: 'PBKDF2'; hash: string; salt: Uint8Array; iterations: number },
    key: CryptoKey,
    bits: number,
  ): Promise<ArrayBuffer>;
}
interface CryptoKey {
  readonly type: string;
}

declare namespace WebAssembly {
  class Module {
    constructor(bytes: BufferSource);
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class RuntimeError extends Error {}
  type BufferSource = ArrayBufferView | ArrayBuffer;
  function compile(bytes: BufferSource): Promise<Module>;
}
