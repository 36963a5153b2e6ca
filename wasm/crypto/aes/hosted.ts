/** AES by the host, where that has one that beats the data plane's own: Node.js has the processor's instructions for it. */
import { aesFree, aesRun } from '../../host';
import { BlockCipher, MAX_BATCH } from '../cipher';
import { Aes } from './aes';

/** Fewer blocks than this are not worth the way to the host and back. */
const LEAST_BLOCKS: i32 = 16;

export class HostedAes extends BlockCipher {
  /**
   * @param number what `aesNew` answered; this object's from now on
   * @param own the same key, for small requests and for a host that fails
   */
  constructor(
    private number: i32,
    private own: Aes,
  ) {
    super(16, MAX_BATCH);
  }

  encrypt(at: usize, blocks: i32): void {
    if (blocks < LEAST_BLOCKS || aesRun(this.number, 1, at, blocks << 4) < 0) this.own.encrypt(at, blocks);
  }

  decrypt(at: usize, blocks: i32): void {
    if (blocks < LEAST_BLOCKS || aesRun(this.number, 0, at, blocks << 4) < 0) this.own.decrypt(at, blocks);
  }

  wipe(): void {
    aesFree(this.number);
    this.own.wipe();
  }
}
