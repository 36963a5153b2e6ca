/** The error of a QMP reply. */

/** The error classes of QMP (the schema's QapiErrorClass). */
export type QmpErrorClass =
  'GenericError' | 'CommandNotFound' | 'DeviceNotActive' | 'DeviceNotFound' | 'KVMMissingCap';

/** A refused request. `desc` is the text that the reply shows; it is QEMU's own wherever QEMU has one. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  constructor(
    readonly desc: string,
    readonly errorClass: QmpErrorClass = 'GenericError',
  ) {
    super(desc);
  }

  /** The `error` member of a reply. */
  toReply(): { class: QmpErrorClass; desc: string } {
    return { class: this.errorClass, desc: this.desc };
  }
}
