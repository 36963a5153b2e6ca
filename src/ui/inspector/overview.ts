/** The header and what is in it, explained. */
import type { Field, FileRange, Overview, Section } from '../../client';
import { button, h } from '../dom';
import { formatBytes } from '../units';

/** Shows bytes of the file. */
type ShowBytes = (range: FileRange) => void;

export function overviewOf(overview: Overview, show: ShowBytes): HTMLElement {
  const facts = h('dl', { class: 'facts' });
  for (const [name, value] of overview.facts) facts.append(h('dt', {}, name), h('dd', {}, value));
  const parts: HTMLElement[] = overview.remarks.map(({ kind, text }) =>
    h('p', { class: `remark ${kind}` }, h('b', {}, WORDS[kind]), ` ${text}`),
  );
  if (overview.encryption === 'unlocked')
    parts.push(h('p', { class: 'remark info' }, h('b', {}, WORDS.info), ' The disk is shown decrypted.'));
  parts.push(facts);
  if (overview.snapshots.length > 0)
    parts.push(
      list(
        'Snapshots',
        ['Id', 'Name', 'Taken', 'Disk', ''],
        overview.snapshots.map((one) => [
          one.id,
          one.name,
          new Date(one.date).toLocaleString(),
          formatBytes(one.diskSize),
          jump('Entry', one, show),
        ]),
      ),
    );
  if (overview.bitmaps.length > 0)
    parts.push(
      list(
        'Bitmaps',
        ['Name', 'A bit for', 'State', ''],
        overview.bitmaps.map((one) => [
          one.name,
          formatBytes(one.granularity),
          `${one.auto ? 'recording' : 'not recording'}${one.inUse ? ', not up to date' : ''}`,
          jump('Entry', one, show),
        ]),
      ),
    );
  if (overview.live.length > 0)
    parts.push(
      list(
        'Bitmaps in memory',
        ['Name', 'A bit for', 'Dirty', 'State'],
        overview.live.map((one) => [
          one.name === '' ? '(of a job)' : one.name,
          formatBytes(one.granularity),
          formatBytes(one.dirty),
          `${one.recording ? 'recording' : 'not recording'}, ${one.persistent ? 'kept in the image' : 'goes with the node'}`,
        ]),
      ),
    );
  if (overview.slots.length > 0)
    parts.push(
      list(
        'Key slots',
        ['Slot', 'Passphrase', ''],
        overview.slots.map((one) => [
          one.name,
          one.active ? one.derivation : 'none',
          one.active ? jump('Key material', one.material, show) : '',
        ]),
      ),
    );
  parts.push(...overview.sections.map((section, index) => sectionOf(section, index === 0, show)));
  return h('div', { class: 'overview' }, ...parts);
}

const WORDS = { info: 'Note.', warning: 'Warning.', problem: 'Problem.' } as const;

function jump(label: string, range: FileRange, show: ShowBytes): HTMLElement {
  return button(
    { class: 'jump', title: `Bytes at 0x${range.offset.toString(16)}` },
    () => show(range),
    label,
  );
}

function list(
  title: string,
  heads: readonly string[],
  rows: readonly (readonly (string | HTMLElement)[])[],
): HTMLElement {
  return h(
    'section',
    {},
    h('h3', {}, title),
    h(
      'div',
      { class: 'wide' },
      h(
        'table',
        { 'aria-label': title },
        h(
          'thead',
          {},
          h('tr', {}, ...heads.map((head) => (head === '' ? h('td') : h('th', { scope: 'col' }, head)))),
        ),
        h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((cell) => h('td', {}, cell))))),
      ),
    ),
  );
}

function sectionOf(section: Section, open: boolean, show: ShowBytes): HTMLElement {
  return h(
    'details',
    { class: 'section', open },
    h(
      'summary',
      {},
      h('span', { class: 'title' }, section.title),
      h('span', { class: 'where' }, ` 0x${section.offset.toString(16)}, ${formatBytes(section.length)}`),
    ),
    h('p', { class: 'meaning' }, section.meaning),
    h('ul', { class: 'fields' }, ...section.fields.map((field) => fieldOf(field, show))),
  );
}

function fieldOf(field: Field, show: ShowBytes): HTMLElement {
  const { name, value, meaning, bits, target, problem } = field;
  const item = h(
    'li',
    { class: problem === undefined ? '' : 'bad' },
    h(
      'div',
      { class: 'line' },
      button({ class: 'name', title: `Bytes at 0x${field.offset.toString(16)}` }, () => show(field), name),
      h('span', { class: 'value' }, value),
      ...(target ? [jump('Go there', target, show)] : []),
    ),
    h('p', { class: 'meaning' }, meaning),
  );
  if (problem !== undefined) item.append(h('p', { class: 'problem' }, problem));
  if (bits)
    item.append(
      h(
        'ul',
        { class: 'bits' },
        ...bits.map((bit) =>
          h(
            'li',
            { class: bit.set ? 'set' : '' },
            h('span', { class: 'state' }, bit.set ? 'on' : 'off'),
            h('b', {}, ` ${bit.name} `),
            h('span', { class: 'meaning' }, bit.meaning),
          ),
        ),
      ),
    );
  return item;
}
