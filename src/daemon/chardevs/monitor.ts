/** A monitor on a character device: a conversation for each time that somebody is there. */
import type { Monitor, MonitorOptions } from '../monitor';
import type { CharDevice, CharFrontend } from './device';

const encoder = new TextEncoder();

export class MonitorFrontend implements CharFrontend {
  private monitor: Monitor | null = null;

  constructor(
    private readonly open: (options: MonitorOptions) => Monitor,
    private readonly device: CharDevice,
    private readonly pretty: boolean,
  ) {}

  opened(): void {
    this.monitor = this.open({
      write: (text) => this.device.write(encoder.encode(text)),
      pretty: this.pretty,
    });
  }

  async receive(bytes: Uint8Array): Promise<void> {
    await this.monitor?.receive(bytes);
  }

  closed(): void {
    this.monitor?.close();
    this.monitor = null;
  }
}
