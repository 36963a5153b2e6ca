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

/** Commands that take files from the network or the device of the user, or put them there, and addresses of servers. */
const LEAVES = /^(?:import|open|export)(?:\s|$)|\bnbd:|\binet\b/;

/** Whether a line reaches out of the sandbox. */
export function leavesSandbox(line: string): boolean {
  return LEAVES.test(line.trim());
}

/** A line of the console as one line of a script: requests in JSON may have been typed in several. */
export function asLine(entered: string): string {
  return entered
    .split('\n')
    .map((part) => part.trim())
    .join(' ')
    .trim();
}

/** Commands that may change any file. */
const CHANGES_ALL = /^(?:reset|undo)(?:\s|$)/;

/**
 * Those of the names of files or directories that a script mentions: as a word or a value, as the beginning of a path, by a pattern
 * (`rm *`), or all of them where a line may change any.
 */
export function mentioned(script: string, names: readonly string[]): string[] {
  const lines = scriptLines(script);
  if (lines.some((line) => CHANGES_ALL.test(line))) return [...names];
  const text = lines.join('\n');
  const words = new Set<string>();
  const patterns: RegExp[] = [];
  for (const word of text.split(/[\s,="':{}]+/)) {
    const [first = ''] = word.replace(/^(?:\.?\/)+/, '').split('/');
    if (/[*?[]/.test(first)) patterns.push(pattern(first));
    else words.add(first);
  }
  return names.filter(
    (name) =>
      words.has(name) ||
      // Of a name that is more than a word the parts say nothing.
      (/[\s,="':{}\\]/.test(name) && text.includes(name)) ||
      patterns.some((one) => one.test(name)),
  );
}

/** What a pattern of the shell may match, at least; a set in brackets counts as any characters. */
function pattern(glob: string): RegExp {
  const source = glob
    .replace(/\[.*$/, '*')
    .replace(/[\\^$.+()[\]{}|]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's');
}
