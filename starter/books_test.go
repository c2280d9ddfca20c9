package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// told brings a change of the ERP into the inbox and delivers it once; it gives what became of it.
func (w *world) told(t *testing.T, change activities.Change) journal.InboxItem {
	t.Helper()
	item, err := activities.ChangeEvent("syspro", change)
	require.NoError(t, err)
	return w.delivered(t, item)
}

func (w *world) delivered(t *testing.T, item journal.InboxItem) journal.InboxItem {
	t.Helper()
	_, err := w.store.Receive(t.Context(), item)
	require.NoError(t, err)
	item, err = w.store.Event(t.Context(), item.ID)
	require.NoError(t, err)
	require.NoError(t, w.Deliver(t.Context(), item))
	item, err = w.store.Event(t.Context(), item.ID)
	require.NoError(t, err)
	return item
}

var changedAt = time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)

func memo(orderID string, set func(*activities.MemoChange)) activities.Change {
	m := &activities.MemoChange{
		Number: "C00012", CustomerCode: "CUST0042", SalesOrder: "015562", Amount: amount("19.95"), Tax: amount("1.65"), Currency: "USD", Reason: "RETURN",
		TransactionID: "7001", RefundStatus: "Pending",
	}
	if set != nil {
		set(m)
	}
	return activities.Change{ID: "C00012@1", Feed: activities.FeedCreditMemos, Number: "C00012", OrderID: orderID, At: changedAt, Memo: m}
}

func TestACreditMemoStartsItsProcess(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	require.Equal(t, journal.InboxDelivered, w.told(t, memo("A", nil)).State)
	require.Equal(t, "credit-memo/syspro/C00012", w.engine.starts[1])
	in := w.engine.inputs[1].(workflows.CreditMemoInput)
	require.Equal(t, []any{"syspro", "A", "015562", "200069", false}, []any{in.Erp, in.Order.OrderID, in.SalesOrder, in.Invoice, in.Memo.Own})
	require.Equal(t, "A100", in.Order.Lines[0].SKU)

	again := memo("A", nil)
	again.ID = "C00012@2"
	require.Equal(t, journal.InboxDelivered, w.told(t, again).State, "told once more, after our own acknowledgement for example")
	require.Len(t, w.engine.starts, 2)
}

func TestCreditMemosThatLeadToNothingOrWait(t *testing.T) {
	for name, test := range map[string]struct {
		status canonical.OrderStatus
		memo   activities.Change
		state  journal.InboxState
		reason string
	}{
		"refunded by hand":       {canonical.OrderConfirmed, memo("A", func(m *activities.MemoChange) { m.RefundStatus = "Refunded" }), journal.InboxIgnored, "waits for no refund"},
		"somebody is at it":      {canonical.OrderConfirmed, memo("A", func(m *activities.MemoChange) { m.RefundStatus = "Processing" }), journal.InboxIgnored, "waits for no refund"},
		"of no order":            {canonical.OrderConfirmed, memo("", func(m *activities.MemoChange) { m.TransactionID = "" }), journal.InboxIgnored, "names neither an order nor a payment"},
		"of an unknown order":    {canonical.OrderConfirmed, memo("B", nil), journal.InboxPending, "there is no such order"},
		"of an order on its way": {canonical.OrderBooking, memo("A", nil), journal.InboxPending, "not confirmed yet"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", test.status)
			item := w.told(t, test.memo)
			require.Equal(t, test.state, item.State)
			require.Contains(t, item.LastError, test.reason)
			require.Len(t, w.engine.starts, 1)
		})
	}
}

func TestWhatWeHaveMadeIsKnownByItsReference(t *testing.T) {
	for reference, own := range map[string]bool{
		"refund:A/R-1:memo:1": true, "order:A:credit_memo:1": true, "order:A:credit_memo:1-0a1b2c3d": true, "refund:AB/R-1:memo:1": false, "RMA 4711": false, "": false,
	} {
		w := newWorld(t, nil)
		w.paid(t, "A", canonical.OrderBooking)
		item := w.told(t, memo("A", func(m *activities.MemoChange) { m.Reference = reference }))
		if !own {
			require.Equal(t, journal.InboxPending, item.State, reference)
			continue
		}
		require.Equal(t, journal.InboxDelivered, item.State, reference)
		require.True(t, w.engine.inputs[1].(workflows.CreditMemoInput).Memo.Own, "it is acknowledged, never refunded")
	}
}

func TestAnUnknownOrdersCreditMemoIsGivenUpInTheEnd(t *testing.T) {
	w := newWorld(t, nil)
	item := w.told(t, memo("B", nil))
	for range 2 {
		require.NoError(t, w.Deliver(t.Context(), item))
		var err error
		item, err = w.store.Event(t.Context(), item.ID)
		require.NoError(t, err)
	}
	require.Equal(t, journal.InboxAttention, item.State)
	parked, err := w.store.Attention(t.Context(), journal.InboxAttentionID(item.ID))
	require.NoError(t, err)
	require.Equal(t, []any{fault.MissingReference, "erp-syspro"}, []any{parked.Class, parked.System})
}

func TestNoTryCountsWhileTheEngineIsAway(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	w.engine.startErr = serviceerror.NewUnavailable("away")
	item := w.told(t, memo("A", nil))
	for range 5 {
		require.NoError(t, w.Deliver(t.Context(), item))
		var err error
		item, err = w.store.Event(t.Context(), item.ID)
		require.NoError(t, err)
		require.Equal(t, journal.InboxPending, item.State)
	}
	w.engine.startErr = nil
	require.NoError(t, w.Deliver(t.Context(), item))
	require.Contains(t, w.engine.starts, "credit-memo/syspro/C00012")
}

func parcel(orderID, id string, set func(*canonical.Shipment)) activities.Change {
	s := &canonical.Shipment{
		Number: "0001", SalesOrder: "015562", OrderID: orderID, Carrier: "UPS", ShippedOn: "2026-11-20",
		Lines: []canonical.ShipmentLine{{LineNumber: 1, StockCode: "A100", Quantity: amount("1")}},
	}
	if set != nil {
		set(s)
	}
	return activities.Change{ID: id, Feed: activities.FeedShipments, Number: "0001", OrderID: orderID, At: changedAt, Shipment: s}
}

func TestAShipmentRunsOnceForEachThingThatIsTold(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "1", nil)).State)
	in := w.engine.inputs[1].(workflows.ShipmentInput)
	require.Equal(t, []string{"0001", "A", "CUST0042", "015562", "syspro"}, []string{in.Shipment.Number, in.Order.OrderID, in.CustomerCode, in.SalesOrder, in.Erp})
	require.Equal(t, "shipment/A/0001", w.engine.starts[1])

	_, err := w.store.RecordShipment(t.Context(), "A", in.Shipment, func([]journal.ShipmentRecord) (canonical.Money, bool) {
		return canonical.NewMoney(amount("24.09"), "USD"), false
	})
	require.NoError(t, err)
	require.Equal(t, journal.InboxDelivered, w.told(t, parcel("A", "2", nil)).State, "nothing new")
	require.Len(t, w.engine.starts, 2)

	invoiced := parcel("A", "3", func(s *canonical.Shipment) { s.Invoice, s.Tracking = "200069", "1Z999" })
	item := w.told(t, invoiced)
	require.Equal(t, journal.InboxPending, item.State)
	require.Contains(t, item.LastError, "has not ended yet")
	w.engine.ended = map[string]bool{"shipment/A/0001": true}
	require.NoError(t, w.Deliver(t.Context(), item))
	require.Equal(t, []string{"order/A", "shipment/A/0001", "shipment/A/0001"}, w.engine.starts)
	require.Equal(t, "200069", w.engine.inputs[2].(workflows.ShipmentInput).Shipment.Invoice)
}

func TestShipmentsThatStartNothing(t *testing.T) {
	for name, test := range map[string]struct {
		status canonical.OrderStatus
		of     string
		state  journal.InboxState
		reason string
	}{
		"of no order of ours":    {canonical.OrderConfirmed, "B", journal.InboxIgnored, "no order of ours"},
		"of an order on its way": {canonical.OrderBooking, "A", journal.InboxPending, "not confirmed yet"},
		"of a cancelled order":   {canonical.OrderCancelled, "A", journal.InboxAttention, "goods left for an order that is cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", test.status)
			item := w.told(t, parcel(test.of, "1", nil))
			require.Equal(t, test.state, item.State)
			require.Contains(t, item.LastError, test.reason)
			require.Len(t, w.engine.starts, 1)
		})
	}
}

func standing(state string) activities.Change {
	return activities.Change{
		ID: "015562@" + state, Feed: activities.FeedOrders, Number: "015562", OrderID: "A", At: changedAt,
		Order: &activities.SalesOrderChange{SalesOrder: "015562", State: state, Reason: "credit check"},
	}
}

func TestASalesOrderThatPeopleCancelOrHoldInTheErp(t *testing.T) {
	for name, test := range map[string]struct {
		env    map[string]string
		status canonical.OrderStatus
		before func(t *testing.T, w *world)
		erp    string
		state  journal.InboxState
		reason string
	}{
		"went on":            {nil, canonical.OrderConfirmed, nil, "ready", journal.InboxIgnored, "the sales order is ready"},
		"cancelled":          {nil, canonical.OrderConfirmed, nil, "cancelled", journal.InboxAttention, "sales order 015562 was cancelled in the ERP, but the payment is captured; the ERP says: credit check"},
		"cancelled, tell":    {map[string]string{"TENDERLINE_POLICY_ERP_CANCELLED": "tell"}, canonical.OrderConfirmed, nil, "cancelled", journal.InboxAttention, "was cancelled in the ERP"},
		"cancelled, ignore":  {map[string]string{"TENDERLINE_POLICY_ERP_CANCELLED": "ignore"}, canonical.OrderConfirmed, nil, "cancelled", journal.InboxIgnored, "policy ignores it"},
		"held":               {nil, canonical.OrderConfirmed, nil, "held", journal.InboxAttention, "was held in the ERP"},
		"held, ignore":       {map[string]string{"TENDERLINE_POLICY_ERP_HELD": "ignore"}, canonical.OrderConfirmed, nil, "held", journal.InboxIgnored, "policy ignores it"},
		"held by its review": {nil, canonical.OrderInReview, nil, "held", journal.InboxIgnored, "we hold it"},
		"perhaps ours":       {nil, canonical.OrderBooking, nil, "cancelled", journal.InboxPending, "not confirmed yet"},
		"ours":               {nil, canonical.OrderCompensated, nil, "cancelled", journal.InboxIgnored, "nothing is left to decide"},
		"paid back long ago": {nil, canonical.OrderConfirmed, func(t *testing.T, w *world) { w.moved(t, journal.EffectRefund, "A", "48.19") }, "cancelled", journal.InboxIgnored, "nothing is left to decide"},
		"held by a late reject": {nil, canonical.OrderConfirmed, func(t *testing.T, w *world) {
			require.NoError(t, w.store.Park(t.Context(), journal.Attention{ID: "att-1", OrderID: "A", WorkflowID: workflows.LateRejectWorkflowID("A"), Step: "refund"}))
		}, "held", journal.InboxIgnored, "rejected after the capture"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.env)
			w.paid(t, "A", test.status)
			if test.before != nil {
				test.before(t, w)
			}
			item := w.told(t, standing(test.erp))
			require.Equal(t, test.state, item.State)
			require.Contains(t, item.LastError, test.reason)
			require.Len(t, w.engine.starts, 1)
		})
	}
}

func stocked(id, available string, at time.Time) activities.Change {
	return activities.Change{
		ID: id, Feed: activities.FeedStock, Number: "A100", At: at, Stock: &activities.StockChange{StockCode: "A100", Warehouse: "E", Available: amount(available)},
	}
}

func TestShopsThatAskedForItHearOfStock(t *testing.T) {
	w := newWorld(t, map[string]string{
		"SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "TENDERLINE_CHANNELS": `{"web-us":{"callbackUrl":"https://shop.example","callbackSecretEnv":"SECRET",
		"stockCallbacks":true},"web-eu":{"callbackUrl":"https://shop.example","callbackSecretEnv":"SECRET"},"silent":{"stockCallbacks":true}}`,
	})
	first := w.told(t, stocked("1", "7", changedAt))
	require.Equal(t, journal.InboxDelivered, first.State)
	require.Len(t, w.engine.starts, 1, "one channel has asked, and has an address")
	task := w.engine.inputs[0].(workflows.CallbackTask)
	require.Equal(t, []string{"web-us", "stock.changed", w.engine.starts[0], ""}, []string{task.Message.Channel, task.Message.Event, task.Message.ID, task.Message.OrderID})
	require.Equal(t, map[string]string{"stockCode": "A100", "warehouse": "E", "available": "7"}, task.Message.Data)
	levels, err := w.store.Stock(t.Context(), "A100")
	require.NoError(t, err)
	require.Equal(t, "7", levels[0].Available.String())

	require.Equal(t, journal.InboxDelivered, w.told(t, stocked("2", "7.0", changedAt.Add(time.Minute))).State)
	require.Len(t, w.engine.starts, 1, "the same quantity is no news")
	w.told(t, stocked("3", "9", changedAt.Add(-time.Hour)))
	require.Len(t, w.engine.starts, 1, "nor is what was true before")
	w.told(t, stocked("4", "5", changedAt.Add(time.Hour)))
	require.Len(t, w.engine.starts, 2)
	require.NoError(t, w.Deliver(t.Context(), first))
	require.Len(t, w.engine.starts, 2, "a repeat tells nothing")
}

func TestChangesThatNobodyCanRead(t *testing.T) {
	w := newWorld(t, nil)
	for id, body := range map[string]string{"1": `[`, "2": `{"feed":"shipment"}`, "3": `{"feed":"prices"}`} {
		item := w.delivered(t, journal.InboxItem{ID: id, Source: "erp-syspro", EventType: "erp.shipment", Body: []byte(body)})
		require.Equal(t, journal.InboxAttention, item.State, body)
	}
}

func disputed(t *testing.T, action, reference string, outcome activities.ChargebackOutcome) journal.InboxItem {
	t.Helper()
	item, err := activities.DisputeEvent(action, activities.Dispute{Outcome: outcome, Case: activities.ChargebackCase{
		ID: "CB-1", Reference: reference, Amount: canonical.NewMoney(amount("48.19"), "USD"), OpenedAt: changedAt, RespondBy: changedAt.AddDate(0, 0, 20),
	}})
	require.NoError(t, err)
	return item
}

func TestADisputesRowsReachItsProcess(t *testing.T) {
	w := newWorld(t, map[string]string{"TENDERLINE_SETTLEMENT_ERP": "sagepro"})
	w.paid(t, "A", canonical.OrderConfirmed)
	require.Equal(t, journal.InboxDelivered, w.delivered(t, disputed(t, "first", "A-S1", activities.ChargebackOpen)).State)
	require.Equal(t, "chargeback/CB-1", w.engine.starts[1])
	in := w.engine.inputs[1].(workflows.ChargebackInput)
	require.Equal(t, []any{"A", "015562", "200069", 72 * time.Hour}, []any{in.OrderID, in.SalesOrder, in.Invoice, in.RemindFor})
	require.Equal(t, []string{"syspro", "sagepro"}, []string{in.Erp, in.Ledger}, "the receivable is where the days are posted")
	require.Empty(t, w.engine.news)

	require.Equal(t, journal.InboxDelivered, w.delivered(t, disputed(t, "won", "A", activities.ChargebackWon)).State)
	require.Len(t, w.engine.starts, 2)
	require.Equal(t, activities.ChargebackWon, w.engine.news[0].Outcome)

	w.engine.signal = serviceerror.NewNotFound("completed")
	require.NoError(t, w.store.RecordChargeback(t.Context(), journal.ChargebackRecord{
		CaseID: "CB-1", OrderID: "A", Amount: canonical.NewMoney(amount("48.19"), "USD"), Outcome: journal.ChargebackWon,
	}, journal.ChargebackNote{Key: "1", Note: "won"}, nil, nil))
	require.Equal(t, journal.InboxIgnored, w.delivered(t, disputed(t, "won again", "A", activities.ChargebackWon)).State)
	item := w.delivered(t, disputed(t, "lost after all", "A", activities.ChargebackLost))
	require.Equal(t, journal.InboxAttention, item.State)
	require.Contains(t, item.LastError, "ended as won and is now told to be lost")
}

func TestADisputeThatIsDecidedWhenItIsFirstHeardOf(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	w.delivered(t, disputed(t, "lost", "A", activities.ChargebackLost))
	require.Len(t, w.engine.starts, 2)
	require.Equal(t, activities.ChargebackLost, w.engine.news[0].Outcome)
}

func TestADisputeOfAnUnknownPaymentWaitsForIt(t *testing.T) {
	w := newWorld(t, nil)
	item := w.delivered(t, disputed(t, "first", "Z-1", activities.ChargebackOpen))
	require.Equal(t, journal.InboxPending, item.State)
	require.Contains(t, item.LastError, "no payment of ours")
	broken := w.delivered(t, journal.InboxItem{ID: "b", Source: "cybersource", EventType: activities.DisputeEventType, Body: []byte(`{}`)})
	require.Equal(t, journal.InboxAttention, broken.State)
}

func TestASettlementDayIsStarted(t *testing.T) {
	w := newWorld(t, map[string]string{
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us", "TENDERLINE_SETTLEMENT_TIME_ZONE": "Asia/Tokyo", "TENDERLINE_SETTLEMENT_APPROVAL": "true",
	})
	// 15:00 UTC is the next day in Tokyo.
	day, err := w.RunSettlement(t.Context(), starter.SettlementRun{Date: "2026-11-21", Actor: "fay"})
	require.NoError(t, err)
	require.Equal(t, starter.StartedDay{Merchant: "acme_us", Date: "2026-11-21", WorkflowID: "settlement/acme_us/2026-11-21"}, day)
	require.True(t, w.engine.inputs[0].(workflows.SettlementInput).Policy.Approval)
	_, err = w.RunSettlement(t.Context(), starter.SettlementRun{Date: "2026-11-21", Actor: "fay"})
	require.True(t, starter.Is(err, starter.Conflict), "%v", err)
	w.engine.ended = map[string]bool{"settlement/acme_us/2026-11-21": true}
	_, err = w.RunSettlement(t.Context(), starter.SettlementRun{Date: "2026-11-21", Actor: "fay"})
	require.NoError(t, err, "a day that has ended may run again")
	_, err = w.RunSettlement(t.Context(), starter.SettlementRun{Date: "2026-11-22"})
	require.True(t, starter.Is(err, starter.Invalid), "%v", err)
	_, err = w.RunSettlement(t.Context(), starter.SettlementRun{Merchant: "acme_eu", Date: "2026-11-20"})
	require.True(t, starter.Is(err, starter.NotFound), "%v", err)
}

func TestABackfillEndsWhereTheEngineIsAway(t *testing.T) {
	w := newWorld(t, map[string]string{"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us"})
	days, err := w.Backfill(t.Context(), "2026-11-17", "2026-11-19", starter.SettlementRun{Actor: "fay"})
	require.NoError(t, err)
	require.Len(t, days, 3)
	require.Equal(t, []string{"settlement/acme_us/2026-11-17", "settlement/acme_us/2026-11-18", "settlement/acme_us/2026-11-19"}, w.engine.starts)
	days, err = w.Backfill(t.Context(), "2026-11-16", "2026-11-17", starter.SettlementRun{Actor: "fay"})
	require.NoError(t, err)
	require.True(t, starter.Is(days[1].Err, starter.Conflict), "the others are started all the same")
	w.engine.startErr = serviceerror.NewUnavailable("away")
	days, err = w.Backfill(t.Context(), "2026-11-10", "2026-11-12", starter.SettlementRun{Actor: "fay"})
	require.True(t, starter.Is(err, starter.Unavailable), "%v", err)
	require.Empty(t, days)
}

func TestAnApprovalFindsTheDayThatWaits(t *testing.T) {
	w := newWorld(t, map[string]string{"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us"})
	_, err := w.ApproveSettlement(t.Context(), "", "2026-11-19", "fay", "")
	require.True(t, starter.Is(err, starter.NotNow), "%v", err)
	for _, item := range []journal.Attention{
		{ID: "att-old", Actions: []string{"approve"}}, {ID: "att-failed", Actions: []string{"retry"}}, {ID: "att-now", Actions: []string{"approve", "retry"}},
	} {
		item.WorkflowID, item.Step = "settlement/acme_us/2026-11-19", "approval"
		require.NoError(t, w.store.Park(t.Context(), item))
	}
	require.NoError(t, w.store.Resolve(t.Context(), "att-old", "retry", "fay", ""))
	w.engine.onUpdate = func(o client.UpdateWorkflowOptions) (any, error) {
		return workflows.ResolutionAnswer{ID: o.Args[0].(workflows.Resolution).ID, Kind: workflows.ResolveApprove}, nil
	}
	answer, err := w.ApproveSettlement(t.Context(), "", "2026-11-19", "fay", "checked")
	require.NoError(t, err)
	require.Equal(t, "att-now", answer.ID)
}

// An approval that is repeated is answered as before; a day that is run again since needs one of its own.
func TestAnApprovalIsOfItsRun(t *testing.T) {
	w := newWorld(t, map[string]string{"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us"})
	record := func(state settlement.DayState) {
		w.now = w.now.Add(time.Minute)
		require.NoError(t, w.store.RecordSettlement(t.Context(), journal.SettlementProgress{Merchant: "acme_us", Date: "2026-11-19", State: string(state)}))
	}
	record(settlement.DayApproval)
	require.NoError(t, w.store.Park(t.Context(), journal.Attention{
		ID: "att-1", WorkflowID: "settlement/acme_us/2026-11-19", Step: "approval", Actions: []string{"approve", "retry"},
	}))
	w.now = w.now.Add(time.Minute)
	require.NoError(t, w.store.Resolve(t.Context(), "att-1", "approve", "fay", ""))
	for _, state := range []settlement.DayState{"", settlement.DayPosting, settlement.DayPosted} {
		if state != "" {
			record(state)
		}
		answer, err := w.ApproveSettlement(t.Context(), "", "2026-11-19", "fay", "")
		require.NoError(t, err, state)
		require.Equal(t, "att-1", answer.ID)
	}
	for _, state := range []settlement.DayState{settlement.DayWaiting, settlement.DayMismatch, settlement.DayApproval} {
		record(state)
		_, err := w.ApproveSettlement(t.Context(), "", "2026-11-19", "fay", "")
		require.True(t, starter.Is(err, starter.NotNow), "%s: %v", state, err)
	}
}
