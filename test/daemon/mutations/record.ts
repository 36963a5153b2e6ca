/**
 * Says all mutated requests to a daemon. `npx tsx test/daemon/mutations/record.ts` records what the real daemon answers.
 */
import { createHash } from 'node:crypto';
import { execSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDaemonIn } from '../daemon';
import { commandsOf, type MutationGroup } from './mutations';
import { MUTATION_GROUPS } from './groups';
import { Mask } from '../transcript';

const FIXTURE = join(import.meta.dirname, 'fixtures/replies.json');

interface Recorded {
  version: string;
  /** All different answers. */
  answers: string[];
  groups: {
    name: string;
    /** Of all commands: others must be recorded anew. */
    digest: string;
    /** For each command the index of its answer. */
    replies: number[];
  }[];
}

/** A conversation: takes a line, answers the lines that came up to its reply. */
type Ask = (line: string) => Promise<string[]>;

/** A command, and what was answered: events and the reply, each on a line. */
export interface Answered {
  command: string;
  answer: string;
}

async function converse(group: MutationGroup, ask: Ask): Promise<Answered[]> {
  const mask = new Mask();
  await ask('{"execute":"qmp_capabilities"}');
  const answered: Answered[] = [];
  for (const command of commandsOf(group)) {
    const [, name, args] = /^(\S+)(?: (.*))?$/s.exec(command) ?? [];
    const lines = await ask(`{"execute":"${name}"${args === undefined ? '' : `,"arguments":${args}`}}`);
    answered.push({ command, answer: lines.map((line) => mask.apply(line)).join('\n') });
  }
  return answered;
}

const isReply = (line: string): boolean => /^\{"(?:return|error)": /.test(line);

/** Our answers. */
export async function askOurs(group: MutationGroup): Promise<Answered[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mutations-'));
  for (const command of group.files ?? []) execSync(command, { cwd: directory });
  const { daemon } = openDaemonIn(directory);
  let text = '';
  const monitor = daemon.openMonitor({ write: (chunk) => (text += chunk) });
  const answered = await converse(group, async (line) => {
    text = '';
    await monitor.receive(Buffer.from(line));
    return text.split('\r\n').filter((found) => found !== '');
  });
  await daemon.end();
  rmSync(directory, { recursive: true });
  return answered;
}

async function askReal(group: MutationGroup): Promise<Answered[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mutations-'));
  for (const command of group.files ?? []) execSync(command, { cwd: directory });
  const sockets = mkdtempSync(join(tmpdir(), 'monitor-'));
  const path = join(sockets, 'm');
  const child = spawn(
    'qemu-storage-daemon',
    ['--chardev', `socket,id=monitor,server=on,wait=off,path=${path}`, '--monitor', 'monitor'],
    { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    let socket = connect(path);
    for (;;) {
      try {
        await once(socket, 'connect');
        break;
      } catch {
        await sleep(20);
        socket = connect(path);
      }
    }
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return await converse(group, async (line) => {
      text = '';
      socket.write(line);
      for (;;) {
        const lines = text.split('\r\n');
        if (lines.slice(0, -1).some(isReply))
          return lines.filter((found) => found !== '' && !found.startsWith('{"QMP"'));
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended at ${line}`);
        await Promise.race([once(socket, 'data'), sleep(1000)]);
      }
    });
  } finally {
    child.kill();
    rmSync(directory, { recursive: true });
    rmSync(sockets, { recursive: true });
  }
}

const digestOf = (commands: readonly string[]): string =>
  createHash('sha256').update(commands.join('\n')).digest('hex');

/** What the real daemon answered; throws if other commands were recorded. */
export function recordedAnswers(group: MutationGroup): Answered[] {
  const { answers, groups } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as Recorded;
  const found = groups.find(({ name }) => name === group.name);
  const commands = commandsOf(group);
  if (found?.digest !== digestOf(commands)) throw new Error(`${group.name} has changed: record it again`);
  return commands.map((command, at) => ({ command, answer: answers[found.replies[at] ?? -1] ?? '' }));
}

async function record(): Promise<void> {
  const answers = new Map<string, number>();
  const groups: Recorded['groups'] = [];
  for (const group of MUTATION_GROUPS) {
    const answered = await askReal(group);
    const replies = answered.map(({ answer }) => {
      if (!answers.has(answer)) answers.set(answer, answers.size);
      return answers.get(answer) ?? -1;
    });
    groups.push({ name: group.name, digest: digestOf(commandsOf(group)), replies });
  }
  const version = execSync('qemu-storage-daemon --version', { encoding: 'utf8' }).split('\n')[0] ?? '';
  const recorded: Recorded = { version, answers: [...answers.keys()], groups };
  // One answer, or the answers of one group, on a line.
  const text = JSON.stringify(recorded)
    .replace('"answers":[', '"answers":[\n')
    .replaceAll('","', '",\n"')
    .replaceAll('{"name":', '\n{"name":');
  writeFileSync(FIXTURE, `${text}\n`);
}

if (process.argv[1] === import.meta.filename) await record();
