/** Devices over a connection: what comes in is read a piece ahead, and kept until somebody takes it. */
import type { ByteStream } from '../../nbd/index';
import { CharDevice, type CharFrontend, type PlatformStream } from './device';

export abstract class ConnectionDevice extends CharDevice {
  protected stream: ByteStream | null = null;
  /** Called when there is a frontend. */
  private readonly waiting: (() => void)[] = [];

  override attach(frontend: CharFrontend, id: string): void {
    super.attach(frontend, id);
    if (this.stream) frontend.opened();
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  protected send(bytes: Uint8Array): Promise<unknown> | null {
    return this.stream?.write([bytes]) ?? null;
  }

  /** Serves a connection to its end. */
  protected async serve(stream: ByteStream): Promise<void> {
    this.stream = stream;
    this.frontend?.opened();
    for (let piece = await stream.read(); piece; piece = await stream.read()) {
      while (!this.frontend && this.stream === stream) {
        await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
      if (this.stream !== stream) break;
      await this.frontend?.receive(piece);
    }
    if (this.stream === stream) this.stream = null;
    this.frontend?.closed();
    stream.close();
  }

  override close(): void {
    const { stream } = this;
    this.stream = null;
    for (const resolve of this.waiting.splice(0)) resolve();
    stream?.close();
    super.close();
  }
}

/** A device over one connection that is there from the beginning: a file, a pipe, the standard input and output. */
export class StreamDevice extends ConnectionDevice {
  readonly typeName: string;

  constructor(
    readonly filename: string,
    private readonly platform: PlatformStream,
  ) {
    super();
    this.typeName = `chardev-${filename}`;
    void this.serve(platform);
  }

  override sendBreak(): void {
    this.platform.sendBreak?.();
  }
}
