package activities

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/keyring"
)

// TestARefusedKeySaysNothingOfAnEarlierSend: the document of a lost answer may still come; that the key is not accepted at the second try
// must not close the operation, or nobody would undo the document.
func TestARefusedKeySaysNothingOfAnEarlierSend(t *testing.T) {
	ring, err := keyring.New("k1", map[string][]byte{"k1": make([]byte, 32)})
	require.NoError(t, err)
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "journal.db")
	operations, err := journal.OpenOperations(t.Context(), dsn, journal.Options{Keyring: ring, Clock: time.Now, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, operations.Close()) })

	failures := []fault.Kind{fault.UnknownOutcome, fault.Credentials}
	op := erpOperation[string]{
		key: "order:WEB-1:invoice:1", kind: kindInvoice, orderID: "WEB-1",
		find: func(context.Context) (string, error) { return "", &fault.Fault{Kind: fault.NotFound} },
		send: func(context.Context, []byte) (string, error) {
			if len(failures) == 0 {
				return "200001", nil
			}
			kind := failures[0]
			failures = failures[1:]
			return "", &fault.Fault{Kind: kind}
		},
	}
	perform := func() (string, error) { return performErp(t.Context(), operations, "erp-syspro", op) }
	_, err = perform()
	require.True(t, fault.Is(err, fault.UnknownOutcome))
	_, err = perform()
	require.True(t, fault.Is(err, fault.UnknownOutcome))
	require.True(t, fault.As(err).Final, "a person looks")
	stored, err := operations.Get(t.Context(), op.key)
	require.NoError(t, err)
	require.Equal(t, journal.OperationUnknown, stored.State)
	number, err := perform()
	require.NoError(t, err)
	require.Equal(t, "200001", number)
}
