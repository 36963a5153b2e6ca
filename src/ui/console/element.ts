/** `<qsd-console>`: the console as a custom element, in any page. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import xtermStyles from '@xterm/xterm/css/xterm.css?inline';
import type { Client, StartInfo } from '../../client';
import { sharedClient } from '../shared-client';
import { runScript } from '../start/run';
import { scriptLines } from '../start/script';
import type { ConsoleBackend, PageCommand, TaskIo } from './backend';
import styles from './console.css?inline';
import { History } from './history';
import { pageCommands } from './page-commands';
import { paint } from './paint';
import { ConsoleSession } from './session';
import { followTheme } from './theme';
import { welcome } from './welcome';

const FONT = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/** Where it is kept whether output is read aloud. */
const ANNOUNCE = 'qsd-web announce';
/** When the schema is loaded for completion, milliseconds after the prompt. */
const PRELOAD_AFTER = 500;

/**
 * A console of the storage daemon. Without a `client`, set before it is put into a document, it shares the daemon of the page's other
 * elements. The lines of its attribute `start` are entered
 * when it begins. It has the attribute `data-ready` once its prompt shows, and sends a `qsd-done` event (`detail.line`, `detail.code`) when a command ended.
 */
export class QsdConsole extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  /** Commands of the page around it, besides its own; to be set before it is put into a document. */
  commands: readonly PageCommand[] = [];
  private terminal: Terminal | null = null;
  private session: ConsoleSession | null = null;
  private readonly waiting: (() => void)[] = [];
  private readonly cleanups: (() => void)[] = [];

  connectedCallback(): void {
    if (this.terminal) return;
    if (!this.client) {
      const shared = sharedClient();
      this.client = shared.client;
      this.cleanups.push(() => {
        shared.end();
        this.client = null;
      });
    }
    const { client } = this;
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    const style = document.createElement('style');
    style.textContent = xtermStyles + styles;
    // The margin is that of an outer box: the fit is made to the whole inner one.
    const frame = document.createElement('div');
    frame.className = 'frame';
    const screen = document.createElement('div');
    screen.className = 'screen';
    frame.append(screen);
    root.replaceChildren(style, frame);
    const terminal = this.openTerminal(frame, screen);
    client.start().then(
      (info) => {
        if (this.terminal === terminal) this.begin(client, info, terminal);
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        terminal.write(paint('error', `The storage daemon cannot run here: ${reason}`) + '\r\n');
        this.setAttribute('data-failed', '');
      },
    );
  }

  disconnectedCallback(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
    this.terminal?.dispose();
    this.terminal = null;
    this.session = null;
    this.removeAttribute('data-ready');
  }

  /** Whether a command runs in it. */
  get busy(): boolean {
    return this.session?.busy ?? false;
  }

  override focus(): void {
    this.terminal?.focus();
  }

  /** Enters a line as if it were typed. */
  enter(line: string): void {
    this.whenReady((session) => session.enter(line));
  }

  /** Puts a text into the line being edited. */
  insert(text: string): void {
    this.whenReady((session) => session.insert(text));
    this.focus();
  }

  /** Puts a line in the place of the one being edited, to be read, changed and entered. */
  propose(line: string): void {
    this.whenReady((session) => session.propose(line));
    this.focus();
  }

  /** Runs work with its progress and messages in the console, after what runs now. */
  runTask(title: string, task: (io: TaskIo) => Promise<number>): void {
    this.whenReady((session) => void session.runTask(title, task));
  }

  private whenReady(work: (session: ConsoleSession) => void): void {
    if (this.session) work(this.session);
    else this.waiting.push(() => this.session && work(this.session));
  }

  private openTerminal(frame: HTMLElement, screen: HTMLElement): Terminal {
    const terminal = new Terminal({
      fontFamily: FONT,
      fontSize: 14,
      lineHeight: 1.25,
      cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
      scrollback: 10_000,
      minimumContrastRatio: 4.5,
      screenReaderMode: storage()?.getItem(ANNOUNCE) === 'true',
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(screen);
    terminal.attachCustomKeyEventHandler((event) => !browserHandles(event, terminal));
    this.cleanups.push(
      followTheme((theme) => {
        terminal.options.theme = theme;
        frame.style.background = theme.background ?? '';
      }),
    );
    const resize = new ResizeObserver(() => {
      if (screen.clientWidth > 0) fit.fit();
    });
    fit.fit();
    resize.observe(screen);
    this.cleanups.push(() => resize.disconnect());
    terminal.onResize(() => this.session?.resized());
    this.terminal = terminal;
    return terminal;
  }

  private begin(client: Client, info: StartInfo, terminal: Terminal): void {
    const history = new History(storage());
    const page = pageCommands({
      client,
      history,
      shell: info.shell,
      extra: this.commands,
      columns: () => terminal.cols,
      clear: () => session.clear(),
      announce: (on) => {
        terminal.options.screenReaderMode = on;
        storage()?.setItem(ANNOUNCE, String(on));
      },
    });
    const backend: ConsoleBackend = {
      shell: [...info.shell, ...[...page.values()].map((command) => command.info)],
      formats: info.formats,
      page,
      qmp: (text) => client.qmp(text),
      // A tool that prints faster than the terminal draws is made to wait.
      runShell: (line, io) =>
        client.runShell(
          line,
          {
            stdout: (text) => {
              io.stdout(text);
              return drawn(terminal);
            },
            stderr: (text) => io.stderr(text),
            progress: (done, total) => io.progress(done, total),
            readLine: () => io.readLine(),
          },
          io.signal,
        ),
      nodeNames: async () => {
        const nodes = await client.execute('query-named-block-nodes', { flat: true });
        return (nodes.return ?? [])
          .flatMap((node) => node['node-name'] ?? [])
          .filter((name) => !name.startsWith('#'));
      },
      jobIds: async () => ((await client.execute('query-jobs')).return ?? []).map(({ id }) => id),
      files: async (directory) => {
        const result = await client.list(directory);
        if ('failure' in result) return [];
        return result.value.map(({ name, kind }) => ({ name, directory: kind === 'directory' }));
      },
    };
    const size = {
      get columns() {
        return terminal.cols;
      },
      get rows() {
        return terminal.rows;
      },
      write: (text: string) => terminal.write(text),
    };
    const session = new ConsoleSession(size, backend, {
      history,
      onPrompt: () => this.setAttribute('data-ready', ''),
      onDone: (line, code) =>
        this.dispatchEvent(new CustomEvent('qsd-done', { detail: { line, code }, bubbles: true })),
    });
    this.session = session;
    terminal.onData((data) => session.input(data));
    this.cleanups.push(client.onEventText((event) => session.showEvent(event)));
    // Bracketed paste: a pasted text is told from typing.
    terminal.write('\x1b[?2004h');
    session.start(welcome(info, terminal.cols));
    for (const work of this.waiting.splice(0)) work();
    const lines = scriptLines(this.getAttribute('start') ?? '');
    if (lines.length > 0) void runScript(this, client, lines);
    // Not before the prompt, but before the first Tab.
    setTimeout(() => void Promise.all([import('./complete'), import('./help')]), PRELOAD_AFTER);
  }
}

/** Resolves when the terminal has taken in what was written to it. */
function drawn(terminal: Terminal): Promise<void> {
  return new Promise((resolve) => terminal.write('', resolve));
}

/** Keys that stay the browser's: paste, copy of a selection, and Shift-Tab, which leaves the console. */
function browserHandles(event: KeyboardEvent, terminal: Terminal): boolean {
  if (event.key === 'Tab' && event.shiftKey) return true;
  if (!event.ctrlKey && !event.metaKey) return false;
  const key = event.key.toLowerCase();
  if (key === 'v') return true;
  if (key !== 'c' || !terminal.hasSelection()) return false;
  // The selection goes with the copy, so that the next Ctrl-C stops a command again.
  if (event.type === 'keydown') setTimeout(() => terminal.clearSelection());
  return true;
}

/** localStorage, where the browser allows it. */
function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
