/**
 * The state of the daemon as it changes, for all parts of the page together: asked for after commands and events, and
 * while jobs work, and not at all while nobody can see it.
 */
import type { Client, QmpEvent } from '../../client';
import { fetchGraph, fetchJobs, type GraphState, type JobsState } from './snapshot';

/** Who wants to know. */
export interface WatchListener {
  graph?(state: GraphState): void;
  jobs?(state: JobsState): void;
  event?(event: QmpEvent): void;
}

/** Changes in quick succession are asked for together, after so many milliseconds. */
const SETTLE = 30;
/** Milliseconds between two looks at jobs that work, and at the graph meanwhile. */
const JOBS_EVERY = 250;
const GRAPH_EVERY = 1000;

const watches = new WeakMap<Client, DaemonWatch>();

/** One for each client; it works as long as somebody listens. */
export class DaemonWatch {
  private readonly listeners = new Set<WatchListener>();
  private readonly endings: (() => void)[] = [];
  private graph: GraphState | null = null;
  private jobs: JobsState | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  /** A look is under way. */
  private looking = false;
  /** What has changed since the last look began. */
  private stale = { graph: true, jobs: true };
  private lastGraph = 0;
  /** Others than jobs change the nodes all the time (a guest): how many. */
  private busy = 0;

  private constructor(private readonly client: Client) {}

  static of(client: Client): DaemonWatch {
    let watch = watches.get(client);
    if (!watch) watches.set(client, (watch = new DaemonWatch(client)));
    return watch;
  }

  /** Tells a listener what is known now and whatever comes; answers a function that ends it. */
  listen(listener: WatchListener): () => void {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.begin();
    if (this.graph) listener.graph?.(this.graph);
    if (this.jobs) listener.jobs?.(this.jobs);
    return () => {
      if (this.listeners.delete(listener) && this.listeners.size === 0) this.end();
    };
  }

  /** Something may have changed. */
  refresh(): void {
    this.stale = { graph: true, jobs: true };
    this.plan(SETTLE);
  }

  /** Looks at the nodes regularly until the result is called. */
  keepLooking(): () => void {
    this.busy++;
    this.plan(SETTLE);
    let ended = false;
    return () => {
      if (!ended) this.busy--;
      ended = true;
      this.refresh();
    };
  }

  private begin(): void {
    const events = this.client.events();
    void (async () => {
      for await (const event of events) {
        for (const listener of this.listeners) listener.event?.(event);
        this.refresh();
      }
    })();
    const shown = (): void => {
      if (document.visibilityState === 'visible') this.refresh();
    };
    document.addEventListener('visibilitychange', shown);
    this.endings.push(
      () => events.dispose(),
      this.client.onCommand(() => this.refresh()),
      () => document.removeEventListener('visibilitychange', shown),
    );
    this.refresh();
  }

  private end(): void {
    for (const ending of this.endings.splice(0)) ending();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.graph = this.jobs = null;
  }

  private plan(after: number): void {
    if (this.timer !== null || this.looking || this.listeners.size === 0) return;
    if (document.visibilityState === 'hidden') return;
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.look();
    }, after);
  }

  private async look(): Promise<void> {
    this.looking = true;
    const stale = this.stale;
    this.stale = { graph: false, jobs: false };
    try {
      if (stale.jobs) {
        const jobs = await fetchJobs(this.client);
        if (jobs && this.listeners.size > 0) {
          this.jobs = jobs;
          for (const listener of this.listeners) listener.jobs?.(jobs);
        }
      }
      if (stale.graph) {
        const graph = await fetchGraph(this.client);
        this.lastGraph = performance.now();
        if (graph && this.listeners.size > 0) {
          this.graph = graph;
          for (const listener of this.listeners) listener.graph?.(graph);
        }
      }
    } catch {
      // The worker is gone: another one announces itself by its events and commands.
    } finally {
      this.looking = false;
    }
    if (this.stale.graph || this.stale.jobs) this.plan(SETTLE);
    else if (this.busy > 0 || this.working()) {
      this.stale.jobs = true;
      this.stale.graph = performance.now() - this.lastGraph >= GRAPH_EVERY - JOBS_EVERY;
      this.plan(JOBS_EVERY);
    }
  }

  /** Whether a job changes by itself. */
  private working(): boolean {
    return this.jobs?.jobs.some(({ status }) => status !== 'concluded' && status !== 'paused') ?? false;
  }
}
