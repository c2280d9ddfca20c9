package samples

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
)

// good is the evidence of an order that ended as confirmed() says.
func good() Evidence {
	return Evidence{
		Order: world.OrderView{OrderID: "a", Status: "confirmed", PaymentStatus: "captured", ErpOrderNumber: "000001", ErpInvoice: "200001"},
		Money: world.Money{Captured: decimal.RequireFromString("48.190"), Live: 1},
		Books: world.Books{
			Status: world.SalesOrderComplete, SalesOrders: []map[string]any{{"SalesOrder": "000001", "OrderStatus": "9"}},
			Invoices: []map[string]any{{"InvoiceNumber": "200001"}},
			Payments: []map[string]any{{"PaymentType": "Receipt", "Reversed": false, "Amount": 48.19}},
		},
		Told: []string{"order.confirmed"},
	}
}

// nothing is the evidence of an order that ended without money and documents.
func nothing(status, payment string) Evidence {
	return Evidence{Order: world.OrderView{OrderID: "a", Status: status, PaymentStatus: payment}, Told: []string{"order." + status}}
}

func TestJudgeFindsNothingInWhatIsAsExpected(t *testing.T) {
	require.Empty(t, Judge(confirmed(), good()))
	require.Empty(t, Judge(ended("declined", "declined"), nothing("declined", "declined")))
	require.Empty(t, Judge(Want{Status: Refused}, Evidence{Order: world.OrderView{Status: Refused}}))
}

func TestJudgeNamesEveryDifference(t *testing.T) {
	tests := map[string]struct {
		change func(*Evidence)
		want   string
	}{
		"other status":     {func(e *Evidence) { e.Order.Status = "booking" }, "order status: booking, expected confirmed"},
		"other payment":    {func(e *Evidence) { e.Order.PaymentStatus = "unknown" }, "payment status: unknown, expected captured"},
		"still parked":     {func(e *Evidence) { e.Order.NeedsAttention = true }, "the order still waits for an operator"},
		"charged twice":    {func(e *Evidence) { e.Money.Live = 2 }, "the gateway has 2 live authorizations or captures"},
		"charged too much": {func(e *Evidence) { e.Money.Captured = decimal.RequireFromString("96.38") }, "captured at the gateway: 96.38, expected 48.19"},
		"still held":       {func(e *Evidence) { e.Money.Held = decimal.RequireFromString("0.01") }, "held at the gateway: 0.01, expected 0"},
		"booked twice": {
			func(e *Evidence) { e.Books.SalesOrders = append(e.Books.SalesOrders, e.Books.SalesOrders[0]) }, "the ERP has 2 sales orders",
		},
		"not booked":       {func(e *Evidence) { e.Books.SalesOrders, e.Books.Status = nil, "" }, "sales order's status in the ERP: nothing, expected complete"},
		"other state":      {func(e *Evidence) { e.Books.Status = "8" }, "sales order's status in the ERP: 8, expected complete"},
		"booked elsewhere": {func(e *Evidence) { e.Elsewhere = []string{"SYSPRO", "Sage Pro"} }, "it is booked in SYSPRO, Sage Pro too"},
		"other number":     {func(e *Evidence) { e.Order.ErpOrderNumber = "000002" }, "sales order's number: 000002, expected 000001"},
		"other invoice":    {func(e *Evidence) { e.Order.ErpInvoice = "" }, "invoice's number: nothing, expected 200001"},
		"not invoiced":     {func(e *Evidence) { e.Books.Invoices = nil }, "invoices in the ERP: 0, expected 1"},
		"no receipt":       {func(e *Evidence) { e.Books.Payments = nil }, "receipts in the ERP: 0, expected 1"},
		"receipt reversed": {func(e *Evidence) { e.Books.Payments[0]["Reversed"] = true }, "reversed receipts in the ERP: 1, expected 0"},
		"credited":         {func(e *Evidence) { e.Books.CreditMemos = []map[string]any{{}} }, "credit memos in the ERP: 1, expected 0"},
		"credited wrong": {
			func(e *Evidence) { e.Books.CreditMemos = []map[string]any{{"Amount": 0.01}} }, "credited in the ERP: 0.01, expected 0",
		},
		"refunded by itself": {
			func(e *Evidence) { e.Money.Refunded = decimal.RequireFromString("5") }, "refunded at the gateway: 5, expected 0",
		},
		"refunded in the books alone": {
			func(e *Evidence) {
				e.Books.Payments = append(e.Books.Payments, map[string]any{"PaymentType": "Refund", "Amount": 20.0})
			}, "the ERP's receivables have 28.19 of the buyer's money, the gateway 48.19",
		},
		"shop not told": {func(e *Evidence) { e.Told = nil }, "shop was told: nothing, expected order.confirmed"},
		"shop told twice": {
			func(e *Evidence) { e.Told = append(e.Told, "order.confirmed") }, "shop was told: order.confirmed, order.confirmed, expected order.confirmed",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			evidence := good()
			test.change(&evidence)
			require.Contains(t, Judge(confirmed(), evidence), test.want)
		})
	}
}

func TestJudgeWantsNoMoneyKeptOfWhatCameToNothing(t *testing.T) {
	for _, status := range []string{"declined", "rejected", "cancelled", "compensated", Refused} {
		t.Run(status, func(t *testing.T) {
			evidence := nothing(status, "reversed")
			evidence.Money.Held = decimal.RequireFromString("48.19")
			want := ended(status, "reversed")
			want.Held = "48.19" // not even where it was to be so
			require.Contains(t, Judge(want, evidence), status+", but 0 is captured and 48.19 held")
		})
	}
}

func TestJudgeTakesNoSalesOrderWhereItMayBeNone(t *testing.T) {
	want := ended("rejected", "reversed").cancelledInErp()
	none, cancelled := nothing("rejected", "reversed"), nothing("rejected", "reversed")
	cancelled.Order.ErpOrderNumber = "000001"
	cancelled.Books = world.Books{Status: world.SalesOrderCancelled, SalesOrders: []map[string]any{{"SalesOrder": "000001"}}}
	require.NotEmpty(t, Judge(want, none))
	require.Empty(t, Judge(want, cancelled))
	want.OrNone = true
	require.Empty(t, Judge(want, none))
	require.Empty(t, Judge(want, cancelled))
	cancelled.Books.Status = world.SalesOrderSuspended
	require.Equal(t, []string{"sales order's status in the ERP: suspended, expected cancelled"}, Judge(want, cancelled))
}

func TestJudgeDoesNotMindWhichMessageCameFirst(t *testing.T) {
	want, got := ended("rejected", "reversed", "order.held"), nothing("rejected", "reversed")
	got.Told = []string{"order.rejected", "order.held"}
	require.Empty(t, Judge(want, got))
	require.Equal(t, []string{"order.held", "order.rejected"}, want.Told)
}

func TestReceiptsLeaveOutWhatIsNoReceipt(t *testing.T) {
	holding, reversed := receiptsOf(world.Books{Payments: []map[string]any{
		{"PaymentType": "Receipt", "Reversed": false}, {"PaymentType": "Receipt", "Reversed": true}, {"PaymentType": "Refund"},
	}})
	require.Equal(t, 1, holding)
	require.Equal(t, 1, reversed)
}
