package sagepro_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

func money(text string) json.Number { return json.Number(text) }

// billed makes an order of one line and its invoice, of so much.
func (d *desk) billed(t *testing.T, total int64) canonical.Invoice {
	t.Helper()
	return d.bill(t, d.place(t, d.simple("A100", 1, total)).Number)
}

// receipt is money that came in; parts are what invoices get of it, by number.
func (d *desk) receipt(amount string, parts ...[2]string) paper {
	reference := d.name("CAPTURE")
	p := paper{"reference": reference, "transactionId": reference, "custno": "WEB", "dtepaid": today(), "amount": money(amount), "currid": "USD", "bankacct": "1050",
		"method": "VISA", "orderNumber": "WEB-10001"}
	if len(parts) > 0 {
		var invoices []paper
		for _, part := range parts {
			invoices = append(invoices, paper{"invno": part[0], "amount": money(part[1])})
		}
		p["invoices"] = invoices
	}
	return p
}

func (d *desk) pay(t *testing.T, receipt paper) canonical.Receipt {
	t.Helper()
	posted, err := d.PostReceipt(t.Context(), d.key(), receipt.document(t))
	require.NoError(t, err)
	return posted
}

func (d *desk) reversal(receipt canonical.Receipt) erp.ReceiptReversal {
	return erp.ReceiptReversal{Reference: receipt.Reference + "-R", Source: receipt.Reference, CustomerCode: "WEB", Date: today(), Amount: receipt.Amount,
		Currency: receipt.Currency, BankCode: "1050"}
}

func (d *desk) application(deposit, invoice, amount string) erp.DepositApplication {
	return erp.DepositApplication{Reference: d.name("APPLY"), Source: deposit, CustomerCode: "WEB", Invoice: invoice, Amount: dec(amount), Currency: "USD", Date: today()}
}

func (d *desk) requireOpen(t *testing.T, number, open string) {
	t.Helper()
	found, err := d.FindInvoice(t.Context(), erp.InvoiceRef{Number: number})
	require.NoError(t, err)
	requireAmount(t, open, found.Balance)
}

func (d *desk) requireUnapplied(t *testing.T, reference, rest string) {
	t.Helper()
	found, err := d.FindDeposit(t.Context(), reference)
	require.NoError(t, err)
	requireAmount(t, rest, found.Unapplied)
}

func (d *desk) requireOwed(t *testing.T, owed string) {
	t.Helper()
	requireAmount(t, owed, dec(d.ask(t, "SELECT balance FROM arcust WHERE custno = 'WEB   '")))
	d.requireNoDrift(t)
}

func TestAReceiptPaysInvoicesAndTheRestIsOnDeposit(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		first, second := d.billed(t, 30), d.billed(t, 20)
		d.requireOwed(t, "50")
		receipt := d.receipt("60.00", [2]string{first.Number, "30.00"}, [2]string{second.Number, "12.50"})
		posted := d.pay(t, receipt)
		require.Equal(t, receipt["reference"], posted.Reference)
		require.Equal(t, first.Number, posted.Invoice)
		requireAmount(t, "60", posted.Amount)
		d.requireOpen(t, first.Number, "0")
		d.requireOpen(t, second.Number, "7.50")
		d.requireUnapplied(t, posted.Reference, "17.50")
		d.requireOwed(t, "-10")
		require.Equal(t, "R R D", strings.Join([]string{d.ask(t, "SELECT paytype FROM arcash ORDER BY id_col LIMIT 1"), d.ask(t, "SELECT paytype FROM arcash ORDER BY id_col LIMIT 1 OFFSET 1"),
			d.ask(t, "SELECT paytype FROM arcash ORDER BY id_col LIMIT 1 OFFSET 2")}, " "))
		require.Equal(t, "DEPOSIT", strings.TrimSpace(d.ask(t, "SELECT invno FROM arcash WHERE paytype = 'D'")))
		require.Equal(t, "WEB-10001", d.ask(t, "SELECT ponum FROM arcash WHERE paytype = 'D'"))
		require.Equal(t, "1050", strings.TrimSpace(d.ask(t, "SELECT bankacct FROM arcash WHERE paytype = 'D'")))
		require.Equal(t, "TNDL", d.ask(t, "SELECT adduser FROM arcash WHERE paytype = 'D'"))
		requireAmount(t, "60", dec(d.ask(t, "SELECT lpymt FROM arcust WHERE custno = 'WEB   '")))
		require.Equal(t, today(), d.ask(t, "SELECT lastpay FROM arcust WHERE custno = 'WEB   '")[:10])

		found, err := d.FindReceipt(t.Context(), posted.Reference)
		require.NoError(t, err)
		require.Equal(t, posted.Invoice, found.Invoice)
		requireAmount(t, "60", found.Amount)
		require.Equal(t, "USD", found.Currency)
	})
}

// What ARCASH has no room for is in the cross-reference: two transactions of the same last twenty characters stay two.
func TestALongReferenceIsKeptWhole(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for _, start := range []string{"70", "71"} {
			receipt := d.receipt("10.00")
			receipt["reference"], receipt["transactionId"] = start+"31234567890123456702", start+"31234567890123456702"
			d.pay(t, receipt)
		}
		require.Equal(t, "31234567890123456702", d.ask(t, "SELECT max(refno) FROM arcash"))
		d.requireUnapplied(t, "7031234567890123456702", "10")
		d.requireUnapplied(t, "7131234567890123456702", "10")
		_, err := d.FindReceipt(t.Context(), "31234567890123456702")
		requireFault(t, err, fault.NotFound, "PAYMENT_NOT_FOUND")
	})
}

func TestAReceiptIsRefusedAndLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		elsewhere := d.simple("A100", 1, 10)
		elsewhere.at("somast")["custno"] = "ACCT"
		others := d.bill(t, d.place(t, elsewhere).Number)
		void := d.billed(t, 5)
		d.set(t, "UPDATE armast SET arstat = 'V', balance = '0', invamt = '0' WHERE trim(invno) = ?", void.Number)
		d.set(t, "UPDATE artran SET extprice = '0' WHERE trim(invno) = ?", void.Number)
		d.set(t, "UPDATE somast SET shpamt = '0' WHERE trim(sono) = ?", void.SalesOrder)
		d.set(t, "UPDATE sotran SET extprice = '0', qtyshp = '0', qtyord = origqtyord WHERE trim(sono) = ?", void.SalesOrder)
		d.set(t, "UPDATE arcust SET balance = '30' WHERE custno = 'WEB   '")
		paid := func(amount string, parts ...[2]string) paper { return d.receipt(amount, parts...) }
		with := func(p paper, name string, value any) paper { p[name] = value; return p }
		for name, c := range map[string]struct {
			receipt paper
			kind    fault.Kind
			code    string
			field   string
		}{
			"more than is open":        {paid("31.00", [2]string{invoice.Number, "31.00"}), fault.Conflict, "INVOICE_OVERPAID", ""},
			"in two parts":             {paid("31.00", [2]string{invoice.Number, "15.00"}, [2]string{invoice.Number, "16.00"}), fault.Conflict, "INVOICE_OVERPAID", ""},
			"more than came in":        {paid("20.00", [2]string{invoice.Number, "30.00"}), fault.Value, "TOTAL_MISMATCH", "amount"},
			"an unknown invoice":       {paid("20.00", [2]string{"99999", "20.00"}), fault.MissingReference, "INVOICE_NOT_FOUND", ""},
			"somebody else's invoice":  {paid("10.00", [2]string{others.Number, "10.00"}), fault.Conflict, "STATUS_CONFLICT", ""},
			"a void invoice":           {paid("5.00", [2]string{void.Number, "5.00"}), fault.Conflict, "STATUS_CONFLICT", ""},
			"a deposit by its name":    {paid("5.00", [2]string{"DEPOSIT", "5.00"}), fault.Value, "INVALID_FIELD", "invoices[0].invno"},
			"an unknown customer":      {with(paid("5.00"), "custno", "NOBODY"), fault.MissingReference, "CUSTOMER_NOT_FOUND", ""},
			"another currency":         {with(paid("5.00"), "currid", "GBP"), fault.Value, "CURRENCY_MISMATCH", ""},
			"no currency":              {with(paid("5.00"), "currid", "XXQ"), fault.Value, "INVALID_FIELD", "currid"},
			"nothing":                  {paid("0.00"), fault.Value, "INVALID_FIELD", "amount"},
			"less than nothing":        {paid("-5.00"), fault.Value, "INVALID_FIELD", "amount"},
			"finer than the currency":  {paid("5.005"), fault.Value, "INVALID_FIELD", "amount"},
			"nothing for an invoice":   {paid("5.00", [2]string{invoice.Number, "0.00"}), fault.Value, "INVALID_FIELD", "invoices[0].amount"},
			"no date":                  {with(paid("5.00"), "dtepaid", "20.11.2026"), fault.Value, "INVALID_FIELD", "dtepaid"},
			"a period long closed":     {with(paid("5.00"), "dtepaid", "2019-01-31"), fault.ClosedPeriod, "PERIOD_CLOSED", ""},
			"without a reference":      {with(paid("5.00"), "reference", ""), fault.Value, "MISSING_FIELD", "reference"},
			"a reference too long":     {with(paid("5.00"), "reference", strings.Repeat("x", 65)), fault.Value, "FIELD_TOO_LONG", "reference"},
			"what nobody reads":        {with(paid("5.00"), "memo", "x"), fault.Value, "INVALID_FIELD", "memo"},
			"the adapter's own column": {with(paid("5.00"), "arcash", paper{"paidamt": 1}), fault.Value, "INVALID_FIELD", "arcash.paidamt"},
			"a column that is not":     {with(paid("5.00"), "arcash", paper{"webref": "x"}), fault.Value, "INVALID_FIELD", "arcash.webref"},
		} {
			_, err := d.PostReceipt(t.Context(), d.key(), c.receipt.document(t))
			f := requireFault(t, err, c.kind, c.code)
			if c.field != "" {
				require.NotEmpty(t, f.Fields, name)
				require.Equal(t, c.field, f.Fields[0].Path, name)
			}
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM arcash"), name)
			require.Equal(t, "0", d.ask(t, "SELECT count(*) FROM cyb_xref WHERE entity = 'receipt'"), name)
		}
		d.requireOpen(t, invoice.Number, "30")
		_, err := d.PostReceipt(t.Context(), d.key(), erp.Document{Body: []byte(`[]`)})
		requireFault(t, err, fault.Value, "MALFORMED_DOCUMENT")
		_, err = d.FindReceipt(t.Context(), "")
		require.True(t, fault.Is(err, fault.Bug))
	})
}

func TestACustomerThatAPersonHasOpenIsBusy(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.Post(t, "locks", paper{"Table": "arcust", "Key": "WEB", "User": "ANNA"}, nil)
		receipt, key := d.receipt("5.00").document(t), d.key()
		_, err := d.PostReceipt(t.Context(), key, receipt)
		requireFault(t, err, fault.Busy, "RECORD_LOCKED")
		d.Delete(t, "locks")
		_, err = d.PostReceipt(t.Context(), key, receipt)
		require.NoError(t, err, "the same key serves afterwards")
		d.requireOwed(t, "-5")
	})
}

func TestAReceiptOfTheSameReferenceIsAdoptedWhereItIsTheSame(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice, other := d.billed(t, 30), d.billed(t, 30)
		receipt := d.receipt("30.00", [2]string{invoice.Number, "30.00"})
		d.pay(t, receipt)
		d.pay(t, receipt)
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM arcash"))
		for name, change := range map[string]func(paper){
			"another amount": func(p paper) {
				p["amount"] = money("29.00")
				p["invoices"] = []paper{{"invno": invoice.Number, "amount": money("29.00")}}
			},
			"another invoice":  func(p paper) { p["invoices"] = []paper{{"invno": other.Number, "amount": money("30.00")}} },
			"another customer": func(p paper) { p["custno"] = "ACCT" },
			"a deposit":        func(p paper) { delete(p, "invoices") },
		} {
			changed := paper{}
			for member, value := range receipt {
				changed[member] = value
			}
			change(changed)
			_, err := d.PostReceipt(t.Context(), d.key(), changed.document(t))
			requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
			require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM arcash"), name)
		}
		// A reversal, a refund or an application of that reference is none of it either.
		reversal := d.reversal(canonical.Receipt{Reference: receipt["reference"].(string), Amount: dec("30"), Currency: "USD"})
		reversal.Reference = reversal.Source
		_, err := d.ReverseReceipt(t.Context(), d.key(), reversal)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		application := d.application(d.pay(t, d.receipt("30.00")).Reference, other.Number, "30")
		application.Reference = receipt["reference"].(string)
		_, err = d.ApplyDeposit(t.Context(), d.key(), application)
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		d.requireOwed(t, "0")
	})
}

func TestOneDepositPaysSeveralInvoices(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		deposit := d.pay(t, d.receipt("50.00"))
		first, second := d.billed(t, 30), d.billed(t, 30)
		for _, part := range []struct{ invoice, amount, rest string }{{first.Number, "10.00", "40"}, {second.Number, "15.50", "24.50"}, {first.Number, "20.00", "4.50"}} {
			applied, err := d.ApplyDeposit(t.Context(), d.key(), d.application(deposit.Reference, part.invoice, part.amount))
			require.NoError(t, err)
			require.Equal(t, part.invoice, applied.Invoice)
			d.requireUnapplied(t, deposit.Reference, part.rest)
			d.requireOwed(t, "10") // an application moves nothing of what the customer owes
		}
		d.requireOpen(t, first.Number, "0")
		d.requireOpen(t, second.Number, "14.50")

		_, err := d.ApplyDeposit(t.Context(), d.key(), d.application(deposit.Reference, second.Number, "4.51"))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		_, err = d.ApplyDeposit(t.Context(), d.key(), d.application(deposit.Reference, first.Number, "1.00"))
		requireFault(t, err, fault.Conflict, "INVOICE_OVERPAID")
		_, err = d.ApplyDeposit(t.Context(), d.key(), d.application("NONE", second.Number, "1.00"))
		requireFault(t, err, fault.MissingReference, "PAYMENT_NOT_FOUND")
		wrong := d.application(deposit.Reference, second.Number, "1.00")
		wrong.CustomerCode = "ACCT"
		_, err = d.ApplyDeposit(t.Context(), d.key(), wrong)
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		d.requireUnapplied(t, deposit.Reference, "4.5")

		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(deposit))
		require.NoError(t, err)
		d.requireOpen(t, first.Number, "30")
		d.requireOpen(t, second.Number, "30")
		d.requireUnapplied(t, deposit.Reference, "0")
		d.requireOwed(t, "60")
	})
}

func TestAnApplicationThatIsTakenBackGivesTheDepositItsMoney(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		deposit, invoice := d.pay(t, d.receipt("50.00")), d.billed(t, 30)
		applied, err := d.ApplyDeposit(t.Context(), d.key(), d.application(deposit.Reference, invoice.Number, "30.00"))
		require.NoError(t, err)
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(applied))
		require.NoError(t, err)
		d.requireOpen(t, invoice.Number, "30")
		d.requireUnapplied(t, deposit.Reference, "50")
		d.requireOwed(t, "-20")
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(deposit))
		require.NoError(t, err, "what was taken back already is not taken back with its deposit")
		d.requireOpen(t, invoice.Number, "30")
		d.requireOwed(t, "30")
	})
}

func TestAReversalIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		posted := d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		for name, c := range map[string]struct {
			change func(*erp.ReceiptReversal)
			kind   fault.Kind
			code   string
		}{
			"of nothing":          {func(r *erp.ReceiptReversal) { r.Source = "NONE" }, fault.MissingReference, "PAYMENT_NOT_FOUND"},
			"in part":             {func(r *erp.ReceiptReversal) { r.Amount = dec("10") }, fault.Conflict, "STATUS_CONFLICT"},
			"in another currency": {func(r *erp.ReceiptReversal) { r.Currency = "GBP" }, fault.Conflict, "STATUS_CONFLICT"},
			"of another customer": {func(r *erp.ReceiptReversal) { r.CustomerCode = "ACCT" }, fault.Conflict, "STATUS_CONFLICT"},
			"on no date":          {func(r *erp.ReceiptReversal) { r.Date = "soon" }, fault.Value, "INVALID_FIELD"},
			"in a closed period":  {func(r *erp.ReceiptReversal) { r.Date = "2019-01-31" }, fault.ClosedPeriod, "PERIOD_CLOSED"},
			"of a long reference": {func(r *erp.ReceiptReversal) { r.Reference = strings.Repeat("x", 65) }, fault.Value, "FIELD_TOO_LONG"},
			"without a reference": {func(r *erp.ReceiptReversal) { r.Reference = "" }, fault.Bug, ""},
		} {
			reversal := d.reversal(posted)
			c.change(&reversal)
			_, err := d.ReverseReceipt(t.Context(), d.key(), reversal)
			require.True(t, fault.Is(err, c.kind), "%s: %v", name, err)
			require.Equal(t, c.code, fault.As(err).Code, name)
			d.requireOpen(t, invoice.Number, "0")
		}
		reversed, err := d.ReverseReceipt(t.Context(), d.key(), d.reversal(posted))
		require.NoError(t, err)
		again := d.reversal(posted)
		again.Reference += "2"
		_, err = d.ReverseReceipt(t.Context(), d.key(), again)
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(reversed))
		requireFault(t, err, fault.DeclinedByPolicy, "BUSINESS_RULE")
		d.requireOwed(t, "30")
	})
}

// What was taken back is not there any more: whoever posts it again is told so, instead of that all is well.
func TestAPaymentThatWasTakenBackIsNoAnswer(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		receipt, key := d.receipt("30.00", [2]string{invoice.Number, "30.00"}), d.key()
		posted, err := d.PostReceipt(t.Context(), key, receipt.document(t))
		require.NoError(t, err)
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(posted))
		require.NoError(t, err)
		again, err := d.PostReceipt(t.Context(), key, receipt.document(t))
		require.NoError(t, err, "a repeat is answered as the first time")
		require.Equal(t, posted, again)
		_, err = d.PostReceipt(t.Context(), d.key(), receipt.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		d.requireOwed(t, "30")
	})
}

// Somebody took the payment back by hand: the invoice has less paid than would have to be taken back.
func TestAReversalTakesNothingBackThatIsNotThere(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		posted := d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		d.set(t, "UPDATE armast SET paidamt = '0', balance = invamt")
		_, err := d.ReverseReceipt(t.Context(), d.key(), d.reversal(posted))
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
	})
}

func TestNothingInHistoryIsChanged(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		posted := d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		d.Post(t, "close-period", paper{}, nil)
		found, err := d.FindReceipt(t.Context(), posted.Reference)
		require.NoError(t, err)
		require.Equal(t, invoice.Number, found.Invoice)
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(posted))
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		_, err = d.PostReceipt(t.Context(), d.key(), d.receipt("1.00", [2]string{invoice.Number, "1.00"}).document(t))
		requireFault(t, err, fault.Conflict, "INVOICE_OVERPAID")
		d.requireOwed(t, "0")
	})
}

func TestARefundClosesACreditMemo(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		memo := d.credit(t, d.memo(invoice.Number, "30.00"))
		refund := func(amount string) erp.RefundPosting {
			reference := d.name("REFUND")
			return erp.RefundPosting{Reference: reference, CustomerCode: "WEB", CreditMemo: memo.Number, Amount: dec(amount), Currency: "USD", Date: today(), TransactionID: reference}
		}
		d.requireOwed(t, "-30")
		part := refund("12.00")
		posted, err := d.PostRefund(t.Context(), d.key(), part)
		require.NoError(t, err)
		require.Equal(t, memo.Number, posted.Invoice)
		requireAmount(t, "12", posted.Amount)
		d.requireOwed(t, "-18")
		require.Equal(t, "1050", strings.TrimSpace(d.ask(t, "SELECT bankacct FROM arcash WHERE paytype = 'F'")), "what came in there leaves from there")
		requireAmount(t, "-12", dec(d.ask(t, "SELECT paidamt FROM arcash WHERE paytype = 'F'")))
		require.Equal(t, "WEB-", d.ask(t, "SELECT ponum FROM arcash WHERE paytype = 'F'")[:4])

		for name, c := range map[string]struct {
			change func(*erp.RefundPosting)
			kind   fault.Kind
			code   string
		}{
			"more than is left":   {func(r *erp.RefundPosting) { r.Amount = dec("18.01") }, fault.Conflict, "INVOICE_OVERPAID"},
			"of no memo":          {func(r *erp.RefundPosting) { r.CreditMemo = "99999" }, fault.MissingReference, "INVOICE_NOT_FOUND"},
			"of an invoice":       {func(r *erp.RefundPosting) { r.CreditMemo = invoice.Number }, fault.MissingReference, "INVOICE_NOT_FOUND"},
			"to somebody else":    {func(r *erp.RefundPosting) { r.CustomerCode = "ACCT" }, fault.Conflict, "STATUS_CONFLICT"},
			"in another currency": {func(r *erp.RefundPosting) { r.Currency = "GBP" }, fault.Value, "CURRENCY_MISMATCH"},
			"of nothing":          {func(r *erp.RefundPosting) { r.Amount = decimal.Zero }, fault.Value, "INVALID_FIELD"},
		} {
			wrong := refund("1.00")
			c.change(&wrong)
			_, err := d.PostRefund(t.Context(), d.key(), wrong)
			require.True(t, fault.Is(err, c.kind), "%s: %v", name, err)
			require.Equal(t, c.code, fault.As(err).Code, name)
		}
		_, err = d.PostRefund(t.Context(), d.key(), refund("18.00"))
		require.NoError(t, err)
		d.requireOwed(t, "0")

		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(canonical.Receipt{Reference: part.Reference, Amount: dec("12"), Currency: "USD"}))
		require.NoError(t, err, "a refund that bounced can be taken back")
		d.requireOwed(t, "-12")
	})
}

// Operations on one customer at once keep the customer's balance: each waits for the one before.
func TestPaymentsOfOneCustomerAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice, deposit := d.billed(t, 100), d.pay(t, d.receipt("40.00"))
		const each = 4
		failures := make(chan error, 2*each)
		retry := func(do func() error) {
			err := do()
			for fault.Is(err, fault.Busy) && t.Context().Err() == nil {
				err = do()
			}
			failures <- err
		}
		for range each {
			receipt, key := d.receipt("15.00", [2]string{invoice.Number, "15.00"}).document(t), d.key()
			go retry(func() error { _, err := d.PostReceipt(t.Context(), key, receipt); return err })
			application, applied := d.application(deposit.Reference, invoice.Number, "10.00"), d.key()
			go retry(func() error { _, err := d.ApplyDeposit(t.Context(), applied, application); return err })
		}
		for range 2 * each {
			require.NoError(t, <-failures)
		}
		d.requireOpen(t, invoice.Number, "0")
		d.requireUnapplied(t, deposit.Reference, "0")
		d.requireOwed(t, "0")
	})
}

// typed has people type a receipt at their own screens, with all that hangs on it.
func (d *desk) typed(t *testing.T, refNo, invoice, amount string) {
	t.Helper()
	d.set(t, "INSERT INTO arcash (custno, invno, dtepaid, paidamt, refno, currid, adduser) VALUES ('WEB   ', ?, ?, ?, ?, 'USD', 'ANNA')", fmt.Sprintf("%10s", invoice), today(), amount, refNo)
	owed := dec(d.ask(t, "SELECT balance FROM arcust WHERE custno = 'WEB   '"))
	d.set(t, "UPDATE arcust SET balance = ? WHERE custno = 'WEB   '", owed.Sub(dec(amount)).String())
	if invoice == "DEPOSIT" {
		return
	}
	paid := dec(d.ask(t, "SELECT paidamt FROM armast WHERE trim(invno) = ?", invoice)).Add(dec(amount))
	d.set(t, "UPDATE armast SET paidamt = ? WHERE trim(invno) = ?", paid.String(), invoice)
	d.set(t, "UPDATE armast SET balance = ? WHERE trim(invno) = ?", dec(d.ask(t, "SELECT invamt FROM armast WHERE trim(invno) = ?", invoice)).Sub(paid).String(), invoice)
}

// What people have booked by hand while a step waited is not booked again.
func TestAReceiptThatPeopleTypedIsTheReceipt(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		receipt := d.receipt("35.00", [2]string{invoice.Number, "30.00"})
		reference := "7031234567890123456702"
		receipt["reference"], receipt["transactionId"] = reference, reference
		d.typed(t, reference[2:], invoice.Number, "30.00")
		d.typed(t, reference[2:], "DEPOSIT", "5.00")
		d.requireOwed(t, "-5")
		found, err := d.FindReceipt(t.Context(), reference)
		require.NoError(t, err)
		requireAmount(t, "35", found.Amount)
		require.Equal(t, invoice.Number, found.Invoice)
		d.requireUnapplied(t, reference, "5")

		other := d.receipt("36.00")
		other["reference"], other["transactionId"] = reference, reference
		_, err = d.PostReceipt(t.Context(), d.key(), other.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")
		posted := d.pay(t, receipt)
		require.Equal(t, invoice.Number, posted.Invoice)
		require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM arcash"))
		d.requireOwed(t, "-5")

		next := d.billed(t, 10)
		_, err = d.ApplyDeposit(t.Context(), d.key(), d.application(reference, next.Number, "4.00"))
		require.NoError(t, err)
		d.requireUnapplied(t, reference, "1")
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(posted))
		require.NoError(t, err)
		d.requireOpen(t, invoice.Number, "30")
		d.requireOpen(t, next.Number, "10")
		d.requireOwed(t, "40")
	})
}

// What people have typed they may take away again, while it is being reversed.
func TestATypedReceiptThatGoesMeanwhile(t *testing.T) {
	var d *desk
	meddling := false
	d = openDesk(t, sagepro.Postgres, func(c *sagepro.Config) {
		c.StaleLock = time.Hour
		c.Clock = func() time.Time { // is asked how old the customer's lock is, once the customer's row is taken
			if meddling && d.ask(t, "SELECT count(*) FROM (SELECT 1 FROM arcust WHERE custno = 'WEB' FOR UPDATE SKIP LOCKED) AS free") == "0" {
				d.set(t, "DELETE FROM arcash")
			}
			return time.Now()
		}
	})
	d.typed(t, "P-1", "DEPOSIT", "5.00")
	d.Post(t, "locks", paper{"Table": "arcust", "Key": "WEB", "User": "ANNA", "MinutesAgo": 120}, nil)
	meddling = true
	_, err := d.ReverseReceipt(t.Context(), d.key(), d.reversal(canonical.Receipt{Reference: "P-1", Amount: dec("5"), Currency: "USD"}))
	requireFault(t, err, fault.MissingReference, "PAYMENT_NOT_FOUND")
}

// A deposit that only people know of is applied, and taken back, like one of ours.
func TestADepositThatPeopleTypedIsApplied(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.typed(t, "31234567890123456702", "DEPOSIT", "5.00")
		invoice := d.billed(t, 10)
		_, err := d.ApplyDeposit(t.Context(), d.key(), d.application("7031234567890123456702", invoice.Number, "2.00"))
		require.NoError(t, err)
		d.requireUnapplied(t, "7031234567890123456702", "3")
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(canonical.Receipt{Reference: "7031234567890123456702", Amount: dec("5"), Currency: "USD"}))
		require.NoError(t, err)
		d.requireOwed(t, "10")

		d.typed(t, "TYPED", "DEPOSIT", "7.00")
		_, err = d.ReverseReceipt(t.Context(), d.key(), d.reversal(canonical.Receipt{Reference: "TYPED", Amount: dec("7"), Currency: "USD"}))
		require.NoError(t, err)
		d.requireUnapplied(t, "TYPED", "0")
		d.typed(t, "BACK", "DEPOSIT", "7.00")
		d.typed(t, "BACK", "DEPOSIT", "-7.00")
		_, err = d.FindReceipt(t.Context(), "BACK")
		requireFault(t, err, fault.NotFound, "PAYMENT_NOT_FOUND")
	})
}

func TestARefundThatPeopleTypedIsTheRefund(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		invoice := d.billed(t, 30)
		d.pay(t, d.receipt("30.00", [2]string{invoice.Number, "30.00"}))
		memo := d.credit(t, d.memo(invoice.Number, "30.00"))
		d.typed(t, "31234567890123456799", memo.Number, "-30.00")
		d.requireOwed(t, "0")
		refund := erp.RefundPosting{Reference: "7031234567890123456799", CustomerCode: "WEB", CreditMemo: memo.Number, Amount: dec("30"), Currency: "USD", Date: today(),
			TransactionID: "7031234567890123456799"}
		posted, err := d.PostRefund(t.Context(), d.key(), refund)
		require.NoError(t, err)
		require.Equal(t, memo.Number, posted.Invoice)
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM arcash WHERE adduser = 'ANNA'"))
		d.requireOwed(t, "0")
	})
}
