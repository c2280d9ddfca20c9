package workflows

import "go.temporal.io/sdk/workflow"

// Every change of a released process stands behind one predicate here, named after what the run does since the change; a run that began
// before it keeps its old course, also when it is replayed. What a policy of the run's input switches (a zero value is the old course)
// needs none.

// keepsReview tells that a review writes a record of itself for the people who decide.
func keepsReview(ctx workflow.Context) bool { return since(ctx, "review-record") }

// suggestsFixes tells that a step that parks asks the outside system what may mend it.
func suggestsFixes(ctx workflow.Context) bool { return since(ctx, "suggested-fixes") }

// dropsDeclinedOrders tells that an order that is declined after its review cancels the sales order that was held for it.
func dropsDeclinedOrders(ctx workflow.Context) bool { return since(ctx, "declined-after-review") }

// keepsHandBookings tells that a settlement day keeps a document that people book by hand as they keep a posted one.
func keepsHandBookings(ctx workflow.Context) bool { return since(ctx, "booked-by-hand") }

// tellsShopFirst tells that the shop hears of a parcel before what was captured for it is booked: a posting that waits for people does not
// hold the notice up.
func tellsShopFirst(ctx workflow.Context) bool { return since(ctx, "shop-told-first") }

// readsCapturedOnce tells that a shipment that completes its order reads what is captured once before its own capture.
func readsCapturedOnce(ctx workflow.Context) bool { return since(ctx, "captured-read-once") }

// keepsCycles tells that a dispute keeps when it was decided, and goes on where it is decided otherwise later.
func keepsCycles(ctx workflow.Context) bool { return since(ctx, "dispute-cycles") }

// tellsEachTracking tells that a tracking number which was corrected is told to the shop as a message of its own.
func tellsEachTracking(ctx workflow.Context) bool { return since(ctx, "each-tracking-told") }

// waitsInNewRuns tells that a late reject which waits for its order for long goes on as a new run.
func waitsInNewRuns(ctx workflow.Context) bool { return since(ctx, "late-reject-in-new-runs") }

// settlesSkippedDays tells that a tick settles the day, too, whose own tick never came, since clocks were put forward over its time.
func settlesSkippedDays(ctx workflow.Context) bool { return since(ctx, "skipped-days-settled") }

// showsPaidBeside tells that a settlement day shows its orders as paid, too, where an earlier run's are still being shown.
func showsPaidBeside(ctx workflow.Context) bool { return since(ctx, "shown-paid-beside") }

func since(ctx workflow.Context, change string) bool {
	return workflow.GetVersion(ctx, change, workflow.DefaultVersion, 1) >= 1
}
