package activities

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// Orders holds the order's own steps: no outside system, one database.
type Orders struct {
	Mappings *mappings.Set
	Journal  *journal.Store
	Clock    func() time.Time
}

// PrepareOrder maps and totals every document of the order before money moves, so that a mapping error shows now. What only the
// payment or the ERP will tell is mapped with what is expected of it, and put in when it is known.
func (o *Orders) PrepareOrder(ctx context.Context, in PrepareOrderInput) (PreparedOrder, error) {
	prepared, err := o.prepareOrder(ctx, in)
	return prepared, toTemporal(err)
}

func (o *Orders) prepareOrder(ctx context.Context, in PrepareOrderInput) (PreparedOrder, error) {
	var prepared PreparedOrder
	input := o.expected(in)
	for _, document := range []struct {
		mapping string
		into    *mappings.Document
	}{
		{system + "/payment", &prepared.Documents.Payment},
		{in.Erp + "/customer", &prepared.Documents.Customer},
		{in.Erp + "/sales_order", &prepared.Documents.SalesOrder},
		{in.Erp + "/invoice", &prepared.Documents.Invoice},
		{in.Erp + "/receipt", &prepared.Documents.Receipt},
	} {
		mapping, err := o.Mappings.Mapping(document.mapping)
		if err != nil {
			return prepared, mappings.AsFault(err)
		}
		if *document.into, err = mapping.Apply(input); err != nil {
			return prepared, mappings.AsFault(err)
		}
	}
	if token := in.Order.Payment.Token; token.Type == canonical.TokenTransient {
		// One whose end can't be read is bounded by the policy's token life.
		if expires, err := cybersource.TransientTokenExpiry(token.Value); err == nil {
			prepared.TokenExpires = expires
		}
	}
	return prepared, o.Journal.RecordProgress(ctx, journal.Progress{
		OrderID: in.Order.OrderID, Seq: in.Mark.Seq, Status: in.Mark.Status,
		Events: []journal.Event{{Key: "prepared", Kind: "order.prepared", Summary: "Order taken in, documents mapped", Detail: map[string]string{"erp": in.Erp}}},
	})
}

// expected is the input of the mappings before payment and ERP have answered: captured in full, under ids of the right shape.
func (o *Orders) expected(in PrepareOrderInput) mappings.Input {
	const gatewayID = "0000000000000000000000"
	order := in.Order
	return mappings.Input{
		Order: order,
		Payment: canonical.Payment{
			OrderID: order.OrderID, Status: canonical.PaymentCaptured, Currency: order.Currency, AuthorizationID: gatewayID, CaptureID: gatewayID,
			Authorized: order.Total, Captured: order.Total, CardType: "001", At: o.Clock().UTC(),
		},
		Customer:    mappings.CustomerRef{Code: order.Customer.ErpCode, New: order.Customer.ErpCode == ""},
		SalesOrder:  canonical.SalesOrder{Number: "000000", OrderNumber: order.OrderID},
		Invoice:     canonical.Invoice{Number: "000000", SalesOrder: "000000", Total: order.Total, Currency: order.Currency},
		OrderStatus: string(erp.SalesOrderOpen), Site: in.Site, Date: o.Clock().UTC().Format(time.DateOnly),
	}
}

// Ledger writes what workflows tell into the read side. Its steps are local activities.
type Ledger struct {
	Journal *journal.Store
}

// RecordProgress brings an order's read model and timeline forward.
func (l *Ledger) RecordProgress(ctx context.Context, in ProgressInput) error {
	progress := journal.Progress{
		OrderID: in.OrderID, Seq: in.Mark.Seq, Status: in.Mark.Status, PaymentStatus: in.PaymentStatus, Reason: &in.Reason,
		CustomerCode: known(in.CustomerCode), ErpOrderNumber: known(in.ErpOrderNumber), ErpInvoice: known(in.ErpInvoice),
	}
	for _, event := range in.Events {
		progress.Events = append(progress.Events, journal.Event(event))
	}
	return toTemporal(l.Journal.RecordProgress(ctx, progress))
}

// known leaves what is stored where nothing is told.
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ParkStep records a step that waits for a person.
func (l *Ledger) ParkStep(ctx context.Context, in ParkInput) error {
	answer, err := json.Marshal(in.Answer)
	if err != nil {
		return toTemporal(err)
	}
	return toTemporal(l.Journal.Park(ctx, journal.Attention{
		ID: in.ID, OrderID: in.OrderID, WorkflowID: in.WorkflowID, Step: in.Step, Class: in.Class, Summary: in.Summary,
		Suggestion: in.Suggestion, Answer: answer, Actions: in.Actions, Since: in.Since, Deadline: in.Deadline,
	}))
}

// UnparkStep records how a parked step was resolved, by whom and why. An item that was resolved before stays as it was.
func (l *Ledger) UnparkStep(ctx context.Context, in UnparkInput) error {
	err := l.Journal.Resolve(ctx, in.ID, in.Resolution, in.Actor, in.Reason, in.Changed...)
	if errors.Is(err, journal.ErrResolved) {
		return nil
	}
	return toTemporal(err)
}
