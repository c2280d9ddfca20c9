package sagepro_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/fault"
)

// rated makes a company whose table holds what a test puts there.
func rated(t *testing.T, d *desk, rows ...[3]string) {
	t.Helper()
	d.set(t, "DELETE FROM sycrate")
	for _, row := range rows {
		d.set(t, "INSERT INTO sycrate (currid, ratedate, rate) VALUES ('"+row[0]+"', '"+row[1]+"', '"+row[2]+"')")
	}
}

func rate(from, value, date string) erp.Rate {
	return erp.Rate{From: from, To: "USD", Rate: decimal.RequireFromString(value), Date: date}
}

// requireRates compares rates whatever zeros the database writes behind them.
func requireRates(t *testing.T, want, got []erp.Rate) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, want[i].Rate.Equal(got[i].Rate), "%v, not %v", got[i], want[i])
		got[i].Rate = want[i].Rate
	}
	require.Equal(t, want, got)
}

func TestTheLastRateOfEachCurrencyIsGiven(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		rated(t, d, [3]string{"EUR", "2026-07-01", "1.08"}, [3]string{"EUR", "2026-07-20", "1.0812"}, [3]string{"EUR", "2026-07-29", "1.09"},
			[3]string{"JPY", "2026-01-02", "0.006512"}, [3]string{"USD", "2026-01-02", "1"}, // its own: no rate
			[3]string{"GBP", "2026-07-29", "1.27"},                                      // not known yet
			[3]string{"CAD", "2026-07-01", "0.73"}, [3]string{"CAD", "2026-07-02", "0"}) // not kept any more
		got, err := d.ExchangeRates(t.Context(), "usd", "2026-07-28")
		require.NoError(t, err)
		requireRates(t, []erp.Rate{rate("EUR", "1.0812", "2026-07-20"), rate("JPY", "0.006512", "2026-01-02")}, got)
		got, err = d.ExchangeRates(t.Context(), "USD", "2025-12-31")
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

func TestRatesThatAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		rated(t, d, [3]string{"EUR", "2026-07-01", "1.08"})
		_, err := d.ExchangeRates(t.Context(), "EUR", "2026-07-28")
		requireFault(t, err, fault.Value, "CURRENCY_MISMATCH")
		_, err = d.ExchangeRates(t.Context(), "USD", "28.07.2026")
		requireFault(t, err, fault.Value, "INVALID_FIELD")

		// A site's own table may lack the key.
		d.set(t, "ALTER TABLE sycrate RENAME TO sycrate_old")
		d.set(t, "CREATE TABLE sycrate AS SELECT * FROM sycrate_old UNION ALL SELECT * FROM sycrate_old")
		_, err = d.ExchangeRates(t.Context(), "USD", "2026-07-28")
		requireFault(t, err, fault.Conflict, "AMBIGUOUS_REFERENCE")
	})
}

func TestASiteMayKeepNoRates(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		none := d.client(t, func(c *sagepro.Config) { c.Names.Tables = map[string]string{"sycrate": ""} })
		_, err := none.ExchangeRates(t.Context(), "USD", "2026-07-28")
		f := requireFault(t, err, fault.NotFound, "NO_RATES")
		require.Equal(t, "the site keeps no exchange rates", f.Message)

		rated(t, d, [3]string{"EUR", "2026-07-01", "1.08"})
		d.set(t, "ALTER TABLE sycrate RENAME COLUMN rate TO usdprice")
		d.set(t, "ALTER TABLE sycrate RENAME TO currates")
		unnamed := d.client(t)
		require.NoError(t, unnamed.Check(t.Context()), "nobody needs the table to book orders")
		_, err = unnamed.ExchangeRates(t.Context(), "USD", "2026-07-28")
		requireFault(t, err, fault.NotFound, "NO_RATES")
		d.set(t, "CREATE VIEW sycrate AS SELECT currid, ratedate, usdprice AS rate FROM currates")
		got, err := unnamed.ExchangeRates(t.Context(), "USD", "2026-07-28")
		require.NoError(t, err, "it is there now, and nothing has to be started anew")
		requireRates(t, []erp.Rate{rate("EUR", "1.08", "2026-07-01")}, got)

		named := d.client(t, func(c *sagepro.Config) {
			c.Names.Tables = map[string]string{"sycrate": "currates"}
			c.Names.Columns = map[string]map[string]string{"sycrate": {"rate": "usdprice"}}
		})
		require.NoError(t, named.Check(t.Context()))
		got, err = named.ExchangeRates(t.Context(), "USD", "2026-07-28")
		require.NoError(t, err)
		requireRates(t, []erp.Rate{rate("EUR", "1.08", "2026-07-01")}, got)
	})
}
