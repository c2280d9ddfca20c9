package sagepro

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// What the company has from the start; README.md lists it for people. The items FAIL... meet the site's own rules in the schema.
const (
	defaultLocation = "N"
	firstVendor     = "CYBSRC"
	openingDoc      = "OPENING"
)

var locations = []string{defaultLocation, "S"}

// firstNumbers are the numbers that come next in a new company.
var firstNumbers = map[[2]string]int64{
	{"SO", "sono"}: 10245, {"AR", "invno"}: 20069, {"AR", "custno"}: 12, {"GL", "batchno"}: 1, {"IC", "ttranno"}: 1,
}

// seed fills a new company.
func (s *Server) seed(ctx context.Context, tx *sqlx.Tx) error {
	w := &writer{ctx: ctx, tx: tx}
	for key, next := range firstNumbers {
		w.insert("sycnext", row{"sysid": s.sysid(key[0]), "keyname": key[1], "nextval": next})
	}
	s.seedStock(w)
	s.seedCustomers(w)
	s.seedRates(w)
	w.insert("apvend", row{"vendno": code(firstVendor, vendnoWidth), "company": "Cybersource"})
	for _, a := range chart {
		active := "Y"
		if a.held {
			active = "N"
		}
		w.insert("glacct", row{"glacnt": code(a.code, glacntWidth), "gldesc": a.name, "acttype": a.kind, "active": active})
	}
	return w.err
}

// sysid is the key of a module's system data: SO01.
func (s *Server) sysid(module string) string { return module + s.config.Company }

func (s *Server) seedStock(w *writer) {
	made := map[string]bool{}
	for _, i := range []struct {
		code, description, location, onHand, cost, price string
	}{
		{"A100", "Widget", "N", "1000000", "12.50", "19.95"},
		{"A100", "Widget", "S", "50000", "12.50", "19.95"},
		{"A200", "Widget, large", "N", "500000", "21", "34.95"},
		{"A300", "Widget, blue", "N", "500000", "13.20", "21.95"},
		{"B100", "Gadget", "N", "250000", "40", "69"},
		{"B200", "Gadget, twin", "N", "250000", "75.25", "129"},
		{"B300", "Gadget, travel", "N", "250000", "18.99", "29.95"},
		{"C100", "Cable, per metre", "N", "100000.5", "0.375", "1.25"},
		{"GIFT", "Gift wrapping", "N", "1000000", "0.50", "3.50"},
		{"LOW3", "Nearly sold out", "N", "3", "9", "15"},
		{"OUT0", "Sold out", "N", "0", "9", "15"},
		{"FAIL422", "Refused at the order", "N", "1000000", "1", "10"},
		{"FAILINV", "Refused at the invoice", "N", "1000000", "1", "10"},
		{"FAILPAY", "Refused at the receipt", "N", "1000000", "1", "10"},
	} {
		item, location := code(i.code, itemWidth), code(i.location, loctidWidth)
		unit := "EA"
		if i.code == "C100" {
			unit = "M"
		}
		if !made[i.code] {
			made[i.code] = true
			w.insert("icitem", row{"item": item, "itmdesc": i.description, "price": i.price, "avgcost": i.cost, "stkcode": "Y", "stkumid": unit, "ionhand": "0"})
		}
		w.insert("iciloc", row{"item": item, "loctid": location, "lonhand": i.onHand, "lsoaloc": "0", "lonordr": "0"})
		if i.onHand != "0" {
			w.insert("ictran", row{"ttranno": number(w.next(s.sysid("IC"), "ttranno")), "trantyp": "R", "item": item, "loctid": location,
				"tdate": s.today(), "tqty": i.onHand, "tcost": i.cost, "docno": openingDoc})
		}
		w.totalOnHand(item)
	}
	// What is sold but never in stock.
	w.insert("icitem", row{"item": code("FREIGHT", itemWidth), "itmdesc": "Freight", "price": "0", "avgcost": "0", "stkcode": "N", "stkumid": "EA", "ionhand": "0"})
}

func (s *Server) seedCustomers(w *writer) {
	for _, cu := range []struct {
		custno, company, currency, limit, credstat, pterms string
	}{
		{"WEB", "Web shop, cash sales", "USD", "0", "", "CC"},
		{"ONHOLD", "Held by hand Ltd", "USD", "0", creditHeld, "CC"},
		{"LIMIT", "Over its limit Inc", "USD", "1", "", "CC"},
		{"OVRDUE", "Pays late Corp", "USD", "100000", creditOverdue, "CC"},
		{"ACCT", "Good customer on account", "USD", "100000", "", "NET 30"},
		{"WEBGBP", "Web shop, United Kingdom", "GBP", "0", "", "CC"},
		{"WEBEUR", "Web shop, euro", "EUR", "0", "", "CC"},
		{"WEBJPY", "Web shop, Japan", "JPY", "0", "", "CC"},
	} {
		w.insert("arcust", row{"custno": code(cu.custno, custnoWidth), "company": cu.company, "currency": cu.currency, "limit": cu.limit, "credstat": cu.credstat,
			"pterms": cu.pterms, "ccno": legacyCard, "cc_exp": "1299", "adduser": clerkUser, "adddate": s.today(), "addtime": s.clockTime()})
	}
}

// legacyCard is what an old version left in a customer's card column: a well-known test number, so that a test finds it wherever it gets to.
const legacyCard = "4111111111111111"

// Credit statuses of customers.
const (
	creditHeld    = "H"
	creditOverdue = "O"
)

// clerkUser is who the clerk's rows are of.
const clerkUser = "CLRK"

// account is an account of the chart.
type account struct {
	code, name, kind string
	held             bool
}

// Accounts that the sub-ledgers post to (erp.md 5.1).
const (
	accountClearing   = "1050"
	accountAR         = "1200"
	accountInventory  = "1300"
	accountAP         = "2100"
	accountTax        = "2200"
	accountDeposits   = "2300"
	accountSales      = "4000"
	accountReturns    = "4900"
	accountCostOfSale = "5000"
)

// chart is the chart of accounts; 6999 is not active, for those who want to see it refused.
var chart = [...]account{
	{"1010", "Bank - operating", "A", false},
	{accountClearing, "Card clearing", "A", false},
	{"1051", "Card settlement in transit", "A", false},
	{"1055", "Card fees withheld - clearing", "A", false},
	{accountAR, "AR control", "A", false},
	{"1210", "Chargebacks receivable", "A", false},
	{accountInventory, "Inventory", "A", false},
	{"1999", "Settlement suspense", "A", false},
	{accountAP, "AP control", "L", false},
	{accountTax, "Sales tax payable", "L", false},
	{accountDeposits, "Customer deposits", "L", false},
	{accountSales, "Sales", "I", false},
	{accountReturns, "Returns and allowances", "I", false},
	{accountCostOfSale, "Cost of sales", "E", false},
	{"6100", "Merchant processing fees", "E", false},
	{"6110", "Chargeback losses", "E", false},
	{"6120", "Chargeback and dispute fees", "E", false},
	{"6999", "Held for tests", "E", true},
	{"7010", "FX gain or loss", "E", false},
	{"7090", "Rounding differences", "E", false},
}

// row is one row to be written: values by column.
type row map[string]any

// writer writes rows in one transaction and keeps the first error, so that what is written reads as a list.
type writer struct {
	ctx context.Context
	tx  *sqlx.Tx
	err error
}

// insert adds a row.
func (w *writer) insert(table string, r row) {
	columns, marks, values := r.parts()
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = `"` + c + `"`
	}
	w.exec("INSERT INTO "+table+" ("+strings.Join(quoted, ", ")+") VALUES ("+strings.Join(marks, ", ")+")", values...)
}

// update changes columns of the rows that the condition finds.
func (w *writer) update(table string, r row, where string, args ...any) {
	columns, _, values := r.parts()
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = `"` + c + `" = ?`
	}
	w.exec("UPDATE "+table+" SET "+strings.Join(sets, ", ")+" WHERE "+where, append(values, args...)...)
}

func (w *writer) exec(query string, args ...any) {
	if w.err != nil {
		return
	}
	if _, err := w.tx.ExecContext(w.ctx, w.tx.Rebind(query), args...); err != nil {
		w.err = fmt.Errorf("%.40s...: %w", query, err)
	}
}

// get reads one value or one row.
func (w *writer) get(into any, query string, args ...any) {
	if w.err != nil {
		return
	}
	if err := w.tx.GetContext(w.ctx, into, w.tx.Rebind(query), args...); err != nil {
		w.err = fmt.Errorf("%.60s...: %w", query, err)
	}
}

// all reads rows.
func (w *writer) all(into any, query string, args ...any) {
	if w.err != nil {
		return
	}
	if err := w.tx.SelectContext(w.ctx, into, w.tx.Rebind(query), args...); err != nil {
		w.err = fmt.Errorf("%.60s...: %w", query, err)
	}
}

// next takes the next number of a counter.
func (w *writer) next(sysid, keyname string) string {
	var n int64
	w.get(&n, "UPDATE sycnext SET nextval = nextval + 1 WHERE sysid = ? AND keyname = ? RETURNING nextval - 1", sysid, keyname)
	return fmt.Sprint(n)
}

// totalOnHand brings an item's total up to that of its locations.
func (w *writer) totalOnHand(item string) {
	var parts []amount
	w.all(&parts, "SELECT lonhand FROM iciloc WHERE item = ?", item)
	total := amount{}
	for _, p := range parts {
		total.Decimal = total.Add(p.Decimal)
	}
	w.update("icitem", row{"ionhand": total}, "item = ?", item)
}
