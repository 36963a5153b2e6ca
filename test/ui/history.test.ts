import { describe, expect, test } from 'vitest';
import { History, type HistoryStorage } from '../../src/ui/console/history';

class Storage implements HistoryStorage {
  readonly items = new Map<string, string>();
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
}

describe('the history', () => {
  test('is walked back and forth, and the line being typed comes back', () => {
    const history = new History();
    history.add('one');
    history.add('two');
    expect(history.previous('typing')).toBe('two');
    expect(history.previous('two')).toBe('one');
    expect(history.previous('one')).toBeNull();
    expect(history.next()).toBe('two');
    expect(history.next()).toBe('typing');
    expect(history.next()).toBeNull();
  });

  test('repetitions and blank lines are not added', () => {
    const history = new History();
    ['a', 'a', ' ', 'b', 'a'].forEach((line) => history.add(line));
    expect(history.all).toEqual(['a', 'b', 'a']);
  });

  test('is found from the newest to the oldest', () => {
    const history = new History();
    ['blockdev-add a', 'ls', 'blockdev-add b'].forEach((line) => history.add(line));
    const first = history.search('blockdev', history.all.length);
    expect(first).toEqual({ index: 2, entry: 'blockdev-add b' });
    expect(history.search('blockdev', 2)).toEqual({ index: 0, entry: 'blockdev-add a' });
    expect(history.search('blockdev', 0)).toBeNull();
  });

  test('lasts from visit to visit, bounded', () => {
    const storage = new Storage();
    const history = new History(storage);
    for (let index = 0; index < 1100; index++) history.add(`line ${index}`);
    history.add('x'.repeat(20_000));
    const again = new History(storage);
    expect(again.all).toHaveLength(999);
    expect(again.all.at(-1)).toBe('line 1099');
    again.clear();
    expect(new History(storage).all).toEqual([]);
  });

  test('storage that is broken or forbidden does no harm', () => {
    const broken = new Storage();
    broken.setItem('qsd-web.history', '{"not": "ours"');
    expect(new History(broken).all).toEqual([]);
    broken.setItem('qsd-web.history', '["a", 1, null]');
    expect(new History(broken).all).toEqual(['a']);
    const forbidden: HistoryStorage = {
      getItem() {
        throw new Error('denied');
      },
      setItem() {
        throw new Error('denied');
      },
    };
    const history = new History(forbidden);
    history.add('a');
    expect(history.all).toEqual(['a']);
  });
});
