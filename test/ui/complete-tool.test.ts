/** Completion of the tools' options, with the options that they have. */
import { expect, test } from 'vitest';
import { imageFormats } from '../../src/graph';
import { SAMPLES } from '../../src/lessons';
import { daemonOptions } from '../../src/tools/daemon/commandline';
import { imageCommands } from '../../src/tools/shell';
import { complete, type CompletionSources } from '../../src/ui/console/complete';

const [img, io] = imageCommands({ img: async () => 0, io: async () => 0 });
if (!img || !io) throw new Error('there are no tools');

const sources: CompletionSources = {
  shell: [
    img,
    io,
    { name: 'qemu-storage-daemon', summary: '', usage: '', arguments: 'files', options: daemonOptions },
    {
      name: 'sample',
      summary: '',
      usage: '',
      arguments: 'none',
      subcommands: SAMPLES.map(({ name }) => ({ name })),
    },
  ],
  formats: imageFormats(),
  nodeNames: async () => ['disk', 'other'],
  jobIds: async () => [],
  files: async (directory) =>
    directory === ''
      ? [
          { name: 'a.qcow2', directory: false },
          { name: 'b c.img', directory: false },
        ]
      : [],
};

/** The line after each candidate is taken. */
async function offers(text: string): Promise<string[]> {
  const { from, to, candidates } = await complete(text, text.length, sources);
  return candidates.map((candidate) => text.slice(0, from) + candidate.text + text.slice(to));
}

/** What is offered after `line`, of it only the end. */
async function ends(line: string): Promise<string[]> {
  const keep = Math.max(line.lastIndexOf(' '), line.lastIndexOf(',')) + 1;
  return (await offers(line)).map((one) => one.slice(keep));
}

test.each<[string, string[]]>([
  // Each verb that there is.
  ['qemu-img re', ['rebase ', 'resize ']],
  ['qemu-img create --b', ['--backing ', '--backing-format ', '--backing-unsafe ']],
  ['qemu-img create -f ', ['luks ', 'qcow2 ', 'raw ']],
  ['qemu-img create -qf q', ['qcow2 ']],
  ['qemu-img create --format=l', ['--format=luks ']],
  ['qemu-img convert -O q', ['qcow2 ']],
  ['qemu-img create -f qcow2 -o comp', ['compression_type=', 'compat=']],
  ['qemu-img create -f qcow2 -o compat=', ['compat=0.10', 'compat=1.1']],
  [
    'qemu-img create -f qcow2 -o compat=1.1,compression_type=z',
    ['compression_type=zlib', 'compression_type=zstd'],
  ],
  ['qemu-img create -f qcow2 -o compat=1.1,comp', ['compression_type=']],
  ['qemu-img create -f qcow2 -o lazy_refcounts=', ['lazy_refcounts=on', 'lazy_refcounts=off']],
  ['qemu-img create -f qcow2 -o preallocation=f', ['preallocation=falloc', 'preallocation=full']],
  ['qemu-img create -f qcow2 -o backing_fmt=r', ['backing_fmt=raw']],
  ['qemu-img create -f qcow2 -o backing_file=', ['backing_file=a.qcow2', 'backing_file="b c.img"']],
  ['qemu-img create -f luks -o cipher-mode=x', ['cipher-mode=xts']],
  // No format is a raw image, which has an option less.
  ['qemu-img create -o lazy', []],
  ['qemu-img create -b ', ['a.qcow2 ', '"b c.img" ']],
  ['qemu-img create -q a', ['a.qcow2 ']],
  ['qemu-img check -r ', ['leaks ', 'all ']],
  ['qemu-img info --output=j', ['--output=json ']],
  ['qemu-img info --output ', ['human ', 'json ']],
  ['qemu-img commit -t wr', ['writeback ', 'writethrough ']],
  ['qemu-img create -- -', []],
  ['qemu-img create --object sec', ['secret', 'secret_keyring']],
  ['qemu-img create --object secret,id=key,for', ['format=']],
  ['qemu-img create --object secret,id=key,format=', ['format=raw', 'format=base64']],
  ['qemu-io -f r', ['raw ']],
  ['qemu-io -c "read 0 4k" a', ['a.qcow2 ']],
  ['qemu-storage-daemon --bl', ['--blockdev ']],
  ['qemu-storage-daemon --blockdev qcow2,file.dr', ['file.driver=']],
  ['qemu-storage-daemon --blockdev qcow2,node-name=a,file=o', ['file=other']],
  ['qemu-storage-daemon --blockdev file,node-name=a,filename=b', ['filename="b c.img"']],
  ['qemu-storage-daemon --blockdev file,node-name=a,filename=b --export nb', ['nbd']],
  ['qemu-storage-daemon --export nbd,id=e,node-name=d', ['node-name=disk']],
  ['qemu-storage-daemon --nbd-server addr.type=un', ['addr.type=unix']],
  ["qemu-storage-daemon --blockdev '{", []],
  ['sample d', ['damaged ']],
])('%s', async (line, expected) => {
  expect(await ends(line)).toEqual(expected);
});

test('what an option is for stands behind it, and what a value is where nothing is offered', async () => {
  const { candidates } = await complete('qemu-img create -', 17, sources);
  expect(candidates.find(({ text }) => text === '-b ')).toMatchObject({
    label: '-b, --backing FILE',
    note: 'what the new image does not hold is read from this one',
  });
  const bench = 'qemu-img bench -c ';
  expect(await complete(bench, bench.length, sources)).toMatchObject({ candidates: [], expected: 'COUNT' });
  const amend = 'qemu-img amend -o ';
  expect(await complete(amend, amend.length, sources)).toMatchObject({
    candidates: [],
    expected: 'the format comes first: -f FMT',
  });
});

test('all verbs and formats are known with their options', async () => {
  expect(img.subcommands?.map(({ name }) => name)).toContain('bitmap');
  const amend = 'qemu-img amend -f qcow2 -o ';
  const create = 'qemu-img create -f qcow2 -o ';
  expect((await offers(create)).length).toBeGreaterThan((await offers(amend)).length);
  expect(await offers(amend)).toContain(`${amend}compat=`);
});
