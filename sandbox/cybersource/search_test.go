package cybersource

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (g *gateway) search(query string, more map[string]any) answer {
	g.t.Helper()
	body := map[string]any{"query": query, "timezone": "UTC", "name": "by MRC"}
	for k, v := range more {
		body[k] = v
	}
	return g.post("/tss/v2/searches", body)
}

func (a answer) summaries() []any {
	list, _ := a.at("_embedded.transactionSummaries").([]any)
	return list
}

// applications are the names and reason codes of one summary or details reply.
func applicationsOf(t *testing.T, of any) map[string]string {
	t.Helper()
	codes := map[string]string{}
	list, _ := answer{body: of}.at("applicationInformation.applications").([]any)
	for _, one := range list {
		ran := answer{body: one}
		codes[ran.text("name")] = ran.text("reasonCode")
	}
	return codes
}

func TestSearchReply(t *testing.T) {
	g := newGateway(t)
	paid := g.pay(nil)
	a := g.search("clientReferenceInformation.code:ORD-1001 AND submitTimeUtc:[NOW/DAY-7DAYS TO NOW/DAY+1DAY}", map[string]any{"limit": 100})
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, 1.0, a.at("count"))
	require.Equal(t, 1.0, a.at("totalCount"))
	require.Equal(t, 100.0, a.at("limit"))
	require.Contains(t, a.text("_links.self.href"), "/tss/v2/searches/"+a.text("searchId"))
	found := answer{body: a.summaries()[0]}
	require.Equal(t, paid.id(), found.id())
	require.Equal(t, testMerchant, found.text("merchantId"))
	require.Equal(t, "100", found.text("applicationInformation.reasonCode"))
	require.Equal(t, "SOK", found.text("applicationInformation.rFlag"))
	require.Equal(t, map[string]string{"ics_auth": "100", "ics_decision": "100"}, applicationsOf(t, found.body))
	require.Equal(t, "102.21", found.text("orderInformation.amountDetails.totalAmount"))
	require.Equal(t, "ada@example.com", found.text("orderInformation.billTo.email"))
	require.Equal(t, "411111", found.text("paymentInformation.card.prefix"))
	require.Equal(t, "1111", found.text("paymentInformation.card.suffix"))
	require.Equal(t, "VI", found.text("paymentInformation.paymentType.method"))
	require.Nil(t, found.at("status"), "a summary has no payment status")
	require.NotContains(t, a.raw, "4111111111111111")
	require.Contains(t, found.text("_links.transactionDetail.href"), "/tss/v2/transactions/"+paid.id())
}

func TestEmptySearch(t *testing.T) {
	g := newGateway(t)
	a := g.search("clientReferenceInformation.code:none", nil)
	require.Equal(t, 201, a.status)
	require.Equal(t, 0.0, a.at("totalCount"))
	require.Nil(t, a.at("_embedded"))
	require.Equal(t, 20.0, a.at("limit"), "the default")
}

func TestSearchPages(t *testing.T) {
	g := newGateway(t)
	var ids []string
	for range 5 {
		ids = append(ids, g.pay(nil).id())
		g.clock.Advance(time.Second)
	}
	page := g.search("clientReferenceInformation.code:ORD-1001", map[string]any{"offset": 1, "limit": 2, "sort": "submitTimeUtc:asc"})
	require.Equal(t, 5.0, page.at("totalCount"))
	require.Equal(t, 2.0, page.at("count"))
	require.Equal(t, ids[1], answer{body: page.summaries()[0]}.id())
	newest := g.search("merchantId:demo_mid", nil)
	require.Equal(t, ids[4], answer{body: newest.summaries()[0]}.id(), "newest first")
	require.Nil(t, g.search("merchantId:demo_mid", map[string]any{"offset": 5}).at("_embedded"))
	for _, bad := range []map[string]any{{"limit": 2501}, {"limit": 0}, {"offset": -1}, {"sort": "nonsense:asc"}, {"sort": "id:up"}, {"timezone": "Mars"}, {"query": "x"}, {"query": ""}} {
		require.Equal(t, 400, g.search("merchantId:demo_mid", bad).status, bad)
	}
}

func TestSearchAndDetailsLag(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.SearchLag, c.DetailsLag = 5*time.Second, 2*time.Minute })
	paid := g.pay(nil)
	g.clock.Advance(4 * time.Second)
	require.Empty(t, g.search("clientReferenceInformation.code:ORD-1001", nil).summaries())
	g.clock.Advance(time.Second)
	require.Len(t, g.search("clientReferenceInformation.code:ORD-1001", nil).summaries(), 1)
	require.Equal(t, 404, g.get("/tss/v2/transactions/"+paid.id()).status)
	g.clock.Advance(2 * time.Minute)
	require.Equal(t, 200, g.get("/tss/v2/transactions/"+paid.id()).status)
}

func TestSavedSearch(t *testing.T) {
	g := newGateway(t)
	kept := g.search("clientReferenceInformation.code:ORD-1001", map[string]any{"save": true})
	g.pay(nil)
	again := g.get("/tss/v2/searches/" + kept.text("searchId"))
	require.Equal(t, 200, again.status)
	require.Equal(t, 1.0, again.at("totalCount"), "it is run anew")
	dropped := g.search("clientReferenceInformation.code:ORD-1001", nil)
	require.Equal(t, 404, g.get("/tss/v2/searches/"+dropped.text("searchId")).status)
}

func TestApplicationsOfEachKind(t *testing.T) {
	g := newGateway(t)
	auth := g.pay(withIDOf("T-1"))
	capture := g.capture(auth.id(), "102.21")
	void := g.post("/pts/v2/captures/"+capture.id()+"/voids", voidBody())
	reversal := g.reverse(auth.id(), "102.21")
	sold := g.pay(sale(nil))
	refund := g.post("/pts/v2/payments/"+sold.id()+"/refunds", amountBody("R", "1.00"))
	timeout := g.pay(withIDOf("T-2"))
	reverse := reversalBody("102.21")
	set(reverse, []string{"clientReferenceInformation", "transactionId"}, "T-2")
	timeoutReversal := g.post("/pts/v2/reversals", reverse)
	declined := g.pay(map[string]any{"orderInformation.amountDetails.totalAmount": "9204.00"})
	held := g.post("/pts/v2/payments", g.tokenPayment("review", nil))
	partial := g.post("/pts/v2/payments", g.tokenPayment("partial", nil))
	tests := []struct {
		name, id string
		want     map[string]string
	}{
		{"auth", timeout.id(), map[string]string{"ics_auth": "100", "ics_decision": "100"}},
		{"capture", capture.id(), map[string]string{"ics_bill": "100"}},
		{"void", void.id(), map[string]string{"ics_void": "100"}},
		{"reversal", reversal.id(), map[string]string{"ics_auth_reversal": "100"}},
		{"sale", sold.id(), map[string]string{"ics_auth": "100", "ics_bill": "100", "ics_decision": "100"}},
		{"refund", refund.id(), map[string]string{"ics_credit": "100"}},
		{"timeout reversal", timeoutReversal.id(), map[string]string{"ics_timeout_auth_reversal": "100"}},
		{"decline", declined.id(), map[string]string{"ics_auth": "204", "ics_decision": "100"}},
		{"held", held.id(), map[string]string{"ics_auth": "100", "ics_decision": "480"}},
		{"partial", partial.id(), map[string]string{"ics_auth": "110", "ics_decision": "100"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := g.search("id:"+test.id, nil)
			require.Len(t, a.summaries(), 1)
			require.Equal(t, test.want, applicationsOf(t, a.summaries()[0]))
			require.Equal(t, test.want, applicationsOf(t, g.get("/tss/v2/transactions/"+test.id).body))
		})
	}
}

func TestDetails(t *testing.T) {
	g := newGateway(t)
	auth := g.pay(nil)
	capture := g.capture(auth.id(), "100.00")
	refund := g.post("/pts/v2/captures/"+capture.id()+"/refunds", amountBody("R", "30.00"))
	a := g.get("/tss/v2/transactions/" + auth.id())
	require.Equal(t, 200, a.status)
	require.Equal(t, auth.id(), a.text("rootId"))
	require.Equal(t, "2026-01-05T08:00:00Z", a.text("submitTimeUTC"), "spelt so here")
	require.Equal(t, "AUTHORIZED", a.text("applicationInformation.status"))
	require.Equal(t, "102.21", a.text("orderInformation.amountDetails.authorizedAmount"))
	var related []string
	for _, one := range a.at("_links.relatedTransactions").([]any) {
		href := answer{body: one}.text("href")
		related = append(related, href[strings.LastIndex(href, "/")+1:])
	}
	require.Len(t, related, 3, "the capture, the released rest and the refund")
	require.Contains(t, related, capture.id())
	require.Contains(t, related, refund.id())

	captured := g.get("/tss/v2/transactions/" + capture.id())
	require.Equal(t, auth.id(), captured.text("rootId"))
	require.Equal(t, "70.00", captured.text("orderInformation.amountDetails.refundBalance"))
	require.Equal(t, "PENDING", captured.text("applicationInformation.status"))
	g.settle()
	require.Equal(t, "BATCHED", g.get("/tss/v2/transactions/"+capture.id()).text("applicationInformation.status"))
	require.Equal(t, 404, g.get("/tss/v2/transactions/7000000000000000000001").status)
}
