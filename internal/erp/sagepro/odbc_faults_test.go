//go:build odbc

package sagepro

import (
	"testing"

	"github.com/alexbrainman/odbc"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
)

// What SQL Server's ODBC driver finds by itself has no number of the server, or one of the machine's own: the state tells what it is.
func TestODBCFaultsOfSQLServer(t *testing.T) {
	for _, tc := range []struct {
		state  string
		native int
		kind   fault.Kind
	}{
		{"40001", 1205, fault.Busy}, {"23000", 2627, fault.Busy}, {"42000", 4060, fault.Busy}, {"28000", 18456, fault.Credentials},
		{"08001", 258, fault.Connection}, {"08S01", 104, fault.Connection}, {"HYT00", 0, fault.Connection}, {"42000", 102, fault.Bug},
	} {
		told := &odbc.Error{APIName: "SQLExecute", Diag: []odbc.DiagRecord{{State: tc.state, NativeError: tc.native, Message: "told"}}}
		f := fault.As(newIdle(t, SQLServer).failed(told))
		require.NotNil(t, f)
		require.Equal(t, tc.kind, f.Kind, "%s %d", tc.state, tc.native)
	}
}
