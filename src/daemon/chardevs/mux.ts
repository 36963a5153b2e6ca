/** mux: several users on one device. What comes in goes to the one that has the focus; Ctrl-A and c give it to the next. */
import { QmpError } from '../../qapi/index';
import { CharDevice, type CharFrontend } from './device';

const MOST_USERS = 4;
const ESCAPE = 0x01;

/** Keys behind the escape character. */
const HELP = `\n\r
C-a h    print this help\n\r
C-a x    exit emulator\n\r
C-a b    send break (magic sysrq)\n\r
C-a c    switch between console and monitor\n\r
C-a C-a  sends C-a\n\r`.replaceAll('\r\n', '\r');

const encoder = new TextEncoder();

export class MuxDevice extends CharDevice implements CharFrontend {
  readonly typeName = 'chardev-mux';
  readonly filename = 'mux';
  private readonly users: CharFrontend[] = [];
  private focus = 0;
  private isOpen = false;
  private escaped = false;

  /** @param exit ends the program, for C-a x */
  constructor(
    private readonly base: CharDevice,
    baseId: string,
    private readonly exit: () => void,
  ) {
    super();
    base.attach(this, baseId);
  }

  override get busy(): boolean {
    return this.users.length > 0;
  }

  override attach(frontend: CharFrontend, id: string): void {
    if (this.users.length === MOST_USERS) {
      throw new QmpError(`too many uses of multiplexed chardev '${id}' (maximum is ${MOST_USERS})`);
    }
    this.users.push(frontend);
    this.focus = this.users.length - 1;
    if (this.isOpen) frontend.opened();
  }

  override detach(frontend: CharFrontend): void {
    const at = this.users.indexOf(frontend);
    if (at >= 0) this.users.splice(at, 1);
    this.focus = 0;
  }

  protected send(bytes: Uint8Array): Promise<unknown> | null {
    return this.base.write(bytes);
  }

  opened(): void {
    this.isOpen = true;
    for (const user of this.users) user.opened();
  }

  closed(): void {
    this.isOpen = false;
    for (const user of this.users) user.closed();
  }

  async receive(bytes: Uint8Array): Promise<void> {
    let plain: number[] = [];
    const flush = async (): Promise<void> => {
      const piece = Uint8Array.from(plain);
      plain = [];
      if (piece.length > 0) await this.users[this.focus]?.receive(piece);
    };
    for (const byte of bytes) {
      if (this.escaped) {
        this.escaped = false;
        if (byte === ESCAPE) plain.push(byte);
        else {
          await flush();
          this.command(String.fromCharCode(byte));
        }
      } else if (byte === ESCAPE) {
        this.escaped = true;
      } else {
        plain.push(byte);
      }
    }
    await flush();
  }

  private command(key: string): void {
    if (key === 'c') this.focus = (this.focus + 1) % Math.max(1, this.users.length);
    else if (key === 'h' || key === '?') void this.send(encoder.encode(HELP));
    else if (key === 'x') {
      void this.send(encoder.encode('QEMU: Terminated\n\r'));
      this.exit();
    }
  }

  override sendBreak(): void {
    this.base.sendBreak();
  }

  override close(): void {
    this.base.detach(this);
    super.close();
  }
}
