package sagepro

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestDriftIsFound plants one slip each, as whoever writes past the ERP may make it, and wants it found: and nothing else.
func TestDriftIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		open, closed := c.sell(widgets("WEB-1")), c.sell(widgets("WEB-2"))
		invno := c.post("shipments", object{"SalesOrder": closed})["InvoiceNumber"].(string)
		c.receive("R-1", invno, "20", "R")
		memo := c.post("credit-memos", object{"OriginalInvoice": invno, "Amount": 5})["CreditMemoNumber"].(string)
		finished := c.sell(widgets("WEB-3"))
		paid := c.post("shipments", object{"SalesOrder": finished})["InvoiceNumber"].(string)
		c.receive("R-2", paid, "48.19", "R")
		c.post("close-period", nil)
		c.exec(`INSERT INTO glbatch (batchno, source, ref, trandate, totdr, totcr) VALUES (?, 'CY', 'J-1', '2026-07-28', '5', '5')`, number("1"))
		for i, sum := range []string{"5", "-5"} {
			c.exec(`INSERT INTO gltran (batchno, seq, glacnt, ref, amount) VALUES (?, ?, ?, 'J-1', ?)`, number("1"), i+1, code("1050", glacntWidth), sum)
		}
		c.exec(`INSERT INTO apmast (vendno, invno, puramt) VALUES ('CYBSRC', 'FEE-1', '9')`)
		c.exec(`INSERT INTO apdist (vendno, invno, seq, glacnt, amount) VALUES ('CYBSRC', 'FEE-1', 1, ?, '9')`, code("6100", glacntWidth))
		c.sound()
		whole := snapshot(c)

		for slip, test := range map[string]struct {
			do   string
			args []any
			want []string
		}{
			"an order's value is not on order":        {"UPDATE arcust SET onorder = '0' WHERE custno = 'WEB   '", nil, []string{"arcust.onorder WEB"}},
			"a quantity is not allocated":             {"UPDATE iciloc SET lsoaloc = '1' WHERE item = ? AND loctid = 'N  '", []any{code("A100", 15)}, []string{"iciloc.lsoaloc A100@N"}},
			"goods left without a movement":           {"DELETE FROM icytrn WHERE docno = ?", []any{paid}, []string{"iciloc.lonhand A100@N"}},
			"an item's total stayed":                  {"UPDATE icitem SET ionhand = '7' WHERE item = ?", []any{code("A100", 15)}, []string{"icitem.ionhand A100"}},
			"a customer's balance stayed":             {"UPDATE arcust SET balance = '1' WHERE custno = 'WEB   '", nil, []string{"arcust.balance WEB"}},
			"a deposit counts for nobody":             {"INSERT INTO arcash (custno, invno, dtepaid, paidamt, refno) VALUES ('WEB   ', ?, '2026-07-28', '3', 'D')", []any{number(depositInvoice)}, []string{"arcust.balance WEB"}},
			"a receipt that the invoice lacks":        {"INSERT INTO arcash (custno, invno, dtepaid, paidamt, refno) VALUES ('WEB   ', ?, '2026-07-28', '3', 'R')", []any{number(invno)}, []string{"armast.paidamt " + invno}},
			"a receipt that is gone":                  {"DELETE FROM arcash WHERE refno = 'R-1'", nil, []string{"armast.paidamt " + invno}},
			"what was paid is still open":             {"UPDATE armast SET balance = '1' WHERE invno = ?", []any{number(invno)}, []string{"arcust.balance WEB", "armast.balance " + invno}},
			"a line of an invoice is gone":            {"DELETE FROM artran WHERE invno = ? AND tranlineno = 1", []any{number(invno)}, []string{"armast.invamt " + invno, "sotran.qtyshp " + closed + "/1"}},
			"an order's open amount stayed":           {"UPDATE somast SET ordamt = '1' WHERE sono = ?", []any{number(open)}, []string{"arcust.onorder WEB", "somast.ordamt " + open}},
			"a shipment is not on the order":          {"UPDATE soymst SET shpamt = '0' WHERE sono = ?", []any{number(finished)}, []string{"somast.shpamt " + finished}},
			"a shipped line is open":                  {"UPDATE soytrn SET qtyord = '1' WHERE sono = ? AND tranlineno = 2", []any{number(finished)}, []string{"sotran.qtyord " + finished + "/2"}},
			"a finished order was not moved whole":    {"DELETE FROM soytrn WHERE sono = ?", []any{number(finished)}, []string{"somast " + finished}},
			"history lost an order":                   {"DELETE FROM soymst WHERE sono = ?", []any{number(finished)}, []string{"armast.ornum " + paid, "cyb_paystat.sono 70WEB-3", "cyb_xref.erpkey WEB-3", "soaddr " + finished, "sotran " + finished, "sotran " + finished}},
			"history lost an invoice":                 {"DELETE FROM arymst WHERE invno = ?", []any{number(paid)}, []string{"arcash " + paid, "artran " + paid, "artran " + paid, "somast.shpamt " + finished, "sotran.qtyshp " + finished + "/1", "sotran.qtyshp " + finished + "/2"}},
			"an order is in both":                     {"INSERT INTO somast (sono, custno, sodate, sostat, tax, shpamt) SELECT sono, custno, sodate, 'C', tax, shpamt FROM soymst WHERE sono = ?", []any{number(finished)}, []string{"somast " + finished}},
			"an open order is in history":             {"UPDATE soymst SET sostat = '' WHERE sono = ?", []any{number(finished)}, []string{"somast.sostat " + finished, "soymst " + finished}},
			"an open invoice is in history":           {"UPDATE arymst SET balance = '1', paidamt = '47.19' WHERE invno = ?", []any{number(paid)}, []string{"arcust.balance WEB", "armast.paidamt " + paid, "arymst " + paid}},
			"a batch is out of balance":               {"UPDATE gltran SET amount = '4' WHERE seq = 1", nil, []string{"glbatch.totdr J-1", "gltran sum J-1"}},
			"an account is not in the chart":          {"UPDATE gltran SET glacnt = ? WHERE seq = 1", []any{code("1234", 24)}, []string{"gltran.glacnt J-1"}},
			"a vendor's invoice has too few lines":    {"UPDATE apmast SET puramt = '10'", nil, []string{"apmast.puramt CYBSRC/FEE-1"}},
			"a credit memo is above zero":             {"UPDATE arymst SET balance = '5', paidamt = '-10' WHERE invno = ?", []any{number(memo)}, []string{"arcust.balance WEB", "armast sign " + memo, "armast.paidamt " + memo, "arymst " + memo}},
			"an order of a customer who is not there": {"UPDATE somast SET custno = 'NOBODY' WHERE sono = ?", []any{number(open)}, []string{"arcust NOBODY", "arcust.onorder WEB"}},
			"stock of an item that is not kept":       {"UPDATE sotran SET loctid = 'X  ' WHERE sono = ? AND tranlineno = 1", []any{number(open)}, []string{"iciloc A100@X", "iciloc.lsoaloc A100@N"}},
			"the integration's order is not there":    {"UPDATE cyb_xref SET erpkey = '999' WHERE extref = 'WEB-1'", nil, []string{"cyb_xref.erpkey WEB-1"}},
		} {
			c.exec(test.do, test.args...)
			found := []string{}
			for _, d := range c.drifts() {
				found = append(found, d.What+" "+d.Key)
			}
			require.Equal(t, test.want, found, slip)
			whole.restore(c)
		}
		c.sound()
	})
}

// copies are all rows of the company, to be put back.
type copies struct{ tables []string }

func snapshot(c *company) copies {
	c.t.Helper()
	all := copies{tables(c.server.dialect.schema())}
	for _, table := range all.tables {
		c.exec("CREATE TABLE copy_" + table + " AS SELECT * FROM " + table)
	}
	return all
}

func (s copies) restore(c *company) {
	c.t.Helper()
	for _, table := range s.tables {
		c.exec("DELETE FROM " + table)
		c.exec("INSERT INTO " + table + " SELECT * FROM copy_" + table)
	}
}

// TestClerkNeverDrifts lets the clerk do whatever comes, refused or not, and wants every counter right after each step.
func TestClerkNeverDrifts(t *testing.T) {
	c := openCompany(t, Config{Dialect: "sqlite", DSN: file(t)})
	rapid.Check(t, func(r *rapid.T) {
		c.post("reset", nil)
		below := func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "choice") }
		orders := []string{}
		for step := range rapid.IntRange(1, 8).Draw(r, "steps") {
			try := func(path string, body object) {
				if status, answer := c.call("POST", path, body); status/100 == 5 {
					r.Fatalf("%s %v: %d %s", path, body, status, answer)
				}
			}
			pick := func() string { return orders[below(len(orders))] }
			if len(orders) == 0 || below(4) == 0 {
				s := widgets(fmt.Sprintf("WEB-%d", step))
				s.item = []string{"A100", "LOW3", "OUT0"}[below(3)]
				s.quantity = fmt.Sprint(1 + below(3))
				s.freight = []string{"0", "5", "0.01"}[below(3)]
				s.mark = []string{"", markReady, markHeld}[below(3)]
				orders = append(orders, c.sell(s))
			}
			switch below(9) {
			case 0, 1:
				try("shipments", object{"SalesOrder": pick()})
			case 2:
				try("shipments", object{"SalesOrder": pick(), "Lines": []object{{"SalesOrderLine": 1, "Quantity": "0.5"}}})
			case 3:
				try("orders", object{"SalesOrder": pick(), "Action": []string{"Hold", "Release", "Cancel"}[below(3)]})
			case 4:
				try("credit-memos", object{"SalesOrder": pick(), "Restock": true})
			case 5:
				try("credit-memos", object{"SalesOrder": pick(), "Amount": "1.07", "RestockLines": []object{{"SalesOrderLine": 1, "Quantity": "0.25"}}})
			case 6:
				try("stock", object{"StockCode": []string{"LOW3", "OUT0"}[below(2)], "QtyAdjust": below(5) - 2})
			case 7:
				for _, i := range c.ledger().Invoices {
					if !i.History && i.Balance.IsPositive() {
						c.receive("R-"+i.InvoiceNumber, i.InvoiceNumber, i.Balance.String(), "R")
						break
					}
				}
			case 8:
				try("close-period", object{})
			}
			c.sound()
		}
	})
}
