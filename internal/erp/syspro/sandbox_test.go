package syspro_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/syspro"
	sandbox "github.com/tenderline/tenderline/sandbox/syspro"
)

func TestConformanceWithToken(t *testing.T) {
	t.Parallel()
	erptest.Run(t, newHarness(t, func(c *syspro.Config) { c.ClientID, c.ClientSecret = "engine", "secret" }))
}

func TestConformanceWithAPIKey(t *testing.T) {
	t.Parallel()
	erptest.Run(t, newHarness(t, func(c *syspro.Config) { c.APIKey = "key-1" }))
}

// TestConformanceOfWholeSeconds runs against an installation that tells times of change no finer than that, so that many rows share one.
func TestConformanceOfWholeSeconds(t *testing.T) {
	t.Parallel()
	erptest.Run(t, newHarness(t, func(c *syspro.Config) { c.APIKey = "key-1" }, func(c *sandbox.Config) {
		c.Resolution, c.HoldBack = time.Second, 1200*time.Millisecond
	}))
}

func newHarness(t *testing.T, authorise func(*syspro.Config), changes ...func(*sandbox.Config)) erptest.Harness {
	t.Helper()
	config := sandbox.Config{ClientID: "engine", ClientSecret: "secret", APIKeys: []string{"key-1"}, HoldBack: 200 * time.Millisecond}
	for _, change := range changes {
		change(&config)
	}
	server, err := sandbox.New(config)
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()

	company := sandboxCompany{url: web.URL, client: &http.Client{Timeout: 30 * time.Second}}
	adapter := client(t, web.URL, authorise)
	return erptest.Harness{
		Port:         adapter,
		Changes:      adapter,
		Journals:     adapter,
		Clerk:        company,
		Unreachable:  client(t, nobody.URL, authorise),
		Unauthorised: client(t, web.URL, func(c *syspro.Config) { c.APIKey = "wrong" }),
		Documents:    dialect{today: time.Now().UTC().Format(time.DateOnly)},
		Company: erptest.Company{
			Currency: "USD", Customer: "WEB", HeldCustomer: "ONHOLD", StockCode: "A100", Warehouse: "N", CancelReason: "FRAUD",
			BankCode: "CYBCLR", Supplier: "CYBSRC", Accounts: [2]string{"6100", "1050"},
			Today: time.Now().UTC().Format(time.DateOnly), LongestOrder: 30,
		},
		DropAfter:   company.dropAfter,
		Count:       company.count,
		ClosePeriod: company.closing("AR"),
		CloseLedger: company.closing("GL"),
	}
}

// closing closes a module's periods, and opens them again.
func (s sandboxCompany) closing(module string) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		s.post(t, "periods", map[string]any{"Module": module, "Open": []string{}})
		return func() { s.post(t, "periods", map[string]any{"Module": module, "FollowClock": true}) }
	}
}

// Ship sends a quantity of an order's first line.
func (s sandboxCompany) Ship(t *testing.T, salesOrder string, quantity int, carrier, tracking string) string {
	t.Helper()
	var shipped struct{ ShipmentNumber string }
	s.asked(t, "shipments", object{"SalesOrder": salesOrder, "Carrier": carrier, "TrackingNumber": tracking,
		"Lines": []object{{"SalesOrderLine": 1, "Quantity": quantity}}}, &shipped)
	return shipped.ShipmentNumber
}

// Cancel cancels an order.
func (s sandboxCompany) Cancel(t *testing.T, salesOrder, reason string) {
	t.Helper()
	s.post(t, "orders", object{"SalesOrder": salesOrder, "Action": "Cancel", "Reason": reason})
}

// CommitLate makes the next change a late one.
func (s sandboxCompany) CommitLate(t *testing.T, lag time.Duration) {
	t.Helper()
	s.post(t, "late", object{"LagMs": lag.Milliseconds()})
}

func client(t *testing.T, url string, authorise func(*syspro.Config)) *syspro.Client {
	t.Helper()
	config := syspro.Config{BaseURL: url}
	authorise(&config)
	c, err := syspro.New(config)
	require.NoError(t, err)
	return c
}

// sandboxCompany reaches behind the facade by the sandbox's control surface.
type sandboxCompany struct {
	url    string
	client *http.Client
}

var routes = map[erptest.Operation]string{
	erptest.PutCustomer:      "CustomerService/AddCustomer",
	erptest.CreateSalesOrder: "SalesOrderService/AddSalesOrder",
	erptest.ChangeSalesOrder: "SalesOrderService/UpdateSalesOrder",
	erptest.CancelSalesOrder: "SalesOrderService/UpdateSalesOrder",
	erptest.CreateInvoice:    "ARInvoiceService/AddARInvoice",
	erptest.PostReceipt:      "ARPaymentService/AddARPayment",
	erptest.ReverseReceipt:   "ARPaymentService/AddARPayment",
	erptest.PostRefund:       "ARPaymentService/AddARPayment",
	erptest.CreateCreditMemo: "CreditMemoService/AddCreditMemo",
	erptest.SetPaymentStatus: "ARPaymentService/UpdatePaymentStatus",
	erptest.Acknowledge:      "CreditMemoService/AcknowledgeCreditMemo",
	erptest.SetTracking:      "SalesOrderService/UpdateSalesOrder",
	erptest.ApplyDeposit:     "ARPaymentService/AddARPayment",
	erptest.PostJournal:      "GLJournalService/AddJournalEntry",
	erptest.PostAPInvoice:    "APInvoiceService/AddAPInvoice",
}

func (s sandboxCompany) dropAfter(t *testing.T, operation erptest.Operation) {
	t.Helper()
	s.post(t, "faults", map[string]any{"route": "POST /APIServices/" + routes[operation], "mode": "drop_after", "times": 1})
}

func (s sandboxCompany) post(t *testing.T, path string, body any) {
	t.Helper()
	s.asked(t, path, body, nil)
}

// asked posts, and reads the answer where somebody wants it.
func (s sandboxCompany) asked(t *testing.T, path string, body, into any) {
	t.Helper()
	written, err := json.Marshal(body)
	require.NoError(t, err)
	response, err := s.client.Post(s.url+"/_sandbox/"+path, "application/json", bytes.NewReader(written))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 2, response.StatusCode/100, "POST /_sandbox/%s: %s", path, response.Status)
	if into != nil {
		require.NoError(t, json.NewDecoder(response.Body).Decode(into))
	}
}

var namedBy = map[erptest.Ledger]string{
	erptest.Customers: "CustomerCode", erptest.SalesOrders: "OrderNumber", erptest.Invoices: "SalesOrder",
	erptest.Payments: "PaymentReference", erptest.CreditMemos: "Reference", erptest.Journals: "Reference", erptest.APInvoices: "InvoiceNumber",
}

func (s sandboxCompany) count(t *testing.T, ledger erptest.Ledger, name string) int {
	t.Helper()
	response, err := s.client.Get(s.url + "/_sandbox/ledger")
	require.NoError(t, err)
	defer response.Body.Close()
	var all map[string][]map[string]any
	require.NoError(t, json.NewDecoder(response.Body).Decode(&all))
	require.Contains(t, all, string(ledger))
	n := 0
	for _, row := range all[string(ledger)] {
		if row[namedBy[ledger]] == name {
			n++
		}
	}
	return n
}

// dialect writes documents in the facade's field names.
type dialect struct{ today string }

type object map[string]any

func (d dialect) document(name string, body object) erp.Document {
	written, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return erp.Document{Body: written, Mapping: "syspro/" + name, Version: "1", Hash: "test"}
}

func cents(amount decimal.Decimal) json.Number { return json.Number(amount.StringFixed(2)) }

func (d dialect) Customer(c erptest.Customer) erp.Document {
	return d.document("customer", object{"Mode": "AddOrUpdate", "CustomerCode": c.Code, "ExternalId": c.ExternalID, "Email": c.Email,
		"Name": c.Name, "Currency": c.Currency})
}

func (d dialect) SalesOrder(o erptest.SalesOrder) erp.Document {
	status := "1"
	if o.Hold {
		status = "S"
	}
	return d.document("sales_order", object{"OrderNumber": o.OrderNumber, "CustomerCode": o.Customer, "OrderDate": d.today,
		"Currency": o.Currency, "OrderStatus": status, "Warehouse": o.Warehouse,
		"LineItems": []object{{"LineNumber": 1, "StockCode": o.StockCode, "Quantity": json.Number(o.Quantity.String()),
			"UnitOfMeasure": "EA", "UnitPrice": cents(o.UnitPrice)}},
		"OrderTotal": cents(o.Quantity.Mul(o.UnitPrice))})
}

func (d dialect) Invoice(salesOrder string) erp.Document {
	return d.document("invoice", object{"SalesOrder": salesOrder, "InvoiceDate": d.today, "PostingPeriod": "C"})
}

func (d dialect) Receipt(r erptest.Receipt) erp.Document {
	receipt := object{"PaymentReference": r.Reference, "CustomerCode": r.Customer, "PaymentDate": d.today,
		"Amount": cents(r.Amount), "Currency": r.Currency, "BankCode": "CYBCLR", "PaymentMethodCode": "VISA", "PaymentType": "Deposit",
		"UnappliedAmount": cents(r.Amount), "TransactionId": r.Reference}
	if r.Invoice != "" {
		receipt["PaymentType"], receipt["UnappliedAmount"] = "Receipt", 0
		receipt["Allocations"] = []object{{"InvoiceNumber": r.Invoice, "Amount": cents(r.Amount)}}
	}
	return d.document("receipt", receipt)
}

func (d dialect) CreditMemo(m erptest.CreditMemo) erp.Document {
	return d.document("credit_memo", object{"CreditMemoNumber": "", "OriginalInvoice": m.Invoice, "CustomerCode": m.Customer,
		"CreditDate": d.today, "Amount": cents(m.Amount), "TaxAmount": 0, "Currency": m.Currency, "Reason": "RETURN", "Reference": m.Reference})
}

func (d dialect) APInvoice(i erptest.APInvoice) erp.Document {
	return d.document("ap_invoice", object{"SupplierCode": i.Supplier, "InvoiceNumber": i.Number, "TransactionCode": "I",
		"InvoiceDate": d.today, "DueDate": d.today, "Currency": i.Currency, "InvoiceTotal": cents(i.Amount), "TaxAmount": 0,
		"Distribution": []object{{"AccountCode": i.Account, "Amount": cents(i.Amount), "Description": "Fees"}}})
}
