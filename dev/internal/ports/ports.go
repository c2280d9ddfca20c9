// Package ports answers two questions about TCP ports before a program binds them: is this one free (and if not, who
// holds it), and which ones may I take?
package ports

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
)

// BusyError says that an address can't be listened on because something already does.
type BusyError struct {
	Addr   string // host:port, as asked for
	Holder Holder // the zero value where it can't be told
	Err    error  // the operating system's answer
}

// Error names the port and, where it is known, its holder.
func (e *BusyError) Error() string {
	if e.Holder == (Holder{}) {
		return fmt.Sprintf("port %s is in use", e.Addr)
	}
	return fmt.Sprintf("port %s is in use by %s", e.Addr, e.Holder)
}

func (e *BusyError) Unwrap() error { return e.Err }

// Holder is a process that listens on a port.
type Holder struct {
	PID  int
	Name string // the command, without its directory
}

func (h Holder) String() string { return fmt.Sprintf("%s (pid %d)", h.Name, h.PID) }

// Check reports whether addr (host:port) can be listened on now: nil, a *BusyError, or whatever else is wrong with the
// address. The answer is a snapshot: the port may be taken between this call and the bind.
func Check(addr string) error {
	listener, err := net.Listen("tcp", addr) //nolint:noctx // a bind does not wait
	if err == nil {
		return listener.Close()
	}
	if !isAddrInUse(err) {
		return fmt.Errorf("check port %s: %w", addr, err)
	}
	busy := &BusyError{Addr: addr, Err: err}
	if _, port, splitErr := net.SplitHostPort(addr); splitErr == nil {
		if number, numErr := strconv.Atoi(port); numErr == nil {
			busy.Holder, _ = holderOf(number)
		}
	}
	return busy
}

// CheckAll checks each address and reports every busy one in one error, so that a person fixes them in one go.
func CheckAll(addrs ...string) error {
	var problems []string
	var first error
	for _, addr := range addrs {
		if err := Check(addr); err != nil {
			problems = append(problems, err.Error())
			if first == nil {
				first = err
			}
		}
	}
	if len(problems) < 2 {
		return first
	}
	return &multiError{text: strings.Join(problems, "; "), first: first}
}

type multiError struct {
	text  string
	first error
}

func (e *multiError) Error() string { return e.text }
func (e *multiError) Unwrap() error { return e.first }

// Free returns n distinct ports on host (an IP address) that nothing listens on. They are held open together until all
// are chosen, so the list has no doubles, and on Linux each is left in TIME_WAIT: for the next minute the kernel hands
// it to no other ":0" bind and no outgoing connection, while an explicit bind to it still succeeds.
func Free(host string, n int) ([]int, error) {
	free := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0")) //nolint:noctx // a bind does not wait
		if err != nil {
			return nil, fmt.Errorf("find a free port on %s: %w", host, err)
		}
		defer func() { _ = listener.Close() }()
		if runtime.GOOS == "linux" {
			if err := leaveInTimeWait(listener); err != nil {
				return nil, fmt.Errorf("reserve a port on %s: %w", host, err)
			}
		}
		free = append(free, listener.Addr().(*net.TCPAddr).Port) //nolint:errcheck // it listens on TCP
	}
	return free, nil
}

// leaveInTimeWait connects to the listener once and closes from the listening side first: it is the side that closes
// first whose socket lingers in TIME_WAIT.
func leaveInTimeWait(listener net.Listener) error {
	dialed, err := net.Dial("tcp", listener.Addr().String()) //nolint:noctx // the listener is in this process
	if err != nil {
		return err
	}
	defer func() { _ = dialed.Close() }()
	accepted, err := listener.Accept()
	if err != nil {
		return err
	}
	return accepted.Close()
}
