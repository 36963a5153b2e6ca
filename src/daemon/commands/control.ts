/** The chapter on the monitor: what this daemon is and can do. */
import { querySchema, registeredCommands } from '../../qapi/index';
import { QEMU_VERSION, type DaemonEnvironment } from '../environment';
import type { Handlers } from './registry';

/** The version as the greeting and query-version show it. */
export function versionInfo(environment: DaemonEnvironment): {
  qemu: { major: number; minor: number; micro: number };
  package: string;
} {
  return { qemu: { ...QEMU_VERSION }, package: `qsd-web ${environment.version}` };
}

export const control: Handlers = {
  'query-version': (_args, { environment }) => versionInfo(environment),

  'query-commands': () => registeredCommands().map((name) => ({ name })),

  'query-qmp-schema': () => querySchema(),

  quit: async (_args, context) => {
    await context.quit();
    return {};
  },
};
