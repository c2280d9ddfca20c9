package samples

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
)

func amounts(values map[string]string) map[string]decimal.Decimal {
	sums := map[string]decimal.Decimal{}
	for account, value := range values {
		sums[account] = decimal.RequireFromString(value)
	}
	return sums
}

func TestADayIsExpectedAsTheGatewaysLedgerHasIt(t *testing.T) {
	got := expected(world.Settled{
		Transactions: []world.Transaction{
			{Kind: "sale", Amount: decimal.RequireFromString("100.00")}, {Kind: "refund", Amount: decimal.RequireFromString("40.00")},
		},
		Disputes: []world.Dispute{
			{Action: "open", Moved: decimal.RequireFromString("-25.00"), Fee: decimal.RequireFromString("15.00")},
			{Action: "won", Moved: decimal.RequireFromString("5.00")},
			{Action: "lost"},
		},
	})
	// 1.51 + 0.20 + 0.15 of the sale, 0.05 of the refund; the bank has what is left over.
	want := amounts(map[string]string{"1050": "-65.00", "6100": "1.91", "1210": "25.00", "6120": "15.00", "1010": "23.09"})
	require.NoError(t, sameSums("the day", want, got))
}

func TestEachAccountThatDiffersIsNamed(t *testing.T) {
	want := amounts(map[string]string{"1010": "1.00", "1050": "-1.00"})
	require.NoError(t, sameSums("the day", want, amounts(map[string]string{"1050": "-1", "1010": "1.0"})))
	require.EqualError(t, sameSums("the day", want, amounts(map[string]string{"1010": "1.00", "6100": "-1.00"})),
		"the day: account 1050 has 0.00, expected -1.00; account 6100 has -1.00, expected 0.00")
}

func TestJudgeTakesAsManyCapturesAsThereShouldBe(t *testing.T) {
	evidence := good()
	evidence.Money.Live = 2
	want := confirmed()
	want.Captures = 2
	require.Empty(t, Judge(want, evidence))
	evidence.Money.Live = 3
	require.Contains(t, Judge(want, evidence), "the gateway has 3 live authorizations or captures")
}

func TestWhatDisputesLeaveIsWhereTheDayIsPosted(t *testing.T) {
	syspro, sagepro := world.Syspro(""), world.Sagepro("")
	books := &Books{World: &world.World{ERP: sagepro}, Sold: []world.ERP{syspro, sagepro}}
	require.NoError(t, sameSums("", amounts(map[string]string{"1010": "96.38", "6110": "96.38", "1210": "-192.76"}), books.leftIn(sagepro)))
	require.Empty(t, books.leftIn(syspro))
	before, after := amounts(map[string]string{"1010": "1.00", "1050": "2.00"}), amounts(map[string]string{"1010": "1.00", "6110": "5.00"})
	require.NoError(t, sameSums("", amounts(map[string]string{"1050": "-2.00", "6110": "5.00"}), less(after, before)))
}
