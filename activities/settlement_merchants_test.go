package activities_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/settlement"
)

// The reports of an organization show all of its merchants: each settles its own rows, and no others.
func TestADaySettlesTheRowsOfItsMerchant(t *testing.T) {
	s := newSettling(t)
	s.sell(t, "11.00", "USD")
	s.settle(t, s.today(), nil)
	s.steps.Wanted = s.steps.Wanted[:1]
	s.steps.Reports = rewriting{s.steps.Reports, map[string]func(string) string{batchFile: func(file string) string {
		lines := strings.SplitAfter(strings.TrimRight(file, "\r\n")+"\n", "\n")
		own := lines[len(lines)-2]
		return strings.Join(lines, "") + strings.ReplaceAll(strings.ReplaceAll(own, merchant, "other_mid"), ",7", ",8")
	}}}
	s.policy.Mismatch = settlement.PolicySuspense
	require.Contains(t, strings.Join(differencesOf(t, s), " "), "unknown_row", "of an account's own reports every row counts")
	s.steps.Merchants = []string{merchant, "organization"}
	require.Empty(t, differencesOf(t, s))
	require.Contains(t, s.file(t, s.today(), "html"), "1 of other merchants left out")
}

func differencesOf(t *testing.T, s *settling) []string {
	t.Helper()
	in := s.input(s.today())
	in.DryRun = true
	must(t, s.bank, s.steps.ReconcileDay, in)
	return s.differences(t, s.today())
}
