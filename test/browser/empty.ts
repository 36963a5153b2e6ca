/** The page side of browser.ts: keeps the workers of a test page and passes calls on to them. */

interface Reply {
  id: number;
  result?: unknown;
  error?: string;
}

/** What browser.ts calls on the page. */
export interface TestWorkers {
  start(module: string): Promise<number>;
  call(worker: number, name: string, args: readonly unknown[]): Promise<unknown>;
  files(): File[];
  terminate(worker: number): void;
}

declare global {
  interface Window {
    testWorkers: TestWorkers;
  }
}

const workers: Worker[] = [];
const waiting = new Map<number, { done: (result: unknown) => void; fail: (error: Error) => void }>();
let lastId = 0;

function ask(worker: Worker, message: Record<string, unknown>): Promise<unknown> {
  const id = ++lastId;
  return new Promise((done, fail) => {
    waiting.set(id, { done, fail });
    worker.postMessage({ ...message, id });
  });
}

window.testWorkers = {
  start: async (module) => {
    const worker = new Worker(new URL('./run.worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const call = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error === undefined) call?.done(data.result);
      else call?.fail(new Error(data.error));
    };
    worker.onerror = (event) => {
      for (const { fail } of waiting.values()) fail(new Error(`the worker failed: ${event.message}`));
      waiting.clear();
    };
    const index = workers.push(worker) - 1;
    await ask(worker, { load: module });
    return index;
  },
  call: async (index, name, args) => {
    const worker = workers[index];
    if (!worker) throw new Error(`no worker ${index}`);
    return ask(worker, { name, args });
  },
  files: () => [...(document.querySelector<HTMLInputElement>('input[type=file]')?.files ?? [])],
  terminate: (index) => workers[index]?.terminate(),
};
