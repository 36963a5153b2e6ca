/** Elements that got no client share one daemon: a console and a graph in one page show the same nodes. */
import { connect, type Client } from '../client';
import { startWorker } from './start-worker';

let shared: { client: Client; worker: Worker; users: number } | null = null;

/** The daemon of this page's elements; `end` gives it back, and the last one ends it. */
export function sharedClient(): { client: Client; end(): void } {
  if (!shared) {
    const worker = startWorker();
    shared = { client: connect(worker), worker, users: 0 };
  }
  const mine = shared;
  mine.users++;
  return {
    client: mine.client,
    end: () => {
      if (--mine.users > 0) return;
      mine.client.dispose();
      mine.worker.terminate();
      if (shared === mine) shared = null;
    },
  };
}
