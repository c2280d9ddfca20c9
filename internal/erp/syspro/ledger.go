package syspro

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindJournal looks a journal entry up by the reference we gave it.
func (c *Client) FindJournal(ctx context.Context, reference string) (erp.JournalPosting, error) {
	got, err := c.findJournal(ctx, reference)
	return got.posting(), err
}

func (c *Client) findJournal(ctx context.Context, reference string) (wireJournal, error) {
	if reference == "" {
		return wireJournal{}, c.bug("a journal look-up needs a reference")
	}
	var got wireJournal
	err := c.get(ctx, pathGetJournal, url.Values{"Reference": {reference}}, &got)
	return got, err
}

type journalEntry struct {
	Reference     string
	JournalDate   string
	PostingPeriod string
	Currency      string
	Description   string
	SourceCode    string
	Lines         []journalLine
}

type journalLine struct {
	AccountCode string
	Debit       json.Number
	Credit      json.Number
	Description string `json:",omitempty"`
	Reference   string `json:",omitempty"`
}

// PostJournal posts a balanced entry into the current period. An entry of the same reference is adopted where its lines are the same.
func (c *Client) PostJournal(ctx context.Context, key string, entry canonical.JournalEntry) (erp.JournalPosting, error) {
	if !entry.Balanced() || len(entry.Lines) < 2 {
		return erp.JournalPosting{}, c.refuse(fault.Value, "JOURNAL_UNBALANCED", "the journal is not balanced, nothing was sent")
	}
	request := journalEntry{Reference: entry.Reference, JournalDate: entry.Date, PostingPeriod: currentPostingPeriod,
		Currency: entry.Currency, Description: entry.Description, SourceCode: c.config.JournalSource}
	for _, line := range entry.Lines {
		request.Lines = append(request.Lines, journalLine{AccountCode: line.Account, Debit: money(line.Debit, entry.Currency),
			Credit: money(line.Credit, entry.Currency), Description: line.Description, Reference: line.Reference})
	}
	body, err := c.write(request)
	if err != nil {
		return erp.JournalPosting{}, err
	}
	var got wireJournal
	exists, err := c.create(ctx, pathAddJournal, key, body, &got)
	if err != nil {
		return erp.JournalPosting{}, err
	}
	if !exists {
		if !sameReference(got.Reference, entry.Reference) {
			return erp.JournalPosting{}, c.mismatched(pathAddJournal)
		}
		return got.posting(), nil
	}
	held, err := c.findJournal(ctx, entry.Reference)
	if err != nil {
		return erp.JournalPosting{}, c.unseen(err)
	}
	if !sameReference(held.Reference, entry.Reference) || !held.is(entry) {
		return erp.JournalPosting{}, c.different("a journal entry of this reference exists with other lines")
	}
	return held.posting(), nil
}

func (w *wireJournal) posting() erp.JournalPosting {
	posting := erp.JournalPosting{Reference: w.Reference, Number: w.JournalNumber, Year: w.GlYear, Period: w.GlPeriod, Total: w.TotalDebit.Decimal}
	for _, line := range w.Lines {
		posting.Lines = append(posting.Lines, canonical.JournalLine{Account: line.AccountCode, Debit: line.Debit.Decimal, Credit: line.Credit.Decimal})
	}
	return posting
}

// is compares lines by account and amount. The facade's journal has no currency of its own where an installation does not tell it; the
// reference of a settlement journal holds one.
func (w *wireJournal) is(entry canonical.JournalEntry) bool {
	if w.Currency != "" && !strings.EqualFold(w.Currency, entry.Currency) {
		return false
	}
	held := make([]string, 0, len(w.Lines))
	for _, line := range w.Lines {
		held = append(held, lineKey(line.AccountCode, line.Debit.Decimal, line.Credit.Decimal))
	}
	wanted := make([]string, 0, len(entry.Lines))
	for _, line := range entry.Lines {
		wanted = append(wanted, lineKey(line.Account, line.Debit, line.Credit))
	}
	slices.Sort(held)
	slices.Sort(wanted)
	return slices.Equal(held, wanted)
}

func lineKey(account string, debit, credit decimal.Decimal) string {
	return foldKey(account) + "|" + debit.String() + "|" + credit.String()
}

// FindAPInvoice looks a supplier's invoice up.
func (c *Client) FindAPInvoice(ctx context.Context, ref erp.APInvoiceRef) (erp.APInvoice, error) {
	if ref.SupplierCode == "" || ref.Number == "" {
		return erp.APInvoice{}, c.bug("an AP invoice look-up needs supplier and number")
	}
	var got wireAPInvoice
	err := c.get(ctx, pathGetAPInvoice, url.Values{"SupplierCode": {ref.SupplierCode}, "InvoiceNumber": {ref.Number}}, &got)
	if err != nil {
		return erp.APInvoice{}, err
	}
	return got.invoice(), nil
}

// PostAPInvoice posts a supplier's invoice, such as the processor's fees.
func (c *Client) PostAPInvoice(ctx context.Context, key string, doc erp.Document) (erp.APInvoice, error) {
	var wanted wireAPInvoice
	if err := c.read(doc, &wanted); err != nil {
		return erp.APInvoice{}, err
	}
	var got wireAPInvoice
	exists, err := c.create(ctx, pathAddAPInvoice, key, doc.Body, &got)
	if err != nil {
		return erp.APInvoice{}, err
	}
	if !exists {
		if !sameKey(got.InvoiceNumber, wanted.InvoiceNumber) || !sameKey(got.SupplierCode, wanted.SupplierCode) {
			return erp.APInvoice{}, c.mismatched(pathAddAPInvoice)
		}
		invoice := got.invoice()
		invoice.Total, invoice.Currency = wanted.InvoiceTotal.Decimal, wanted.Currency
		return invoice, nil
	}
	held, err := c.FindAPInvoice(ctx, erp.APInvoiceRef{SupplierCode: wanted.SupplierCode, Number: wanted.InvoiceNumber})
	if err != nil {
		return erp.APInvoice{}, c.unseen(err)
	}
	if !same(number{held.Total, true}, wanted.InvoiceTotal, held.Currency, wanted.Currency) {
		return erp.APInvoice{}, c.different("the supplier's invoice exists with another total or currency")
	}
	return held, nil
}

func (w *wireAPInvoice) invoice() erp.APInvoice {
	return erp.APInvoice{SupplierCode: w.SupplierCode, Number: w.InvoiceNumber, Journal: w.JournalNumber,
		Total: w.InvoiceTotal.Decimal, Currency: w.Currency}
}
