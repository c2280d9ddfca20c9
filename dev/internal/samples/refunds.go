package samples

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// after is how a confirmed order ends of which so much was refunded in so many refunds, each with a credit memo of its own.
func after(payment, refunded, left string, refunds int) Want {
	want := confirmed()
	want.Payment, want.Captured, want.Refunded = payment, left, refunded
	want.CreditMemos, want.Credited = refunds, refunded
	for range refunds {
		want.Told = append(want.Told, "refund.completed")
	}
	return want
}

// refunds are orders whose money goes back, in whole or in part.
func refunds() []Sample {
	voided := after("reversed", "", "", 1)
	voided.Credited, voided.Receipts, voided.Reversals = total, 0, 1
	return []Sample{
		{Slug: "to-the-cent", Title: "Refunded to the last cent, and one more", Play: toTheCent, Want: after("refunded", total, "", 3)},
		{Slug: "by-lines", Title: "Refunded by lines", Play: byLines, Want: after("partially_refunded", "33.77", "5.62", 2)},
		{Slug: "ten-at-once", Title: "Ten refunds at once", Play: tenAtOnce, Want: after("partially_refunded", "40.00", "8.19", 4)},
		{Slug: "voided", Title: "Refunded before the batch: voided", Play: voidBeforeBatch, Want: voided},
		{Slug: "void-too-late", Title: "A void that comes too late", Trouble: Batch, Play: voidTooLate, Want: after("refunded", total, "", 1)},
		{Slug: "after-batch", Title: "Refunded after the batch", Trouble: Batch, Play: refundAfterBatch, Want: after("refunded", total, "", 1)},
	}
}

// Confirmed places an order and waits until it is confirmed.
func (p *Play) Confirmed(ctx context.Context, changes ...func(map[string]any)) error {
	if err := p.Place(ctx, "approve", changes...); err != nil {
		return err
	}
	return p.Reach(ctx, "confirmed")
}

// Refund asks for a refund that must be taken, and waits until it went the expected way and the shop knows of it.
func (p *Play) Refund(ctx context.Context, way string, wish world.RefundWish) error {
	if err := p.askRefund(ctx, wish); err != nil {
		return err
	}
	return p.Refunded(ctx, wish.RefundID, way)
}

func (p *Play) askRefund(ctx context.Context, wish world.RefundWish) error {
	p.line("shop: refund " + described(wish))
	answer, err := p.AskRefund(ctx, p.ID, wish)
	if err == nil && answer.Status != http.StatusAccepted {
		err = fmt.Errorf("refund %s was answered %d: %s", wish.RefundID, answer.Status, bytes.TrimSpace(answer.Body))
	}
	return err
}

func described(wish world.RefundWish) string {
	switch {
	case wish.Amount != "":
		return wish.Amount
	case len(wish.Lines) > 0:
		return fmt.Sprintf("%s of line %d", wish.Lines[0].Quantity, wish.Lines[0].Line)
	default:
		return "all that is left"
	}
}

// Refunded waits until a refund is completed, by the expected way, and the shop was told.
func (p *Play) Refunded(ctx context.Context, id, way string) error {
	var refund world.Refund
	err := until(ctx, "refund "+id+" does not end", func() (bool, error) {
		var err error
		refund, err = p.World.Refund(ctx, p.ID, id)
		return refund.Ended(), err
	})
	if err != nil {
		return err
	}
	if refund.Status != "completed" || refund.Way != way {
		return fmt.Errorf("refund %s ended %s (%s) by %s, expected by %s", id, refund.Status, refund.Why, refund.Way, way)
	}
	p.line(fmt.Sprintf("refunded %s by %s", refund.Amount.StringFixed(2), way))
	return until(ctx, "the shop was not told of refund "+id, func() (bool, error) {
		told, err := p.Told(ctx, p.ID)
		refunds, listErr := p.Refunds(ctx, p.ID)
		return err == nil && listErr == nil && count(told, "refund.completed") >= completed(refunds), err
	})
}

func count(list []string, wanted string) int {
	n := 0
	for _, one := range list {
		if one == wanted {
			n++
		}
	}
	return n
}

func completed(refunds []world.Refund) int {
	n := 0
	for _, refund := range refunds {
		if refund.Status == "completed" {
			n++
		}
	}
	return n
}

// Unrefundable asks for a refund that must be refused for asking too much.
func (p *Play) Unrefundable(ctx context.Context, wish world.RefundWish) error {
	answer, err := p.AskRefund(ctx, p.ID, wish)
	if err != nil {
		return err
	}
	p.line(fmt.Sprintf("shop: refund %s: %d", described(wish), answer.Status))
	return problem(answer, http.StatusConflict, "urn:tenderline:problem:conflict")
}

// toTheCent refunds an order piece by piece to its last cent; a cent more is refused before and after the last one.
func toTheCent(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	for i, amount := range []string{"20.00", "28.18"} {
		if err := p.Refund(ctx, "refund", world.RefundWish{RefundID: fmt.Sprintf("R-%d", i+1), Amount: amount}); err != nil {
			return err
		}
	}
	if err := p.Unrefundable(ctx, world.RefundWish{RefundID: "R-3", Amount: "0.02"}); err != nil {
		return err
	}
	if err := p.Refund(ctx, "refund", world.RefundWish{RefundID: "R-4", Amount: "0.01"}); err != nil {
		return err
	}
	return p.Unrefundable(ctx, world.RefundWish{RefundID: "R-5", Amount: "0.01"})
}

// byLines refunds one of three widgets, then the others: of net 27.00 after the discount, 2.48 tax and 5.00 shipping over 31.50 of goods.
func byLines(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx, threeAndOne); err != nil {
		return err
	}
	for i, piece := range []struct{ quantity, net, tax, shipping string }{{"1", "9.00", "0.83", "1.43"}, {"2", "18.00", "1.65", "2.86"}} {
		id := fmt.Sprintf("R-%d", i+1)
		wish := world.RefundWish{RefundID: id, Lines: []world.RefundLine{{Line: 1, Quantity: piece.quantity}}, Restock: true}
		if err := p.Refund(ctx, "refund", wish); err != nil {
			return err
		}
		refund, err := p.World.Refund(ctx, p.ID, id)
		if err != nil {
			return err
		}
		if got := [3]string{refund.Net.StringFixed(2), refund.Tax.StringFixed(2), refund.Shipping.StringFixed(2)}; got != [3]string{piece.net, piece.tax, piece.shipping} {
			return fmt.Errorf("refund %s has net, tax and shipping %v, expected %+v", id, got, piece)
		}
	}
	return nil
}

// threeAndOne makes an order of three widgets and another article, 39.39 in all, with a discount of 3.50.
func threeAndOne(order map[string]any) {
	order["lines"] = []any{
		map[string]any{"sku": "A100", "description": "Widget", "quantity": "3", "unitPrice": "10.00", "tax": "2.48"},
		map[string]any{"sku": "A200", "description": "Gadget", "quantity": "1", "unitPrice": "5.00", "tax": "0.41"},
	}
	order["discount"], order["total"] = "3.50", "39.39"
}

// tenAtOnce asks for ten refunds of 10.00 at the same moment: as many are taken as there is money for.
func tenAtOnce(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	const refunds = 10
	statuses := make([]int, refunds)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range refunds {
		group.Go(func() error {
			answer, err := p.AskRefund(groupCtx, p.ID, world.RefundWish{RefundID: fmt.Sprintf("R-%d", i), Amount: "10.00"})
			statuses[i] = answer.Status
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	taken := 0
	for _, status := range statuses {
		switch status {
		case http.StatusAccepted:
			taken++
		case http.StatusConflict:
		default:
			return fmt.Errorf("a refund was answered %d", status)
		}
	}
	p.line(fmt.Sprintf("shop: ten refunds of 10.00 at once, %d taken", taken))
	return p.AllRefunded(ctx, taken)
}

// AllRefunded waits until so many refunds are completed.
func (p *Play) AllRefunded(ctx context.Context, wanted int) error {
	return until(ctx, "not all refunds are completed", func() (bool, error) {
		refunds, err := p.Refunds(ctx, p.ID)
		return len(refunds) == wanted && completed(refunds) == wanted, err
	})
}

// voidBeforeBatch gives all of a fresh order back.
func voidBeforeBatch(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	return p.Refund(ctx, "void", world.RefundWish{RefundID: "R-1", Restock: true, Reason: "not what I thought"})
}

// voidTooLate closes the batch while a void is on its way: a look-up proves that nothing was voided, and the money goes back by a refund.
func voidTooLate(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx, captureApart); err != nil {
		return err
	}
	fault := world.Fault{Route: "POST /pts/v2/*/*/voids", Mode: "delay", DelayMs: world.Slowly, Times: 1}
	refund := func() error { return p.askRefund(ctx, world.RefundWish{RefundID: "R-1"}) }
	err := p.While(ctx, p.Gateway, fault, refund, func() error {
		p.line("gateway: batch closed while the void is on its way")
		return p.CloseBatch(ctx)
	})
	if err != nil {
		return err
	}
	return p.Refunded(ctx, "R-1", "refund")
}

// refundAfterBatch gives all of an order back whose batch has closed.
func refundAfterBatch(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	p.line("gateway: batch closed")
	if err := p.CloseBatch(ctx); err != nil {
		return err
	}
	return p.Refund(ctx, "refund", world.RefundWish{RefundID: "R-1"})
}
