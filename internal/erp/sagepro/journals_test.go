package sagepro_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func (d *desk) journal() canonical.JournalEntry {
	return canonical.JournalEntry{Reference: d.name("CYB20261120USD"), Date: today(), Currency: "USD", Description: "Cybersource settlement 2026-11-20", Lines: []canonical.JournalLine{
		{Account: "1010", Debit: dec("11247.32"), Description: "Deposit of the processor, as it is on its way to the bank", Reference: "batch-7031234567890123456702"},
		{Account: "6100", Debit: dec("362.18")}, {Account: "1050", Credit: dec("11609.50")}}}
}

func TestAJournalIsABatchOfTheLedger(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		entry := d.journal()
		posted, err := d.PostJournal(t.Context(), d.key(), entry)
		require.NoError(t, err)
		now := time.Now().UTC()
		require.Equal(t, [2]int{now.Year(), int(now.Month())}, [2]int{posted.Year, posted.Period})
		requireAmount(t, "11609.50", posted.Total)
		require.True(t, posted.Is(entry))
		require.Equal(t, entry.Reference, d.ask(t, "SELECT ref FROM glbatch"))
		require.Equal(t, "O", d.ask(t, "SELECT status FROM glbatch"))
		requireAmount(t, "11609.50", dec(d.ask(t, "SELECT totcr FROM glbatch")))
		requireAmount(t, "-11609.50", dec(d.ask(t, "SELECT amount FROM gltran WHERE seq = 3")))
		require.Equal(t, "Deposit of the processor, as it is on it", d.ask(t, "SELECT descrip FROM gltran WHERE seq = 1"))
		require.Equal(t, "Cybersource settlement 2026-11-20", d.ask(t, "SELECT descrip FROM gltran WHERE seq = 2"))
		require.Len(t, d.ask(t, "SELECT ref FROM gltran WHERE seq = 1"), 20)
		d.requireNoDrift(t)

		other := entry
		other.Lines = []canonical.JournalLine{{Account: "1010", Debit: dec("11609.50")}, {Account: "1050", Credit: dec("11609.50")}}
		_, err = d.PostJournal(t.Context(), d.key(), other)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		foreign := entry
		foreign.Currency = "GBP"
		_, err = d.PostJournal(t.Context(), d.key(), foreign)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM glbatch"))
	})
}

// The column holds twenty characters: two references that begin alike stay two batches, each found by the whole of it.
func TestALongJournalReferenceIsShortened(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for _, end := range []string{"1", "2"} {
			entry := d.journal()
			entry.Reference = "CYBCB-2026112070312345" + end
			posted, err := d.PostJournal(t.Context(), d.key(), entry)
			require.NoError(t, err)
			found, err := d.FindJournal(t.Context(), entry.Reference)
			require.NoError(t, err)
			require.Equal(t, posted.Number, found.Number)
			require.Equal(t, entry.Reference, found.Reference)
			require.Len(t, d.ask(t, "SELECT ref FROM glbatch WHERE trim(batchno) = ?", posted.Number), 20)
		}
	})
}

// A batch that people have typed under the reference is taken for what it is.
func TestAJournalThatPeopleTyped(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		entry := canonical.JournalEntry{Reference: "CYB20261120USD", Date: today(), Currency: "USD", Lines: []canonical.JournalLine{
			{Account: "1010", Debit: dec("5")}, {Account: "1050", Credit: dec("5")}}}
		d.set(t, "INSERT INTO glbatch (batchno, source, ref, trandate, glyear, glperiod, totdr, totcr) VALUES ('       900', 'GJ', ?, ?, 2026, 11, '5', '5')", entry.Reference, today())
		d.set(t, "INSERT INTO gltran (batchno, seq, glacnt, amount) VALUES ('       900', 1, ?, '5'), ('       900', 2, ?, '-5')",
			fmt.Sprintf("%-24s", "1010"), fmt.Sprintf("%-24s", "1050"))
		found, err := d.FindJournal(t.Context(), entry.Reference)
		require.NoError(t, err)
		require.Equal(t, "900", found.Number)
		other := entry
		other.Lines = []canonical.JournalLine{{Account: "1010", Debit: dec("6")}, {Account: "1050", Credit: dec("6")}}
		_, err = d.PostJournal(t.Context(), d.key(), other)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		posted, err := d.PostJournal(t.Context(), d.key(), entry)
		require.NoError(t, err)
		require.Equal(t, "900", posted.Number)
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM glbatch"))
	})
}

// A site may clear away batches that are posted: what is gone was posted all the same, and is not posted once more.
func TestAJournalThatWasClearedAwayIsNotPostedTwice(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		entry, key := d.journal(), d.key()
		posted, err := d.PostJournal(t.Context(), key, entry)
		require.NoError(t, err)
		d.set(t, "DELETE FROM gltran")
		d.set(t, "DELETE FROM glbatch")
		again, err := d.PostJournal(t.Context(), key, entry)
		require.NoError(t, err)
		require.Equal(t, posted.Number, again.Number)
		_, err = d.PostJournal(t.Context(), d.key(), entry)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM glbatch"))
	})
}

func TestAJournalIsRefusedAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for name, c := range map[string]struct {
			change func(*canonical.JournalEntry)
			kind   fault.Kind
			code   string
			field  string
		}{
			"unbalanced":           {func(e *canonical.JournalEntry) { e.Lines[0].Debit = dec("1") }, fault.Value, "JOURNAL_UNBALANCED", ""},
			"of one line":          {func(e *canonical.JournalEntry) { e.Lines = []canonical.JournalLine{{Account: "1010"}} }, fault.Value, "JOURNAL_UNBALANCED", ""},
			"an unknown account":   {func(e *canonical.JournalEntry) { e.Lines[1].Account = "6999X" }, fault.MissingReference, "ACCOUNT_NOT_FOUND", "gltran[1].glacnt"},
			"an inactive account":  {func(e *canonical.JournalEntry) { e.Lines[1].Account = "6999" }, fault.DeclinedByPolicy, "ACCOUNT_ON_HOLD", "gltran[1].glacnt"},
			"no date":              {func(e *canonical.JournalEntry) { e.Date = "today" }, fault.Value, "INVALID_FIELD", "glbatch.trandate"},
			"a period long closed": {func(e *canonical.JournalEntry) { e.Date = "2019-01-31" }, fault.ClosedPeriod, "PERIOD_CLOSED", ""},
			"without a reference":  {func(e *canonical.JournalEntry) { e.Reference = "" }, fault.Bug, "", ""},
		} {
			entry := d.journal()
			c.change(&entry)
			_, err := d.PostJournal(t.Context(), d.key(), entry)
			require.True(t, fault.Is(err, c.kind), "%s: %v", name, err)
			require.Equal(t, c.code, fault.As(err).Code, name)
			if c.field != "" {
				require.Equal(t, c.field, fault.As(err).Fields[0].Path, name)
			}
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM glbatch"), name)
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM cyb_xref"), name)
		}
		_, err := d.FindJournal(t.Context(), "NONE")
		requireFault(t, err, fault.NotFound, "JOURNAL_NOT_FOUND")
		_, err = d.FindJournal(t.Context(), "")
		require.True(t, fault.Is(err, fault.Bug))
	})
}

func (d *desk) fees() paper {
	return paper{"SupplierCode": "cybsrc", "InvoiceNumber": d.name("CYBFEE20261120"), "TransactionCode": "I", "InvoiceDate": today(), "DueDate": today(), "PostingPeriod": "C",
		"Currency": "USD", "InvoiceTotal": money("387.18"), "TaxAmount": money("0.00"), "Reference": "CYB20261120USD",
		"Distribution": []paper{{"AccountCode": "6100", "Amount": money("362.18"), "Description": "Fees"}, {"AccountCode": "6120", "Amount": money("25.00")}}}
}

func TestASuppliersInvoiceIsDistributed(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for code, side := range map[string]string{"I": "", "C": "-"} {
			fees := d.fees()
			fees["TransactionCode"] = code
			posted, err := d.PostAPInvoice(t.Context(), d.key(), fees.document(t))
			require.NoError(t, err)
			require.Equal(t, "CYBSRC", posted.SupplierCode)
			number := fees["InvoiceNumber"].(string)
			requireAmount(t, side+"387.18", dec(d.ask(t, "SELECT puramt FROM apmast WHERE trim(invno) = ?", number)))
			requireAmount(t, side+"25", dec(d.ask(t, "SELECT amount FROM apdist WHERE seq = 2 AND trim(invno) = ?", number)))
			found, err := d.FindAPInvoice(t.Context(), erp.APInvoiceRef{SupplierCode: "CYBSRC", Number: number})
			require.NoError(t, err)
			requireAmount(t, "387.18", found.Total)
			require.Equal(t, "USD", found.Currency)
			again, err := d.PostAPInvoice(t.Context(), d.key(), fees.document(t))
			require.NoError(t, err)
			require.Equal(t, number, again.Number)

			fees["Currency"] = "GBP"
			_, err = d.PostAPInvoice(t.Context(), d.key(), fees.document(t))
			requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		}
		d.requireNoDrift(t)
	})
}

func TestASuppliersInvoiceThatPeopleTyped(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		fees := d.fees()
		d.set(t, "INSERT INTO apmast (vendno, invno, puramt) VALUES ('CYBSRC', ?, '387.18')", fees["InvoiceNumber"])
		found, err := d.FindAPInvoice(t.Context(), erp.APInvoiceRef{SupplierCode: "CYBSRC", Number: fees["InvoiceNumber"].(string)})
		require.NoError(t, err)
		require.Empty(t, found.Currency, "Sage Pro does not tell it")
		_, err = d.PostAPInvoice(t.Context(), d.key(), fees.document(t))
		require.NoError(t, err)
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM apmast"))
		require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM apdist"))
	})
}

// An invoice is no credit note of the same amount.
func TestASuppliersCreditNoteIsNotItsInvoice(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.fees()
		_, err := d.PostAPInvoice(t.Context(), d.key(), invoice.document(t))
		require.NoError(t, err)
		invoice["TransactionCode"] = "C"
		_, err = d.PostAPInvoice(t.Context(), d.key(), invoice.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
	})
}

func TestASuppliersInvoiceIsRefusedAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		set := func(name string, value any) func(paper) { return func(p paper) { p[name] = value } }
		for name, c := range map[string]struct {
			change func(paper)
			kind   fault.Kind
			code   string
			field  string
		}{
			"an unknown supplier":   {set("SupplierCode", "NONE"), fault.MissingReference, "SUPPLIER_NOT_FOUND", "SupplierCode"},
			"an unknown account":    {set("Distribution", []paper{{"AccountCode": "6999X", "Amount": money("387.18")}}), fault.MissingReference, "ACCOUNT_NOT_FOUND", "Distribution[0].AccountCode"},
			"another total":         {set("InvoiceTotal", money("387.19")), fault.Value, "TOTAL_MISMATCH", "InvoiceTotal"},
			"tax of its own":        {set("TaxAmount", money("1.00")), fault.Value, "INVALID_FIELD", "TaxAmount"},
			"nothing":               {set("InvoiceTotal", money("0")), fault.Value, "INVALID_FIELD", "InvoiceTotal"},
			"without accounts":      {func(p paper) { delete(p, "Distribution") }, fault.Value, "MISSING_FIELD", "Distribution"},
			"a number too long":     {set("InvoiceNumber", strings.Repeat("1", 21)), fault.Value, "FIELD_TOO_LONG", "InvoiceNumber"},
			"a period long closed":  {set("InvoiceDate", "2019-01-31"), fault.ClosedPeriod, "PERIOD_CLOSED", ""},
			"what nobody reads":     {set("Remark", "x"), fault.Value, "INVALID_FIELD", "Remark"},
			"a part without amount": {set("Distribution", []paper{{"AccountCode": "6100"}}), fault.Value, "MISSING_FIELD", "Distribution[0].Amount"},
		} {
			fees := d.fees()
			c.change(fees)
			_, err := d.PostAPInvoice(t.Context(), d.key(), fees.document(t))
			f := requireFault(t, err, c.kind, c.code)
			if c.field != "" {
				require.Equal(t, c.field, f.Fields[0].Path, name)
			}
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM apmast"), name)
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM cyb_xref"), name)
		}
		_, err := d.FindAPInvoice(t.Context(), erp.APInvoiceRef{SupplierCode: "CYBSRC", Number: "NONE"})
		requireFault(t, err, fault.NotFound, "AP_INVOICE_NOT_FOUND")
		_, err = d.FindAPInvoice(t.Context(), erp.APInvoiceRef{SupplierCode: "CYBSRC"})
		require.True(t, fault.Is(err, fault.Bug))
	})
}
