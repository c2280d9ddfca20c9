package cybersource

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStateOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	inDir := func(c *Config) { c.StateDir = dir; c.MultiCapture = true }
	g := newGateway(t, inDir)
	token, err := g.server.MintToken("review", "")
	require.NoError(t, err)
	paid := g.pay(map[string]any{"clientReferenceInformation.transactionId": "T-1", "processingInformation.actionList": []any{"TOKEN_CREATE"}})
	require.Equal(t, 201, g.capture1(paid.id(), "C1", "50.00", 1, 3).status)
	increment := amountBody("I", "1.00")
	set(increment, []string{"clientReferenceInformation", "transactionId"}, "T-2")
	other := g.pay(nil)
	require.Equal(t, 201, g.send("PATCH", "/pts/v2/payments/"+other.id(), increment).status)
	saved := g.search("clientReferenceInformation.code:ORD-1001", map[string]any{"save": true}).text("searchId")
	hook := g.post(webhooksPath, subscriptionBody("https://hooks.example")).text("webhookId")
	before := g.server.Ledger()
	require.NoError(t, g.server.Close())

	again := newGateway(t, inDir)
	again.clock.Advance(-time.Hour) // ids increase even where the clock goes back
	require.Equal(t, before, again.server.Ledger())
	require.Equal(t, "DUPLICATE_REQUEST", again.post("/pts/v2/payments", payment(withIDOf("T-1"))).text("reason"))
	require.Equal(t, "DUPLICATE_REQUEST", again.post("/pts/v2/payments", payment(withIDOf("T-2"))).text("reason"))
	require.Equal(t, "DUPLICATE_REQUEST", again.capture1(paid.id(), "C1", "50.00", 1, 3).text("reason"))
	require.Equal(t, 200, again.get("/tss/v2/searches/"+saved).status)
	require.Equal(t, 200, again.get(webhooksPath+"/"+hook).status)
	byToken := payment(map[string]any{"paymentInformation": nil, "tokenInformation.transientTokenJwt": token})
	require.Equal(t, "AUTHORIZED_PENDING_REVIEW", again.post("/pts/v2/payments", byToken).text("status"))
	customer := map[string]any{"customer": map[string]any{"id": paid.text("tokenInformation.customer.id")}}
	later := again.post("/pts/v2/payments", payment(map[string]any{"paymentInformation": customer}))
	require.Equal(t, 201, later.status, later.raw)
	require.Greater(t, later.id(), before.Transactions[len(before.Transactions)-1].ID)
}

func TestNoCardNumberIsKept(t *testing.T) {
	dir := t.TempDir()
	g := newGateway(t, func(c *Config) { c.StateDir = dir })
	g.pay(map[string]any{"processingInformation.actionList": []any{"TOKEN_CREATE"}})
	g.post("/pts/v2/credits", payment(nil))
	g.control("POST", "/_sandbox/tokens", map[string]any{"cardNumber": "4111111111111111"})
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "4111111111111111")
		require.NotContains(t, string(raw), `"securityCode"`)
	}
}

func TestReset(t *testing.T) {
	g := newGateway(t)
	paid := g.pay(withIDOf("T-1"))
	token, err := g.server.MintToken("", "")
	require.NoError(t, err)
	require.Equal(t, 204, g.control("POST", "/_sandbox/reset", nil).status)
	require.Empty(t, g.server.Ledger().Transactions)
	require.Equal(t, 400, g.post("/pts/v2/payments", payment(map[string]any{"tokenInformation.transientTokenJwt": token})).status)
	require.Greater(t, g.pay(withIDOf("T-1")).id(), paid.id(), "ids go on")
}

func TestIDsIncrease(t *testing.T) {
	b := newBooks()
	at := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	last := ""
	for i := range 1000 {
		id := b.nextID(at.Add(time.Duration(i%7) * time.Microsecond))
		require.Len(t, id, 22)
		require.Greater(t, id, last)
		require.Equal(t, b.lastID, microsOf(id))
		last = id
	}
}

func TestSettle(t *testing.T) {
	g := newGateway(t)
	early := g.pay(sale(nil)).id()
	g.clock.Advance(24 * time.Hour)
	late := g.pay(sale(nil)).id()
	open := g.pay(nil).id()
	a := g.control("POST", "/_sandbox/settle?date=2026-01-05", nil)
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, []any{early}, a.at("transactions"))
	require.Equal(t, "BATCHED", g.entry(early).Status)
	require.Equal(t, "AUTHORIZED", g.entry(late).Status)
	require.Equal(t, 0.0, g.control("POST", "/_sandbox/settle?date=2026-01-05", nil).at("count"), "a second time changes nothing")
	g.settle()
	require.Equal(t, "BATCHED", g.entry(late).Status)
	require.Equal(t, "AUTHORIZED", g.entry(open).Status, "an authorization is not in a batch")
	require.Equal(t, 400, g.control("POST", "/_sandbox/settle?date=yesterday", nil).status)
}

func TestLedgerOverHTTP(t *testing.T) {
	g := newGateway(t)
	id := g.pay(withIDOf("T-1")).id()
	capture := g.capture(id, "102.21").id()
	g.held("review_preauth")
	g.decide(g.held("review"), "ACCEPT")
	a := g.control("GET", "/_sandbox/ledger", nil)
	list := a.at("transactions").([]any)
	require.Len(t, list, 4, "case actions move no money")
	first, second := answer{body: list[0]}, answer{body: list[1]}
	require.Equal(t, "T-1", first.text("transactionId"))
	require.Equal(t, "auth", first.text("kind"))
	require.Equal(t, "capture", second.text("kind"))
	require.Equal(t, capture, second.id())
	require.Equal(t, id, second.text("relatedId"))
	require.Empty(t, first.text("relatedId"))
	require.Equal(t, "2026-01-05T08:00:00Z", first.text("at"))
}

func TestBalanceFollowsTheChainNotTheReference(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	capture := g.capture(id, "100.00").id()
	g.post("/pts/v2/captures/"+capture+"/refunds", amountBody("another reference", "30.00"))
	a := g.control("GET", "/_sandbox/balance?reference=ORD-1001", nil)
	sum := answer{body: a.at("balances").([]any)[0]}
	for name, want := range map[string]string{"held": "0", "captured": "100", "refunded": "30", "reversed": "2.21", "voided": "0", "net": "70", "currency": "USD"} {
		require.Equal(t, want, sum.text(name), name)
	}
	require.Equal(t, 400, g.control("GET", "/_sandbox/balance", nil).status)
	require.Empty(t, g.control("GET", "/_sandbox/balance?reference=none", nil).at("balances"))
}

func TestFaultsSpeakLikeTheGateway(t *testing.T) {
	g := newGateway(t)
	fault := func(status int, reason string) answer {
		a := g.control("POST", "/_sandbox/faults", map[string]any{"route": "POST /pts/v2/payments", "mode": "status", "status": status, "reason": reason, "times": 1})
		require.Equal(t, 201, a.status, a.raw)
		return g.post("/pts/v2/payments", payment(nil))
	}
	bad := fault(502, "SERVICE_TIMEOUT")
	require.Equal(t, 502, bad.status)
	require.Equal(t, "SERVER_ERROR", bad.text("status"))
	require.Equal(t, "SERVICE_TIMEOUT", bad.text("reason"))
	require.NotEmpty(t, bad.header.Get("v-c-correlation-id"))
	require.JSONEq(t, `{"response":{"rmsg":"Authentication Failed"}}`, fault(401, "").raw)
	require.Equal(t, "INVALID_REQUEST", fault(400, "PROCESSOR_UNAVAILABLE").text("status"))
	require.Empty(t, g.server.Ledger().Transactions)
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{MerchantID: "m", KeyID: "k", SharedSecret: testSecret}
	for name, change := range map[string]func(*Config){
		"no merchant":        func(c *Config) { c.MerchantID = "" },
		"no key":             func(c *Config) { c.KeyID = "" },
		"secret not base64":  func(c *Config) { c.SharedSecret = "%%%" },
		"account without id": func(c *Config) { c.Accounts = []Account{{KeyID: "x", SharedSecret: testSecret}} },
	} {
		cfg := good
		change(&cfg)
		_, err := New(cfg)
		require.Error(t, err, name)
	}
}

func TestEveryTriggerIsDocumented(t *testing.T) {
	text, err := os.ReadFile("TRIGGERS.md")
	require.NoError(t, err)
	for name := range namedScenarios {
		require.Contains(t, string(text), "`"+name+"`")
	}
	for name := range declines {
		require.Contains(t, string(text), "`"+strings.ToLower(name)+"`")
	}
	for amount := range amountScenarios {
		require.Contains(t, string(text), fmt.Sprintf("`%d.00`", amount))
	}
	for _, number := range testCards {
		require.Contains(t, string(text), number)
	}
}
