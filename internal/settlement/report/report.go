// Package report reads the gateway's settlement reports, files and JSON queries alike, row by row: whatever form a report comes
// in, its rows have one shape. Memory does not grow with the report. What is wrong with one is told by line, column and rule, never by
// the value that stands there.
package report

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Kind says which report is read.
type Kind string

// The reports that are read: the first five are files, the others answers of the gateway's JSON queries.
const (
	PaymentBatches Kind = "payment_batch_detail" // PaymentBatchDetailClass and PaymentSubmissionDetail
	Fees           Kind = "fee_detail"           // FeeDetailClass
	Chargebacks    Kind = "chargeback_detail"    // ChargebackAndRetrievalDetailClass
	Deposits       Kind = "deposit_detail"       // DepositDetailClass
	Fundings       Kind = "funding_detail"       // FundingDetailClass

	PurchasesRefunds Kind = "purchase-refund-details" // transactions, and their fees where the acquirer tells them
	ChargebackCases  Kind = "chargeback-details"
	RetrievalCases   Kind = "retrieval-details"
	NetFundings      Kind = "net-fundings"            // totals
	BatchSummaries   Kind = "payment-batch-summaries" // totals
)

// Format is how a report is written.
type Format string

// The formats. Files are CSV or XML as their subscription says, queries are JSON.
const (
	CSV  Format = "csv"
	XML  Format = "xml"
	JSON Format = "json"
)

// Type says what a row is about, and which of its parts is set.
type Type string

// The types of rows.
const (
	Transaction Type = "transaction"
	FeeCharge   Type = "fee"     // Fee is set
	Dispute     Type = "dispute" // Case is set
	Deposit     Type = "deposit" // Funds is set
	Total       Type = "total"   // Sum is set
)

// Direction is the way of the money, seen from the merchant.
type Direction string

// The directions. Neither is a row that moves no money: a void, a retrieval request, something that failed.
const (
	In      Direction = "in"
	Out     Direction = "out"
	Neither Direction = "neither"
)

// Row is one row of a report. Texts may share memory with the whole row of the file; Defined holds until the next call of Next.
type Row struct {
	Type Type
	Line int // of the file, from 1; the number of the element in JSON

	MerchantID           string // "" where rows don't say: the header's may be that of the organization
	RequestID            string // the request that settles: capture, sale or refund; of a fee or dispute: the one it is about
	PaymentRequestID     string // the authorization that a capture follows
	Reference            string // the merchant's reference: clientReferenceInformation.code
	TransactionReference string // the processor's reference (reconciliation id)
	Applications         Applications
	Amount               canonical.Money // never negative, exact to the minor unit
	Direction            Direction
	Status               string
	BatchID              string
	BatchDate            time.Time // zero where the report does not say
	TransactionTime      time.Time
	CardType             string // the gateway's three digits, "001" is Visa; "" where the report's word is not known
	PaymentType          string // as the report says: "Visa", "VI", "credit card"
	Defined              []Defined

	Fee   *Fee
	Case  *Case
	Funds *Funds
	Sum   *Sum
}

// Defined is a field of merchantDefinedData that is not empty.
type Defined struct {
	Key   string // "1" to "100"
	Value string
}

// Fee says what a fee is made of. The parts are in the row's currency, signed like the total, and need not add up to it.
type Fee struct {
	BillingType  string // discount, interchangePlus, serviceFee, other
	BillingCycle string
	Parts        []FeePart // those that are not zero
	Settlement   canonical.Money
}

// FeePart is one kind of fee.
type FeePart struct {
	Kind   FeeKind
	Amount canonical.Money // negative where the acquirer gives it back
}

// FeeKind is what a fee is for.
type FeeKind string

// The kinds of fees.
const (
	FeeInterchange FeeKind = "interchange"
	FeeDiscount    FeeKind = "discount"
	FeeAssessment  FeeKind = "assessment"
	FeePerItem     FeeKind = "per_item"
	FeeService     FeeKind = "service"
)

// Case is a chargeback or a retrieval request.
type Case struct {
	Number      string // the case, the same over all its actions (trackingNumber in JSON)
	Kind        string // as the report says: "Chargeback", "Retrieval"
	Action      string
	Retrieval   bool // asks for documents, moves no money
	Time        time.Time
	RespondBy   time.Time
	ReasonCode  string
	Resolution  string          // B, M, S or G
	Fee         canonical.Money // of the dispute itself; zero where the report has none
	Adjustment  canonical.Money // signed as the report says
	FinancialBy string          // debit, credit or none
}

// Key tells one action of a case from all others, also where the same row is delivered again on another day.
func (c *Case) Key() string {
	return c.Number + "/" + c.Action + "/" + c.Time.UTC().Format(time.RFC3339)
}

// Funds is money that the acquirer paid out to the merchant's bank, or took from it.
type Funds struct {
	Identifier string
	Kind       string
	Time       time.Time
	Fee        canonical.Money // withheld; zero where the report has none
	Adjustment canonical.Money // signed as the report says
}

// Key tells one payout from all others.
func (f *Funds) Key() string { return f.Identifier + "/" + f.Time.UTC().Format(time.RFC3339) }

// Sum is a total that the gateway states. The row's amount is that of Class; batch summaries give two rows each.
type Sum struct {
	Class   SumClass
	SubType string // VI, MC ...; "" for all
	Count   int
}

// SumClass says of which rows a total is.
type SumClass string

// The classes of totals.
const (
	SumSales       SumClass = "sales"
	SumRefunds     SumClass = "refunds"
	SumFees        SumClass = "fees"
	SumChargebacks SumClass = "chargebacks"
)

// Applications is a set of the gateway's services that a request asked for.
type Applications uint16

// The applications that say what a settling request does.
const (
	Bill Applications = 1 << iota // ics_bill: money in
	Credit
	Auth
	Void
	AuthReversal
	OtherApplication
)

// Has tells whether the set holds all of the given applications.
func (a Applications) Has(wanted Applications) bool { return a&wanted == wanted }

// Header is what a report says of itself; members that its form lacks are empty.
type Header struct {
	Name       string
	Definition string
	Version    string
	MerchantID string
	Start, End time.Time
}

// Drift is what a report holds beyond what is known: no reason to refuse it, but someone should look.
type Drift struct {
	Unknown  []string       // columns or elements that are not read, in the order of the report, at most 50
	Unread   map[string]int // by column: values of columns that are not needed and could not be read
	Withheld map[string]int // by column: values of the processor's own numbers that look like card numbers and were left out
	NoNewl   bool           // the last row of a CSV has no line end: complete by its columns, but cut files look so, too
}

// RespondBy is the column by whose date the evidence of a dispute is due, as Drift.Unread names it.
const RespondBy = "RespondByDate"

// Option changes how a report is read.
type Option func(*Reader)

// SignedAmounts says that the subscription sets signedAmounts, so that amounts alone tell the direction and the applications are
// not needed.
func SignedAmounts() Option { return func(r *Reader) { r.signed = true } }

// Reader gives the rows of one report. It is not safe for concurrent use.
type Reader struct {
	kind   Kind
	format Format
	signed bool
	header Header
	drift  Drift
	record record
	source source
	scales scales
	before remembered
	rows   int
	queue  []Row // further rows of the record that was read last
	failed error
}

// source fills records from one form of report.
type source interface {
	// open reads up to the first row and resolves the columns.
	open() error
	// next fills the reader's record; io.EOF after the last one.
	next() error
}

// Open reads a report up to its first row. The error is an *Error where the report is at fault, else the stream's.
func Open(in io.Reader, kind Kind, format Format, options ...Option) (*Reader, error) {
	set, known := columnSets[kind]
	if !known {
		return nil, fmt.Errorf("open report: there is no kind %q", kind)
	}
	if queried := set.root != ""; queried != (format == JSON) {
		return nil, fmt.Errorf("open report: %s does not come as %q", kind, format)
	}
	r := &Reader{kind: kind, format: format, scales: scales{known: map[string]int32{}}}
	r.drift.Unread, r.drift.Withheld = map[string]int{}, map[string]int{}
	for _, option := range options {
		option(r)
	}
	switch format {
	case CSV:
		r.source = newCSVSource(r, in, set)
	case XML:
		r.source = newXMLSource(r, in, set)
	case JSON:
		r.source = newJSONSource(r, in, set)
	default:
		return nil, fmt.Errorf("open report: there is no format %q", format)
	}
	if err := r.source.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// Next gives the next row; io.EOF after the last one of a complete report. After an error it gives the same error.
func (r *Reader) Next() (Row, error) {
	if len(r.queue) > 0 {
		row := r.queue[0]
		r.queue = r.queue[1:]
		r.rows++
		return row, nil
	}
	if r.failed != nil {
		return Row{}, r.failed
	}
	if r.failed = r.source.next(); r.failed != nil {
		return Row{}, r.failed
	}
	row, err := r.build()
	if err != nil {
		r.failed = err
		return Row{}, err
	}
	r.rows++
	return row, nil
}

// Kind says which report this is.
func (r *Reader) Kind() Kind { return r.kind }

// Header is what the report says of itself. JSON tells its period after its rows: the header is complete after io.EOF.
func (r *Reader) Header() Header { return r.header }

// Drift tells what was unexpected so far.
func (r *Reader) Drift() Drift { return r.drift }

// Rows counts the rows given so far.
func (r *Reader) Rows() int { return r.rows }

// Rule names what a report breaks.
type Rule string

// The rules.
const (
	RuleEmptyFile      Rule = "empty_file"      // not even header lines
	RuleMissingColumn  Rule = "missing_column"  // a column that is needed is not there
	RuleRepeatedColumn Rule = "repeated_column" // two columns say the same needed thing
	RuleRowWidth       Rule = "row_width"       // more or fewer fields than columns
	RuleTruncated      Rule = "truncated"       // the report ends before its end
	RuleMalformed      Rule = "malformed"       // not CSV, XML or JSON
	RuleEncoding       Rule = "encoding"        // not UTF-8, or with a NUL, which no database keeps as text
	RuleTooLong        Rule = "too_long"        // a row, a value or a page beyond its bound
	RuleRequired       Rule = "required"        // a needed value is empty
	RuleAmount         Rule = "amount"          // not a decimal number with a point, or beyond 12 digits
	RuleMinorUnits     Rule = "minor_units"     // finer than the currency divides
	RuleCurrency       Rule = "currency"        // no ISO 4217 code
	RuleTime           Rule = "time"            // neither a time nor a date
	RuleDirection      Rule = "direction"       // says neither money in nor money out
	RuleCount          Rule = "count"           // no whole number
	RuleCardNumber     Rule = "card_number"     // holds a card number
)

// Error says where a report is wrong: never what stands there.
type Error struct {
	Kind   Kind
	Format Format
	Line   int    // 0 where the report as a whole is at fault
	Column string // as this package or the report names it; "" where the row as a whole is at fault
	Rule   Rule
	Err    error // cause; nil in most cases
}

// Error reads "payment_batch_detail csv, line 7, column amount: minor_units".
func (e *Error) Error() string {
	text := string(e.Kind) + " " + string(e.Format)
	if e.Line > 0 {
		text += fmt.Sprintf(", line %d", e.Line)
	}
	if e.Column != "" {
		text += ", column " + e.Column
	}
	return text + ": " + string(e.Rule)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes the error for the record in hand.
func (r *Reader) fail(rule Rule, column string) *Error {
	return &Error{Kind: r.kind, Format: r.format, Line: r.record.line, Column: column, Rule: rule}
}

// failWith names the line and the cause; errors of the stream itself pass as they are.
func (r *Reader) failWith(rule Rule, line int, cause error) error {
	var own *Error
	if errors.As(cause, &own) {
		return own
	}
	return &Error{Kind: r.kind, Format: r.format, Line: line, Rule: rule, Err: cause}
}

const maxDrift = 50

// unknown notes a column that is not read. Names come from outside: bounded, and left out where they hold a card number.
func (r *Reader) unknown(name string) {
	const most = 64
	if len(r.drift.Unknown) >= maxDrift {
		return
	}
	if canonical.HoldsCardNumber(name) {
		name = "*"
	}
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most]) + "…"
	}
	r.drift.Unknown = append(r.drift.Unknown, name)
}
