package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// CreditMemoInput starts CreditMemo: a credit memo that somebody made in the ERP, or that we made.
type CreditMemoInput struct {
	Erp        string                `json:"erp"`
	Memo       activities.MemoChange `json:"memo"`
	Order      canonical.Order       `json:"order"`
	Site       activities.Site       `json:"site,omitempty"`
	SalesOrder string                `json:"salesOrder,omitempty"`
	Invoice    string                `json:"invoice,omitempty"`
	Policy     Policy                `json:"policy"`
}

// CreditMemoWorkflowID is the ID of the process of one credit memo: a memo is dealt with once.
func CreditMemoWorkflowID(erp, number string) string { return "credit-memo/" + erp + "/" + number }

// Names of a credit memo's steps.
const (
	stepTakeMemo    = "take-credit-memo"
	stepAcknowledge = "acknowledge-credit-memo"
	stepOwnMemo     = "find-own-refund"
	stepRefundMemo  = "refund-credit-memo"
)

// creditMemo is one run of CreditMemo.
type creditMemo struct {
	in   CreditMemoInput
	log  log.Logger
	desk *desk
}

// CreditMemo turns a credit memo of the ERP into a refund and tells the ERP what became of it. A memo of our own is acknowledged and never
// refunded. The result says what happened.
func CreditMemo(ctx workflow.Context, in CreditMemoInput) (string, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	m := &creditMemo{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.Order.OrderID, "creditMemo", in.Memo.Number)}
	var err error
	if m.desk, err = ownDesk(steady, in.Order.OrderID); err != nil {
		return "", err
	}
	outcome := m.story(steady)
	if outcome != "" {
		workflow.SetCurrentDetails(steady, outcome)
	}
	err = workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
	if err == nil && outcome == "" {
		err = workflow.NewContinueAsNewError(steady, CreditMemo, in)
	}
	return outcome, err
}

// story is the process, top to bottom; "" tells that it is to go on as a new run.
func (m *creditMemo) story(ctx workflow.Context) string {
	if m.in.Memo.Own {
		return m.ownMemo(ctx)
	}
	taken := m.take(ctx)
	if taken.Refused != "" {
		m.acknowledge(ctx, activities.AcknowledgeMemoInput{Failure: taken.Refused})
		return "Refused: " + taken.Refused
	}
	refund, err := m.refund(ctx, taken)
	switch {
	case err != nil:
		m.acknowledge(ctx, activities.AcknowledgeMemoInput{Failure: "the refund did not end: " + givenUp(err)})
		return "Refund " + m.refundID() + " did not end: " + givenUp(err)
	case refund.Status != canonical.RefundCompleted:
		m.acknowledge(ctx, activities.AcknowledgeMemoInput{Failure: refund.Why})
		return "Refund " + m.refundID() + " refused: " + refund.Why
	default:
		m.acknowledge(ctx, activities.AcknowledgeMemoInput{Refunded: true, TransactionID: refund.TransactionID, Amount: refund.Amount})
		return fmt.Sprintf("Refund %s completed: %s of %s", m.refundID(), refund.Way, refund.Amount)
	}
}

// refundID is the ID of the refund that a memo asks for.
func (m *creditMemo) refundID() string { return "cm-" + m.in.Memo.Number }

// ownMemo acknowledges a memo that one of our refunds has made, once that refund's money has moved. That may take people months: a run that
// has become long then gives "".
func (m *creditMemo) ownMemo(ctx workflow.Context) string {
	const firstPause, lastPause = 5 * time.Second, 10 * time.Minute
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var own activities.OwnMemo
		_ = m.desk.try(ctx, retried(stepOwnMemo), func(ctx workflow.Context, _ int) error {
			var err error
			own, err = read(ledger(ctx, "Find our refund"), changesWork.FindOwnMemo, activities.FindOwnMemoInput{
				OrderID: m.in.Order.OrderID, Reference: m.in.Memo.Reference, Invoice: m.in.Memo.Invoice,
				Amount: canonical.NewMoney(m.in.Memo.Amount, m.in.Memo.Currency),
			})
			return err
		})
		if own.Known {
			m.acknowledge(ctx, activities.AcknowledgeMemoInput{Refunded: true, TransactionID: own.TransactionID, Amount: own.Amount})
			return "Our own: acknowledged"
		}
		workflow.SetCurrentDetails(ctx, "Our own; its refund is still on its way")
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return ""
		}
		_ = workflow.NewTimerWithOptions(ctx, pause, workflow.TimerOptions{Summary: "Wait for our refund"}).Get(ctx, nil)
	}
}

// take records the refund, so that it reserves what it will pay back.
func (m *creditMemo) take(ctx workflow.Context) activities.TakenMemo {
	var taken activities.TakenMemo
	_ = m.desk.try(ctx, retried(stepTakeMemo), func(ctx workflow.Context, _ int) error {
		var err error
		taken, err = read(ledger(ctx, "Record the refund"), changesWork.TakeMemo, activities.TakeMemoInput{
			Order: m.in.Order, RefundID: m.refundID(), Memo: m.in.Memo, Actor: "erp-" + m.in.Erp,
		})
		return err
	})
	return taken
}

// refund runs the refund to its end, however long people take over it. One that was ended from outside may have moved money: it is begun anew,
// which moves nothing twice, unless a person knows better (compensate).
func (m *creditMemo) refund(ctx workflow.Context, taken activities.TakenMemo) (RefundView, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:        RefundWorkflowID(m.in.Order.OrderID, m.refundID()),
		ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:     "Refund of credit memo " + m.in.Memo.Number,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchOrderID.ValueSet(m.in.Order.OrderID), SearchErp.ValueSet(m.in.Erp), SearchNeedsAttention.ValueSet(false)),
	})
	in := RefundInput{
		RefundID: m.refundID(), Order: m.in.Order, Breakdown: taken.Breakdown, Reason: m.in.Memo.Reason, Actor: "erp-" + m.in.Erp,
		Origin: OriginErp, CreditMemo: m.in.Memo.Number, Erp: m.in.Erp, Site: m.in.Site, CustomerCode: m.in.Memo.CustomerCode,
		SalesOrder: m.in.SalesOrder, Invoice: m.in.Invoice, Policy: m.in.Policy,
	}
	var view RefundView
	s := step{name: stepRefundMemo, actions: []ResolutionKind{ResolveRetry, ResolveCompensate}, deadline: m.in.Policy.ParkDeadline, overdue: ResolveRetry, deaf: true}
	err := m.desk.try(ctx, s, func(ctx workflow.Context, _ int) error {
		return workflow.ExecuteChildWorkflow(ctx, Refund, in).Get(ctx, &view)
	})
	return view, err
}

// acknowledge tells the ERP what became of the memo.
func (m *creditMemo) acknowledge(ctx workflow.Context, in activities.AcknowledgeMemoInput) {
	in.OrderID, in.Number, in.At = m.in.Order.OrderID, m.in.Memo.Number, workflow.Now(ctx).UTC()
	s := optional(stepAcknowledge, m.in.Policy.ParkDeadline, ResolveRetry)
	_ = m.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		in.Attempt = attempt
		return do(booking(ctx, m.in.Erp, m.in.Policy, "Acknowledge the credit memo"), erpWork.AcknowledgeMemo, in)
	})
}
