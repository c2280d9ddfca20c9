package sagepro_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
)

func TestNearStockCodes(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for written, want := range map[string][]string{
			"A-100": {"A100"}, "a100": {"A100"}, "A1OO": nil, "A10O": {"A100"}, "A100-BLUE": {"A100"}, "A1000": {"A100"}, "WIDGET-LARGE-4711-OF-MORE": nil, "": nil,
		} {
			near, err := d.NearStockCodes(t.Context(), written, "", 3)
			require.NoError(t, err)
			require.Equal(t, want, nothingAsNil(near), written)
		}
		near, err := d.NearStockCodes(t.Context(), "A400", "", 2)
		require.NoError(t, err)
		require.Len(t, near, 2, "no more than asked for")
		near, err = d.NearStockCodes(t.Context(), "B-100", "S", 3)
		require.NoError(t, err)
		require.Empty(t, near, "it is not kept there")
		near, err = d.NearStockCodes(t.Context(), "A-100", "S", 3)
		require.NoError(t, err)
		require.Equal(t, []string{"A100"}, near)
	})
}

func nothingAsNil(codes []string) []string {
	if len(codes) == 0 {
		return nil
	}
	return codes
}

func TestNearCustomers(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.Post(t, "customers", paper{"CustomerCode": "C0042", "Name": "Ada Park", "Email": "Ada@example.com"}, nil)
		codes := func(hint erp.CustomerHint, limit int) []string {
			found, err := d.NearCustomers(t.Context(), hint, limit)
			require.NoError(t, err)
			var all []string
			for _, each := range found {
				all = append(all, each.Code)
			}
			return all
		}
		require.Equal(t, []string{"C0042"}, codes(erp.CustomerHint{Email: "ada@EXAMPLE.com"}, 3))
		require.Equal(t, []string{"C0042"}, codes(erp.CustomerHint{Code: "c-0042"}, 3))
		require.Equal(t, []string{"C0042", "WEB"}, codes(erp.CustomerHint{Email: "ada@example.com", Code: "web"}, 3))
		require.Equal(t, []string{"C0042"}, codes(erp.CustomerHint{Email: "ada@example.com", Code: "WEB"}, 1))
		require.Empty(t, codes(erp.CustomerHint{Name: "Ada Park"}, 3), "nobody is found by name")
		d.Post(t, "customers", paper{"CustomerCode": "C0043", "Name": "Ada Park", "Email": "ada@example.com"}, nil)
		require.Empty(t, codes(erp.CustomerHint{Email: "ada@example.com"}, 3), "an address of two is not one of them")
	})
}

func TestOpenPeriods(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		open, err := d.OpenPeriods(t.Context())
		require.NoError(t, err)
		current := map[string]int{}
		for i, period := range open {
			require.Contains(t, []string{"AP", "AR", "GL"}, period.Module)
			if i > 0 && open[i-1].Module == period.Module {
				require.Less(t, open[i-1].Last, period.First, "the oldest first")
			}
			if period.Current {
				current[period.Module]++
				require.True(t, period.Covers(time.Now().UTC().Format(time.DateOnly)))
			}
		}
		require.Equal(t, map[string]int{"AP": 1, "AR": 1, "GL": 1}, current)

		// Another company's periods are none of this one's.
		d.set(t, "INSERT INTO sycperd (sysid, glyear, glperiod, startdt, enddt, isopen) VALUES ('AR02', 2020, 1, '2020-01-01', '2020-01-31', 'Y')")
		again, err := d.OpenPeriods(t.Context())
		require.NoError(t, err)
		require.Equal(t, open, again)
	})
}
