import type { Engine } from '../../../src/engine/contract';
import { MemoryLocks } from '../../../src/files/locks';
import { MemoryStore } from '../../../src/files/memory';
import type { ToolContext } from '../../../src/tools/context';

/** A context over files in memory that keeps what is printed. The shell's own commands never touch the engine. */
export class TestContext implements ToolContext {
  readonly files: MemoryStore;
  readonly locks = new MemoryLocks();
  readonly controller = new AbortController();
  readonly signal = this.controller.signal;
  out = '';
  err = '';
  turns = 0;
  readonly reports: [number, number][] = [];
  /** Called in each turn, with its number from 1 on. */
  onTurn: (turn: number) => void = () => undefined;

  constructor(quota?: number) {
    this.files = new MemoryStore(quota === undefined ? {} : { quota });
  }

  get engine(): Engine {
    throw new Error('the shell has no use for the engine');
  }
  stdout(text: string): void {
    this.out += text;
  }
  stderr(text: string): void {
    this.err += text;
  }
  progress(done: number, total: number): void {
    this.reports.push([done, total]);
  }
  async turn(): Promise<void> {
    this.onTurn(++this.turns);
  }

  /** Makes a file; with `size` a hole follows the content. */
  async put(path: string, content: string | Uint8Array, size?: number): Promise<void> {
    const file = await this.files.open(path, { write: true, create: 'truncate' });
    file.write(typeof content === 'string' ? new TextEncoder().encode(content) : content, 0);
    if (size !== undefined) file.truncate(size);
    file.close();
  }

  async get(path: string): Promise<Buffer> {
    const file = await this.files.open(path, { write: false });
    const content = Buffer.alloc(file.size());
    file.read(content, 0);
    file.close();
    return content;
  }
}
