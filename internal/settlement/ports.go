package settlement

import (
	"context"
	"fmt"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// OperationKind says which way an operation moved the money.
type OperationKind string

// The kinds of operations that settle.
const (
	Capture OperationKind = "capture" // captures and sales
	Refund  OperationKind = "refund"  // refunds and credits without a capture
)

// Operation is a movement of money in the journal that succeeded and was not voided, so that a report has to show it.
type Operation struct {
	Key           string // operation key
	OrderID       string
	TransactionID string // the gateway's; "" where it is not known
	Reference     string // clientReferenceInformation.code as it was sent
	Kind          OperationKind
	Amount        canonical.Money
	At            time.Time // when the gateway took it
	SettledOn     string    // settlement date, YYYY-MM-DD; "" while no report has shown it
}

// Operations is a stream of operations, ordered by transaction id byte by byte (COLLATE "C"), those without one first.
// Next gives io.EOF after the last.
type Operations interface {
	Next() (Operation, error)
}

// Journal is what matching asks of the journal. The pages it asks for have at most pageSize members.
type Journal interface {
	// Operations gives the merchant's operations that are not settled yet, whenever they were made, and those that were settled on
	// the given date.
	Operations(ctx context.Context, merchantID, date string) (Operations, error)
	// Find gives the operations of transaction ids, in any order; those that are not known are left out.
	Find(ctx context.Context, transactionIDs []string) ([]Operation, error)
	// Booked gives, for the keys of entries that a day has taken (Mark.Entry), the date of that day.
	Booked(ctx context.Context, entries []string) (map[string]string, error)
}

// pageSize is how many keys the journal is asked for at once.
const pageSize = 500

// Mark is a row that the day takes: the operation is settled by it, or the entry booked.
type Mark struct {
	Operation     string // key; "" for an entry
	Entry         string // key of a fee, dispute or payout, or of a row that goes to suspense; "" for an operation
	OrderID       string
	TransactionID string
	Date          string // settlement date
	BatchID       string
	BatchDate     time.Time
	Category      canonical.SettlementCategory
	Amount        canonical.Money // as the report says
}

// Sink takes what matching finds, in a fixed order, while it runs.
type Sink interface {
	Difference(d Difference) error
	Mark(m Mark) error
}

// Marks collects marks into pages, for a journal that writes many in one transaction.
type Marks struct {
	Size  int // marks of a page; 0 is 500
	Write func(page []Mark) error

	page []Mark
}

// Mark adds one.
func (p *Marks) Mark(m Mark) error {
	size := p.Size
	if size <= 0 {
		size = pageSize
	}
	p.page = append(p.page, m)
	if len(p.page) < size {
		return nil
	}
	return p.Flush()
}

// Flush writes what is left; to be called after Match.
func (p *Marks) Flush() error {
	if len(p.page) == 0 {
		return nil
	}
	err := p.Write(p.page)
	p.page = p.page[:0]
	return err
}

// Cutoff says which day's batch a transaction falls into.
type Cutoff struct {
	Zone   *time.Location // of the merchant; nil is UTC
	Hour   int            // local clock time at which the batch closes; 24:00 (Hour 24) keeps the calendar day
	Minute int
	Days   int // further days until the report that shows it
}

// Due gives the settlement date of the report that has to show a transaction of the given time.
func (c Cutoff) Due(at time.Time) string {
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := at.In(zone)
	days := c.Days
	if local.Hour()*60+local.Minute() >= c.Hour*60+c.Minute {
		days++
	}
	year, month, day := local.Date()
	return time.Date(year, month, day+days, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// Begins gives the first moment of a calendar day in a zone: midnight, or what follows it where clocks are put forward at midnight and the day
// lacks its first hour.
func Begins(date time.Time, zone *time.Location) time.Time {
	year, month, day := date.Date()
	at := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if at.Day() != day {
		_, at = at.ZoneBounds()
	}
	return at
}

func (c Cutoff) validate() error {
	if minutes := c.Hour*60 + c.Minute; c.Minute < 0 || c.Minute > 59 || c.Hour < 0 || minutes > 24*60 || c.Days < 0 {
		return fmt.Errorf("batch cut-off %d:%02d and %d days is no time of a day", c.Hour, c.Minute, c.Days)
	}
	return nil
}
