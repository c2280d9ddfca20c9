package wiring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInnerAddressesOfEveryKindAreRefused(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:80", "10.1.2.3:443", "192.168.0.1:443", "172.16.0.9:443", "169.254.169.254:80", "100.64.0.1:443", "0.0.0.0:80", "224.0.0.1:80",
		"[::1]:443", "[fe80::1]:443", "[fd00::1]:443", "[::ffff:10.0.0.1]:443", "[64:ff9b::a00:1]:443", "[2002:a00:1::]:443", "nonsense",
	} {
		require.Error(t, publicOnly("tcp", address, nil), address)
	}
	for _, address := range []string{"203.0.114.7:443", "[2606:4700::1]:443"} {
		require.NoError(t, publicOnly("tcp", address, nil), address)
	}
}
