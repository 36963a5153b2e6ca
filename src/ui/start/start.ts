/** The start script's part of the page: what runs when it opens, the button for the dialog, and the record of the visit. */
import type { Client } from '../../client';
import type { QsdConsole } from '../console/element';
import { button } from '../dom';
import type { StartHost } from './dialog';
import { decodeScript, LinkError } from './link';
import { resetCommands } from './reset';
import { runScript } from './run';
import { leavesSandbox, scriptLines } from './script';
import { keptScript } from './store';
import { Visit } from './visit';

/** What the page does for it. */
export interface StartPage {
  client: Client;
  terminal: QsdConsole;
  /** Where the button goes. */
  head: HTMLElement;
  notify: (text: string) => void;
}

/** Sets it up; the record begins at once. */
export function startScripts({ client, terminal, head, notify }: StartPage): Visit {
  const visit = new Visit(true);
  terminal.commands = resetCommands(client, terminal, visit);
  terminal.addEventListener('qsd-done', (event) => {
    const { line, code } = (event as CustomEvent<{ line: string; code: number }>).detail;
    visit.record(line, code);
  });
  const files = async (): Promise<string[]> => {
    const entries = await client.list();
    return 'value' in entries ? entries.value.map(({ name }) => name) : [];
  };
  const host: StartHost = {
    lines: () => visit.lines,
    files,
    run: (lines) => void runScript(terminal, client, lines),
  };
  const open = async (foreign?: string): Promise<void> => {
    const { openStartDialog } = await import('./dialog');
    await openStartDialog(host, foreign);
  };
  const share = button(
    { class: 'share', title: 'Keep what you did as a start script, or share it as a link' },
    () => void open(),
    'Share',
  );
  head.after(share);

  const follow = async (first: boolean): Promise<void> => {
    try {
      const script = await decodeScript(location.hash);
      if (script !== null) {
        const lines = scriptLines(script);
        // In an empty sandbox of this page there is nothing that it could spoil, if it stays inside.
        if (first && !lines.some(leavesSandbox) && (await files()).length === 0) host.run(lines);
        else await open(script);
        return;
      }
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      notify(error.message);
      return;
    }
    const kept = keptScript();
    if (first && kept?.always && location.hash === '') host.run(scriptLines(kept.script));
  };
  window.addEventListener('hashchange', () => void follow(false));
  void client.start().then(
    async () => {
      if ((await files()).length > 0) visit.brought('there were files when this page was opened');
      await follow(true);
    },
    // The page shows that the daemon cannot run.
    () => undefined,
  );
  return visit;
}
