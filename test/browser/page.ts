/** The page as a visitor uses it, for tests. */
import type { Locator, Page } from 'playwright-core';
import { expect, vi } from 'vitest';

/** The app in a tab (or a frame). */
export class AppPage {
  constructor(
    readonly page: Page,
    private readonly root: { locator(selector: string): Locator } = page,
  ) {}

  /** Resolves when the prompt shows. */
  async ready(): Promise<this> {
    await this.root.locator('qsd-console[data-ready]').waitFor({ timeout: 30_000 });
    await this.console.evaluate((element) => {
      element.dataset.done = '0';
      element.addEventListener('qsd-done', () => {
        element.dataset.done = String(Number(element.dataset.done) + 1);
      });
    });
    return this;
  }

  get console(): Locator {
    return this.root.locator('qsd-console');
  }

  get files(): Locator {
    return this.root.locator('qsd-files');
  }

  /** How many commands have ended. */
  async done(): Promise<number> {
    return Number(await this.console.getAttribute('data-done'));
  }

  /** What the terminal shows now, row by row. */
  async rows(): Promise<string[]> {
    const rows = await this.root.locator('qsd-console .xterm-rows > div').allInnerTexts();
    const lines = rows.map((row) => row.replace(/\u00a0/g, ' ').trimEnd());
    while (lines.at(-1) === '') lines.pop();
    return lines;
  }

  async text(): Promise<string> {
    return (await this.rows()).join('\n');
  }

  /** Waits until the terminal shows a text. */
  async shows(text: string | RegExp, timeout = 10_000): Promise<void> {
    const pattern = typeof text === 'string' ? escaped(text) : text;
    await vi.waitFor(async () => expect(await this.text()).toMatch(pattern), { timeout });
  }

  async type(text: string): Promise<void> {
    await this.focus();
    await this.page.keyboard.type(text);
  }

  async focus(): Promise<void> {
    await this.root.locator('qsd-console textarea').focus();
  }

  /** Empties the screen. */
  async clear(): Promise<void> {
    await this.focus();
    await this.press('Control+l');
  }

  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** Enters a line and waits until its command has ended; what the terminal shows behind the line. */
  async run(line: string, timeout = 30_000): Promise<string> {
    await this.clear();
    const before = await this.done();
    await this.type(line);
    await this.press('Enter');
    await vi.waitFor(async () => expect(await this.done()).toBe(before + 1), { timeout });
    await vi.waitFor(async () => expect((await this.rows()).at(-1)).toBe('qsd>'), { timeout });
    return this.text();
  }

  /** Drops files on the page, at one of the targets. */
  async drop(target: 'copy' | 'open' | 'inspect', files: { name: string; content: Buffer }[]): Promise<void> {
    const data = files.map(({ name, content }) => ({ name, content: content.toString('base64') }));
    await this.page.evaluate(
      ([where, list]) => {
        const transfer = new DataTransfer();
        for (const { name, content } of list) {
          transfer.items.add(new File([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))], name));
        }
        const send = (type: string, to: Element): void => {
          to.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
        };
        send('dragenter', document.body);
        const to =
          document.querySelectorAll('.drop > div')[['copy', 'open', 'inspect'].indexOf(where)] ??
          document.body;
        send('dragover', to);
        send('drop', to);
      },
      [target, data] as const,
    );
  }

  /** Files of this machine for the next file picker. */
  chooseFiles(paths: string[]): Promise<void> {
    return this.page.waitForEvent('filechooser').then((chooser) => chooser.setFiles(paths));
  }
}

function escaped(text: string): RegExp {
  return new RegExp(text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
}

/** Ends all that moves or fades in a page: meanwhile colours are not what they are going to be. */
export async function atRest(page: Page): Promise<void> {
  await page.evaluate(() => {
    for (const animation of document.getAnimations()) {
      if (animation.effect?.getComputedTiming().endTime !== Infinity) animation.finish();
    }
  });
}
