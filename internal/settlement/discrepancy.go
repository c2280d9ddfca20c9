package settlement

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Sinks is a Sink of two functions; a nil one drops what it would get.
type Sinks struct {
	Differences func(d Difference) error
	Marks       func(m Mark) error
}

// Difference passes a difference on.
func (s Sinks) Difference(d Difference) error {
	if s.Differences == nil {
		return nil
	}
	return s.Differences(d)
}

// Mark passes a mark on.
func (s Sinks) Mark(m Mark) error {
	if s.Marks == nil {
		return nil
	}
	return s.Marks(m)
}

// MaxDifferences is how many differences a list holds: beyond, a report is not read line by line any more, but made anew.
const MaxDifferences = 100_000

// DifferencesCSV writes differences as they are found, MaxDifferences at most.
type DifferencesCSV struct {
	out      *csv.Writer
	date     string
	merchant string
	written  int
}

var differenceColumns = []string{
	"settlement_date", "merchant", "state", "category", "currency", "reported", "expected", "difference", "order", "operation", "transaction", "reference", "batch", "report",
	"line", "due_on", "settled_on", "likely_cause", "what_to_do",
}

// NewDifferencesCSV writes the line of column names.
func NewDifferencesCSV(w io.Writer, date, merchantID string) (*DifferencesCSV, error) {
	c := &DifferencesCSV{out: csv.NewWriter(w), date: date, merchant: merchantID}
	c.out.UseCRLF = true
	if err := c.out.Write(differenceColumns); err != nil {
		return nil, fmt.Errorf("write differences: %w", err)
	}
	return c, nil
}

// Difference writes one row; past the end of the list it writes nothing.
func (c *DifferencesCSV) Difference(d Difference) error {
	if c.written == MaxDifferences {
		return nil
	}
	c.written++
	line := ""
	if d.Line > 0 {
		line = strconv.Itoa(d.Line)
	}
	err := c.out.Write([]string{
		c.date, plain(c.merchant), string(d.State), string(d.Category), d.Currency(), amountText(d.Reported), expectedText(&d), effect(d), plain(d.OrderID), plain(d.Operation),
		plain(d.TransactionID), plain(d.Reference), plain(d.BatchID), string(d.Report), line, d.DueOn, d.SettledOn, d.Cause(), d.Advice(),
	})
	if err != nil {
		return fmt.Errorf("write differences: %w", err)
	}
	return nil
}

// HandBooked is a document of a day that people booked by hand.
type HandBooked struct {
	Kind     string          // "journal", "fee_invoice"
	Document string          // our reference or number
	Amount   canonical.Money // debits of the journal, total of the invoice
	By       HandBooking
}

// stateByHand marks the rows of such documents in the list of differences.
const stateByHand = "booked_by_hand"

// ListHandBooked copies a list of differences and adds, in place of those that it had, the documents that people booked by hand: what the
// ledger has of the day, and no report tells.
func ListHandBooked(out io.Writer, differences io.Reader, date, merchantID string, documents []HandBooked) error {
	in := csv.NewReader(differences)
	in.ReuseRecord = true
	c := csv.NewWriter(out)
	c.UseCRLF = true
	state := slices.Index(differenceColumns, "state")
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read differences: %w", err)
		}
		if state < len(row) && row[state] == stateByHand {
			continue
		}
		if err := c.Write(row); err != nil {
			return fmt.Errorf("write differences: %w", err)
		}
	}
	for _, document := range documents {
		advice := "Nothing is posted for it again. Look that the ERP holds it."
		if document.By.Reference != "" {
			advice = "Nothing is posted for it again. The ERP holds it as " + document.By.Reference + "."
		}
		cells := map[string]string{
			"settlement_date": date, "merchant": plain(merchantID), "state": stateByHand, "category": document.Kind, "currency": document.Amount.Currency,
			"expected": amountText(document.Amount), "operation": document.Document, "reference": plain(document.By.Reference),
			"likely_cause": plain(document.By.String()), "what_to_do": advice,
		}
		row := make([]string, len(differenceColumns))
		for i, column := range differenceColumns {
			row[i] = cells[column]
		}
		if err := c.Write(row); err != nil {
			return fmt.Errorf("write differences: %w", err)
		}
	}
	if c.Flush(); c.Error() != nil {
		return fmt.Errorf("write differences: %w", c.Error())
	}
	return nil
}

// Flush writes what is buffered; to be called after Match.
func (c *DifferencesCSV) Flush() error {
	if c.out.Flush(); c.out.Error() != nil {
		return fmt.Errorf("write differences: %w", c.out.Error())
	}
	return nil
}

// plain keeps a spreadsheet from taking a text of the outside for a formula.
func plain(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

func amountText(m canonical.Money) string {
	if m.Currency == "" {
		return ""
	}
	return canonical.FormatAmount(m.Amount, m.Currency)
}

// expectedText names the currency where it is not the row's.
func expectedText(d *Difference) string {
	if d.Expected.Currency != "" && d.Expected.Currency != d.Currency() {
		return d.Expected.String()
	}
	return amountText(d.Expected)
}

//go:embed page.html.tmpl
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"amount":   amountText,
	"format":   canonical.FormatAmount,
	"words":    func(text any) string { return strings.ReplaceAll(fmt.Sprint(text), "_", " ") },
	"expected": func(d Difference) string { return expectedText(&d) },
	"cause":    func(d Difference) string { return d.Cause() },
	"advice":   func(d Difference) string { return d.Advice() },
	"currency": func(d Difference) string { return d.Currency() },
	"effect":   effect,
}).Parse(pageSource))

func effect(d Difference) string { return canonical.FormatAmount(d.Amount(), d.Currency()) }

// Page is what the page of a day shows.
type Page struct {
	Result   *Result
	Journals []PageJournal // may be none
	Invoices []PageInvoice // of the processor's fees; may be none
	Status   string        // of the day, for people: "posted", "waits for approval", ...
	Notes    []string      // what else a reader has to know of the reports: those that were not there, columns that nobody knows
	Findings []Anomaly
	CSV      string // where all differences are, as a link; "" for none
}

// PageJournal is a journal that was posted, or is to be.
type PageJournal struct {
	canonical.JournalEntry
	Number  string       // the ERP's; "" while it is not posted
	Warning string       // what the ERP had to say
	ByHand  *HandBooking // who booked it, where it was not us
}

// PageInvoice is an AP invoice of the processor that was posted, or is to be.
type PageInvoice struct {
	Number   string // ours
	Amount   canonical.Money
	Document string       // the ERP's number; "" while it is not posted
	Warning  string       // what the ERP had to say
	ByHand   *HandBooking // who booked it, where it was not us
}

// stateCount is a state with its number of rows.
type stateCount struct {
	State State
	Count int
}

// Write writes the page: one file of HTML without scripts and without anything from outside.
func (p Page) Write(w io.Writer) error {
	states := make([]stateCount, 0, len(p.Result.States))
	for state, count := range p.Result.States {
		if count > 0 {
			states = append(states, stateCount{state, count})
		}
	}
	slices.SortFunc(states, func(a, b stateCount) int { return strings.Compare(string(a.State), string(b.State)) })
	err := page.Execute(w, struct {
		Page
		States   []stateCount
		More     int
		Unlisted int
	}{p, states, p.Result.Differences - len(p.Result.Listed), p.Result.Differences - MaxDifferences})
	if err != nil {
		return fmt.Errorf("write page of settlement day: %w", err)
	}
	return nil
}
