/** The option --trace: it is understood, and there are no events that it could switch on. */
import { ToolFailure } from './failure';
import { splitOptions } from './optionlist';

/** Reads the value of --trace, and hands on what the real tools warn of. Throws for what is wrong with it. */
export function readTrace(value: string, warn: (text: string) => void): void {
  for (const { key, value: text } of splitOptions(value, 'enable')) {
    if (!['enable', 'events', 'file'].includes(key)) throw new ToolFailure(`Invalid parameter '${key}'`);
    if (key === 'enable' && text !== null && /^[^*?]+$/.test(text) && text !== 'help') {
      warn(`trace event '${text}' does not exist`);
    }
  }
}
