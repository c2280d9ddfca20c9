package activities_test

import (
	"database/sql"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	sageprosandbox "github.com/tenderline/tenderline/sandbox/sagepro"
)

// newSageBooks are the books of a site with Sage Pro.
func newSageBooks(t *testing.T, sku, quantity string) *books {
	t.Helper()
	b := newBooks(t, sku, quantity).sagePro()
	company, err := sageprosandbox.New(t.Context(), sageprosandbox.Config{Dialect: "sqlite", DSN: filepath.Join(t.TempDir(), "sagepro.db"), Clock: b.clock.Now})
	require.NoError(t, err)
	db := sqlx.NewDb(sql.OpenDB(company.Connector()), "sqlite")
	server := httptest.NewServer(company.Handler())
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, db.Close())
		require.NoError(t, company.Close())
	})
	b.url = server.URL
	port, err := sagepro.New(sagepro.Config{DB: db, Dialect: sagepro.SQLite, Clock: b.clock.Now})
	require.NoError(t, err)
	b.booking.Port = port
	b.prepareAgain(t)
	return b
}

// prepareAgain maps the order as it is now.
func (b *books) prepareAgain(t *testing.T) {
	t.Helper()
	store, err := journal.Open(t.Context(), "sqlite:"+journaltest.File(t), journal.Options{Keyring: ring(t), Migrate: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	_, _, err = store.TakeOrder(t.Context(), journal.OrderRecord{
		OrderID: b.order.OrderID, Channel: b.order.Channel, BodyHash: "h", Currency: "USD", Total: b.order.Total,
	})
	require.NoError(t, err)
	orders := &activities.Orders{Mappings: b.booking.Mappings, Journal: store, Clock: b.clock.Now}
	environment := activityEnvironment()
	environment.RegisterActivity(orders)
	prepared, err := try(&bank{env: environment}, orders.PrepareOrder, activities.PrepareOrderInput{Order: b.order, Erp: b.booking.Name, Site: site()})
	require.NoError(t, err)
	b.docs = prepared.Documents
}

// parked is what a step is told of its own refusal when it parks.
func (b *books) parked(t *testing.T, step string, err error, class fault.Kind) activities.SuggestFixInput {
	t.Helper()
	failure := requireFault(t, err, class, true)
	in := b.refusedBy(step, class, "")
	require.NoError(t, failure.Details(in.Answer))
	return in
}

// TestFixesThatSageProIsAskedFor: refusals of the real adapter lead to what its database knows, and with that the step is done.
func TestFixesThatSageProIsAskedFor(t *testing.T) {
	t.Run("an item that is spelt otherwise", func(t *testing.T) {
		b := newSageBooks(t, "A-100", "2")
		_, err := finish(b.bank, b.booking.CreateSalesOrder, b.booked("", ""))
		fixes := b.suggested(t, b.parked(t, "sales-order", err, fault.MissingReference))
		require.NotEmpty(t, fixes)
		require.Equal(t, orderCorrection("/lines/0/sku", "A100"), fixes[0].Correction)

		b.order.Lines[0].SKU = "A100"
		b.prepareAgain(t)
		again := b.booked("", "")
		again.Attempt = 2
		must(t, b.bank, b.booking.CreateSalesOrder, again)
		require.Len(t, b.ledger(t, "salesOrders"), 1)
	})
	t.Run("a customer that is spelt otherwise", func(t *testing.T) {
		b := newSageBooks(t, "A100", "2")
		b.order.Customer.ErpCode = "WE-B"
		in := b.checking()
		in.CustomerCode = "WE-B"
		_, err := finish(b.bank, b.booking.CheckCustomerAndStock, in)
		fixes := b.suggested(t, b.parked(t, "check", err, fault.MissingReference))
		require.NotEmpty(t, fixes)
		require.Equal(t, orderCorrection("/customer/erpCode", "WEB"), fixes[0].Correction)
	})
	t.Run("a customer on hold", func(t *testing.T) {
		b := newSageBooks(t, "A100", "2")
		in := b.booked("", "")
		in.CustomerCode = "ONHOLD"
		_, err := finish(b.bank, b.booking.CreateSalesOrder, in)
		ask := b.parked(t, "sales-order", err, fault.DeclinedByPolicy)
		ask.CustomerCode = "ONHOLD"
		fixes := b.suggested(t, ask)
		require.Len(t, fixes, 1)
		require.Contains(t, fixes[0].Text, "Take customer ONHOLD off hold")
	})
	t.Run("a closed period", func(t *testing.T) {
		b := newSageBooks(t, "A100", "2")
		order := b.sell(t, false)
		in := b.booked(order.Number, "")
		in.Document = b.docs.Invoice
		in.Date = b.clock.Now().AddDate(0, -6, 0).Format(time.DateOnly)
		_, err := finish(b.bank, b.booking.InvoiceSalesOrder, in)
		ask := b.parked(t, "invoice", err, fault.ClosedPeriod)
		ask.Date = in.Date
		fixes := b.suggested(t, ask)
		require.NotEmpty(t, fixes)
		in.Date, in.Attempt = fixes[0].Correction.Date, 2
		must(t, b.bank, b.booking.InvoiceSalesOrder, in)
	})
}
