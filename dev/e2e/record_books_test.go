package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// TestRecordHistoriesOfBooks plays a settlement day, disputes and what people do in the ERP, and reads the histories as TestRecordHistories
// does.
func TestRecordHistoriesOfBooks(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_SYSPRO_CHANGES_INTERVAL": "1s"}})
	date := r.sell(t, 1)

	shipped := r.id()
	r.submit(t, r.order(t, shipped, buy{channel: "depot"}))
	r.await(t, shipped, func(v world.OrderView) bool { return v.Status == "confirmed" })
	parcel, err := r.Ship(t.Context(), world.Parcel{OrderNumber: shipped, Carrier: "UPS", TrackingNumber: "1Z999", Invoice: true})
	require.NoError(t, err)
	r.await(t, shipped, func(v world.OrderView) bool { return v.Status == "shipped" })
	r.keepHistory(t, workflows.ShipmentWorkflowID(shipped, parcel), "Shipment_deposit_applied")

	credited := r.id()
	r.submit(t, r.order(t, credited, buy{}))
	r.ended(t, credited, "confirmed")
	memo, err := r.CreditMemo(t.Context(), credited, "20.00")
	require.NoError(t, err)
	r.refundedByMemo(t, credited, memo)
	r.keepHistory(t, workflows.CreditMemoWorkflowID("syspro", memo), "CreditMemo_refunded")
	r.keepHistory(t, workflows.ErpFeedWorkflowID("syspro", "credit_memo"), "ErpChanges_feed")
	r.keepHistory(t, r.run(t, "ErpChanges", `WorkflowId STARTS_WITH "erp-changes/syspro-"`), "ErpChanges_poll")

	disputed := fmt.Sprintf("E2E-%04d", 1)
	opened, err := r.OpenDispute(t.Context(), disputed, "15.00")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	_, err = r.EndDispute(t.Context(), opened.Case, "lost")
	require.NoError(t, err)
	_, err = r.CloseDay(t.Context(), date, world.Plants{})
	require.NoError(t, err)
	r.settle(t, date)
	r.keepHistory(t, workflows.ChargebackWorkflowID(opened.Case), "Chargeback_lost")
	r.keepHistory(t, workflows.SettlementWorkflowID(stack.Merchant, date), "DailySettlement_posted")
	r.keepHistory(t, workflows.ShowPaidWorkflowID(stack.Merchant, date), "ShowPaid_day")

	handle := r.temporal(t).ScheduleClient().GetHandle(t.Context(), "settlement/"+stack.Merchant)
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	r.keepHistory(t, r.run(t, "SettlementTick", ""), "SettlementTick_day")
}

// run waits until a workflow of a type has been started, and gives its ID.
func (r *rig) run(t *testing.T, workflowType, filter string) (id string) {
	t.Helper()
	query := fmt.Sprintf("WorkflowType = %q", workflowType)
	if filter != "" {
		query += " AND " + filter
	}
	require.Eventually(t, func() bool {
		list, err := r.temporal(t).ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1})
		if err != nil || len(list.GetExecutions()) == 0 {
			return false
		}
		id = list.GetExecutions()[0].GetExecution().GetWorkflowId()
		return true
	}, patience, 50*time.Millisecond, "no run of %s", workflowType)
	return id
}
