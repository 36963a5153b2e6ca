/** The chapter on character devices. */
import { QmpError } from '../../qapi/index';
import { decodeBase64, encodeBase64 } from '../objects/base64';
import type { Handlers } from './registry';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const chardev: Handlers = {
  'chardev-add': ({ id, backend }, { chardevs }) => chardevs.add(id, backend),

  'chardev-change': ({ id, backend }, { chardevs }) => chardevs.change(id, backend),

  'chardev-remove': ({ id }, { chardevs }) => {
    chardevs.remove(id);
    return {};
  },

  'chardev-send-break': ({ id }, { chardevs }) => {
    chardevs.sendBreak(id);
    return {};
  },

  'query-chardev': (_args, { chardevs }) => chardevs.query(),

  'query-chardev-backends': (_args, { chardevs }) => chardevs.kinds().map((name) => ({ name })),

  'ringbuf-write': ({ device, data, format }, { chardevs }) => {
    const ring = chardevs.ring(device);
    ring.put(format === 'base64' ? decodeBase64(data) : encoder.encode(data));
    return {};
  },

  'ringbuf-read': ({ device, size, format }, { chardevs }) => {
    const ring = chardevs.ring(device);
    if (size <= 0) throw new QmpError('size must be greater than zero');
    const bytes = ring.take(size);
    if (format === 'base64') return encodeBase64(bytes);
    // A text of C ends at a zero byte.
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  },
};
