// A program that works with a storage daemon through go-qemu, a QMP client library of others, with its socket, its typed commands
// and its view of a machine. It prints what it sees.
//
// Usage: client unix|tcp ADDRESS; the daemon needs a node that somebody uses: disk, a qcow2 image.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/digitalocean/go-qemu/qemu"
	"github.com/digitalocean/go-qemu/qmp"
	"github.com/digitalocean/go-qemu/qmp/raw"
)

const patience = 20 * time.Second

func main() {
	network, address := os.Args[1], os.Args[2]
	socket := connect(network, address)
	show("capabilities", socket.Capabilities)
	commands(socket, raw.NewMonitor(socket))
	must(socket.Disconnect())

	// Who comes again is greeted again, and finds what was made.
	socket = connect(network, address)
	machine, err := qemu.NewDomain(socket, "storage")
	must(err)
	jobs(machine, raw.NewMonitor(socket))
	must(raw.NewMonitor(socket).Quit())
}

func connect(network, address string) *qmp.SocketMonitor {
	socket, err := qmp.NewSocketMonitor(network, address, patience)
	must(err)
	must(socket.Connect())
	return socket
}

// commands sends what has typed functions, and looks at the answers through the library's types.
func commands(socket *qmp.SocketMonitor, monitor *raw.Monitor) {
	version, err := monitor.QueryVersion()
	show("version of the greeting is that of the command", version.Qemu.Major == int64(socket.Version.QEMU.Major), err)
	names, err := monitor.QueryCommands()
	known := map[string]bool{}
	for _, command := range names {
		known[command.Name] = true
	}
	show("commands", known["blockdev-add"], known["transaction"], known["device_add"], err)
	show("bitmap", monitor.BlockDirtyBitmapAdd("disk", "b", nil, nil, nil))
	show("bitmap again", monitor.BlockDirtyBitmapAdd("disk", "b", nil, nil, nil))
	hash, err := monitor.XDebugBlockDirtyBitmapSha256("disk", "b")
	show("hash", hash, err)
	_, err = monitor.ChardevAdd("ring", raw.ChardevBackendRingbuf{Size: new(int64)})
	show("ring", err)
	show("nobody", monitor.ObjectAdd("secret", "s", nil))

	run(socket, `{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "null", "size": 65536}}`)
	run(socket, `{"execute": "blockdev-add", "arguments": {"driver": "file", "node-name": "null", "filename": "ü\u00fc"}}`)
	run(socket, `{"execute": "query-block-exports"}`)
	run(socket, `{"execute": "query-jobs", "id": "x\"\u20ac"}`)
	run(socket, `{"execute": "block_resize", "arguments": {"node-name": "null", "size": 18446744073709551615}}`)
	run(socket, `{"execute": "no-such"}`)
	run(socket, `{"execute": 1}`)
	run(socket, `[]`)
	run(socket, `{"execute": "chardev-add", "arguments": {"id": "n", "backend": {"type": "null", "data": {}}}}`)
	run(socket, `{"execute": "chardev-remove", "arguments": {"id": "n"}}`)
}

// jobs puts an overlay over the disk and commits it back. The library has functions that wait for the end of a job, which stand
// still for ever if another event comes before the reply to their command; so it is waited for here.
func jobs(machine *qemu.Domain, monitor *raw.Monitor) {
	heard, done, err := machine.Events()
	must(err)
	ready := make(chan struct{})
	gone := make(chan []string, 1)
	go func() {
		var lines []string
		for event := range heard {
			data, err := json.Marshal(event.Data)
			must(err)
			lines = append(lines, fmt.Sprint(event.Event, " ", string(data), " ", event.Timestamp.Seconds > 0))
			if event.Event == "BLOCK_JOB_READY" {
				close(ready)
			}
			if event.Event == "JOB_STATUS_CHANGE" && event.Data["status"] == "null" {
				gone <- lines
			}
		}
	}()

	var disk qemu.BlockDevice
	disk.Inserted.NodeName = "disk"
	show("snapshot", disk.Snapshot(machine, "overlay.qcow2", "overlay"))
	show("snapshot again", disk.Snapshot(machine, "overlay.qcow2", "overlay"))
	_, err = machine.Run(qmp.Command{
		Execute: "block-commit",
		Args:    map[string]string{"device": "overlay", "top": "overlay.qcow2", "job-id": "j"},
	})
	show("commit", err)
	select {
	case <-ready:
	case <-time.After(patience):
		panic("the job does not get ready")
	}
	active, err := machine.BlockJobs()
	must(err)
	for _, job := range active {
		show("job", job.Device, job.Type, job.Ready, job.IOStatus)
	}
	show("complete", monitor.BlockJobComplete("j"))
	select {
	case lines := <-gone:
		for _, line := range lines {
			fmt.Println(line)
		}
	case <-time.After(patience):
		panic("the job does not go")
	}
	close(done)
	show("no job", monitor.BlockJobPause("j"))
	nodes, err := machine.Run(qmp.Command{Execute: "query-named-block-nodes"})
	must(err)
	// The library's picture of a node that a device has.
	var seen struct{ Return []json.RawMessage }
	must(json.Unmarshal(nodes, &seen))
	for _, node := range seen.Return {
		var device qemu.BlockDevice
		must(json.Unmarshal(node, &device.Inserted))
		show("node", device.Inserted)
	}
}

// run sends the text of a command and prints the bytes of the reply.
func run(socket *qmp.SocketMonitor, command string) {
	reply, err := socket.Run([]byte(command))
	fmt.Println(command)
	fmt.Println("  ", string(reply), err)
}

// show prints values as the library understood them.
func show(name string, values ...interface{}) {
	fmt.Print(name)
	for _, value := range values {
		if err, ok := value.(error); ok {
			fmt.Print(" ", err)
			continue
		}
		text, err := json.MarshalIndent(value, "", "  ")
		must(err)
		fmt.Print(" ", string(text))
	}
	fmt.Println()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
