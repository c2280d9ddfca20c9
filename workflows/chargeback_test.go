package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

var disputed = time.Date(2026, 8, 21, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// caseInput is a dispute whose evidence is due in twenty days, with a reminder three days before.
func caseInput() workflows.ChargebackInput {
	order := input()
	return workflows.ChargebackInput{
		OrderID: "WEB-10001", Erp: order.Erp, SalesOrder: "015562", Invoice: "200069", RemindFor: 3 * day, Policy: order.Policy,
		Case: activities.ChargebackCase{
			ID: "CB-1", TransactionID: "capture-1", Amount: canonical.NewMoney(amount("48.19"), "USD"), Reason: "10.4",
			OpenedAt: disputed, RespondBy: disputed.Add(20 * day),
		},
	}
}

// outcome is news of how a dispute ended, as a person or a row without a case tells it.
func outcome(o activities.ChargebackOutcome) workflows.ChargebackNews {
	return workflows.ChargebackNews{Outcome: o, Actor: "fred"}
}

// row is news as a report tells it: the case as it is, with another date.
func row(in workflows.ChargebackInput, due time.Time) workflows.ChargebackNews {
	news := workflows.ChargebackNews{Case: in.Case, Actor: "report"}
	news.Case.RespondBy = due
	return news
}

// hears gives news when a time has passed.
func hears(env *testsuite.TestWorkflowEnvironment, after time.Duration, news workflows.ChargebackNews) {
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.SignalChargeback, news) }, after)
}

// dispute runs a Chargeback to its end.
func dispute(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.ChargebackInput) (ended activities.ChargebackOutcome) {
	t.Helper()
	env.SetStartTime(disputed)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ChargebackWorkflowID(in.Case.ID)})
	env.ExecuteWorkflow(workflows.Chargeback, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&ended))
	return ended
}

// said are the notes of a dispute with the day on which they were written.
func (w *world) said() map[string][]int {
	days := map[string][]int{}
	for _, note := range w.disputes {
		days[note.Note] = append(days[note.Note], int(note.At.Sub(disputed).Hours()/24))
	}
	return days
}

func TestDisputeIsFollowedToItsOutcome(t *testing.T) {
	for _, end := range []activities.ChargebackOutcome{activities.ChargebackWon, activities.ChargebackLost} {
		t.Run(string(end), func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			hears(env, 60*day, outcome(end))
			require.Equal(t, end, dispute(t, env, caseInput()))
			require.Equal(t, []string{"opened", "reminded", "overdue", string(end)}, w.story())
			require.Equal(t, map[string][]int{"opened": {0}, "reminded": {17}, "overdue": {20}, string(end): {60}}, w.said())
			require.Equal(t, []string{"", string(end)}, w.shown, "open, then how it ended")
			require.Len(t, w.outcomes, 1)
			booked := w.outcomes[0]
			require.Equal(t, []string{"WEB-10001", "015562", "200069", "48.19 USD", string(end), "2026-10-20"},
				[]string{booked.OrderID, booked.SalesOrder, booked.Invoice, booked.Case.Amount.String(), string(booked.Outcome), booked.Date})
			last := w.disputes[len(w.disputes)-1]
			require.Equal(t, []string{string(end), "fred"}, []string{string(last.Outcome), last.Actor})
			require.Equal(t, activities.ChargebackOpen, w.disputes[0].Outcome)
			require.Empty(t, w.parkings)
		})
	}
}

// TestOutcomeIsBookedWhereTheReceivableIs: the day's journal put it into the ledger of another ERP than the order's.
func TestOutcomeIsBookedWhereTheReceivableIs(t *testing.T) {
	for ledger, queue := range map[string]string{"": "syspro", "syspro": "syspro", "sagepro": "sagepro"} {
		w, in := settledWorld(), caseInput()
		in.Ledger = ledger
		env := environment(t, w)
		hears(env, 30*day, outcome(activities.ChargebackLost))
		dispute(t, env, in)
		require.Equal(t, workflows.TaskQueueErp(queue), w.bookedIn, "ledger %q", ledger)
	}
}

func TestPeopleAreRemindedOnlyOfWhatIsOpen(t *testing.T) {
	tests := map[string]struct {
		change func(in *workflows.ChargebackInput)
		ended  time.Duration
		story  []string
	}{
		"ended before the reminder":   {func(*workflows.ChargebackInput) {}, 10 * day, []string{"opened", "lost"}},
		"ended after the reminder":    {func(*workflows.ChargebackInput) {}, 18 * day, []string{"opened", "reminded", "lost"}},
		"no date is known":            {func(in *workflows.ChargebackInput) { in.Case.RespondBy = time.Time{} }, 200 * day, []string{"opened", "lost"}},
		"no reminder before":          {func(in *workflows.ChargebackInput) { in.RemindFor = 0 }, 21 * day, []string{"opened", "reminded", "overdue", "lost"}},
		"the reminder's time is past": {func(in *workflows.ChargebackInput) { in.Case.RespondBy = disputed.Add(2 * day) }, day, []string{"opened", "reminded", "lost"}},
		"learnt of when all is past":  {func(in *workflows.ChargebackInput) { in.Case.RespondBy = disputed.Add(-day) }, day, []string{"opened", "reminded", "overdue", "lost"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			in := caseInput()
			test.change(&in)
			hears(env, test.ended, outcome(activities.ChargebackLost))
			dispute(t, env, in)
			require.Equal(t, test.story, w.story())
		})
	}
}

// TestTheWaitFollowsTheDate that news name.
func TestTheWaitFollowsTheDate(t *testing.T) {
	type heard struct {
		after time.Duration
		due   time.Duration // from the start
	}
	tests := map[string]struct {
		due  time.Duration // at the start; 0: not known
		news []heard
		said map[string][]int
	}{
		"later, before the reminder":      {20 * day, []heard{{5 * day, 30 * day}}, map[string][]int{"reminded": {27}, "overdue": {30}}},
		"sooner, before the reminder":     {20 * day, []heard{{5 * day, 10 * day}}, map[string][]int{"reminded": {7}, "overdue": {10}}},
		"sooner, and past":                {20 * day, []heard{{5 * day, 4 * day}}, map[string][]int{"reminded": {5}, "overdue": {5}}},
		"later, after the reminder":       {20 * day, []heard{{18 * day, 40 * day}}, map[string][]int{"reminded": {17, 37}, "overdue": {40}}},
		"later, after it was due":         {20 * day, []heard{{25 * day, 40 * day}}, map[string][]int{"reminded": {17, 37}, "overdue": {20, 40}}},
		"known only later":                {0, []heard{{5 * day, 30 * day}}, map[string][]int{"reminded": {27}, "overdue": {30}}},
		"the same again and again":        {20 * day, []heard{{1 * day, 20 * day}, {18 * day, 20 * day}, {21 * day, 20 * day}}, map[string][]int{"reminded": {17}, "overdue": {20}}},
		"an old row comes late":           {20 * day, []heard{{5 * day, 30 * day}, {6 * day, 20 * day}, {7 * day, 30 * day}}, map[string][]int{"reminded": {27}, "overdue": {30}}},
		"an old row after it was told of": {20 * day, []heard{{18 * day, 30 * day}, {28 * day, 20 * day}, {29 * day, 30 * day}}, map[string][]int{"reminded": {17, 27}, "overdue": {28, 30}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			in := caseInput()
			in.Case.RespondBy = time.Time{}
			if test.due > 0 {
				in.Case.RespondBy = disputed.Add(test.due)
			}
			for _, news := range test.news {
				hears(env, news.after, row(in, disputed.Add(news.due)))
			}
			hears(env, 100*day, outcome(activities.ChargebackWon))
			dispute(t, env, in)
			test.said["opened"], test.said["won"] = []int{0}, []int{100}
			require.Equal(t, test.said, w.said())
			require.Len(t, w.outcomes, 1)
		})
	}
}

func TestRowWithoutADateTakesNoneAway(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	hears(env, day, row(caseInput(), time.Time{}))
	hears(env, 30*day, outcome(activities.ChargebackWon))
	dispute(t, env, caseInput())
	require.Equal(t, []string{"opened", "reminded", "overdue", "won"}, w.story())
}

func TestTheFirstOutcomeHolds(t *testing.T) {
	for name, news := range map[string][]activities.ChargebackOutcome{
		"the same twice":      {activities.ChargebackLost, activities.ChargebackLost},
		"then the other":      {activities.ChargebackLost, activities.ChargebackWon},
		"after rows without":  {activities.ChargebackOpen, activities.ChargebackOpen, activities.ChargebackLost},
		"then an older row's": {activities.ChargebackLost, activities.ChargebackOpen},
	} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			w.fail["BookChargeback"] = outage() // news come while the end is booked
			for i, end := range news {
				hears(env, 5*day+time.Duration(i)*time.Minute, outcome(end))
			}
			require.Equal(t, activities.ChargebackLost, dispute(t, env, caseInput()))
			require.Len(t, w.outcomes, 1)
			require.Equal(t, activities.ChargebackLost, w.outcomes[0].Outcome)
			require.Equal(t, []string{"", "lost"}, w.shown)
			require.Equal(t, []string{"opened", "lost"}, w.story())
		})
	}
}

func TestOutcomeThatIsThereBeforeTheDisputeIsOpened(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	w.before["TagChargeback"] = func() {
		w.forget("TagChargeback")
		env.SignalWorkflow(workflows.SignalChargeback, outcome(activities.ChargebackWon))
	}
	dispute(t, env, caseInput())
	require.Equal(t, []string{"opened", "won"}, w.story())
	require.Equal(t, []string{"", "won"}, w.shown)
}

func TestRequestForCopiesMovesNoMoney(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	in := caseInput()
	in.Case.Retrieval = true
	hears(env, 40*day, outcome(activities.ChargebackWon))
	dispute(t, env, in)
	require.Equal(t, []string{"opened", "reminded", "overdue", "won"}, w.story())
	require.Empty(t, w.shown)
	require.Empty(t, w.outcomes)
}

func TestRequestForCopiesBecomesADispute(t *testing.T) {
	for name, open := range map[string]bool{"before its outcome": true, "with its outcome": false} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			in := caseInput()
			in.Case.Retrieval, in.Case.Amount = true, canonical.NewMoney(amount("0"), "USD")
			escalated := row(caseInput(), disputed.Add(50*day))
			shown := []string{"", "lost"}
			if !open {
				escalated.Outcome, shown = activities.ChargebackLost, []string{"lost"}
			}
			hears(env, day, outcome(activities.ChargebackOpen)) // a person's news name no case
			hears(env, 10*day, escalated)
			hears(env, 60*day, outcome(activities.ChargebackLost))
			dispute(t, env, in)
			require.Equal(t, shown, w.shown)
			require.Len(t, w.outcomes, 1)
			require.Equal(t, "48.19 USD", w.outcomes[0].Case.Amount.String())
			if open {
				require.Equal(t, map[string][]int{"opened": {0, 10}, "reminded": {47}, "overdue": {50}, "lost": {60}}, w.said())
			}
		})
	}
}

// TestEachStepOfADisputeParks, is retried or left to people, and is done once.
func TestEachStepOfADisputeParks(t *testing.T) {
	steps := map[string]struct {
		fail  string
		first []error // what goes well before it
		name  string
		skip  bool
	}{
		"record":    {"RecordChargeback", nil, "record-chargeback", false},
		"show open": {"TagChargeback", nil, "payment-status", true},
		"book":      {"BookChargeback", nil, "book-outcome", true},
		"show end":  {"TagChargeback", []error{nil}, "payment-status-lost", true},
	}
	failures := map[string]error{"refused": permanent(fault.ClosedPeriod), "timed out": timedOut(), "done, but nobody answered": lost(timedOut())}
	for name, step := range steps {
		for what, failure := range failures {
			for _, kind := range []workflows.ResolutionKind{workflows.ResolveRetry, workflows.ResolveSkip} {
				if kind == workflows.ResolveSkip && !step.skip {
					continue // not offered
				}
				t.Run(name+"/"+what+"/"+string(kind), func(t *testing.T) {
					w := settledWorld()
					w.fail[step.fail] = append(step.first, failure)
					env := environment(t, w)
					hears(env, 10*day, outcome(activities.ChargebackLost))
					for _, after := range []time.Duration{time.Hour, 10*day + time.Hour} {
						w.later(env, after, workflows.Resolution{Kind: kind})
					}
					require.Equal(t, activities.ChargebackLost, dispute(t, env, caseInput()))
					require.Len(t, w.parkings, 1)
					require.Equal(t, step.name, w.parkings[0].Step)
					require.Equal(t, "chargeback/CB-1", w.parkings[0].WorkflowID)
					require.Equal(t, []string{"opened", "lost"}, w.story())
					if kind == workflows.ResolveRetry {
						require.Equal(t, []string{"", "lost"}, w.shown)
						require.Len(t, w.outcomes, 1)
					}
				})
			}
		}
		if !step.skip {
			continue // a local activity's retries are timed by the machine's clock, which is not the world's
		}
		t.Run(name+"/an outage heals", func(t *testing.T) {
			w := settledWorld()
			w.fail[step.fail] = append(step.first, passing(), passing(), passing())
			env := environment(t, w)
			hears(env, 10*day, outcome(activities.ChargebackLost))
			dispute(t, env, caseInput())
			require.Empty(t, w.parkings)
			require.Len(t, w.outcomes, 1)
		})
	}
}

func TestOutcomeIsBookedOnAnotherDate(t *testing.T) {
	w := settledWorld()
	w.fail["BookChargeback"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	hears(env, 10*day, outcome(activities.ChargebackLost))
	w.later(env, 10*day+time.Hour, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-09-30"}})
	dispute(t, env, caseInput())
	require.Equal(t, []any{"2026-09-30", 2}, []any{w.outcomes[0].Date, w.outcomes[0].Attempt})
}

func TestCancelOfADisputeChangesNothing(t *testing.T) {
	for name, after := range map[string]time.Duration{"while it waits": day, "after the reminder": 18 * day, "after it was due": 30 * day} {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			env.RegisterDelayedCallback(env.CancelWorkflow, after)
			hears(env, 60*day, outcome(activities.ChargebackWon))
			require.Equal(t, activities.ChargebackWon, dispute(t, env, caseInput()))
			require.Equal(t, []string{"opened", "reminded", "overdue", "won"}, w.story())
			require.Len(t, w.outcomes, 1)
		})
	}
}
