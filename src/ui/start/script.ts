/** Start scripts: lines of the console that make files and start the daemon, entered one after the other. */

/** The lines of a script; blank ones and comments (`# ...`) are none. */
export function scriptLines(script: string): string[] {
  return script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Commands that only show something, or that bring what a script cannot have. */
const SHOWS =
  /^(?:help|ls|history|clear|announce|reset|undo|sample$|hexdump|sha256sum|export|query-[\w-]+|qom-(?:get|list[\w-]*)|ringbuf-read|qemu-img\s+(?:check(?!\s.*-r)|compare|info|map|measure|snapshot\s+-l)|x-debug-query-[\w-]+)(?:\s|$)/;

/** Whether a line changed something, so that a script needs it. */
export function changesSomething(line: string): boolean {
  return !SHOWS.test(line.trim()) && !/"execute"\s*:\s*"(?:query-|qom-get|qom-list|qmp_cap)/.test(line);
}

/** A line of the console as one line of a script: requests in JSON may have been typed in several. */
export function asLine(entered: string): string {
  return entered
    .split('\n')
    .map((part) => part.trim())
    .join(' ')
    .trim();
}

/** Those of the names that a script mentions as a word or as a value. */
export function mentioned(script: string, names: readonly string[]): string[] {
  const words = new Set(scriptLines(script).flatMap((line) => line.split(/[\s,="':]+/)));
  return names.filter((name) => words.has(name));
}
