/** Puts the page together: console, graph, jobs, files, drops. */
import type { Client, InspectTarget } from '../client';
import { QsdConsole } from './console/element';
import { watchDrops } from './drop';
import { fileWork } from './files/actions';
import { QsdFiles } from './files/element';
import { QsdGraph } from './graph/element';
import { QsdGuest } from './guest/element';
import { QsdJobs } from './jobs/element';
import { LazyInspector } from './inspector/lazy';
import { QsdLessons } from './lessons/element';
import { watchLeaving } from './leaving';
import { workOffline } from './offline';
import { Panes } from './panes/panes';
import { lessonLinks } from './lessons/links';
import { startScripts } from './start/start';
import { otherTabs } from './tabs';
import { wire } from './wiring';

/** Starts the page on a daemon that is coming up. */
export async function run(client: Client): Promise<void> {
  customElements.define('qsd-console', QsdConsole);
  customElements.define('qsd-files', QsdFiles);
  customElements.define('qsd-graph', QsdGraph);
  customElements.define('qsd-jobs', QsdJobs);
  customElements.define('qsd-guest', QsdGuest);
  customElements.define('qsd-lessons', QsdLessons);
  const terminal = new QsdConsole();
  const files = new QsdFiles();
  const graph = new QsdGraph();
  const jobs = new QsdJobs();
  const guest = new QsdGuest();
  const lessons = new QsdLessons();
  terminal.id = 'console';
  files.id = 'files';
  terminal.client = client;
  files.client = client;
  graph.client = client;
  graph.links = lessonLinks();
  jobs.client = client;
  guest.client = client;
  lessons.client = client;

  const visit = startScripts({ client, terminal, head: find('#toggles'), notify });

  const inspector = new LazyInspector(client);
  const inspect = (target: InspectTarget | File): void => {
    panes.show('inspector');
    void inspector.inspect(target);
  };
  const work = fileWork(client, () => terminal);
  files.actions = { ...work, inspect: (path) => inspect({ path }) };
  watchDrops({
    import: work.importAll,
    open: work.openAll,
    inspect: ([file]) => {
      if (file) inspect(file);
    },
    refuse: (folders) =>
      notify(
        `Folders are not taken in (${folders.join(', ')}): drop the files that are in them. mkdir makes a folder here.`,
      ),
  });
  const forgetJobs = watchLeaving(client, () => terminal.busy);
  client.onEventText(() => files.refresh());

  const panes = new Panes(find('#panes'), find('#toggles'), terminal, [
    { name: 'graph', title: 'Graph', content: graph },
    { name: 'jobs', title: 'Jobs', content: jobs },
    { name: 'files', title: 'Files', content: files },
    { name: 'guest', title: 'Guest', content: guest },
    { name: 'inspector', title: 'Inspect', content: inspector.place },
    { name: 'lessons', title: 'Lessons', content: lessons },
  ]);
  wire(document, () => panes.showConsole());
  graph.inspects = true;
  graph.addEventListener('qsd-inspect', (event) => inspect((event as CustomEvent<InspectTarget>).detail));
  guest.addEventListener('qsd-guest', () => visit.brought('a guest was at work'));
  guest.addEventListener('qsd-plug', () => {
    visit.brought('the plug was pulled');
    forgetJobs();
  });
  lessons.addEventListener('qsd-lesson', () => panes.show('lessons'));
  // The address may name a lesson.
  lessons.follow();
  jobs.addEventListener('qsd-jobs', (event) => {
    const { active } = (event as CustomEvent<{ active: number }>).detail;
    panes.badge('jobs', active === 0 ? '' : String(active));
    if (active > 0) panes.suggest('jobs');
  });
  terminal.focus();
  workOffline((use) => notify('A newer version of this page is there.', { label: 'Use it', run: use }));
  await Promise.all([showState(client), warnOfTabs()]);
}

async function showState(client: Client): Promise<void> {
  const state = find('#state');
  try {
    const { version, qemu } = await client.start();
    const detail = document.createElement('span');
    detail.className = 'detail';
    detail.textContent = ` · ${version} · QEMU ${qemu} interface`;
    state.replaceChildren('Ready', detail);
  } catch {
    state.textContent = 'Cannot run here';
  }
}

async function warnOfTabs(): Promise<void> {
  if ((await otherTabs()) === 0) return;
  notify(
    'qsd-web is open in another tab. Both show the same files; an image that one of them writes is locked in the other ' +
      '(Failed to get "write" lock). Use blockdev-del there, or close it, to have the image here.',
  );
}

/** Shows a notice above the panes until it is closed, with a button if there is something to do. */
function notify(text: string, action?: { label: string; run: () => void }): void {
  const notice = find('#notice');
  find('#notice-text').textContent = text;
  const act = find('#notice-act');
  act.hidden = !action;
  act.textContent = action?.label ?? '';
  act.onclick = action?.run ?? null;
  find('#notice-close').addEventListener('click', () => (notice.hidden = true), { once: true });
  notice.hidden = false;
}

function find(selector: string): HTMLElement {
  const element = document.querySelector<HTMLElement>(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}
