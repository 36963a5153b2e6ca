/** Encryption of qcow2 images: a LUKS container inside of them, or the old AES encryption, whose key is the passphrase. */
import type { NodeHandle } from '../../engine/contract';
import type { CipherHandle } from '../../engine/crypto';
import type {
  ImageInfoSpecificQCow2Encryption,
  QCryptoBlockAmendOptionsLUKS,
  QCryptoBlockCreateOptions,
} from '../../qapi/types.generated';
import { GraphError } from '../errors';
import { newContainer } from '../images/createluks';
import { amendKeys } from '../luks/amend';
import { makeCipher } from '../luks/cipherspec';
import { LuksContainer } from '../luks/container';
import { payloadOffset } from '../luks/header';
import { nodeStorage } from '../luks/storage';
import type { BlockNode } from '../node';
import type { Options } from '../options';
import type { Secrets } from '../secrets';
import type { ImageMaker, OpenContext } from './driver';

/** Encryption methods of a header. */
const AES = 1;
const LUKS = 2;
/** Bytes of the key of the old encryption: those of the passphrase, filled up with zeros. */
const AES_KEY_BYTES = 16;

/** What options say of encryption. */
export interface GivenEncryption {
  format?: string;
  keySecret?: string;
}

export function takeEncryption(options: Options): GivenEncryption {
  const format = options.takeText('encrypt.format');
  const keySecret = options.takeText('encrypt.key-secret');
  return { ...(format !== undefined && { format }), ...(keySecret !== undefined && { keySecret }) };
}

/** What is kept of an open image with a container. */
interface Opened {
  container: LuksContainer;
  secrets: Secrets;
  keySecret: string | null;
}

const opened = new WeakMap<BlockNode, Opened>();

/** Throws if the options speak of another encryption than the header. */
function checkFormat(method: number, { format }: GivenEncryption): void {
  if (format === undefined) return;
  if (method === 0) {
    throw new GraphError(`No encryption in image header, but options specified format '${format}'`);
  }
  const found = method === AES ? 'aes' : 'luks';
  if (format !== found) {
    throw new GraphError(`Header reported '${found}' encryption format but options specify '${format}'`);
  }
}

function passwordOf({ keySecret }: GivenEncryption, secrets: Secrets): Uint8Array {
  if (keySecret === undefined) throw new GraphError("Parameter 'encrypt.key-secret' is required for cipher");
  return secrets.lookupText(keySecret);
}

/** Lets data of an image that was just opened be read and written, if it is encrypted. */
export async function unlockImage(
  context: OpenContext,
  image: { handle: NodeHandle; file: BlockNode; method: number },
  given: GivenEncryption,
): Promise<void> {
  const { engine, node, secrets } = context;
  const { handle, file, method } = image;
  checkFormat(method, given);
  if (method === LUKS) {
    const start = engine.crypto.qcow2Header(handle) ?? 0;
    const storage = nodeStorage(engine, file.handle, start);
    const password = node.noIo ? null : passwordOf(given, secrets);
    const container = await LuksContainer.open(context, storage, false);
    opened.set(node, { container, secrets, keySecret: given.keySecret ?? null });
    if (password === null) return;
    const key = await container.unlock(password);
    let cipher: CipherHandle;
    try {
      cipher = await makeCipher(engine.crypto, container.header.cipher, key);
    } finally {
      key.fill(0);
    }
    engine.crypto.unlockQcow2(handle, cipher);
  } else if (method === AES && !node.noIo) {
    const key = new Uint8Array(AES_KEY_BYTES);
    key.set(passwordOf(given, secrets).subarray(0, AES_KEY_BYTES));
    const spec = { cipher: 'aes', mode: 'cbc', iv: 'plain64', key, sectorBytes: 512 } as const;
    engine.crypto.unlockQcow2(handle, engine.crypto.make(spec));
    key.fill(0);
  }
}

/** `encrypt` of the information about an image. */
export function encryptionInfo(node: BlockNode, method: number): ImageInfoSpecificQCow2Encryption | null {
  if (method === AES) return { format: 'aes' };
  const container = opened.get(node)?.container;
  return container ? { format: 'luks', ...container.info() } : null;
}

/** Changes the key slots of an image. */
export async function amendEncryption(
  node: BlockNode,
  options: QCryptoBlockAmendOptionsLUKS,
  force: boolean,
): Promise<void> {
  const state = opened.get(node);
  if (!state) throw new GraphError("image is not encrypted, can't amend");
  const { container, secrets, keySecret } = state;
  await amendKeys({ container, secrets, openedWith: keySecret, force }, options);
}

/** Makes a new image in `file` an encrypted one. */
export async function encryptNewImage(
  { engine, secrets, keys }: Pick<ImageMaker, 'engine' | 'secrets' | 'keys'>,
  file: BlockNode,
  options: QCryptoBlockCreateOptions,
): Promise<void> {
  if (options.format === 'qcow') {
    // The passphrase is not needed yet; without one nobody could write.
    passwordOf({ keySecret: options['key-secret'] }, secrets);
    const image = engine.openQcow2(file.handle, { readOnly: false });
    try {
      engine.crypto.markQcow2Aes(image);
    } finally {
      engine.close(image);
    }
    return;
  }
  const wanted = newContainer(options, secrets, false, 'encrypt.');
  const present = <T>(request: () => T) => engine.presence.whenPresent(request);
  const image = await present(() => engine.openQcow2(file.handle, { readOnly: false }));
  try {
    await LuksContainer.create({ engine, keys }, wanted, async () => {
      const start = await present(() => engine.crypto.makeQcow2Header(image, payloadOffset(wanted.cipher)));
      return nodeStorage(engine, file.handle, start);
    });
  } finally {
    await present(() => engine.setReadOnly(image, true));
    engine.close(image);
  }
}
