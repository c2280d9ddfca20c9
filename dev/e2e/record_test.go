package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/converter"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/workflows"
)

var record = flag.Bool("record", false, "write the histories of ends that have none yet to workflows/testdata/replay, from released code only")

const replayDir = "../../workflows/testdata/replay"

// recording is an end whose histories are kept for replay.
type recording struct {
	name    string
	buy     buy
	play    func(t *testing.T, r *rig, id string)
	end     string
	reviews bool // it has a fraud review
	tells   string
	fault   *world.Fault                          // of the ERP
	after   func(t *testing.T, r *rig, id string) // what follows on the order's end
	others  map[string]string                     // histories that are kept besides the order's: by name the workflow's ID, "ID" for the order's
	beside  bool                                  // the order's own is like another one's
}

func recordings() []recording {
	decide := func(decision string) func(*testing.T, *rig, string) {
		return func(t *testing.T, r *rig, id string) {
			t.Helper()
			r.inReview(t, id)
			r.decide(t, id, decision)
		}
	}
	return []recording{
		{name: "confirmed_sale", end: "confirmed", tells: "order.confirmed"},
		{name: "confirmed_auth_capture", buy: buy{capture: "after_authorization"}, end: "confirmed"},
		{name: "declined", buy: buy{scenario: "decline", channel: "once"}, end: "declined", tells: "order.declined"},
		{name: "second_card", buy: buy{scenario: "decline"}, end: "confirmed", play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			r.await(t, id, func(v world.OrderView) bool { return v.Status == "awaiting_payment" })
			token, err := r.Token(t.Context(), "approve")
			require.NoError(t, err)
			require.NoError(t, r.Pay(t.Context(), id, token))
		}},
		{name: "review_accepted", buy: buy{scenario: "review"}, end: "confirmed", reviews: true, play: decide("accept"), tells: "order.held"},
		{name: "review_rejected", buy: buy{scenario: "review"}, end: "rejected", reviews: true, play: decide("reject"), tells: "order.rejected"},
		{name: "review_decided_at_gateway", buy: buy{scenario: "review"}, end: "confirmed", reviews: true, play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			r.inReview(t, id)
			r.post(t, r.Gateway+"/_sandbox/review", map[string]any{"reference": id, "decision": "ACCEPT", "actionList": []string{"CAPTURE"}})
		}},
		{name: "cancelled", buy: buy{scenario: "review"}, end: "cancelled", reviews: true, tells: "order.cancelled", play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			r.inReview(t, id)
			require.NoError(t, r.Cancel(t.Context(), id))
		}},
		{name: "risk_declined", buy: buy{scenario: "risk_decline"}, end: "rejected"},
		{name: "compensated_before_invoice", buy: buy{sku: "FAILINV", channel: "undo"}, end: "compensated", tells: "order.compensated"},
		{name: "compensated_after_invoice", buy: buy{sku: "FAILPAY", channel: "undo"}, end: "compensated"},
		{name: "parked_and_retried", end: "confirmed", fault: &world.Fault{
			Route: "POST /APIServices/SalesOrderService/AddSalesOrder", Mode: "status", Status: 422, Reason: "BUSINESS_RULE", Times: 1,
		}, play: retried},
		{name: "parked_and_compensated", buy: buy{sku: "FAIL422"}, end: "compensated", play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			for _, answer := range []string{"retry", "compensate"} {
				r.await(t, id, func(v world.OrderView) bool { return v.NeedsAttention })
				parked, err := r.Parked(t.Context(), id)
				require.NoError(t, err)
				require.Len(t, parked, 1)
				require.NoError(t, r.Resolve(t.Context(), parked[0].ID, answer))
				require.Eventually(t, func() bool {
					now, err := r.Parked(t.Context(), id)
					return err == nil && (len(now) == 0 || now[0].ID != parked[0].ID)
				}, patience, 20*time.Millisecond)
			}
		}},
		{name: "parked_until_deadline", buy: buy{sku: "FAIL422", channel: "short"}, end: "compensated", play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			r.await(t, id, world.OrderView.Final)
		}},
		{name: "out_of_stock", buy: buy{sku: "OUT0"}, end: "rejected"},
		{name: "lost_authorization", buy: buy{}, end: "confirmed"},
		{name: "corrected", buy: buy{sku: "A10O"}, end: "confirmed", play: func(t *testing.T, r *rig, id string) {
			t.Helper()
			require.NoError(t, r.ResolveBy(t.Context(), r.parkedAt(t, id, "check").ID, world.Resolution{
				Resolution: "retry_with", Reason: "typing error", Correction: []byte(`{"order":{"/lines/0/sku":"A100"}}`),
			}))
		}},
		{name: "renewed", buy: buy{scenario: "review", channel: "short-hold", saveCard: true}, end: "confirmed", play: acceptedTooLate},
		{
			name: "not_renewed", buy: buy{scenario: "review", channel: "short-hold"}, end: "confirmed",
			play: func(t *testing.T, r *rig, id string) {
				t.Helper()
				acceptedTooLate(t, r, id)
				r.parkedAt(t, id, "renew-authorization")
				token, err := r.Token(t.Context(), "approve")
				require.NoError(t, err)
				require.NoError(t, r.Pay(t.Context(), id, token))
			},
		},
		{name: "decided_by_deadline", buy: buy{scenario: "review", channel: "brief"}, end: "rejected", beside: true, reviews: true},
		{
			name: "decided_by_poll", buy: buy{scenario: "review", channel: "polled"}, end: "confirmed", beside: true, reviews: true,
			play: func(t *testing.T, r *rig, id string) {
				t.Helper()
				r.inReview(t, id)
				require.NoError(t, r.Review(t.Context(), world.Reviewed{Reference: id, Decision: "ACCEPT", Silent: true}))
			},
		},
		{
			name: "rejected_and_marked", buy: buy{scenario: "review", email: "marked@example.com"}, end: "rejected", play: func(t *testing.T, r *rig, id string) {
				t.Helper()
				r.inReview(t, id)
				_, err := r.Judge(t.Context(), world.Analyst, id, world.Verdict{Decision: "reject", Mark: true})
				require.NoError(t, err)
			},
		},
	}
}

// acceptedTooLate has a held order accepted when its authorization has run out.
func acceptedTooLate(t *testing.T, r *rig, id string) {
	t.Helper()
	r.inReview(t, id)
	money, err := r.Money(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, money.Lines, 1)
	require.NoError(t, r.Expire(t.Context(), money.Lines[0].ID))
	require.Eventually(t, func() bool { return time.Since(money.Lines[0].At) > 1500*time.Millisecond }, patience, 20*time.Millisecond)
	r.decide(t, id, "accept")
}

// followUps are the ends of what follows on a confirmed order.
func followUps() []recording {
	refunded := func(g giveBack, name string) recording {
		return recording{name: name, buy: g.buy, end: "confirmed", beside: true, others: map[string]string{"Refund_" + name: "refund/ID/" + g.refund},
			after: func(t *testing.T, r *rig, id string) {
				t.Helper()
				if g.before != nil {
					g.before(t, r, id)
				}
				g.ask(t, r, id)
				r.returned(t, id, g)
			}}
	}
	part, whole, late := giveBacks[0], giveBacks[1], giveBacks[4]
	partly := refunded(part, "part")
	partly.others["Callback_refund_completed"] = "callback/ID/refund.completed/R-1"

	tooLate := whole
	tooLate.way = "refund"
	tooLate.ask = func(t *testing.T, r *rig, id string) {
		t.Helper()
		r.while(t, r.Gateway, voidRoute, "delay", func() { whole.ask(t, r, id) }, func() { require.NoError(t, r.CloseBatch(t.Context())) })
	}

	parked := part
	parked.ask = func(t *testing.T, r *rig, id string) {
		t.Helper()
		require.NoError(t, r.Break(t.Context(), r.ERP.URL, world.Fault{
			Route: "POST /APIServices/CreditMemoService/AddCreditMemo", Mode: "status", Status: 422, Reason: "PERIOD_CLOSED", Times: 1,
		}))
		part.ask(t, r, id)
		require.NoError(t, r.ResolveBy(t.Context(), r.parkedAt(t, id, "credit-memo").ID, world.Resolution{
			Resolution: "retry_with", Reason: "post it today", Correction: fmt.Appendf(nil, `{"date":%q}`, time.Now().UTC().Format(time.DateOnly)),
		}))
	}

	reject := func(answer string) func(t *testing.T, r *rig, id string) {
		return func(t *testing.T, r *rig, id string) {
			t.Helper()
			_, err := r.Judge(t.Context(), world.Operator, id, world.Verdict{Decision: "reject"})
			require.NoError(t, err)
			require.NoError(t, r.Resolve(t.Context(), r.parkedAt(t, id, "late-reject").ID, answer))
		}
	}
	accepted := func(t *testing.T, r *rig, id string) {
		t.Helper()
		r.inReview(t, id)
		r.decide(t, id, "accept")
	}
	return []recording{
		partly, refunded(whole, "void"), refunded(tooLate, "void_too_late"), refunded(parked, "parked_and_corrected"),
		{
			name: "refused", end: "confirmed", beside: true, others: map[string]string{"Refund_refused": "refund/ID/R-1"},
			after: func(t *testing.T, r *rig, id string) {
				t.Helper()
				money, err := r.Money(t.Context(), id)
				require.NoError(t, err)
				r.post(t, r.Gateway+"/_sandbox/console", map[string]any{"id": money.Lines[0].ID, "action": "refund", "silent": true})
				elsewhere := time.Now() // the gateway's records show it a moment later
				require.Eventually(t, func() bool { return time.Since(elsewhere) > time.Second }, patience, 20*time.Millisecond)
				whole.ask(t, r, id)
				require.Equal(t, "refused", r.refundEnds(t, id, "R-1").Status)
			},
		},
		{
			name: "late_reject_refunded", buy: late.buy, end: "confirmed", play: accepted, beside: true, others: map[string]string{
				"LateReject_refunded": "fraud-review/ID/late", "Refund_late_reject": "refund/ID/late-reject",
			},
			after: func(t *testing.T, r *rig, id string) {
				t.Helper()
				reject("compensate")(t, r, id)
				r.returned(t, id, late)
			},
		},
		{
			name: "late_reject_kept", buy: late.buy, end: "confirmed", play: accepted, beside: true, others: map[string]string{"LateReject_kept": "fraud-review/ID/late"},
			after: reject("skip"),
		},
	}
}

// TestRecordHistories plays every end and reads its histories. With -record they become the fixtures of the replay test in workflows;
// without, it shows that the recorder still works.
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{
		"TENDERLINE_CHANNELS": `{"*":{},"undo":{"policy":{"onErpFailure":"compensate"}},"short":{"policy":{"parkDeadline":"1s"}},"once":{"policy":{"paymentTries":1}},
			"brief":{"policy":{"reviewRemind":"500ms","reviewEscalate":"1s","reviewPoll":"700ms","reviewDeadline":"2s"}},
			"polled":{"policy":{"reviewPoll":"500ms"}},"short-hold":{"policy":{"authorizationLife":"1s"}},"depot":{"policy":{"invoice":"on_shipment"}}}`,
	}})
	for _, recorded := range append(recordings(), followUps()...) {
		t.Run(recorded.name, func(t *testing.T) {
			id := r.id()
			if recorded.name == "lost_authorization" {
				require.NoError(t, r.Break(t.Context(), r.Gateway, world.Fault{Route: payRoute, Mode: "drop_after", Times: 1}))
			}
			if recorded.fault != nil {
				require.NoError(t, r.Break(t.Context(), r.ERP.URL, *recorded.fault))
			}
			r.submit(t, r.order(t, id, recorded.buy))
			if recorded.play != nil {
				recorded.play(t, r, id)
			}
			r.ended(t, id, recorded.end)
			if recorded.after != nil {
				recorded.after(t, r, id)
			}
			if !recorded.beside {
				r.keepHistory(t, workflows.OrderWorkflowID(id), "OrderToCash_"+recorded.name)
			}
			for name, workflowID := range recorded.others {
				r.keepHistory(t, strings.Replace(workflowID, "ID", id, 1), name)
			}
			if recorded.reviews {
				r.keepHistory(t, workflows.FraudReviewWorkflowID(id), "FraudReview_"+recorded.name)
			}
			if recorded.tells != "" {
				event := workflows.CallbackEvent(recorded.tells)
				r.keepHistory(t, workflows.CallbackWorkflowID(id, event, 1), "Callback_"+strings.ReplaceAll(recorded.tells, ".", "_"))
			}
		})
	}
}

// keepHistory waits for a run's end and writes its history, opened, to a file that replays without keys. What is recorded stays: a history
// made anew would hide that runs of released code no longer replay.
func (r *rig) keepHistory(t *testing.T, workflowID, name string) {
	t.Helper()
	connection, err := r.stack.App.Temporal(t.Context())
	require.NoError(t, err)
	bounded, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, connection.GetWorkflow(bounded, workflowID, "").Get(bounded, nil))
	history := &historypb.History{}
	events := connection.GetWorkflowHistory(bounded, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	r.open(t, history)
	text, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
	require.NoError(t, err)
	require.NotContains(t, string(text), "binary/encrypted", "a sealed payload was left")
	if !*record {
		return
	}
	require.NoError(t, os.MkdirAll(replayDir, 0o755))
	file, err := os.OpenFile(filepath.Join(replayDir, name+".json"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	require.NoError(t, err)
	_, err = file.Write(append(text, '\n'))
	require.NoError(t, errors.Join(err, file.Close()))
}

// open makes a history readable: payloads and failures in the clear, no name of the machine it was made on.
func (r *rig) open(t *testing.T, history *historypb.History) {
	t.Helper()
	ring, err := r.stack.App.Keyring()
	require.NoError(t, err)
	codec := engine.Codec(ring)
	plain := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
	require.NoError(t, proxy.VisitFailures(t.Context(), history, proxy.VisitFailuresOptions{
		Visitor: func(_ *proxy.VisitFailuresContext, failure *failurepb.Failure) error {
			converter.DecodeCommonFailureAttributes(plain, failure)
			failure.StackTrace = ""
			return nil
		},
	}))
	require.NoError(t, proxy.VisitPayloads(t.Context(), history, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			return codec.Decode(payloads)
		},
	}))
	for _, event := range history.GetEvents() {
		anonymize(event)
	}
}

// anonymize takes the worker's process and host out of an event.
func anonymize(event *historypb.HistoryEvent) {
	const somebody = "recorder"
	switch a := event.GetAttributes().(type) {
	case *historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes:
		a.WorkflowExecutionStartedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_WorkflowTaskScheduledEventAttributes:
		if queue := a.WorkflowTaskScheduledEventAttributes.GetTaskQueue(); queue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
			queue.Name = somebody
		}
	case *historypb.HistoryEvent_WorkflowTaskStartedEventAttributes:
		a.WorkflowTaskStartedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_WorkflowTaskCompletedEventAttributes:
		a.WorkflowTaskCompletedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_WorkflowTaskFailedEventAttributes:
		a.WorkflowTaskFailedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_ActivityTaskStartedEventAttributes:
		a.ActivityTaskStartedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_ActivityTaskCompletedEventAttributes:
		a.ActivityTaskCompletedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_ActivityTaskFailedEventAttributes:
		a.ActivityTaskFailedEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_WorkflowExecutionSignaledEventAttributes:
		a.WorkflowExecutionSignaledEventAttributes.Identity = somebody
	case *historypb.HistoryEvent_WorkflowExecutionUpdateAcceptedEventAttributes:
		a.WorkflowExecutionUpdateAcceptedEventAttributes.GetAcceptedRequest().GetMeta().Identity = somebody
	}
}
