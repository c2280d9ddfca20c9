package activities

import (
	"context"
	"time"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// Settlements holds the steps of a settlement day at the gateway and in our own database.
type Settlements struct {
	Journal  *journal.Store
	Mappings *mappings.Set
	Dir      string // where reports are spooled
	Clock    func() time.Time
}

// ReconcileDay downloads, parses and matches a day's reports, and works out what is to be posted. A report that is not there yet is a
// failure that is tried again later.
func (s *Settlements) ReconcileDay(ctx context.Context, in ReconcileDayInput) (ReconciledDay, error) {
	return ReconciledDay{}, toTemporal(bug("ReconcileDay is not built"))
}

// RecordDay brings a day's record forward. A local activity.
func (s *Settlements) RecordDay(ctx context.Context, in RecordDayInput) error {
	return toTemporal(bug("RecordDay is not built"))
}

// RecordPosting keeps what was posted. A local activity.
func (s *Settlements) RecordPosting(ctx context.Context, in RecordPostingInput) error {
	return toTemporal(bug("RecordPosting is not built"))
}

// SettledOrders gives a page of the orders that a day has settled. A local activity.
func (s *Settlements) SettledOrders(ctx context.Context, in SettledPageInput) (SettledPage, error) {
	return SettledPage{}, toTemporal(bug("SettledOrders is not built"))
}
