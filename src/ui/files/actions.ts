/** What the files panel asks for, done through a console. */
import type { Client } from '../../client';
import type { QsdConsole } from '../console/element';
import { pickFiles } from '../page-io';
import { exportFiles, importFiles, openFiles } from '../transfer';
import type { FilesActions } from './element';

/** The actions, and the two that drops have in common with them. */
export interface FileWork extends FilesActions {
  importAll: (files: File[]) => void;
  openAll: (files: File[]) => void;
}

/** @param console where work shows its progress and its messages; null: there is none, and nothing is done */
export function fileWork(client: Client, console: () => QsdConsole | null): FileWork {
  const importAll = (chosen: File[]): void => {
    if (chosen.length > 0)
      console()?.runTask(`import ${names(chosen)}`, (io) => importFiles(client, chosen, io));
  };
  const openAll = (chosen: File[]): void => {
    if (chosen.length > 0) console()?.runTask(`open ${names(chosen)}`, (io) => openFiles(client, chosen, io));
  };
  return {
    importAll,
    openAll,
    import: () => void pickFiles().then(importAll),
    open: () => void pickFiles().then(openAll),
    export: (path) => console()?.runTask(`export ${quoted(path)}`, (io) => exportFiles(client, [path], io)),
    remove: (path, kind) => console()?.enter(`rm ${kind === 'file' ? '' : '-r '}${quoted(path)}`),
    // Only a page with an inspector can.
    inspect: null,
    propose: (line) => console()?.propose(line),
    choose: (path) => console()?.insert(`${quoted(path)} `),
  };
}

function names(files: readonly File[]): string {
  return files.map(({ name }) => quoted(name)).join(' ');
}

/** A path as a word of the console that no command takes for an option. */
function quoted(name: string): string {
  const path = name.startsWith('-') ? `./${name}` : name;
  return /^[\w./+-]+$/.test(path) ? path : `"${path.replace(/["\\]/g, '\\$&')}"`;
}
