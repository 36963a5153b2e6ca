/** pty: a pseudo terminal; who opens it is the other end. */
import type { ByteStream } from '../../nbd/index';
import type { OpenTerminal, Terminal } from './device';
import { ConnectionDevice } from './stream';

export class TerminalDevice extends ConnectionDevice {
  readonly typeName = 'chardev-pty';

  private constructor(private readonly terminal: Terminal) {
    super();
  }

  /** Makes a terminal. */
  static async open(openTerminal: OpenTerminal): Promise<TerminalDevice> {
    let serve: (stream: ByteStream) => void = (stream) => stream.destroy();
    const device = new TerminalDevice(await openTerminal((stream) => serve(stream)));
    // One after the other: what the last one said is dealt with first.
    let last = Promise.resolve();
    serve = (stream) => void (last = last.then(() => device.serve(stream)));
    return device;
  }

  /** Where programs open it. */
  get path(): string {
    return this.terminal.path;
  }

  get filename(): string {
    return `pty:${this.path}`;
  }

  override close(): void {
    super.close();
    this.terminal.close();
  }
}
