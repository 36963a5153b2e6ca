/**
 * Lets the elements of a page work together: commands of the graph, of jobs, guests and lessons go through the console, where
 * the user sees and learns them, and what was entered there is told to the others. An element that is not there is not missed.
 */
import type { QsdConsole } from './console/element';
import type { QsdFiles } from './files/element';
import type { QsdGraph } from './graph/element';
import type { QsdLessons } from './lessons/element';

/** Listens on all that is below `root`; elements may come and go. `showConsole`: a command goes there now. */
export function wire(root: ParentNode & EventTarget, showConsole: () => void = () => undefined): void {
  const listen = <T>(name: string, listener: (detail: T, event: Event) => void): void =>
    root.addEventListener(name, (event) => listener((event as CustomEvent<T>).detail, event));
  const terminal = (): QsdConsole | null => root.querySelector<QsdConsole>('qsd-console');

  listen<{ command: string; run?: boolean }>('qsd-command', ({ command, run = false }, event) => {
    const console = terminal();
    // What runs there cannot be waited for by a verb.
    if (!console || (run && console.busy)) return;
    event.preventDefault();
    showConsole();
    if (run) console.enter(command);
    else console.propose(command);
  });
  listen<{ lines: string[] }>('qsd-setup', ({ lines }) => {
    const console = terminal();
    if (!console) return;
    showConsole();
    for (const line of lines) console.enter(line);
  });
  listen<{ line: string }>('qsd-done', ({ line }) => {
    root.querySelectorAll<QsdLessons>('qsd-lessons').forEach((lessons) => lessons.entered(line));
    root.querySelectorAll<QsdFiles>('qsd-files').forEach((files) => files.refresh());
    root.querySelectorAll<QsdGraph>('qsd-graph').forEach((graph) => graph.offerFiles());
  });
  listen('qsd-plug', () => {
    root.querySelectorAll<QsdGraph>('qsd-graph').forEach((graph) => graph.plugPulled());
  });
}
