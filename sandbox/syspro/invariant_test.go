package syspro

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// check tells what is inconsistent in the company.
func (s *Server) check() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.state
	if balance := st.trialBalance(); !balance.Balanced {
		return fmt.Errorf("trial balance: %+v", balance)
	}
	for _, check := range []func(*state) error{checkReceivables, checkStock, checkCustomers} {
		if err := check(st); err != nil {
			return err
		}
	}
	return nil
}

// checkReceivables: AR control = open invoices less open credit memos; deposits = unapplied money.
func checkReceivables(st *state) error {
	want := map[balanceKey]decimal.Decimal{}
	add := func(currency, account string, amount decimal.Decimal) {
		k := balanceKey{currency, account}
		want[k] = want[k].Add(amount)
	}
	for _, i := range st.invoices.all {
		if i.Balance.IsNegative() || i.Balance.GreaterThan(i.InvoiceTotal.Decimal) {
			return fmt.Errorf("invoice %s of %s has balance %s", i.InvoiceNumber, i.InvoiceTotal, i.Balance)
		}
		add(i.Currency, accountAR, i.Balance.Decimal)
	}
	for _, m := range st.creditMemos.all {
		if m.Remaining.IsNegative() || m.Remaining.GreaterThan(m.Amount.Decimal) {
			return fmt.Errorf("credit memo %s of %s has %s left", m.CreditMemoNumber, m.Amount, m.Remaining)
		}
		add(m.Currency, accountAR, m.Remaining.Neg())
	}
	for _, p := range st.payments.all {
		if p.UnappliedAmount.IsNegative() {
			return fmt.Errorf("payment %s has %s unapplied", p.PaymentReference, p.UnappliedAmount)
		}
		if p.PaymentType == typeReceipt || p.PaymentType == typeDeposit {
			add(p.Currency, accountDeposits, p.UnappliedAmount.Neg())
		}
	}
	for _, currency := range []string{"USD", "EUR", "GBP", "JPY"} {
		for _, account := range []string{accountAR, accountDeposits} {
			k := balanceKey{currency, account}
			if !st.balances[k].Equal(want[k]) {
				return fmt.Errorf("account %s %s is %s, the sub-ledger has %s", account, currency, st.balances[k], want[k])
			}
		}
	}
	return nil
}

// checkStock: allocated and back-ordered stock is what the orders say, and nothing is below zero.
func checkStock(st *state) error {
	allocated, backOrdered := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, o := range st.orders.all {
		for _, l := range o.LineItems {
			allocated[l.stockKey()] = allocated[l.stockKey()].Add(l.QuantityAllocated.Decimal)
			backOrdered[l.stockKey()] = backOrdered[l.stockKey()].Add(l.QuantityBackOrdered.Decimal)
			if (o.cancelled() || o.OrderStatus == statusComplete) && !l.QuantityAllocated.Add(l.QuantityBackOrdered.Decimal).IsZero() {
				return fmt.Errorf("order %s in status %s holds stock", o.SalesOrder, o.OrderStatus)
			}
			if l.QuantityShipped.IsNegative() || l.QuantityAllocated.IsNegative() || l.QuantityBackOrdered.IsNegative() {
				return fmt.Errorf("order %s has a negative quantity", o.SalesOrder)
			}
		}
	}
	for _, i := range st.stock.all {
		if i.QtyOnHand.IsNegative() {
			return fmt.Errorf("%s has %s on hand", i.key(), i.QtyOnHand)
		}
		if !i.QtyAllocated.Equal(allocated[i.key()]) || !i.QtyOnBackOrder.Equal(backOrdered[i.key()]) {
			return fmt.Errorf("%s has %s allocated and %s on back order, the orders %s and %s", i.key(),
				i.QtyAllocated, i.QtyOnBackOrder, allocated[i.key()], backOrdered[i.key()])
		}
	}
	return nil
}

// checkCustomers: balances and open orders of the customers are those of their documents.
func checkCustomers(st *state) error {
	balance, open := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, i := range st.invoices.all {
		balance[i.CustomerCode] = balance[i.CustomerCode].Add(i.Balance.Decimal)
	}
	for _, m := range st.creditMemos.all {
		balance[m.CustomerCode] = balance[m.CustomerCode].Sub(m.Remaining.Decimal)
	}
	for _, p := range st.payments.all {
		if p.PaymentType == typeReceipt || p.PaymentType == typeDeposit {
			balance[p.CustomerCode] = balance[p.CustomerCode].Sub(p.UnappliedAmount.Decimal)
		}
	}
	numbers := map[string]bool{}
	for _, o := range st.orders.all {
		natural := naturalOrder(o.CustomerCode, o.OrderNumber)
		if numbers[natural] {
			return fmt.Errorf("order %s of %s exists twice", o.OrderNumber, o.CustomerCode)
		}
		numbers[natural] = true
		if !o.cancelled() && o.OrderStatus != statusComplete {
			open[o.CustomerCode] = open[o.CustomerCode].Add(o.OrderTotal.Decimal)
		}
	}
	for _, c := range st.customers.all {
		if !c.CurrentBalance.Equal(balance[c.CustomerCode]) || !c.OpenOrderValue.Equal(open[c.CustomerCode]) {
			return fmt.Errorf("customer %s has balance %s and open orders %s, the documents %s and %s", c.CustomerCode,
				c.CurrentBalance, c.OpenOrderValue, balance[c.CustomerCode], open[c.CustomerCode])
		}
	}
	return nil
}
