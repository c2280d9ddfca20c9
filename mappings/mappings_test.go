package mappings_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/mappings"
)

func load(t testing.TB) *mappings.Set {
	t.Helper()
	set, err := mappings.Load(mappings.Options{})
	require.NoError(t, err)
	return set
}

// TestTheTestsBesideTheMappings runs the *_test.yaml files.
func TestTheTestsBesideTheMappings(t *testing.T) {
	for _, result := range load(t).RunTests() {
		t.Run(result.Mapping+"/"+result.Name, func(t *testing.T) {
			require.True(t, result.Passed(), "%s:%d: %s", result.File, result.Line, result.Failure)
		})
	}
}

// TestExamples holds the overlays that documentation leads to: they load, and every test of theirs and of the files below passes.
func TestExamples(t *testing.T) {
	overlays, err := filepath.Glob("../examples/*/mappings")
	require.NoError(t, err)
	require.NotEmpty(t, overlays)
	for _, dir := range overlays {
		set, err := mappings.Load(mappings.Options{OverlayDir: dir})
		require.NoError(t, err)
		for _, result := range set.RunTests() {
			require.True(t, result.Passed(), "%s:%d: %s: %s", result.File, result.Line, result.Name, result.Failure)
		}
	}
}

func TestReceipt(t *testing.T) {
	m, err := load(t).Mapping("syspro/receipt")
	require.NoError(t, err)
	in := mappings.Input{
		Order:    canonical.Order{OrderID: "WEB-10001", Currency: "USD"},
		Payment:  canonical.Payment{Captured: decimal.RequireFromString("48.19"), Currency: "USD", CaptureID: "7031234567890123456789", CardType: "001"},
		Customer: mappings.CustomerRef{Code: "CUST0042"}, Invoice: canonical.Invoice{Number: "200069", Total: decimal.RequireFromString("48.19")},
		Date: "2026-11-20",
	}
	doc, err := m.Apply(in)
	require.NoError(t, err)
	require.Equal(t, `{"PaymentReference":"7031234567890123456789","CustomerCode":"CUST0042","PaymentDate":"2026-11-20","Amount":48.19,"Currency":"USD",`+
		`"BankCode":"CYBCLR","PaymentMethodCode":"VISA","PaymentType":"Receipt","Allocations":[{"InvoiceNumber":"200069","Amount":48.19,"DiscountAmount":0.00}],`+
		`"UnappliedAmount":0.00,"BankChargeAmount":0.00,"Narration":"WEB-10001","TransactionId":"7031234567890123456789"}`, string(doc.Body))
}

// requireBalanced holds a journal to its debits and credits.
func requireBalanced(t require.TestingT, body []byte) {
	var journal struct {
		Lines []struct{ Debit, Credit decimal.Decimal }
	}
	require.NoError(t, json.Unmarshal(body, &journal))
	sum := decimal.Zero
	for _, line := range journal.Lines {
		require.False(t, line.Debit.IsNegative() || line.Credit.IsNegative())
		require.NotEqual(t, line.Debit.IsZero(), line.Credit.IsZero(), "a line has one side")
		sum = sum.Add(line.Debit).Sub(line.Credit)
	}
	require.GreaterOrEqual(t, len(journal.Lines), 2)
	require.True(t, sum.IsZero())
}
