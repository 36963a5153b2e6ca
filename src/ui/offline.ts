/** Use without a network: the service worker of the built page, and the news that there is a newer version. */

/** The page and its data come first, milliseconds. */
const AFTER = 3000;

/**
 * Installs the service worker, where there may be one (not on hosts without TLS, nor in the development server).
 * @param newer called when a newer version is there; what it gets loads the page with it
 */
export function workOffline(newer: (use: () => void) => void): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  setTimeout(() => {
    // A browser that refuses (a private window, a frame of another site) has no use without a network; all else works.
    register(newer).catch(() => undefined);
  }, AFTER);
}

async function register(newer: (use: () => void) => void): Promise<void> {
  const { serviceWorker } = navigator;
  const script = new URL('service-worker.js', document.baseURI);
  const registration = await serviceWorker.register(script, { scope: './', updateViaCache: 'none' });
  const tell = (worker: ServiceWorker): void => {
    newer(() => {
      serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
      worker.postMessage('use the newer version');
    });
  };
  if (registration.waiting && serviceWorker.controller) tell(registration.waiting);
  registration.addEventListener('updatefound', () => {
    const worker = registration.installing;
    worker?.addEventListener('statechange', () => {
      // Without a controller it is the first version.
      if (worker.state === 'installed' && serviceWorker.controller) tell(worker);
    });
  });
}
