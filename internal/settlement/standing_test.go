package settlement_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/settlement"
)

func TestADayIsNeverShownBehindWhatIsPosted(t *testing.T) {
	for _, test := range []struct{ told, unposted, posted settlement.DayState }{
		{settlement.DayWaiting, settlement.DayWaiting, settlement.DayWaiting},
		{settlement.DayMismatch, settlement.DayMismatch, settlement.DayMismatch},
		{settlement.DayApproval, settlement.DayApproval, settlement.DayApproval},
		{settlement.DayPosting, settlement.DayPosting, settlement.DayPosting},
		{settlement.DayPosted, settlement.DayPosted, settlement.DayPosted},
		{settlement.DayEmpty, settlement.DayEmpty, settlement.DayPosted},
		{settlement.DayUnposted, settlement.DayUnposted, settlement.DayPosted},
		{settlement.DayChecked, settlement.DayChecked, settlement.DayPosted},
		{"", "", ""},
		{"of a later release", "of a later release", "of a later release"},
	} {
		require.Equal(t, test.unposted, test.told.Standing(false), test.told)
		require.Equal(t, test.posted, test.told.Standing(true), test.told)
	}
}

// Whatever runs say, and whenever something is posted meanwhile: a day ends as posted once it is, its states in progress are its run's, and
// to be told again changes nothing.
func TestStandingHoldsForAnyRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		posted := false
		for _, told := range rapid.SliceOf(rapid.SampledFrom(settlement.DayStates())).Draw(t, "told") {
			posted = posted || rapid.Bool().Draw(t, "posted meanwhile")
			shown := told.Standing(posted)
			require.Equal(t, shown, shown.Standing(posted))
			require.Equal(t, told.InProgress(), shown.InProgress())
			if told.InProgress() || !posted {
				require.Equal(t, told, shown)
			} else {
				require.Equal(t, settlement.DayPosted, shown)
			}
		}
	})
}
