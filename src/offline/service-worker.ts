/**
 * Keeps the built page for use without a network. All of its files are fetched when a version is installed (also those that are
 * loaded only when they are needed: without a network they could not come later), and a version is served whole: its files
 * carry a hash in their names, so pages of two versions never mix. A newer version waits until no tab has the older one, or until
 * the page says so.
 *
 * It runs in the built page only; the build writes the list of files into it.
 */
import { activate, install, respond } from './cache';

declare const self: ServiceWorkerGlobalScope;
/** Put in by the build (vite.config.ts): paths relative to this script, and a hash of all of them. */
declare const QSD_WEB_BUILD: { version: string; files: string[] };

const build = { ...QSD_WEB_BUILD, base: new URL('./', self.location.href).href };

self.addEventListener('install', (event) => event.waitUntil(install(caches, build)));
self.addEventListener('activate', (event) =>
  event.waitUntil(activate(caches, build).then(() => self.clients.claim())),
);
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(build.base)) return;
  event.respondWith(respond(caches, build, request));
});
self.addEventListener('message', (event) => {
  if (event.data === 'use the newer version') void self.skipWaiting();
});
