package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/mappings"
	"github.com/tenderline/tenderline/workflows"
)

// orderCost is what one clean order leaves with the engine: its own run and the one that tells the shop.
type orderCost struct {
	plan            plan
	order, callback history
}

// history is what one run left.
type history struct {
	activities, locals, tasks, events int
	bytes                             int64
}

// cost places one order and reads its histories. An order before it made the customer known, as most orders of a shop find it.
func (b *bench) cost(ctx context.Context, capture string) (orderCost, error) {
	var c orderCost
	var id string
	for range 2 {
		order, err := b.newOrder(ctx, capture)
		if err != nil {
			return c, err
		}
		if err := b.buy(ctx, order); err != nil {
			return c, err
		}
		id = orderID(order)
	}
	var err error
	if c.order, c.plan, err = b.history(ctx, workflows.OrderWorkflowID(id)); err != nil {
		return c, err
	}
	c.callback, _, err = b.history(ctx, workflows.CallbackWorkflowID(id, workflows.EventConfirmed, 1))
	return c, err
}

// history reads a run that has ended.
func (b *bench) history(ctx context.Context, id string) (history, plan, error) {
	described, err := b.orders.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return history{}, plan{}, err
	}
	h := history{bytes: described.GetWorkflowExecutionInfo().GetHistorySizeBytes()}
	var p plan
	events := b.orders.GetWorkflowHistory(ctx, id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return h, p, fmt.Errorf("history of %s: %w", id, err)
		}
		h.events++
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			h.activities++
			p.Steps = append(p.Steps, stepActivity)
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			if event.GetMarkerRecordedEventAttributes().GetMarkerName() == "LocalActivity" {
				h.locals++
				p.Steps = append(p.Steps, stepLocal)
			}
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			h.tasks++
		case enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
			p.Child = true
		default: // every other event is only counted
		}
	}
	return h, p, nil
}

// mappingResult is what mapping costs one order.
type mappingResult struct {
	documents   int
	perOrder    time.Duration
	allocations int64
	load        time.Duration // compiling all files, once per process
}

// mappingCost maps all documents that an order needs before its payment, over and over.
func mappingCost(context.Context) (mappingResult, error) {
	begun := time.Now()
	set, err := mappings.Load(mappings.Options{})
	if err != nil {
		return mappingResult{}, err
	}
	result := mappingResult{load: time.Since(begun)}
	var all []*mappings.Mapping
	for _, name := range []string{"cybersource/payment", "syspro/customer", "syspro/sales_order", "syspro/invoice", "syspro/receipt"} {
		mapping, err := set.Mapping(name)
		if err != nil {
			return mappingResult{}, err
		}
		all = append(all, mapping)
	}
	result.documents = len(all)
	input := sampleInput()
	var failed error
	measured := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			for _, mapping := range all {
				if _, err := mapping.Apply(input); err != nil {
					failed = err
				}
			}
		}
	})
	result.perOrder, result.allocations = time.Duration(measured.NsPerOp()), measured.AllocsPerOp()
	return result, failed
}

// sampleInput is the sample order with what payment and ERP would have answered.
func sampleInput() mappings.Input {
	at := time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)
	address := canonical.Address{Name: "Ada Park", Line1: "1 Market St", City: "San Francisco", Region: "CA", PostalCode: "94105", Country: "US"}
	total := decimal.RequireFromString("48.19")
	const transaction = "7000000000000000000001"
	return mappings.Input{
		Order: canonical.Order{
			OrderID: "BENCH-1", Channel: "web-us", PlacedAt: at, Currency: "USD", BillTo: address, ShipTo: address, Total: total,
			Customer: canonical.Customer{ID: "C-2001", Email: "ada@example.com", FirstName: "Ada", LastName: "Park", Phone: "+1 415 555 0100"},
			Lines: []canonical.LineItem{{
				SKU: "A100", Description: "Widget", Quantity: decimal.NewFromInt(2), UnitPrice: decimal.RequireFromString("19.95"),
				Tax: decimal.RequireFromString("3.29"),
			}},
			Shipping:            decimal.NewFromInt(5),
			Payment:             canonical.PaymentMethod{Token: canonical.Token{Type: canonical.TokenTransient, Value: "token"}, Capture: canonical.CaptureImmediate},
			Device:              canonical.Device{IPAddress: "203.0.113.7"},
			MerchantDefinedData: map[string]string{"1": "web", "2": "gold"}, Custom: map[string]string{"crmAccount": "0015"},
		},
		Payment: canonical.Payment{
			OrderID: "BENCH-1", Status: canonical.PaymentCaptured, Currency: "USD", AuthorizationID: transaction, CaptureID: transaction,
			Authorized: total, Captured: total, CardType: "001", At: at,
		},
		Customer:    mappings.CustomerRef{Code: "0000001"},
		SalesOrder:  canonical.SalesOrder{Number: "000001", OrderNumber: "BENCH-1"},
		Invoice:     canonical.Invoice{Number: "000001", SalesOrder: "000001", Total: total, Currency: "USD"},
		OrderStatus: string(erp.SalesOrderOpen), Date: at.Format(time.DateOnly),
	}
}
