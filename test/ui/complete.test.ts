import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { complete, commonPrefix, type CompletionSources } from '../../src/ui/console/complete';

const sources: CompletionSources = {
  shell: [
    { name: 'help', summary: 'shows help', usage: '[COMMAND]', arguments: 'command' },
    { name: 'ls', summary: 'lists files', usage: '[FILE]...', arguments: 'files' },
    {
      name: 'qemu-img',
      summary: '',
      usage: '',
      arguments: 'files',
      subcommands: [{ name: 'create' }, { name: 'convert' }, { name: 'info' }],
    },
  ],
  formats: [],
  nodeNames: async () => ['disk', 'disk-file', 'other'],
  jobIds: async () => ['job0'],
  files: async (directory) =>
    directory === ''
      ? [
          { name: 'a.qcow2', directory: false },
          { name: 'b c.img', directory: false },
          { name: 'images', directory: true },
        ]
      : directory === 'images/'
        ? [{ name: 'deep.raw', directory: false }]
        : [],
};

test('names with quotes are completed to what stands for them', async () => {
  const odd = { ...sources, files: async () => [{ name: `a "b".img`, directory: false }] };
  const taken = async (text: string): Promise<string | undefined> => {
    const { from, candidates } = await complete(text, text.length, odd);
    return candidates[0] && text.slice(0, from) + candidates[0].text;
  };
  expect(await taken('ls a')).toBe(String.raw`ls "a \"b\".img" `);
  const command = 'blockdev-add driver=file filename=';
  expect(await taken(`${command}a`)).toBe(String.raw`${command}"a \"b\".img" `);
  const json = '{"execute": "blockdev-add", "arguments": {"driver": "file", "filename": ';
  expect(await taken(`${json}"`)).toBe(String.raw`${json}"a \"b\".img"`);
});

/** The line after each candidate is taken, the cursor being where `|` stands. */
async function offers(marked: string): Promise<string[]> {
  const cursor = marked.indexOf('|');
  const text = marked.replace('|', '');
  const { from, to, candidates } = await complete(text, cursor, sources);
  return candidates.map((candidate) => text.slice(0, from) + candidate.text + text.slice(to));
}

describe('completion of words', () => {
  test.each<[string, string[]]>([
    ['blockdev-a|', ['blockdev-add ']],
    ['query-na|', ['query-named-block-nodes ']],
    ['query-vers|', ['query-version']],
    ['l|', ['ls ']],
    ['job-dismiss |', ['job-dismiss id=']],
    ['job-dismiss id=|', ['job-dismiss id=job0 ']],
    ['blockdev-del node-name=d|', ['blockdev-del node-name=disk ', 'blockdev-del node-name=disk-file ']],
    ['blockdev-add driver=qco|', ['blockdev-add driver=qcow ', 'blockdev-add driver=qcow2 ']],
    ['blockdev-add read-only=|', ['blockdev-add read-only=true ', 'blockdev-add read-only=false ']],
    // The name that a command gives is not one of those that exist.
    ['blockdev-add node-name=|', []],
    ['blockdev-add fi|', []],
    ['blockdev-add driver=file fi|', ['blockdev-add driver=file filename=']],
    // The discriminator may come later in the line.
    ['blockdev-add filen| driver=file', ['blockdev-add filename= driver=file']],
    [
      'blockdev-add driver=qcow2 file|',
      ['blockdev-add driver=qcow2 file=', 'blockdev-add driver=qcow2 file.'],
    ],
    ['blockdev-add driver=qcow2 file=ot|', ['blockdev-add driver=qcow2 file=other ']],
    [
      'blockdev-add driver=qcow2 file.driver=file file.filen|',
      ['blockdev-add driver=qcow2 file.driver=file file.filename='],
    ],
    [
      'blockdev-add driver=qcow2 file.driver=file file.filename=|',
      ['a.qcow2', '"b c.img"', 'images/'].map(
        (name) =>
          `blockdev-add driver=qcow2 file.driver=file file.filename=${name}${name.endsWith('/') ? '' : ' '}`,
      ),
    ],
    [
      'blockdev-add driver=raw file.filename=images/| file.driver=file',
      ['blockdev-add driver=raw file.filename=images/deep.raw  file.driver=file'],
    ],
    ['blockdev-add driver=qcow2 backing=n|', ['blockdev-add driver=qcow2 backing=null ']],
    [
      'blockdev-add driver=qcow2 cache.|',
      ['blockdev-add driver=qcow2 cache.direct=', 'blockdev-add driver=qcow2 cache.no-flush='],
    ],
    // What is given is not offered again.
    ['job-dismiss id=x |', []],
    ['ls |', ['ls a.qcow2 ', 'ls "b c.img" ', 'ls images/']],
    ['ls images/d|', ['ls images/deep.raw ']],
    ['ls "b|', ['ls "b c.img" ']],
    ['qemu-img c|', ['qemu-img create ', 'qemu-img convert ']],
    ['qemu-img info a|', ['qemu-img info a.qcow2 ']],
    ['help blockdev-a|', ['help blockdev-add']],
    ['help blockdev-add driver=qcow|', ['help blockdev-add driver=qcow ', 'help blockdev-add driver=qcow2 ']],
    ['nonsense a|', []],
  ])('%s', async (line, expected) => {
    expect(await offers(line)).toEqual(expected);
  });
});

describe('completion inside JSON', () => {
  test.each<[string, string[]]>([
    ['{|', ['{"execute": ', '{"arguments": {', '{"id": ']],
    ['{"ex|', ['{"execute": ']],
    ['{"execute": "job-d|', ['{"execute": "job-dismiss"']],
    ['{"execute": "job-d|"', ['{"execute": "job-dismiss"']],
    [
      '{"execute": "job-dismiss", |',
      ['{"execute": "job-dismiss", "arguments": {', '{"execute": "job-dismiss", "id": '],
    ],
    ['{"execute": "job-dismiss", "arguments": {|', ['{"execute": "job-dismiss", "arguments": {"id": ']],
    ['{"arguments": {"i|}, "execute": "job-dismiss"}', ['{"arguments": {"id": }, "execute": "job-dismiss"}']],
    [
      '{"execute": "job-dismiss", "arguments": {"id": |',
      ['{"execute": "job-dismiss", "arguments": {"id": "job0"'],
    ],
    [
      '{"execute": "blockdev-add", "arguments": {"driver": "qcow2", "file": {"driver": "fi|',
      ['{"execute": "blockdev-add", "arguments": {"driver": "qcow2", "file": {"driver": "file"'],
    ],
    [
      '{"execute": "blockdev-add", "arguments": {"driver": "qcow2", "file": {"driver": "file", "filen|',
      [
        '{"execute": "blockdev-add", "arguments": {"driver": "qcow2", "file": {"driver": "file", "filename": ',
      ],
    ],
    [
      '{"execute": "blockdev-add", "arguments": {"driver": "file", "filename": "images/|',
      ['{"execute": "blockdev-add", "arguments": {"driver": "file", "filename": "images/deep.raw"'],
    ],
    [
      "{'execute': 'blockdev-add', 'arguments': {'driver': 'qcow2', 'la|",
      ["{'execute': 'blockdev-add', 'arguments': {'driver': 'qcow2', 'lazy-refcounts': "],
    ],
    [
      '{"execute": "blockdev-reopen", "arguments": {"options": [{"driver": "raw"}, {"driver": "file", "filen|',
      [
        '{"execute": "blockdev-reopen", "arguments": {"options": [{"driver": "raw"}, {"driver": "file", "filename": ',
      ],
    ],
    // Here the name is that of a node that exists.
    [
      'blockdev-reopen options=[{"driver": "raw", "node-name": "ot|',
      ['blockdev-reopen options=[{"driver": "raw", "node-name": "other"'],
    ],
    [
      'blockdev-create job-id=j options={"driver": "qcow2", "fi|',
      ['blockdev-create job-id=j options={"driver": "qcow2", "file": '],
    ],
    [
      'blockdev-create job-id=j options={"driver": "qcow2", "preallocation": "m|',
      ['blockdev-create job-id=j options={"driver": "qcow2", "preallocation": "metadata"'],
    ],
    ['{"execute" |', []],
    ['{"execute": "nonsense", "arguments": {|', []],
  ])('%s', async (line, expected) => {
    expect(await offers(line)).toEqual(expected);
  });
});

describe('completion', () => {
  test('says what is expected where nothing can be listed', async () => {
    const line = 'block_resize size=';
    expect(await complete(line, line.length, sources)).toMatchObject({ candidates: [], expected: 'integer' });
  });

  test('sources that fail offer nothing', async () => {
    const broken: CompletionSources = {
      ...sources,
      nodeNames: () => Promise.reject(new Error('gone')),
      files: () => Promise.reject(new Error('gone')),
    };
    expect((await complete('blockdev-del node-name=', 23, broken)).candidates).toEqual([]);
    expect((await complete('ls ', 3, broken)).candidates).toEqual([]);
  });

  test('what all candidates begin with', () => {
    expect(
      commonPrefix([
        { text: 'blockdev-add', label: '' },
        { text: 'blockdev-del', label: '' },
      ]),
    ).toBe('blockdev-');
    expect(commonPrefix([])).toBe('');
  });

  test('any text and cursor give a range of the text that ends at the cursor or its quote', async () => {
    const piece = fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        '"',
        "'",
        ':',
        ',',
        ' ',
        '=',
        '.',
        '\\',
        '\n',
        'execute',
        'arguments',
        'blockdev-add',
      ],
      ...['driver', 'qcow2', 'file', 'help', 'ls', 'id', 'transaction', 'actions', 'type', '1', 'a'],
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 25 }), fc.nat(), async (pieces, at) => {
        const text = pieces.join('');
        const cursor = at % (text.length + 1);
        const { from, to, candidates } = await complete(text, cursor, sources);
        expect(from).toBeLessThanOrEqual(to);
        expect(from).toBeGreaterThanOrEqual(0);
        if (candidates.length > 0) expect([cursor, cursor + 1]).toContain(to);
      }),
      { numRuns: 500 },
    );
  });
});
