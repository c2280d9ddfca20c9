package starter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

const rejected = "risk.casemanagement.decision.reject"

// accepted is an order whose review has ended with an accept.
func (w *world) accepted(t *testing.T, status canonical.OrderStatus) {
	t.Helper()
	w.paid(t, "A", status)
	require.NoError(t, w.store.OpenReview(t.Context(), journal.Review{
		OrderID: "A", WorkflowID: "fraud-review/A", PaymentID: "7001", Amount: canonical.NewMoney(amount("48.19"), "USD"),
	}))
	require.NoError(t, w.store.NoteReview(t.Context(), "A", journal.ReviewNoteRecord{
		Key: "decided", Note: "decided", Decision: canonical.FraudAccept, Actor: "ann", Source: "api",
	}, nil, nil))
	w.engine.signal = serviceerror.NewNotFound("no run")
}

func TestTheGatewaysLateRejectProposesARefundOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.accepted(t, canonical.OrderConfirmed)
	id := w.event(t, rejected, "A")
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"order/A", "fraud-review/A/late"}, w.engine.starts)
	in := w.engine.inputs[1].(workflows.LateRejectInput)
	require.Equal(t, []any{"A", id, workflows.SourceGateway, "one; two", "A100"}, []any{in.OrderID, in.EventID, in.Source, in.Comment, in.Order.Lines[0].SKU})
	require.Equal(t, 48*time.Hour, in.Policy.ReviewDeadline)

	review, err := w.store.Review(t.Context(), "A")
	require.NoError(t, err)
	last := review.Notes[len(review.Notes)-1]
	require.Equal(t, []any{"opposed", canonical.FraudReject, "cybersource", "the first valid decision holds"}, []any{last.Note, last.Decision, last.Actor, last.Rule})
	require.Equal(t, canonical.FraudAccept, review.Decision)
	audit, err := w.store.Audit(t.Context(), "A")
	require.NoError(t, err)
	require.Equal(t, "fraud.opposed", audit[len(audit)-1].Action.Action)

	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	verdict, err := w.Decide(ctx, "A", workflows.Decision{Decision: canonical.FraudReject, Actor: "bea", Source: workflows.SourceAPI})
	require.True(t, starter.Is(err, starter.Unavailable), "the engine of this test answers no update")
	require.False(t, verdict.LateReject)
	require.Len(t, w.engine.starts, 2)
}

func TestTheGatewaysLateRejectOutlivesAnOutage(t *testing.T) {
	w := newWorld(t, nil)
	w.accepted(t, canonical.OrderBooking)
	w.engine.startErr = serviceerror.NewUnavailable("away")
	id := w.event(t, rejected, "A")
	for range 5 { // more than the tries of an event
		_, err := w.Sweep(t.Context())
		require.NoError(t, err)
		w.now = w.now.Add(time.Hour)
	}
	item, err := w.store.Event(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, journal.InboxPending, item.State)
	w.engine.startErr = nil
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Contains(t, w.engine.starts, "fraud-review/A/late")
}

func TestWhatWasGivenUpIsParkedAndTold(t *testing.T) {
	w := newWorld(t, nil)
	unknown := w.event(t, "risk.casemanagement.decision.perhaps", "A")
	absent := w.event(t, rejected, "NONE")
	w.engine.signal = serviceerror.NewNotFound("no run")
	for range 3 {
		_, err := w.Sweep(t.Context())
		require.NoError(t, err)
		w.now = w.now.Add(time.Hour)
	}
	for id, class := range map[string]fault.Kind{unknown: fault.DeclinedByPolicy, absent: fault.MissingReference} {
		item, err := w.store.Attention(t.Context(), journal.InboxAttentionID(id))
		require.NoError(t, err)
		require.Equal(t, []any{class, "inbox", journal.AttentionOpen, "cybersource"}, []any{item.Class, item.Step, item.State, item.System})
	}
	due, err := w.store.DueNotices(t.Context(), w.now, 10)
	require.NoError(t, err)
	told := 0
	for _, notice := range due {
		if notice.Kind == "inbox.given_up" {
			told++
			require.Equal(t, journal.AudienceOperator, notice.Audience)
		}
	}
	require.Equal(t, 2, told)

	resolved, err := w.Resolve(t.Context(), workflows.Resolution{ID: journal.InboxAttentionID(absent), Kind: workflows.ResolveSkip, Actor: "otto", Reason: "no order of ours"})
	require.NoError(t, err)
	require.Equal(t, workflows.ResolveSkip, resolved.Kind)
	event, err := w.store.Event(t.Context(), absent)
	require.NoError(t, err)
	require.Equal(t, []any{journal.InboxIgnored, "dismissed by otto"}, []any{event.State, event.LastError})

	_, err = w.ResolveEvent(t.Context(), unknown, workflows.Resolution{Kind: workflows.ResolveRetry, Actor: "otto"})
	require.NoError(t, err)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	item, err := w.store.Attention(t.Context(), journal.InboxAttentionID(unknown))
	require.NoError(t, err)
	require.Equal(t, journal.AttentionOpen, item.State, "given up again")
}

func TestACrashBetweenAnswerAndReplayIsMended(t *testing.T) {
	w := newWorld(t, nil)
	id := w.event(t, "risk.casemanagement.decision.perhaps", "A")
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	attention := journal.InboxAttentionID(id)
	require.NoError(t, w.store.Resolve(t.Context(), attention, "retry", "otto", "again"), "the row is closed, and then the process dies")
	_, err = w.Resolve(t.Context(), workflows.Resolution{ID: attention, Kind: workflows.ResolveSkip, Actor: "olga"})
	var refused *starter.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, starter.TooLate, refused.Kind)
	require.Contains(t, refused.Message, "otto")
	_, err = w.Resolve(t.Context(), workflows.Resolution{ID: attention, Kind: workflows.ResolveRetry, Actor: "otto", Reason: "again"})
	require.NoError(t, err)
	event, err := w.store.Event(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, journal.InboxPending, event.State)
}
