/** The end of a tool whose image is compared with another one by a blkverify node. */
import type { Tool, ToolContext } from './context';

/** What a real tool ends with. */
const MISMATCH = 1;

/**
 * A tool that ends at once where the images of a blkverify node differ: what the node says is the last thing that is
 * printed, and nothing more is done than to close what is open.
 */
export function endsOnMismatch(tool: Tool): Tool {
  return async (words, context) => {
    const stop = new AbortController();
    const { signal } = stop;
    let differs = false;
    const interrupt = (): void => stop.abort();
    context.signal.addEventListener('abort', interrupt);
    if (context.signal.aborted) stop.abort();
    // Not a copy: the engine of a context may be made when it is asked for.
    const watched = Object.assign(Object.create(context) as ToolContext, {
      stdout: (text: string) => void (differs || context.stdout(text)),
      stderr: (text: string) => void (differs || context.stderr(text)),
      onMismatch: () => {
        differs = true;
        stop.abort();
      },
      signal,
    });
    try {
      const code = await tool(words, watched);
      return differs ? MISMATCH : code;
    } finally {
      context.signal.removeEventListener('abort', interrupt);
    }
  };
}
