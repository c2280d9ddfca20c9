package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/settlement"
)

// Where the clocks are put forward at midnight, the day before still ends with the night, its report is filed under the next date, and no moment is
// between two days.
func TestADayThatLacksItsFirstHour(t *testing.T) {
	santiago, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	for _, cutoff := range []settlement.Cutoff{{Zone: santiago, Hour: 24}, {Zone: santiago}, {Zone: santiago, Minute: 30}, {Zone: santiago, Hour: 17}} {
		var before period
		for i, date := range []string{"2026-09-04", "2026-09-05", "2026-09-06", "2026-09-07"} {
			p, err := periodOf(date, cutoff)
			require.NoError(t, err)
			require.Equal(t, []string{"2026-09-05", "2026-09-06", "2026-09-07", "2026-09-08"}[i], p.fileDate(), cutoff)
			require.True(t, p.opens.Before(p.closes))
			if i > 0 {
				require.Equal(t, before.end, p.begin)
				require.Equal(t, before.closes, p.opens)
			}
			before = p
		}
	}
}
