import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MemoryLocks } from '../../../src/files/locks';
import { NodeStore } from '../../../src/files/node/store';
import { BlockGraph, GraphError, type CreateValues } from '../../../src/graph/index';
import { World } from '../support';

const root = mkdtempSync(join(tmpdir(), 'qsd-web-create-'));
afterAll(() => rmSync(root, { recursive: true }));

interface Case {
  /** Words of `qemu-img create` before the file name. */
  words: string;
  filename?: string;
  size?: string;
  /** What a tool makes of the words. */
  format: string;
  values: CreateValues;
  unsafe?: boolean;
}

const MIB = 1048576;
const qcow2 = (values: CreateValues, option: string): Case => ({
  words: `-f qcow2 -o ${option}`,
  size: '1M',
  format: 'qcow2',
  values: { ...values, size: MIB },
});
const backed = (words: string, values: CreateValues, more: Partial<Case> = {}): Case => ({
  words: `-f qcow2 ${words}`,
  format: 'qcow2',
  values,
  ...more,
});

const CASES: Case[] = [
  { words: '-f raw', size: '1000', format: 'raw', values: { size: 1000 } },
  {
    words: '-f raw -o preallocation=full',
    size: '64k',
    format: 'raw',
    values: { size: 65536, preallocation: 'full' },
  },
  {
    words: '-f raw -o preallocation=metadata',
    size: '1M',
    format: 'raw',
    values: { size: MIB, preallocation: 'metadata' },
  },
  { words: '-f raw', format: 'raw', values: {} },
  { words: '-f qcow2', size: '1000', format: 'qcow2', values: { size: 1000 } },
  { words: '-f qcow2', size: '10G', format: 'qcow2', values: { size: 10 * 1024 * MIB } },
  { words: '-f qcow2', filename: 'no/where', size: '1M', format: 'qcow2', values: { size: MIB } },
  { words: '-f raw', filename: 'foo:x', size: '1M', format: 'raw', values: { size: MIB } },
  { words: '-f raw', filename: 'null-co://', size: '1M', format: 'raw', values: { size: MIB } },
  { words: '-f null-co', size: '1M', format: 'null-co', values: { size: MIB } },
  { words: '-f nothing', size: '1M', format: 'nothing', values: { size: MIB } },
  qcow2({ cluster_size: 512, refcount_bits: 1 }, 'cluster_size=512,refcount_bits=1'),
  qcow2({ cluster_size: 2 * MIB }, 'cluster_size=2M'),
  qcow2({ compat: '0.10' }, 'compat=0.10'),
  qcow2({ compat: 'v3', lazy_refcounts: true, nocow: false }, 'compat=v3,lazy_refcounts=on,nocow=off'),
  qcow2({ preallocation: 'metadata' }, 'preallocation=metadata'),
  qcow2({ preallocation: 'full' }, 'preallocation=full'),
  qcow2({ cluster_size: 1000 }, 'cluster_size=1000'),
  qcow2({ refcount_bits: 3 }, 'refcount_bits=3'),
  qcow2({ refcount_bits: 99999999999 }, 'refcount_bits=99999999999'),
  qcow2({ compat: '0.9' }, 'compat=0.9'),
  qcow2({ compat: '0.10', lazy_refcounts: true }, 'compat=0.10,lazy_refcounts=on'),
  qcow2({ compat: '0.10', refcount_bits: 8 }, 'compat=0.10,refcount_bits=8'),
  qcow2({ compression_type: 'zstd' }, 'compression_type=zstd'),
  qcow2({ compat: '0.10', compression_type: 'zstd' }, 'compat=0.10,compression_type=zstd'),
  qcow2({ extended_l2: true }, 'extended_l2=on'),
  qcow2({ extended_l2: true, preallocation: 'metadata' }, 'extended_l2=on,preallocation=metadata'),
  qcow2({ compat: '0.10', extended_l2: true }, 'compat=0.10,extended_l2=on'),
  qcow2({ extended_l2: true, cluster_size: 4096 }, 'extended_l2=on,cluster_size=4k'),
  qcow2({ compat: '0.10', data_file: 'd' }, 'compat=0.10,data_file=d'),
  qcow2({ preallocation: 'some' }, 'preallocation=some'),
  qcow2({ compression_type: 'some' }, 'compression_type=some'),
  qcow2({ data_file_raw: true }, 'data_file_raw=on'),
  {
    words: '-f qcow2 -o cluster_size=512',
    size: '1P',
    format: 'qcow2',
    values: { size: 2 ** 50, cluster_size: 512 },
  },
  backed('-b base.raw -F raw', { backing_file: 'base.raw', backing_fmt: 'raw' }),
  backed(
    '-b base.qcow2 -F qcow2',
    { backing_file: 'base.qcow2', backing_fmt: 'qcow2' },
    { filename: 'dir/new' },
  ),
  backed('-b in.qcow2 -F qcow2', { backing_file: 'in.qcow2', backing_fmt: 'qcow2' }, { filename: 'dir/new' }),
  backed(
    '-b base.raw -F raw',
    { backing_file: 'base.raw', backing_fmt: 'raw', size: 3 * MIB },
    { size: '3M' },
  ),
  backed('-b base.raw', { backing_file: 'base.raw' }),
  backed('-u -b base.raw', { backing_file: 'base.raw', size: MIB }, { size: '1M', unsafe: true }),
  backed(
    '-u -b a,b,,c -F raw',
    { backing_file: 'a,b,,c', backing_fmt: 'raw', size: MIB },
    { size: '1M', unsafe: true },
  ),
  backed('-b base.raw -F some', { backing_file: 'base.raw', backing_fmt: 'some' }),
  backed('-b base.raw -F qcow2', { backing_file: 'base.raw', backing_fmt: 'qcow2' }),
  backed('-b absent -F raw', { backing_file: 'absent', backing_fmt: 'raw' }),
  backed('-b new -F raw', { backing_file: 'new', backing_fmt: 'raw', size: MIB }, { size: '1M' }),
  backed('-F raw', { backing_fmt: 'raw', size: MIB }, { size: '1M' }),
  backed('-o preallocation=full -b base.raw -F raw', {
    backing_file: 'base.raw',
    backing_fmt: 'raw',
    preallocation: 'full',
  }),
  { words: '-f raw -b base.raw', size: '1M', format: 'raw', values: { backing_file: 'base.raw', size: MIB } },
  { words: '-f raw -F raw', size: '1M', format: 'raw', values: { backing_fmt: 'raw', size: MIB } },
];

function directory(): string {
  const path = mkdtempSync(join(root, 'case-'));
  mkdirSync(join(path, 'dir'));
  for (const words of ['-f raw base.raw 1M', '-f qcow2 base.qcow2 2M', '-f qcow2 dir/in.qcow2 3M']) {
    spawnSync('qemu-img', ['create', '-q', ...words.split(' ')], { cwd: path });
  }
  return path;
}

/** Names, sizes and contents of all files. */
function contents(path: string): Map<string, Buffer> {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(
    names
      .filter((name) => statSync(join(path, name)).isFile())
      .map((name) => [name, readFileSync(join(path, name))]),
  );
}

async function ours(
  path: string,
  { filename = 'new', format, values, unsafe = false }: Case,
): Promise<string> {
  const { engine } = new World();
  const graph = new BlockGraph({ engine, files: new NodeStore(path), locks: new MemoryLocks() });
  let output = '';
  try {
    const prepared = await graph.prepareCreate({ filename, format, values }, unsafe);
    output += `Formatting '${filename}', ${prepared.line}\n`;
    await graph.createImage(prepared);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    output += [`qemu-img: ${filename}: ${error.desc}`, ...error.hints, ''].join('\n');
  }
  await graph.close();
  return output;
}

describe('qemu-img create', () => {
  test.each(CASES)('$words $filename $size', async (one) => {
    const real = directory();
    const mine = directory();
    const words = ['create', ...one.words.split(' '), one.filename ?? 'new', ...(one.size ? [one.size] : [])];
    const { stdout, stderr } = spawnSync('qemu-img', words, { cwd: real, encoding: 'utf8' });
    expect(await ours(mine, one)).toBe(stdout + stderr);
    const want = contents(real);
    const have = contents(mine);
    expect([...have.keys()]).toEqual([...want.keys()]);
    for (const [name, bytes] of want) expect(have.get(name)?.equals(bytes), name).toBe(true);
  });
});
