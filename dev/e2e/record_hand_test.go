package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// TestRecordHistoriesOfFinance plays what finance decides: a journal of a closed period that it books by hand, and a dispute that an arbitration
// decides otherwise. It reads the histories as TestRecordHistories does.
func TestRecordHistoriesOfFinance(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_SETTLEMENT_CLOSED_PERIOD": "park"}})
	date := r.sell(t, 1)
	periods := r.ERP.URL + "/_sandbox/periods"
	r.post(t, periods, map[string]any{"Module": "GL", "Open": []string{"P"}})
	started, err := r.World.Settle(t.Context(), date, false)
	require.NoError(t, err)
	var parked world.ParkedItem
	require.Eventually(t, func() bool {
		items, err := r.ParkedOf(t.Context(), started.WorkflowID)
		if err == nil && len(items) == 1 {
			parked = items[0]
		}
		return err == nil && len(items) == 1
	}, patience, 50*time.Millisecond)
	answer, err := r.Call(t.Context(), http.MethodPost, r.API+"/v1/attention/"+parked.ID+"/resolve", world.Finance,
		map[string]string{"resolution": "skip", "reference": "M-17", "reason": "booked in the old period"})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
	r.dayEnds(t, started.WorkflowID, date)
	r.keepHistory(t, started.WorkflowID, "DailySettlement_booked_by_hand")

	r.post(t, periods, map[string]any{"Module": "GL", "Open": []string{"C", "P"}})
	r.settle(t, date)
	journals, err := r.Journals(t.Context(), "CYB"+strings.ReplaceAll(date, "-", ""))
	require.NoError(t, err)
	require.Empty(t, journals, "what finance booked is never posted")
	page, err := r.Page(t.Context(), date)
	require.NoError(t, err)
	require.Contains(t, page, "as M-17: booked in the old period")
	listed, err := r.Discrepancies(t.Context(), date)
	require.NoError(t, err)
	require.Len(t, listed, 1)

	opened, err := r.OpenDispute(t.Context(), fmt.Sprintf("E2E-%04d", 1), "15.00")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	_, err = r.EndDispute(t.Context(), opened.Case, "won")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	first := workflows.ChargebackWorkflowID(opened.Case)
	require.Eventually(t, func() bool {
		ended, err := r.temporal(t).DescribeWorkflowExecution(t.Context(), first, "")
		return err == nil && ended.GetWorkflowExecutionInfo().GetCloseTime() != nil
	}, patience, 50*time.Millisecond)
	r.keepHistory(t, first, "Chargeback_ended_with_its_time")
	outcome := r.API + "/v1/chargebacks/" + opened.Case + "/outcome"
	answer, err = r.Call(t.Context(), http.MethodPost, outcome, world.Finance, map[string]any{"outcome": "lost"})
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, answer.Status, string(answer.Body))
	for range 2 {
		answer, err = r.Call(t.Context(), http.MethodPost, outcome, world.Finance, map[string]any{"outcome": "lost", "again": true, "reason": "arbitration"})
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
	}
	r.keepHistory(t, workflows.ChargebackCycleID(opened.Case, 2), "Chargeback_decided_otherwise")
	ended, err := r.Chargeback(t.Context(), opened.Case)
	require.NoError(t, err)
	require.Equal(t, "lost", ended.State)
	both, err := r.Journals(t.Context(), "CB-"+opened.Case)
	require.NoError(t, err)
	require.Len(t, both, 2, "each end has a journal of its own")
	require.Equal(t, map[string]string{"1210": "-48.19", "6110": "48.19"}, texts(world.ByAccount(both, "USD")), "in the end the money is lost")
}

// texts are amounts as people write them.
func texts(amounts map[string]decimal.Decimal) map[string]string {
	written := map[string]string{}
	for account, amount := range amounts {
		written[account] = amount.StringFixed(2)
	}
	return written
}
