/** secret: a passphrase or a key, given as text or in a file, that other options name by its id (luks.md section C). */
import { QmpError } from '../../qapi/index';
import { decodeBase64 } from './base64';
import { AES_BLOCK, decryptPadded } from './decrypt';
import type { MakeContext, PropertyValue } from './object';
import { StoredProperties } from './properties';
import { readWhole } from './read-file';

/** Bytes of a key that decrypts other secrets. */
const KEY_BYTES = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Secret extends StoredProperties {
  private bytes: Uint8Array | null = null;

  constructor(private readonly context: MakeContext) {
    super('secret', 'SecretProperties', {
      data: '',
      file: '',
      format: 'raw',
      keyid: '',
      iv: '',
      loaded: false,
    });
    this.start(context.properties);
  }

  override get(property: string): PropertyValue {
    // QEMU shows it to everybody who asks. Nothing needs to read it back, and replies end up in logs.
    if (property === 'data') throw new QmpError("Property 'secret.data' is not readable");
    if (property === 'loaded') return this.bytes !== null;
    return super.get(property);
  }

  async complete(): Promise<void> {
    const given = await this.input();
    const keyId = this.option<string>('keyid');
    const format = this.get('format');
    if (keyId !== undefined) this.bytes = this.decrypt(given, keyId, format === 'base64');
    else this.bytes = format === 'base64' ? decodeBase64(decoder.decode(given)) : given;
  }

  secret(): Uint8Array | null {
    return this.bytes;
  }

  remove(): void {
    this.bytes?.fill(0);
    this.bytes = null;
    this.unset('data');
  }

  /** What the user gave: text, or the content of a file. */
  private async input(): Promise<Uint8Array> {
    const data = this.option<string>('data');
    const file = this.option<string>('file');
    if (file === undefined) {
      if (data === undefined) throw new QmpError("Either 'file' or 'data' must be provided");
      return encoder.encode(data);
    }
    if (data !== undefined) throw new QmpError("'file' and 'data' are mutually exclusive");
    try {
      return await readWhole(this.context.host.graph.files, file);
    } catch (error) {
      throw error instanceof QmpError ? new QmpError(`Unable to read ${file}: ${error.desc}`) : error;
    }
  }

  private decrypt(given: Uint8Array, keyId: string, isBase64: boolean): Uint8Array {
    const key = this.context.others.secret(keyId);
    if (key.length !== KEY_BYTES) throw new QmpError(`Key should be ${KEY_BYTES} bytes in length`);
    const ivText = this.option<string>('iv');
    if (ivText === undefined) throw new QmpError('IV is required to decrypt secret');
    const iv = decodeBase64(ivText);
    if (iv.length !== AES_BLOCK) {
      throw new QmpError(`IV should be ${AES_BLOCK} bytes in length not ${iv.length}`);
    }
    const encrypted = isBase64 ? decodeBase64(decoder.decode(given)) : given;
    return decryptPadded(this.context.host.graph.opener.environment.engine, encrypted, key, iv);
  }
}

export const secret = (context: MakeContext): Secret => new Secret(context);
