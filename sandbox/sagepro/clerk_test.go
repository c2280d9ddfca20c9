package sagepro

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClerkShips holds the clerk to every counter: an order is shipped in two parcels, and each is an invoice.
func TestClerkShips(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		sono := c.sell(widgets("WEB-1"))
		c.sound()

		first := c.post("shipments", object{"OrderNumber": "WEB-1", "Carrier": "UPS", "TrackingNumber": "1Z1", "Lines": []object{{"SalesOrderLine": 1, "Quantity": 1}}})
		require.Equal(t, true, first["Partial"])
		require.Equal(t, sono, first["SalesOrder"])
		require.Equal(t, "WEB-1", first["OrderNumber"])
		require.Equal(t, json.Number("24.10"), first["InvoiceTotal"], "half of the goods, of the tax and of the freight")
		c.sound()

		second := c.post("shipments", object{"SalesOrder": sono, "TrackingNumber": "1Z2", "ShippedDate": "2026-07-29"})
		require.Equal(t, false, second["Partial"])
		require.Equal(t, json.Number("24.09"), second["InvoiceTotal"], "what is left of 48.19")
		c.sound()

		l := c.ledger()
		require.Len(t, l.SalesOrders, 1)
		o := l.SalesOrders[0]
		require.Equal(t, "C", o.OrderStatus)
		require.Equal(t, "48.19", o.OrderTotal.String())
		require.Equal(t, "0", o.OpenAmount.String())
		require.Equal(t, "5", o.FreightTotal.String())
		require.Equal(t, "Captured", o.Payment.PaymentStatus)
		require.Equal(t, []trackingRow{{"UPS", "1Z1", "2026-07-28"}, {"UPS", "1Z2", "2026-07-29"}}, o.Tracking)
		require.Equal(t, second["InvoiceNumber"], o.LastInvoice)
		require.Len(t, l.Invoices, 2)
		require.Equal(t, "Open", l.Invoices[0].InvoiceStatus)
		require.Len(t, l.Shipments, 2)
		require.True(t, l.Shipments[0].Partial)
		require.False(t, l.Shipments[1].Partial)
		require.Equal(t, []shipmentLine{{1, "A100", quantity(dec("1"))}}, l.Shipments[1].Lines, "freight is none of the goods")
		require.Equal(t, "48.19", customerOf(l, "WEB").CurrentBalance.String())
		require.Equal(t, "0", customerOf(l, "WEB").OpenOrderValue.String())
		require.Equal(t, "999998", stockOf(l, "A100", "N").QtyOnHand.String())
		require.Equal(t, "0", stockOf(l, "A100", "N").QtyAllocated.String())
		require.Equal(t, 1, c.count("icitem WHERE item = ? AND ionhand = ?", code("A100", itemWidth), "1049998"), "the item's total follows its locations")

		require.Equal(t, codeBusinessRule, c.refused(http.StatusUnprocessableEntity, "shipments", object{"SalesOrder": sono}), "nothing is left")
	})
}

// TestClerkShipsWhatThereIs lets older orders have their goods first.
func TestClerkShipsWhatThereIs(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		older, newer := widgets("WEB-1"), widgets("WEB-2")
		older.item, newer.item = "LOW3", "LOW3"
		c.sell(older)
		second := c.sell(newer)
		require.Equal(t, "3", stockOf(c.ledger(), "LOW3", "N").QtyAllocated.String())
		require.Equal(t, "1", stockOf(c.ledger(), "LOW3", "N").QtyOnBackOrder.String())
		require.Equal(t, codeInsufficient, c.refused(http.StatusUnprocessableEntity, "shipments",
			object{"SalesOrder": second, "Lines": []object{{"SalesOrderLine": 1, "Quantity": 2}}}))
		require.Equal(t, true, c.post("shipments", object{"SalesOrder": second})["Partial"], "one of the three is left for it")
		c.post("stock", object{"StockCode": "LOW3", "QtyAdjust": 5})
		require.Equal(t, false, c.post("shipments", object{"SalesOrder": second})["Partial"])
		c.sound()
	})
}

func TestClerkRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		sono := c.sell(widgets("WEB-1"))
		held := widgets("WEB-2")
		held.mark = markHeld
		c.sell(held)
		twin := c.sell(widgets("TWIN"))
		c.exec("UPDATE somast SET ponum = 'WEB-9' WHERE sono IN (?, ?)", number(sono), number(twin))
		for name, test := range map[string]struct {
			status int
			code   string
			path   string
			body   object
		}{
			"no order is meant":    {http.StatusBadRequest, codeInvalid, "shipments", object{}},
			"unknown order":        {http.StatusNotFound, codeNotFound, "shipments", object{"SalesOrder": "99999"}},
			"unknown number":       {http.StatusNotFound, codeNotFound, "shipments", object{"OrderNumber": "WEB-7"}},
			"number of two":        {http.StatusConflict, codeStatusConflict, "shipments", object{"OrderNumber": "WEB-9"}},
			"on hold":              {http.StatusUnprocessableEntity, codeBusinessRule, "shipments", object{"OrderNumber": "WEB-2"}},
			"unknown line":         {http.StatusBadRequest, codeInvalid, "shipments", object{"SalesOrder": sono, "Lines": []object{{"SalesOrderLine": 7, "Quantity": 1}}}},
			"more than ordered":    {http.StatusUnprocessableEntity, codeInsufficient, "shipments", object{"SalesOrder": sono, "Lines": []object{{"SalesOrderLine": 1, "Quantity": 3}}}},
			"nothing of a line":    {http.StatusBadRequest, codeInvalid, "shipments", object{"SalesOrder": sono, "Lines": []object{{"SalesOrderLine": 1, "Quantity": 0}}}},
			"closed period":        {http.StatusUnprocessableEntity, codePeriodClosed, "shipments", object{"SalesOrder": sono, "ShippedDate": "2026-05-31"}},
			"no date":              {http.StatusBadRequest, codeInvalid, "shipments", object{"SalesOrder": sono, "ShippedDate": "tomorrow"}},
			"long tracking number": {http.StatusBadRequest, codeInvalid, "shipments", object{"SalesOrder": sono, "TrackingNumber": "12345678901234567890123456789012345678901"}},
			"unknown action":       {http.StatusBadRequest, codeInvalid, "orders", object{"SalesOrder": sono, "Action": "Burn"}},
			"not on hold":          {http.StatusUnprocessableEntity, codeBusinessRule, "orders", object{"SalesOrder": sono, "Action": "Release"}},
			"nothing to credit":    {http.StatusUnprocessableEntity, codeInvoiceUnknown, "credit-memos", object{"SalesOrder": sono}},
			"unknown location":     {http.StatusBadRequest, codeInvalid, "stock", object{"StockCode": "A100", "Warehouse": "X"}},
			"less than nothing":    {http.StatusUnprocessableEntity, codeInsufficient, "stock", object{"StockCode": "LOW3", "QtyAdjust": -4}},
			"unknown module":       {http.StatusBadRequest, codeInvalid, "periods", object{"Module": "PO"}},
			"unknown table":        {http.StatusBadRequest, codeInvalid, "locks", object{"Table": "icitem", "Key": "A100"}},
			"unknown record":       {http.StatusNotFound, "NOT_FOUND", "locks", object{"Table": "somast", "Key": "99999"}},
		} {
			t.Run(name, func(t *testing.T) {
				c := *c
				c.t = t
				require.Equal(t, test.code, c.refused(test.status, test.path, test.body))
			})
		}
		status, _ := c.call(http.MethodPost, "shipments", object{"SalesOrdr": sono})
		require.Equal(t, http.StatusBadRequest, status, "a misspelt field is told")
		require.Empty(t, c.ledger().Invoices)
		require.Equal(t, 1, c.count("sycnext WHERE sysid = 'AR01' AND keyname = 'invno' AND nextval = 20069"), "no refusal takes a number")
		c.sound()
	})
}

func TestClerkHoldsReleasesCancels(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		sono := c.sell(widgets("WEB-1"))
		c.post("orders", object{"OrderNumber": "WEB-1", "Action": "Hold", "Reason": "address looks odd"})
		require.Equal(t, "H", c.ledger().SalesOrders[0].OrderStatus)
		require.True(t, c.ledger().SalesOrders[0].OnHold)
		require.Equal(t, 1, c.count("socomm WHERE sono = ? AND comment = 'Hold: address looks odd'", number(sono)))
		c.post("orders", object{"SalesOrder": sono, "Action": "Release"})
		require.Equal(t, "O", c.ledger().SalesOrders[0].OrderStatus)
		c.post("orders", object{"SalesOrder": sono, "Action": "Cancel", "Reason": "FRAUD"})
		o := c.ledger().SalesOrders[0]
		require.Equal(t, "X", o.OrderStatus)
		require.True(t, o.LineItems[0].Cancelled)
		require.Equal(t, "0", customerOf(c.ledger(), "WEB").OpenOrderValue.String())
		require.Equal(t, "0", stockOf(c.ledger(), "A100", "N").QtyAllocated.String())
		c.sound()

		other := c.sell(widgets("WEB-2"))
		c.post("shipments", object{"SalesOrder": other, "Lines": []object{{"SalesOrderLine": 1, "Quantity": 1}}})
		require.Equal(t, codeBusinessRule, c.refused(http.StatusUnprocessableEntity, "orders", object{"SalesOrder": other, "Action": "Cancel"}), "goods have left")
	})
}

// TestClerkCredits sets off what is open of the invoice, and leaves what was paid to be refunded.
func TestClerkCredits(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		invno := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		c.receive("7012345678901234567890"[2:], invno, "40.00", "R")
		c.sound()

		part := c.post("credit-memos", object{"OrderNumber": "WEB-1", "Amount": "20.00", "TaxAmount": 1, "Reason": "dented"})
		require.Equal(t, json.Number("11.81"), part["Remaining"], "8.19 were open of the invoice")
		require.Equal(t, invno, part["OriginalInvoice"])
		c.sound()
		require.Equal(t, codeBusinessRule, c.refused(http.StatusUnprocessableEntity, "credit-memos", object{"OrderNumber": "WEB-1", "Amount": "28.20"}))

		rest := c.post("credit-memos", object{"OriginalInvoice": invno, "Restock": true})
		require.Equal(t, json.Number("28.19"), rest["Amount"])
		c.sound()
		l := c.ledger()
		require.Equal(t, "1000000", stockOf(l, "A100", "N").QtyOnHand.String(), "the goods are back")
		require.Equal(t, "-40", customerOf(l, "WEB").CurrentBalance.String())
		require.Equal(t, "Credited", l.Invoices[0].InvoiceStatus)
		require.Len(t, l.CreditMemos, 2)
		memo := l.CreditMemos[0]
		require.Equal(t, "Pending", memo.RefundStatus)
		require.Equal(t, "70WEB-1", memo.OriginalTransactionId)
		require.Equal(t, "WEB-1", memo.OrderNumber)
		require.Equal(t, "20", memo.Amount.String())
		require.Equal(t, "dented", memo.Reason)
		require.Len(t, l.Payments, 1, "what is set off is no payment")

		c.receive("R-1", memo.CreditMemoNumber, "-11.81", "F")
		c.sound()
		l = c.ledger()
		require.Equal(t, typeRefund, l.Payments[1].PaymentType)
		require.Equal(t, "11.81", l.Payments[1].Amount.String())
		require.Equal(t, "WEB-1", l.Payments[1].OrderNumber)
		require.Equal(t, "0", l.CreditMemos[0].Remaining.String())
		require.Equal(t, codeBusinessRule, c.refused(http.StatusUnprocessableEntity, "credit-memos",
			object{"OrderNumber": "WEB-1", "RestockLines": []object{{"SalesOrderLine": 1, "Quantity": 1}}}), "no line takes back more than it sent")
	})
}

func TestClerkCreditsAnInvoiceInHistory(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		invno := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		c.receive("R-1", invno, "48.19", "R")
		c.post("close-period", nil)
		memo := c.post("credit-memos", object{"OrderNumber": "WEB-1", "Amount": 20, "RestockLines": []object{{"StockCode": "A100", "Quantity": 1}}})
		require.Equal(t, invno, memo["OriginalInvoice"])
		require.Equal(t, json.Number("20.00"), memo["Remaining"])
		c.sound()
	})
}

// closePeriod closes and gives how many rows of each table have moved into history.
func (c *company) closePeriod(body any) map[string]int {
	c.t.Helper()
	status, answer := c.call(http.MethodPost, "close-period", body)
	require.Equal(c.t, http.StatusOK, status, string(answer))
	var closed struct{ Moved map[string]int }
	c.read(answer, &closed)
	return closed.Moved
}

// TestPeriodClose moves what is finished, all of it and nothing else.
func TestPeriodClose(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		paid, open, shipped := c.sell(widgets("WEB-1")), c.sell(widgets("WEB-2")), c.sell(widgets("WEB-3"))
		c.post("orders", object{"SalesOrder": c.sell(widgets("WEB-4")), "Action": "Cancel"})
		invno := c.post("shipments", object{"SalesOrder": paid})["InvoiceNumber"].(string)
		c.receive("R-1", invno, "48.19", "R")
		c.receive("D-1", depositInvoice, "10", "D")
		c.post("shipments", object{"SalesOrder": shipped})
		before := c.ledger()
		c.sound()

		require.Equal(t, map[string]int{"somast": 0, "sotran": 0, "soaddr": 0, "armast": 0, "artran": 0, "arcash": 0, "ictran": 0},
			c.closePeriod(object{"Through": "2026-07-01"}), "nothing is that old")
		require.Equal(t, map[string]int{"somast": 3, "sotran": 6, "soaddr": 3, "armast": 1, "artran": 2, "arcash": 1, "ictran": 15}, c.closePeriod(nil))
		c.sound()
		require.Equal(t, 1, c.count("somast"), "order %s is open", open)
		require.Equal(t, 1, c.count("armast"), "the invoice of order %s is not paid", shipped)
		require.Equal(t, 1, c.count("arcash"), "the deposit stays")

		after := c.ledger()
		require.Equal(t, before.Postings, after.Postings)
		require.Equal(t, before.Stock, after.Stock)
		require.Equal(t, before.Customers, after.Customers)
		require.Equal(t, before.Payments, after.Payments)
		require.Len(t, after.SalesOrders, len(before.SalesOrders))
		c.post("shipments", object{"SalesOrder": open})
		c.sound()
		require.Equal(t, codeBusinessRule, c.refused(http.StatusUnprocessableEntity, "orders", object{"SalesOrder": paid, "Action": "Hold"}), "it is in history")
	})
}

func TestPeriodsFollowTheClock(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		open := func(module string) []any {
			for _, m := range c.post("periods", object{"Module": "GL", "FollowClock": true})["Modules"].([]any) {
				if m := m.(map[string]any); m["Module"] == module {
					return m["Open"].([]any)
				}
			}
			return nil
		}
		require.Equal(t, []any{"2026-06", "2026-07"}, open("AR"))
		c.clock.advance(3 * 24 * time.Hour)
		require.Equal(t, []any{"2026-06", "2026-07", "2026-08"}, open("AR"), "east of the clock August has begun")
		c.post("periods", object{"Module": "AR", "Open": []string{}})
		c.clock.advance(24 * time.Hour)
		require.Equal(t, []any{"2026-07", "2026-08"}, open("GL"))
		require.Empty(t, open("AR"), "closed by hand")
		c.post("periods", object{"Module": "AR", "CurrentYear": 2026, "CurrentPeriod": 5, "Open": []string{"C", "B"}})
		require.Equal(t, []any{"2026-03", "2026-05"}, open("AR"))
		c.post("periods", object{"FollowClock": true})
		require.Equal(t, []any{"2026-07", "2026-08"}, open("AR"))
		c.clock.advance(40 * 24 * time.Hour)
		tx, err := c.client.BeginTxx(t.Context(), nil) // a client finds them open too
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
		require.Equal(t, 6, c.count("sycperd WHERE isopen = 'Y'"))
		require.Equal(t, 3, c.count("sycperd WHERE isopen = 'Y' AND glyear = 2026 AND glperiod = 9"))
	})
}

// TestMonthBegins has many clients find that a month has begun at once.
func TestMonthBegins(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.clock.advance(35 * 24 * time.Hour)
		var wait sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wait.Go(func() { errs[i] = c.bump() })
		}
		wait.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.Equal(t, 3, c.count("sycperd WHERE isopen = 'Y' AND glperiod = 9"))
	})
}

func TestRecordLocks(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		sono := c.sell(widgets("WEB-1"))
		c.post("locks", object{"Table": "SOMAST", "Key": sono, "User": "ANNA", "MinutesAgo": 14})
		require.Equal(t, codeLocked, c.refused(http.StatusLocked, "locks", object{"Table": "somast", "Key": sono}))
		require.Equal(t, codeLocked, c.refused(http.StatusLocked, "shipments", object{"SalesOrder": sono}))
		require.Equal(t, 1, c.count("somast WHERE lckstat = 'L' AND lckuser = 'ANNA' AND lckdate = '2026-07-28' AND lcktime = '09:00:00'"))
		c.post("locks", object{"Table": "arcust", "Key": "web"})
		require.Len(t, c.ok(http.MethodGet, "locks", nil)["locks"], 2)
		c.ok(http.MethodDelete, "locks", nil)
		require.Empty(t, c.ok(http.MethodGet, "locks", nil)["locks"])
		c.post("shipments", object{"SalesOrder": sono})
		c.sound()
	})
}

// TestLateChange has an invoice come behind one with a higher identity.
func TestLateChange(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		first, second, third := c.sell(widgets("WEB-1")), c.sell(widgets("WEB-2")), c.sell(widgets("WEB-3"))
		c.post("shipments", object{"SalesOrder": first})
		c.post("late", object{"LagMs": 60_000})
		c.receive("D-1", depositInvoice, "10", "D") // what others do meanwhile
		c.exec(`INSERT INTO armast (invno, custno, invdte, invamt, balance) VALUES (?, 'WEB   ', '2026-07-28', '0', '0')`, number("X-1"))
		late := c.post("shipments", object{"SalesOrder": second})["InvoiceNumber"].(string)
		after := c.post("shipments", object{"SalesOrder": third})["InvoiceNumber"].(string)
		id := func(invno string) (id int) {
			require.NoError(t, c.client.Get(&id, c.client.Rebind("SELECT id_col FROM armast WHERE invno = ?"), number(invno)))
			return id
		}
		require.Equal(t, []int{2, 3, 4}, []int{id(late), id("X-1"), id(after)})
		require.Equal(t, 1, c.count("armast WHERE invno = ? AND addtime = '09:13:00'", number(late)))
	})
}

func TestClerkSetsStockAndCustomers(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.post("stock", object{"StockCode": "new1", "Description": "A new one", "QtyOnHand": "7.5", "UnitCost": 2, "QtyOnOrder": 3})
		c.post("stock", object{"StockCode": "NEW1", "Warehouse": "S", "QtyAdjust": 1})
		c.post("stock", object{"StockCode": "NEW1", "QtyAdjust": -2.5})
		s := stockOf(c.ledger(), "NEW1", "N")
		require.Equal(t, []string{"5", "3", "2", "A new one"}, []string{s.QtyOnHand.String(), s.QtyOnOrder.String(), s.UnitCost.String(), s.Description})
		require.Equal(t, 1, c.count("icitem WHERE item = ? AND ionhand = ?", code("NEW1", itemWidth), "6"))

		require.Equal(t, true, c.post("customers", object{"CustomerCode": "web", "OnHold": true})["OnHold"])
		require.Equal(t, false, c.post("customers", object{"CustomerCode": "WEB", "OnHold": false})["OnHold"])
		added := c.post("customers", object{"CustomerCode": "NEW", "Name": "New Inc", "Currency": "EUR", "CreditLimit": 10, "CreditStatus": "O"})
		require.Equal(t, "New Inc", added["Name"])
		require.Equal(t, "EUR", added["Currency"])
		require.Equal(t, "O", added["CreditStatus"])
		c.sound()
	})
}

// TestClerksTogether has several people at work at once, on the same items and customers: nobody is refused for another's sake, and nothing drifts.
func TestClerksTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		const people, each = 6, 4
		var orders [people][each]string
		for p := range people {
			for i := range each {
				s := widgets(fmt.Sprintf("WEB-%d-%d", p, i))
				s.item = []string{"A100", "B100", "A200"}[(p+i)%3]
				orders[p][i] = c.sell(s)
			}
		}
		var wait sync.WaitGroup
		answers := make(chan string, people*each*3)
		ask := func(path string, body object) {
			if status, answer := c.call(http.MethodPost, path, body); status != http.StatusOK {
				answers <- fmt.Sprintf("%s %v: %d %s", path, body, status, answer)
			}
		}
		for p := range people {
			wait.Go(func() {
				for i, sono := range orders[p] {
					if i == 3 {
						ask("orders", object{"SalesOrder": sono, "Action": "Cancel"})
						continue
					}
					ask("shipments", object{"SalesOrder": sono})
					ask("credit-memos", object{"SalesOrder": sono, "Amount": 10, "RestockLines": []object{{"SalesOrderLine": 1, "Quantity": 1}}})
					ask("stock", object{"StockCode": "B100", "QtyAdjust": 1})
				}
			})
		}
		wait.Wait()
		close(answers)
		for answer := range answers {
			require.Fail(t, answer)
		}
		c.sound()
		require.Len(t, c.ledger().Shipments, people*(each-1))
	})
}
