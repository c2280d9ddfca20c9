package sagepro_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func TestAnOrderIsWrittenWithAllThatHangsOnIt(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		wanted := d.order()
		made := d.place(t, wanted)
		require.Equal(t, wanted["orderNumber"], made.OrderNumber)
		require.Equal(t, "O", made.Status)
		require.Equal(t, "WEB", made.CustomerCode)
		require.Equal(t, "USD", made.Currency)
		requireAmount(t, "48.19", made.Total)
		require.Len(t, made.Lines, 1, "freight is no line for others")
		requireAmount(t, "2", made.Lines[0].Quantity)
		requireAmount(t, "2", made.Lines[0].Allocated)
		requireAmount(t, "0", made.Lines[0].BackOrdered)
		requireAmount(t, "0", made.Lines[0].Shipped)
		d.requireNoDrift(t)

		sono := strings.Repeat(" ", 10-len(made.Number)) + made.Number
		for query, want := range map[string]string{
			"SELECT custno FROM somast WHERE sono = ?":                      "WEB   ",
			"SELECT ponum FROM somast WHERE sono = ?":                       wanted["orderNumber"].(string),
			"SELECT adduser FROM somast WHERE sono = ?":                     "TNDL",
			"SELECT shipvia FROM somast WHERE sono = ?":                     "UPS",
			"SELECT item FROM sotran WHERE sono = ? AND tranlineno = 1":     "A100           ",
			"SELECT item FROM sotran WHERE sono = ? AND tranlineno = 2":     "FREIGHT        ",
			"SELECT stkcode FROM sotran WHERE sono = ? AND tranlineno = 2":  "N",
			"SELECT address1 FROM soaddr WHERE sono = ? AND adtype = 'S'":   "1 Market St",
			"SELECT comment FROM socomm WHERE sono = ?":                     "Web order",
			"SELECT paystatus FROM cyb_paystat WHERE sono = ?":              "Captured",
			"SELECT cybtxn FROM cyb_paystat WHERE sono = ?":                 "7031234567890123456702",
			"SELECT last4 FROM cyb_paystat WHERE sono = ?":                  "1111",
			"SELECT count(*) FROM sotran WHERE sono = ? AND sostat = ''":    "2",
			"SELECT count(*) FROM somast WHERE sono = ? AND orderstat = ''": "1",
		} {
			require.Equal(t, want, d.ask(t, query, sono), query)
		}
	})
}

func TestAnOrderIsFoundByEitherNumberInHistoryToo(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		long := d.order()
		long["orderNumber"] = strings.Repeat("LONG-", 8)
		made, short := d.place(t, long), d.place(t, d.order())
		d.bill(t, made.Number)
		d.bill(t, short.Number)
		for _, moved := range []bool{false, true} {
			if moved {
				d.Post(t, "close-period", paper{}, nil)
				require.Equal(t, "2", d.ask(t, "SELECT count(*) FROM soymst"), "the period close moves what is finished")
			}
			for _, ref := range []erp.SalesOrderRef{
				{Number: made.Number}, {OrderNumber: made.OrderNumber}, {OrderNumber: made.OrderNumber, CustomerCode: "web"},
			} {
				found, err := d.FindSalesOrder(t.Context(), ref)
				require.NoError(t, err)
				require.Equal(t, made.Number, found.Number)
				require.Equal(t, long["orderNumber"], found.OrderNumber)
				require.Equal(t, "C", found.Status)
				require.NotEmpty(t, found.Invoice)
				requireAmount(t, "48.19", found.Total)
				requireAmount(t, "2", found.Lines[0].Shipped)
			}
			_, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: made.OrderNumber, CustomerCode: "ACCT"})
			requireFault(t, err, fault.NotFound, "ORDER_NOT_FOUND")
		}
		_, err := d.CreateSalesOrder(t.Context(), d.key(), long.document(t))
		require.NoError(t, err, "one that is in history is adopted all the same")
		_, err = d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: made.Number, State: erp.SalesOrderReady})
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		_, err = d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: made.Number, Reason: "FRAUD"})
		requireFault(t, err, fault.Conflict, "ORDER_NOT_CANCELLABLE")
	})
}

// What people have typed, or what was there before the side tables, is known by its purchase order number alone.
func TestAnOrderThatPeopleTypedIsFoundByItsPurchaseOrderNumber(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		typed, other := d.order(), d.order()
		made := d.place(t, typed)
		d.place(t, other)
		d.set(t, "DELETE FROM cyb_xref")
		ref := erp.SalesOrderRef{OrderNumber: made.OrderNumber}
		found, err := d.FindSalesOrder(t.Context(), ref)
		require.NoError(t, err)
		require.Equal(t, made.Number, found.Number)
		requireAmount(t, "48.19", found.Total)

		again, err := d.CreateSalesOrder(t.Context(), d.key(), typed.document(t))
		require.NoError(t, err)
		require.Equal(t, made.Number, again.Number, "adopted")
		other["total"], other["freight"] = json.Number("49.19"), 6
		_, err = d.CreateSalesOrder(t.Context(), d.key(), other.document(t))
		requireFault(t, err, fault.Conflict, "DUPLICATE_REFERENCE")

		// One that is to wait is made to, as if it had been written here.
		d.set(t, "DELETE FROM cyb_xref")
		typed["status"] = "hold"
		held, err := d.CreateSalesOrder(t.Context(), d.key(), typed.document(t))
		require.NoError(t, err)
		require.Equal(t, made.Number, held.Number)
		require.True(t, held.OnHold)

		// An order of ours under another number is not meant, whatever people, or a database that knows no case, make of its purchase order number.
		taken := d.order()
		d.set(t, "UPDATE somast SET ponum = ? WHERE trim(sono) = ?", taken["orderNumber"], made.Number)
		_, err = d.FindSalesOrder(t.Context(), erp.SalesOrderRef{OrderNumber: taken["orderNumber"].(string)})
		requireFault(t, err, fault.NotFound, "ORDER_NOT_FOUND")
		require.NotEqual(t, made.Number, d.place(t, taken).Number)

		d.set(t, "DELETE FROM cyb_xref")
		d.set(t, "UPDATE somast SET ponum = ?", made.OrderNumber)
		_, err = d.FindSalesOrder(t.Context(), ref)
		requireFault(t, err, fault.Conflict, "AMBIGUOUS_REFERENCE")
		d.requireNoDrift(t)
	})
}

func TestAnOrderIsRefusedAndLeavesNothing(t *testing.T) {
	cases := []struct {
		name, code string
		kind       fault.Kind
		paths      []string
		spoil      func(d *desk, o paper)
	}{
		{"unknown customer", "CUSTOMER_NOT_FOUND", fault.MissingReference, nil, func(_ *desk, o paper) { o.at("somast")["custno"] = "NOBODY" }},
		{"customer on hold", "CUSTOMER_ON_HOLD", fault.DeclinedByPolicy, nil, func(_ *desk, o paper) { o.at("somast")["custno"] = "onhold" }},
		{"over the limit", "CREDIT_LIMIT_EXCEEDED", fault.DeclinedByPolicy, nil, func(_ *desk, o paper) { o.at("somast")["custno"], o["prepaid"] = "LIMIT", false }},
		{"another currency", "CURRENCY_MISMATCH", fault.Value, []string{"somast.currid"}, func(_ *desk, o paper) { o.at("somast")["custno"] = "WEBGBP" }},
		{"unknown items, all of them", "STOCK_NOT_FOUND", fault.MissingReference, []string{"sotran[0].item", "sotran[1].item"}, func(d *desk, o paper) {
			o["sotran"] = []paper{
				{"tranlineno": 1, "item": "NONE1", "qtyord": 1, "price": 30, "extprice": 30},
				{"tranlineno": 2, "item": "NONE2", "qtyord": 1, "price": json.Number("9.9"), "extprice": json.Number("9.9")},
			}
		}},
		{"item not kept there", "STOCK_NOT_FOUND", fault.MissingReference, nil, func(_ *desk, o paper) { o.line(0)["item"], o.line(0)["loctid"] = "A200", "S" }},
		{"another total", "TOTAL_MISMATCH", fault.Value, []string{"total"}, func(_ *desk, o paper) { o["total"] = json.Number("48.20") }},
		{"no such currency", "INVALID_FIELD", fault.Value, []string{"somast.currid"}, func(_ *desk, o paper) { o.at("somast")["currid"] = "XQQ" }},
		{"finer than the currency", "INVALID_FIELD", fault.Value, []string{"sotran[0].extprice"}, func(_ *desk, o paper) { o.line(0)["extprice"] = json.Number("39.901") }},
		{"a column only the adapter writes", "INVALID_FIELD", fault.Value, []string{"somast.ordamt"}, func(_ *desk, o paper) { o.at("somast")["ordamt"] = 1 }},
		{"a column that there is not", "INVALID_FIELD", fault.Value, []string{"somast.foo"}, func(_ *desk, o paper) { o.at("somast")["foo"] = "x" }},
		{"a text too long", "FIELD_TOO_LONG", fault.Value, []string{"soaddr[0].city"}, func(_ *desk, o paper) {
			o["soaddr"] = []paper{{"adtype": "S", "city": strings.Repeat("x", 21)}}
		}},
		{"nothing said", "MISSING_FIELD", fault.Value, []string{"orderNumber", "status", "total", "somast", "sotran", "somast.custno", "somast.sodate", "somast.currid"}, func(_ *desk, o paper) {
			clear(o)
		}},
		{"several things at once", "INVALID_FIELD", fault.Value, []string{"status", "sotran[0].tranlineno", "sotran[0].qtyord", "soaddr[0].adtype"}, func(_ *desk, o paper) {
			o["status"], o.line(0)["tranlineno"], o.line(0)["qtyord"], o["soaddr"] = "maybe", 0, -1, []paper{{"adtype": "Q"}}
		}},
	}
	onEach(t, func(t *testing.T, d *desk) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				before, key := d.ask(t, "SELECT nextval FROM sycnext WHERE keyname = 'sono'"), d.key()
				good := d.order()
				bad := d.order()
				tc.spoil(d, bad)
				_, err := d.CreateSalesOrder(t.Context(), key, bad.document(t))
				f := requireFault(t, err, tc.kind, tc.code)
				var paths []string
				for _, field := range f.Fields {
					paths = append(paths, field.Path)
				}
				require.ElementsMatch(t, tc.paths, paths)
				require.Equal(t, before, d.ask(t, "SELECT nextval FROM sycnext WHERE keyname = 'sono'"), "no number is used up")
				_, err = d.CreateSalesOrder(t.Context(), key, good.document(t))
				require.NoError(t, err, "corrected, under the same key")
			})
		}
		d.requireNoDrift(t)
	})
}

func TestAPrepaidOrderAsksForNoCredit(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.order()
		order.at("somast")["custno"] = "LIMIT"
		d.place(t, order)
		account := d.simple("B100", 1, 69)
		account["prepaid"] = false
		account.at("somast")["custno"] = "ACCT"
		d.place(t, account)
		customer, err := d.FindCustomer(t.Context(), erp.CustomerRef{Code: "acct"})
		require.NoError(t, err)
		require.True(t, customer.CreditLimited)
		requireAmount(t, "100000", customer.CreditLimit)
		requireAmount(t, "99931", customer.AvailableCredit)
	})
}

// LOW3 has three pieces: who comes first is served first.
func TestStockGoesToTheOldestLine(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		first, second, third := d.place(t, d.simple("LOW3", 2, 15)), d.place(t, d.simple("LOW3", 2, 15)), d.place(t, d.simple("LOW3", 4, 15))
		requireLine := func(number, allocated, backOrdered string) {
			t.Helper()
			found, err := d.FindSalesOrder(t.Context(), erp.SalesOrderRef{Number: number})
			require.NoError(t, err)
			requireAmount(t, allocated, found.Lines[0].Allocated)
			requireAmount(t, backOrdered, found.Lines[0].BackOrdered)
		}
		requireLine(first.Number, "2", "0")
		requireLine(second.Number, "1", "1")
		requireLine(third.Number, "0", "4")
		requireAmount(t, "1", second.Lines[0].BackOrdered)

		balances, err := d.Stock(t.Context(), erp.StockQuery{StockCodes: []string{"low3", "FREIGHT", "A100", "none"}, Warehouse: "N"})
		require.NoError(t, err)
		require.Equal(t, "low3", balances[0].StockCode)
		requireAmount(t, "-5", balances[0].Available)
		require.True(t, balances[1].Available.IsPositive(), "what is not kept in stock is never short")
		require.False(t, balances[3].Known)

		_, err = d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: first.Number, Reason: "FRAUD"})
		require.NoError(t, err)
		requireLine(first.Number, "0", "0")
		requireLine(second.Number, "2", "0")
		requireLine(third.Number, "1", "3")
		d.requireNoDrift(t)
	})
}

func TestACancelledOrderGivesBackAndSaysWhy(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		cancel := func() error {
			_, err := d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: order.Number, Reason: "FRAUD"})
			return err
		}
		require.NoError(t, cancel())
		require.NoError(t, cancel(), "a repeat changes nothing")
		requireAmount(t, "0", dec(d.ask(t, "SELECT onorder FROM arcust WHERE custno = 'WEB   '")))
		require.Equal(t, "1", d.ask(t, "SELECT count(*) FROM socomm WHERE comment = 'Cancel: FRAUD'"))
		d.requireNoDrift(t)

		shipped := d.place(t, d.order())
		d.Post(t, "shipments", paper{"SalesOrder": shipped.Number, "Lines": []paper{{"SalesOrderLine": 1, "Quantity": 1}}}, nil)
		_, err := d.CancelSalesOrder(t.Context(), d.key(), erp.SalesOrderCancellation{Number: shipped.Number})
		requireFault(t, err, fault.Conflict, "ORDER_NOT_CANCELLABLE")
		d.requireNoDrift(t)
	})
}

func TestAnOrderWaitsAndGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		held := d.order()
		held["status"] = "hold"
		order := d.place(t, held)
		require.True(t, order.OnHold)
		_, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(order.Number).document(t))
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		for state, status := range map[erp.SalesOrderState]string{erp.SalesOrderOpen: "O", erp.SalesOrderReady: "R", erp.SalesOrderHold: "H"} {
			changed, err := d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: state})
			require.NoError(t, err)
			require.Equal(t, status, changed.Status)
			require.Equal(t, state == erp.SalesOrderHold, changed.OnHold)
		}
		_, err = d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: order.Number, State: "sold"})
		require.True(t, fault.Is(err, fault.Bug))
		_, err = d.ChangeSalesOrder(t.Context(), d.key(), erp.SalesOrderChange{Number: "999", State: erp.SalesOrderOpen})
		requireFault(t, err, fault.MissingReference, "ORDER_NOT_FOUND")
	})
}

// People write a mark as they like.
func TestAHoldInSmallLettersHolds(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		order := d.place(t, d.order())
		d.set(t, "UPDATE somast SET orderstat = 'Hold'")
		_, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(order.Number).document(t))
		requireFault(t, err, fault.Conflict, "STATUS_CONFLICT")
		d.set(t, "UPDATE arcust SET credstat = 'h' WHERE custno = 'WEB   '")
		_, err = d.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "CUSTOMER_ON_HOLD")
	})
}

// Orders made at once get numbers of their own, and no running total loses one.
func TestOrdersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		const orders = 16
		papers, keys := make([]erp.Document, orders), make([]string, orders)
		for i := range orders {
			papers[i], keys[i] = d.simple([]string{"A100", "B100"}[i%2], int64(i+1), 10).document(t), d.key()
		}
		numbers, failures := make([]string, orders), make([]error, orders)
		var group sync.WaitGroup
		for i := range orders {
			group.Go(func() {
				made, err := d.CreateSalesOrder(t.Context(), keys[i], papers[i])
				for fault.Is(err, fault.Busy) && t.Context().Err() == nil {
					made, err = d.CreateSalesOrder(t.Context(), keys[i], papers[i])
				}
				numbers[i], failures[i] = made.Number, err
			})
		}
		group.Wait()
		seen := map[string]bool{}
		for i := range orders {
			require.NoError(t, failures[i])
			require.False(t, seen[numbers[i]], "%s twice", numbers[i])
			seen[numbers[i]] = true
		}
		requireAmount(t, fmt.Sprint(10*orders*(orders+1)/2), dec(d.ask(t, "SELECT onorder FROM arcust WHERE custno = 'WEB   '")))
		d.requireNoDrift(t)
	})
}

// A number that somebody has used, be it in history, is stepped over; a counter that is far behind is not run after for ever.
func TestNumbersThatAreUsedAreSteppedOver(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		first := d.place(t, d.order())
		d.bill(t, first.Number)
		d.Post(t, "close-period", paper{}, nil)
		d.set(t, "UPDATE sycnext SET nextval = nextval - 1 WHERE keyname = 'sono'")
		second := d.place(t, d.order())
		require.NotEqual(t, first.Number, second.Number)

		for range 50 {
			d.place(t, d.simple("GIFT", 1, 1))
		}
		d.set(t, "UPDATE sycnext SET nextval = ? WHERE keyname = 'sono'", first.Number)
		_, err := d.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.DeclinedByPolicy, "NO_FREE_NUMBER")
		d.set(t, "DELETE FROM sycnext WHERE keyname = 'sono'")
		_, err = d.CreateSalesOrder(t.Context(), d.key(), d.order().document(t))
		requireFault(t, err, fault.MissingReference, "SITE_MISMATCH")
	})
}
