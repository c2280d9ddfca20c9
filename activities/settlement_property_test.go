package activities_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/settlement"
)

// bounded runs a property so many times at most: each run is whole days of a gateway and a database.
func bounded(t *testing.T, most int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if wanted, err := strconv.Atoi(before); err == nil && wanted > most {
		require.NoError(t, checks.Value.Set(strconv.Itoa(most)))
		t.Cleanup(func() { require.NoError(t, checks.Value.Set(before)) })
	}
}

// generated is a day as it was made up, with what its report has to name.
type generated struct {
	plants      map[string][]any
	extra       int
	differences []string
	clearing    map[string]decimal.Decimal // by currency: what the receipts of the rows that came put into the clearing account
}

// row makes up one sale or refund, and what its report row looks like.
func (g *generated) row(rt *rapid.T, s *settling) {
	currency := rapid.SampledFrom([]string{"USD", "USD", "EUR", "JPY"}).Draw(rt, "currency")
	places, err := canonical.MinorUnits(currency)
	require.NoError(rt, err)
	amount := decimal.New(rapid.Int64Range(300, 90_000).Draw(rt, "units"), -places) // beyond the stand-in's triggers
	orderID, transaction := s.sell(rt, canonical.FormatAmount(amount, currency), currency)
	back := ""
	if rapid.IntRange(0, 3).Draw(rt, "refund") == 0 {
		part := decimal.New(rapid.Int64Range(1, 299).Draw(rt, "part"), -places)
		back = s.giveBack(rt, orderID, "R-1", canonical.FormatAmount(part, currency), currency)
		g.clearing[currency] = g.clearing[currency].Sub(part)
	}
	plant := rapid.SampledFrom([]string{"", "", "missing", "amountOff", "duplicate"}).Draw(rt, "plant")
	if back != "" && plant != "duplicate" {
		plant = ""
	}
	switch plant {
	case "missing":
		g.differences = append(g.differences, "missing_row "+transaction)
		g.plants[plant] = append(g.plants[plant], transaction)
		return
	case "amountOff":
		by := decimal.New(rapid.Int64Range(-299, 500).Filter(func(n int64) bool { return n != 0 }).Draw(rt, "by"), -places)
		g.differences = append(g.differences, "amount_differs "+transaction)
		g.plants[plant] = append(g.plants[plant], map[string]any{"id": transaction, "by": canonical.FormatAmount(by, currency)})
	case "duplicate":
		g.differences = append(g.differences, "duplicate "+transaction)
		g.plants[plant] = append(g.plants[plant], transaction)
	}
	g.clearing[currency] = g.clearing[currency].Add(amount)
}

// order is the body of the stand-in's settle call.
func (g *generated) order() map[string]any {
	order := map[string]any{"extra": g.extra}
	for plant, rows := range g.plants {
		order[plant] = rows
	}
	return order
}

// Whatever the day, from the gateway's reports to the journals that are kept: they balance and equal the ledger, the report names exactly
// what was planted, the same day again plans nothing, and a whole report made later leads to what a clean day would have posted.
func TestAnyDayFromTheReportsToTheLedger(t *testing.T) {
	bounded(t, 12)
	s := newSettling(t)
	s.policy.Mismatch = settlement.PolicySuspense
	s.policy.Tolerance = nil
	s.steps.Window = 36 * time.Hour // what another run left unsettled is not told of
	rapid.Check(t, func(rt *rapid.T) {
		s.clock.Advance(96 * time.Hour)
		date := s.today()
		g := &generated{plants: map[string][]any{}, clearing: map[string]decimal.Decimal{}, extra: rapid.IntRange(0, 2).Draw(rt, "extra")}
		for range rapid.IntRange(1, 6).Draw(rt, "orders") {
			g.row(rt, s)
		}
		s.policy.Fees = rapid.SampledFrom([]settlement.FeePolicy{settlement.FeesInJournal, settlement.FeesAsInvoice}).Draw(rt, "fees")
		s.settle(rt, date, g.order())
		day := s.settled(rt, date)

		found := s.differences(rt, date)
		require.Len(rt, found, len(g.differences)+g.extra)
		named := slices.DeleteFunc(slices.Clone(found), func(d string) bool { return strings.HasPrefix(d, "unknown_row 9") })
		slices.Sort(g.differences)
		require.Equal(rt, fmt.Sprint(g.differences), fmt.Sprint(named))
		s.requireClearing(rt, date, g.clearing)
		require.Empty(rt, s.reconcile(rt, date).Plans, "the same day again: %s", day.Why)

		for _, missing := range g.plants["missing"] {
			id := missing.(string) //nolint:forcetypeassert // row puts nothing else there
			for _, sale := range s.booked("sale") {
				if sale.ID == id {
					g.clearing[sale.Currency] = g.clearing[sale.Currency].Add(dec(sale.Amount))
				}
			}
		}
		s.settle(rt, date, nil)
		s.settled(rt, date)
		require.Empty(rt, s.differences(rt, date))
		s.requireClearing(rt, date, g.clearing)
		for account, sum := range s.books(rt, date) {
			require.NotContains(rt, account, "1999", "a clean day leaves nothing in suspense: %s", sum)
		}
		require.Empty(rt, s.reconcile(rt, date).Plans)
	})
}

// requireClearing: what is posted empties the clearing account of what the receipts put there.
func (s *settling) requireClearing(t tb, date string, want map[string]decimal.Decimal) {
	t.Helper()
	books := s.books(t, date)
	for currency, sum := range want {
		got := books[currency+" 1050"]
		if sum.IsZero() {
			require.Empty(t, got, currency)
			continue
		}
		require.Equal(t, canonical.FormatAmount(sum.Neg(), currency), got, currency)
	}
}
