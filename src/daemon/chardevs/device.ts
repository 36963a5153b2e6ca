/**
 * Character devices: streams of bytes with a name. At the back is what a kind is about (a socket, a file, a ring in memory); at
 * the front somebody who reads and writes (a monitor, a multiplexer), or nobody.
 */
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevBackend, type QmpValue } from '../../qapi/index';
import type { PropertyHolder, PropertyValue } from '../objects/object';
import type { LogFile } from './logfile';

export type ChardevKind = ChardevBackend['type'];

/** Who uses a device. */
export interface CharFrontend {
  /** Somebody is at the other end from now on. */
  opened(): void;
  /** Bytes from there; the next ones come when it resolves. */
  receive(bytes: Uint8Array): Promise<void>;
  /** Nobody is there any more. */
  closed(): void;
}

/** A stream of the platform; a serial line can send a break. */
export type PlatformStream = ByteStream & { sendBreak?(): void };

/** A terminal that the platform made. */
export interface Terminal {
  /** Where programs open it. */
  readonly path: string;
  /** Removes it. */
  close(): void;
}

/** Makes a terminal. `serve` is called each time that somebody opens it; the stream ends when nobody has it open any more. */
export type OpenTerminal = (serve: (stream: ByteStream) => void) => Promise<Terminal>;

/** What the platform makes of kinds that it alone knows. */
export interface PlatformChardevs {
  readonly kinds: readonly ChardevKind[];
  /** Opens one of these but pty; refusals are thrown with QEMU's text. */
  open(backend: ChardevBackend): Promise<PlatformStream>;
  readonly openTerminal: OpenTerminal;
  /** Why one of another kind cannot be; what is wrong with the one that is asked for is thrown. */
  reason(backend: ChardevBackend): string | undefined;
}

export abstract class CharDevice implements PropertyHolder {
  abstract readonly typeName: string;
  /** What is at the back, as query-chardev shows it. */
  abstract readonly filename: string;
  /** Keeps a copy of what the front writes. */
  log: LogFile | null = null;
  protected frontend: CharFrontend | null = null;

  /** Who uses it. */
  get user(): CharFrontend | null {
    return this.frontend;
  }

  /** Somebody uses it. */
  get busy(): boolean {
    return this.frontend !== null;
  }

  /** Takes a user; throws if it takes no more. `id` is the name of the device. */
  attach(frontend: CharFrontend, id: string): void {
    if (this.busy) throw new QmpError(`chardev '${id}' is already in use`);
    this.frontend = frontend;
  }

  detach(_frontend: CharFrontend): void {
    this.frontend = null;
  }

  /**
   * Sends bytes to the other end; they are lost if nobody is there. Resolves when the other end has taken enough of what was
   * sent to it; null: it has.
   */
  write(bytes: Uint8Array): Promise<unknown> | null {
    this.log?.append(bytes);
    return this.send(bytes);
  }

  /** Sends a break, if it is of a kind that has one. */
  sendBreak(): void {
    // A line that has one overrides this.
  }

  protected abstract send(bytes: Uint8Array): Promise<unknown> | null;

  close(): void {
    this.log?.close();
  }

  get(property: string): PropertyValue {
    throw new QmpError(`Property '${this.typeName}.${property}' not found`);
  }

  set(property: string, _value: QmpValue): void {
    throw new QmpError(`Property '${this.typeName}.${property}' is not writable`);
  }
}

/** Takes everything, gives nothing. */
export class NullDevice extends CharDevice {
  readonly typeName = 'chardev-null';
  readonly filename = 'null';

  override attach(frontend: CharFrontend, id: string): void {
    super.attach(frontend, id);
    frontend.opened();
  }

  protected send(): null {
    return null;
  }
}
