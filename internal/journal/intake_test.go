package journal_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

func event(id string) journal.InboxItem {
	return journal.InboxItem{ID: id, Source: "cybersource", EventType: "risk.casemanagement.decision.accept", ResourceID: "7000", OrderID: "WEB-1",
		Body: []byte(`{"email":"ada@example.com"}`)}
}

func receive(t *testing.T, f *fixture, id string) {
	t.Helper()
	created, err := f.Receive(t.Context(), event(id))
	require.NoError(t, err)
	require.True(t, created)
}

func pending(t *testing.T, f *fixture, limit int) []string {
	t.Helper()
	items, err := f.Pending(t.Context(), f.clock.Now(), limit)
	require.NoError(t, err)
	var ids []string
	for _, item := range items {
		ids = append(ids, item.ID)
	}
	return ids
}

func eventsAreReceivedOnce(t *testing.T, f *fixture) {
	var created atomic.Int64
	race(t, 10, func(int) error {
		fresh, err := f.Receive(t.Context(), event("e1"))
		if fresh {
			created.Add(1)
		}
		return err
	})
	require.EqualValues(t, 1, created.Load())

	want := event("e1")
	want.State, want.ReceivedAt, want.NextTryAt = journal.InboxPending, start, start
	got, err := f.Event(t.Context(), "e1")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = f.Event(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func eventsAreLeasedAndEnd(t *testing.T, f *fixture) {
	for _, id := range []string{"e3", "e1", "e2", "e4"} {
		receive(t, f, id)
		f.clock.Advance(time.Second)
	}
	require.Equal(t, []string{"e3", "e1"}, pending(t, f, 2), "oldest first")
	require.Equal(t, []string{"e2", "e4"}, pending(t, f, 10), "those given are leased")
	require.Empty(t, pending(t, f, 10))

	require.NoError(t, f.Delivered(t.Context(), "e3"))
	require.NoError(t, f.Ignored(t.Context(), "e1", "no order of ours"))
	require.NoError(t, f.GiveUp(t.Context(), "e2", fault.MissingReference, "tried for a day"))
	require.NoError(t, f.Postpone(t.Context(), "e4", f.clock.Now().Add(time.Hour), "order is not known yet"))
	f.clock.Advance(time.Hour - time.Second)
	require.Empty(t, pending(t, f, 10))
	f.clock.Advance(time.Second)
	require.Equal(t, []string{"e4"}, pending(t, f, 10))
	f.clock.Advance(time.Minute)
	require.Equal(t, []string{"e4"}, pending(t, f, 10), "whoever took it died: it comes again")

	for id, want := range map[string]journal.InboxItem{
		"e3": {State: journal.InboxDelivered, Tries: 1},
		"e1": {State: journal.InboxIgnored, Tries: 1, LastError: "no order of ours"},
		"e2": {State: journal.InboxAttention, Tries: 1, LastError: "tried for a day"},
		"e4": {State: journal.InboxPending, Tries: 1, LastError: "order is not known yet"},
	} {
		got, err := f.Event(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, journal.InboxItem{State: got.State, Tries: got.Tries, LastError: got.LastError}, id)
	}
	require.ErrorIs(t, f.Postpone(t.Context(), "e3", f.clock.Now(), ""), journal.ErrNotFound, "delivered is delivered")
	require.ErrorIs(t, f.Delivered(t.Context(), "none"), journal.ErrNotFound)

	for i := range 20 {
		receive(t, f, fmt.Sprint("race-", i))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	race(t, 4, func(int) error {
		items, err := f.Pending(t.Context(), f.clock.Now(), 5)
		mu.Lock()
		defer mu.Unlock()
		for _, item := range items {
			seen[item.ID]++
		}
		return err
	})
	for id, times := range seen {
		require.Equal(t, 1, times, "%s was given twice", id)
	}
	require.NotEmpty(t, seen)
}

func parked(id, orderID string) journal.Attention {
	return journal.Attention{
		ID: id, OrderID: orderID, WorkflowID: "order/" + orderID, Step: "sales_order", Class: fault.ClosedPeriod, Summary: "period 11 is closed",
		Suggestion: "open the period", Sent: []byte(`{"customer":"Ada"}`), Answer: []byte(`{"error":"GL_PERIOD_CLOSED"}`),
		Actions: []string{"retry", "compensate"}, Since: start, Deadline: start.Add(4 * time.Hour),
	}
}

func parkingFlagsTheOrder(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	for range 2 {
		require.NoError(t, f.Park(t.Context(), parked("a1", "WEB-1")))
	}
	want := parked("a1", "WEB-1")
	want.State, want.Channel = journal.AttentionOpen, "web-us"
	got, err := f.Attention(t.Context(), "a1")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.True(t, order(t, f, "WEB-1").NeedsAttention)

	require.NoError(t, f.Park(t.Context(), parked("a2", "WEB-1")))
	require.NoError(t, f.Resolve(t.Context(), "a1", "retry", "olivia", "period is open again"))
	require.True(t, order(t, f, "WEB-1").NeedsAttention, "another step still waits")
	require.NoError(t, f.Resolve(t.Context(), "a2", "compensate", "olivia", "customer gave up"))
	require.False(t, order(t, f, "WEB-1").NeedsAttention)

	require.NoError(t, f.Park(t.Context(), parked("a1", "WEB-1")), "a replayed park of a resolved step")
	require.False(t, order(t, f, "WEB-1").NeedsAttention)
	require.NoError(t, f.Park(t.Context(), parked("settlement", "")), "not every parked step has an order")
	_, err = f.Attention(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.ErrorIs(t, f.Resolve(t.Context(), "none", "retry", "", ""), journal.ErrNotFound)

	// Steps that park while others are resolved: the flag tells the truth in the end.
	race(t, 10, func(i int) error {
		id := fmt.Sprint("race-", i)
		if err := f.Park(t.Context(), parked(id, "WEB-1")); err != nil || i == 0 {
			return err
		}
		return f.Resolve(t.Context(), id, "retry", "olivia", "")
	})
	require.True(t, order(t, f, "WEB-1").NeedsAttention)
}

func resolvingIsAuditedOnce(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	require.NoError(t, f.Park(t.Context(), parked("a1", "WEB-1")))
	at := f.clock.Advance(time.Minute)
	race(t, 5, func(int) error { return f.Resolve(t.Context(), "a1", "retry", "olivia", "period is open again") })
	require.ErrorIs(t, f.Resolve(t.Context(), "a1", "compensate", "olivia", ""), journal.ErrResolved)
	require.ErrorIs(t, f.Resolve(t.Context(), "a1", "retry", "mallory", ""), journal.ErrResolved)

	got, err := f.Attention(t.Context(), "a1")
	require.NoError(t, err)
	require.Equal(t, journal.AttentionResolved, got.State)
	require.Equal(t, []string{"retry", "olivia", "period is open again"}, []string{got.Resolution, got.Actor, got.Reason})
	require.Equal(t, at, got.ResolvedAt)

	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []journal.AuditEntry{{At: at, Action: &journal.Action{
		At: at, OrderID: "WEB-1", Actor: "olivia", Action: "retry", Reason: "period is open again",
		Detail: map[string]string{"attentionId": "a1", "step": "sales_order", "workflowId": "order/WEB-1"},
	}}}, audit)
}

func parkedStepsAreListed(t *testing.T, f *fixture) {
	for i, id := range []string{"a3", "a1", "a2"} {
		item := parked(id, fmt.Sprint("WEB-", i%2))
		item.Since = start.Add(time.Duration(i) * time.Second)
		if i == 2 {
			item.Class = fault.Value
		}
		require.NoError(t, f.Park(t.Context(), item))
	}
	require.NoError(t, f.Resolve(t.Context(), "a1", "retry", "olivia", ""))
	for name, c := range map[string]struct {
		filter journal.AttentionFilter
		want   string
	}{
		"all, longest first": {journal.AttentionFilter{}, "a3 a1 a2"},
		"open":               {journal.AttentionFilter{State: journal.AttentionOpen}, "a3 a2"},
		"order":              {journal.AttentionFilter{OrderID: "WEB-1"}, "a1"},
		"class":              {journal.AttentionFilter{Class: fault.Value}, "a2"},
	} {
		page, next, err := f.Attentions(t.Context(), c.filter)
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, c.want, attentionIDs(page), name)
	}
	page, next, err := f.Attentions(t.Context(), journal.AttentionFilter{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, "a3 a1", attentionIDs(page))
	page, next, err = f.Attentions(t.Context(), journal.AttentionFilter{Limit: 2, Cursor: next})
	require.NoError(t, err)
	require.Equal(t, "a2", attentionIDs(page))
	require.Empty(t, next)
	_, _, err = f.Attentions(t.Context(), journal.AttentionFilter{Cursor: "!"})
	require.ErrorIs(t, err, journal.ErrCursor)
}

func attentionIDs(page []journal.Attention) string {
	var ids []string
	for _, item := range page {
		ids = append(ids, item.ID)
	}
	return strings.Join(ids, " ")
}

func auditShowsCallsAndActions(t *testing.T, f *fixture) {
	calls := []journal.Call{
		{At: start.Add(2 * time.Second), System: "cybersource", Method: "POST", Route: "/pts/v2/payments", Status: 201,
			Duration: 812 * time.Millisecond, CorrelationID: "corr", OperationKey: "k", OrderID: "WEB-1"},
		{At: start, System: "erp-syspro", Method: "GET", Route: "/customers/{id}", OrderID: "WEB-1", Error: "connection"},
		{At: start, System: "erp-syspro", OrderID: "WEB-2"},
	}
	require.NoError(t, f.RecordCalls(t.Context(), calls))
	require.NoError(t, f.RecordCalls(t.Context(), nil))
	action := journal.Action{At: start.Add(time.Second), OrderID: "WEB-1", Actor: "ada", Action: "cancel", Reason: "asked by phone",
		Detail: map[string]string{"k": "v"}}
	require.NoError(t, f.RecordAction(t.Context(), action))

	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []journal.AuditEntry{
		{At: calls[1].At, Call: &calls[1]}, {At: action.At, Action: &action}, {At: calls[0].At, Call: &calls[0]},
	}, audit)

	many := make([]journal.Call, 1201)
	for i := range many {
		many[i] = journal.Call{OrderID: "WEB-3", System: "cybersource"}
	}
	require.NoError(t, f.RecordCalls(t.Context(), many))
	audit, err = f.Audit(t.Context(), "WEB-3")
	require.NoError(t, err)
	require.Len(t, audit, len(many))
	require.Equal(t, start, audit[0].At)
}

func auditHoldsNoCardNumber(t *testing.T, f *fixture) {
	require.NoError(t, f.RecordCalls(t.Context(), []journal.Call{{OrderID: "WEB-1", Route: "/search?number=4111111111111111",
		Error: "refused 4111 1111 1111 1111 " + strings.Repeat("ä", 1000), CorrelationID: "4111.1111.1111.1111"}}))
	require.NoError(t, f.RecordAction(t.Context(), journal.Action{OrderID: "WEB-1", Reason: "card 4111111111111111 said the buyer"}))
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, "/search", audit[0].Call.Route)
	require.Equal(t, "[masked]", audit[0].Call.CorrelationID)
	require.True(t, strings.HasPrefix(audit[0].Call.Error, "refused [masked] ää"))
	require.Less(t, len(audit[0].Call.Error), 600)
	require.Equal(t, "card [masked] said the buyer", audit[1].Action.Reason)
}

func figuresCount(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	take(t, f, "WEB-2")
	require.NoError(t, f.MarkStarted(t.Context(), "WEB-1"))
	require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Status: canonical.OrderBooking}))
	require.NoError(t, f.Park(t.Context(), parked("a1", "WEB-1")))
	require.NoError(t, f.Park(t.Context(), parked("a2", "WEB-1")))
	require.NoError(t, f.Resolve(t.Context(), "a2", "retry", "olivia", ""))
	receive(t, f, "e1")
	begin(t, f, salesOrder("k1"))
	begin(t, f, salesOrder("k2"))
	require.NoError(t, f.Operations().Absent(t.Context(), "k2"))
	f.clock.Advance(time.Minute)
	begin(t, f, salesOrder("k3"))
	f.clock.Advance(time.Minute)

	stats, err := f.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, journal.Stats{
		Orders:          map[canonical.OrderStatus]int64{canonical.OrderBooking: 1, canonical.OrderReceived: 1},
		OpenAttention:   map[fault.Kind]int64{fault.ClosedPeriod: 1},
		Inbox:           map[journal.InboxState]int64{journal.InboxPending: 1},
		OpenOperations:  map[string]int64{"erp-syspro": 2},
		OldestOperation: map[string]time.Duration{"erp-syspro": 2 * time.Minute},
		Unstarted:       1,
	}, stats)
}
