package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/ports"
	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	gatewaysandbox "github.com/tenderline/tenderline/sandbox/cybersource"
)

// patience is how long an order may take to its end; the waits that a lost answer costs are shortened to about a second.
const patience = 90 * time.Second

// rig is a running stack with the hands to work it.
type rig struct {
	*world.World
	stack  *stack.Stack
	orders atomic.Int64
}

// quick are the waits of the embedded run, shortened further; its time-outs stay, since a slow machine's slow answers must not count as lost.
func quick(more map[string]string) map[string]string {
	settings := map[string]string{
		"TENDERLINE_CYBERSOURCE_SETTLE_WAIT":    "1s",
		"TENDERLINE_CYBERSOURCE_INDEX_LAG":      "300ms",
		"TENDERLINE_CYBERSOURCE_RESOLVE_BUDGET": "40s",
		"TENDERLINE_SWEEP_INTERVAL":             "200ms",
		"TENDERLINE_SYSPRO_CHANGES_INTERVAL":    "0s", // tests of changes switch it on
		"TENDERLINE_SAGEPRO_BUSY_PAUSE":         "300ms",
		"TENDERLINE_SAGEPRO_CHANGES_INTERVAL":   "0s",
		"TENDERLINE_SETTLEMENT_REPORT_PAUSE":    "300ms",
		"TENDERLINE_ALERTS_INTERVAL":            "300ms",
		"TENDERLINE_SWEEP_INBOX_TRIES":          "20", // a webhook may be minutes early
		// The channel says what becomes of an order that the ERP refuses for good.
		"TENDERLINE_CHANNELS": `{"*":{},"undo":{"policy":{"onErpFailure":"compensate"}},"short":{"policy":{"parkDeadline":"2s","onErpFailure":"park"}},
			"depot":{"policy":{"invoice":"on_shipment"}}}`,
	}
	maps.Copy(settings, more)
	return settings
}

// start runs a stack for one test. Ports are asked for and then given back before they are used, so that another process may take
// one in between: then the next ones are tried.
func start(t *testing.T, options stack.Options) *rig {
	t.Helper()
	options.Env = quick(options.Env)
	options.NoUI = true
	if options.Dir == "" {
		options.TempDir = t.TempDir()
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	change := options.Gateway
	options.Gateway = func(c *gatewaysandbox.Config) {
		c.SearchLag, c.DetailsLag, c.RetryUnit = 200*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
		if change != nil {
			change(c)
		}
	}
	var s *stack.Stack
	for {
		var err error
		options.Ports, err = stack.FreePorts()
		require.NoError(t, err)
		s, err = stack.Start(t.Context(), options)
		var busy *ports.BusyError
		if errors.As(err, &busy) {
			continue
		}
		require.NoError(t, err)
		break
	}
	t.Cleanup(func() {
		require.NoError(t, s.Stop())
		select {
		case err := <-s.Failed():
			require.NoError(t, err, "a part of the stack ended by itself")
		default:
		}
	})
	return &rig{stack: s, World: s.World()}
}

// id makes the ID of another order of this stack.
func (r *rig) id() string { return fmt.Sprintf("E2E-%04d", r.orders.Add(1)) }

// buy is what an order is about.
type buy struct {
	scenario string // of the card's token; "": approved
	sku      string // "": A100
	channel  string // "": web-us
	capture  string // "": immediate
	saveCard bool
	email    string // "": that of all others
}

// order makes an order of a customer of its own, which the ERP does not know yet.
func (r *rig) order(t *testing.T, id string, b buy) map[string]any {
	t.Helper()
	if b.scenario == "" {
		b.scenario = "approve"
	}
	token, err := r.Token(t.Context(), b.scenario)
	require.NoError(t, err)
	order := world.NewOrder(id, token)
	order["customer"].(map[string]any)["id"] = "C-" + id
	if b.sku != "" {
		order["lines"].([]any)[0].(map[string]any)["sku"] = b.sku
	}
	if b.channel != "" {
		order["channel"] = b.channel
	}
	if b.capture != "" {
		order["payment"].(map[string]any)["capture"] = b.capture
	}
	order["payment"].(map[string]any)["saveCard"] = b.saveCard
	if b.email != "" {
		order["customer"].(map[string]any)["email"] = b.email
	}
	return order
}

// send posts an order, again where that is asked for.
func (r *rig) send(t *testing.T, order map[string]any) (world.Answer, error) {
	t.Helper()
	return r.Repeat(t.Context(), func(ctx context.Context) (world.Answer, error) { return r.World.Submit(ctx, order) })
}

// submit posts an order that must be taken.
func (r *rig) submit(t *testing.T, order map[string]any) {
	t.Helper()
	answer, err := r.send(t, order)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, answer.Status, string(answer.Body))
}

// while holds one call of a route for as long as it takes to do something. The fault's mode is one that waits first.
func (r *rig) while(t *testing.T, sandbox, route, mode string, begin, meanwhile func()) {
	t.Helper()
	before := r.hits(t, sandbox, mode)
	require.NoError(t, r.Break(t.Context(), sandbox, world.Fault{Route: route, Mode: mode, DelayMs: world.Slowly, Times: 1}))
	begin()
	require.Eventually(t, func() bool { return r.hits(t, sandbox, mode) > before }, patience, 10*time.Millisecond, "%s is not reached", route)
	meanwhile()
	require.NoError(t, r.Release(t.Context(), sandbox, route))
}

// await reads an order until the condition holds, and sees that never at any time there is more than one live authorization or
// capture.
func (r *rig) await(t *testing.T, id string, condition func(world.OrderView) bool) world.OrderView {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last world.OrderView
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		money, err := r.Money(t.Context(), id)
		require.NoError(t, err)
		require.LessOrEqual(t, money.Live, 1, "more than one live authorization or capture: %+v", money.Lines)
		view, err := r.Order(t.Context(), id)
		require.NoError(t, err)
		if last = view; condition(view) {
			return view
		}
		select {
		case <-ctx.Done():
			parked, _ := r.Parked(t.Context(), id)
			require.FailNow(t, "the order does not get there", "%+v\nparked: %+v\nmoney: %+v", last, parked, money.Lines)
		case <-poll.C:
		}
	}
}

// ended waits for an order's end and checks what holds at every end.
func (r *rig) ended(t *testing.T, id, status string) world.OrderView {
	t.Helper()
	view := r.await(t, id, func(v world.OrderView) bool { return v.Final() || v.NeedsAttention })
	require.Equal(t, status, view.Status, "%+v", view)
	require.False(t, view.NeedsAttention)
	r.requireSound(t, id)
	return view
}

// requireSound checks the ledgers of an order that has ended: what holds for each of them, however it came to its end.
func (r *rig) requireSound(t *testing.T, id string) {
	t.Helper()
	view, err := r.Order(t.Context(), id)
	require.NoError(t, err)
	money, err := r.Money(t.Context(), id)
	require.NoError(t, err)
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.LessOrEqual(t, len(books.SalesOrders), 1, "two sales orders of one order number")
	require.LessOrEqual(t, len(books.Invoices), 1, "invoiced twice")
	open := r.openBooks(books)
	if view.Status == "confirmed" {
		require.Equal(t, 1, money.Live, "%+v", money.Lines)
		require.True(t, money.Held.IsZero(), "a hold was left: %+v", money.Lines)
		require.Equal(t, "48.19", money.Captured.StringFixed(2))
		require.Len(t, books.SalesOrders, 1)
		require.Equal(t, 1, open["receipts"], "%+v", books.Payments)
		require.Zero(t, open["reversals"]+len(books.CreditMemos))
	} else {
		require.Zero(t, money.Live, "money is left: %+v", money.Lines)
		require.True(t, money.Captured.IsZero() && money.Held.IsZero(), "money is left: %+v", money.Lines)
		require.Zero(t, open["orders"], "a sales order is left: %+v", books.SalesOrders)
		require.Len(t, books.CreditMemos, len(books.Invoices), "an invoice is not credited")
		require.Equal(t, open["receipts"], open["reversals"], "a receipt is not reversed: %+v", books.Payments)
	}
	told := r.callbacks(t, id)
	seen := map[string]bool{}
	for _, callback := range told {
		require.False(t, seen[callback.ID], "one row per event")
		seen[callback.ID] = true
	}
}

// openBooks counts what is open of an order in the ERP.
func (r *rig) openBooks(b world.Books) map[string]int {
	counted := map[string]int{}
	for _, order := range b.SalesOrders {
		if status, _ := order["OrderStatus"].(string); r.ERP.Means(status) != world.SalesOrderCancelled && len(b.CreditMemos) == 0 {
			counted["orders"]++
		}
	}
	for _, payment := range b.Payments {
		switch payment["PaymentType"] {
		case "Reversal":
			counted["reversals"]++
		case "Refund":
			counted["refunds"]++
		default:
			counted["receipts"]++
		}
	}
	return counted
}

// callback is a row of the shop's ledger.
type callback struct {
	ID         string `json:"id"`
	Event      string `json:"event"`
	OrderID    string `json:"orderId"`
	Deliveries int    `json:"deliveries"`
	Verified   bool   `json:"verified"`
}

// callbacks are what the shop was told of an order.
func (r *rig) callbacks(t *testing.T, id string) []callback {
	t.Helper()
	var ledger struct {
		Callbacks []callback `json:"callbacks"`
	}
	r.get(t, r.Shop+"/_sandbox/ledger", &ledger)
	return slices.DeleteFunc(ledger.Callbacks, func(c callback) bool { return c.OrderID != id })
}

// told waits until the shop was told these events, in any order, each once by a verified message, and no other.
func (r *rig) told(t *testing.T, id string, events ...string) {
	t.Helper()
	slices.Sort(events)
	require.Eventually(t, func() bool { return len(r.callbacks(t, id)) >= len(events) }, patience, 50*time.Millisecond, "the shop was not told")
	var got []string
	for _, callback := range r.callbacks(t, id) {
		require.True(t, callback.Verified)
		got = append(got, callback.Event)
	}
	slices.Sort(got)
	require.Equal(t, events, got)
}

// get reads a control surface.
func (r *rig) get(t *testing.T, address string, into any) {
	t.Helper()
	answer, err := r.Call(t.Context(), http.MethodGet, address, "", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
	require.NoError(t, answer.Decode(into))
}

// post works a control surface, which must answer one of the 2xx.
func (r *rig) post(t *testing.T, address string, body any) world.Answer {
	t.Helper()
	answer, err := r.Call(t.Context(), http.MethodPost, address, "", body)
	require.NoError(t, err)
	require.Less(t, answer.Status, 300, string(answer.Body))
	return answer
}

// decide decides a held order once its review waits for it.
func (r *rig) decide(t *testing.T, id, decision string) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Decide(t.Context(), id, decision) == nil }, patience, 50*time.Millisecond, "no review takes a decision")
}

// inReview waits until a held order is under review and its sales order is on hold in the ERP.
func (r *rig) inReview(t *testing.T, id string) {
	t.Helper()
	r.await(t, id, func(v world.OrderView) bool { return v.Status == "in_review" })
	require.Eventually(t, func() bool {
		books, err := r.Books(t.Context(), id)
		return err == nil && len(books.SalesOrders) == 1 && books.SalesOrders[0]["OnHold"] == true
	}, patience, 50*time.Millisecond, "no sales order on hold")
}

// mend ends every fault; it also serves clean-up, when a test's own context has ended.
func (r *rig) mend(t *testing.T) {
	t.Helper()
	for _, sandbox := range []string{r.Gateway, r.ERP.URL, r.Shop} {
		require.NoError(t, r.World.Mend(context.WithoutCancel(t.Context()), sandbox))
	}
}

// summary is what an order left in the ledgers, by kind and count: two ends are the same where their summaries are.
type summary struct {
	Status, Payment string
	Money           []string // of the gateway
	Documents       []string // of the ERP
	Customers       int      // that the ERP has of the buyer
	Refunds         []string
	Told            []string
}

// summarize reads an ended order's summary, once the shop was told as often as is expected.
func (r *rig) summarize(t *testing.T, id string, told int) summary {
	t.Helper()
	require.Eventually(t, func() bool { return len(r.callbacks(t, id)) >= told }, patience, 50*time.Millisecond, "the shop was not told")
	view, err := r.Order(t.Context(), id)
	require.NoError(t, err)
	money, err := r.Money(t.Context(), id)
	require.NoError(t, err)
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	s := summary{Status: view.Status, Payment: view.PaymentStatus, Customers: r.customers(t, "C-"+id)}
	for _, line := range money.Lines {
		s.Money = append(s.Money, fmt.Sprintf("%s %s %s held %s", line.Kind, line.Status, line.Amount.StringFixed(2), line.Held.StringFixed(2)))
	}
	for _, order := range books.SalesOrders {
		s.Documents = append(s.Documents, fmt.Sprintf("sales order %v %v %v", order["OrderStatus"], order["OrderTotal"], paymentTag(order)))
	}
	for _, invoice := range books.Invoices {
		s.Documents = append(s.Documents, fmt.Sprintf("invoice %v %v credited %v %v", invoice["InvoiceStatus"], invoice["InvoiceTotal"], invoice["Credited"], paymentTag(invoice)))
	}
	for _, payment := range books.Payments {
		s.Documents = append(s.Documents, fmt.Sprintf("payment %v %v reversed %v", payment["PaymentType"], payment["Amount"], payment["Reversed"]))
	}
	for _, memo := range books.CreditMemos {
		s.Documents = append(s.Documents, fmt.Sprintf("credit memo %v", memo["Amount"]))
	}
	for _, callback := range r.callbacks(t, id) {
		s.Told = append(s.Told, fmt.Sprintf("%s x%d", callback.Event, callback.Deliveries))
	}
	refunds, err := r.Refunds(t.Context(), id)
	require.NoError(t, err)
	for _, refund := range refunds {
		s.Refunds = append(s.Refunds, fmt.Sprintf("%s %s by %s of %s", refund.RefundID, refund.Status, refund.Way, refund.Amount.StringFixed(2)))
	}
	slices.Sort(s.Money)
	slices.Sort(s.Documents)
	slices.Sort(s.Told)
	return s
}

func paymentTag(document map[string]any) any {
	payment, _ := document["Payment"].(map[string]any)
	return payment["PaymentStatus"]
}

// customers counts the ERP's customers of a shop's customer ID.
func (r *rig) customers(t *testing.T, external string) int {
	t.Helper()
	var ledger struct {
		Customers []struct {
			ExternalID string `json:"ExternalId"`
		} `json:"customers"`
	}
	r.get(t, r.ERP.URL+"/_sandbox/ledger", &ledger)
	count := 0
	for _, customer := range ledger.Customers {
		if strings.EqualFold(customer.ExternalID, external) {
			count++
		}
	}
	return count
}

// stock is what the ERP has of a stock code.
func (r *rig) stock(t *testing.T, code string) float64 {
	t.Helper()
	var ledger struct {
		Stock []struct {
			StockCode string
			Warehouse string
			QtyOnHand float64
		} `json:"stock"`
	}
	r.get(t, r.ERP.URL+"/_sandbox/ledger", &ledger)
	total := 0.0
	for _, balance := range ledger.Stock {
		if balance.StockCode == code {
			total += balance.QtyOnHand
		}
	}
	require.Positive(t, total, "no stock of %s in the ledger", code)
	return total
}
