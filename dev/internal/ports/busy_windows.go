package ports

import (
	"errors"
	"syscall"
)

// wsaAddrInUse is Winsock's WSAEADDRINUSE; syscall.EADDRINUSE is an invented number on Windows.
const wsaAddrInUse = syscall.Errno(10048)

func isAddrInUse(err error) bool { return errors.Is(err, wsaAddrInUse) }
