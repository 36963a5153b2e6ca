/** Names that images store of other files, made complete (graph.md section 6). */
import { GraphError } from './errors';

/** What of a node its names start from. */
export interface NamedImage {
  readonly driver: string;
  readonly exactFilename: string;
  /** As the image stores it. */
  readonly backingFile: string;
  readonly primary: NamedImage | null;
  readonly filtered: NamedImage | null;
}

/** The prefix before the first `:` if no `/` comes before it: the name of a protocol. */
export function protocolOf(filename: string): string | null {
  const match = /^([^:/]*):/.exec(filename);
  return match ? (match[1] ?? '') : null;
}

/** `name`, which was found in the file `base`, as a name that starts where `base` does. */
export function combinePaths(base: string, name: string): string {
  if (name.startsWith('/') || protocolOf(name) !== null) return name;
  const prefix = protocolOf(base);
  const start = prefix === null ? 0 : prefix.length + 1;
  return base.slice(0, Math.max(start, base.lastIndexOf('/') + 1)) + name;
}

/** The plain name that relative names inside the image of this node start from. */
function baseName(node: NamedImage): string {
  const below = node.primary ?? node.filtered;
  if (below) return baseName(below);
  if (node.exactFilename === '') {
    throw new GraphError(`Cannot generate a base directory for ${node.driver} nodes`);
  }
  return node.exactFilename;
}

/** The complete name of a file that the image of `node` names `stored`. Throws where it cannot be told. */
export function resolveStored(node: NamedImage, stored: string): string {
  if (stored === '' || stored.startsWith('/') || protocolOf(stored) !== null) return stored;
  return combinePaths(baseName(node), stored);
}

/** The same for an image of which only the name is known. */
export function resolveNamed(filename: string, stored: string): string {
  if (stored === '' || stored.startsWith('/') || protocolOf(stored) !== null) return stored;
  if (filename === '' || filename.startsWith('json:')) {
    throw new GraphError(`Cannot use relative backing file names for '${filename}'`);
  }
  return combinePaths(filename, stored);
}

/** The complete name of a node's backing file; empty without one, null if it cannot be told. */
export function fullBackingName(node: NamedImage): string | null {
  try {
    return resolveStored(node, node.backingFile);
  } catch (error) {
    if (error instanceof GraphError) return null;
    throw error;
  }
}
