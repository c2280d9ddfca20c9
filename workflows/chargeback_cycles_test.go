package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// told is news as a report's row tells it, of a time of its own.
func told(at time.Time, end activities.ChargebackOutcome, taken string) workflows.ChargebackNews {
	news := workflows.ChargebackNews{Case: caseInput().Case, Outcome: end}
	news.Case.OpenedAt, news.Case.Taken, news.Case.RespondBy = at, taken != "", time.Time{}
	if taken != "" {
		news.Case.Amount, news.Case.RespondBy = canonical.NewMoney(amount(taken), "USD"), at.Add(20*day)
	}
	return news
}

// ends are the journals of a dispute: outcome, what it follows, whether the money was taken again, and how much it is.
func (w *world) ends() []string {
	var list []string
	for _, out := range w.outcomes {
		text := string(out.Outcome) + " " + out.Case.Amount.String()
		if out.Former != "" {
			text += " after " + string(out.Former)
		}
		if out.Retaken {
			text += ", taken again"
		}
		list = append(list, text)
	}
	return list
}

// TestADisputeGoesOnAfterItsEnd: what is told after the end is followed once that is booked, each with a journal of its own.
func TestADisputeGoesOnAfterItsEnd(t *testing.T) {
	at := func(days int) time.Time { return disputed.Add(time.Duration(days) * day) }
	won, lost, open := activities.ChargebackWon, activities.ChargebackLost, activities.ChargebackOpen
	tests := map[string]struct {
		news   []workflows.ChargebackNews // a minute apart, while the first end is booked
		later  []workflows.ChargebackNews // a hundred days after that, a minute apart
		booked []string
		story  []string
		shown  []string
		ended  activities.ChargebackOutcome
	}{
		"won, then lost in arbitration": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(90), lost, "")}, nil,
			[]string{"won 48.19 USD", "lost 48.19 USD after won"}, []string{"opened", "won", "lost"}, []string{"", "won", "lost"}, lost,
		},
		"lost, then won after all": {
			[]workflows.ChargebackNews{told(at(5), lost, ""), told(at(90), won, "")}, nil,
			[]string{"lost 48.19 USD", "won 48.19 USD after lost"}, []string{"opened", "lost", "won"}, []string{"", "lost", "won"}, won,
		},
		"to and fro": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(50), lost, ""), told(at(90), won, "")}, nil,
			[]string{"won 48.19 USD", "lost 48.19 USD after won", "won 48.19 USD after lost"},
			[]string{"opened", "won", "lost", "won"}, []string{"", "won", "lost", "won"}, won,
		},
		"taken again, for less, and lost": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(40), open, "40.00")}, []workflows.ChargebackNews{told(at(90), lost, "")},
			[]string{"won 48.19 USD", "lost 40.00 USD after won, taken again"},
			[]string{"opened", "won", "reopened", "reminded", "overdue", "lost"}, []string{"", "won", "", "lost"}, lost,
		},
		"taken again, and won again": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(40), open, "48.19")}, []workflows.ChargebackNews{told(at(90), won, "")},
			[]string{"won 48.19 USD", "won 48.19 USD after won, taken again"},
			[]string{"opened", "won", "reopened", "reminded", "overdue", "won"}, []string{"", "won", "", "won"}, won,
		},
		"taken and lost in one row": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(40), lost, "48.19")}, nil,
			[]string{"won 48.19 USD", "lost 48.19 USD after won, taken again"}, []string{"opened", "won", "reopened", "lost"}, []string{"", "won", "", "lost"}, lost,
		},
		"the rows of the first cycle once more": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(0), open, "48.19"), told(at(5), won, "")}, nil,
			[]string{"won 48.19 USD"}, []string{"opened", "won"}, []string{"", "won"}, won,
		},
		"the other outcome, at the same time": {
			[]workflows.ChargebackNews{told(at(5), won, ""), told(at(5), lost, "")}, nil,
			[]string{"won 48.19 USD"}, []string{"opened", "won", "contradicted"}, []string{"", "won"}, won,
		},
		"a person says so": {
			[]workflows.ChargebackNews{told(at(5), won, ""), {Outcome: lost, Actor: "fred", Again: true}}, nil,
			[]string{"won 48.19 USD", "lost 48.19 USD after won"}, []string{"opened", "won", "lost"}, []string{"", "won", "lost"}, lost,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settledWorld()
			env := environment(t, w)
			w.fail["BookChargeback"] = outage() // news come while the end is booked
			for i, news := range test.news {
				hears(env, 5*day+time.Duration(i)*time.Minute, news)
			}
			for i, news := range test.later {
				hears(env, 105*day+time.Duration(i)*time.Minute, news)
			}
			require.Equal(t, test.ended, dispute(t, env, caseInput()))
			require.Equal(t, test.booked, w.ends())
			require.Equal(t, test.story, w.story())
			require.Equal(t, test.shown, w.shown)
			for i, cycle := range w.cycles {
				if cycle.Outcome != open && cycle.Note != "contradicted" {
					require.False(t, cycle.EndedAt.IsZero(), "%d %s", i, cycle.Note)
				}
			}
			require.Empty(t, w.parkings)
		})
	}
}

// TestNewsWithTheLastAnswerAreHeard: the process does not end over what came together with it.
func TestNewsWithTheLastAnswerAreHeard(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	shown := 0
	w.before["TagChargeback"] = func() {
		if shown++; shown == 2 {
			env.SignalWorkflow(workflows.SignalChargeback, told(disputed.Add(90*day), activities.ChargebackLost, ""))
		}
	}
	hears(env, 10*day, told(disputed.Add(9*day), activities.ChargebackWon, ""))
	require.Equal(t, activities.ChargebackLost, dispute(t, env, caseInput()))
	require.Equal(t, []string{"won 48.19 USD", "lost 48.19 USD after won"}, w.ends())
}

// again is the input of a further cycle, as it begins after the dispute's process has ended.
func again(cycle workflows.ChargebackCycle) workflows.ChargebackInput {
	in := caseInput()
	cycle.At = disputed.Add(60 * day)
	in.Again = &cycle
	return in
}

// runCycle runs a further cycle as a process of its own.
func runCycle(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.ChargebackInput) {
	t.Helper()
	env.SetStartTime(disputed.Add(61 * day))
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ChargebackCycleID(in.Case.ID, in.Again.Number)})
	env.ExecuteWorkflow(workflows.Chargeback, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
}

func TestAFurtherCycleIsAProcessOfItsOwn(t *testing.T) {
	require.Equal(t, "chargeback/CB-1", workflows.ChargebackCycleID("CB-1", 1))
	t.Run("decided otherwise", func(t *testing.T) {
		w := settledWorld()
		w.fail["BookChargeback"] = []error{permanent(fault.ClosedPeriod)}
		env := environment(t, w)
		w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
		in := again(workflows.ChargebackCycle{Number: 2, Former: activities.ChargebackWon, Outcome: activities.ChargebackLost})
		w.outcomes = []activities.BookChargebackInput{{Outcome: activities.ChargebackWon}} // of the first process
		runCycle(t, env, in)
		require.Equal(t, "lost 48.19 USD after won", w.ends()[1])
		require.Equal(t, []string{"lost"}, w.story(), "it is no new dispute")
		require.Equal(t, "chargeback/CB-1/2/1", w.disputes[0].Key)
		require.Equal(t, 2, w.cycles[0].Cycle)
		require.Equal(t, disputed.Add(60*day), w.cycles[0].EndedAt)
		require.Equal(t, []string{"book-outcome-2", "chargeback/CB-1/2"}, []string{w.parkings[0].Step, w.parkings[0].WorkflowID})
	})
	t.Run("taken again", func(t *testing.T) {
		w := settledWorld()
		env := environment(t, w)
		hears(env, 50*day, told(disputed.Add(100*day), activities.ChargebackWon, ""))
		w.outcomes = []activities.BookChargebackInput{{Outcome: activities.ChargebackWon}}
		in := again(workflows.ChargebackCycle{Number: 2, Former: activities.ChargebackWon, Retaken: true})
		in.Case.RespondBy = disputed.Add(80 * day)
		runCycle(t, env, in)
		require.Equal(t, "won 48.19 USD after won, taken again", w.ends()[1])
		require.Equal(t, map[string][]int{"reopened": {61}, "reminded": {77}, "overdue": {80}, "won": {111}}, w.said())
	})
}

// TestARequestForCopiesThatEndedBecomesADispute where money is taken for it later: nothing of its end was booked.
func TestARequestForCopiesThatEndedBecomesADispute(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	in := caseInput()
	in.Case.Retrieval = true
	w.before["RecordCycle"] = func() {
		w.forget("RecordCycle")
		env.SignalWorkflow(workflows.SignalChargeback, told(disputed.Add(40*day), activities.ChargebackLost, "48.19"))
	}
	hears(env, 30*day, outcome(activities.ChargebackWon))
	require.Equal(t, activities.ChargebackLost, dispute(t, env, in))
	require.Equal(t, []string{"lost 48.19 USD, taken again"}, w.ends())
}

// TestADisputeOfBeforeKeepsItsFirstOutcome: a run that began before cycles were kept goes on as it did.
func TestADisputeOfBeforeKeepsItsFirstOutcome(t *testing.T) {
	w := settledWorld()
	env := environment(t, w)
	env.OnGetVersion("dispute-cycles", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	w.fail["BookChargeback"] = outage()
	hears(env, 5*day, told(disputed.Add(5*day), activities.ChargebackWon, ""))
	hears(env, 5*day+time.Minute, told(disputed.Add(90*day), activities.ChargebackLost, ""))
	require.Equal(t, activities.ChargebackWon, dispute(t, env, caseInput()))
	require.Equal(t, []string{"won 48.19 USD"}, w.ends())
	require.Empty(t, w.cycles)
	require.Equal(t, []string{"opened", "won"}, w.story())
}
