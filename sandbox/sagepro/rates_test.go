package sagepro

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestRatesAreKept: a new company knows what currencies cost in the weeks before, and people write down what they cost from a day on.
func TestRatesAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		rates := func(currency, date string) []amount {
			var found []amount
			require.NoError(t, c.client.SelectContext(t.Context(), &found,
				c.client.Rebind("SELECT rate FROM sycrate WHERE currid = ? AND ratedate = ?"), currency, date))
			return found
		}
		today := c.clock.Now().Format(time.DateOnly)
		for currency := range firstRates {
			require.Len(t, rates(currency, today), 1, currency)
		}
		require.Len(t, rates("EUR", c.clock.Now().AddDate(0, 0, -7*(weeksOfRates-1)).Format(time.DateOnly)), 1)

		require.Equal(t, "1.081235", c.post("rates", object{"Currency": "eur", "Rate": "1.0812345"})["Rate"])
		require.Equal(t, "1.081235", rates("EUR", today)[0].String(), "in place of the other one")
		c.post("rates", object{"Currency": "SEK", "Date": "2026-07-01", "Rate": json.Number("0.0921")})
		require.Equal(t, "0.0921", rates("SEK", "2026-07-01")[0].Truncate(4).String())
		for name, refused := range map[string]object{
			"none":            {"Currency": "EUR"},
			"below zero":      {"Currency": "EUR", "Rate": -1},
			"nearly nothing":  {"Currency": "EUR", "Rate": json.Number("0.0000001")},
			"its own":         {"Currency": "USD", "Rate": 1},
			"no currency":     {"Currency": "euro", "Rate": 1},
			"no date":         {"Currency": "EUR", "Rate": 1, "Date": "28.07.2026"},
			"not a number":    {"Currency": "EUR", "Rate": "1e3"},
			"unknown members": {"Currency": "EUR", "Rate": 1, "To": "USD"},
		} {
			status, _ := c.call(http.MethodPost, "rates", refused)
			require.Equal(t, http.StatusBadRequest, status, name)
		}
	})
}
