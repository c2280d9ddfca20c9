package syspro

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestInvoice(t *testing.T) {
	c := newCompany(t)
	open := c.ok(addOrder, orderOf("I0", "A100", "")).text("SalesOrder")
	refusals := map[string]struct {
		body   string
		status int
		code   string
	}{
		"not ready":         {`{"SalesOrder":"` + open + `","InvoiceDate":"2026-07-28"}`, 422, codeBusinessRule},
		"no order":          {`{"SalesOrder":"999","InvoiceDate":"2026-07-28"}`, 404, codeOrderNotFound},
		"no date":           {`{"SalesOrder":"` + open + `"}`, 400, codeMissing},
		"no customer":       {`{"CustomerCode":"NOBODY","InvoiceDate":"2026-07-28","InvoiceTotal":1,"Currency":"USD"}`, 422, codeCustomerUnknown},
		"currency":          {`{"CustomerCode":"WEB","InvoiceDate":"2026-07-28","InvoiceTotal":1,"Currency":"EUR"}`, 422, codeCurrency},
		"no total":          {`{"CustomerCode":"WEB","InvoiceDate":"2026-07-28","Currency":"USD"}`, 400, codeMissing},
		"tax beyond total":  {`{"CustomerCode":"WEB","InvoiceDate":"2026-07-28","InvoiceTotal":1,"TaxAmount":2,"Currency":"USD"}`, 400, codeInvalid},
		"closed period":     {`{"CustomerCode":"WEB","InvoiceDate":"2026-05-28","InvoiceTotal":1,"Currency":"USD"}`, 422, codePeriodClosed},
		"long number":       {`{"InvoiceNumber":"` + strings.Repeat("1", 21) + `","CustomerCode":"WEB","InvoiceDate":"2026-07-28","InvoiceTotal":1,"Currency":"USD"}`, 400, codeTooLong},
		"far in the future": {`{"CustomerCode":"WEB","InvoiceDate":"2026-08-05","InvoiceTotal":1,"Currency":"USD"}`, 422, codePeriodClosed},
	}
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			a := c.post(addInvoice, tc.body)
			require.Equal(t, tc.status, a.status, a.raw)
			require.Equal(t, tc.code, a.code())
		})
	}
	require.Equal(t, 404, c.get("/ARInvoiceService/GetARInvoice?SalesOrder="+open).status)

	salesOrder, number := c.invoiced("I1")
	for _, query := range []string{"InvoiceNumber=" + number, "SalesOrder=" + salesOrder} {
		a := c.get("/ARInvoiceService/GetARInvoice?" + query)
		require.Equal(t, "115.39 115.39 Open 7.99", a.text("InvoiceTotal")+" "+a.text("Balance")+" "+a.text("InvoiceStatus")+" "+a.text("TaxAmount"))
	}
	o := c.get("/SalesOrderService/GetSalesOrder?SalesOrder=" + salesOrder)
	require.Equal(t, "9 "+number+" 2", o.text("OrderStatus")+" "+o.text("LastInvoice")+" "+o.text("LineItems.0.QuantityShipped"))
	twice := c.post(addInvoice, `{"SalesOrder":"`+salesOrder+`","InvoiceDate":"2026-07-28"}`)
	require.Equal(t, 409, twice.status)
	require.Equal(t, number, twice.text("Existing.InvoiceNumber"))
	require.Equal(t, 409, c.post(addInvoice, `{"InvoiceNumber":"`+number+`","CustomerCode":"WEB","InvoiceDate":"2026-07-28","InvoiceTotal":1,"Currency":"USD"}`).status)
	require.Equal(t, map[string]string{"1200": "115.39", "4000": "-107.40", "2200": "-7.99", "5000": "25.00", "1300": "-25.00"}, c.accounts("USD"))

	free := c.ok(addInvoice, `{"CustomerCode":"WEBJPY","InvoiceDate":"2026-07-28","InvoiceTotal":1200,"TaxAmount":"109","Currency":"JPY"}`)
	require.Equal(t, "1200", free.text("Balance"), "yen have no minor unit")
	c.balanced()
}

// accounts gives the balances that aren't zero.
func (c *company) accounts(currency string) map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for _, at := range c.server.state.trialBalance().Currencies {
		if at.Currency != currency {
			continue
		}
		for _, a := range at.Accounts {
			if !a.Balance.IsZero() {
				out[a.AccountCode] = a.Balance.StringFixed(minorUnits(currency))
			}
		}
	}
	return out
}

func TestInvoiceTriggers(t *testing.T) {
	c := newCompany(t)
	for stock, code := range map[string]string{"FAILINV": codeBusinessRule, "FAILPER": codePeriodClosed} {
		number := c.ok(addOrder, orderOf("T-"+stock, stock, `,"OrderStatus":"8"`)).text("SalesOrder")
		a := c.post(addInvoice, `{"SalesOrder":"`+number+`","InvoiceDate":"2026-07-28"}`)
		require.Equal(t, 422, a.status)
		require.Equal(t, code, a.code())
	}
	number := c.ok(addOrder, orderOf("T-PAY", "FAILPAY", `,"OrderStatus":"8"`)).text("SalesOrder")
	invoice := c.ok(addInvoice, `{"SalesOrder":"`+number+`","InvoiceDate":"2026-07-28"}`).text("InvoiceNumber")
	require.Equal(t, codeBusinessRule, c.post(addPayment, receipt("P", invoice, "115.39")).code())
	short := c.ok(addOrder, strings.NewReplacer(`"Quantity":2`, `"Quantity":4`, "115.39", "215.29").Replace(orderOf("T-LOW", "LOW3", `,"OrderStatus":"8"`))).text("SalesOrder")
	require.Equal(t, codeInsufficient, c.post(addInvoice, `{"SalesOrder":"`+short+`","InvoiceDate":"2026-07-28"}`).code())
	c.balanced()
}

func TestReceiptAndReversal(t *testing.T) {
	c := newCompany(t)
	_, number := c.invoiced("P1")
	part := c.ok(addPayment, receipt("7031", number, "100.00"))
	require.Equal(t, "15.39 PartiallyPaid", part.text("Allocations.0.Balance")+" "+part.text("Allocations.0.InvoiceStatus"))
	require.Equal(t, codeOverpaid, c.post(addPayment, receipt("7032", number, "15.40")).code())
	rest := c.ok(addPayment, receipt("7033", number, "15.39"))
	require.Equal(t, "Paid", rest.text("Allocations.0.InvoiceStatus"))
	require.Equal(t, "115.39", c.accounts("USD")["1050"])
	require.NotContains(t, c.accounts("USD"), "1200")

	duplicate := c.post(addPayment, receipt("7031", number, "1.00"))
	require.Equal(t, 409, duplicate.status)
	require.Equal(t, "100.00 USD", duplicate.text("Existing.Amount")+" "+duplicate.text("Existing.Currency"))

	reverse := func(reference, source string) answer {
		return c.post(addPayment, `{"PaymentReference":"`+reference+`","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":100,"Currency":"USD","PaymentType":"Reversal","SourceReference":"`+source+`"}`)
	}
	require.Equal(t, codePaymentUnknown, reverse("R0", "none").code())
	require.Equal(t, codeBusinessRule, reverse("R0", "7033").code(), "a reversal takes the whole payment back")
	require.Equal(t, 201, reverse("R1", "7031").status)
	require.Equal(t, codeBusinessRule, reverse("R2", "7031").code())
	require.Equal(t, codeBusinessRule, reverse("R3", "R1").code())
	require.Equal(t, "100.00", c.get("/ARInvoiceService/GetARInvoice?InvoiceNumber="+number).text("Balance"))
	require.Equal(t, "true", c.get("/ARPaymentService/GetARPayment?PaymentReference=7031").text("Reversed"))
	require.Equal(t, 404, c.get("/ARPaymentService/GetARPayment?PaymentReference=x").status)
	require.Equal(t, 400, c.get("/ARPaymentService/GetARPayment").status)
	c.balanced()
}

func TestPaymentRefusals(t *testing.T) {
	c := newCompany(t)
	_, number := c.invoiced("PR1")
	valid := receipt("PR", number, "115.39")
	for name, tc := range map[string]struct {
		from, to string
		status   int
		code     string
	}{
		"no reference":       {`"PR"`, `""`, 400, codeMissing},
		"type":               {`"Receipt"`, `"Gift"`, 400, codeInvalid},
		"negative":           {`"Amount":115.39,"Currency"`, `"Amount":-1,"Currency"`, 400, codeInvalid},
		"fractions of cents": {`"Amount":115.39,"Currency"`, `"Amount":115.391,"Currency"`, 400, codeInvalid},
		"sum":                {`"UnappliedAmount":0`, `"UnappliedAmount":1`, 422, codeTotal},
		"customer":           {`"WEB"`, `"NOBODY"`, 422, codeCustomerUnknown},
		"another customer":   {`"WEB"`, `"ACCOUNT"`, 422, codeBusinessRule},
		"currency":           {`"USD"`, `"EUR"`, 422, codeCurrency},
		"invoice":            {number, "none", 404, codeInvoiceUnknown},
		"bank":               {`"Receipt"`, `"Receipt","BankCode":"X"`, 422, codeBusinessRule},
		"period":             {"2026-07-28", "2026-05-01", 422, codePeriodClosed},
		"deposit allocation": {`"Receipt"`, `"Deposit"`, 400, codeInvalid},
		"apply, no source":   {`"Receipt"`, `"Apply"`, 400, codeMissing},
		"refund of invoice":  {`"Receipt"`, `"Refund"`, 404, codeInvoiceUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.post(addPayment, strings.Replace(valid, tc.from, tc.to, 1))
			require.Equal(t, tc.status, a.status, a.raw)
			require.Equal(t, tc.code, a.code())
		})
	}
	require.Empty(t, c.server.state.payments.all)
}

func TestDepositAndApply(t *testing.T) {
	c := newCompany(t)
	deposit := c.ok(addPayment, `{"PaymentReference":"D1","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":115.39,"Currency":"USD","PaymentType":"Deposit"}`)
	require.Equal(t, "115.39", deposit.text("UnappliedAmount"))
	require.NotEmpty(t, deposit.text("UnappliedDocument"))
	require.Equal(t, "-115.39", c.accounts("USD")["2300"])
	_, number := c.invoiced("D1")
	apply := func(reference, amount string) answer {
		return c.post(addPayment, `{"PaymentReference":"`+reference+`","PaymentDate":"2026-07-28","Amount":`+amount+`,"PaymentType":"Apply","SourceReference":"D1","Allocations":[{"InvoiceNumber":"`+number+`","Amount":`+amount+`}]}`)
	}
	require.Equal(t, 201, apply("A1", "100").status)
	require.Equal(t, codeOverpaid, apply("A2", "16").code())
	c.balanced()
	require.Equal(t, 201, c.post(addPayment, `{"PaymentReference":"DR","PaymentDate":"2026-07-28","PaymentType":"Reversal","SourceReference":"D1"}`).status)
	require.Equal(t, "115.39", c.get("/ARInvoiceService/GetARInvoice?InvoiceNumber="+number).text("Balance"))
	require.Equal(t, codeBusinessRule, apply("A3", "1").code())
	require.NotContains(t, c.accounts("USD"), "1050")
	c.balanced()
}

func TestCreditMemoRefundAndAcknowledge(t *testing.T) {
	c := newCompany(t)
	salesOrder, number := c.invoiced("M1")
	c.ok(addPayment, receipt("M1", number, "115.39"))
	memo := func(amount, extra string) string {
		return `{"OriginalInvoice":"` + number + `","CustomerCode":"WEB","CreditDate":"2026-07-28","Amount":` + amount + `,"TaxAmount":3.05,"Currency":"USD","Reason":"RETURN","Reference":"op:1"` + extra + `}`
	}
	issued := c.ok(addMemo, memo("53.00", `,"RestockLines":[{"StockCode":"A100","Quantity":1}]`))
	require.Equal(t, "C00001 Pending 7031234567890123", issued.text("CreditMemoNumber")+" "+issued.text("RefundStatus")+" "+issued.text("OriginalTransactionId"))
	require.Equal(t, "999999", c.get("/InventoryService/GetStockBalance?StockCode=A100&Warehouse=N").text("Items.0.TotalAvailable"))
	c.balanced()
	for name, tc := range map[string]struct {
		body string
		code string
	}{
		"more than the invoice": {memo("62.40", ""), codeBusinessRule},
		"more than shipped":     {memo("1.00", `,"RestockLines":[{"StockCode":"A100","Quantity":2}]`), codeInvalid},
		"duplicate":             {memo("5.00", `,"CreditMemoNumber":"C00001"`), codeDuplicate},
		"no invoice":            {strings.Replace(memo("5.00", ""), number, "none", 1), codeInvoiceUnknown},
	} {
		if name == "more than shipped" {
			tc.body, tc.code = strings.Replace(tc.body, `"Amount":1.00`, `"Amount":4.00`, 1), codeBusinessRule
		}
		require.Equal(t, tc.code, c.post(addMemo, tc.body).code(), name)
	}
	refund := func(reference, amount string) answer {
		return c.post(addPayment, strings.Replace(receipt(reference, "C00001", amount), "Receipt", "Refund", 1))
	}
	require.Equal(t, codeOverpaid, refund("RF0", "53.01").code())
	require.Equal(t, 201, refund("RF1", "53.00").status)
	require.Equal(t, "62.39", c.accounts("USD")["1050"])
	c.balanced()

	c.clock.advance(time.Minute)
	list := "/CreditMemoService/ListCreditMemos?Unprocessed=true"
	require.Equal(t, "C00001", c.get(list).text("CreditMemos.0.CreditMemoNumber"))
	acknowledge := func(status, id string) answer {
		return c.post("/CreditMemoService/AcknowledgeCreditMemo", `{"CreditMemoNumber":"C00001","RefundStatus":"`+status+`","RefundTransactionId":"`+id+`","RefundedAmount":53.00,"RefundedAt":"2026-07-28T10:00:00Z"}`)
	}
	require.Equal(t, "true", acknowledge("Refunded", "7039").text("Changed"))
	require.Equal(t, "false", acknowledge("Refunded", "7039").text("Changed"))
	require.Equal(t, codeStatusConflict, acknowledge("Failed", "7039").code())
	require.Equal(t, codeStatusConflict, acknowledge("Refunded", "7040").code())
	require.Equal(t, 400, acknowledge("Gone", "7039").status)
	c.clock.advance(time.Minute)
	require.Equal(t, "<absent>", c.get(list).text("CreditMemos.0.CreditMemoNumber"))
	require.Equal(t, "Paid", c.get("/ARInvoiceService/GetARInvoice?SalesOrder="+salesOrder).text("InvoiceStatus"))
	require.Equal(t, 400, c.get("/CreditMemoService/ListCreditMemos?Unprocessed=maybe").status)
}

func TestCompensationAfterTheInvoice(t *testing.T) {
	c := newCompany(t)
	_, number := c.invoiced("CM1")
	c.ok(addPayment, receipt("CM1", number, "115.39"))
	c.ok(addPayment, `{"PaymentReference":"CM1-R","PaymentDate":"2026-07-28","PaymentType":"Reversal","SourceReference":"CM1"}`)
	memo := c.ok(addMemo, `{"OriginalInvoice":"`+number+`","CustomerCode":"WEB","CreditDate":"2026-07-28","Amount":115.39,"TaxAmount":7.99,"Currency":"USD","RestockLines":[{"SalesOrderLine":1,"Quantity":2}]}`)
	require.Equal(t, "0.00", memo.text("Remaining"), "an open invoice takes the credit")
	require.Empty(t, memo.text("RefundStatus"), "there is nothing to refund")
	require.Equal(t, "Credited", c.get("/ARInvoiceService/GetARInvoice?InvoiceNumber="+number).text("InvoiceStatus"))
	require.Equal(t, "0.00", c.get("/CustomerService/GetCustomer?CustomerCode=WEB").text("CurrentBalance"))
	for _, account := range []string{"1050", "1200", "1300", "5000", "2200"} {
		require.NotContains(t, c.accounts("USD"), account)
	}
	c.balanced()
}

// TestACreditMemoIsSetOffOnce: whoever takes a receipt back does so before he credits the invoice, or both stay open.
func TestACreditMemoIsSetOffOnce(t *testing.T) {
	const reverse = `{"PaymentReference":"SO1-R","PaymentDate":"2026-07-28","PaymentType":"Reversal","SourceReference":"SO1"}`
	for _, reversedFirst := range []bool{true, false} {
		c := newCompany(t)
		_, number := c.invoiced("SO1")
		c.ok(addPayment, receipt("SO1", number, "115.39"))
		memo := `{"OriginalInvoice":"` + number + `","CustomerCode":"WEB","CreditDate":"2026-07-28","Amount":115.39,"TaxAmount":7.99,"Currency":"USD","Reference":"op:1"}`
		if reversedFirst {
			c.ok(addPayment, reverse)
		}
		issued := c.ok(addMemo, memo)
		if !reversedFirst {
			require.Equal(t, "Pending", issued.text("RefundStatus"))
			c.ok(addPayment, reverse)
		}
		want := map[bool]string{true: "0.00 Credited 0.00", false: "115.39 Open 115.39"}[reversedFirst]
		invoice := c.get("/ARInvoiceService/GetARInvoice?InvoiceNumber=" + number)
		require.Equal(t, want, invoice.text("Balance")+" "+invoice.text("InvoiceStatus")+" "+issued.text("Remaining"))
		require.Empty(t, c.accounts("USD")["1050"])
		c.balanced()
	}
}

func TestUpdatePaymentStatus(t *testing.T) {
	c := newCompany(t)
	salesOrder, number := c.invoiced("S1")
	body := `{"SalesOrder":"` + salesOrder + `","InvoiceNumber":"` + number + `","TransactionId":"7031234567890123","PaymentStatus":"Paid","Amount":115.39,"At":"2026-07-28T09:14:03Z"}`
	path := "/ARPaymentService/UpdatePaymentStatus"
	require.Equal(t, "true", c.ok(path, body).text("Changed"))
	require.Equal(t, "false", c.ok(path, body).text("Changed"))
	require.Equal(t, "Paid", c.get("/SalesOrderService/GetSalesOrder?SalesOrder="+salesOrder).text("Payment.PaymentStatus"))
	require.Equal(t, 400, c.post(path, `{"PaymentStatus":"Paid"}`).status)
	require.Equal(t, 400, c.post(path, strings.Replace(body, "Paid", "Bought", 1)).status)
	require.Equal(t, codeOrderNotFound, c.post(path, `{"SalesOrder":"99","PaymentStatus":"Paid"}`).code())
	require.Equal(t, codeInvoiceUnknown, c.post(path, `{"InvoiceNumber":"99","PaymentStatus":"Paid"}`).code())
}

func TestJournals(t *testing.T) {
	c := newCompany(t)
	body := func(reference, date, debit, account string) string {
		return `{"Reference":"` + reference + `","JournalDate":"` + date + `","PostingPeriod":"C","Currency":"USD","Lines":[
		 {"AccountCode":"1010","Debit":` + debit + `,"Credit":0},{"AccountCode":"` + account + `","Debit":0,"Credit":11247.32}],"Source":{"System":"CYBERSOURCE","BatchId":"B77"}}`
	}
	a := c.ok(addJournal, body("CYB1", "2026-07-28", "11247.32", "1050"))
	require.Equal(t, "2026 7 11247.32", a.text("GlYear")+" "+a.text("GlPeriod")+" "+a.text("TotalDebit"))
	require.Equal(t, a.text("JournalNumber"), c.get("/GLJournalService/GetJournalEntry?Reference=CYB1").text("JournalNumber"))
	require.Equal(t, "JOURNAL_NOT_FOUND", c.get("/GLJournalService/GetJournalEntry?Reference=CYB2").code())
	require.Equal(t, 400, c.get("/GLJournalService/GetJournalEntry").status)
	for name, tc := range map[string]struct{ body, code string }{
		"duplicate":      {body("CYB1", "2026-07-28", "11247.32", "1050"), codeDuplicate},
		"unbalanced":     {body("CYB2", "2026-07-28", "11247.31", "1050"), "JOURNAL_UNBALANCED"},
		"account":        {body("CYB2", "2026-07-28", "11247.32", "8888"), codeAccountUnknown},
		"held account":   {body("CYB2", "2026-07-28", "11247.32", "6999"), "ACCOUNT_ON_HOLD"},
		"closed":         {body("CYB2", "2026-04-28", "11247.32", "1050"), codePeriodClosed},
		"future":         {body("CYB2", "2026-09-01", "11247.32", "1050"), codePeriodClosed},
		"zero line":      {body("CYB2", "2026-07-28", "0", "1050"), codeInvalid},
		"long reference": {body(strings.Repeat("C", 31), "2026-07-28", "11247.32", "1050"), codeTooLong},
		"one line":       {`{"Reference":"X","JournalDate":"2026-07-28","Currency":"USD","Lines":[{"AccountCode":"1010","Debit":1}]}`, codeMissing},
	} {
		require.Equal(t, tc.code, c.post(addJournal, tc.body).code(), name)
	}
	closed := c.post(addJournal, body("CYB2", "2026-04-28", "11247.32", "1050"))
	require.Equal(t, "2026 7", closed.text("Errors.0.CurrentYear")+" "+closed.text("Errors.0.CurrentPeriod"))
	require.Equal(t, 201, c.post(addJournal, body("CYB3", "2026-06-30", "11247.32", "1050")).status, "the previous period is open")
	c.balanced()
}

func TestPeriods(t *testing.T) {
	c := newCompany(t)
	require.Equal(t, 200, c.admin("periods", `{"Module":"AR","Open":["C"]}`).status)
	june := `{"CustomerCode":"WEB","InvoiceDate":"2026-06-28","InvoiceTotal":1,"Currency":"USD"}`
	require.Equal(t, codePeriodClosed, c.post(addInvoice, june).code())
	require.Equal(t, 200, c.admin("periods", `{"Module":"AR","FollowClock":true}`).status)
	require.Equal(t, 201, c.post(addInvoice, june).status)
	require.Equal(t, 200, c.admin("periods", `{"Open":[]}`).status)
	require.Equal(t, codePeriodClosed, c.post(addInvoice, june).code())
	require.Equal(t, 400, c.admin("periods", `{"Module":"XX"}`).status)
	require.Equal(t, 400, c.admin("periods", `{"Open":["Q"]}`).status)
	require.Equal(t, "GL", c.get("/GLJournalService/GetPeriodStatus").text("Modules.0.Module"))
	require.Equal(t, 200, c.admin("periods", `{"FollowClock":true}`).status)
	c.clock.advance(3*24*time.Hour + 14*time.Hour) // 31 July, 23:14 UTC
	require.Equal(t, 201, c.post(addInvoice, `{"CustomerCode":"WEB","InvoiceDate":"2026-08-01","InvoiceTotal":1,"Currency":"USD"}`).status, "it is August further east")
}

func TestAPInvoices(t *testing.T) {
	c := newCompany(t)
	body := `{"SupplierCode":"CYBSRC","InvoiceNumber":"FEE1","InvoiceDate":"2026-07-28","Currency":"USD","InvoiceTotal":387.18,"TaxAmount":0,
	 "Distribution":[{"AccountCode":"6100","Amount":362.18},{"AccountCode":"6120","Amount":25.00}]}`
	require.Equal(t, 201, c.ok(addAP, body).status)
	require.Equal(t, "387.18", c.get("/APInvoiceService/GetAPInvoice?SupplierCode=CYBSRC&InvoiceNumber=FEE1").text("InvoiceTotal"))
	for name, tc := range map[string]struct{ from, to, code string }{
		"duplicate": {"FEE1", "FEE1", codeDuplicate},
		"supplier":  {`"CYBSRC"`, `"OTHER"`, "SUPPLIER_NOT_FOUND"},
		"sum":       {`25.00`, `24.99`, codeTotal},
		"account":   {"6120", "9", codeAccountUnknown},
		"held":      {"6120", "6999", "ACCOUNT_ON_HOLD"},
		"period":    {"2026-07-28", "2026-01-28", codePeriodClosed},
		"code":      {`"InvoiceDate"`, `"TransactionCode":"Z","InvoiceDate"`, codeInvalid},
	} {
		changed := strings.Replace(body, tc.from, tc.to, 1)
		if name != "duplicate" {
			changed = strings.Replace(changed, "FEE1", "FEE2", 1)
		}
		require.Equal(t, tc.code, c.post(addAP, changed).code(), name)
	}
	c.ok(addAP, strings.NewReplacer("FEE1", "CN1", `"InvoiceDate"`, `"TransactionCode":"C","InvoiceDate"`).Replace(body))
	require.Empty(t, c.accounts("USD"), "the credit note takes the invoice back")
	require.Equal(t, 404, c.get("/APInvoiceService/GetAPInvoice?SupplierCode=CYBSRC&InvoiceNumber=NONE").status)
	require.Equal(t, 400, c.get("/APInvoiceService/GetAPInvoice?SupplierCode=CYBSRC").status)
	c.balanced()
}

func TestShipments(t *testing.T) {
	c := newCompany(t)
	salesOrder := c.ok(addOrder, orderOf("SH1", "A100", "")).text("SalesOrder")
	path := "/ShipmentService/AddShipment"
	first := c.ok(path, `{"SalesOrder":"`+salesOrder+`","Carrier":"UPS","TrackingNumber":"1Z","ShippedDate":"2026-07-28","Lines":[{"SalesOrderLine":1,"Quantity":1}]}`)
	require.Equal(t, "000000000000001 7 true", first.text("ShipmentNumber")+" "+first.text("ShipmentStatus")+" "+first.text("Partial"))
	require.Equal(t, "ORDER_NOT_CANCELLABLE", c.post(updateOrder, `{"SalesOrder":"`+salesOrder+`","Action":"Cancel","CancelReasonCode":"X"}`).code())
	require.Equal(t, codeInsufficient, c.post(path, `{"SalesOrder":"`+salesOrder+`","Lines":[{"SalesOrderLine":1,"Quantity":2}]}`).code())
	require.Equal(t, codeDuplicate, c.post(path, `{"ShipmentNumber":"1","SalesOrder":"`+salesOrder+`"}`).code())
	require.Equal(t, codeOrderNotFound, c.post(path, `{"SalesOrder":"99"}`).code())
	c.balanced()

	require.Equal(t, 201, c.admin("shipments", `{"OrderNumber":"SH1","Carrier":"UPS","TrackingNumber":"1Y","Invoice":true}`).status)
	o := c.get("/SalesOrderService/GetSalesOrder?OrderNumber=SH1")
	require.Equal(t, "9 1Z 1Y", o.text("OrderStatus")+" "+o.text("Tracking.0.TrackingNumber")+" "+o.text("Tracking.1.TrackingNumber"))
	list := c.get("/ShipmentService/GetShipments?SalesOrder=" + salesOrder)
	require.Equal(t, o.text("LastInvoice"), list.text("Shipments.1.InvoiceNumber"))
	require.Equal(t, "<absent>", c.get("/ShipmentService/GetShipments").text("Shipments.0.ShipmentNumber"), "the row is held back")
	c.clock.advance(3 * time.Second)
	require.Equal(t, "000000000000001", c.get("/ShipmentService/GetShipments").text("Shipments.0.ShipmentNumber"))
	require.Equal(t, codeBusinessRule, c.post(path, `{"SalesOrder":"`+salesOrder+`"}`).code())
	require.Equal(t, map[string]string{"1200": "115.39", "4000": "-107.40", "2200": "-7.99", "5000": "25.00", "1300": "-25.00"}, c.accounts("USD"))
	c.balanced()

	memo := c.admin("credit-memos", `{"OrderNumber":"SH1","Restock":true}`)
	require.Equal(t, "115.39 7.99 RETURN", memo.text("Amount")+" "+memo.text("TaxAmount")+" "+memo.text("Reason"))
	require.NotContains(t, c.accounts("USD"), "1300")
	c.balanced()
}

func TestTheClerkHoldsReleasesAndCancels(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, orderOf("CL1", "A100", ""))
	status := func() string {
		o := c.get("/SalesOrderService/GetSalesOrder?OrderNumber=CL1")
		return o.text("OrderStatus") + " " + o.text("OnHold") + " " + o.text("HoldReason") + " " + o.text("CancelReasonCode")
	}
	require.Equal(t, codeInvalid, c.admin("orders", `{"OrderNumber":"CL1","Action":"Burn"}`).code())
	require.Equal(t, codeOrderNotFound, c.admin("orders", `{"OrderNumber":"CL2","Action":"Hold"}`).code())
	require.Equal(t, "false", c.admin("orders", `{"OrderNumber":"CL1","Action":"Release"}`).text("Changed"))
	require.Equal(t, 200, c.admin("orders", `{"OrderNumber":"CL1","Action":"Hold","Reason":"address looks odd"}`).status)
	require.Equal(t, "S true address looks odd <absent>", status())
	require.Equal(t, 200, c.admin("orders", `{"OrderNumber":"CL1","Action":"Release"}`).status)
	require.Equal(t, "1 false  <absent>", status())
	require.Equal(t, 200, c.admin("orders", `{"OrderNumber":"CL1","Action":"Hold"}`).status)
	require.Equal(t, "S true SUSPENSE <absent>", status())
	require.Equal(t, 200, c.admin("orders", `{"OrderNumber":"CL1","Action":"Cancel","Reason":"BUYER"}`).status)
	require.Equal(t, `\ false  BUYER`, status())
	require.Equal(t, codeBusinessRule, c.admin("orders", `{"OrderNumber":"CL1","Action":"Hold"}`).code())
	c.balanced()
}

// TestACoarseClockAndLateRows: rows of one second are ordered by their numbers, and each has one place; a row that is committed late turns up
// behind what was read.
func TestACoarseClockAndLateRows(t *testing.T) {
	clock := newClock()
	server, err := New(Config{Clock: clock.Now, APIKeys: []string{testKey}, HoldBack: -1, Resolution: time.Second})
	require.NoError(t, err)
	c := &company{t: t, server: server, http: httptest.NewServer(server.Handler()), clock: clock}
	t.Cleanup(c.close)
	clock.advance(400 * time.Millisecond)
	for i := range 3 {
		c.ok(addOrder, orderOf(fmt.Sprintf("S%d", i), "A100", ""))
	}
	c.ok(updateOrder, `{"OrderNumber":"S0","Action":"SetPayment","Payment":{"PaymentStatus":"Paid"}}`)
	numbers := func(query string) string {
		a := c.get("/SalesOrderService/ListSalesOrders?" + query)
		var all []string
		for i := range 5 {
			if number := a.text(fmt.Sprintf("Orders.%d.OrderNumber", i)); number != "<absent>" {
				all = append(all, number)
			}
		}
		return strings.Join(all, " ")
	}
	require.Equal(t, "S0 S1 S2", numbers("Limit=5"))
	first := c.get("/SalesOrderService/ListSalesOrders?Limit=2")
	require.Equal(t, "2026-07-28T09:14:00Z", first.text("Orders.1.LastModified"))
	require.Equal(t, "S2", numbers("Limit=2&Cursor="+first.text("NextCursor")))
	require.Equal(t, "S0 S1 S2", numbers("ChangedSince=2026-07-28T09:14:00Z"), "the bound is part of it")

	clock.advance(time.Minute)
	require.Equal(t, codeInvalid, c.admin("late", `{"LagMs":0}`).code())
	require.Equal(t, 200, c.admin("late", `{"LagMs":30000}`).status)
	c.ok(addOrder, orderOf("LATE", "A100", ""))
	c.ok(addOrder, orderOf("NOW", "A100", ""))
	require.Equal(t, "S0 S1 S2 LATE NOW", numbers("Limit=5"))
	require.Equal(t, "NOW", numbers("ChangedSince=2026-07-28T09:14:31Z"))
	c.balanced()
}

func TestNothingLeavesThatIsNotThere(t *testing.T) {
	c := newCompany(t)
	salesOrder := c.ok(addOrder, strings.NewReplacer("115.39", "65.44", `"Quantity":2`, `"Quantity":1`).Replace(orderOf("CNT", "LOW3", `,"OrderStatus":"8"`))).text("SalesOrder")
	require.Equal(t, 200, c.admin("stock", `{"StockCode":"LOW3","QtyOnHand":0}`).status, "a count may find less than is allocated")
	require.Equal(t, codeInsufficient, c.post(addInvoice, `{"SalesOrder":"`+salesOrder+`","InvoiceDate":"2026-07-28"}`).code())
	require.Equal(t, codeInsufficient, c.post("/ShipmentService/AddShipment", `{"SalesOrder":"`+salesOrder+`"}`).code())
	require.Equal(t, 200, c.admin("stock", `{"StockCode":"LOW3","QtyOnHand":1}`).status)
	require.Equal(t, 201, c.post(addInvoice, `{"SalesOrder":"`+salesOrder+`","InvoiceDate":"2026-07-28"}`).status)
	c.balanced()
}

func TestListsWithCursors(t *testing.T) {
	c := newCompany(t)
	for i := range 5 {
		c.ok(addOrder, orderOf(fmt.Sprintf("C%d", i), "A100", ""))
	}
	list := func(query string) answer { return c.get("/SalesOrderService/ListSalesOrders?" + query) }
	require.Equal(t, "<absent>", list("").text("Orders.0.OrderNumber"), "rows younger than 2 s are held back")
	c.clock.advance(3 * time.Second)

	var seen []string
	cursor := ""
	for range 10 {
		page := list("Limit=2&Cursor=" + cursor)
		for i := range 2 {
			if number := page.text(fmt.Sprintf("Orders.%d.OrderNumber", i)); number != "<absent>" {
				seen = append(seen, number)
			}
		}
		if page.text("NextCursor") == "" {
			break
		}
		cursor = page.text("NextCursor")
	}
	require.Equal(t, []string{"C0", "C1", "C2", "C3", "C4"}, seen)

	c.ok(updateOrder, `{"OrderNumber":"C1","Action":"SetStatus","OrderStatus":"8"}`)
	c.clock.advance(3 * time.Second)
	next := list("Cursor=" + cursor)
	require.Equal(t, "C1 <absent>", next.text("Orders.0.OrderNumber")+" "+next.text("Orders.1.OrderNumber"), "a changed row comes again, once")
	require.Equal(t, "C1", list("Status=8").text("Orders.0.OrderNumber"))
	require.Equal(t, "C1", list("ChangedSince="+next.text("Orders.0.LastModified")).text("Orders.0.OrderNumber"), "ChangedSince is inclusive")
	for _, bad := range []string{"Limit=0", "Limit=501", "Cursor=x", "ChangedSince=yesterday", "Status=Q"} {
		require.Equal(t, 400, list(bad).status, bad)
	}
}

func TestFeedForgetsOldMarks(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, orderOf("F1", "A100", ""))
	for i := range 300 {
		c.ok(updateOrder, fmt.Sprintf(`{"OrderNumber":"F1","Action":"SetPayment","Payment":{"ReconciliationId":"r%d"}}`, i))
	}
	require.Less(t, len(c.server.state.orderFeed.marks), 100)
	c.clock.advance(time.Minute)
	require.Equal(t, "F1", c.get("/SalesOrderService/ListSalesOrders").text("Orders.0.OrderNumber"))
}

func TestControlSurface(t *testing.T) {
	c := newCompany(t)
	c.ok(addOrder, orderOf("L1", "A100", ""))
	ledger := c.do(http.MethodGet, "/_sandbox/ledger", "", nil)
	for _, name := range []string{"salesOrders", "customers", "invoices", "payments", "creditMemos", "journals", "apInvoices", "stock", "shipments"} {
		require.IsType(t, []any{}, ledger.body[name], name)
	}
	require.Equal(t, "L1", ledger.text("salesOrders.0.OrderNumber"))
	require.Equal(t, "true", c.do(http.MethodGet, "/_sandbox/trial-balance", "", nil).text("Balanced"))
	require.Equal(t, 201, c.admin("customers", `{"CustomerCode":"HELD","OnHold":true,"CreditStatus":"9"}`).status)
	require.Equal(t, "CUSTOMER_ON_HOLD", c.post(addOrder, strings.Replace(orderOf("L2", "A100", ""), `"WEB"`, `"HELD"`, 1)).code())
	require.Equal(t, 400, c.admin("customers", `{"CustomerCode":"HELD","Onhold2":true}`).status, "a misspelt setting shows")

	require.Equal(t, 201, c.admin("faults", `{"route":"POST /APIServices/SalesOrderService/*","mode":"status","status":503,"reason":"ERP_UNAVAILABLE","times":1}`).status)
	down := c.post(addOrder, orderOf("L3", "A100", ""))
	require.Equal(t, "503 ERP_UNAVAILABLE 1", fmt.Sprint(down.status)+" "+down.code()+" "+down.header.Get("Retry-After"))
	require.NotEmpty(t, down.text("RequestId"))
	require.Equal(t, 201, c.admin("faults", `{"route":"POST /APIServices/SalesOrderService/AddSalesOrder","mode":"drop_after","times":1}`).status)
	c.http.CloseClientConnections() // on a connection that was used before, Go's client would send again by itself
	_, err := c.send(http.MethodPost, base+addOrder, orderOf("L3", "A100", ""), map[string]string{"Idempotency-Key": "lost"})
	require.Error(t, err)
	found := c.postKey(addOrder, "lost", orderOf("L3", "A100", ""))
	require.Equal(t, "201 true", fmt.Sprint(found.status)+" "+found.header.Get("Idempotent-Replayed"), "the lost answer was committed")

	require.Equal(t, 204, c.admin("reset", "").status)
	require.Equal(t, codeOrderNotFound, c.get("/SalesOrderService/GetSalesOrder?OrderNumber=L1").code())
	require.Equal(t, 201, c.postKey(addOrder, "lost", orderOf("L3", "A100", "")).status)
	c.balanced()
}

func TestStateOutlivesTheProcess(t *testing.T) {
	dir, clock := t.TempDir(), newClock()
	c := openCompany(t, dir, clock)
	salesOrder, number := c.invoiced("K1")
	c.ok(addPayment, receipt("K1", number, "115.39"))
	c.ok(addPayment, `{"PaymentReference":"KD","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":5,"Currency":"USD","PaymentType":"Deposit"}`)
	c.ok(addMemo, `{"OriginalInvoice":"`+number+`","CustomerCode":"WEB","CreditDate":"2026-07-28","Amount":5,"Currency":"USD"}`)
	c.ok(addOrder, orderOf("K2", "OUT0", ""))
	c.admin("periods", `{"Module":"AP","Open":["C"]}`)
	kept := c.postKey(addOrder, "kept", orderOf("K3", "A100", ""))
	before := c.do(http.MethodGet, "/_sandbox/ledger", "", nil)
	c.close()

	path := filepath.Join(dir, "syspro.jsonl")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"batch":[{"kind":"order","id":"000099","doc":{"SalesOr`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	for range 2 { // the second start reads what the first one compacted
		c = openCompany(t, dir, clock)
		after := c.do(http.MethodGet, "/_sandbox/ledger", "", nil)
		for name := range before.body {
			require.Equal(t, before.body[name], after.body[name], name)
		}
		replayed := c.postKey(addOrder, "kept", orderOf("K3", "A100", ""))
		require.Equal(t, kept.raw, replayed.raw)
		require.Equal(t, "true", replayed.header.Get("Idempotent-Replayed"))
		require.Equal(t, number, c.get("/ARInvoiceService/GetARInvoice?SalesOrder="+salesOrder).text("InvoiceNumber"))
		c.balanced()
		c.close()
	}
	c = openCompany(t, dir, clock)
	require.Equal(t, "000004", c.ok(addOrder, orderOf("K4", "A100", "")).text("SalesOrder"), "numbers go on")
	require.Equal(t, 200, c.admin("stock", `{"StockCode":"OUT0","QtyOnHand":10}`).status)
	require.Equal(t, "3", c.get("/SalesOrderService/GetSalesOrder?OrderNumber=K2").text("OrderStatus"), "back orders are still waiting")
	require.Equal(t, "5.00", c.get("/ARPaymentService/GetARPayment?PaymentReference=KD").text("UnappliedAmount"))
	c.balanced()
}

func TestNewNeedsCredentials(t *testing.T) {
	_, err := New(Config{ClientID: "x"})
	require.Error(t, err)
}

// TestBooksStayConsistent: after any sequence of operations, allowed or refused, the trial balance is zero, control
// accounts agree with the sub-ledgers and stock agrees with the orders.
func TestBooksStayConsistent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newCompany(t)
		defer c.close()
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(r, label) }
		order := func() string { return fmt.Sprintf("O%d", rapid.IntRange(1, 4).Draw(r, "order")) }
		rowOf := func() string { return fmt.Sprintf("%d", rapid.IntRange(1, 6).Draw(r, "row")) }
		amount := func() string {
			return fmt.Sprintf("%d.%02d", rapid.IntRange(0, 130).Draw(r, "units"), rapid.IntRange(0, 99).Draw(r, "cents"))
		}
		reference := func() string { return "P" + rowOf() }
		invoice := func() string { return "20000" + rowOf() }
		operations := map[string]func(){
			"order": func() {
				c.post(addOrder, fmt.Sprintf(`{"OrderNumber":"%s","CustomerCode":"%s","OrderDate":"2026-07-28","Currency":"USD","OrderStatus":"%s","LineItems":[
				 {"StockCode":"%s","Quantity":"%s","UnitPrice":12.345,"TaxAmount":1.01},{"StockCode":"LOW3","Quantity":1,"UnitPrice":3,"Discount":0.5}],"FreightTotal":4}`,
					order(), pick("customer", "WEB", "ACCOUNT"), pick("status", "", "1", "8", "S"), pick("stock", "A100", "LOW3", "OUT0", "C100"), pick("quantity", "1", "2.5", "7")))
			},
			"update": func() {
				c.post(updateOrder, fmt.Sprintf(`{"SalesOrder":"%s","Action":"%s","OrderStatus":"%s","CreditAuthority":"X","CancelReasonCode":"X"%s}`, rowOf(),
					pick("action", "SetStatus", "SetStatus", "Release", "Cancel"), pick("to", "1", "4", "8", "S"), pick("lines", "", `,"SalesOrderLines":[1]`, `,"SalesOrderLines":[2]`)))
			},
			"stock": func() {
				c.admin("stock", fmt.Sprintf(`{"StockCode":"%s","QtyAdjust":%d}`, pick("stock", "LOW3", "OUT0"), rapid.IntRange(-2, 6).Draw(r, "adjust")))
			},
			"ship": func() {
				c.admin("shipments", fmt.Sprintf(`{"SalesOrder":"%s","Invoice":%s%s}`, rowOf(), pick("invoice", "true", "false"), pick("lines", "", `,"Lines":[{"SalesOrderLine":1,"Quantity":1}]`)))
			},
			"invoice": func() { c.post(addInvoice, `{"SalesOrder":"`+rowOf()+`","InvoiceDate":"2026-07-28"}`) },
			"value": func() {
				c.post(addInvoice, `{"CustomerCode":"WEB","InvoiceDate":"2026-07-28","Currency":"USD","InvoiceTotal":`+amount()+`}`)
			},
			"receipt": func() {
				applied, unapplied := amount(), pick("unapplied", "0", "0", "5.00")
				total := sum(applied, unapplied)
				c.post(addPayment, fmt.Sprintf(`{"PaymentReference":"%s","CustomerCode":"%s","PaymentDate":"2026-07-28","Amount":%s,"Currency":"USD","PaymentType":"Receipt","BankChargeAmount":%s,
				 "Allocations":[{"InvoiceNumber":"%s","Amount":%s,"DiscountAmount":%s}],"UnappliedAmount":%s}`, reference(), pick("customer", "WEB", "ACCOUNT"), total, pick("charge", "0", "0.30"), invoice(), applied, pick("discount", "0", "0.07"), unapplied))
			},
			"deposit": func() {
				c.post(addPayment, `{"PaymentReference":"`+reference()+`","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":`+amount()+`,"Currency":"USD","PaymentType":"Deposit"}`)
			},
			"apply": func() {
				part := amount()
				c.post(addPayment, `{"PaymentReference":"A`+rowOf()+`","PaymentDate":"2026-07-28","Amount":`+part+`,"PaymentType":"Apply","SourceReference":"`+reference()+`","Allocations":[{"InvoiceNumber":"`+invoice()+`","Amount":`+part+`}]}`)
			},
			"reverse": func() {
				c.post(addPayment, `{"PaymentReference":"R`+rowOf()+`","PaymentDate":"2026-07-28","PaymentType":"Reversal","SourceReference":"`+pick("kind", "P", "A", "F")+rowOf()+`"}`)
			},
			"memo": func() {
				c.admin("credit-memos", `{"OriginalInvoice":"`+invoice()+`","Restock":`+pick("restock", "true", "false")+`,"Amount":`+amount()+`}`)
			},
			"refund": func() {
				part := amount()
				c.post(addPayment, `{"PaymentReference":"F`+rowOf()+`","CustomerCode":"WEB","PaymentDate":"2026-07-28","Amount":`+part+`,"Currency":"USD","PaymentType":"Refund","Allocations":[{"InvoiceNumber":"C0000`+rowOf()+`","Amount":`+part+`}]}`)
			},
		}
		names := []string{"order", "order", "update", "update", "stock", "ship", "invoice", "invoice", "value", "receipt", "receipt", "deposit", "apply", "apply", "reverse", "memo", "refund"}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			operations[rapid.SampledFrom(names).Draw(r, "operation")]()
			if err := c.server.check(); err != nil {
				r.Fatal(err)
			}
		}
	})
}

func sum(a, b string) string {
	return decimalOf(a).Add(decimalOf(b)).String()
}

// FuzzIntake: whatever comes in is answered in the facade's form, and never breaks the books.
func FuzzIntake(f *testing.F) {
	f.Add(addOrder, orderOf("F1", "A100", ""))
	f.Add(addPayment, receipt("F1", "200001", "1.00"))
	f.Add(addJournal, `{"Reference":"F","JournalDate":"2026-07-28","Currency":"KWD","Lines":[{"AccountCode":"1010","Debit":"1.001"},{"AccountCode":"1050","Credit":1.001}]}`)
	f.Add(addCustomer, `{"Name":null,"CreditLimit":"1e9"}`)
	f.Add(updateOrder, `{"SalesOrder":"1","Action":"Cancel","SalesOrderLines":[-1]}`)
	f.Add(addMemo, `{"RestockLines":[{"Quantity":-0.0}]}`)
	f.Add(addAP, `{"Distribution":[null]}`)
	f.Add(addInvoice, "{\"InvoiceTotal\":\"\\u0000\"}")
	c := newCompany(f)
	f.Fuzz(func(t *testing.T, path, body string) {
		switch path {
		case addOrder, addPayment, addJournal, addCustomer, updateOrder, addMemo, addAP, addInvoice:
		default:
			return
		}
		a, err := c.send(http.MethodPost, base+path, body, map[string]string{"Idempotency-Key": fmt.Sprintf("f:%d", c.clock.keys.Add(1)), "Content-Type": "application/json"})
		require.NoError(t, err)
		require.NotEqual(t, http.StatusInternalServerError, a.status, a.raw)
		require.Contains(t, []string{"Success", "Error"}, a.text("Status"))
		require.NoError(t, c.server.check())
	})
}
