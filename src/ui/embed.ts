/**
 * The elements for any page, with one script tag: `<script type="module" src=".../embed.js"></script>`. All of them show one
 * daemon, unless a program gives them a `client`. See docs/embedding.md.
 */
import { QsdConsole } from './console/element';
import { h } from './dom';
import { fileWork } from './files/actions';
import { QsdFiles } from './files/element';
import { QsdGraph } from './graph/element';
import { QsdGuest } from './guest/element';
import { QsdJobs } from './jobs/element';
import { QsdLessons } from './lessons/element';
import { sharedClient } from './shared-client';
import theme from './theme.css?inline';
import { wire } from './wiring';

/** Here the panel finds its console itself. */
class EmbeddedFiles extends QsdFiles {
  private shared: ReturnType<typeof sharedClient> | null = null;

  override connectedCallback(): void {
    if (!this.client) {
      this.shared = sharedClient();
      this.client = this.shared.client;
    }
    this.actions ??= fileWork(this.client, () => document.querySelector<QsdConsole>('qsd-console'));
    super.connectedCallback();
  }

  disconnectedCallback(): void {
    if (!this.shared) return;
    this.shared.end();
    this.shared = this.client = this.actions = null;
  }
}

const ELEMENTS: Readonly<Record<string, CustomElementConstructor>> = {
  'qsd-console': QsdConsole,
  'qsd-files': EmbeddedFiles,
  'qsd-graph': QsdGraph,
  'qsd-jobs': QsdJobs,
  'qsd-guest': QsdGuest,
  'qsd-lessons': QsdLessons,
};

// First in the head: what the page itself says of the variables counts.
document.head.prepend(h('style', {}, theme));
// Before the elements come to life: what they send first is heard.
wire(document);
for (const [name, element] of Object.entries(ELEMENTS))
  if (!customElements.get(name)) customElements.define(name, element);

/** The inspector is large, and few pages have one: it is fetched when one is there. */
function findInspector(): boolean {
  if (!document.querySelector('qsd-inspector')) return false;
  void import('./inspector/element').then(({ QsdInspector }) => {
    if (!customElements.get('qsd-inspector')) customElements.define('qsd-inspector', QsdInspector);
  });
  return true;
}
if (!findInspector()) {
  const later = new MutationObserver(() => {
    if (findInspector()) later.disconnect();
  });
  later.observe(document, { childList: true, subtree: true });
}
