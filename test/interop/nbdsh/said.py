# What the scripts share: connections to the server in this directory, and how results and errors are printed.
import errno, hashlib, json, socket
import nbd

SOCKET = "n.sock"
CONTEXTS = ["base:allocation", "qemu:dirty-bitmap:b0", "qemu:dirty-bitmap:b1", "qemu:allocation-depth"]


def opened(name="", contexts=(), structured=True, strict=None, flags=None):
    "A connection that has chosen an export."
    h = nbd.NBD()
    h.set_export_name(name)
    h.set_request_structured_replies(structured)
    if flags is not None:
        h.set_handshake_flags(flags)
    if strict is not None:
        h.set_strict_mode(strict)
    for context in contexts:
        h.add_meta_context(context)
    h.connect_unix(SOCKET)
    return h


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes {hashlib.md5(value).hexdigest()}"
    return value


def say(label, action):
    "Prints what an action gives, or the error it fails with."
    try:
        print(label, "->", plain(action()))
    except nbd.Error as error:
        number = errno.errorcode.get(error.errnum, error.errnum) if error.errnum else "-"
        print(label, "->", "error", number, error.string)


def extents(h, offset, length, flags=0):
    "Block status of a range: (context, offset, entries) for each context, in the order in which the server sends them."
    found = []

    def add(context, at, entries, error):
        found.append((context, at, [tuple(entries[i : i + 2]) for i in range(0, len(entries), 2)], error.value))

    h.block_status(length, offset, add, flags)
    return found


class Monitor:
    "The monitor of the server."

    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("m.sock")
        self.lines = self.socket.makefile("rw")
        self.events = []
        self.lines.readline()
        self.ask("qmp_capabilities")

    def read(self):
        line = json.loads(self.lines.readline())
        if "event" in line:
            self.events.append((line["event"], line["data"]))
        return line

    def ask(self, command, **arguments):
        "The reply."
        words = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.lines.write(json.dumps({"execute": command, "arguments": words}) + "\n")
        self.lines.flush()
        while "event" in (reply := self.read()):
            pass
        return reply

    def event(self):
        "The next event that came or comes."
        while not self.events:
            self.read()
        return self.events.pop(0)
