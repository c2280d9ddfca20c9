package journal_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

func usd(amount string) canonical.Money { return canonical.NewMoney(dec(amount), "USD") }

func salesOrder(key string) journal.Operation {
	return journal.Operation{
		Key: key, System: "erp-syspro", Kind: "sales_order", OrderID: "WEB-1", InputHash: "hash-1", Reference: "WEB-1", Guard: "guard",
		Amount: usd("48.19"), Request: []byte(`{"customer":"ada@example.com"}`),
	}
}

func begin(t *testing.T, f *fixture, op journal.Operation) journal.Operation {
	t.Helper()
	stored, fresh, err := f.Operations().Begin(t.Context(), op)
	require.NoError(t, err)
	require.True(t, fresh)
	return stored
}

func get(t *testing.T, f *fixture, key string) journal.Operation {
	t.Helper()
	op, err := f.Operations().Get(t.Context(), key)
	require.NoError(t, err)
	return op
}

func beginStoresIntentOnce(t *testing.T, f *fixture) {
	stored := begin(t, f, salesOrder("order/WEB-1:so:1"))
	want := salesOrder("order/WEB-1:so:1")
	want.State, want.Sends = journal.OperationIntent, 1
	want.FirstSentAt, want.LastSentAt, want.CreatedAt, want.UpdatedAt = start, start, start, start
	requireOperation(t, want, stored)
	requireOperation(t, want, get(t, f, want.Key))

	f.clock.Advance(time.Hour)
	second := salesOrder("order/WEB-1:so:1")
	second.Request = []byte("mapped anew: retries send the stored bytes")
	again, fresh, err := f.Operations().Begin(t.Context(), second)
	require.NoError(t, err)
	require.False(t, fresh)
	requireOperation(t, want, again)
}

// requireOperation compares operations, amounts by value.
func requireOperation(t *testing.T, want, got journal.Operation) {
	t.Helper()
	require.True(t, want.Amount.Equal(got.Amount), "amount %s, want %s", got.Amount, want.Amount)
	want.Amount, got.Amount = canonical.Money{}, canonical.Money{}
	require.Equal(t, want, got)
}

func beginRefusesOtherInput(t *testing.T, f *fixture) {
	begin(t, f, salesOrder("k"))
	other := salesOrder("k")
	other.InputHash = "hash-2"
	_, fresh, err := f.Operations().Begin(t.Context(), other)
	require.ErrorIs(t, err, journal.ErrInputDiffers)
	require.False(t, fresh)
	require.Equal(t, "hash-1", get(t, f, "k").InputHash)
}

func sendsAreCounted(t *testing.T, f *fixture) {
	ops := f.Operations()
	begin(t, f, salesOrder("k"))
	require.NoError(t, ops.NotSent(t.Context(), "k"))
	require.NoError(t, ops.NotSent(t.Context(), "k"))
	require.Zero(t, get(t, f, "k").Sends, "never below zero")

	first := f.clock.Advance(time.Minute)
	require.NoError(t, ops.Resend(t.Context(), "k"))
	last := f.clock.Advance(time.Minute)
	require.NoError(t, ops.Resend(t.Context(), "k"))
	op := get(t, f, "k")
	require.Equal(t, 2, op.Sends)
	require.Equal(t, first, op.FirstSentAt, "the send that never was does not count")
	require.Equal(t, last, op.LastSentAt)

	require.NoError(t, ops.Unknown(t.Context(), "k", "no answer within 25s"))
	op = get(t, f, "k")
	require.Equal(t, journal.OperationUnknown, op.State)
	require.Equal(t, "no answer within 25s", op.Detail)
	require.NoError(t, ops.Resend(t.Context(), "k"))
	require.Equal(t, 3, get(t, f, "k").Sends)

	require.ErrorIs(t, ops.Resend(t.Context(), "none"), journal.ErrNotFound)
	require.ErrorIs(t, ops.Unknown(t.Context(), "none", ""), journal.ErrNotFound)
}

func crashAfterBeginLeavesIntent(t *testing.T, f *fixture) {
	begin(t, f, salesOrder("k"))

	reopened, err := journal.Open(t.Context(), f.dsn, journal.Options{Keyring: testRing(t, "k1"), Clock: f.clock.Now})
	require.NoError(t, err)
	defer func() { require.NoError(t, reopened.Close()) }()
	f.clock.Advance(time.Minute)
	stored, fresh, err := reopened.Operations().Begin(t.Context(), salesOrder("k"))
	require.NoError(t, err)
	require.False(t, fresh)
	require.Equal(t, journal.OperationIntent, stored.State)
	require.Equal(t, 1, stored.Sends, "it may have been sent: ask first")
	require.Equal(t, start, stored.LastSentAt)
	require.Equal(t, salesOrder("k").Request, stored.Request)

	open, err := reopened.Operations().Unresolved(t.Context(), "erp-syspro", f.clock.Now(), 10)
	require.NoError(t, err)
	require.Len(t, open, 1)
	none, err := reopened.Operations().Unresolved(t.Context(), "cybersource", f.clock.Now(), 10)
	require.NoError(t, err)
	require.Empty(t, none)
}

func outcomesAreFinal(t *testing.T, f *fixture) {
	ops := f.Operations()
	conclude := map[string]func(key string) error{
		"succeeded": func(key string) error { return ops.Succeed(t.Context(), key, "SO-"+key, []byte("answer")) },
		"refused":   func(key string) error { return ops.Refuse(t.Context(), key, []byte("answer")) },
		"absent":    func(key string) error { return ops.Absent(t.Context(), key) },
	}
	for first, do := range conclude {
		begin(t, f, salesOrder(first))
		require.ErrorIs(t, do("none"), journal.ErrNotFound)
		require.NoError(t, do(first))
		require.NoError(t, do(first), "a repeat changes nothing")
		for second, other := range conclude {
			if second != first {
				require.ErrorIs(t, other(first), journal.ErrConcluded, "%s after %s", second, first)
			}
		}
		require.ErrorIs(t, ops.Unknown(t.Context(), first, "late"), journal.ErrConcluded)
		require.ErrorIs(t, ops.Resend(t.Context(), first), journal.ErrConcluded)
		require.ErrorIs(t, ops.NotSent(t.Context(), first), journal.ErrConcluded)
		stored := get(t, f, first)
		require.Equal(t, first, string(stored.State))
		require.True(t, stored.State.Final())
		require.Equal(t, 1, stored.Sends)
	}
	require.ErrorIs(t, ops.Succeed(t.Context(), "succeeded", "SO-2", nil), journal.ErrConcluded)
	require.Equal(t, "answer", string(get(t, f, "succeeded").Outcome))
}

func outsideIDServesOneOperation(t *testing.T, f *fixture) {
	ops := f.Operations()
	begin(t, f, salesOrder("a"))
	begin(t, f, salesOrder("b"))
	invoice := salesOrder("c")
	invoice.Kind = "invoice"
	begin(t, f, invoice)
	elsewhere := salesOrder("d")
	elsewhere.System = "erp-sagepro"
	begin(t, f, elsewhere)

	require.NoError(t, ops.Succeed(t.Context(), "a", "000123", nil))
	require.ErrorIs(t, ops.Succeed(t.Context(), "b", "000123", nil), journal.ErrOutsideIDTaken)
	require.Equal(t, journal.OperationIntent, get(t, f, "b").State)
	require.NoError(t, ops.Succeed(t.Context(), "c", "000123", nil), "an ERP may number orders and invoices alike")
	require.NoError(t, ops.Succeed(t.Context(), "d", "000123", nil))
	require.NoError(t, ops.Succeed(t.Context(), "b", "", nil), "none is no id")

	// A gateway transaction serves one operation, of whatever kind.
	authorize(t, f, "WEB-1", "auth", "100", "tx-1")
	captureOp := paymentOp("WEB-1", "capture", "100")
	_, _, err := f.BeginPayment(t.Context(), captureOp, journal.EffectCapture)
	require.NoError(t, err)
	err = f.SucceedPayment(t.Context(), captureOp.Key, "tx-1", nil, journal.PaymentChange{}, nil)
	require.ErrorIs(t, err, journal.ErrOutsideIDTaken)
	require.Equal(t, journal.OperationIntent, get(t, f, captureOp.Key).State)
	require.True(t, payment(t, f, "WEB-1").Captured.IsZero(), "nothing of a refused conclusion stays")
}

func operationsAreFound(t *testing.T, f *fixture) {
	for i, key := range []string{"z", "y", "x"} {
		op := salesOrder(key)
		op.Kind = fmt.Sprint("kind", i)
		begin(t, f, op)
		require.NoError(t, f.Operations().Succeed(t.Context(), key, "1001", nil))
		f.clock.Advance(time.Microsecond)
	}
	other := salesOrder("other")
	other.OrderID = "WEB-2"
	begin(t, f, other)

	list, err := f.Operations().ByOrder(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []string{"z", "y", "x"}, keys(list), "oldest first")
	list, err = f.Operations().ByOutsideID(t.Context(), "erp-syspro", "1001")
	require.NoError(t, err)
	require.Equal(t, []string{"z", "y", "x"}, keys(list))
	list, err = f.Operations().ByOutsideID(t.Context(), "erp-syspro", "")
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = f.Operations().Get(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func keys(list []journal.Operation) []string {
	var keys []string
	for _, op := range list {
		keys = append(keys, op.Key)
	}
	return keys
}

func racingBeginsHaveOneWinner(t *testing.T, f *fixture) {
	var winners atomic.Int64
	race(t, 10, func(int) error {
		_, fresh, err := f.Operations().Begin(t.Context(), salesOrder("k"))
		if fresh {
			winners.Add(1)
		}
		return err
	})
	require.EqualValues(t, 1, winners.Load())
}

// race runs contestants at once and requires that none of them fails.
func race(t *testing.T, contestants int, run func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, contestants)
	gate := make(chan struct{})
	for i := range contestants {
		group.Go(func() {
			<-gate
			errs[i] = run(i)
		})
	}
	close(gate)
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
