/** What the page asks the daemon for, to show its state. */
import type { Client, Commands } from '../../client';

/** The block graph and what uses it. */
export interface GraphState {
  graph: Commands['x-debug-query-block-graph']['return'];
  nodes: Commands['query-named-block-nodes']['return'];
  exports: Commands['query-block-exports']['return'];
}

/** The jobs, newest first. */
export interface JobsState {
  jobs: Commands['query-jobs']['return'];
  blockJobs: Commands['query-block-jobs']['return'];
}

/** Asks for the graph; null if the daemon cannot say just now. */
export async function fetchGraph(client: Client): Promise<GraphState | null> {
  const [graph, nodes, exports] = await Promise.all([
    client.execute('x-debug-query-block-graph'),
    client.execute('query-named-block-nodes', { flat: true }),
    client.execute('query-block-exports'),
  ]);
  if (!graph.return || !nodes.return || !exports.return) return null;
  return { graph: graph.return, nodes: nodes.return, exports: exports.return };
}

/** Asks for the jobs; null if the daemon cannot say just now. */
export async function fetchJobs(client: Client): Promise<JobsState | null> {
  const [jobs, blockJobs] = await Promise.all([
    client.execute('query-jobs'),
    client.execute('query-block-jobs'),
  ]);
  if (!jobs.return || !blockJobs.return) return null;
  return { jobs: jobs.return, blockJobs: blockJobs.return };
}
