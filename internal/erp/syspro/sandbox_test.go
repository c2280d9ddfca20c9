package syspro_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/erptest"
	"github.com/tenderline/tenderline/internal/erp/syspro"
	"github.com/tenderline/tenderline/internal/fault"
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

	company := sandboxCompany{erptest.Sandbox{URL: web.URL}}
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
			Today:   time.Now().UTC().Format(time.DateOnly),
			Longest: erptest.Lengths{Order: 30, Reference: 30, Customer: 15, StockCode: 30, Number: 20, Supplier: 15, SupplierInvoice: 20, Account: 35},
		},
		Limits:      limits,
		DropAfter:   company.planting("drop_after"),
		Setbacks:    []erptest.Setback{{Name: "connection lost before", Plant: company.planting("drop_before"), Kind: fault.UnknownOutcome}},
		Hold:        company.hold,
		Drift:       company.drift,
		Count:       company.Count,
		ClosePeriod: company.Closing("AR"),
		CloseLedger: company.Closing("GL"),
	}
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
type sandboxCompany struct{ erptest.Sandbox }

const services = "/APIServices/"

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

// planting spoils the next call of an operation.
func (s sandboxCompany) planting(mode string) func(*testing.T, erptest.Operation) {
	return func(t *testing.T, operation erptest.Operation) {
		t.Helper()
		require.Contains(t, routes, operation)
		s.Post(t, "faults", object{"route": "POST " + services + routes[operation], "mode": mode, "times": 1}, nil)
	}
}

// hold makes the facade answer as it does while somebody has the order open at the ERP's own screens.
func (s sandboxCompany) hold(t *testing.T, _ string) func() {
	t.Helper()
	for _, operation := range []erptest.Operation{erptest.ChangeSalesOrder, erptest.CreateInvoice} {
		s.Post(t, "faults", object{"route": "POST " + services + routes[operation], "mode": "status", "status": http.StatusConflict, "reason": "RECORD_LOCKED"}, nil)
	}
	return func() { s.Delete(t, "faults") }
}

// drift compares what the company adds up itself with its documents: open orders of customers, allocated stock, and the general ledger.
func (s sandboxCompany) drift(t *testing.T) []string {
	t.Helper()
	var all struct {
		SalesOrders []struct {
			CustomerCode, OrderStatus string
			OrderTotal                decimal.Decimal
			LineItems                 []struct {
				StockCode, Warehouse string
				QuantityAllocated    decimal.Decimal
			}
		}
		Customers []struct {
			CustomerCode   string
			OpenOrderValue decimal.Decimal
		}
		Stock []struct {
			StockCode, Warehouse string
			QtyAllocated         decimal.Decimal
		}
	}
	s.Get(t, "ledger", &all)
	open, allocated := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, order := range all.SalesOrders {
		if !slices.Contains([]string{"9", "*", `\`}, order.OrderStatus) { // complete or cancelled
			open[order.CustomerCode] = open[order.CustomerCode].Add(order.OrderTotal)
		}
		for _, line := range order.LineItems {
			allocated[line.StockCode+" "+line.Warehouse] = allocated[line.StockCode+" "+line.Warehouse].Add(line.QuantityAllocated)
		}
	}
	require.NotEmpty(t, open)
	require.NotEmpty(t, allocated)
	var differences []string
	for _, customer := range all.Customers {
		if !customer.OpenOrderValue.Equal(open[customer.CustomerCode]) {
			differences = append(differences, fmt.Sprint("open orders of ", customer.CustomerCode, ": ", customer.OpenOrderValue, ", not ", open[customer.CustomerCode]))
		}
	}
	for _, item := range all.Stock {
		if code := item.StockCode + " " + item.Warehouse; !item.QtyAllocated.Equal(allocated[code]) {
			differences = append(differences, fmt.Sprint("allocated of ", code, ": ", item.QtyAllocated, ", not ", allocated[code]))
		}
	}
	var balance struct{ Balanced bool }
	s.Get(t, "trial-balance", &balance)
	if !balance.Balanced {
		differences = append(differences, "the general ledger")
	}
	return differences
}

// limits are the texts of the facade's documents (erp.md 2.2 and 2.3).
var limits = map[erptest.Operation][]erptest.Limit{
	erptest.PutCustomer: append([]erptest.Limit{
		{Field: "CustomerCode", Longest: 15, Names: true}, {Field: "Name", Longest: 50}, {Field: "ShortName", Longest: 20}, {Field: "Contact", Longest: 40},
		{Field: "Email", Longest: 255}, {Field: "Phone", Longest: 20}, {Field: "TermsCode", Longest: 2}, {Field: "Branch", Longest: 10},
		{Field: "Area", Longest: 10}, {Field: "Salesperson", Longest: 20}, {Field: "PriceCode", Longest: 2}, {Field: "CustomerClass", Longest: 10},
		{Field: "TaxExemptNumber", Longest: 30}, {Field: "ExternalId", Longest: 50}, {Field: "CybersourceTokenId", Longest: 64},
	}, addressLimits("BillToAddress", "ShipToAddress")...),
	erptest.CreateSalesOrder: append([]erptest.Limit{
		{Field: "OrderNumber", Longest: 30, Names: true}, {Field: "CustomerCode", Longest: 15, Names: true}, {Field: "Branch", Longest: 10, Names: true},
		{Field: "Warehouse", Longest: 10, Names: true}, {Field: "Salesperson", Longest: 20}, {Field: "ShippingInstrs", Longest: 50},
		{Field: "SpecialInstrs", Longest: 50}, {Field: "Comments[0]", Longest: 100}, {Field: "Payment.Processor", Longest: 100},
		{Field: "Payment.TransactionId", Longest: 100}, {Field: "Payment.MerchantReferenceCode", Longest: 100}, {Field: "Payment.ReconciliationId", Longest: 100},
		{Field: "Payment.AuthorizationCode", Longest: 100}, {Field: "Payment.PaymentMethodCode", Longest: 100}, {Field: "Payment.TokenId", Longest: 100},
		{Field: "LineItems[0].StockCode", Longest: 30, Names: true}, {Field: "LineItems[0].Description", Longest: 50},
		{Field: "LineItems[0].UnitOfMeasure", Longest: 10}, {Field: "LineItems[0].TaxCode", Longest: 3}, {Field: "LineItems[0].Warehouse", Longest: 10, Names: true},
	}, addressLimits("BillToAddress", "ShipToAddress")...),
	erptest.CreateInvoice: {
		{Field: "SalesOrder", Longest: 20, Names: true}, {Field: "InvoiceNumber", Longest: 20}, {Field: "Reference", Longest: 30}, {Field: "Branch", Longest: 10},
		{Field: "ProductClass", Longest: 20},
	},
	erptest.PostReceipt: {
		{Field: "PaymentReference", Longest: 30, Names: true}, {Field: "CustomerCode", Longest: 15, Names: true}, {Field: "BankCode", Longest: 15, Names: true},
		{Field: "PaymentMethodCode", Longest: 20}, {Field: "Narration", Longest: 50}, {Field: "TransactionId", Longest: 100},
		{Field: "SourceReference", Longest: 30}, {Field: "Allocations[0].InvoiceNumber", Longest: 20, Names: true},
	},
	erptest.CreateCreditMemo: {
		{Field: "CreditMemoNumber", Longest: 20}, {Field: "OriginalInvoice", Longest: 20, Names: true}, {Field: "CustomerCode", Longest: 15, Names: true},
		{Field: "Reason", Longest: 30}, {Field: "Reference", Longest: 30, Names: true},
	},
	erptest.PostAPInvoice: {
		{Field: "SupplierCode", Longest: 15, Names: true}, {Field: "InvoiceNumber", Longest: 20, Names: true}, {Field: "Reference", Longest: 30},
		{Field: "Distribution[0].AccountCode", Longest: 35, Names: true}, {Field: "Distribution[0].Description", Longest: 100},
	},
}

func addressLimits(addresses ...string) []erptest.Limit {
	var all []erptest.Limit
	for _, address := range addresses {
		for field, longest := range map[string]int{"Name": 50, "Line1": 40, "Line2": 40, "Line3": 40, "Line4": 40, "Line5": 40, "City": 40, "State": 40,
			"PostalCode": 15, "Phone": 20, "Email": 255} {
			all = append(all, erptest.Limit{Field: address + "." + field, Longest: longest})
		}
	}
	return all
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
