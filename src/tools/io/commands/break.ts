/** break, remove_break, resume, wait_break: requests that stop at events of a blkdebug node */
import { BlockError } from '../../../engine/contract';
import { CommandFailure, type IoCommand } from '../command';

/** Runs what may fail with a text that has a beginning. */
async function failing(beginning: string, run: () => void | Promise<void>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new CommandFailure(`${beginning}: ${error.message}`);
  }
}

const setBreak: IoCommand = {
  name: 'break',
  min: 2,
  max: 2,
  syntax: 'event tag',
  summary: 'sets a breakpoint on event and tags the stopped request as tag',
  details: [
    'Example: break write_aio A   stops the next request that comes to write data',
    'The image must have a blkdebug node below, as blkdebug::disk.qcow2 has.',
  ],
  run: (call) => {
    const [event = '', tag = ''] = call.words;
    return failing('Could not set breakpoint', () => call.file.requests.setBreakpoint(event, tag));
  },
};

const removeBreak: IoCommand = {
  name: 'remove_break',
  min: 1,
  max: 1,
  syntax: 'tag',
  summary: 'remove a breakpoint by tag',
  run: (call) => {
    const [tag = ''] = call.words;
    return failing(`Could not remove breakpoint ${tag}`, () => call.file.requests.removeBreakpoint(tag));
  },
};

const resume: IoCommand = {
  name: 'resume',
  min: 1,
  max: 1,
  syntax: 'tag',
  summary: 'resumes the request tagged as tag',
  run: (call) => {
    const [tag = ''] = call.words;
    return failing('Could not resume request', () => call.file.requests.resume(tag));
  },
};

const waitBreak: IoCommand = {
  name: 'wait_break',
  min: 1,
  max: 1,
  syntax: 'tag',
  summary: 'waits for the suspension of a request',
  run: async (call) => {
    const [tag = ''] = call.words;
    await call.file.requests.waitFor(tag);
    return true;
  },
};

export const breakpointCommands: readonly IoCommand[] = [setBreak, removeBreak, resume, waitBreak];
