package activities

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/mappings"
)

// SettlementPolicy says how a merchant's days are settled. Amounts of Tolerance are by currency, "*" for all others.
type SettlementPolicy struct {
	Mismatch     settlement.Policy          `json:"mismatch"`            // what differs beyond the tolerance: park, or post to suspense
	Tolerance    map[string]decimal.Decimal `json:"tolerance,omitempty"` // differences that go to the rounding account
	Fees         settlement.FeePolicy       `json:"fees"`                // in the journal, or as an AP invoice of the processor
	Mode         settlement.Mode            `json:"mode"`                // detail or summary, by company
	GroupBy      []string                   `json:"groupBy,omitempty"`   // what keeps lines apart beside the category
	Ledger       string                     `json:"ledger,omitempty"`    // currency of the general ledger; "": each currency is posted as it is
	ErpRates     bool                       `json:"erpRates,omitempty"`  // days in other currencies are converted at the ERP's own rates, not at those of the settings
	ClosedPeriod ClosedPeriodPolicy         `json:"closedPeriod"`
	Approval     bool                       `json:"approval,omitempty"` // finance approves before anything is posted
	ShowPaid     bool                       `json:"showPaid,omitempty"` // the ERP's payment status becomes Paid, order by order
	TimeZone     string                     `json:"timeZone"`           // of the merchant: IANA name
	Cutoff       string                     `json:"cutoff"`             // end of the gateway's batch day in that zone, HH:MM
	Patience     time.Duration              `json:"patience"`           // how long reports are waited for
	StepTimeout  time.Duration              `json:"stepTimeout"`        // of one try of the reconciliation
	ParkDeadline time.Duration              `json:"parkDeadline"`
}

// ClosedPeriodPolicy says what becomes of a journal whose period is closed.
type ClosedPeriodPolicy string

// The policies.
const (
	ClosedNextOpen ClosedPeriodPolicy = "next_open" // posted in the current open period, with the original date in its text
	ClosedPark     ClosedPeriodPolicy = "park"
)

// ReconcileDayInput asks for one merchant's day: reports downloaded, parsed and matched, and what is to be posted worked out.
type ReconcileDayInput struct {
	Merchant string           `json:"merchant"`
	Date     string           `json:"date"` // business date, YYYY-MM-DD
	Erp      string           `json:"erp"`  // whose mappings roll the day up
	Site     Site             `json:"site,omitempty"`
	Policy   SettlementPolicy `json:"policy"`
	DryRun   bool             `json:"dryRun,omitempty"` // nothing is written but the discrepancy report
	Rates    []erp.Rate       `json:"rates,omitempty"`  // the ERP's own, where the policy says ErpRates; in place of those of the settings
}

// ExchangeRatesInput asks an ERP what currencies cost in another on a date.
type ExchangeRatesInput struct {
	Date string `json:"date"` // YYYY-MM-DD
	To   string `json:"to"`   // currency of the general ledger
}

// ExchangeRatesAnswer is the last rate at or before the date of each currency that the ERP keeps one of.
type ExchangeRatesAnswer struct {
	Rates []erp.Rate `json:"rates,omitempty"`
}

// ReconciledDay is what the reports of a day say against the journal: only IDs and totals.
type ReconciledDay struct {
	NoData      bool                 `json:"noData,omitempty"` // the gateway has no rows of that day
	Outcome     settlement.Outcome   `json:"outcome,omitempty"`
	Why         string               `json:"why,omitempty"` // what differs, in one sentence
	Rows        int                  `json:"rows"`
	Matched     int                  `json:"matched"`
	Differences int                  `json:"differences"`
	Plans       []PlannedPosting     `json:"plans,omitempty"` // one for each currency that has something to post
	Findings    []settlement.Anomaly `json:"findings,omitempty"`
	Drift       []string             `json:"drift,omitempty"`   // columns of the reports that nobody knows
	Waiting     []string             `json:"waiting,omitempty"` // optional reports that were not there in time
	Posted      bool                 `json:"posted,omitempty"`  // something of the day is in the ledger from before
}

// PlannedPosting is what a currency's day still lacks in the general ledger. Sequence 0 is the day's journal, n its n-th correction.
type PlannedPosting struct {
	Currency string                  `json:"currency"`
	Sequence int                     `json:"sequence"`
	Journal  *canonical.JournalEntry `json:"journal,omitempty"`
	Invoice  *PlannedInvoice         `json:"invoice,omitempty"` // fees of the processor
}

// PlannedInvoice is an AP invoice of the processor, or a credit note, as its document says. The amount is never negative.
type PlannedInvoice struct {
	Supplier string            `json:"supplier"`
	Number   string            `json:"number"`
	Amount   canonical.Money   `json:"amount"`
	Document mappings.Document `json:"document"`

	Distribution []canonical.SettlementLine `json:"distribution,omitempty"` // by category, what was given back negative: of a credit note they add up to less than nothing
}

// PostJournalInput posts a journal in an ERP's general ledger.
type PostJournalInput struct {
	Merchant     string                 `json:"merchant"`
	Date         string                 `json:"date"` // of the settlement day
	Entry        canonical.JournalEntry `json:"entry"`
	PostingDate  string                 `json:"postingDate,omitempty"` // a person's, in place of the entry's
	ClosedPeriod ClosedPeriodPolicy     `json:"closedPeriod"`
	Attempt      int                    `json:"attempt"`
}

// PostInvoiceInput posts an AP invoice of the processor.
type PostInvoiceInput struct {
	Merchant     string             `json:"merchant"`
	Date         string             `json:"date"`
	Invoice      PlannedInvoice     `json:"invoice"`
	PostingDate  string             `json:"postingDate,omitempty"`  // a person's, in place of the day's
	ClosedPeriod ClosedPeriodPolicy `json:"closedPeriod,omitempty"` // "": park
	Attempt      int                `json:"attempt"`
}

// Posted is what the ERP made of a journal or an invoice.
type Posted struct {
	Reference string `json:"reference"`
	Number    string `json:"number"`
	Warning   string `json:"warning,omitempty"` // posted on another date, for example
}

// RecordPostingInput keeps what was posted, or booked by hand, so that no rerun posts it twice. Of a document one of the two is set, or none.
type RecordPostingInput struct {
	Merchant      string                  `json:"merchant"`
	Date          string                  `json:"date"`
	Plan          PlannedPosting          `json:"plan"`
	Journal       *Posted                 `json:"journal,omitempty"`
	Invoice       *Posted                 `json:"invoice,omitempty"`
	JournalByHand *settlement.HandBooking `json:"journalByHand,omitempty"`
	InvoiceByHand *settlement.HandBooking `json:"invoiceByHand,omitempty"`
}

// SettlementState is where a settlement day stands.
type SettlementState = settlement.DayState

// The states.
const (
	SettlementWaiting  = settlement.DayWaiting  // for the day's reports
	SettlementMismatch = settlement.DayMismatch // a person decides
	SettlementApproval = settlement.DayApproval // finance is to approve
	SettlementPosting  = settlement.DayPosting
	SettlementPosted   = settlement.DayPosted
	SettlementEmpty    = settlement.DayEmpty    // the gateway has no rows of that day
	SettlementUnposted = settlement.DayUnposted // a person decided to post nothing
	SettlementChecked  = settlement.DayChecked  // a dry run
)

// RecordDayInput brings a day's record forward.
type RecordDayInput struct {
	Merchant string          `json:"merchant"`
	Date     string          `json:"date"`
	State    SettlementState `json:"state"`
	Why      string          `json:"why,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Run      string          `json:"run"` // of the process
}

// SettledPageInput asks for orders whose money a day has settled, and which the ERP does not show as paid yet.
type SettledPageInput struct {
	Merchant string `json:"merchant"`
	Date     string `json:"date"`
	Cursor   string `json:"cursor,omitempty"`
	Limit    int    `json:"limit"`
}

// SettledPage is one page of them; Next is "" after the last.
type SettledPage struct {
	Orders []SettledOrder `json:"orders,omitempty"`
	Next   string         `json:"next,omitempty"`
}

// SettledOrder is an order whose capture has settled.
type SettledOrder struct {
	OrderID       string          `json:"orderId"`
	Erp           string          `json:"erp,omitempty"` // where it is booked; "": in the one that the day is posted in
	SalesOrder    string          `json:"salesOrder"`
	Invoice       string          `json:"invoice,omitempty"`
	TransactionID string          `json:"transactionId"`
	Amount        canonical.Money `json:"amount"`
}

// ShowPaidInput shows orders as paid in the ERP.
type ShowPaidInput struct {
	Date    string         `json:"date"`
	Orders  []SettledOrder `json:"orders"`
	Attempt int            `json:"attempt"`
}
