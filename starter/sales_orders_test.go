package starter_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// proposed is the parked item of what people did to a sales order.
func (w *world) proposed(t *testing.T, state string) (journal.Attention, journal.InboxItem) {
	t.Helper()
	event := w.told(t, standing(state))
	require.Equal(t, journal.InboxAttention, event.State)
	item, err := w.store.Attention(t.Context(), journal.InboxAttentionID(event.ID))
	require.NoError(t, err)
	return item, event
}

func (w *world) answer(t *testing.T, item journal.Attention, kind workflows.ResolutionKind, actor string) (workflows.ResolutionAnswer, error) {
	t.Helper()
	return w.Resolve(t.Context(), workflows.Resolution{ID: item.ID, Kind: kind, Actor: actor, Reason: "the buyer called"})
}

// TestAStoppedSalesOrderProposesWhatToDo: the policy's way first, each with the answer that takes it.
func TestAStoppedSalesOrderProposesWhatToDo(t *testing.T) {
	tell := map[string]string{"TENDERLINE_POLICY_ERP_CANCELLED": "tell"}
	for name, test := range map[string]struct {
		env         map[string]string
		state       string
		first       workflows.ResolutionKind
		text, words string
	}{
		"cancelled":       {nil, "cancelled", workflows.ResolveCompensate, "Pay back what is left", "Pay back what is left (compensate)"},
		"cancelled, tell": {tell, "cancelled", workflows.ResolveSkip, "Keep the order", "Decide whether"},
		"held":            {nil, "held", workflows.ResolveSkip, "Release the sales order", "Release it in the ERP"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.env)
			w.paid(t, "A", canonical.OrderConfirmed)
			item, _ := w.proposed(t, test.state)
			require.Equal(t, []string{"retry", "skip", "compensate"}, item.Actions)
			require.Contains(t, item.Suggestion, test.words)
			var fixes []activities.Fix
			require.NoError(t, json.Unmarshal(item.Fixes, &fixes))
			require.Len(t, fixes, 2)
			require.Equal(t, string(test.first), fixes[0].Resolution)
			require.Contains(t, fixes[0].Text, test.text)
			require.Equal(t, "erp-syspro: sales order 015562 is "+test.state+"; the payment is captured", fixes[0].Evidence)
			notices, err := w.store.DueNotices(t.Context(), w.now.Add(time.Hour), 10)
			require.NoError(t, err)
			require.Len(t, notices, 1)
			require.Equal(t, []string{"operator", "sales_order." + test.state, "/v1/attention/" + item.ID}, []string{notices[0].Audience, notices[0].Kind, notices[0].Link})
		})
	}
}

// TestAPersonPaysAStoppedOrderBack: once, whoever says so again, with the refund that the answer names; the audit names who and why.
func TestAPersonPaysAStoppedOrderBack(t *testing.T) {
	for _, state := range []string{"cancelled", "held"} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderConfirmed)
			item, event := w.proposed(t, state)
			out, err := w.answer(t, item, workflows.ResolveCompensate, "olga")
			require.NoError(t, err)
			require.Regexp(t, `^erp-[0-9a-f]{20}$`, out.RefundID)
			require.Empty(t, out.Why)
			require.Equal(t, []string{"order/A", "refund/A/" + out.RefundID}, w.engine.starts)
			in := w.engine.inputs[1].(workflows.RefundInput)
			require.Equal(t, []any{"48.19", "olga", workflows.OriginOperator, false, "015562"},
				[]any{in.Breakdown.Total.StringFixed(2), in.Actor, in.Origin, in.Restock, in.SalesOrder})
			event, err = w.store.Event(t.Context(), event.ID)
			require.NoError(t, err)
			require.Equal(t, journal.InboxDelivered, event.State)

			again, err := w.answer(t, item, workflows.ResolveCompensate, "olga")
			require.NoError(t, err)
			require.Equal(t, out, again)
			for kind, actor := range map[workflows.ResolutionKind]string{workflows.ResolveCompensate: "oscar", workflows.ResolveSkip: "olga"} {
				_, err = w.answer(t, item, kind, actor)
				require.True(t, starter.Is(err, starter.TooLate), "%v", err)
				require.Contains(t, err.Error(), `"compensate" by olga`)
			}
			w.told(t, standing(state)) // told once more
			_, err = w.Sweep(t.Context())
			require.NoError(t, err)
			require.Len(t, w.engine.starts, 2)
			audit, err := w.store.Audit(t.Context(), "A")
			require.NoError(t, err)
			require.Len(t, audit, 1)
			require.Equal(t, []string{"olga", "compensate", "the buyer called", item.ID},
				[]string{audit[0].Action.Actor, audit[0].Action.Action, audit[0].Action.Reason, audit[0].Action.Detail["attentionId"]})
			record, err := w.store.Order(t.Context(), "A")
			require.NoError(t, err)
			require.False(t, record.NeedsAttention)
		})
	}
}

// TestAStoppedOrderThatIsKept, and one that is looked at once more.
func TestAStoppedOrderThatIsKept(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	item, event := w.proposed(t, "cancelled")
	_, err := w.answer(t, item, workflows.ResolveRetry, "olga")
	require.NoError(t, err)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	item, err = w.store.Attention(t.Context(), item.ID)
	require.NoError(t, err)
	require.Equal(t, journal.AttentionOpen, item.State, "nothing has changed: it is proposed again")
	out, err := w.answer(t, item, workflows.ResolveSkip, "olga")
	require.NoError(t, err)
	require.Empty(t, out.RefundID)
	event, err = w.store.Event(t.Context(), event.ID)
	require.NoError(t, err)
	require.Equal(t, []any{journal.InboxIgnored, "dismissed by olga"}, []any{event.State, event.LastError})
	require.Len(t, w.engine.starts, 1)
}

// TestARefundMadeMeanwhileIsCounted: what is left of the payment alone goes back, and goods that have left are not paid back.
func TestARefundMadeMeanwhileIsCounted(t *testing.T) {
	shipped := func(share string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			_, err := w.store.RecordShipment(t.Context(), "A", canonical.Shipment{Number: "S1"}, func([]journal.ShipmentRecord) (canonical.Money, bool) {
				return canonical.NewMoney(amount(share), "USD"), false
			})
			require.NoError(t, err)
		}
	}
	part := func(t *testing.T, w *world) {
		_, err := w.refund(t, "R-1", wished("10.00"))
		require.NoError(t, err)
	}
	for name, test := range map[string]struct {
		meanwhile []func(t *testing.T, w *world)
		refund    string
		why       string
	}{
		"a part":                  {[]func(*testing.T, *world){part}, "38.19", ""},
		"everything":              {[]func(*testing.T, *world){part, part2}, "", "already refunded, or about to be"},
		"a parcel has left":       {[]func(*testing.T, *world){shipped("20.00")}, "28.19", ""},
		"a parcel and a part":     {[]func(*testing.T, *world){shipped("20.00"), part}, "18.19", ""},
		"all that is left is out": {[]func(*testing.T, *world){shipped("38.19"), part}, "", "goods that have left"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.paid(t, "A", canonical.OrderConfirmed)
			item, event := w.proposed(t, "cancelled")
			for _, happens := range test.meanwhile {
				happens(t, w)
			}
			before := len(w.engine.starts)
			for range 2 {
				out, err := w.answer(t, item, workflows.ResolveCompensate, "olga")
				require.NoError(t, err)
				if test.refund == "" {
					require.Empty(t, out.RefundID)
					require.Contains(t, out.Why, test.why)
					require.Len(t, w.engine.starts, before)
					continue
				}
				require.Empty(t, out.Why)
				require.Len(t, w.engine.starts, before+1)
				require.Equal(t, test.refund, w.engine.inputs[before].(workflows.RefundInput).Breakdown.Total.StringFixed(2))
			}
			event, err := w.store.Event(t.Context(), event.ID)
			require.NoError(t, err)
			require.Equal(t, map[bool]journal.InboxState{true: journal.InboxDelivered, false: journal.InboxIgnored}[test.refund != ""], event.State)
		})
	}
}

// part2 asks for all that part has left.
func part2(t *testing.T, w *world) {
	_, err := w.refund(t, "R-2", wished("38.19"))
	require.NoError(t, err)
}

// TestAnAnswerThatACrashCutShortIsDoneByTheSweeper.
func TestAnAnswerThatACrashCutShortIsDoneByTheSweeper(t *testing.T) {
	w := newWorld(t, nil)
	w.paid(t, "A", canonical.OrderConfirmed)
	item, event := w.proposed(t, "cancelled")
	require.NoError(t, w.store.ResolveEvent(t.Context(), event.ID, "compensate", "olga", "the buyer called", true)) // and then it dies
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	require.Len(t, w.engine.starts, 2)
	require.Equal(t, "olga", w.engine.inputs[1].(workflows.RefundInput).Actor)
	out, err := w.answer(t, item, workflows.ResolveCompensate, "olga")
	require.NoError(t, err)
	require.Equal(t, w.engine.starts[1], "refund/A/"+out.RefundID)
	require.Len(t, w.engine.starts, 2)
}

// TestAHoldOfAStoppedOrderIsLetGo: nothing was captured yet, and what goes back is the whole authorization.
func TestAHoldOfAStoppedOrderIsLetGo(t *testing.T) {
	w := newWorld(t, nil)
	_, _, err := w.SubmitOrder(t.Context(), goods("A"))
	require.NoError(t, err)
	w.moved(t, journal.EffectAuthorize, "A", "48.19")
	number := "015562"
	require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{OrderID: "A", Seq: 1, Status: canonical.OrderConfirmed, ErpOrderNumber: &number}))
	item, _ := w.proposed(t, "cancelled")
	require.Contains(t, item.Summary, "but the payment is authorized")
	out, err := w.answer(t, item, workflows.ResolveCompensate, "olga")
	require.NoError(t, err)
	require.Equal(t, "refund/A/"+out.RefundID, w.engine.starts[1])
	require.Equal(t, "48.19", w.engine.inputs[1].(workflows.RefundInput).Breakdown.Total.StringFixed(2))
}

// TestTheHoldOfAReviewIsNobodysElse: told before the review was decided, or while the accepted order is booked, it is our own, however late it is
// looked at. Who holds the order after that is somebody else.
func TestTheHoldOfAReviewIsNobodysElse(t *testing.T) {
	for name, test := range map[string]struct {
		status    canonical.OrderStatus
		state     string
		toldFirst bool // before the review was decided
		want      journal.InboxState
	}{
		"while it is booked":                         {canonical.OrderBooking, "held", false, journal.InboxIgnored},
		"told before the decision, looked at late":   {canonical.OrderConfirmed, "held", true, journal.InboxIgnored},
		"after it was confirmed":                     {canonical.OrderConfirmed, "held", false, journal.InboxAttention},
		"cancelled by somebody before the decision":  {canonical.OrderConfirmed, "cancelled", true, journal.InboxAttention},
		"cancelled while it is booked: it may be us": {canonical.OrderBooking, "cancelled", false, journal.InboxPending},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			item, err := activities.ChangeEvent("syspro", standing(test.state))
			require.NoError(t, err)
			if test.toldFirst {
				_, err := w.store.Receive(t.Context(), item)
				require.NoError(t, err)
			}
			w.now = w.now.Add(time.Second)
			w.accepted(t, test.status)
			w.now = w.now.Add(time.Second)
			require.Equal(t, test.want, w.delivered(t, item).State)
		})
	}
}

// TestTheHoldOfALateRejectIsNobodysElse: it may be told before its process has parked its proposal; that the accept was opposed is noted by then. An
// accept that opposes says nothing of a hold.
func TestTheHoldOfALateRejectIsNobodysElse(t *testing.T) {
	for decision, want := range map[canonical.FraudDecision]journal.InboxState{
		canonical.FraudReject: journal.InboxIgnored, canonical.FraudAccept: journal.InboxAttention,
	} {
		w := newWorld(t, nil)
		w.accepted(t, canonical.OrderConfirmed)
		require.NoError(t, w.store.NoteReview(t.Context(), "A", journal.ReviewNoteRecord{
			Key: "opposed/1", Note: string(activities.ReviewOpposed), Decision: decision, Actor: "ben", Source: "api",
		}, nil, nil))
		w.now = w.now.Add(time.Second)
		item := w.told(t, standing("held"))
		require.Equal(t, want, item.State, decision)
	}
}
