/** `-o help` of create and convert. */
import { describeOptions } from '../optionlist';
import type { VerbSession } from './verb';

/** Prints the options that the format takes at creation, with a file name also those of its protocol. */
export function printCreateHelp(session: VerbSession, format: string, filename: string | undefined): number {
  const { options } = session.graph().createSupport(format, filename);
  const title = filename === undefined ? `Supported ${format} options:` : 'Supported options:';
  session.context.stdout(`${title}\n${describeOptions(options)}`);
  if (filename === undefined) {
    session.context.stdout(
      '\nThe protocol level may support further options.\nSpecify the target filename to include those options.\n',
    );
  }
  return 0;
}
