package journal_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

func newRefund(refundID string) journal.RefundRecord {
	return journal.RefundRecord{
		OrderID: "WEB-1", RefundID: refundID, BodyHash: "hash-1", Origin: "shop", Actor: "shop-us", Reason: "ada@example.com sent it back",
		CreditMemo: "CM-1", Currency: "USD", Restock: true,
	}
}

// noneLeft is why these tests refuse a refund.
var errNoneLeft = errors.New("nothing is left")

// captured apportions an amount as long as the payment has that much left.
func captured(amount string) func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
	return func(earlier []canonical.RefundBreakdown, p journal.Payment) (canonical.RefundBreakdown, error) {
		left := p.Captured
		for _, other := range earlier {
			left = left.Sub(other.Total)
		}
		if dec(amount).GreaterThan(left) {
			return canonical.RefundBreakdown{}, errNoneLeft
		}
		return breakdown(amount), nil
	}
}

func breakdown(amount string) canonical.RefundBreakdown {
	return canonical.RefundBreakdown{
		Lines: []canonical.RefundShare{{Line: 1, SKU: "A100", Quantity: dec("1"), Net: dec(amount), Tax: dec("0")}},
		Net:   dec(amount), Tax: dec("0"), Shipping: dec("0"), Total: dec(amount),
	}
}

func pay(t *testing.T, f *fixture, amount string) {
	t.Helper()
	take(t, f, "WEB-1")
	perform(t, f, journal.EffectSale, paymentOp("WEB-1", "sale", amount), "tx-sale", journal.PaymentChange{})
}

func takeRefund(t *testing.T, f *fixture, refundID, amount string) journal.RefundRecord {
	t.Helper()
	stored, created, err := f.TakeRefund(t.Context(), newRefund(refundID), captured(amount))
	require.NoError(t, err)
	require.True(t, created)
	return stored
}

func refundsAreTakenOnce(t *testing.T, f *fixture) {
	pay(t, f, "100.00")
	want := newRefund("r1")
	want.Status, want.CreatedAt, want.UpdatedAt, want.Breakdown, want.Amount = canonical.RefundReceived, start, start, breakdown("60.25"), dec("60.25")
	require.Equal(t, want, takeRefund(t, f, "r1", "60.25"))
	got, err := f.Refund(t.Context(), "WEB-1", "r1")
	require.NoError(t, err)
	require.Equal(t, want, got)

	f.clock.Advance(time.Minute)
	stored, created, err := f.TakeRefund(t.Context(), newRefund("r1"), func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
		t.Error("a refund that is there is not worked out again")
		return canonical.RefundBreakdown{}, nil
	})
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, want, stored)

	other := newRefund("r1")
	other.BodyHash = "hash-2"
	stored, created, err = f.TakeRefund(t.Context(), other, captured("1"))
	require.ErrorIs(t, err, journal.ErrRefundDiffers)
	require.False(t, created)
	require.Equal(t, want, stored)

	_, created, err = f.TakeRefund(t.Context(), newRefund("r2"), captured("39.76"))
	require.ErrorIs(t, err, errNoneLeft)
	require.False(t, created)
	_, err = f.Refund(t.Context(), "WEB-1", "r2")
	require.ErrorIs(t, err, journal.ErrNotFound, "what was refused is not stored")

	unknown := newRefund("r1")
	unknown.OrderID = "WEB-404"
	_, _, err = f.TakeRefund(t.Context(), unknown, captured("1"))
	require.ErrorIs(t, err, journal.ErrNotFound)

	// A cancel of an order whose money was never asked for has no payment to look at.
	take(t, f, "WEB-2")
	cancel := newRefund("r1")
	cancel.OrderID, cancel.Cancels = "WEB-2", true
	stored, created, err = f.TakeRefund(t.Context(), cancel, func(earlier []canonical.RefundBreakdown, p journal.Payment) (canonical.RefundBreakdown, error) {
		require.Empty(t, earlier)
		require.Equal(t, journal.Payment{}, p)
		return breakdown("48.19"), nil
	})
	require.NoError(t, err)
	require.True(t, created)
	require.True(t, stored.Cancels)
}

func refusedRefundsGiveBackTheirShare(t *testing.T, f *fixture) {
	pay(t, f, "100.00")
	takeRefund(t, f, "r1", "100.00")
	_, _, err := f.TakeRefund(t.Context(), newRefund("r2"), captured("0.01"))
	require.ErrorIs(t, err, errNoneLeft)
	require.NoError(t, f.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-1", RefundID: "r1", Status: canonical.RefundRefused, Why: "card 4111111111111111 is closed",
	}, nil))
	takeRefund(t, f, "r2", "100.00")
	refunds, err := f.Refunds(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, refunds, 2)
	require.Equal(t, []string{"r1", "r2"}, []string{refunds[0].RefundID, refunds[1].RefundID})
	require.Equal(t, "card [masked] is closed", refunds[0].Why)
}

// tenRefundRequestsRace lets ten requests, each for a third of what was captured, race: three are taken, whichever.
func tenRefundRequestsRace(t *testing.T, f *fixture) {
	pay(t, f, "100.00")
	var taken atomic.Int64
	race(t, 10, func(i int) error {
		_, created, err := f.TakeRefund(t.Context(), newRefund(fmt.Sprint("r", i)), captured("30.00"))
		if created {
			taken.Add(1)
		}
		if errors.Is(err, errNoneLeft) {
			return nil
		}
		return err
	})
	require.EqualValues(t, 3, taken.Load())
	refunds, err := f.Refunds(t.Context(), "WEB-1")
	require.NoError(t, err)
	sum := decimal.Zero
	for _, refund := range refunds {
		sum = sum.Add(refund.Amount)
	}
	requireAmount(t, "90", sum)

	// The same request, sent ten times at once, is one refund.
	taken.Store(0)
	race(t, 10, func(int) error {
		_, created, err := f.TakeRefund(t.Context(), newRefund("same"), captured("10.00"))
		if created {
			taken.Add(1)
		}
		return err
	})
	require.EqualValues(t, 1, taken.Load())
}

func unstartedRefundsAreFound(t *testing.T, f *fixture) {
	pay(t, f, "100.00")
	takeRefund(t, f, "r2", "10")
	f.clock.Advance(time.Minute)
	takeRefund(t, f, "r1", "10")
	find := func(olderThan time.Duration) (ids []string) {
		found, err := f.UnstartedRefunds(t.Context(), olderThan, 10)
		require.NoError(t, err)
		for _, refund := range found {
			ids = append(ids, refund.RefundID)
		}
		return ids
	}
	require.Equal(t, []string{"r2", "r1"}, find(0))
	require.Equal(t, []string{"r2"}, find(time.Second))

	// One that cancels its order is given once that has ended: however many wait for theirs, they hold up nobody.
	for n := range 12 {
		id := fmt.Sprint("C-", n)
		take(t, f, id)
		_, _, err := f.TakeRefund(t.Context(), journal.RefundRecord{OrderID: id, RefundID: id, BodyHash: id, Currency: "USD", Cancels: true},
			func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
				return canonical.RefundBreakdown{}, nil
			})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"r2", "r1"}, find(0))
	for i, status := range []canonical.OrderStatus{canonical.OrderInReview, canonical.OrderCancelled, canonical.OrderBooking, canonical.OrderConfirmed} {
		require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: fmt.Sprint("C-", i), Seq: 1, Status: status}))
	}
	require.ElementsMatch(t, []string{"r2", "r1", "C-1", "C-3"}, find(0))
	for _, id := range []string{"C-1", "C-3"} {
		require.NoError(t, f.MarkRefundStarted(t.Context(), id, id))
	}
	at := f.clock.Now()
	require.NoError(t, f.MarkRefundStarted(t.Context(), "WEB-1", "r2"))
	f.clock.Advance(time.Minute)
	require.NoError(t, f.MarkRefundStarted(t.Context(), "WEB-1", "r2"))
	require.Equal(t, []string{"r1"}, find(0))
	started, err := f.Refund(t.Context(), "WEB-1", "r2")
	require.NoError(t, err)
	require.Equal(t, at, *started.StartedAt)
	require.ErrorIs(t, f.MarkRefundStarted(t.Context(), "WEB-1", "none"), journal.ErrNotFound)
}

func refundsMoveForwardWithTheirOrder(t *testing.T, f *fixture) {
	pay(t, f, "100.00")
	takeRefund(t, f, "r1", "10")
	step := journal.RefundProgress{OrderID: "WEB-1", RefundID: "r1", Status: canonical.RefundPaying, Way: "refund", TransactionID: "tx-1"}
	progress := &journal.Progress{Seq: 7, Status: canonical.OrderCancelled, Events: []journal.Event{{Key: "refund/r1", Kind: "refund", Summary: "paid back"}}}
	f.clock.Advance(time.Minute)
	for range 2 {
		require.NoError(t, f.RecordRefund(t.Context(), step, progress, notice("n1")))
	}
	require.NoError(t, f.RecordRefund(t.Context(), journal.RefundProgress{OrderID: "WEB-1", RefundID: "r1", ErpCreditMemo: "CM-9"}, nil))
	require.NoError(t, f.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-1", RefundID: "r1", Status: canonical.RefundCompleted, ErpRefund: "AR-9",
	}, nil))
	require.NoError(t, f.RecordRefund(t.Context(), step, progress))
	got, err := f.Refund(t.Context(), "WEB-1", "r1")
	require.NoError(t, err)
	require.Equal(t, canonical.RefundCompleted, got.Status, "an end is an end")
	require.Equal(t, []string{"refund", "tx-1", "CM-9", "AR-9", "CM-1"}, []string{got.Way, got.TransactionID, got.ErpCreditMemo, got.ErpRefund, got.CreditMemo})
	require.Equal(t, f.clock.Now(), got.UpdatedAt)
	require.Equal(t, canonical.OrderCancelled, order(t, f, "WEB-1").Status)
	require.Equal(t, []string{"refund/r1"}, eventKeys(t, f, "WEB-1"))
	require.Equal(t, []string{"n1"}, due(t, f, 10))

	err = f.RecordRefund(t.Context(), journal.RefundProgress{OrderID: "WEB-1", RefundID: "none"}, progress, notice("n2"))
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.Empty(t, due(t, f, 10), "nobody is told of what did not happen")
}

func newReview(orderID string) journal.Review {
	return journal.Review{
		OrderID: orderID, WorkflowID: "fraud-review/" + orderID, PaymentID: "tx-1", State: journal.ReviewOpen, Since: start,
		Deadline: start.Add(24 * time.Hour), Default: "reject", Amount: usd("48.19"),
		Risk: journal.ReviewRisk{
			Score: "78", Factors: []string{"H", "V"}, Model: "default_us", Profile: "Default", Queue: "Review", Priority: "3",
			Rules: []journal.ReviewRule{{Name: "velocity", Decision: "REVIEW"}}, InfoCodes: map[string][]string{"velocity": {"VELI-CC"}},
			AVS: "Y", CVN: "M", Addresses: "match", Device: true, MerchantData: 2,
		},
	}
}

func review(t *testing.T, f *fixture, orderID string) journal.Review {
	t.Helper()
	got, err := f.Review(t.Context(), orderID)
	require.NoError(t, err)
	return got
}

func reviewsAreOpenedOnce(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	race(t, 5, func(int) error { return f.OpenReview(t.Context(), newReview("WEB-1"), notice("n1")) })
	want := newReview("WEB-1")
	want.Notes = []journal.ReviewNoteRecord{}
	require.Equal(t, want, review(t, f, "WEB-1"))
	require.Equal(t, []string{"review.opened/tx-1"}, eventKeys(t, f, "WEB-1"))
	require.Equal(t, []string{"n1"}, due(t, f, 10))

	// A repetition changes nothing, not even after the decision; another payment of the order is another case.
	decided := journal.ReviewNoteRecord{Key: "review/1", At: start, Note: "decided", Decision: canonical.FraudReject}
	require.NoError(t, f.NoteReview(t.Context(), "WEB-1", decided, nil, nil))
	require.NoError(t, f.OpenReview(t.Context(), newReview("WEB-1"), notice("n2")))
	require.Equal(t, journal.ReviewDecided, review(t, f, "WEB-1").State)
	again := newReview("WEB-1")
	again.PaymentID = "tx-2"
	require.NoError(t, f.OpenReview(t.Context(), again, notice("n3")))
	again.Notes = []journal.ReviewNoteRecord{decided}
	require.Equal(t, again, review(t, f, "WEB-1"))
	require.Equal(t, []string{"n3"}, due(t, f, 10))
	_, err := f.Review(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func reviewsAreNotedOnce(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	require.NoError(t, f.OpenReview(t.Context(), newReview("WEB-1")))
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	notes := []journal.ReviewNoteRecord{
		{Key: "1", At: hour(4), Note: "reminded"},
		{Key: "2", At: hour(8), Note: "escalated"},
		{Key: "3", At: hour(9), Note: "decided", Decision: canonical.FraudAccept, Actor: "ann", Source: "api", Comment: "ada@example.com is known"},
		{Key: "4", At: hour(10), Note: "opposed", Decision: canonical.FraudReject, Actor: "cybersource", Source: "cybersource", Rule: "the first holds"},
		{Key: "5", At: hour(11), Note: "closed"},
	}
	for _, note := range notes {
		action := &journal.Action{At: note.At, Actor: "ann", Action: "fraud." + note.Note}
		race(t, 3, func(int) error {
			return f.NoteReview(t.Context(), "WEB-1", note, action, []journal.Event{{Key: note.Key, At: note.At}}, notice("n"+note.Key))
		})
	}
	got := review(t, f, "WEB-1")
	require.Equal(t, notes, got.Notes)
	require.Equal(t, journal.ReviewDecided, got.State, "it was decided before it closed")
	require.Equal(t, []time.Time{hour(4), hour(8), hour(9)}, []time.Time{got.RemindedAt, got.EscalatedAt, got.DecidedAt})
	require.Equal(t, []string{"accept", "ann", "api", "ada@example.com is known"}, []string{string(got.Decision), got.Actor, got.Source, got.Comment})
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, len(notes))
	require.Equal(t, "fraud.opposed", audit[3].Action.Action)
	require.Equal(t, []string{"review.opened/tx-1", "1", "2", "3", "4", "5"}, eventKeys(t, f, "WEB-1"))
	require.Len(t, due(t, f, 10), len(notes))

	// A reject that comes after all makes a review where there was none; a decision without a review is a mistake.
	take(t, f, "WEB-2")
	require.NoError(t, f.NoteReview(t.Context(), "WEB-2", journal.ReviewNoteRecord{Key: "1", At: hour(1), Note: "proposed"}, nil, nil))
	late := review(t, f, "WEB-2")
	require.Equal(t, []any{journal.ReviewClosed, hour(1), "48.19 USD"}, []any{late.State, late.Since, late.Amount.String()})
	take(t, f, "WEB-3")
	err = f.NoteReview(t.Context(), "WEB-3", journal.ReviewNoteRecord{Key: "1", Note: "decided"}, &journal.Action{}, nil, notice("n-3"))
	require.ErrorIs(t, err, journal.ErrNotFound)
	audit, err = f.Audit(t.Context(), "WEB-3")
	require.NoError(t, err)
	require.Empty(t, audit, "nothing of it is there")
}

func reviewsAreListed(t *testing.T, f *fixture) {
	for i, id := range []string{"WEB-3", "WEB-1", "WEB-2"} {
		take(t, f, id)
		opened := newReview(id)
		opened.Since = start.Add(time.Duration(i) * time.Minute)
		require.NoError(t, f.OpenReview(t.Context(), opened))
	}
	require.NoError(t, f.NoteReview(t.Context(), "WEB-1", journal.ReviewNoteRecord{Key: "1", Note: "decided", Decision: canonical.FraudAccept}, nil, nil))
	require.NoError(t, f.NoteReview(t.Context(), "WEB-2", journal.ReviewNoteRecord{Key: "1", Note: "escalated"}, nil, nil))
	yes, no := true, false
	for name, c := range map[string]struct {
		filter journal.ReviewFilter
		want   []string
	}{
		"all, longest first": {journal.ReviewFilter{}, []string{"WEB-3", "WEB-1", "WEB-2"}},
		"open":               {journal.ReviewFilter{State: journal.ReviewOpen}, []string{"WEB-3", "WEB-2"}},
		"escalated":          {journal.ReviewFilter{Escalated: &yes}, []string{"WEB-2"}},
		"open, not yet":      {journal.ReviewFilter{State: journal.ReviewOpen, Escalated: &no}, []string{"WEB-3"}},
	} {
		page, next, err := f.Reviews(t.Context(), c.filter)
		require.NoError(t, err)
		require.Empty(t, next)
		require.Equal(t, c.want, reviewIDs(page), name)
	}
	page, next, err := f.Reviews(t.Context(), journal.ReviewFilter{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"WEB-3", "WEB-1"}, reviewIDs(page))
	require.Equal(t, "78", page[0].Risk.Score)
	page, next, err = f.Reviews(t.Context(), journal.ReviewFilter{Limit: 2, Cursor: next})
	require.NoError(t, err)
	require.Equal(t, []string{"WEB-2"}, reviewIDs(page))
	require.Empty(t, next)
	_, _, err = f.Reviews(t.Context(), journal.ReviewFilter{Cursor: "!"})
	require.ErrorIs(t, err, journal.ErrCursor)
}

func reviewIDs(page []journal.Review) (ids []string) {
	for _, one := range page {
		ids = append(ids, one.OrderID)
	}
	return ids
}

func customersHaveAHistory(t *testing.T, f *fixture) {
	buy := func(id, channel, customer, currency, total string, status canonical.OrderStatus, paid canonical.PaymentStatus) {
		record := newOrder(id)
		record.Channel, record.Currency, record.Total, record.Status, record.PaymentStatus = channel, currency, dec(total), status, paid
		record.Input = []byte(`{"customer":{"id":"` + customer + `"}}`)
		record.ReceivedAt = f.clock.Advance(time.Hour)
		_, _, err := f.TakeOrder(t.Context(), record)
		require.NoError(t, err)
	}
	buy("WEB-1", "web-us", "C-1", "USD", "10.50", canonical.OrderConfirmed, canonical.PaymentPartiallyRefunded)
	buy("WEB-2", "web-us", "C-1", "EUR", "5", canonical.OrderShipped, canonical.PaymentChargedBack)
	buy("WEB-3", "web-us", "C-1", "USD", "0.25", canonical.OrderConfirmed, canonical.PaymentSettled)
	buy("WEB-4", "web-us", "C-1", "USD", "9", canonical.OrderDeclined, canonical.PaymentDeclined)
	buy("WEB-5", "web-us", "C-1", "USD", "9", canonical.OrderRejected, canonical.PaymentReversed)
	buy("WEB-6", "web-eu", "C-1", "USD", "9", canonical.OrderConfirmed, canonical.PaymentCaptured)
	buy("WEB-7", "web-us", "C-2", "USD", "9", canonical.OrderConfirmed, canonical.PaymentCaptured)
	buy("WEB-8", "web-us", "C-1", "USD", "9", canonical.OrderInReview, canonical.PaymentHeld)
	take(t, f, "NOBODY-1")
	take(t, f, "NOBODY-2")

	got, err := f.CustomerHistory(t.Context(), "WEB-8")
	require.NoError(t, err)
	require.Equal(t, []int{5, 3, 1, 1, 1, 1}, []int{got.Orders, got.Confirmed, got.Declined, got.Rejected, got.Refunded, got.ChargedBack})
	require.Equal(t, []time.Time{start.Add(time.Hour), start.Add(5 * time.Hour)}, []time.Time{got.First, got.Last})
	spent := map[string]string{}
	for _, sum := range got.Spent {
		spent[sum.Currency] = sum.String()
	}
	require.Equal(t, map[string]string{"USD": "10.75 USD", "EUR": "5.00 EUR"}, spent)
	require.Len(t, got.Recent, 5)
	require.Equal(t, "WEB-5", got.Recent[0].OrderID, "the latest first")
	require.Nil(t, got.Recent[0].Input)

	for id, want := range map[string]int{"WEB-7": 0, "WEB-6": 0, "NOBODY-1": 0} {
		got, err := f.CustomerHistory(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, want, got.Orders, id)
	}
	for i := range 12 {
		buy(fmt.Sprint("MANY-", i), "web-us", "C-9", "USD", "1", canonical.OrderConfirmed, canonical.PaymentCaptured)
	}
	got, err = f.CustomerHistory(t.Context(), "MANY-0")
	require.NoError(t, err)
	require.Equal(t, 11, got.Orders)
	require.Len(t, got.Recent, 10)
	_, err = f.CustomerHistory(t.Context(), "none")
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func correctionsKeepTheOriginal(t *testing.T, f *fixture) {
	posted := newOrder("WEB-1")
	posted.Input = []byte(`{"customer":{"id":"C-1"},"n":1}`)
	_, _, err := f.TakeOrder(t.Context(), posted)
	require.NoError(t, err)
	correct := func(key, body string) {
		t.Helper()
		f.clock.Advance(time.Minute)
		require.NoError(t, f.SaveCorrection(t.Context(), "WEB-1", []byte(body), journal.Action{
			Key: key, Actor: "olivia", Action: "correct", Reason: "by phone", Detail: map[string]string{"changed": "/order/n"},
		}))
	}
	correct("a1", `{"customer":{"id":"C-2"},"n":2}`)
	correct("a2", `{"customer":{"id":"C-2"},"n":3}`)
	correct("a1", `{"customer":{"id":"C-2"},"n":2}`) // told again, late
	got := order(t, f, "WEB-1")
	require.JSONEq(t, `{"customer":{"id":"C-2"},"n":3}`, string(got.Input))
	require.Equal(t, string(posted.Input), string(got.Original))
	require.Equal(t, posted.BodyHash, got.BodyHash, "a repeated post is still the same order")

	f.clock.Advance(time.Minute)
	require.NoError(t, f.SaveCorrection(t.Context(), "WEB-1", nil, journal.Action{Key: "a3", Actor: "olivia", Action: "correct"}))
	require.Equal(t, got.Input, order(t, f, "WEB-1").Input, "only a date or a document was corrected")
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, 3)
	require.Equal(t, &journal.Action{
		At: start.Add(time.Minute), OrderID: "WEB-1", Actor: "olivia", Action: "correct", Reason: "by phone", Detail: map[string]string{"changed": "/order/n"},
	}, audit[0].Action)

	other := newOrder("WEB-2")
	other.Input = []byte(`{"customer":{"id":"C-2"}}`)
	_, _, err = f.TakeOrder(t.Context(), other)
	require.NoError(t, err)
	history, err := f.CustomerHistory(t.Context(), "WEB-2")
	require.NoError(t, err)
	require.Equal(t, 1, history.Orders, "the corrected order is that customer's")
	require.ErrorIs(t, f.SaveCorrection(t.Context(), "none", []byte("{}"), journal.Action{Key: "a"}), journal.ErrNotFound)
}

func notice(id string) journal.Notice {
	return journal.Notice{
		ID: id, Audience: journal.AudienceOperator, Kind: "step.parked", Group: "connection", OrderID: "WEB-1", Subject: "ada@example.com waits",
		Text: "ada@example.com", Data: map[string]string{"email": "ada@example.com"}, Link: "/v1/attention/a1",
	}
}

func due(t *testing.T, f *fixture, limit int) (ids []string) {
	t.Helper()
	notices, err := f.DueNotices(t.Context(), f.clock.Now(), limit)
	require.NoError(t, err)
	for _, one := range notices {
		ids = append(ids, one.ID)
	}
	return ids
}

func noticesAreLeasedAndEnd(t *testing.T, f *fixture) {
	require.NoError(t, f.AddNotices(t.Context()))
	for _, id := range []string{"n3", "n1", "n2", "n4"} {
		race(t, 3, func(int) error { return f.AddNotices(t.Context(), notice(id), notice(id+"-twin")) })
		f.clock.Advance(time.Second)
	}
	require.NoError(t, f.NoticesSent(t.Context(), []string{"n1-twin", "n2-twin", "n3-twin", "n4-twin"}))
	require.NoError(t, f.NoticesSent(t.Context(), nil))

	first, err := f.DueNotices(t.Context(), f.clock.Now(), 1)
	require.NoError(t, err)
	want := notice("n3")
	want.At = start
	require.Equal(t, []journal.Notice{want}, first, "oldest first")
	require.Equal(t, []string{"n1", "n2", "n4"}, due(t, f, 10), "the one given is leased")
	require.Empty(t, due(t, f, 10))

	require.NoError(t, f.NoticesSent(t.Context(), []string{"n3"}))
	require.NoError(t, f.PostponeNotice(t.Context(), "n1", f.clock.Now().Add(time.Hour), "no route to host"))
	require.NoError(t, f.GiveUpNotice(t.Context(), "n2", "no such mailbox"))
	f.clock.Advance(2 * time.Minute)
	require.Equal(t, []string{"n4"}, due(t, f, 10), "whoever took it died: it comes again")
	require.NoError(t, f.NoticesSent(t.Context(), []string{"n4"}))
	f.clock.Advance(time.Hour)
	again, err := f.DueNotices(t.Context(), f.clock.Now(), 10)
	require.NoError(t, err)
	require.Len(t, again, 1)
	require.Equal(t, 1, again[0].Tries)
	require.NoError(t, f.HoldNotice(t.Context(), "n1", f.clock.Now().Add(time.Hour), "collected"))
	require.Empty(t, due(t, f, 10))
	f.clock.Advance(time.Hour)
	held, err := f.DueNotices(t.Context(), f.clock.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, again, held, "what was held was not tried")
	require.ErrorIs(t, f.HoldNotice(t.Context(), "n3", f.clock.Now(), ""), journal.ErrNotFound)
	require.ErrorIs(t, f.PostponeNotice(t.Context(), "n3", f.clock.Now(), ""), journal.ErrNotFound, "sent is sent")
	require.ErrorIs(t, f.GiveUpNotice(t.Context(), "none", ""), journal.ErrNotFound)
	require.NoError(t, f.AddNotices(t.Context(), notice("n3")))
	require.Empty(t, due(t, f, 10), "what was sent is not sent again")
}

func parkingTellsOnce(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	item := parked("a1", "WEB-1")
	item.System = "erp-syspro"
	for i := range 2 {
		require.NoError(t, f.Park(t.Context(), item, notice(fmt.Sprint("n", i))))
	}
	require.Equal(t, []string{"n0"}, due(t, f, 10))

	fixes := []byte(`[{"text":"Create customer ada@example.com"}]`)
	require.NoError(t, f.AddFixes(t.Context(), "a1", []byte(`[]`)))
	require.NoError(t, f.AddFixes(t.Context(), "a1", fixes))
	require.ErrorIs(t, f.AddFixes(t.Context(), "none", fixes), journal.ErrNotFound)
	got, err := f.Attention(t.Context(), "a1")
	require.NoError(t, err)
	require.Equal(t, []string{string(fixes), "erp-syspro", "web-us"}, []string{string(got.Fixes), got.System, got.Channel})
	page, _, err := f.Attentions(t.Context(), journal.AttentionFilter{System: "erp-syspro", WorkflowID: "order/WEB-1"})
	require.NoError(t, err)
	require.Equal(t, "a1", attentionIDs(page))
	for _, filter := range []journal.AttentionFilter{{System: "cybersource"}, {WorkflowID: "order/WEB-2"}} {
		page, _, err := f.Attentions(t.Context(), filter)
		require.NoError(t, err)
		require.Empty(t, page)
	}

	require.NoError(t, f.Resolve(t.Context(), "a1", "retry_with", "olivia", "by phone", "/order/billTo/line1", "/date"))
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, "/order/billTo/line1 /date", audit[0].Action.Detail["changed"])
}

func progressTells(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	for range 2 {
		require.NoError(t, f.RecordProgress(t.Context(), journal.Progress{OrderID: "WEB-1", Seq: 1, Status: canonical.OrderRejected}, notice("n1")))
	}
	require.Equal(t, []string{"n1"}, due(t, f, 10))
	err := f.RecordProgress(t.Context(), journal.Progress{OrderID: "none", Seq: 1}, notice("n2"))
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.Empty(t, due(t, f, 10))
}

// eventsProposeWhatAPersonDecides: with the ways in which it can be decided; the answer closes the item and moves the event as one.
func eventsProposeWhatAPersonDecides(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	receive(t, f, "e1")
	proposal := journal.Proposal{
		Class: fault.DeclinedByPolicy, Summary: "cancelled there, paid here", Suggestion: "Pay it back.", Actions: []string{"retry", "compensate", "skip"},
		Fixes: []byte(`[{"text":"Pay it back","resolution":"compensate"}]`),
	}
	for i := range 2 {
		require.NoError(t, f.Propose(t.Context(), "e1", proposal, notice(fmt.Sprint("n", i))))
	}
	require.Equal(t, []string{"n0"}, due(t, f, 10))
	id := journal.InboxAttentionID("e1")
	item, err := f.Attention(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, journal.Attention{
		ID: id, OrderID: "WEB-1", Channel: "web-us", Step: journal.InboxStep, Class: fault.DeclinedByPolicy, System: "cybersource",
		Summary: "cancelled there, paid here", Suggestion: "Pay it back.", Actions: proposal.Actions, Fixes: proposal.Fixes, Since: start,
		State: journal.AttentionOpen,
	}, item)
	require.True(t, order(t, f, "WEB-1").NeedsAttention)

	for range 2 {
		require.NoError(t, f.ResolveEvent(t.Context(), "e1", "compensate", "olivia", "the buyer asked for it", true))
	}
	require.ErrorIs(t, f.ResolveEvent(t.Context(), "e1", "skip", "olivia", "", false), journal.ErrResolved)
	require.ErrorIs(t, f.ResolveEvent(t.Context(), "e1", "compensate", "oscar", "", true), journal.ErrResolved)
	require.False(t, order(t, f, "WEB-1").NeedsAttention)
	require.Equal(t, []string{"e1"}, pending(t, f, 10), "due at once, and not twice")
	audit, err := f.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, 1)
	action := audit[0].Action
	require.Equal(t, []string{"olivia", "compensate", "the buyer asked for it", id}, []string{action.Actor, action.Action, action.Reason, action.Detail["attentionId"]})
	require.NoError(t, f.Delivered(t.Context(), "e1"))
	require.NoError(t, f.ResolveEvent(t.Context(), "e1", "compensate", "olivia", "", true))
	require.Empty(t, pending(t, f, 10), "what was done is done")

	// Given up for another reason later, the item has that one's ways alone.
	receive(t, f, "e2")
	require.NoError(t, f.Propose(t.Context(), "e2", proposal))
	require.NoError(t, f.ResolveEvent(t.Context(), "e2", "retry", "olivia", "", true))
	require.NoError(t, f.GiveUp(t.Context(), "e2", fault.Value, "it can't be read"))
	item, err = f.Attention(t.Context(), journal.InboxAttentionID("e2"))
	require.NoError(t, err)
	require.Equal(t, []any{[]string{"retry", "skip"}, 0, "", fault.Value}, []any{item.Actions, len(item.Fixes), item.Suggestion, item.Class})
	require.NoError(t, f.ResolveEvent(t.Context(), "e2", "skip", "olivia", "a test", false))
	event, err := f.Event(t.Context(), "e2")
	require.NoError(t, err)
	require.Equal(t, []any{journal.InboxIgnored, "dismissed by olivia"}, []any{event.State, event.LastError})
	require.ErrorIs(t, f.ResolveEvent(t.Context(), "none", "skip", "olivia", "", false), journal.ErrNotFound)
	require.ErrorIs(t, f.Propose(t.Context(), "none", proposal), journal.ErrNotFound)
}

func eventsGivenUpWaitForAPerson(t *testing.T, f *fixture) {
	take(t, f, "WEB-1")
	receive(t, f, "e1")
	for i := range 2 {
		require.NoError(t, f.GiveUp(t.Context(), "e1", fault.MissingReference, "there is no such order", notice(fmt.Sprint("n", i))))
	}
	require.Equal(t, []string{"n0"}, due(t, f, 10))
	id := journal.InboxAttentionID("e1")
	eventID, isEvent := journal.InboxEventID(id)
	require.Equal(t, "e1", eventID)
	require.True(t, isEvent)
	_, isEvent = journal.InboxEventID("att-1")
	require.False(t, isEvent)
	item, err := f.Attention(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, journal.Attention{
		ID: id, OrderID: "WEB-1", Channel: "web-us", Step: journal.InboxStep, Class: fault.MissingReference, System: "cybersource",
		Summary: "Event risk.casemanagement.decision.accept of cybersource was given up: there is no such order",
		Actions: []string{"retry", "skip"}, Since: start, State: journal.AttentionOpen,
	}, item)
	require.True(t, order(t, f, "WEB-1").NeedsAttention)

	// Replayed, it has all its tries again; given up again, it waits again.
	f.clock.Advance(time.Minute)
	require.NoError(t, f.Replay(t.Context(), "e1"))
	require.NoError(t, f.Resolve(t.Context(), id, "retry", "olivia", ""))
	require.Equal(t, []string{"e1"}, pending(t, f, 10))
	require.NoError(t, f.Replay(t.Context(), "e1"))
	require.Empty(t, pending(t, f, 10), "one that is being delivered is not delivered twice at once")
	event, err := f.Event(t.Context(), "e1")
	require.NoError(t, err)
	require.Zero(t, event.Tries)
	require.NoError(t, f.GiveUp(t.Context(), "e1", fault.DeclinedByPolicy, "still none", notice("n2")))
	item, err = f.Attention(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []any{journal.AttentionOpen, "", fault.DeclinedByPolicy, start.Add(time.Minute)}, []any{item.State, item.Resolution, item.Class, item.Since})
	require.Equal(t, []string{"n2"}, due(t, f, 10))

	require.NoError(t, f.Ignored(t.Context(), "e1", "dismissed by olivia"))
	require.NoError(t, f.Resolve(t.Context(), id, "skip", "olivia", ""))
	require.False(t, order(t, f, "WEB-1").NeedsAttention)
	receive(t, f, "e2")
	require.NoError(t, f.Delivered(t.Context(), "e2"))
	require.ErrorIs(t, f.Replay(t.Context(), "e2"), journal.ErrNotFound, "delivered is delivered")
	require.ErrorIs(t, f.Replay(t.Context(), "none"), journal.ErrNotFound)
	require.ErrorIs(t, f.GiveUp(t.Context(), "none", fault.MissingReference, ""), journal.ErrNotFound)
}

func eventsAreListed(t *testing.T, f *fixture) {
	for _, id := range []string{"e3", "e1", "e2"} {
		receive(t, f, id)
		f.clock.Advance(time.Second)
	}
	foreign := event("e4")
	foreign.OrderID = "WEB-9"
	_, err := f.Receive(t.Context(), foreign)
	require.NoError(t, err)
	require.NoError(t, f.Delivered(t.Context(), "e1"))
	list := func(filter journal.InboxFilter) (ids []string, next string) {
		page, next, err := f.Inbox(t.Context(), filter)
		require.NoError(t, err)
		for _, item := range page {
			require.Nil(t, item.Body)
			ids = append(ids, item.ID)
		}
		return ids, next
	}
	all, next := list(journal.InboxFilter{})
	require.Equal(t, []string{"e4", "e2", "e1", "e3"}, all, "the latest first")
	require.Empty(t, next)
	pending, _ := list(journal.InboxFilter{State: journal.InboxPending, OrderID: "WEB-1"})
	require.Equal(t, []string{"e2", "e3"}, pending)
	page, next := list(journal.InboxFilter{Limit: 3})
	require.Equal(t, []string{"e4", "e2", "e1"}, page)
	page, next = list(journal.InboxFilter{Limit: 3, Cursor: next})
	require.Equal(t, []string{"e3"}, page)
	require.Empty(t, next)
	_, _, err = f.Inbox(t.Context(), journal.InboxFilter{Cursor: "!"})
	require.ErrorIs(t, err, journal.ErrCursor)
}
