import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Client } from '../../src/client';
import { importFiles } from '../../src/ui/transfer';

beforeEach(() => void vi.stubGlobal('navigator', {}));
afterEach(() => void vi.unstubAllGlobals());

test('an import that fails does not keep the other files out', async () => {
  const importFile: Client['importFile'] = async ({ name }) =>
    name === 'bad' ? { failure: 'Input/output error' } : { value: name };
  let stdout = '';
  let stderr = '';
  const files = ['one', 'bad', 'two'].map((name) => new File(['12'], name));
  const code = await importFiles({ importFile } as Client, files, {
    signal: new AbortController().signal,
    progress: () => undefined,
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
  });
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: 'one: 2 B copied into the sandbox\ntwo: 2 B copied into the sandbox\n',
    stderr: 'import: bad: Input/output error\n',
  });
});
