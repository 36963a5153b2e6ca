/** The error of a QMP reply. */

/** The error classes of QMP (the schema's QapiErrorClass). */
export type QmpErrorClass =
  'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';

/**
 * A refused request. `desc` is the text that the reply shows; it is QEMU's own wherever QEMU has one. `hints` are lines for a
 * person, each without its line feed: command line tools print them after the text, QMP leaves them out.
 */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  constructor(
    readonly desc: string,
    readonly errorClass: QmpErrorClass = 'GenericError',
    readonly hints: readonly string[] = [],
  ) {
    super(desc);
  }

  /** The `error` member of a reply. */
  toReply(): { class: QmpErrorClass; desc: string } {
    return { class: this.errorClass, desc: this.desc };
  }
}
