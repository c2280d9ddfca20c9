package activities

import "context"

// AskCase asks the gateway how a case stands.
func (p *Payments) AskCase(ctx context.Context, in AskCaseInput) (CaseState, error) {
	return CaseState{}, toTemporal(bug("AskCase is not built"))
}

// MarkCustomer marks the customer of a rejected payment for the gateway's negative list.
func (p *Payments) MarkCustomer(ctx context.Context, in MarkCustomerInput) error {
	return toTemporal(bug("MarkCustomer is not built"))
}
