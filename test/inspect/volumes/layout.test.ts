/** Partition tables made by sfdisk, compared with what it says of them itself. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { readLayout } from '../../../src/inspect/volumes';
import { scratch } from '../support';
import { blank, diskOf, memoryDisk, place, tool } from './support';

const MIB = 2 ** 20;
const dir = scratch();
afterAll(() => dir.remove());

let count = 0;
/** A disk with a table made from a script of sfdisk. */
function disk(bytes: number, script: string): string {
  const path = blank(dir.path(`disk${++count}`), bytes);
  tool('sfdisk', ['-q', '--no-reread', '--no-tell-kernel', path], script);
  return path;
}

/** One with sectors of 4096 bytes, made by what one types into fdisk. */
function disk4k(keys: string): string {
  const path = blank(dir.path(`disk${++count}`), 256 * MIB);
  tool('fdisk', ['-b', '4096', path], keys);
  return path;
}

interface SfdiskTable {
  partitiontable: {
    id: string;
    partitions: { node: string; start: number; size: number; type: string; uuid?: string; name?: string }[];
  };
}

/** What sfdisk reads from it: number, start and size in sectors, type. */
function bySfdisk(path: string): { id: string; rows: unknown[] } {
  const { partitiontable } = JSON.parse(tool('sfdisk', ['--json', path])) as SfdiskTable;
  return {
    id: partitiontable.id,
    rows: partitiontable.partitions.map(({ node, start, size, type, uuid = '', name = '' }) => [
      Number(/\d+$/.exec(node)?.[0]),
      start,
      size,
      type,
      uuid,
      name,
    ]),
  };
}

async function byUs(path: string): Promise<{ id: string; rows: unknown[] }> {
  const layout = await readLayout(diskOf(path));
  expect(layout.remarks).toEqual([]);
  return {
    id: layout.tableId,
    rows: [...layout.partitions]
      .sort((a, b) => a.number - b.number)
      .map(({ number, offset, length, type, id, name, problems }) => {
        expect(problems).toEqual([]);
        return [
          number,
          offset / layout.sectorSize,
          length / layout.sectorSize,
          type.replace(/^0x0?/, ''),
          id,
          name,
        ];
      }),
  };
}

describe('partition tables', () => {
  test('a GPT is read as sfdisk reads it', async () => {
    const path = disk(
      256 * MIB,
      'label: gpt\nsize=64M, type=uefi, name="EFI System"\nsize=32M, type=linux, name="größe 磁盘", attrs="RequiredPartition,LegacyBIOSBootable"\ntype=swap\n',
    );
    expect(await byUs(path)).toEqual(bySfdisk(path));
    const { table, partitions } = await readLayout(diskOf(path));
    expect(table).toBe('gpt');
    expect(partitions.map(({ typeName }) => typeName)).toEqual([
      'EFI system',
      'Linux file system',
      'Linux swap',
    ]);
    expect(partitions[1]?.flags).toEqual(['required', 'legacy boot']);
  });

  test('an MBR with logical partitions is read as sfdisk reads it', async () => {
    const path = disk(
      512 * MIB,
      'label: dos\nlabel-id: 0x1234abcd\nsize=32M, type=c, bootable\nsize=300M, type=5\nsize=40M, type=82\nsize=20M\nsize=30M\nsize=40M,type=8e\n',
    );
    expect(await byUs(path)).toEqual(bySfdisk(path));
    const { partitions, table, tableId } = await readLayout(diskOf(path));
    expect([table, tableId]).toEqual(['mbr', '0x1234abcd']);
    expect(partitions.map(({ number }) => number)).toEqual([1, 2, 5, 6, 3, 4]);
    expect(partitions.map(({ kind }) => kind)).toEqual([
      'primary',
      'extended',
      'logical',
      'logical',
      'primary',
      'primary',
    ]);
    expect(partitions[0]?.flags).toEqual(['bootable']);
  });

  test('sectors of 4096 bytes are found out', async () => {
    const gpt = disk4k('g\nn\n1\n\n+64M\nn\n2\n\n+64M\nw\n');
    const layout = await readLayout(diskOf(gpt));
    expect(layout).toMatchObject({ table: 'gpt', sectorSize: 4096, remarks: [] });
    expect(layout.partitions.map(({ offset, length }) => [offset, length])).toEqual([
      [MIB, 64 * MIB],
      [65 * MIB, 64 * MIB],
    ]);
    const mbr = disk4k('o\nn\np\n1\n\n+64M\nw\n');
    const ext = blank(dir.path('ext'), 8 * MIB);
    tool('mkfs.ext4', ['-q', ext]);
    place(mbr, MIB, ext);
    expect(await readLayout(diskOf(mbr))).toMatchObject({
      sectorSize: 4096,
      partitions: [{ offset: MIB, content: { type: 'ext4' } }],
    });
  });

  test('where the first GPT is damaged its copy is used, and that is said', async () => {
    const whole = disk(64 * MIB, 'label: gpt\nsize=16M\nsize=16M\n');
    const rows = bySfdisk(whole).rows;
    for (const [offset, problem] of [
      [512 + 60, 'the checksum of its header is wrong'],
      [1024 + 33, 'the checksum of its entries is wrong'],
      [512, 'there is none'],
    ] as const) {
      const bytes = new Uint8Array(readFileSync(whole));
      bytes[offset] = (bytes[offset] ?? 0) ^ 0x55;
      const layout = await readLayout(memoryDisk(bytes));
      expect(layout.remarks).toEqual([
        {
          kind: 'problem',
          text: `The first partition table cannot be used: ${problem}. This is its copy at the end of the disk.`,
        },
      ]);
      expect(layout.partitions).toHaveLength(rows.length);
      // The other way round: the copy.
      const other = new Uint8Array(readFileSync(whole));
      other.fill(0, other.length - 512);
      expect((await readLayout(memoryDisk(other))).remarks[0]?.text).toBe(
        'The copy of the partition table at the end of the disk cannot be used: there is none.',
      );
      // Neither.
      other[offset] = (other[offset] ?? 0) ^ 0x55;
      const nothing = await readLayout(memoryDisk(other));
      expect(nothing.partitions).toEqual([]);
      expect(nothing.remarks[0]?.kind).toBe('problem');
    }
  });

  test('a disk that has grown keeps its copy where it was', async () => {
    const path = disk(64 * MIB, 'label: gpt\nsize=16M\n');
    const bytes = new Uint8Array(80 * MIB);
    bytes.set(readFileSync(path));
    const layout = await readLayout(memoryDisk(bytes));
    expect(layout).toMatchObject({ table: 'gpt', remarks: [], partitions: [{ number: 1, problems: [] }] });
  });

  test('a hybrid MBR is told', async () => {
    const path = disk(64 * MIB, 'label: gpt\nsize=16M\n');
    const sector = new Uint8Array(readFileSync(path).subarray(0, 512));
    sector.set([0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x80, 0, 0], 446 + 16);
    place(path, 0, sector);
    expect(await readLayout(diskOf(path))).toMatchObject({ table: 'hybrid', partitions: [{ kind: 'gpt' }] });
  });

  test('what is wrong with partitions is told: beyond the end, overlaps, chains in a circle', async () => {
    const path = disk(
      64 * MIB,
      'label: dos\n/dev/x1 : size=16M\n/dev/x2 : size=40M, type=5\n/dev/x5 : size=8M\n/dev/x6 : size=8M\n',
    );
    const bytes = new Uint8Array(readFileSync(path));
    const view = new DataView(bytes.buffer);
    const begin = view.getUint32(446 + 16 + 8, true);
    // The second record of the chain leads back to the first one.
    const second = (begin + view.getUint32(begin * 512 + 446 + 16 + 8, true)) * 512;
    view.setUint8(second + 446 + 16 + 4, 5);
    view.setUint32(second + 446 + 16 + 8, 0, true);
    view.setUint32(second + 446 + 16 + 12, 1000, true);
    view.setUint32(446 + 12, 2 ** 30, true);
    const layout = await readLayout(memoryDisk(bytes));
    const problems = new Map(layout.partitions.map((each) => [each.number, each.problems]));
    expect(problems.get(1)).toContainEqual(expect.stringMatching(/^It goes .* beyond the end of the disk$/));
    expect(problems.get(1)).toContain('It overlaps partition 2');
    expect(problems.get(2)).toContain('The chain of its logical partitions runs in a circle');
    expect(layout.partitions.map(({ number }) => number).sort()).toEqual([1, 2, 5, 6]);
  });

  test('no bytes make it fail, read much, or answer lists without end', async () => {
    const gpt = new Uint8Array(readFileSync(disk(4 * MIB, 'label: gpt\nsize=1M\nsize=1M\n')));
    const mbr = new Uint8Array(
      readFileSync(
        disk(
          4 * MIB,
          'label: dos\n/dev/x1 : size=1M\n/dev/x2 : type=5\n/dev/x5 : size=512K\n/dev/x6 : size=512K\n',
        ),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(gpt, mbr),
        fc.array(fc.tuple(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 0, max: 255 })), {
          maxLength: 40,
        }),
        fc.integer({ min: 0, max: 4 * MIB }),
        async (template, changes, length) => {
          const bytes = template.slice(0, length);
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          let read = 0;
          const inner = memoryDisk(bytes);
          const layout = await readLayout({
            size: inner.size,
            read: (offset, count) => {
              expect(count).toBeLessThanOrEqual(MIB);
              read += count;
              return inner.read(offset, count);
            },
          });
          expect(layout.partitions.length).toBeLessThanOrEqual(1024);
          expect(read).toBeLessThan(64 * MIB);
        },
      ),
      { numRuns: 150 },
    );
  });
});
