/** luks: an encrypted container (LUKS1). Its header is read here, its data is decrypted in the data plane. */
import type { CipherHandle } from '../../engine/crypto';
import type { NodeHandle } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import { Permission } from '../../files/locks';
import type { CreateOption, CreateValues } from '../api';
import { GraphError } from '../errors';
import { createLuksImage } from '../images/createluks';
import { amendKeys } from '../luks/amend';
import { AMEND_OPTIONS, amendValues, keyAmendment } from '../images/amendluks';
import { makeCipher } from '../luks/cipherspec';
import { LuksContainer } from '../luks/container';
import { SECTOR } from '../luks/header';
import { Luks2Container } from '../luks/luks2';
import { looksLikeLuks2 } from '../luks/luks2header';
import { nodeStorage, type HeaderStorage } from '../luks/storage';
import { Role, type BlockNode } from '../node';
import type { QCryptoBlockAmendOptionsLUKS } from '../../qapi/types.generated';
import type { Options } from '../options';
import { refreshPermissions } from '../permissions';
import type { Secrets } from '../secrets';
import type { Driver, OpenContext, ImageMaker } from './driver';

const KEY_SECRET = 'key-secret';

/** What is kept of an open container. Its keys are in the data plane alone. */
interface Opened {
  container: LuksContainer;
  secrets: Secrets;
  /** The id of the secret that opened it; null: it was opened for information only. */
  keySecret: string | null;
}

const opened = new WeakMap<BlockNode, Opened>();
/** Open containers of version 2, which are only read. */
const newer = new WeakMap<BlockNode, Luks2Container>();
/** Containers whose key slots are being changed. */
const updating = new WeakSet<BlockNode>();

/** The passphrase that the options name; null: none is needed. */
function takePassword(
  options: Options,
  secrets: Secrets,
  noIo: boolean,
): { id: string | null; password: Uint8Array } {
  const id = options.takeText(KEY_SECRET) ?? null;
  if (noIo) return { id, password: new Uint8Array(0) };
  if (id === null) throw new GraphError("Parameter 'key-secret' is required for cipher");
  return { id, password: secrets.lookupText(id) };
}

/** The cipher of the payload, for whoever knows the passphrase. */
async function unlock(
  context: OpenContext,
  container: LuksContainer,
  password: Uint8Array,
): Promise<CipherHandle> {
  const key = await container.unlock(password);
  try {
    return await makeCipher(context.engine.crypto, container.header.cipher, key);
  } finally {
    key.fill(0);
  }
}

/** Opens a container of version 2, which QEMU does not know. */
async function openLuks2(
  context: OpenContext,
  file: BlockNode,
  storage: HeaderStorage,
  password: Uint8Array,
): Promise<NodeHandle> {
  const { engine, node } = context;
  const container = await Luks2Container.open(context, storage);
  if (!node.readOnly) throw new GraphError('LUKS2 containers can only be read');
  const { offset: start, size, firstSector } = container.header.payload;
  const end = start + (size ?? 0);
  if (end > file.length()) throw new GraphError('LUKS2 header: the segment is behind the end of the file');
  const cipher = node.noIo ? null : await container.unlock(password);
  const payload = { start, firstSector, readOnly: true, ...(size !== null && { size }) };
  newer.set(node, container);
  return engine.crypto.openLuks(file.handle, cipher, payload);
}

const CREATE_OPTIONS: readonly CreateOption[] = [
  { name: 'size', type: 'size', help: 'Virtual disk size' },
  { name: 'key-secret', type: 'str', help: 'ID of the secret that provides the keyslot passphrase' },
  { name: 'cipher-alg', type: 'str', help: 'Name of encryption cipher algorithm' },
  { name: 'cipher-mode', type: 'str', help: 'Name of encryption cipher mode' },
  { name: 'ivgen-alg', type: 'str', help: 'Name of IV generator algorithm' },
  { name: 'ivgen-hash-alg', type: 'str', help: 'Name of IV generator hash algorithm' },
  { name: 'hash-alg', type: 'str', help: 'Name of encryption hash algorithm' },
  { name: 'iter-time', type: 'num', help: 'Time to spend in PBKDF in milliseconds' },
  { name: 'detached-header', type: 'bool', help: 'Create a detached LUKS header' },
];

/** Changes key slots; meanwhile nobody else may look at the container. */
async function changeKeys(
  node: BlockNode,
  options: QCryptoBlockAmendOptionsLUKS,
  force: boolean,
): Promise<void> {
  const state = opened.get(node);
  if (!state) throw new GraphError('LUKS2 containers can only be read');
  const { container, secrets, keySecret } = state;
  updating.add(node);
  try {
    await refreshPermissions([node]);
    await amendKeys({ container, secrets, openedWith: keySecret, force }, options);
  } finally {
    updating.delete(node);
    await refreshPermissions([node]);
  }
}

export const luks: Driver = {
  name: 'luks',
  protocol: false,
  prefixes: [],
  filter: false,
  backing: false,
  needsFilename: false,
  strongOptions: [KEY_SECRET],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options, secrets } = context;
    const file = await context.openChild('file', Role.METADATA | Role.DATA | Role.PRIMARY, true);
    const apart = await context.openChild('header', Role.METADATA, false);
    const { id, password } = takePassword(options, secrets, node.noIo);
    const holder = apart ?? file;
    const storage = nodeStorage(engine, holder.handle);
    if (!apart && (await looksLikeLuks2(storage))) return openLuks2(context, file, storage, password);
    const container = await LuksContainer.open(context, storage, apart !== null);
    const start = container.header.payloadSector * SECTOR;
    const cipher = node.noIo ? null : await unlock(context, container, password);
    try {
      if (start > file.length()) {
        const reason = strerror(Errno.EIO);
        throw new GraphError(`Could not refresh total sector count: ${reason}`, { errno: Errno.EIO });
      }
      const handle = engine.crypto.openLuks(file.handle, cipher, { start, readOnly: node.readOnly });
      opened.set(node, { container, secrets, keySecret: id });
      return handle;
    } catch (error) {
      if (cipher !== null) engine.crypto.free(cipher);
      throw error;
    }
  },
  childPermissions(node, _link, usual, cumulative) {
    const changes = Permission.WRITE | Permission.RESIZE;
    // The header does not change while data is used, so whoever shares writing may write to the file, too.
    const perm = (usual.perm & ~changes) | (cumulative.perm & changes);
    const shared = usual.shared | (cumulative.shared & changes);
    return updating.has(node)
      ? { perm: perm | Permission.WRITE, shared: shared & ~(Permission.CONSISTENT_READ | Permission.WRITE) }
      : { perm, shared };
  },
  // Which secret opened it cannot be changed; everything else is the file's.
  reopen: () => undefined,
  details: () => ({ clusterSize: 0, dirty: false }),
  specific(node) {
    const container = opened.get(node)?.container ?? newer.get(node);
    return container ? { type: 'luks', data: container.info() } : null;
  },
  encrypted: () => true,
  async amend(node, options, force) {
    if (options.driver === 'luks') await changeKeys(node, options, force);
  },
  imageAmend: {
    options: AMEND_OPTIONS,
    start: (node, values, force) =>
      keyAmendment(amendValues(values), (options) => changeKeys(node, options, force)),
  },
  createOptions: CREATE_OPTIONS,
  async createImage(maker: ImageMaker, filename: string, values: CreateValues) {
    await createLuksImage(maker, filename, values);
  },
};
