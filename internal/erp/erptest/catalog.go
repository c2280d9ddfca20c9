package erptest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// catalog skips the test for an adapter whose ERP can't be asked.
func (s *stage) catalog(t *testing.T) (erp.Catalog, erp.Catalog) {
	t.Helper()
	catalog, has := s.Port.(erp.Catalog)
	if !has {
		t.Skip("this adapter has no catalogue")
	}
	unreachable, has := s.Unreachable.(erp.Catalog)
	require.True(t, has)
	return catalog, unreachable
}

// slips are ways in which people get a code wrong.
var slips = map[string]func(code string) string{
	"a separator":        func(code string) string { return code[:1] + "-" + code[1:] },
	"blanks":             func(code string) string { return " " + code[:1] + " " + code[1:] },
	"one too many":       func(code string) string { return code[:1] + code },
	"the last one twice": func(code string) string { return code + code[len(code)-1:] },
	"two swapped":        func(code string) string { return code[1:2] + code[:1] + code[2:] },
	"a variant":          func(code string) string { return code + "-BLUE" },
}

func (s *stage) testNearStockCodes(t *testing.T) {
	catalog, unreachable := s.catalog(t)
	ctx, wanted := s.ctx(t), s.Company.StockCode
	for name, slip := range slips {
		for _, warehouse := range []string{"", s.Company.Warehouse} {
			near, err := catalog.NearStockCodes(ctx, slip(wanted), warehouse, 5)
			require.NoError(t, err)
			require.Contains(t, near, wanted, "%s: %s", name, slip(wanted))
			require.LessOrEqual(t, len(near), 5)
			s.requireKnown(t, near)
		}
	}
	near, err := catalog.NearStockCodes(ctx, slips["a separator"](wanted), s.name("W"), 5)
	require.NoError(t, err)
	require.Empty(t, near, "nothing is kept in a warehouse that there is not")
	near, err = catalog.NearStockCodes(ctx, s.name("NOTHINGLIKEIT"), "", 5)
	require.NoError(t, err)
	require.Empty(t, near)
	near, err = catalog.NearStockCodes(ctx, "", "", 5)
	require.NoError(t, err)
	require.Empty(t, near)
	_, err = unreachable.NearStockCodes(ctx, wanted+"X", "", 5)
	requireKind(t, err, fault.Connection)
}

// requireKnown: an answer is what the ERP holds, never a guess.
func (s *stage) requireKnown(t *testing.T, codes []string) {
	t.Helper()
	balances, err := s.Port.Stock(s.ctx(t), erp.StockQuery{StockCodes: codes})
	require.NoError(t, err)
	for _, balance := range balances {
		require.True(t, balance.Known, balance.StockCode)
	}
}

func (s *stage) testNearCustomers(t *testing.T) {
	catalog, unreachable := s.catalog(t)
	ctx := s.ctx(t)
	wanted := Customer{Code: s.customerCode(), ExternalID: s.name("X"), Email: s.name("mail") + "@example.com", Name: "Ada Park", Currency: s.Company.Currency}
	_, err := s.Port.PutCustomer(ctx, s.key(), s.Documents.Customer(wanted))
	require.NoError(t, err)
	for name, hint := range map[string]erp.CustomerHint{
		"shop's id":      {ExternalID: wanted.ExternalID},
		"e-mail address": {Email: wanted.Email},
		"code":           {Code: wanted.Code},
		"code misspelt":  {Code: wanted.Code[:3] + "-" + wanted.Code[3:]},
		"all":            {Code: wanted.Code, ExternalID: wanted.ExternalID, Email: wanted.Email, Name: wanted.Name},
	} {
		near, err := catalog.NearCustomers(ctx, hint, 3)
		require.NoError(t, err, name)
		require.Len(t, near, 1, name)
		require.Equal(t, wanted.Code, near[0].Code, name)
		require.Equal(t, wanted.Currency, near[0].Currency, name)
	}
	near, err := catalog.NearCustomers(ctx, erp.CustomerHint{ExternalID: wanted.ExternalID, Code: s.Company.Customer}, 1)
	require.NoError(t, err)
	require.Len(t, near, 1, "no more than asked for")
	require.Equal(t, wanted.Code, near[0].Code, "the shop's id tells most")

	twin := Customer{Code: s.customerCode(), ExternalID: s.name("X"), Email: wanted.Email, Name: "Ada Park", Currency: s.Company.Currency}
	_, err = s.Port.PutCustomer(ctx, s.key(), s.Documents.Customer(twin))
	require.NoError(t, err)
	near, err = catalog.NearCustomers(ctx, erp.CustomerHint{Email: wanted.Email}, 3)
	require.NoError(t, err)
	require.NotEqual(t, 1, len(near), "an address of two is not one of them")

	for _, nobody := range []erp.CustomerHint{{}, {Name: "Nobody"}, {Code: s.customerCode(), ExternalID: s.name("X"), Email: s.name("m") + "@example.com"}} {
		near, err := catalog.NearCustomers(ctx, nobody, 3)
		require.NoError(t, err)
		require.Empty(t, near)
	}
	_, err = unreachable.NearCustomers(ctx, erp.CustomerHint{ExternalID: wanted.ExternalID}, 3)
	requireKind(t, err, fault.Connection)
}

func (s *stage) testOpenPeriods(t *testing.T) {
	catalog, unreachable := s.catalog(t)
	ctx := s.ctx(t)
	covered := func() bool {
		open, err := catalog.OpenPeriods(ctx)
		require.NoError(t, err)
		for i, period := range open {
			require.NotEmpty(t, period.Module)
			require.Positive(t, period.Period)
			require.LessOrEqual(t, period.First, period.Last)
			if i > 0 && open[i-1].Module == period.Module {
				require.Less(t, open[i-1].Last, period.First, "the oldest first")
			}
		}
		return slices.ContainsFunc(open, func(p erp.Period) bool { return p.Module == "AR" && p.Covers(s.Company.Today) })
	}
	require.True(t, covered(), "the suite posts today")
	if s.ClosePeriod != nil {
		reopen := s.ClosePeriod(t)
		defer reopen()
		require.False(t, covered())
	}
	_, err := unreachable.OpenPeriods(ctx)
	requireKind(t, err, fault.Connection)
}
