package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// erpOf is the ERP that an inbox item comes from; false for another source.
func erpOf(source string) (string, bool) { return strings.CutPrefix(source, activities.ErpSource("")) }

// deliverChange brings what people did in an ERP to the process that it concerns, polled or pushed.
func (s *Starter) deliverChange(ctx context.Context, item journal.InboxItem, erp string) error {
	var change activities.Change
	if err := json.Unmarshal(item.Body, &change); err != nil {
		return s.giveUp(ctx, item, fault.Value, "the change can't be read")
	}
	switch {
	case change.Feed == activities.FeedCreditMemos && change.Memo != nil:
		return s.deliverMemo(ctx, item, erp, change)
	case change.Feed == activities.FeedShipments && change.Shipment != nil:
		return s.deliverShipment(ctx, item, erp, change)
	case change.Feed == activities.FeedOrders && change.Order != nil:
		return s.deliverSalesOrder(ctx, item, erp, change)
	case change.Feed == activities.FeedStock && change.Stock != nil:
		return s.deliverStock(ctx, item, erp, change)
	default:
		return s.giveUp(ctx, item, fault.Value, "no process here takes changes of this kind")
	}
}

// known is the order that a change concerns, as it stands.
type known struct {
	record  journal.OrderRecord
	order   canonical.Order
	channel config.Channel
}

// concerned reads the order of a change that is booked in the ERP. A missing one is a NotFound, other reasons are told as they are.
func (s *Starter) concerned(ctx context.Context, orderID, erp string) (known, error) {
	record, order, err := s.orderOf(ctx, orderID)
	if err != nil {
		return known{}, err
	}
	if record.Erp != erp {
		return known{}, &Error{Kind: NotFound, Message: "the order of this ID is booked in another ERP"}
	}
	channel, configured := s.settings.Channel(record.Channel)
	if !configured {
		return known{}, fmt.Errorf("the order's channel %q is no longer configured", record.Channel)
	}
	return known{record, order, channel}, nil
}

// The ERP's words for how the refund of a credit memo stands.
const memoPending = "Pending"

// deliverMemo starts the process of a credit memo that waits for its refund.
func (s *Starter) deliverMemo(ctx context.Context, item journal.InboxItem, erp string, change activities.Change) error {
	memo := *change.Memo
	memo.Own = memo.Own || ourReference(memo.Reference, change.OrderID)
	switch {
	case !strings.EqualFold(memo.RefundStatus, memoPending):
		return s.store.Ignored(ctx, item.ID, "the credit memo waits for no refund: "+memo.RefundStatus)
	case change.OrderID == "" && memo.TransactionID == "":
		return s.store.Ignored(ctx, item.ID, "the credit memo names neither an order nor a payment")
	}
	of, err := s.concerned(ctx, change.OrderID, erp)
	switch {
	case Is(err, NotFound):
		return s.postpone(ctx, item, fault.MissingReference, reasonOf(err))
	case err != nil:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	case beforeConfirmation(of.record.Status) && !memo.Own:
		return s.postpone(ctx, item, fault.Conflict, "the order is not confirmed yet: "+string(of.record.Status))
	}
	invoice := memo.Invoice
	if invoice == "" {
		invoice = of.record.ErpInvoice
	}
	if memo.CustomerCode == "" { // a push need not name it, but the refund's entry does
		memo.CustomerCode = of.record.CustomerCode
	}
	return s.begin(ctx, item, start{
		id: workflows.CreditMemoWorkflowID(erp, memo.Number), summary: "Credit memo " + memo.Number + " of order " + of.record.OrderID,
		orderID: of.record.OrderID, erp: erp, workflow: workflows.CreditMemo,
		in: workflows.CreditMemoInput{
			Erp: erp, Memo: memo, Order: of.order, Site: siteOf(of.channel, erp), SalesOrder: of.record.ErpOrderNumber, Invoice: invoice,
			Policy: policy(of.channel.Policy),
		},
	})
}

// ourReference tells that a credit memo's reference is one of our operations', whatever else is told of the memo: what we have made ourselves
// must never be refunded once more. An ERP keeps so much of a long reference at least, whatever it makes of blanks and case.
func ourReference(reference, orderID string) bool {
	const keeps = 21 // see erp.Reference
	reference = strings.TrimSpace(reference)
	for _, ours := range []string{"refund:" + orderID + "/", "order:" + orderID + ":"} {
		ours = ours[:min(len(ours), keeps)]
		if len(reference) >= len(ours) && strings.EqualFold(reference[:len(ours)], ours) {
			return orderID != ""
		}
	}
	return false
}

// reasonOf is a refusal's sentence without its kind.
func reasonOf(err error) string {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.Message
	}
	return err.Error()
}

// deliverShipment starts the process of goods that left. A shipment that is told once more, with its tracking number or invoice, runs once more
// when its first run has ended; what that has done is done once.
func (s *Starter) deliverShipment(ctx context.Context, item journal.InboxItem, erp string, change activities.Change) error {
	shipment := *change.Shipment
	of, err := s.concerned(ctx, change.OrderID, erp)
	switch {
	case Is(err, NotFound):
		return s.store.Ignored(ctx, item.ID, "the shipment is of no order of ours")
	case err != nil:
		return s.postpone(ctx, item, fault.Connection, err.Error())
	case beforeConfirmation(of.record.Status):
		return s.postpone(ctx, item, fault.Conflict, "the order is not confirmed yet: "+string(of.record.Status))
	case !kept(of.record.Status):
		return s.giveUp(ctx, item, fault.Conflict, "goods left for an order that is "+string(of.record.Status))
	}
	recorded, err := s.store.Shipments(ctx, of.record.OrderID)
	if err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	begun := start{
		id: workflows.ShipmentWorkflowID(of.record.OrderID, shipment.Number), summary: "Shipment " + shipment.Number + " of order " + of.record.OrderID,
		orderID: of.record.OrderID, erp: erp, workflow: workflows.Shipment,
		in: workflows.ShipmentInput{
			Shipment: shipment, Order: of.order, Erp: erp, Site: siteOf(of.channel, erp), CustomerCode: of.record.CustomerCode,
			SalesOrder: of.record.ErpOrderNumber, Policy: policy(of.channel.Policy),
		},
		again: true, // one that has recorded nothing yet does not know what this change tells
	}
	at := slices.IndexFunc(recorded, func(r journal.ShipmentRecord) bool { return r.Shipment.Number == shipment.Number })
	if at >= 0 && !tellsMore(shipment, recorded[at].Shipment) {
		return s.store.Delivered(ctx, item.ID)
	}
	return s.begin(ctx, item, begun)
}

// tellsMore tells that a shipment was told before without its invoice or tracking number.
func tellsMore(now, before canonical.Shipment) bool {
	return now.Invoice != "" && now.Invoice != before.Invoice || now.Tracking != "" && now.Tracking != before.Tracking
}

// clockSkew is how far the clock of an ERP may be ahead of ours.
const clockSkew = 5 * time.Minute

// deliverStock keeps a free quantity and tells the shops that asked for it. Shops are told before it is kept, so that a crash between the two
// tells them again, under the same ID, rather than never.
func (s *Starter) deliverStock(ctx context.Context, item journal.InboxItem, erp string, change activities.Change) error {
	level := journal.StockLevel{
		Erp: erp, Code: change.Stock.StockCode, Warehouse: change.Stock.Warehouse, Available: change.Stock.Available, At: change.At,
	}
	if level.At.After(item.ReceivedAt.Add(clockSkew)) { // a time that is wrong would hide what is told after it
		level.At = item.ReceivedAt
	}
	news, err := s.isNews(ctx, level)
	if err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	if news {
		for _, name := range s.settings.StockChannels(erp) {
			if err := s.tellStock(ctx, item, name, *change.Stock, change.At); err != nil {
				return s.retry(ctx, item, err)
			}
		}
	}
	if _, err := s.store.PutStock(ctx, level); err != nil {
		return s.postpone(ctx, item, fault.Connection, err.Error())
	}
	return s.store.Delivered(ctx, item.ID)
}

// isNews tells that a quantity is another one than was known, and not older.
func (s *Starter) isNews(ctx context.Context, level journal.StockLevel) (bool, error) {
	levels, err := s.store.Stock(ctx, level.Code)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(levels, func(l journal.StockLevel) bool {
		return l.Erp == level.Erp && l.Code == level.Code && l.Warehouse == level.Warehouse
	})
	return at < 0 || !levels[at].Available.Equal(level.Available) && !levels[at].At.After(level.At), nil
}

// tellStock starts the callback of one channel, once for each change.
func (s *Starter) tellStock(ctx context.Context, item journal.InboxItem, name string, stock activities.StockChange, at time.Time) error {
	channel, configured := s.settings.Channel(name)
	if !configured {
		return nil
	}
	id := "callback/stock/" + digest(item.ID, name)
	err := s.startOnce(ctx, start{
		id: id, summary: "Tell the shop: " + EventStockChanged, erp: channel.Erp, workflow: workflows.Callback,
		in: workflows.CallbackTask{Policy: policy(channel.Policy), Message: activities.CallbackInput{
			ID: id, Channel: name, Event: EventStockChanged, At: at,
			Data: map[string]string{"stockCode": stock.StockCode, "warehouse": stock.Warehouse, "available": stock.Available.String()},
		}},
	})
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return nil
	}
	return err
}

// EventStockChanged is the callback that tells a shop what is free of an article. It concerns no order.
const EventStockChanged = "stock.changed"

// start is a process that an inbox item leads to.
type start struct {
	id, summary, orderID, erp string
	workflow, in              any
	again                     bool // it may have run before
}

// begin starts a process and ends its item. A process that runs, or has run, needs no second start.
func (s *Starter) begin(ctx context.Context, item journal.InboxItem, process start) error {
	err := s.startOnce(ctx, process)
	switch {
	case err == nil, !process.again && temporal.IsWorkflowExecutionAlreadyStartedError(err):
		return s.store.Delivered(ctx, item.ID)
	case temporal.IsWorkflowExecutionAlreadyStartedError(err):
		return s.postpone(ctx, item, fault.Conflict, "an earlier run of "+process.id+" has not ended yet")
	default:
		return s.retry(ctx, item, err)
	}
}

// retry puts an item off whose process could not be started. While the engine is away no try of it counts.
func (s *Starter) retry(ctx context.Context, item journal.InboxItem, err error) error {
	if err = classify(err); Is(err, Unavailable) {
		return s.store.Postpone(ctx, item.ID, s.clock().Add(pause(item.Tries)), err.Error())
	}
	return s.postpone(ctx, item, fault.Bug, err.Error())
}

// startOnce starts a process under its ID; the error tells where that was taken.
func (s *Starter) startOnce(ctx context.Context, process start) error {
	reuse := enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if process.again {
		reuse = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	attributes := []temporal.SearchAttributeUpdate{workflows.SearchErp.ValueSet(process.erp), workflows.SearchNeedsAttention.ValueSet(false)}
	if process.orderID != "" {
		attributes = append(attributes, workflows.SearchOrderID.ValueSet(process.orderID))
	}
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := s.engine.ExecuteWorkflow(bounded, client.StartWorkflowOptions{
		ID:                                       process.id,
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            process.summary,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attributes...),
	}, process.workflow, process.in)
	return err
}
