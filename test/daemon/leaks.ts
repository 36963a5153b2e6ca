/** What jobs and commands may have left behind: a graph in which nothing is under way has none of it. */
import type { Daemon } from '../../src/daemon';
import { bitmapsOf } from '../../src/graph/bitmaps';
import { JobLinks } from '../../src/graph/jobs/links';
import type { BlockNode, Link } from '../../src/graph/node';
import { preparePermissions } from '../../src/graph/permissions';

/** Filters that only jobs make. */
const JOB_FILTERS = ['mirror_top', 'commit_top'];

/**
 * Everything in the graph that has no reason to be there, one line each. No job, and no change of the graph, may be under
 * way.
 */
export async function leaks(daemon: Daemon): Promise<string[]> {
  const nodes = daemon.graph.opener.table.all();
  const found = nodes.flatMap((node) => [...ofJobs(node), ...ofReferences(node)]);
  const links = nodes.flatMap((node) => node.links);
  const before = links.map(permissions);
  // Worked out anew, permissions are what they are.
  const again = await preparePermissions(nodes);
  links.forEach((link, i) => {
    const now = permissions(link);
    if (now !== before[i]) found.push(`${nameOf(link)}: permissions are ${before[i]}, and should be ${now}`);
  });
  await again.abort();
  return found;
}

function ofJobs(node: BlockNode): string[] {
  const found: string[] = [];
  if (node.implicit || JOB_FILTERS.includes(node.driver)) found.push(`${node.name}: a filter of a job`);
  for (const link of node.parents) {
    if (link.frozen) found.push(`${nameOf(link)}: frozen`);
    if (link.serving) found.push(`${nameOf(link)}: on its way`);
    if (link.parent instanceof JobLinks) found.push(`${nameOf(link)}: of a job`);
  }
  for (const bitmap of bitmapsOf(node)) {
    const { name } = bitmap.state;
    if (bitmap.frozen) found.push(`${node.name}: a job has the bitmap ${name}`);
    else if (!name && node.driver !== 'copy-before-write') found.push(`${node.name}: a bitmap of a job`);
  }
  return found;
}

function ofReferences(node: BlockNode): string[] {
  const due = node.parents.length + Number(node.monitorOwned);
  return node.references === due ? [] : [`${node.name}: ${node.references} references, and should be ${due}`];
}

const permissions = ({ perm, shared }: Link): string => `${perm}/${shared}`;

const nameOf = ({ name, parent, node }: Link): string => `${name} of ${parent.describe()} to ${node.name}`;
