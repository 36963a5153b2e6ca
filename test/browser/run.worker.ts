/** The worker side of browser.ts: loads a module and calls its functions. */

interface Request {
  id: number;
  load?: string;
  name?: string;
  args?: unknown[];
}

let loaded: Record<string, unknown> = {};

async function serve({ load, name, args }: Request): Promise<unknown> {
  if (load !== undefined) {
    loaded = (await import(/* @vite-ignore */ load)) as Record<string, unknown>;
    return undefined;
  }
  const run = loaded[name ?? ''];
  if (typeof run !== 'function') throw new Error(`the module exports no function ${name}`);
  return (run as (...args: unknown[]) => unknown)(...(args ?? []));
}

self.onmessage = ({ data }: MessageEvent<Request>) => {
  serve(data).then(
    (result) => self.postMessage({ id: data.id, result }),
    (error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      self.postMessage({ id: data.id, error: text });
    },
  );
};
