/** `<qsd-guest>`: a pretended guest that writes while jobs run, and the switch that lets things go wrong. */
import type { Client, GuestStats, Workload } from '../../client';
import { button, h, s, setText } from '../dom';
import { faultProposals } from '../graph/commands';
import { proposalList } from '../graph/details';
import { buildModel, EMPTY, type GraphModel, type GraphNode } from '../graph/model';
import { sparkline } from '../jobs/sparkline';
import { sharedClient } from '../shared-client';
import { startWorker } from '../start-worker';
import { formatBytes } from '../units';
import { DaemonWatch } from '../watch/watch';
import styles from './guest.css?inline';

const SPARK = { width: 220, height: 30 };
/** Reports on the curve. */
const REPORTS = 60;
/** How long the second click that pulls the plug may take, milliseconds. */
const CONFIRM = 4000;
/** Kinds of requests with the weights that they have at first. */
const MIX = [
  ['read', 'Reads', 30],
  ['write', 'Writes', 60],
  ['flush', 'Flushes', 5],
  ['discard', 'Discards', 5],
] as const;

/**
 * Set `client` before it is put into a document to share a daemon; else it starts one of its own. It sends `qsd-command`
 * events for the console, and `qsd-plug` when the worker is about to be ended.
 */
export class QsdGuest extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  private model: GraphModel = EMPTY;
  private running: AbortController | null = null;
  private readonly node = h('select', { id: 'node' });
  private readonly pattern = select('pattern', [
    ['random', 'Random'],
    ['sequential', 'Sequential'],
    ['database', 'Like a database'],
  ]);
  private readonly blockSize = select('size', [
    ['4096', '4 KiB'],
    ['16384', '16 KiB'],
    ['65536', '64 KiB'],
    ['524288', '512 KiB'],
  ]);
  private readonly rate = select('rate', [
    ['20', '20 a second'],
    ['200', '200 a second'],
    ['2000', '2000 a second'],
    ['0', 'as fast as it goes'],
  ]);
  private readonly weights = new Map(
    MIX.map(([kind, , weight]) => [
      kind,
      h('input', { type: 'number', id: kind, min: 0, max: 100, step: 1, value: weight }),
    ]),
  );
  private readonly start = button({ class: 'primary' }, () => this.toggle(), 'Start');
  private readonly message = h('p', { class: 'message', role: 'alert' });
  private readonly numbers = h('p', { class: 'numbers' });
  private readonly line = s('path', { class: 'line' });
  private readonly area = s('path', { class: 'area' });
  private readonly faults = h('div');
  private readonly plug = button({ class: 'plug' }, () => this.pull(), 'Pull the plug');
  private readonly cleanups: (() => void)[] = [];
  private offered = '';
  private nodes = '';

  connectedCallback(): void {
    if (!this.client) {
      const own = sharedClient();
      this.client = own.client;
      this.cleanups.push(() => {
        own.end();
        this.client = null;
      });
    }
    if (!this.shadowRoot) this.build();
    this.cleanups.push(
      DaemonWatch.of(this.client).listen({
        graph: (state) => {
          this.model = buildModel(state, null);
          this.updateNodes();
        },
      }),
      () => this.running?.abort(),
    );
  }

  disconnectedCallback(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
  }

  private build(): void {
    this.rate.value = '200';
    const field = (label: string, input: HTMLElement): HTMLElement =>
      h('div', { class: 'field' }, h('label', { for: input.id }, label), input);
    const form = h(
      'form',
      { class: 'fields', 'aria-label': 'Guest' },
      field('Node', this.node),
      field('Pattern', this.pattern),
      field('Request', this.blockSize),
      field('Rate', this.rate),
      ...MIX.map(([kind, label]) => {
        const input = this.weights.get(kind);
        return input ? field(label, input) : '';
      }),
    );
    form.addEventListener('submit', (event) => event.preventDefault());
    this.node.addEventListener('change', () => this.updateFaults());
    const spark = s(
      'svg',
      {
        class: 'spark',
        viewBox: `0 0 ${SPARK.width} ${SPARK.height}`,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      },
      this.area,
      this.line,
    );
    this.message.hidden = true;
    this.attachShadow({ mode: 'open' }).replaceChildren(
      h('style', {}, styles),
      h(
        'header',
        {},
        h('h2', {}, 'Guest'),
        h('p', { class: 'about' }, 'reads and writes a node, as a machine would'),
        this.start,
      ),
      h(
        'div',
        { class: 'body' },
        form,
        this.message,
        h('div', { class: 'work' }, spark, this.numbers),
        h('h3', {}, 'Faults'),
        this.faults,
        h(
          'p',
          { class: 'about' },
          'Pulling the plug ends the daemon at once: nodes and jobs are lost, and what was not flushed. Files stay; see what ',
          h('code', {}, 'qemu-img check'),
          ' says about them.',
        ),
        this.plug,
      ),
    );
    this.updateNodes();
  }

  // ---- the guest

  private updateNodes(): void {
    const nodes = [...this.model.items.values()].flatMap((item) => (item.kind === 'node' ? [item.name] : []));
    // Generated names last: they are files under images.
    nodes.sort((a, b) => Number(a.startsWith('#')) - Number(b.startsWith('#')) || (a < b ? -1 : 1));
    const list = JSON.stringify(nodes);
    if (list !== this.nodes) {
      this.nodes = list;
      const chosen = this.node.value;
      this.node.replaceChildren(...nodes.map((name) => h('option', { value: name }, name)));
      if (nodes.includes(chosen)) this.node.value = chosen;
    }
    this.start.disabled = nodes.length === 0 && !this.running;
    this.updateFaults();
  }

  private toggle(): void {
    if (this.running) this.running.abort();
    else void this.work();
  }

  private workload(): Workload {
    const weight = (kind: (typeof MIX)[number][0]): number => Number(this.weights.get(kind)?.value ?? 0);
    return {
      pattern: this.pattern.value as Workload['pattern'],
      blockSize: Number(this.blockSize.value),
      rate: Number(this.rate.value),
      mix: {
        read: weight('read'),
        write: weight('write'),
        flush: weight('flush'),
        discard: weight('discard'),
      },
    };
  }

  private async work(): Promise<void> {
    const { client } = this;
    if (!client) return;
    const controller = (this.running = new AbortController());
    const reports: { at: number; requests: number; bytes: number }[] = [];
    this.say('');
    setText(this.start, 'Stop');
    const looked = DaemonWatch.of(client).keepLooking();
    try {
      this.dispatchEvent(new CustomEvent('qsd-guest', { bubbles: true }));
      const result = await client.runGuest(this.node.value, this.workload(), {
        signal: controller.signal,
        progress: (stats) => this.report(stats, reports),
      });
      if ('failure' in result) this.say(result.failure);
      else this.report(result.value, reports);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    } finally {
      looked();
      this.running = null;
      setText(this.start, 'Start');
      this.updateNodes();
    }
  }

  private report(stats: GuestStats, reports: { at: number; requests: number; bytes: number }[]): void {
    const { reads, writes, flushes, discards, bytesRead, bytesWritten, errors } = stats;
    reports.push({
      at: performance.now(),
      requests: reads + writes + flushes + discards,
      bytes: bytesRead + bytesWritten,
    });
    if (reports.length > REPORTS) reports.shift();
    const rates = reports.slice(1).map(({ at, bytes }, index) => {
      const before = reports[index];
      return before && at > before.at ? ((bytes - before.bytes) * 1000) / (at - before.at) : 0;
    });
    const { line, area } = sparkline(rates, SPARK.width, SPARK.height);
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', area);
    const [first, last] = [reports[0], reports.at(-1)];
    const seconds = first && last ? (last.at - first.at) / 1000 : 0;
    const often = first && last && seconds > 0 ? Math.round((last.requests - first.requests) / seconds) : 0;
    setText(
      this.numbers,
      `${often} requests/s · ${formatBytes(rates.at(-1) ?? 0)}/s · read ${formatBytes(bytesRead)}, written ${formatBytes(bytesWritten)}, ${flushes} flushes, ${discards} discards`,
    );
    this.say(errors === 0 ? '' : `${errors} failed: ${stats.lastError}`);
  }

  private say(text: string): void {
    setText(this.message, text);
    this.message.hidden = text === '';
  }

  // ---- faults

  private updateFaults(): void {
    const item = this.model.items.get(`node:${this.node.value}`);
    const proposals = item ? faultProposals(this.model, item as GraphNode) : [];
    const offered = JSON.stringify(proposals);
    if (offered === this.offered) return;
    this.offered = offered;
    this.faults.replaceChildren(
      proposals.length === 0
        ? h('p', { class: 'about' }, 'Choose a qcow2 node above to let its writes fail.')
        : proposalList(proposals, (command) =>
            this.dispatchEvent(
              new CustomEvent('qsd-command', { detail: { command }, bubbles: true, composed: true }),
            ),
          ),
    );
  }

  /** It takes two clicks: what is not flushed is gone. */
  private pull(): void {
    if (!this.plug.classList.contains('sure')) {
      this.plug.classList.add('sure');
      setText(this.plug, 'Really pull it?');
      setTimeout(() => this.calm(), CONFIRM);
      return;
    }
    this.calm();
    this.dispatchEvent(new CustomEvent('qsd-plug', { bubbles: true, composed: true }));
    void this.client?.replaceWorker(startWorker()).catch((error: unknown) => this.say(String(error)));
  }

  private calm(): void {
    this.plug.classList.remove('sure');
    setText(this.plug, 'Pull the plug');
  }
}

function select(id: string, options: readonly (readonly [string, string])[]): HTMLSelectElement {
  return h('select', { id }, ...options.map(([value, text]) => h('option', { value }, text)));
}
