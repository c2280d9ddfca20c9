package sagepro_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	mssql "github.com/microsoft/go-mssqldb"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of testdata anew")

// newSQLServer gives a company behind what stands for its SQL Server.
func newSQLServer(t *testing.T) (*company, *server) {
	t.Helper()
	return newSQLServerOf(t, sagepro.Names{})
}

// newSQLServerOf has the site's own names.
func newSQLServerOf(t *testing.T, names sagepro.Names) (*company, *server) {
	t.Helper()
	c := newCompany(t, sagepro.SQLite, filepath.Join(t.TempDir(), "pro01.db"))
	s := newServer(t, c.server.Connector())
	db := sql.OpenDB(s)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	client, err := sagepro.New(sagepro.Config{DB: sqlx.NewDb(db, "sqlserver"), Dialect: sagepro.SQLServer, Names: names, LockWait: 2 * time.Second})
	require.NoError(t, err)
	c.client = client
	return c, s
}

// TestConformanceInTransactSQL runs the suite through the statements that SQL Server would get. Lost connections and the like are told in that
// server's numbers.
func TestConformanceInTransactSQL(t *testing.T) {
	t.Parallel()
	c, s := newSQLServer(t)
	h := c.harness(t)
	number := func(name string, number int32, kind fault.Kind) erptest.Setback {
		return erptest.Setback{Name: name, Kind: kind, Plant: func(_ *testing.T, operation erptest.Operation) {
			s.plant(statementLike(laterStatement(operation)), mssql.Error{Number: number, Class: 16})
		}}
	}
	h.Setbacks = []erptest.Setback{
		number("deadlock", 1205, fault.Busy),
		{Name: "connection lost", Kind: fault.Connection, Plant: func(_ *testing.T, operation erptest.Operation) {
			s.plant(statementLike(laterStatement(operation)), driver.ErrBadConn)
		}},
	}
	h.Exclusive = nil // of one statement only, see above
	erptest.Run(t, h)
}

// statementLike matches statements of a route such as "INSERT sotran" or "* cyb_paystat".
func statementLike(route string) string {
	verb, table, _ := strings.Cut(route, " ")
	switch verb {
	case "INSERT":
		return `^INSERT INTO ` + table + `\b`
	case "UPDATE":
		return `^UPDATE ` + table + `\b`
	default:
		return `\b` + table + `\b`
	}
}

// TestTransactSQL holds what each operation sends against testdata/sqlserver, which people who know SQL Server can read.
func TestTransactSQL(t *testing.T) {
	t.Parallel()
	c, s := newSQLServer(t)
	require.NoError(t, c.client.Check(t.Context()))
	s.taken()
	for _, step := range newStory(t, c) {
		require.NoError(t, step.do(t.Context()), step.name)
		sent := s.taken()
		requireTransactSQL(t, step.name, sent)
		requireGolden(t, filepath.Join("testdata", "sqlserver", step.name+".sql"), strings.Join(sent, ";\n")+";\n")
	}
}

// TestTriggersOfASite: rows that a site's triggers write, for an audit say, are counted by SQL Server with those of the statement.
func TestTriggersOfASite(t *testing.T) {
	t.Parallel()
	c, s := newSQLServer(t)
	s.triggers = true
	for _, step := range newStory(t, c) {
		require.NoError(t, step.do(t.Context()), step.name)
	}
	require.Empty(t, c.drift(t))
	_, err := c.client.ChangeSalesOrder(t.Context(), "none", erp.SalesOrderChange{Number: "99999", State: erp.SalesOrderHold})
	require.True(t, fault.Is(err, fault.MissingReference), "%v", err)
}

// TestTransactSQLOfASite: a company in a database of its own, and our tables in another one, are named in full by every statement.
func TestTransactSQLOfASite(t *testing.T) {
	t.Parallel()
	c, s := newSQLServerOf(t, sagepro.Names{Schema: "PRO{company}.dbo", SideSchema: "TENDERLINE.dbo"})
	require.NoError(t, c.client.Check(t.Context()))
	s.taken()
	for _, step := range newStory(t, c) {
		require.NoError(t, step.do(t.Context()), step.name)
		sent := s.taken()
		requireTransactSQL(t, step.name, sent)
		for _, statement := range sent {
			require.NotRegexp(t, `(?i)\b(FROM|INTO|UPDATE|JOIN) (so|ar|ic|ap|gl|sy|cyb_)`, statement, step.name)
		}
		if step.name == "CreateSalesOrder" {
			requireGolden(t, filepath.Join("testdata", "sqlserver", "CreateSalesOrder-of-a-site.sql"), strings.Join(sent, ";\n")+";\n")
		}
	}
}

var (
	insertColumns = regexp.MustCompile(`^INSERT INTO \S+ \(([^)]*)\)`)
	cardColumns   = regexp.MustCompile(`(?i)\b(ccno|cc_exp)\b`)
)

// requireTransactSQL holds the rules that no statement may break.
func requireTransactSQL(t *testing.T, name string, sent []string) {
	t.Helper()
	require.NotEmpty(t, sent, name)
	inside := false
	for i, statement := range sent {
		require.NotRegexp(t, cardColumns, statement, "a card's columns are nobody's business")
		if columns := insertColumns.FindStringSubmatch(statement); columns != nil {
			require.NotContains(t, columns[1], "id_col", "SQL Server counts these itself")
			require.True(t, inside, "%s: nothing is written outside of a transaction: %s", name, statement)
		}
		switch {
		case strings.HasPrefix(statement, "BEGIN"):
			require.Equal(t, "BEGIN READ COMMITTED", statement)
			require.Regexp(t, `^SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT \d+$`, sent[i+1], "a failed statement must end the transaction")
			inside = true
		case statement == "COMMIT":
			inside = false
		case strings.HasPrefix(statement, "UPDATE"):
			require.True(t, inside, "%s: nothing is changed outside of a transaction: %s", name, statement)
			require.Contains(t, statement, " WHERE ")
		}
	}
	require.False(t, inside, "%s leaves a transaction open", name)
}

func requireGolden(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -rewrite, and read what it writes")
	require.Equal(t, string(want), got, path)
}

// step is one operation of a story.
type step struct {
	name string
	do   func(ctx context.Context) error
}

// newStory goes through every operation once, in an order in which each finds what it needs.
func newStory(t *testing.T, c *company) []step {
	t.Helper()
	d := dialect{today: time.Now().UTC().Format(time.DateOnly)}
	var order, later, sent canonical.SalesOrder
	var invoice canonical.Invoice
	var memo canonical.CreditMemo
	total := decimal.RequireFromString("39.90")
	sale := func(number string) erp.Document {
		return d.SalesOrder(erptest.SalesOrder{OrderNumber: number, Customer: "C2001", Currency: "USD", StockCode: "A100", Warehouse: "N",
			Quantity: decimal.NewFromInt(2), UnitPrice: decimal.RequireFromString("19.95")})
	}
	entry := canonical.JournalEntry{Reference: "CYB-20261120-USD", Date: d.today, Currency: "USD", Description: "Card settlement", Lines: []canonical.JournalLine{
		{Account: "6100", Debit: total}, {Account: "1050", Credit: total}}}
	return []step{
		{"PutCustomer", func(ctx context.Context) error {
			_, err := c.client.PutCustomer(ctx, "k1", d.Customer(erptest.Customer{Code: "C2001", ExternalID: "C-2001", Name: "Ada Park", Email: "ada@example.com", Currency: "USD"}))
			return err
		}},
		{"PutCustomer-update", func(ctx context.Context) error {
			_, err := c.client.PutCustomer(ctx, "k2", d.Customer(erptest.Customer{Code: "C2001", ExternalID: "C-2001", Name: "Ada Lovelace", Email: "ada@example.com", Currency: "USD"}))
			return err
		}},
		{"FindCustomer", func(ctx context.Context) error {
			_, err := c.client.FindCustomer(ctx, erp.CustomerRef{ExternalID: "C-2001"})
			return err
		}},
		{"Stock", func(ctx context.Context) error {
			_, err := c.client.Stock(ctx, erp.StockQuery{StockCodes: []string{"A100", "B100"}, Warehouse: "N"})
			return err
		}},
		{"CreateSalesOrder", func(ctx context.Context) (err error) {
			order, err = c.client.CreateSalesOrder(ctx, "k3", sale("WEB-10001"))
			return err
		}},
		{"CreateSalesOrder-repeated", func(ctx context.Context) error {
			_, err := c.client.CreateSalesOrder(ctx, "k3", sale("WEB-10001"))
			return err
		}},
		{"FindSalesOrder", func(ctx context.Context) error {
			_, err := c.client.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: "WEB-10001"})
			return err
		}},
		{"ChangeSalesOrder", func(ctx context.Context) error {
			_, err := c.client.ChangeSalesOrder(ctx, "k4", erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderReady})
			return err
		}},
		{"CreateInvoice", func(ctx context.Context) (err error) {
			invoice, err = c.client.CreateInvoice(ctx, "k5", d.Invoice(order.Number))
			return err
		}},
		{"FindInvoice", func(ctx context.Context) error {
			_, err := c.client.FindInvoice(ctx, erp.InvoiceRef{SalesOrder: order.Number})
			return err
		}},
		{"PostReceipt", func(ctx context.Context) error {
			_, err := c.client.PostReceipt(ctx, "k6", d.Receipt(erptest.Receipt{Reference: "P1", Customer: "C2001", Invoice: invoice.Number, Currency: "USD", Amount: total}))
			return err
		}},
		{"FindReceipt", func(ctx context.Context) error {
			_, err := c.client.FindReceipt(ctx, "P1")
			return err
		}},
		{"ReverseReceipt", func(ctx context.Context) error {
			_, err := c.client.ReverseReceipt(ctx, "k7", erp.ReceiptReversal{Reference: "R1", Source: "P1", CustomerCode: "C2001", Date: d.today, Amount: total, Currency: "USD", BankCode: "1050"})
			return err
		}},
		{"PostReceipt-deposit", func(ctx context.Context) error {
			_, err := c.client.PostReceipt(ctx, "k8", d.Receipt(erptest.Receipt{Reference: "P2", Customer: "C2001", Currency: "USD", Amount: total}))
			return err
		}},
		{"ApplyDeposit", func(ctx context.Context) error {
			_, err := c.client.ApplyDeposit(ctx, "k9", erp.DepositApplication{Reference: "A1", Source: "P2", CustomerCode: "C2001", Invoice: invoice.Number, Amount: total,
				Currency: "USD", Date: d.today})
			return err
		}},
		{"FindDeposit", func(ctx context.Context) error {
			_, err := c.client.FindDeposit(ctx, "P2")
			return err
		}},
		{"CreateCreditMemo", func(ctx context.Context) (err error) {
			memo, err = c.client.CreateCreditMemo(ctx, "k10", d.CreditMemo(erptest.CreditMemo{Reference: "M1", Customer: "C2001", Invoice: invoice.Number, Currency: "USD", Amount: total}))
			return err
		}},
		{"FindCreditMemo", func(ctx context.Context) error {
			_, err := c.client.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: "M1", Since: time.Now().Add(-time.Hour)})
			return err
		}},
		{"PostRefund", func(ctx context.Context) error {
			_, err := c.client.PostRefund(ctx, "k11", erp.RefundPosting{Reference: "F1", CustomerCode: "C2001", CreditMemo: memo.Number, Amount: total, Currency: "USD", Date: d.today,
				BankCode: "1050", TransactionID: "F1"})
			return err
		}},
		{"AcknowledgeCreditMemo", func(ctx context.Context) error {
			return c.client.AcknowledgeCreditMemo(ctx, "k12", erp.Acknowledgement{Number: memo.Number, Refunded: true, TransactionID: "F1", Amount: total, Currency: "USD", At: time.Now()})
		}},
		{"SetPaymentStatus", func(ctx context.Context) error {
			return c.client.SetPaymentStatus(ctx, "k13", erp.PaymentStatusChange{SalesOrder: order.Number, TransactionID: "T1", Status: erp.TagPaid, Amount: total, Currency: "USD", At: time.Now()})
		}},
		{"CreateSalesOrder-next", func(ctx context.Context) (err error) {
			later, err = c.client.CreateSalesOrder(ctx, "k14", sale("WEB-10002"))
			return err
		}},
		{"CreateSalesOrder-last", func(ctx context.Context) (err error) {
			sent, err = c.client.CreateSalesOrder(ctx, "k19", sale("WEB-10003"))
			return err
		}},
		{"SetTracking", func(ctx context.Context) error {
			return c.client.SetTracking(ctx, "k15", erp.Tracking{SalesOrder: later.Number, Carrier: "UPS", Number: "1Z1"})
		}},
		{"CancelSalesOrder", func(ctx context.Context) error {
			_, err := c.client.CancelSalesOrder(ctx, "k16", erp.SalesOrderCancellation{Number: later.Number, Reason: "FRAUD"})
			return err
		}},
		{"PostJournal", func(ctx context.Context) error {
			_, err := c.client.PostJournal(ctx, "k17", entry)
			return err
		}},
		{"FindJournal", func(ctx context.Context) error {
			_, err := c.client.FindJournal(ctx, entry.Reference)
			return err
		}},
		{"PostAPInvoice", func(ctx context.Context) error {
			_, err := c.client.PostAPInvoice(ctx, "k18", d.APInvoice(erptest.APInvoice{Number: "FEES-1", Supplier: "CYBSRC", Account: "6100", Currency: "USD", Amount: total}))
			return err
		}},
		{"FindAPInvoice", func(ctx context.Context) error {
			_, err := c.client.FindAPInvoice(ctx, erp.APInvoiceRef{SupplierCode: "CYBSRC", Number: "FEES-1"})
			return err
		}},
		{"ListSalesOrders", func(ctx context.Context) error {
			_, err := c.client.ListSalesOrders(ctx, erp.ChangeQuery{Since: time.Now().Add(-time.Hour), Limit: 10})
			return err
		}},
		{"ListShipments", func(ctx context.Context) error {
			c.Ship(t, sent.Number, 1, "UPS", "1Z2")
			_, err := c.client.ListShipments(ctx, erp.ChangeQuery{Since: time.Now().Add(-time.Hour), Limit: 10})
			return err
		}},
		{"ListCreditMemos", func(ctx context.Context) error {
			_, err := c.client.ListCreditMemos(ctx, erp.ChangeQuery{Since: time.Now().Add(-time.Hour), Limit: 10})
			return err
		}},
		{"NearStockCodes", func(ctx context.Context) error {
			_, err := c.client.NearStockCodes(ctx, "A-100", "N", 3)
			return err
		}},
		{"NearCustomers", func(ctx context.Context) error {
			_, err := c.client.NearCustomers(ctx, erp.CustomerHint{Code: "C-2001", ExternalID: "C-2001", Email: "ada@example.com"}, 3)
			return err
		}},
		{"OpenPeriods", func(ctx context.Context) error {
			_, err := c.client.OpenPeriods(ctx)
			return err
		}},
		{"ExchangeRates", func(ctx context.Context) error {
			_, err := c.client.ExchangeRates(ctx, "USD", d.today)
			return err
		}},
	}
}

// TestErrorsOfSQLServer: what a number, or a connection that breaks, means to a process. Nothing is left of what failed, and the same key serves.
func TestErrorsOfSQLServer(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	for name, tc := range map[string]struct {
		at   string
		err  error
		kind fault.Kind
		code string
	}{
		"deadlock":                      {`^INSERT INTO sotran`, numbered(1205), fault.Busy, "DEADLOCK"},
		"deadlock at the commit":        {`^COMMIT`, numbered(1205), fault.Busy, "DEADLOCK"},
		"lock time-out":                 {`^SELECT .* FROM arcust WITH`, numbered(1222), fault.Busy, "RECORD_LOCKED"},
		"primary key":                   {`^INSERT INTO soaddr`, numbered(2627), fault.Busy, ""},
		"unique index":                  {`^INSERT INTO somast`, numbered(2601), fault.Busy, ""},
		"login failed":                  {`^BEGIN`, numbered(18456), fault.Credentials, "LOGIN_REFUSED"},
		"database not to be opened":     {`^BEGIN`, numbered(4060), fault.Busy, "ERP_BUSY"},
		"right denied":                  {`^INSERT INTO somast`, numbered(229), fault.Credentials, "LOGIN_REFUSED"},
		"database in single user mode":  {`^BEGIN`, numbered(924), fault.Busy, "ERP_BUSY"},
		"table not there":               {`^INSERT INTO socomm`, numbered(208), fault.MissingReference, ""},
		"text too long":                 {`^INSERT INTO somast`, numbered(2628), fault.Value, ""},
		"a site's own trigger":          {`^INSERT INTO sotran`, mssql.Error{Number: 50000, Class: 16, Message: "site rule: no Mondays"}, fault.DeclinedByPolicy, "BUSINESS_RULE"},
		"statement ended, deadlock why": {`^INSERT INTO sotran`, mssql.Error{Number: 3621, All: []mssql.Error{{Number: 1205}, {Number: 3621}}}, fault.Busy, "DEADLOCK"},
		"connection that was idle":      {`^INSERT INTO sotran`, driver.ErrBadConn, fault.Connection, ""},
		"connection that ended":         {`^INSERT INTO sotran`, io.EOF, fault.Connection, ""},
		"connection that was reset":     {`^INSERT INTO sotran`, reset, fault.Connection, ""},
		"severe error":                  {`^INSERT INTO sotran`, mssql.Error{Number: 21, Class: 21}, fault.Connection, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newSQLServer(t)
			require.NoError(t, c.client.Check(t.Context()))
			order := dialect{today: time.Now().UTC().Format(time.DateOnly)}.SalesOrder(erptest.SalesOrder{OrderNumber: "WEB-1", Customer: "WEB", Currency: "USD",
				StockCode: "A100", Warehouse: "N", Quantity: decimal.NewFromInt(1), UnitPrice: decimal.NewFromInt(5)})
			s.plant(tc.at, tc.err)
			_, err := c.client.CreateSalesOrder(t.Context(), "k1", order)
			require.True(t, fault.Is(err, tc.kind), "%v", err)
			if tc.code != "" {
				require.Equal(t, tc.code, fault.As(err).Code)
			}
			require.Equal(t, tc.code == "ERP_BUSY", fault.As(err).RetryAfter > 0)
			require.Zero(t, c.Count(t, erptest.SalesOrders, "WEB-1"))
			require.Equal(t, "ROLLBACK", lastOf(s.taken(), tc.at))
			_, err = c.client.CreateSalesOrder(t.Context(), "k1", order)
			require.NoError(t, err)
			require.Equal(t, 1, c.Count(t, erptest.SalesOrders, "WEB-1"))
			require.Empty(t, c.drift(t))
		})
	}
}

// lastOf is how what was sent ended. A transaction that did not begin, or that COMMIT ended, is not rolled back once more.
func lastOf(sent []string, at string) string {
	if strings.HasPrefix(at, "^BEGIN") || strings.HasPrefix(at, "^COMMIT") {
		return "ROLLBACK"
	}
	return sent[len(sent)-1]
}

func numbered(number int32) error { return mssql.Error{Number: number, Class: 16} }

// TestCommitOfSQLServerUnanswered: whatever breaks while a COMMIT is on its way, nobody knows what came of it.
func TestCommitOfSQLServerUnanswered(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]error{
		"reset": &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, "ended": io.EOF, "bad connection": driver.ErrBadConn,
		"time-out": context.DeadlineExceeded, "cut by the server": errors.New("mssql: invalid response"),
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newSQLServer(t)
			order := dialect{today: time.Now().UTC().Format(time.DateOnly)}.SalesOrder(erptest.SalesOrder{OrderNumber: "WEB-1", Customer: "WEB", Currency: "USD",
				StockCode: "A100", Warehouse: "N", Quantity: decimal.NewFromInt(1), UnitPrice: decimal.NewFromInt(5)})
			s.plant(`^COMMIT`, lost)
			_, err := c.client.CreateSalesOrder(t.Context(), "k1", order)
			require.True(t, fault.Is(err, fault.UnknownOutcome), "%v", err)
			made, err := c.client.CreateSalesOrder(t.Context(), "k1", order)
			require.NoError(t, err)
			require.NotEmpty(t, made.Number)
			require.Equal(t, 1, c.Count(t, erptest.SalesOrders, "WEB-1"))
			require.Empty(t, c.drift(t))
		})
	}
}

// TestTheStandInRefusesOtherDialects: what stands for SQL Server would be worth little if it took what SQL Server does not.
func TestTheStandInRefusesOtherDialects(t *testing.T) {
	for _, wrong := range []string{
		"SELECT sono FROM somast LIMIT 5", "SELECT sono FROM somast LIMIT @p1", "SELECT sono || custno FROM somast", "SELECT sono FROM somast FOR UPDATE",
		"UPDATE sycnext SET nextval = nextval + 1 RETURNING nextval", "INSERT INTO cyb_xref (company) VALUES (@p1) ON CONFLICT DO NOTHING",
		"SELECT limit FROM arcust", `SELECT "limit" FROM arcust`, "SELECT sono FROM somast WHERE sono = ?", "SELECT sono FROM somast WHERE sono = $1",
		"INSERT INTO somast (id_col, sono) VALUES (@p1, @p2)", "SELECT sono FROM somast WHERE moved = TRUE", "SELECT CAST(sono AS TEXT) FROM somast",
	} {
		_, err := translate(wrong)
		require.Error(t, err, wrong)
	}
	for from, to := range map[string]string{
		"SELECT TOP (5) sono FROM somast WITH (UPDLOCK, ROWLOCK) WHERE custno = @p1":         "SELECT sono FROM somast WHERE custno = ?1 LIMIT 5",
		"UPDATE sycnext SET nextval = nextval + 1 OUTPUT deleted.nextval WHERE sysid = @p1":  "UPDATE sycnext SET nextval = nextval + 1 WHERE sysid = ?1 RETURNING nextval - 1",
		"SELECT [limit], [current] FROM arcust WHERE credstat IN ('LIMIT 5', '?', 'key or')": "SELECT [limit], [current] FROM arcust WHERE credstat IN ('LIMIT 5', '?', 'key or')",
	} {
		got, err := translate(from)
		require.NoError(t, err)
		require.Equal(t, to, got)
	}
}
