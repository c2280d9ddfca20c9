package activities

import (
	"context"
	"time"

	"github.com/tenderline/tenderline/internal/journal"
)

// Changes holds the own-database steps of what starts in an ERP: polled changes, shipments, credit memos. Its steps are local activities.
type Changes struct {
	Journal *journal.Store
	Clock   func() time.Time
}

// ReadCursor gives where the poll of a feed stands.
func (c *Changes) ReadCursor(ctx context.Context, in ReadCursorInput) (FeedCursor, error) {
	return FeedCursor{}, toTemporal(bug("ReadCursor is not built"))
}

// ReceiveChanges stores changes in the inbox and moves the cursor over them, in one transaction. A change that is there already changes
// nothing.
func (c *Changes) ReceiveChanges(ctx context.Context, in ReceiveChangesInput) (ReceivedChanges, error) {
	return ReceivedChanges{}, toTemporal(bug("ReceiveChanges is not built"))
}

// TakeMemo records the refund that a credit memo asks for, so that it reserves what it will pay back.
func (c *Changes) TakeMemo(ctx context.Context, in TakeMemoInput) (TakenMemo, error) {
	return TakenMemo{}, toTemporal(bug("TakeMemo is not built"))
}

// FindOwnMemo tells which refund or compensation of ours a credit memo belongs to, and whether its money has moved.
func (c *Changes) FindOwnMemo(ctx context.Context, in FindOwnMemoInput) (OwnMemo, error) {
	return OwnMemo{}, toTemporal(bug("FindOwnMemo is not built"))
}

// RecordShipment records a shipment once and gives its place among the order's shipments, and what it is worth.
func (c *Changes) RecordShipment(ctx context.Context, in RecordShipmentInput) (ShippedLines, error) {
	return ShippedLines{}, toTemporal(bug("RecordShipment is not built"))
}

// RecordChargeback brings a dispute's record, its order's timeline, and the payment behind it forward, and alerts finance.
func (c *Changes) RecordChargeback(ctx context.Context, in RecordChargebackInput) error {
	return toTemporal(bug("RecordChargeback is not built"))
}
