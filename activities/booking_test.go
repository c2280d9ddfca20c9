package activities_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/syspro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	"github.com/tenderline/tenderline/internal/outbound"
	sandbox "github.com/tenderline/tenderline/sandbox/syspro"
)

const captureID = "7031234567890123456702"

// books is the ERP steps with the real adapter, mappings, stand-in and a journal of their own.
type books struct {
	*bank   // for its clock and its way to run a step; there is no gateway in it
	url     string
	booking *activities.Booking
	order   canonical.Order
	docs    activities.Documents
}

func newBooks(t *testing.T, sku string, quantity string) *books {
	t.Helper()
	// Noon in the middle of a month: what a test adds or takes leads where it says, on whatever day it runs.
	b := &books{bank: &bank{clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}}}
	server, err := sandbox.New(sandbox.Config{APIKeys: []string{"key-1"}, HoldBack: -1, Clock: b.clock.Now})
	require.NoError(t, err)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(func() { web.Close(); require.NoError(t, server.Close()) })
	b.url = web.URL
	port, err := syspro.New(syspro.Config{BaseURL: web.URL, APIKey: "key-1", Clock: b.clock.Now, Transport: outbound.Transport(outbound.Config{
		System: "erp-syspro", Breaker: outbound.Breaker{MinRequests: 1 << 30}, Clock: b.clock.Now,
	})})
	require.NoError(t, err)
	operations, err := journal.OpenOperations(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "erp.db"),
		journal.Options{Keyring: ring(t), Clock: b.clock.Now, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, operations.Close()) })
	set, err := mappingSet()
	require.NoError(t, err)
	b.booking = &activities.Booking{Name: "syspro", Port: port, Operations: operations, Mappings: set, Settle: settleWait, Clock: b.clock.Now}

	b.order = sampleOrder("WEB-1")
	b.order.Lines[0].SKU, b.order.Lines[0].Quantity = sku, dec(quantity)
	b.order.Total = b.order.Lines[0].Extended("USD").Add(dec("3.29")).Add(dec("5.00"))
	b.docs = prepared(t, b.clock, b.order)
	b.env = activityEnvironment()
	b.env.RegisterActivity(b.booking)
	return b
}

// prepared are an order's documents as PrepareOrder maps them.
func prepared(t *testing.T, clock *clock, order canonical.Order) activities.Documents {
	t.Helper()
	set, err := mappingSet()
	require.NoError(t, err)
	store, err := journal.Open(t.Context(), "sqlite:"+journaltest.File(t), journal.Options{Keyring: ring(t), Migrate: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	_, _, err = store.TakeOrder(t.Context(), journal.OrderRecord{OrderID: order.OrderID, Channel: order.Channel, BodyHash: "h", Currency: "USD", Total: order.Total})
	require.NoError(t, err)
	orders := &activities.Orders{Mappings: set, Journal: store, Clock: clock.Now}
	environment := activityEnvironment()
	environment.RegisterActivity(orders)
	answer, err := try(&bank{env: environment}, orders.PrepareOrder, activities.PrepareOrderInput{Order: order, Erp: "syspro", Site: site()})
	require.NoError(t, err)
	return answer.Documents
}

func site() activities.Site { return activities.Site{"branch": "10", "warehouse": "N"} }

func (b *books) today() string { return b.clock.Now().Format(time.DateOnly) }

func (b *books) paid() canonical.Payment {
	return canonical.Payment{
		OrderID: b.order.OrderID, Status: canonical.PaymentCaptured, Currency: "USD", AuthorizationID: captureID, CaptureID: captureID,
		Authorized: b.order.Total, Captured: b.order.Total, CardType: "001", At: b.clock.Now(),
	}
}

func (b *books) checking() activities.CheckCustomerInput {
	return activities.CheckCustomerInput{
		OrderID: b.order.OrderID, ExternalID: b.order.Customer.ID, Document: b.docs.Customer, Attempt: 1, CheckCredit: true, Warehouse: "N",
		Total: b.order.Money(b.order.Total), Lines: []activities.StockLine{{StockCode: b.order.Lines[0].SKU, Quantity: b.order.Lines[0].Quantity}},
	}
}

func (b *books) booked(salesOrder, invoice string) activities.BookingInput {
	return activities.BookingInput{
		Order: b.order, Site: site(), Document: b.docs.SalesOrder, CustomerCode: "WEB", Payment: b.paid(), SalesOrder: salesOrder, Invoice: invoice,
		Attempt: 1, Date: b.today(),
	}
}

func (b *books) reference(salesOrder, invoice string) activities.BookingRef {
	return activities.BookingRef{
		OrderID: b.order.OrderID, CustomerCode: "WEB", SalesOrder: salesOrder, Invoice: invoice, Receipt: captureID,
		PaymentStatus: canonical.PaymentVoided, Amount: b.order.Money(b.order.Total), BankCode: "CYBCLR", Date: b.today(), Attempt: 1, Site: site(), Order: b.order,
	}
}

// The steps of a booking, each carried to its end.
func (b *books) sell(t *testing.T, onHold bool) canonical.SalesOrder {
	t.Helper()
	in := b.booked("", "")
	in.OnHold = onHold
	return must(t, b.bank, b.booking.CreateSalesOrder, in)
}

func (b *books) invoice(t *testing.T, salesOrder string) canonical.Invoice {
	t.Helper()
	in := b.booked(salesOrder, "")
	in.Document = b.docs.Invoice
	return must(t, b.bank, b.booking.InvoiceSalesOrder, in)
}

func (b *books) receive(t *testing.T, salesOrder, invoice string) canonical.Receipt {
	t.Helper()
	in := b.booked(salesOrder, invoice)
	in.Document, in.Deposit = b.docs.Receipt, invoice == ""
	return must(t, b.bank, b.booking.PostReceipt, in)
}

func (b *books) fails(t *testing.T, service, mode string) {
	t.Helper()
	postJSON(t, b.url+"/_sandbox/faults", map[string]any{"route": "POST /APIServices/" + service, "mode": mode, "status": http.StatusBadGateway, "times": 1})
}

// ledger is one of the ERP's ledgers.
func (b *books) ledger(t *testing.T, name string) []map[string]any {
	t.Helper()
	response, err := controls.Get(b.url + "/_sandbox/ledger")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var all map[string][]map[string]any
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber() // an amount stays what the ERP wrote
	require.NoError(t, decoder.Decode(&all))
	require.Contains(t, all, name)
	return all[name]
}

// figure is a number in a document of a ledger.
func figure(t tb, document map[string]any, name string) decimal.Decimal {
	t.Helper()
	written, ok := document[name].(json.Number)
	require.True(t, ok, "%s is no number in %v", name, document)
	return dec(written.String())
}

// cents is an amount in a document of a ledger, which has no more than two places.
func cents(t tb, document map[string]any, name string) string {
	t.Helper()
	amount := figure(t, document, name)
	require.True(t, amount.Equal(amount.Round(2)), "%s of %v", name, document)
	return amount.StringFixed(2)
}

func (b *books) status(t *testing.T) string {
	t.Helper()
	orders := b.ledger(t, "salesOrders")
	require.Len(t, orders, 1, "never two sales orders of one order")
	return orders[0]["OrderStatus"].(string)
}

func (b *books) onHand(t *testing.T) decimal.Decimal {
	t.Helper()
	for _, item := range b.ledger(t, "stock") {
		if item["StockCode"] == "A100" && item["Warehouse"] == "N" {
			return figure(t, item, "QtyOnHand")
		}
	}
	require.Fail(t, "A100 is not in stock")
	return decimal.Zero
}

func TestTheCustomerIsFoundOrMadeOnce(t *testing.T) {
	for _, mode := range []string{"", "drop_after", "drop_before", "garbage", "status"} {
		t.Run("made/"+mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			before := len(b.ledger(t, "customers"))
			if mode != "" {
				b.fails(t, "CustomerService/AddCustomer", mode)
			}
			answer := must(t, b.bank, b.booking.CheckCustomerAndStock, b.checking())
			require.NotEmpty(t, answer.Customer.Code)
			require.Empty(t, answer.CreditRefused)
			require.Empty(t, answer.Shortages)
			again := must(t, b.bank, b.booking.CheckCustomerAndStock, b.checking())
			require.Equal(t, answer.Customer.Code, again.Customer.Code)
			require.False(t, again.Created)
			require.Len(t, b.ledger(t, "customers"), before+1)
		})
	}
	for _, test := range []struct {
		name, code, sku string
		quantity        string
		kind            fault.Kind
		refused         string
		short           int
	}{
		{name: "known code", code: "WEB", sku: "A100", quantity: "2"},
		{name: "over its limit", code: "LIMIT", sku: "A100", quantity: "2", refused: "credit limit"},
		{name: "on hold", code: "ONHOLD", sku: "A100", quantity: "2", refused: "on hold"},
		{name: "short of stock", code: "WEB", sku: "LOW3", quantity: "4", short: 1},
		{name: "sold out", code: "WEB", sku: "OUT0", quantity: "1", short: 1},
		{name: "unknown code", code: "NOBODY", sku: "A100", quantity: "2", kind: fault.MissingReference},
		{name: "unknown stock code", code: "WEB", sku: "NOSUCH", quantity: "2", kind: fault.MissingReference},
		{name: "another currency", code: "WEBEUR", sku: "A100", quantity: "2", kind: fault.Value},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBooks(t, test.sku, test.quantity)
			in := b.checking()
			in.CustomerCode = test.code
			answer, err := finish(b.bank, b.booking.CheckCustomerAndStock, in)
			if test.kind != "" {
				requireFault(t, err, test.kind, true)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.code, answer.Customer.Code)
			require.False(t, answer.Created)
			require.Contains(t, answer.CreditRefused, test.refused)
			require.Equal(t, test.refused == "", answer.CreditRefused == "")
			require.Len(t, answer.Shortages, test.short)
		})
	}
}

// TestALostAnswerOfTheErpBooksOnce loses the answer of each mutation of a booking and of its undoing.
func TestALostAnswerOfTheErpBooksOnce(t *testing.T) {
	routes := map[string]string{
		"sales order": "SalesOrderService/AddSalesOrder", "release, ready, reopen, cancel": "SalesOrderService/UpdateSalesOrder", "invoice": "ARInvoiceService/AddARInvoice",
		"receipt, reversal": "ARPaymentService/AddARPayment", "payment status": "ARPaymentService/UpdatePaymentStatus", "credit memo": "CreditMemoService/AddCreditMemo",
	}
	for name, route := range routes {
		for _, mode := range []string{"drop_after", "truncate", "drop_before", "garbage", "status"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				b := newBooks(t, "A100", "2")
				stock := b.onHand(t)
				again := func() { b.fails(t, route, mode) }
				again()
				order := b.sell(t, true)
				require.True(t, order.OnHold)
				again()
				released := b.sell(t, false)
				require.Equal(t, order.Number, released.Number)
				require.False(t, released.OnHold)
				again()
				invoice := b.invoice(t, order.Number)
				require.True(t, invoice.Total.Equal(b.order.Total))
				require.Equal(t, stock.Sub(dec("2")).String(), b.onHand(t).String())
				again()
				receipt := b.receive(t, order.Number, invoice.Number)
				require.Equal(t, captureID, receipt.Reference)
				require.Equal(t, "9", b.status(t))
				require.Len(t, b.ledger(t, "invoices"), 1)
				require.Len(t, b.ledger(t, "payments"), 1)

				ref := b.reference(order.Number, invoice.Number)
				again()
				require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.ReverseReceipt, ref).Result)
				again()
				require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CreditInvoice, ref).Result)
				again()
				require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.TagPayment, ref).Result)
				require.Len(t, b.ledger(t, "payments"), 2)
				require.Len(t, b.ledger(t, "creditMemos"), 1)
				require.Equal(t, stock.String(), b.onHand(t).String(), "the goods are back")
			})
		}
	}
}

func TestASalesOrderIsCancelledFromEveryState(t *testing.T) {
	for _, state := range []string{"hold", "open", "ready"} {
		for _, mode := range []string{"", "drop_after", "drop_before"} {
			t.Run(state+"/"+mode, func(t *testing.T) {
				b := newBooks(t, "A100", "2")
				order := b.sell(t, state == "hold")
				if state == "ready" {
					_, err := b.booking.Port.ChangeSalesOrder(t.Context(), "test:ready", erp.SalesOrderChange{Number: order.Number, State: erp.SalesOrderReady})
					require.NoError(t, err)
				}
				if mode != "" {
					b.fails(t, "SalesOrderService/UpdateSalesOrder", mode)
				}
				undone := must(t, b.bank, b.booking.CancelSalesOrder, b.reference(order.Number, ""))
				require.Equal(t, activities.UndoDone, undone.Result)
				require.Equal(t, order.Number, undone.Document)
				require.Equal(t, `\`, b.status(t))
				require.Equal(t, undone, must(t, b.bank, b.booking.CancelSalesOrder, b.reference(order.Number, "")))
			})
		}
	}
}

func TestADepositIsTakenBack(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.receive(t, order.Number, "")
	require.Equal(t, "Deposit", b.ledger(t, "payments")[0]["PaymentType"])
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.ReverseReceipt, b.reference(order.Number, "")).Result)
	require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CancelSalesOrder, b.reference(order.Number, "")).Result)
}

func TestThereIsNothingToUndoInTheErp(t *testing.T) {
	b := newBooks(t, "A100", "2")
	for name, undo := range b.undoings() {
		undone := must(t, b.bank, undo, b.reference("", ""))
		require.Equal(t, activities.UndoNothing, undone.Result, name)
	}
	require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.TagPayment, b.reference("", "")).Result)
	require.Empty(t, b.ledger(t, "salesOrders"))
}

func (b *books) undoings() map[string]func(context.Context, activities.BookingRef) (activities.BookingUndone, error) {
	return map[string]func(context.Context, activities.BookingRef) (activities.BookingUndone, error){
		"receipt": b.booking.ReverseReceipt, "invoice": b.booking.CreditInvoice, "sales order": b.booking.CancelSalesOrder,
	}
}

func TestWhatMayStillArriveIsWaitedForBeforeItIsUndone(t *testing.T) {
	for _, mode := range []string{"drop_after", "drop_before"} {
		t.Run(mode, func(t *testing.T) {
			b := newBooks(t, "A100", "2")
			b.fails(t, "SalesOrderService/AddSalesOrder", mode)
			_, err := try(b.bank, b.booking.CreateSalesOrder, b.booked("", ""))
			requireFault(t, err, fault.UnknownOutcome, false)
			started := b.clock.Now()
			undone := must(t, b.bank, b.booking.CancelSalesOrder, b.reference("", ""))
			if mode == "drop_after" {
				require.Equal(t, activities.UndoDone, undone.Result)
				require.Equal(t, `\`, b.status(t))
				return
			}
			require.Equal(t, activities.UndoNothing, undone.Result)
			require.GreaterOrEqual(t, b.clock.Now().Sub(started), settleWait)
			_, err = try(b.bank, b.booking.CreateSalesOrder, b.booked("", ""))
			requireFault(t, err, fault.Conflict, true) // a late worker finds it closed
			require.Empty(t, b.ledger(t, "salesOrders"))
		})
	}
}

func TestTheErpsRefusalsAreFinal(t *testing.T) {
	for sku, want := range map[string]struct {
		kind fault.Kind
		code string
	}{
		"FAIL422": {fault.DeclinedByPolicy, "BUSINESS_RULE"},
		"NOSUCH":  {fault.MissingReference, "STOCK_NOT_FOUND"},
	} {
		t.Run(sku, func(t *testing.T) {
			b := newBooks(t, sku, "2")
			for range 2 {
				_, err := finish(b.bank, b.booking.CreateSalesOrder, b.booked("", ""))
				requireFault(t, err, want.kind, true)
				require.Equal(t, want.code, code(t, err))
			}
			other := b.booked("", "")
			other.CustomerCode = "ACCOUNT"
			_, err := finish(b.bank, b.booking.CreateSalesOrder, other)
			requireFault(t, err, fault.Bug, true)
			require.Empty(t, b.ledger(t, "salesOrders"))
		})
	}
	for sku, want := range map[string]fault.Kind{"FAILINV": fault.DeclinedByPolicy, "FAILPER": fault.ClosedPeriod} {
		t.Run(sku, func(t *testing.T) {
			b := newBooks(t, sku, "2")
			order := b.sell(t, false)
			in := b.booked(order.Number, "")
			in.Document = b.docs.Invoice
			_, err := finish(b.bank, b.booking.InvoiceSalesOrder, in)
			requireFault(t, err, want, true)
			require.Equal(t, activities.UndoNothing, must(t, b.bank, b.booking.CreditInvoice, b.reference(order.Number, "")).Result)
			require.Equal(t, activities.UndoDone, must(t, b.bank, b.booking.CancelSalesOrder, b.reference(order.Number, "")).Result, "from ready to invoice")
		})
	}
	t.Run("FAIL500 stays unknown", func(t *testing.T) {
		b := newBooks(t, "FAIL500", "2")
		_, err := try(b.bank, b.booking.CreateSalesOrder, b.booked("", ""))
		requireFault(t, err, fault.UnknownOutcome, false)
	})
}

// TestANewDayIsNoOtherInput: what was begun before midnight is carried to its end after it.
func TestANewDayIsNoOtherInput(t *testing.T) {
	b := newBooks(t, "A100", "2")
	order := b.sell(t, false)
	b.fails(t, "ARInvoiceService/AddARInvoice", "drop_before")
	in := b.booked(order.Number, "")
	in.Document = b.docs.Invoice
	_, err := try(b.bank, b.booking.InvoiceSalesOrder, in)
	requireFault(t, err, fault.UnknownOutcome, false)
	begun := in.Date
	b.clock.Advance(24 * time.Hour)
	in.Date = b.today()
	require.NotEqual(t, begun, in.Date)
	must(t, b.bank, b.booking.InvoiceSalesOrder, in)
	require.Equal(t, begun, b.ledger(t, "invoices")[0]["InvoiceDate"], "the document that was stored")
}
