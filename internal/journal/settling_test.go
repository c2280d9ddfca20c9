package journal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
)

const (
	firstDay  = "2026-11-20"
	secondDay = "2026-11-21"
)

// paid takes an order and its money: authorized, then captured by the transaction.
func paid(t *testing.T, f *fixture, orderID, amount, transaction string) journal.Operation {
	t.Helper()
	t.Helper()
	take(t, f, orderID)
	authorize(t, f, orderID, "auth", amount, "a-"+transaction)
	op := paymentOp(orderID, "capture", amount)
	perform(t, f, journal.EffectCapture, op, transaction, journal.PaymentChange{})
	return op
}

// settling reads a stream to its end.
func settling(t *testing.T, f *fixture, merchant, date string, since time.Time) []settlement.Operation {
	t.Helper()
	t.Helper()
	stream, err := f.Settling("cybersource", since).Operations(t.Context(), merchant, date)
	require.NoError(t, err)
	var list []settlement.Operation
	for {
		op, err := stream.Next()
		if errors.Is(err, io.EOF) {
			_, err = stream.Next()
			require.ErrorIs(t, err, io.EOF, "the end stays the end")
			return list
		}
		require.NoError(t, err)
		list = append(list, op)
	}
}

func transactions(list []settlement.Operation) []string {
	ids := []string{}
	for _, op := range list {
		ids = append(ids, op.TransactionID)
	}
	return ids
}

func markOf(op journal.Operation, batch string) settlement.Mark {
	return settlement.Mark{Operation: op.Key, OrderID: op.OrderID, BatchID: batch, Amount: op.Amount}
}

func settle(t *testing.T, f *fixture, date string, marks ...settlement.Mark) {
	t.Helper()
	t.Helper()
	require.NoError(t, f.MarkSettled(t.Context(), "demo", date, 1, marks))
}

// whatSettlesIsStreamed: only money that a report has to show, in the order of bytes, with what was taken and when.
func whatSettlesIsStreamed(t *testing.T, f *fixture) {
	require.Empty(t, settling(t, f, "demo", firstDay, time.Time{}))
	paid(t, f, "WEB-1", "48.19", "b2")
	took := start.Add(-time.Hour)
	take(t, f, "WEB-2")
	part := dec("30.00")
	sale := paymentOp("WEB-2", "sale", "40.00")
	perform(t, f, journal.EffectSale, sale, "B1", journal.PaymentChange{Amount: &part, At: took})
	refund := paymentOp("WEB-2", "refund", "10.00")
	refund.Related = "B1"
	perform(t, f, journal.EffectRefund, refund, "Ä", journal.PaymentChange{})
	require.Equal(t, "B1", get(t, f, refund.Key).Related)

	// None of these has moved money that a report shows.
	for i, change := range []journal.PaymentChange{{Status: canonical.PaymentHeld}, {NotCaptured: true}} {
		perform(t, f, journal.EffectSale, paymentOp(fmt.Sprint("HELD-", i), "sale", "9.00"), fmt.Sprint("held-", i), change)
	}
	authorize(t, f, "AUTH", "auth", "9.00", "only-authorized")
	paid(t, f, "OPEN", "9.00", "c-open")
	_, _, err := f.BeginPayment(t.Context(), paymentOp("OPEN", "refund", "9.00"), journal.EffectRefund)
	require.NoError(t, err)
	paid(t, f, "VOID", "9.00", "c-voided")
	void := paymentOp("VOID", "void", "9.00")
	void.Related = "c-voided"
	perform(t, f, journal.EffectVoidCapture, void, "v-voided", journal.PaymentChange{})

	list := settling(t, f, "demo", firstDay, time.Time{})
	require.Equal(t, []string{"B1", "b2", "c-open", "Ä"}, transactions(list), "by bytes: capitals first, and what is beyond ASCII last")
	require.Equal(t, settlement.Operation{
		Key: sale.Key, OrderID: "WEB-2", TransactionID: "B1", Reference: "WEB-2", Kind: settlement.Capture, Amount: canonical.NewMoney(list[0].Amount.Amount, "USD"), At: took,
	}, list[0])
	requireAmount(t, "30", list[0].Amount.Amount)
	require.Equal(t, settlement.Refund, list[3].Kind)
	require.Equal(t, start, list[3].At, "when it was sent, where the gateway does not tell")

	require.Equal(t, []string{"b2", "c-open", "Ä"}, transactions(settling(t, f, "demo", firstDay, start)), "what was taken before is left out")
	found, err := f.Settling("cybersource", time.Time{}).Find(t.Context(), []string{"b2", "none", "c-voided", "B1"})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"b2", "B1"}, transactions(found))
	none, err := f.Settling("other", time.Time{}).Find(t.Context(), []string{"b2"})
	require.NoError(t, err)
	require.Empty(t, none)
}

// voidsTakeWhatTheyVoid: with several captures only the one that a void names; one that names nothing, all that is not settled.
func voidsTakeWhatTheyVoid(t *testing.T, f *fixture) {
	authorize(t, f, "WEB-1", "auth", "30.00", "a1")
	for i := range 3 {
		perform(t, f, journal.EffectCapture, paymentOp("WEB-1", fmt.Sprint("capture-", i), "10.00"), fmt.Sprint("c", i), journal.PaymentChange{})
	}
	void := paymentOp("WEB-1", "void-1", "10.00")
	void.Related = "c1"
	perform(t, f, journal.EffectVoidCapture, void, "v1", journal.PaymentChange{})
	require.Equal(t, []string{"c0", "c2"}, transactions(settling(t, f, "demo", firstDay, time.Time{})))

	settle(t, f, firstDay, markOf(paymentOp("WEB-1", "capture-0", "10.00"), "1"))
	perform(t, f, journal.EffectVoidCapture, paymentOp("WEB-1", "void-2", "10.00"), "v2", journal.PaymentChange{})
	require.Equal(t, []string{"c0"}, transactions(settling(t, f, "demo", firstDay, time.Time{})), "what has settled stays")
}

func merchantsSettleApart(t *testing.T, f *fixture) {
	for i, merchant := range []string{"eu", "us", ""} {
		order := fmt.Sprint("WEB-", i)
		authorize(t, f, order, "auth", "10.00", "a"+order)
		op := paymentOp(order, "capture", "10.00")
		op.Merchant = merchant
		perform(t, f, journal.EffectCapture, op, fmt.Sprint("c", i), journal.PaymentChange{})
	}
	require.Equal(t, []string{"c0", "c2"}, transactions(settling(t, f, "eu", firstDay, time.Time{})))
	require.Equal(t, []string{"c1", "c2"}, transactions(settling(t, f, "us", firstDay, time.Time{})))
}

// longStreamsAreMerged: pages of either stream end anywhere, and what is marked while it is read comes neither twice nor not at all.
func longStreamsAreMerged(t *testing.T, f *fixture) {
	const count = 4500
	db := raw(t, f.dsn)
	tx, err := db.Beginx()
	require.NoError(t, err)
	var want []string
	for i := range count {
		id := fmt.Sprintf("t%05d", i)
		date := map[int]string{0: "", 1: firstDay, 2: "2026-01-01"}[i%3]
		_, err := tx.Exec(tx.Rebind(`INSERT INTO operations (operation_key, system, kind, effect, order_id, input_hash, reference, guard, amount, currency,
			request, state, outside_id, sends, first_sent_at, last_sent_at, created_at, updated_at, moved, taken_at, settles, settled_on)
			VALUES (?, 'cybersource', 'capture', 'capture', ?, '', ?, '', '1.00', 'USD', ?, 'succeeded', ?, 1, 1, 1, 1, 1, '1.00', 1, ?, ?)`),
			"op"+id, "o"+id, "o"+id, []byte{}, id, true, date)
		require.NoError(t, err)
		if i%3 != 2 {
			want = append(want, id)
		}
	}
	require.NoError(t, tx.Commit())

	stream, err := f.Settling("cybersource", time.Time{}).Operations(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	var got []string
	var marks []settlement.Mark
	for {
		op, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		got = append(got, op.TransactionID)
		if marks = append(marks, settlement.Mark{Operation: op.Key, OrderID: op.OrderID}); len(marks) == 700 {
			settle(t, f, firstDay, marks...)
			marks = nil
		}
	}
	require.Equal(t, want, got)
	settle(t, f, firstDay, marks...)
	require.Equal(t, want, transactions(settling(t, f, "demo", firstDay, time.Time{})), "now settled, and still of this day")
	require.Empty(t, settling(t, f, "demo", secondDay, time.Time{}))
}

// paymentsSettleWithTheirCaptures: a payment is settled with its last capture, and so is its order; marking again, or on another day,
// changes nothing, and the other day hears of it.
func paymentsSettleWithTheirCaptures(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	authorize(t, f, "WEB-1", "auth", "48.19", "a1")
	first, second := paymentOp("WEB-1", "capture-1", "20.00"), paymentOp("WEB-1", "capture-2", "28.19")
	perform(t, f, journal.EffectCapture, first, "c1", journal.PaymentChange{})
	perform(t, f, journal.EffectCapture, second, "c2", journal.PaymentChange{})

	settle(t, f, firstDay, markOf(first, "17"))
	p := payment(t, f, "WEB-1")
	require.Equal(t, []any{canonical.PaymentCaptured, firstDay, "17"}, []any{p.Status, p.SettledOn, p.BatchID})
	page, _, err := f.SettledOrders(t.Context(), "demo", firstDay, "", 10)
	require.NoError(t, err)
	require.Empty(t, page, "half of it is not paid")

	taken := f.MarkSettled(t.Context(), "demo", secondDay, 1, []settlement.Mark{markOf(second, "18"), markOf(first, "18")})
	require.ErrorIs(t, taken, journal.ErrTaken)
	op := get(t, f, first.Key)
	require.Equal(t, []string{firstDay, "17"}, []string{op.SettledOn, op.BatchID}, "the day that took it keeps it")
	require.Empty(t, get(t, f, second.Key).SettledOn, "nothing of the page is marked")
	settle(t, f, secondDay, markOf(second, "18"))
	require.ErrorIs(t, f.MarkSettled(t.Context(), "demo", firstDay, 1, []settlement.Mark{markOf(second, "19")}), journal.ErrTaken)
	require.Equal(t, secondDay, get(t, f, second.Key).SettledOn)
	p = payment(t, f, "WEB-1")
	require.Equal(t, []any{canonical.PaymentSettled, secondDay, "18"}, []any{p.Status, p.SettledOn, p.BatchID})
	require.Equal(t, canonical.PaymentSettled, order(t, f, "WEB-1").PaymentStatus)

	page, next, err := f.SettledOrders(t.Context(), "demo", secondDay, "", 10)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, page, 1)
	requireAmount(t, "48.19", page[0].Amount.Amount)
	require.Equal(t, []string{"WEB-1", "", "", "c2", "USD"},
		[]string{page[0].OrderID, page[0].SalesOrder, page[0].Invoice, page[0].TransactionID, page[0].Amount.Currency})

	// A refund that settles does not touch the status; a payment that was refunded before its capture settled keeps saying so.
	paid(t, f, "WEB-2", "10.00", "c3")
	refund := paymentOp("WEB-2", "refund", "4.00")
	perform(t, f, journal.EffectRefund, refund, "r3", journal.PaymentChange{})
	settle(t, f, secondDay, markOf(paymentOp("WEB-2", "capture", "10.00"), "18"), markOf(refund, "18"))
	p = payment(t, f, "WEB-2")
	require.Equal(t, []any{canonical.PaymentPartiallyRefunded, secondDay}, []any{p.Status, p.SettledOn})
	require.Equal(t, secondDay, get(t, f, refund.Key).SettledOn)

	require.Error(t, f.MarkSettled(t.Context(), "demo", "20.11.2026", 1, nil))
}

func settledOrdersArePaged(t *testing.T, f *fixture) {
	var want []string
	for i := range 5 {
		id := fmt.Sprint("WEB-", i)
		settle(t, f, firstDay, markOf(paid(t, f, id, "1.00", "c"+id), ""))
		want = append(want, id)
	}
	var got []string
	next := ""
	for first := true; first || next != ""; first = false {
		var page []journal.SettledOrder
		var err error
		page, next, err = f.SettledOrders(t.Context(), "demo", firstDay, next, 2)
		require.NoError(t, err)
		for _, one := range page {
			got = append(got, one.OrderID)
		}
	}
	require.Equal(t, want, got)
}

func entriesAreBookedOnce(t *testing.T, f *fixture) {
	settle(t, f, firstDay, settlement.Mark{Entry: "fee-1"}, settlement.Mark{Entry: "fee-2"})
	taken := f.MarkSettled(t.Context(), "demo", secondDay, 1, []settlement.Mark{{Entry: "fee-3"}, {Entry: "fee-2"}})
	require.ErrorIs(t, taken, journal.ErrTaken)
	booked, err := f.Settling("cybersource", time.Time{}).Booked(t.Context(), []string{"fee-2", "fee-3"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"fee-2": firstDay}, booked, "nothing of the page is marked")
	settle(t, f, secondDay, settlement.Mark{Entry: "fee-3"})
	booked, err = f.Settling("cybersource", time.Time{}).Booked(t.Context(), []string{"fee-1", "fee-2", "fee-3", "fee-4"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"fee-1": firstDay, "fee-2": firstDay, "fee-3": secondDay}, booked)
	booked, err = f.Settling("cybersource", time.Time{}).Booked(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, booked)
}

// run is one run of a settlement day, as far as it came.
type run struct {
	date   string
	shows  []string // entries that its reports show, none of them another day's
	posts  bool     // what it lacks
	ends   string   // state; "": it was killed
	reread bool     // its reports are read twice
}

// settlementRun does to the journal what a run of a day does.
func settlementRun(t require.TestingT, f *fixture, r run, sequence int) {
	ctx := context.Background()
	record := func(p journal.SettlementProgress) {
		p.Merchant, p.Date = "demo", r.date
		require.NoError(t, f.RecordSettlement(ctx, p))
	}
	record(journal.SettlementProgress{State: "waiting"})
	for range map[bool]int{false: 1, true: 2}[r.reread] {
		reading, err := f.NextReading(ctx, "demo", r.date)
		require.NoError(t, err)
		var marks []settlement.Mark
		for _, entry := range r.shows {
			mark := settlement.Mark{Entry: entry, Amount: usd("1.00")}
			marks = append(marks, mark, mark) // also where a page has it twice
		}
		require.NoError(t, f.MarkSettled(ctx, "demo", r.date, reading, marks))
		record(journal.SettlementProgress{Result: []byte("{}"), Reading: reading})
		record(journal.SettlementProgress{State: "approval"})
	}
	if r.posts {
		one := posting(sequence, fmt.Sprint(r.date, "-", sequence))
		one.Date = r.date
		require.NoError(t, f.RecordPosting(ctx, one))
	}
	if r.ends != "" {
		record(journal.SettlementProgress{State: r.ends})
	}
}

// entriesAreReleased: what a day did not post, or has taken out of its books again, another day may count.
func entriesAreReleased(t *testing.T, f *fixture) {
	held := func(entry string) string {
		booked, err := f.Settling("cybersource", time.Time{}).Booked(t.Context(), []string{entry})
		require.NoError(t, err)
		return booked[entry]
	}
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-1", "fee-2"}}, 0)
	require.Equal(t, firstDay, held("fee-1"), "the day waits for approval, and may post it")
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-1", "fee-2"}, ends: "unposted"}, 0)
	require.Empty(t, held("fee-1"), "given up")
	settlementRun(t, f, run{date: secondDay, shows: []string{"fee-1"}, posts: true, ends: "posted"}, 0)
	require.Equal(t, secondDay, held("fee-1"), "it counts where it is posted")
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-2"}, posts: true, ends: "posted"}, 0)
	require.Equal(t, firstDay, held("fee-2"))

	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-3"}, ends: "unposted"}, 0)
	require.Equal(t, firstDay, held("fee-2"), "a rerun that was given up takes nothing out")
	require.Empty(t, held("fee-3"), "nor does it post what is new")
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-3"}, posts: true, ends: "posted"}, 1)
	require.Empty(t, held("fee-2"), "the correction took it out")
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-2", "fee-3"}, ends: "unposted"}, 0)
	require.Empty(t, held("fee-2"), "that it is shown again posts nothing")
	require.Equal(t, firstDay, held("fee-3"))
	settlementRun(t, f, run{date: firstDay, shows: []string{"fee-3"}, ends: "posted"}, 0)
	require.Equal(t, firstDay, held("fee-3"), "nothing was left to post")

	old := raw(t, f.dsn)
	_, err := old.Exec(`INSERT INTO settlement_entries (entry, merchant, date) VALUES ('fee-9', 'demo', '2026-11-01')`)
	require.NoError(t, err)
	require.NoError(t, f.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: "demo", Date: "2026-11-01", State: "unposted"}))
	require.Equal(t, "2026-11-01", held("fee-9"), "what an earlier release marked stays marked")
}

// lateReadingsChangeNothing: a worker that was given up, and works on beside the one in its place, takes nothing back of what that has read.
func lateReadingsChangeNothing(t *testing.T, f *fixture) {
	const early, late = 100, 200
	mark := func(date string, reading journal.Reading, entry string) error {
		return f.MarkSettled(t.Context(), "demo", date, reading, []settlement.Mark{{Entry: entry, Amount: canonical.NewMoney(dec("1.00"), "USD")}})
	}
	record := func(p journal.SettlementProgress) {
		p.Merchant, p.Date = "demo", firstDay
		require.NoError(t, f.RecordSettlement(t.Context(), p))
	}
	record(journal.SettlementProgress{State: "waiting", Run: "r1"})
	require.NoError(t, mark(firstDay, early, "fee-1"))
	require.NoError(t, mark(firstDay, late, "fee-1"))
	record(journal.SettlementProgress{Result: []byte("[2]"), Reading: late})
	require.NoError(t, mark(firstDay, early, "fee-1"))
	require.NoError(t, mark(firstDay, early, "fee-2"))
	record(journal.SettlementProgress{Result: []byte("[1]"), Reading: early})
	day, err := f.SettlementDay(t.Context(), "demo", firstDay)
	require.NoError(t, err)
	require.Equal(t, "[2]", string(day.Result))
	for _, state := range []string{"posting", "posted"} {
		record(journal.SettlementProgress{State: state, Run: "r1"})
		require.ErrorIs(t, mark(secondDay, early, "fee-1"), journal.ErrTaken, state)
	}
	require.NoError(t, mark(secondDay, early, "fee-2"), "which the reading that is posted did not show")
}

// anyRunsCountEachEntryOnce holds the marks of any runs of two days, given up, posted or killed, against a model that knows what each has in
// its books.
func anyRunsCountEachEntryOnce(t *testing.T, f *fixture) {
	entries := []string{"fee-1", "fee-2", "fee-3"}
	generation := 0
	rapid.Check(t, func(t *rapid.T) {
		generation++
		days := []string{fmt.Sprintf("%04d-01-01", 2000+generation), fmt.Sprintf("%04d-01-02", 2000+generation)}
		named := func(entry string) string { return fmt.Sprint(generation, "/", entry) }
		ledger, claims := map[string][]string{}, map[string][]string{}
		sequences := map[string]int{}
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			at := rapid.IntRange(0, 1).Draw(t, "day")
			date, other := days[at], days[1-at]
			r := run{date: date, posts: rapid.Bool().Draw(t, "posts"), reread: rapid.Bool().Draw(t, "read twice")}
			for _, entry := range rapid.SliceOfDistinct(rapid.SampledFrom(entries), rapid.ID).Draw(t, "shown") {
				booked, err := f.Settling("cybersource", time.Time{}).Booked(context.Background(), []string{named(entry)})
				require.NoError(t, err)
				elsewhere := slices.Contains(ledger[other], entry) || slices.Contains(claims[other], entry)
				require.Equal(t, elsewhere, booked[named(entry)] == other, "%s of %s, in %v, on its way in %v", entry, other, ledger[other], claims[other])
				if !elsewhere {
					r.shows = append(r.shows, named(entry))
				}
			}
			r.ends = rapid.SampledFrom([]string{"", map[bool]string{false: "unposted", true: "posted"}[r.posts]}).Draw(t, "ends")
			settlementRun(t, f, r, sequences[date])
			shown := []string{}
			for _, entry := range r.shows {
				_, entry, _ = strings.Cut(entry, "/")
				shown = append(shown, entry)
			}
			claims[date] = nil
			if r.ends == "" {
				claims[date] = shown
			}
			if r.posts {
				ledger[date] = shown
				sequences[date]++
			}
		}
	})
}

// racingDaysTakeAnEntryOnce: days that read overlapping reports at once, as a backfill does, share no row.
func racingDaysTakeAnEntryOnce(t *testing.T, f *fixture) {
	const days = 6
	taken := make([]error, days)
	race(t, days, func(i int) error {
		marks := []settlement.Mark{{Entry: "dispute-1"}, {Entry: "dispute-2"}}
		if i%2 == 1 {
			slices.Reverse(marks)
		}
		taken[i] = f.MarkSettled(t.Context(), "demo", fmt.Sprintf("2026-11-%02d", i+1), 1, marks)
		return nil
	})
	booked, err := f.Settling("cybersource", time.Time{}).Booked(t.Context(), []string{"dispute-1", "dispute-2"})
	require.NoError(t, err)
	require.Equal(t, booked["dispute-1"], booked["dispute-2"], "a page is one day's")
	for i, err := range taken {
		if fmt.Sprintf("2026-11-%02d", i+1) == booked["dispute-1"] {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, journal.ErrTaken)
		}
	}
}

// racingMarksSettleOnce: two runs of different days mark the same captures while refunds begin and end.
func racingMarksSettleOnce(t *testing.T, f *fixture) {
	var marks []settlement.Mark
	for i := range 20 {
		marks = append(marks, markOf(paid(t, f, fmt.Sprint("WEB-", i), "10.00", fmt.Sprint("c", i)), ""))
	}
	dates := []string{firstDay, secondDay}
	taken := make([]error, len(dates))
	race(t, 4, func(i int) error {
		if i >= 2 {
			id := fmt.Sprint("WEB-", i)
			op := paymentOp(id, "refund", "1.00")
			if _, _, err := f.BeginPayment(t.Context(), op, journal.EffectRefund); err != nil {
				return err
			}
			return f.SucceedPayment(t.Context(), op.Key, "r"+id, nil, journal.PaymentChange{}, nil)
		}
		own := slices.Clone(marks)
		if i == 1 {
			slices.Reverse(own)
		}
		taken[i] = f.MarkSettled(t.Context(), "demo", dates[i], 1, own)
		return nil
	})
	one, other := taken[0], taken[1]
	if one != nil {
		one, other = other, one
	}
	require.NoError(t, one, "one day has them all")
	require.ErrorIs(t, other, journal.ErrTaken, "the other one hears of it, and counts none of them")
	first, second := settling(t, f, "demo", firstDay, time.Time{}), settling(t, f, "demo", secondDay, time.Time{})
	for _, mark := range marks {
		require.NotEmpty(t, get(t, f, mark.Operation).SettledOn)
	}
	const unsettledRefunds = 2
	require.Len(t, append(first, second...), len(marks)+2*unsettledRefunds, "each is settled on one of the days")
}

// cashIsSummedByDay: what was taken, paid back, shown by a settlement, disputed and is still due, by day of a time zone and currency.
func cashIsSummedByDay(t *testing.T, f *fixture) {
	settled := paid(t, f, "WEB-1", "100.10", "c1")
	perform(t, f, journal.EffectRefund, paymentOp("WEB-1", "refund", "0.05"), "r1", journal.PaymentChange{})
	paid(t, f, "WEB-2", "50.00", "c2")
	void := paymentOp("WEB-2", "void", "50.00")
	perform(t, f, journal.EffectVoidCapture, void, "v2", journal.PaymentChange{})
	euros := paymentOp("WEB-3", "sale", "7.00")
	euros.Amount.Currency = "EUR"
	perform(t, f, journal.EffectSale, euros, "c3", journal.PaymentChange{At: start.Add(12 * time.Hour)})
	settle(t, f, secondDay, markOf(settled, "1"))
	record := dispute("case-1", "WEB-1", "60.00")
	require.NoError(t, f.RecordChargeback(t.Context(), record, journal.ChargebackNote{Key: "1", Note: "opened"}, nil, nil))

	days, err := f.CashPosition(t.Context(), firstDay, secondDay, nil)
	require.NoError(t, err)
	require.Equal(t, []string{
		"2026-11-20 USD authorized 150.1 captured 100.1 refunded 0.05 settled 0 charged back 60 due -0.05",
		"2026-11-21 EUR authorized 7 captured 7 refunded 0 settled 0 charged back 0 due 7",
		"2026-11-21 USD authorized 0 captured 0 refunded 0 settled 100.1 charged back 0 due 0",
	}, cashLines(days))

	days, err = f.CashPosition(t.Context(), secondDay, secondDay, time.FixedZone("UTC+10", 10*3600))
	require.NoError(t, err)
	require.Equal(t, []string{
		"2026-11-21 EUR authorized 7 captured 7 refunded 0 settled 0 charged back 0 due 7",
		"2026-11-21 USD authorized 150.1 captured 100.1 refunded 0.05 settled 100.1 charged back 60 due -0.05",
	}, cashLines(days), "14:03 in London is the next day in Brisbane")

	// In Santiago the clocks are put forward at midnight: the 6th begins at one.
	santiago, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	night := paymentOp("WEB-4", "sale", "3.00")
	perform(t, f, journal.EffectSale, night, "c4", journal.PaymentChange{At: time.Date(2026, 9, 6, 3, 30, 0, 0, time.UTC)})
	for date, want := range map[string][]string{
		"2026-09-05": {"2026-09-05 USD authorized 3 captured 3 refunded 0 settled 0 charged back 0 due 3"}, "2026-09-06": nil,
	} {
		days, err = f.CashPosition(t.Context(), date, date, santiago)
		require.NoError(t, err)
		require.ElementsMatch(t, want, cashLines(days), date)
	}

	_, err = f.CashPosition(t.Context(), "yesterday", secondDay, nil)
	require.Error(t, err)
}

func cashLines(days []journal.CashDay) (lines []string) {
	for _, d := range days {
		lines = append(lines, fmt.Sprintf("%s %s authorized %s captured %s refunded %s settled %s charged back %s due %s",
			d.Date, d.Currency, d.Authorized, d.Captured, d.Refunded, d.Settled, d.ChargedBack, d.Due))
	}
	return lines
}

func paymentsAreListed(t *testing.T, f *fixture) {
	for i := range 5 {
		id := fmt.Sprint("WEB-", i)
		op := paid(t, f, id, "10.00", "c"+id)
		if i < 2 {
			settle(t, f, firstDay, markOf(op, "1"))
		}
		f.clock.Advance(time.Minute)
	}
	euros := paymentOp("EUR-1", "auth", "7.00")
	euros.Amount.Currency = "EUR"
	perform(t, f, journal.EffectAuthorize, euros, "e1", journal.PaymentChange{})
	_, _, err := f.BeginPayment(t.Context(), paymentOp("WEB-4", "refund", "4.00"), journal.EffectRefund)
	require.NoError(t, err)

	list := func(filter journal.PaymentFilter) (ids []string) {
		filter.Limit = 2
		for first := true; first || filter.Cursor != ""; first = false {
			page, next, err := f.Payments(t.Context(), filter)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), 2)
			for _, p := range page {
				ids = append(ids, p.OrderID)
			}
			filter.Cursor = next
		}
		return ids
	}
	require.Equal(t, []string{"EUR-1", "WEB-4", "WEB-3", "WEB-2", "WEB-1", "WEB-0"}, list(journal.PaymentFilter{}))
	require.Equal(t, []string{"WEB-1", "WEB-0"}, list(journal.PaymentFilter{Status: canonical.PaymentSettled}))
	require.Equal(t, []string{"WEB-1", "WEB-0"}, list(journal.PaymentFilter{SettledOn: firstDay}))
	require.Equal(t, []string{"EUR-1"}, list(journal.PaymentFilter{Currency: "EUR"}))
	require.Equal(t, []string{"WEB-2", "WEB-1"}, list(journal.PaymentFilter{From: start.Add(time.Minute), To: start.Add(3 * time.Minute)}))
	require.Empty(t, list(journal.PaymentFilter{Status: canonical.PaymentHeld}))

	page, _, err := f.Payments(t.Context(), journal.PaymentFilter{})
	require.NoError(t, err)
	for _, listed := range page {
		require.Equal(t, payment(t, f, listed.OrderID), listed, "a list says what the payment itself says")
	}
	_, _, err = f.Payments(t.Context(), journal.PaymentFilter{Cursor: "?"})
	require.ErrorIs(t, err, journal.ErrCursor)
}
