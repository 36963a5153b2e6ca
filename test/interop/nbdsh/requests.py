# Requests, right and wrong; the library lets all of them pass. A file takes fast zeros only where the system has a call for it.
from said import *

FLAGS = [0, 1, 2, 3, 4, 8, 16, 31]
MIB = 1 << 20


def covered(h, offset, length, flags):
    "How far the status goes: where the holes are is a matter of the file system."
    return [sum(part for part, _ in entries) for _, _, entries, _ in extents(h, offset, length, flags)]



for structured in (True, False):
    for name in ("q", "r", "odd", "empty"):
        size = opened(name).get_size()
        places = [(0, 0), (0, 1), (0, 512), (1, 511), (511, 4097), (size - 512, 512), (size - 1, 2), (size, 0), (size, 1),
                  (size + MIB, 512), (0, 32 * MIB + 1), (1 << 62, 512)]
        for flags in FLAGS:
            for offset, length in places:
                if offset < 0:
                    continue
                label = f"{name} structured={structured} flags={flags} {offset}+{length}"
                # A server may end a connection for some: each place has a new one.
                h = opened(name, ["base:allocation"] if structured else [], structured, 0)
                say("read " + label, lambda: h.pread(length, offset, flags))
                say("cache " + label, lambda: h.cache(length, offset, flags))
                say("trim " + label, lambda: h.trim(length, offset, flags))
                if name != "odd" or not flags & nbd.CMD_FLAG_FAST_ZERO:
                    say("zero " + label, lambda: h.zero(length, offset, flags))
                say("status " + label, lambda: covered(h, offset, length, flags))
                if length <= MIB:
                    say("write " + label, lambda: h.pwrite(b"\x5a" * length, offset, flags))
                    say("read back " + label, lambda: h.pread(length, offset))
                say("flush " + label, lambda: h.flush(flags))
                print(h.connection_state())
