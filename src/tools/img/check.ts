/** qemu-img check */
import { BlockError, type CheckRepair, type CheckResult } from '../../engine/contract';
import { Errno } from '../../files/contract';
import type { BlockUser } from '../../graph';
import { ToolFailure, toFailure } from '../failure';
import { prettyJson } from '../json';
import { Pace } from '../pace';
import {
  COMMON,
  PROGRAM,
  readOutputFormat,
  readCache,
  usageFailure,
  type Verb,
  type VerbSession,
} from './verb';

/** Exit codes of their own. */
const CORRUPT = 2;
const LEAKY = 3;
const NO_CHECKS = 63;

const NOTHING: CheckRepair = { leaks: false, errors: false };

/** Checks an image, and repairs it if asked to; what is found is printed as it is found. */
export const check: Verb = {
  name: 'check',
  summary: 'Check an image, and repair it',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 'r', long: ['repair'], value: 'leaks|all', help: 'repair leaked clusters, or all that can be' },
    { short: 'T', long: ['cache'], value: 'MODE', help: 'cache mode of the image (default: writeback)' },
    COMMON.forceShare,
    COMMON.quiet,
    COMMON.object,
    COMMON.output,
  ],
  run: async (session) => {
    let imageOpts = false;
    let format: string | undefined;
    let repair = NOTHING;
    let cache = 'writeback';
    let forceShare = false;
    let quiet = false;
    let output: 'human' | 'json' = 'human';
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 'r') repair = readRepair(value);
      else if (code === 'T') cache = value;
      else if (code === 'U') forceShare = true;
      else if (code === 'q') quiet = true;
      else if (code === 'output') output = readOutputFormat(value);
    }
    const name = session.oneFile();
    const mode = readCache(cache, 'source cache option');
    const user = await session.open(
      session.graph(),
      { name, imageOpts, format },
      { readOnly: !repair.leaks, cache: mode, forceShare, check: true },
    );
    const print = (text: string) => {
      if (!quiet) session.context.stdout(text);
    };
    const { result, fixed } = await checkTwice(
      session,
      user,
      repair,
      output === 'human' ? print : () => undefined,
    );
    print(output === 'human' ? describe(result) : json(result, fixed, name, user.node.driver));
    if (result.checkErrors > 0) throw new ToolFailure('Check failed');
    if (result.corruptions > 0) return CORRUPT;
    return result.leaks > 0 ? LEAKY : 0;
  },
};

function readRepair(text: string): CheckRepair {
  if (text === 'leaks') return { leaks: true, errors: false };
  if (text === 'all') return { leaks: true, errors: true };
  throw usageFailure(`Unknown option value for -r (expecting 'leaks' or 'all'): ${text}`);
}

/** What the first of two checks repaired. */
interface Fixed {
  corruptions: number;
  leaks: number;
}

/** After a repair the image is checked once more: the answer is what is wrong with it now. */
async function checkTwice(
  session: VerbSession,
  user: BlockUser,
  repair: CheckRepair,
  print: (text: string) => void,
): Promise<{ result: CheckResult; fixed: Fixed }> {
  const first = await runCheck(session, user, repair);
  const fixed = { corruptions: first.result.corruptionsFixed, leaks: first.result.leaksFixed };
  let last = first;
  if (fixed.corruptions > 0 || fixed.leaks > 0) {
    print(
      'The following inconsistencies were found and repaired:\n\n' +
        `    ${fixed.leaks} leaked clusters\n    ${fixed.corruptions} corruptions\n\n` +
        'Double checking the fixed image now...\n',
    );
    last = await runCheck(session, user, NOTHING);
  }
  if (last.failure) throw last.failure;
  return { result: last.result, fixed };
}

/** One check; a failure of it comes with what it counted until then. */
async function runCheck(
  session: VerbSession,
  user: BlockUser,
  repair: CheckRepair,
): Promise<{ result: CheckResult; failure: ToolFailure | null }> {
  const pace = new Pace(session.context);
  const run = await user.present(() => begin(session, user, repair));
  let failure: ToolFailure | null = null;
  try {
    while (await run.step()) await pace.rest();
  } catch (error) {
    if (!(error instanceof BlockError)) {
      run.end();
      throw error;
    }
    failure = toFailure(error).prefixed('Check failed: ');
  }
  return { result: run.end(), failure };
}

function begin(session: VerbSession, user: BlockUser, repair: CheckRepair): ReturnType<BlockUser['check']> {
  try {
    return user.check(repair, (text, program) =>
      session.context.stderr(program ? `${PROGRAM}: ${text}\n` : `${text}\n`),
    );
  } catch (error) {
    if (!(error instanceof BlockError) || error.errno !== Errno.ENOTSUP) throw error;
    throw new ToolFailure('This image format does not support checks', [], NO_CHECKS);
  }
}

/** `%.2f` of C, which rounds what lies exactly between two to the even one: 15.625 becomes 15.62. */
function percent(part: number, whole: number): string {
  const value = (part * 100) / whole;
  const below = Math.floor(value * 100);
  // Only multiples of 1/8 are exact and lie between two.
  const tie = Number.isInteger(value * 8) && value * 100 - below === 0.5;
  return tie && below % 2 === 0 ? (below / 100).toFixed(2) : value.toFixed(2);
}

function describe(result: CheckResult): string {
  const { corruptions, leaks, checkErrors, totalClusters, allocatedClusters, imageEnd } = result;
  let text = '';
  if (corruptions === 0 && leaks === 0 && checkErrors === 0) {
    text = 'No errors were found on the image.\n';
  }
  if (corruptions > 0) {
    text +=
      `\n${corruptions} errors were found on the image.\n` +
      'Data may be corrupted, or further writes to the image may corrupt it.\n';
  }
  if (leaks > 0) {
    text +=
      `\n${leaks} leaked clusters were found on the image.\n` +
      'This means waste of disk space, but no harm to data.\n';
  }
  if (checkErrors > 0) text += `\n${checkErrors} internal errors have occurred during the check.\n`;
  if (totalClusters > 0 && allocatedClusters > 0) {
    text +=
      `${allocatedClusters}/${totalClusters} = ${percent(allocatedClusters, totalClusters)}% allocated, ` +
      `${percent(result.fragmentedClusters, allocatedClusters)}% fragmented, ` +
      `${percent(result.compressedClusters, allocatedClusters)}% compressed clusters\n`;
  }
  if (imageEnd > 0) text += `Image end offset: ${imageEnd}\n`;
  return text;
}

/** Numbers that are zero are left out, but for check-errors. */
function json(result: CheckResult, fixed: Fixed, filename: string, format: string): string {
  const numbers: [string, number][] = [
    ['image-end-offset', result.imageEnd],
    ['corruptions', result.corruptions],
    ['leaks', result.leaks],
    ['corruptions-fixed', fixed.corruptions],
    ['leaks-fixed', fixed.leaks],
    ['total-clusters', result.totalClusters],
    ['allocated-clusters', result.allocatedClusters],
    ['fragmented-clusters', result.fragmentedClusters],
    ['compressed-clusters', result.compressedClusters],
  ];
  const shown = Object.fromEntries(numbers.filter(([, value]) => value !== 0));
  return `${prettyJson({ ...shown, 'check-errors': result.checkErrors, filename, format })}\n`;
}
