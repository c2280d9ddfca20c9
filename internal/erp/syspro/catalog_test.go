package syspro

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

func TestNearStockCodesAsksALittle(t *testing.T) {
	none := reply{status: 404, body: `{"Status":"Error","Errors":[{"Code":"STOCK_NOT_FOUND","Message":"not found"}]}`}
	t.Run("nothing near", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathStock: {none}})
		near, err := f.client(t).NearStockCodes(t.Context(), "WIDGET-LARGE-4711", "N", 3)
		require.NoError(t, err)
		require.Empty(t, near)
		calls := f.calls(pathStock)
		require.Len(t, calls, 3)
		for _, call := range calls {
			require.LessOrEqual(t, strings.Count(call.query, "StockCode="), spellingsPerPage)
			require.Contains(t, call.query, "Warehouse=N")
		}
	})
	t.Run("the first that are found", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathStock: ok(`{"Items":[
			{"StockCode":"A1000","Warehouses":[{"Warehouse":"N"}]},{"StockCode":"A100","Warehouses":[{"Warehouse":"S"}]},
			{"StockCode":"A10","Warehouses":[{"Warehouse":" n"}]},{"StockCode":"A107"}],"NotFound":["A1"]}`)})
		for _, c := range []struct {
			code, warehouse string
			limit           int
			want            []string
		}{
			{"A-100", "", 3, []string{"A100"}}, // written otherwise: the others are further away
			{"A-100", "N", 3, []string{"A10", "A1000"}},
			{"A-100", "N", 1, []string{"A10"}},
			{"A107-RED", "", 3, []string{"A107"}},
			{"A102", "", 3, []string{"A10"}},
		} {
			near, err := f.client(t).NearStockCodes(t.Context(), c.code, c.warehouse, c.limit)
			require.NoError(t, err)
			require.Equal(t, c.want, near, c.code)
		}
		require.Len(t, f.calls(pathStock), 5)
	})
	t.Run("an ERP that is down is no answer", func(t *testing.T) {
		f := newFacade(t, map[string][]reply{pathStock: {{status: http.StatusBadGateway}}})
		_, err := f.client(t).NearStockCodes(t.Context(), "A-100", "N", 3)
		require.True(t, fault.Is(err, fault.Connection), "%v", err)
	})
}

func TestNearCustomersAsksALittle(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathGetCustomer: {{status: 404, body: `{"Status":"Error","Errors":[{"Code":"CUSTOMER_NOT_FOUND","Message":"not found"}]}`}}})
	near, err := f.client(t).NearCustomers(t.Context(), erp.CustomerHint{Code: "CUST-0042", ExternalID: "X-1", Email: "ada@example.com", Name: "Ada"}, 3)
	require.NoError(t, err)
	require.Empty(t, near)
	var asked []string
	for _, call := range f.calls(pathGetCustomer) {
		asked = append(asked, call.query)
	}
	require.Len(t, asked, 3+maxCustomerCodes)
	require.Equal(t, []string{"ExternalId=X-1", "Email=ada%40example.com", "CustomerCode=CUST-0042"}, asked[:3])
	require.Contains(t, asked, "CustomerCode=CUST0042")
}

func TestOpenPeriodsAreMonths(t *testing.T) {
	f := newFacade(t, map[string][]reply{pathPeriodStatus: ok(`{"Modules":[
		{"Module":"GL","CurrentYear":2026,"CurrentPeriod":1,"Open":["C","P","B"]},
		{"Module":"AR","CurrentYear":2024,"CurrentPeriod":2,"Open":["C"]},
		{"Module":"AP","CurrentYear":2026,"CurrentPeriod":7,"Open":[]},
		{"Module":"INV","CurrentYear":2026,"CurrentPeriod":13,"Open":["P","C"]}]}`)})
	open, err := f.client(t).OpenPeriods(t.Context())
	require.NoError(t, err)
	require.Equal(t, []erp.Period{
		{Module: "GL", Year: 2025, Period: 11, First: "2025-11-01", Last: "2025-11-30"},
		{Module: "GL", Year: 2025, Period: 12, First: "2025-12-01", Last: "2025-12-31"},
		{Module: "GL", Year: 2026, Period: 1, First: "2026-01-01", Last: "2026-01-31", Current: true},
		{Module: "AR", Year: 2024, Period: 2, First: "2024-02-01", Last: "2024-02-29", Current: true},
		{Module: "INV", Year: 2026, Period: 12},
		{Module: "INV", Year: 2026, Period: 13, Current: true},
	}, open)
	require.True(t, open[3].Covers("2024-02-29"))
	require.False(t, open[3].Covers("2024-03-01"))
	require.False(t, open[4].Covers("2026-12-01"), "days that nobody told")
}
