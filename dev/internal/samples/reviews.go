package samples

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/cli"
	"github.com/tenderline/tenderline/workflows"
)

// The verdicts.
const (
	accept = "accept"
	reject = "reject"
)

// rejected is how a held order ends that was rejected.
func rejected() Want { return ended("rejected", "reversed", "order.held").cancelledInErp() }

// reviews are orders that Decision Manager holds, decided in each of the ways.
func reviews() []Sample {
	waiting := Want{
		Status: "in_review", Payment: "held", Held: total, SalesOrder: world.SalesOrderSuspended, Told: []string{"order.held"},
	}
	accepted, overtaken := confirmed("order.held"), rejected()
	overtaken.OrNone = true
	returned := ended("cancelled", "reversed", "order.held").cancelledInErp()
	returned.Told = []string{"order.held", "order.confirmed", "refund.completed"}
	returned.Reversals = 1
	return []Sample{
		{Slug: "held-accepted", Title: "Held, then accepted", Play: decided(accept, byAPI), Want: accepted},
		{Slug: "held-rejected", Title: "Held, then rejected", Play: decided(reject, byAPI), Want: rejected()},
		{Slug: "by-signal", Title: "Decided by signal, as typed in the UI", Play: decided(accept, bySignal), Want: accepted},
		{Slug: "by-command", Title: "Decided on the command line", Play: decided(reject, byCommand), Want: rejected()},
		{Slug: "by-webhook", Title: "Decided at the gateway, by webhook", Play: decided(accept, atGateway(false)), Want: accepted},
		{Slug: "by-polling", Title: "Decided at the gateway, webhook lost", Play: decided(reject, atGateway(true), at(Watchful)), Want: rejected()},
		{Slug: "by-deadline", Title: "Nobody decides: the deadline does", Play: byDeadline, Want: overtaken},
		{Slug: "before-deadline", Title: "Asked before the deadline decides", Play: beforeDeadline, Want: accepted},
		{Slug: "opposite", Title: "Decided twice, and opposite", Play: opposite, Want: rejected()},
		{Slug: "marked", Title: "Rejected, customer marked", Play: marked, Want: rejected()},
		{Slug: "late-reject", Title: "Rejected after the capture: refunded", Play: lateReject, Want: returned},
		{Slug: "renewed", Title: "Authorization ran out: renewed", Play: renewed, Want: accepted},
		{Slug: "not-renewed", Title: "Authorization ran out: another card", Play: notRenewed, Want: accepted},
		{Slug: WaitingReview, Title: "Held, waiting for you", Play: heldOnly, Want: waiting},
	}
}

func heldOnly(ctx context.Context, p *Play) error { return p.Hold(ctx) }

// Hold places an order that is held, and waits until it is held in the ERP too.
func (p *Play) Hold(ctx context.Context, changes ...func(map[string]any)) error {
	if err := p.Place(ctx, "review", changes...); err != nil {
		return err
	}
	return p.HeldInErp(ctx)
}

// decided has a held order decided in one way, and looks that the gateway's case is decided the same way.
func decided(decision string, way func(ctx context.Context, p *Play, decision string) error, changes ...func(map[string]any)) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error {
		if err := p.Hold(ctx, changes...); err != nil {
			return err
		}
		if err := way(ctx, p, decision); err != nil {
			return err
		}
		return p.CaseIs(ctx, map[string]string{accept: "ACCEPTED", reject: "REJECTED"}[decision])
	}
}

// byAPI decides as an analyst; the run takes it as an Update.
func byAPI(ctx context.Context, p *Play, decision string) error {
	p.line("analyst: " + decision)
	return p.Decide(ctx, p.ID, decision)
}

// bySignal decides as an engineer does with the button of the Temporal UI.
func bySignal(ctx context.Context, p *Play, decision string) error {
	p.line("Temporal UI: " + decision)
	return p.temporal.Signal(ctx, workflows.FraudReviewWorkflowID(p.ID), workflows.SignalFraudDecision, map[string]string{"decision": decision})
}

// byCommand decides with the program's own command line, and gives the command again where that asks for it.
func byCommand(ctx context.Context, p *Play, decision string) error {
	p.line("tenderline fraud " + decision)
	return until(ctx, "the command line does not get through", func() (bool, error) {
		var out, problems bytes.Buffer
		code := cli.Run(ctx, cli.Program{
			Args: []string{"fraud", decision, p.ID, "--comment", "by command", "--api", p.API}, Env: []string{"TENDERLINE_API_KEY=" + world.Analyst},
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &problems,
		})
		if code == cli.ExitOK {
			return true, nil
		}
		err := fmt.Errorf("the command line ended with %d: %s", code, problems.String())
		if code != cli.ExitUnavailable {
			return false, final{err}
		}
		return false, err
	})
}

// atGateway decides as a reviewer does in the gateway's console; the webhook that tells of it may get lost.
func atGateway(lost bool) func(context.Context, *Play, string) error {
	return func(ctx context.Context, p *Play, decision string) error {
		p.line("reviewer at the gateway: " + decision)
		return p.Review(ctx, world.Reviewed{Reference: p.ID, Decision: strings.ToUpper(decision), Silent: lost})
	}
}

// byDeadline has people reminded and the review escalated, and nobody decide. Whatever is seen of it is seen after the deadline: before it nobody
// can be sure to look in time.
func byDeadline(ctx context.Context, p *Play) error {
	if err := p.Place(ctx, "review", at(Hasty)); err != nil {
		return err
	}
	if err := p.Reach(ctx, "rejected"); err != nil {
		return err
	}
	if err := p.CaseIs(ctx, "REJECTED"); err != nil {
		return err
	}
	return p.CaseHas(ctx, "deadline", "reminded", "escalated", "decided")
}

// beforeDeadline has the case decided at the gateway, and its money taken there, without a word. The deadline would reject: the gateway is
// asked first, and what holds there is adopted.
func beforeDeadline(ctx context.Context, p *Play) error {
	if err := p.Place(ctx, "review", at(Brief)); err != nil {
		return err
	}
	if err := p.Reach(ctx, "in_review"); err != nil {
		return err
	}
	p.line("reviewer at the gateway: accept and capture")
	reviewed := world.Reviewed{Reference: p.ID, Decision: "ACCEPT", Actions: []string{"CAPTURE"}, Silent: true}
	if err := p.Review(ctx, reviewed); err != nil {
		return err
	}
	if err := p.Reach(ctx, "confirmed"); err != nil {
		return err
	}
	return p.CaseHas(ctx, string(workflows.SourcePoll), "decided")
}

// CaseHas looks what the case says of who decided and what was noted.
func (p *Play) CaseHas(ctx context.Context, source string, notes ...string) error {
	return until(ctx, "the case does not have what it should", func() (bool, error) {
		view, err := p.Case(ctx, p.ID)
		missing := slices.ContainsFunc(notes, func(note string) bool { return !view.Noted(note) })
		if err == nil && (missing || view.Review.Source != source) {
			err = fmt.Errorf("decided by %q, noted: %+v", view.Review.Source, view.Notes)
		}
		return err == nil, err
	})
}

// opposite rejects an order twice, then accepts it: each is answered with what holds.
func opposite(ctx context.Context, p *Play) error {
	if err := p.Hold(ctx); err != nil {
		return err
	}
	for _, verdict := range []struct {
		key, decision string
		late          bool // also a person's own verdict, repeated, is answered as it was the first time
	}{{world.Analyst, reject, false}, {world.Analyst, reject, false}, {world.Operator, accept, true}, {world.Analyst, reject, false}} {
		holding, err := p.Judge(ctx, verdict.key, p.ID, world.Verdict{Decision: verdict.decision, Comment: "looked at it"})
		if err != nil {
			return err
		}
		p.line(fmt.Sprintf("%s: %s; it holds: %s by %s", verdict.key, verdict.decision, holding.Decision, holding.Actor))
		if holding.Decision != reject || holding.Actor != world.Analyst || holding.Late != verdict.late {
			return fmt.Errorf("%s of %s was answered %+v, expected the first reject", verdict.decision, verdict.key, holding)
		}
	}
	return p.CaseHas(ctx, string(workflows.SourceAPI), "decided", "opposed")
}

// marked rejects an order and marks its customer, whose next order the gateway declines by itself.
func marked(ctx context.Context, p *Play) error {
	if err := p.Hold(ctx, unique(p.ID)); err != nil {
		return err
	}
	p.line("analyst: reject, mark the customer")
	if _, err := p.Judge(ctx, world.Analyst, p.ID, world.Verdict{Decision: reject, Comment: "stolen card", Mark: true}); err != nil {
		return err
	}
	return until(ctx, "the customer is not on the gateway's negative list", func() (bool, error) {
		who, err := p.Marked(ctx, p.ID)
		if err == nil && !slices.Equal(who, []string{p.ID + "@example.com"}) {
			err = fmt.Errorf("marked are %q", who)
		}
		return err == nil, err
	})
}

// lateReject rejects an order that was accepted before and is paid: the goods, which have not left, are held, and an operator takes the
// refund that is proposed.
func lateReject(ctx context.Context, p *Play) error {
	if err := decided(accept, byAPI, at(Depot))(ctx, p); err != nil {
		return err
	}
	if err := p.Reach(ctx, "confirmed"); err != nil {
		return err
	}
	p.line("another analyst: reject")
	holding, err := p.Judge(ctx, world.Operator, p.ID, world.Verdict{Decision: reject, Comment: "called the bank"})
	if err != nil {
		return err
	}
	if holding.Decision != accept || !holding.Late || !holding.LateReject {
		return fmt.Errorf("a late reject was answered %+v", holding)
	}
	item, err := p.Waiting(ctx, "late-reject")
	if err != nil {
		return err
	}
	if err := p.salesOrderIs(ctx, world.SalesOrderSuspended); err != nil {
		return err
	}
	p.line("operator: refund it")
	if err := p.Resolve(ctx, item.ID, "compensate"); err != nil {
		return err
	}
	return p.Refunded(ctx, "late-reject", "void")
}

func (p *Play) salesOrderIs(ctx context.Context, status string) error {
	books, err := p.Books(ctx, p.ID)
	if err == nil && (len(books.SalesOrders) != 1 || books.Status != status) {
		err = fmt.Errorf("the ERP has %+v, expected one sales order that is %s", books.SalesOrders, status)
	}
	return err
}

// renewed has an order of a saved card decided after the bank let its hold go: the saved card is authorized anew.
func renewed(ctx context.Context, p *Play) error {
	saved := func(order map[string]any) { part[map[string]any](order, "payment")["saveCard"] = true }
	return runOut(ctx, p, saved)
}

// notRenewed has an order of a card that was not saved decided too late: it waits for another card, and gets it.
func notRenewed(ctx context.Context, p *Play) error {
	if err := runOut(ctx, p); err != nil {
		return err
	}
	if _, err := p.Waiting(ctx, "renew-authorization"); err != nil {
		return err
	}
	token, err := p.Token(ctx, "approve")
	if err != nil {
		return err
	}
	p.line("shop: another card")
	return p.Pay(ctx, p.ID, token)
}

// runOut has a held order accepted once its authorization has run out, and the bank has let the hold go.
func runOut(ctx context.Context, p *Play, changes ...func(map[string]any)) error {
	if err := p.Hold(ctx, append(changes, at(ShortHold))...); err != nil {
		return err
	}
	money, err := p.Money(ctx, p.ID)
	if err != nil || len(money.Lines) != 1 {
		return fmt.Errorf("the gateway has %+v, expected one authorization (%w)", money.Lines, err)
	}
	if err := p.Expire(ctx, money.Lines[0].ID); err != nil {
		return err
	}
	since := money.Lines[0].At
	if err := until(ctx, "time stands still", func() (bool, error) { return time.Since(since) > shortHold, nil }); err != nil {
		return err
	}
	p.line("bank: the authorization has run out")
	return byAPI(ctx, p, accept)
}

// shortHold is longer than an authorization's life at the channel ShortHold.
const shortHold = 1500 * time.Millisecond
