/** blkdebug: lets requests fail by rules, in options or a file. The filter itself is in the data plane. */
import type { NodeHandle } from '../../engine/contract';
import type { BlkdebugLimits, BlkdebugRule } from '../../engine/filters';
import { FileError, strerror, type FileStore } from '../../files/contract';
import { Permission } from '../../files/locks';
import type { BlkdebugEvent, BlkdebugIOType, BlockPermission } from '../../qapi/types.generated';
import { GraphError } from '../errors';
import { Role, type BlockNode } from '../node';
import { Options } from '../options';
import { filteredDetails, type Driver, type OpenContext } from './driver';

/** Events by their number in the data plane. */
/** The events by their numbers in the data plane. */
export const EVENTS: readonly BlkdebugEvent[] = [
  'l1_update',
  'l1_grow_alloc_table',
  'l1_grow_write_table',
  'l1_grow_activate_table',
  'l2_load',
  'l2_update',
  'l2_update_compressed',
  'l2_alloc_cow_read',
  'l2_alloc_write',
  'read_aio',
  'read_backing_aio',
  'read_compressed',
  'write_aio',
  'write_compressed',
  'vmstate_load',
  'vmstate_save',
  'cow_read',
  'cow_write',
  'reftable_load',
  'reftable_grow',
  'reftable_update',
  'refblock_load',
  'refblock_update',
  'refblock_update_part',
  'refblock_alloc',
  'refblock_alloc_hookup',
  'refblock_alloc_write',
  'refblock_alloc_write_blocks',
  'refblock_alloc_write_table',
  'refblock_alloc_switch_table',
  'cluster_alloc',
  'cluster_alloc_bytes',
  'cluster_free',
  'flush_to_os',
  'flush_to_disk',
  'pwritev_rmw_head',
  'pwritev_rmw_after_head',
  'pwritev_rmw_tail',
  'pwritev_rmw_after_tail',
  'pwritev',
  'pwritev_zero',
  'pwritev_done',
  'empty_image_prepare',
  'l1_shrink_write_table',
  'l1_shrink_free_l2_clusters',
  'cor_write',
  'cluster_alloc_space',
  'none',
];

/** Types of requests by their bit in the data plane. */
const TYPES: readonly BlkdebugIOType[] = [
  'read',
  'write',
  'write-zeroes',
  'discard',
  'flush',
  'block-status',
];
/** What fails if no type is given: all but questions for the block status. */
const USUAL = (1 << TYPES.indexOf('block-status')) - 1;

const PERMISSIONS: Readonly<Record<BlockPermission, number>> = {
  'consistent-read': Permission.CONSISTENT_READ,
  write: Permission.WRITE,
  'write-unchanged': Permission.WRITE_UNCHANGED,
  resize: Permission.RESIZE,
};

const EIO = 5;
const MAX_LIMIT = 2 ** 31 - 1;
const LIMITS = [
  'align',
  'max-transfer',
  'opt-write-zero',
  'max-write-zero',
  'opt-discard',
  'max-discard',
] as const;

/** The kinds of rules: a section of the file, and a list of options. */
const SECTIONS = {
  'inject-error': ['event', 'state', 'iotype', 'errno', 'sector', 'once', 'immediately'],
  'set-state': ['event', 'state', 'new_state'],
} as const;
type Section = keyof typeof SECTIONS;

/** What a node takes of its image beyond what its users need, and does not let others have. */
const extraPermissions = new WeakMap<BlockNode, { take: number; unshare: number }>();

/** The number of an event in the data plane; undefined: there is no such event. */
export function debugEventNumber(name: string): number | undefined {
  const index = EVENTS.findIndex((event) => event === name);
  return index < 0 ? undefined : index;
}

/** A rule as it was given: its values are of the right types, but may mean nothing. */
interface Given {
  event: string | undefined;
  state: number;
  action: { newState: number } | { errno: number; iotype: string | undefined; sector: number; once: boolean };
}

/** Takes the options of a rule; numbers and booleans are looked at, names are not. */
function takeGiven(section: Section, options: Options): Given {
  const number = (key: string, otherwise: number) => {
    const value = options.takeNumber(key);
    return value === undefined ? otherwise : Number(BigInt.asIntN(64, value));
  };
  const event = options.takeText('event');
  const state = number('state', 0) | 0;
  if (section === 'set-state') return { event, state, action: { newState: number('new_state', 0) | 0 } };
  const iotype = options.takeText('iotype');
  const errno = number('errno', EIO) | 0;
  const sector = number('sector', -1);
  const once = options.takeBoolean('once') ?? false;
  // A request that fails later fails at once here: it is over before the next one comes.
  options.takeBoolean('immediately');
  return { event, state, action: { errno, iotype, sector: Math.max(sector, -1), once } };
}

function makeRule({ event, state, action }: Given): BlkdebugRule {
  if (event === undefined) throw new GraphError('Missing event name for rule');
  const number = debugEventNumber(event);
  if (number === undefined) throw new GraphError(`invalid parameter value: ${event}`);
  if ('newState' in action) return { event: number, state, action };
  const { iotype, ...rest } = action;
  const type = TYPES.findIndex((name) => name === iotype);
  if (iotype !== undefined && type < 0) throw new GraphError(`invalid parameter value: ${iotype}`);
  return { event: number, state, action: { ...rest, types: type < 0 ? USUAL : 1 << type } };
}

type Rules = Record<Section, Given[]>;

/** The rules of a file: sections in brackets, lines `name = "value"`, comments from `#` on. */
function readRules(text: string, rules: Rules): void {
  let section: Section | null = null;
  let options = new Options();
  const finish = () => {
    if (section) rules[section].push(takeGiven(section, options));
    options = new Options();
  };
  for (const line of text.split(/(?<=\n)/)) {
    if (line === '\n' || line === '' || line.startsWith('#')) continue;
    const group = /^\[([^\]"\s]{1,63})(?:\s+"[^"]{1,63}")?\s*\]?/.exec(line) ?? /^\[([^\]]{1,63})/.exec(line);
    const pair = /^\s*(\S{1,63})(?:\s*=\s*"([^"]{1,1023})")?/.exec(line);
    if (group) {
      finish();
      const name = line.includes(']') ? (group[1] ?? '') : line.slice(1);
      if (!Object.hasOwn(SECTIONS, name)) throw new GraphError(`There is no option group '${name}'`);
      section = name as Section;
    } else if (pair) {
      const [, key = '', value = ''] = pair;
      if (!section) throw new GraphError('no group defined');
      if (!SECTIONS[section].some((known) => known === key)) {
        throw new GraphError(`Invalid parameter '${key}'`);
      }
      options.set(key, value);
    } else {
      throw new GraphError('parse error');
    }
  }
  finish();
}

async function readRulesFile(files: FileStore, filename: string, rules: Rules): Promise<void> {
  let text: string;
  try {
    const file = await files.open(filename, { write: false });
    try {
      const bytes = new Uint8Array(Math.min(file.size(), MAX_RULES_FILE));
      text = new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
    } finally {
      file.close();
    }
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new GraphError(`Could not read blkdebug config file: ${strerror(error.errno)}`, {
      errno: error.errno,
    });
  }
  readRules(text, rules);
}

/** Bytes of a file of rules that are read. */
const MAX_RULES_FILE = 1 << 20;

/** Rules from options: a list, or the members of one. */
function takeRules(section: Section, options: Options, rules: Rules): void {
  const below = options.takeBelow(section);
  for (let i = 0; ; i++) {
    const item = below.takeBelow(String(i));
    if (item.size === 0) {
      if (i === 0 && SECTIONS[section].some((key) => below.has(key))) {
        rules[section].push(takeGiven(section, below));
      }
      break;
    }
    rules[section].push(takeGiven(section, item));
    const left = item.first();
    if (left !== undefined) {
      throw new GraphError(`[${section}] section doesn't support the option '${left}'`);
    }
  }
  const left = below.first();
  if (left !== undefined) throw new GraphError(`Unused option '${left}' for [${section}]`);
}

/** Takes a list of permissions. */
function takePermissions(options: Options, key: string): number {
  const below = options.takeBelow(key);
  const names: string[] = [];
  for (let i = 0; below.has(String(i)); i++) names.push(below.takeText(String(i)) ?? '');
  if (below.size > 0) {
    const largest = Math.max(...[...below.entries()].map(([index]) => Number(index)));
    const saw = names.length + below.size;
    throw new GraphError(`List indices are not contiguous, saw ${saw} elements but ${largest} largest index`);
  }
  return names.reduce((bits, name) => {
    if (!Object.hasOwn(PERMISSIONS, name)) {
      throw new GraphError(`Parameter 'null' does not accept value '${name}'`);
    }
    return bits | PERMISSIONS[name as BlockPermission];
  }, 0);
}

function checkLimits(sizes: Readonly<Record<(typeof LIMITS)[number], number>>): BlkdebugLimits {
  const refuse = (name: keyof typeof sizes): never => {
    throw new GraphError(`Cannot meet constraints with ${name} ${sizes[name]}`);
  };
  const check = (name: keyof typeof sizes, unit: number) => {
    if (sizes[name] && (sizes[name] >= MAX_LIMIT || sizes[name] % unit !== 0)) refuse(name);
  };
  const align = sizes.align;
  if (align && (align >= MAX_LIMIT || (align & (align - 1)) !== 0)) refuse('align');
  const unit = Math.max(align, 1);
  check('max-transfer', unit);
  check('opt-write-zero', unit);
  check('max-write-zero', Math.max(sizes['opt-write-zero'], unit));
  check('opt-discard', unit);
  check('max-discard', Math.max(sizes['opt-discard'], unit));
  return {
    align,
    maxTransfer: sizes['max-transfer'],
    optWriteZero: sizes['opt-write-zero'],
    maxWriteZero: sizes['max-write-zero'],
    optDiscard: sizes['opt-discard'],
    maxDiscard: sizes['max-discard'],
  };
}

export const blkdebug: Driver = {
  name: 'blkdebug',
  protocol: true,
  prefixes: ['blkdebug'],
  filter: true,
  failsOnPurpose: true,
  backing: false,
  needsFilename: false,
  strongOptions: ['config', 'inject-error.', 'set-state.', ...LIMITS],
  resizable: true,
  parseFilename(filename, options) {
    const match = /^blkdebug:([^:]*):(.*)$/s.exec(filename);
    if (!match) {
      // A name without its prefix is that of an image without rules.
      if (filename.startsWith('blkdebug:')) {
        throw new GraphError('blkdebug requires both config file and image path');
      }
      options.set('x-image', filename);
      return;
    }
    const [, config = '', image = ''] = match;
    if (config !== '') options.set('config', config);
    options.set('x-image', image);
  },
  // Rules stay as they are; what is below may be reopened.
  reopen: () => undefined,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, files, node, options } = context;
    const image = options.takeText('x-image');
    const config = options.takeText('config');
    const size = (key: (typeof LIMITS)[number]) => options.takeSize(key) ?? 0;
    const sizes = {
      align: size('align'),
      'max-transfer': size('max-transfer'),
      'opt-write-zero': size('opt-write-zero'),
      'max-write-zero': size('max-write-zero'),
      'opt-discard': size('opt-discard'),
      'max-discard': size('max-discard'),
    };
    const given: Rules = { 'inject-error': [], 'set-state': [] };
    if (config !== undefined) await readRulesFile(files, config, given);
    takeRules('inject-error', options, given);
    takeRules('set-state', options, given);
    const rules = [...given['inject-error'], ...given['set-state']].map(makeRule);
    const take = takePermissions(options, 'take-child-perms');
    const unshare = takePermissions(options, 'unshare-child-perms');
    extraPermissions.set(node, { take, unshare });
    const child = await context.openChild('image', Role.FILTERED | Role.PRIMARY, true, image);
    return engine.filters.openBlkdebug(child.handle, {
      readOnly: node.readOnly,
      limits: checkLimits(sizes),
      rules,
      none: EVENTS.indexOf('none'),
    });
  },
  childPermissions(node, _link, { perm, shared }) {
    const { take, unshare } = extraPermissions.get(node) ?? { take: 0, unshare: 0 };
    return { perm: perm | take, shared: shared & ~unshare };
  },
  requestAlignment: (node) => node.given.clone().takeSize('align') ?? 1,
  plainName(node) {
    for (const [key] of node.given.entries()) {
      const [first = ''] = key.split('.');
      if ((LIMITS as readonly string[]).includes(first) || Object.hasOwn(SECTIONS, first)) return null;
    }
    const image = node.filtered?.exactFilename ?? '';
    return image === '' ? null : `blkdebug:${node.given.text('config') ?? ''}:${image}`;
  },
  details: filteredDetails,
};
