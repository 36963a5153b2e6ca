/**
 * The console: reads lines, runs them, shows what comes back. It knows no DOM: a terminal and a backend are given.
 *
 * One command runs at a time. What is typed or pasted meanwhile waits and is then treated as if typed at the prompt,
 * except Ctrl-C, which stops the command and drops what waits.
 */
import type { ConsoleBackend, TaskIo } from './backend';
import type { Candidate, Completion } from './completion';
import { History } from './history';
import { firstWord, inputKind, isComplete } from './input';
import { KeyDecoder, type Input, type Key } from './keys';
import { LineEditor } from './line-editor';
import { candidateRows } from './menu';
import { paint } from './paint';
import { progressLine } from './progress';
import { Screen, type TerminalLike } from './screen';
import { SyntaxProblem, toRequest, unquote } from './qmp-shell';
import { secretPrompt, withoutSecret, withSecret } from './secrets';
import { formatEvent, formatReply } from './reply';
import { tokenize } from './tokens';

const PROMPT = paint('prompt', 'qsd>') + ' ';
/** A command that takes longer than this (milliseconds) gets a line that shows it is running. */
const STATUS_AFTER = 300;
const STATUS_EVERY = 100;
const MENU_ROWS = 8;
/** The exit code of what Ctrl-C stopped. */
const INTERRUPTED = 130;

interface Search {
  text: string;
  /** Index of the entry shown in the history. */
  found: number;
  failing: boolean;
  /** What was typed before the search. */
  before: string;
}

/** What waits to be handled: a key, text, a paste, or a whole line that a program enters. */
type Queued = Input | { kind: 'line' | 'proposal'; text: string };

interface Reading {
  prompt: string;
  /** What is typed is not shown. */
  hidden: boolean;
  resolve(line: string | null): void;
}

export interface SessionOptions {
  history?: History;
  /** Called each time the prompt shows. */
  onPrompt?(): void;
  /** Called when a command has ended, with its exit code: files or nodes may be others now. */
  onDone?(line: string, code: number): void;
}

/** A console on a terminal. */
export class ConsoleSession {
  private readonly screen: Screen;
  private readonly decoder = new KeyDecoder();
  private readonly editor = new LineEditor();
  private readonly history: History;
  private readonly queue: Queued[] = [];
  private hints: string[] = [];
  private search: Search | null = null;
  private reading: Reading | null = null;
  private running: AbortController | null = null;
  private handling = false;
  private started = false;

  constructor(
    private readonly terminal: TerminalLike,
    private readonly backend: ConsoleBackend,
    private readonly options: SessionOptions = {},
  ) {
    this.screen = new Screen(terminal);
    this.history = options.history ?? new History();
  }

  /** Prints a text (the welcome) and shows the prompt. */
  start(welcome: string): void {
    this.started = true;
    this.screen.print(welcome);
    this.prompt();
    void this.pump();
  }

  /** Takes what the terminal sends. */
  input(data: string): void {
    for (const input of this.decoder.decode(data)) {
      if (this.running && !this.reading && input.kind === 'key' && input.key === 'ctrl-c') {
        this.queue.length = 0;
        this.running.abort();
      } else this.queue.push(input);
    }
    void this.pump();
  }

  /** Enters a line as if it were typed, after what waits. The line that was being typed is put back afterwards. */
  enter(line: string): void {
    this.queue.push({ kind: 'line', text: line });
    void this.pump();
  }

  /** Puts a text into the line being edited, for the user to go on with. */
  insert(text: string): void {
    this.queue.push({ kind: 'text', text });
    void this.pump();
  }

  /** Puts a line in the place of the one being edited; what was there is in the history. */
  propose(text: string): void {
    this.queue.push({ kind: 'proposal', text });
    void this.pump();
  }

  /** Runs something else than a typed line (a dropped file) under the console's eyes, when it is free. */
  async runTask(title: string, task: (io: TaskIo) => Promise<number>): Promise<void> {
    while (this.running) await this.idle();
    this.screen.setEdit(null);
    this.screen.print(paint('dim', `# ${title}`) + '\n');
    await this.run(title, task);
  }

  /** Whether a command runs. */
  get busy(): boolean {
    return this.running !== null;
  }

  /** Prints above the line being edited. */
  print(text: string): void {
    this.screen.print(text);
  }

  /** Empties the screen. */
  clear(): void {
    this.screen.clear();
  }

  /** Shows an event of the daemon, given as JSON text. */
  showEvent(event: string): void {
    this.screen.print(formatEvent(event, this.terminal.columns) + '\n');
  }

  /** The terminal has got another size. */
  resized(): void {
    this.screen.resized();
  }

  // ---- input

  /** The last line that was proposed. */
  private proposed = '';
  private idleWaiters: (() => void)[] = [];

  private idle(): Promise<void> {
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private async pump(): Promise<void> {
    if (this.handling || !this.started) return;
    this.handling = true;
    try {
      for (;;) {
        if (this.running && !this.reading) break;
        const input = this.queue.shift();
        if (!input) break;
        await this.handle(input);
      }
    } finally {
      this.handling = false;
    }
  }

  private async handle(input: Queued): Promise<void> {
    if (this.reading?.hidden && (input.kind === 'line' || input.kind === 'proposal')) {
      // What a program enters is no passphrase: the question is taken back.
      this.queue.unshift(input);
      this.cancel();
      return;
    }
    const menu = this.hints.length > 0;
    this.hints = [];
    if (input.kind === 'key') {
      if (this.search && this.searchKey(input.key)) return;
      await this.key(input.key, menu);
    } else if (input.kind === 'text') {
      if (this.search) this.searchFor(this.search.text + input.text, this.history.all.length);
      else this.editor.insert(input.text);
    } else if (input.kind === 'paste') {
      this.search = null;
      this.paste(input.text);
    } else if (input.kind === 'proposal') {
      this.search = null;
      if (this.editor.text !== this.proposed) this.history.add(this.editor.text);
      this.proposed = input.text;
      this.editor.set(input.text);
    } else {
      this.search = null;
      const kept = this.editor.text;
      this.editor.set(input.text);
      this.submit();
      this.editor.set(kept);
    }
    this.show();
  }

  /** A paste of several lines enters all but the last. Its first line is handled now, the rest goes back to the queue. */
  private paste(text: string): void {
    const end = text.indexOf('\n');
    this.editor.insert((end < 0 ? text : text.slice(0, end)).replace(/\t/g, '    '));
    if (end < 0) return;
    const rest = text.slice(end + 1);
    if (rest !== '') this.queue.unshift({ kind: 'paste', text: rest });
    this.queue.unshift({ kind: 'key', key: 'enter' });
  }

  private async key(key: Key, menu: boolean): Promise<void> {
    const { editor } = this;
    switch (key) {
      case 'enter':
        return this.enterKey();
      case 'tab':
        return this.tab(menu);
      case 'ctrl-c':
        return this.cancel();
      case 'ctrl-d':
        if (this.reading && editor.text === '') this.answer(null);
        else editor.delete();
        return;
      case 'ctrl-l':
        return this.screen.clear();
      case 'ctrl-r':
        if (this.reading?.hidden) return;
        this.search = { text: '', found: this.history.all.length, failing: false, before: editor.text };
        return;
      case 'up':
        if (!editor.up()) this.fromHistory(this.history.previous(editor.text));
        return;
      case 'down':
        if (!editor.down()) this.fromHistory(this.history.next());
        return;
      case 'ctrl-p':
        return this.fromHistory(this.history.previous(editor.text));
      case 'ctrl-n':
        return this.fromHistory(this.history.next());
      case 'left':
      case 'ctrl-b':
        return editor.left();
      case 'right':
      case 'ctrl-f':
        return editor.right();
      case 'home':
      case 'ctrl-a':
        return editor.home();
      case 'end':
      case 'ctrl-e':
        return editor.end();
      case 'word-left':
        return editor.wordLeft();
      case 'word-right':
        return editor.wordRight();
      case 'backspace':
        return editor.backspace();
      case 'delete':
        return editor.delete();
      case 'delete-word-left':
        return editor.deleteWordLeft();
      case 'delete-word-right':
        return editor.deleteWordRight();
      case 'ctrl-k':
        return editor.deleteToEnd();
      case 'ctrl-u':
        return editor.deleteToStart();
      case 'ctrl-w':
        return editor.deleteBlankWordLeft();
      case 'ctrl-y':
        return editor.yank();
      case 'ctrl-t':
        return editor.transpose();
      case 'escape':
      case 'ctrl-g':
      case 'ctrl-s':
      case 'page-up':
      case 'page-down':
        return;
    }
  }

  private fromHistory(line: string | null): void {
    if (line !== null && !this.reading) this.editor.set(line);
  }

  private cancel(): void {
    if (this.reading) {
      this.running?.abort();
      this.answer(null);
      return;
    }
    this.editor.set(this.editor.text);
    this.show();
    this.screen.commitEdit(paint('dim', '^C'));
    this.editor.set('');
    this.history.reset();
  }

  private enterKey(): void {
    if (this.reading) this.answer(this.editor.text);
    else if (isComplete(this.editor.text)) this.submit();
    else this.editor.insert('\n');
  }

  /** Takes the line out of the editor and runs it. */
  private submit(): void {
    const line = this.editor.text;
    this.editor.set(line);
    this.show();
    this.screen.commitEdit();
    this.editor.set('');
    this.history.add(line);
    if (inputKind(line) !== 'empty') void this.run(line, (io) => this.execute(line, io));
  }

  private answer(line: string | null): void {
    const { reading } = this;
    if (!reading) return;
    this.reading = null;
    this.show();
    this.screen.commitEdit();
    this.screen.setEdit(null);
    if (reading.hidden) this.editor.forget();
    else this.editor.set('');
    reading.resolve(line);
  }

  // ---- running

  private async execute(line: string, io: TaskIo): Promise<number> {
    if (inputKind(line) === 'json') return this.qmp(line, io);
    const name = firstWord(line);
    const page = this.backend.page.get(name);
    if (page) {
      const words = tokenize(line).tokens.slice(1);
      return page.run(
        words.map(({ text }) => unquote(text) ?? text),
        io,
      );
    }
    if (this.backend.shell.some((command) => command.name === name)) return this.backend.runShell(line, io);
    let request: string;
    try {
      request = toRequest(line.trim());
      const prompt = secretPrompt(line);
      if (prompt !== null) {
        io.stdout(prompt);
        const secret = await this.readLine(true);
        if (secret === null) return INTERRUPTED;
        request = toRequest(withSecret(line.trim(), secret));
      }
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      const { commandHelp } = await import('./help');
      const known = commandHelp(name) !== null;
      io.stderr(`${known ? error.message : `${name}: command not found; help lists all`}\n`);
      return 1;
    }
    const code = await this.qmp(request, io);
    // The daemon's answer to a name that nobody has does not say where the right ones are found.
    const { commandHelp } = await import('./help');
    if (commandHelp(name) === null) io.stdout(paint('dim', 'help lists all commands.') + '\n');
    return code;
  }

  /** Sends a request. Ctrl-C ends the waiting: the daemon has the command already. */
  private async qmp(text: string, io: TaskIo): Promise<number> {
    const interrupted = new Promise<null>((resolve) => {
      io.signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const replies = await Promise.race([this.backend.qmp(text), interrupted]);
    if (!replies) {
      io.stdout(paint('dim', 'The daemon goes on with it; its reply is not shown.') + '\n');
      return INTERRUPTED;
    }
    for (const reply of replies) io.stdout(formatReply(reply, this.terminal.columns) + '\n');
    return replies.some((reply) => 'error' in (JSON.parse(reply) as object)) ? 1 : 0;
  }

  /** Runs a task with its output, progress and Ctrl-C; afterwards the prompt shows again. */
  private async run(line: string, task: (io: TaskIo) => Promise<number>): Promise<void> {
    const controller = new AbortController();
    this.running = controller;
    const began = performance.now();
    let done = 0;
    let total = 0;
    let code = 1;
    const timer = setInterval(() => {
      const elapsed = performance.now() - began;
      if (elapsed >= STATUS_AFTER && !this.reading)
        this.screen.setStatus(progressLine({ elapsed, done, total }));
    }, STATUS_EVERY);
    const io: TaskIo = {
      signal: controller.signal,
      stdout: (text) => this.screen.print(text),
      stderr: (text) => this.screen.print(paint('error', text)),
      progress: (now, all) => {
        done = now;
        total = all;
      },
      readLine: () => this.readLine(),
    };
    try {
      code = await task(io);
    } catch (error) {
      if (!controller.signal.aborted) {
        io.stderr(`${error instanceof Error ? error.message : String(error)}\n`);
      }
    } finally {
      clearInterval(timer);
      this.reading?.resolve(null);
      this.reading = null;
      this.screen.setStatus(null);
      this.screen.finishLine();
      if (controller.signal.aborted) this.screen.print(paint('dim', '^C') + '\n');
      this.running = null;
      this.options.onDone?.(withoutSecret(line), code);
      this.prompt();
      this.idleWaiters.splice(0).forEach((resolve) => resolve());
      void this.pump();
    }
  }

  private readLine(hidden = false): Promise<string | null> {
    return new Promise((resolve) => {
      const prompt = this.screen.takePartial();
      this.editor.set('');
      this.reading = { prompt, resolve, hidden };
      this.screen.setStatus(null);
      this.show();
      // What is typed from now on is for the tool.
      void this.pump();
    });
  }

  // ---- display

  private prompt(): void {
    this.show();
    this.options.onPrompt?.();
  }

  private show(): void {
    if (this.running && !this.reading) return;
    const { search } = this;
    const prompt = search
      ? paint('dim', `(${search.failing ? 'failed ' : ''}search '${search.text}') `)
      : (this.reading?.prompt ?? PROMPT);
    const { text, cursor } = this.reading?.hidden ? { text: '', cursor: 0 } : this.editor;
    this.screen.setEdit({ prompt, text, cursor, hints: this.hints });
  }

  // ---- completion

  private async tab(menu: boolean): Promise<void> {
    if (this.reading) return;
    const { complete, commonPrefix } = await import('./complete');
    const completion = await complete(this.editor.text, this.editor.cursor, this.backend);
    const { candidates, from, to } = completion;
    const typed = this.editor.text.slice(from, this.editor.cursor);
    const prefix = commonPrefix(candidates);
    if (candidates.length === 1 || prefix.length > typed.length) this.editor.replace(from, to, prefix);
    if (candidates.length !== 1) this.hints = this.menuRows(completion, menu);
  }

  private menuRows(completion: Completion, again: boolean): string[] {
    const { candidates, expected } = completion;
    if (candidates.length === 0) return expected === undefined ? [] : [paint('dim', expected)];
    // A second Tab shows all that fits.
    const limit = again ? Math.max(MENU_ROWS, this.terminal.rows - 4) : MENU_ROWS;
    return candidateRows(distinct(candidates), this.terminal.columns, limit);
  }

  // ---- search in the history

  /** Handles a key during a search; false: the search ends and the key is handled as usual. */
  private searchKey(key: Key): boolean {
    const search = this.search;
    if (!search) return false;
    switch (key) {
      case 'ctrl-r':
        this.searchFor(search.text, search.found);
        break;
      case 'backspace':
        this.searchFor(search.text.slice(0, -1), this.history.all.length);
        break;
      case 'ctrl-g':
      case 'ctrl-c':
      case 'escape':
        this.editor.set(search.before);
        this.search = null;
        break;
      default:
        this.search = null;
        return false;
    }
    this.show();
    return true;
  }

  private searchFor(text: string, before: number): void {
    const search = this.search;
    if (!search) return;
    const found = text === '' ? null : this.history.search(text, before);
    search.text = text;
    search.failing = text !== '' && !found;
    if (found) {
      search.found = found.index;
      this.editor.set(found.entry, found.entry.indexOf(text));
    }
  }
}

function distinct(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ label }) => !seen.has(label) && seen.add(label));
}
