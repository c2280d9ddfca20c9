package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// eachERP runs a test on every ERP, with the settings that book all orders there and ask it every second for changes.
func eachERP(t *testing.T, test func(t *testing.T, env map[string]string)) {
	t.Helper()
	for _, name := range []string{"syspro", "sagepro"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, map[string]string{"TENDERLINE_ERP": name, "TENDERLINE_" + strings.ToUpper(name) + "_CHANGES_INTERVAL": "1s"})
		})
	}
}

// push tells Tenderline of changes as the ERP's side does.
func (r *rig) push(t *testing.T, changes ...map[string]any) {
	t.Helper()
	body, err := json.Marshal(changes)
	require.NoError(t, err)
	stamp := fmt.Sprint(time.Now().Unix())
	key, err := base64.StdEncoding.DecodeString(stack.PushKey())
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	answer, err := r.Call(t.Context(), http.MethodPost, r.API+"/webhooks/erp/"+r.ERP.Name, "", body, "X-Tenderline-Timestamp", stamp,
		"X-Tenderline-Signature", stack.ErpKeyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
}

// TestAMemoThatIsPushedAndPolledIsRefundedOnce makes a credit memo in the ERP, which is pushed and polled: one process, one refund. The poll
// goes on where it was after a restart of everything.
func TestAMemoThatIsPushedAndPolledIsRefundedOnce(t *testing.T) {
	eachERP(t, func(t *testing.T, env map[string]string) {
		memoPushedAndPolled(t, stack.Options{Dir: t.TempDir(), Env: env})
	})
}

func memoPushedAndPolled(t *testing.T, options stack.Options) {
	t.Helper()
	r := start(t, options)
	id := r.id()
	r.submit(t, r.order(t, id, buy{}))
	view := r.ended(t, id, "confirmed")
	number, err := r.CreditMemo(t.Context(), id, "20.00")
	require.NoError(t, err)
	r.push(t, map[string]any{"id": "push-" + number, "feed": "credit_memo", "number": number, "orderId": id, "at": time.Now().UTC(), "memo": map[string]any{
		"amount": "20.00", "tax": "0.00", "currency": "USD", "refundStatus": "Pending", "invoice": view.ErpInvoice, "salesOrder": view.ErpOrderNumber,
	}})
	r.refundedByMemo(t, id, number)
	require.NoError(t, r.stack.Stop())

	again := start(t, options)
	again.refundedByMemo(t, id, number)
	second, err := again.CreditMemo(t.Context(), id, "5.00")
	require.NoError(t, err)
	again.refundedByMemo(t, id, number, second)
}

// refundedByMemo waits until an order's memos are refunded and acknowledged, each once, and by nothing else.
func (r *rig) refundedByMemo(t *testing.T, id string, numbers ...string) {
	t.Helper()
	require.Eventually(t, func() bool {
		books, err := r.Books(t.Context(), id)
		if err != nil || len(books.CreditMemos) != len(numbers) {
			return false
		}
		for _, memo := range books.CreditMemos {
			if memo["RefundStatus"] != "Refunded" {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "not every memo is refunded")
	require.Equal(t, len(numbers), r.kinds(t, id)["refund"])
	for _, number := range numbers {
		require.NoError(t, r.temporal(t).GetWorkflow(t.Context(), workflows.CreditMemoWorkflowID(r.ERP.Name, number), "").Get(t.Context(), nil))
	}
}

// TestAParcelThatIsPushedAndPolledIsPaidOnce sends parcels of orders that are paid for when they leave: the first is pushed, several times, and
// polled; the second is polled alone, after everything was restarted. Each has one process, one capture, one invoice and one word to the shop.
func TestAParcelThatIsPushedAndPolledIsPaidOnce(t *testing.T) {
	eachERP(t, func(t *testing.T, env map[string]string) {
		parcelPushedAndPolled(t, stack.Options{Dir: t.TempDir(), Env: env})
	})
}

func parcelPushedAndPolled(t *testing.T, options stack.Options) {
	t.Helper()
	r := start(t, options)
	pushed, polled := r.id(), r.id()
	for _, id := range []string{pushed, polled} {
		r.submit(t, r.order(t, id, buy{channel: "depot", capture: "on_shipment"}))
		r.await(t, id, func(v world.OrderView) bool { return v.Status == "confirmed" })
		require.Zero(t, r.kinds(t, id)["capture"])
	}
	number, parcel := r.parcel(t, pushed)
	for i := range 3 {
		parcel["id"] = fmt.Sprintf("push-%s-%d", number, i%2) // told again, and told anew
		r.push(t, parcel)
	}
	r.leaves(t, pushed, number)
	require.NoError(t, r.stack.Stop())

	again := start(t, options)
	second, _ := again.parcel(t, polled)
	again.leaves(t, polled, second)
	again.leaves(t, pushed, number) // which the poll, in order, has told once more by now
}

// parcel sends all of an order, and gives the parcel's number with what the ERP's side may push of it.
func (r *rig) parcel(t *testing.T, id string) (number string, pushed map[string]any) {
	t.Helper()
	number, err := r.Ship(t.Context(), world.Parcel{OrderNumber: id, Carrier: "UPS", TrackingNumber: "1Z" + id, Invoice: true})
	require.NoError(t, err)
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, books.SalesOrders, 1)
	require.Len(t, books.Invoices, 1)
	return number, map[string]any{"feed": "shipment", "number": number, "orderId": id, "at": time.Now().UTC(), "shipment": map[string]any{
		"salesOrder": books.SalesOrders[0]["SalesOrder"], "carrier": "UPS", "tracking": "1Z" + id, "shippedOn": today(), "invoice": books.Invoices[0]["InvoiceNumber"],
		"lines": []any{map[string]any{"lineNumber": 1, "stockCode": "A100", "quantity": "2"}},
	}}
}

// leaves waits until an order is shipped, and sees that its one parcel was paid for, booked and told once.
func (r *rig) leaves(t *testing.T, id, number string) {
	t.Helper()
	r.await(t, id, func(v world.OrderView) bool { return v.Status == "shipped" })
	require.NoError(t, r.temporal(t).GetWorkflow(t.Context(), workflows.ShipmentWorkflowID(id, number), "").Get(t.Context(), nil))
	require.Equal(t, 1, r.runs(t, workflows.ShipmentWorkflowID(id, number)))
	require.Equal(t, 1, r.kinds(t, id)["capture"], "%v", r.kinds(t, id))
	r.requireAgreed(t, id, "48.19")
	books, err := r.Books(t.Context(), id)
	require.NoError(t, err)
	require.Len(t, books.Invoices, 1)
	require.Equal(t, 1, r.openBooks(books)["receipts"], "%+v", books.Payments)
	r.told(t, id, "order.confirmed", "order.shipped")
}
