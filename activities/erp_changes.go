package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Kinds of ERP operations that answer what people did there.
const (
	kindAcknowledgement = "memo_acknowledgement"
	kindTracking        = "tracking"
)

// changePort is the part of the ERP's port that processes need which start there.
func (b *Booking) changePort() (erp.ChangePort, error) {
	port, has := b.Port.(erp.ChangePort)
	if !has {
		return nil, bug("%s can't be asked for changes", b.system())
	}
	return port, nil
}

// PollChanges asks the ERP for one page of what changed.
func (b *Booking) PollChanges(ctx context.Context, in PollChangesInput) (ChangePage, error) {
	page, err := b.pollChanges(ctx, in)
	return page, toTemporal(err)
}

// What a page may hold. The engine takes 2 MB of an answer, sealed.
const (
	pageBytes  = 1 << 20
	pageLevels = 2000 // stock codes, each of which is asked for
)

// pollChanges asks for fewer documents where those of a page are together more than can travel: asked for again as they are, they would hold up for
// ever what has changed after them. A single document is told whatever its size.
func (b *Booking) pollChanges(ctx context.Context, in PollChangesInput) (ChangePage, error) {
	port, err := b.changePort()
	if err != nil {
		return ChangePage{}, err
	}
	for {
		page, documents, err := b.changePage(ctx, port, in)
		fits, fitErr := fitting(in.Feed, page, err)
		fewer := cmp.Or(documents, in.Limit) / 2
		if fits || fewer < 1 || fitErr != nil {
			return page, errors.Join(err, fitErr)
		}
		in.Limit = fewer
	}
}

// fitting tells whether a page, or what came in its place, can be handed on. Stock levels are counted before they are asked for.
func fitting(feed ChangeFeed, page ChangePage, failure error) (bool, error) {
	switch f := fault.As(failure); {
	case failure != nil:
		return !errors.Is(failure, errCrowded) && (f == nil || f.Code != outbound.CodeAnswerTooLong), nil
	case feed == FeedStock:
		return true, nil
	}
	encoded, err := json.Marshal(page)
	return len(encoded) <= pageBytes, err
}

// errCrowded stops a page of stock levels before they are asked for.
var errCrowded = errors.New("the sales orders of the page sell too many articles")

// changePage asks for one page, and tells how many documents it is of.
func (b *Booking) changePage(ctx context.Context, port erp.ChangePort, in PollChangesInput) (page ChangePage, documents int, err error) {
	query := erp.ChangeQuery{Since: in.Since, Cursor: in.Cursor, Limit: in.Limit}
	switch in.Feed {
	case FeedCreditMemos:
		query.Pending = true
		memos, err := port.ListCreditMemos(ctx, query)
		if err != nil {
			return ChangePage{}, 0, err
		}
		page, err = b.memoChanges(ctx, memos)
		return page, len(memos.Rows), err
	case FeedShipments:
		shipments, err := port.ListShipments(ctx, query)
		return changesOf(in.Feed, shipments, shipmentChange), len(shipments.Rows), err
	case FeedOrders:
		orders, err := port.ListSalesOrders(ctx, query)
		return changesOf(in.Feed, orders, orderChange), len(orders.Rows), err
	case FeedStock:
		orders, err := port.ListSalesOrders(ctx, query)
		if err != nil {
			return ChangePage{}, 0, err
		}
		page, err = b.stockChanges(ctx, in, orders)
		return page, len(orders.Rows), err
	default:
		return ChangePage{}, 0, bug("there is no feed %q", in.Feed)
	}
}

// changesOf turns a page of documents into changes; told says which document it is, and what there is to tell of it.
func changesOf[T any](feed ChangeFeed, page erp.ChangePage[T], told func(T) Change) ChangePage {
	out := ChangePage{Next: page.Next}
	for _, row := range page.Rows {
		change := told(row.Document)
		change.Feed, change.At, change.ID = feed, row.At, changeID(change.Number, row.At)
		out.Changes = append(out.Changes, change)
		out.Latest = row.At
	}
	return out
}

// changeID is the same for the same change of a document, however often it is listed.
func changeID(number string, at time.Time) string {
	return number + "@" + at.UTC().Format(time.RFC3339Nano)
}

func shipmentChange(shipment canonical.Shipment) Change {
	return Change{Number: shipment.Number, OrderID: shipment.OrderID, Shipment: &shipment}
}

func orderChange(order erp.Order) Change {
	return Change{
		Number: order.Number, OrderID: order.OrderNumber,
		Order: &SalesOrderChange{SalesOrder: order.Number, State: string(order.State), Reason: order.Reason},
	}
}

// memoChanges tells which of the credit memos are our own: those that an operation of ours names, whatever is known of it. Our journal holds
// an operation before the ERP can hold its memo.
func (b *Booking) memoChanges(ctx context.Context, page erp.ChangePage[erp.CreditMemo]) (ChangePage, error) {
	out := changesOf(FeedCreditMemos, page, memoChange)
	references := map[string]map[string]bool{} // by order
	for _, change := range out.Changes {
		memo := change.Memo
		if memo.Reference == "" || change.OrderID == "" {
			continue
		}
		ours, read := references[change.OrderID]
		if !read {
			var err error
			if ours, err = b.memoReferences(ctx, change.OrderID); err != nil {
				return ChangePage{}, err
			}
			references[change.OrderID] = ours
		}
		memo.Own = ours[strings.TrimSpace(memo.Reference)]
	}
	return out, nil
}

func memoChange(memo erp.CreditMemo) Change {
	return Change{
		Number: memo.Number, OrderID: memo.OrderNumber,
		Memo: &MemoChange{
			Number: memo.Number, Reference: memo.Reference, CustomerCode: memo.CustomerCode, SalesOrder: memo.SalesOrder, Invoice: memo.Invoice,
			Amount: memo.Amount, Tax: memo.Tax, Currency: memo.Currency, Reason: memo.Reason, TransactionID: memo.TransactionID,
			RefundStatus: string(memo.RefundStatus),
		},
	}
}

// memoReferences are the references of the credit memos that our operations made of an order, or may have made.
func (b *Booking) memoReferences(ctx context.Context, orderID string) (map[string]bool, error) {
	all, err := b.Operations.ByOrder(ctx, orderID)
	if err != nil {
		return nil, err
	}
	references := map[string]bool{}
	for _, stored := range all {
		if stored.Kind == kindCreditMemo || stored.Kind == kindRefundMemo {
			references[stored.Reference] = true
		}
	}
	return references, nil
}

// watchedFor is how long a watched stock level is told once: the same level again within it is the same change.
const watchedFor = time.Hour

// stockChanges asks for the free quantity of what the changed sales orders sell, whose stock has moved with them, and, with the first page, of
// what is watched: a count or a receipt of goods changes no order. An ERP does not tell when a level changed; a level that goes away from a
// value and back, by a person's hand alone, is told again after a while.
func (b *Booking) stockChanges(ctx context.Context, in PollChangesInput, orders erp.ChangePage[erp.Order]) (ChangePage, error) {
	moved := map[string]time.Time{} // zero: watched, and in no order that changed
	query := erp.StockQuery{Warehouse: b.Warehouse}
	note := func(code string, at time.Time) {
		if _, noted := moved[code]; !noted {
			query.StockCodes = append(query.StockCodes, code)
		}
		moved[code] = at
	}
	page := ChangePage{Next: orders.Next}
	if in.Cursor == "" {
		for _, code := range b.Watched {
			note(code, time.Time{})
		}
	}
	for _, order := range orders.Rows {
		for _, line := range order.Document.Lines {
			note(line.StockCode, order.At)
		}
		page.Latest = order.At
	}
	if len(orders.Rows) > 1 && len(query.StockCodes) > pageLevels+len(b.Watched) {
		return ChangePage{}, errCrowded
	}
	balances, err := b.Port.Stock(ctx, query)
	if err != nil {
		return ChangePage{}, err
	}
	for _, balance := range balances {
		if balance.Known {
			page.Changes = append(page.Changes, b.stockChange(balance, moved[balance.StockCode]))
		}
	}
	return page, nil
}

func (b *Booking) stockChange(balance erp.StockBalance, at time.Time) Change {
	now := b.Clock().UTC()
	number := balance.StockCode
	if b.Warehouse != "" {
		number += "/" + b.Warehouse
	}
	id := changeID(number, at)
	if at.IsZero() {
		id, at = fmt.Sprintf("%s=%s", changeID(number, now.Truncate(watchedFor)), balance.Available), now
	}
	return Change{
		ID: id, Feed: FeedStock, Number: balance.StockCode, At: at,
		Stock: &StockChange{StockCode: balance.StockCode, Warehouse: b.Warehouse, Available: balance.Available},
	}
}

// AcknowledgeMemo tells the ERP what became of a credit memo's refund.
func (b *Booking) AcknowledgeMemo(ctx context.Context, in AcknowledgeMemoInput) error {
	return toTemporal(b.acknowledgeMemo(ctx, in))
}

func (b *Booking) acknowledgeMemo(ctx context.Context, in AcknowledgeMemoInput) error {
	port, err := b.changePort()
	if err != nil {
		return err
	}
	key := OperationKey("credit-memo", b.Name+"/"+in.Number, "acknowledge", in.Attempt)
	_, err = performErp(ctx, b.Operations, b.system(), erpOperation[struct{}]{
		key: key, kind: kindAcknowledgement, orderID: in.OrderID, reference: in.Number, hashOf: []any{in.Number, in.Refunded, in.TransactionID},
		input: erp.Acknowledgement{
			Number: in.Number, Refunded: in.Refunded, TransactionID: in.TransactionID, Amount: in.Amount.Amount, Currency: in.Amount.Currency,
			At: in.At, Failure: in.Failure,
		},
		send: sending(key, port.AcknowledgeCreditMemo),
	})
	return err
}

// sending sends a stored request that has no answer of its own; repeating it is harmless.
func sending[T any](key string, send func(context.Context, string, T) error) func(context.Context, []byte) (struct{}, error) {
	return func(ctx context.Context, stored []byte) (struct{}, error) {
		request, err := decoded[T](stored)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, send(ctx, key, request)
	}
}

// step is the operation key of a shipment's step in the ERP.
func (in ShipInput) step(step string) string {
	return OperationKey("shipment", in.OrderID+"/"+in.Shipment.Number, step, in.Attempt)
}

// former picks the operations of other attempts of a step.
func (in ShipInput) former(step string) func(journal.Operation) bool {
	prefix := "shipment:" + in.OrderID + "/" + in.Shipment.Number + ":" + step + ":"
	return func(stored journal.Operation) bool {
		return strings.HasPrefix(stored.Key, prefix) && stored.Key != in.step(step)
	}
}

// TrackShipment writes carrier and tracking number into the sales order, where the ERP keeps them there.
func (b *Booking) TrackShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	booked, err := b.trackShipment(ctx, in)
	return booked, toTemporal(err)
}

func (b *Booking) trackShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	port, err := b.changePort()
	if err != nil {
		return RefundBooked{}, err
	}
	if in.Shipment.Tracking == "" || in.SalesOrder == "" {
		return RefundBooked{Result: UndoNothing}, nil
	}
	tracking := erp.Tracking{
		SalesOrder: in.SalesOrder, Carrier: in.Shipment.Carrier, Number: in.Shipment.Tracking, ShippedOn: in.Shipment.ShippedOn,
	}
	// The number is part of the key: one that was corrected is another fact.
	step := kindTracking + "-" + tracking.Number
	key, written := in.step(step), RefundBooked{Result: UndoDone, Document: in.SalesOrder}
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return RefundBooked{}, err
	}
	former := in.former(step)
	if slices.ContainsFunc(all, func(stored journal.Operation) bool {
		return former(stored) && stored.State == journal.OperationSucceeded
	}) {
		return written, nil
	}
	_, err = performErp(ctx, b.Operations, b.system(), erpOperation[struct{}]{
		key: key, kind: kindTracking, orderID: in.OrderID, reference: in.SalesOrder, input: tracking,
		hashOf: []any{tracking.SalesOrder, tracking.Carrier, tracking.Number}, send: sending(key, port.SetTracking),
	})
	return written, err
}

// begun gives the operation of a key; false where it was not begun.
func (b *Booking) begun(ctx context.Context, key string) (journal.Operation, bool, error) {
	stored, err := b.Operations.Get(ctx, key)
	if errors.Is(err, journal.ErrNotFound) {
		return journal.Operation{}, false, nil
	}
	return stored, err == nil, err
}

// busy is a failure that waits for another process.
func (b *Booking) busy(why string) error {
	return &fault.Fault{Kind: fault.Busy, System: b.system(), Message: why}
}
