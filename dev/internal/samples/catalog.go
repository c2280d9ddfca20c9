package samples

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// total is the total of world.NewOrder.
const total = "48.19"

// The channels of the samples, each with settings of its own. An ERP's are called so after its mark.
const (
	Web       = "web-us"     // nothing is special
	Kiosk     = "kiosk"      // nobody waits: a decline is final, and an ERP failure is compensated at once
	Hasty     = "hasty"      // reviews are reminded of, escalated and decided by their deadline within seconds: nobody can be sure to come before it
	Brief     = "brief"      // reviews are decided by their deadline, which is half a minute away: time enough to decide at the gateway
	Watchful  = "watchful"   // the gateway is asked every second how a case stands
	ShortHold = "short-hold" // an authorization counts as run out after a second
	Depot     = "depot"      // goods are invoiced when they are shipped
	Account   = "account"    // credit is checked, and an operator asked where there is none
	Impatient = "impatient"  // a step at the gateway is given up after less than half a minute
)

// Channels are the settings of the channels whose orders are booked in these ERPs, in JSON.
func Channels(erps ...world.ERP) string {
	policies := map[string]map[string]string{
		Web:       {},
		Kiosk:     {"paymentWait": "0s", "onErpFailure": "compensate"},
		Hasty:     {"reviewRemind": "1s", "reviewEscalate": "2s", "reviewDeadline": "6s"},
		Brief:     {"reviewDeadline": "25s"},
		Watchful:  {"reviewPoll": "1s"},
		ShortHold: {"authorizationLife": "1s"},
		Depot:     {"invoice": "on_shipment"},
		Account:   {"credit": "park"},
		Impatient: {"gatewayPatience": "25s"},
	}
	channels := map[string]any{"*": struct{}{}}
	for _, erp := range erps {
		for name, policy := range policies {
			channels[erp.Mark+name] = map[string]any{"erp": erp.Name, "policy": policy}
		}
	}
	text, err := json.Marshal(channels)
	if err != nil {
		panic(err) // maps of texts
	}
	return string(text)
}

// Slugs of samples whose orders are there to go on with.
const (
	WaitingReview = "review-waiting" // left for a person to decide
	Paid          = "clean-sale"     // confirmed, its money captured
)

// confirmed is how a good order ends; told is what the shop was told before.
func confirmed(told ...string) Want {
	return Want{
		Status: "confirmed", Payment: "captured", Captured: total, SalesOrder: world.SalesOrderComplete, Invoices: 1, Receipts: 1,
		Told: append(told, "order.confirmed"),
	}
}

// ended is how an order ends that comes to nothing: without money, and as far as it got without trace in the ERP.
func ended(status, payment string, told ...string) Want {
	return Want{Status: status, Payment: payment, Told: append(told, "order."+status)}
}

// cancelledInErp is an end with a sales order that was cancelled.
func (w Want) cancelledInErp() Want {
	w.SalesOrder = world.SalesOrderCancelled
	return w
}

// All are the samples of orders that are booked in these ERPs, in the order in which they are shown.
func All(erps ...world.ERP) []Sample {
	var all []Sample
	for _, erp := range erps {
		for _, sample := range slices.Concat(payments(), parkings(), reviews(), refunds(), changes(erp), disputes(), lostAnswers(), troubledBookings()) {
			sample.ERP = erp
			if len(erps) > 1 {
				sample.Title += " (" + erp.Title + ")"
			}
			all = append(all, sample)
		}
	}
	return all
}

// payments are what a card and a shop can do.
func payments() []Sample {
	return []Sample{
		{Slug: Paid, Title: "Clean sale", Play: place("approve"), Want: confirmed()},
		{Slug: "two-steps", Title: "Authorization, then capture", Play: place("approve", captureApart), Want: confirmed()},
		{Slug: "declined", Title: "Decline", Play: place("insufficient_funds", atKiosk), Want: ended("declined", "declined")},
		{Slug: "second-card", Title: "Decline, then a second card", Play: secondCard, Want: confirmed("order.declined")},
		{Slug: "partial", Title: "Partial authorization", Play: place("partial", atKiosk), Want: ended("declined", "reversed")},
		{Slug: "risk-declined", Title: "Risk decline with a live hold", Play: place("risk_decline"), Want: ended("rejected", "reversed")},
		{Slug: "out-of-stock", Title: "Out of stock", Play: place("approve", sku("OUT0")), Want: ended("rejected", "none")},
		{Slug: "sent-twice", Title: "Order sent again and again", Play: sentTwice, Want: confirmed()},
		{Slug: "card-number", Title: "Card number in a note", Play: cardNumber, Want: Want{Status: Refused}},
	}
}

// lostAnswers are payments whose answer never arrived.
func lostAnswers() []Sample {
	return []Sample{
		{
			Slug: "lost-sale", Title: "Answer lost after the charge", Trouble: Gateway, Want: confirmed(),
			Play: loseAnswer("POST /pts/v2/payments"),
		},
		{
			Slug: "lost-capture", Title: "Answer lost after the capture", Trouble: Gateway, Want: confirmed(),
			Play: loseAnswer("POST /pts/v2/payments/*/captures", captureApart),
		},
	}
}

// troubledBookings are paid orders that the ERP has trouble with.
func troubledBookings() []Sample {
	credited := ended("compensated", "reversed")
	credited.SalesOrder, credited.Invoices, credited.CreditMemos, credited.Credited = world.SalesOrderComplete, 1, 1, total
	return []Sample{
		{
			Slug: "before-invoice", Title: "ERP refuses the invoice: undone", Play: parked("FAILINV", "compensate"),
			Want: ended("compensated", "reversed").cancelledInErp(),
		},
		{Slug: "after-invoice", Title: "ERP refuses the receipt: undone", Play: place("approve", sku("FAILPAY"), atKiosk), Want: credited},
		{Slug: "erp-outage", Title: "ERP outage that heals", Trouble: Alone, Play: outage, Want: confirmed()},
		{Slug: "closed-period", Title: "ERP period closed: retried", Trouble: Alone, Play: closedPeriod, Want: confirmed()},
		{
			Slug: "cancelled", Title: "Cancelled while booking", Trouble: Alone, Play: cancelWhileBooking,
			Want: ended("cancelled", "reversed").cancelledInErp(),
		},
	}
}

// place places an order and does nothing else.
func place(scenario string, changes ...func(map[string]any)) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error { return p.Place(ctx, scenario, changes...) }
}

// Changes to an order.

func captureApart(order map[string]any) {
	part[map[string]any](order, "payment")["capture"] = "after_authorization"
}

func atKiosk(order map[string]any) { order["channel"] = Kiosk }

func at(channel string) func(map[string]any) {
	return func(order map[string]any) { order["channel"] = channel }
}

// unique makes the customer somebody whom no other sample knows.
func unique(id string) func(map[string]any) {
	return func(order map[string]any) {
		customer := part[map[string]any](order, "customer")
		customer["id"], customer["email"] = "C-"+id, id+"@example.com"
	}
}

func sku(code string) func(map[string]any) {
	return func(order map[string]any) {
		order["lines"] = []any{map[string]any{"sku": code, "quantity": "2", "unitPrice": "19.95", "tax": "3.29"}}
	}
}

// part is a part of an order's document; it panics where world.NewOrder has made something else.
func part[T any](document map[string]any, name string) T {
	value, ok := document[name].(T)
	if !ok {
		panic("an order's " + name + " is not what the samples take it for")
	}
	return value
}

// secondCard has a first card declined and pays with another.
func secondCard(ctx context.Context, p *Play) error {
	if err := p.Place(ctx, "insufficient_funds"); err != nil {
		return err
	}
	if err := p.Reach(ctx, "awaiting_payment"); err != nil {
		return err
	}
	token, err := p.Token(ctx, "approve")
	if err != nil {
		return err
	}
	p.line("shop: second card")
	return p.Pay(ctx, p.ID, token)
}

// loseAnswer loses the answer of one call of the gateway, which has carried it out.
func loseAnswer(route string, changes ...func(map[string]any)) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error {
		fault := world.Fault{Route: route, Mode: "drop_after", Times: 1}
		if err := p.Breaking(ctx, p.Gateway, fault, func() error { return p.Place(ctx, "approve", changes...) }); err != nil {
			return err
		}
		p.line("gateway: done, and its answer lost")
		return nil
	}
}

// parked has an order parked by a stock code that the ERP refuses to invoice, and resolved by an operator.
func parked(code, resolution string) func(context.Context, *Play) error {
	return func(ctx context.Context, p *Play) error {
		if err := p.Place(ctx, "approve", sku(code)); err != nil {
			return err
		}
		return p.ResolveParked(ctx, "invoice", resolution)
	}
}

// outage lets the ERP fail on every sales order until it was asked twice.
func outage(ctx context.Context, p *Play) error {
	if err := p.Broken(ctx, p.ERP.URL, p.ERP.Down); err != nil {
		return err
	}
	p.line("ERP: down")
	if err := p.Place(ctx, "approve"); err != nil {
		return err
	}
	if err := p.Hit(ctx, p.ERP.URL, 2, patience); err != nil {
		return err
	}
	p.line("ERP: back")
	return p.Mend(ctx, p.ERP.URL)
}

// closedPeriod closes the ERP's period for receivables until the order is parked, then opens it and has the step retried.
func closedPeriod(ctx context.Context, p *Play) error {
	if err := p.Periods(ctx, map[string]any{"Module": "AR", "Open": []string{}}); err != nil {
		return err
	}
	p.line("ERP: period closed")
	err := parkedInClosedPeriod(ctx, p)
	// Open it whatever happened: the ERP keeps its periods over restarts.
	if err := errors.Join(err, p.OpenPeriods(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	p.line("ERP: period open")
	return p.ResolveParked(ctx, "invoice", "retry")
}

func parkedInClosedPeriod(ctx context.Context, p *Play) error {
	if err := p.Place(ctx, "approve"); err != nil {
		return err
	}
	_, err := p.Until(ctx, func(v world.OrderView) bool { return v.NeedsAttention || v.Final() })
	return err
}

// cancelWhileBooking has the ERP dawdle over the sales order and cancels meanwhile.
func cancelWhileBooking(ctx context.Context, p *Play) error {
	place := func() error { return p.Place(ctx, "approve", captureApart) }
	return p.While(ctx, p.ERP.URL, p.ERP.Slow, place, func() error {
		p.line("shop: cancel")
		return p.Cancel(ctx, p.ID)
	})
}
