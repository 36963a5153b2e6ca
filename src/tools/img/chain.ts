/** Images of a chain, without the filters between them. */
import type { NodeView } from '../../graph';

/** The node itself, or the first one below it that is no filter. */
export function imageOf(node: NodeView): NodeView {
  let at = node;
  while (at.isFilter && at.filtered) at = at.filtered;
  return at;
}

/** The image that holds what this one has not; null: there is none. */
export function backingOf(node: NodeView): NodeView | null {
  const { backing } = imageOf(node);
  return backing ? imageOf(backing) : null;
}
