import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RingBuffer } from '../../../src/daemon/chardevs/ringbuf';
import { MuxDevice } from '../../../src/daemon/chardevs/mux';
import { NullDevice, type CharFrontend } from '../../../src/daemon/chardevs/device';
import type { MemoryStore } from '../../../src/files/memory';
import type { QmpObject, QmpValue } from '../../../src/qapi';
import { openDaemon } from '../daemon';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

async function content(files: MemoryStore, name: string): Promise<string> {
  const file = await files.open(name, { write: false });
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return text(bytes);
}

/** Someone who notes what comes. */
class Listening implements CharFrontend {
  heard = '';
  opened(): void {
    this.heard += '[';
  }
  closed(): void {
    this.heard += ']';
  }
  async receive(bytes: Uint8Array): Promise<void> {
    this.heard += text(bytes);
  }
}

/** A device whose other end is the test. */
class TestDevice extends NullDevice {
  sent = '';
  protected override send(bytes?: Uint8Array): null {
    this.sent += text(bytes ?? new Uint8Array());
    return null;
  }
}

describe('a ring', () => {
  it('has the last bytes that were written and not read', () => {
    const step = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 20 }));
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 8, 16), fc.array(step), (size, steps) => {
        const ring = new RingBuffer('ringbuf', size);
        let kept: number[] = [];
        for (const given of steps) {
          if (typeof given === 'number') {
            expect([...ring.take(given)]).toEqual(kept.slice(0, given));
            kept = kept.slice(given);
          } else {
            ring.put(given);
            kept = [...kept, ...given].slice(-size);
          }
        }
      }),
    );
  });

  it('takes no more memory than others can spare', () => {
    expect(() => new RingBuffer('memory', 2 ** 40)).toThrow('Cannot allocate memory');
    const none = new RingBuffer('ringbuf', 0);
    none.put(Uint8Array.of(1));
    expect(none.take(1)).toEqual(new Uint8Array());
  });
});

describe('a multiplexer', () => {
  it('gives what comes in to one user, and each in turn', async () => {
    const base = new TestDevice();
    let ends = 0;
    const mux = new MuxDevice(base, 'base', () => ends++);
    const users = [new Listening(), new Listening()];
    for (const user of users) mux.attach(user, 'mux');
    const type = (typed: string) => mux.receive(new TextEncoder().encode(typed));
    await type('two\u0001cone\u0001');
    await type('ctwo\u0001\u0001');
    expect(users.map(({ heard }) => heard)).toEqual(['[one', '[twotwo\u0001']);
    void mux.write(new TextEncoder().encode('out'));
    await type('\u0001h');
    expect(base.sent).toMatch(/^out\n\rC-a h {4}print this help\n\r/);
    await type('\u0001x');
    expect(base.sent).toMatch(/QEMU: Terminated\n\r$/);
    expect(ends).toBe(1);
    mux.attach(new Listening(), 'mux');
    mux.attach(new Listening(), 'mux');
    expect(() => mux.attach(new Listening(), 'mux')).toThrow(
      "too many uses of multiplexed chardev 'mux' (maximum is 4)",
    );
    expect(base.busy).toBe(true);
    mux.close();
    expect(base.busy).toBe(false);
  });
});

describe('character devices without a platform', () => {
  it('write files, and read others', async () => {
    const { daemon, files } = await openDaemon();
    const add = (id: string, backend: QmpValue) => daemon.execute('chardev-add', { id, backend });
    const file = await files.open('in', { write: true, create: 'truncate' });
    file.write(Buffer.from('{"execute": "qmp_capabilities"}{"execute": "query-jobs"}'), 0);
    file.close();
    expect(await add('f', { type: 'file', data: { out: 'out', in: 'in', logfile: 'log' } })).toEqual({
      return: {},
    });
    daemon.addMonitor('f', false);
    expect((await daemon.execute('query-chardev')).return).toEqual([
      { label: 'f', filename: 'file', 'frontend-open': true },
    ]);
    expect((await daemon.execute('chardev-remove', { id: 'f' })).error?.desc).toBe("Chardev 'f' is busy");
    await expect
      .poll(() => content(files, 'out'))
      .toMatch(/^\{"QMP.*\r\n\{"return": \{\}\}\r\n\{"return": \[\]\}\r\n$/);
    expect(await content(files, 'log')).toBe(await content(files, 'out'));
    await daemon.end();
  });

  it('keep what an older one wrote when they append', async () => {
    const { daemon, files } = await openDaemon();
    for (const [id, append] of [
      ['a', false],
      ['b', true],
    ] as const) {
      await daemon.execute('chardev-add', { id, backend: { type: 'file', data: { out: 'o', append } } });
      daemon.addMonitor(id, false);
    }
    expect((await content(files, 'o')).match(/"QMP"/g)).toHaveLength(2);
    await daemon.end();
  });

  it('are used when somebody uses the multiplexer on them', async () => {
    const { daemon } = await openDaemon();
    await daemon.execute('chardev-add', { id: 'r', backend: { type: 'ringbuf', data: {} } });
    await daemon.execute('chardev-add', { id: 'm', backend: { type: 'mux', data: { chardev: 'r' } } });
    const open = async () =>
      ((await daemon.execute('query-chardev')).return as QmpObject[]).map((info) => info['frontend-open']);
    expect(await open()).toEqual([false, false]);
    daemon.addMonitor('m', false);
    expect(await open()).toEqual([true, true]);
    await daemon.end();
  });

  it('carry a monitor over a ring', async () => {
    const { daemon } = await openDaemon();
    await daemon.execute('chardev-add', { id: 'r', backend: { type: 'ringbuf', data: {} } });
    daemon.addMonitor('r', false);
    const { return: greeting } = await daemon.execute('ringbuf-read', { device: 'r', size: 1000 });
    expect(greeting).toMatch(/^\{"QMP": .*\r\n$/);
  });

  it('keep the old one when it cannot be changed', async () => {
    const { daemon } = await openDaemon();
    await daemon.execute('chardev-add', { id: 'r', backend: { type: 'ringbuf', data: {} } });
    const { error } = await daemon.execute('chardev-change', {
      id: 'r',
      backend: { type: 'ringbuf', data: { size: 3 } },
    });
    expect(error?.desc).toBe("Failed to add chardev 'r': size of ringbuf chardev must be power of two");
    expect((await daemon.execute('query-chardev')).return).toHaveLength(1);
  });

  it('say why there are no others', async () => {
    const { daemon } = await openDaemon();
    const kinds = (await daemon.execute('query-chardev-backends')).return as { name: string }[];
    expect(kinds.map(({ name }) => name)).toEqual(['mux', 'null', 'ringbuf', 'socket', 'memory', 'file']);
    for (const [type, data] of [
      ['pty', {}],
      ['stdio', {}],
      ['pipe', { device: 'x' }],
      ['serial', { device: 'x' }],
      ['parallel', { device: 'x' }],
      ['udp', { remote: { type: 'inet', data: { host: 'x', port: '1' } } }],
    ] as const) {
      const { error } = await daemon.execute('chardev-add', { id: 'x', backend: { type, data } });
      expect(error?.desc).toMatch(
        new RegExp(`^Failed to add chardev 'x': '${type}' is not available: a browser `),
      );
    }
    const addr = { type: 'unix', data: { path: 'x' } };
    for (const server of [true, false]) {
      const { error } = await daemon.execute('chardev-add', {
        id: 'x',
        backend: { type: 'socket', data: { addr, server } },
      });
      expect(error?.desc).toMatch(/^Failed to add chardev 'x': This program has no sockets/);
    }
  });
});
