/**
 * Pseudo terminals. Node.js has no call that makes one, so a process of Python does, which most systems have: it holds the
 * terminal's other side and forwards what goes over it.
 */
import { spawn } from 'node:child_process';
import type { Terminal } from '../../daemon/chardevs/device';
import type { ByteStream } from '../../nbd/index';
import { ByteReader, decodeText, viewOf } from '../../nbd/stream';
import { QmpError } from '../../qapi/index';
import { DuplexStream } from './duplex';

/**
 * What the process does. Its output is records: a letter, a length of four bytes, big endian, and that many bytes. P: the path of
 * the terminal, the first record; O: a program has opened it; D: bytes from there; C: no program has it open any more. Its input
 * is what goes to the terminal; what comes while nobody is there is dropped.
 */
const PROGRAM = `
import os, select, struct, sys, tty
master, slave = os.openpty()
tty.setraw(slave)
def tell(kind, data=b''):
    sys.stdout.buffer.write(kind + struct.pack('>I', len(data)) + data)
    sys.stdout.buffer.flush()
tell(b'P', os.ttyname(slave).encode())
os.close(slave)
os.set_blocking(master, False)
here = False
waiting = b''
terminal = select.poll()
terminal.register(master, 0)
while True:
    if not here and not any(event & select.POLLHUP for _, event in terminal.poll(0)):
        here = True
        tell(b'O')
    poll = select.poll()
    if not waiting:
        poll.register(0, select.POLLIN)
    if here:
        poll.register(master, select.POLLIN | (select.POLLOUT if waiting else 0))
    for fd, event in poll.poll(None if here else 200):
        if fd == 0:
            waiting = os.read(0, 65536)
            if not waiting:
                sys.exit()
            if not here:
                waiting = b''
            continue
        try:
            if event & (select.POLLIN | select.POLLHUP):
                tell(b'D', os.read(master, 65536))
            if event & select.POLLOUT:
                waiting = waiting[os.write(master, waiting):]
        except OSError:
            here = False
            waiting = b''
            tell(b'C')
`;

/** Makes a terminal; see {@link OpenTerminal}. */
export async function openTerminal(serve: (stream: ByteStream) => void): Promise<Terminal> {
  const child = spawn('python3', ['-I', '-c', PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'] });
  // Who is not there says nothing.
  child.on('error', () => undefined);
  const pipes = new DuplexStream(child.stdout, child.stdin, () => void child.stdin.end());
  const records = new RecordReader(pipes);
  const first = await records.next();
  if (first?.kind !== 'P') {
    pipes.close();
    throw new QmpError(
      "'pty' is not available: Node.js cannot make a terminal, and python3, which does it here, is not there or cannot either",
    );
  }
  void serveAll(records, pipes, serve);
  return { path: decodeText(first.data), close: () => pipes.close() };
}

/** Hands over a stream each time that somebody has opened the terminal. */
async function serveAll(
  records: RecordReader,
  pipes: ByteStream,
  serve: (stream: ByteStream) => void,
): Promise<void> {
  while ((await records.next())?.kind === 'O') {
    await new Promise<void>((resolve) => {
      let isOver = false;
      const end = (): null => {
        isOver = true;
        resolve();
        return null;
      };
      serve({
        async read() {
          const record = isOver ? null : await records.next();
          return record?.kind === 'D' ? record.data : end();
        },
        write: async (pieces) => !isOver && pipes.write(pieces),
        // A terminal cannot be taken away from those who have it open.
        close: () => undefined,
        destroy: () => undefined,
      });
    });
  }
}

class RecordReader {
  private readonly reader: ByteReader;

  constructor(stream: ByteStream) {
    this.reader = new ByteReader(stream);
  }

  /** The next record; null: the process has ended. */
  async next(): Promise<{ kind: string; data: Uint8Array } | null> {
    if (!(await this.reader.wait(5))) return null;
    const head = this.reader.take(5);
    const length = viewOf(head).getUint32(1);
    if (!(await this.reader.wait(length))) return null;
    return { kind: String.fromCharCode(head[0] ?? 0), data: this.reader.take(length) };
  }
}
