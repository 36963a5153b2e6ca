/**
 * Messages for monitors, most of them broken: none fails it, nothing grows, and what is whole is answered. These and
 * those for the NBD server are more than a million.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { JsonParser } from '../../src/qapi';
import { Sequence } from '../sequence';
import { openDaemon } from './daemon';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What broken messages are made of. */
const PIECES = [
  ...[
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    "'",
    '\\',
    '\\u12',
    '\\ud800',
    '"a"',
    "'b'",
    '1',
    '-0',
    '1e999',
    '.5',
  ],
  ...[
    'true',
    'nul',
    '%',
    '\xff',
    '\x00',
    '\r\n',
    ' ',
    '{"execute":',
    '"qmp_capabilities"',
    '"id": 7',
    '[[[[[',
  ],
  ...['{"execute": "query-jobs"}', '{"execute": "query-block-exports", "arguments": {}}', '{"exec-oob": 1}'],
  ...['{"execute": "object-del", "arguments": {"id": 1}}', '18446744073709551616', '"\u00e9"', '\x1b'],
];

function message(sequence: Sequence): Uint8Array {
  let text = '';
  for (let pieces = 1 + sequence.next(8); pieces > 0; pieces--)
    text += PIECES[sequence.next(PIECES.length)] ?? '';
  // Each character is a byte: not all of them are UTF-8.
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}

/** Bytes of the heap that are in use. */
function used(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

describe('any bytes', () => {
  it('are values or errors to the parser', () => {
    const sequence = new Sequence();
    let results = 0;
    const parser = new JsonParser(() => results++);
    const reset = Uint8Array.of(0xff);
    const feed = (count: number): void => {
      for (let i = 0; i < count; i++) {
        parser.feed(message(sequence));
        if (i % 10 === 0) parser.feed(reset);
      }
    };
    feed(10_000);
    const before = used();
    feed(500_000);
    expect(used() - before).toBeLessThan(4 * 1024 * 1024);
    expect(results).toBeGreaterThan(500_000);
  });

  it('leave a monitor as it was', async () => {
    const { daemon } = await openDaemon();
    let last = '';
    let written = 0;
    const monitor = daemon.openMonitor({
      write: (text) => {
        last = text;
        written++;
      },
    });
    const sequence = new Sequence(7);
    const feed = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await monitor.receive(message(sequence));
        if (i % 10 === 0) await monitor.receive(Uint8Array.of(0xff));
      }
    };
    await monitor.receive('{"execute": "qmp_capabilities"}');
    await feed(300);
    const before = used();
    await feed(3000);
    expect(used() - before).toBeLessThan(4 * 1024 * 1024);
    expect(written).toBeGreaterThan(1_000);
    await monitor.receive(Uint8Array.of(0xff));
    await monitor.receive('{"execute": "query-jobs", "id": "whole"}');
    while (!last.includes('whole')) await new Promise((resolve) => setImmediate(resolve));
    expect(last).toBe('{"return": [], "id": "whole"}\r\n');
  });
});

describe('a client that does not read', () => {
  it('does not get more made of what it asks for, and goes on where it stopped', async () => {
    const { daemon } = await openDaemon();
    let written = 0;
    let replies = 0;
    let free: () => void = () => undefined;
    let blocked: Promise<void> | null = null;
    const monitor = daemon.openMonitor({
      write: (text) => {
        written += text.length;
        replies++;
        return blocked ?? undefined;
      },
    });
    await monitor.receive('{"execute": "qmp_capabilities"}');
    blocked = new Promise((resolve) => (free = resolve));
    let taken = 0;
    const sent = (async () => {
      for (; taken < 20; taken++) await monitor.receive('{"execute": "query-qmp-schema"}');
    })();
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 2));
    // One reply is larger than what may wait; the request behind it was read, and those behind that were not.
    expect(taken).toBeLessThanOrEqual(2);
    const stopped = replies;
    expect(written).toBeLessThan(1024 * 1024);
    blocked = null;
    free();
    await sent;
    while (replies < 22) await new Promise((resolve) => setImmediate(resolve));
    expect(replies).toBeGreaterThan(stopped);
  }, 30_000);
});
