package sagepro

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
)

// Difference is one running total that is not what the rows behind it come to, or one row without the rows that belong to it.
type Difference struct {
	What     string `json:"what"`
	Key      string `json:"key"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// drift finds every difference: what the ERP's own programs keep right, whoever writes past them has to keep right too.
func (b *books) drift() []Difference {
	d := &drift{books: b, index: b.index(), found: []Difference{}}
	d.onOrder()
	d.stock()
	d.balances()
	d.invoices()
	d.orders()
	d.history()
	d.lost()
	d.ledger()
	slices.SortFunc(d.found, func(a, b Difference) int { return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Key, b.Key)) })
	return d.found
}

type drift struct {
	books *books
	index *index
	found []Difference
}

func (d *drift) add(what, key, expected, found string) {
	d.found = append(d.found, Difference{what, key, expected, found})
}

func (d *drift) compare(what, key string, expected, found decimal.Decimal) {
	if !expected.Equal(found) {
		d.add(what, key, expected.String(), found.String())
	}
}

// onOrder: a customer's open orders are the sum of what is open of them.
func (d *drift) onOrder() {
	sums := map[text]decimal.Decimal{}
	for i := range d.books.orders {
		if o := &d.books.orders[i]; o.takes() {
			sums[o.Custno] = sums[o.Custno].Add(o.Ordamt.Decimal)
		}
	}
	for _, c := range d.books.customers {
		d.compare("arcust.onorder", string(c.Custno), sums[c.Custno], c.Onorder.Decimal)
		delete(sums, c.Custno)
	}
	for _, custno := range sortedKeys(sums) {
		d.add("arcust", string(custno), "a customer of open orders", "none")
	}
}

// stock: what is allocated is what open orders have of an item, what is on hand is what its movements come to.
func (d *drift) stock() {
	allocated, moved := map[place]decimal.Decimal{}, map[place]decimal.Decimal{}
	for i := range d.books.lines {
		l := &d.books.lines[i]
		if o := d.index.orders[l.Sono]; l.stocked() && l.Sostat == orderOpen && o != nil && o.takes() {
			allocated[l.place()] = allocated[l.place()].Add(l.Qtyord.Decimal)
		}
	}
	for _, m := range d.books.movements {
		p := place{string(m.Item), string(m.Loctid)}
		if m.Trantyp == "I" {
			moved[p] = moved[p].Sub(m.Qty.Decimal)
		} else {
			moved[p] = moved[p].Add(m.Qty.Decimal)
		}
	}
	everywhere := map[text]decimal.Decimal{}
	for i := range d.books.stock {
		everywhere[d.books.stock[i].Item] = everywhere[d.books.stock[i].Item].Add(d.books.stock[i].Onhand.Decimal)
	}
	for i := range d.books.stock {
		s := &d.books.stock[i]
		if total, first := everywhere[s.Item]; first {
			d.compare("icitem.ionhand", string(s.Item), total, s.Ionhand.Decimal)
			delete(everywhere, s.Item)
		}
		d.compare("iciloc.lsoaloc", s.place().String(), allocated[s.place()], s.Alloc.Decimal)
		d.compare("iciloc.lonhand", s.place().String(), moved[s.place()], s.Onhand.Decimal)
		delete(allocated, s.place())
		delete(moved, s.place())
	}
	for _, sums := range []map[place]decimal.Decimal{allocated, moved} {
		for p, sum := range sums {
			if !sum.IsZero() {
				d.add("iciloc", p.String(), "a row for what is ordered or moved", "none")
			}
		}
	}
}

// balances: a customer owes what is open of invoices less what is open of credit memos, less the deposits that no invoice took.
func (d *drift) balances() {
	sums := map[text]decimal.Decimal{}
	for i := range d.books.invoices {
		if row := &d.books.invoices[i]; !row.void() {
			sums[row.Custno] = sums[row.Custno].Add(row.Balance.Decimal)
		}
	}
	for i := range d.books.cash {
		if row := &d.books.cash[i]; row.deposit() {
			sums[row.Custno] = sums[row.Custno].Sub(row.Paidamt.Decimal)
		}
	}
	for _, c := range d.books.customers {
		d.compare("arcust.balance", string(c.Custno), sums[c.Custno], c.Balance.Decimal)
	}
}

// invoices: what is open is what was billed less what was paid, and that is what the rows of cash come to. Lines and tax come to the whole.
func (d *drift) invoices() {
	paid := map[text]decimal.Decimal{}
	for i := range d.books.cash {
		row := &d.books.cash[i]
		paid[row.Invno] = paid[row.Invno].Add(row.Paidamt.Decimal).Add(row.Disc.Decimal)
	}
	for i := range d.books.invoices {
		row := &d.books.invoices[i]
		key := ours(row.Invno)
		d.compare("armast.balance", key, row.Invamt.Sub(row.Paidamt.Decimal), row.Balance.Decimal)
		d.compare("armast.paidamt", key, paid[row.Invno], row.Paidamt.Decimal)
		if row.memo() && (row.Invamt.IsPositive() || row.Balance.IsPositive()) || !row.memo() && row.Balance.IsNegative() {
			d.add("armast sign", key, "a balance on its own side of zero", row.Balance.String())
		}
		if lines := d.index.invoiceLines[row.Invno]; len(lines) > 0 && !row.memo() {
			total := row.Tax.Decimal
			for _, l := range lines {
				total = total.Add(l.Extprice.Decimal)
			}
			d.compare("armast.invamt", key, total, row.Invamt.Decimal)
		}
	}
}

// orders: quantities of a line add up, invoices account for what was shipped, and an order with nothing open is closed.
func (d *drift) orders() {
	billed, shipped := map[text]decimal.Decimal{}, map[string]decimal.Decimal{}
	for sono, invoices := range d.index.ofOrder {
		for _, i := range invoices {
			billed[sono] = billed[sono].Add(i.Invamt.Decimal)
			for _, l := range d.index.invoiceLines[i.Invno] {
				k := lineKey(sono, l.number())
				shipped[k] = shipped[k].Add(l.Qtyshp.Decimal)
			}
		}
	}
	for i := range d.books.orders {
		o := &d.books.orders[i]
		d.compare("somast.shpamt", ours(o.Sono), billed[o.Sono], o.Shpamt.Decimal)
		total, open := o.Tax.Decimal, decimal.Zero
		for _, l := range d.index.lines[o.Sono] {
			total, open = total.Add(l.Extprice.Decimal), open.Add(l.Qtyord.Decimal)
			k := lineKey(l.Sono, l.Number)
			d.compare("sotran.qtyshp", k, shipped[k], l.Qtyshp.Decimal)
			if l.Sostat == orderOpen || l.Sostat == orderClosed {
				d.compare("sotran.qtyord", k, l.Origqtyord.Sub(l.Qtyshp.Decimal), l.Qtyord.Decimal)
			}
		}
		switch {
		case o.takes():
			d.compare("somast.ordamt", ours(o.Sono), total.Sub(o.Shpamt.Decimal), o.Ordamt.Decimal)
			if open.IsZero() {
				d.add("somast.sostat", ours(o.Sono), "C", "open with nothing left to ship")
			}
		case o.Sostat == orderClosed && !o.Ordamt.IsZero():
			d.compare("somast.ordamt", ours(o.Sono), decimal.Zero, o.Ordamt.Decimal)
		}
	}
}

func lineKey(sono text, line int) string { return fmt.Sprintf("%s/%d", ours(sono), line) }

// history: a document is either current or finished, with all of its rows, and what is finished has nothing open.
func (d *drift) history() {
	orders, invoices := map[text]map[bool]int{}, map[text]map[bool]int{}
	count := func(in map[text]map[bool]int, key text, finished bool) {
		if in[key] == nil {
			in[key] = map[bool]int{}
		}
		in[key][finished]++
	}
	for i := range d.books.orders {
		o := &d.books.orders[i]
		count(orders, o.Sono, o.History)
		if o.History && o.Sostat == orderOpen {
			d.add("soymst", ours(o.Sono), "finished", "open")
		}
	}
	for i := range d.books.invoices {
		row := &d.books.invoices[i]
		count(invoices, row.Invno, row.History)
		if row.History && !row.Balance.IsZero() {
			d.add("arymst", ours(row.Invno), "nothing open", row.Balance.String())
		}
	}
	twice := func(table string, in map[text]map[bool]int) {
		for _, key := range sortedKeys(in) {
			if in[key][false] > 0 && in[key][true] > 0 {
				d.add(table, ours(key), "current or finished", "both")
			}
		}
	}
	twice("somast", orders)
	twice("armast", invoices)
	strays := func(what string, key text, finished bool, headers map[text]map[bool]int) {
		if headers[key][finished] == 0 {
			d.add(what, ours(key), "its document beside it", map[bool]string{false: "none that is current", true: "none in history"}[finished])
		}
	}
	for i := range d.books.lines {
		strays("sotran", d.books.lines[i].Sono, d.books.lines[i].History, orders)
	}
	for i := range d.books.addresses {
		strays("soaddr", d.books.addresses[i].Sono, d.books.addresses[i].History, orders)
	}
	for i := range d.books.invoiceLines {
		strays("artran", d.books.invoiceLines[i].Invno, d.books.invoiceLines[i].History, invoices)
	}
	for i := range d.books.cash {
		if row := &d.books.cash[i]; !row.deposit() {
			strays("arcash", row.Invno, row.History, invoices)
		}
	}
}

// lost: what other rows speak of is there, current or finished.
func (d *drift) lost() {
	orders, invoices := map[text]bool{}, map[text]bool{}
	for i := range d.books.orders {
		o := &d.books.orders[i]
		orders[o.Sono] = true
		if len(d.index.lines[o.Sono]) == 0 {
			d.add("somast", ours(o.Sono), "lines", "none")
		}
	}
	for i := range d.books.invoices {
		row := &d.books.invoices[i]
		invoices[row.Invno] = true
		if row.Ornum != "" && !orders[row.Ornum] {
			d.add("armast.ornum", ours(row.Invno), "sales order "+ours(row.Ornum), "none")
		}
	}
	for i := range d.books.payments {
		if p := &d.books.payments[i]; !orders[p.Sono] {
			d.add("cyb_paystat.sono", string(p.Cybtxn), "sales order "+ours(p.Sono), "none")
		}
	}
	for i := range d.books.xrefs {
		r := &d.books.xrefs[i]
		switch {
		case r.Entity == "order" && r.Erpkey != "" && !orders[r.Erpkey]:
			d.add("cyb_xref.erpkey", string(r.Extref), "sales order "+ours(r.Erpkey), "none")
		case (r.Entity == "invoice" || r.Entity == "creditmemo") && r.Erpkey != "" && !invoices[r.Erpkey]:
			d.add("cyb_xref.erpkey", string(r.Extref), "invoice or credit memo "+ours(r.Erpkey), "none")
		}
	}
}

// ledger: every batch comes to nothing and to its own totals, every vendor's invoice to its accounts, and all accounts are in the chart.
func (d *drift) ledger() {
	debits, credits := map[text]decimal.Decimal{}, map[text]decimal.Decimal{}
	for _, l := range d.books.batchLines {
		if l.Amount.IsNegative() {
			credits[l.Batchno] = credits[l.Batchno].Sub(l.Amount.Decimal)
		} else {
			debits[l.Batchno] = debits[l.Batchno].Add(l.Amount.Decimal)
		}
		d.account("gltran.glacnt", string(l.Ref), l.Glacnt)
	}
	for _, j := range d.books.batches {
		d.compare("gltran sum", string(j.Ref), decimal.Zero, debits[j.Batchno].Sub(credits[j.Batchno]))
		d.compare("glbatch.totdr", string(j.Ref), debits[j.Batchno], j.Totdr.Decimal)
		d.compare("glbatch.totcr", string(j.Ref), credits[j.Batchno], j.Totcr.Decimal)
	}
	billed := map[[2]text]decimal.Decimal{}
	for _, l := range d.books.billLines {
		k := [2]text{l.Vendno, l.Invno}
		billed[k] = billed[k].Add(l.Amount.Decimal)
		d.account("apdist.glacnt", string(l.Invno), l.Glacnt)
	}
	for _, a := range d.books.bills {
		d.compare("apmast.puramt", string(a.Vendno)+"/"+string(a.Invno), billed[[2]text{a.Vendno, a.Invno}], a.Puramt.Decimal)
	}
}

func (d *drift) account(what, key string, account text) {
	if _, known := d.books.accounts[string(account)]; !known {
		d.add(what, key, "an account of the chart", string(account))
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
