package journal_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

func newOrder(orderID string) journal.OrderRecord {
	return journal.OrderRecord{
		OrderID: orderID, Channel: "web-us", BodyHash: "hash-1", Input: []byte(`{"email":"ada@example.com"}`), Currency: "USD",
		Total: dec("48.19"), Erp: "syspro",
	}
}

func take(t *testing.T, f *fixture, orderID string) journal.OrderRecord {
	t.Helper()
	stored, created, err := f.TakeOrder(t.Context(), newOrder(orderID))
	require.NoError(t, err)
	require.True(t, created)
	return stored
}

func order(t *testing.T, f *fixture, orderID string) journal.OrderRecord {
	t.Helper()
	record, err := f.Order(t.Context(), orderID)
	require.NoError(t, err)
	return record
}

func eventKeys(t *testing.T, f *fixture, orderID string) []string {
	t.Helper()
	events, err := f.Timeline(t.Context(), orderID)
	require.NoError(t, err)
	var keys []string
	for _, event := range events {
		keys = append(keys, event.Key)
	}
	return keys
}

func ordersAreTakenOnce(t *testing.T, f *fixture) {
	want := newOrder("WEB-1")
	want.Status, want.PaymentStatus, want.ReceivedAt, want.UpdatedAt = canonical.OrderReceived, canonical.PaymentNone, start, start
	require.Equal(t, want, take(t, f, "WEB-1"))
	require.Equal(t, want, order(t, f, "WEB-1"))

	f.clock.Advance(time.Hour)
	stored, created, err := f.TakeOrder(t.Context(), newOrder("WEB-1"))
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, want, stored)

	other := newOrder("WEB-1")
	other.BodyHash = "hash-2"
	_, created, err = f.TakeOrder(t.Context(), other)
	require.ErrorIs(t, err, journal.ErrOrderDiffers)
	require.False(t, created)

	var winners atomic.Int64
	race(t, 10, func(int) error {
		_, created, err := f.TakeOrder(t.Context(), newOrder("WEB-2"))
		if created {
			winners.Add(1)
		}
		return err
	})
	require.EqualValues(t, 1, winners.Load())

	_, err = f.Order(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func unstartedOrdersAreFound(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	f.clock.Advance(time.Second)
	take(t, f, "WEB-2")
	unstarted := func(age time.Duration, limit int) []string {
		list, err := f.Unstarted(t.Context(), age, limit)
		require.NoError(t, err)
		var ids []string
		for _, record := range list {
			require.Equal(t, newOrder("").Input, record.Input, "the sweeper needs the input to start")
			ids = append(ids, record.OrderID)
		}
		return ids
	}
	require.Equal(t, []string{"WEB-1", "WEB-2"}, unstarted(0, 10))
	require.Equal(t, []string{"WEB-1"}, unstarted(time.Second, 10))
	require.Equal(t, []string{"WEB-1"}, unstarted(0, 1))

	first := f.clock.Advance(time.Second)
	require.NoError(t, f.MarkStarted(t.Context(), "WEB-1"))
	f.clock.Advance(time.Second)
	require.NoError(t, f.MarkStarted(t.Context(), "WEB-1"))
	require.Equal(t, first, *order(t, f, "WEB-1").StartedAt)
	require.Equal(t, []string{"WEB-2"}, unstarted(0, 10))
	require.ErrorIs(t, f.MarkStarted(t.Context(), "none"), journal.ErrNotFound)
}

func ordersAreListed(t *testing.T, f *fixture) {
	for i := range 5 {
		record := newOrder(fmt.Sprint("WEB-", i))
		record.Channel = []string{"web-us", "web-de"}[i%2]
		_, _, err := f.TakeOrder(t.Context(), record)
		require.NoError(t, err)
		if i != 2 { // two orders of the same microsecond
			f.clock.Advance(time.Second)
		}
	}
	yes, no := true, false
	require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-4", Seq: 1, Status: canonical.OrderBooking, NeedsAttention: &yes}))
	cases := map[string]struct {
		filter journal.OrderFilter
		want   []string
	}{
		"all":           {journal.OrderFilter{}, []string{"WEB-4", "WEB-3", "WEB-2", "WEB-1", "WEB-0"}},
		"one channel":   {journal.OrderFilter{Channels: []string{"web-de"}}, []string{"WEB-3", "WEB-1"}},
		"two channels":  {journal.OrderFilter{Channels: []string{"web-de", "web-us"}, Limit: 2}, []string{"WEB-4", "WEB-3"}},
		"no channel":    {journal.OrderFilter{Channels: []string{}}, nil},
		"status":        {journal.OrderFilter{Status: canonical.OrderBooking}, []string{"WEB-4"}},
		"attention":     {journal.OrderFilter{NeedsAttention: &yes}, []string{"WEB-4"}},
		"no attention":  {journal.OrderFilter{NeedsAttention: &no, Channels: []string{"web-us"}}, []string{"WEB-2", "WEB-0"}},
		"beyond limits": {journal.OrderFilter{Limit: 100000, Status: canonical.OrderReceived, Channels: []string{"web-us"}}, []string{"WEB-2", "WEB-0"}},
	}
	for name, c := range cases {
		page, _, err := f.Orders(t.Context(), c.filter)
		require.NoError(t, err, name)
		require.Equal(t, c.want, ids(page), name)
	}

	var paged []string
	filter := journal.OrderFilter{Limit: 2}
	for pages := 1; ; pages++ {
		page, next, err := f.Orders(t.Context(), filter)
		require.NoError(t, err)
		paged = append(paged, ids(page)...)
		if next == "" {
			require.Equal(t, 3, pages)
			break
		}
		filter.Cursor = next
	}
	require.Equal(t, cases["all"].want, paged)

	for _, cursor := range []string{"!", "bm90aGluZw", "MTIzNA"} {
		_, _, err := f.Orders(t.Context(), journal.OrderFilter{Cursor: cursor})
		require.ErrorIs(t, err, journal.ErrCursor, cursor)
	}
}

func ids(page []journal.OrderRecord) []string {
	var ids []string
	for _, record := range page {
		ids = append(ids, record.OrderID)
	}
	return ids
}

func progressMovesForwardOnly(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	text := func(s string) *string { return &s }
	yes := true
	full := journal.Progress{
		OrderID: "WEB-1", Seq: 10, Status: canonical.OrderConfirmed, PaymentStatus: canonical.PaymentCaptured, Reason: text("done"),
		ErpOrderNumber: text("SO-1"), ErpInvoice: text("INV-1"), CustomerCode: text("C-1"), GatewayID: text("tx"), NeedsAttention: &yes,
		Events: []journal.Event{{Key: "confirmed", Kind: "order"}},
	}
	now := f.clock.Advance(time.Second)
	require.NoError(t, f.RecordProgress(t.Context(), full))
	want := newOrder("WEB-1")
	want.Status, want.PaymentStatus, want.Reason, want.ErpOrderNumber = canonical.OrderConfirmed, canonical.PaymentCaptured, "done", "SO-1"
	want.ErpInvoice, want.CustomerCode, want.GatewayID, want.NeedsAttention = "INV-1", "C-1", "tx", true
	want.ReceivedAt, want.UpdatedAt = start, now
	require.Equal(t, want, order(t, f, "WEB-1"))

	require.NoError(t, f.RecordProgress(t.Context(), full), "a repeat changes nothing")
	late := journal.Progress{OrderID: "WEB-1", Seq: 9, Status: canonical.OrderBooking, Reason: text("late"),
		Events: []journal.Event{{Key: "booking", Kind: "order"}}}
	require.NoError(t, f.RecordProgress(t.Context(), late))
	require.Equal(t, want, order(t, f, "WEB-1"))
	require.Equal(t, []string{"confirmed", "booking"}, eventKeys(t, f, "WEB-1"))

	require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Seq: 11, Reason: text("")}))
	got := order(t, f, "WEB-1")
	require.Empty(t, got.Reason, "an empty text empties, a nil one leaves")
	require.Equal(t, "SO-1", got.ErpOrderNumber)
	require.Equal(t, canonical.OrderConfirmed, got.Status)

	err := f.RecordProgress(t.Context(), journal.Progress{OrderID: "none", Seq: 1, Events: []journal.Event{{Key: "x"}}})
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.Empty(t, eventKeys(t, f, "none"))
}

func timelineKeepsEachEventOnce(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	events := []journal.Event{
		{Key: "b", At: start.Add(2 * time.Second), Kind: "payment", Summary: "captured", Actor: "workflow", Detail: map[string]string{"transactionId": "7"}},
		{Key: "a", At: start.Add(time.Second), Kind: "payment", Summary: "authorized", Actor: "workflow", Detail: map[string]string{}},
		{Key: "d", At: start.Add(3 * time.Second), Kind: "order", Detail: map[string]string{}},
		{Key: "c", At: start.Add(3 * time.Second), Kind: "order", Detail: map[string]string{}},
	}
	for range 2 {
		require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Events: events}))
	}
	changed := events[0]
	changed.Summary = "told otherwise later"
	require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Events: []journal.Event{changed, {Key: "now"}}}))

	got, err := f.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []journal.Event{{Key: "now", At: start, Detail: map[string]string{}}, events[1], events[0], events[2], events[3]}, got)
}

func timelineHoldsAllowedDetailOnly(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	event := journal.Event{Key: "k", Summary: "paid with 4111 1111 1111 1111", Detail: map[string]string{
		"salesOrder": "SO-1", "email": "ada@example.com", "reference": "4111-1111-1111-1111", "transactionId": "7000000000000000000022",
	}}
	require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Events: []journal.Event{event}}))
	got, err := f.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"salesOrder": "SO-1", "reference": "[masked]", "transactionId": "7000000000000000000022"}, got[0].Detail)
	require.Equal(t, "paid with [masked]", got[0].Summary)
}
