/** A custom element that stands alone in a page has a daemon of its own. */
import { connect, type Client } from '../client';
import { startWorker } from './start-worker';

/** Starts a worker; `end` gives it back. */
export function ownClient(): { client: Client; end(): void } {
  const worker = startWorker();
  const client = connect(worker);
  return {
    client,
    end: () => {
      client.dispose();
      worker.terminate();
    },
  };
}
