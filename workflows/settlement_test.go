package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/workflows"
)

const (
	businessDay   = "2026-08-21"
	dayID         = "settlement/acme/" + businessDay
	dayJournal    = "TL-2026-08-21-USD-0"
	correctionOne = "TL-2026-08-21-USD-1"
	feeInvoice    = "FEE-2026-08-21-USD"
)

// dayInput is a day that goes through; change what a test is about.
func dayInput() workflows.SettlementInput {
	return workflows.SettlementInput{
		Merchant: "acme", Date: businessDay, Erp: "syspro", Steps: input().Policy,
		Policy: activities.SettlementPolicy{
			Mismatch: settlement.PolicyPark, Fees: settlement.FeesInJournal, Mode: settlement.ModeDetail, ClosedPeriod: activities.ClosedPark,
			TimeZone: "America/Los_Angeles", Patience: 36 * time.Hour, StepTimeout: 2 * time.Hour, ParkDeadline: 24 * time.Hour,
		},
	}
}

// reportedWorld is one in which the gateway's reports of the day come to an amount.
func reportedWorld() *world {
	w := newWorld()
	w.reported["USD"] = amount("1204.50")
	return w
}

// settle runs a day to its end.
func settle(t require.TestingT, env *testsuite.TestWorkflowEnvironment, in workflows.SettlementInput) workflows.SettlementView {
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.SettlementWorkflowID(in.Merchant, in.Date)})
	env.ExecuteWorkflow(workflows.DailySettlement, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var view workflows.SettlementView
	require.NoError(t, env.GetWorkflowResult(&view))
	return view
}

// answers gives one answer after the other, each when its time has passed.
func (w *world) answers(env *testsuite.TestWorkflowEnvironment, kinds ...workflows.ResolutionKind) {
	for i, kind := range kinds {
		w.later(env, time.Duration(i+1)*time.Hour, workflows.Resolution{Kind: kind, Actor: "fred", Reason: "looked at it"})
	}
}

func TestCleanDayIsPosted(t *testing.T) {
	w := reportedWorld()
	view := settle(t, environment(t, w), dayInput())
	require.Equal(t, activities.SettlementPosted, view.State)
	require.Equal(t, "posted: 10 rows, 10 matched, 0 differences; "+dayJournal, view.Stage)
	require.Equal(t, []activities.Posted{{Reference: dayJournal, Number: "J1"}}, view.Posted)
	require.Equal(t, []activities.SettlementState{activities.SettlementWaiting, activities.SettlementPosting, activities.SettlementPosted}, w.stages())
	require.Zero(t, w.count("ParkStep"))
	require.Zero(t, w.count("ShowPaid"))
	w.requireBooked(t)
	require.Equal(t, []string{"RecordDay", "ReconcileDay", "RecordDay", "PostJournal", "RecordPosting", "RecordDay"}, w.calls, "nothing is done twice")
}

func TestDayWithoutRowsEnds(t *testing.T) {
	w := newWorld()
	view := settle(t, environment(t, w), dayInput())
	require.Equal(t, activities.SettlementEmpty, view.State)
	require.Equal(t, []activities.SettlementState{activities.SettlementWaiting, activities.SettlementEmpty}, w.stages())
	require.Zero(t, w.count("PostJournal"))
}

func TestLateReportsAreWaitedFor(t *testing.T) {
	w := reportedWorld()
	w.fail["ReconcileDay"] = outage()
	env := environment(t, w)
	start := env.Now()
	require.Equal(t, activities.SettlementPosted, settle(t, env, dayInput()).State)
	require.Greater(t, env.Now().Sub(start), 50*time.Minute)
	require.Empty(t, w.parkings)
	w.requireBooked(t)
}

func TestReportsThatDoNotComeNeedAPerson(t *testing.T) {
	tests := map[string]struct {
		answer workflows.ResolutionKind
		state  activities.SettlementState
		actor  string
	}{
		"looked for again": {workflows.ResolveRetry, activities.SettlementPosted, "fred"},
		"given up":         {workflows.ResolveCompensate, activities.SettlementUnposted, "fred"},
		"nobody answers":   {"", activities.SettlementPosted, "deadline"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			w.fail["ReconcileDay"] = []error{timedOut()}
			env := environment(t, w)
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			view := settle(t, env, dayInput())
			require.Equal(t, test.state, view.State)
			require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
			require.Equal(t, test.actor, w.solved[0].Actor)
			last := w.days[len(w.days)-1]
			require.Equal(t, test.state, last.State)
			if test.state == activities.SettlementUnposted {
				require.Contains(t, last.Why, "Given up: ")
				require.Equal(t, "fred", last.Actor)
				require.Zero(t, w.count("PostJournal"))
				return
			}
			w.requireBooked(t)
		})
	}
}

func TestMismatchIsDecidedByAPerson(t *testing.T) {
	tests := map[string]struct {
		answers []workflows.ResolutionKind
		mend    bool // the missing row comes while the day waits
		state   activities.SettlementState
		outcome settlement.Outcome
		reads   int
	}{
		"read again, and it matches":         {[]workflows.ResolutionKind{workflows.ResolveRetry}, true, activities.SettlementPosted, settlement.Clean, 2},
		"read again, and it does not":        {[]workflows.ResolutionKind{workflows.ResolveRetry, workflows.ResolveSkip}, false, activities.SettlementPosted, settlement.Suspended, 3},
		"to suspense":                        {[]workflows.ResolutionKind{workflows.ResolveSkip}, false, activities.SettlementPosted, settlement.Suspended, 2},
		"nothing is posted":                  {[]workflows.ResolutionKind{workflows.ResolveCompensate}, false, activities.SettlementUnposted, settlement.Parked, 1},
		"nothing is posted after all":        {[]workflows.ResolutionKind{workflows.ResolveRetry, workflows.ResolveCompensate}, false, activities.SettlementUnposted, settlement.Parked, 2},
		"approval is not offered here, skip": {[]workflows.ResolutionKind{workflows.ResolveApprove, workflows.ResolveSkip}, false, activities.SettlementPosted, settlement.Suspended, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			w.unmatched["USD"] = amount("4.50")
			env := environment(t, w)
			if test.mend {
				env.RegisterDelayedCallback(func() { delete(w.unmatched, "USD") }, time.Minute)
			}
			w.answers(env, test.answers...)
			view := settle(t, env, dayInput())
			require.Equal(t, test.state, view.State)
			require.Equal(t, test.outcome, view.Day.Outcome)
			require.Len(t, w.read, test.reads)
			parked := w.parkings[0]
			require.Equal(t, []string{"mismatch", "retry skip compensate"}, []string{parked.Step, strings.Join(parked.Actions, " ")})
			require.Contains(t, parked.Summary, "a row of 4.5 USD matches nothing")
			require.True(t, parked.Deadline.IsZero(), "finance takes its time")
			require.Empty(t, w.parked)
			require.Contains(t, w.stages(), activities.SettlementMismatch)
			if test.state == activities.SettlementUnposted {
				last := w.days[len(w.days)-1]
				require.Equal(t, []string{"Not posted: looked at it", "fred"}, []string{last.Why, last.Actor})
				require.Empty(t, w.gl)
				return
			}
			w.requireBooked(t)
		})
	}
}

func TestMismatchGoesToSuspenseByPolicy(t *testing.T) {
	w := reportedWorld()
	w.unmatched["USD"] = amount("4.50")
	in := dayInput()
	in.Policy.Mismatch = settlement.PolicySuspense
	view := settle(t, environment(t, w), in)
	require.Equal(t, settlement.Suspended, view.Day.Outcome)
	require.Zero(t, w.count("ParkStep"))
	w.requireBooked(t)
}

func TestFinanceApproves(t *testing.T) {
	tests := map[string]struct {
		answers []workflows.ResolutionKind
		state   activities.SettlementState
		reads   int
	}{
		"approved":             {[]workflows.ResolutionKind{workflows.ResolveApprove}, activities.SettlementPosted, 1},
		"read again, approved": {[]workflows.ResolutionKind{workflows.ResolveRetry, workflows.ResolveApprove}, activities.SettlementPosted, 2},
		"not approved":         {[]workflows.ResolutionKind{workflows.ResolveCompensate}, activities.SettlementUnposted, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			env := environment(t, w)
			posted := -1
			env.RegisterDelayedCallback(func() { posted = len(w.gl) }, 59*time.Minute)
			w.answers(env, test.answers...)
			in := dayInput()
			in.Policy.Approval = true
			view := settle(t, env, in)
			require.Equal(t, test.state, view.State)
			require.Len(t, w.read, test.reads)
			require.Zero(t, posted, "nothing is posted before")
			require.Equal(t, []string{"approval", "approve retry compensate"}, []string{w.parkings[0].Step, strings.Join(w.parkings[0].Actions, " ")})
			require.Contains(t, w.parkings[0].Summary, dayJournal)
			if test.state == activities.SettlementUnposted {
				require.Empty(t, w.gl)
				require.Equal(t, "Not approved: looked at it", w.days[len(w.days)-1].Why)
				return
			}
			w.requireBooked(t)
		})
	}
}

func TestApprovalIsNotAskedForNothing(t *testing.T) {
	w := reportedWorld()
	settle(t, environment(t, w), dayInput())
	in := dayInput()
	in.Policy.Approval = true
	view := settle(t, environment(t, w), in)
	require.Equal(t, activities.SettlementPosted, view.State)
	require.Equal(t, "10 rows, 10 matched, 0 differences; nothing is left to post", view.Why)
	require.Zero(t, w.count("ParkStep"))
}

func TestMismatchAndApprovalAreTwoQuestions(t *testing.T) {
	w := reportedWorld()
	w.unmatched["USD"] = amount("4.50")
	env := environment(t, w)
	w.answers(env, workflows.ResolveSkip, workflows.ResolveRetry, workflows.ResolveApprove)
	in := dayInput()
	in.Policy.Approval = true
	require.Equal(t, activities.SettlementPosted, settle(t, env, in).State)
	require.Len(t, w.parkings, 3, "the mismatch is decided once, also when the reports are read again")
	w.requireBooked(t)
}

func TestDryRunWritesNothing(t *testing.T) {
	for name, change := range map[string]func(w *world){"clean": func(*world) {}, "mismatch": func(w *world) { w.unmatched["USD"] = amount("4.50") }} {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			change(w)
			in := dayInput()
			in.DryRun, in.Policy.Approval = true, true
			view := settle(t, environment(t, w), in)
			require.Equal(t, activities.SettlementChecked, view.State)
			require.True(t, w.read[0].DryRun)
			require.Equal(t, []string{"ReconcileDay"}, w.calls, "the record of the day stays what it was")
		})
	}
}

func TestRerunPostsNothing(t *testing.T) {
	w := reportedWorld()
	w.fees["USD"] = amount("31.00")
	in := dayInput()
	in.Policy.Fees = settlement.FeesAsInvoice
	first := settle(t, environment(t, w), in)
	again := settle(t, environment(t, w), in)
	require.Len(t, first.Posted, 2)
	require.Empty(t, again.Posted)
	require.Equal(t, activities.SettlementPosted, again.State)
	require.Equal(t, []int{1, 1}, []int{w.count("PostJournal"), w.count("PostFeeInvoice")})
	w.requireBooked(t)
}

func TestLateRowIsACorrection(t *testing.T) {
	for name, late := range map[string]string{"more": "4.50", "less": "-4.50"} {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			settle(t, environment(t, w), dayInput())
			w.reported["USD"] = w.reported["USD"].Add(amount(late))
			view := settle(t, environment(t, w), dayInput())
			require.Equal(t, correctionOne, view.Posted[0].Reference)
			correction := w.gl[correctionOne]
			require.True(t, correction.Lines[0].Debit.Sub(correction.Lines[0].Credit).Equal(amount(late)), "only the difference")
			w.requireBooked(t)
		})
	}
}

func TestEachCurrencyHasItsOwnJournal(t *testing.T) {
	w := reportedWorld()
	w.reported["EUR"] = amount("-80.00")
	view := settle(t, environment(t, w), dayInput())
	require.Len(t, view.Posted, 2)
	w.requireBooked(t)
}

// TestParkedCurrencyKeepsWhatWasPosted: the euros are in the ledger and kept while the dollars wait.
func TestParkedCurrencyKeepsWhatWasPosted(t *testing.T) {
	w := reportedWorld()
	w.reported["EUR"] = amount("80.00")
	w.fail["PostJournal"] = []error{nil, permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	kept := 0
	env.RegisterDelayedCallback(func() { kept = len(w.kept) }, 30*time.Minute)
	w.answers(env, workflows.ResolveRetry)
	settle(t, env, dayInput())
	require.Equal(t, 1, kept)
	require.Equal(t, "journal-"+dayJournal, w.parkings[0].Step)
	w.requireBooked(t)
}

func TestRefusedJournalIsPostedOnAnotherDate(t *testing.T) {
	w := reportedWorld()
	w.fees["USD"] = amount("31.00")
	w.fail["PostJournal"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	wrong := w.later(env, time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "September"}})
	other := w.later(env, 2*time.Minute, anotherCode("A100"))
	right := w.later(env, 3*time.Minute, workflows.Resolution{Kind: workflows.ResolveRetryWith, Correction: &activities.Correction{Date: "2026-09-01"}})
	in := dayInput()
	in.Policy.Fees = settlement.FeesAsInvoice
	require.Equal(t, activities.SettlementPosted, settle(t, env, in).State)
	wrong.requireRefused(t, workflows.RefusedInvalid)
	other.requireRefused(t, workflows.RefusedInvalid)
	right.requireAccepted(t)
	require.Equal(t, []string{"retry", "retry_with", "skip"}, w.parkings[0].Actions)
	require.Equal(t, map[string]string{dayJournal: "2026-09-01", feeInvoice: "2026-09-01"}, w.dates, "what follows goes to the same period")
	require.Equal(t, businessDay, w.gl[dayJournal].Date, "the entry itself stays as it was planned")
	w.requireBooked(t)
}

// skips answers parked steps one after the other: people book the document by hand.
func (w *world) skips(env *testsuite.TestWorkflowEnvironment, references ...string) {
	for i, reference := range references {
		w.later(env, time.Duration(i+1)*time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip, Actor: "fred", Reason: "closed", Reference: reference})
	}
}

func TestDocumentThatFinanceBooksByHandIsKept(t *testing.T) {
	tests := map[string]struct {
		fail   []string
		byHand []string
		posted int
	}{
		"the journal": {[]string{"PostJournal"}, []string{dayJournal}, 1},
		"the invoice": {[]string{"PostFeeInvoice"}, []string{feeInvoice}, 1},
		"both":        {[]string{"PostJournal", "PostFeeInvoice"}, []string{dayJournal, feeInvoice}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			w.fees["USD"] = amount("31.00")
			for _, step := range test.fail {
				w.fail[step] = []error{permanent(fault.ClosedPeriod)}
			}
			env := environment(t, w)
			start := env.Now()
			w.skips(env, "M-1", "")
			in := dayInput()
			in.Policy.Fees = settlement.FeesAsInvoice
			view := settle(t, env, in)
			require.Equal(t, activities.SettlementPosted, view.State, "what people booked is in the ledger")
			require.Equal(t, test.byHand, view.ByHand)
			require.Contains(t, view.Why, "; booked by hand: "+strings.Join(test.byHand, ", "))
			require.Len(t, view.Posted, test.posted)
			require.Len(t, w.byHand, len(test.byHand))
			by := w.byHand[test.byHand[0]]
			require.Equal(t, start.Add(time.Hour).UTC(), by.At)
			by.At = time.Time{}
			require.Equal(t, settlement.HandBooking{Actor: "fred", Reason: "closed", Reference: "M-1"}, by)
			w.requireBooked(t)

			posts := w.count("PostJournal") + w.count("PostFeeInvoice")
			again := settle(t, environment(t, w), in)
			require.Equal(t, activities.SettlementPosted, again.State)
			require.Equal(t, posts, w.count("PostJournal")+w.count("PostFeeInvoice"), "a rerun posts nothing of it")

			w.reported["USD"] = w.reported["USD"].Add(amount("4.50"))
			late := settle(t, environment(t, w), in)
			require.Equal(t, correctionOne, late.Posted[0].Reference, "late rows are a correction on top")
			w.requireBooked(t)
		})
	}
}

func TestReferenceGoesWithADocumentThatIsSkipped(t *testing.T) {
	w := reportedWorld()
	w.fail["PostJournal"] = []error{permanent(fault.ClosedPeriod), permanent(fault.ClosedPeriod)}
	w.unmatched["USD"] = amount("4.50")
	env := environment(t, w)
	mismatch := w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip, Reference: "M-1"})
	w.later(env, 2*time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip})
	retry := w.later(env, 3*time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry, Reference: "M-1"})
	w.later(env, 4*time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip, Reference: "M-1"})
	settle(t, env, dayInput())
	mismatch.requireRefused(t, workflows.RefusedInvalid)
	retry.requireRefused(t, workflows.RefusedInvalid)
	require.Equal(t, "M-1", w.byHand[dayJournal].Reference)
	w.requireBooked(t)
}

// TestDayOfBeforeLeavesDocumentsToFinance: a run that began before hand bookings were kept goes on as it did.
func TestDayOfBeforeLeavesDocumentsToFinance(t *testing.T) {
	w := reportedWorld()
	w.fees["USD"] = amount("31.00")
	w.fail["PostJournal"] = []error{permanent(fault.ClosedPeriod)}
	env := environment(t, w)
	env.OnGetVersion("booked-by-hand", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	w.skips(env, "")
	in := dayInput()
	in.Policy.Fees = settlement.FeesAsInvoice
	view := settle(t, env, in)
	require.Equal(t, activities.SettlementPosted, view.State)
	require.Contains(t, view.Why, "; left to finance: "+dayJournal)
	require.Len(t, w.kept, 1)
	require.Nil(t, w.kept[0].JournalByHand)
}

// TestRerunThatIsGivenUpLeavesTheDayPosted: what a run does not post takes nothing out of the ledger.
func TestRerunThatIsGivenUpLeavesTheDayPosted(t *testing.T) {
	for name, giveUp := range map[string]func(w *world, env *testsuite.TestWorkflowEnvironment, in *workflows.SettlementInput){
		"at a mismatch": func(w *world, env *testsuite.TestWorkflowEnvironment, _ *workflows.SettlementInput) {
			w.unmatched["USD"] = amount("4.50")
			w.answers(env, workflows.ResolveCompensate)
		},
		"at the approval": func(w *world, env *testsuite.TestWorkflowEnvironment, in *workflows.SettlementInput) {
			in.Policy.Approval, w.reported["USD"] = true, amount("1300.00")
			w.answers(env, workflows.ResolveCompensate)
		},
		"by a cancellation": func(w *world, env *testsuite.TestWorkflowEnvironment, _ *workflows.SettlementInput) {
			w.unmatched["USD"] = amount("4.50")
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			settle(t, environment(t, w), dayInput())
			env, in := environment(t, w), dayInput()
			giveUp(w, env, &in)
			view := settle(t, env, in)
			require.Equal(t, activities.SettlementPosted, view.State)
			require.Equal(t, activities.SettlementUnposted, w.days[len(w.days)-1].State, "the record is told what the run came to, and knows the rest")
			require.Empty(t, view.Posted)
		})
	}
}

func TestFeesAreAnInvoiceOfTheProcessor(t *testing.T) {
	w := reportedWorld()
	w.fees["USD"] = amount("31.00")
	w.fail["PostFeeInvoice"] = []error{lost(unanswered())}
	env := environment(t, w)
	keptBefore := 0
	env.RegisterDelayedCallback(func() { keptBefore = len(w.kept) }, 30*time.Minute)
	w.answers(env, workflows.ResolveRetry)
	in := dayInput()
	in.Policy.Fees = settlement.FeesAsInvoice
	settle(t, env, in)
	require.Equal(t, 1, keptBefore, "the journal is kept while the invoice waits")
	require.Equal(t, "fee-invoice-"+feeInvoice, w.parkings[0].Step)
	require.NotContains(t, w.parkings[0].Actions, "retry_with", "what may have arrived is not corrected")
	require.True(t, w.ap[feeInvoice].Equal(amount("31.00")))
	w.requireBooked(t)
}

// TestPostingThatIsNotKept: between the ledger and our own record a day can stop, but neither loses nor repeats anything.
func TestPostingThatIsNotKept(t *testing.T) {
	t.Run("the database is away for a while", func(t *testing.T) {
		w := reportedWorld()
		w.fail["RecordPosting"] = []error{passing(), passing(), passing()}
		settle(t, environment(t, w), dayInput())
		require.Zero(t, w.count("ParkStep"))
		w.requireBooked(t)
	})
	t.Run("it refuses, and is mended", func(t *testing.T) {
		w := reportedWorld()
		w.fail["RecordPosting"] = []error{permanent(fault.Bug)}
		env := environment(t, w)
		skip := w.later(env, time.Hour, workflows.Resolution{Kind: workflows.ResolveSkip})
		w.later(env, 30*24*time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
		settle(t, env, dayInput())
		skip.requireRefused(t, workflows.RefusedInvalid)
		require.Equal(t, []string{"record-posting", "retry"}, []string{w.parkings[0].Step, strings.Join(w.parkings[0].Actions, " ")})
		w.requireBooked(t)
	})
	t.Run("the run is lost in between, and begun anew", func(t *testing.T) {
		w := reportedWorld()
		w.fail["RecordPosting"] = []error{permanent(fault.Bug)}
		env := environment(t, w)
		env.SetWorkflowRunTimeout(time.Hour)
		env.ExecuteWorkflow(workflows.DailySettlement, dayInput())
		require.Error(t, env.GetWorkflowError())
		require.Empty(t, w.kept)
		clear(w.parked)
		settle(t, environment(t, w), dayInput())
		require.Equal(t, 2, w.count("PostJournal"), "the ERP is asked again, and has it")
		w.requireBooked(t)
	})
}

// daySteps are the activities of a day, in a day that has them all.
func daySteps() []string {
	return []string{"RecordDay", "ExchangeRates", "ReconcileDay", "PostJournal", "PostFeeInvoice", "RecordPosting", "ShowPaid", "SettledOrders"}
}

func fullDay() (*world, workflows.SettlementInput) {
	w := reportedWorld()
	w.fees["USD"] = amount("31.00")
	w.settled = settledOrders(3)
	in := dayInput()
	in.Policy.Fees, in.Policy.ShowPaid = settlement.FeesAsInvoice, true
	in.Policy.Ledger, in.Policy.ErpRates = "USD", true
	return w, in
}

func settledOrders(count int) []activities.SettledOrder {
	orders := make([]activities.SettledOrder, count)
	for i := range orders {
		orders[i] = activities.SettledOrder{OrderID: fmt.Sprintf("WEB-%05d", i), SalesOrder: fmt.Sprintf("%06d", i), Amount: canonical.NewMoney(amount("10"), "USD")}
	}
	return orders
}

func TestOutageAtEachStepOfADayHeals(t *testing.T) {
	for _, step := range daySteps() {
		t.Run(step, func(t *testing.T) {
			w, in := fullDay()
			w.fail[step] = []error{passing(), passing(), passing()}
			require.Equal(t, activities.SettlementPosted, settle(t, environment(t, w), in).State)
			require.Zero(t, w.count("ParkStep"))
			require.Len(t, w.paid, 3)
			w.requireBooked(t)
		})
	}
}

// TestEachStepOfADayParks: refused or unanswered, done or not, it waits for a person (or its deadline), and everything is done once.
func TestEachStepOfADayParks(t *testing.T) {
	failures := map[string]error{"refused": permanent(fault.Credentials), "timed out": timedOut(), "done, but nobody answered": lost(timedOut())}
	for _, step := range daySteps()[1:] {
		for name, failure := range failures {
			t.Run(step+"/"+name, func(t *testing.T) {
				w, in := fullDay()
				w.fail[step] = []error{failure}
				env := environment(t, w)
				child := dayID + "/paid"
				env.RegisterDelayedCallback(func() {
					for id, parked := range w.parked {
						r := workflows.Resolution{ID: id, Kind: workflows.ResolveRetry, Actor: "fred"}
						if parked.WorkflowID == child {
							_ = env.UpdateWorkflowByID(child, workflows.UpdateResolve, id, quiet(), r)
						} else {
							update(env, workflows.UpdateResolve, r)
						}
					}
				}, time.Hour)
				require.Equal(t, activities.SettlementPosted, settle(t, env, in).State)
				require.Len(t, w.parkings, 1)
				require.Equal(t, "fred", w.solved[0].Actor)
				require.Len(t, w.paid, 3)
				w.requireBooked(t)
			})
		}
	}
}

// quiet is a callback for updates whose answer nobody waits for.
func quiet() *testsuite.TestUpdateCallback {
	return &testsuite.TestUpdateCallback{OnAccept: func() {}, OnReject: func(error) {}, OnComplete: func(any, error) {}}
}

func TestRecordOfADayIsNotInItsWay(t *testing.T) {
	w := reportedWorld()
	for range 3 {
		w.fail["RecordDay"] = append(w.fail["RecordDay"], permanent(fault.Bug))
	}
	require.Equal(t, activities.SettlementPosted, settle(t, environment(t, w), dayInput()).State)
	w.requireBooked(t)
}

// TestCancelOfADay: a cancellation from outside ends a day that has posted nothing, and changes nothing afterwards.
func TestCancelOfADay(t *testing.T) {
	tests := map[string]struct {
		change func(w *world, in *workflows.SettlementInput)
		posted bool
	}{
		"while it waits for reports": {func(w *world, _ *workflows.SettlementInput) {
			w.fail["ReconcileDay"] = outage()
		}, false},
		"while the reports are parked": {func(w *world, _ *workflows.SettlementInput) {
			w.fail["ReconcileDay"] = []error{permanent(fault.Credentials)}
		}, false},
		"while a mismatch waits":     {func(w *world, _ *workflows.SettlementInput) { w.unmatched["USD"] = amount("4.50") }, false},
		"while it is to be approved": {func(_ *world, in *workflows.SettlementInput) { in.Policy.Approval = true }, false},
		"while the journal is parked": {func(w *world, _ *workflows.SettlementInput) {
			w.fail["PostJournal"] = []error{permanent(fault.ClosedPeriod)}
		}, true},
		"while the journal is tried":      {func(w *world, _ *workflows.SettlementInput) { w.fail["PostJournal"] = outage() }, true},
		"while what was posted is parked": {func(w *world, _ *workflows.SettlementInput) { w.fail["RecordPosting"] = []error{permanent(fault.Bug)} }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			in := dayInput()
			test.change(w, &in)
			env := environment(t, w)
			start := env.Now()
			env.RegisterDelayedCallback(env.CancelWorkflow, 5*time.Minute)
			w.later(env, 2*time.Hour, workflows.Resolution{Kind: workflows.ResolveRetry})
			view := settle(t, env, in)
			if test.posted {
				require.Equal(t, activities.SettlementPosted, view.State)
				w.requireBooked(t)
				return
			}
			require.Equal(t, activities.SettlementUnposted, view.State)
			require.Contains(t, view.Why, "the run was cancelled before anything was posted")
			require.Less(t, env.Now().Sub(start), 10*time.Minute, "at once")
			require.Empty(t, w.gl)
			require.Empty(t, w.parked)
			last := w.days[len(w.days)-1]
			require.Equal(t, []string{"unposted", "temporal"}, []string{string(last.State), last.Actor})
		})
	}
	t.Run("between reading and posting", func(t *testing.T) {
		w := reportedWorld()
		env := environment(t, w)
		w.before["ReconcileDay"] = env.CancelWorkflow
		require.Equal(t, activities.SettlementUnposted, settle(t, env, dayInput()).State)
		require.Empty(t, w.gl)
	})
}

// outage is as long as a test environment, which tries an activity ten times, can bear.
func outage() []error {
	var failures []error
	for range 9 {
		failures = append(failures, passing())
	}
	return failures
}

func TestDayShowsWhereItStands(t *testing.T) {
	w := reportedWorld()
	w.unmatched["USD"] = amount("4.50")
	env := environment(t, w)
	var view workflows.SettlementView
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(workflows.QuerySettlement)
		require.NoError(t, err)
		require.NoError(t, value.Get(&view))
	}, time.Minute)
	w.answers(env, workflows.ResolveSkip)
	settle(t, env, dayInput())
	require.Equal(t, activities.SettlementMismatch, view.State)
	require.Equal(t, "mismatch: 10 rows, 9 matched, 1 differences; nothing is left to post", view.Stage)
	require.Equal(t, dayID, w.parkings[0].WorkflowID)
}

// --- the tick

// tick runs a tick that was meant to be at a time, and gives its date and the children that it started.
func tick(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.SettlementInput, meant time.Time) (date string, started []string) {
	t.Helper()
	in.Date = ""
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		started = append(started, info.WorkflowExecution.ID)
	})
	if !meant.IsZero() {
		require.NoError(t, env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime").ValueSet(meant))))
	}
	env.ExecuteWorkflow(workflows.SettlementTick, workflows.TickInput{Settlement: in})
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&date))
	return date, started
}

func TestTickIsForTheDayThatHasEnded(t *testing.T) {
	tests := map[string]struct {
		zone  string
		meant string // as the schedule meant it
		now   string // when it ran
		date  string
	}{
		"in time":                                 {"America/Los_Angeles", "2026-08-22T13:00:00Z", "2026-08-22T13:00:02Z", "2026-08-21"},
		"late by hours":                           {"America/Los_Angeles", "2026-08-22T13:00:00Z", "2026-08-22T23:00:00Z", "2026-08-21"},
		"backfilled weeks later":                  {"America/Los_Angeles", "2026-08-02T13:00:00Z", "2026-08-22T13:00:00Z", "2026-08-01"},
		"by hand, without a schedule":             {"America/Los_Angeles", "", "2026-08-22T13:00:00Z", "2026-08-21"},
		"still yesterday in the merchant's zone":  {"America/Los_Angeles", "2026-08-22T05:00:00Z", "2026-08-22T05:00:00Z", "2026-08-20"},
		"already tomorrow in the merchant's zone": {"Pacific/Auckland", "2026-08-21T18:00:00Z", "2026-08-21T18:00:00Z", "2026-08-21"},
		"no zone is UTC":                          {"", "2026-03-01T06:00:00Z", "2026-03-01T06:00:00Z", "2026-02-28"},
		"first of January":                        {"Europe/Berlin", "2027-01-01T05:00:00Z", "2027-01-01T05:00:00Z", "2026-12-31"},
		"the day of 23 hours":                     {"America/Los_Angeles", "2026-03-09T13:00:00Z", "2026-03-09T13:00:00Z", "2026-03-08"},
		"in the day of 23 hours":                  {"America/Los_Angeles", "2026-03-08T08:30:00Z", "2026-03-08T08:30:00Z", "2026-03-07"},
		"the day of 25 hours":                     {"Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-25T22:59:59Z", "2026-10-24"},
		"after the day of 25 hours":               {"Europe/Berlin", "2026-10-25T23:10:00Z", "2026-10-25T23:10:00Z", "2026-10-25"},
		"the day before had no first hour, west":  {"America/Santiago", "2026-09-07T04:15:00Z", "2026-09-07T04:15:00Z", "2026-09-06"},
		"the day before had no first hour, east":  {"Africa/Cairo", "2026-04-24T22:30:00Z", "2026-04-24T22:30:00Z", "2026-04-24"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			env := environment(t, w)
			now, err := time.Parse(time.RFC3339, test.now)
			require.NoError(t, err)
			env.SetStartTime(now)
			var meant time.Time
			if test.meant != "" {
				meant, err = time.Parse(time.RFC3339, test.meant)
				require.NoError(t, err)
			}
			in := dayInput()
			in.Policy.TimeZone = test.zone
			date, started := tick(t, env, in, meant)
			require.Equal(t, test.date, date)
			require.Equal(t, []string{"settlement/acme/" + test.date}, started)
			require.Equal(t, test.date, w.read[0].Date)
		})
	}
}

func TestTickOfAnUnknownZoneSaysSo(t *testing.T) {
	w := reportedWorld()
	env := environment(t, w)
	in := dayInput()
	in.Policy.TimeZone = "America/Los_Angels"
	env.ExecuteWorkflow(workflows.SettlementTick, workflows.TickInput{Settlement: in})
	require.ErrorContains(t, env.GetWorkflowError(), "unknown time zone America/Los_Angels")
	require.Empty(t, w.calls)
}

// No schedule runs at a time that a day lacks, since clocks are put forward over it: the next tick settles that day, too.
func TestTickSettlesTheDayWhoseTickNeverCame(t *testing.T) {
	for name, test := range map[string]struct {
		zone, meant string
		dates       []string
	}{
		"the day after":                  {"America/New_York", "2026-03-09T06:30:00Z", []string{"2026-03-07", "2026-03-08"}},
		"two days after":                 {"America/New_York", "2026-03-10T06:30:00Z", []string{"2026-03-09"}},
		"at a time that every day has":   {"America/New_York", "2026-03-09T10:00:00Z", []string{"2026-03-08"}},
		"clocks put forward at midnight": {"America/Santiago", "2026-09-07T03:15:00Z", []string{"2026-09-05", "2026-09-06"}},
		"east of Greenwich":              {"Africa/Cairo", "2026-04-24T21:30:00Z", []string{"2026-04-23", "2026-04-24"}},
		"clocks put back":                {"America/New_York", "2026-11-02T06:30:00Z", []string{"2026-11-01"}},
		"by hand":                        {"America/New_York", "", []string{"2026-03-08"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment(t, newWorld())
			meant := time.Time{}
			env.SetStartTime(time.Date(2026, 3, 9, 6, 30, 0, 0, time.UTC))
			if test.meant != "" {
				var err error
				meant, err = time.Parse(time.RFC3339, test.meant)
				require.NoError(t, err)
			}
			in := dayInput()
			in.Policy.TimeZone = test.zone
			date, started := tick(t, env, in, meant)
			require.Equal(t, test.dates[len(test.dates)-1], date)
			want := []string{}
			for _, day := range test.dates {
				want = append(want, workflows.SettlementWorkflowID(in.Merchant, day))
			}
			require.Equal(t, want, started)
		})
	}
}

func TestTickLeavesADayAloneThatRunsAlready(t *testing.T) {
	w := reportedWorld()
	env := environment(t, w)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: dayID}) // the ID is taken
	date, started := tick(t, env, dayInput(), time.Date(2026, 8, 22, 13, 0, 0, 0, time.UTC))
	require.Equal(t, businessDay, date)
	require.Empty(t, started)
	require.Empty(t, w.calls)
}

// TestParkedDayHoldsUpNoOther: one day waits for finance; the tick has ended, and so has the next day's tick and its day.
func TestParkedDayHoldsUpNoOther(t *testing.T) {
	w := reportedWorld()
	w.unmatched["USD"] = amount("4.50")
	env := environment(t, w)
	var next workflows.SettlementView
	ended := false
	env.RegisterDelayedCallback(func() {
		ended = env.IsWorkflowCompleted()
		require.Len(t, w.open("mismatch"), 1)
		other := newWorld()
		other.reported["USD"] = amount("99.00")
		in := dayInput()
		in.Date = "2026-08-22"
		next = settle(t, environment(t, other), in)
	}, 24*time.Hour)
	env.RegisterDelayedCallback(func() {
		for _, id := range w.open("mismatch") {
			_ = env.UpdateWorkflowByID(dayID, workflows.UpdateResolve, id, quiet(),
				workflows.Resolution{ID: id, Kind: workflows.ResolveSkip, Actor: "fred"})
		}
	}, 40*24*time.Hour)
	tick(t, env, dayInput(), time.Date(2026, 8, 22, 13, 0, 0, 0, time.UTC))
	require.True(t, ended, "the tick waits for no day")
	require.Equal(t, activities.SettlementPosted, next.State)
	require.Equal(t, activities.SettlementPosted, w.days[len(w.days)-1].State)
	w.requireBooked(t)
}

// --- orders shown as paid

// showPaid runs ShowPaid to its end, over the runs that it goes on as.
func showPaid(t *testing.T, w *world, in workflows.ShowPaidInput) (shown, runs int) {
	t.Helper()
	for runs = 1; ; runs++ {
		env := environment(t, w)
		env.ExecuteWorkflow(workflows.ShowPaid, in)
		var more *workflow.ContinueAsNewError
		if !errors.As(env.GetWorkflowError(), &more) {
			require.NoError(t, env.GetWorkflowError())
			require.NoError(t, env.GetWorkflowResult(&shown))
			return shown, runs
		}
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(more.Input, &in))
	}
}

func paidInput() workflows.ShowPaidInput {
	return workflows.ShowPaidInput{Merchant: "acme", Date: businessDay, Erp: "syspro", Policy: input().Policy}
}

// A day that is run again while its orders are still being shown may have settled some that were passed.
func TestARerunShowsItsOrdersAsPaidToo(t *testing.T) {
	w := reportedWorld()
	w.settled = settledOrders(3)
	env := environment(t, w)
	taken := workflows.ShowPaidWorkflowID("acme", businessDay)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: taken})
	var started []string
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		started = append(started, info.WorkflowExecution.ID)
	})
	in := dayInput()
	in.Policy.ShowPaid = true
	env.ExecuteWorkflow(workflows.DailySettlement, in)
	require.NoError(t, env.GetWorkflowError())
	require.Len(t, started, 1)
	require.Contains(t, started[0], taken+"/")
	require.Len(t, w.paid, 3)
}

func TestOrdersAreShownAsPaidPageByPage(t *testing.T) {
	for _, test := range []struct{ orders, pages, runs int }{{0, 1, 1}, {1, 1, 1}, {100, 1, 1}, {101, 2, 1}, {20_000, 200, 1}, {20_001, 201, 2}} {
		t.Run(fmt.Sprint(test.orders), func(t *testing.T) {
			w := newWorld()
			w.settled = settledOrders(test.orders)
			shown, runs := showPaid(t, w, paidInput())
			require.Equal(t, []int{test.orders, test.runs}, []int{shown, runs})
			require.Equal(t, test.pages, w.count("SettledOrders"))
			require.Len(t, w.paid, test.orders)
		})
	}
}

// TestOrdersAreShownAsPaidWhereTheyAreBooked: one ledger, two ERPs; an order that names none is the ledger's.
func TestOrdersAreShownAsPaidWhereTheyAreBooked(t *testing.T) {
	w := newWorld()
	w.settled = settledOrders(5)
	w.settled[1].Erp, w.settled[2].Erp, w.settled[4].Erp = "sagepro", "syspro", "sagepro"
	shown, _ := showPaid(t, w, paidInput())
	require.Equal(t, 5, shown)
	require.Equal(t, 2, w.count("ShowPaid"), "one call for each ERP")
	require.Equal(t, map[string]string{
		"WEB-00000": workflows.TaskQueueErp("syspro"), "WEB-00001": workflows.TaskQueueErp("sagepro"), "WEB-00002": workflows.TaskQueueErp("syspro"),
		"WEB-00003": workflows.TaskQueueErp("syspro"), "WEB-00004": workflows.TaskQueueErp("sagepro"),
	}, w.paidIn)
}

func TestDayStartsToShowItsOrdersAsPaid(t *testing.T) {
	w, in := fullDay()
	env := environment(t, w)
	var started []string
	env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		started = append(started, info.WorkflowExecution.ID)
	})
	settle(t, env, in)
	require.Equal(t, []string{dayID + "/paid"}, started)
	require.Len(t, w.paid, 3)
	require.Greater(t, w.position("ShowPaid"), w.position("RecordPosting"))
}

func TestPageThatFailsIsRetriedOrLeftOut(t *testing.T) {
	tests := map[string]struct {
		failures []error
		answer   workflows.ResolutionKind
		shown    int
		calls    int
	}{
		"refused, retried":             {[]error{permanent(fault.Conflict)}, workflows.ResolveRetry, 150, 3},
		"refused, left out":            {[]error{permanent(fault.Conflict)}, workflows.ResolveSkip, 50, 2},
		"the second refused, left out": {[]error{nil, permanent(fault.Conflict)}, workflows.ResolveSkip, 100, 2},
		"unanswered, nobody comes":     {[]error{timedOut()}, "", 150, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.settled = settledOrders(150)
			w.fail["ShowPaid"] = test.failures
			env := environment(t, w)
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			env.ExecuteWorkflow(workflows.ShowPaid, paidInput())
			require.NoError(t, env.GetWorkflowError())
			var shown int
			require.NoError(t, env.GetWorkflowResult(&shown))
			require.Equal(t, test.shown, shown, "what was left out is not counted")
			require.Len(t, w.paid, test.shown)
			require.Equal(t, test.calls, w.count("ShowPaid"))
			require.Equal(t, []string{"show-paid", "retry skip"}, []string{w.parkings[0].Step, strings.Join(w.parkings[0].Actions, " ")})
		})
	}
}

func TestCancelOfShowPaidEndsIt(t *testing.T) {
	for name, step := range map[string]string{"its page is parked": "ShowPaid", "its list is parked": "SettledOrders"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.settled = settledOrders(150)
			w.fail[step] = []error{permanent(fault.Credentials)}
			env := environment(t, w)
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			env.ExecuteWorkflow(workflows.ShowPaid, paidInput())
			var cancelled *temporal.CanceledError
			require.ErrorAs(t, env.GetWorkflowError(), &cancelled)
			require.Empty(t, w.paid)
			require.Empty(t, w.parked, "what no longer waits is not shown")
		})
	}
}

// TestLostWorkerIsNoticedInTime: the heartbeat of the reports' step follows what a try, and all of them, may take.
func TestLostWorkerIsNoticedInTime(t *testing.T) {
	for name, test := range map[string]struct {
		step, patience, heartbeat time.Duration
	}{
		"as by default":     {2 * time.Hour, 36 * time.Hour, time.Minute},
		"little patience":   {2 * time.Hour, 40 * time.Second, 10 * time.Second},
		"short tries":       {30 * time.Second, 5 * time.Minute, 7500 * time.Millisecond},
		"next to nothing":   {3 * time.Second, time.Minute, 2 * time.Second},
		"patience for ever": {2 * time.Minute, 0, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := reportedWorld()
			env := environment(t, w)
			var heartbeat time.Duration
			env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				if info.ActivityType.Name == "ReconcileDay" {
					heartbeat = info.HeartbeatTimeout
				}
			})
			in := dayInput()
			in.Policy.StepTimeout, in.Policy.Patience = test.step, test.patience
			settle(t, env, in)
			require.Equal(t, test.heartbeat, heartbeat)
		})
	}
}
