/**
 * What happens when the page goes away. The images are flushed each time it is hidden, so that closing the tab is no
 * more to them than the end of the daemon. The browser asks before it ends work that would be lost; nodes that are
 * merely open are no reason to ask.
 */
import type { Client } from '../client';

/** Watches the page. `busy` tells whether a command runs in the console. Answers a function that forgets all jobs. */
export function watchLeaving(client: Client, busy: () => boolean): () => void {
  const jobs = new Set<string>();
  void followJobs(client, jobs);
  window.addEventListener('beforeunload', (event) => {
    if (busy() || jobs.size > 0) event.preventDefault();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') void client.flush().catch(() => undefined);
  });
  return () => jobs.clear();
}

/** Keeps the names of the jobs that are at work. */
async function followJobs(client: Client, jobs: Set<string>): Promise<void> {
  for await (const { data } of client.events({ names: ['JOB_STATUS_CHANGE'] })) {
    if (['undefined', 'created', 'concluded', 'null'].includes(data.status)) jobs.delete(data.id);
    else jobs.add(data.id);
  }
}
