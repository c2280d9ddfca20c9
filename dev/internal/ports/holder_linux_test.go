package ports

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListeningInodes(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1C41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1C41 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
   3: short line
`
	require.Equal(t, []string{"4711"}, listeningInodes(strings.NewReader(table), 7233))
	require.Equal(t, []string{"4713"}, listeningInodes(strings.NewReader(table), 8080))
	require.Empty(t, listeningInodes(strings.NewReader(table), 9090))
}
