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
	Books world.Books     // as the ERP's ledger has it
	Told  []string        // as the shop's ledger has it
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
	d.promises(got)
	d.money("captured", want.Captured, got.Money.Captured)
	d.money("held", want.Held, got.Money.Held)
	d.books(want, got)
	d.compare("shop was told", strings.Join(want.Told, ", "), strings.Join(got.Told, ", "))
	return d.found
}

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
func (d *differences) promises(got Evidence) {
	if got.Money.Live > 1 {
		d.add("the gateway has %d live authorizations or captures", got.Money.Live)
	}
	if len(got.Books.SalesOrders) > 1 {
		d.add("the ERP has %d sales orders", len(got.Books.SalesOrders))
	}
	if slices.Contains([]string{"declined", "rejected", "cancelled", "compensated", Refused}, got.Order.Status) {
		if !got.Money.Captured.IsZero() || !got.Money.Held.IsZero() {
			d.add("%s, but %s is captured and %s held", got.Order.Status, got.Money.Captured, got.Money.Held)
		}
	}
}

func (d *differences) money(what, want string, got decimal.Decimal) {
	wanted := decimal.Zero
	if want != "" {
		wanted = decimal.RequireFromString(want)
	}
	if !wanted.Equal(got) {
		d.add("%s at the gateway: %s, expected %s", what, got, wanted)
	}
}

func (d *differences) books(want Want, got Evidence) {
	number, status := "", ""
	if len(got.Books.SalesOrders) > 0 {
		number, status = text(got.Books.SalesOrders[0], "SalesOrder"), text(got.Books.SalesOrders[0], "OrderStatus")
	}
	d.compare("sales order's status in the ERP", want.SalesOrder, status)
	d.compare("sales order's number", number, got.Order.ErpOrderNumber)
	invoice := ""
	if len(got.Books.Invoices) > 0 {
		invoice = text(got.Books.Invoices[0], "InvoiceNumber")
	}
	d.compare("invoice's number", invoice, got.Order.ErpInvoice)
	d.compare("invoices in the ERP", want.Invoices, len(got.Books.Invoices))
	receipts, reversed := receiptsOf(got.Books)
	d.compare("receipts in the ERP", want.Receipts, receipts)
	d.compare("reversed receipts in the ERP", want.Reversals, reversed)
	d.compare("credit memos in the ERP", want.CreditMemos, len(got.Books.CreditMemos))
}

// receiptsOf counts the receipts that hold, and those that were reversed.
func receiptsOf(b world.Books) (holding, reversed int) {
	for _, payment := range b.Payments {
		if text(payment, "PaymentType") != "Receipt" {
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

func text(document map[string]any, field string) string {
	value, _ := document[field].(string)
	return value
}
