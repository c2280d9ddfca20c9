package sagepro_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/pgtest"
	sandbox "github.com/tenderline/tenderline/sandbox/sagepro"
)

func TestConformanceOnSQLite(t *testing.T) {
	t.Parallel()
	erptest.Run(t, newCompany(t, sagepro.SQLite, filepath.Join(t.TempDir(), "pro01.db")).harness(t))
}

// TestRowHeld: a row that another transaction holds is waited for, but not for ever.
func TestRowHeld(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		testRowHeld(t, newCompany(t, sagepro.SQLite, filepath.Join(t.TempDir(), "pro01.db")))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		testRowHeld(t, newCompany(t, sagepro.Postgres, pgtest.New(t, nil)))
	})
}

func testRowHeld(t *testing.T, c *company) {
	t.Helper()
	today := time.Now().UTC().Format(time.DateOnly)
	order := dialect{today: today}.SalesOrder(erptest.SalesOrder{OrderNumber: "HELD-1", Customer: "WEB", Currency: "USD", StockCode: "A100", Warehouse: "N",
		Quantity: decimal.NewFromInt(1), UnitPrice: decimal.NewFromInt(5)})
	require.NoError(t, c.client.Check(t.Context()))
	holder, err := c.tables.BeginTxx(t.Context(), nil)
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "UPDATE arcust SET comment = 'on the phone' WHERE custno = 'WEB   '")
	require.NoError(t, err)

	_, err = c.client.CreateSalesOrder(t.Context(), "k1", order)
	require.True(t, fault.Is(err, fault.Busy), "%v", err)
	require.Equal(t, "RECORD_LOCKED", fault.As(err).Code)
	require.NoError(t, holder.Rollback())
	_, err = c.client.CreateSalesOrder(t.Context(), "k1", order)
	require.NoError(t, err)
	require.Equal(t, 1, c.Count(t, erptest.SalesOrders, "HELD-1"))
	require.Empty(t, c.drift(t))
}

// company is a Sage Pro company with its people, and a client that meets the faults which tests plant.
type company struct {
	erptest.Sandbox
	dialect sagepro.Dialect
	dsn     string
	server  *sandbox.Server
	client  *sagepro.Client
	tables  *sqlx.DB // the same database, which no fault touches
}

func newCompany(t *testing.T, dialect sagepro.Dialect, dsn string) *company {
	t.Helper()
	server, err := sandbox.New(t.Context(), sandbox.Config{Dialect: string(dialect), DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	db := sql.OpenDB(server.Connector())
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxIdleConns(clientConnections)
	tables, err := sagepro.Open(string(dialect), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tables.Close()) })
	c := &company{Sandbox: erptest.Sandbox{URL: web.URL}, dialect: dialect, dsn: dsn, server: server, tables: tables}
	c.client = c.newClient(t, sqlx.NewDb(db, string(dialect)))
	return c
}

const clientConnections = 8

// newClient makes a client of a database. It waits for locks no longer than a test should.
func (c *company) newClient(t *testing.T, db *sqlx.DB) *sagepro.Client {
	t.Helper()
	client, err := sagepro.New(sagepro.Config{DB: db, Dialect: c.dialect, LockWait: 2 * time.Second})
	require.NoError(t, err)
	return client
}

// elsewhere makes a client that connects by another DSN.
func (c *company) elsewhere(t *testing.T, dsn string) *sagepro.Client {
	t.Helper()
	db, err := sagepro.Open(string(c.dialect), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return c.newClient(t, db)
}

func (c *company) harness(t *testing.T) erptest.Harness {
	t.Helper()
	today := time.Now().UTC().Format(time.DateOnly)
	h := erptest.Harness{
		Port: c.client, Changes: c.client, Journals: c.client, Clerk: c,
		Documents: dialect{today: today},
		Company: erptest.Company{
			Currency: "USD", Customer: "WEB", HeldCustomer: "ONHOLD", StockCode: "A100", Warehouse: "N", CancelReason: "FRAUD",
			BankCode: "1050", Supplier: "CYBSRC", Accounts: [2]string{"6100", "1050"}, Today: today,
			Longest: erptest.Lengths{Order: 64, Reference: erp.MaxReference, Customer: 6, StockCode: 15, Number: 10, Supplier: 6, SupplierInvoice: 20, Account: 24},

			ShipmentIsInvoice: true,
		},
		Setbacks: []erptest.Setback{
			{Name: "connection lost at the first statement", Plant: c.planting("cut", firstStatement), Kind: fault.Connection},
			{Name: "connection lost at a later statement", Plant: c.planting("cut", laterStatement), Kind: fault.Connection},
			{Name: "commit lost", Plant: c.planting("drop_before", firstStatement), Kind: fault.UnknownOutcome},
			{Name: "deadlock", Plant: c.planting("deadlock", laterStatement), Kind: fault.Busy},
			{Name: "lock time-out", Plant: c.planting("locked", laterStatement), Kind: fault.Busy},
			{Name: "table in exclusive use", Plant: c.planting("busy", laterStatement), Kind: fault.Busy},
		},
		DropAfter:   c.planting("drop_after", firstStatement),
		Count:       c.count,
		ClosePeriod: c.Closing("AR"),
		CloseLedger: c.Closing("GL"),
		Hold:        c.hold,
		Exclusive:   c.exclusive,
		Drift:       c.drift,
		SetRate:     c.SetRate,
		Limits:      limits,
	}
	switch c.dialect {
	case sagepro.Postgres:
		h.Unreachable = c.elsewhere(t, "postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=2")
		stranger, err := url.Parse(c.dsn)
		require.NoError(t, err)
		query := stranger.Query()
		query.Set("user", "stranger")
		stranger.RawQuery = query.Encode()
		h.Unauthorised = c.elsewhere(t, stranger.String())
	default:
		h.Unreachable = c.elsewhere(t, filepath.Join(t.TempDir(), "nowhere", "none.db")) // a file asks nobody who he is
	}
	return h
}

// firstStatement is the one that every operation begins with: its own row.
func firstStatement(erptest.Operation) string { return "INSERT cyb_xref" }

// laterStatement is one in the midst of an operation, when there is something to be taken back.
func laterStatement(operation erptest.Operation) string {
	return map[erptest.Operation]string{
		erptest.PutCustomer:      "INSERT arcust",
		erptest.CreateSalesOrder: "INSERT sotran",
		erptest.ChangeSalesOrder: "UPDATE somast",
		erptest.CancelSalesOrder: "UPDATE sotran",
		erptest.CreateInvoice:    "INSERT artran",
		erptest.PostReceipt:      "INSERT arcash",
		erptest.ReverseReceipt:   "INSERT arcash",
		erptest.PostRefund:       "INSERT arcash",
		erptest.CreateCreditMemo: "INSERT armast",
		erptest.SetPaymentStatus: "* cyb_paystat",
		erptest.Acknowledge:      "UPDATE cyb_xref",
		erptest.SetTracking:      "UPDATE somast",
		erptest.ApplyDeposit:     "INSERT arcash",
		erptest.PostJournal:      "INSERT gltran",
		erptest.PostAPInvoice:    "INSERT apdist",
	}[operation]
}

// planting spoils the next transaction in which an operation's statement is.
func (c *company) planting(mode string, statement func(erptest.Operation) string) func(*testing.T, erptest.Operation) {
	return func(t *testing.T, operation erptest.Operation) {
		t.Helper()
		c.Post(t, "faults", object{"route": statement(operation), "mode": mode, "times": 1}, nil)
	}
}

// hold has somebody open a sales order on the screen.
func (c *company) hold(t *testing.T, salesOrder string) func() {
	t.Helper()
	c.Post(t, "locks", object{"Table": "somast", "Key": salesOrder, "User": "ANNA"}, nil)
	return func() { c.Delete(t, "locks") }
}

// exclusive has somebody take all tables for a reindex.
func (c *company) exclusive(t *testing.T) func() {
	t.Helper()
	c.Post(t, "faults", object{"route": "* *", "mode": "busy"}, nil)
	return func() { c.Delete(t, "faults") }
}

// count counts documents in the ERP's own tables by the column that names them there. Where a name does not fit its column, and for credit memos,
// which have none, the ledger is asked.
func (c *company) count(t *testing.T, ledger erptest.Ledger, name string) int {
	t.Helper()
	query, there := map[erptest.Ledger]string{
		erptest.Customers:   "SELECT count(*) FROM arcust WHERE trim(custno) = ?",
		erptest.SalesOrders: "SELECT (SELECT count(*) FROM somast WHERE ponum = ?) + (SELECT count(*) FROM soymst WHERE ponum = ?)",
		erptest.Invoices:    "SELECT (SELECT count(*) FROM armast WHERE trim(ornum) = ? AND artype = '') + (SELECT count(*) FROM arymst WHERE trim(ornum) = ? AND artype = '')",
		// Each posting has one row for an invoice, and one for what is no invoice's.
		erptest.Payments:   "SELECT coalesce(max(rows_of), 0) FROM (SELECT count(*) AS rows_of FROM arcash WHERE refno = ? GROUP BY invno, custno) AS postings",
		erptest.Journals:   "SELECT count(*) FROM glbatch WHERE trim(ref) = ?",
		erptest.APInvoices: "SELECT count(*) FROM apmast WHERE trim(invno) = ?",
	}[ledger]
	if !there || len(name) > 20 {
		return c.Count(t, ledger, name)
	}
	var arguments []any
	for range strings.Count(query, "?") {
		arguments = append(arguments, name)
	}
	var n int
	require.NoError(t, c.tables.GetContext(t.Context(), &n, c.tables.Rebind(query), arguments...))
	return n
}

func (c *company) drift(t *testing.T) []string {
	t.Helper()
	var found struct {
		Differences []struct{ What, Key, Expected, Found string }
	}
	c.Get(t, "drift", &found)
	var all []string
	for _, each := range found.Differences {
		all = append(all, fmt.Sprintf("%s of %s: %s, not %s", each.What, each.Key, each.Found, each.Expected))
	}
	return all
}

// limits are the texts of the documents, by the columns that they go to (erp.md 3.6).
var limits = map[erptest.Operation][]erptest.Limit{
	erptest.PutCustomer: append(columns("arcust", map[string]int{"company": 35, "contact": 30, "address1": 35, "address2": 35, "city": 20, "state": 10, "zip": 10,
		"country": 15, "phone": 20, "terr": 3, "salesmn": 4, "pterms": 20, "pricecode": 3, "taxcode": 6, "gllink": 3, "aracct": 24}),
		erptest.Limit{Field: "externalId", Longest: 64, Names: true}, erptest.Limit{Field: "arcust.custno", Longest: 6, Names: true}),
	erptest.CreateSalesOrder: append(append(append(append(
		columns("somast", map[string]int{"shipvia": 15, "fob": 15, "cshipno": 6, "pterms": 20, "salesmn": 4, "terr": 3, "glarec": 24}),
		columns("sotran[0]", map[string]int{"descrip": 35, "umeasur": 4, "glsale": 24, "glasst": 24})...),
		columns("soaddr[0]", addressColumns)...), columns("soaddr[1]", addressColumns)...),
		erptest.Limit{Field: "orderNumber", Longest: 64, Names: true}, erptest.Limit{Field: "somast.custno", Longest: 6, Names: true},
		erptest.Limit{Field: "somast.loctid", Longest: 3, Names: true}, erptest.Limit{Field: "sotran[0].item", Longest: 15, Names: true},
		erptest.Limit{Field: "sotran[0].loctid", Longest: 3, Names: true}, erptest.Limit{Field: "socomm[0]", Longest: 65}, erptest.Limit{Field: "socomm[1]", Longest: 65},
		erptest.Limit{Field: "payment.method", Longest: 12}, erptest.Limit{Field: "payment.tokenid", Longest: 40}, erptest.Limit{Field: "payment.cybtxn", Longest: 26, Names: true}),
	erptest.CreateInvoice:    columns("armast", map[string]int{"arnotes": 200, "pterms": 20}),
	erptest.PostReceipt:      {{Field: "reference", Longest: 64, Names: true}, {Field: "custno", Longest: 6, Names: true}, {Field: "bankacct", Longest: 24, Names: true}},
	erptest.CreateCreditMemo: append(columns("armast", map[string]int{"arnotes": 200}), erptest.Limit{Field: "reference", Longest: 64, Names: true}),
	erptest.PostAPInvoice: {{Field: "SupplierCode", Longest: 6, Names: true}, {Field: "InvoiceNumber", Longest: 20, Names: true},
		{Field: "Distribution[0].AccountCode", Longest: 24, Names: true}},
}

var addressColumns = map[string]int{"company": 35, "address1": 35, "address2": 35, "address3": 35, "city": 20, "state": 10, "zip": 10, "country": 15, "email": 100}

func columns(table string, longest map[string]int) []erptest.Limit {
	all := make([]erptest.Limit, 0, len(longest))
	for column, most := range longest {
		all = append(all, erptest.Limit{Field: table + "." + column, Longest: most})
	}
	return all
}

// dialect writes documents as the mappings of Sage Pro make them.
type dialect struct{ today string }

type object map[string]any

func (d dialect) document(name string, body object) erp.Document {
	written, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return erp.Document{Body: written, Mapping: "sagepro/" + name, Version: "1", Hash: "test"}
}

func cents(amount decimal.Decimal) json.Number { return json.Number(amount.StringFixed(2)) }

func (d dialect) Customer(c erptest.Customer) erp.Document {
	return d.document("customer", object{"externalId": c.ExternalID,
		"arcust": object{"custno": c.Code, "company": c.Name, "email": c.Email, "currency": c.Currency}})
}

func (d dialect) SalesOrder(o erptest.SalesOrder) erp.Document {
	total, status := o.Quantity.Mul(o.UnitPrice), "open"
	if o.Hold {
		status = "hold"
	}
	return d.document("sales_order", object{"orderNumber": o.OrderNumber, "status": status, "total": cents(total), "freight": cents(decimal.Zero),
		"somast": object{"custno": o.Customer, "sodate": d.today, "ordate": d.today, "pterms": "VISA", "loctid": o.Warehouse, "currid": o.Currency, "tax": cents(decimal.Zero)},
		"sotran": []object{{"tranlineno": 1, "item": o.StockCode, "descrip": "Widget", "qtyord": json.Number(o.Quantity.String()), "price": cents(o.UnitPrice),
			"extprice": cents(total), "taxable": "Y", "umeasur": "EA", "loctid": o.Warehouse}},
		"soaddr": []object{{"adtype": "S", "company": "Ada Park", "address1": "1 Main St", "city": "Springfield", "country": "US"},
			{"adtype": "B", "company": "Ada Park", "address1": "1 Main St", "city": "Springfield", "country": "US"}},
		"socomm":  []string{"Web order " + o.OrderNumber[:min(len(o.OrderNumber), 30)], "Leave at the door"},
		"payment": object{"cybtxn": transactionOf(o.OrderNumber), "method": "VISA", "paystatus": "Captured", "amount": cents(total), "currid": o.Currency, "last4": "1111"},
	})
}

// transactionOf makes a gateway's transaction id of a name: 26 characters at most.
func transactionOf(name string) string { return name[max(0, len(name)-26):] }

func (d dialect) Invoice(salesOrder string) erp.Document {
	return d.document("invoice", object{"sono": salesOrder, "invdte": d.today, "reference": "", "armast": object{}})
}

func (d dialect) Receipt(r erptest.Receipt) erp.Document {
	receipt := object{"reference": r.Reference, "transactionId": transactionOf(r.Reference), "custno": r.Customer, "dtepaid": d.today, "amount": cents(r.Amount),
		"currid": r.Currency, "bankacct": "1050", "method": "VISA"}
	if r.Invoice == "" {
		return d.document("deposit", receipt)
	}
	receipt["invoices"] = []object{{"invno": r.Invoice, "amount": cents(r.Amount)}}
	return d.document("receipt", receipt)
}

func (d dialect) CreditMemo(m erptest.CreditMemo) erp.Document {
	return d.document("credit_memo", object{"reference": m.Reference, "invno": m.Invoice, "custno": m.Customer, "invdte": d.today, "amount": cents(m.Amount),
		"tax": cents(decimal.Zero), "currid": m.Currency, "reason": "RETURN"})
}

func (d dialect) APInvoice(i erptest.APInvoice) erp.Document {
	return d.document("fee_invoice", object{"SupplierCode": i.Supplier, "InvoiceNumber": i.Number, "TransactionCode": "I", "InvoiceDate": d.today,
		"DueDate": d.today, "Currency": i.Currency, "InvoiceTotal": cents(i.Amount), "TaxAmount": cents(decimal.Zero), "Reference": i.Number,
		"Distribution": []object{{"AccountCode": i.Account, "Amount": cents(i.Amount), "Description": "Fees"}}})
}
