/** Giving way to other tasks of the worker: messages from the page, timers, events. */

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/**
 * Resolves in a new task, after the messages that have come meanwhile were handed out. Faster than a timer, which waits
 * 4 ms when timers follow each other.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
