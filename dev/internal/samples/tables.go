package samples

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// TablesAgree holds the tables of an ERP that is a database, row by row, against what became of each sample at the gateway: they say what the
// ERP's own programs would show, however its ledger is told. Orders of other ERPs are to be in none of them.
func TablesAgree(ctx context.Context, w *world.World, results []Result) error {
	tables, err := w.Tables(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, result := range results {
		d := &differences{}
		if result.Sample.ERP.Name == w.ERP.Name {
			d.tables(w.ERP, tables, result)
		} else if len(tables.Rows("cyb_xref", "", "extref", result.OrderID)) > 0 {
			d.add("it is known to %s", w.ERP.Title)
		}
		for _, found := range d.found {
			problems = append(problems, fmt.Errorf("%s: %s", result.OrderID, found))
		}
	}
	return errors.Join(problems...)
}

// tables compares the rows of one order.
func (d *differences) tables(erp world.ERP, tables world.Tables, result Result) {
	want := result.Sample.Want
	number, orders := orderRows(tables, result.OrderID)
	status := want.salesOrder(len(orders))
	switch {
	case status == "":
		d.compare("rows in SOMAST", 0, len(orders))
		return
	case len(orders) != 1:
		d.add("rows in SOMAST: %d, expected 1", len(orders))
		return
	}
	d.compare("the order's state in SOMAST", status, erp.Means(stateOf(orders[0])))
	invoices, memos := []world.Row{}, []world.Row{}
	balance := decimal.Zero
	for _, document := range tables.Rows("armast", "arymst", "ornum", number) {
		balance = balance.Add(document.Amount("balance"))
		if document.Text("artype") == "C" {
			memos = append(memos, document)
		} else {
			invoices = append(invoices, document)
		}
	}
	d.compare("invoices in ARMAST", want.Invoices, len(invoices))
	d.compare("credit memos in ARMAST", want.CreditMemos, len(memos))
	d.amount("open in ARMAST", "", balance)
	cash := cashOf(tables, result.Evidence.Money, orders[0].Text("ponum"), append(invoices, memos...))
	d.amount("money in ARCASH", result.Evidence.Money.Captured.String(), cash)
}

// orderRows are the rows of an order, found as the ERP's people find it: by what its cross-reference says, which holds the whole of a number that is too
// long for SOMAST.
func orderRows(tables world.Tables, orderID string) (number string, orders []world.Row) {
	for _, ref := range tables.Rows("cyb_xref", "", "extref", orderID) {
		if ref.Text("entity") == "order" {
			number = ref.Text("erpkey")
			orders = append(orders, tables.Rows("somast", "soymst", "sono", number)...)
		}
	}
	return number, orders
}

// stateOf is the state of a sales order in one letter.
func stateOf(order world.Row) string {
	if closed := order.Text("sostat"); closed != "" {
		return closed
	}
	return map[string]string{"HOLD": "H", "READY": "R"}[order.Text("orderstat")]
}

// cashOf adds up what ARCASH has of an order's money: rows of its invoices and memos, rows that name the order, and rows of the gateway's transactions, by
// which a deposit has to be known.
func cashOf(tables world.Tables, money world.Money, ponum string, documents []world.Row) decimal.Decimal {
	ours := map[string]bool{}
	for _, document := range documents {
		ours[document.Text("invno")] = true
	}
	references := map[string]bool{}
	for _, line := range money.Lines {
		references[line.ID[max(0, len(line.ID)-20):]] = true // as much as the column holds
	}
	sum := decimal.Zero
	for _, table := range []string{"arcash", "arycash"} {
		for _, row := range tables[table] {
			if ours[row.Text("invno")] || references[row.Text("refno")] || row.Text("ponum") == ponum {
				sum = sum.Add(row.Amount("paidamt"))
			}
		}
	}
	return sum
}

// NoDrift looks that the running totals of an ERP are what its documents come to.
func NoDrift(ctx context.Context, w *world.World) error {
	drifts, err := w.Drifts(ctx)
	if err != nil || len(drifts) == 0 {
		return err
	}
	shown := make([]string, 0, len(drifts))
	for _, drift := range drifts {
		shown = append(shown, drift.String())
	}
	return errors.New(strings.Join(shown, "; "))
}
