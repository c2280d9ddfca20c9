package activities_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/journal"
)

// TestOurMemoFindsItsRefundHoweverItsReferenceIsWritten: columns are padded, and codes are kept in capital letters at some sites. A memo whose refund is
// not found would never be acknowledged.
func TestOurMemoFindsItsRefundHoweverItsReferenceIsWritten(t *testing.T) {
	c := newChanging(t)
	c.sold(t, "WEB-1")
	_, _, err := c.store.TakeRefund(t.Context(), journal.RefundRecord{OrderID: "WEB-1", RefundID: "r1", BodyHash: "r1", Currency: "USD"},
		func([]canonical.RefundBreakdown, journal.Payment) (canonical.RefundBreakdown, error) {
			return canonical.RefundBreakdown{Net: dec("5.00"), Total: dec("5.00")}, nil
		})
	require.NoError(t, err)
	require.NoError(t, c.store.RecordRefund(t.Context(), journal.RefundProgress{
		OrderID: "WEB-1", RefundID: "r1", Status: canonical.RefundCompleted, TransactionID: "7000000000000000000001",
	}, nil))
	reference := erp.Reference(activities.OperationKey("refund", "WEB-1/r1", "credit_memo", 2))
	for _, written := range []string{reference, "   " + reference + "  ", strings.ToUpper(reference)} {
		own := must(t, c.bank, c.changes.FindOwnMemo, activities.FindOwnMemoInput{OrderID: "WEB-1", Reference: written})
		require.True(t, own.Known, "%q", written)
	}
}
