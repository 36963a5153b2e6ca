/** quorum: writes go to all children, and reads are what enough of them agree on. */
import type { NodeHandle } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { GraphError, toGraphError } from '../errors';
import { Role, type BlockNode, type Link } from '../node';
import type { Options } from '../options';
import type { Driver, OpenContext } from './driver';

const CHILDREN = 'children';

/** What of a node matters when its children change. */
interface QuorumState {
  threshold: number;
  verify: boolean;
  rewrite: boolean;
  /** The number that the name of the next child gets. */
  next: number;
}
const states = new WeakMap<BlockNode, QuorumState>();

function stateOf(node: BlockNode): QuorumState {
  const state = states.get(node);
  if (!state) throw new TypeError(`node '${node.name}' is no open quorum`);
  return state;
}

/** The number of children that options describe. */
function countChildren(options: Options): number {
  // An empty list is a key of its own.
  if (options.has(CHILDREN)) options.delete(CHILDREN);
  const indices = new Set<string>();
  for (const [key] of options.entries()) {
    const match = /^children\.([^.]*)/.exec(key);
    if (match) indices.add(match[1] ?? '');
  }
  for (let i = 0; i < indices.size; i++) {
    if (!indices.has(String(i))) throw new GraphError(`Option ${CHILDREN} is not a valid array`);
  }
  if (indices.size === 0) throw new GraphError('Number of provided children must be 1 or more');
  return indices.size;
}

function takePattern(options: Options): 'quorum' | 'fifo' {
  const pattern = options.takeText('read-pattern') ?? 'quorum';
  if (pattern !== 'quorum' && pattern !== 'fifo') {
    throw new GraphError('Please set read-pattern as fifo or quorum');
  }
  return pattern;
}

export const quorum: Driver = {
  name: 'quorum',
  protocol: false,
  prefixes: [],
  filter: false,
  backing: false,
  needsFilename: false,
  strongOptions: ['vote-threshold', 'blkverify', 'rewrite-corrupted', 'read-pattern'],
  resizable: false,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const count = countChildren(options);
    const threshold = Number(BigInt.asIntN(64, options.takeNumber('vote-threshold') ?? 0n));
    if (threshold < 1) throw new GraphError("Parameter 'vote-threshold' expects a value >= 1");
    if (threshold > count) throw new GraphError('threshold may not exceed children count');
    const fifo = takePattern(options) === 'fifo';
    // With fifo neither of them means anything.
    const verify = (options.takeBoolean('blkverify') ?? false) && !fifo;
    const rewrite = (options.takeBoolean('rewrite-corrupted') ?? false) && !fifo;
    if (verify && (threshold !== 2 || count !== 2)) {
      throw new GraphError(
        'blkverify=on can only be set if there are exactly two files and vote-threshold is 2',
      );
    }
    if (verify && rewrite) throw new GraphError('rewrite-corrupted=on cannot be used with blkverify=on');
    states.set(node, { threshold, verify, rewrite, next: count });
    const children: NodeHandle[] = [];
    for (let i = 0; i < count; i++) {
      children.push((await context.openChild(`${CHILDREN}.${i}`, Role.DATA, true)).handle);
    }
    try {
      return engine.quorum.open(children, { readOnly: node.readOnly, threshold, fifo, verify, rewrite });
    } catch (error) {
      throw toGraphError(error).prefixed('Could not refresh total sector count: ');
    }
  },
  childPermissions: (node, _link, _usual, { perm }) => ({
    perm: perm | (states.get(node)?.rewrite ? Permission.WRITE : 0),
    shared: Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED,
  }),
  changeableChildren: {
    checkAdding(node) {
      if (stateOf(node).verify) throw new GraphError('Cannot add a child to a quorum in blkverify mode');
    },
    checkRemoving(node) {
      const { threshold } = stateOf(node);
      if (node.links.length <= threshold) {
        throw new GraphError(`The number of children cannot be lower than the vote threshold ${threshold}`);
      }
    },
    nextName: (node) => `${CHILDREN}.${stateOf(node).next}`,
    added(node, child) {
      node.engine.quorum.add(node.handle, child.handle);
      stateOf(node).next++;
    },
    removing(node, link: Link) {
      node.engine.quorum.remove(node.handle, link.node.handle);
      const state = stateOf(node);
      if (link.name === `${CHILDREN}.${state.next - 1}`) state.next--;
    },
  },
  details: () => null,
};
