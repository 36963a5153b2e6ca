/**
 * The drawing of a graph: cards and links that keep their identity and move to their new places. All motion is in one
 * animation frame loop that changes transforms and path data only, so that nothing is laid out anew while it lasts.
 */
import { h, reducedMotion, s, setText } from '../dom';
import { Card } from './cards';
import { curve, type Layout, type Point } from './layout';
import type { GraphEdge, GraphModel } from './model';

/** Milliseconds of a move, of the coming and of the going of something. */
const MOVE = 450;
const FADE = 220;

interface Drawn {
  card: Card;
  from: Point;
  now: Point;
  to: Point;
}

interface Line {
  group: SVGGElement;
  path: SVGPathElement;
  label: SVGTextElement;
  name: SVGTSpanElement;
  letters: SVGTSpanElement;
  title: SVGTitleElement;
  from: Point[];
  now: Point[];
  to: Point[];
}

export class Picture {
  readonly world = h('div', { class: 'world' });
  private readonly lines = s('g');
  private readonly svg = s(
    'svg',
    { class: 'links', 'aria-hidden': 'true' },
    s(
      'defs',
      {},
      s(
        'marker',
        {
          id: 'arrow',
          viewBox: '0 0 8 8',
          refX: 7,
          refY: 4,
          markerWidth: 7,
          markerHeight: 7,
          orient: 'auto',
        },
        s('path', { d: 'M0 0.8 7.4 4 0 7.2z' }),
      ),
    ),
    this.lines,
  );
  private readonly cards = new Map<string, Drawn>();
  private readonly links = new Map<string, Line>();
  private begun = 0;
  private frame: number | null = null;

  constructor() {
    this.world.append(this.svg);
  }

  /** Shows a model at places; what was there before moves. */
  show(model: GraphModel, layout: Layout): void {
    const first = this.cards.size === 0;
    this.removeGone(model);
    for (const [key, { x, y, width, height }] of layout.boxes) {
      const item = model.items.get(key);
      if (!item) continue;
      let drawn = this.cards.get(key);
      if (!drawn) {
        const at = first ? { x, y } : this.origin(key, model, layout);
        drawn = { card: new Card(item), from: at, now: at, to: at };
        this.cards.set(key, drawn);
        this.world.append(drawn.card.element);
        this.appear(drawn.card.element, first);
      }
      const { style } = drawn.card.element;
      style.width = `${width}px`;
      style.height = `${height}px`;
      drawn.from = drawn.now;
      drawn.to = { x, y };
    }
    for (const [key, points] of layout.paths) {
      const edge = model.edges.get(key);
      if (!edge) continue;
      let line = this.links.get(key);
      if (!line) {
        line = this.newLine(points, edge.from.startsWith('job:'));
        this.links.set(key, line);
        this.lines.append(line.group);
        this.appear(line.group, first);
      }
      line.from = line.now;
      line.to = points;
    }
    this.svg.setAttribute('width', String(layout.width));
    this.svg.setAttribute('height', String(layout.height));
    this.update(model);
    this.move();
  }

  /** Shows texts and numbers that have changed; nothing moves. */
  update(model: GraphModel): void {
    for (const [key, { card }] of this.cards) {
      const item = model.items.get(key);
      if (item) card.update(item, model);
    }
    for (const [key, line] of this.links) {
      const edge = model.edges.get(key);
      if (edge) describeLink(line, edge);
    }
  }

  /** Lights the links of one item. */
  highlight(key: string | null, model: GraphModel): void {
    for (const [name, { card }] of this.cards)
      card.element.setAttribute('aria-pressed', String(name === key));
    for (const [name, { group }] of this.links) {
      const edge = model.edges.get(name);
      group.classList.toggle('lit', key !== null && (edge?.from === key || edge?.to === key));
    }
  }

  card(key: string): HTMLButtonElement | null {
    return this.cards.get(key)?.card.element ?? null;
  }

  /** Ends all motion at its goal. */
  stop(): void {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.place(1);
  }

  private removeGone(model: GraphModel): void {
    for (const [key, { card }] of this.cards) {
      if (model.items.has(key)) continue;
      this.cards.delete(key);
      card.element.removeAttribute('data-key');
      card.element.setAttribute('aria-hidden', 'true');
      card.element.tabIndex = -1;
      this.vanish(card.element);
    }
    for (const [key, { group }] of this.links) {
      if (model.edges.has(key)) continue;
      this.links.delete(key);
      this.vanish(group);
    }
  }

  /** Where something new comes from: the place of the node that it is linked to. */
  private origin(key: string, model: GraphModel, layout: Layout): Point {
    for (const { from, to } of model.edges.values()) {
      const other = from === key ? to : to === key ? from : null;
      const drawn = other === null ? undefined : this.cards.get(other);
      if (drawn) return drawn.now;
    }
    const box = layout.boxes.get(key);
    return box ? { x: box.x, y: box.y } : { x: 0, y: 0 };
  }

  private newLine(points: Point[], byJob: boolean): Line {
    const path = s('path', { class: 'link', 'marker-end': 'url(#arrow)' });
    const name = s('tspan');
    const letters = s('tspan', { class: 'letters', dx: '0.4em' });
    const label = s('text', { class: 'label' }, name, letters);
    const title = s('title');
    const group = s('g', { class: byJob ? 'byjob' : '' }, title, path, label);
    return { group, path, label, name, letters, title, from: points, now: points, to: points };
  }

  private appear(element: Element, first: boolean): void {
    if (reducedMotion()) return;
    element.animate([{ opacity: 0 }, { opacity: 1 }], { duration: MOVE, easing: 'ease-out' });
    if (!first) element.classList.add('new');
    setTimeout(() => element.classList.remove('new'), 1600);
  }

  private vanish(element: Element): void {
    if (reducedMotion()) return element.remove();
    const fading = element.animate([{ opacity: 1 }, { opacity: 0 }], { duration: FADE, fill: 'forwards' });
    fading.onfinish = () => element.remove();
  }

  private move(): void {
    this.begun = performance.now();
    if (reducedMotion() || document.visibilityState === 'hidden') return this.stop();
    this.place(0);
    this.frame ??= requestAnimationFrame((now) => this.tick(now));
  }

  private tick(now: number): void {
    const part = Math.min(1, Math.max(0, (now - this.begun) / MOVE));
    this.place(1 - (1 - part) ** 3);
    this.frame = part < 1 ? requestAnimationFrame((later) => this.tick(later)) : null;
  }

  private place(part: number): void {
    for (const drawn of this.cards.values()) {
      const now = between(drawn.from, drawn.to, part);
      drawn.now = now;
      drawn.card.element.style.transform = `translate(${now.x.toFixed(1)}px, ${now.y.toFixed(1)}px)`;
    }
    for (const line of this.links.values()) {
      line.now = line.to.map((point, index) => between(line.from[index] ?? point, point, part));
      line.path.setAttribute('d', curve(line.now));
      const middle = line.now[Math.floor(line.now.length / 2)] ?? { x: 0, y: 0 };
      line.label.setAttribute('transform', `translate(${middle.x.toFixed(1)} ${middle.y.toFixed(1)})`);
    }
  }
}

/** The letter of each permission on a link, in a fixed order; a dot: not taken. */
const LETTERS = [
  ['consistent-read', 'r'],
  ['write', 'w'],
  ['write-unchanged', 'u'],
  ['resize', 's'],
] as const;

/** Permissions as four letters, e.g. `rw.s`. */
function permissionLetters(perm: GraphEdge['perm']): string {
  return LETTERS.map(([name, letter]) => (perm.includes(name) ? letter : '.')).join('');
}

/** Permissions in words. */
export function permissionWords(perm: GraphEdge['perm']): string {
  const words = LETTERS.flatMap(([name]) => (perm.includes(name) ? [name] : []));
  return words.length === 0 ? 'nothing' : words.join(', ');
}

function describeLink(line: Line, { name, perm, shared }: GraphEdge): void {
  setText(line.name, name === 'root' ? '' : name);
  setText(line.letters, permissionLetters(perm));
  setText(line.title, `${name}: uses ${permissionWords(perm)}; shares ${permissionWords(shared)}`);
}

function between(a: Point, b: Point, part: number): Point {
  return { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part };
}
