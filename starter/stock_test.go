package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/journal"
)

// TestALevelThatComesFromTheFutureHoldsNothingUp: local time that is told as UTC, or a year that was mistyped, must not hide what is told after it.
func TestALevelThatComesFromTheFutureHoldsNothingUp(t *testing.T) {
	w := newWorld(t, nil)
	require.Equal(t, journal.InboxDelivered, w.told(t, stocked("1", "7", w.now.AddDate(1, 0, 0))).State)
	w.now = w.now.Add(time.Hour)
	require.Equal(t, journal.InboxDelivered, w.told(t, stocked("2", "5", w.now)).State)
	levels, err := w.store.Stock(t.Context(), "A100")
	require.NoError(t, err)
	require.Equal(t, "5", levels[0].Available.String())
}

// TestALevelThatIsPushedKeepsItsTime, though it was not read back.
func TestALevelThatIsPushedKeepsItsTime(t *testing.T) {
	w := newWorld(t, nil)
	require.Equal(t, journal.InboxDelivered, w.pushed(t, stocked("1", "7", changedAt)).State)
	levels, err := w.store.Stock(t.Context(), "A100")
	require.NoError(t, err)
	require.True(t, levels[0].At.Equal(changedAt), "%s", levels[0].At)
}
