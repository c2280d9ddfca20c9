//go:build !unix

package temporaldev

// lockFile does nothing where there is no flock: there the busy frontend port is the only guard.
func lockFile(string) (unlock func() error, err error) { return func() error { return nil }, nil }
