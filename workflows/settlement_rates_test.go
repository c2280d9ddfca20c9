package workflows_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/workflows"
)

// ratedDay is a day that is converted at the ERP's own rates.
func ratedDay() (*world, workflows.SettlementInput) {
	w, in := reportedWorld(), dayInput()
	w.rates = []erp.Rate{{From: "EUR", To: "USD", Rate: decimal.RequireFromString("1.0812"), Date: businessDay}}
	in.Policy.Ledger, in.Policy.ErpRates = "USD", true
	return w, in
}

func TestRatesOfTheERPReachTheDay(t *testing.T) {
	w, in := ratedDay()
	require.Equal(t, activities.SettlementPosted, settle(t, environment(t, w), in).State)
	require.Equal(t, []string{"RecordDay", "ExchangeRates", "ReconcileDay", "RecordDay", "PostJournal", "RecordPosting", "RecordDay"}, w.calls)
	require.Equal(t, []activities.ExchangeRatesInput{{Date: businessDay, To: "USD"}}, w.rateAsks)
	require.Equal(t, []string{workflows.TaskQueueErp("syspro")}, w.ratesOf)
	require.Equal(t, w.rates, w.read[0].Rates)
	require.True(t, w.read[0].Policy.ErpRates)
}

func TestRatesAreNotAskedForWhereNoneAreNeeded(t *testing.T) {
	for name, change := range map[string]func(*activities.SettlementPolicy){
		"those of the settings hold":            func(p *activities.SettlementPolicy) { p.ErpRates = false },
		"each currency is posted as it is":      func(p *activities.SettlementPolicy) { p.Ledger = "" },
		"a run that began before, with neither": func(p *activities.SettlementPolicy) { p.ErpRates, p.Ledger = false, "" },
	} {
		t.Run(name, func(t *testing.T) {
			w, in := ratedDay()
			change(&in.Policy)
			require.Equal(t, activities.SettlementPosted, settle(t, environment(t, w), in).State)
			require.Equal(t, []string{"RecordDay", "ReconcileDay", "RecordDay", "PostJournal", "RecordPosting", "RecordDay"}, w.calls)
			require.Empty(t, w.read[0].Rates)
		})
	}
}

func TestDayWaitsForTheRatesOfTheERP(t *testing.T) {
	for name, test := range map[string]struct {
		failure error
		class   fault.Kind
		answer  workflows.ResolutionKind
		state   activities.SettlementState
	}{
		"the ERP is down":      {timedOut(), fault.UnknownOutcome, workflows.ResolveRetry, activities.SettlementPosted},
		"the site keeps none":  {permanent(fault.NotFound), fault.NotFound, workflows.ResolveRetry, activities.SettlementPosted},
		"the day is given up":  {permanent(fault.NotFound), fault.NotFound, workflows.ResolveCompensate, activities.SettlementUnposted},
		"nobody says anything": {permanent(fault.NotFound), fault.NotFound, "", activities.SettlementPosted},
	} {
		t.Run(name, func(t *testing.T) {
			w, in := ratedDay()
			w.fail["ExchangeRates"] = []error{test.failure}
			env := environment(t, w)
			read := -1
			env.RegisterDelayedCallback(func() { read = w.count("ReconcileDay") }, 59*time.Minute)
			if test.answer != "" {
				w.answers(env, test.answer)
			}
			require.Equal(t, test.state, settle(t, env, in).State)
			require.Zero(t, read, "nothing is read without the rates")
			require.Len(t, w.parkings, 1)
			require.Equal(t, "reconcile", w.parkings[0].Step)
			require.Equal(t, test.class, w.parkings[0].Class)
			require.Equal(t, []string{"retry", "compensate"}, w.parkings[0].Actions)
			if test.state == activities.SettlementUnposted {
				require.Zero(t, w.count("ReconcileDay"))
				require.Empty(t, w.gl)
				return
			}
			require.Equal(t, w.rates, w.read[0].Rates)
			w.requireBooked(t)
		})
	}
}

// A rate that was missing is added in the ERP, then the step is tried again: it must not see the old ones.
func TestRateThatWasMissingIsSeenByTheNextTry(t *testing.T) {
	w, in := ratedDay()
	w.fail["ReconcileDay"] = []error{permanent(fault.MissingReference)}
	env := environment(t, w)
	env.RegisterDelayedCallback(func() {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.rates = append(w.rates, erp.Rate{From: "JPY", To: "USD", Rate: decimal.RequireFromString("0.0065"), Date: businessDay})
	}, time.Minute)
	w.answers(env, workflows.ResolveRetry)
	require.Equal(t, activities.SettlementPosted, settle(t, env, in).State)
	require.Len(t, w.rateAsks, 2)
	require.Len(t, w.read[len(w.read)-1].Rates, 2)
}
