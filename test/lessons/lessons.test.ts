/** Each lesson is solved by its own solution. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LESSONS, TOPICS, holds } from '../../src/lessons';
import { LessonSandbox } from './sandbox';

let sandbox: LessonSandbox;

beforeEach(() => {
  sandbox = new LessonSandbox();
});
afterEach(() => sandbox.dispose());

/** Lines of solutions that fail, because the lesson is about that. */
const REFUSED = new Set([
  'blockdev-del node-name=disk',
  'transaction actions=[{"type":"blockdev-snapshot","data":{"node":"data","overlay":"data-top"}},{"type":"abort","data":{}}]',
]);

describe.each(LESSONS)('$id', (lesson) => {
  test('its solution solves it, step by step', async () => {
    for (const line of lesson.setup) {
      const outcome = await sandbox.enter(line);
      expect(outcome, line).toMatchObject({ code: 0, stderr: '' });
    }
    sandbox.begin();
    expect(await holds(lesson.check, sandbox)).toBe(false);
    for (const step of lesson.steps) {
      expect(await holds(step.check, sandbox), `before: ${step.text}`).toBe(false);
      for (const line of step.solution) {
        const { code, stderr } = await sandbox.enter(line);
        // Tools end with other codes than 0 where the lesson is about damage.
        if (/^(qemu-img check|qemu-io .*abort)/.test(line)) expect([0, 2, 3, 134], line).toContain(code);
        else if (!REFUSED.has(line)) expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: '' });
      }
      await vi.waitFor(async () => expect(await holds(step.check, sandbox), step.text).toBe(true), {
        timeout: 15_000,
        interval: 20,
      });
    }
    await vi.waitFor(async () => expect(await holds(lesson.check, sandbox)).toBe(true));
    const { files } = sandbox;
    expect((await files()).filter((name) => !name.endsWith('.sock') && !lesson.files.includes(name))).toEqual(
      [],
    );
  });

  test('its texts name commands that there are', async () => {
    const texts = [
      lesson.goal,
      ...lesson.text,
      ...lesson.steps.flatMap(({ text, hint = '' }) => [text, hint]),
    ];
    const commands = await sandbox.commands();
    for (const text of texts) {
      expect(text.split('`').length % 2, `backticks in: ${text}`).toBe(1);
      for (const code of text.split('`').filter((_, index) => index % 2 === 1)) {
        const [name = '', ...words] = code.split(' ');
        if (words.length > 0 && /^[a-z][a-z-]+$/.test(name) && code !== 'open sesame')
          expect(commands, code).toContain(name);
      }
    }
  });
});

test('each lesson has an id of its own and a topic that is listed', () => {
  expect(new Set(LESSONS.map(({ id }) => id)).size).toBe(LESSONS.length);
  for (const { id, topic } of LESSONS) {
    expect(id).toMatch(/^[a-z0-9-]+$/);
    expect(TOPICS).toContain(topic);
  }
});
