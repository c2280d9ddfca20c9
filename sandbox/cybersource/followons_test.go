package cybersource

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// states are the rows of the reference's state table: how a payment gets there, and what each call then answers.
var states = []struct {
	name                            string
	reach                           func(g *gateway) (payment, void string) // void: "" is the payment itself
	capture, refund, reversal, void string                                  // a status of 201, or the reason of a 400
}{
	{"authorized, open", authorized(""), "PENDING", "INVALID_DATA", "REVERSED", "NOT_VOIDABLE"},
	{"authorized, in review", authorized("review"), "NOT_SUPPORTED", "INVALID_DATA", "NOT_SUPPORTED", "NOT_VOIDABLE"},
	{"in review before authorization", authorized("review_preauth"), "NOT_SUPPORTED", "INVALID_DATA", "NOT_SUPPORTED", "NOT_VOIDABLE"},
	{"declined", authorized("decline"), "INVALID_DATA", "INVALID_DATA", "MISSING_FIELD", "MISSING_FIELD"},
	{"missing id", func(*gateway) (string, string) { return "7000000000000000000001", "" }, "MISSING_FIELD", "INVALID_DATA", "MISSING_FIELD", "MISSING_FIELD"},
	{"partially authorized", authorized("partial"), "EXCEEDS_AUTH_AMOUNT", "INVALID_DATA", "INVALID_AMOUNT", "NOT_VOIDABLE"},
	{"refused by risk rules", authorized("risk_decline"), "NOT_SUPPORTED", "INVALID_DATA", "REVERSED", "NOT_VOIDABLE"},
	{"reversed", func(g *gateway) (string, string) {
		id := g.pay(nil).id()
		require.Equal(g.t, 201, g.reverse(id, "102.21").status)
		return id, ""
	}, "AUTH_ALREADY_REVERSED", "INVALID_DATA", "AUTH_ALREADY_REVERSED", "NOT_VOIDABLE"},
	{"captured", func(g *gateway) (string, string) {
		id := g.pay(nil).id()
		return id, "/pts/v2/captures/" + g.capture(id, "102.21").id()
	}, "TRANSACTION_ALREADY_SETTLED", "PENDING", "TRANSACTION_ALREADY_SETTLED", "VOIDED"},
	{"sold", func(g *gateway) (string, string) { return g.pay(sale(nil)).id(), "" },
		"TRANSACTION_ALREADY_SETTLED", "PENDING", "TRANSACTION_ALREADY_SETTLED", "VOIDED"},
	{"captured, batched", func(g *gateway) (string, string) {
		id := g.pay(nil).id()
		capture := g.capture(id, "102.21").id()
		g.settle()
		return id, "/pts/v2/captures/" + capture
	}, "TRANSACTION_ALREADY_SETTLED", "PENDING", "TRANSACTION_ALREADY_SETTLED", "NOT_VOIDABLE"},
	{"sold, batched", func(g *gateway) (string, string) { id := g.pay(sale(nil)).id(); g.settle(); return id, "" },
		"TRANSACTION_ALREADY_SETTLED", "PENDING", "TRANSACTION_ALREADY_SETTLED", "NOT_VOIDABLE"},
	{"capture voided", func(g *gateway) (string, string) {
		id := g.pay(nil).id()
		capture := "/pts/v2/captures/" + g.capture(id, "102.21").id()
		require.Equal(g.t, 201, g.post(capture+"/voids", voidBody()).status)
		return id, capture
	}, "PENDING", "CAPTURE_ALREADY_VOIDED", "REVERSED", "NOT_VOIDABLE"},
	{"sale voided", func(g *gateway) (string, string) {
		id := g.pay(sale(nil)).id()
		require.Equal(g.t, 201, g.post("/pts/v2/payments/"+id+"/voids", voidBody()).status)
		return id, ""
	}, "PENDING", "CAPTURE_ALREADY_VOIDED", "REVERSED", "NOT_VOIDABLE"},
}

func authorized(scenario string) func(*gateway) (string, string) {
	return func(g *gateway) (string, string) {
		return g.post("/pts/v2/payments", g.tokenPayment(scenario, nil)).id(), ""
	}
}

func TestStateTable(t *testing.T) {
	for _, state := range states {
		calls := []struct{ name, want string }{{"capture", state.capture}, {"refund", state.refund}, {"reversal", state.reversal}, {"void", state.void}}
		for _, call := range calls {
			t.Run(state.name+"/"+call.name, func(t *testing.T) {
				g := newGateway(t)
				id, voidAt := state.reach(g)
				if voidAt == "" {
					voidAt = "/pts/v2/payments/" + id
				}
				before := len(g.server.Ledger().Transactions)
				var a answer
				switch call.name {
				case "capture":
					a = g.capture(id, "102.21")
				case "refund":
					a = g.post("/pts/v2/payments/"+id+"/refunds", amountBody("REF", "102.21"))
				case "reversal":
					a = g.reverse(id, "102.21")
				case "void":
					a = g.post(voidAt+"/voids", voidBody())
				}
				if a.status == http.StatusCreated {
					require.Equal(t, call.want, a.text("status"), a.raw)
					require.Len(t, g.server.Ledger().Transactions, before+1)
					return
				}
				require.Equal(t, http.StatusBadRequest, a.status, a.raw)
				require.Equal(t, "INVALID_REQUEST", a.text("status"))
				require.Equal(t, call.want, a.text("reason"), a.raw)
				require.Len(t, g.server.Ledger().Transactions, before, "a refused call moves nothing")
			})
		}
	}
}

func TestRefundVoids(t *testing.T) {
	g := newGateway(t)
	id := g.pay(sale(nil)).id()
	refund := g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R", "2.21"))
	require.Equal(t, "VOIDED", g.post("/pts/v2/refunds/"+refund.id()+"/voids", voidBody()).text("status"))
	require.Equal(t, "NOT_VOIDABLE", g.post("/pts/v2/refunds/"+refund.id()+"/voids", voidBody()).text("reason"))
	require.Equal(t, "VOIDED", g.entry(refund.id()).Status)

	batched := g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R2", "2.21"))
	g.settle()
	require.Equal(t, "BATCHED", g.entry(batched.id()).Status)
	require.Equal(t, "NOT_VOIDABLE", g.post("/pts/v2/refunds/"+batched.id()+"/voids", voidBody()).text("reason"))
	require.Equal(t, "MISSING_FIELD", g.post("/pts/v2/captures/"+batched.id()+"/voids", voidBody()).text("reason"), "an id of another kind")
}

func TestReplyShapes(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	capture := g.capture(id, "102.21")
	require.Equal(t, "/pts/v2/captures/"+capture.id()+"/voids", capture.text("_links.void.href"))
	require.Equal(t, "102.21", capture.text("orderInformation.amountDetails.totalAmount"))
	require.Equal(t, "CAP", capture.text("clientReferenceInformation.code"))

	refund := g.post("/pts/v2/captures/"+capture.id()+"/refunds", amountBody("RMA", "10.00"))
	require.Equal(t, "10.00", refund.text("refundAmountDetails.refundAmount"))
	require.Equal(t, "/pts/v2/refunds/"+refund.id()+"/voids", refund.text("_links.void.href"))
	require.Equal(t, capture.id(), g.entry(refund.id()).RelatedID)

	void := g.post("/pts/v2/captures/"+capture.id()+"/voids", voidBody())
	require.Equal(t, "102.21", void.text("voidAmountDetails.voidAmount"))
	require.Equal(t, "usd", void.text("voidAmountDetails.currency"))
	require.Equal(t, "/pts/v2/voids/"+void.id(), void.text("_links.self.href"))

	reversal := g.reverse(id, "102.21")
	require.Equal(t, "102.21", reversal.text("reversalAmountDetails.reversedAmount"))
	require.Equal(t, "200", reversal.text("processorInformation.responseCode"))
	require.Equal(t, "REVERSED", g.entry(id).Status)

	credit := g.post("/pts/v2/credits", payment(nil))
	require.Equal(t, "PENDING", credit.text("status"))
	require.Equal(t, "usd", credit.text("creditAmountDetails.currency"))
	require.Equal(t, "VOIDED", g.post("/pts/v2/credits/"+credit.id()+"/voids", voidBody()).text("status"))
}

func TestCapturingLessReleasesTheRest(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	require.Equal(t, 201, g.capture(id, "100.00").status)
	held, captured, _ := g.balance("ORD-1001")
	require.Equal(t, [2]string{"0.00", "100.00"}, [2]string{held, captured})
	entries := g.server.Ledger().Transactions
	require.Equal(t, "reversal", entries[2].Kind)
	require.Equal(t, "2.21", entries[2].Amount)
	require.Equal(t, "AUTHORIZED", g.entry(id).Status, "the part that was captured is not reversed")
}

func TestCaptureChecks(t *testing.T) {
	g := newGateway(t)
	id := g.pay(nil).id()
	require.Equal(t, "EXCEEDS_AUTH_AMOUNT", g.capture(id, "102.22").text("reason"))
	require.Equal(t, "INVALID_AMOUNT", g.capture(id, "0.00").text("reason"))
	body := amountBody("CAP", "1.00")
	body["orderInformation"].(map[string]any)["amountDetails"].(map[string]any)["currency"] = "EUR"
	require.Equal(t, []string{"orderInformation.amountDetails.currency"}, g.post("/pts/v2/payments/"+id+"/captures", body).fields())
	require.Equal(t, []string{"clientReferenceInformation.code"}, g.capture1(id, "", "1.00", 0, 0).fields())
	require.Equal(t, "NOT_SUPPORTED", g.capture1(id, "C", "1.00", 1, 2).text("reason"), "several captures are not enabled")
}

// capture1 captures a part with a sequence number.
func (g *gateway) capture1(id, reference, amount string, sequence, total int) answer {
	body := amountBody(reference, amount)
	if reference == "" {
		delete(body, "clientReferenceInformation")
	}
	if total > 0 {
		body["processingInformation"] = map[string]any{"captureOptions": map[string]any{"captureSequenceNumber": sequence, "totalCaptureCount": total}}
	}
	return g.post("/pts/v2/payments/"+id+"/captures", body)
}

func TestMultiCapture(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.MultiCapture = true })
	id := g.pay(nil).id()
	require.Equal(t, 201, g.capture1(id, "C1", "50.00", 1, 3).status)
	require.Equal(t, "DUPLICATE_REQUEST", g.capture1(id, "C1", "50.00", 1, 3).text("reason"), "a sequence number serves once")
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", g.capture1(id, "C", "1.00", 0, 0).text("reason"), "without a number")
	require.Equal(t, "EXCEEDS_AUTH_AMOUNT", g.capture1(id, "C2", "52.22", 2, 3).text("reason"))
	require.Equal(t, 201, g.capture1(id, "C2", "10.00", 2, 3).status)
	held, captured, _ := g.balance("ORD-1001")
	require.Equal(t, [2]string{"42.21", "60.00"}, [2]string{held, captured})
	require.Equal(t, 201, g.capture1(id, "C3", "2.21", 3, 3).status)
	held, captured, _ = g.balance("ORD-1001")
	require.Equal(t, [2]string{"0.00", "62.21"}, [2]string{held, captured}, "the last one releases the rest")
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", g.capture1(id, "C4", "1.00", 4, 5).text("reason"))
	require.Equal(t, 400, g.capture1(id, "C4", "1.00", 3, 2).status)
	require.Equal(t, 400, g.capture1(id, "C4", "1.00", 100, 100).status)
}

func TestReversalAmount(t *testing.T) {
	strict := newGateway(t)
	id := strict.pay(nil).id()
	require.Equal(t, "INVALID_AMOUNT", strict.reverse(id, "2.21").text("reason"))
	require.Equal(t, "INVALID_AMOUNT", strict.reverse(id, "102.22").text("reason"))
	require.Equal(t, []string{"reversalInformation.amountDetails.totalAmount"}, strict.post("/pts/v2/payments/"+id+"/reversals", "{}").fields())
	require.Equal(t, 201, strict.post("/pts/v2/payments/"+id+"/reversals", `{"reversalInformation":{"amountDetails":{"totalAmount":"102.21"}}}`).status,
		"the currency may be left out")

	partial := newGateway(t, func(c *Config) { c.PartialReversals = true })
	id = partial.pay(nil).id()
	require.Equal(t, 201, partial.reverse(id, "2.21").status)
	require.Equal(t, "AUTHORIZED", partial.entry(id).Status)
	require.Equal(t, "100.00", partial.entry(id).Held)
	require.Equal(t, "INVALID_AMOUNT", partial.reverse(id, "100.01").text("reason"))
	require.Equal(t, 201, partial.reverse(id, "100.00").status)
	require.Equal(t, "AUTH_ALREADY_REVERSED", partial.reverse(id, "1.00").text("reason"))
}

func TestPartialApprovalIsReversedForWhatWasApproved(t *testing.T) {
	g := newGateway(t)
	a := g.post("/pts/v2/payments", g.tokenPayment("partial", nil))
	require.Equal(t, "51.10", a.text("orderInformation.amountDetails.authorizedAmount"))
	require.Equal(t, 201, g.reverse(a.id(), "51.10").status)
	require.Equal(t, "0.00", g.entry(a.id()).Held)
}

func TestRefundCap(t *testing.T) {
	refund := func(g *gateway, id, amount string) answer {
		return g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R", amount))
	}
	g := newGateway(t)
	id := g.pay(sale(nil)).id()
	require.Equal(t, "INVALID_AMOUNT", refund(g, id, "102.22").text("reason"))
	require.Equal(t, 201, refund(g, id, "102.21").status)
	require.Equal(t, 201, refund(g, id, "102.21").status, "the real sandbox takes a second full refund")
	g.clock.Advance(181 * 24 * time.Hour)
	require.Equal(t, "INVALID_DATA", refund(g, id, "1.00").text("reason"), "180 days")

	capped := newGateway(t, func(c *Config) { c.CapRefunds = true })
	id = capped.pay(sale(nil)).id()
	require.Equal(t, 201, refund(capped, id, "100.00").status)
	require.Equal(t, "INVALID_AMOUNT", refund(capped, id, "2.22").text("reason"))
	require.Equal(t, 201, refund(capped, id, "2.21").status)
}

func TestRefundsAreGuardedByTransactionID(t *testing.T) {
	g := newGateway(t)
	id := g.pay(sale(nil)).id()
	body := amountBody("R", "1.00")
	body["clientReferenceInformation"].(map[string]any)["transactionId"] = "R-1"
	require.Equal(t, 201, g.post("/pts/v2/payments/"+id+"/refunds", body).status)
	require.Equal(t, "DUPLICATE_REQUEST", g.post("/pts/v2/payments/"+id+"/refunds", body).text("reason"))
}

func TestTimeoutReversal(t *testing.T) {
	g := newGateway(t)
	paid := g.pay(withIDOf("T-1"))
	body := reversalBody("102.21")
	set(body, []string{"clientReferenceInformation", "transactionId"}, "T-1")
	a := g.post("/pts/v2/reversals", body)
	require.Equal(t, 201, a.status, a.raw)
	require.Equal(t, "REVERSED", a.text("status"))
	require.Equal(t, "T-1", a.text("clientReferenceInformation.transactionId"))
	require.Equal(t, "REVERSED", g.entry(paid.id()).Status)
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.post("/pts/v2/reversals", body).text("reason"))

	set(body, []string{"clientReferenceInformation", "transactionId"}, "T-unknown")
	require.Equal(t, "MISSING_AUTH", g.post("/pts/v2/reversals", body).text("reason"))
	require.Equal(t, []string{"clientReferenceInformation.transactionId"}, g.post("/pts/v2/reversals", reversalBody("1.00")).fields())

	g.pay(map[string]any{"clientReferenceInformation.transactionId": "T-2", "orderInformation.amountDetails.totalAmount": "9204.00"})
	set(body, []string{"clientReferenceInformation", "transactionId"}, "T-2")
	failed := g.post("/pts/v2/reversals", body)
	require.Equal(t, "9204.00", failed.text("reversalAmountDetails.originalTransactionAmount"), "of an authorization that had failed")
	require.Equal(t, "111", failed.text("processorInformation.responseCode"))
}

func TestTimeoutVoid(t *testing.T) {
	g := newGateway(t)
	sold := g.pay(sale(withIDOf("S-1")))
	void := func(id string) answer {
		return g.post("/pts/v2/voids", map[string]any{"clientReferenceInformation": map[string]any{"code": "V", "transactionId": id}})
	}
	a := void("S-1")
	require.Equal(t, "VOIDED", a.text("status"), a.raw)
	require.Equal(t, "102.21", a.text("voidAmountDetails.originalTransactionAmount"))
	require.Equal(t, "VOIDED", g.entry(sold.id()).Status)
	require.Equal(t, "NOT_VOIDABLE", void("S-1").text("reason"))
	require.Equal(t, "INVALID_DATA", void("S-2").text("reason"))
	require.Equal(t, "MISSING_FIELD", void("").text("reason"))

	id := g.pay(nil).id()
	body := amountBody("C", "102.21")
	body["clientReferenceInformation"].(map[string]any)["transactionId"] = "C-1"
	require.Equal(t, 201, g.post("/pts/v2/payments/"+id+"/captures", body).status)
	require.Equal(t, "VOIDED", void("C-1").text("status"))
}

func TestVoidMayReleaseTheHold(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.AutoVoidReversal = true })
	id := g.pay(sale(nil)).id()
	require.Equal(t, 201, g.post("/pts/v2/payments/"+id+"/voids", voidBody()).status)
	require.Equal(t, "REVERSED", g.entry(id).Status)
	require.Equal(t, "0.00", g.entry(id).Held)

	by := newGateway(t)
	id = by.pay(sale(nil)).id()
	require.Equal(t, 201, by.post("/pts/v2/payments/"+id+"/voids", voidBody()).status)
	require.Equal(t, "102.21", by.entry(id).Held, "by default the hold stays")
}

func TestFailingFollowOns(t *testing.T) {
	for _, kind := range []string{"capture", "reversal", "refund", "void"} {
		for _, committed := range []bool{false, true} {
			name := kind + "_server_timeout"
			if committed {
				name += "_committed"
			}
			t.Run(name, func(t *testing.T) {
				g := newGateway(t)
				change := map[string]any{}
				if kind == "refund" || kind == "void" {
					change = sale(nil)
				}
				id := g.post("/pts/v2/payments", g.tokenPayment(name, change)).id()
				try := func() answer {
					switch kind {
					case "capture":
						return g.capture(id, "102.21")
					case "reversal":
						return g.reverse(id, "102.21")
					case "refund":
						return g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R", "102.21"))
					}
					return g.post("/pts/v2/payments/"+id+"/voids", voidBody())
				}
				a := try()
				require.Equal(t, http.StatusBadGateway, a.status)
				require.Equal(t, "SERVER_TIMEOUT", a.text("reason"))
				want := 1
				if committed {
					want = 2
				}
				require.Len(t, g.server.Ledger().Transactions, want)
				if !committed {
					require.Equal(t, 201, try().status, "it fails once only")
				}
			})
		}
	}
}

// Whatever is sent, the money of a payment is somewhere: authorized = held + captured + reversed, and nothing of it is
// negative.
func TestMoneyIsConserved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGateway(t, func(c *Config) {
			c.MultiCapture, c.PartialReversals = rapid.Bool().Draw(rt, "multi"), rapid.Bool().Draw(rt, "partial")
		})
		change := map[string]any{"processingInformation.capture": rapid.Bool().Draw(rt, "sale")}
		id := g.pay(change).id()
		captures := []string{id}
		for i := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			amount := fmt.Sprintf("%d.%02d", rapid.IntRange(0, 110).Draw(rt, "units"), rapid.IntRange(0, 99).Draw(rt, "cents"))
			if rapid.Bool().Draw(rt, "whole") {
				amount = "102.21"
			}
			switch rapid.SampledFrom([]string{"capture", "part", "reverse", "void", "refund", "settle", "increment"}).Draw(rt, "step") {
			case "capture":
				captures = append(captures, g.capture(id, amount).id())
			case "part":
				captures = append(captures, g.capture1(id, "C", amount, i+1, 9).id())
			case "reverse":
				g.reverse(id, amount)
			case "void":
				at := rapid.SampledFrom(captures).Draw(rt, "voided")
				g.post("/pts/v2/captures/"+at+"/voids", voidBody())
				g.post("/pts/v2/payments/"+at+"/voids", voidBody())
			case "refund":
				g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R", amount))
			case "settle":
				g.settle()
			case "increment":
				g.send("PATCH", "/pts/v2/payments/"+id, amountBody("I", amount))
			}
			checkMoney(rt, g, id)
		}
	})
}

func checkMoney(rt *rapid.T, g *gateway, id string) {
	sum := g.server.Balances("ORD-1001")[0]
	for name, part := range map[string]decimal.Decimal{"held": sum.Held, "captured": sum.Captured, "reversed": sum.Reversed} {
		require.False(rt, part.IsNegative(), "%s is %s", name, part)
	}
	entry := g.entry(id)
	require.Equal(rt, entry.Amount, sum.Held.Add(sum.Captured).Add(sum.Reversed).StringFixed(2))
	if entry.Status == "REVERSED" {
		require.True(rt, sum.Held.IsZero() && sum.Captured.IsZero())
	}
}

func TestCaptureNumbers(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.MultiCapture = true })
	id := g.pay(nil).id()
	first := g.capture1(id, "C1", "50.00", 1, 2)
	require.Equal(t, 201, first.status)
	for _, other := range []answer{g.capture1(id, "C1", "49.00", 1, 2), g.capture1(id, "C9", "50.00", 1, 1)} {
		require.Equal(t, "DUPLICATE_REQUEST", other.text("reason"), "the number with other data")
		require.Equal(t, []string{"processingInformation.captureOptions.captureSequenceNumber"}, other.fields())
	}
	require.Equal(t, "VOIDED", g.post("/pts/v2/captures/"+first.id()+"/voids", voidBody()).text("status"))
	require.Equal(t, 201, g.capture1(id, "C1B", "40.00", 1, 2).status, "voided, its number is free")
	require.Equal(t, 201, g.capture1(id, "C2", "62.21", 2, 2).status)
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", g.capture1(id, "C3", "0.01", 3, 4).text("reason"), "after the last one")
	require.Equal(t, "TRANSACTION_ALREADY_SETTLED", g.capture1(id, "C3", "0.01", 3, 3).text("reason"))
}

func TestTheCapOfRefundsIsThatOfEachCapture(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.MultiCapture, c.CapRefunds = true, true })
	id := g.pay(nil).id()
	first, second := g.capture1(id, "C1", "50.00", 1, 2).id(), g.capture1(id, "C2", "20.00", 2, 2).id()
	refund := func(of, amount string) answer {
		return g.post("/pts/v2/captures/"+of+"/refunds", amountBody("R", amount))
	}
	require.Equal(t, "INVALID_AMOUNT", refund(second, "20.01").text("reason"))
	require.Equal(t, 201, refund(first, "49.00").status)
	require.Equal(t, 201, refund(second, "20.00").status, "what went back of one is no matter to the other")
	require.Equal(t, "INVALID_AMOUNT", refund(second, "0.01").text("reason"))
	require.Equal(t, "INVALID_AMOUNT", refund(first, "1.01").text("reason"))
	require.Equal(t, "INVALID_AMOUNT", g.post("/pts/v2/payments/"+id+"/refunds", amountBody("R", "1.01")).text("reason"), "by the payment, all of them count")
	require.Equal(t, 201, refund(first, "1.00").status)
}

func TestWhatSeveralCapturesLeaveIsReleasedOnlyWhereThatIsSupported(t *testing.T) {
	for _, partial := range []bool{false, true} {
		g := newGateway(t, func(c *Config) { c.MultiCapture, c.PartialReversals = true, partial })
		id := g.pay(nil).id()
		require.Equal(t, 201, g.capture1(id, "C1", "50.00", 1, 2).status)
		a := g.reverse(id, "52.21")
		if !partial {
			require.Equal(t, "TRANSACTION_ALREADY_SETTLED", a.text("reason"))
			continue
		}
		require.Equal(t, 201, a.status)
		require.Equal(t, "EXCEEDS_AUTH_AMOUNT", g.capture1(id, "C2", "0.01", 2, 3).text("reason"), "nothing is held any more")
	}
}

func TestAVoidGivesNoHoldBackThatTheBankHasLetGo(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.MultiCapture = true })
	id := g.pay(nil).id()
	capture := g.capture1(id, "C1", "50.00", 1, 2).id()
	require.Equal(t, 201, g.control("POST", "/_sandbox/expire", map[string]any{"id": id}).status)
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.capture1(id, "C2", "1.00", 2, 3).text("reason"))
	require.Equal(t, "VOIDED", g.post("/pts/v2/captures/"+capture+"/voids", voidBody()).text("status"))
	held, captured, _ := g.balance("ORD-1001")
	require.Equal(t, [2]string{"0.00", "0.00"}, [2]string{held, captured})
	require.Equal(t, "AUTH_ALREADY_REVERSED", g.reverse(id, "50.00").text("reason"))
}
