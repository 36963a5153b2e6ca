# Structured reads: their pieces, the map of every context, and many requests at the same time.
from said import *

MIB = 1 << 20


def pieces(h, length, offset, flags=0):
    found = []

    def add(data, at, status, error):
        found.append((at, len(data), status, plain(bytes(data)), error.value))

    h.pread_structured(length, offset, add, flags)
    return found


h = opened("q", CONTEXTS)
size = h.get_size()
for offset, length in ((0, 8 * MIB), (MIB - 1, 3), (3 * MIB - 512, 2 * MIB), (size - MIB, MIB), (0, 512), (5 * MIB, 32 * MIB)):
    for flags in (0, nbd.CMD_FLAG_DF):
        say(f"pieces {offset}+{length} flags={flags}", lambda: pieces(h, length, offset, flags))
for offset in range(0, size, 7 * MIB // 2):
    for length in (512, MIB, size - offset):
        for flags in (0, nbd.CMD_FLAG_REQ_ONE):
            say(f"map {offset}+{length} flags={flags}", lambda: extents(h, offset, length, flags))
for context in CONTEXTS:
    one = opened("q", [context])
    say(f"map of {context}", lambda: extents(one, 0, size))
    say(f"map of {context}, the end", lambda: extents(one, size - 512, 512))

# Each client has its own order; what they read is the same.
clients = [opened("q") for _ in range(4)]
buffers = []
for at in range(400):
    h = clients[at % 4]
    buffer = nbd.Buffer(1 + at * 37 % 65536)
    buffers.append((h, buffer, h.aio_pread(buffer, at * 123457 % (size - 65536))))
for h in clients:
    while h.aio_in_flight():
        h.poll(-1)
whole = hashlib.md5()
for h, buffer, cookie in buffers:
    assert h.aio_command_completed(cookie)
    whole.update(buffer.to_bytearray())
print("400 reads", whole.hexdigest())

# Writes in flight on two connections, each to a place of its own, then all of it by a third.
pair = [opened("odd"), opened("odd")]
cookies = [
    (pair[at % 2], pair[at % 2].aio_pwrite(nbd.Buffer.from_bytearray(bytearray([at]) * 3001), at * 3001, lambda error: 1))
    for at in range(200)
]
for h in pair:
    while h.aio_in_flight():
        h.poll(-1)
    h.flush()
print("200 writes", plain(opened("odd").pread(600200, 0)))
