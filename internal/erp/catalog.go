package erp

import "context"

// CustomerHint is what an order tells of its customer. Empty members are not asked for.
type CustomerHint struct {
	Code       string // may be misspelt
	ExternalID string // the shop's id
	Email      string
	Name       string
}

// Period is an open posting period of a module. First and Last are its days, YYYY-MM-DD, "" where the ERP does not tell them.
type Period struct {
	Module  string // GL, AR, AP
	Year    int
	Period  int
	First   string
	Last    string
	Current bool
}

// Covers tells whether a date is known to be in the period.
func (p Period) Covers(date string) bool { return p.First != "" && p.First <= date && date <= p.Last }

// Catalog is what an ERP can be asked for when it refused a document: what there is instead. Every answer is something that the ERP holds,
// never a guess; none is an answer too. An adapter has it where its ERP offers the look-ups, and makes a bounded number of calls for each.
type Catalog interface {
	// NearStockCodes gives stock codes spelt much like one that the ERP does not know, the likeliest first: those that are kept in the
	// warehouse ("" for any).
	NearStockCodes(ctx context.Context, code, warehouse string, limit int) ([]string, error)
	// NearCustomers gives the customers that a hint may mean, each once: the one of the shop's id first, then of the e-mail address, then
	// of a code spelt much like the hint's.
	NearCustomers(ctx context.Context, hint CustomerHint, limit int) ([]Customer, error)
	// OpenPeriods gives the open posting periods, by module from the oldest to the newest.
	OpenPeriods(ctx context.Context) ([]Period, error)
}
