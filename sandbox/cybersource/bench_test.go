package cybersource

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkSale is a signed sale with the state in files, as the embedded run has it.
func BenchmarkSale(b *testing.B) {
	server, err := New(Config{MerchantID: testMerchant, KeyID: testKeyID, SharedSecret: testSecret, StateDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	token, err := server.MintToken("", "")
	if err != nil {
		b.Fatal(err)
	}
	body := `{"clientReferenceInformation":{"code":"ORD"},"processingInformation":{"capture":true},"tokenInformation":{"transientTokenJwt":"` + token + `"},
	 "orderInformation":{"amountDetails":{"totalAmount":"102.21","currency":"USD"},
	  "billTo":{"firstName":"Ada","lastName":"Byron","address1":"1 Market St","locality":"San Francisco","administrativeArea":"CA","postalCode":"94105","country":"US","email":"ada@example.com"}}}`
	g := &gateway{clock: &testClock{now: server.cfg.Clock()}}
	requests := make([]*http.Request, b.N)
	for i := range requests {
		requests[i] = newRequest("POST", "/pts/v2/payments", body)
		requests[i].Header.Set("Authorization", "Bearer "+sharedSecretToken(&testing.T{}, g.claims("POST", "/pts/v2/payments", body)))
	}
	b.ResetTimer()
	for _, r := range requests {
		answer := httptest.NewRecorder()
		server.Handler().ServeHTTP(answer, r)
		if answer.Code != http.StatusCreated || !strings.Contains(answer.Body.String(), statusAuthorized) {
			b.Fatal(answer.Code, answer.Body.String())
		}
	}
}
