//go:build unix

package temporaldev

import (
	"errors"
	"os"
	"syscall"
)

// errLocked says that another server runs on the same directory.
var errLocked = errors.New("in use by another running server")

// lockFile takes an exclusive lock that the kernel drops with the process, however it ends. Two servers on one database
// would take each other's shards.
func lockFile(path string) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, err
	}
	return file.Close, nil
}
