/** Creation of LUKS containers, by blockdev-create and by options of a command line. */
import { HASHES } from '../../crypto/hash';
import type { Prealloc } from '../../engine/contract';
import { Permission } from '../../files/locks';
import type {
  BlockdevCreateOptionsLUKS,
  QCryptoBlockCreateOptionsLUKS,
  QCryptoCipherAlgorithm,
} from '../../qapi/types.generated';
import type { QmpObject } from '../../qapi/value';
import type { CreateValues } from '../api';
import type { ImageMaker } from '../drivers/driver';
import { GraphError } from '../errors';
import { ITER_TIME } from '../luks/amend';
import {
  checkCipher,
  checkMode,
  CIPHER_ALGORITHMS,
  CIPHER_MODES,
  IV_GENERATORS,
  type CipherSpec,
} from '../luks/cipherspec';
import { LuksContainer, type NewContainer } from '../luks/container';
import { payloadOffset } from '../luks/header';
import { nodeStorage, type HeaderStorage } from '../luks/storage';
import type { BlockNode } from '../node';
import type { Secrets } from '../secrets';
import { PREALLOC } from './preallocation';

/** What the options say of the cipher, with QEMU's defaults. */
function cipherOf(options: QCryptoBlockCreateOptionsLUKS): CipherSpec {
  const algorithm: QCryptoCipherAlgorithm = options['cipher-alg'] ?? 'aes-256';
  const ivgen = options['ivgen-alg'] ?? 'plain64';
  const ivHash = options['ivgen-hash-alg'] ?? (ivgen === 'essiv' ? 'sha256' : null);
  return { algorithm, mode: options['cipher-mode'] ?? 'xts', ivgen, ivHash };
}

/**
 * What the container is to be; the passphrase is looked up.
 * @param prefix of the names of options inside another format
 */
export function newContainer(
  options: QCryptoBlockCreateOptionsLUKS,
  secrets: Pick<Secrets, 'lookupText'>,
  detached: boolean,
  prefix = '',
): NewContainer {
  const id = options['key-secret'];
  if (id === undefined) throw new GraphError(`Parameter '${prefix}key-secret' is required for cipher`);
  const password = secrets.lookupText(id);
  const cipher = cipherOf(options);
  checkCipher(cipher);
  checkMode(cipher);
  const hash = options['hash-alg'] ?? 'sha256';
  return { cipher, hash, iterTime: options['iter-time'] ?? ITER_TIME, password, detached };
}

/** Lets `work` write to a node, and gives the caller's reference on it back. */
async function withWriter<T>(maker: ImageMaker, node: BlockNode, work: () => Promise<T>): Promise<T> {
  const use = await maker.use(node, Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE);
  try {
    return await work();
  } finally {
    await use.closeNow();
  }
}

/** Writes a container into a node that is made `payload` bytes larger than its header. */
async function format(
  maker: ImageMaker,
  node: BlockNode,
  wanted: NewContainer,
  payload: number,
  preallocation: Prealloc,
): Promise<void> {
  const { engine, keys } = maker;
  await LuksContainer.create({ engine, keys }, wanted, async (): Promise<HeaderStorage> => {
    const size = payloadOffset(wanted.cipher) + payload;
    await engine.presence.whenPresent(() => engine.truncate(node.handle, size, preallocation));
    return nodeStorage(engine, node.handle);
  });
}

/** `blockdev-create` of the driver luks; the options passed the schema. */
export async function createLuks(maker: ImageMaker, given: QmpObject): Promise<void> {
  const options = given as unknown as BlockdevCreateOptionsLUKS;
  const { engine, secrets } = maker;
  const { file, header, size } = given;
  if (header === undefined && file === undefined) {
    throw new GraphError("Either the parameter 'header' or 'file' must be specified");
  }
  if ((options.preallocation ?? 'off') !== 'off' && file === undefined) {
    throw new GraphError(
      "Parameter 'preallocation' requires 'file' to be specified for formatting LUKS disk",
    );
  }
  // What has no tables has no metadata to be made beforehand.
  const mode = options.preallocation === 'metadata' ? 'off' : (options.preallocation ?? 'off');
  const preallocation = PREALLOC[mode] ?? 0;
  if (header === undefined) {
    const node = await maker.openTarget(file);
    await withWriter(maker, node, () =>
      format(maker, node, newContainer(options, secrets, false), Number(size), preallocation),
    );
    return;
  }
  if (file !== undefined) {
    const node = await maker.openTarget(file);
    await withWriter(maker, node, () =>
      engine.presence.whenPresent(() => engine.truncate(node.handle, Number(size), preallocation)),
    );
  }
  const node = await maker.openTarget(header);
  await withWriter(maker, node, () => format(maker, node, newContainer(options, secrets, true), 0, 0));
}

/** A word of a command line that must be one of some. */
function word<T extends string>(
  values: CreateValues,
  name: string,
  words: readonly T[],
  prefix: string,
): T | undefined {
  const value = values[prefix + name];
  if (value === undefined) return undefined;
  const known = words.find((candidate) => candidate === String(value));
  if (known === undefined) throw new GraphError(`Parameter '${name}' does not accept value '${value}'`);
  return known;
}

/**
 * The options of a command line in the names of QMP, with the texts of its validation.
 * @param prefix in front of the names on the command line
 */
export function luksValues(values: CreateValues, prefix = ''): QCryptoBlockCreateOptionsLUKS {
  const options: {
    [K in keyof QCryptoBlockCreateOptionsLUKS]: QCryptoBlockCreateOptionsLUKS[K] | undefined;
  } = {
    'key-secret':
      values[`${prefix}key-secret`] === undefined ? undefined : String(values[`${prefix}key-secret`]),
    'cipher-alg': word(values, 'cipher-alg', CIPHER_ALGORITHMS, prefix),
    'cipher-mode': word(values, 'cipher-mode', CIPHER_MODES, prefix),
    'ivgen-alg': word(values, 'ivgen-alg', IV_GENERATORS, prefix),
    'ivgen-hash-alg': word(values, 'ivgen-hash-alg', HASHES, prefix),
    'hash-alg': word(values, 'hash-alg', HASHES, prefix),
    'iter-time':
      values[`${prefix}iter-time`] === undefined ? undefined : Number(values[`${prefix}iter-time`]),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** `qemu-img create -f luks` */
export async function createLuksImage(
  maker: ImageMaker,
  filename: string,
  values: CreateValues,
): Promise<void> {
  const options = luksValues(values);
  const mode = String(values.preallocation ?? 'off');
  if (!Object.hasOwn(PREALLOC, mode)) throw new GraphError(`invalid parameter value: ${mode}`);
  const preallocation = PREALLOC[mode === 'metadata' ? 'off' : mode] ?? 0;
  const detached = values['detached-header'] === true;
  const size = detached ? 0 : Math.ceil(Number(values.size ?? 0) / 512) * 512;
  await maker.createProtocolFile(filename, maker.protocolValues(values));
  try {
    const wanted = newContainer(options, maker.secrets, detached);
    const node = await maker.openFile(filename);
    await withWriter(maker, node, () => format(maker, node, wanted, size, preallocation));
  } catch (error) {
    await maker.removeImage(filename);
    throw error;
  }
}

/**
 * Bytes in front of the data of a new container, from the options of a command line.
 * @param prefix in front of the names
 * @param checkSecret throws unless there is a secret of this id
 */
export function luksHeaderBytes(
  values: CreateValues,
  prefix: '' | 'encrypt.',
  checkSecret: (id: string) => void,
): number {
  const lookupText = (id: string): Uint8Array => {
    checkSecret(id);
    return new Uint8Array(0);
  };
  return payloadOffset(newContainer(luksValues(values, prefix), { lookupText }, false, prefix).cipher);
}
