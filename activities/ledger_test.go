package activities_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// takeIn puts an order into the journal as the starter does.
func (b *bank) takeIn(t testing.TB, order canonical.Order) *activities.Ledger {
	t.Helper()
	input, err := json.Marshal(order)
	require.NoError(t, err)
	_, _, err = b.store.TakeOrder(t.Context(), journal.OrderRecord{
		OrderID: order.OrderID, Channel: order.Channel, BodyHash: "hash", Input: input, Currency: order.Currency, Total: order.Total, Erp: "syspro",
	})
	require.NoError(t, err)
	return &activities.Ledger{Journal: b.store}
}

// told takes all notices that wait, as the dispatcher does.
func (b *bank) told(t testing.TB) []journal.Notice {
	t.Helper()
	notices, err := b.store.DueNotices(t.Context(), b.clock.Now(), 1000)
	require.NoError(t, err)
	return notices
}

// addressed writes notices as "audience kind".
func addressed(notices []journal.Notice) (list []string) {
	for _, notice := range notices {
		list = append(list, notice.Audience+" "+notice.Kind)
	}
	slices.Sort(list)
	return list
}

func requireNothingPersonal(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, personal := range []string{"Ada", "Park", "ada@example.com", "Market", "94105", "555"} {
			require.NotContains(t, text, personal)
		}
	}
}

func TestAReviewIsOpenedWithWhatPeopleNeed(t *testing.T) {
	b := newBank(t)
	for i, status := range []canonical.OrderStatus{canonical.OrderConfirmed, canonical.OrderDeclined} {
		earlier := sampleOrder("WEB-" + string(rune('A'+i)))
		ledger := b.takeIn(t, earlier)
		require.NoError(t, ledger.RecordProgress(t.Context(), activities.ProgressInput{OrderID: earlier.OrderID, Mark: activities.Mark{Seq: 1, Status: status}}))
	}
	order := sampleOrder("WEB-1")
	order.ShipTo.Line1, order.ShipTo.Country, order.ShipTo.Region = "2 High St", "GB", ""
	order.Device.FingerprintSessionID = "session-1"
	order.MerchantDefinedData = map[string]string{"1": "web"}
	ledger := b.takeIn(t, order)
	held := must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardHeld, false))
	require.Equal(t, activities.Held, held.Result)

	in := activities.OpenReviewInput{
		OrderID: "WEB-1", WorkflowID: "fraud-review/WEB-1", PaymentID: held.Payment.AuthorizationID, Amount: usd(total), Since: b.clock.Now(),
		Deadline: b.clock.Now().Add(24 * time.Hour), Default: "reject",
	}
	opened, err := ledger.OpenReview(t.Context(), in)
	require.NoError(t, err)
	again, err := ledger.OpenReview(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, opened, again)
	for _, line := range []string{
		"Risk score: " + held.RiskScore, "Factors: ", "Address check (AVS): ", "Bill-to and ship-to are in different countries; device known; 1 merchant-defined field",
		"Customer: 2 other orders since ", "of which 1 confirmed, 1 declined; spent 48.19 USD",
	} {
		require.Contains(t, opened.Summary, line)
	}
	requireNothingPersonal(t, opened.Summary)

	review, err := b.store.Review(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, held.RiskScore, review.Risk.Score)
	require.Equal(t, []any{journal.ReviewOpen, in.PaymentID, "countries_differ", true, 1},
		[]any{review.State, review.PaymentID, review.Risk.Addresses, review.Risk.Device, review.Risk.MerchantData})
	notices := b.told(t)
	require.Equal(t, []string{"analyst review.opened"}, addressed(notices))
	require.Equal(t, "/v1/fraud-reviews/WEB-1", notices[0].Link)
	requireNothingPersonal(t, notices[0].Subject, notices[0].Text)
	events, err := b.store.Timeline(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(events, func(e journal.Event) bool { return e.Kind == "review.opened" }))

	_, err = ledger.OpenReview(t.Context(), activities.OpenReviewInput{OrderID: "WEB-404"})
	requireFault(t, err, fault.NotFound, true)
}

func TestAReviewIsOpenedWithoutTheGatewaysWord(t *testing.T) {
	b := newBank(t)
	ledger := b.takeIn(t, sampleOrder("WEB-1"))
	opened, err := ledger.OpenReview(t.Context(), activities.OpenReviewInput{OrderID: "WEB-1", PaymentID: "7000", Amount: usd(total)})
	require.NoError(t, err)
	for _, line := range []string{"Risk score: the gateway told none", "AVS): not told", "are the same; device not known; 0 merchant-defined fields", "no other order"} {
		require.Contains(t, opened.Summary, line)
	}
}

func TestNotesOfAReview(t *testing.T) {
	for note, c := range map[activities.ReviewNote]struct {
		audit   string
		notices []string
	}{
		activities.ReviewReminded:  {"fraud.reminded", []string{"analyst review.reminded"}},
		activities.ReviewEscalated: {"fraud.escalated", []string{"analyst review.escalated", "operator review.escalated"}},
		activities.ReviewDecided:   {}, // audited and told where it is made to hold
		activities.ReviewOpposed:   {audit: "fraud.opposed"},
		activities.ReviewClosed:    {audit: "fraud.closed"},
		activities.ReviewMarked:    {audit: "fraud.marked"},
		activities.ReviewUnmarked:  {audit: "fraud.unmarked"},
		activities.ReviewProposed:  {"fraud.proposed", []string{"finance refund.proposed", "operator refund.proposed"}},
		activities.ReviewRefunding: {audit: "fraud.refunding"},
		activities.ReviewKept:      {audit: "fraud.kept"},
	} {
		t.Run(string(note), func(t *testing.T) {
			b := newBank(t)
			ledger := b.takeIn(t, sampleOrder("WEB-1"))
			_, err := ledger.OpenReview(t.Context(), activities.OpenReviewInput{OrderID: "WEB-1", PaymentID: "7000", Amount: usd(total)})
			require.NoError(t, err)
			b.told(t)
			for range 2 {
				require.NoError(t, ledger.NoteReview(t.Context(), activities.NoteReviewInput{
					OrderID: "WEB-1", Note: note, Key: "review/1", At: b.clock.Now(), Decision: canonical.FraudReject, Source: "api", Rule: "the first one holds",
					EventID: "e1",
				}))
			}
			review, err := b.store.Review(t.Context(), "WEB-1")
			require.NoError(t, err)
			require.Len(t, review.Notes, 1)
			require.Equal(t, string(note), review.Notes[0].Note)
			require.Equal(t, c.notices, addressed(b.told(t)))
			audit, err := b.store.Audit(t.Context(), "WEB-1")
			require.NoError(t, err)
			if c.audit == "" {
				require.Empty(t, audit)
				return
			}
			require.Len(t, audit, 1)
			require.Equal(t, journal.Action{
				At: b.clock.Now(), OrderID: "WEB-1", Actor: "tenderline", Action: c.audit,
				Detail: map[string]string{"decision": "reject", "source": "api", "rule": "the first one holds", "eventId": "e1"},
			}, *audit[0].Action)
		})
	}
}

func TestReadOrder(t *testing.T) {
	b := newBank(t)
	order := sampleOrder("WEB-1")
	ledger := b.takeIn(t, order)
	state, err := ledger.ReadOrder(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, activities.OrderState{Status: canonical.OrderReceived, PaymentStatus: canonical.PaymentNone}, state)

	must(t, b, b.payments.AuthorizePayment, paying(t, order, 1, cardApproved, true))
	require.NoError(t, ledger.RecordProgress(t.Context(), activities.ProgressInput{
		OrderID: "WEB-1", Mark: activities.Mark{Seq: 9, Status: canonical.OrderConfirmed}, CustomerCode: "WEB", ErpOrderNumber: "000123", ErpInvoice: "000456",
	}))
	state, err = ledger.ReadOrder(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, []string{"confirmed", "captured", "WEB", "000123", "000456", "48.19"}, []string{
		string(state.Status), string(state.PaymentStatus), state.CustomerCode, state.SalesOrder, state.Invoice, state.Refundable.String(),
	})
	require.NotEmpty(t, state.Payment.CaptureID)
	_, err = ledger.ReadOrder(t.Context(), "WEB-404")
	requireFault(t, err, fault.NotFound, true)
}

func (b *bank) takeRefund(t testing.TB, refundID, amount string) {
	t.Helper()
	_, _, err := b.store.TakeRefund(t.Context(), journal.RefundRecord{OrderID: "WEB-1", RefundID: refundID, Currency: "USD"},
		func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
			return canonical.RefundBreakdown{Total: dec(amount)}, nil
		})
	require.NoError(t, err)
}

func TestARefundIsRecorded(t *testing.T) {
	b := newBank(t)
	ledger := b.takeIn(t, sampleOrder("WEB-1"))
	b.takeRefund(t, "r1", "10")
	b.takeRefund(t, "r2", "38.19")
	steps := []activities.RefundProgressInput{
		{RefundID: "r1", Status: canonical.RefundPaying, Way: activities.WayRefund},
		{RefundID: "r1", Status: canonical.RefundBooking, TransactionID: "7001"},
		{RefundID: "r1", Status: canonical.RefundCompleted, CreditMemo: "CM-1", ErpRefund: "AR-1", Mark: activities.Mark{Seq: 5, Status: canonical.OrderCancelled},
			Events: []activities.TimelineEvent{{Key: "refund/r1", Kind: "refund", Summary: "10.00 USD paid back"}}},
		{RefundID: "r2", Status: canonical.RefundRefused, Why: "nothing is left"},
	}
	for _, step := range steps {
		step.OrderID = "WEB-1"
		for range 2 {
			require.NoError(t, ledger.RecordRefund(t.Context(), step))
		}
	}
	refund, err := b.store.Refund(t.Context(), "WEB-1", "r1")
	require.NoError(t, err)
	require.Equal(t, []string{"completed", "refund", "7001", "CM-1", "AR-1"},
		[]string{string(refund.Status), refund.Way, refund.TransactionID, refund.ErpCreditMemo, refund.ErpRefund})
	record, err := b.store.Order(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Equal(t, canonical.OrderCancelled, record.Status)

	notices := b.told(t)
	require.Equal(t, []string{"customer refund.completed", "finance refund.refused"}, addressed(notices))
	require.Equal(t, map[string]string{
		"email": "ada@example.com", "name": "Ada Park", "firstName": "Ada", "channel": "web-us", "amount": "10.00 USD", "currency": "USD", "refundId": "r1",
	}, notices[slices.IndexFunc(notices, func(n journal.Notice) bool { return n.Audience == journal.AudienceCustomer })].Data)
	err = ledger.RecordRefund(t.Context(), activities.RefundProgressInput{OrderID: "WEB-1", RefundID: "none", Status: canonical.RefundPaying})
	requireFault(t, err, fault.NotFound, true)
}

func parking(id string, class fault.Kind) activities.ParkInput {
	return activities.ParkInput{
		ID: id, OrderID: "WEB-1", WorkflowID: "order/WEB-1", Step: "sales-order", Class: class, Summary: "the ERP says no", Suggestion: "Ask it why.",
		Answer: &activities.FaultDetail{System: "erp-syspro", Code: "X"}, Actions: []string{"retry", "compensate"},
		Since: time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC), Deadline: time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC),
	}
}

func TestAParkedStepAlertsWhomItConcerns(t *testing.T) {
	operator := []string{"operator step.parked"}
	finance := []string{"finance step.parked", "operator step.parked"}
	outage := []string{"customer order.delayed", "it step.parked", "operator step.parked"}
	broken := []string{"it step.parked", "operator step.parked"}
	for class, want := range map[fault.Kind][]string{
		fault.Value: operator, fault.MissingReference: operator, fault.Conflict: operator, fault.DeclinedByPolicy: operator, fault.NotFound: operator,
		fault.ClosedPeriod: finance, fault.Connection: outage, fault.RateLimit: outage, fault.Busy: outage, fault.UnknownOutcome: outage,
		fault.Credentials: broken, fault.Bug: broken,
	} {
		t.Run(string(class), func(t *testing.T) {
			b := newBank(t)
			ledger := b.takeIn(t, sampleOrder("WEB-1"))
			for range 2 {
				require.NoError(t, ledger.ParkStep(t.Context(), parking("att-1", class)))
			}
			notices := b.told(t)
			require.Equal(t, want, addressed(notices))
			for _, notice := range notices {
				if notice.Audience == journal.AudienceCustomer {
					continue
				}
				require.Equal(t, string(class)+"/erp-syspro/sales-order", notice.Group)
				require.Equal(t, "/v1/attention/att-1", notice.Link)
				require.Equal(t, "the ERP says no\nAsk it why.\nAnswers: retry, compensate.\nDecided by itself at 2026-11-20 18:00 UTC.", notice.Text)
				requireNothingPersonal(t, notice.Subject, notice.Text)
			}
			item, err := b.store.Attention(t.Context(), "att-1")
			require.NoError(t, err)
			require.Equal(t, "erp-syspro", item.System)
		})
	}
}

func TestAnOutageWritesToACustomerOnce(t *testing.T) {
	b := newBank(t)
	ledger := b.takeIn(t, sampleOrder("WEB-1"))
	for _, id := range []string{"att-1", "att-2"} {
		require.NoError(t, ledger.ParkStep(t.Context(), parking(id, fault.Connection)))
	}
	require.Equal(t, 1, strings.Count(strings.Join(addressed(b.told(t)), "\n"), "customer order.delayed"))

	// Of a confirmed order nothing is delayed, and nobody is written to of an order that is not known.
	require.NoError(t, ledger.RecordProgress(t.Context(), activities.ProgressInput{OrderID: "WEB-1", Mark: activities.Mark{Seq: 1, Status: canonical.OrderConfirmed}}))
	other := b.takeIn(t, sampleOrder("WEB-2"))
	require.NoError(t, other.RecordProgress(t.Context(), activities.ProgressInput{OrderID: "WEB-2", Mark: activities.Mark{Seq: 1, Status: canonical.OrderConfirmed}}))
	for _, orderID := range []string{"WEB-2", "WEB-404"} {
		in := parking("att-"+orderID, fault.Connection)
		in.OrderID, in.Answer, in.Deadline = orderID, nil, time.Time{}
		require.NoError(t, ledger.ParkStep(t.Context(), in))
		require.Equal(t, []string{"it step.parked", "operator step.parked"}, addressed(b.told(t)))
	}
}

func TestARejectedCustomerIsWrittenToOnce(t *testing.T) {
	b := newBank(t)
	ledger := b.takeIn(t, sampleOrder("WEB-1"))
	for seq := range int64(3) {
		require.NoError(t, ledger.RecordProgress(t.Context(), activities.ProgressInput{OrderID: "WEB-1", Mark: activities.Mark{Seq: seq, Status: canonical.OrderRejected}}))
	}
	notices := b.told(t)
	require.Equal(t, []string{"customer order.rejected"}, addressed(notices))
	require.Equal(t, []string{"order.rejected/WEB-1", "/v1/orders/WEB-1", "ada@example.com", "48.19 USD"},
		[]string{notices[0].ID, notices[0].Link, notices[0].Data["email"], notices[0].Data["amount"]})
}

func TestAParkedStepIsResolvedWithWhatWasChanged(t *testing.T) {
	b := newBank(t)
	ledger := b.takeIn(t, sampleOrder("WEB-1"))
	require.NoError(t, ledger.ParkStep(t.Context(), parking("att-1", fault.Value)))
	fixes := []activities.Fix{{Text: "Use customer WEB", Resolution: "retry_with", Correction: &activities.Correction{Date: "2026-12-01"}}}
	require.NoError(t, ledger.AddFixes(t.Context(), activities.AddFixesInput{ID: "att-1", Fixes: fixes}))
	item, err := b.store.Attention(t.Context(), "att-1")
	require.NoError(t, err)
	var stored []activities.Fix
	require.NoError(t, json.Unmarshal(item.Fixes, &stored))
	require.Equal(t, fixes, stored)

	resolved := activities.UnparkInput{ID: "att-1", OrderID: "WEB-1", Resolution: "retry_with", Actor: "olivia", Changed: []string{"/date", "/order/billTo/line1"}}
	for range 2 {
		require.NoError(t, ledger.UnparkStep(t.Context(), resolved))
	}
	audit, err := b.store.Audit(t.Context(), "WEB-1")
	require.NoError(t, err)
	require.Len(t, audit, 1)
	require.Equal(t, "/date /order/billTo/line1", audit[0].Action.Detail["changed"])
	requireFault(t, ledger.AddFixes(t.Context(), activities.AddFixesInput{ID: "none"}), fault.NotFound, true)
}
