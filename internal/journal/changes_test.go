package journal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

func changesMoveTheCursor(t *testing.T, f *fixture) {
	cursor := func() time.Time {
		at, err := f.Cursor(t.Context(), "syspro/memos")
		require.NoError(t, err)
		return at
	}
	receive := func(watermark time.Time, ids ...string) int {
		var items []journal.InboxItem
		for _, id := range ids {
			items = append(items, event(id))
		}
		created, err := f.ReceiveChanges(t.Context(), items, "syspro/memos", watermark)
		require.NoError(t, err)
		return created
	}
	require.Zero(t, cursor())
	require.Equal(t, 2, receive(start, "e1", "e2"))
	require.Equal(t, start, cursor())
	require.Equal(t, 1, receive(time.Time{}, "e2", "e3"), "what is read twice is there once")
	require.Equal(t, start, cursor())
	require.Zero(t, receive(start.Add(-time.Hour)))
	require.Equal(t, start, cursor(), "the cursor never goes back")
	require.Zero(t, receive(start.Add(time.Hour), "e1"))
	require.Equal(t, start.Add(time.Hour), cursor())
	require.Equal(t, []string{"e1", "e2", "e3"}, pending(t, f, 10))
	other, err := f.Cursor(t.Context(), "sagepro/memos")
	require.NoError(t, err)
	require.Zero(t, other)
}

// brokenPageMovesNothing: what can't be stored leaves the cursor, and all of its page, as it was.
func brokenPageMovesNothing(t *testing.T, f *fixture) {
	bad := event("e2")
	bad.State = "none of these"
	_, err := f.ReceiveChanges(t.Context(), []journal.InboxItem{event("e1"), bad}, "feed", start)
	require.Error(t, err)
	at, err := f.Cursor(t.Context(), "feed")
	require.NoError(t, err)
	require.Zero(t, at)
	_, err = f.Event(t.Context(), "e1")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func shipment(number string) canonical.Shipment {
	return canonical.Shipment{Number: number, OrderID: "WEB-1", Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: "A100", Quantity: dec("1")}}}
}

func shipmentsAreRecordedOnce(t *testing.T, f *fixture) {
	half := func(earlier []journal.ShipmentRecord) (canonical.Money, bool) {
		return usd(fmt.Sprint(10 + len(earlier))), len(earlier) >= 1
	}
	_, err := f.RecordShipment(t.Context(), "WEB-1", shipment("S1"), half)
	require.ErrorIs(t, err, journal.ErrNotFound, "no order, no shipment")
	take(t, f, "WEB-1")
	first, err := f.RecordShipment(t.Context(), "WEB-1", shipment("S1"), half)
	require.NoError(t, err)
	want := journal.ShipmentRecord{OrderID: "WEB-1", Shipment: shipment("S1"), Sequence: 1, Share: usd("10"), RecordedAt: start}
	require.Equal(t, want, first)

	f.clock.Advance(time.Hour)
	second, err := f.RecordShipment(t.Context(), "WEB-1", shipment("S2"), half)
	require.NoError(t, err)
	require.Equal(t, []any{2, true, true}, []any{second.Sequence, second.Complete, second.Final})
	third, err := f.RecordShipment(t.Context(), "WEB-1", shipment("S3"), half)
	require.NoError(t, err)
	require.Equal(t, []any{3, true, false}, []any{third.Sequence, third.Complete, third.Final}, "only one completes an order")

	told := shipment("S1")
	told.Tracking, told.Carrier, told.Lines = "1Z999", "UPS", nil
	first, err = f.RecordShipment(t.Context(), "WEB-1", told, func([]journal.ShipmentRecord) (canonical.Money, bool) {
		t.Error("what is recorded is not valued again")
		return canonical.Money{}, true
	})
	require.NoError(t, err)
	want.Shipment.Tracking, want.Shipment.Carrier = "1Z999", "UPS"
	require.Equal(t, want, first)
	list, err := f.Shipments(t.Context(), "WEB-1")
	require.NoError(t, err)
	for i := range list {
		requireAmount(t, list[i].Share.Amount.String(), []decimal.Decimal{dec("10"), dec("11"), dec("12")}[i])
	}
	require.Equal(t, []journal.ShipmentRecord{want, second, third}, list)
}

func racingShipmentsHaveTheirPlace(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	race(t, 10, func(i int) error {
		_, err := f.RecordShipment(t.Context(), "WEB-1", shipment(fmt.Sprint("S", i%5)), func(earlier []journal.ShipmentRecord) (canonical.Money, bool) {
			return usd("1"), len(earlier) == 4
		})
		return err
	})
	list, err := f.Shipments(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, list, 5)
	for i, one := range list {
		require.Equal(t, i+1, one.Sequence)
		require.Equal(t, i == 4, one.Final)
	}
}

func stockTellsWhatChanged(t *testing.T, f *fixture) {
	level := func(code, warehouse, available string, at time.Time) journal.StockLevel {
		return journal.StockLevel{Erp: "syspro", Code: code, Warehouse: warehouse, Available: dec(available), At: at}
	}
	put := func(levels ...journal.StockLevel) []journal.StockLevel {
		changed, err := f.PutStock(t.Context(), levels...)
		require.NoError(t, err)
		return changed
	}
	a, b := level("A100", "E", "5", start), level("B200", "E", "0.5", start)
	require.Equal(t, []journal.StockLevel{a, b}, put(a, b))
	require.Empty(t, put(a, level("B200", "E", "0.50", start.Add(time.Minute))), "the same quantity is no change")
	require.Empty(t, put(level("B200", "E", "9", start)), "what is older changes nothing")
	later := level("A100", "E", "4", start.Add(time.Hour))
	west := level("A100", "W", "4", start)
	require.Equal(t, []journal.StockLevel{later, west}, put(later, west))

	list, err := f.Stock(t.Context(), "A100", "none")
	require.NoError(t, err)
	later.UpdatedAt, west.UpdatedAt = start, start
	require.Equal(t, []journal.StockLevel{later, west}, list)
	list, err = f.Stock(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 3)
	requireAmount(t, "0.5", list[2].Available)
	require.Equal(t, start.Add(time.Minute), list[2].At)
}
