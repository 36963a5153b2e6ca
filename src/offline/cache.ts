/** What the service worker keeps: one cache for each version of the page. */

/** A version of the page. */
export interface Build {
  /** A hash of all its files. */
  version: string;
  /** Paths relative to `base`. */
  files: readonly string[];
  /** The address of the page's folder, with a slash at the end. */
  base: string;
}

/** Caches of other programs of the same origin are left alone; so are those of this one in other folders. */
const prefix = ({ base }: Build): string => `qsd-web ${base} `;
const nameOf = (build: Build): string => prefix(build) + build.version;

/** Fetches all files; fails as a whole if one cannot be had, and the version is tried again later. */
export async function install(caches: CacheStorage, build: Build): Promise<void> {
  const cache = await caches.open(nameOf(build));
  // Past the cache of HTTP, where an older index.html may be.
  await cache.addAll(build.files.map((file) => new Request(new URL(file, build.base), { cache: 'reload' })));
}

/** Forgets older versions. */
export async function activate(caches: CacheStorage, build: Build): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(prefix(build)) && name !== nameOf(build));
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** Answers from the version that is in use; what it has not (a file put beside the page) comes from the network. */
export async function respond(caches: CacheStorage, build: Build, request: Request): Promise<Response> {
  const url = new URL(request.url);
  // The folder itself is its index; query and fragment (`?panes=`, `#lesson=`) are for the page.
  url.search = url.hash = '';
  if (url.href === build.base) url.pathname += 'index.html';
  const cache = await caches.open(nameOf(build));
  return (await cache.match(url.href)) ?? fetch(request);
}
