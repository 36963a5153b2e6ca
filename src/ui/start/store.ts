/** The start script that is kept in this browser. */

const KEY = 'qsd-web start script';

export interface KeptScript {
  script: string;
  /** Run it whenever the page is opened. */
  always: boolean;
}

/** What was kept; nothing where the browser keeps nothing. */
export function keptScript(): KeptScript | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Partial<KeptScript> | null;
    return typeof kept?.script === 'string' ? { script: kept.script, always: kept.always === true } : null;
  } catch {
    return null;
  }
}

/** Keeps a script; an empty one is forgotten. */
export function keepScript(kept: KeptScript): void {
  try {
    if (kept.script.trim() === '') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A private window keeps nothing.
  }
}
