// Made by scripts/generate-types.mjs from src/qapi/schema/*.json. Do not edit.
/* eslint-disable @typescript-eslint/consistent-type-definitions */
import type { PlainValue } from './value';

/** An object without members. */
export type Empty = Record<string, never>;

export type GrabToggleKeys =
  'ctrl-ctrl' | 'alt-alt' | 'shift-shift' | 'meta-meta' | 'scrolllock' | 'ctrl-scrolllock';

export type HostMemPolicy = 'default' | 'preferred' | 'bind' | 'interleave';

export type IoOperationType = 'read' | 'write';

export type NetFilterDirection = 'all' | 'rx' | 'tx';

export type OffAutoPCIBAR = 'off' | 'auto' | 'bar0' | 'bar1' | 'bar2' | 'bar3' | 'bar4' | 'bar5';

export type OnOffAuto = 'auto' | 'on' | 'off';

export type OnOffSplit = 'on' | 'off' | 'split';

export type PCIELinkSpeed = '2_5' | '5' | '8' | '16' | '32' | '64';

export type PCIELinkWidth = '1' | '2' | '4' | '8' | '12' | '16' | '32';

export type StrOrNull = null | string;

export type HumanReadableText = { 'human-readable-text': string };

export type NetworkAddressFamily = 'ipv4' | 'ipv6' | 'unix' | 'vsock' | 'unknown';

export type SocketAddressType = 'inet' | 'unix' | 'vsock' | 'fd';

export type FdSocketAddress = { str: string };

export type FdSocketAddressWrapper = { data: FdSocketAddress };

export type InetSocketAddress = {
  host: string;
  port: string;
  numeric?: boolean;
  to?: number;
  ipv4?: boolean;
  ipv6?: boolean;
  'keep-alive'?: boolean;
  mptcp?: boolean;
};

export type InetSocketAddressBase = { host: string; port: string };

export type InetSocketAddressWrapper = { data: InetSocketAddress };

export type SocketAddress = {} & (
  | ({ type: 'inet' } & InetSocketAddress)
  | ({ type: 'unix' } & UnixSocketAddress)
  | ({ type: 'vsock' } & VsockSocketAddress)
  | ({ type: 'fd' } & FdSocketAddress)
);

export type SocketAddressLegacy = {} & (
  | ({ type: 'inet' } & InetSocketAddressWrapper)
  | ({ type: 'unix' } & UnixSocketAddressWrapper)
  | ({ type: 'vsock' } & VsockSocketAddressWrapper)
  | ({ type: 'fd' } & FdSocketAddressWrapper)
);

export type UnixSocketAddress = { path: string; abstract?: boolean; tight?: boolean };

export type UnixSocketAddressWrapper = { data: UnixSocketAddress };

export type VsockSocketAddress = { cid: string; port: string };

export type VsockSocketAddressWrapper = { data: VsockSocketAddress };

export type QCryptoAkCipherAlgorithm = 'rsa';

export type QCryptoAkCipherKeyType = 'public' | 'private';

export type QCryptoBlockFormat = 'qcow' | 'luks';

export type QCryptoBlockLUKSKeyslotState = 'active' | 'inactive';

export type QCryptoCipherAlgorithm =
  | 'aes-128'
  | 'aes-192'
  | 'aes-256'
  | 'des'
  | '3des'
  | 'cast5-128'
  | 'serpent-128'
  | 'serpent-192'
  | 'serpent-256'
  | 'twofish-128'
  | 'twofish-192'
  | 'twofish-256'
  | 'sm4';

export type QCryptoCipherMode = 'ecb' | 'cbc' | 'xts' | 'ctr';

export type QCryptoHashAlgorithm = 'md5' | 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512' | 'ripemd160';

export type QCryptoIVGenAlgorithm = 'plain' | 'plain64' | 'essiv';

export type QCryptoRSAPaddingAlgorithm = 'raw' | 'pkcs1';

export type QCryptoSecretFormat = 'raw' | 'base64';

export type QCryptoTLSCredsEndpoint = 'client' | 'server';

export type QCryptoAkCipherOptions = {} & ({ alg: 'rsa' } & QCryptoAkCipherOptionsRSA);

export type QCryptoAkCipherOptionsRSA = {
  'hash-alg': QCryptoHashAlgorithm;
  'padding-alg': QCryptoRSAPaddingAlgorithm;
};

export type QCryptoBlockAmendOptions = {} & (
  ({ format: 'luks' } & QCryptoBlockAmendOptionsLUKS) | { format: 'qcow' }
);

export type QCryptoBlockAmendOptionsLUKS = {
  state: QCryptoBlockLUKSKeyslotState;
  'new-secret'?: string;
  'old-secret'?: string;
  keyslot?: number;
  'iter-time'?: number;
  secret?: string;
};

export type QCryptoBlockCreateOptions = {} & (
  ({ format: 'qcow' } & QCryptoBlockOptionsQCow) | ({ format: 'luks' } & QCryptoBlockCreateOptionsLUKS)
);

export type QCryptoBlockCreateOptionsLUKS = {
  'key-secret'?: string;
  'cipher-alg'?: QCryptoCipherAlgorithm;
  'cipher-mode'?: QCryptoCipherMode;
  'ivgen-alg'?: QCryptoIVGenAlgorithm;
  'ivgen-hash-alg'?: QCryptoHashAlgorithm;
  'hash-alg'?: QCryptoHashAlgorithm;
  'iter-time'?: number;
};

export type QCryptoBlockInfo = {} & (({ format: 'luks' } & QCryptoBlockInfoLUKS) | { format: 'qcow' });

export type QCryptoBlockInfoBase = { format: QCryptoBlockFormat };

export type QCryptoBlockInfoLUKS = {
  'cipher-alg': QCryptoCipherAlgorithm;
  'cipher-mode': QCryptoCipherMode;
  'ivgen-alg': QCryptoIVGenAlgorithm;
  'ivgen-hash-alg'?: QCryptoHashAlgorithm;
  'hash-alg': QCryptoHashAlgorithm;
  'detached-header': boolean;
  'payload-offset': number;
  'master-key-iters': number;
  uuid: string;
  slots: QCryptoBlockInfoLUKSSlot[];
};

export type QCryptoBlockInfoLUKSSlot = {
  active: boolean;
  iters?: number;
  stripes?: number;
  'key-offset': number;
};

export type QCryptoBlockOpenOptions = {} & (
  ({ format: 'luks' } & QCryptoBlockOptionsLUKS) | ({ format: 'qcow' } & QCryptoBlockOptionsQCow)
);

export type QCryptoBlockOptionsBase = { format: QCryptoBlockFormat };

export type QCryptoBlockOptionsLUKS = { 'key-secret'?: string };

export type QCryptoBlockOptionsQCow = { 'key-secret'?: string };

export type SecretCommonProperties = {
  /** deprecated */ loaded?: boolean;
  format?: QCryptoSecretFormat;
  keyid?: string;
  iv?: string;
};

export type SecretKeyringProperties = {
  /** deprecated */ loaded?: boolean;
  format?: QCryptoSecretFormat;
  keyid?: string;
  iv?: string;
  serial: number;
};

export type SecretProperties = {
  /** deprecated */ loaded?: boolean;
  format?: QCryptoSecretFormat;
  keyid?: string;
  iv?: string;
  data?: string;
  file?: string;
};

export type TlsCredsAnonProperties = {
  'verify-peer'?: boolean;
  dir?: string;
  endpoint?: QCryptoTLSCredsEndpoint;
  priority?: string;
  /** deprecated */ loaded?: boolean;
};

export type TlsCredsProperties = {
  'verify-peer'?: boolean;
  dir?: string;
  endpoint?: QCryptoTLSCredsEndpoint;
  priority?: string;
};

export type TlsCredsPskProperties = {
  'verify-peer'?: boolean;
  dir?: string;
  endpoint?: QCryptoTLSCredsEndpoint;
  priority?: string;
  /** deprecated */ loaded?: boolean;
  username?: string;
};

export type TlsCredsX509Properties = {
  'verify-peer'?: boolean;
  dir?: string;
  endpoint?: QCryptoTLSCredsEndpoint;
  priority?: string;
  /** deprecated */ loaded?: boolean;
  'sanity-check'?: boolean;
  passwordid?: string;
};

export type JobStatus =
  | 'undefined'
  | 'created'
  | 'running'
  | 'paused'
  | 'ready'
  | 'standby'
  | 'waiting'
  | 'pending'
  | 'aborting'
  | 'concluded'
  | 'null';

export type JobType =
  | 'commit'
  | 'stream'
  | 'mirror'
  | 'backup'
  | 'create'
  | 'amend'
  | 'snapshot-load'
  | 'snapshot-save'
  | 'snapshot-delete';

export type JobVerb =
  'cancel' | 'pause' | 'resume' | 'set-speed' | 'complete' | 'dismiss' | 'finalize' | 'change';

export type JobInfo = {
  id: string;
  type: JobType;
  status: JobStatus;
  'current-progress': number;
  'total-progress': number;
  error?: string;
};

export type JobStatusChangeData = { id: string; status: JobStatus };

export type JobCancelArguments = { id: string };

export type JobCompleteArguments = { id: string };

export type JobDismissArguments = { id: string };

export type JobFinalizeArguments = { id: string };

export type JobPauseArguments = { id: string };

export type JobResumeArguments = { id: string };

export type BitmapSyncMode = 'on-success' | 'never' | 'always';

export type BlkdebugEvent =
  | 'l1_update'
  | 'l1_grow_alloc_table'
  | 'l1_grow_write_table'
  | 'l1_grow_activate_table'
  | 'l2_load'
  | 'l2_update'
  | 'l2_update_compressed'
  | 'l2_alloc_cow_read'
  | 'l2_alloc_write'
  | 'read_aio'
  | 'read_backing_aio'
  | 'read_compressed'
  | 'write_aio'
  | 'write_compressed'
  | 'vmstate_load'
  | 'vmstate_save'
  | 'cow_read'
  | 'cow_write'
  | 'reftable_load'
  | 'reftable_grow'
  | 'reftable_update'
  | 'refblock_load'
  | 'refblock_update'
  | 'refblock_update_part'
  | 'refblock_alloc'
  | 'refblock_alloc_hookup'
  | 'refblock_alloc_write'
  | 'refblock_alloc_write_blocks'
  | 'refblock_alloc_write_table'
  | 'refblock_alloc_switch_table'
  | 'cluster_alloc'
  | 'cluster_alloc_bytes'
  | 'cluster_free'
  | 'flush_to_os'
  | 'flush_to_disk'
  | 'pwritev_rmw_head'
  | 'pwritev_rmw_after_head'
  | 'pwritev_rmw_tail'
  | 'pwritev_rmw_after_tail'
  | 'pwritev'
  | 'pwritev_zero'
  | 'pwritev_done'
  | 'empty_image_prepare'
  | 'l1_shrink_write_table'
  | 'l1_shrink_free_l2_clusters'
  | 'cor_write'
  | 'cluster_alloc_space'
  | 'none';

export type BlkdebugIOType = 'read' | 'write' | 'write-zeroes' | 'discard' | 'flush' | 'block-status';

export type BlockDeviceIoStatus = 'ok' | 'failed' | 'nospace';

export type BlockErrorAction = 'ignore' | 'report' | 'stop';

export type BlockExportRemoveMode = 'safe' | 'hard';

export type BlockExportType = 'nbd' | 'vhost-user-blk' | 'fuse' | 'vduse-blk';

export type BlockPermission = 'consistent-read' | 'write' | 'write-unchanged' | 'resize';

export type BlockdevAioOptions = 'threads' | 'native' | 'io_uring';

export type BlockdevDetectZeroesOptions = 'off' | 'on' | 'unmap';

export type BlockdevDiscardOptions = 'ignore' | 'unmap';

export type BlockdevDriver =
  | 'blkdebug'
  | 'blklogwrites'
  | 'blkreplay'
  | 'blkverify'
  | 'bochs'
  | 'cloop'
  | 'compress'
  | 'copy-before-write'
  | 'copy-on-read'
  | 'dmg'
  | 'file'
  | 'snapshot-access'
  | 'ftp'
  | 'ftps'
  | 'gluster'
  | 'host_cdrom'
  | 'host_device'
  | 'http'
  | 'https'
  | 'iscsi'
  | 'luks'
  | 'nbd'
  | 'nfs'
  | 'null-aio'
  | 'null-co'
  | 'nvme'
  | 'parallels'
  | 'preallocate'
  | 'qcow'
  | 'qcow2'
  | 'qed'
  | 'quorum'
  | 'raw'
  | 'rbd'
  | 'replication'
  | 'ssh'
  | 'throttle'
  | 'vdi'
  | 'vhdx'
  | 'vmdk'
  | 'vpc'
  | 'vvfat';

export type BlockdevOnError = 'report' | 'ignore' | 'enospc' | 'stop' | 'auto';

export type BlockdevQcow2EncryptionFormat = 'aes' | 'luks';

export type BlockdevQcow2Version = 'v2' | 'v3';

export type BlockdevQcowEncryptionFormat = 'aes';

export type BlockdevVhdxSubformat = 'dynamic' | 'fixed';

export type BlockdevVmdkAdapterType = 'ide' | 'buslogic' | 'lsilogic' | 'legacyESX';

export type BlockdevVmdkSubformat =
  'monolithicSparse' | 'monolithicFlat' | 'twoGbMaxExtentSparse' | 'twoGbMaxExtentFlat' | 'streamOptimized';

export type BlockdevVpcSubformat = 'dynamic' | 'fixed';

export type FuseExportAllowOther = 'off' | 'on' | 'auto';

export type ImageInfoSpecificKind = 'qcow2' | 'vmdk' | 'luks' | 'rbd' | 'file';

export type IscsiHeaderDigest = 'crc32c' | 'none' | 'crc32c-none' | 'none-crc32c';

export type IscsiTransport = 'tcp' | 'iser';

export type MirrorCopyMode = 'background' | 'write-blocking';

export type MirrorSyncMode = 'top' | 'full' | 'none' | 'incremental' | 'bitmap';

export type NFSTransport = 'inet';

export type NewImageMode = 'existing' | 'absolute-paths';

export type OnCbwError = 'break-guest-write' | 'break-snapshot';

export type PreallocMode = 'off' | 'metadata' | 'falloc' | 'full';

export type Qcow2BitmapInfoFlags = 'in-use' | 'auto';

export type Qcow2CompressionType = 'zlib' | 'zstd';

export type Qcow2OverlapCheckMode = 'none' | 'constant' | 'cached' | 'all';

export type QuorumOpType = 'read' | 'write' | 'flush';

export type QuorumReadPattern = 'quorum' | 'fifo';

export type RbdAuthMode = 'cephx' | 'none';

export type RbdImageEncryptionFormat = 'luks' | 'luks2' | 'luks-any';

export type ReplicationMode = 'primary' | 'secondary';

export type SshHostKeyCheckHashType = 'md5' | 'sha1' | 'sha256';

export type SshHostKeyCheckMode = 'none' | 'hash' | 'known_hosts';

export type XDbgBlockGraphNodeType = 'block-backend' | 'block-job' | 'block-driver';

export type BlockDirtyBitmapOrStr = BlockDirtyBitmap | string;

export type BlockdevRef = BlockdevOptions | string;

export type BlockdevRefOrNull = BlockdevOptions | null | string;

export type Qcow2OverlapChecks = Qcow2OverlapCheckFlags | Qcow2OverlapCheckMode;

export type BackupCommon = {
  'job-id'?: string;
  device: string;
  sync: MirrorSyncMode;
  speed?: number;
  bitmap?: string;
  'bitmap-mode'?: BitmapSyncMode;
  compress?: boolean;
  'on-source-error'?: BlockdevOnError;
  'on-target-error'?: BlockdevOnError;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
  'filter-node-name'?: string;
  'discard-source'?: boolean;
  /** unstable */ 'x-perf'?: BackupPerf;
};

export type BackupPerf = { 'use-copy-range'?: boolean; 'max-workers'?: number; 'max-chunk'?: number };

export type BlkdebugInjectErrorOptions = {
  event: BlkdebugEvent;
  state?: number;
  iotype?: BlkdebugIOType;
  errno?: number;
  sector?: number;
  once?: boolean;
  immediately?: boolean;
};

export type BlkdebugSetStateOptions = { event: BlkdebugEvent; state?: number; new_state: number };

export type BlockChildInfo = { name: string; info: BlockGraphInfo };

export type BlockDeviceInfo = {
  file: string;
  'node-name'?: string;
  ro: boolean;
  drv: string;
  backing_file?: string;
  backing_file_depth: number;
  encrypted: boolean;
  detect_zeroes: BlockdevDetectZeroesOptions;
  bps: number;
  bps_rd: number;
  bps_wr: number;
  iops: number;
  iops_rd: number;
  iops_wr: number;
  image: ImageInfo;
  bps_max?: number;
  bps_rd_max?: number;
  bps_wr_max?: number;
  iops_max?: number;
  iops_rd_max?: number;
  iops_wr_max?: number;
  bps_max_length?: number;
  bps_rd_max_length?: number;
  bps_wr_max_length?: number;
  iops_max_length?: number;
  iops_rd_max_length?: number;
  iops_wr_max_length?: number;
  iops_size?: number;
  group?: string;
  cache: BlockdevCacheInfo;
  write_threshold: number;
  'dirty-bitmaps'?: BlockDirtyInfo[];
};

export type BlockDeviceStats = {
  rd_bytes: number;
  wr_bytes: number;
  zone_append_bytes: number;
  unmap_bytes: number;
  rd_operations: number;
  wr_operations: number;
  zone_append_operations: number;
  flush_operations: number;
  unmap_operations: number;
  rd_total_time_ns: number;
  wr_total_time_ns: number;
  zone_append_total_time_ns: number;
  flush_total_time_ns: number;
  unmap_total_time_ns: number;
  wr_highest_offset: number;
  rd_merged: number;
  wr_merged: number;
  zone_append_merged: number;
  unmap_merged: number;
  idle_time_ns?: number;
  failed_rd_operations: number;
  failed_wr_operations: number;
  failed_zone_append_operations: number;
  failed_flush_operations: number;
  failed_unmap_operations: number;
  invalid_rd_operations: number;
  invalid_wr_operations: number;
  invalid_zone_append_operations: number;
  invalid_flush_operations: number;
  invalid_unmap_operations: number;
  account_invalid: boolean;
  account_failed: boolean;
  timed_stats: BlockDeviceTimedStats[];
  rd_latency_histogram?: BlockLatencyHistogramInfo;
  wr_latency_histogram?: BlockLatencyHistogramInfo;
  zone_append_latency_histogram?: BlockLatencyHistogramInfo;
  flush_latency_histogram?: BlockLatencyHistogramInfo;
};

export type BlockDeviceTimedStats = {
  interval_length: number;
  min_rd_latency_ns: number;
  max_rd_latency_ns: number;
  avg_rd_latency_ns: number;
  min_wr_latency_ns: number;
  max_wr_latency_ns: number;
  avg_wr_latency_ns: number;
  min_zone_append_latency_ns: number;
  max_zone_append_latency_ns: number;
  avg_zone_append_latency_ns: number;
  min_flush_latency_ns: number;
  max_flush_latency_ns: number;
  avg_flush_latency_ns: number;
  avg_rd_queue_depth: number;
  avg_wr_queue_depth: number;
  avg_zone_append_queue_depth: number;
};

export type BlockDirtyBitmap = { node: string; name: string };

export type BlockDirtyBitmapAdd = {
  node: string;
  name: string;
  granularity?: number;
  persistent?: boolean;
  disabled?: boolean;
};

export type BlockDirtyBitmapMerge = { node: string; target: string; bitmaps: BlockDirtyBitmapOrStr[] };

export type BlockDirtyBitmapSha256 = { sha256: string };

export type BlockDirtyInfo = {
  name?: string;
  count: number;
  granularity: number;
  recording: boolean;
  busy: boolean;
  persistent: boolean;
  inconsistent?: boolean;
};

export type BlockExportInfo = {
  id: string;
  type: BlockExportType;
  'node-name': string;
  'shutting-down': boolean;
};

export type BlockExportOptions = {
  id: string;
  'fixed-iothread'?: boolean;
  iothread?: string;
  'node-name': string;
  writable?: boolean;
  writethrough?: boolean;
} & (
  | ({ type: 'nbd' } & BlockExportOptionsNbd)
  | ({ type: 'vhost-user-blk' } & BlockExportOptionsVhostUserBlk)
  | ({ type: 'fuse' } & BlockExportOptionsFuse)
  | ({ type: 'vduse-blk' } & BlockExportOptionsVduseBlk)
);

export type BlockExportOptionsFuse = {
  mountpoint: string;
  growable?: boolean;
  'allow-other'?: FuseExportAllowOther;
};

export type BlockExportOptionsNbd = {
  name?: string;
  description?: string;
  bitmaps?: BlockDirtyBitmapOrStr[];
  'allocation-depth'?: boolean;
};

export type BlockExportOptionsNbdBase = { name?: string; description?: string };

export type BlockExportOptionsVduseBlk = {
  name: string;
  'num-queues'?: number;
  'queue-size'?: number;
  'logical-block-size'?: number;
  serial?: string;
};

export type BlockExportOptionsVhostUserBlk = {
  addr: SocketAddress;
  'logical-block-size'?: number;
  'num-queues'?: number;
};

export type BlockGraphInfo = {
  filename: string;
  format: string;
  'virtual-size': number;
  'actual-size'?: number;
  'dirty-flag'?: boolean;
  'cluster-size'?: number;
  encrypted?: boolean;
  compressed?: boolean;
  'backing-filename'?: string;
  'full-backing-filename'?: string;
  'backing-filename-format'?: string;
  snapshots?: SnapshotInfo[];
  'format-specific'?: ImageInfoSpecific;
  children: BlockChildInfo[];
};

export type BlockIOThrottle = {
  /** deprecated */ device?: string;
  id?: string;
  bps: number;
  bps_rd: number;
  bps_wr: number;
  iops: number;
  iops_rd: number;
  iops_wr: number;
  bps_max?: number;
  bps_rd_max?: number;
  bps_wr_max?: number;
  iops_max?: number;
  iops_rd_max?: number;
  iops_wr_max?: number;
  bps_max_length?: number;
  bps_rd_max_length?: number;
  bps_wr_max_length?: number;
  iops_max_length?: number;
  iops_rd_max_length?: number;
  iops_wr_max_length?: number;
  iops_size?: number;
  group?: string;
};

export type BlockInfo = {
  device: string;
  qdev?: string;
  type: string;
  removable: boolean;
  locked: boolean;
  inserted?: BlockDeviceInfo;
  tray_open?: boolean;
  'io-status'?: BlockDeviceIoStatus;
};

export type BlockJobChangeOptions = { id: string } & (
  | ({ type: 'mirror' } & BlockJobChangeOptionsMirror)
  | {
      type:
        | 'commit'
        | 'stream'
        | 'backup'
        | 'create'
        | 'amend'
        | 'snapshot-load'
        | 'snapshot-save'
        | 'snapshot-delete';
    }
);

export type BlockJobChangeOptionsMirror = { 'copy-mode': MirrorCopyMode };

export type BlockJobInfo = {
  device: string;
  len: number;
  offset: number;
  busy: boolean;
  paused: boolean;
  speed: number;
  'io-status': BlockDeviceIoStatus;
  ready: boolean;
  status: JobStatus;
  'auto-finalize': boolean;
  'auto-dismiss': boolean;
  error?: string;
} & (
  | ({ type: 'mirror' } & BlockJobInfoMirror)
  | {
      type:
        | 'commit'
        | 'stream'
        | 'backup'
        | 'create'
        | 'amend'
        | 'snapshot-load'
        | 'snapshot-save'
        | 'snapshot-delete';
    }
);

export type BlockJobInfoMirror = { 'actively-synced': boolean };

export type BlockLatencyHistogramInfo = { boundaries: number[]; bins: number[] };

export type BlockMeasureInfo = { required: number; 'fully-allocated': number; bitmaps?: number };

export type BlockNodeInfo = {
  filename: string;
  format: string;
  'virtual-size': number;
  'actual-size'?: number;
  'dirty-flag'?: boolean;
  'cluster-size'?: number;
  encrypted?: boolean;
  compressed?: boolean;
  'backing-filename'?: string;
  'full-backing-filename'?: string;
  'backing-filename-format'?: string;
  snapshots?: SnapshotInfo[];
  'format-specific'?: ImageInfoSpecific;
};

export type BlockStats = {
  device?: string;
  qdev?: string;
  'node-name'?: string;
  stats: BlockDeviceStats;
  'driver-specific'?: BlockStatsSpecific;
  parent?: BlockStats;
  backing?: BlockStats;
};

export type BlockStatsSpecific = {} & (
  | ({ driver: 'file' } & BlockStatsSpecificFile)
  | ({ driver: 'host_device' } & BlockStatsSpecificFile)
  | ({ driver: 'nvme' } & BlockStatsSpecificNvme)
  | {
      driver:
        | 'blkdebug'
        | 'blklogwrites'
        | 'blkreplay'
        | 'blkverify'
        | 'bochs'
        | 'cloop'
        | 'compress'
        | 'copy-before-write'
        | 'copy-on-read'
        | 'dmg'
        | 'snapshot-access'
        | 'ftp'
        | 'ftps'
        | 'gluster'
        | 'host_cdrom'
        | 'http'
        | 'https'
        | 'iscsi'
        | 'luks'
        | 'nbd'
        | 'nfs'
        | 'null-aio'
        | 'null-co'
        | 'parallels'
        | 'preallocate'
        | 'qcow'
        | 'qcow2'
        | 'qed'
        | 'quorum'
        | 'raw'
        | 'rbd'
        | 'replication'
        | 'ssh'
        | 'throttle'
        | 'vdi'
        | 'vhdx'
        | 'vmdk'
        | 'vpc'
        | 'vvfat';
    }
);

export type BlockStatsSpecificFile = {
  'discard-nb-ok': number;
  'discard-nb-failed': number;
  'discard-bytes-ok': number;
};

export type BlockStatsSpecificNvme = {
  'completion-errors': number;
  'aligned-accesses': number;
  'unaligned-accesses': number;
};

export type BlockdevAmendOptions = {} & (
  | ({ driver: 'luks' } & BlockdevAmendOptionsLUKS)
  | ({ driver: 'qcow2' } & BlockdevAmendOptionsQcow2)
  | {
      driver:
        | 'blkdebug'
        | 'blklogwrites'
        | 'blkreplay'
        | 'blkverify'
        | 'bochs'
        | 'cloop'
        | 'compress'
        | 'copy-before-write'
        | 'copy-on-read'
        | 'dmg'
        | 'file'
        | 'snapshot-access'
        | 'ftp'
        | 'ftps'
        | 'gluster'
        | 'host_cdrom'
        | 'host_device'
        | 'http'
        | 'https'
        | 'iscsi'
        | 'nbd'
        | 'nfs'
        | 'null-aio'
        | 'null-co'
        | 'nvme'
        | 'parallels'
        | 'preallocate'
        | 'qcow'
        | 'qed'
        | 'quorum'
        | 'raw'
        | 'rbd'
        | 'replication'
        | 'ssh'
        | 'throttle'
        | 'vdi'
        | 'vhdx'
        | 'vmdk'
        | 'vpc'
        | 'vvfat';
    }
);

export type BlockdevAmendOptionsLUKS = {
  state: QCryptoBlockLUKSKeyslotState;
  'new-secret'?: string;
  'old-secret'?: string;
  keyslot?: number;
  'iter-time'?: number;
  secret?: string;
};

export type BlockdevAmendOptionsQcow2 = { encrypt?: QCryptoBlockAmendOptions };

export type BlockdevBackup = {
  'job-id'?: string;
  device: string;
  sync: MirrorSyncMode;
  speed?: number;
  bitmap?: string;
  'bitmap-mode'?: BitmapSyncMode;
  compress?: boolean;
  'on-source-error'?: BlockdevOnError;
  'on-target-error'?: BlockdevOnError;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
  'filter-node-name'?: string;
  'discard-source'?: boolean;
  /** unstable */ 'x-perf'?: BackupPerf;
  target: string;
};

export type BlockdevCacheInfo = { writeback: boolean; direct: boolean; 'no-flush': boolean };

export type BlockdevCacheOptions = { direct?: boolean; 'no-flush'?: boolean };

export type BlockdevCreateOptions = {} & (
  | ({ driver: 'file' } & BlockdevCreateOptionsFile)
  | ({ driver: 'gluster' } & BlockdevCreateOptionsGluster)
  | ({ driver: 'luks' } & BlockdevCreateOptionsLUKS)
  | ({ driver: 'nfs' } & BlockdevCreateOptionsNfs)
  | ({ driver: 'parallels' } & BlockdevCreateOptionsParallels)
  | ({ driver: 'qcow' } & BlockdevCreateOptionsQcow)
  | ({ driver: 'qcow2' } & BlockdevCreateOptionsQcow2)
  | ({ driver: 'qed' } & BlockdevCreateOptionsQed)
  | ({ driver: 'rbd' } & BlockdevCreateOptionsRbd)
  | ({ driver: 'ssh' } & BlockdevCreateOptionsSsh)
  | ({ driver: 'vdi' } & BlockdevCreateOptionsVdi)
  | ({ driver: 'vhdx' } & BlockdevCreateOptionsVhdx)
  | ({ driver: 'vmdk' } & BlockdevCreateOptionsVmdk)
  | ({ driver: 'vpc' } & BlockdevCreateOptionsVpc)
  | {
      driver:
        | 'blkdebug'
        | 'blklogwrites'
        | 'blkreplay'
        | 'blkverify'
        | 'bochs'
        | 'cloop'
        | 'compress'
        | 'copy-before-write'
        | 'copy-on-read'
        | 'dmg'
        | 'snapshot-access'
        | 'ftp'
        | 'ftps'
        | 'host_cdrom'
        | 'host_device'
        | 'http'
        | 'https'
        | 'iscsi'
        | 'nbd'
        | 'null-aio'
        | 'null-co'
        | 'nvme'
        | 'preallocate'
        | 'quorum'
        | 'raw'
        | 'replication'
        | 'throttle'
        | 'vvfat';
    }
);

export type BlockdevCreateOptionsFile = {
  filename: string;
  size: number;
  preallocation?: PreallocMode;
  nocow?: boolean;
  'extent-size-hint'?: number;
};

export type BlockdevCreateOptionsGluster = {
  location: BlockdevOptionsGluster;
  size: number;
  preallocation?: PreallocMode;
};

export type BlockdevCreateOptionsLUKS = {
  'key-secret'?: string;
  'cipher-alg'?: QCryptoCipherAlgorithm;
  'cipher-mode'?: QCryptoCipherMode;
  'ivgen-alg'?: QCryptoIVGenAlgorithm;
  'ivgen-hash-alg'?: QCryptoHashAlgorithm;
  'hash-alg'?: QCryptoHashAlgorithm;
  'iter-time'?: number;
  file?: BlockdevRef;
  header?: BlockdevRef;
  size: number;
  preallocation?: PreallocMode;
};

export type BlockdevCreateOptionsNfs = { location: BlockdevOptionsNfs; size: number };

export type BlockdevCreateOptionsParallels = { file: BlockdevRef; size: number; 'cluster-size'?: number };

export type BlockdevCreateOptionsQcow = {
  file: BlockdevRef;
  size: number;
  'backing-file'?: string;
  encrypt?: QCryptoBlockCreateOptions;
};

export type BlockdevCreateOptionsQcow2 = {
  file: BlockdevRef;
  'data-file'?: BlockdevRef;
  'data-file-raw'?: boolean;
  'extended-l2'?: boolean;
  size: number;
  version?: BlockdevQcow2Version;
  'backing-file'?: string;
  'backing-fmt'?: BlockdevDriver;
  encrypt?: QCryptoBlockCreateOptions;
  'cluster-size'?: number;
  preallocation?: PreallocMode;
  'lazy-refcounts'?: boolean;
  'refcount-bits'?: number;
  'compression-type'?: Qcow2CompressionType;
};

export type BlockdevCreateOptionsQed = {
  file: BlockdevRef;
  size: number;
  'backing-file'?: string;
  'backing-fmt'?: BlockdevDriver;
  'cluster-size'?: number;
  'table-size'?: number;
};

export type BlockdevCreateOptionsRbd = {
  location: BlockdevOptionsRbd;
  size: number;
  'cluster-size'?: number;
  encrypt?: RbdEncryptionCreateOptions;
};

export type BlockdevCreateOptionsSsh = { location: BlockdevOptionsSsh; size: number };

export type BlockdevCreateOptionsVdi = { file: BlockdevRef; size: number; preallocation?: PreallocMode };

export type BlockdevCreateOptionsVhdx = {
  file: BlockdevRef;
  size: number;
  'log-size'?: number;
  'block-size'?: number;
  subformat?: BlockdevVhdxSubformat;
  'block-state-zero'?: boolean;
};

export type BlockdevCreateOptionsVmdk = {
  file: BlockdevRef;
  size: number;
  extents?: BlockdevRef[];
  subformat?: BlockdevVmdkSubformat;
  'backing-file'?: string;
  'adapter-type'?: BlockdevVmdkAdapterType;
  hwversion?: string;
  toolsversion?: string;
  'zeroed-grain'?: boolean;
};

export type BlockdevCreateOptionsVpc = {
  file: BlockdevRef;
  size: number;
  subformat?: BlockdevVpcSubformat;
  'force-size'?: boolean;
};

export type BlockdevOptions = {
  'node-name'?: string;
  discard?: BlockdevDiscardOptions;
  cache?: BlockdevCacheOptions;
  'read-only'?: boolean;
  'auto-read-only'?: boolean;
  'force-share'?: boolean;
  'detect-zeroes'?: BlockdevDetectZeroesOptions;
} & (
  | ({ driver: 'blkdebug' } & BlockdevOptionsBlkdebug)
  | ({ driver: 'blklogwrites' } & BlockdevOptionsBlklogwrites)
  | ({ driver: 'blkverify' } & BlockdevOptionsBlkverify)
  | ({ driver: 'blkreplay' } & BlockdevOptionsBlkreplay)
  | ({ driver: 'bochs' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'cloop' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'compress' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'copy-before-write' } & BlockdevOptionsCbw)
  | ({ driver: 'copy-on-read' } & BlockdevOptionsCor)
  | ({ driver: 'dmg' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'file' } & BlockdevOptionsFile)
  | ({ driver: 'ftp' } & BlockdevOptionsCurlFtp)
  | ({ driver: 'ftps' } & BlockdevOptionsCurlFtps)
  | ({ driver: 'gluster' } & BlockdevOptionsGluster)
  | ({ driver: 'host_cdrom' } & BlockdevOptionsFile)
  | ({ driver: 'host_device' } & BlockdevOptionsFile)
  | ({ driver: 'http' } & BlockdevOptionsCurlHttp)
  | ({ driver: 'https' } & BlockdevOptionsCurlHttps)
  | ({ driver: 'iscsi' } & BlockdevOptionsIscsi)
  | ({ driver: 'luks' } & BlockdevOptionsLUKS)
  | ({ driver: 'nbd' } & BlockdevOptionsNbd)
  | ({ driver: 'nfs' } & BlockdevOptionsNfs)
  | ({ driver: 'null-aio' } & BlockdevOptionsNull)
  | ({ driver: 'null-co' } & BlockdevOptionsNull)
  | ({ driver: 'nvme' } & BlockdevOptionsNVMe)
  | ({ driver: 'parallels' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'preallocate' } & BlockdevOptionsPreallocate)
  | ({ driver: 'qcow2' } & BlockdevOptionsQcow2)
  | ({ driver: 'qcow' } & BlockdevOptionsQcow)
  | ({ driver: 'qed' } & BlockdevOptionsGenericCOWFormat)
  | ({ driver: 'quorum' } & BlockdevOptionsQuorum)
  | ({ driver: 'raw' } & BlockdevOptionsRaw)
  | ({ driver: 'rbd' } & BlockdevOptionsRbd)
  | ({ driver: 'replication' } & BlockdevOptionsReplication)
  | ({ driver: 'snapshot-access' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'ssh' } & BlockdevOptionsSsh)
  | ({ driver: 'throttle' } & BlockdevOptionsThrottle)
  | ({ driver: 'vdi' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'vhdx' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'vmdk' } & BlockdevOptionsGenericCOWFormat)
  | ({ driver: 'vpc' } & BlockdevOptionsGenericFormat)
  | ({ driver: 'vvfat' } & BlockdevOptionsVVFAT)
);

export type BlockdevOptionsBlkdebug = {
  image: BlockdevRef;
  config?: string;
  align?: number;
  'max-transfer'?: number;
  'opt-write-zero'?: number;
  'max-write-zero'?: number;
  'opt-discard'?: number;
  'max-discard'?: number;
  'inject-error'?: BlkdebugInjectErrorOptions[];
  'set-state'?: BlkdebugSetStateOptions[];
  'take-child-perms'?: BlockPermission[];
  'unshare-child-perms'?: BlockPermission[];
};

export type BlockdevOptionsBlklogwrites = {
  file: BlockdevRef;
  log: BlockdevRef;
  'log-sector-size'?: number;
  'log-append'?: boolean;
  'log-super-update-interval'?: number;
};

export type BlockdevOptionsBlkreplay = { image: BlockdevRef };

export type BlockdevOptionsBlkverify = { test: BlockdevRef; raw: BlockdevRef };

export type BlockdevOptionsCbw = {
  file: BlockdevRef;
  target: BlockdevRef;
  bitmap?: BlockDirtyBitmap;
  'on-cbw-error'?: OnCbwError;
  'cbw-timeout'?: number;
};

export type BlockdevOptionsCor = { file: BlockdevRef; bottom?: string };

export type BlockdevOptionsCurlBase = {
  url: string;
  readahead?: number;
  timeout?: number;
  username?: string;
  'password-secret'?: string;
  'proxy-username'?: string;
  'proxy-password-secret'?: string;
};

export type BlockdevOptionsCurlFtp = {
  url: string;
  readahead?: number;
  timeout?: number;
  username?: string;
  'password-secret'?: string;
  'proxy-username'?: string;
  'proxy-password-secret'?: string;
};

export type BlockdevOptionsCurlFtps = {
  url: string;
  readahead?: number;
  timeout?: number;
  username?: string;
  'password-secret'?: string;
  'proxy-username'?: string;
  'proxy-password-secret'?: string;
  sslverify?: boolean;
};

export type BlockdevOptionsCurlHttp = {
  url: string;
  readahead?: number;
  timeout?: number;
  username?: string;
  'password-secret'?: string;
  'proxy-username'?: string;
  'proxy-password-secret'?: string;
  cookie?: string;
  'cookie-secret'?: string;
};

export type BlockdevOptionsCurlHttps = {
  url: string;
  readahead?: number;
  timeout?: number;
  username?: string;
  'password-secret'?: string;
  'proxy-username'?: string;
  'proxy-password-secret'?: string;
  cookie?: string;
  sslverify?: boolean;
  'cookie-secret'?: string;
};

export type BlockdevOptionsFile = {
  filename: string;
  'pr-manager'?: string;
  locking?: OnOffAuto;
  aio?: BlockdevAioOptions;
  'aio-max-batch'?: number;
  'drop-cache'?: boolean;
  /** unstable */ 'x-check-cache-dropped'?: boolean;
};

export type BlockdevOptionsGenericCOWFormat = { file: BlockdevRef; backing?: BlockdevRefOrNull };

export type BlockdevOptionsGenericFormat = { file: BlockdevRef };

export type BlockdevOptionsGluster = {
  volume: string;
  path: string;
  server: SocketAddress[];
  debug?: number;
  logfile?: string;
};

export type BlockdevOptionsIscsi = {
  transport: IscsiTransport;
  portal: string;
  target: string;
  lun?: number;
  user?: string;
  'password-secret'?: string;
  'initiator-name'?: string;
  'header-digest'?: IscsiHeaderDigest;
  timeout?: number;
};

export type BlockdevOptionsLUKS = { file: BlockdevRef; 'key-secret'?: string; header?: BlockdevRef };

export type BlockdevOptionsNVMe = { device: string; namespace: number };

export type BlockdevOptionsNbd = {
  server: SocketAddress;
  export?: string;
  'tls-creds'?: string;
  'tls-hostname'?: string;
  /** unstable */ 'x-dirty-bitmap'?: string;
  'reconnect-delay'?: number;
  'open-timeout'?: number;
};

export type BlockdevOptionsNfs = {
  server: NFSServer;
  path: string;
  user?: number;
  group?: number;
  'tcp-syn-count'?: number;
  'readahead-size'?: number;
  'page-cache-size'?: number;
  debug?: number;
};

export type BlockdevOptionsNull = { size?: number; 'latency-ns'?: number; 'read-zeroes'?: boolean };

export type BlockdevOptionsPreallocate = {
  file: BlockdevRef;
  'prealloc-align'?: number;
  'prealloc-size'?: number;
};

export type BlockdevOptionsQcow = {
  file: BlockdevRef;
  backing?: BlockdevRefOrNull;
  encrypt?: BlockdevQcowEncryption;
};

export type BlockdevOptionsQcow2 = {
  file: BlockdevRef;
  backing?: BlockdevRefOrNull;
  'lazy-refcounts'?: boolean;
  'pass-discard-request'?: boolean;
  'pass-discard-snapshot'?: boolean;
  'pass-discard-other'?: boolean;
  'discard-no-unref'?: boolean;
  'overlap-check'?: Qcow2OverlapChecks;
  'cache-size'?: number;
  'l2-cache-size'?: number;
  'l2-cache-entry-size'?: number;
  'refcount-cache-size'?: number;
  'cache-clean-interval'?: number;
  encrypt?: BlockdevQcow2Encryption;
  'data-file'?: BlockdevRef;
};

export type BlockdevOptionsQuorum = {
  blkverify?: boolean;
  children: BlockdevRef[];
  'vote-threshold': number;
  'rewrite-corrupted'?: boolean;
  'read-pattern'?: QuorumReadPattern;
};

export type BlockdevOptionsRaw = { file: BlockdevRef; offset?: number; size?: number };

export type BlockdevOptionsRbd = {
  pool: string;
  namespace?: string;
  image: string;
  conf?: string;
  snapshot?: string;
  encrypt?: RbdEncryptionOptions;
  user?: string;
  'auth-client-required'?: RbdAuthMode[];
  'key-secret'?: string;
  server?: InetSocketAddressBase[];
};

export type BlockdevOptionsReplication = { file: BlockdevRef; mode: ReplicationMode; 'top-id'?: string };

export type BlockdevOptionsSsh = {
  server: InetSocketAddress;
  path: string;
  user?: string;
  'host-key-check'?: SshHostKeyCheck;
};

export type BlockdevOptionsThrottle = { 'throttle-group': string; file: BlockdevRef };

export type BlockdevOptionsVVFAT = {
  dir: string;
  'fat-type'?: number;
  floppy?: boolean;
  label?: string;
  rw?: boolean;
};

export type BlockdevQcow2Encryption = {} & (
  ({ format: 'aes' } & QCryptoBlockOptionsQCow) | ({ format: 'luks' } & QCryptoBlockOptionsLUKS)
);

export type BlockdevQcowEncryption = {} & ({ format: 'aes' } & QCryptoBlockOptionsQCow);

export type BlockdevSnapshot = { node: string; overlay: string };

export type BlockdevSnapshotInternal = { device: string; name: string };

export type BlockdevSnapshotSync = {
  device?: string;
  'node-name'?: string;
  'snapshot-file': string;
  'snapshot-node-name'?: string;
  format?: string;
  mode?: NewImageMode;
};

export type DriveBackup = {
  'job-id'?: string;
  device: string;
  sync: MirrorSyncMode;
  speed?: number;
  bitmap?: string;
  'bitmap-mode'?: BitmapSyncMode;
  compress?: boolean;
  'on-source-error'?: BlockdevOnError;
  'on-target-error'?: BlockdevOnError;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
  'filter-node-name'?: string;
  'discard-source'?: boolean;
  /** unstable */ 'x-perf'?: BackupPerf;
  target: string;
  format?: string;
  mode?: NewImageMode;
};

export type DriveMirror = {
  'job-id'?: string;
  device: string;
  target: string;
  format?: string;
  'node-name'?: string;
  replaces?: string;
  sync: MirrorSyncMode;
  mode?: NewImageMode;
  speed?: number;
  granularity?: number;
  'buf-size'?: number;
  'on-source-error'?: BlockdevOnError;
  'on-target-error'?: BlockdevOnError;
  unmap?: boolean;
  'copy-mode'?: MirrorCopyMode;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
};

export type DummyBlockCoreForceArrays = { 'unused-block-graph-info': BlockGraphInfo[] };

export type ImageCheck = {
  filename: string;
  format: string;
  'check-errors': number;
  'image-end-offset'?: number;
  corruptions?: number;
  leaks?: number;
  'corruptions-fixed'?: number;
  'leaks-fixed'?: number;
  'total-clusters'?: number;
  'allocated-clusters'?: number;
  'fragmented-clusters'?: number;
  'compressed-clusters'?: number;
};

export type ImageInfo = {
  filename: string;
  format: string;
  'dirty-flag'?: boolean;
  'actual-size'?: number;
  'virtual-size': number;
  'cluster-size'?: number;
  encrypted?: boolean;
  compressed?: boolean;
  'backing-filename'?: string;
  'full-backing-filename'?: string;
  'backing-filename-format'?: string;
  snapshots?: SnapshotInfo[];
  'format-specific'?: ImageInfoSpecific;
  'backing-image'?: ImageInfo;
};

export type ImageInfoSpecific = {} & (
  | ({ type: 'qcow2' } & ImageInfoSpecificQCow2Wrapper)
  | ({ type: 'vmdk' } & ImageInfoSpecificVmdkWrapper)
  | ({ type: 'luks' } & ImageInfoSpecificLUKSWrapper)
  | ({ type: 'rbd' } & ImageInfoSpecificRbdWrapper)
  | ({ type: 'file' } & ImageInfoSpecificFileWrapper)
);

export type ImageInfoSpecificFile = { 'extent-size-hint'?: number };

export type ImageInfoSpecificFileWrapper = { data: ImageInfoSpecificFile };

export type ImageInfoSpecificLUKSWrapper = { data: QCryptoBlockInfoLUKS };

export type ImageInfoSpecificQCow2 = {
  compat: string;
  'data-file'?: string;
  'data-file-raw'?: boolean;
  'extended-l2'?: boolean;
  'lazy-refcounts'?: boolean;
  corrupt?: boolean;
  'refcount-bits': number;
  encrypt?: ImageInfoSpecificQCow2Encryption;
  bitmaps?: Qcow2BitmapInfo[];
  'compression-type': Qcow2CompressionType;
};

export type ImageInfoSpecificQCow2Encryption = {} & (
  ({ format: 'luks' } & QCryptoBlockInfoLUKS) | { format: 'aes' }
);

export type ImageInfoSpecificQCow2EncryptionBase = { format: BlockdevQcow2EncryptionFormat };

export type ImageInfoSpecificQCow2Wrapper = { data: ImageInfoSpecificQCow2 };

export type ImageInfoSpecificRbd = { 'encryption-format'?: RbdImageEncryptionFormat };

export type ImageInfoSpecificRbdWrapper = { data: ImageInfoSpecificRbd };

export type ImageInfoSpecificVmdk = {
  'create-type': string;
  cid: number;
  'parent-cid': number;
  extents: VmdkExtentInfo[];
};

export type ImageInfoSpecificVmdkWrapper = { data: ImageInfoSpecificVmdk };

export type MapEntry = {
  start: number;
  length: number;
  data: boolean;
  zero: boolean;
  compressed: boolean;
  depth: number;
  present: boolean;
  offset?: number;
  filename?: string;
};

export type NFSServer = { type: NFSTransport; host: string };

export type NbdServerAddOptions = {
  name?: string;
  description?: string;
  device: string;
  writable?: boolean;
  bitmap?: string;
};

export type NbdServerOptions = {
  addr: SocketAddress;
  'tls-creds'?: string;
  'tls-authz'?: string;
  'max-connections'?: number;
};

export type Qcow2BitmapInfo = { name: string; granularity: number; flags: Qcow2BitmapInfoFlags[] };

export type Qcow2OverlapCheckFlags = {
  template?: Qcow2OverlapCheckMode;
  'main-header'?: boolean;
  'active-l1'?: boolean;
  'active-l2'?: boolean;
  'refcount-table'?: boolean;
  'refcount-block'?: boolean;
  'snapshot-table'?: boolean;
  'inactive-l1'?: boolean;
  'inactive-l2'?: boolean;
  'bitmap-directory'?: boolean;
};

export type RbdEncryptionCreateOptions = {} & (
  | ({ format: 'luks' } & RbdEncryptionCreateOptionsLUKS)
  | ({ format: 'luks2' } & RbdEncryptionCreateOptionsLUKS2)
  | { format: 'luks-any' }
);

export type RbdEncryptionCreateOptionsLUKS = { 'key-secret': string; 'cipher-alg'?: QCryptoCipherAlgorithm };

export type RbdEncryptionCreateOptionsLUKS2 = { 'key-secret': string; 'cipher-alg'?: QCryptoCipherAlgorithm };

export type RbdEncryptionCreateOptionsLUKSBase = {
  'key-secret': string;
  'cipher-alg'?: QCryptoCipherAlgorithm;
};

export type RbdEncryptionOptions = { parent?: RbdEncryptionOptions } & (
  | ({ format: 'luks' } & RbdEncryptionOptionsLUKS)
  | ({ format: 'luks2' } & RbdEncryptionOptionsLUKS2)
  | ({ format: 'luks-any' } & RbdEncryptionOptionsLUKSAny)
);

export type RbdEncryptionOptionsLUKS = { 'key-secret': string };

export type RbdEncryptionOptionsLUKS2 = { 'key-secret': string };

export type RbdEncryptionOptionsLUKSAny = { 'key-secret': string };

export type RbdEncryptionOptionsLUKSBase = { 'key-secret': string };

export type SnapshotInfo = {
  id: string;
  name: string;
  'vm-state-size': number;
  'date-sec': number;
  'date-nsec': number;
  'vm-clock-sec': number;
  'vm-clock-nsec': number;
  icount?: number;
};

export type SshHostKeyCheck = {} & (({ mode: 'hash' } & SshHostKeyHash) | { mode: 'none' | 'known_hosts' });

export type SshHostKeyHash = { type: SshHostKeyCheckHashType; hash: string };

export type ThrottleGroupProperties = {
  limits?: ThrottleLimits;
  /** unstable */ 'x-iops-total'?: number;
  /** unstable */ 'x-iops-total-max'?: number;
  /** unstable */ 'x-iops-total-max-length'?: number;
  /** unstable */ 'x-iops-read'?: number;
  /** unstable */ 'x-iops-read-max'?: number;
  /** unstable */ 'x-iops-read-max-length'?: number;
  /** unstable */ 'x-iops-write'?: number;
  /** unstable */ 'x-iops-write-max'?: number;
  /** unstable */ 'x-iops-write-max-length'?: number;
  /** unstable */ 'x-bps-total'?: number;
  /** unstable */ 'x-bps-total-max'?: number;
  /** unstable */ 'x-bps-total-max-length'?: number;
  /** unstable */ 'x-bps-read'?: number;
  /** unstable */ 'x-bps-read-max'?: number;
  /** unstable */ 'x-bps-read-max-length'?: number;
  /** unstable */ 'x-bps-write'?: number;
  /** unstable */ 'x-bps-write-max'?: number;
  /** unstable */ 'x-bps-write-max-length'?: number;
  /** unstable */ 'x-iops-size'?: number;
};

export type ThrottleLimits = {
  'iops-total'?: number;
  'iops-total-max'?: number;
  'iops-total-max-length'?: number;
  'iops-read'?: number;
  'iops-read-max'?: number;
  'iops-read-max-length'?: number;
  'iops-write'?: number;
  'iops-write-max'?: number;
  'iops-write-max-length'?: number;
  'bps-total'?: number;
  'bps-total-max'?: number;
  'bps-total-max-length'?: number;
  'bps-read'?: number;
  'bps-read-max'?: number;
  'bps-read-max-length'?: number;
  'bps-write'?: number;
  'bps-write-max'?: number;
  'bps-write-max-length'?: number;
  'iops-size'?: number;
};

export type VmdkExtentInfo = {
  filename: string;
  format: string;
  'virtual-size': number;
  'cluster-size'?: number;
  compressed?: boolean;
};

export type XDbgBlockGraph = { nodes: XDbgBlockGraphNode[]; edges: XDbgBlockGraphEdge[] };

export type XDbgBlockGraphEdge = {
  parent: number;
  child: number;
  name: string;
  perm: BlockPermission[];
  'shared-perm': BlockPermission[];
};

export type XDbgBlockGraphNode = { id: number; type: XDbgBlockGraphNodeType; name: string };

export type BlockExportDeletedData = { id: string };

export type BlockImageCorruptedData = {
  device: string;
  'node-name'?: string;
  msg: string;
  offset?: number;
  size?: number;
  fatal: boolean;
};

export type BlockIoErrorData = {
  device: string;
  'node-name'?: string;
  operation: IoOperationType;
  action: BlockErrorAction;
  nospace?: boolean;
  reason: string;
};

export type BlockJobCancelledData = {
  type: JobType;
  device: string;
  len: number;
  offset: number;
  speed: number;
};

export type BlockJobCompletedData = {
  type: JobType;
  device: string;
  len: number;
  offset: number;
  speed: number;
  error?: string;
};

export type BlockJobErrorData = { device: string; operation: IoOperationType; action: BlockErrorAction };

export type BlockJobPendingData = { type: JobType; id: string };

export type BlockJobReadyData = { type: JobType; device: string; len: number; offset: number; speed: number };

export type BlockWriteThresholdData = {
  'node-name': string;
  'amount-exceeded': number;
  'write-threshold': number;
};

export type QuorumFailureData = { reference: string; 'sector-num': number; 'sectors-count': number };

export type QuorumReportBadData = {
  type: QuorumOpType;
  error?: string;
  'node-name': string;
  'sector-num': number;
  'sectors-count': number;
};

export type BlockCommitArguments = {
  'job-id'?: string;
  device: string;
  'base-node'?: string;
  /** deprecated */ base?: string;
  'top-node'?: string;
  /** deprecated */ top?: string;
  'backing-file'?: string;
  'backing-mask-protocol'?: boolean;
  speed?: number;
  'on-error'?: BlockdevOnError;
  'filter-node-name'?: string;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
};

export type BlockExportDelArguments = { id: string; mode?: BlockExportRemoveMode };

export type BlockJobCancelArguments = { device: string; force?: boolean };

export type BlockJobCompleteArguments = { device: string };

export type BlockJobDismissArguments = { id: string };

export type BlockJobFinalizeArguments = { id: string };

export type BlockJobPauseArguments = { device: string };

export type BlockJobResumeArguments = { device: string };

export type BlockJobSetSpeedArguments = { device: string; speed: number };

export type BlockSetWriteThresholdArguments = { 'node-name': string; 'write-threshold': number };

export type BlockStreamArguments = {
  'job-id'?: string;
  device: string;
  base?: string;
  'base-node'?: string;
  'backing-file'?: string;
  'backing-mask-protocol'?: boolean;
  bottom?: string;
  speed?: number;
  'on-error'?: BlockdevOnError;
  'filter-node-name'?: string;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
};

export type BlockResizeArguments = { device?: string; 'node-name'?: string; size: number };

export type BlockdevCreateArguments = { 'job-id': string; options: BlockdevCreateOptions };

export type BlockdevDelArguments = { 'node-name': string };

export type BlockdevMirrorArguments = {
  'job-id'?: string;
  device: string;
  target: string;
  replaces?: string;
  sync: MirrorSyncMode;
  speed?: number;
  granularity?: number;
  'buf-size'?: number;
  'on-source-error'?: BlockdevOnError;
  'on-target-error'?: BlockdevOnError;
  'filter-node-name'?: string;
  'copy-mode'?: MirrorCopyMode;
  'auto-finalize'?: boolean;
  'auto-dismiss'?: boolean;
};

export type BlockdevReopenArguments = { options: BlockdevOptions[] };

export type BlockdevSnapshotDeleteInternalSyncArguments = { device: string; id?: string; name?: string };

export type ChangeBackingFileArguments = {
  device: string;
  'image-node-name': string;
  'backing-file': string;
};

export type NbdServerRemoveArguments = { name: string; mode?: BlockExportRemoveMode };

export type NbdServerStartArguments = {
  'tls-creds'?: string;
  'tls-authz'?: string;
  'max-connections'?: number;
  addr: SocketAddressLegacy;
};

export type QueryBlockstatsArguments = { 'query-nodes'?: boolean };

export type QueryNamedBlockNodesArguments = { flat?: boolean };

export type XBlockdevAmendArguments = {
  'job-id': string;
  'node-name': string;
  options: BlockdevAmendOptions;
  force?: boolean;
};

export type XBlockdevChangeArguments = { parent: string; child?: string; node?: string };

export type XBlockdevSetIothreadArguments = { 'node-name': string; iothread: StrOrNull; force?: boolean };

export type ChardevBackendKind =
  | 'file'
  | 'serial'
  | 'parallel'
  | 'pipe'
  | 'socket'
  | 'udp'
  | 'pty'
  | 'null'
  | 'mux'
  | 'msmouse'
  | 'wctablet'
  | 'braille'
  | 'testdev'
  | 'stdio'
  | 'spicevmc'
  | 'spiceport'
  | 'qemu-vdagent'
  | 'dbus'
  | 'vc'
  | 'ringbuf'
  | 'memory';

export type DataFormat = 'utf8' | 'base64';

export type ChardevBackend = {} & (
  | ({ type: 'file' } & ChardevFileWrapper)
  | ({ type: 'serial' } & ChardevHostdevWrapper)
  | ({ type: 'parallel' } & ChardevHostdevWrapper)
  | ({ type: 'pipe' } & ChardevHostdevWrapper)
  | ({ type: 'socket' } & ChardevSocketWrapper)
  | ({ type: 'udp' } & ChardevUdpWrapper)
  | ({ type: 'pty' } & ChardevCommonWrapper)
  | ({ type: 'null' } & ChardevCommonWrapper)
  | ({ type: 'mux' } & ChardevMuxWrapper)
  | ({ type: 'msmouse' } & ChardevCommonWrapper)
  | ({ type: 'wctablet' } & ChardevCommonWrapper)
  | ({ type: 'braille' } & ChardevCommonWrapper)
  | ({ type: 'testdev' } & ChardevCommonWrapper)
  | ({ type: 'stdio' } & ChardevStdioWrapper)
  | ({ type: 'spicevmc' } & ChardevSpiceChannelWrapper)
  | ({ type: 'spiceport' } & ChardevSpicePortWrapper)
  | ({ type: 'qemu-vdagent' } & ChardevQemuVDAgentWrapper)
  | ({ type: 'dbus' } & ChardevDBusWrapper)
  | ({ type: 'vc' } & ChardevVCWrapper)
  | ({ type: 'ringbuf' } & ChardevRingbufWrapper)
  | ({ type: 'memory' } & ChardevRingbufWrapper)
);

export type ChardevBackendInfo = { name: string };

export type ChardevCommon = { logfile?: string; logappend?: boolean };

export type ChardevCommonWrapper = { data: ChardevCommon };

export type ChardevDBus = { logfile?: string; logappend?: boolean; name: string };

export type ChardevDBusWrapper = { data: ChardevDBus };

export type ChardevFile = {
  logfile?: string;
  logappend?: boolean;
  in?: string;
  out: string;
  append?: boolean;
};

export type ChardevFileWrapper = { data: ChardevFile };

export type ChardevHostdev = { logfile?: string; logappend?: boolean; device: string };

export type ChardevHostdevWrapper = { data: ChardevHostdev };

export type ChardevInfo = { label: string; filename: string; 'frontend-open': boolean };

export type ChardevMux = { logfile?: string; logappend?: boolean; chardev: string };

export type ChardevMuxWrapper = { data: ChardevMux };

export type ChardevQemuVDAgent = {
  logfile?: string;
  logappend?: boolean;
  mouse?: boolean;
  clipboard?: boolean;
};

export type ChardevQemuVDAgentWrapper = { data: ChardevQemuVDAgent };

export type ChardevReturn = { pty?: string };

export type ChardevRingbuf = { logfile?: string; logappend?: boolean; size?: number };

export type ChardevRingbufWrapper = { data: ChardevRingbuf };

export type ChardevSocket = {
  logfile?: string;
  logappend?: boolean;
  addr: SocketAddressLegacy;
  'tls-creds'?: string;
  'tls-authz'?: string;
  server?: boolean;
  wait?: boolean;
  nodelay?: boolean;
  telnet?: boolean;
  tn3270?: boolean;
  websocket?: boolean;
  reconnect?: number;
};

export type ChardevSocketWrapper = { data: ChardevSocket };

export type ChardevSpiceChannel = { logfile?: string; logappend?: boolean; type: string };

export type ChardevSpiceChannelWrapper = { data: ChardevSpiceChannel };

export type ChardevSpicePort = { logfile?: string; logappend?: boolean; fqdn: string };

export type ChardevSpicePortWrapper = { data: ChardevSpicePort };

export type ChardevStdio = { logfile?: string; logappend?: boolean; signal?: boolean };

export type ChardevStdioWrapper = { data: ChardevStdio };

export type ChardevUdp = {
  logfile?: string;
  logappend?: boolean;
  remote: SocketAddressLegacy;
  local?: SocketAddressLegacy;
};

export type ChardevUdpWrapper = { data: ChardevUdp };

export type ChardevVC = {
  logfile?: string;
  logappend?: boolean;
  width?: number;
  height?: number;
  cols?: number;
  rows?: number;
};

export type ChardevVCWrapper = { data: ChardevVC };

export type VserportChangeData = { id: string; open: boolean };

export type ChardevAddArguments = { id: string; backend: ChardevBackend };

export type ChardevChangeArguments = { id: string; backend: ChardevBackend };

export type ChardevRemoveArguments = { id: string };

export type ChardevSendBreakArguments = { id: string };

export type RingbufReadArguments = { device: string; size: number; format?: DataFormat };

export type RingbufWriteArguments = { device: string; data: string; format?: DataFormat };

export type QAuthZListFormat = 'exact' | 'glob';

export type QAuthZListPolicy = 'deny' | 'allow';

export type AuthZListFileProperties = { filename: string; refresh?: boolean };

export type AuthZListProperties = { policy?: QAuthZListPolicy; rules?: QAuthZListRule[] };

export type AuthZPAMProperties = { service: string };

export type AuthZSimpleProperties = { identity: string };

export type QAuthZListRule = { match: string; policy: QAuthZListPolicy; format?: QAuthZListFormat };

export type ActionCompletionMode = 'individual' | 'grouped';

export type TransactionActionKind =
  | 'abort'
  | 'block-dirty-bitmap-add'
  | 'block-dirty-bitmap-remove'
  | 'block-dirty-bitmap-clear'
  | 'block-dirty-bitmap-enable'
  | 'block-dirty-bitmap-disable'
  | 'block-dirty-bitmap-merge'
  | 'blockdev-backup'
  | 'blockdev-snapshot'
  | 'blockdev-snapshot-internal-sync'
  | 'blockdev-snapshot-sync'
  | 'drive-backup';

export type Abort = Empty;

export type AbortWrapper = { data: Abort };

export type BlockDirtyBitmapAddWrapper = { data: BlockDirtyBitmapAdd };

export type BlockDirtyBitmapMergeWrapper = { data: BlockDirtyBitmapMerge };

export type BlockDirtyBitmapWrapper = { data: BlockDirtyBitmap };

export type BlockdevBackupWrapper = { data: BlockdevBackup };

export type BlockdevSnapshotInternalWrapper = { data: BlockdevSnapshotInternal };

export type BlockdevSnapshotSyncWrapper = { data: BlockdevSnapshotSync };

export type BlockdevSnapshotWrapper = { data: BlockdevSnapshot };

export type DriveBackupWrapper = { data: DriveBackup };

export type TransactionAction = {} & (
  | ({ type: 'abort' } & AbortWrapper)
  | ({ type: 'block-dirty-bitmap-add' } & BlockDirtyBitmapAddWrapper)
  | ({ type: 'block-dirty-bitmap-remove' } & BlockDirtyBitmapWrapper)
  | ({ type: 'block-dirty-bitmap-clear' } & BlockDirtyBitmapWrapper)
  | ({ type: 'block-dirty-bitmap-enable' } & BlockDirtyBitmapWrapper)
  | ({ type: 'block-dirty-bitmap-disable' } & BlockDirtyBitmapWrapper)
  | ({ type: 'block-dirty-bitmap-merge' } & BlockDirtyBitmapMergeWrapper)
  | ({ type: 'blockdev-backup' } & BlockdevBackupWrapper)
  | ({ type: 'blockdev-snapshot' } & BlockdevSnapshotWrapper)
  | ({ type: 'blockdev-snapshot-internal-sync' } & BlockdevSnapshotInternalWrapper)
  | ({ type: 'blockdev-snapshot-sync' } & BlockdevSnapshotSyncWrapper)
  | ({ type: 'drive-backup' } & DriveBackupWrapper)
);

export type TransactionProperties = { 'completion-mode'?: ActionCompletionMode };

export type TransactionArguments = { actions: TransactionAction[]; properties?: TransactionProperties };

export type MonitorMode = 'readline' | 'control';

export type QMPCapability = 'oob';

export type CommandInfo = { name: string };

export type MonitorOptions = { id?: string; mode?: MonitorMode; pretty?: boolean; chardev: string };

export type VersionInfo = { qemu: VersionTriple; package: string };

export type VersionTriple = { major: number; minor: number; micro: number };

export type QmpCapabilitiesArguments = { enable?: QMPCapability[] };

export type JSONType = 'string' | 'number' | 'int' | 'boolean' | 'null' | 'object' | 'array' | 'value';

export type SchemaMetaType = 'builtin' | 'enum' | 'array' | 'object' | 'alternate' | 'command' | 'event';

export type SchemaInfo = { name: string; features?: string[] } & (
  | ({ 'meta-type': 'builtin' } & SchemaInfoBuiltin)
  | ({ 'meta-type': 'enum' } & SchemaInfoEnum)
  | ({ 'meta-type': 'array' } & SchemaInfoArray)
  | ({ 'meta-type': 'object' } & SchemaInfoObject)
  | ({ 'meta-type': 'alternate' } & SchemaInfoAlternate)
  | ({ 'meta-type': 'command' } & SchemaInfoCommand)
  | ({ 'meta-type': 'event' } & SchemaInfoEvent)
);

export type SchemaInfoAlternate = { members: SchemaInfoAlternateMember[] };

export type SchemaInfoAlternateMember = { type: string };

export type SchemaInfoArray = { 'element-type': string };

export type SchemaInfoBuiltin = { 'json-type': JSONType };

export type SchemaInfoCommand = { 'arg-type': string; 'ret-type': string; 'allow-oob'?: boolean };

export type SchemaInfoEnum = { members: SchemaInfoEnumMember[]; /** deprecated */ values: string[] };

export type SchemaInfoEnumMember = { name: string; features?: string[] };

export type SchemaInfoEvent = { 'arg-type': string };

export type SchemaInfoObject = {
  members: SchemaInfoObjectMember[];
  tag?: string;
  variants?: SchemaInfoObjectVariant[];
};

export type SchemaInfoObjectMember = {
  name: string;
  type: string;
  default?: PlainValue;
  features?: string[];
};

export type SchemaInfoObjectVariant = { case: string; type: string };

export type NetfilterInsert = 'before' | 'behind';

export type ObjectType =
  | 'acpi-generic-initiator'
  | 'authz-list'
  | 'authz-listfile'
  | 'authz-pam'
  | 'authz-simple'
  | 'can-bus'
  | 'can-host-socketcan'
  | 'colo-compare'
  | 'cryptodev-backend'
  | 'cryptodev-backend-builtin'
  | 'cryptodev-backend-lkcf'
  | 'cryptodev-vhost-user'
  | 'dbus-vmstate'
  | 'filter-buffer'
  | 'filter-dump'
  | 'filter-mirror'
  | 'filter-redirector'
  | 'filter-replay'
  | 'filter-rewriter'
  | 'input-barrier'
  | 'input-linux'
  | 'iommufd'
  | 'iothread'
  | 'main-loop'
  | 'memory-backend-epc'
  | 'memory-backend-file'
  | 'memory-backend-memfd'
  | 'memory-backend-ram'
  | 'memory-backend-shm'
  | 'pef-guest'
  | 'pr-manager-helper'
  | 'qtest'
  | 'rng-builtin'
  | 'rng-egd'
  | 'rng-random'
  | 'secret'
  | 'secret_keyring'
  | 'sev-guest'
  | 'sev-snp-guest'
  | 'thread-context'
  | 's390-pv-guest'
  | 'throttle-group'
  | 'tls-creds-anon'
  | 'tls-creds-psk'
  | 'tls-creds-x509'
  | 'tls-cipher-suites'
  | 'x-remote-object'
  | 'x-vfio-user-server';

export type AcpiGenericInitiatorProperties = { 'pci-dev': string; node: number };

export type CanHostSocketcanProperties = { if: string; canbus: string };

export type ColoCompareProperties = {
  primary_in: string;
  secondary_in: string;
  outdev: string;
  iothread: string;
  notify_dev?: string;
  compare_timeout?: number;
  expired_scan_cycle?: number;
  max_queue_size?: number;
  vnet_hdr_support?: boolean;
};

export type CryptodevBackendProperties = {
  queues?: number;
  'throttle-bps'?: number;
  'throttle-ops'?: number;
};

export type CryptodevVhostUserProperties = {
  queues?: number;
  'throttle-bps'?: number;
  'throttle-ops'?: number;
  chardev: string;
};

export type DBusVMStateProperties = { addr: string; 'id-list'?: string };

export type EventLoopBaseProperties = {
  'aio-max-batch'?: number;
  'thread-pool-min'?: number;
  'thread-pool-max'?: number;
};

export type FilterBufferProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
  interval: number;
};

export type FilterDumpProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
  file: string;
  maxlen?: number;
};

export type FilterMirrorProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
  outdev: string;
  vnet_hdr_support?: boolean;
};

export type FilterRedirectorProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
  indev?: string;
  outdev?: string;
  vnet_hdr_support?: boolean;
};

export type FilterRewriterProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
  vnet_hdr_support?: boolean;
};

export type IOMMUFDProperties = { fd?: string };

export type InputBarrierProperties = {
  name: string;
  server?: string;
  port?: string;
  'x-origin'?: string;
  'y-origin'?: string;
  width?: string;
  height?: string;
};

export type InputLinuxProperties = {
  evdev: string;
  grab_all?: boolean;
  repeat?: boolean;
  'grab-toggle'?: GrabToggleKeys;
};

export type IothreadProperties = {
  'aio-max-batch'?: number;
  'thread-pool-min'?: number;
  'thread-pool-max'?: number;
  'poll-max-ns'?: number;
  'poll-grow'?: number;
  'poll-shrink'?: number;
};

export type MainLoopProperties = {
  'aio-max-batch'?: number;
  'thread-pool-min'?: number;
  'thread-pool-max'?: number;
};

export type MemoryBackendEpcProperties = {
  dump?: boolean;
  'host-nodes'?: number[];
  merge?: boolean;
  policy?: HostMemPolicy;
  prealloc?: boolean;
  'prealloc-threads'?: number;
  'prealloc-context'?: string;
  share?: boolean;
  reserve?: boolean;
  size: number;
  'x-use-canonical-path-for-ramblock-id'?: boolean;
};

export type MemoryBackendFileProperties = {
  dump?: boolean;
  'host-nodes'?: number[];
  merge?: boolean;
  policy?: HostMemPolicy;
  prealloc?: boolean;
  'prealloc-threads'?: number;
  'prealloc-context'?: string;
  share?: boolean;
  reserve?: boolean;
  size: number;
  'x-use-canonical-path-for-ramblock-id'?: boolean;
  align?: number;
  offset?: number;
  'discard-data'?: boolean;
  'mem-path': string;
  pmem?: boolean;
  readonly?: boolean;
  rom?: OnOffAuto;
};

export type MemoryBackendMemfdProperties = {
  dump?: boolean;
  'host-nodes'?: number[];
  merge?: boolean;
  policy?: HostMemPolicy;
  prealloc?: boolean;
  'prealloc-threads'?: number;
  'prealloc-context'?: string;
  share?: boolean;
  reserve?: boolean;
  size: number;
  'x-use-canonical-path-for-ramblock-id'?: boolean;
  hugetlb?: boolean;
  hugetlbsize?: number;
  seal?: boolean;
};

export type MemoryBackendProperties = {
  dump?: boolean;
  'host-nodes'?: number[];
  merge?: boolean;
  policy?: HostMemPolicy;
  prealloc?: boolean;
  'prealloc-threads'?: number;
  'prealloc-context'?: string;
  share?: boolean;
  reserve?: boolean;
  size: number;
  'x-use-canonical-path-for-ramblock-id'?: boolean;
};

export type MemoryBackendShmProperties = {
  dump?: boolean;
  'host-nodes'?: number[];
  merge?: boolean;
  policy?: HostMemPolicy;
  prealloc?: boolean;
  'prealloc-threads'?: number;
  'prealloc-context'?: string;
  share?: boolean;
  reserve?: boolean;
  size: number;
  'x-use-canonical-path-for-ramblock-id'?: boolean;
};

export type NetfilterProperties = {
  netdev: string;
  queue?: NetFilterDirection;
  status?: string;
  position?: string;
  insert?: NetfilterInsert;
};

export type ObjectOptions = { id: string } & (
  | ({ 'qom-type': 'acpi-generic-initiator' } & AcpiGenericInitiatorProperties)
  | ({ 'qom-type': 'authz-list' } & AuthZListProperties)
  | ({ 'qom-type': 'authz-listfile' } & AuthZListFileProperties)
  | ({ 'qom-type': 'authz-pam' } & AuthZPAMProperties)
  | ({ 'qom-type': 'authz-simple' } & AuthZSimpleProperties)
  | ({ 'qom-type': 'can-host-socketcan' } & CanHostSocketcanProperties)
  | ({ 'qom-type': 'colo-compare' } & ColoCompareProperties)
  | ({ 'qom-type': 'cryptodev-backend' } & CryptodevBackendProperties)
  | ({ 'qom-type': 'cryptodev-backend-builtin' } & CryptodevBackendProperties)
  | ({ 'qom-type': 'cryptodev-backend-lkcf' } & CryptodevBackendProperties)
  | ({ 'qom-type': 'cryptodev-vhost-user' } & CryptodevVhostUserProperties)
  | ({ 'qom-type': 'dbus-vmstate' } & DBusVMStateProperties)
  | ({ 'qom-type': 'filter-buffer' } & FilterBufferProperties)
  | ({ 'qom-type': 'filter-dump' } & FilterDumpProperties)
  | ({ 'qom-type': 'filter-mirror' } & FilterMirrorProperties)
  | ({ 'qom-type': 'filter-redirector' } & FilterRedirectorProperties)
  | ({ 'qom-type': 'filter-replay' } & NetfilterProperties)
  | ({ 'qom-type': 'filter-rewriter' } & FilterRewriterProperties)
  | ({ 'qom-type': 'input-barrier' } & InputBarrierProperties)
  | ({ 'qom-type': 'input-linux' } & InputLinuxProperties)
  | ({ 'qom-type': 'iommufd' } & IOMMUFDProperties)
  | ({ 'qom-type': 'iothread' } & IothreadProperties)
  | ({ 'qom-type': 'main-loop' } & MainLoopProperties)
  | ({ 'qom-type': 'memory-backend-epc' } & MemoryBackendEpcProperties)
  | ({ 'qom-type': 'memory-backend-file' } & MemoryBackendFileProperties)
  | ({ 'qom-type': 'memory-backend-memfd' } & MemoryBackendMemfdProperties)
  | ({ 'qom-type': 'memory-backend-ram' } & MemoryBackendProperties)
  | ({ 'qom-type': 'memory-backend-shm' } & MemoryBackendShmProperties)
  | ({ 'qom-type': 'pr-manager-helper' } & PrManagerHelperProperties)
  | ({ 'qom-type': 'qtest' } & QtestProperties)
  | ({ 'qom-type': 'rng-builtin' } & RngProperties)
  | ({ 'qom-type': 'rng-egd' } & RngEgdProperties)
  | ({ 'qom-type': 'rng-random' } & RngRandomProperties)
  | ({ 'qom-type': 'secret' } & SecretProperties)
  | ({ 'qom-type': 'secret_keyring' } & SecretKeyringProperties)
  | ({ 'qom-type': 'sev-guest' } & SevGuestProperties)
  | ({ 'qom-type': 'sev-snp-guest' } & SevSnpGuestProperties)
  | ({ 'qom-type': 'thread-context' } & ThreadContextProperties)
  | ({ 'qom-type': 'throttle-group' } & ThrottleGroupProperties)
  | ({ 'qom-type': 'tls-creds-anon' } & TlsCredsAnonProperties)
  | ({ 'qom-type': 'tls-creds-psk' } & TlsCredsPskProperties)
  | ({ 'qom-type': 'tls-creds-x509' } & TlsCredsX509Properties)
  | ({ 'qom-type': 'tls-cipher-suites' } & TlsCredsProperties)
  | ({ 'qom-type': 'x-remote-object' } & RemoteObjectProperties)
  | ({ 'qom-type': 'x-vfio-user-server' } & VfioUserServerProperties)
  | { 'qom-type': 'can-bus' | 'pef-guest' | 's390-pv-guest' }
);

export type ObjectPropertyInfo = {
  name: string;
  type: string;
  description?: string;
  'default-value'?: PlainValue;
};

export type ObjectTypeInfo = { name: string; abstract?: boolean; parent?: string };

export type PrManagerHelperProperties = { path: string };

export type QtestProperties = { chardev: string; log?: string };

export type RemoteObjectProperties = { fd: string; devid: string };

export type RngEgdProperties = { /** deprecated */ opened?: boolean; chardev: string };

export type RngProperties = { /** deprecated */ opened?: boolean };

export type RngRandomProperties = { /** deprecated */ opened?: boolean; filename?: string };

export type SevCommonProperties = {
  'sev-device'?: string;
  cbitpos?: number;
  'reduced-phys-bits': number;
  'kernel-hashes'?: boolean;
};

export type SevGuestProperties = {
  'sev-device'?: string;
  cbitpos?: number;
  'reduced-phys-bits': number;
  'kernel-hashes'?: boolean;
  'dh-cert-file'?: string;
  'session-file'?: string;
  policy?: number;
  handle?: number;
  'legacy-vm-type'?: OnOffAuto;
};

export type SevSnpGuestProperties = {
  'sev-device'?: string;
  cbitpos?: number;
  'reduced-phys-bits': number;
  'kernel-hashes'?: boolean;
  policy?: number;
  'guest-visible-workarounds'?: string;
  'id-block'?: string;
  'id-auth'?: string;
  'author-key-enabled'?: boolean;
  'host-data'?: string;
  'vcek-disabled'?: boolean;
};

export type ThreadContextProperties = { 'cpu-affinity'?: number[]; 'node-affinity'?: number[] };

export type VfioUserServerProperties = { socket: SocketAddress; device: string };

export type ObjectDelArguments = { id: string };

export type QomGetArguments = { path: string; property: string };

export type QomListArguments = { path: string };

export type QomListPropertiesArguments = { typename: string };

export type QomListTypesArguments = { implements?: string; abstract?: boolean };

export type QomSetArguments = { path: string; property: string; value: PlainValue };

/** Arguments and result of each command. */
export interface Commands {
  'job-pause': { arguments: JobPauseArguments; return: Empty };
  'job-resume': { arguments: JobResumeArguments; return: Empty };
  'job-cancel': { arguments: JobCancelArguments; return: Empty };
  'job-complete': { arguments: JobCompleteArguments; return: Empty };
  'job-dismiss': { arguments: JobDismissArguments; return: Empty };
  'job-finalize': { arguments: JobFinalizeArguments; return: Empty };
  'query-jobs': { arguments: Empty; return: JobInfo[] };
  'query-block': { arguments: Empty; return: BlockInfo[] };
  'query-blockstats': { arguments: QueryBlockstatsArguments; return: BlockStats[] };
  'query-block-jobs': { arguments: Empty; return: BlockJobInfo[] };
  block_resize: { arguments: BlockResizeArguments; return: Empty };
  'blockdev-snapshot-sync': { arguments: BlockdevSnapshotSync; return: Empty };
  /** allow-write-only-overlay */ 'blockdev-snapshot': { arguments: BlockdevSnapshot; return: Empty };
  'change-backing-file': { arguments: ChangeBackingFileArguments; return: Empty };
  'block-commit': { arguments: BlockCommitArguments; return: Empty };
  /** deprecated */ 'drive-backup': { arguments: DriveBackup; return: Empty };
  'blockdev-backup': { arguments: BlockdevBackup; return: Empty };
  'query-named-block-nodes': { arguments: QueryNamedBlockNodesArguments; return: BlockDeviceInfo[] };
  /** unstable */ 'x-debug-query-block-graph': { arguments: Empty; return: XDbgBlockGraph };
  'drive-mirror': { arguments: DriveMirror; return: Empty };
  'block-dirty-bitmap-add': { arguments: BlockDirtyBitmapAdd; return: Empty };
  'block-dirty-bitmap-remove': { arguments: BlockDirtyBitmap; return: Empty };
  'block-dirty-bitmap-clear': { arguments: BlockDirtyBitmap; return: Empty };
  'block-dirty-bitmap-enable': { arguments: BlockDirtyBitmap; return: Empty };
  'block-dirty-bitmap-disable': { arguments: BlockDirtyBitmap; return: Empty };
  'block-dirty-bitmap-merge': { arguments: BlockDirtyBitmapMerge; return: Empty };
  /** unstable */ 'x-debug-block-dirty-bitmap-sha256': {
    arguments: BlockDirtyBitmap;
    return: BlockDirtyBitmapSha256;
  };
  'blockdev-mirror': { arguments: BlockdevMirrorArguments; return: Empty };
  'block-stream': { arguments: BlockStreamArguments; return: Empty };
  'block-job-set-speed': { arguments: BlockJobSetSpeedArguments; return: Empty };
  'block-job-cancel': { arguments: BlockJobCancelArguments; return: Empty };
  'block-job-pause': { arguments: BlockJobPauseArguments; return: Empty };
  'block-job-resume': { arguments: BlockJobResumeArguments; return: Empty };
  'block-job-complete': { arguments: BlockJobCompleteArguments; return: Empty };
  'block-job-dismiss': { arguments: BlockJobDismissArguments; return: Empty };
  'block-job-finalize': { arguments: BlockJobFinalizeArguments; return: Empty };
  'block-job-change': { arguments: BlockJobChangeOptions; return: Empty };
  'blockdev-add': { arguments: BlockdevOptions; return: Empty };
  'blockdev-reopen': { arguments: BlockdevReopenArguments; return: Empty };
  'blockdev-del': { arguments: BlockdevDelArguments; return: Empty };
  'blockdev-create': { arguments: BlockdevCreateArguments; return: Empty };
  /** unstable */ 'x-blockdev-amend': { arguments: XBlockdevAmendArguments; return: Empty };
  'block-set-write-threshold': { arguments: BlockSetWriteThresholdArguments; return: Empty };
  /** unstable */ 'x-blockdev-change': { arguments: XBlockdevChangeArguments; return: Empty };
  /** unstable */ 'x-blockdev-set-iothread': { arguments: XBlockdevSetIothreadArguments; return: Empty };
  'blockdev-snapshot-internal-sync': { arguments: BlockdevSnapshotInternal; return: Empty };
  'blockdev-snapshot-delete-internal-sync': {
    arguments: BlockdevSnapshotDeleteInternalSyncArguments;
    return: SnapshotInfo;
  };
  'nbd-server-start': { arguments: NbdServerStartArguments; return: Empty };
  /** deprecated */ 'nbd-server-add': { arguments: NbdServerAddOptions; return: Empty };
  /** deprecated */ 'nbd-server-remove': { arguments: NbdServerRemoveArguments; return: Empty };
  'nbd-server-stop': { arguments: Empty; return: Empty };
  'block-export-add': { arguments: BlockExportOptions; return: Empty };
  'block-export-del': { arguments: BlockExportDelArguments; return: Empty };
  'query-block-exports': { arguments: Empty; return: BlockExportInfo[] };
  'query-chardev': { arguments: Empty; return: ChardevInfo[] };
  'query-chardev-backends': { arguments: Empty; return: ChardevBackendInfo[] };
  'ringbuf-write': { arguments: RingbufWriteArguments; return: Empty };
  'ringbuf-read': { arguments: RingbufReadArguments; return: string };
  'chardev-add': { arguments: ChardevAddArguments; return: ChardevReturn };
  'chardev-change': { arguments: ChardevChangeArguments; return: ChardevReturn };
  'chardev-remove': { arguments: ChardevRemoveArguments; return: Empty };
  'chardev-send-break': { arguments: ChardevSendBreakArguments; return: Empty };
  transaction: { arguments: TransactionArguments; return: Empty };
  qmp_capabilities: { arguments: QmpCapabilitiesArguments; return: Empty };
  'query-version': { arguments: Empty; return: VersionInfo };
  'query-commands': { arguments: Empty; return: CommandInfo[] };
  quit: { arguments: Empty; return: Empty };
  'query-qmp-schema': { arguments: Empty; return: SchemaInfo[] };
  'qom-list': { arguments: QomListArguments; return: ObjectPropertyInfo[] };
  'qom-get': { arguments: QomGetArguments; return: PlainValue };
  'qom-set': { arguments: QomSetArguments; return: Empty };
  'qom-list-types': { arguments: QomListTypesArguments; return: ObjectTypeInfo[] };
  'qom-list-properties': { arguments: QomListPropertiesArguments; return: ObjectPropertyInfo[] };
  'object-add': { arguments: ObjectOptions; return: Empty };
  'object-del': { arguments: ObjectDelArguments; return: Empty };
}

/** Data of each event. */
export interface Events {
  JOB_STATUS_CHANGE: JobStatusChangeData;
  BLOCK_IMAGE_CORRUPTED: BlockImageCorruptedData;
  BLOCK_IO_ERROR: BlockIoErrorData;
  BLOCK_JOB_COMPLETED: BlockJobCompletedData;
  BLOCK_JOB_CANCELLED: BlockJobCancelledData;
  BLOCK_JOB_ERROR: BlockJobErrorData;
  BLOCK_JOB_READY: BlockJobReadyData;
  BLOCK_JOB_PENDING: BlockJobPendingData;
  BLOCK_WRITE_THRESHOLD: BlockWriteThresholdData;
  QUORUM_FAILURE: QuorumFailureData;
  QUORUM_REPORT_BAD: QuorumReportBadData;
  BLOCK_EXPORT_DELETED: BlockExportDeletedData;
  VSERPORT_CHANGE: VserportChangeData;
}

export type CommandName = keyof Commands;
export type EventName = keyof Events;
