package cybersource

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func (g *gateway) console(id, action, amount string) answer {
	g.t.Helper()
	return g.control("POST", "/_sandbox/console", map[string]any{"id": id, "action": action, "amount": amount, "silent": true})
}

func TestTheConsoleMovesMoneyBehindTheMerchantsBack(t *testing.T) {
	tests := []struct {
		name                     string
		do                       func(g *gateway, sold, auth string)
		held, captured, refunded string // of both payments together
	}{
		{"capture", func(g *gateway, _, auth string) { require.Equal(t, 201, g.console(auth, "capture", "").status) }, "0.00", "204.42", "0.00"},
		{"void of a sale", func(g *gateway, sold, _ string) { require.Equal(t, 201, g.console(sold, "void", "").status) }, "204.42", "0.00", "0.00"},
		{"refund of a part", func(g *gateway, sold, _ string) {
			require.Equal(t, 201, g.console(sold, "refund", "2.21").status)
			require.Equal(t, 201, g.console(sold, "refund", "").status, "all that is left")
		}, "102.21", "102.21", "102.21"},
		{"reversal", func(g *gateway, _, auth string) { require.Equal(t, 201, g.console(auth, "reverse", "").status) }, "0.00", "102.21", "0.00"},
		{"void of a refund", func(g *gateway, sold, _ string) {
			refund := g.console(sold, "refund", "2.21")
			require.Equal(t, 201, g.console(refund.id(), "void", "").status)
		}, "102.21", "102.21", "0.00"},
		{"what the state forbids", func(g *gateway, sold, auth string) {
			require.Equal(t, 409, g.console(auth, "void", "").status)
			require.Equal(t, 409, g.console(auth, "refund", "1.00").status)
			require.Equal(t, 409, g.console(sold, "reverse", "").status)
			require.Equal(t, 409, g.console(sold, "dance", "").status)
			require.Equal(t, 404, g.console("7", "void", "").status)
		}, "102.21", "102.21", "0.00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newGateway(t)
			sold := g.pay(sale(nil)).id()
			test.do(g, sold, g.pay(nil).id())
			held, captured, refunded := g.balance("ORD-1001")
			require.Equal(t, []string{test.held, test.captured, test.refunded}, []string{held, captured, refunded})
			for _, entry := range g.server.Ledger().Transactions {
				require.Equal(t, "ORD-1001", entry.Reference, "the console uses the payment's own reference")
			}
		})
	}
}

func TestAHoldRunsOut(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	expire := func(id string) int { return g.control("POST", "/_sandbox/expire", map[string]any{"id": id}).status }
	require.Equal(t, 201, expire(id))
	require.Equal(t, "REVERSED", g.entry(id).Status)
	require.Equal(t, "0.00", g.entry(id).Held)
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.capture(id, "102.21").text("reason"))
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.reverse(id, "102.21").text("reason"))
	require.Equal(t, 409, expire(id))
	require.Equal(t, 404, expire("7"))

	held := g.held("review")
	require.Equal(t, 201, expire(held))
	require.Equal(t, "AUTHORIZED_PENDING_REVIEW", g.entry(held).Status, "the case stays open")
	require.Equal(t, "NOT_SUPPORTED", g.capture(held, "102.21").text("reason"))
	require.Equal(t, "ACCEPTED", g.decide(held, "ACCEPT").text("status"))
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.capture(held, "102.21").text("reason"))
}

func TestAChargeByTheMerchantIsChecked(t *testing.T) {
	const at = "processingInformation.authorizationOptions.initiator"
	initiator := func(changes map[string]any) map[string]any {
		made := map[string]any{"type": "merchant", "storedCredentialUsed": true, "merchantInitiatedTransaction": map[string]any{"reason": "3"}}
		for name, value := range changes {
			set(made, []string{name}, value)
		}
		return made
	}
	vault := func(id string) map[string]any { return map[string]any{"customer": map[string]any{"id": id}} }
	const known, unknown = "C0000000000000000000000000000001", "C0000000000000000000000000000099"
	for name, test := range map[string]struct {
		pays      map[string]any
		initiator map[string]any
		refused   string // the field; "" is accepted
	}{
		"reauthorization":            {vault(known), initiator(nil), ""},
		"unknown credential":         {vault(unknown), initiator(nil), "paymentInformation.customer.id"},
		"stored use not said":        {vault(known), initiator(map[string]any{"storedCredentialUsed": nil}), at + ".storedCredentialUsed"},
		"to be stored":               {vault(known), initiator(map[string]any{"credentialStoredOnFile": true}), at + ".credentialStoredOnFile"},
		"no reason":                  {vault(known), initiator(map[string]any{"merchantInitiatedTransaction": nil}), at + ".merchantInitiatedTransaction.reason"},
		"unknown reason":             {vault(known), initiator(map[string]any{"merchantInitiatedTransaction": map[string]any{"reason": "11"}}), at + ".merchantInitiatedTransaction.reason"},
		"amount that is none":        {vault(known), initiator(map[string]any{"merchantInitiatedTransaction": map[string]any{"reason": "3", "originalAuthorizedAmount": "-1"}}), at + ".merchantInitiatedTransaction.originalAuthorizedAmount"},
		"browser token":              {nil, initiator(nil), "tokenInformation.transientTokenJwt"},
		"previous one, by its rules": {vault(known), initiator(map[string]any{"merchantInitiatedTransaction": map[string]any{"reason": "3", "previousTransactionId": "1234567890123456"}}), at + ".merchantInitiatedTransaction.previousTransactionId"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			body := g.tokenPayment("approve", map[string]any{at: test.initiator})
			if test.pays != nil {
				delete(body, "tokenInformation")
				body["paymentInformation"] = test.pays
			}
			a := g.post("/pts/v2/payments", body)
			if test.refused == "" {
				require.Equal(t, "AUTHORIZED", a.text("status"), a.raw)
				return
			}
			require.Equal(t, 400, a.status, a.raw)
			require.Equal(t, []string{test.refused}, a.fields())
		})
	}
}
