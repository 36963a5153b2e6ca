/** An image under inspection, as the page uses it. */
import { proxy, releaseProxy, wrap, type Remote } from 'comlink';
import type {
  CheckMode,
  CheckState,
  DiskSource,
  Field,
  ImageInspection,
  ImageView,
  MapPage,
  MapRequest,
  Overview,
  Place,
} from '../inspect/contract';

/** Runs a call that is rejected if the worker is ended meanwhile. */
type Caller = <T>(work: Promise<T>) => Promise<T>;

/** The structure of an image in the worker. Methods reject with a text for the user. */
export class Inspection implements ImageInspection {
  private readonly remote: Remote<ImageInspection>;

  constructor(
    private readonly port: MessagePort,
    private readonly call: Caller,
  ) {
    this.remote = wrap<ImageInspection>(port);
  }

  refresh(): Promise<Overview> {
    return this.call(this.remote.refresh());
  }

  state(): Promise<string> {
    return this.call(this.remote.state());
  }

  map(request: MapRequest): Promise<MapPage> {
    return this.call(this.remote.map(request));
  }

  describe(view: ImageView, offset: number): Promise<Place> {
    return this.call(this.remote.describe(view, offset));
  }

  read(view: ImageView, offset: number, length: number): Promise<Uint8Array> {
    return this.call(this.remote.read(view, offset, length));
  }

  fields(offset: number, length: number): Promise<readonly Field[]> {
    return this.call(this.remote.fields(offset, length));
  }

  size(view: ImageView): Promise<number> {
    return this.call(this.remote.size(view));
  }

  async unlock(
    passphrase: string,
    progress: (done: number, total: number) => void = () => undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const cancel = (): void => void this.cancelUnlock().catch(() => undefined);
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      await this.call(
        this.remote.unlock(
          passphrase,
          proxy((done: number, total: number) => progress(done, total)),
        ),
      );
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  cancelUnlock(): Promise<void> {
    return this.call(this.remote.cancelUnlock());
  }

  beginCheck(mode: CheckMode): Promise<void> {
    return this.call(this.remote.beginCheck(mode));
  }

  check(): Promise<CheckState> {
    return this.call(this.remote.check());
  }

  /** The disk as its guest sees it; rejects if it cannot be opened. */
  async disk(): Promise<DiskSource> {
    const size = await this.size('guest');
    return { size, read: (offset, length) => this.read('guest', offset, length) };
  }

  /** Lets go of the image. */
  async close(): Promise<void> {
    try {
      await this.call(this.remote.close());
    } finally {
      this.remote[releaseProxy]();
      this.port.close();
    }
  }
}
