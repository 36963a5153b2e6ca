# Exports in use: removal, safe and hard, a server that stops, nodes that are to go, connections above the limit.
import time
from said import *

monitor = Monitor()


def served(h):
    try:
        h.pread(512, 0)
        return "served"
    except nbd.Error:
        return "cut off"


def add(name, node="q"):
    print("add", name, monitor.ask("block-export-add", type="nbd", id=name, node_name=node, name=name))


a = opened("q")
print(monitor.ask("block-export-del", id="q"))
print(monitor.ask("block-export-del", id="q", mode="safe"))
print(monitor.ask("nbd-server-remove", name="q"))
print(monitor.ask("blockdev-del", node_name="q"))
print(monitor.ask("query-block-exports"))
print(served(a))
a.shutdown()
add("s")
# The server sees that its client is gone in its own time.
while "error" in monitor.ask("block-export-del", id="q"):
    time.sleep(0.01)
print(monitor.event())

b, c = opened("s"), opened("s")
print(monitor.ask("block-export-del", id="s", mode="hard"))
print(monitor.event())
print(served(b), served(c), monitor.ask("query-block-exports"))

add("t")
d = opened("t")
print(monitor.ask("nbd-server-remove", name="t", mode="hard"))
print(monitor.event())
print(served(d))

add("u")
e = opened("u")
print(monitor.ask("blockdev-snapshot-sync", node_name="q", snapshot_file="o.qcow2", snapshot_node_name="o")["return"])
print([each["node-name"] for each in monitor.ask("query-block-exports")["return"] if each["id"] == "u"])
print(served(e))
print(monitor.ask("nbd-server-stop"))
print(served(e), monitor.ask("query-block-exports"))
