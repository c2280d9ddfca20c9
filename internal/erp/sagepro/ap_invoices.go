package sagepro

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const (
	codeSupplier  = "SUPPLIER_NOT_FOUND"
	codeAPInvoice = "AP_INVOICE_NOT_FOUND"

	transactionCredit = "C" // of a supplier's document: it is a credit note
)

// supplierDocument is what the mapping gl/fee_invoice makes, which is every ERP's. All amounts of a credit note are above zero, too.
type supplierDocument struct {
	supplier, number, currency, reference string
	invoiced, due                         string // YYYY-MM-DD
	total                                 decimal.Decimal
	credit                                bool
	distribution                          []distribution
}

type distribution struct {
	account string
	amount  decimal.Decimal
}

// readSupplierDocument reads the document. Sage Pro distributes all of a supplier's invoice to accounts, tax among it.
func readSupplierDocument(c *Client, s *site, doc erp.Document) (supplierDocument, error) {
	p, o := newPaper(s, doc)
	o.require("SupplierCode", "InvoiceNumber", "InvoiceDate", "Currency", "InvoiceTotal", "Distribution")
	d := supplierDocument{
		supplier: foldCode(o.text("SupplierCode", s.size("apmast", "vendno"))), number: strings.TrimSpace(o.text("InvoiceNumber", s.size("apmast", "invno"))),
		currency: o.text("Currency", currencyLength), reference: o.text("Reference", longestRef), invoiced: o.date("InvoiceDate"), due: o.date("DueDate"),
		credit: o.text("TransactionCode", 1) == transactionCredit,
	}
	places := minorUnits(p, "Currency", d.currency)
	d.total = o.amount("InvoiceTotal", places)
	tax, sum := o.amount("TaxAmount", places), decimal.Zero
	for _, part := range o.children("Distribution") {
		part.require("AccountCode", "Amount")
		each := distribution{account: part.text("AccountCode", s.size("apdist", "glacnt")), amount: part.amount("Amount", places)}
		part.text("Description", 0) // there is no place for it
		part.done()
		d.distribution, sum = append(d.distribution, each), sum.Add(each.amount)
	}
	o.text("PostingPeriod", 1) // the date says it
	o.done()
	switch {
	case !tax.IsZero():
		p.wrong("TaxAmount", codeInvalidField+": must be zero, and the tax a part of the distribution")
	case !d.total.IsPositive():
		p.wrong("InvoiceTotal", codeInvalidField+": must be above zero")
	case !sum.Equal(d.total):
		p.wrong("InvoiceTotal", codeTotal+": must be what the distribution adds up to")
	}
	if d.due == "" {
		d.due = d.invoiced
	}
	return d, p.fault(c)
}

func supplierReference(supplier, number string) string { return foldCode(supplier) + "/" + number }

// apInvoice is a row of apmast.
type apInvoice struct {
	VendNo text   `db:"vendno"`
	InvNo  text   `db:"invno"`
	PurAmt amount `db:"puramt"`
}

// FindAPInvoice looks a supplier's invoice up. Its currency is known where we have posted it: Sage Pro keeps none.
func (c *Client) FindAPInvoice(ctx context.Context, ref erp.APInvoiceRef) (erp.APInvoice, error) {
	var invoice erp.APInvoice
	if ref.SupplierCode == "" || ref.Number == "" {
		return invoice, c.bug("an AP invoice look-up needs supplier and number")
	}
	err := c.read(ctx, "FindAPInvoice", func(ctx context.Context, q querier) error {
		found, _, err := q.apInvoice(ctx, ref.SupplierCode, ref.Number)
		switch {
		case err != nil:
			return err
		case found == nil:
			return c.notFound(codeAPInvoice, "the supplier has no invoice of this number")
		}
		invoice = *found
		return nil
	})
	return invoice, err
}

// apInvoice finds a supplier's invoice, and tells whether it is a credit note. nil: there is none.
func (q querier) apInvoice(ctx context.Context, supplier, number string) (found *erp.APInvoice, credit bool, err error) {
	var held apInvoice
	err = q.get(ctx, &held, "SELECT {apmast: vendno invno puramt} FROM {apmast} WHERE {apmast.vendno} = ? AND {apmast.invno} = ?",
		q.value("apmast.vendno", supplier), q.value("apmast.invno", number))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	invoice := &erp.APInvoice{SupplierCode: string(held.VendNo), Number: string(held.InvNo), Total: held.PurAmt.Abs()}
	ours, err := q.xrefOf(ctx, entityAPInvoice, supplierReference(supplier, number))
	if err == nil && ours != nil {
		invoice.Currency = string(ours.CurrID)
	}
	return invoice, held.PurAmt.IsNegative(), err
}

// PostAPInvoice posts a supplier's invoice, such as the processor's fees, with its distribution over accounts; a credit note is below zero.
func (c *Client) PostAPInvoice(ctx context.Context, key string, doc erp.Document) (erp.APInvoice, error) {
	return mutate(ctx, c, key, "PostAPInvoice", doc, func(ctx context.Context, t *tx) (erp.APInvoice, error) {
		wanted, err := readSupplierDocument(c, t.site, doc)
		if err != nil {
			return erp.APInvoice{}, err
		}
		held, err := t.claim(ctx, entityAPInvoice, supplierReference(wanted.supplier, wanted.number),
			xref{ErpKey: text(wanted.number), Amount: amount{wanted.total}, CurrID: text(wanted.currency)})
		if err != nil {
			return erp.APInvoice{}, err
		}
		existing, credit, err := t.apInvoice(ctx, wanted.supplier, wanted.number)
		switch {
		case err != nil:
			return erp.APInvoice{}, err
		case existing == nil && held != nil:
			return erp.APInvoice{}, c.different("the supplier's invoice was posted, and is gone by now")
		case existing == nil:
			return t.enterAPInvoice(ctx, wanted)
		case credit != wanted.credit:
			return erp.APInvoice{}, c.different("the supplier's invoice is a credit note, or the other way round")
		case !existing.Total.Equal(wanted.total) || held != nil && !held.sameMoney(wanted.total, wanted.currency):
			return erp.APInvoice{}, c.different("the supplier's invoice exists with another total or currency")
		}
		return *existing, nil
	})
}

// enterAPInvoice writes the invoice.
func (t *tx) enterAPInvoice(ctx context.Context, wanted supplierDocument) (erp.APInvoice, error) {
	var none erp.APInvoice
	if known, err := t.exists(ctx, "apvend", "vendno", wanted.supplier); err != nil || !known {
		if err == nil {
			err = t.client.refuse(fault.MissingReference, codeSupplier, "the ERP has no supplier "+wanted.supplier,
				fault.Field{Path: "SupplierCode", Rule: "must exist in the ERP"})
		}
		return none, err
	}
	if _, err := t.openPeriod(ctx, modulePayables, wanted.invoiced); err != nil {
		return none, err
	}
	accounts := make([]string, 0, len(wanted.distribution))
	for _, part := range wanted.distribution {
		accounts = append(accounts, part.account)
	}
	if err := t.checkAccounts(ctx, accounts, "Distribution[%d].AccountCode"); err != nil {
		return none, err
	}
	side := decimal.NewFromInt(1)
	if wanted.credit {
		side = side.Neg()
	}
	err := t.insert(ctx, "apmast", row{"vendno": wanted.supplier, "invno": wanted.number, "purdate": wanted.invoiced, "duedate": wanted.due,
		"puramt": wanted.total.Mul(side), "paidamt": decimal.Zero, "ref": t.fitted("apmast", "ref", wanted.reference), "apstat": ""})
	if err != nil {
		return none, err
	}
	for i, part := range wanted.distribution {
		err := t.insert(ctx, "apdist", row{"vendno": wanted.supplier, "invno": wanted.number, "seq": i + 1, "glacnt": part.account, "amount": part.amount.Mul(side)})
		if err != nil {
			return none, err
		}
	}
	return erp.APInvoice{SupplierCode: wanted.supplier, Number: wanted.number, Total: wanted.total, Currency: wanted.currency}, nil
}
