package activities

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
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
	documents, err := o.documents(in)
	if err != nil {
		return PreparedOrder{}, err
	}
	prepared := PreparedOrder{Documents: documents}
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

// documents maps every document of an order.
func (o *Orders) documents(in PrepareOrderInput) (Documents, error) {
	var documents Documents
	input := o.expected(in)
	for name, into := range documents.byMapping(in.Erp) {
		mapping, err := o.Mappings.Mapping(name)
		if err != nil {
			return documents, mappings.AsFault(err)
		}
		if *into, err = mapping.Apply(input); err != nil {
			return documents, mappings.AsFault(err)
		}
	}
	return documents, nil
}

// byMapping gives the documents with the names of the mappings that make them.
func (d *Documents) byMapping(erp string) iter.Seq2[string, *mappings.Document] {
	return func(yield func(string, *mappings.Document) bool) {
		_ = yield(system+"/payment", &d.Payment) && yield(erp+"/customer", &d.Customer) && yield(erp+"/sales_order", &d.SalesOrder) &&
			yield(erp+"/invoice", &d.Invoice) && yield(erp+"/receipt", &d.Receipt)
	}
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

// RecordProgress brings an order's read model and timeline forward, and writes to a customer whose order ends rejected.
func (l *Ledger) RecordProgress(ctx context.Context, in ProgressInput) error {
	progress := journal.Progress{
		OrderID: in.OrderID, Seq: in.Mark.Seq, Status: in.Mark.Status, PaymentStatus: in.PaymentStatus, Reason: &in.Reason,
		CustomerCode: known(in.CustomerCode), ErpOrderNumber: known(in.ErpOrderNumber), ErpInvoice: known(in.ErpInvoice),
	}
	for _, event := range in.Events {
		progress.Events = append(progress.Events, journal.Event(event))
	}
	var notices []journal.Notice
	if in.Mark.Status == canonical.OrderRejected {
		// An order that can't be opened has no address to write to; its progress counts all the same.
		if record, err := l.Journal.Order(ctx, in.OrderID); err == nil {
			notices = mail(record, MailRejected, "", nil)
		}
	}
	return toTemporal(l.Journal.RecordProgress(ctx, progress, notices...))
}

// known leaves what is stored where nothing is told.
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// ParkStep records a step that waits for a person, alerts the people whom it concerns and, where an outage holds an order up, writes to its
// customer, once for each order.
func (l *Ledger) ParkStep(ctx context.Context, in ParkInput) error {
	answer, err := json.Marshal(in.Answer)
	if err != nil {
		return toTemporal(err)
	}
	item := journal.Attention{
		ID: in.ID, OrderID: in.OrderID, WorkflowID: in.WorkflowID, Step: in.Step, Class: in.Class, Summary: in.Summary,
		Suggestion: in.Suggestion, Answer: answer, Actions: in.Actions, Since: in.Since, Deadline: in.Deadline,
	}
	if in.Answer != nil {
		item.System = in.Answer.System
	}
	notices := append(parkedNotices(in, item.System), l.delayMail(ctx, in)...)
	return toTemporal(l.Journal.Park(ctx, item, notices...))
}

// delayMail tells the customer of an order that an outage holds up before it is confirmed. No mail keeps a step from being parked: an order
// that can't be opened has no address to write to.
func (l *Ledger) delayMail(ctx context.Context, in ParkInput) []journal.Notice {
	if !in.Class.Retryable() {
		return nil
	}
	record, err := l.Journal.Order(ctx, in.OrderID)
	if err != nil || record.Status.Final() {
		return nil
	}
	return mail(record, MailDelayed, "", nil)
}

// UnparkStep records how a parked step was resolved, by whom and why. An item that was resolved before stays as it was.
func (l *Ledger) UnparkStep(ctx context.Context, in UnparkInput) error {
	err := l.Journal.Resolve(ctx, in.ID, in.Resolution, in.Actor, in.Reason, in.Changed...)
	if errors.Is(err, journal.ErrResolved) {
		return nil
	}
	return toTemporal(err)
}
