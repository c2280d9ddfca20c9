package erptest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Sandbox speaks to the control surface that the sandboxes of all ERPs share: their ledger, their clerk and their faults.
type Sandbox struct{ URL string }

// controlTimeout bounds a call to a control surface.
const controlTimeout = time.Minute

// Post sends a request, and reads the answer into into unless that is nil.
func (s Sandbox) Post(t *testing.T, path string, body, into any) {
	t.Helper()
	written, err := json.Marshal(body)
	require.NoError(t, err)
	s.call(t, http.MethodPost, path, bytes.NewReader(written), into)
}

// Get asks for something.
func (s Sandbox) Get(t *testing.T, path string, into any) {
	t.Helper()
	s.call(t, http.MethodGet, path, nil, into)
}

// Delete ends something.
func (s Sandbox) Delete(t *testing.T, path string) {
	t.Helper()
	s.call(t, http.MethodDelete, path, nil, nil)
}

func (s Sandbox) call(t *testing.T, method, path string, body io.Reader, into any) {
	t.Helper()
	// Not the test's own context, which is over in a clean-up.
	request, err := http.NewRequestWithContext(context.Background(), method, s.URL+"/_sandbox/"+path, body)
	require.NoError(t, err)
	client := http.Client{Timeout: controlTimeout}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 2, response.StatusCode/100, "%s /_sandbox/%s: %s %s", method, path, response.Status, answer)
	if into != nil {
		require.NoError(t, json.Unmarshal(answer, into))
	}
}

// Count counts the rows of a ledger that have a name.
func (s Sandbox) Count(t *testing.T, ledger Ledger, name string) int {
	t.Helper()
	named := map[Ledger]string{
		Customers: "CustomerCode", SalesOrders: "OrderNumber", Invoices: "SalesOrder", Payments: "PaymentReference", CreditMemos: "Reference",
		Journals: "Reference", APInvoices: "InvoiceNumber",
	}
	var all map[string]json.RawMessage // a suite asks often, and for one ledger of many
	s.Get(t, "ledger", &all)
	var rows []map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(all[string(ledger)], &rows), ledger)
	wanted, err := json.Marshal(name)
	require.NoError(t, err)
	n := 0
	for _, row := range rows {
		if bytes.Equal(row[named[ledger]], wanted) {
			n++
		}
	}
	return n
}

// Closing closes a module's periods, and opens them again.
func (s Sandbox) Closing(module string) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		t.Helper()
		s.Post(t, "periods", map[string]any{"Module": module, "Open": []string{}}, nil)
		return func() { s.Post(t, "periods", map[string]any{"Module": module, "FollowClock": true}, nil) }
	}
}

// Ship sends a quantity of an order's first line.
func (s Sandbox) Ship(t *testing.T, salesOrder string, quantity int, carrier, tracking string) string {
	t.Helper()
	var shipped struct{ ShipmentNumber string }
	s.Post(t, "shipments", map[string]any{"SalesOrder": salesOrder, "Carrier": carrier, "TrackingNumber": tracking,
		"Lines": []map[string]any{{"SalesOrderLine": 1, "Quantity": quantity}}}, &shipped)
	return shipped.ShipmentNumber
}

// Cancel cancels an order.
func (s Sandbox) Cancel(t *testing.T, salesOrder, reason string) {
	t.Helper()
	s.Post(t, "orders", map[string]any{"SalesOrder": salesOrder, "Action": "Cancel", "Reason": reason}, nil)
}

// Credit credits what is left of an invoice.
func (s Sandbox) Credit(t *testing.T, invoice string) string {
	t.Helper()
	var made struct{ CreditMemoNumber string }
	s.Post(t, "credit-memos", map[string]any{"OriginalInvoice": invoice}, &made)
	return made.CreditMemoNumber
}

// SetRate writes down what a currency costs in the company's own from a date on.
func (s Sandbox) SetRate(t *testing.T, currency, date, rate string) {
	t.Helper()
	s.Post(t, "rates", map[string]any{"Currency": currency, "Date": date, "Rate": rate}, nil)
}

// CommitLate makes the next change a late one.
func (s Sandbox) CommitLate(t *testing.T, lag time.Duration) {
	t.Helper()
	s.Post(t, "late", map[string]any{"LagMs": lag.Milliseconds()}, nil)
}

var _ Clerk = Sandbox{}
