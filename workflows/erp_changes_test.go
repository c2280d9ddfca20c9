package workflows_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

var firstChange = time.Date(2026, 8, 21, 9, 0, 0, 0, time.UTC)

// happened adds changes to a feed, a minute apart.
func (w *world) happened(feed activities.ChangeFeed, count int) {
	for range count {
		n := len(w.changes[feed])
		w.changes[feed] = append(w.changes[feed], activities.Change{
			ID: fmt.Sprintf("%s-%d", feed, n), Feed: feed, At: firstChange.Add(time.Duration(n) * time.Minute),
		})
	}
}

func pollInput(feeds ...activities.ChangeFeed) workflows.ErpChangesInput {
	return workflows.ErpChangesInput{
		Erp: "syspro", Feeds: feeds, Overlap: 5 * time.Minute, Lookback: 24 * time.Hour, PageSize: 2, Policy: input().Policy,
	}
}

// pollOnce polls to the end of all feeds, also where a poll goes on as new runs.
func pollOnce(t *testing.T, w *world, in workflows.ErpChangesInput) workflows.ErpChangesResult {
	t.Helper()
	for {
		env := environment(t, w)
		env.SetStartTime(firstChange.Add(2 * time.Hour))
		env.ExecuteWorkflow(workflows.ErpChanges, in)
		var more *workflow.ContinueAsNewError
		if errors.As(env.GetWorkflowError(), &more) {
			require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(more.Input, &in))
			continue
		}
		require.NoError(t, env.GetWorkflowError())
		var result workflows.ErpChangesResult
		require.NoError(t, env.GetWorkflowResult(&result))
		return result
	}
}

func TestPollTakesEachChangeOnce(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedShipments, 5)
	require.Equal(t, 5, pollOnce(t, w, pollInput(activities.FeedShipments)).New)
	require.Equal(t, firstChange.Add(2*time.Hour).Add(-24*time.Hour), w.asks[0].Since, "the first poll looks back")
	require.Equal(t, []string{"", "2", "4"}, []string{w.asks[0].Cursor, w.asks[1].Cursor, w.asks[2].Cursor})
	require.Equal(t, firstChange.Add(4*time.Minute), w.cursors[activities.FeedShipments])

	w.happened(activities.FeedShipments, 1)
	w.asks = nil
	require.Equal(t, 1, pollOnce(t, w, pollInput(activities.FeedShipments)).New, "what the overlap reads again is taken once")
	require.Equal(t, firstChange.Add(-time.Minute), w.asks[0].Since, "the watermark less the overlap")
	require.Len(t, w.inbox, 6)

	require.Zero(t, pollOnce(t, w, pollInput(activities.FeedShipments)).New)
	require.Equal(t, firstChange.Add(5*time.Minute), w.cursors[activities.FeedShipments])
}

func TestPollOfNothingLeavesTheCursor(t *testing.T) {
	w := newWorld()
	require.Zero(t, pollOnce(t, w, pollInput(activities.FeedStock)).New)
	require.Empty(t, w.cursors)
	require.True(t, w.received[0].Watermark.IsZero())
}

// TestCursorDoesNotGoBack: the row that made the watermark is gone from the feed; what the overlap still shows is older.
func TestCursorDoesNotGoBack(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedOrders, 2)
	w.cursors[activities.FeedOrders] = firstChange.Add(3 * time.Minute)
	pollOnce(t, w, pollInput(activities.FeedOrders))
	require.Equal(t, firstChange.Add(3*time.Minute), w.cursors[activities.FeedOrders])
	require.Len(t, w.inbox, 2)
}

func TestFailingPageKeepsWhatCameBefore(t *testing.T) {
	for name, failure := range map[string]error{"refused": permanent(fault.Value), "no answer": timedOut()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.happened(activities.FeedCreditMemos, 6)
			w.broken[activities.FeedCreditMemos] = []error{nil, failure}
			env := environment(t, w)
			env.SetStartTime(firstChange.Add(2 * time.Hour))
			cursor, stored := time.Time{}, 0
			env.RegisterDelayedCallback(func() { cursor, stored = w.cursors[activities.FeedCreditMemos], len(w.inbox) }, 30*time.Minute)
			skip := w.later(env, 40*time.Minute, workflows.Resolution{Kind: workflows.ResolveSkip})
			w.answers(env, workflows.ResolveRetry)
			env.ExecuteWorkflow(workflows.ErpChanges, pollInput(activities.FeedCreditMemos))
			require.NoError(t, env.GetWorkflowError())
			skip.requireRefused(t, workflows.RefusedInvalid)
			require.Equal(t, 2, stored)
			require.Equal(t, firstChange.Add(time.Minute), cursor, "it stands at the end of the first page")
			require.Equal(t, "poll-credit_memo", w.parkings[0].Step)
			require.Equal(t, "2", w.asks[2].Cursor, "the page that failed is asked for again")
			require.Len(t, w.inbox, 6)
			require.Empty(t, w.parked)
		})
	}
}

func TestPageThatIsNotStoredIsNotPassed(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedShipments, 4)
	w.fail["ReadCursor"], w.fail["ReceiveChanges"] = []error{permanent(fault.Bug)}, []error{permanent(fault.Bug)}
	env := environment(t, w)
	env.SetStartTime(firstChange.Add(2 * time.Hour))
	w.answers(env, workflows.ResolveRetry, workflows.ResolveRetry)
	env.ExecuteWorkflow(workflows.ErpChanges, pollInput(activities.FeedShipments))
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{"cursor-shipment", "receive-shipment"}, []string{w.parkings[0].Step, w.parkings[1].Step})
	require.Len(t, w.inbox, 4)
}

func TestPollThatNobodyAnswersTriesAgainAtItsDeadline(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedShipments, 1)
	w.broken[activities.FeedShipments] = []error{permanent(fault.Credentials)}
	require.Equal(t, 1, pollOnce(t, w, pollInput(activities.FeedShipments)).New)
	require.Equal(t, "deadline", w.solved[0].Actor)
}

func TestPollAfterAnOutage(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedShipments, 3)
	w.broken[activities.FeedShipments] = outage()
	require.Equal(t, 3, pollOnce(t, w, pollInput(activities.FeedShipments)).New)
	require.Empty(t, w.parkings)
}

// TestLongPollGoesOnAsANewRun also where all changes have one time, so that the watermark alone would lead nowhere.
func TestLongPollGoesOnAsANewRun(t *testing.T) {
	for name, apart := range map[string]time.Duration{"all at once": 0, "over a day": time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.happened(activities.FeedStock, 1001)
			for i := range w.changes[activities.FeedStock] {
				w.changes[activities.FeedStock][i].At = firstChange.Add(time.Duration(i) * apart)
			}
			require.Equal(t, 1001, pollOnce(t, w, pollInput(activities.FeedStock)).New)
			require.Equal(t, 3, w.count("ReadCursor"), "200 pages in a run")
			require.Equal(t, 501, w.count("PollChanges"), "no page is asked for twice")
		})
	}
}

func TestPollStopsWhereItsHistoryGrowsLong(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedStock, 5)
	env := environment(t, w)
	env.SetStartTime(firstChange.Add(2 * time.Hour))
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(workflows.ErpChanges, pollInput(activities.FeedStock))
	var more *workflow.ContinueAsNewError
	require.ErrorAs(t, env.GetWorkflowError(), &more)
	require.Equal(t, 1, w.count("PollChanges"))
}

func allFeeds() []activities.ChangeFeed {
	return []activities.ChangeFeed{activities.FeedCreditMemos, activities.FeedShipments, activities.FeedOrders, activities.FeedStock}
}

// TestFeedThatIsParkedHoldsUpNoOther, neither in its own poll nor in the next one of the schedule.
func TestFeedThatIsParkedHoldsUpNoOther(t *testing.T) {
	w := newWorld()
	for _, feed := range allFeeds() {
		w.happened(feed, 3)
	}
	w.broken[activities.FeedCreditMemos] = []error{permanent(fault.Credentials)}
	in := pollInput(allFeeds()...)
	in.Policy.ParkDeadline = 0 // it waits for ever
	env := environment(t, w)
	env.SetStartTime(firstChange.Add(2 * time.Hour))
	ended, polled := false, 0
	env.RegisterDelayedCallback(func() {
		ended, polled = env.IsWorkflowCompleted(), len(w.inbox)
		require.Len(t, w.open("poll-credit_memo"), 1)
	}, time.Minute)
	env.RegisterDelayedCallback(func() {
		for _, id := range w.open() {
			_ = env.UpdateWorkflowByID(workflows.ErpFeedWorkflowID("syspro", activities.FeedCreditMemos), workflows.UpdateResolve, id, quiet(),
				workflows.Resolution{ID: id, Kind: workflows.ResolveRetry, Actor: "olga"})
		}
	}, 30*24*time.Hour)
	env.ExecuteWorkflow(workflows.ErpChanges, in)
	require.NoError(t, env.GetWorkflowError())
	var result workflows.ErpChangesResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, workflows.ErpChangesResult{Started: allFeeds()}, result)
	require.True(t, ended, "the schedule's run does not wait")
	require.Equal(t, 9, polled, "the others are read to their end")
	require.Len(t, w.inbox, 12)
	require.Equal(t, "erp-changes/syspro/credit_memo", w.parkings[0].WorkflowID)
}

func TestBusyFeedIsLeftAlone(t *testing.T) {
	w := newWorld()
	w.happened(activities.FeedShipments, 1)
	env := environment(t, w)
	env.SetStartTime(firstChange.Add(2 * time.Hour))
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "erp-changes/syspro/credit_memo"}) // the ID is taken
	env.ExecuteWorkflow(workflows.ErpChanges, pollInput(activities.FeedCreditMemos, activities.FeedShipments))
	require.NoError(t, env.GetWorkflowError())
	var result workflows.ErpChangesResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, []activities.ChangeFeed{activities.FeedCreditMemos}, result.Busy)
	require.Equal(t, []activities.ChangeFeed{activities.FeedShipments}, result.Started)
	require.Len(t, w.inbox, 1)
}

func TestCancelOfAPollEndsIt(t *testing.T) {
	for name, breaks := range map[string]func(w *world){
		"while it is parked": func(w *world) { w.broken[activities.FeedShipments] = []error{nil, permanent(fault.Credentials)} },
		"while it is tried":  func(w *world) { w.broken[activities.FeedShipments] = append([]error{nil}, outage()...) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.happened(activities.FeedShipments, 3)
			breaks(w)
			env := environment(t, w)
			env.SetStartTime(firstChange.Add(2 * time.Hour))
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			env.ExecuteWorkflow(workflows.ErpChanges, pollInput(activities.FeedShipments))
			var cancelled *temporal.CanceledError
			require.ErrorAs(t, env.GetWorkflowError(), &cancelled)
			require.Empty(t, w.parked)
			require.Equal(t, firstChange.Add(time.Minute), w.cursors[activities.FeedShipments], "what was read stays read")
			require.Equal(t, 3-2, pollOnce(t, w, pollInput(activities.FeedShipments)).New)
		})
	}
}
