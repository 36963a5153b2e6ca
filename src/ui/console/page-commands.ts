/** The console's own commands: those that need the page, and help. */
import type { Client } from '../../client';
import type { ShellCommandInfo } from '../../client/protocol';
import { pickFiles } from '../page-io';
import { exportFiles, importFiles, importUrls, openFiles } from '../transfer';
import { sampleCommand } from '../files/samples';
import type { PageCommand } from './backend';
import type { History } from './history';

/** What the commands act on. */
export interface PageParts {
  client: Client;
  history: History;
  /** Commands of the shell. */
  shell: readonly ShellCommandInfo[];
  /** Commands of the page around. */
  extra: readonly PageCommand[];
  columns: () => number;
  clear: () => void;
  /** Has a screen reader read what is printed, or not. */
  announce: (on: boolean) => void;
}

/** The commands by name. */
export function pageCommands({
  client,
  history,
  shell,
  extra,
  columns,
  clear,
  announce,
}: PageParts): Map<string, PageCommand> {
  const commands: PageCommand[] = [
    {
      info: {
        name: 'help',
        summary: 'lists all commands, or explains one',
        usage: '[COMMAND [KEY=VALUE]...]',
        arguments: 'command',
      },
      run: async (words, io) => {
        const { helpOn, overview } = await import('./help');
        const all = [...shell, ...commands.map(({ info }) => info)];
        const [topic, ...given] = words;
        if (topic === undefined)
          io.stdout(
            overview(
              shell,
              commands.map(({ info }) => info),
              columns(),
            ),
          );
        else {
          const text = helpOn(topic, given, all, columns());
          if (text === null) {
            io.stderr(`help: no command '${topic}'\n`);
            return 1;
          }
          io.stdout(text);
        }
        return 0;
      },
    },
    {
      info: {
        name: 'import',
        summary:
          'copies local files into the sandbox (file picker; or drop them on the page), or files of the web',
        usage: '[URL]...',
        arguments: 'none',
      },
      run: async (words, io) =>
        words.length > 0
          ? importUrls(client, words, io)
          : importFiles(client, await pickFiles(io.signal), io),
    },
    {
      info: {
        name: 'open',
        summary: 'reads local files in place, without a copy (file picker)',
        usage: '',
        arguments: 'none',
      },
      run: async (_words, io) => openFiles(client, await pickFiles(io.signal), io),
    },
    {
      info: {
        name: 'export',
        summary: 'saves files of the sandbox to your disk',
        usage: 'FILE...',
        arguments: 'files',
      },
      run: async (words, io) => {
        if (words.length > 0) return exportFiles(client, words, io);
        io.stderr('export: which file?\n');
        return 1;
      },
    },
    {
      info: {
        name: 'history',
        summary: 'lists the lines entered before; -c forgets them',
        usage: '[-c]',
        arguments: 'none',
      },
      run: async (words, io) => {
        if (words[0] === '-c') history.clear();
        else
          io.stdout(history.all.map((line, index) => `${String(index + 1).padStart(5)}  ${line}\n`).join(''));
        return 0;
      },
    },
    {
      info: { name: 'clear', summary: 'empties the screen (also Ctrl-L)', usage: '', arguments: 'none' },
      run: async () => {
        clear();
        return 0;
      },
    },
    {
      info: {
        name: 'announce',
        summary: 'has a screen reader read what is printed here (on), or not (off); it is kept',
        usage: 'on|off',
        arguments: 'none',
        subcommands: [{ name: 'on' }, { name: 'off' }],
      },
      run: async ([word], io) => {
        if (word !== 'on' && word !== 'off') {
          io.stderr('announce: on or off?\n');
          return 1;
        }
        announce(word === 'on');
        return 0;
      },
    },
    sampleCommand(client),
    ...extra,
  ];
  return new Map(
    commands.map((command) => [
      command.info.name,
      {
        info: command.info,
        run: async (words, io) => {
          if (words[0] !== '--help' && words[0] !== '-h') return command.run(words, io);
          const { name, usage, summary } = command.info;
          io.stdout(`usage: ${name} ${usage}`.trimEnd() + `\n${summary}\n`);
          return 0;
        },
      },
    ]),
  );
}
