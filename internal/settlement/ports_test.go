package settlement_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/settlement"
)

// A day begins at midnight, where there is one.
func TestWhenADayBegins(t *testing.T) {
	for zone, days := range map[string]map[string]string{
		"UTC":              {"2026-11-20": "2026-11-20T00:00:00Z"},
		"America/New_York": {"2026-03-08": "2026-03-08T00:00:00-05:00", "2026-03-09": "2026-03-09T00:00:00-04:00"},
		"America/Santiago": {"2026-09-05": "2026-09-05T00:00:00-04:00", "2026-09-06": "2026-09-06T01:00:00-03:00", "2026-09-07": "2026-09-07T00:00:00-03:00"},
		"Atlantic/Azores":  {"2026-03-29": "2026-03-29T01:00:00Z"},
		"Africa/Cairo":     {"2026-04-24": "2026-04-24T01:00:00+03:00"},
	} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		for day, want := range days {
			date, err := time.Parse(time.DateOnly, day)
			require.NoError(t, err)
			require.Equal(t, want, settlement.Begins(date, location).Format(time.RFC3339), zone)
		}
	}
}
