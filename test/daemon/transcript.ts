/**
 * Transcripts: what is said to a daemon and what it answers, as README.md in this folder describes.
 *
 * The texts in transcripts/ are the source; record.ts runs them against the real daemon and writes fixtures/; the replay
 * runs the same against ours.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** One line of a transcript. */
export type Step =
  | { kind: 'send'; monitor: string; text: string; loose?: boolean }
  | { kind: 'open'; monitor: string }
  | { kind: 'shell'; monitor: string; command: string }
  | { kind: 'wait'; monitor: string; pattern: string };

export interface Transcript {
  /** Shell commands that make the files, before the daemon runs. */
  setup: string[];
  steps: Step[];
}

/** A file that the setup made. */
export interface RecordedFile {
  name: string;
  /** Bytes. */
  size: number;
  /** The non-zero pieces, each from an offset: gzip, base64. */
  pieces: [offset: number, data: string][];
}

/** What record.ts stores for one transcript. */
export interface Recording {
  version: string;
  /** The transcript that was recorded; a changed one must be recorded again. */
  source: string;
  files: RecordedFile[];
  /** For each step the lines that came, by monitor: `name: line`; those of a shell command are under `!`. */
  output: string[][];
}

/** Reads the text of a transcript; the form is in README.md. */
export function parseTranscript(text: string): Transcript {
  const transcript: Transcript = { setup: [], steps: [] };
  for (const raw of text.split('\n')) {
    if (raw.trim() === '' || raw.startsWith('#')) continue;
    if (raw.startsWith('$ ')) {
      transcript.setup.push(raw.slice(2));
      continue;
    }
    if (raw.startsWith('! ')) {
      transcript.steps.push({ kind: 'shell', monitor: 'm', command: raw.slice(2) });
      continue;
    }
    const prefix = /^(\w+)> (.*)$/.exec(raw);
    const monitor = prefix?.[1] ?? 'm';
    const loose = (prefix?.[2] ?? raw).startsWith('~ ');
    const line = (prefix?.[2] ?? raw).replace(/^~ /, '');
    const waitFor = /^wait (.*)$/.exec(line);
    const bytes = /^bytes (.*)$/.exec(line);
    const command = /^([a-zA-Z][\w-]*)(?: (\{.*\}))?$/.exec(line);
    if (line === 'open') transcript.steps.push({ kind: 'open', monitor });
    else if (waitFor) transcript.steps.push({ kind: 'wait', monitor, pattern: waitFor[1] ?? '' });
    else if (bytes)
      transcript.steps.push({ kind: 'send', monitor, text: JSON.parse(bytes[1] ?? '""') as string });
    else if (command)
      transcript.steps.push({
        kind: 'send',
        monitor,
        ...(loose && { loose }),
        text: `{"execute": "${command[1]}"${command[2] ? `, "arguments": ${command[2]}` : ''}}\n`,
      });
    else transcript.steps.push({ kind: 'send', monitor, text: `${line}\n` });
  }
  return transcript;
}

/** One end of a monitor. */
export interface Client {
  /** Bytes, one a character. */
  send(bytes: string): void;
  /** All that has come so far. */
  received(): string;
}

/** Runs a shell command of a transcript where its files are. Answers what it printed and how it ended. */
export type RunShell = (command: string) => Promise<{ output: string; code: number }>;

/** {@link RunShell} in a directory. */
export function shellIn(directory: string): RunShell {
  return (command) =>
    new Promise((resolve) => {
      const child = spawn('sh', ['-c', `exec 2>&1; ${command}`], {
        cwd: directory,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.on('close', (code) => resolve({ output, code: code ?? -1 }));
    });
}

/**
 * Runs the steps. A step is over when nothing has come for `quiet` milliseconds and the daemon is not `busy` (and, for
 * `wait`, when the pattern has come). Answers the lines of each step, masked.
 */
export async function run(
  transcript: Transcript,
  open: (monitor: string) => Promise<Client>,
  quiet: number,
  shell: RunShell,
  busy: () => boolean = () => false,
): Promise<string[][]> {
  const clients = new Map<string, { client: Client; before: number; seen: number }>();
  const mask = new Mask();
  const output: string[][] = [];
  const connect = async (name: string): Promise<void> => {
    clients.set(name, { client: await open(name), before: 0, seen: 0 });
  };
  const total = (): number =>
    [...clients.values()].reduce((sum, { client }) => sum + client.received().length, 0);
  await connect('m');
  for (const step of [{ kind: 'open', monitor: '' } as Step, ...transcript.steps]) {
    if (step.kind === 'open') {
      if (step.monitor) await connect(step.monitor);
    } else if (step.kind === 'send') clients.get(step.monitor)?.client.send(step.text);
    const lines: string[] = [];
    if (step.kind === 'shell') {
      const { output: text, code } = await shell(step.command);
      for (const line of text.split('\n')) if (line) lines.push(`!: ${maskTool(line)}`);
      if (code !== 0) lines.push(`!: exit code ${code}`);
    }
    const deadline = Date.now() + 10_000;
    if (step.kind === 'send' && step.text.startsWith('{"execute": ')) {
      // A slow command is not over when nothing has come for a while; some texts have no reply at all.
      const entry = clients.get(step.monitor);
      const answered = () => /"(return|error)": /.test(entry?.client.received().slice(entry.seen) ?? '');
      while (!answered() && Date.now() < deadline - 9000) await sleep(1);
    }
    if (step.kind === 'wait') {
      const entry = clients.get(step.monitor);
      while (entry && !new RegExp(step.pattern).test(entry.client.received().slice(entry.before))) {
        if (Date.now() > deadline) throw new Error(`nothing like /${step.pattern}/ came`);
        await sleep(2);
      }
    }
    for (let before = -1; before !== total() || busy(); await sleep(quiet)) before = total();
    for (const [name, entry] of clients) {
      const text = entry.client.received();
      for (const line of text.slice(entry.seen).split('\r\n'))
        if (line) lines.push(`${name}: ${mask.apply(line)}`);
      entry.before = entry.seen;
      entry.seen = text.length;
    }
    if (step.kind === 'send' && step.loose) lines.sort((a, b) => Number(isReply(a)) - Number(isReply(b)));
    output.push(onceDrained(lines));
  }
  return output;
}

/**
 * How often in a row QEMU stops all jobs for a moment while the graph changes is a matter of how it is built: `paused` and
 * `running` of the same jobs that follow each other count as one.
 */
function onceDrained(lines: string[]): string[] {
  const kept: string[] = [];
  let last: string[] = [];
  for (let at = 0; at < lines.length;) {
    const drain = drainAt(lines, at);
    if (drain.length === 0) kept.push(lines[at] ?? '');
    else if (drain.join() !== last.join()) kept.push(...drain);
    last = drain;
    at += Math.max(1, drain.length);
  }
  return kept;
}

/** The lines of one drain, which begins at a line: each job pauses, and each goes on. */
function drainAt(lines: readonly string[], at: number): string[] {
  const take = (from: number, pattern: RegExp): string[] => {
    const ids: string[] = [];
    for (let match; (match = pattern.exec(lines[from + ids.length] ?? ''));) ids.push(match[1] ?? '');
    return ids;
  };
  const paused = take(at, /"JOB_STATUS_CHANGE", "data": \{"status": "(?:paused|standby)", "id": "(.*?)"\}/);
  const resumed = take(
    at + paused.length,
    /"JOB_STATUS_CHANGE", "data": \{"status": "(?:running|ready)", "id": "(.*?)"\}/,
  );
  const same =
    paused.length > 0 && paused.toSorted().join() === resumed.slice(0, paused.length).toSorted().join();
  return same ? lines.slice(at, at + 2 * paused.length) : [];
}

/** Takes out of the output of a tool what differs from run to run. */
function maskTool(line: string): string {
  return line.replace(/(ops; )[0-9:.]+ (?:sec )?\(.* ops\/sec\)/, '$1TIME');
}

const isReply = (line: string): boolean => line.includes('"return": ');

/** Takes out what differs from run to run, and what 10.0 has and 9.1 has not. */
export class Mask {
  private readonly names = new Map<string, string>();

  apply(line: string): string {
    return line
      .replace(/"timestamp": \{"seconds": -?\d+, "microseconds": -?\d+\}/, '"timestamp": {}')
      .replace(/"QMP": \{"version": \{.*\}, "capabilities"/, '"QMP": {"version": {}, "capabilities"')
      .replace(/\{"qemu": \{[^}]*\}, "package": "[^"]*"\}/, '{"qemu": {}, "package": ""}')
      .replace(/"active": true, |, "active": true/g, '')
      .replace(/"actual-size": \d+/g, '"actual-size": 0')
      .replace(/"((?:date|vm-clock)-n?sec)": \d+/g, '"$1": 0')
      .replace(/#block\d{3,}/g, (name) => {
        const known = this.names.get(name) ?? `#block<${this.names.size}>`;
        this.names.set(name, known);
        return known;
      });
  }
}
