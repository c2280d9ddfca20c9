package activities

import "context"

// PlanRefund finds the way that the payment's real state leaves for a refund, after what is unknown of the payment is resolved.
func (p *Payments) PlanRefund(ctx context.Context, in PlanRefundInput) (RefundPlan, error) {
	return RefundPlan{}, toTemporal(bug("PlanRefund is not built"))
}
