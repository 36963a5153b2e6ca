/** {@link Engine} over an instance of build/engine.wasm: buffers, records and errors cross the border here. */
import {
  CheckFix,
  CheckRecord,
  Overlap,
  Qcow2Flag,
  Qcow2Open,
  Qcow2Record,
  SnapshotRecord,
  StatsRecord,
  StatusRecord,
} from '../../wasm/abi';
import { Errno, strerror } from '../files/contract';
import type { BlockFile } from '../files/contract';
import { makeImageAmend, type ImageAmend } from './amend';
import { makeNodeChanges, type NodeChanges } from './changes';
import { makeBackup, type EngineBackup } from './backup';
import { makeCompare, type CompareRun } from './compare';
import { makeCopy, type CopyRange } from './copy';
import type { Accelerator } from './accelerator';
import { makeCrypto, type EngineCrypto } from './crypto';
import { engineBitmaps, type EngineBitmaps } from './bitmaps';
import { BlockError, Prealloc } from './contract';
import type {
  BlockStatus,
  CheckFinding,
  CheckRepair,
  CheckResult,
  Engine,
  EngineEvent,
  IoBuffer,
  NewSnapshot,
  NodeHandle,
  NodeStats,
  Qcow2CreateOptions,
  Qcow2Info,
  Qcow2OpenOptions,
  Snapshot,
} from './contract';
import type { Codecs } from './codecs';
import type { EngineExports } from './exports';
import { makeFilters, type Filters } from './filters';
import { makeMirror, type EngineMirror } from './mirror';
import { RequestPresence, type Presence } from './presence';
import { makeOpenRemote, type OpenRemote } from './remote';
import { makeWriteBack } from './writeback';
import { makeQuorum, type Quorum } from './quorum';
import { makeStorageFilters, type StorageFilters } from './storagefilters';
import { makeThrottle, type Throttle } from './throttle';
import { makeVmState, type VmState } from './vmstate';
import { Host, readUtf16 } from './host';

/** The largest buffer or request, bytes. */
const MAX_BUFFER = 0x20000000;

/** Bytes of the id and of the name of a snapshot that are shown. */
const MAX_SNAPSHOT_ID = 127;
const MAX_SNAPSHOT_NAME = 255;

/** Compiles the bytes of build/engine.wasm and makes an engine of them. */
export async function loadEngine(
  bytes: WebAssembly.BufferSource,
  accelerator?: Accelerator,
): Promise<Engine> {
  return createEngine(await WebAssembly.compile(bytes), accelerator);
}

/**
 * An engine with its own memory; any number of them can be made of one module.
 * @param accelerator what the host does faster than the data plane
 */
export function createEngine(module: WebAssembly.Module, accelerator?: Accelerator): Engine {
  return new WasmEngine(module, accelerator);
}

/** The {@link Qcow2Open} bits of options. */
function qcow2Flags(options: Qcow2OpenOptions): number {
  let flags = 0;
  if (options.readOnly) flags |= Qcow2Open.READ_ONLY;
  if (options.noIo) flags |= Qcow2Open.NO_IO;
  if (options.passDiscard) flags |= Qcow2Open.PASS_DISCARD;
  if (options.passDiscardSnapshot) flags |= Qcow2Open.PASS_DISCARD_SNAPSHOT;
  if (options.passDiscardOther) flags |= Qcow2Open.PASS_DISCARD_OTHER;
  if (options.discardNoUnref) flags |= Qcow2Open.DISCARD_NO_UNREF;
  flags |= (options.overlapCheck ?? Overlap.CACHED) << Overlap.SHIFT;
  if (options.lazyRefcounts !== undefined)
    flags |= options.lazyRefcounts ? Qcow2Open.LAZY_ON : Qcow2Open.LAZY_OFF;
  if (options.check) flags |= Qcow2Open.CHECK;
  return flags;
}

class WasmEngine implements Engine {
  readonly bitmaps: EngineBitmaps;
  onEvent: ((event: EngineEvent) => void) | null = null;
  onFinding: CheckFinding | null = null;
  readonly filters: Filters;
  readonly quorum: Quorum;
  readonly storageFilters: StorageFilters;
  readonly throttle: Throttle;
  readonly vmState: VmState;
  readonly #host: Host;
  readonly codecs: Codecs;
  readonly #wasm: EngineExports;
  readonly #record: number;
  readonly changes: NodeChanges;
  readonly amend: ImageAmend;
  readonly compareRun: CompareRun;
  readonly copy: CopyRange;
  readonly crypto: EngineCrypto;
  readonly mirror: EngineMirror;
  readonly writeBack: (node: NodeHandle) => Promise<void> | null;
  readonly backup: EngineBackup;
  readonly presence: Presence = new RequestPresence();
  readonly openRemote: OpenRemote;
  /** Why the instance is dead; null: it is not. */
  #trap: string | null = null;

  constructor(module: WebAssembly.Module, accelerator?: Accelerator) {
    this.#host = new Host(this, accelerator);
    this.codecs = this.#host.codecs;
    const abort = (message: number, file: number, line: number, column: number) => {
      const text = (at: number) =>
        at ? readUtf16(memory(), at, new Uint32Array(memory().buffer)[(at - 4) >> 2]! >> 1) : '';
      throw new Error(`${text(message)} (${text(file)}:${line}:${column})`);
    };
    const instance = new WebAssembly.Instance(module, {
      env: { abort },
      host: this.#host.imports(),
    });
    this.#wasm = instance.exports as unknown as EngineExports;
    const memory = () => this.#wasm.memory;
    this.#host.memory = this.#wasm.memory;
    this.#record = this.#wasm.record();
    this.bitmaps = engineBitmaps({
      wasm: this.#wasm,
      call: (call) => this.#call(call),
      text: (text) => this.#text(text)!,
    });
    this.filters = makeFilters(this.#wasm, (run) => this.#call(run));
    this.quorum = makeQuorum(this.#wasm, (run) => this.#call(run));
    this.storageFilters = makeStorageFilters(this.#wasm, (run) => this.#call(run));
    this.#host.onQuorum = (event) => this.onEvent?.(event);
    this.#host.onMismatch = (event) => this.onEvent?.(event);
    this.vmState = makeVmState(this.#wasm, (run) => this.#call(run));
    this.throttle = makeThrottle(this.#wasm, (run) => this.#call(run));
    this.#host.onFinding = (text, program) => this.onFinding?.(text, program);
    this.#host.onCorruption = (node, message, offset, size, fatal) =>
      this.onEvent?.({ kind: 'image-corrupted', node: node as NodeHandle, message, offset, size, fatal });
    this.#host.onThreshold = (node, exceeded, threshold) =>
      this.onEvent?.({ kind: 'write-threshold', node: node as NodeHandle, threshold, exceeded });
    this.changes = makeNodeChanges({
      wasm: this.#wasm,
      host: this.#host,
      call: (run) => this.#call(run),
      qcow2Flags,
    });
    this.amend = makeImageAmend({
      wasm: this.#wasm,
      call: (run) => this.#call(run),
      text: (text) => this.#text(text),
    });
    this.compareRun = makeCompare(this.#wasm, (run) => this.#run(run));
    this.copy = makeCopy(this.#wasm, (run) => this.#call(run));
    this.crypto = makeCrypto(
      this.#wasm,
      (run) => this.#call(run),
      (bytes) => this.alloc(bytes),
    );
    this.writeBack = makeWriteBack(this.#wasm, this.#host, (run) => this.#call(run));
    this.mirror = makeMirror(this.#wasm, (run) => this.#call(run));
    this.openRemote = makeOpenRemote(this.#wasm, this.#host.disks, (run) => this.#call(run));
    this.backup = makeBackup(this.#wasm, (run) => this.#call(run));
  }

  /** Runs a call; a negative answer becomes a BlockError, a trap ends the instance. */
  #call(call: () => number): number {
    const result = this.#run(call);
    if (result < 0) this.#fail(result);
    return result;
  }

  #run(call: () => number): number {
    if (this.#trap !== null) throw new BlockError(Errno.EIO, this.#trap);
    try {
      return call();
    } catch (error) {
      this.#die(error);
    }
  }

  #die(error: unknown): never {
    const reason = error instanceof Error ? error.message : String(error);
    this.#trap = `Internal error of the storage engine: ${reason}`;
    this.#host.closeAll();
    throw new BlockError(Errno.EIO, this.#trap);
  }

  #fail(code: number): never {
    const errno = -code;
    const units = this.#wasm.errorUnits();
    const text = units ? readUtf16(this.#wasm.memory, this.#wasm.errorAddress(), units) : strerror(errno);
    throw new BlockError(errno, text);
  }

  /** Memory of the instance; throws ENOMEM where there is none left. */
  #alloc(bytes: number): number {
    if (this.#trap !== null) throw new BlockError(Errno.EIO, this.#trap);
    try {
      return this.#wasm.alloc(bytes);
    } catch {
      // The allocator traps when memory cannot grow, before it has changed anything: the instance is sound.
      throw new BlockError(Errno.ENOMEM, strerror(Errno.ENOMEM));
    }
  }

  alloc(bytes: number): IoBuffer {
    if (!Number.isInteger(bytes) || bytes < 0) throw new BlockError(Errno.EINVAL, strerror(Errno.EINVAL));
    if (bytes > MAX_BUFFER) throw new BlockError(Errno.ENOMEM, strerror(Errno.ENOMEM));
    return new Buffer(this.#wasm, this.#alloc(Math.max(bytes, 16)), bytes, () => this.#trap === null);
  }

  memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
  }

  #opened(call: () => number): NodeHandle {
    return this.#call(call) as NodeHandle;
  }

  openFile(file: BlockFile, options: { readOnly: boolean }): NodeHandle {
    const id = this.#host.add(file);
    try {
      return this.#opened(() => this.#wasm.openFile(id, Number(options.readOnly || file.readOnly)));
    } catch (error) {
      this.#host.drop(id);
      throw error;
    }
  }

  openNull(options: { size: number; readZeroes: boolean; readOnly?: boolean }): NodeHandle {
    const { size, readZeroes, readOnly = false } = options;
    if (!Number.isSafeInteger(size) || size < 0)
      throw new BlockError(Errno.EINVAL, 'The specified size is not valid');
    return this.#opened(() => this.#wasm.openNull(size, Number(readZeroes), Number(readOnly)));
  }

  openRaw(child: NodeHandle, options: { offset?: number; size?: number; readOnly: boolean }): NodeHandle {
    const { offset = 0, size = -1, readOnly } = options;
    return this.#opened(() => this.#wasm.openRaw(child, offset, size, Number(readOnly)));
  }

  openQcow2(child: NodeHandle, options: Qcow2OpenOptions): NodeHandle {
    const flags = qcow2Flags(options);
    const { l2CacheSize = -1, refcountCacheSize = -1, l2CacheEntrySize = -1 } = options;
    return this.#opened(() =>
      this.#wasm.openQcow2(
        child,
        flags,
        l2CacheSize,
        refcountCacheSize,
        l2CacheEntrySize,
        options.dataFile ?? -1,
      ),
    );
  }

  qcow2Info(node: NodeHandle): Qcow2Info {
    this.#call(() => this.#wasm.qcow2Info(node));
    const view = new DataView(this.#wasm.memory.buffer, this.#record, Qcow2Record.SIZE);
    const int = (at: number) => view.getInt32(at, true);
    const text = (at: number) => {
      const length = int(at + 4);
      if (length < 0) return null;
      return new TextDecoder().decode(new Uint8Array(view.buffer, int(at), length));
    };
    const flags = int(Qcow2Record.FLAGS);
    return {
      version: int(Qcow2Record.VERSION) === 2 ? 2 : 3,
      clusterSize: int(Qcow2Record.CLUSTER_SIZE),
      refcountBits: int(Qcow2Record.REFCOUNT_BITS),
      size: view.getFloat64(Qcow2Record.SIZE_BYTES, true),
      lazyRefcounts: (flags & Qcow2Flag.LAZY_REFCOUNTS) !== 0,
      dirty: (flags & Qcow2Flag.DIRTY) !== 0,
      corrupt: (flags & Qcow2Flag.CORRUPT) !== 0,
      extendedL2: (flags & Qcow2Flag.EXTENDED_L2) !== 0,
      compressionType: int(Qcow2Record.COMPRESSION_TYPE) === 1 ? 'zstd' : 'zlib',
      cryptMethod: int(Qcow2Record.CRYPT_METHOD),
      backingFile: text(Qcow2Record.BACKING_FILE),
      backingFormat: text(Qcow2Record.BACKING_FORMAT),
      dataFile: text(Qcow2Record.DATA_FILE),
      externalData: (flags & Qcow2Flag.EXTERNAL_DATA) !== 0,
      dataFileRaw: (flags & Qcow2Flag.DATA_FILE_RAW) !== 0,
      snapshots: int(Qcow2Record.SNAPSHOTS),
      l1Entries: int(Qcow2Record.L1_ENTRIES),
      cacheBytes: view.getFloat64(Qcow2Record.CACHE_BYTES, true),
    };
  }

  checkStart(node: NodeHandle, repair: CheckRepair): void {
    const fix = (repair.leaks ? CheckFix.LEAKS : 0) | (repair.errors ? CheckFix.ERRORS : 0);
    this.#call(() => this.#wasm.checkStart(node, fix));
  }

  checkStep(node: NodeHandle): boolean {
    const more = this.#call(() => this.#wasm.checkStep(node)) > 0;
    // Each line that was told left a string behind.
    this.#run(() => (this.#wasm.collect(), 0));
    return more;
  }

  checkEnd(node: NodeHandle): CheckResult {
    this.#call(() => this.#wasm.checkEnd(node));
    const counters = new Float64Array(this.#wasm.memory.buffer, this.#record, CheckRecord.COUNT);
    const get = (index: CheckRecord) => counters[index] ?? 0;
    return {
      corruptions: get(CheckRecord.CORRUPTIONS),
      leaks: get(CheckRecord.LEAKS),
      checkErrors: get(CheckRecord.ERRORS),
      corruptionsFixed: get(CheckRecord.CORRUPTIONS_FIXED),
      leaksFixed: get(CheckRecord.LEAKS_FIXED),
      imageEnd: get(CheckRecord.IMAGE_END),
      totalClusters: get(CheckRecord.TOTAL),
      allocatedClusters: get(CheckRecord.ALLOCATED),
      fragmentedClusters: get(CheckRecord.FRAGMENTED),
      compressedClusters: get(CheckRecord.COMPRESSED),
    };
  }

  snapshots(node: NodeHandle): Snapshot[] {
    const found: Snapshot[] = [];
    for (const count = this.qcow2Info(node).snapshots; found.length < count;) {
      this.#call(() => this.#wasm.snapshotInfo(node, found.length));
      const view = new DataView(this.#wasm.memory.buffer, this.#record, SnapshotRecord.SIZE);
      const number = (at: number) => view.getFloat64(at, true);
      const icount = number(SnapshotRecord.ICOUNT);
      found.push({
        id: snapshotText(view, SnapshotRecord.ID, MAX_SNAPSHOT_ID),
        name: snapshotText(view, SnapshotRecord.NAME, MAX_SNAPSHOT_NAME),
        dateSec: number(SnapshotRecord.DATE_SEC),
        dateNsec: number(SnapshotRecord.DATE_NSEC),
        vmClockSec: number(SnapshotRecord.CLOCK_SEC),
        vmClockNsec: number(SnapshotRecord.CLOCK_NSEC),
        vmStateSize: number(SnapshotRecord.VM_STATE),
        diskSize: number(SnapshotRecord.DISK_SIZE),
        icount: icount < 0 ? null : icount,
      });
    }
    return found;
  }

  createSnapshot(node: NodeHandle, snapshot: NewSnapshot): void {
    const numbers = this.snapshots(node)
      .map(({ id }) => Number(/^\d+/.exec(id)?.[0] ?? 0))
      .filter(Number.isSafeInteger);
    const id = this.#text(String(numbers.reduce((a, b) => Math.max(a, b), 0) + 1))!;
    const name = this.#text(snapshot.name)!;
    try {
      this.#call(() =>
        this.#wasm.snapshotCreate(
          node,
          id.pointer,
          id.bytes,
          name.pointer,
          Math.min(name.bytes, MAX_SNAPSHOT_NAME),
          snapshot.dateSec,
          snapshot.dateNsec,
          snapshot.vmClockSec,
          snapshot.vmClockNsec,
          snapshot.icount ?? -1,
        ),
      );
    } finally {
      id.free();
      name.free();
    }
  }

  deleteSnapshot(node: NodeHandle, index: number): void {
    this.#call(() => this.#wasm.snapshotDelete(node, index));
  }

  revertSnapshot(node: NodeHandle, index: number): void {
    this.#call(() => this.#wasm.snapshotRevert(node, index));
  }

  showSnapshot(node: NodeHandle, index: number): void {
    this.#call(() => this.#wasm.snapshotShow(node, index));
  }

  createQcow2(child: NodeHandle, options: Qcow2CreateOptions): void {
    const file = this.#text(options.backingFile);
    const format = this.#text(options.backingFormat);
    const data = options.dataFile;
    const dataName = this.#text(data?.name ?? null);
    try {
      this.#call(() =>
        this.#wasm.createQcow2(
          child,
          options.size,
          options.version,
          options.clusterSize,
          options.refcountBits,
          Number(options.lazyRefcounts),
          options.preallocation,
          Number(options.compressionType === 'zstd'),
          Number(options.extendedL2 === true),
          file?.pointer ?? 0,
          file?.bytes ?? -1,
          format?.pointer ?? 0,
          format?.bytes ?? -1,
          data?.node ?? -1,
          dataName?.pointer ?? 0,
          dataName?.bytes ?? -1,
          Number(data?.raw ?? false),
        ),
      );
    } finally {
      file?.free();
      format?.free();
      dataName?.free();
    }
  }

  /** A string as UTF-8 in linear memory. */
  #text(text: string | null): IoBuffer | null {
    if (text === null) return null;
    const bytes = new TextEncoder().encode(text);
    const buffer = this.alloc(bytes.length);
    buffer.view().set(bytes);
    return buffer;
  }

  setBacking(node: NodeHandle, backing: NodeHandle | null): void {
    this.#call(() => this.#wasm.setBacking(node, backing ?? -1));
  }

  setReadOnly(node: NodeHandle, readOnly: boolean): void {
    this.#call(() => this.#wasm.setReadOnly(node, Number(readOnly)));
  }

  close(node: NodeHandle): void {
    const result = this.#run(() => this.#wasm.close(node));
    if (result < 0) this.#fail(result);
    this.#run(() => (this.#wasm.collect(), 0));
  }

  length(node: NodeHandle): number {
    return this.#call(() => this.#wasm.length(node));
  }

  allocated(node: NodeHandle): number {
    return this.#call(() => this.#wasm.allocated(node));
  }

  read(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer, at = 0): void {
    const to = address(buffer, at, bytes);
    if (this.#trap !== null) throw new BlockError(Errno.EIO, this.#trap);
    let result: number;
    try {
      result = this.#wasm.read(node, offset, bytes, to);
    } catch (error) {
      this.#die(error);
    }
    if (result < 0) this.#fail(result);
  }

  write(node: NodeHandle, offset: number, bytes: number, buffer: IoBuffer, at = 0, flags = 0): void {
    const from = address(buffer, at, bytes);
    if (this.#trap !== null) throw new BlockError(Errno.EIO, this.#trap);
    let result: number;
    try {
      result = this.#wasm.write(node, offset, bytes, from, flags);
    } catch (error) {
      this.#die(error);
    }
    if (result < 0) this.#fail(result);
  }

  writeCompressed(
    node: NodeHandle,
    offset: number,
    bytes: number,
    buffer: IoBuffer,
    at = 0,
    flags = 0,
  ): void {
    const from = address(buffer, at, bytes);
    this.#call(() => this.#wasm.writeCompressed(node, offset, bytes, from, flags));
  }

  writeZeroes(node: NodeHandle, offset: number, bytes: number, flags = 0): void {
    this.#call(() => this.#wasm.writeZeroes(node, offset, bytes, flags));
  }

  discard(node: NodeHandle, offset: number, bytes: number): void {
    this.#call(() => this.#wasm.discard(node, offset, bytes));
  }

  flush(node: NodeHandle): void {
    this.#call(() => this.#wasm.flush(node));
  }

  truncate(node: NodeHandle, size: number, preallocation: Prealloc = Prealloc.OFF): void {
    this.#call(() => this.#wasm.truncate(node, size, preallocation));
  }

  blockStatus(node: NodeHandle, offset: number, bytes: number): BlockStatus {
    this.#call(() => this.#wasm.blockStatus(node, offset, bytes));
    return this.#status();
  }

  blockStatusAbove(node: NodeHandle, base: NodeHandle | null, offset: number, bytes: number): BlockStatus {
    this.#call(() => this.#wasm.blockStatusAbove(node, base ?? -1, offset, bytes));
    return this.#status();
  }

  #status(): BlockStatus {
    const view = new DataView(this.#wasm.memory.buffer, this.#record, StatusRecord.SIZE);
    const file = view.getInt32(StatusRecord.FILE, true);
    return {
      flags: view.getInt32(StatusRecord.FLAGS, true),
      bytes: view.getFloat64(StatusRecord.BYTES, true),
      map: view.getFloat64(StatusRecord.MAP, true),
      file: file < 0 ? null : (file as NodeHandle),
      depth: view.getInt32(StatusRecord.DEPTH, true),
    };
  }

  zeroRun(buffer: IoBuffer, at: number, bytes: number): number {
    const from = address(buffer, at, bytes);
    return this.#run(() => this.#wasm.zeroRun(from, bytes));
  }

  stats(node: NodeHandle): NodeStats {
    const at = this.#call(() => this.#wasm.stats(node));
    const counters = new Float64Array(this.#wasm.memory.buffer, at, StatsRecord.COUNT);
    const get = (index: StatsRecord) => counters[index] ?? 0;
    return {
      readBytes: get(StatsRecord.READ_BYTES),
      writtenBytes: get(StatsRecord.WRITTEN_BYTES),
      unmappedBytes: get(StatsRecord.UNMAPPED_BYTES),
      reads: get(StatsRecord.READS),
      writes: get(StatsRecord.WRITES),
      unmaps: get(StatsRecord.UNMAPS),
      flushes: get(StatsRecord.FLUSHES),
      failedReads: get(StatsRecord.FAILED_READS),
      failedWrites: get(StatsRecord.FAILED_WRITES),
      failedUnmaps: get(StatsRecord.FAILED_UNMAPS),
      failedFlushes: get(StatsRecord.FAILED_FLUSHES),
      readTime: get(StatsRecord.READ_TIME),
      writeTime: get(StatsRecord.WRITE_TIME),
      unmapTime: get(StatsRecord.UNMAP_TIME),
      flushTime: get(StatsRecord.FLUSH_TIME),
      highestWrite: get(StatsRecord.HIGHEST_WRITE),
      discards: get(StatsRecord.DISCARDS),
      failedDiscards: get(StatsRecord.FAILED_DISCARDS),
      discardedBytes: get(StatsRecord.DISCARDED_BYTES),
    };
  }
}

/** A text of a snapshot, as far as QEMU shows it: up to its first zero byte, and no more than `limit` bytes. */
function snapshotText(record: DataView, at: number, limit: number): string {
  const length = Math.min(record.getInt32(at + 4, true), limit);
  const bytes = new Uint8Array(record.buffer, record.getInt32(at, true), length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The address of a piece of a buffer; EINVAL if it does not lie in it. */
function address(buffer: IoBuffer, at: number, bytes: number): number {
  if (!(at >= 0 && bytes >= 0 && at + bytes <= buffer.bytes)) {
    throw new BlockError(Errno.EINVAL, strerror(Errno.EINVAL));
  }
  return buffer.pointer + at;
}

/** A piece of the instance's memory. */
class Buffer implements IoBuffer {
  readonly #wasm: EngineExports;
  readonly #alive: () => boolean;
  #freed = false;

  constructor(
    wasm: EngineExports,
    readonly pointer: number,
    public bytes: number,
    alive: () => boolean,
  ) {
    this.#wasm = wasm;
    this.#alive = alive;
  }

  view(offset = 0, bytes = this.bytes - offset): Uint8Array {
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= this.bytes)) {
      throw new BlockError(Errno.EINVAL, strerror(Errno.EINVAL));
    }
    return new Uint8Array(this.#wasm.memory.buffer, this.pointer + offset, bytes);
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.bytes = 0;
    if (this.#alive()) this.#wasm.free(this.pointer);
  }
}
