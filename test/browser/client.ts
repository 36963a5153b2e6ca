/** A page with the real worker and the typed client, and nothing to be seen: what daemon.test.ts drives. */
import { connect } from '../../src/client';
import type { Client } from '../../src/client';
import { startWorker } from '../../src/ui/start-worker';

/** What a line of the shell printed. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** What tests call on the page. */
export interface TestClient {
  client: Client;
  shell(line: string): Promise<Ran>;
  /** Copies the chosen files into the sandbox, or opens them in place; answers their names. */
  take(how: 'import' | 'open'): Promise<string[]>;
  /** Downloads a file of the sandbox as the page does. */
  download(path: string): Promise<void>;
}

declare global {
  interface Window {
    sandbox: TestClient;
  }
}

function value<T>(result: { value: T } | { failure: string }): T {
  if ('failure' in result) throw new Error(result.failure);
  return result.value;
}

const client = connect(startWorker());

window.sandbox = {
  client,
  shell: async (line) => {
    const ran: Ran = { code: -1, stdout: '', stderr: '' };
    ran.code = await client.runShell(line, {
      stdout: (text) => void (ran.stdout += text),
      stderr: (text) => void (ran.stderr += text),
      progress: () => undefined,
      readLine: async () => null,
    });
    return ran;
  },
  take: async (how) => {
    const names: string[] = [];
    for (const file of document.querySelector<HTMLInputElement>('input[type=file]')?.files ?? []) {
      names.push(value(await (how === 'import' ? client.importFile(file) : client.openLocal(file))));
    }
    return names;
  },
  download: async (path) => {
    const { content } = value(await client.exportFile(path));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(content);
    link.download = path;
    link.click();
  },
};
await client.start();
document.title = 'ready';
