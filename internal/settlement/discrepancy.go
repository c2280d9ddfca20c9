package settlement

import (
	_ "embed"
	"encoding/csv"
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

// DifferencesCSV writes differences as they are found, however many.
type DifferencesCSV struct {
	out      *csv.Writer
	date     string
	merchant string
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

// Difference writes one row.
func (c *DifferencesCSV) Difference(d Difference) error {
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
	Journals []canonical.JournalEntry // posted, or to be posted; may be none
	Status   string                   // of the day, for people: "posted", "waits for approval", ...
	Findings []Anomaly
	CSV      string // where all differences are, as a link; "" for none
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
		States []stateCount
		More   int
	}{p, states, p.Result.Differences - len(p.Result.Listed)})
	if err != nil {
		return fmt.Errorf("write page of settlement day: %w", err)
	}
	return nil
}
