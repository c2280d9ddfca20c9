package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/journal"
	gatewaysandbox "github.com/tenderline/tenderline/sandbox/cybersource"
	"github.com/tenderline/tenderline/starter"
)

func TestTheSameOrderAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	id := r.id()
	order := r.order(t, id, buy{})
	var submissions sync.WaitGroup
	statuses := make([]int, 10)
	for i := range statuses {
		submissions.Go(func() {
			answer, err := r.send(t, order)
			if err == nil {
				statuses[i] = answer.Status
			}
		})
	}
	submissions.Wait()
	for _, status := range statuses {
		require.Contains(t, []int{http.StatusOK, http.StatusAccepted}, status)
	}
	r.ended(t, id, "confirmed")
	require.Equal(t, map[string]int{"sale": 1}, r.kinds(t, id))
	require.Equal(t, 1, r.runs(t, "order/"+id))
	r.told(t, id, "order.confirmed")

	t.Run("again, after its end", func(t *testing.T) {
		answer, err := r.send(t, order)
		require.NoError(t, err)
		require.Less(t, answer.Status, 300)
		require.Equal(t, map[string]int{"sale": 1}, r.kinds(t, id))
	})
	t.Run("another order under its ID", func(t *testing.T) {
		answer, err := r.send(t, r.order(t, id, buy{sku: "A200"}))
		require.NoError(t, err)
		require.Equal(t, http.StatusConflict, answer.Status, string(answer.Body))
	})
}

// TestEverythingAtOnce has a held order decided, cancelled and paid anew at the same moment, several times over.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	for range 5 {
		id := r.id()
		r.submit(t, r.order(t, id, buy{scenario: "review"}))
		r.inReview(t, id)
		token, err := r.Token(t.Context(), "approve")
		require.NoError(t, err)
		var hands sync.WaitGroup
		for _, act := range []func() error{
			func() error { return r.Decide(t.Context(), id, "accept") },
			func() error { return r.Decide(t.Context(), id, "reject") },
			func() error { return r.Cancel(t.Context(), id) },
			func() error { return r.Pay(t.Context(), id, token) },
		} {
			hands.Go(func() { _ = act() }) // who comes second is refused or answered
		}
		hands.Wait()
		view := r.await(t, id, world.OrderView.Final)
		require.Contains(t, []string{"confirmed", "rejected", "cancelled"}, view.Status)
		require.False(t, view.NeedsAttention, "%+v", view)
		r.requireSound(t, id)
		require.Equal(t, 1, r.kinds(t, id)["auth"], "%v", r.kinds(t, id))
	}
}

// TestCancelAtEachStage wishes orders cancelled at each of their stages.
func TestCancelAtEachStage(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{})
	for _, route := range []string{
		"GET /APIServices/InventoryService/GetStockBalance", payRoute, "POST /APIServices/SalesOrderService/AddSalesOrder",
		"POST /APIServices/SalesOrderService/UpdateSalesOrder", "POST /APIServices/ARInvoiceService/AddARInvoice", "POST /APIServices/ARPaymentService/AddARPayment",
	} {
		t.Run(route, func(t *testing.T) {
			id := r.id()
			sandbox := r.ERP.URL
			if route == payRoute {
				sandbox = r.Gateway
			}
			order := r.order(t, id, buy{})
			r.while(t, sandbox, route, "delay", func() { r.submit(t, order) }, func() { require.NoError(t, r.Cancel(t.Context(), id)) })
			r.ended(t, id, "cancelled")
			r.told(t, id, "order.cancelled")
		})
	}
}

// webhooks is a stack whose gateway tells nothing by itself: the test sends the events, in whatever order, and brings them on.
func webhooks(t *testing.T) *rig {
	t.Helper()
	return start(t, stack.Options{
		Env:     map[string]string{"TENDERLINE_SWEEP_INTERVAL": "1h"},
		Gateway: func(c *gatewaysandbox.Config) { c.Webhook = nil },
	})
}

// caseEvent is a case decision as the gateway tells it.
func caseEvent(t *testing.T, decision, payment, order, trace string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"eventType": "risk.casemanagement.decision." + decision, "webhookId": "11111111-0000-4000-8000-000000000001", "productId": "decisionManager",
		"organizationId": "tenderline_sandbox", "eventDate": time.Now().UTC().Format(time.RFC3339), "transactionTraceId": trace, "retryNumber": 0,
		"payload": map[string]any{"data": map[string]any{
			"id": payment, "referenceNumber": order, "status": strings.ToUpper(decision), "clientReferenceInformation": map[string]string{"code": order},
		}},
	})
	require.NoError(t, err)
	return body
}

// deliver sends an event with the gateway's signature and gives what the API says of it.
func (r *rig) deliver(t *testing.T, body []byte) string {
	t.Helper()
	id, key, found := strings.Cut(r.stack.Env["TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS"], ":")
	require.True(t, found)
	secret, err := base64.StdEncoding.DecodeString(key)
	require.NoError(t, err)
	stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	answer, err := r.Call(t.Context(), http.MethodPost, r.API+"/webhooks/cybersource", "", body,
		"v-c-signature", "t="+stamp+";keyId="+id+";sig="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
	var got struct {
		Status string `json:"status"`
	}
	require.NoError(t, answer.Decode(&got))
	return got.Status
}

// inbox reads what became of an event.
func (r *rig) inbox(t *testing.T, body []byte) journal.InboxItem {
	t.Helper()
	event, err := cybersource.ParseEvent(body)
	require.NoError(t, err)
	item, err := starter.InboxItem(starter.Delivery{Event: event})
	require.NoError(t, err)
	store, err := r.stack.App.Store(t.Context())
	require.NoError(t, err)
	kept, err := store.Event(t.Context(), item.ID)
	require.NoError(t, err)
	return kept
}

// swept sweeps until an event has come to a state.
func (r *rig) swept(t *testing.T, body []byte, want journal.InboxState) journal.InboxItem {
	t.Helper()
	door, err := r.stack.App.Starter(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := door.Sweep(t.Context())
		return err == nil && r.inbox(t, body).State == want
	}, patience, 50*time.Millisecond, "the event does not become %s", want)
	return r.inbox(t, body)
}

func TestWebhooksComeTwiceEarlyAndLate(t *testing.T) {
	t.Parallel()
	r := webhooks(t)
	review := func(id, decision string) {
		r.post(t, r.Gateway+"/_sandbox/review", map[string]any{"reference": id, "decision": decision})
	}
	payment := func(id string) string {
		money, err := r.Money(t.Context(), id)
		require.NoError(t, err)
		require.Len(t, money.Lines, 1)
		return money.Lines[0].ID
	}

	t.Run("of an unknown order: it stays", func(t *testing.T) {
		event := caseEvent(t, "accept", "7000000000000000000001", "ELSEWHERE-1", "trace-1")
		require.Equal(t, "accepted", r.deliver(t, event))
		require.Eventually(t, func() bool { return r.inbox(t, event).Tries == 1 }, patience, 20*time.Millisecond)
		item := r.inbox(t, event)
		require.Equal(t, journal.InboxPending, item.State)
		require.Contains(t, item.LastError, "no such order")
	})
	t.Run("twice", func(t *testing.T) {
		id := r.id()
		r.submit(t, r.order(t, id, buy{scenario: "review"}))
		r.inReview(t, id)
		review(id, "ACCEPT")
		event := caseEvent(t, "accept", payment(id), id, "trace-2")
		require.Equal(t, "accepted", r.deliver(t, event))
		require.Equal(t, "duplicate", r.deliver(t, event))
		require.Equal(t, "duplicate", r.deliver(t, caseEvent(t, "accept", payment(id), id, "trace-3")), "the trace is new for every attempt")
		r.ended(t, id, "confirmed")
		require.Equal(t, map[string]int{"auth": 1, "capture": 1}, r.kinds(t, id))
		r.told(t, id, "order.held", "order.confirmed")
	})
	t.Run("before the order is in review: it waits in the inbox", func(t *testing.T) {
		id := r.id()
		event := caseEvent(t, "reject", "7000000000000000000002", id, "trace-4")
		require.Equal(t, "accepted", r.deliver(t, event))
		require.Eventually(t, func() bool { return r.inbox(t, event).Tries == 1 }, patience, 20*time.Millisecond)
		r.submit(t, r.order(t, id, buy{scenario: "review"}))
		r.inReview(t, id)
		review(id, "REJECT")
		r.swept(t, event, journal.InboxDelivered)
		r.ended(t, id, "rejected")
		r.told(t, id, "order.held", "order.rejected")
	})
	t.Run("of a type that no process takes: a person dismisses it", func(t *testing.T) {
		event := []byte(strings.Replace(string(caseEvent(t, "accept", "7000000000000000000003", "ELSEWHERE-2", "trace-7")),
			"risk.casemanagement.decision.accept", "fraudmanagementessentials.news", 1))
		require.Equal(t, "accepted", r.deliver(t, event))
		require.Eventually(t, func() bool { return r.inbox(t, event).State == journal.InboxAttention }, patience, 20*time.Millisecond)
		require.NoError(t, r.Resolve(t.Context(), r.parkedAt(t, "ELSEWHERE-2", "inbox").ID, "skip"))
		require.Equal(t, journal.InboxIgnored, r.inbox(t, event).State)
	})
	t.Run("after the goods: a person is asked", func(t *testing.T) {
		id := r.id()
		r.submit(t, r.order(t, id, buy{scenario: "review"}))
		r.inReview(t, id)
		paid := payment(id)
		review(id, "ACCEPT")
		require.Equal(t, "accepted", r.deliver(t, caseEvent(t, "accept", paid, id, "trace-5")))
		r.ended(t, id, "confirmed")
		late := caseEvent(t, "reject", paid, id, "trace-6")
		require.Equal(t, "accepted", r.deliver(t, late))
		r.swept(t, late, journal.InboxDelivered)
		proposal := r.parkedAt(t, id, "late-reject")
		r.requireSound(t, id)
		require.Equal(t, map[string]int{"auth": 1, "capture": 1}, r.kinds(t, id), "nothing goes back without a person")
		require.NoError(t, r.Resolve(t.Context(), proposal.ID, "skip"))
		require.Eventually(t, func() bool {
			view, err := r.Case(t.Context(), id)
			return err == nil && view.Noted("kept")
		}, patience, 20*time.Millisecond, "nobody wrote down that the order was kept")
		r.requireSound(t, id)
	})
}
