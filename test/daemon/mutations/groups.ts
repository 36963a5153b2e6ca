/** The requests that are mutated: exports, character devices, objects. */
import type { MutationGroup } from './mutations';

const SERVER = 'nbd-server-start {"addr":{"type":"unix","data":{"path":"n.sock"}}}';
const EXPORTED = ['query-block-exports', 'block-export-del {"id":"e"}', 'block-export-del {"id":"x"}'];
const NODES = [
  'blockdev-add {"driver":"qcow2","node-name":"q","file":{"driver":"file","filename":"a.qcow2"}}',
  'blockdev-add {"driver":"null-co","node-name":"n","size":1048576}',
  'blockdev-add {"driver":"file","node-name":"ro","filename":"r.img","read-only":true}',
  'object-add {"qom-type":"iothread","id":"io0"}',
];
const IMAGES = [
  'qemu-img create -q -f qcow2 a.qcow2 1M',
  'qemu-img bitmap --add a.qcow2 b',
  'qemu-img bitmap --disable a.qcow2 b',
  'truncate -s 1M r.img',
];

type Members = MutationGroup['requests'][number]['good'];

const server = (addr: Members) => ({
  command: 'nbd-server-start',
  good: { addr, 'tls-authz': 'az', 'max-connections': 3 },
  after: ['nbd-server-stop'],
});

const chardev = (type: string, data: Members) => ({
  command: 'chardev-add',
  good: { id: 'o', backend: { type, data } },
  after: ['o', 'x', ''].map((id) => `chardev-remove {"id":"${id}"}`),
});

const object = (type: string, properties: Members) => ({
  command: 'object-add',
  good: { 'qom-type': type, id: 'o', ...properties },
  after: [
    ...Object.keys(properties)
      // What a secret is nobody is told.
      .filter((property) => property !== 'data')
      .map((property) => `qom-get {"path":"o","property":"${property}"}`),
    'object-del {"id":"o"}',
    'object-del {"id":"x"}',
  ],
});

export const MUTATION_GROUPS: readonly MutationGroup[] = [
  {
    name: 'servers',
    before: ['object-add {"qom-type":"authz-simple","id":"az","identity":"x"}'],
    requests: [
      server({ type: 'unix', data: { path: 'n.sock', abstract: false, tight: true } }),
      server({
        type: 'inet',
        data: { host: '127.0.0.1', port: '0', numeric: true, to: 2, ipv4: true, ipv6: false },
      }),
      server({ type: 'fd', data: { str: '999' } }),
    ],
  },
  {
    name: 'exports',
    files: IMAGES,
    before: [...NODES, SERVER],
    requests: [
      {
        command: 'block-export-add',
        good: {
          type: 'nbd',
          id: 'e',
          'node-name': 'q',
          name: 'nm',
          description: 'ds',
          writable: true,
          writethrough: true,
          iothread: 'io0',
          'fixed-iothread': true,
          'allocation-depth': true,
          bitmaps: ['b'],
        },
        after: EXPORTED,
      },
      {
        command: 'block-export-add',
        good: { type: 'nbd', id: 'e', 'node-name': 'q', bitmaps: [{ node: 'q', name: 'b' }] },
        after: EXPORTED,
      },
      {
        command: 'nbd-server-add',
        good: { device: 'q', name: 'e', description: 'd', writable: true, bitmap: 'b' },
        after: EXPORTED,
      },
      { command: 'block-export-del', good: { id: 'e', mode: 'hard' } },
      { command: 'nbd-server-remove', good: { name: 'e', mode: 'safe' } },
      { command: 'query-block-exports', good: {} },
      { command: 'nbd-server-stop', good: {} },
    ],
  },
  {
    name: 'chardevs',
    before: ['chardev-add {"id":"b0","backend":{"type":"null","data":{}}}'],
    requests: [
      chardev('pipe', { device: 'nope' }),
      chardev('null', { logfile: 'l', logappend: true }),
      chardev('file', { out: 'o', append: true, logfile: 'l' }),
      chardev('ringbuf', { size: 16 }),
      chardev('memory', { size: 16 }),
      chardev('mux', { chardev: 'b0' }),
      chardev('udp', {
        remote: { type: 'inet', data: { host: '127.0.0.1', port: '9' } },
        local: { type: 'inet', data: { host: '127.0.0.1', port: '0' } },
      }),
      chardev('socket', {
        addr: { type: 'unix', data: { path: 's.sock' } },
        server: true,
        nodelay: true,
        telnet: false,
        tn3270: false,
        websocket: false,
        'tls-authz': 'z',
      }),
      chardev('socket', { addr: { type: 'unix', data: { path: 'nope.sock' } }, server: false }),
      ...['msmouse', 'wctablet', 'testdev', 'braille', 'console'].map((type) => chardev(type, {})),
      chardev('vc', { width: 1, height: 2, cols: 3, rows: 4 }),
      chardev('spicevmc', { type: 'x' }),
      chardev('spiceport', { fqdn: 'x' }),
      chardev('qemu-vdagent', { mouse: true, clipboard: false }),
      chardev('dbus', { name: 'x' }),
      { command: 'chardev-change', good: { id: 'b0', backend: { type: 'null', data: {} } } },
      { command: 'chardev-send-break', good: { id: 'b0' } },
      { command: 'chardev-remove', good: { id: 'b1' } },
      {
        command: 'ringbuf-write',
        good: { device: 'r', data: 'eA==', format: 'base64' },
        after: ['chardev-add {"id":"r","backend":{"type":"ringbuf","data":{"size":16}}}'],
      },
      { command: 'ringbuf-read', good: { device: 'r', size: 3, format: 'utf8' } },
    ],
  },
  {
    name: 'secrets and loops',
    before: ['object-add {"qom-type":"secret","id":"s0","data":"abc"}'],
    requests: [
      object('secret', { data: 'YWJj', format: 'base64', keyid: 's0', iv: 'AAAA' }),
      object('secret', { data: 'YWJj', format: 'raw' }),
      object('iothread', { 'poll-max-ns': 1, 'poll-grow': 2, 'poll-shrink': 3, 'aio-max-batch': 4 }),
      object('iothread', { 'thread-pool-min': 1, 'thread-pool-max': 3 }),
      object('throttle-group', {
        limits: { 'iops-total': 10, 'iops-total-max': 20, 'iops-total-max-length': 2, 'iops-size': 4096 },
      }),
      object('throttle-group', { 'x-bps-read': 5, 'x-bps-read-max': 10, 'x-iops-size': 0 }),
    ],
  },
  {
    // Once it is there it stays.
    name: 'main loop',
    requests: [object('main-loop', { 'aio-max-batch': 4, 'thread-pool-min': 1, 'thread-pool-max': 3 })],
  },
  {
    name: 'authorization and credentials',
    files: ['printf "joe:0102030405\\n" > keys.psk'],
    requests: [
      object('authz-simple', { identity: 'x' }),
      object('authz-list', { policy: 'deny', rules: [{ match: 'x', policy: 'allow', format: 'exact' }] }),
      object('authz-pam', { service: 's' }),
      object('tls-creds-anon', { endpoint: 'server', 'verify-peer': true, priority: 'NORMAL' }),
      object('tls-creds-psk', { dir: '.', endpoint: 'client', username: 'joe' }),
      object('tls-creds-x509', { dir: 'd', endpoint: 'server', 'sanity-check': true, passwordid: 's0' }),
      object('rng-random', { filename: 'f' }),
      object('memory-backend-ram', { size: 4096, share: true }),
      object('qtest', { chardev: 'c', log: 'l', yy: 1, xx: 2, ww: 3 }),
      object('can-bus', {}),
    ],
  },
  {
    name: 'the object model',
    before: [
      'object-add {"qom-type":"throttle-group","id":"g","limits":{"iops-total":10}}',
      'object-add {"qom-type":"iothread","id":"io"}',
      'object-add {"qom-type":"authz-list","id":"al"}',
    ],
    requests: [
      { command: 'qom-list', good: { path: '/objects' } },
      { command: 'qom-get', good: { path: '/objects/g', property: 'x-iops-total' } },
      {
        command: 'qom-set',
        good: { path: 'g', property: 'limits', value: { 'bps-read': 5, 'bps-read-max': 10 } },
        after: ['qom-get {"path":"g","property":"limits"}'],
      },
      {
        command: 'qom-set',
        good: { path: 'io', property: 'poll-max-ns', value: 7 },
        after: ['qom-get {"path":"io","property":"poll-max-ns"}'],
      },
      {
        command: 'qom-set',
        good: { path: 'al', property: 'rules', value: [{ match: 'x', policy: 'allow' }] },
        after: ['qom-get {"path":"al","property":"rules"}'],
      },
      { command: 'qom-list-properties', good: { typename: 'iothread' } },
      { command: 'object-del', good: { id: 'nope' } },
    ],
  },
  {
    name: 'bitmaps and nodes',
    files: IMAGES,
    before: NODES,
    requests: [
      {
        command: 'block-dirty-bitmap-add',
        good: { node: 'q', name: 'c', granularity: 65536, persistent: true, disabled: true },
        after: ['block-dirty-bitmap-remove {"node":"q","name":"c"}'],
      },
      ...['remove', 'clear', 'enable', 'disable'].map((verb) => ({
        command: `block-dirty-bitmap-${verb}`,
        good: { node: 'n', name: 'c' },
        after: ['block-dirty-bitmap-add {"node":"n","name":"c"}'],
      })),
      {
        command: 'block-dirty-bitmap-merge',
        good: { node: 'q', target: 'b', bitmaps: ['b', { node: 'n', name: 'c' }] },
        fatal: /"bitmaps":\[\]/,
      },
      { command: 'x-debug-block-dirty-bitmap-sha256', good: { node: 'q', name: 'b' } },
      { command: 'block_resize', good: { 'node-name': 'q', size: 1048576 } },
      { command: 'block_resize', good: { device: 'q', size: 1048576 } },
      {
        command: 'block-set-write-threshold',
        good: { 'node-name': 'n', 'write-threshold': 5 },
        after: ['block-set-write-threshold {"node-name":"n","write-threshold":0}'],
      },
      { command: 'change-backing-file', good: { device: 'q', 'image-node-name': 'q', 'backing-file': 'x' } },
      { command: 'x-blockdev-change', good: { parent: 'q', child: 'file', node: 'n' } },
      { command: 'x-blockdev-set-iothread', good: { 'node-name': 'n', iothread: 'io0', force: false } },
      { command: 'blockdev-del', good: { 'node-name': 'zz' } },
      { command: 'blockdev-snapshot', good: { node: 'n', overlay: 'ro' } },
      {
        command: 'blockdev-snapshot-internal-sync',
        good: { device: 'n', name: 's' },
      },
      {
        command: 'blockdev-snapshot-delete-internal-sync',
        good: { device: 'q', id: '1', name: 's' },
      },
      { command: 'query-named-block-nodes', good: { flat: 1 } },
      { command: 'query-blockstats', good: { 'query-nodes': 1 } },
    ],
  },
  {
    name: 'jobs',
    files: IMAGES,
    before: NODES,
    requests: [
      ...['pause', 'resume', 'complete', 'finalize', 'dismiss'].map((verb) => ({
        command: `job-${verb}`,
        good: { id: 'j' },
      })),
      { command: 'job-cancel', good: { id: 'j' } },
      ...['pause', 'resume', 'complete'].map((verb) => ({
        command: `block-job-${verb}`,
        good: { device: 'j' },
      })),
      ...['finalize', 'dismiss'].map((verb) => ({ command: `block-job-${verb}`, good: { id: 'j' } })),
      { command: 'block-job-cancel', good: { device: 'j', force: true } },
      { command: 'block-job-set-speed', good: { device: 'j', speed: 5 } },
      { command: 'block-job-change', good: { id: 'j', type: 'mirror', 'copy-mode': 'write-blocking' } },
      {
        command: 'block-stream',
        good: {
          'job-id': 'j',
          device: 'zz',
          'base-node': 'b',
          speed: 1,
          'on-error': 'stop',
          'filter-node-name': 'f',
          'auto-finalize': true,
          'auto-dismiss': true,
        },
      },
      {
        command: 'block-stream',
        good: { 'job-id': 'j', device: 'q', base: 'zz', bottom: 'n', 'backing-file': 'x' },
      },
      {
        command: 'block-commit',
        good: {
          'job-id': 'j',
          device: 'q',
          'base-node': 'n',
          'top-node': 'ro',
          speed: 1,
          'on-error': 'stop',
        },
      },
      {
        command: 'block-commit',
        good: { 'job-id': 'j', device: 'q', base: 'x', top: 'y', 'backing-file': 'z' },
      },
      {
        command: 'blockdev-mirror',
        good: {
          'job-id': 'j',
          device: 'n',
          target: 'zz',
          replaces: 'q',
          sync: 'full',
          speed: 1,
          granularity: 65536,
          'buf-size': 65536,
          'on-source-error': 'stop',
          'on-target-error': 'report',
          'copy-mode': 'background',
        },
      },
      {
        command: 'drive-mirror',
        good: {
          'job-id': 'j',
          device: 'n',
          target: '/nope/t.img',
          format: 'raw',
          'node-name': 'm',
          sync: 'full',
          mode: 'existing',
          unmap: true,
        },
      },
      {
        command: 'blockdev-backup',
        good: {
          'job-id': 'j',
          device: 'n',
          target: 'zz',
          sync: 'bitmap',
          speed: 1,
          bitmap: 'b',
          'bitmap-mode': 'always',
          compress: true,
          'x-perf': { 'use-copy-range': true, 'max-workers': 2, 'max-chunk': 65536 },
        },
      },
      {
        command: 'drive-backup',
        good: {
          'job-id': 'j',
          device: 'n',
          target: '/nope/t.img',
          format: 'raw',
          sync: 'full',
          mode: 'existing',
        },
      },
      {
        command: 'transaction',
        good: {
          actions: [
            { type: 'block-dirty-bitmap-add', data: { node: 'n', name: 'x' } },
            { type: 'blockdev-backup', data: { 'job-id': 'j', device: 'n', target: 'zz', sync: 'full' } },
            { type: 'abort', data: {} },
          ],
          properties: { 'completion-mode': 'grouped' },
        },
      },
    ],
  },
];
