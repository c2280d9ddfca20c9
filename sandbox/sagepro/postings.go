package sagepro

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// posting is a balanced entry in the general ledger: a batch that is there, or what AR and AP would hand over at their period's end.
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
	Amount      amount
}

func debit(account string, d decimal.Decimal) postingLine { return postingLine{account, amount{d}} }

func credit(account string, d decimal.Decimal) postingLine {
	return postingLine{account, amount{d.Neg()}}
}

// entry makes a posting of lines; lines of one account are one, and those that come to nothing are left out.
func entry(module, journal, date, currency, reference string, lines ...postingLine) posting {
	p := posting{JournalNumber: journal, Module: module, Date: date, Currency: currency, Reference: reference, Lines: []postingLine{}}
	if len(date) >= 7 {
		p.GlYear, p.GlPeriod = atoi(date[:4]), atoi(date[5:7])
	}
	for _, l := range lines {
		i := slices.IndexFunc(p.Lines, func(known postingLine) bool { return known.AccountCode == l.AccountCode })
		if i < 0 {
			p.Lines = append(p.Lines, postingLine{l.AccountCode, money(l.Amount.Decimal, currency)})
			continue
		}
		p.Lines[i].Amount = money(p.Lines[i].Amount.Add(l.Amount.Decimal), currency)
	}
	p.Lines = slices.DeleteFunc(p.Lines, func(l postingLine) bool { return l.Amount.IsZero() })
	return p
}

func atoi(digits string) int {
	n := 0
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

func (b *books) postings(x *index) []posting {
	all := []posting{}
	for i := range b.invoices {
		if row := &b.invoices[i]; !row.void() {
			all = append(all, invoiceEntry(row, x))
		}
	}
	all = append(all, b.cashEntries()...)
	all = append(all, b.billEntries()...)
	for _, j := range b.batches {
		var lines []postingLine
		for _, l := range b.batchLines {
			if l.Batchno == j.Batchno {
				lines = append(lines, debit(string(l.Glacnt), l.Amount.Decimal))
			}
		}
		all = append(all, entry("GL", ours(j.Batchno), string(j.Trandate), companyCurrency, string(j.Ref), lines...))
	}
	return slices.DeleteFunc(all, func(p posting) bool { return len(p.Lines) == 0 })
}

// invoiceEntry is what an invoice or a credit memo posts, with the cost of the goods that left or came back under its number.
func invoiceEntry(i *invoice, x *index) posting {
	sales, net := accountSales, i.Invamt.Sub(i.Tax.Decimal)
	if i.memo() {
		sales = accountReturns
	}
	n := ours(i.Invno)
	cost := money(x.cost[n], string(i.Currid)).Decimal
	lines := []postingLine{debit(accountAR, i.Invamt.Decimal), credit(accountTax, i.Tax.Decimal)}
	rest := net
	if !i.memo() {
		for _, l := range x.invoiceLines[i.Invno] {
			if account := x.salesAccount(l); account != "" {
				lines, rest = append(lines, credit(account, l.Extprice.Decimal)), rest.Sub(l.Extprice.Decimal)
			}
		}
	}
	lines = append(lines, credit(sales, rest), debit(accountCostOfSale, cost), credit(accountInventory, cost))
	return entry("AR", n, string(i.Invdte), string(i.Currid), n, lines...)
}

// salesAccount is the account that an order's line names for its sales; "" is the usual one.
func (x *index) salesAccount(l *invoiceLine) string {
	for _, line := range x.lines[l.Sono] {
		if line.Number == l.number() {
			return string(line.Glsale)
		}
	}
	return ""
}

// cashEntries are what rows of cash post: what invoices get leaves the receivables, what none got becomes a deposit, and the bank has the sum.
func (b *books) cashEntries() []posting {
	type key struct{ refno, custno, paytype text }
	var order []key
	groups := map[key][]*cash{}
	for i := range b.cash {
		row := &b.cash[i]
		k := key{row.Refno, row.Custno, row.Paytype}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], row)
	}
	all := make([]posting, 0, len(order))
	for _, k := range order {
		var lines []postingLine
		for _, r := range groups[k] {
			against, bank := accountAR, string(r.Bankacct)
			if r.deposit() {
				against = accountDeposits
			}
			if bank == "" || k.paytype == paidApplied || k.paytype == paidSetOff {
				bank = accountClearing
			}
			lines = append(lines, debit(bank, r.Paidamt.Decimal), credit(against, r.Paidamt.Decimal))
		}
		first := groups[k][0]
		all = append(all, entry("AR", strings.TrimSpace(string(k.refno)), string(first.Dtepaid), string(first.Currid), string(k.refno), lines...))
	}
	return all
}

// billEntries are what vendors' invoices post.
func (b *books) billEntries() []posting {
	var all []posting
	for _, a := range b.bills {
		lines := []postingLine{credit(accountAP, a.Puramt.Decimal)}
		for _, d := range b.billLines {
			if d.Vendno == a.Vendno && d.Invno == a.Invno {
				lines = append(lines, debit(string(d.Glacnt), d.Amount.Decimal))
			}
		}
		all = append(all, entry("AP", string(a.Invno), string(a.Purdate), companyCurrency, string(a.Invno), lines...))
	}
	return all
}

// trialBalance is GET /_sandbox/trial-balance: per currency every account with its balance, debits less credits.
type trialBalance struct {
	Balanced   bool
	Currencies []currencyBalance
}

type currencyBalance struct {
	Currency   string
	Difference amount
	Accounts   []accountBalance
}

type accountBalance struct {
	AccountCode string
	Name        string
	Balance     amount
}

func (b *books) trialBalance() trialBalance {
	sums := map[string]map[string]decimal.Decimal{}
	for _, p := range b.postings(b.index()) {
		if sums[p.Currency] == nil {
			sums[p.Currency] = map[string]decimal.Decimal{}
		}
		for _, l := range p.Lines {
			sums[p.Currency][l.AccountCode] = sums[p.Currency][l.AccountCode].Add(l.Amount.Decimal)
		}
	}
	out := trialBalance{Balanced: true, Currencies: []currencyBalance{}}
	for _, currency := range sortedKeys(sums) {
		c := currencyBalance{Currency: currency, Accounts: []accountBalance{}}
		difference := decimal.Zero
		for _, account := range sortedKeys(sums[currency]) {
			difference = difference.Add(sums[currency][account])
			c.Accounts = append(c.Accounts, accountBalance{account, b.accounts[account], money(sums[currency][account], currency)})
		}
		c.Difference = money(difference, currency)
		out.Balanced = out.Balanced && difference.IsZero()
		out.Currencies = append(out.Currencies, c)
	}
	return out
}
