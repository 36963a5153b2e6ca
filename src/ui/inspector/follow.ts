/** Looks at an image again while it changes. */

/** Milliseconds between two questions whether it has. */
const EVERY = 1000;

/** What is followed. */
export interface Followed {
  /** Another text when the image has changed; rejects when it is gone. */
  state(): Promise<string>;
  /** Whether somebody sees it, and the last look has come to its end. */
  ready(): boolean;
  look(): Promise<void>;
}

/**
 * Follows from a state on; answers a function that ends it. Nothing is asked while nobody sees it. It ends by itself when the image
 * is gone, or cannot be looked at.
 */
export function follow(followed: Followed, from: string): () => void {
  let last = from;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const plan = (): void => {
    timer = setTimeout(() => void ask(), EVERY);
  };
  const ask = async (): Promise<void> => {
    try {
      if (document.visibilityState === 'visible' && followed.ready()) {
        const now = await followed.state();
        if (timer === null) return;
        if (now !== last) {
          last = now;
          await followed.look();
        }
      }
    } catch {
      return;
    }
    if (timer !== null) plan();
  };
  plan();
  return () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
}
