/** The inspection of one image. */
import { probeFormat } from '../graph';
import { hex, readBytes, sizeText, type ByteSource } from './bytes';
import { CheckRun } from './check';
import {
  CellFlag,
  type CheckMode,
  type CheckState,
  type DiskSource,
  type Field,
  type ImageInspection,
  type ImageView,
  type InspectTarget,
  type MapPage,
  type MapRequest,
  type Overview,
  type Place,
} from './contract';
import type { Lock } from './lock';
import { luksStructure, rawStructure, unknownStructure } from './plain';
import { readHeader, type Qcow2Header } from './qcow2/header';
import { Qcow2Structure } from './qcow2/image';
import { DIRTY_IN, type Cells, type Structure } from './structure';
import {
  failureText,
  InspectError,
  openTarget,
  tooLong,
  type InspectEnvironment,
  type Target,
} from './target';

const MOST_CELLS = 65536;
const MOST_READ = 1 << 20;
const MOST_FIELDS = 4096;
/** Milliseconds of work in one go, and for one answer. */
const SLICE = 8;
const ANSWER = 40;

/** Opens an image. Rejects with {@link InspectError}. */
export async function inspect(environment: InspectEnvironment, target: InspectTarget): Promise<Inspection> {
  try {
    return new Inspection(environment, await openTarget(environment, target));
  } catch (error) {
    throw new InspectError(failureText(error));
  }
}

export class Inspection implements ImageInspection {
  private structure: Structure | null = null;
  private header: Qcow2Header | null = null;
  private cells: (Cells & { request: string }) | null = null;
  private run: CheckRun | null = null;
  private lock: Lock | null = null;
  private unlocking: AbortController | null = null;
  private closed = false;

  constructor(
    private readonly environment: InspectEnvironment,
    private readonly target: Target,
  ) {}

  /** The disk as a source for partitions and file systems. Rejects if it cannot be opened. */
  async disk(): Promise<DiskSource> {
    const size = await this.size('guest');
    return { size, read: (offset, length) => this.read('guest', offset, length) };
  }

  refresh(): Promise<Overview> {
    return this.told(async () => {
      const { file } = this.target;
      await this.target.present(() => this.target.settle());
      this.cells = null;
      const { overview } = (this.structure = await this.target.present(() => this.look(file)));
      return {
        ...overview,
        name: this.target.name,
        path: this.target.path(),
        fileSize: file.size(),
        encryption: this.encryption(),
        live: this.target.live?.list() ?? [],
        facts: [...overview.facts, ['File', `${sizeText(file.size())} (${file.size()} bytes)`]],
        remarks: [...overview.remarks, ...this.target.remarks()],
      };
    });
  }

  state(): Promise<string> {
    return this.told(() => this.target.state());
  }

  private encryption(): Overview['encryption'] {
    if (!this.lock || !this.target.unlock) return null;
    return this.target.unlocked ? 'unlocked' : 'locked';
  }

  unlock(passphrase: string, progress?: (done: number, total: number) => void): Promise<void> {
    return this.told(async () => {
      const { lock, target } = this;
      if (!lock || !target.unlock) throw new InspectError('This image needs no passphrase');
      this.unlocking?.abort();
      const controller = (this.unlocking = new AbortController());
      const { signal } = controller;
      const bytes = new TextEncoder().encode(passphrase);
      try {
        const host = { ...this.environment.derivation, signal, ...(progress && { progress }) };
        await target.unlock(lock, bytes, host);
      } catch (error) {
        throw signal.aborted ? new InspectError('Cancelled') : error;
      } finally {
        bytes.fill(0);
        if (this.unlocking === controller) this.unlocking = null;
      }
    });
  }

  cancelUnlock(): Promise<void> {
    this.unlocking?.abort();
    return Promise.resolve();
  }

  private look(file: ByteSource): Structure {
    const start = readBytes(file, 0, 512);
    const format = this.target.format ?? probeFormat(start, this.target.name);
    this.header = null;
    this.lock = null;
    if (format === 'qcow2') {
      const header = readHeader(file);
      if ('clusterSize' in header) {
        this.header = header;
        this.lock = ([null, 'qcow2-aes', 'qcow2-luks'] as const)[header.cryptMethod] ?? null;
        return new Qcow2Structure(file, header);
      }
      const structure = unknownStructure(file, 'qcow2');
      structure.overview.sections = header.sections;
      structure.overview.remarks = header.remarks;
      return structure;
    }
    // A container of version 2 is raw for QEMU.
    const luks =
      format === 'luks' || (format === 'raw' && this.target.format === null) ? luksStructure(file) : null;
    if (luks) {
      this.lock = 'luks';
      return luks;
    }
    return format === 'raw' ? rawStructure(file) : unknownStructure(file, format);
  }

  map(request: MapRequest): Promise<MapPage> {
    return this.told(async () => {
      const { structure } = this;
      const { view, offset, cellBytes, cells: wanted } = request;
      if (!structure) throw new InspectError('Refresh it first');
      const { clusterSize } = structure.overview;
      const count = Math.floor(Math.min(MOST_CELLS, Math.max(1, wanted)));
      if (
        !(offset >= 0) ||
        !(cellBytes >= clusterSize) ||
        !Number.isInteger(Math.log2(cellBytes / clusterSize)) ||
        offset % cellBytes !== 0
      )
        throw new InspectError('These cells do not fit the clusters of the image');
      const key = JSON.stringify(request);
      if (this.cells?.request !== key)
        this.cells = {
          request: key,
          view,
          offset,
          cellBytes,
          uses: new Uint8Array(count),
          fill: new Uint8Array(count),
          flags: new Uint8Array(count),
          next: 0,
        };
      const cells = this.cells;
      const end = performance.now() + ANSWER;
      const fill = (): number => {
        const from = cells.next;
        const part = structure.fill(cells, performance.now() + SLICE);
        if (view === 'guest') this.markLive(cells, from);
        return part;
      };
      let known = await this.target.present(fill);
      while (known < 1 && performance.now() < end) {
        await this.environment.turn();
        if (this.structure !== structure || this.closed) break;
        known = await this.target.present(fill);
      }
      return { uses: cells.uses.slice(), fill: cells.fill.slice(), flags: cells.flags.slice(), known };
    });
  }

  /** Cells that were filled, from one on, with what the bitmaps in memory have marked. */
  private markLive(cells: Cells, from: number): void {
    const marked = this.target.live?.marks();
    const size = this.structure?.overview.diskSize ?? 0;
    for (let cell = from; cell < cells.next; cell++) {
      const start = cells.offset + cell * cells.cellBytes;
      const length = Math.min(cells.cellBytes, size - start);
      if (length > 0 && marked?.(start, length))
        cells.flags[cell] = (cells.flags[cell] ?? 0) | CellFlag.DIRTY;
    }
  }

  describe(view: ImageView, offset: number): Promise<Place> {
    return this.told(async () => {
      if (!this.structure) throw new InspectError('Refresh it first');
      const { structure } = this;
      const place = await this.target.present(() =>
        structure.describe(view, Math.max(0, Math.floor(offset))),
      );
      const dirty = view === 'guest' ? (this.target.live?.dirtyIn(place.offset, place.length) ?? []) : [];
      return withDirty(place, dirty);
    });
  }

  read(view: ImageView, offset: number, length: number): Promise<Uint8Array> {
    return this.told(async () => {
      if (length > MOST_READ) throw tooLong(length);
      if (!(offset >= 0) || !(length >= 0)) throw new InspectError(`There is nothing at ${hex(offset)}`);
      const source = view === 'file' ? this.target.file : await this.target.disk();
      return this.target.present(() => readBytes(source, Math.floor(offset), Math.floor(length)));
    });
  }

  fields(offset: number, length: number): Promise<readonly Field[]> {
    return this.told(
      async () =>
        (await this.target.present(() =>
          this.structure?.fields(Math.max(0, offset), Math.min(MOST_FIELDS, length)),
        )) ?? [],
    );
  }

  size(view: ImageView): Promise<number> {
    return this.told(async () => (view === 'file' ? this.target.file : await this.target.disk()).size());
  }

  beginCheck(mode: CheckMode): Promise<void> {
    return this.told(async () => {
      this.run?.close();
      this.run = null;
      this.target.settle();
      const { header } = this;
      if (!header) throw new InspectError('This image format does not support checks');
      const { file } = this.target;
      const tables = Math.min(
        file.size(),
        header.l1.length * (header.clusterSize / 8) + header.refcountTable.length,
      );
      this.run = new CheckRun(this.environment.newEngine(), file, mode, tables, header.externalData);
    });
  }

  check(): Promise<CheckState> {
    return this.told(async () => {
      const { run } = this;
      if (!run) throw new InspectError('There is no check under way');
      const end = performance.now() + ANSWER;
      let state = run.run(performance.now() + SLICE);
      const findings = [...state.findings];
      while (!state.done && performance.now() < end) {
        await this.environment.turn();
        if (this.run !== run) throw new InspectError('The check was ended');
        state = run.run(performance.now() + SLICE);
        findings.push(...state.findings);
      }
      if (state.done) {
        run.close();
        this.run = null;
      }
      return {
        ...state,
        findings,
        changes: state.changes.map((range) => ({ ...range, what: this.whatIsAt(range.offset) })),
      };
    });
  }

  private whatIsAt(offset: number): string {
    const [field] = this.structure?.fields(offset, 1) ?? [];
    return field ? `${field.name}: ${field.value}` : (this.structure?.describe('file', offset).title ?? '');
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.run?.close();
    this.run = null;
    this.structure = null;
    this.unlocking?.abort();
    await this.target.close();
  }

  /** Only texts for users leave: the port hands on no other property of an error. */
  private async told<T>(work: () => Promise<T>): Promise<T> {
    if (this.closed) throw new InspectError('The inspection has ended');
    try {
      return await work();
    } catch (error) {
      throw new InspectError(failureText(error));
    }
  }
}

/** A place with the names of the bitmaps in memory that have marked it, beside those of the image. */
function withDirty(place: Place, names: readonly string[]): Place {
  if (names.length === 0) return place;
  const before = place.facts.find(([label]) => label === DIRTY_IN)?.[1].split(', ') ?? [];
  const all = new Set([...before, ...names.map((name) => name || 'a bitmap of a job')]);
  const others = place.facts.filter(([label]) => label !== DIRTY_IN);
  return { ...place, facts: [...others, [DIRTY_IN, [...all].join(', ')]] };
}
