import { describe, expect, it } from 'vitest';
import type { Daemon, Monitor } from '../../src/daemon';
import { openDaemon } from './daemon';

interface Connection {
  monitor: Monitor;
  /** The messages so far. */
  messages: () => Record<string, unknown>[];
  text: () => string;
}

function connect(daemon: Daemon, pretty = false): Connection {
  let text = '';
  const monitor = daemon.openMonitor({ write: (chunk) => (text += chunk), pretty });
  const messages = (): Record<string, unknown>[] =>
    text
      .split('\r\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { monitor, messages, text: () => text };
}

/** Resolves when nothing waits for its turn any more: how long that takes depends on the machine. */
async function settle(busy: () => boolean): Promise<void> {
  do await new Promise((resolve) => setTimeout(resolve, 20));
  while (busy());
}
const CREATE =
  '{"execute": "blockdev-create", "arguments": {"job-id": "j", "options": {"driver": "file", "filename": "a", "size": 0}}}';

describe('a monitor', () => {
  it('greets with the version of the interface and of this program', async () => {
    const { daemon } = await openDaemon();
    const { text } = connect(daemon);
    expect(text()).toBe(
      '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 1, "major": 9}, "package": "qsd-web 0.0.0-test"}, "capabilities": ["oob"]}}\r\n',
    );
  });

  it('indents by four blanks where that is asked for', async () => {
    const { daemon, busy } = await openDaemon();
    const { monitor, text } = connect(daemon, true);
    await monitor.receive('{"execute": "qmp_capabilities"}{"execute": "query-jobs", "id": [{}]}');
    await settle(busy);
    const replies =
      '}\n{\n    "return": {\n    }\n}\n{\n    "return": [\n    ],\n    "id": [\n        {\n        }\n    ]\n}\n';
    const expected = replies.replaceAll('\n', '\r\n');
    expect(text().slice(-expected.length)).toBe(expected);
  });

  it('does not keep others waiting until all commands that came at once are done', async () => {
    const { daemon, busy } = await openDaemon();
    const [eager, other] = [connect(daemon), connect(daemon)];
    await other.monitor.receive('{"execute": "qmp_capabilities"}');
    void eager.monitor.receive(
      '{"execute": "qmp_capabilities"}' + '{"execute": "query-commands"}'.repeat(100),
    );
    await new Promise((resolve) => setImmediate(resolve));
    await other.monitor.receive('{"execute": "query-jobs"}');
    while (other.messages().length < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(eager.messages().length).toBeLessThan(50);
    while (eager.messages().length < 102) await settle(busy);
  });

  it('tells events to each negotiated monitor, before the reply of the command that caused them', async () => {
    const { daemon, busy } = await openDaemon();
    const [a, b, silent] = [connect(daemon), connect(daemon), connect(daemon)];
    await a.monitor.receive('{"execute": "qmp_capabilities"}');
    await b.monitor.receive('{"execute": "qmp_capabilities"}');
    await a.monitor.receive(CREATE);
    await settle(busy);
    const kinds = ({ messages }: Connection): unknown[] =>
      messages()
        .slice(2)
        .map((m) => ('event' in m ? (m.data as { status: string }).status : 'reply'));
    const statuses = ['created', 'running', 'waiting', 'pending', 'concluded'];
    expect(kinds(a)).toEqual(['created', 'running', 'reply', 'waiting', 'pending', 'concluded']);
    expect(kinds(b)).toEqual(statuses);
    expect(silent.messages()).toHaveLength(1);
  });

  it('answers in order, cut anywhere, and takes more only when it can', async () => {
    const { daemon, busy } = await openDaemon();
    const { monitor, messages } = connect(daemon);
    const text =
      '{"execute": "qmp_capabilities"}' +
      [1, 2, 3].map((id) => `{"execute": "query-jobs", "id": ${id}}`).join('');
    for (const character of text) await monitor.receive(character);
    expect(messages().length).toBeGreaterThanOrEqual(4);
    await settle(busy);
    expect(
      messages()
        .slice(2)
        .map((m) => m.id),
    ).toEqual([1, 2, 3]);
  });

  it('with out-of-band execution reads on while requests wait, up to eight', async () => {
    const { daemon, busy } = await openDaemon();
    const { monitor, messages } = connect(daemon);
    await monitor.receive('{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}');
    const requests = (n: number): string => '{"execute": "query-jobs"}'.repeat(n);
    await monitor.receive(requests(7));
    // None has been answered yet, and still more may come; another one fills the queue.
    expect(messages()).toHaveLength(2);
    let full = true;
    const waiting = monitor.receive(requests(1)).then(() => (full = false));
    await Promise.resolve();
    expect(full).toBe(true);
    await waiting;
    await settle(busy);
    expect(messages()).toHaveLength(10);
  });

  it('is silent once it is closed, and does what was asked before', async () => {
    const { daemon, busy } = await openDaemon();
    const { monitor, messages } = connect(daemon);
    await monitor.receive('{"execute": "qmp_capabilities"}');
    void monitor.receive(CREATE);
    monitor.close();
    const seen = messages().length;
    await settle(busy);
    expect(messages()).toHaveLength(seen);
    expect((await daemon.execute('query-jobs')).return).toMatchObject([{ id: 'j', status: 'concluded' }]);
  });

  it('answers the quit and nothing behind it', async () => {
    const { daemon, busy } = await openDaemon();
    const { monitor, messages } = connect(daemon);
    await monitor.receive('{"execute": "qmp_capabilities"}{"execute": "quit"}{"execute": "query-jobs"}x]');
    await settle(busy);
    expect(messages().slice(1)).toEqual([{ return: {} }, { return: {} }]);
  });
});
