/** Options that say how an image is opened, of the command line of qemu-io and of its commands open and reopen. */
import { CACHE_MODES, type CacheMode } from '../../graph';
import { ToolFailure } from '../failure';
import type { IoOpenRequest } from './session';

const DISCARD: Readonly<Record<string, 'ignore' | 'unmap'>> = {
  ignore: 'ignore',
  off: 'ignore',
  unmap: 'unmap',
  on: 'unmap',
};
const AIO: readonly string[] = ['threads', 'native', 'io_uring'];

/** A cache mode of -t or -c. */
export function readCacheMode(text: string): CacheMode {
  if (!Object.hasOwn(CACHE_MODES, text)) throw new ToolFailure(`Invalid cache option: ${text}`);
  return text as CacheMode;
}

/** Gathers the options, letter by letter. */
export class OpenOptions {
  private cache: CacheMode = 'writethrough';
  private discard: 'ignore' | 'unmap' = 'unmap';
  private native = false;
  private readOnly = false;
  private forceShare = false;
  private snapshot = false;
  private copyOnRead = false;

  /** Takes an option; false: it is none of opening. Throws {@link ToolFailure} on a wrong value. */
  take(code: string, value: string): boolean {
    switch (code) {
      case 'r':
        this.readOnly = true;
        return true;
      case 'U':
        this.forceShare = true;
        return true;
      case 'n':
        this.cache = 'none';
        return true;
      case 't':
        this.cache = readCacheMode(value);
        return true;
      case 'd': {
        const mode = DISCARD[value];
        if (!mode) throw new ToolFailure(`Invalid discard option: ${value}`);
        this.discard = mode;
        return true;
      }
      case 'k':
        this.native = true;
        return true;
      case 'i':
        if (!AIO.includes(value)) throw new ToolFailure(`Invalid aio option: ${value}`);
        this.native = value === 'native';
        return true;
      case 's':
        this.snapshot = true;
        return true;
      case 'C':
        this.copyOnRead = true;
        return true;
      default:
        return false;
    }
  }

  /** What to open. Throws what the file driver says to options that do not fit together. */
  request(): IoOpenRequest {
    const { cache, discard, readOnly, forceShare, snapshot, copyOnRead } = this;
    const direct = cache === 'none' || cache === 'off' || cache === 'directsync';
    if (this.native && !direct) {
      throw new ToolFailure(
        'aio=native was specified, but it requires cache.direct=on, which was not specified.',
      );
    }
    return { cache, discard, readOnly, forceShare, snapshot, copyOnRead };
  }
}
