/** The nodes of a graph by name, and the names they get (graph.md section 1). */
import { GraphError } from './errors';
import type { BlockNode } from './node';

/** Bytes of a node name, at most. */
const MAX_NAME = 31;

/** All nodes that have their name, oldest first. */
export class NodeTable {
  private readonly nodes: BlockNode[] = [];
  private readonly byName = new Map<string, BlockNode>();
  private counter = 0;

  /** Gives a node the wanted name, or a generated one, and takes it up. */
  name(node: BlockNode, wanted: string | undefined): void {
    const name = wanted ?? this.generate();
    if (wanted !== undefined) {
      if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(wanted)) throw new GraphError(`Invalid node-name: '${wanted}'`);
      if (this.byName.has(wanted)) throw new GraphError(`Duplicate nodes with node-name='${wanted}'`);
      if (wanted.length > MAX_NAME) throw new GraphError('Node name too long');
    }
    node.name = name;
    this.nodes.push(node);
    this.byName.set(name, node);
  }

  /** `#block`, a running number and two random digits. */
  private generate(): string {
    const random = (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % 100;
    return `#block${this.counter++}${String(random).padStart(2, '0')}`;
  }

  /** Passes over a name: QEMU gives it to a node that it opens for a moment, and that is not made here. Answers it. */
  skip(): string {
    return this.generate();
  }

  remove(node: BlockNode): void {
    const at = this.nodes.indexOf(node);
    if (at < 0) return;
    this.nodes.splice(at, 1);
    this.byName.delete(node.name);
  }

  find(name: string): BlockNode | null {
    return this.byName.get(name) ?? null;
  }

  /** A node by the pair of names that commands take. The daemon has no devices, so only node names are found. */
  lookup(device: string | undefined, nodeName: string | undefined): BlockNode {
    const node = nodeName === undefined ? null : this.find(nodeName);
    if (node) return node;
    throw new GraphError(`Cannot find device='${device ?? ''}' nor node-name='${nodeName ?? ''}'`);
  }

  /** A node by the name that one command argument gives. */
  named(nodeName: string): BlockNode {
    const node = this.find(nodeName);
    if (!node) throw new GraphError(`Failed to find node with node-name='${nodeName}'`);
    return node;
  }

  /** All that are completely open, oldest first. */
  all(): readonly BlockNode[] {
    return this.nodes.filter((node) => node.ready);
  }
}
