/** Replies on their way out. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Outbox, ReplyMemory, type Shipment } from '../../src/nbd/outbox';

const joined = ({ pieces }: Shipment): number[] => pieces.flatMap((piece) => [...piece]);

test('whatever messages are added come out in their order, and once', () => {
  const piece = fc.oneof(fc.nat(64), fc.nat(40_000), fc.nat(600_000)).map((bytes) => bytes);
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.array(piece, { maxLength: 3 }), { maxLength: 4 }), { maxLength: 4 }),
      (rounds) => {
        const memory = new ReplyMemory();
        const outbox = new Outbox(memory);
        let mark = 0;
        for (const messages of rounds) {
          const expected: Uint8Array[] = [];
          for (const sizes of messages) {
            const message = sizes.map((bytes) => new Uint8Array(bytes).fill(++mark));
            expect(outbox.add(message)).toBe(sizes.reduce((sum, bytes) => sum + bytes, 0));
            expected.push(...message.map((bytes) => bytes.slice()));
            // The memory is the caller's again.
            for (const bytes of message) bytes.fill(0);
          }
          const shipment = outbox.take();
          expect(outbox.isEmpty).toBe(true);
          expect(Buffer.compare(Buffer.concat(shipment.pieces), Buffer.concat(expected))).toBe(0);
          expect(shipment.bytes).toBe(Buffer.concat(expected).length);
          shipment.sent();
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('buffers are used again when they were sent, not before', () => {
  const outbox = new Outbox(new ReplyMemory());
  outbox.add([Uint8Array.of(1, 2, 3)]);
  const first = outbox.take();
  outbox.add([Uint8Array.of(4, 5)]);
  const second = outbox.take();
  expect(joined(first)).toEqual([1, 2, 3]);
  expect(joined(second)).toEqual([4, 5]);
  first.sent();
  outbox.add([Uint8Array.of(6)]);
  const third = outbox.take();
  expect(third.pieces[0]?.buffer).toBe(first.pieces[0]?.buffer);
  expect(joined(third)).toEqual([6]);
  expect(joined(second)).toEqual([4, 5]);
});
