/** Back to an empty sandbox, and one step back. */
import type { Client, ShellIo } from '../../client';
import type { PageCommand, TaskIo } from '../console/backend';
import { type LineConsole, runScript } from './run';
import type { Visit } from './visit';

/** Ends the daemon's work and deletes all files; answers what could not be deleted. */
export async function emptySandbox(client: Client): Promise<string> {
  let complaints = '';
  const io: ShellIo = {
    stdout: () => undefined,
    stderr: (text) => void (complaints += text),
    progress: () => undefined,
    readLine: () => Promise.resolve(null),
  };
  await client.runShell('qemu-storage-daemon', io);
  const entries = await client.list();
  if ('failure' in entries) return entries.failure;
  for (const { name, local } of entries.value) {
    const path = `"./${name.replace(/["\\]/g, '\\$&')}"`;
    await client.runShell(`rm ${local ? '' : '-r '}${path}`, io);
  }
  return complaints;
}

/** The commands `reset` and `undo` of the console. */
export function resetCommands(client: Client, terminal: LineConsole, visit: Visit): PageCommand[] {
  const empty = async (io: TaskIo): Promise<boolean> => {
    const complaints = await emptySandbox(client);
    if (complaints !== '') io.stderr(complaints);
    return complaints === '';
  };
  return [
    {
      info: {
        name: 'reset',
        summary: 'starts the daemon anew and deletes all files of the sandbox; -y does not ask',
        usage: '[-y]',
        arguments: 'none',
      },
      run: async (words, io) => {
        const entries = await client.list();
        const count = 'value' in entries ? entries.value.length : 0;
        if (count > 0 && words[0] !== '-y') {
          io.stdout(
            `Delete all that is in the sandbox (${count === 1 ? '1 entry' : `${count} entries`})? [y/N] `,
          );
          if (!/^y(?:es)?$/i.test((await io.readLine())?.trim() ?? '')) return 1;
        }
        if (!(await empty(io))) return 1;
        visit.restart();
        return 0;
      },
    },
    {
      info: {
        name: 'undo',
        summary: 'takes back the last line that changed something, by doing all before it again',
        usage: '',
        arguments: 'none',
      },
      run: async (_words, io) => {
        const reason = visit.cannotUndo;
        if (reason !== null) {
          io.stderr(`undo: cannot: ${reason}\n`);
          return 1;
        }
        const lines = visit.lines.slice(0, -1);
        io.stdout(`Taken back: ${visit.lines.at(-1)}\n`);
        if (!(await empty(io))) return 1;
        visit.restart();
        // When the console is free again.
        setTimeout(() => void runScript(terminal, client, lines), 0);
        return 0;
      },
    },
  ];
}
