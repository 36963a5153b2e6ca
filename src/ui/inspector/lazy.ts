/** The inspector in the page: its code is loaded when it is first seen or needed. */
import type { Client, InspectTarget } from '../../client';
import type { QsdInspector } from './element';

export class LazyInspector {
  /** Where the inspector is going to be. */
  readonly place = document.createElement('div');
  private loaded: Promise<QsdInspector> | null = null;

  constructor(private readonly client: Client) {
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      void this.load();
    });
    seen.observe(this.place);
  }

  async inspect(target: InspectTarget | File): Promise<void> {
    await (await this.load()).inspect(target);
  }

  private load(): Promise<QsdInspector> {
    return (this.loaded ??= import('./element').then(({ QsdInspector: Inspector }) => {
      customElements.define('qsd-inspector', Inspector);
      const inspector = new Inspector();
      inspector.client = this.client;
      this.place.replaceWith(inspector);
      return inspector;
    }));
  }
}
