package ports

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tcpListen is the kernel's number for a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// holderOf finds the process that listens on the port: /proc/net/tcp gives the socket's inode, and the process is the one
// that has it among its open files. It finds nothing where the process belongs to another user.
func holderOf(port int) (Holder, bool) {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue // no IPv6, or no /proc
		}
		for _, inode := range listeningInodes(file, port) {
			sockets["socket:["+inode+"]"] = true
		}
		_ = file.Close()
	}
	if len(sockets) == 0 {
		return Holder{}, false
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well-formed
	for _, file := range files {
		target, err := os.Readlink(file)
		if err != nil || !sockets[target] {
			continue // gone meanwhile, or not ours to read
		}
		if holder, ok := process(strings.Split(file, "/")[2]); ok {
			return holder, true
		}
	}
	return Holder{}, false
}

// listeningInodes reads a table of /proc/net/tcp: "sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout
// inode ...", with addresses and ports in hexadecimal.
func listeningInodes(table io.Reader, port int) []string {
	const localAddress, state, inode = 1, 3, 9
	suffix := fmt.Sprintf(":%04X", port)
	var inodes []string
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > inode && fields[state] == tcpListen && strings.HasSuffix(fields[localAddress], suffix) {
			inodes = append(inodes, fields[inode])
		}
	}
	return inodes
}

func process(pid string) (Holder, bool) {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return Holder{}, false
	}
	name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	if err != nil {
		return Holder{}, false
	}
	return Holder{PID: number, Name: strings.TrimSpace(string(name))}, true
}
