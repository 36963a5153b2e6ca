/** File names of nodes that are generated for them (graph.md section 6). */
import { toJson } from '../qapi/json-print';
import { setMember, type QmpObject, type QmpValue } from '../qapi/value';
import { Role, type BlockNode, type Link } from './node';

/** QEMU's buffer for a file name holds this many bytes and a zero. */
const MAX_NAME = 4095;

/** Whether the backing chain is not the one that the image would open by itself. */
function backingOverridden(node: BlockNode): boolean {
  if (node.noIo) return false;
  return (node.backing?.filename ?? '') !== node.autoBackingFile;
}

/** The options by which the image differs from others of its driver, with their values as they were given. */
function strongOptions(node: BlockNode): QmpObject {
  const strong: QmpObject = {};
  for (const [key, value] of node.given.entries()) {
    const known = node.type.strongOptions.some((name) =>
      name.endsWith('.') ? key.startsWith(name) : key === name,
    );
    if (known) setMember(strong, key, value);
  }
  return strong;
}

/** Works the names of a node out anew; those of its children are up to date. */
export function refreshFilename(node: BlockNode): void {
  const below = node.implicit || node.driver === 'commit_top' ? node.filtered : null;
  if (below) {
    const { exactFilename, fullOpenOptions, filename } = below;
    Object.assign(node, { exactFilename, fullOpenOptions, filename });
    return;
  }
  const strong = strongOptions(node);
  const overridden = backingOverridden(node);
  const { primary } = node;
  if (node.type.protocol) {
    node.exactFilename = node.type.plainName?.(node) ?? '';
  } else {
    const plain = primary?.type.protocol && !node.isFilter && Object.keys(strong).length === 0 && !overridden;
    node.exactFilename = plain ? primary.exactFilename : '';
  }
  const full: QmpObject = { ...strong, driver: node.driver };
  // Lists keep the order of their numbers, whichever link is the newest.
  const place = ({ name }: Link): number => Number(name.split('.')[1] ?? 0);
  for (const link of [...node.links].reverse().sort((a, b) => place(a) - place(b))) {
    if (link.role & Role.COW && !overridden) continue;
    const [list = '', index] = link.name.split('.');
    if (index === undefined) setMember(full, link.name, link.node.fullOpenOptions);
    else full[list] = [...((full[list] as QmpValue[] | undefined) ?? []), link.node.fullOpenOptions];
  }
  if (overridden && !node.backing) full.backing = null;
  node.fullOpenOptions = full;
  if (node.type.namedAsChild && primary) node.exactFilename = primary.filename;
  node.filename = node.exactFilename || jsonName(full);
}

function jsonName(options: QmpObject): string {
  const name = `json:${toJson(options)}`;
  // All characters are ASCII: everything else is escaped.
  return name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 3)}...` : name;
}
