package activities_test

import (
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// Whatever pieces an order is paid back in, and whichever answers are lost on the way: the money at the gateway is what the journal says,
// and the ERP's clearing account holds exactly that, with nothing left open on the customer's account.
func TestGatewayJournalAndErpAgreeAfterAnyRefunds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bank, books := newBank(t), newBooks(t, "A100", "2")
		order := paid(t, bank, rapid.Bool().Draw(rt, "by sale"))
		require.Equal(rt, order.Total.String(), books.order.Total.String())
		sold := books.sell(t, false)
		invoice := books.invoice(t, sold.Number)
		books.receive(t, sold.Number, invoice.Number)
		if rapid.Bool().Draw(rt, "batched") {
			bank.closeBatch(rt)
		}
		left := order.Total
		var earlier []canonical.RefundBreakdown
		for i, cents := range rapid.SliceOfN(rapid.Int64Range(1, 6000), 1, 4).Draw(rt, "cents") {
			amount := decimal.New(cents, -2)
			if rapid.Bool().Draw(rt, "the rest") && left.IsPositive() {
				amount = left
			}
			loseAnswer(rt, bank, books)
			id := fmt.Sprintf("R-%d", i)
			plan, undone := payBack(rt, bank, id, amount.StringFixed(2))
			if amount.GreaterThan(left) {
				require.Equal(rt, activities.WayNone, plan.Way, "more than is left")
				continue
			}
			require.Equal(rt, activities.UndoDone, undone.Result)
			in := books.wished(t, id, plan.Way, sold.Number, invoice.Number, earlier, canonical.RefundWish{Amount: &amount})
			books.book(t, in)
			earlier, left = append(earlier, in.Breakdown), left.Sub(amount)
		}
		bank.healed(rt)
		bank.requireJournal(rt, order.OrderID)
		sums := bank.server.Balances(order.OrderID)[0]
		require.Equal(rt, left.StringFixed(2), sums.Captured.Sub(sums.Refunded).StringFixed(2), "the gateway's money")
		accounts := books.accounts(t)
		require.Equal(rt, left.StringFixed(2), balanceOf(accounts, "1050"), "the ERP's clearing account")
		require.Equal(rt, "0.00", balanceOf(accounts, "1200"), "nothing stays open")
	})
}

// loseAnswer makes one of the next calls to gateway or ERP go unanswered, after it was carried out.
func loseAnswer(rt *rapid.T, bank *bank, books *books) {
	bank.healed(rt)
	switch at := rapid.SampledFrom([]string{"", "refunds", "voids", "reversals", "AddCreditMemo", "AddARPayment"}).Draw(rt, "lost"); at {
	case "":
	case "refunds":
		bank.broken(rt, "POST /pts/v2/captures/*/refunds", "drop_after", 1)
		bank.broken(rt, "POST /pts/v2/payments/*/refunds", "drop_after", 1)
	case "voids":
		bank.broken(rt, "POST /pts/v2/captures/*/voids", "drop_after", 1)
		bank.broken(rt, "POST /pts/v2/payments/*/voids", "drop_after", 1)
	case "reversals":
		bank.broken(rt, "POST /pts/v2/payments/*/reversals", "drop_after", 1)
	case "AddCreditMemo":
		books.broken(rt, "POST /APIServices/CreditMemoService/AddCreditMemo")
	case "AddARPayment":
		books.broken(rt, "POST /APIServices/ARPaymentService/AddARPayment")
	}
}

// broken makes the ERP carry a call out and not answer it, once.
func (b *books) broken(t tb, route string) {
	postJSON(t, b.url+"/_sandbox/faults", map[string]any{"route": route, "mode": "drop_after", "times": 1})
}

// balanceOf is an account's balance; one that is not there is zero.
func balanceOf(accounts map[string]string, code string) string {
	if balance, found := accounts[code]; found {
		return balance
	}
	return "0.00"
}
