package workflows_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
	"github.com/tenderline/tenderline/workflows"
)

// world stands in for gateway, ERP and database: it keeps the money and the books as they would, counts calls, and fails where it
// is told to. Activity types are the method names of its parts.
type world struct {
	mutex   sync.Mutex
	calls   []string                           // activity types in order
	fail    map[string][]error                 // errors an activity gives before it works, by type
	before  map[string]func()                  // runs when an activity is called
	auth    []activities.AuthorizationResult   // answers to authorizations, in order; then authorized or captured
	check   []activities.Bookable              // answers to customer checks, in order; then all is well
	backs   []canonical.SalesOrderLine         // lines of created sales orders
	tooLate bool                               // the batch has left: voids come too late
	verdict *activities.CaseDecision           // how the case stands at the gateway; nil: open
	status  map[string]canonical.OrderStatus   // read model
	parked  map[string]activities.ParkInput    // open parked steps by ID
	solved  []activities.UnparkInput           // resolved ones
	told    []activities.CallbackInput         // messages to the shop
	auths   []activities.AuthorizePaymentInput // authorizations asked for
	booked  []activities.BookingInput          // sales orders asked for
	pay     canonical.Payment
	hold    decimal.Decimal
	order   string // sales order in the ERP; "" none, "cancelled" after its cancellation
	onHold  bool
	invoice string
	credit  string
	receipt string

	people           // reviews, corrections and suggestions
	refunds          // money on its way back, and its books
	books            // settlement days, and what starts in the ERP
	wrong   []string // calls that neither a gateway nor an ERP would have let pass
}

func newWorld() *world {
	return &world{
		fail: map[string][]error{}, before: map[string]func(){}, status: map[string]canonical.OrderStatus{}, parked: map[string]activities.ParkInput{},
		people: newPeople(), refunds: newRefunds(), books: newBooks(),
	}
}

// enter counts a call and gives the failure it was told to give.
func (w *world) enter(ctx context.Context) error {
	w.call(ctx)
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return unwrap(w.failure(ctx))
}

// call counts a call.
func (w *world) call(ctx context.Context) {
	name := activity.GetInfo(ctx).ActivityType.Name
	w.mutex.Lock()
	w.calls = append(w.calls, name)
	hook := w.before[name]
	w.mutex.Unlock()
	if hook != nil {
		hook()
	}
}

// forget takes away what runs when an activity is called.
func (w *world) forget(name string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	delete(w.before, name)
}

// failure takes the next failure that the activity was told to give; nil: none.
func (w *world) failure(ctx context.Context) error {
	name := activity.GetInfo(ctx).ActivityType.Name
	queue := w.fail[name]
	if len(queue) == 0 {
		return nil
	}
	w.fail[name] = queue[1:]
	return queue[0]
}

// impossible fails the test: the process asked for what a real gateway or ERP would not have let pass, or what would have cost money.
func (w *world) impossible(format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if len(w.wrong) < 3 { // the process may go on asking
		w.wrong = append(w.wrong, message)
	}
	return temporal.NewNonRetryableApplicationError(message, string(fault.Bug), nil)
}

// count tells how often an activity was called.
func (w *world) count(name string) int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	n := 0
	for _, call := range w.calls {
		if call == name {
			n++
		}
	}
	return n
}

type fakeOrders struct{ w *world }

func (f *fakeOrders) PrepareOrder(ctx context.Context, in activities.PrepareOrderInput) (activities.PreparedOrder, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.PreparedOrder{}, err
	}
	f.w.status[in.Order.OrderID] = in.Mark.Status
	return activities.PreparedOrder{Documents: activities.Documents{SalesOrder: mappings.Document{Mapping: "syspro/sales_order"}}}, nil
}

type fakeLedger struct{ w *world }

func (f *fakeLedger) RecordProgress(ctx context.Context, in activities.ProgressInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	if in.Mark.Status != "" {
		f.w.status[in.OrderID] = in.Mark.Status
	}
	f.w.billed = append(f.w.billed, in.ErpInvoice)
	return nil
}

func (f *fakeLedger) ParkStep(ctx context.Context, in activities.ParkInput) error {
	f.w.mutex.Lock()
	f.w.parked[in.ID], f.w.parkings = in, append(f.w.parkings, in)
	f.w.mutex.Unlock()
	return f.w.enter(ctx)
}

func (f *fakeLedger) UnparkStep(ctx context.Context, in activities.UnparkInput) error {
	f.w.mutex.Lock()
	delete(f.w.parked, in.ID)
	f.w.solved = append(f.w.solved, in)
	f.w.mutex.Unlock()
	return f.w.enter(ctx)
}

type fakeCallbacks struct{ w *world }

func (f *fakeCallbacks) DeliverCallback(ctx context.Context, in activities.CallbackInput) error {
	if err := f.w.enter(ctx); err != nil {
		return err
	}
	f.w.told = append(f.w.told, in)
	return nil
}

type fakePayments struct{ w *world }

func (f *fakePayments) AuthorizePayment(ctx context.Context, in activities.AuthorizePaymentInput) (activities.Authorization, error) {
	w := f.w
	w.auths = append(w.auths, in)
	if err := w.enter(ctx); err != nil {
		return activities.Authorization{}, err
	}
	result := activities.Authorized
	if in.Capture {
		result = activities.Captured
	}
	if len(w.auth) > 0 {
		result, w.auth = w.auth[0], w.auth[1:]
	}
	if w.hold.IsPositive() || w.pay.Captured.IsPositive() {
		return activities.Authorization{}, w.impossible("a second live authorization of %s", in.OrderID)
	}
	w.pay = canonical.Payment{OrderID: in.OrderID, Currency: in.Amount.Currency, AuthorizationID: fmt.Sprintf("auth-%d", in.Attempt), Status: canonical.PaymentDeclined}
	if in.SaveCard {
		w.pay.CustomerToken = w.saved
	}
	auth := activities.Authorization{Result: result, Retryable: true}
	switch result {
	case activities.Authorized:
		w.hold, w.pay.Status = in.Amount.Amount, canonical.PaymentAuthorized
	case activities.Captured:
		w.pay.Captured, w.pay.Status, w.pay.CaptureID = in.Amount.Amount, canonical.PaymentCaptured, w.pay.AuthorizationID
	case activities.Held:
		w.hold, w.pay.Status = in.Amount.Amount, canonical.PaymentHeld
	case activities.HeldUnauthorized:
		w.pay.Status = canonical.PaymentHeld
	case activities.RiskDeclined, activities.PartiallyAuthorized:
		w.hold, w.pay.Status, auth.LiveHold = in.Amount.Amount, canonical.PaymentAuthorized, true
	case activities.Absent:
		return activities.Authorization{Result: activities.Absent}, nil
	default:
	}
	if w.pay.Status == canonical.PaymentDeclined {
		auth.ReasonText = "INSUFFICIENT_FUND"
	}
	auth.Payment = w.pay
	return auth, nil
}

func (f *fakePayments) CapturePayment(ctx context.Context, in activities.CapturePaymentInput) (activities.Capture, error) {
	w := f.w
	if err := w.enter(ctx); err != nil {
		return activities.Capture{}, err
	}
	if w.pay.Captured.IsPositive() || w.pay.Status == canonical.PaymentHeld {
		return activities.Capture{}, w.impossible("captured twice or while held: %s", in.OrderID)
	}
	w.hold, w.pay.Captured, w.pay.Status, w.pay.CaptureID = decimal.Zero, in.Amount.Amount, canonical.PaymentCaptured, "capture-1"
	return activities.Capture{Payment: w.pay}, nil
}

func (f *fakePayments) VoidCapture(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	w := f.w
	if in.RefundID != "" {
		return w.voidFor(ctx, in)
	}
	if err := w.enter(ctx); err != nil {
		return activities.Undone{}, err
	}
	switch {
	case w.pay.Captured.IsZero():
		return activities.Undone{Result: activities.UndoNothing, Payment: w.pay}, nil
	case w.tooLate:
		return activities.Undone{Result: activities.UndoTooLate, Payment: w.pay}, nil
	}
	w.hold, w.pay.Captured, w.pay.Status = w.pay.Captured, decimal.Zero, canonical.PaymentVoided
	return activities.Undone{Result: activities.UndoDone, Payment: w.pay}, nil
}

func (f *fakePayments) RefundCapture(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	w := f.w
	if in.RefundID != "" {
		return w.refundFor(ctx, in)
	}
	if err := w.enter(ctx); err != nil {
		return activities.Undone{}, err
	}
	w.pay.Refunded, w.pay.Status = w.pay.Captured, canonical.PaymentRefunded
	return activities.Undone{Result: activities.UndoDone, Payment: w.pay}, nil
}

func (f *fakePayments) ReverseAuthorization(ctx context.Context, in activities.UndoPaymentInput) (activities.Undone, error) {
	w := f.w
	if in.RefundID != "" {
		return w.reverseFor(ctx, in)
	}
	if err := w.enter(ctx); err != nil {
		return activities.Undone{}, err
	}
	if w.pay.Status == canonical.PaymentHeld {
		return activities.Undone{}, w.impossible("reversed while held")
	}
	if w.hold.IsZero() {
		return activities.Undone{Result: activities.UndoNothing, Payment: w.pay}, nil
	}
	w.hold = decimal.Zero
	if w.pay.Captured.IsZero() {
		w.pay.Status = canonical.PaymentReversed
	}
	return activities.Undone{Result: activities.UndoDone, Payment: w.pay}, nil
}

func (f *fakePayments) DecideCase(ctx context.Context, in activities.DecideCaseInput) (activities.CaseDecision, error) {
	w := f.w
	w.decided = append(w.decided, in)
	if err := w.enter(ctx); err != nil {
		return activities.CaseDecision{}, err
	}
	toldByGateway := in.EventID != "" || in.Asked
	if toldByGateway && (w.verdict == nil || w.verdict.Decision != in.Decision) {
		return activities.CaseDecision{}, permanent(fault.DeclinedByPolicy) // not proven
	}
	if w.verdict == nil {
		w.verdict = &activities.CaseDecision{Decision: in.Decision}
	}
	held := *w.verdict
	w.pay.Status = canonical.PaymentAuthorized
	switch {
	case held.Captured:
		w.pay.Captured, w.hold, w.pay.Status, w.pay.CaptureID = w.hold, decimal.Zero, canonical.PaymentCaptured, "reviewer-capture"
	case held.Reversed:
		w.hold, w.pay.Status = decimal.Zero, canonical.PaymentReversed
	}
	held.Payment = w.pay
	return held, nil
}

type fakeBooking struct{ w *world }

func (f *fakeBooking) CheckCustomerAndStock(ctx context.Context, in activities.CheckCustomerInput) (activities.Bookable, error) {
	f.w.checked = append(f.w.checked, in)
	if err := f.w.enter(ctx); err != nil {
		return activities.Bookable{}, err
	}
	for _, earlier := range f.w.checked {
		if earlier.Attempt == in.Attempt && earlier.CustomerCode != in.CustomerCode {
			return activities.Bookable{}, f.w.impossible("check %d is about %q and %q", in.Attempt, earlier.CustomerCode, in.CustomerCode)
		}
	}
	if err := f.w.stocked(in.CustomerCode); err != nil {
		return activities.Bookable{}, err
	}
	for _, line := range in.Lines {
		if err := f.w.stocked(line.StockCode); err != nil {
			return activities.Bookable{}, err
		}
	}
	if len(f.w.check) > 0 {
		var answer activities.Bookable
		answer, f.w.check = f.w.check[0], f.w.check[1:]
		return answer, nil
	}
	return activities.Bookable{Customer: erp.Customer{Code: cmp.Or(in.CustomerCode, "WEB"), Currency: "USD"}}, nil
}

func (f *fakeBooking) CreateSalesOrder(ctx context.Context, in activities.BookingInput) (canonical.SalesOrder, error) {
	f.w.booked = append(f.w.booked, in)
	if err := f.w.enter(ctx); err != nil {
		return canonical.SalesOrder{}, err
	}
	f.w.mutex.Lock() // its cancellation does not wait for it
	defer f.w.mutex.Unlock()
	if err := f.w.stocked(in.CustomerCode); err != nil {
		return canonical.SalesOrder{}, err
	}
	for _, line := range in.Order.Lines {
		if err := f.w.stocked(line.SKU); err != nil {
			return canonical.SalesOrder{}, err
		}
	}
	f.w.order, f.w.onHold = "015562", in.OnHold
	return canonical.SalesOrder{Number: f.w.order, OnHold: in.OnHold, Lines: f.w.backs}, nil
}

func (f *fakeBooking) InvoiceSalesOrder(ctx context.Context, in activities.BookingInput) (canonical.Invoice, error) {
	f.w.posted = append(f.w.posted, in)
	if err := f.w.enter(ctx); err != nil {
		return canonical.Invoice{}, err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	f.w.invoice = "200069"
	return canonical.Invoice{Number: f.w.invoice}, nil
}

func (f *fakeBooking) PostReceipt(ctx context.Context, in activities.BookingInput) (canonical.Receipt, error) {
	f.w.posted = append(f.w.posted, in)
	if err := f.w.enter(ctx); err != nil {
		return canonical.Receipt{}, err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	f.w.receipt = in.Payment.CaptureID
	return canonical.Receipt{Reference: f.w.receipt}, nil
}

func (f *fakeBooking) undo(ctx context.Context, document *string, after string) (activities.BookingUndone, error) {
	if err := f.w.enter(ctx); err != nil {
		return activities.BookingUndone{}, err
	}
	f.w.mutex.Lock()
	defer f.w.mutex.Unlock()
	if *document == "" {
		return activities.BookingUndone{Result: activities.UndoNothing}, nil
	}
	*document = after
	return activities.BookingUndone{Result: activities.UndoDone, Document: "undo"}, nil
}

func (f *fakeBooking) ReverseReceipt(ctx context.Context, _ activities.BookingRef) (activities.BookingUndone, error) {
	return f.undo(ctx, &f.w.receipt, "reversed")
}

func (f *fakeBooking) CreditInvoice(ctx context.Context, _ activities.BookingRef) (activities.BookingUndone, error) {
	undone, err := f.undo(ctx, &f.w.invoice, "credited")
	if err == nil && undone.Result == activities.UndoDone {
		f.w.credit = "C00013"
	}
	return undone, err
}

func (f *fakeBooking) CancelSalesOrder(ctx context.Context, _ activities.BookingRef) (activities.BookingUndone, error) {
	return f.undo(ctx, &f.w.order, "cancelled")
}

func (f *fakeBooking) TagPayment(ctx context.Context, _ activities.BookingRef) (activities.BookingUndone, error) {
	return activities.BookingUndone{Result: activities.UndoDone}, f.w.enter(ctx)
}

// environment is a test environment in which the world works.
func environment(t *testing.T, w *world) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	t.Cleanup(func() { require.Empty(t, w.wrong) })
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	// Both are measured by the machine's clock, and a busy machine is no reason to fail.
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.RegisterWorkflow(workflows.OrderToCash)
	env.RegisterWorkflow(workflows.FraudReview)
	env.RegisterWorkflow(workflows.Callback)
	env.RegisterWorkflow(workflows.Refund)
	env.RegisterWorkflow(workflows.LateReject)
	for _, process := range []any{
		workflows.SettlementTick, workflows.DailySettlement, workflows.ShowPaid,
		workflows.ErpChanges, workflows.CreditMemo, workflows.Shipment, workflows.Chargeback,
	} {
		env.RegisterWorkflow(process)
	}
	for _, part := range []any{
		&fakeOrders{w}, &fakeLedger{w}, &fakeCallbacks{w}, &fakePayments{w}, &fakeBooking{w}, &fakeSettlements{w}, &fakeChanges{w},
	} {
		env.RegisterActivity(part)
	}
	return env
}

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// input is an order that goes through; change what a test is about.
func input() workflows.OrderInput {
	return workflows.OrderInput{
		Erp: "syspro",
		Order: canonical.Order{
			OrderID: "WEB-10001", Channel: "web-us", Currency: "USD", Total: amount("48.19"),
			Lines:   []canonical.LineItem{{SKU: "A100", Quantity: amount("2"), UnitPrice: amount("19.95")}},
			Payment: canonical.PaymentMethod{Token: canonical.Token{Type: canonical.TokenTransient, Value: "a.b.c"}, Capture: canonical.CaptureImmediate},
		},
		Policy: workflows.Policy{
			Stock: workflows.StockReject, Credit: workflows.CreditIgnore, Invoice: workflows.InvoiceAtOrder, OnErpFailure: workflows.FailurePark,
			SaleInOneCall: true, PaymentWait: 30 * time.Minute, PaymentTries: 3, PreparationFor: time.Minute, TokenLife: 15 * time.Minute,
			ParkDeadline: 4 * time.Hour, ReviewDeadline: 48 * time.Hour, ReviewDefault: canonical.FraudReject, UntrustedSignal: true,
			StepTimeout: 40 * time.Second, GatewayPatience: 20 * time.Minute, ErpPatience: 12 * time.Hour, CallbackFor: 72 * time.Hour,
		},
	}
}

// permanent is a failure that nobody's waiting mends.
func permanent(kind fault.Kind) error {
	return temporal.NewNonRetryableApplicationError("refused: "+string(kind), string(kind), nil)
}

// passing is a failure that goes away.
func passing() error { return temporal.NewApplicationError("down", string(fault.Connection)) }

// play runs an order to its end.
func play(t *testing.T, env *testsuite.TestWorkflowEnvironment, in workflows.OrderInput) workflows.OrderView {
	t.Helper()
	env.ExecuteWorkflow(workflows.OrderToCash, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var view workflows.OrderView
	require.NoError(t, env.GetWorkflowResult(&view))
	return view
}

// unanswered is a failure that the activity has given up asking about: nobody knows what became of the call.
func unanswered() error { return permanent(fault.UnknownOutcome) }

// timedOut is a call that never came back within all the time it had.
func timedOut() error { return temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, nil) }

// events are what the shop was told, in order.
func (w *world) events() []string {
	names := make([]string, 0, len(w.told))
	for _, message := range w.told {
		names = append(names, message.Event)
	}
	return names
}

// requireNothingLeft holds the world against the promise: what did not end confirmed leaves no money taken and no document standing.
func (w *world) requireNothingLeft(t *testing.T) {
	t.Helper()
	require.True(t, w.hold.IsZero(), "hold left: %s", w.hold)
	require.True(t, w.pay.Captured.Sub(w.pay.Refunded).IsZero(), "captured and not paid back: %s", w.pay.Captured)
	require.Contains(t, []string{"", "reversed"}, w.receipt)
	require.Contains(t, []string{"", "credited"}, w.invoice)
	if w.credit == "" {
		require.Contains(t, []string{"", "cancelled"}, w.order)
	}
	require.Empty(t, w.parked)
}
