package starter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// TestOurMemoIsOursHoweverItsReferenceIsWritten: columns are padded, and codes are kept in capital letters at some sites. A memo of ours that is not known
// as such would be refunded once more.
func TestOurMemoIsOursHoweverItsReferenceIsWritten(t *testing.T) {
	long := "WEB-2026-11-20-000000000000017" // of which a reference keeps a part
	for _, test := range []struct{ orderID, reference string }{
		{"A", "  refund:A/R-1:credit_memo:1 "},
		{"A", "REFUND:A/R-1:CREDIT_MEMO:1"},
		{"A", "ORDER:A:CREDIT_MEMO:1"},
		{long, erp.Reference(activities.OperationKey("refund", long+"/R-1", "credit_memo", 1))},
	} {
		w := newWorld(t, nil)
		w.paid(t, test.orderID, canonical.OrderConfirmed)
		item := w.told(t, memo(test.orderID, func(m *activities.MemoChange) { m.Reference = test.reference }))
		require.Equal(t, journal.InboxDelivered, item.State, test.reference)
		require.True(t, w.engine.inputs[1].(workflows.CreditMemoInput).Memo.Own, test.reference)
	}
}
