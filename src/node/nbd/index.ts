/** qemu-nbd: one image, served until its clients have gone. */
import { unlinkSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { exportBitmap } from '../../daemon/exports/bitmaps';
import type { ObjectTable } from '../../daemon/objects/table';
import { Permission } from '../../files/locks';
import { checkUsable } from '../../graph/bitmaps';
import { BlockGraph, type BlockUser, type CacheMode } from '../../graph/index';
import { NbdServer, type NbdExport, type Upgrade } from '../../nbd/index';
import type { SocketAddress } from '../../qapi/index';
import { toFailure, ToolExit, ToolFailure, ToolHelp, step } from '../../tools/failure';
import { ToolObjects } from '../../tools/objects';
import { splitOptions } from '../../tools/optionlist';
import { versionText } from '../../tools/version';
import { goOnInBackground, isInBackground, isReady } from '../background';
import { nodeTls } from '../tls/index';
import { nodeEnvironment, turn } from '../environment';
import { listenOn } from '../listen';
import { strerrorOf } from '../strerror';
import { readCommandLine, type NbdCommandLine } from './commandline';
import { nbdHelp } from './help';
import { listOf } from './list';
import { overTemporaryFile } from './snapshot';

/** Resolves with the exit code when the server has ended. */
export async function runNbd(words: string[]): Promise<number> {
  try {
    const line = await readCommandLine(words);
    if (line.print !== null) {
      process.stdout.write(line.print === 'help' ? nbdHelp() : versionText('qemu-nbd'));
      return 0;
    }
    if (line.list) {
      process.stdout.write(await list(line));
      return 0;
    }
    return line.fork && !isInBackground() ? await goOnInBackground() : await serve(line);
  } catch (error) {
    if (error instanceof ToolHelp) process.stdout.write(error.text);
    if (error instanceof ToolExit) return error.code;
    const failure = toFailure(error);
    process.stderr.write([`qemu-nbd: ${failure.message}`, ...failure.hints, ''].join('\n'));
    return failure.code;
  }
}

/** Cache modes that pass the cache of the host by. */
const DIRECT: readonly CacheMode[] = ['none', 'off', 'directsync'];

/** Where the server is, or is to be. */
function addressOf({ socket, bind, port, passedSocket }: NbdCommandLine): SocketAddress {
  if (passedSocket !== null) return { type: 'fd', str: String(passedSocket) };
  return socket === null ? { type: 'inet', host: bind, port } : { type: 'unix', path: socket };
}

/** What a server exports. */
async function list(line: NbdCommandLine): Promise<string> {
  const address = addressOf(line);
  const { creds, hostname } = line.tls;
  if (line.objects.length === 0 && creds === undefined) return listOf(address, null);
  const graph = new BlockGraph(await nodeEnvironment());
  try {
    const objects = await makeObjects(graph, line);
    const named = hostname ?? (address.type === 'inet' ? address.host : null);
    const upgrade = creds === undefined ? null : credentials(() => objects.connectTls(creds, named));
    return await listOf(address, upgrade);
  } finally {
    await graph.close();
  }
}

async function makeObjects(graph: BlockGraph, { objects: texts }: NbdCommandLine): Promise<ObjectTable> {
  const objects = new ToolObjects(graph, nodeTls, []);
  for (const text of texts) await objects.add(text);
  return objects.table;
}

function credentials(find: () => Upgrade): Upgrade {
  try {
    return find();
  } catch (error) {
    throw toFailure(error).prefixed('Failed to get TLS creds: ');
  }
}

async function serve(line: NbdCommandLine): Promise<number> {
  const environment = await nodeEnvironment();
  const graph = new BlockGraph({
    ...environment,
    warn: (text) => void process.stderr.write(`qemu-nbd: warning: ${text}\n`),
    notice: (text) => void process.stderr.write(`${text}\n`),
  });
  let ended: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (ended = resolve));
  const alive = setInterval(() => undefined, 0x7fffffff);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ended());
  let server: NbdServer | null = null;
  let pidFile: string | null = null;
  try {
    const objects = await makeObjects(graph, line);
    const { creds, authz } = line.tls;
    const started = (server = new NbdServer(
      {
        engine: environment.engine,
        turn,
        held: () => null,
        log: (text) => void process.stderr.write(`qemu-nbd: ${text}\n`),
      },
      {
        maxConnections: line.shared,
        handshakeSeconds: line.handshakeSeconds,
        ...(creds !== undefined && { upgrade: credentials(() => objects.acceptTls(creds, authz)) }),
      },
    ));
    // The socket comes first: who connects meanwhile is served later.
    const early: (() => void)[] = [];
    let accept = (begin: () => void): void => void early.push(begin);
    let clients = 0;
    started.listenOn(
      await listenOn(addressOf(line), (stream) =>
        accept(() => {
          clients++;
          void started.connect(stream).then(() => {
            if (--clients === 0 && !line.persistent) ended();
          });
        }),
      ),
    );
    started.add(await open(graph, line));
    accept = (begin) => begin();
    for (const begin of early) begin();
    if (line.pidFile !== null) {
      writePidFile(line.pidFile);
      pidFile = resolve(line.pidFile);
    }
    isReady();
    await over;
    return 0;
  } finally {
    clearInterval(alive);
    await server?.close();
    await graph.close();
    if (pidFile !== null) unlinkSync(pidFile);
  }
}

function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new ToolFailure(`Could not create '${path}': ${strerrorOf(error)}`);
  }
}

async function open(graph: BlockGraph, line: NbdCommandLine): Promise<NbdExport> {
  const { image, format, imageOptions } = line;
  if (imageOptions && format !== null) throw new ToolFailure('--image-opts and -f are mutually exclusive');
  const writable = !line.readOnly;
  const perm = Permission.CONSISTENT_READ | (writable ? Permission.WRITE : 0);
  const permissions = { perm, shared: Permission.ALL };
  const onTop = line.snapshotFile;
  const opened = await step(`Failed to blk_new_open '${image}': `, async () => {
    if (line.aio === 'native' && !DIRECT.includes(line.cache)) {
      throw new ToolFailure(
        'aio=native was specified, but it requires cache.direct=on, which was not specified.',
      );
    }
    const user = await graph.openImage({
      ...(imageOptions
        ? {
            options: Object.fromEntries(
              splitOptions(image, 'file').map(({ key, value }) => [key, value ?? 'on']),
            ),
          }
        : { filename: image }),
      ...(format !== null && { format }),
      readOnly: line.readOnly || onTop,
      cache: line.cache,
      discard: line.discard,
      ...(!onTop && { detectZeroes: line.detectZeroes }),
      permissions: onTop ? { perm: Permission.CONSISTENT_READ, shared: Permission.ALL } : permissions,
    });
    return onTop ? overTemporaryFile(graph, user, line.readOnly, permissions) : user;
  });
  if (line.snapshot) showSnapshot(opened, line.snapshot);
  const device = line.offset === 0n ? opened : await behind(graph, opened, line, permissions);
  // Its size is told to clients once.
  await device.setPermissions(perm, Permission.ALL & ~Permission.RESIZE);
  const bitmaps = line.bitmaps.map((name) => {
    const bitmap = graph.bitmaps.below(device.node.name, name);
    if (!bitmap) throw new ToolFailure(`Bitmap '${name}' is not found`);
    checkUsable(bitmap, { readOnly: 'allowed' });
    return exportBitmap(bitmap);
  });
  const size = device.length();
  return {
    name: line.name,
    description: line.description,
    size: size - (size % 512),
    writable,
    writeThrough: line.cache === 'writethrough' || line.cache === 'directsync',
    minBlock: device.node.requestAlignment,
    device,
    allocationDepth: line.allocationDepth,
    bitmaps,
  };
}

function showSnapshot(user: BlockUser, wanted: { id?: string; name?: string }): void {
  const snapshots = user.snapshots();
  if (!snapshots) {
    throw new ToolFailure(
      `Failed to load snapshot: Block format '${user.node.driver}' used by device '' does not support temporarily loading internal snapshots`,
    );
  }
  const list = snapshots.list();
  const index = list.findIndex(({ id, name }) =>
    wanted.id === wanted.name
      ? id === wanted.id || name === wanted.name
      : (wanted.id === undefined || id === wanted.id) && (wanted.name === undefined || name === wanted.name),
  );
  if (index < 0) throw new ToolFailure("Failed to load snapshot: Can't find snapshot");
  snapshots.show(index);
}

/** The image from an offset on. */
async function behind(
  graph: BlockGraph,
  opened: BlockUser,
  { offset, readOnly, discard }: NbdCommandLine,
  permissions: { perm: number; shared: number },
): Promise<BlockUser> {
  const length = opened.length();
  const signed = BigInt.asIntN(64, offset);
  if (signed < 0n) throw new ToolFailure(`Value '${signed}' is out of range for parameter 'offset'`);
  if (signed > length) {
    throw new ToolFailure(
      `Offset (${signed}) cannot be greater than size of the containing file (${length})`,
    );
  }
  const options = { driver: 'raw', 'node-name': 'window', offset: Number(signed), file: opened.node.name };
  await graph.blockdevAdd({ ...options, 'read-only': readOnly, discard });
  const user = await graph.attach({ nodeName: 'window' }, permissions);
  await opened.close();
  return user;
}
