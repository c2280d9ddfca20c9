package cybersource

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// together runs n copies of a call at once and counts the answers by status.
func together(n int, run func() answer) map[int]int {
	var mu sync.Mutex
	var group sync.WaitGroup
	counts := map[int]int{}
	for range n {
		group.Go(func() {
			a := run()
			mu.Lock()
			defer mu.Unlock()
			counts[a.status]++
		})
	}
	group.Wait()
	return counts
}

func TestRacingRequestsMoveMoneyOnce(t *testing.T) {
	g := newGateway(t)
	const n = 16
	require.Equal(t, map[int]int{201: 1, 400: n - 1}, together(n, func() answer { return g.post("/pts/v2/payments", payment(withIDOf("T-1"))) }))
	id := g.server.Ledger().Transactions[0].ID
	searching := make(chan struct{})
	go func() {
		defer close(searching)
		for range 50 {
			g.server.Ledger()
			g.server.Balances("ORD-1001")
		}
	}()
	require.Equal(t, map[int]int{201: 1, 400: n - 1}, together(n, func() answer { return g.capture(id, "102.21") }))
	require.Equal(t, map[int]int{201: n}, together(n, func() answer { return g.search("clientReferenceInformation.code:ORD-1001", nil) }))
	require.Equal(t, map[int]int{200: n}, together(n, func() answer { return g.get("/tss/v2/transactions/" + id) }))
	<-searching
	held, captured, _ := g.balance("ORD-1001")
	require.Equal(t, [2]string{"0.00", "102.21"}, [2]string{held, captured})
}

func TestLostAnswerIsCommitted(t *testing.T) {
	g := newGateway(t)
	listener := httptest.NewServer(g.server.Handler())
	defer listener.Close()
	host := strings.TrimPrefix(listener.URL, "http://")
	require.Equal(t, 201, g.control("POST", "/_sandbox/faults", map[string]any{"route": "GET /tss/v2/transactions/*", "mode": "drop_before", "times": 1}).status)
	require.Equal(t, 201, g.control("POST", "/_sandbox/faults", map[string]any{"route": "POST /pts/v2/payments", "mode": "drop_after", "times": 1}).status)
	call := func(method, target, body string) (*http.Response, error) {
		claims := g.claims(method, target, body)
		claims["request-host"] = host
		r, err := http.NewRequest(method, listener.URL+target, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+sharedSecretToken(t, claims))
		return listener.Client().Do(r)
	}
	const body = `{"clientReferenceInformation":{"code":"LOST","transactionId":"T-9"},"processingInformation":{"capture":true},
	 "paymentInformation":{"customer":{"id":"C0000000000000000000000000000001"}},"orderInformation":{"amountDetails":{"totalAmount":"5.00","currency":"USD"}}}`
	_, err := call("POST", "/pts/v2/payments", body)
	require.Error(t, err, "the connection is cut")
	require.Len(t, g.server.Ledger().Transactions, 1, "and the sale took place")
	again, err := call("POST", "/pts/v2/payments", body)
	require.NoError(t, err)
	defer again.Body.Close()
	require.Equal(t, http.StatusBadRequest, again.StatusCode)
	require.Len(t, g.server.Ledger().Transactions, 1)
}
