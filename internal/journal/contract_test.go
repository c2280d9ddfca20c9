package journal_test

import (
	"context"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/pgtest"
)

// TestContract runs one suite on both databases: whoever reads the journal must not be able to tell which one it is.
func TestContract(t *testing.T) {
	databases := map[string]func(testing.TB) string{"sqlite": sqliteDSN, "postgres": postgresDSN}
	for name, dsn := range databases {
		t.Run(name, func(t *testing.T) {
			for _, part := range contract() {
				t.Run(nameOf(part), func(t *testing.T) { part(t, newFixture(t, dsn(t))) })
			}
		})
	}
}

func contract() []func(*testing.T, *fixture) {
	return []func(*testing.T, *fixture){
		beginStoresIntentOnce, beginRefusesOtherInput, sendsAreCounted, crashAfterBeginLeavesIntent, outcomesAreFinal,
		outsideIDServesOneOperation, operationsAreFound, racingBeginsHaveOneWinner,

		paymentGoesFromAuthorizationToRefund, saleIsCapturedAtOnce, saleWithoutCaptureHoldsOnly, limitsRefuse, secondAuthorizationIsRefused,
		openOperationsKeepTheirReservation, refusalReleases, heldPaymentWaits, partialAuthorizationCountsWhatWasApproved,
		timeoutFormsNeedSomethingUnknown, paymentConclusionIsAtomic, paymentConclusionRepeats, operationsCannotConcludePayments,
		expiredHoldAndChargeback, severalCapturesCountApart, severalCapturesKeepTheStatus, partsAreReservedTogether, racingPartsKeepEachCapture,
		tenRefundsRace, tenCapturesRace, anyInterleavingKeepsTheLimits,

		ordersAreTakenOnce, unstartedOrdersAreFound, ordersAreListed, progressMovesForwardOnly, timelineKeepsEachEventOnce,
		timelineHoldsAllowedDetailOnly,

		eventsAreReceivedOnce, eventsAreLeasedAndEnd,

		parkingFlagsTheOrder, resolvingIsAuditedOnce, parkedStepsAreListed,

		refundsAreTakenOnce, refusedRefundsGiveBackTheirShare, tenRefundRequestsRace, unstartedRefundsAreFound, refundsMoveForwardWithTheirOrder,

		reviewsAreOpenedOnce, reviewsAreNotedOnce, reviewsAreListed, customersHaveAHistory, correctionsKeepTheOriginal,

		noticesAreLeasedAndEnd, parkingTellsOnce, progressTells, eventsGivenUpWaitForAPerson, eventsAreListed,
		eventsProposeWhatAPersonDecides,

		auditShowsCallsAndActions, auditHoldsNoCardNumber, figuresCount,

		whatSettlesIsStreamed, voidsTakeWhatTheyVoid, merchantsSettleApart, longStreamsAreMerged, paymentsSettleWithTheirCaptures,
		settledOrdersArePaged, entriesAreBookedOnce, entriesAreReleased, lateReadingsChangeNothing, anyRunsCountEachEntryOnce, racingDaysTakeAnEntryOnce, racingMarksSettleOnce, cashIsSummedByDay, paymentsAreListed,

		settlementDaysMoveForward, postedDaysStayPosted, settlementDaysAreListed, settlementFilesAreKept, dryRunsLeaveTheirReport, postingsAreKeptOnce, handBookingsAreKept, figuresAreKept, whoGetsMuchBackIsFound,
		disputesMoveThePayment, disputesGoOnAfterTheirEnd, wonDisputesGiveTheStatusBack, disputesOfWhatIsNotOurs, disputesAreListed,

		changesMoveTheCursor, brokenPageMovesNothing, shipmentsAreRecordedOnce, racingShipmentsHaveTheirPlace, stockTellsWhatChanged,

		personalDataIsSealed, tamperedTextIsRefused, keysRotate, timesAndAmountsRoundTrip,
	}
}

func nameOf(part func(*testing.T, *fixture)) string {
	name := runtime.FuncForPC(reflect.ValueOf(part).Pointer()).Name()
	return name[strings.LastIndex(name, ".")+1:]
}

func postgresDSN(t testing.TB) string {
	t.Helper()
	return pgtest.New(t, migrated)
}

func migrated(dsn string) error {
	return journal.Migrate(context.Background(), dsn, slog.New(slog.DiscardHandler))
}
