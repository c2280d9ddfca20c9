package samples

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// parkings are orders and events that wait for a person.
func parkings() []Sample {
	return []Sample{
		{Slug: "bad-stock-code", Title: "Wrong stock code: corrected", Play: badStockCode, Want: confirmed()},
		{Slug: "no-credit", Title: "Credit limit exceeded: taken back", Play: noCredit, Want: ended("declined", "none")},
		{Slug: "early-webhook", Title: "Webhook of an unknown order: replayed", Play: earlyWebhook, Want: confirmed("order.held")},
		{Slug: "gateway-outage", Title: "Gateway outage: retried in bulk", Trouble: Alone, Play: gatewayOutage, Want: confirmed()},
	}
}

// misspelt is a stock code that the ERP does not know, next to one that it does.
const misspelt = "A10O"

// badStockCode orders what the ERP does not know; an operator takes the first correction that is suggested.
func badStockCode(ctx context.Context, p *Play) error {
	if err := p.Place(ctx, "approve", sku(misspelt)); err != nil {
		return err
	}
	item, err := p.Waiting(ctx, "check")
	if err != nil {
		return err
	}
	fix, err := p.suggested(ctx, item.ID)
	if err != nil {
		return err
	}
	p.line("operator: " + fix.Text)
	if err := p.ResolveBy(ctx, item.ID, world.Resolution{Resolution: "retry_with", Reason: "as suggested", Correction: fix.Correction}); err != nil {
		return err
	}
	if err := p.Reach(ctx, "confirmed"); err != nil {
		return err
	}
	return p.shipped(ctx, "A100")
}

// suggested waits for a correction that the item suggests.
func (p *Play) suggested(ctx context.Context, id string) (fix world.Fix, err error) {
	return fix, until(ctx, "no correction is suggested", func() (bool, error) {
		item, err := p.ParkedItem(ctx, id)
		at := slices.IndexFunc(item.Fixes, func(f world.Fix) bool { return f.Resolution == "retry_with" && len(f.Correction) > 0 })
		if err != nil || at < 0 {
			return false, err
		}
		fix = item.Fixes[at]
		return true, nil
	})
}

// shipped looks that the ERP's sales order is of a stock code.
func (p *Play) shipped(ctx context.Context, code string) error {
	books, err := p.Books(ctx, p.ID)
	if err != nil {
		return err
	}
	if len(books.SalesOrders) != 1 || !strings.Contains(fmt.Sprint(books.SalesOrders[0]["LineItems"]), "StockCode:"+code) {
		return fmt.Errorf("the ERP has %+v, expected one sales order of %s", books.SalesOrders, code)
	}
	return nil
}

// noCredit orders for a customer on account whose limit is one dollar; an operator gives the order up before money is asked for.
func noCredit(ctx context.Context, p *Play) error {
	onAccount := func(order map[string]any) { part[map[string]any](order, "customer")["erpCode"] = "LIMIT" }
	if err := p.Place(ctx, "approve", at(Account), onAccount); err != nil {
		return err
	}
	item, err := p.Waiting(ctx, "check")
	if err != nil {
		return err
	}
	if item.Class != "declined_by_policy" {
		return fmt.Errorf("parked as %s: %s", item.Class, item.Summary)
	}
	p.line("operator: compensate")
	return p.Resolve(ctx, item.ID, "compensate")
}

// earlyWebhook has the gateway tell of a case that nobody here knows: it waits for a person, who replays it once the order is there.
func earlyWebhook(ctx context.Context, p *Play) error {
	if err := p.Announce(ctx, "risk.casemanagement.decision.accept", unknownPayment(p.ID), p.ID, "ACCEPT"); err != nil {
		return err
	}
	p.line("gateway: webhook of an unknown order")
	item, err := p.Waiting(ctx, "inbox")
	if err != nil {
		return err
	}
	if err := p.Hold(ctx); err != nil {
		return err
	}
	if err := p.Review(ctx, world.Reviewed{Reference: p.ID, Decision: "ACCEPT", Silent: true}); err != nil {
		return err
	}
	p.line("operator: replay the webhook")
	return p.Resolve(ctx, item.ID, "retry")
}

// unknownPayment is the ID of a payment that the gateway never made: another one for each order, since what is told twice is heard once.
func unknownPayment(orderID string) string {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(orderID)) // never fails
	return fmt.Sprintf("70%020d", hash.Sum64())
}

// gatewayOutage lets the gateway fail until the order, and two others, have used up their patience; then all of them are retried at once.
func gatewayOutage(ctx context.Context, p *Play) error {
	fault := world.Fault{Route: "* /**", Mode: "status", Status: http.StatusServiceUnavailable, Reason: "SYSTEM_ERROR"}
	others := []*Play{p.beside("outage-b"), p.beside("outage-c")}
	all := append([]*Play{p}, others...)
	tokens, err := p.tokens(ctx, len(all))
	if err != nil {
		return err
	}
	if err := p.Broken(ctx, p.Gateway, fault); err != nil {
		return err
	}
	p.line("gateway: down")
	err = outageParks(ctx, all, tokens)
	// Bring it back whatever happened: other samples need it.
	if err := errors.Join(err, p.Mend(context.WithoutCancel(ctx), p.Gateway)); err != nil {
		return err
	}
	retried, err := p.RetryAll(ctx, "cybersource")
	if err != nil {
		return err
	}
	p.line(fmt.Sprintf("gateway: back; operator: retry all, %d retried", retried.Resolved))
	if retried.Resolved < len(all) {
		return fmt.Errorf("bulk retry came to %+v, expected %d at least", retried, len(all))
	}
	return allConfirmed(ctx, others)
}

// beside is another order of the same sample.
func (p *Play) beside(slug string) *Play {
	run := p.ID[strings.LastIndexByte(p.ID, '-')+1:]
	other, _ := newPlay(p.World, orderID(p.ERP, slug, run), func(string) {}, p.temporal)
	return other
}

func (p *Play) tokens(ctx context.Context, n int) ([]string, error) {
	tokens := make([]string, n)
	for i := range tokens {
		var err error
		if tokens[i], err = p.Token(ctx, "approve"); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// outageParks places orders while the gateway is down, and waits until each is parked.
func outageParks(ctx context.Context, all []*Play, tokens []string) error {
	for i, p := range all {
		order := world.NewOrder(p.ID, tokens[i])
		order["channel"] = Impatient
		if _, err := p.Taken(ctx, order); err != nil {
			return err
		}
	}
	for _, p := range all {
		if _, err := p.Waiting(ctx, "authorize"); err != nil {
			return err
		}
	}
	return nil
}

// allConfirmed waits for the others and judges them.
func allConfirmed(ctx context.Context, others []*Play) error {
	want := confirmed()
	for _, p := range others {
		if err := p.Reach(ctx, "confirmed"); err != nil {
			return err
		}
		evidence, err := p.evidence(ctx, want)
		if err != nil {
			return err
		}
		if differences := Judge(want, evidence); len(differences) > 0 {
			return fmt.Errorf("order %s: %s", p.ID, strings.Join(differences, "; "))
		}
	}
	return nil
}
