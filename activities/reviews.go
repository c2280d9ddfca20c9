package activities

import "context"

// OpenReview records that people are to decide about a held payment, gathers what they need for it, and alerts them.
func (l *Ledger) OpenReview(ctx context.Context, in OpenReviewInput) (OpenedReview, error) {
	return OpenedReview{}, toTemporal(bug("OpenReview is not built"))
}

// NoteReview adds what happened to a review's record, its audit and, where people must know, their alerts.
func (l *Ledger) NoteReview(ctx context.Context, in NoteReviewInput) error {
	return toTemporal(bug("NoteReview is not built"))
}

// ReadOrder gives where the read model has an order.
func (l *Ledger) ReadOrder(ctx context.Context, orderID string) (OrderState, error) {
	return OrderState{}, toTemporal(bug("ReadOrder is not built"))
}

// RecordRefund brings a refund's read model, its order's timeline and the customer's mail forward.
func (l *Ledger) RecordRefund(ctx context.Context, in RefundProgressInput) error {
	return toTemporal(bug("RecordRefund is not built"))
}

// AddFixes adds to a parked item what may mend it.
func (l *Ledger) AddFixes(ctx context.Context, in AddFixesInput) error {
	return toTemporal(bug("AddFixes is not built"))
}

// CorrectOrder applies an operator's correction to an order, validates it, maps its documents anew and keeps the original.
func (o *Orders) CorrectOrder(ctx context.Context, in CorrectOrderInput) (CorrectedOrder, error) {
	return CorrectedOrder{}, toTemporal(bug("CorrectOrder is not built"))
}
