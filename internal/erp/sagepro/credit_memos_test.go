package sagepro_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func (d *desk) memo(invoice, amount string) paper {
	return paper{"reference": d.name("MEMO"), "invno": invoice, "custno": "WEB", "invdte": today(), "amount": money(amount), "tax": money("0.00"), "currid": "USD", "reason": "RETURN"}
}

func (d *desk) credit(t *testing.T, memo paper) canonical.CreditMemo {
	t.Helper()
	made, err := d.CreateCreditMemo(t.Context(), d.key(), memo.document(t))
	require.NoError(t, err)
	return made
}

func (d *desk) onHand(t *testing.T, item string) string {
	t.Helper()
	return d.ask(t, "SELECT lonhand FROM iciloc WHERE trim(item) = ? AND trim(loctid) = 'N'", item)
}

func TestACreditMemoOfAPaidInvoiceCanBePaidBack(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		d.pay(t, d.receipt("48.19", [2]string{invoice.Number, "48.19"}))
		before := dec(d.onHand(t, "A100"))
		wanted := d.memo(invoice.Number, "21.60")
		wanted["tax"], wanted["restock"] = money("1.65"), []paper{{"tranlineno": 1, "item": "A100", "quantity": 1, "loctid": "N"}}
		made := d.credit(t, wanted)
		require.Equal(t, invoice.Number, made.Invoice)
		requireAmount(t, "21.60", made.Amount)
		d.requireOpen(t, invoice.Number, "0")
		d.requireOwed(t, "-21.60")
		row := func(column string) string {
			return d.ask(t, "SELECT "+column+" FROM armast WHERE trim(invno) = ?", made.Number)
		}
		require.Equal(t, "C", row("artype"))
		require.Equal(t, order.Number, strings.TrimSpace(row("ornum")))
		require.Equal(t, order.OrderNumber, row("ponum"))
		requireAmount(t, "-21.60", dec(row("invamt")))
		requireAmount(t, "-1.65", dec(row("tax")))
		requireAmount(t, "-21.60", dec(row("balance")))
		require.Equal(t, "Credit of invoice "+invoice.Number+": RETURN: "+made.Reference, row("arnotes"))
		requireAmount(t, "1", dec(d.onHand(t, "A100")).Sub(before))
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM ictran WHERE trantyp = 'R' AND trim(docno) = ?", made.Number))
		requireAmount(t, "-1", dec(d.ask(t, "SELECT qtyshp FROM artran WHERE trim(invno) = ? AND trim(item) = 'A100'", made.Number)))
		requireAmount(t, "-19.95", dec(d.ask(t, "SELECT extprice FROM artran WHERE trim(invno) = ? AND trim(item) = ''", made.Number)))

		found, err := d.FindCreditMemo(t.Context(), erp.CreditMemoRef{Reference: made.Reference, Invoice: invoice.Number})
		require.NoError(t, err)
		require.Equal(t, made.Number, found.Number)
		requireAmount(t, "21.60", found.Amount)
		_, err = d.FindCreditMemo(t.Context(), erp.CreditMemoRef{Reference: made.Reference, Invoice: "99999"})
		requireFault(t, err, fault.NotFound, "CREDIT_MEMO_NOT_FOUND")
	})
}

// A compensation takes the receipt back and credits the invoice: both are closed then, and nobody owes anything.
func TestACreditMemoSetsOffWhatIsOpen(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		d.pay(t, d.receipt("10.00", [2]string{invoice.Number, "10.00"}))
		made := d.credit(t, d.memo(invoice.Number, "30.00"))
		d.requireOpen(t, invoice.Number, "0")
		requireAmount(t, "-10", dec(d.ask(t, "SELECT balance FROM armast WHERE trim(invno) = ?", made.Number)))
		require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM arcash WHERE paytype = 'C'"))
		d.requireOwed(t, "-10")

		open := d.billed(t, 30)
		receipt := d.pay(t, d.receipt("30.00", [2]string{open.Number, "30.00"}))
		_, err := d.ReverseReceipt(t.Context(), d.key(), d.reversal(receipt))
		require.NoError(t, err)
		closing := d.credit(t, d.memo(open.Number, "30.00"))
		requireAmount(t, "0", dec(d.ask(t, "SELECT balance FROM armast WHERE trim(invno) = ?", closing.Number)))
		d.requireOpen(t, open.Number, "0")
		_, err = d.PostRefund(t.Context(), d.key(), erp.RefundPosting{Reference: "F", CustomerCode: "WEB", CreditMemo: closing.Number, Amount: dec("1"), Currency: "USD", Date: today()})
		requireFault(t, err, fault.Conflict, "INVOICE_OVERPAID")
		d.requireOwed(t, "-10")
	})
}

func TestACreditMemoIsRefusedAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 2, 15))
		invoice := d.bill(t, order.Number)
		before := d.onHand(t, "A100")
		restock := func(lines ...paper) func(paper) { return func(p paper) { p["restock"] = lines } }
		set := func(name string, value any) func(paper) { return func(p paper) { p[name] = value } }
		for name, c := range map[string]struct {
			change func(paper)
			kind   fault.Kind
			code   string
			field  string
		}{
			"more than the invoice":     {set("amount", money("30.01")), fault.DeclinedByPolicy, "BUSINESS_RULE", ""},
			"an unknown invoice":        {set("invno", "99999"), fault.MissingReference, "INVOICE_NOT_FOUND", "invno"},
			"somebody else's invoice":   {set("custno", "ACCT"), fault.MissingReference, "INVOICE_NOT_FOUND", "invno"},
			"an unknown customer":       {set("custno", "NOBODY"), fault.MissingReference, "CUSTOMER_NOT_FOUND", ""},
			"another currency":          {set("currid", "GBP"), fault.Value, "CURRENCY_MISMATCH", ""},
			"more tax than that":        {set("tax", money("30.01")), fault.Value, "INVALID_FIELD", "tax"},
			"nothing":                   {set("amount", money("0")), fault.Value, "INVALID_FIELD", "amount"},
			"a closed period":           {set("invdte", "2019-01-31"), fault.ClosedPeriod, "PERIOD_CLOSED", ""},
			"the adapter's own column":  {set("armast", paper{"balance": 1}), fault.Value, "INVALID_FIELD", "armast.balance"},
			"what nobody reads":         {set("lines", []paper{}), fault.Value, "INVALID_FIELD", "lines"},
			"more goods than were sent": {restock(paper{"tranlineno": 1, "item": "A100", "quantity": 3}), fault.DeclinedByPolicy, "BUSINESS_RULE", ""},
			"in two lines":              {restock(paper{"tranlineno": 1, "quantity": 1}, paper{"tranlineno": 1, "quantity": 2}), fault.DeclinedByPolicy, "BUSINESS_RULE", ""},
			"goods of no line":          {restock(paper{"tranlineno": 9, "item": "A100", "quantity": 1}), fault.MissingReference, "ORDER_NOT_FOUND", "restock[0].tranlineno"},
			"other goods":               {restock(paper{"tranlineno": 1, "item": "B100", "quantity": 1}), fault.Value, "INVALID_FIELD", "restock[0].item"},
			"to a location without it":  {restock(paper{"tranlineno": 1, "item": "A100", "quantity": 1, "loctid": "X"}), fault.MissingReference, "STOCK_NOT_FOUND", ""},
			"no goods":                  {restock(paper{"tranlineno": 1, "quantity": 0}), fault.Value, "INVALID_FIELD", "restock[0].quantity"},
		} {
			memo := d.memo(invoice.Number, "30.00")
			c.change(memo)
			_, err := d.CreateCreditMemo(t.Context(), d.key(), memo.document(t))
			f := requireFault(t, err, c.kind, c.code)
			if c.field != "" {
				require.NotEmpty(t, f.Fields, name)
				require.Equal(t, c.field, f.Fields[0].Path, name)
			}
			require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM armast"), name)
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM cyb_xref WHERE entity = 'creditmemo'"), name)
			require.Equal(t, before, d.onHand(t, "A100"), name)
		}
		d.requireOwed(t, "30")
	})
}

// What is sold without being kept in stock moves none when it comes back either.
func TestAReturnOfWhatIsNotKeptInStock(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		memo := d.memo(invoice.Number, "5.00")
		memo["restock"] = []paper{{"tranlineno": 2, "quantity": 1}, {"tranlineno": 1, "quantity": 1}}
		made := d.credit(t, memo)
		require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM artran WHERE trim(invno) = ? AND trim(item) <> ''", made.Number))
		require.Equal(t, "A100", d.ask(t, "SELECT trim(item) FROM ictran WHERE trim(docno) = ?", made.Number))
		d.requireNoDrift(t)
	})
}

func TestNoInvoiceIsCreditedTwice(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 2, 15))
		invoice := d.bill(t, order.Number)
		memo := d.memo(invoice.Number, "20.00")
		memo["restock"] = []paper{{"tranlineno": 1, "quantity": 1}}
		made := d.credit(t, memo)
		require.Equal(t, made.Number, d.credit(t, memo).Number, "the same is adopted")
		other := paper{}
		for member, value := range memo {
			other[member] = value
		}
		other["amount"] = money("5.00")
		_, err := d.CreateCreditMemo(t.Context(), d.key(), other.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")

		rest := d.memo(invoice.Number, "10.01")
		_, err = d.CreateCreditMemo(t.Context(), d.key(), rest.document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		// What people credit counts, too.
		d.Post(t, "credit-memos", paper{"OriginalInvoice": invoice.Number, "Amount": "4.00"}, nil)
		rest["amount"] = money("6.01")
		_, err = d.CreateCreditMemo(t.Context(), d.key(), rest.document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		rest["amount"], rest["restock"] = money("6.00"), []paper{{"tranlineno": 1, "quantity": 2}}
		_, err = d.CreateCreditMemo(t.Context(), d.key(), rest.document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		rest["restock"] = []paper{{"tranlineno": 1, "quantity": 1}}
		d.credit(t, rest)
		d.requireOwed(t, "0")
	})
}

// An order of two shipments has two invoices: each is credited for itself.
func TestEachInvoiceOfAnOrderIsCreditedForItself(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.simple("A100", 3, 10))
		first, second := d.Ship(t, order.Number, 1, "UPS", ""), d.Ship(t, order.Number, 2, "UPS", "")
		d.requireOpen(t, first, "10")
		_, err := d.CreateCreditMemo(t.Context(), d.key(), d.memo(first, "10.01").document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		d.credit(t, d.memo(first, "10.00"))
		d.credit(t, d.memo(second, "20.00"))
		_, err = d.CreateCreditMemo(t.Context(), d.key(), d.memo(second, "0.01").document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		d.requireOwed(t, "0")
	})
}

func TestAnInvoiceInHistoryIsCredited(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		invoice := d.bill(t, order.Number)
		d.pay(t, d.receipt("48.19", [2]string{invoice.Number, "48.19"}))
		d.Post(t, "close-period", paper{}, nil)
		memo := d.memo(invoice.Number, "48.19")
		memo["restock"] = []paper{{"tranlineno": 1, "item": "A100", "quantity": 2}}
		made := d.credit(t, memo)
		d.requireOwed(t, "-48.19")
		_, err := d.PostRefund(t.Context(), d.key(), erp.RefundPosting{Reference: "F", CustomerCode: "WEB", CreditMemo: made.Number, Amount: dec("48.19"), Currency: "USD", Date: today()})
		require.NoError(t, err)
		require.Equal(t, "1050", strings.TrimSpace(d.ask(t, "SELECT bankacct FROM arcash WHERE paytype = 'F'")), "where the receipt went, which is history by now")
		d.requireOwed(t, "0")
	})
}

func TestColumnsOfASiteGoIntoACreditMemo(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.set(t, "ALTER TABLE armast ADD COLUMN rmano VARCHAR(10)")
		invoice := d.billed(t, 30)
		memo := d.memo(invoice.Number, "5.00")
		memo["armast"] = paper{"rmano": "RMA-1", "arnotes": "as agreed on the telephone"}
		made := d.credit(t, memo)
		require.Equal(t, "RMA-1", d.ask(t, "SELECT rmano FROM armast WHERE trim(invno) = ?", made.Number))
		require.Equal(t, "as agreed on the telephone", d.ask(t, "SELECT arnotes FROM armast WHERE trim(invno) = ?", made.Number))
	})
}
