package starter

import (
	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/workflows"
)

// settlementInput is how a merchant's days are settled; configuration knows no workflows, so that the two are written apart.
func settlementInput(m config.Merchant) workflows.SettlementInput {
	s := m.Settlement
	return workflows.SettlementInput{
		Merchant: m.ID,
		Erp:      m.Erp,
		Site:     activities.Site(s.Site),
		Policy: activities.SettlementPolicy{
			Mismatch:     settlement.Policy(s.Mismatch),
			Tolerance:    s.Tolerance,
			Fees:         settlement.FeePolicy(s.Fees),
			Mode:         settlement.Mode(s.Mode),
			GroupBy:      s.GroupBy,
			Ledger:       s.Ledger,
			ErpRates:     s.RatesFrom == config.RatesOfErp,
			ClosedPeriod: activities.ClosedPeriodPolicy(s.ClosedPeriod),
			Approval:     s.Approval,
			ShowPaid:     s.ShowPaid,
			TimeZone:     s.TimeZone,
			Cutoff:       s.Cutoff,
			Patience:     s.Patience,
			StepTimeout:  s.StepTimeout,
			ParkDeadline: s.ParkDeadline,
		},
		Steps: policy(m.Steps),
	}
}

// changesInput is how an ERP is asked for changes.
func changesInput(erp string, c config.Changes, steps config.Policy) workflows.ErpChangesInput {
	in := workflows.ErpChangesInput{Erp: erp, Overlap: c.Overlap, Lookback: c.Lookback, PageSize: c.PageSize, Policy: policy(steps)}
	for _, feed := range c.Feeds {
		in.Feeds = append(in.Feeds, activities.ChangeFeed(feed))
	}
	return in
}
