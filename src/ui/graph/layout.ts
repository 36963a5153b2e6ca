/** Where items and links go. The library that finds places is loaded when the first graph is drawn. */
import { cardBitmaps, type GraphItem, type GraphModel } from './model';

/** Which way links lead. */
export type Direction = 'down' | 'right';

export interface Point {
  x: number;
  y: number;
}

/** A rectangle by its upper left corner; CSS pixels. */
export interface Box extends Point {
  width: number;
  height: number;
}

export interface Layout {
  boxes: Map<string, Box>;
  /** {@link SAMPLES} points along each link, from its parent's border to its child's. */
  paths: Map<string, Point[]>;
  width: number;
  height: number;
}

/** Points along a link. The same number for all, so that one can become another. */
export const SAMPLES = 9;

const NODE_WIDTH = 188;
const USER_WIDTH = 156;
/** With the kind of job, its name and its progress side by side. */
const JOB_WIDTH = 188;
const MARGIN = 16;

/** How large an item is drawn. */
export function sizeOf(item: GraphItem): { width: number; height: number } {
  if (item.kind !== 'node')
    return item.progress === null ? { width: USER_WIDTH, height: 34 } : { width: JOB_WIDTH, height: 42 };
  return { width: NODE_WIDTH, height: 56 + cardBitmaps(item).length * 17 };
}

/** Finds a place for everything. */
export async function placeItems(model: GraphModel, direction: Direction): Promise<Layout> {
  if (model.items.size === 0) return framed(new Map(), new Map());
  const { Graph, layout } = await import('@dagrejs/dagre');
  // A task of its own: frames go on between it and what came before.
  await new Promise((resolve) => setTimeout(resolve));
  const graph = new Graph({ multigraph: true });
  graph.setGraph({
    rankdir: direction === 'down' ? 'TB' : 'LR',
    nodesep: 18,
    edgesep: 10,
    ranksep: direction === 'down' ? 38 : 68,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  // In an order of their own: the answer's changes with every node that is added, the picture should not.
  const keys = [...model.items.keys()].sort();
  for (const key of keys) {
    const item = model.items.get(key);
    if (item) graph.setNode(key, sizeOf(item));
  }
  const edges = [...model.edges.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { key, from, to, name } of edges) {
    // A chain of backing files is a straight line.
    const weight = name === 'backing' || name === 'root' ? 4 : name === 'file' ? 2 : 1;
    if (from !== to) graph.setEdge(from, to, { weight, minlen: 1 }, key);
  }
  layout(graph);
  const boxes = new Map<string, Box>();
  for (const key of keys) {
    const { x, y, width, height } = graph.node(key) as Box;
    boxes.set(key, { x: x - width / 2, y: y - height / 2, width, height });
  }
  const paths = new Map<string, Point[]>();
  for (const { key, from, to } of edges) {
    if (from === to) continue;
    const { points } = graph.edge(from, to, key) as { points: Point[] };
    paths.set(key, resample(points, SAMPLES));
  }
  return framed(boxes, paths);
}

/** Moves everything so that it begins at the margin: links may lead around what stands at the border. */
function framed(boxes: Map<string, Box>, paths: Map<string, Point[]>): Layout {
  const points = [
    ...[...boxes.values()].flatMap(({ x, y, width, height }) => [
      { x, y },
      { x: x + width, y: y + height },
    ]),
    ...[...paths.values()].flat(),
  ];
  if (points.length === 0) return { boxes, paths, width: 0, height: 0 };
  const [left, right] = range(points.map(({ x }) => x));
  const [top, bottom] = range(points.map(({ y }) => y));
  const shift = <T extends Point>(point: T): T => ({
    ...point,
    x: point.x - left + MARGIN,
    y: point.y - top + MARGIN,
  });
  return {
    boxes: new Map([...boxes].map(([key, box]) => [key, shift(box)])),
    paths: new Map([...paths].map(([key, path]) => [key, path.map(shift)])),
    width: right - left + 2 * MARGIN,
    height: bottom - top + 2 * MARGIN,
  };
}

function range(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** `count` points in equal distances along a line through points. */
export function resample(points: readonly Point[], count: number): Point[] {
  const lengths = [0];
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (a && b) lengths.push((lengths.at(-1) ?? 0) + Math.hypot(b.x - a.x, b.y - a.y));
  }
  const total = lengths.at(-1) ?? 0;
  const result: Point[] = [];
  let segment = 0;
  for (let i = 0; i < count; i++) {
    const at = (total * i) / (count - 1);
    while (segment < points.length - 2 && (lengths[segment + 1] ?? 0) < at) segment++;
    const [a, b] = [points[segment], points[segment + 1] ?? points[segment]];
    if (!a || !b) break;
    const [start, end] = [lengths[segment] ?? 0, lengths[segment + 1] ?? 0];
    const part = end > start ? (at - start) / (end - start) : 0;
    result.push({ x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part });
  }
  return result;
}

/** A smooth curve near points, as data of an SVG path: a B-spline, from the first point to the last. */
export function curve(points: readonly Point[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last) return '';
  let path = `M${round(first.x)} ${round(first.y)}`;
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
    if (!a || !b || !c) break;
    const control = [(2 * a.x + b.x) / 3, (2 * a.y + b.y) / 3, (a.x + 2 * b.x) / 3, (a.y + 2 * b.y) / 3];
    const end = [(a.x + 4 * b.x + c.x) / 6, (a.y + 4 * b.y + c.y) / 6];
    path += i === 1 ? `L${round((5 * a.x + b.x) / 6)} ${round((5 * a.y + b.y) / 6)}C` : 'C';
    path += [...control, ...end].map(round).join(' ');
  }
  return `${path}L${round(last.x)} ${round(last.y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
