/** A look into a file: as text, as a picture, or as bytes. */
import type { FileNode } from '../../../client';
import { button, h, setText } from '../../dom';
import { formatBytes } from '../../units';

const TEXT = 65536;
const HEX = 4096;
/** Pictures that are larger are shown as bytes. */
const PICTURE = 16 * 2 ** 20;
const PIECE = 2 ** 20;
const PICTURES: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  bmp: 'image/bmp',
};

type Read = (offset: number, length: number) => Promise<Uint8Array>;
type Save = (progress: (done: number) => void, signal: AbortSignal) => Promise<void>;

/** Shows a file in a place. */
export async function preview(place: HTMLElement, node: FileNode, read: Read, save: Save): Promise<void> {
  const status = h('span', { class: 'meaning', role: 'status' });
  const body = h('div', { class: 'look-body' });
  const ways = h('div', { class: 'volume-acts' });
  place.replaceChildren(h('h3', {}, node.name), ways, body);
  const show = async (make: () => Promise<HTMLElement>): Promise<void> => {
    try {
      body.replaceChildren(await make());
    } catch (error) {
      body.replaceChildren(
        h('p', { class: 'problem' }, error instanceof Error ? error.message : String(error)),
      );
    }
  };
  const asText = (): Promise<HTMLElement> => textOf(node, read);
  const asHex = (): Promise<HTMLElement> => hexOf(node, read);
  ways.append(
    button({}, () => void show(asText), 'Text'),
    button({}, () => void show(asHex), 'Hex'),
    saveButton(node, save, status),
    status,
  );
  const type = PICTURES[node.name.slice(node.name.lastIndexOf('.') + 1).toLowerCase()];
  await show(async () => {
    if (type !== undefined && node.size <= PICTURE) return pictureOf(node, type, read);
    return isText(await read(0, HEX)) ? asText() : asHex();
  });
}

function saveButton(node: FileNode, save: Save, status: HTMLElement): HTMLButtonElement {
  let running: AbortController | null = null;
  const run = async (): Promise<void> => {
    if (running) return running.abort();
    const controller = (running = new AbortController());
    setText(element, 'Stop');
    try {
      await save((done) => {
        setText(status, `${formatBytes(done)} of ${formatBytes(node.size)}`);
        if (!element.isConnected) controller.abort();
      }, controller.signal);
      setText(status, controller.signal.aborted ? 'Stopped' : 'In your downloads');
    } catch (error) {
      setText(status, error instanceof Error ? error.message : String(error));
    }
    running = null;
    setText(element, 'Save');
  };
  const element = button({ title: `Save ${node.name} to your computer` }, () => void run(), 'Save');
  return element;
}

/** Whether bytes are text: valid UTF-8 (but for a character that is cut) without zeros. */
function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

async function textOf(node: FileNode, read: Read): Promise<HTMLElement> {
  const bytes = await read(0, TEXT);
  return framed(
    new TextDecoder().decode(bytes),
    node.size > TEXT ? `The first ${formatBytes(TEXT)}` : '',
    node,
  );
}

async function hexOf(node: FileNode, read: Read): Promise<HTMLElement> {
  const bytes = await read(0, HEX);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.subarray(at, at + 16)];
    const digits = line.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const letters = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits.padEnd(47)}  ${letters}`);
  }
  return framed(lines.join('\n'), node.size > HEX ? `The first ${formatBytes(HEX)}` : '', node);
}

function framed(content: string, note: string, node: FileNode): HTMLElement {
  return h(
    'div',
    {},
    ...(note === '' ? [] : [h('p', { class: 'meaning' }, note)]),
    h(
      'pre',
      { tabindex: 0, role: 'region', 'aria-label': `Content of ${node.name}` },
      content === '' ? '(empty)' : content,
    ),
  );
}

async function pictureOf(node: FileNode, type: string, read: Read): Promise<HTMLElement> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < node.size; at += PIECE)
    pieces.push((await read(at, PIECE)) as Uint8Array<ArrayBuffer>);
  const url = URL.createObjectURL(new Blob(pieces, { type }));
  const image = h('img', { src: url, alt: node.name });
  try {
    await image.decode();
  } catch {
    return hexOf(node, read);
  } finally {
    URL.revokeObjectURL(url);
  }
  return image;
}
