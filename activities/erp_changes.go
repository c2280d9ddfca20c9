package activities

import "context"

// PollChanges asks the ERP for one page of what changed.
func (b *Booking) PollChanges(ctx context.Context, in PollChangesInput) (ChangePage, error) {
	return ChangePage{}, toTemporal(bug("PollChanges is not built"))
}

// AcknowledgeMemo tells the ERP what became of a credit memo's refund.
func (b *Booking) AcknowledgeMemo(ctx context.Context, in AcknowledgeMemoInput) error {
	return toTemporal(bug("AcknowledgeMemo is not built"))
}

// TrackShipment writes carrier and tracking number into the sales order, where the ERP keeps them there.
func (b *Booking) TrackShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("TrackShipment is not built"))
}

// ApplyDeposits applies what the order has paid to the shipment's invoice, oldest deposit first.
func (b *Booking) ApplyDeposits(ctx context.Context, in ShipInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("ApplyDeposits is not built"))
}

// BookShipment books the capture of a shipment as a deposit, or against the shipment's invoice where there is one.
func (b *Booking) BookShipment(ctx context.Context, in ShipInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("BookShipment is not built"))
}

// TagChargeback shows in the ERP where a payment's dispute stands; it makes no entry.
func (b *Booking) TagChargeback(ctx context.Context, in BookChargebackInput) error {
	return toTemporal(bug("TagChargeback is not built"))
}

// BookChargeback books how a dispute ended in the general ledger.
func (b *Booking) BookChargeback(ctx context.Context, in BookChargebackInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("BookChargeback is not built"))
}

// PostJournal posts a settlement journal. A closed period is answered by policy.
func (b *Booking) PostJournal(ctx context.Context, in PostJournalInput) (Posted, error) {
	return Posted{}, toTemporal(bug("PostJournal is not built"))
}

// PostFeeInvoice posts an AP invoice of the processor.
func (b *Booking) PostFeeInvoice(ctx context.Context, in PostInvoiceInput) (Posted, error) {
	return Posted{}, toTemporal(bug("PostFeeInvoice is not built"))
}

// ShowPaid shows orders as paid; one that the ERP does not know is left out.
func (b *Booking) ShowPaid(ctx context.Context, in ShowPaidInput) error {
	return toTemporal(bug("ShowPaid is not built"))
}
