/** Sockets that a service manager opened and passed on, as sd_listen_fds(3) has it. */
import { ToolFailure } from '../../tools/failure';

/** The first descriptor that is passed. */
const FIRST = 3;

/** How many sockets were passed to this very process; the variables that say so are gone then. */
function passedSockets(): number {
  const { LISTEN_PID, LISTEN_FDS } = process.env;
  if (LISTEN_PID === undefined || LISTEN_FDS === undefined) return 0;
  if (Number(LISTEN_PID) !== process.pid || !/^\d+$/.test(LISTEN_FDS)) return 0;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'])
    Reflect.deleteProperty(process.env, name);
  return Number(LISTEN_FDS);
}

/** Options that say something else of where clients come from. */
const RIVALS: readonly [option: string, text: string][] = [
  ['b', 'The interface'],
  ['p', 'TCP port number'],
  ['k', 'Unix socket'],
  ['c', 'NBD device'],
  ['selinux-label', 'SELinux label'],
];

/**
 * The descriptor of the socket that was passed; null: there is none. Throws what the real tool says.
 * @param given the options of the command line
 */
export function activatedSocket(given: ReadonlySet<string>, list: boolean): number | null {
  const count = passedSockets();
  if (count === 0) return null;
  const [, rival] = RIVALS.find(([option]) => given.has(option)) ?? [];
  if (rival !== undefined) throw new ToolFailure(`${rival} can't be set when using socket activation`);
  if (list) throw new ToolFailure('List mode is incompatible with socket activation');
  if (count > 1) throw new ToolFailure('qemu-nbd does not support socket activation with LISTEN_FDS > 1');
  return FIRST;
}
