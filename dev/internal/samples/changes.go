package samples

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// The ERP's words for how the refund of a credit memo stands.
const memoRefunded = "Refunded"

// changes are what people do in the ERP: it is asked for it.
func changes(erp world.ERP) []Sample {
	parcels := Want{
		Status: "shipped", Payment: "captured", Captured: "39.39", Captures: 2, SalesOrder: world.SalesOrderComplete, Invoices: 1, Receipts: 2,
		Told: []string{"order.confirmed", "order.shipped", "order.shipped"},
	}
	if erp.InvoicesParcels {
		parcels.Invoices = 2
	}
	return []Sample{
		{Slug: "two-parcels", Title: "Captured parcel by parcel", Play: twoParcels, Want: parcels},
		{Slug: "erp-memo", Title: "Credit memo made in the ERP", Play: memoOfClerk, Want: after("partially_refunded", "20.00", "28.19", 1)},
		{Slug: "own-memo", Title: "Credit memo of our own refund", Play: memoOfOurs, Want: after("partially_refunded", "10.00", "38.19", 1)},
	}
}

// twoParcels sends an order in two parcels, of which each is paid for when it leaves.
func twoParcels(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx, threeAndOne, at(Depot), onShipment); err != nil {
		return err
	}
	// Two of three widgets: 18.00 of goods after their share of the discount, 1.65 tax and 2.86 shipping. The rest leaves with the invoice.
	first := world.Parcel{Carrier: "UPS", TrackingNumber: "1Z" + p.ID + "1", Lines: []world.ParcelLine{{SalesOrderLine: 1, Quantity: "2"}}}
	if err := p.Send(ctx, first, "22.51"); err != nil {
		return err
	}
	second := world.Parcel{Carrier: "UPS", TrackingNumber: "1Z" + p.ID + "2", Invoice: true}
	if err := p.Send(ctx, second, "39.39"); err != nil {
		return err
	}
	if err := p.Reach(ctx, "shipped"); err != nil {
		return err
	}
	return until(ctx, "the shop does not know both parcels", func() (bool, error) {
		told, err := p.Parcels(ctx, p.ID)
		if err == nil && !slices.Equal(slices.Sorted(slices.Values(told)), []string{first.TrackingNumber, second.TrackingNumber}) {
			err = fmt.Errorf("it was told of parcels %q", told)
		}
		return err == nil, err
	})
}

func onShipment(order map[string]any) {
	part[map[string]any](order, "payment")["capture"] = "on_shipment"
}

// Send has the ERP's clerk send a parcel, and waits until so much is captured and the parcel's process has ended.
func (p *Play) Send(ctx context.Context, parcel world.Parcel, captured string) error {
	parcel.OrderNumber = p.ID
	number, err := p.Ship(ctx, parcel)
	if err != nil {
		return err
	}
	p.line("ERP: parcel " + parcel.TrackingNumber)
	if err := p.Ended(ctx, workflows.ShipmentWorkflowID(p.ID, number)); err != nil {
		return err
	}
	money, err := p.Money(ctx, p.ID)
	if err == nil && money.Captured.StringFixed(2) != captured {
		err = fmt.Errorf("captured is %s after parcel %s, expected %s: %+v", money.Captured.StringFixed(2), parcel.TrackingNumber, captured, money.Lines)
	}
	if err == nil {
		p.line("captured so far: " + captured)
	}
	return err
}

// Ended waits until a workflow was started and has ended.
func (p *Play) Ended(ctx context.Context, workflowID string) error {
	return until(ctx, workflowID+" does not end", func() (bool, error) {
		started, err := p.temporal.Started(ctx, workflowID)
		if err != nil || !started {
			return false, err
		}
		return true, within(ctx, p.temporal, workflowID)
	})
}

// within waits for a workflow's end, as long as a sample waits for any one thing.
func within(ctx context.Context, temporal Temporal, workflowID string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return temporal.Wait(ctx, workflowID)
}

// memoOfClerk has a clerk credit a part of an order in the ERP: the buyer is paid back, and the ERP told so.
func memoOfClerk(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	number, err := p.CreditMemo(ctx, p.ID, "20.00")
	if err != nil {
		return err
	}
	p.line("ERP: credit memo " + number + " of 20.00")
	if err := p.acknowledged(ctx, number); err != nil {
		return err
	}
	return p.Refunded(ctx, "cm-"+number, string(activities.WayRefund))
}

// memoOfOurs refunds an order by the shop's wish: the credit memo that we make for it is acknowledged, and never refunded itself.
func memoOfOurs(ctx context.Context, p *Play) error {
	if err := p.Confirmed(ctx); err != nil {
		return err
	}
	if err := p.Refund(ctx, string(activities.WayRefund), world.RefundWish{RefundID: "R-1", Amount: "10.00"}); err != nil {
		return err
	}
	books, err := p.Books(ctx, p.ID)
	if err != nil || len(books.CreditMemos) != 1 {
		return fmt.Errorf("the ERP has credit memos %+v, expected one (%w)", books.CreditMemos, err)
	}
	return p.acknowledged(ctx, text(books.CreditMemos[0], "CreditMemoNumber"))
}

// acknowledged waits until a credit memo's process has ended, and the ERP shows the memo as refunded.
func (p *Play) acknowledged(ctx context.Context, number string) error {
	if err := p.Ended(ctx, workflows.CreditMemoWorkflowID(p.ERP.Name, number)); err != nil {
		return err
	}
	books, err := p.Books(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, memo := range books.CreditMemos {
		if text(memo, "CreditMemoNumber") != number {
			continue
		}
		if status := text(memo, "RefundStatus"); status != memoRefunded || text(memo, "RefundTransactionId") == "" {
			return fmt.Errorf("the ERP has credit memo %s as %q by transaction %q", number, status, text(memo, "RefundTransactionId"))
		}
		p.line("ERP: knows that credit memo " + strings.TrimLeft(number, "0") + " is refunded")
		return nil
	}
	return fmt.Errorf("the ERP has no credit memo %s of the order", number)
}
