import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toRequest } from '../../src/ui/console/qmp-shell';
import { History } from '../../src/ui/console/history';
import { secretPrompt, withoutSecret, withSecret } from '../../src/ui/console/secrets';

const ADD = 'object-add qom-type=secret id=s0';

describe('secrets in lines', () => {
  test('are asked for where a line leaves them out', () => {
    expect(secretPrompt(ADD)).toBe('Data of secret s0: ');
    expect(secretPrompt(`${ADD} format=base64`)).toBe('Data of secret s0: ');
    for (const line of [
      `${ADD} data=x`,
      `${ADD} file=f`,
      'object-add qom-type=iothread id=i',
      'object-del id=s0',
      '{"execute": "object-add", "arguments": {"qom-type": "secret", "id": "s"}}',
    ])
      expect(secretPrompt(line)).toBeNull();
  });

  test('arrive as they were typed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (typed) => {
        const request = JSON.parse(toRequest(withSecret(ADD, typed))) as { arguments: { data: string } };
        expect(request.arguments.data).toBe(typed);
      }),
    );
  });

  test('are not kept', () => {
    const history = new History();
    for (const line of [
      `${ADD} data=hunter2`,
      'object-add data="hunter2 x" qom-type=secret id=s1 format=raw',
      '{"execute": "object-add", "arguments": {"qom-type": "secret", "id": "s", "data": "hunter2"}}',
      "{'execute': 'object-add', 'arguments': {'data': 'hunter2', 'qom-type': 'secret', 'id': 's'}}",
      'qemu-img info --object secret,id=s,data=hunter2 a.luks',
      `qemu-img info --object '{"qom-type": "secret", "id": "s", "data": "hunter2"}' a.luks`,
    ])
      history.add(line);
    expect(history.all).toEqual([ADD, 'object-add qom-type=secret id=s1 format=raw']);
    // A line that asks again.
    expect(secretPrompt(history.all[1] ?? '')).toBe('Data of secret s1: ');
    for (const line of [
      `${ADD} file=pass`,
      'qemu-img info --object secret,id=s,file=pass data.img',
      'blockdev-add driver=file node-name=secret filename=data',
    ])
      expect(withoutSecret(line)).toBe(line);
  });
});
