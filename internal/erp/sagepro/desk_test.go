package sagepro_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/pgtest"
	sandbox "github.com/tenderline/tenderline/sandbox/sagepro"
)

// desk is a Sage Pro company with its people, and a client of it.
type desk struct {
	erptest.Sandbox
	*sagepro.Client
	db      *sqlx.DB // as the client has it: it meets the faults that are planted
	plain   *sqlx.DB // without them
	dialect sagepro.Dialect
	count   atomic.Int64
}

// onEach runs a test on every database that the sandbox has.
func onEach(t *testing.T, test func(t *testing.T, d *desk), changes ...func(*sagepro.Config)) {
	t.Helper()
	for _, dialect := range []sagepro.Dialect{sagepro.SQLite, sagepro.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			test(t, openDesk(t, dialect, changes...))
		})
	}
}

func openDesk(t *testing.T, dialect sagepro.Dialect, changes ...func(*sagepro.Config)) *desk {
	t.Helper()
	dsn := filepath.Join(t.TempDir(), "pro01.db")
	if dialect == sagepro.Postgres {
		dsn = pgtest.New(t, nil)
	}
	server, err := sandbox.New(t.Context(), sandbox.Config{Dialect: string(dialect), DSN: dsn})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	d := &desk{Sandbox: erptest.Sandbox{URL: web.URL}, dialect: dialect, db: sqlx.NewDb(sql.OpenDB(server.Connector()), string(dialect))}
	t.Cleanup(func() { require.NoError(t, d.db.Close()) })
	d.plain, err = sagepro.Open(string(dialect), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.plain.Close()) })
	d.Client = d.client(t, changes...)
	return d
}

// client makes another client of the company.
func (d *desk) client(t *testing.T, changes ...func(*sagepro.Config)) *sagepro.Client {
	t.Helper()
	config := sagepro.Config{DB: d.db, Dialect: d.dialect, LockWait: 2 * time.Second}
	for _, change := range changes {
		change(&config)
	}
	client, err := sagepro.New(config)
	require.NoError(t, err)
	return client
}

// name makes a fresh name.
func (d *desk) name(kind string) string { return fmt.Sprintf("%s-%d", kind, d.count.Add(1)) }

func (d *desk) key() string { return "order/" + d.name("K") + ":step:1" }

// paper is a document in the making.
type paper map[string]any

func (p paper) at(name string) paper { return p[name].(paper) }

func (p paper) line(i int) paper { return p["sotran"].([]paper)[i] }

func (p paper) document(t *testing.T) erp.Document {
	t.Helper()
	body, err := json.Marshal(p)
	require.NoError(t, err)
	return erp.Document{Body: body, Mapping: "sagepro/test", Version: "1", Hash: "test"}
}

func today() string { return time.Now().UTC().Format(time.DateOnly) }

// order is two widgets at 19.95 with tax and freight: 48.19.
func (d *desk) order() paper {
	return paper{
		"orderNumber": d.name("WEB"), "status": "open", "prepaid": true, "total": 48.19, "freight": 5,
		"somast": paper{"custno": "WEB", "sodate": today(), "currid": "USD", "tax": json.Number("3.29"), "pterms": "VISA", "shipvia": "UPS"},
		"sotran": []paper{{"tranlineno": 1, "item": "A100", "descrip": "Widget", "qtyord": 2, "price": json.Number("19.95"), "extprice": json.Number("39.90"), "loctid": "N"}},
		"soaddr": []paper{{"adtype": "S", "company": "Ada Park", "address1": "1 Market St", "city": "San Francisco"}},
		"socomm": []string{"Web order"},
		"payment": paper{"cybtxn": "7031234567890123456702", "method": "VISA", "paystatus": "Captured", "amount": json.Number("48.19"), "currid": "USD",
			"last4": "1111"},
	}
}

// simple is an order of one line of whole quantity and price, without tax or freight.
func (d *desk) simple(item string, quantity, price int64) paper {
	order := d.order()
	order["freight"], order["total"] = 0, quantity*price
	order.at("somast")["tax"] = 0
	order["sotran"] = []paper{{"tranlineno": 1, "item": item, "qtyord": quantity, "price": price, "extprice": quantity * price}}
	return order
}

func (d *desk) place(t *testing.T, order paper) canonical.SalesOrder {
	t.Helper()
	made, err := d.CreateSalesOrder(t.Context(), d.key(), order.document(t))
	require.NoError(t, err)
	return made
}

func (d *desk) invoice(number string) paper {
	return paper{"sono": number, "invdte": today(), "reference": "WEB-10001", "armast": paper{}}
}

func (d *desk) bill(t *testing.T, number string) canonical.Invoice {
	t.Helper()
	made, err := d.CreateInvoice(t.Context(), d.key(), d.invoice(number).document(t))
	require.NoError(t, err)
	return made
}

// set changes the database behind everybody's back.
func (d *desk) set(t *testing.T, statement string, arguments ...any) {
	t.Helper()
	_, err := d.plain.ExecContext(t.Context(), d.plain.Rebind(statement), arguments...)
	require.NoError(t, err)
}

// ask gives one value of the database as text.
func (d *desk) ask(t *testing.T, query string, arguments ...any) string {
	t.Helper()
	var value sql.NullString
	require.NoError(t, d.plain.GetContext(t.Context(), &value, d.plain.Rebind(query), arguments...))
	return value.String
}

func (d *desk) requireNoDrift(t *testing.T) {
	t.Helper()
	var found struct{ Differences []map[string]any }
	d.Get(t, "drift", &found)
	require.Empty(t, found.Differences)
}

func (d *desk) plant(t *testing.T, route, mode string) {
	t.Helper()
	d.Post(t, "faults", paper{"route": route, "mode": mode, "times": 1}, nil)
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) *fault.Fault {
	t.Helper()
	f := fault.As(err)
	require.NotNil(t, f, "%v", err)
	require.Equal(t, kind, f.Kind, "%v", err)
	require.Equal(t, code, f.Code, "%v", err)
	require.Equal(t, "erp-sagepro", f.System)
	require.NotEmpty(t, f.Message)
	return f
}

func requireAmount(t *testing.T, want string, got decimal.Decimal) {
	t.Helper()
	require.True(t, decimal.RequireFromString(want).Equal(got), "want %s, got %s", want, got)
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }
