# Negotiation: what each export offers, what is listed and chosen, with every combination of flags.
from said import *

EXPORTS = ["q", "r", "odd", "empty", "nameless", "", "Q", "q/", "x" * 4096]

for structured in (True, False):
    for flags in (0, 1, 2, 3):
        for name in EXPORTS:
            h = nbd.NBD()
            h.set_export_name(name)
            h.set_request_structured_replies(structured)
            h.set_handshake_flags(flags)
            label = f"{name[:8]!r} structured={structured} flags={flags}"
            say(label, lambda: h.connect_unix(SOCKET))
            if not h.aio_is_ready():
                continue
            for what in "size protocol structured_replies_negotiated tls_negotiated export_name".split():
                say("  " + what, getattr(h, "get_" + what))
            for what in "cache df fast_zero flush fua multi_conn trim zero".split():
                say("  can_" + what, getattr(h, "can_" + what))
            say("  read_only", h.is_read_only)
            say("  rotational", h.is_rotational)
            for size in (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM):
                say("  block size", lambda: h.get_block_size(size))
            h.shutdown()

h = nbd.NBD()
h.set_opt_mode(True)
h.set_full_info(True)
h.connect_unix(SOCKET)
say("list", lambda: h.opt_list(lambda name, text: print("  ", name, repr(text))))
for name in EXPORTS:
    h.set_export_name(name)
    say(f"info {name[:8]!r}", h.opt_info)
    for what in (h.get_size, h.is_read_only, h.get_canonical_export_name, h.get_export_description, h.can_multi_conn):
        say("  " + what.__name__, what)
h.set_export_name("q")
for queries in ([], ["base:"], ["qemu:"], ["qemu:dirty-bitmap:"], ["qemu:dirty-bitmap:b0", "base:allocation"],
                ["qemu:allocation-depth"], ["qemu:a"], ["base:x"], ["x"], [""], ["x:y", "base:"], ["qemu:dirty-bitmap:no"],
                ["base:allocation"] * 3, ["b" * 4000]):
    h.clear_meta_contexts()
    for query in queries:
        h.add_meta_context(query)
    print("contexts", [query[:20] for query in queries])
    say("  found", lambda: h.opt_list_meta_context(lambda name: print("  ", name)))
h.set_export_name("none")
say("contexts of no export", lambda: h.opt_list_meta_context(lambda name: print("  ", name)))
say("go to no export", h.opt_go)
h.set_export_name("q")
h.clear_meta_contexts()
for context in CONTEXTS:
    h.add_meta_context(context)
say("go", h.opt_go)
for context in CONTEXTS:
    say("  has " + context, lambda: h.can_meta_context(context))
h.shutdown()

h = nbd.NBD()
h.set_opt_mode(True)
h.connect_unix(SOCKET)
say("abort", h.opt_abort)
print(h.connection_state())
h = nbd.NBD()
h.set_tls(nbd.TLS_REQUIRE)
say("TLS that is not there", lambda: h.connect_unix(SOCKET))
