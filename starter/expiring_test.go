package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
)

// expiring gives the orders of whose authorizations operators are told.
func (w *world) expiring(t *testing.T) []string {
	t.Helper()
	due, err := w.store.DueNotices(t.Context(), w.now.Add(time.Hour), 100)
	require.NoError(t, err)
	var orders []string
	for _, notice := range due {
		if notice.Kind == starter.NoticeAuthorizationExpiring {
			require.Equal(t, journal.AudienceOperator, notice.Audience)
			orders = append(orders, notice.OrderID)
		}
	}
	return orders
}

func TestSomebodyIsToldBeforeAnAuthorizationRunsOut(t *testing.T) {
	w := newWorld(t, map[string]string{"TENDERLINE_POLICY_AUTHORIZATION_LIFE": "168h"})
	for _, test := range []struct {
		id      string
		capture canonical.CapturePolicy
		status  canonical.OrderStatus
		effect  journal.Effect
	}{
		{"WAITS", canonical.CaptureOnShipment, canonical.OrderConfirmed, journal.EffectAuthorize},
		{"CAPTURED", canonical.CaptureOnShipment, canonical.OrderConfirmed, journal.EffectSale},
		{"IN-REVIEW", canonical.CaptureOnShipment, canonical.OrderInReview, journal.EffectAuthorize},
		{"AT-ONCE", canonical.CaptureImmediate, canonical.OrderConfirmed, journal.EffectAuthorize},
	} {
		order := goods(test.id)
		order.Payment.Capture = test.capture
		_, _, err := w.SubmitOrder(t.Context(), order)
		require.NoError(t, err)
		w.moved(t, test.effect, test.id, "48.19")
		require.NoError(t, w.store.RecordProgress(t.Context(), journal.Progress{OrderID: test.id, Seq: 1, Status: test.status}))
	}
	_, err := w.Sweep(t.Context())
	require.NoError(t, err)
	require.Empty(t, w.expiring(t), "it has days left")

	w.now = w.now.Add(144*time.Hour + time.Minute)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"WAITS"}, w.expiring(t))

	w.now = w.now.Add(2 * time.Hour)
	_, err = w.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"WAITS"}, w.expiring(t), "once, however often it is looked at")
}
