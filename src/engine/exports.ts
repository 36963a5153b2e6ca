import type { AmendPart } from '../../wasm/abi';
import type { BackupExports } from './backup';
import type { CopyExports } from './copy';
import type { CryptoExports } from './crypto';
import type { FilterExports } from './filters';
import type { MirrorExports } from './mirror';
import type { QuorumExports } from './quorum';
import type { RemoteExports } from './remote';
import type { StorageFilterExports } from './storagefilters';
import type { ThrottleExports } from './throttle';
import type { VmStateExports } from './vmstate';

/** What build/engine.wasm exports; the meaning of each is in wasm/index.ts. */
export interface EngineExports
  extends
    FilterExports,
    CopyExports,
    CryptoExports,
    BackupExports,
    MirrorExports,
    QuorumExports,
    RemoteExports,
    StorageFilterExports,
    ThrottleExports,
    VmStateExports {
  memory: WebAssembly.Memory;
  record(): number;
  errorAddress(): number;
  errorUnits(): number;
  alloc(bytes: number): number;
  free(pointer: number): void;
  collect(): void;
  openFile(file: number, readOnly: number): number;
  openNull(size: number, readZeroes: number, readOnly: number): number;
  openRaw(child: number, offset: number, size: number, readOnly: number): number;
  openQcow2(
    child: number,
    flags: number,
    l2CacheSize: number,
    refcountCacheSize: number,
    l2CacheEntrySize: number,
    data: number,
  ): number;
  qcow2Info(node: number): number;
  checkStart(node: number, fix: number): number;
  checkStep(node: number): number;
  checkEnd(node: number): number;
  snapshotInfo(node: number, index: number): number;
  snapshotCreate(
    node: number,
    id: number,
    idBytes: number,
    name: number,
    nameBytes: number,
    dateSec: number,
    dateNsec: number,
    clockSec: number,
    clockNsec: number,
    icount: number,
  ): number;
  snapshotDelete(node: number, index: number): number;
  snapshotRevert(node: number, index: number): number;
  snapshotShow(node: number, index: number): number;
  createQcow2(
    child: number,
    size: number,
    version: number,
    clusterSize: number,
    refcountBits: number,
    lazyRefcounts: number,
    preallocation: number,
    compressionType: number,
    extendedL2: number,
    backingFile: number,
    backingFileLength: number,
    backingFormat: number,
    backingFormatLength: number,
    data: number,
    dataName: number,
    dataNameLength: number,
    dataRaw: number,
  ): number;
  compareRun(a: number, b: number, bytes: number, unit: number): number;
  setBacking(node: number, backing: number): number;
  replaceChild(node: number, old: number, now: number): number;
  fileOf(node: number): number;
  reopenRaw(node: number, offset: number, size: number): number;
  reopenQcow2(
    node: number,
    flags: number,
    l2CacheSize: number,
    refcountCacheSize: number,
    l2CacheEntrySize: number,
  ): number;
  setSpaceOptions(node: number, detectZeroes: number, discards: number): number;
  cleanCaches(node: number): number;
  setWriteThreshold(node: number, bytes: number): number;
  amendStart(
    node: number,
    version: number,
    refcountBits: number,
    lazyRefcounts: number,
    size: number,
    rawDataOff: number,
    dataFile: number,
    dataFileBytes: number,
  ): number;
  amendStep(node: number): number;
  amendProgress(node: number, part: AmendPart): number;
  amendEnd(node: number): number;
  makeEmpty(node: number, offset: number): number;
  changeBacking(node: number, file: number, fileBytes: number, format: number, formatBytes: number): number;
  setReadOnly(node: number, readOnly: number): number;
  close(node: number): number;
  length(node: number): number;
  allocated(node: number): number;
  read(node: number, offset: number, bytes: number, to: number): number;
  write(node: number, offset: number, bytes: number, from: number, flags: number): number;
  writeCompressed(node: number, offset: number, bytes: number, from: number, flags: number): number;
  writeZeroes(node: number, offset: number, bytes: number, flags: number): number;
  discard(node: number, offset: number, bytes: number): number;
  flush(node: number): number;
  truncate(node: number, size: number, preallocation: number): number;
  blockStatus(node: number, offset: number, bytes: number): number;
  blockStatusAbove(node: number, base: number, offset: number, bytes: number): number;
  zeroRun(at: number, bytes: number): number;
  stats(node: number): number;
  bitmapCheckStorable(node: number, shift: number, nameBytes: number): number;
  bitmapRemoveStored(bitmap: number): number;
  storedBitmaps(node: number): number;
  storedBitmap(node: number, index: number): number;
  storedName(node: number, index: number): number;
  storedNameBytes(node: number, index: number): number;
  bitmapCreate(node: number, shift: number, name: number, nameBytes: number): number;
  bitmapSave(bitmap: number, move: number): number;
  bitmapExchange(a: number, b: number): number;
  bitmapRelease(bitmap: number): number;
  bitmapFirst(node: number): number;
  bitmapNext(bitmap: number): number;
  bitmapFlags(bitmap: number): number;
  bitmapSetFlags(bitmap: number, mask: number, flags: number): number;
  bitmapShift(bitmap: number): number;
  bitmapName(bitmap: number): number;
  bitmapNameBytes(bitmap: number): number;
  bitmapRename(bitmap: number, name: number, bytes: number): number;
  bitmapSize(bitmap: number): number;
  bitmapCount(bitmap: number): number;
  bitmapSet(bitmap: number, offset: number, bytes: number): number;
  bitmapReset(bitmap: number, offset: number, bytes: number): number;
  bitmapFind(bitmap: number, offset: number, end: number, dirty: number): number;
  bitmapMerge(target: number, source: number): number;
  bitmapBytes(bitmap: number): number;
  bitmapStore(bitmap: number, first: number, bytes: number, to: number): number;
  bitmapLoad(bitmap: number, first: number, bytes: number, from: number): number;
}
