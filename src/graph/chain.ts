/** Backing chains: walking them, and keeping them as they are. */
import { Role, type BlockNode, type Link } from './node';

/** The link that the chain goes on by: to the backing node, or to what a filter filters. */
function chainLink(node: BlockNode): Link | undefined {
  return node.links.find(({ role }) => role & (node.isFilter ? Role.FILTERED : Role.COW));
}

/** The next node below, filters included. */
export function belowInChain(node: BlockNode): BlockNode | null {
  return chainLink(node)?.node ?? null;
}

/** The node itself, or the first one below it that is no filter. */
export function skipFilters(node: BlockNode | null): BlockNode | null {
  let at = node;
  while (at?.isFilter) at = at.filtered;
  return at;
}

/** The next image below, without filters. */
export function backingOf(node: BlockNode): BlockNode | null {
  return skipFilters(skipFilters(node)?.backing ?? null);
}

/** From `top` down to `base` (excluded; null: to the end), filters included. */
export function chain(top: BlockNode, base: BlockNode | null = null): BlockNode[] {
  const nodes: BlockNode[] = [];
  for (let at: BlockNode | null = top; at && at !== base; at = belowInChain(at)) nodes.push(at);
  return nodes;
}

/** Whether `node` is `top` or below it. */
export function inChain(top: BlockNode, node: BlockNode): boolean {
  return chain(top).includes(node);
}

/** The node whose next one below is `node`, seen from `top`; null: `node` is not below `top`. */
export function overlayOf(top: BlockNode, node: BlockNode): BlockNode | null {
  return chain(top).find((at) => !at.isFilter && backingOf(at) === skipFilters(node)) ?? null;
}

/** Forbids changes of the links from `top` down to `base`; the result allows them again. */
export function freezeChain(top: BlockNode, base: BlockNode | null): () => void {
  const links = chain(top, base)
    .map(chainLink)
    .filter((link) => link !== undefined);
  for (const link of links) link.frozen = true;
  return () => {
    for (const link of links) link.frozen = false;
  };
}
