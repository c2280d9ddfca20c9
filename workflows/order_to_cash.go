package workflows

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// Names of steps; they are part of operation keys and of parked items.
const (
	stepPrepare   = "prepare"
	stepCheck     = "check"
	stepAuthorize = "authorize"
	stepCapture   = "capture"
	stepOrder     = "sales-order"
	stepInvoice   = "invoice"
	stepReceipt   = "receipt"
	stepReview    = "fraud-review"
	stepRenew     = "renew-authorization"
	stepMark      = "mark-customer"

	undoAuthorize = "undo-authorize"
	undoCapture   = "undo-capture"
	undoOrder     = "undo-sales-order"
	undoInvoice   = "undo-invoice"
	undoReceipt   = "undo-receipt"
	tagStep       = "payment-status"
)

// Method values of these name the activities; they are nil and never called in a workflow.
var (
	orderWork *activities.Orders
	payments  *activities.Payments
	erpWork   *activities.Booking
)

// order is one run of OrderToCash.
type order struct {
	in     OrderInput
	log    log.Logger
	desk   *desk
	money  saga // authorization, capture
	books  saga // sales order, invoice, receipt
	view   OrderView
	seq    int64
	events []activities.TimelineEvent // not yet in the read model
	lines  int                        // of the story so far

	cancel     *CancelRequest
	newToken   *canonical.Token
	wantsToken bool // another card is taken now

	documents    activities.Documents
	tokenExpires time.Time
	tries        int // tokens used
	authAttempt  int // n of the authorization's operation key
	authorizedAt time.Time
	skipReview   bool // people have accepted the payment already
	renewal      bool // the next authorization is in place of one that ran out
	paymentKnown bool
	checking     workflow.Future // the ERP's answer on customer and stock, while it is awaited
	bookable     *activities.Bookable
	held         *heldBooking // the sales order of a held payment, on its way into the ERP; nil where none is
	told         map[CallbackEvent]int
	credited     bool                          // a credit memo undid the invoice; the sales order then stays
	postingDate  string                        // a person's, instead of the day's; "": the day's
	marking      *activities.MarkCustomerInput // the customer of a reject, for the gateway's negative list
}

// ending is how an order ended.
type ending struct {
	status canonical.OrderStatus
	event  CallbackEvent
	reason string
	lines  []activities.Shortage
}

// OrderToCash takes an order from checkout to a paid invoice. It promises: an order is never captured twice; whatever ends other
// than confirmed ends with its money voided, reversed or refunded and its ERP documents cancelled or credited; what can't go on
// by itself waits for a person.
func OrderToCash(ctx workflow.Context, in OrderInput) (OrderView, error) {
	// Money steps are never interrupted: a cancellation from outside is a wish like Update `cancel`, honoured between steps.
	steady, _ := workflow.NewDisconnectedContext(ctx)
	o := &order{
		in:    in,
		log:   log.With(workflow.GetLogger(ctx), "order", in.Order.OrderID),
		told:  map[CallbackEvent]int{},
		tries: 1,
		view:  OrderView{OrderID: in.Order.OrderID, Status: canonical.OrderReceived, PaymentStatus: canonical.PaymentNone},
	}
	if err := o.setup(ctx, steady); err != nil {
		return o.view, err
	}
	o.finish(steady, o.story(steady))
	o.markCustomer(steady)
	if err := workflow.Await(steady, func() bool { return workflow.AllHandlersFinished(steady) }); err != nil {
		return o.view, err
	}
	return o.view, nil
}

// setup registers handlers and turns a cancellation of the run into a wish.
func (o *order) setup(root, steady workflow.Context) error {
	var err error
	o.desk, err = newDesk(steady, desk{
		orderID: o.in.Order.OrderID, interrupted: o.cancelWish, changed: o.attention, mark: o.markSame,
	})
	if err != nil {
		return err
	}
	if err := workflow.SetQueryHandlerWithOptions(steady, QueryOrder, func() (OrderView, error) { return o.view, nil },
		workflow.QueryHandlerOptions{Description: "Where the order stands"}); err != nil {
		return err
	}
	if err := o.setUpdates(steady); err != nil {
		return err
	}
	workflow.GoNamed(steady, "watch-cancellation", func(ctx workflow.Context) {
		root.Done().Receive(ctx, nil)
		o.wishCancel(CancelRequest{Actor: "temporal", Reason: "the run was cancelled"})
	})
	return nil
}

// story is the process, top to bottom.
func (o *order) story(ctx workflow.Context) ending {
	if end := o.prepare(ctx); end != nil {
		return *end
	}
	if end := o.pay(ctx); end != nil {
		return *end
	}
	if end := o.capture(ctx); end != nil {
		return *end
	}
	if end := o.book(ctx); end != nil {
		return *end
	}
	return ending{status: canonical.OrderConfirmed, event: EventConfirmed, lines: o.view.BackOrdered}
}

// prepare maps every document and asks the ERP whether the order can be booked, before money moves.
func (o *order) prepare(ctx workflow.Context) *ending {
	o.stage(canonical.OrderPreparing, "Mapping the order's documents")
	err := o.desk.try(ctx, o.early(ctx, stepPrepare), func(ctx workflow.Context, _ int) error {
		var prepared activities.PreparedOrder
		in := activities.PrepareOrderInput{Order: o.in.Order, Erp: o.in.Erp, Site: o.in.Site, Mark: o.mark(canonical.OrderPreparing)}
		err := workflow.ExecuteLocalActivity(ledger(ctx, "Map all documents"), orderWork.PrepareOrder, in).Get(ctx, &prepared)
		o.documents, o.tokenExpires = prepared.Documents, prepared.TokenExpires
		return err
	})
	if err != nil {
		return o.givenUpBeforePayment(err)
	}
	o.show(ctx, "Checking customer, credit and stock in the ERP")
	patience := time.Duration(0)
	if o.in.Order.Payment.Token.Type == canonical.TokenTransient {
		patience = o.in.Policy.PreparationFor
	}
	return o.check(ctx, o.early(ctx, stepCheck), patience)
}

// check waits for the ERP's word on customer, credit and stock. With patience it gives up waiting (not asking) when that is over:
// the payment is then authorized without capture, and the check ends before the capture.
func (o *order) check(ctx workflow.Context, s step, patience time.Duration) *ending {
	err := o.desk.try(ctx, s, func(ctx workflow.Context, attempt int) error {
		if o.checking == nil {
			o.checking = o.startCheck(ctx, attempt)
		}
		if ready := o.awaitCheck(ctx, patience); !ready {
			return o.cancelled()
		}
		pending := o.checking
		o.checking = nil
		var answer activities.Bookable
		if err := pending.Get(ctx, &answer); err != nil {
			return err
		}
		return o.judge(ctx, answer)
	})
	if err == nil {
		return nil
	}
	if !o.moneyMayHaveMoved() {
		return o.givenUpBeforePayment(err)
	}
	return o.undone(ctx, err)
}

// awaitCheck waits for the ERP's word, no longer than patience (0: as long as it takes) and not past a cancel wish.
func (o *order) awaitCheck(ctx workflow.Context, patience time.Duration) (ready bool) {
	answered := func() bool { return o.checking.IsReady() || o.cancel != nil }
	if patience == 0 {
		_ = workflow.Await(ctx, answered)
		return o.checking.IsReady()
	}
	options := workflow.AwaitOptions{Timeout: patience, TimerOptions: workflow.TimerOptions{Summary: "A browser token does not wait longer"}}
	_, _ = workflow.AwaitWithOptions(ctx, options, answered)
	return o.checking.IsReady()
}

func (o *order) startCheck(ctx workflow.Context, attempt int) workflow.Future {
	in := activities.CheckCustomerInput{
		OrderID: o.in.Order.OrderID, ExternalID: o.in.Order.Customer.ID, CustomerCode: o.in.Order.Customer.ErpCode,
		Document: o.documents.Customer, Attempt: attempt, CheckCredit: o.in.Policy.Credit != CreditIgnore,
		Total: o.in.Order.Money(o.in.Order.Total), Lines: stockLines(o.in.Order), Warehouse: o.in.Site["warehouse"],
	}
	return workflow.ExecuteActivity(booking(ctx, o.in.Erp, o.in.Policy, "Check customer, credit and stock"), erpWork.CheckCustomerAndStock, in)
}

// judge applies the credit and stock policies to the ERP's answer.
func (o *order) judge(ctx workflow.Context, answer activities.Bookable) error {
	if answer.CreditRefused != "" {
		if o.in.Policy.Credit == CreditReject {
			return &undoWish{Step: stepCheck, By: "policy", Reason: "no credit: " + answer.CreditRefused}
		}
		return declinedByPolicy("no credit: " + answer.CreditRefused)
	}
	if len(answer.Shortages) > 0 {
		switch o.in.Policy.Stock {
		case StockReject:
			o.view.BackOrdered = answer.Shortages
			return &undoWish{Step: stepCheck, By: "policy", Reason: "out of stock: " + describe(answer.Shortages)}
		case StockPark:
			return declinedByPolicy("out of stock: " + describe(answer.Shortages))
		case StockBackorder:
			o.view.BackOrdered = answer.Shortages
		}
	}
	o.bookable = &answer
	o.view.CustomerCode = answer.Customer.Code
	if answer.Created {
		o.tell(ctx, "customer", "Customer "+answer.Customer.Code+" created in the ERP")
	}
	return nil
}

// declinedByPolicy makes a policy's no a failure that parks.
func declinedByPolicy(message string) error {
	return temporal.NewNonRetryableApplicationError(message, string(fault.DeclinedByPolicy), nil)
}

// pay authorizes the payment, takes further cards after a decline, and has held payments reviewed.
func (o *order) pay(ctx workflow.Context) *ending {
	o.stage(canonical.OrderAuthorizing, "Authorizing the payment")
	o.flush(ctx)
	for {
		if wish := o.cancelWish(); wish != nil {
			return o.undone(ctx, wish)
		}
		auth, err := o.authorize(ctx)
		if err != nil {
			return o.undone(ctx, err)
		}
		o.took(ctx, auth)
		switch auth.Result {
		case activities.Authorized, activities.Captured:
			return nil
		case activities.Held, activities.HeldUnauthorized:
			end, again := o.reviewed(ctx, auth)
			if !again {
				return end
			}
		case activities.RiskDeclined:
			o.unwind(ctx)
			return &ending{status: canonical.OrderRejected, event: EventRejected, reason: auth.ReasonText}
		default:
			if auth.LiveHold {
				o.unwind(ctx)
			}
			if end := o.awaitPayment(ctx, auth); end != nil {
				o.dropHeldOrder(ctx)
				return end
			}
		}
	}
}

// authorize sends one authorization, or sale, and resolves an absent one by a new attempt.
func (o *order) authorize(ctx workflow.Context) (activities.Authorization, error) {
	capture := o.in.Order.Payment.Capture == canonical.CaptureImmediate && o.in.Policy.SaleInOneCall && o.bookable != nil && !o.skipReview
	o.money.add(undoAuthorize, o.reverseAuthorization)
	if capture {
		o.money.add(undoCapture, o.voidCapture)
	}
	var auth activities.Authorization
	err := o.desk.try(ctx, o.early(ctx, stepAuthorize), func(ctx workflow.Context, _ int) error {
		const resends = 3
		for range resends {
			o.authAttempt++
			in := activities.AuthorizePaymentInput{
				OrderID: o.in.Order.OrderID, Attempt: o.authAttempt, Document: o.documents.Payment, Token: o.in.Order.Payment.Token,
				SaveCard: o.in.Order.Payment.SaveCard, Amount: o.in.Order.Money(o.in.Order.Total), Capture: capture,
				SkipReview: o.skipReview, Renewal: o.renewal, Mark: o.mark(""),
			}
			var err error
			auth, err = run(gateway(ctx, o.in.Policy, fmt.Sprintf("Authorize %s", in.Amount)), payments.AuthorizePayment, in)
			if err != nil {
				if !refused(err) {
					o.authAttempt-- // the same operation goes on
				}
				return err
			}
			if auth.Result != activities.Absent {
				return nil
			}
		}
		return temporal.NewApplicationError("the gateway took none of the attempts in", string(fault.Connection))
	})
	return auth, err
}

// took notes what an authorization came to.
func (o *order) took(ctx workflow.Context, auth activities.Authorization) {
	o.authorizedAt, o.renewal = workflow.Now(ctx), false
	o.view.Payment = auth.Payment
	o.view.PaymentStatus = auth.Payment.Status
	o.view.Reason = auth.ReasonText
	o.paymentKnown = true
}

// awaitPayment tells the shop of a decline and waits for another card.
func (o *order) awaitPayment(ctx workflow.Context, auth activities.Authorization) *ending {
	declined := ending{status: canonical.OrderDeclined, event: EventDeclined, reason: auth.ReasonText}
	if o.tries >= o.in.Policy.PaymentTries || o.in.Policy.PaymentWait <= 0 {
		return &declined
	}
	o.wantsToken = true // before anybody can read that the order waits for one
	o.stage(canonical.OrderAwaitingPayment, "Declined ("+auth.ReasonText+"); waiting for another card")
	o.show(ctx, o.view.Stage)
	o.publish(ctx)
	o.flush(ctx)
	o.callback(ctx, declined)
	options := workflow.AwaitOptions{Timeout: o.in.Policy.PaymentWait, TimerOptions: workflow.TimerOptions{Summary: "Wait for another card"}}
	_, _ = workflow.AwaitWithOptions(ctx, options, func() bool { return o.newToken != nil || o.cancel != nil })
	o.wantsToken = false
	if o.cancel != nil {
		return o.undone(ctx, o.cancelWish())
	}
	if o.newToken == nil {
		declined.event = "" // the shop was told when the card was declined
		return &declined
	}
	o.takeToken()
	return nil
}

// takeToken makes the other card the order's.
func (o *order) takeToken() {
	o.in.Order.Payment.Token, o.newToken = *o.newToken, nil
	o.tokenExpires = time.Time{}
	o.tries++
	o.paymentKnown = false
	o.stage(canonical.OrderAuthorizing, "Authorizing another card")
}

// reviewed has a held payment decided. again tells that the bank was never asked, and is to be now.
func (o *order) reviewed(ctx workflow.Context, auth activities.Authorization) (end *ending, again bool) {
	o.stage(canonical.OrderInReview, "Held by Decision Manager; waiting for a decision")
	o.show(ctx, o.view.Stage)
	o.publish(ctx)
	o.callback(ctx, ending{status: canonical.OrderInReview, event: EventHeld, reason: auth.ReasonText})
	o.held = o.bookHeld(ctx)
	var review ReviewResult
	// A review that was ended from outside is begun anew: until the case is decided, the money can be neither captured nor released.
	_ = o.desk.try(ctx, o.undoing(stepReview), func(ctx workflow.Context, _ int) error {
		var err error
		review, err = o.review(ctx, auth)
		return err
	})
	o.view.Payment = review.Payment
	o.view.PaymentStatus = review.Payment.Status
	_ = workflow.UpsertTypedSearchAttributes(ctx, SearchFraudDecision.ValueSet(string(review.Decision)))
	if review.Decision == canonical.FraudReject {
		if review.Mark {
			o.marking = &activities.MarkCustomerInput{
				OrderID: o.in.Order.OrderID, PaymentID: auth.Payment.AuthorizationID, Notes: review.Comment, Actor: review.Actor,
			}
		}
		o.unwind(ctx)
		if wish := o.cancelWish(); wish != nil && review.Source == SourceCancel {
			return &ending{status: canonical.OrderCancelled, event: EventCancelled, reason: wish.Reason}, false
		}
		return &ending{status: canonical.OrderRejected, event: EventRejected, reason: "rejected in fraud review"}, false
	}
	o.skipReview = true
	if auth.Result == activities.HeldUnauthorized && !review.Captured {
		return nil, true
	}
	return o.renewed(ctx)
}

// review runs FraudReview and passes a cancel wish on to it, since a held payment can't be touched before its case is decided.
func (o *order) review(ctx workflow.Context, auth activities.Authorization) (ReviewResult, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:    FraudReviewWorkflowID(o.in.Order.OrderID),
		StaticSummary: "Review of order " + o.in.Order.OrderID,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchOrderID.ValueSet(o.in.Order.OrderID), SearchNeedsAttention.ValueSet(false)),
	})
	child := workflow.ExecuteChildWorkflow(ctx, FraudReview, ReviewInput{
		OrderID: o.in.Order.OrderID, Payment: auth.Payment, Amount: o.in.Order.Money(o.in.Order.Total),
		Deadline: o.in.Policy.ReviewDeadline, Default: o.in.Policy.ReviewDefault, Untrusted: o.in.Policy.UntrustedSignal, Policy: o.in.Policy,
	})
	workflow.GoNamed(ctx, "pass-cancel-to-review", func(ctx workflow.Context) {
		_ = workflow.Await(ctx, func() bool { return o.cancel != nil || child.IsReady() })
		if !child.IsReady() {
			_ = child.SignalChildWorkflow(ctx, SignalOrderCancelled, *o.cancel).Get(ctx, nil)
		}
	})
	var result ReviewResult
	err := child.Get(ctx, &result)
	return result, err
}

// capture takes the money of an authorization that was not captured yet. The ERP has its say first, if it had none before.
func (o *order) capture(ctx workflow.Context) *ending {
	if o.bookable == nil {
		if end := o.check(ctx, o.late(stepCheck), 0); end != nil {
			return end
		}
	}
	if o.view.PaymentStatus == canonical.PaymentCaptured || o.capturedOnShipment() {
		return nil
	}
	if wish := o.cancelWish(); wish != nil {
		return o.undone(ctx, wish)
	}
	o.stage(canonical.OrderCapturing, "Capturing the payment")
	o.publish(ctx)
	o.money.add(undoCapture, o.voidCapture)
	err := o.desk.try(ctx, o.late(stepCapture), func(ctx workflow.Context, attempt int) error {
		in := activities.CapturePaymentInput{
			OrderID: o.in.Order.OrderID, AuthorizationID: o.view.Payment.AuthorizationID, Attempt: attempt,
			Amount: o.in.Order.Money(o.in.Order.Total), Mark: o.mark(canonical.OrderBooking),
		}
		captured, err := run(gateway(ctx, o.in.Policy, fmt.Sprintf("Capture %s", in.Amount)), payments.CapturePayment, in)
		if err == nil {
			o.view.Payment, o.view.PaymentStatus = captured.Payment, captured.Payment.Status
		}
		return err
	})
	if err != nil {
		return o.undone(ctx, err)
	}
	return nil
}

// capturedOnShipment tells that the money is taken as the goods leave: the order is booked on a live authorization, and confirmed.
func (o *order) capturedOnShipment() bool {
	return o.in.Order.Payment.Capture == canonical.CaptureOnShipment && o.view.PaymentStatus == canonical.PaymentAuthorized
}

// book puts the paid order into the ERP: sales order, invoice, receipt.
func (o *order) book(ctx workflow.Context) *ending {
	o.stage(canonical.OrderBooking, "Booking in the ERP")
	o.publish(ctx)
	for _, part := range []func(workflow.Context) error{o.bookSalesOrder, o.bookInvoice, o.bookReceipt} {
		if wish := o.cancelWish(); wish != nil {
			return o.undone(ctx, wish)
		}
		if err := part(ctx); err != nil {
			return o.undone(ctx, err)
		}
	}
	if wish := o.cancelWish(); wish != nil {
		return o.undone(ctx, wish)
	}
	return nil
}

// bookSalesOrder creates the sales order, or releases the one that a review held; the ERP may back-order what it had promised.
func (o *order) bookSalesOrder(ctx workflow.Context) error {
	o.held.wait(ctx)
	o.books.add(undoOrder, o.cancelSalesOrder)
	err := o.desk.try(ctx, o.booked(stepOrder), func(ctx workflow.Context, attempt int) error {
		if err := o.recheck(ctx); err != nil {
			return err
		}
		booked, err := atErp(ctx, o, "Create the sales order", erpWork.CreateSalesOrder, o.bookingInput(ctx, o.documents.SalesOrder, attempt))
		if err != nil {
			return err
		}
		o.view.ErpOrderNumber = booked.Number
		o.tell(ctx, "sales-order", "Sales order "+booked.Number+" in the ERP")
		return o.judgeBackOrder(booked)
	})
	if err != nil {
		return err
	}
	_ = workflow.UpsertTypedSearchAttributes(ctx, SearchErpOrderNumber.ValueSet(o.view.ErpOrderNumber))
	o.flush(ctx)
	return nil
}

// judgeBackOrder applies the stock policy again to what the ERP made of the lines.
func (o *order) judgeBackOrder(booked canonical.SalesOrder) error {
	var short []activities.Shortage
	for _, line := range booked.Lines {
		if line.BackOrdered.IsPositive() {
			short = append(short, activities.Shortage{StockCode: line.StockCode, Wanted: line.Allocated.Add(line.BackOrdered), Available: line.Allocated})
		}
	}
	o.view.BackOrdered = short
	if len(short) == 0 {
		return nil
	}
	switch o.in.Policy.Stock {
	case StockReject:
		return &undoWish{Step: stepOrder, By: "policy", Reason: "out of stock after payment: " + describe(short)}
	case StockPark:
		return declinedByPolicy("the ERP back-ordered: " + describe(short))
	default:
		return nil
	}
}

// bookInvoice invoices the order at once where the policy says so and every line is there.
func (o *order) bookInvoice(ctx workflow.Context) error {
	if o.in.Policy.Invoice != InvoiceAtOrder || len(o.view.BackOrdered) > 0 || o.capturedOnShipment() {
		return nil
	}
	o.books.add(undoInvoice, o.creditInvoice)
	return o.desk.try(ctx, o.booked(stepInvoice), func(ctx workflow.Context, attempt int) error {
		invoice, err := atErp(ctx, o, "Invoice the sales order", erpWork.InvoiceSalesOrder, o.bookingInput(ctx, o.documents.Invoice, attempt))
		if err == nil {
			o.view.Invoice = invoice.Number
			o.tell(ctx, "invoice", "Invoice "+invoice.Number+" in the ERP")
		}
		return err
	})
}

// bookReceipt posts the money as a receipt against the invoice, or as a deposit where there is none yet.
func (o *order) bookReceipt(ctx workflow.Context) error {
	if o.capturedOnShipment() {
		return nil // Shipment books what it captures
	}
	o.books.add(undoReceipt, o.reverseReceipt)
	return o.desk.try(ctx, o.booked(stepReceipt), func(ctx workflow.Context, attempt int) error {
		receipt, err := atErp(ctx, o, "Post the receipt", erpWork.PostReceipt, o.bookingInput(ctx, o.documents.Receipt, attempt))
		if err == nil {
			o.view.Receipt = receipt.Reference
			o.tell(ctx, "receipt", "Receipt "+receipt.Reference+" in the ERP")
		}
		return err
	})
}

// atErp runs a booking step. A cancel wish ends its retries, since an ERP may be down for hours; what is being sent ends by itself, and
// the undo looks at what became of it.
func atErp[I, O any](ctx workflow.Context, o *order, summary string, activity func(context.Context, I) (O, error), in I) (O, error) {
	ctx, stop := workflow.WithCancel(booking(ctx, o.in.Erp, o.in.Policy, summary))
	done := false
	workflow.GoNamed(ctx, "stop-retries-for-a-cancel", func(ctx workflow.Context) {
		_ = workflow.Await(ctx, func() bool { return done || o.cancel != nil })
		if !done {
			stop()
		}
	})
	out, err := run(ctx, activity, in)
	done = true
	if wish := o.cancelled(); err != nil && wish != nil {
		return out, wish
	}
	return out, err
}

// moneyMayHaveMoved tells that an authorization was sent.
func (o *order) moneyMayHaveMoved() bool { return len(o.money.undos) > 0 }

// givenUpBeforePayment ends an order that no money was asked for.
func (o *order) givenUpBeforePayment(err error) *ending {
	wish, ok := err.(*undoWish) //nolint:errorlint // try gives nothing else
	if !ok {
		return &ending{status: canonical.OrderDeclined, event: EventDeclined, reason: messageOf(err)}
	}
	switch {
	case wish.Cancel:
		return &ending{status: canonical.OrderCancelled, event: EventCancelled, reason: wish.Reason}
	case wish.By == "policy":
		return &ending{status: canonical.OrderRejected, event: EventRejected, reason: wish.Reason, lines: o.view.BackOrdered}
	default:
		return &ending{status: canonical.OrderDeclined, event: EventDeclined, reason: "could not be prepared: " + wish.Reason}
	}
}

// undone takes everything back and says how the order ended.
func (o *order) undone(ctx workflow.Context, err error) *ending {
	wish, ok := err.(*undoWish) //nolint:errorlint // try gives nothing else
	if !ok {
		wish = &undoWish{By: "tenderline", Reason: messageOf(err), Cause: err}
	}
	o.stage("", "Taking back what was done: "+wish.Reason)
	o.show(ctx, o.view.Stage)
	o.unwind(ctx)
	if wish.Cancel {
		return &ending{status: canonical.OrderCancelled, event: EventCancelled, reason: wish.Reason}
	}
	if o.view.ErpOrderNumber == "" && wish.Step == stepCheck {
		return &ending{status: canonical.OrderRejected, event: EventRejected, reason: wish.Reason, lines: o.view.BackOrdered}
	}
	if wish.Step == stepAuthorize {
		return &ending{status: canonical.OrderDeclined, event: EventDeclined, reason: wish.Reason}
	}
	return &ending{status: canonical.OrderCompensated, event: EventCompensated, reason: wish.Reason, lines: o.view.BackOrdered}
}

// finish writes the end down and tells the shop.
func (o *order) finish(ctx workflow.Context, end ending) {
	o.stage(end.status, "Ended: "+string(end.status))
	if end.reason != "" || end.status == canonical.OrderConfirmed {
		o.view.Reason = end.reason
	}
	o.paymentKnown = true
	o.tell(ctx, "end", o.view.Stage)
	o.flush(ctx)
	o.publish(ctx)
	o.show(ctx, o.view.Stage)
	o.callback(ctx, end)
}
