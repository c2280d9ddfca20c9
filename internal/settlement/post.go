package settlement

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Mode says what the ledger already knows of captures and refunds when the settlement journal comes.
type Mode string

// The modes. One company has one: an event that reaches the ledger by receipts and by journal is booked twice.
const (
	ModeDetail  Mode = "detail"  // each capture and refund is a receipt; the journal empties their clearing account
	ModeSummary Mode = "summary" // nothing is booked of them; the journal carries gross, refunds, fees and chargebacks
)

// Mapping names the mapping that makes the journal of a mode.
func (m Mode) Mapping() string {
	if m == ModeSummary {
		return "gl/settlement_summary"
	}
	return "gl/settlement"
}

const (
	maxReference     = 30 // characters of a reference in the general ledger
	maxInvoiceNumber = 20 // characters of an invoice's number in accounts payable
)

var suffixShape = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,11}$`)

// Reference names the journal of a day and currency: CYB20260728USD, with -EU for one of several merchants (a letter, then letters
// and digits, 12 at most; "" for the only one), and -2 for the second correction. No two journals share one.
func Reference(date, currency, merchant string, correction int) (string, error) {
	return reference("CYB", date, currency, merchant, correction)
}

// FeeReference names the AP invoice of a day's fees, CYBFEE20260728USD-EU, -1 at its end that of the first correction. One that is longer than
// ERPs keep is shortened: CF260728USD-EU-1.
func FeeReference(date, currency, merchant string, correction int) (string, error) {
	const prefix, century = "CYBFEE", "20"
	name, err := reference(prefix, date, currency, merchant, correction)
	if err == nil && len(name) > maxInvoiceNumber {
		name = "CF" + name[len(prefix+century):]
	}
	return name, err
}

func reference(prefix, date, currency, merchant string, correction int) (string, error) {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", errors.New("reference: the date has to be YYYY-MM-DD")
	}
	if _, err := canonical.MinorUnits(currency); err != nil {
		return "", fmt.Errorf("reference: %w", err)
	}
	name := prefix + at.Format("20060102") + currency
	if merchant != "" {
		if !suffixShape.MatchString(merchant) {
			return "", errors.New("reference: the merchant's suffix has to be a capital letter and at most 11 more letters or digits")
		}
		name += "-" + merchant
	}
	if correction < 0 {
		return "", errors.New("reference: corrections count from 1")
	}
	if correction > 0 {
		name += "-" + strconv.Itoa(correction)
	}
	if len(name) > maxReference {
		return "", fmt.Errorf("reference: has more than %d characters", maxReference)
	}
	return name, nil
}

// journalDocument is what the mappings of the ledger make.
type journalDocument struct {
	Reference, JournalDate, Currency, Description string
	Lines                                         []struct {
		AccountCode, Description, Reference string
		Debit, Credit                       decimal.Decimal
	}
}

// Entry makes the journal entry of a mapped document, and holds it to what every ledger asks: two lines or more, each with an account
// and one side, nothing finer than the currency, debits equal to credits. A reference that is not "" takes the document's place.
func Entry(document []byte, reference string) (canonical.JournalEntry, error) {
	var doc journalDocument
	if err := json.NewDecoder(bytes.NewReader(document)).Decode(&doc); err != nil {
		return canonical.JournalEntry{}, errors.New("journal: the mapped document has not the shape of a journal")
	}
	entry := canonical.JournalEntry{
		Reference: cmp.Or(reference, doc.Reference), Date: doc.JournalDate, Currency: doc.Currency, Description: doc.Description,
	}
	for _, line := range doc.Lines {
		entry.Lines = append(entry.Lines, canonical.JournalLine{
			Account: line.AccountCode, Debit: line.Debit, Credit: line.Credit, Description: line.Description, Reference: line.Reference,
		})
	}
	return entry, check(entry)
}

func check(entry canonical.JournalEntry) error {
	scale, err := canonical.MinorUnits(entry.Currency)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if entry.Reference == "" || len(entry.Reference) > maxReference {
		return fmt.Errorf("journal: the reference has to have 1 to %d characters", maxReference)
	}
	if len(entry.Lines) < 2 {
		return errors.New("journal: has less than two lines")
	}
	for i, line := range entry.Lines {
		switch {
		case line.Account == "":
			return fmt.Errorf("journal, line %d: has no account", i+1)
		case line.Debit.IsNegative() || line.Credit.IsNegative() || line.Debit.IsZero() == line.Credit.IsZero():
			return fmt.Errorf("journal, line %d: has to have a debit or a credit", i+1)
		case !line.Debit.Equal(line.Debit.Round(scale)) || !line.Credit.Equal(line.Credit.Round(scale)):
			return fmt.Errorf("journal, line %d: is finer than the currency divides", i+1)
		}
	}
	if !entry.Balanced() {
		return errors.New("journal: debits and credits differ")
	}
	return nil
}

// Correction gives the journal that turns what was posted into what should be: per account the difference. wanted is the day's whole
// journal; its lines may be none. False means that nothing has to be posted. The reference is that of the correction.
func Correction(wanted canonical.JournalEntry, posted []canonical.JournalEntry, reference string) (canonical.JournalEntry, bool, error) {
	net := map[string]decimal.Decimal{}
	texts := map[string]canonical.JournalLine{}
	for _, entry := range posted {
		if entry.Currency != wanted.Currency {
			return canonical.JournalEntry{}, false, errors.New("correction: a journal was posted in another currency")
		}
		for _, line := range entry.Lines {
			net[line.Account] = net[line.Account].Sub(line.Debit).Add(line.Credit)
			texts[line.Account] = line
		}
	}
	for _, line := range wanted.Lines {
		net[line.Account] = net[line.Account].Add(line.Debit).Sub(line.Credit)
		texts[line.Account] = line
	}
	entry := canonical.JournalEntry{
		Reference: reference, Date: wanted.Date, Currency: wanted.Currency, Description: strings.TrimSpace(wanted.Description + " correction"),
	}
	for account, amount := range net {
		line := canonical.JournalLine{Account: account, Description: texts[account].Description, Reference: texts[account].Reference}
		switch {
		case amount.IsZero():
			continue
		case amount.IsPositive():
			line.Debit = amount
		default:
			line.Credit = amount.Neg()
		}
		entry.Lines = append(entry.Lines, line)
	}
	if len(entry.Lines) == 0 {
		return canonical.JournalEntry{}, false, nil
	}
	slices.SortFunc(entry.Lines, func(a, b canonical.JournalLine) int { return cmp.Compare(a.Account, b.Account) })
	return entry, true, check(entry)
}

// invoiced tells which categories an AP invoice of the processor books.
func invoiced(c canonical.SettlementCategory) bool {
	switch c {
	case canonical.SettlementFee, canonical.SettlementChargebackFee, FeeInterchange, FeeDiscount, FeeAssessment, FeePerItem, FeeService, FeeReversal:
		return true
	default:
		return false
	}
}

// splitFees takes the fees out of the journal's lines and leaves what was withheld for them.
func (c *CurrencyResult) splitFees() {
	withheld := Line{SettlementLine: canonical.SettlementLine{Category: FeeWithheld}}
	lines := make([]Line, 0, len(c.Lines))
	for _, line := range c.Lines {
		if !invoiced(line.Category) {
			lines = append(lines, line)
			continue
		}
		c.Fees = append(c.Fees, line)
		withheld.Count += line.Count
		if WayOf(line.Category) == Income {
			withheld.Amount = withheld.Amount.Sub(line.Amount)
		} else {
			withheld.Amount = withheld.Amount.Add(line.Amount)
		}
	}
	if withheld.Amount.IsNegative() {
		withheld.Category, withheld.Amount = FeeReturned, withheld.Amount.Neg()
	}
	if !withheld.Amount.IsZero() {
		lines = append(lines, withheld)
	}
	c.Lines = lines
}

// FeeInvoice is what the processor charges for a day: an AP invoice, or a credit where it gave back more than it charged.
type FeeInvoice struct {
	Number       string                     `json:"number"`
	Date         string                     `json:"date"`
	Currency     string                     `json:"currency"`
	Total        decimal.Decimal            `json:"total"`        // negative for a credit: transaction code C in place of I
	Distribution []canonical.SettlementLine `json:"distribution"` // adds up to the total; what was given back is negative
}

// FeeInvoice makes the AP invoice of a currency's fees, or of what was not invoiced of them: invoiced are the distributions of the day's
// invoices so far. False where there is nothing to invoice. merchant is the suffix of several merchants.
func (r *Result) FeeInvoice(c *CurrencyResult, merchant string, invoiced ...[]canonical.SettlementLine) (FeeInvoice, bool, error) {
	if c.Outcome == Parked {
		return FeeInvoice{}, false, nil
	}
	due := map[canonical.SettlementCategory]decimal.Decimal{}
	for _, line := range c.Fees {
		due[line.Category] = due[line.Category].Add(signed(line))
	}
	for _, distribution := range invoiced {
		for _, line := range distribution {
			due[line.Category] = due[line.Category].Sub(line.Amount)
		}
	}
	invoice := FeeInvoice{Date: r.Date, Currency: c.Currency}
	for _, category := range slices.Sorted(maps.Keys(due)) {
		if amount := due[category]; !amount.IsZero() {
			invoice.Total = invoice.Total.Add(amount)
			invoice.Distribution = append(invoice.Distribution, canonical.SettlementLine{Category: category, Amount: amount})
		}
	}
	if invoice.Total.IsZero() {
		return FeeInvoice{}, false, nil
	}
	var err error
	invoice.Number, err = FeeReference(r.Date, c.Currency, merchant, len(invoiced))
	return invoice, err == nil, err
}

// signed gives a fee's amount, negative where it was given back.
func signed(line Line) decimal.Decimal {
	if WayOf(line.Category) == Income {
		return line.Amount.Neg()
	}
	return line.Amount
}

// HandBooking tells who booked a document by hand that was to be posted. Its lines are those that were planned.
type HandBooking struct {
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason,omitempty"`
	Reference string    `json:"reference,omitempty"` // under which the ERP has it, as they told it
	At        time.Time `json:"at"`
}

// String is one sentence for people.
func (h HandBooking) String() string {
	text := "booked by hand by " + h.Actor + " on " + h.At.UTC().Format(time.DateOnly)
	if h.Reference != "" {
		text += " as " + h.Reference
	}
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}
