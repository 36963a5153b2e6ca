/** Whether this page is open in another tab too: both see the same files. */

const LOCK = 'qsd-web tab';

/** Counts this tab as open as long as the page lives; answers how many others there are. 0 where it cannot be told. */
export async function otherTabs(): Promise<number> {
  // A page from a host without TLS, or in a sandboxed frame, has no locks.
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return 0;
  try {
    void locks
      .request(LOCK, { mode: 'shared' }, () => new Promise<never>(() => undefined))
      .catch(() => undefined);
    const { held = [] } = await locks.query();
    const tabs = held.filter(({ name }) => name === LOCK).length;
    return Math.max(0, tabs - 1);
  } catch {
    return 0;
  }
}
