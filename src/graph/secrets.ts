/**
 * Secrets by id: passphrases and keys that options name and never hold. The objects are the daemon's (or a tool's); the
 * graph asks for one at the moment of use, so that an object can be removed afterwards (luks.md section C).
 */
import { GraphError } from './errors';

/** The bytes of the secret with this id; throws the text for the user if there is none, or the object is something else. */
type SecretSource = (id: string) => Uint8Array;

export class Secrets {
  /** Who has the secrets; null: there are none. */
  source: SecretSource | null = null;

  /** The bytes of a secret; not to be changed or kept. */
  lookup(id: string): Uint8Array {
    if (!this.source) throw new GraphError(`No secret with id '${id}'`);
    return this.source(id);
  }

  /** A passphrase: text in UTF-8 without a zero byte. */
  lookupText(id: string): Uint8Array {
    const bytes = this.lookup(id);
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw notText(id);
    }
    if (bytes.includes(0)) throw notText(id);
    return bytes;
  }
}

function notText(id: string): GraphError {
  return new GraphError(`Data from secret ${id} is not valid UTF-8`);
}
