package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
)

// pushed brings a change into the inbox and delivers it at once, as it was made, without having read it back.
func (w *world) pushed(t *testing.T, change activities.Change) journal.InboxItem {
	t.Helper()
	item, err := activities.ChangeEvent("syspro", change)
	require.NoError(t, err)
	_, err = w.store.Receive(t.Context(), item)
	require.NoError(t, err)
	require.NoError(t, w.Deliver(t.Context(), item))
	item, err = w.store.Event(t.Context(), item.ID)
	require.NoError(t, err)
	return item
}

// TestAHoldThatIsPushedAfterTheReviewIsSomebodyElses: what is delivered at once was received now, not before every review.
func TestAHoldThatIsPushedAfterTheReviewIsSomebodyElses(t *testing.T) {
	w := newWorld(t, nil)
	w.accepted(t, canonical.OrderConfirmed)
	w.now = w.now.Add(time.Hour)
	require.Equal(t, journal.InboxAttention, w.pushed(t, standing("held")).State)
}
