//go:build !unix

package pgtest

// startCluster needs Unix sockets and a shell; elsewhere set TENDERLINE_TEST_POSTGRES.
func startCluster() (string, error) { return "", ErrNoBinaries }
