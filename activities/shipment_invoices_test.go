package activities_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
)

// An ERP may invoice each shipment by itself. The stand-in knows no more than one invoice of a sales order, so that these are invoices of their
// own, of the same customer.

// invoiced is a shipment with an invoice of its own, of an amount.
func (b *books) invoicedShipment(t *testing.T, salesOrder string, n int, capture, share, invoice string) activities.ShipInput {
	t.Helper()
	in := b.shipped(salesOrder, fmt.Sprintf("S%d", n), capture, share)
	in.Shipment.Invoice = b.invoiceShipment(t, fmt.Sprintf("90000%d", n), invoice)
	return in
}

// balances are what is open of the invoices, in their order.
func (b *books) balances(t *testing.T) []string {
	t.Helper()
	var open []string
	for _, invoice := range b.ledger(t, "invoices") {
		open = append(open, cents(t, invoice, "Balance"))
	}
	return open
}

// TestADepositIsAppliedToEachInvoiceInParts: what the first invoice does not need stays a deposit, for the next one; what none needs stays one.
func TestADepositIsAppliedToEachInvoiceInParts(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			b.receive(t, order.Number, "")
			require.Equal(t, "-48.19", balanceOf(b.accounts(t), "2300"))
			for i, step := range []struct{ invoice, left string }{{"20.00", "-28.19"}, {"28.18", "-0.01"}} {
				in := b.invoicedShipment(t, order.Number, i+1, "", "0", step.invoice)
				if mode != "" {
					b.fails(t, "ARPaymentService/AddARPayment", mode)
				}
				for range 2 {
					require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.ApplyDeposits, in).Result)
				}
				in.Attempt = 2
				must(t, b.bank, b.booking.ApplyDeposits, in)
				accounts := b.accounts(t)
				require.Equal(t, step.left, balanceOf(accounts, "2300"))
				require.Equal(t, "0.00", balanceOf(accounts, "1200"))
				require.Len(t, b.ledger(t, "payments"), i+2)
			}
			require.Equal(t, []string{"0.00", "0.00"}, b.balances(t))
		})
	}
}

// TestTheLastShipmentPaysWhatAnEarlierInvoiceLacks: shares and invoices are rounded each by itself; only once all has left is the rest nobody's.
func TestTheLastShipmentPaysWhatAnEarlierInvoiceLacks(t *testing.T) {
	for _, mode := range lossy {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			order := b.sell(t, false)
			first := b.invoicedShipment(t, order.Number, 1, captureID, "20.00", "20.01")
			must(t, b.bank, b.booking.BookShipment, first)
			must(t, b.bank, b.booking.ApplyDeposits, first)
			require.Equal(t, []string{"0.01"}, b.balances(t))
			b.clock.Advance(time.Minute)

			last := b.invoicedShipment(t, order.Number, 2, secondCapture, "28.19", "28.18")
			must(t, b.bank, b.booking.BookShipment, last)
			require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.ApplyDeposits, last).Result, "more may leave, and need it")
			require.Equal(t, []string{"0.01", "0.00"}, b.balances(t))

			last.Invoices = []string{first.Shipment.Invoice, last.Shipment.Invoice, "999999"} // one that the ERP does not have needs nothing
			if mode != "" {
				b.fails(t, "ARPaymentService/AddARPayment", mode)
			}
			applied := must(t, b.bank, b.booking.ApplyDeposits, last)
			require.Equal(t, activities.UndoDone, applied.Result)
			require.Equal(t, []string{"0.00", "0.00"}, b.balances(t))
			payments := b.ledger(t, "payments")
			require.Len(t, payments, 3)
			require.Equal(t, []any{"Apply", secondCapture, "0.01"}, []any{payments[2]["PaymentType"], payments[2]["SourceReference"], cents(t, payments[2], "Amount")})
			accounts := b.accounts(t)
			require.Equal(t, []string{"48.19", "0.00", "0.00"}, []string{balanceOf(accounts, "1050"), balanceOf(accounts, "1200"), balanceOf(accounts, "2300")})

			last.Attempt = 2
			require.Equal(t, applied, must(t, b.bank, b.booking.ApplyDeposits, last))
			require.Len(t, b.ledger(t, "payments"), 3)
		})
	}
}

// However an order is split into shipments and invoices, by whichever cents the two differ, whether it was paid before or shipment by shipment,
// and in whatever order the shipments are told: once all has left, every invoice is paid and no deposit is left.
func TestAllInvoicesOfAnOrderArePaid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBooks(t, "A100", "2")
		order := b.sell(t, false)
		shares := anySplit(rt, 4819)
		deposit := rapid.Bool().Draw(rt, "paid before")
		if deposit {
			b.receive(t, order.Number, "")
		}
		owed := decimal.Zero // how far the invoices are ahead of the shares
		var shipments []activities.ShipInput
		var invoices []string
		for i, share := range shares {
			last, least := len(shares)-1, dec("0.20")
			off := decimal.New(rapid.Int64Range(-2, 2).Draw(rt, "off"), -2)
			switch {
			case i == last:
				off = owed.Neg()
			case dec(share).LessThan(least) || dec(shares[last]).LessThan(least): // no invoice is of nothing
				off = decimal.Zero
			}
			owed = owed.Add(off)
			capture := ""
			if !deposit {
				capture = fmt.Sprintf("70312345678901234567%02d", i+10)
			}
			in := b.invoicedShipment(t, order.Number, i+1, capture, share, dec(share).Add(off).StringFixed(2))
			shipments, invoices = append(shipments, in), append(invoices, in.Shipment.Invoice)
		}
		for at, n := range rapid.Permutation(seq(len(shipments))).Draw(rt, "told") {
			in := shipments[n]
			if at == len(shipments)-1 {
				in.Invoices = invoices
			}
			if rapid.IntRange(0, 3).Draw(rt, "lost") == 0 {
				b.broken(rt, "POST /APIServices/ARPaymentService/AddARPayment")
			}
			must(t, b.bank, b.booking.BookShipment, in)
			must(t, b.bank, b.booking.ApplyDeposits, in)
			b.clock.Advance(time.Minute)
		}
		accounts := b.accounts(t)
		require.Equal(rt, []string{"48.19", "0.00", "0.00"}, []string{balanceOf(accounts, "1050"), balanceOf(accounts, "1200"), balanceOf(accounts, "2300")})
		for _, open := range b.balances(t) {
			require.Equal(rt, "0.00", open)
		}
	})
}

func seq(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
