package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
)

// ChargebackInput starts Chargeback.
type ChargebackInput struct {
	Case       activities.ChargebackCase `json:"case"`
	OrderID    string                    `json:"orderId"`
	Erp        string                    `json:"erp"`
	Site       activities.Site           `json:"site,omitempty"`
	SalesOrder string                    `json:"salesOrder,omitempty"`
	Invoice    string                    `json:"invoice,omitempty"`
	RemindFor  time.Duration             `json:"remindFor"` // before the evidence is due, people are reminded
	Policy     Policy                    `json:"policy"`
}

// ChargebackWorkflowID is the ID of the process of one dispute.
func ChargebackWorkflowID(caseID string) string { return "chargeback/" + caseID }

// SignalChargeback tells a dispute what its next report row, or a person, says of it: ChargebackNews.
const SignalChargeback = "chargeback-news"

// ChargebackNews is what is new of a dispute.
type ChargebackNews struct {
	Case    activities.ChargebackCase    `json:"case"`
	Outcome activities.ChargebackOutcome `json:"outcome,omitempty"`
	Actor   string                       `json:"actor"`
}

// Names of a chargeback's steps.
const (
	stepRecordCase = "record-chargeback"
	stepShowCase   = "payment-status"
	stepBookCase   = "book-outcome"
)

// chargeback is one run of Chargeback.
type chargeback struct {
	in      ChargebackInput
	log     log.Logger
	desk    *desk
	outcome activities.ChargebackOutcome
	actor   string
	notes   int
}

// Chargeback follows a dispute from its first report row to its outcome: the payment is flagged, the ERP shows it, people are reminded
// before the evidence is due, and the outcome is booked. That the money was taken, and came back, settlement books from its own rows.
func Chargeback(ctx workflow.Context, in ChargebackInput) (activities.ChargebackOutcome, error) {
	steady, _ := workflow.NewDisconnectedContext(ctx)
	c := &chargeback{in: in, log: log.With(workflow.GetLogger(ctx), "order", in.OrderID, "case", in.Case.ID)}
	var err error
	if c.desk, err = ownDesk(steady, in.OrderID); err != nil {
		return "", err
	}
	workflow.GoNamed(steady, "news", func(ctx workflow.Context) {
		for {
			c.hear(ctx)
		}
	})
	c.record(steady, "opened")
	if !in.Case.Retrieval {
		c.show(steady, activities.ChargebackOpen)
	}
	c.await(steady)
	c.record(steady, string(c.outcome))
	if !in.Case.Retrieval {
		c.book(steady)
		c.show(steady, c.outcome)
	}
	workflow.SetCurrentDetails(steady, fmt.Sprintf("%s (%s)", c.outcome, c.actor))
	return c.outcome, workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) })
}

// hear takes what is new of the case. A repeated row changes nothing.
func (c *chargeback) hear(ctx workflow.Context) {
	var news ChargebackNews
	workflow.GetSignalChannel(ctx, SignalChargeback).Receive(ctx, &news)
	if !news.Case.RespondBy.IsZero() {
		c.in.Case.RespondBy = news.Case.RespondBy
	}
	if c.outcome == activities.ChargebackOpen && news.Outcome != activities.ChargebackOpen {
		c.outcome, c.actor = news.Outcome, news.Actor
	}
}

// await waits for the outcome, however long the schemes take; it reminds before the evidence is due, and says when it is not any more.
func (c *chargeback) await(ctx workflow.Context) {
	ended := func() bool { return c.outcome != activities.ChargebackOpen }
	for _, due := range []struct {
		note, summary string
		before        time.Duration
	}{{"reminded", "Remind of the evidence", c.in.RemindFor}, {"overdue", "Evidence due", 0}} {
		if c.in.Case.RespondBy.IsZero() {
			break
		}
		workflow.SetCurrentDetails(ctx, "Open; evidence is due at "+c.in.Case.RespondBy.UTC().Format(time.RFC3339))
		if left := c.in.Case.RespondBy.Add(-due.before).Sub(workflow.Now(ctx)); left > 0 {
			options := workflow.AwaitOptions{Timeout: left, TimerOptions: workflow.TimerOptions{Summary: due.summary}}
			_, _ = workflow.AwaitWithOptions(ctx, options, ended)
		}
		if ended() {
			return
		}
		c.record(ctx, due.note)
	}
	_ = workflow.Await(ctx, ended)
}

// record brings the record and the payment forward.
func (c *chargeback) record(ctx workflow.Context, what string) {
	c.notes++
	in := activities.RecordChargebackInput{
		OrderID: c.in.OrderID, Case: c.in.Case, Outcome: c.outcome, Actor: c.actor, Note: what,
		Key: fmt.Sprintf("chargeback/%s/%d", c.in.Case.ID, c.notes), At: workflow.Now(ctx).UTC(),
	}
	_ = c.desk.try(ctx, retried(stepRecordCase), func(ctx workflow.Context, _ int) error {
		return note(ledger(ctx, "Chargeback: "+what), changesWork.RecordChargeback, in)
	})
}

// show writes the payment's state into the ERP; it makes no entry.
func (c *chargeback) show(ctx workflow.Context, outcome activities.ChargebackOutcome) {
	c.inErp(ctx, stepShowCase+string(outcome), func(ctx workflow.Context, in activities.BookChargebackInput) error {
		in.Outcome = outcome
		return do(booking(ctx, c.in.Erp, c.in.Policy, "Show the chargeback in the ERP"), erpWork.TagChargeback, in)
	})
}

// book books how the dispute ended: lost, the receivable becomes a loss; won, the processor owes it again.
func (c *chargeback) book(ctx workflow.Context) {
	c.inErp(ctx, stepBookCase, func(ctx workflow.Context, in activities.BookChargebackInput) error {
		_, err := run(booking(ctx, c.in.Erp, c.in.Policy, "Book the chargeback's outcome"), erpWork.BookChargeback, in)
		return err
	})
}

func (c *chargeback) inErp(ctx workflow.Context, name string, forward func(workflow.Context, activities.BookChargebackInput) error) {
	date := businessDate(ctx)
	s := step{
		name: name, actions: []ResolutionKind{ResolveRetry, ResolveSkip}, deadline: c.in.Policy.ParkDeadline, overdue: ResolveRetry, deaf: true,
		correct: dateOnly(func(corrected string) { date = corrected }),
	}
	_ = c.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		return forward(ctx, activities.BookChargebackInput{
			OrderID: c.in.OrderID, SalesOrder: c.in.SalesOrder, Invoice: c.in.Invoice, Case: c.in.Case, Outcome: c.outcome, Site: c.in.Site,
			Date: date, Attempt: attempt,
		})
	})
}
