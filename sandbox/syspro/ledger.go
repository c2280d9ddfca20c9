package syspro

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Accounts that the sub-ledgers post to (erp.md 5.1).
const (
	accountBank       = "1010"
	accountClearing   = "1050"
	accountAR         = "1200"
	accountInventory  = "1300"
	accountAP         = "2100"
	accountTax        = "2200"
	accountDeposits   = "2300"
	accountSales      = "4000"
	accountReturns    = "4900"
	accountCostOfSale = "5000"
	accountFees       = "6100"
)

type account struct {
	name string
	held bool
}

// chart is the chart of accounts. 6999 is held, for those who want to see ACCOUNT_ON_HOLD.
func chart(code string) (account, bool) {
	switch code {
	case accountBank:
		return account{name: "Bank - operating"}, true
	case accountClearing:
		return account{name: "Card clearing"}, true
	case "1051":
		return account{name: "Card settlement in transit"}, true
	case "1055":
		return account{name: "Card fees withheld - clearing"}, true
	case accountAR:
		return account{name: "AR control"}, true
	case "1210":
		return account{name: "Chargebacks receivable"}, true
	case accountInventory:
		return account{name: "Inventory"}, true
	case accountAP:
		return account{name: "AP control"}, true
	case accountTax:
		return account{name: "Sales tax payable"}, true
	case accountDeposits:
		return account{name: "Customer deposits"}, true
	case accountSales:
		return account{name: "Sales"}, true
	case accountReturns:
		return account{name: "Returns and allowances"}, true
	case accountCostOfSale:
		return account{name: "Cost of sales"}, true
	case accountFees:
		return account{name: "Merchant processing fees"}, true
	case "6110":
		return account{name: "Chargeback losses"}, true
	case "6120":
		return account{name: "Chargeback and dispute fees"}, true
	case "6999":
		return account{name: "Held for tests", held: true}, true
	case "1999":
		return account{name: "Settlement suspense"}, true
	case "7010":
		return account{name: "FX gain or loss"}, true
	case "7090":
		return account{name: "Rounding differences"}, true
	default:
		return account{}, false
	}
}

// openAccount refuses an account that can't be posted to.
func openAccount(field, code, object string) *problem {
	found, known := chart(strings.TrimSpace(code))
	if !known {
		return unprocessable(codeAccountUnknown, "GL code '%s' not found", code).at(field, code).by(object, "")
	}
	if found.held {
		return unprocessable("ACCOUNT_ON_HOLD", "GL code '%s' is on hold", code).at(field, code).by(object, "")
	}
	return nil
}

// posting is a balanced entry in the general ledger, in one currency, whichever ledger made it.
type posting struct {
	JournalNumber string
	Module        string // GL, AR, AP, INV
	Date          string
	GlYear        int
	GlPeriod      int
	Currency      string
	Reference     string
	Lines         []postingLine
}

// postingLine has debits positive and credits negative.
type postingLine struct {
	AccountCode string
	Amount      number
}

func debit(account string, amount decimal.Decimal) postingLine {
	return postingLine{account, number{amount}}
}

func credit(account string, amount decimal.Decimal) postingLine {
	return postingLine{account, number{amount.Neg()}}
}

// glPeriod is where a posting goes.
type glPeriod struct {
	date        string
	year, month int
}

// book posts to the general ledger. An unbalanced posting is a defect of the sandbox and stops the request before the
// posting is kept.
func (st *state) book(c *change, at glPeriod, module, currency, reference string, lines ...postingLine) *posting {
	sum := decimal.Zero
	kept := lines[:0]
	for _, l := range lines {
		l.Amount = money(l.Amount.Decimal, currency)
		sum = sum.Add(l.Amount.Decimal)
		if !l.Amount.IsZero() {
			kept = append(kept, l)
		}
	}
	if !sum.IsZero() {
		panic("syspro sandbox: posting " + reference + " is out of balance by " + sum.String())
	}
	row := &posting{
		JournalNumber: st.next("journal", "%d", 100, nil), Module: module, Date: at.date, GlYear: at.year, GlPeriod: at.month,
		Currency: currency, Reference: reference, Lines: kept,
	}
	st.postings = append(st.postings, row)
	st.addBalances(row)
	c.put(kindPosting, row.JournalNumber, row)
	return row
}

func (st *state) addBalances(row *posting) {
	for _, l := range row.Lines {
		k := balanceKey{row.Currency, l.AccountCode}
		st.balances[k] = st.balances[k].Add(l.Amount.Decimal)
	}
}

// trialBalance is GET /_sandbox/trial-balance: per currency, every account with its balance; each sums to zero.
type trialBalance struct {
	Balanced   bool
	Currencies []currencyBalance
}

type currencyBalance struct {
	Currency   string
	Difference number // zero unless the sandbox is wrong
	Accounts   []accountBalance
}

type accountBalance struct {
	AccountCode string
	Name        string
	Balance     number // debits less credits
}

func (st *state) trialBalance() trialBalance {
	keys := make([]balanceKey, 0, len(st.balances))
	for k := range st.balances {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b balanceKey) int {
		return strings.Compare(a.currency+a.account, b.currency+b.account)
	})
	out := trialBalance{Balanced: true, Currencies: []currencyBalance{}}
	for _, k := range keys {
		if n := len(out.Currencies); n == 0 || out.Currencies[n-1].Currency != k.currency {
			out.Currencies = append(out.Currencies, currencyBalance{Currency: k.currency, Difference: money(decimal.Zero, k.currency)})
		}
		current := &out.Currencies[len(out.Currencies)-1]
		known, _ := chart(k.account)
		current.Accounts = append(current.Accounts, accountBalance{k.account, known.name, money(st.balances[k], k.currency)})
		current.Difference = money(current.Difference.Add(st.balances[k]), k.currency)
	}
	for _, c := range out.Currencies {
		out.Balanced = out.Balanced && c.Difference.IsZero()
	}
	return out
}

// period is the posting calendar of a module. Without a row a module's current period is the month of the clock.
type period struct {
	Module        string
	CurrentYear   int
	CurrentPeriod int
	Open          []string // of C current, P previous, B the one before
}

var modules = [...]string{"GL", "AR", "AP"}

func (s *Server) period(module string) (p period, pinned bool) {
	if row := s.state.periods.get(module); row != nil {
		return *row, true
	}
	now := s.config.Clock().UTC()
	return period{module, now.Year(), int(now.Month()), []string{"C", "P"}}, false
}

// postingPeriod finds the period of a date. The date decides: PostingPeriod must name a period that exists, no more.
func (s *Server) postingPeriod(module, date, object string) (glPeriod, *problem) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return glPeriod{}, refuse(http.StatusBadRequest, codeInvalid, "%q is not a date", date)
	}
	current, pinned := s.period(module)
	back := current.CurrentYear*12 + current.CurrentPeriod - day.Year()*12 - int(day.Month())
	name := ""
	switch {
	case back >= 0 && back <= 2:
		name = [...]string{"C", "P", "B"}[back]
	case back == -1 && !pinned && day.Before(s.config.Clock().UTC().AddDate(0, 0, 1)):
		name = "C" // east of the clock's zone the month has begun
	}
	if name == "" || !slices.Contains(current.Open, name) {
		p := unprocessable(codePeriodClosed, "%s period %d-%02d is closed", module, day.Year(), int(day.Month())).by(object, "")
		p.faults[0].CurrentYear, p.faults[0].CurrentPeriod = current.CurrentYear, current.CurrentPeriod
		return glPeriod{}, p
	}
	return glPeriod{date, day.Year(), int(day.Month())}, nil
}

func (s *Server) getPeriodStatus(url.Values) (any, *problem) {
	rows := make([]period, 0, len(modules))
	for _, m := range modules {
		row, _ := s.period(m)
		rows = append(rows, row)
	}
	return struct {
		success
		Modules []period
	}{lookedUp(), rows}, nil
}

type journalLineInput struct {
	AccountCode, Description, Reference string
	Debit, Credit                       numeric
}

type journalInput struct {
	Reference, JournalDate, PostingPeriod, Currency, Description, SourceCode string
	Lines                                                                    []journalLineInput
	Source                                                                   journalSource
}

type journalSource struct{ System, BatchId, SettlementDate string }

type journalLine struct {
	AccountCode string
	Debit       number
	Credit      number
	Description string
	Reference   string
}

// journal is an entry of AddJournalEntry.
type journal struct {
	Reference     string
	JournalNumber string
	GlYear        int
	GlPeriod      int
	JournalDate   string
	PostingPeriod string
	Currency      string
	Description   string
	SourceCode    string
	Posted        bool
	Lines         []journalLine
	TotalDebit    number
	TotalCredit   number
	Source        journalSource
}

type journalAnswer struct {
	success
	*journal
}

func (in *journalInput) check() (*journal, []postingLine, *problem) {
	var c checks
	c.required("Reference", in.Reference, 30)
	c.date("JournalDate", in.JournalDate)
	c.oneOf("PostingPeriod", in.PostingPeriod, "C", "P", "B")
	c.currency(in.Currency)
	c.text("Description", in.Description, 100)
	c.text("SourceCode", in.SourceCode, 10)
	c.text("Source.System", in.Source.System, 50)
	c.text("Source.BatchId", in.Source.BatchId, 50)
	c.optionalDate("Source.SettlementDate", in.Source.SettlementDate)
	if len(in.Lines) < 2 {
		c.add(codeMissing, "Lines", "a journal needs two lines")
	}
	j := &journal{
		Reference: strings.TrimSpace(in.Reference), JournalDate: in.JournalDate, PostingPeriod: in.PostingPeriod, Currency: in.Currency,
		Description: in.Description, SourceCode: in.SourceCode, Posted: true, Source: in.Source,
	}
	debits, credits := decimal.Zero, decimal.Zero
	lines := make([]postingLine, 0, len(in.Lines))
	for i, l := range in.Lines {
		at := func(name string) string { return indexed("Lines", i, name) }
		c.required(at("AccountCode"), l.AccountCode, 35)
		c.text(at("Description"), l.Description, 100)
		c.text(at("Reference"), l.Reference, 30)
		dr, cr := c.amount(at("Debit"), l.Debit, in.Currency), c.amount(at("Credit"), l.Credit, in.Currency)
		if dr.IsPositive() == cr.IsPositive() {
			c.add(codeInvalid, at("Debit"), "a line has either a debit or a credit above zero")
		}
		debits, credits = debits.Add(dr), credits.Add(cr)
		code := strings.TrimSpace(l.AccountCode)
		lines = append(lines, debit(code, dr.Sub(cr)))
		j.Lines = append(j.Lines, journalLine{code, money(dr, in.Currency), money(cr, in.Currency), l.Description, l.Reference})
	}
	j.TotalDebit, j.TotalCredit = money(debits, in.Currency), money(credits, in.Currency)
	return j, lines, c.problem()
}

func (s *Server) addJournalEntry(c *change, in *journalInput) (int, any, *problem) {
	j, lines, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	if existing := s.state.journals.get(j.Reference); existing != nil {
		return 0, nil, duplicate(journalAnswer{lookedUp(), existing}, "journal '%s' exists", j.Reference).
			at("Reference", j.Reference).by("GENTJL", "")
	}
	for i, l := range lines {
		if p := openAccount(indexed("Lines", i, "AccountCode"), l.AccountCode, "GENTJL"); p != nil {
			return 0, nil, p
		}
	}
	if !j.TotalDebit.Equal(j.TotalCredit.Decimal) {
		return 0, nil, unprocessable("JOURNAL_UNBALANCED", "debits are %s, credits %s", j.TotalDebit, j.TotalCredit).at("Lines", "").by("GENTJL", "")
	}
	at, p := s.postingPeriod("GL", j.JournalDate, "GENTJL")
	if p != nil {
		return 0, nil, p
	}
	posted := s.state.book(c, at, "GL", j.Currency, j.Reference, lines...)
	j.JournalNumber, j.GlYear, j.GlPeriod = posted.JournalNumber, at.year, at.month
	s.state.journals.add(j.Reference, j)
	c.put(kindJournal, j.Reference, j)
	return http.StatusCreated, journalAnswer{c.success(), j}, nil
}

func (s *Server) getJournalEntry(query url.Values) (any, *problem) {
	if query.Get("Reference") == "" {
		return nil, missingQuery("Reference")
	}
	j := s.state.journals.get(query.Get("Reference"))
	if j == nil {
		return nil, notFound("JOURNAL_NOT_FOUND", "journal not found").at("Reference", query.Get("Reference")).by("GENQJR", "")
	}
	return journalAnswer{lookedUp(), j}, nil
}

type distributionInput struct {
	AccountCode, Description string
	Amount                   numeric
}

type apInvoiceInput struct {
	SupplierCode, InvoiceNumber, TransactionCode, InvoiceDate, DueDate, Currency, Reference, PostingPeriod string
	InvoiceTotal, TaxAmount                                                                                numeric
	Distribution                                                                                           []distributionInput
}

type distribution struct {
	AccountCode string
	Amount      number
	Description string
}

// apInvoice is a supplier's invoice (I), credit note (C) or debit note (D).
type apInvoice struct {
	SupplierCode    string
	InvoiceNumber   string
	TransactionCode string
	InvoiceDate     string
	DueDate         string
	Currency        string
	InvoiceTotal    number
	TaxAmount       number
	Reference       string
	JournalNumber   string
	GlYear          int
	GlPeriod        int
	Distribution    []distribution
}

type apAnswer struct {
	success
	*apInvoice
}

func naturalAP(supplier, number string) string {
	return key(supplier) + "\x00" + strings.TrimSpace(number)
}

func (in *apInvoiceInput) check() (*apInvoice, *problem) {
	var c checks
	c.required("SupplierCode", in.SupplierCode, 15)
	c.required("InvoiceNumber", in.InvoiceNumber, 20)
	c.oneOf("TransactionCode", in.TransactionCode, "I", "C", "D")
	c.oneOf("PostingPeriod", in.PostingPeriod, "C", "P", "B")
	c.date("InvoiceDate", in.InvoiceDate)
	c.optionalDate("DueDate", in.DueDate)
	c.currency(in.Currency)
	c.text("Reference", in.Reference, 30)
	a := &apInvoice{
		SupplierCode: strings.TrimSpace(in.SupplierCode), InvoiceNumber: strings.TrimSpace(in.InvoiceNumber), TransactionCode: in.TransactionCode,
		InvoiceDate: in.InvoiceDate, DueDate: in.DueDate, Currency: in.Currency, Reference: in.Reference, Distribution: []distribution{},
		InvoiceTotal: money(c.positive("InvoiceTotal", in.InvoiceTotal, in.Currency), in.Currency),
		TaxAmount:    money(c.amount("TaxAmount", in.TaxAmount, in.Currency), in.Currency),
	}
	if a.TransactionCode == "" {
		a.TransactionCode = "I"
	}
	if len(in.Distribution) == 0 {
		c.add(codeMissing, "Distribution", "Distribution needs a line")
	}
	for i, d := range in.Distribution {
		c.required(indexed("Distribution", i, "AccountCode"), d.AccountCode, 35)
		c.text(indexed("Distribution", i, "Description"), d.Description, 100)
		amount := c.number(indexed("Distribution", i, "Amount"), d.Amount, 12, minorUnits(in.Currency)) // may be negative
		a.Distribution = append(a.Distribution, distribution{strings.TrimSpace(d.AccountCode), money(amount, in.Currency), d.Description})
	}
	return a, c.problem()
}

func (s *Server) addAPInvoice(c *change, in *apInvoiceInput) (int, any, *problem) {
	a, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	k := naturalAP(a.SupplierCode, a.InvoiceNumber)
	if existing := s.state.apInvoices.get(k); existing != nil {
		return 0, nil, duplicate(apAnswer{lookedUp(), existing}, "invoice '%s' of supplier '%s' exists", a.InvoiceNumber, a.SupplierCode).
			at("InvoiceNumber", a.InvoiceNumber).by("APSTIN", "")
	}
	if !knownSupplier(a.SupplierCode) {
		return 0, nil, unprocessable("SUPPLIER_NOT_FOUND", "Supplier '%s' not found", a.SupplierCode).at("SupplierCode", a.SupplierCode).by("APSTIN", "")
	}
	sum := a.TaxAmount.Decimal
	sign := decimal.NewFromInt(1)
	if a.TransactionCode == "C" {
		sign = decimal.NewFromInt(-1)
	}
	lines := []postingLine{debit(accountTax, a.TaxAmount.Mul(sign)), credit(accountAP, a.InvoiceTotal.Mul(sign))}
	for i, d := range a.Distribution {
		if p := openAccount(indexed("Distribution", i, "AccountCode"), d.AccountCode, "APSTIN"); p != nil {
			return 0, nil, p
		}
		sum = sum.Add(d.Amount.Decimal)
		lines = append(lines, debit(d.AccountCode, d.Amount.Mul(sign)))
	}
	if !sum.Equal(a.InvoiceTotal.Decimal) {
		return 0, nil, unprocessable(codeTotal, "the distribution and tax come to %s, InvoiceTotal is %s", sum, a.InvoiceTotal).at("InvoiceTotal", "").by("APSTIN", "")
	}
	at, p := s.postingPeriod("AP", a.InvoiceDate, "APSTIN")
	if p != nil {
		return 0, nil, p
	}
	posted := s.state.book(c, at, "AP", a.Currency, a.InvoiceNumber, lines...)
	a.JournalNumber, a.GlYear, a.GlPeriod = posted.JournalNumber, at.year, at.month
	s.state.apInvoices.add(k, a)
	c.put(kindAPInvoice, k, a)
	return http.StatusCreated, apAnswer{c.success(), a}, nil
}

func (s *Server) getAPInvoice(query url.Values) (any, *problem) {
	if query.Get("SupplierCode") == "" {
		return nil, missingQuery("SupplierCode")
	}
	if query.Get("InvoiceNumber") == "" {
		return nil, missingQuery("InvoiceNumber")
	}
	a := s.state.apInvoices.get(naturalAP(query.Get("SupplierCode"), query.Get("InvoiceNumber")))
	if a == nil {
		return nil, notFound(codeInvoiceUnknown, "AP invoice not found").at("InvoiceNumber", query.Get("InvoiceNumber"))
	}
	return apAnswer{lookedUp(), a}, nil
}
