package activities

import "context"

// CreditRefund makes the credit memo of a refund, with our operation key as its reference.
func (b *Booking) CreditRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("CreditRefund is not built"))
}

// PostRefund books the money that went back in AR.
func (b *Booking) PostRefund(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("PostRefund is not built"))
}

// TagRefund shows in the ERP what became of the payment.
func (b *Booking) TagRefund(ctx context.Context, in BookRefundInput) error {
	return toTemporal(bug("TagRefund is not built"))
}

// CancelRefunded cancels the sales order of a refund that leaves nothing paid, where it was not invoiced.
func (b *Booking) CancelRefunded(ctx context.Context, in BookRefundInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("CancelRefunded is not built"))
}

// HoldSalesOrder suspends a sales order that has not left yet, or releases it. UndoTooLate: it is invoiced, shipped or cancelled.
func (b *Booking) HoldSalesOrder(ctx context.Context, in HoldSalesOrderInput) (RefundBooked, error) {
	return RefundBooked{}, toTemporal(bug("HoldSalesOrder is not built"))
}

// SuggestFix asks the ERP for what may mend a step that it refused.
func (b *Booking) SuggestFix(ctx context.Context, in SuggestFixInput) (SuggestedFixes, error) {
	return SuggestedFixes{}, toTemporal(bug("SuggestFix is not built"))
}
