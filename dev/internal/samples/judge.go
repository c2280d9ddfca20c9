package samples

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// Evidence is what is known of an order once it has ended.
type Evidence struct {
	Order world.OrderView // as the API shows it
	Money world.Money     // as the gateway's ledger has it
	Books world.Books     // as the ledger of the ERP has it that it is to be booked in
	Told  []string        // as the shop's ledger has it

	Elsewhere []string // other ERPs that have it in their books
}

// Judge names every difference between what was to be and what the ledgers show, and every promise that is broken whatever was to be.
func Judge(want Want, got Evidence) []string {
	d := &differences{}
	d.compare("order status", want.Status, got.Order.Status)
	if want.Status != Refused {
		d.compare("payment status", want.Payment, got.Order.PaymentStatus)
	}
	if got.Order.NeedsAttention {
		d.add("the order still waits for an operator")
	}
	d.promises(want, got)
	d.money("captured", want.Captured, got.Money.Captured)
	d.money("held", want.Held, got.Money.Held)
	d.money("refunded", want.Refunded, got.Money.Refunded)
	d.books(want, got)
	d.compare("shop was told", listed(want.Told), listed(got.Told))
	return d.found
}

// listed is a list in which the order does not count.
func listed(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ", ") }

type differences struct{ found []string }

func (d *differences) add(format string, values ...any) {
	d.found = append(d.found, fmt.Sprintf(format, values...))
}

func (d *differences) compare(what string, want, got any) {
	if want != got {
		d.add("%s: %s, expected %s", what, shown(got), shown(want))
	}
}

func shown(value any) string {
	if text := fmt.Sprint(value); text != "" {
		return text
	}
	return "nothing"
}

// promises are those that hold for every order, however it was to end.
func (d *differences) promises(want Want, got Evidence) {
	if got.Money.Live > max(1, want.Captures) {
		d.add("the gateway has %d live authorizations or captures", got.Money.Live)
	}
	if len(got.Books.SalesOrders) > 1 {
		d.add("the ERP has %d sales orders", len(got.Books.SalesOrders))
	}
	if len(got.Elsewhere) > 0 {
		d.add("it is booked in %s too", strings.Join(got.Elsewhere, ", "))
	}
	if slices.Contains([]string{"declined", "rejected", "cancelled", "compensated", Refused}, got.Order.Status) {
		if !got.Money.Captured.IsZero() || !got.Money.Held.IsZero() {
			d.add("%s, but %s is captured and %s held", got.Order.Status, got.Money.Captured, got.Money.Held)
		}
	}
	if booked := moneyInBooks(got.Books); got.Order.Final() && !booked.Equal(got.Money.Captured) {
		d.add("the ERP's receivables have %s of the buyer's money, the gateway %s", booked, got.Money.Captured)
	}
}

func (d *differences) money(what, want string, got decimal.Decimal) {
	d.amount(what+" at the gateway", want, got)
}

func (d *differences) amount(what, want string, got decimal.Decimal) {
	wanted := decimal.Zero
	if want != "" {
		wanted = decimal.RequireFromString(want)
	}
	if !wanted.Equal(got) {
		d.add("%s: %s, expected %s", what, got, wanted)
	}
}

func (d *differences) books(want Want, got Evidence) {
	number := ""
	if len(got.Books.SalesOrders) > 0 {
		number = text(got.Books.SalesOrders[0], "SalesOrder")
	}
	d.compare("sales order's status in the ERP", want.salesOrder(len(got.Books.SalesOrders)), got.Books.Status)
	d.compare("sales order's number", number, got.Order.ErpOrderNumber)
	invoice := ""
	if n := len(got.Books.Invoices); n > 0 {
		invoice = text(got.Books.Invoices[n-1], "InvoiceNumber") // of several the last one made
	}
	d.compare("invoice's number", invoice, got.Order.ErpInvoice)
	d.compare("invoices in the ERP", want.Invoices, len(got.Books.Invoices))
	receipts, reversed := receiptsOf(got.Books)
	d.compare("receipts in the ERP", want.Receipts, receipts)
	d.compare("reversed receipts in the ERP", want.Reversals, reversed)
	d.compare("credit memos in the ERP", want.CreditMemos, len(got.Books.CreditMemos))
	d.amount("credited in the ERP", want.Credited, sum(got.Books.CreditMemos, func(map[string]any) bool { return true }))
	d.amount("refunded in the ERP's receivables", want.Refunded, sum(got.Books.Payments, func(payment map[string]any) bool {
		return text(payment, "PaymentType") == "Refund" && payment["Reversed"] != true
	}))
}

// receiptsOf counts the receipts that hold, and those that were reversed.
func receiptsOf(b world.Books) (holding, reversed int) {
	for _, payment := range b.Payments {
		if kind := text(payment, "PaymentType"); kind != "Receipt" && kind != "Deposit" {
			continue
		}
		if payment["Reversed"] == true {
			reversed++
		} else {
			holding++
		}
	}
	return holding, reversed
}

// moneyInBooks is what the receivables have of a buyer's money: receipts and deposits without those taken back, less refunds.
func moneyInBooks(b world.Books) decimal.Decimal {
	return sum(b.Payments, func(payment map[string]any) bool {
		kind := text(payment, "PaymentType")
		return (kind == "Receipt" || kind == "Deposit") && payment["Reversed"] != true
	}).Sub(sum(b.Payments, func(payment map[string]any) bool {
		return text(payment, "PaymentType") == "Refund" && payment["Reversed"] != true
	}))
}

// sum adds the amounts of the documents that count.
func sum(documents []map[string]any, counts func(map[string]any) bool) decimal.Decimal {
	total := decimal.Zero
	for _, document := range documents {
		if counts(document) {
			total = total.Add(amount(document))
		}
	}
	return total
}

// amount is that of an ERP document: a number in its JSON, which the ERP rounds to the minor unit.
func amount(document map[string]any) decimal.Decimal {
	switch value := document["Amount"].(type) {
	case float64:
		return decimal.NewFromFloat(value)
	case string:
		parsed, err := decimal.NewFromString(value)
		if err == nil {
			return parsed
		}
	}
	return decimal.Zero
}

func text(document map[string]any, field string) string {
	value, _ := document[field].(string)
	return value
}
