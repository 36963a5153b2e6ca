/** Image locks among the tabs of an origin, by the Web Locks API: a lock of a name of its own for each claim. */
import { MemoryLocks } from '../locks';
import type { ImageLocks } from '../locks';
import { SharedLocks } from '../shared-locks';
import type { NoticeBoard } from '../shared-locks';

const webLocks: NoticeBoard = {
  put: (name) =>
    new Promise((done, fail) => {
      // The lock is held until the promise that the callback gives is settled, or the tab ends.
      const held = navigator.locks.request(name, () => new Promise<void>((end) => done(end)));
      held.catch(fail);
    }),
  names: async () => ((await navigator.locks.query()).held ?? []).map((lock) => lock.name ?? ''),
};

/** Whether this browser has locks that reach across tabs; if not, {@link browserLocks} reach across one worker only. */
export function hasWebLocks(): boolean {
  return 'locks' in navigator;
}

/** Image locks for a worker. */
export function browserLocks(): ImageLocks {
  return hasWebLocks() ? new SharedLocks(webLocks) : new MemoryLocks();
}
