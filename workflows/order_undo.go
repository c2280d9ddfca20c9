package workflows

import (
	"context"

	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/mappings"
)

// unwind takes money and books back, each last step first. The two run side by side: an ERP that is down must not keep the
// buyer's money.
func (o *order) unwind(ctx workflow.Context) {
	group := workflow.NewWaitGroup(ctx)
	group.Add(1)
	workflow.GoNamed(ctx, "undo-books", func(ctx workflow.Context) {
		defer group.Done()
		o.held.stop(ctx)
		o.books.unwind(ctx, o.desk, o.undoing)
	})
	o.money.unwind(ctx, o.desk, o.undoing)
	group.Wait(ctx)
	o.tagUndone(ctx)
}

// dropHeldOrder takes back the sales order that a review has put on hold, where the bank then declined: after it was accepted, or when
// its authorization was renewed.
func (o *order) dropHeldOrder(ctx workflow.Context) {
	if len(o.books.undos) > 0 && dropsDeclinedOrders(ctx) {
		o.unwind(ctx)
	}
}

// tagUndone shows in the ERP what became of the money.
func (o *order) tagUndone(ctx workflow.Context) {
	if o.view.ErpOrderNumber == "" {
		return
	}
	undoTag := saga{}
	undoTag.add(tagStep, func(ctx workflow.Context, attempt int) error {
		_, err := run(booking(ctx, o.in.Erp, o.in.Policy, "Show the payment's end in the ERP"), erpWork.TagPayment, o.bookingRef(ctx, attempt))
		return err
	})
	undoTag.unwind(ctx, o.desk, o.undoing)
}

// voidCapture voids what was captured, or refunds it where the batch has gone.
func (o *order) voidCapture(ctx workflow.Context, attempt int) error {
	undone, err := run(gateway(ctx, o.in.Policy, "Void the capture"), payments.VoidCapture, o.undoInput(attempt))
	if err != nil {
		return err
	}
	if undone.Result == activities.UndoTooLate {
		undone, err = run(gateway(ctx, o.in.Policy, "Refund what a void came too late for"), payments.RefundCapture, o.undoInput(attempt))
		if err != nil {
			return err
		}
	}
	o.tookBack(undone)
	return nil
}

// reverseAuthorization releases what the bank still holds.
func (o *order) reverseAuthorization(ctx workflow.Context, attempt int) error {
	undone, err := run(gateway(ctx, o.in.Policy, "Reverse the authorization"), payments.ReverseAuthorization, o.undoInput(attempt))
	if err != nil {
		return err
	}
	o.tookBack(undone)
	return nil
}

func (o *order) undoInput(attempt int) activities.UndoPaymentInput {
	return activities.UndoPaymentInput{OrderID: o.in.Order.OrderID, Attempt: attempt, Reason: "order not completed", Mark: o.mark("")}
}

// tookBack notes the payment after something was taken back.
func (o *order) tookBack(undone activities.Undone) {
	o.view.Payment, o.view.PaymentStatus = undone.Payment, undone.Payment.Status
}

// reverseReceipt takes the receipt back; the invoice is open again.
func (o *order) reverseReceipt(ctx workflow.Context, attempt int) error {
	_, err := o.undoBooking(ctx, "Reverse the receipt", erpWork.ReverseReceipt, attempt)
	return err
}

// creditInvoice credits the invoice and restocks its lines.
func (o *order) creditInvoice(ctx workflow.Context, attempt int) error {
	undone, err := o.undoBooking(ctx, "Credit the invoice and restock", erpWork.CreditInvoice, attempt)
	if err == nil {
		o.credited = undone.Result == activities.UndoDone
	}
	return err
}

// cancelSalesOrder cancels the sales order, unless it was invoiced: then the credit memo has undone it.
func (o *order) cancelSalesOrder(ctx workflow.Context, attempt int) error {
	if o.credited {
		return nil
	}
	undone, err := o.undoBooking(ctx, "Cancel the sales order", erpWork.CancelSalesOrder, attempt)
	if err == nil && o.view.ErpOrderNumber == "" {
		o.view.ErpOrderNumber = undone.Document // taken back before the answer to its creation came
	}
	return err
}

// undoBooking runs one ERP compensation and tells what it did.
func (o *order) undoBooking(ctx workflow.Context, summary string,
	activity func(context.Context, activities.BookingRef) (activities.BookingUndone, error), attempt int,
) (activities.BookingUndone, error) {
	undone, err := run(booking(ctx, o.in.Erp, o.in.Policy, summary), activity, o.bookingRef(ctx, attempt))
	if err == nil && undone.Result == activities.UndoDone {
		o.tell(ctx, "undo", summary+": "+undone.Document)
	}
	return undone, err
}

// bookingRef names what ERP compensations work on.
func (o *order) bookingRef(ctx workflow.Context, attempt int) activities.BookingRef {
	return activities.BookingRef{
		OrderID: o.in.Order.OrderID, CustomerCode: o.view.CustomerCode, SalesOrder: o.view.ErpOrderNumber, Invoice: o.view.Invoice,
		Receipt: o.receiptReference(), PaymentStatus: o.view.PaymentStatus, Amount: o.in.Order.Money(o.in.Order.Total), BankCode: o.in.Site["bank"],
		Date: o.date(ctx), Attempt: attempt, Site: o.in.Site, Order: o.in.Order,
	}
}

// receiptReference is the reference that the receipt has or would have: the gateway transaction that captured.
func (o *order) receiptReference() string {
	if o.view.Receipt != "" {
		return o.view.Receipt
	}
	return o.view.Payment.CaptureID
}

// bookingInput is what ERP steps need.
func (o *order) bookingInput(ctx workflow.Context, document mappings.Document, attempt int) activities.BookingInput {
	return activities.BookingInput{
		Order: o.in.Order, Site: o.in.Site, Document: document, CustomerCode: o.view.CustomerCode, Payment: o.view.Payment,
		SalesOrder: o.view.ErpOrderNumber, Invoice: o.view.Invoice, Attempt: attempt, Date: o.date(ctx),
		OnHold:  o.view.Status == canonical.OrderInReview,
		Deposit: o.view.Invoice == "",
	}
}

// heldBooking is the sales order of a held payment, on its way into the ERP while people decide.
type heldBooking struct {
	done   bool
	cancel workflow.CancelFunc
}

// bookHeld starts to create the sales order on hold. It must not keep the review waiting: where the ERP refuses or is down, the
// order is created when it is released, which parks if it must.
func (o *order) bookHeld(ctx workflow.Context) *heldBooking {
	if o.bookable == nil {
		return nil
	}
	o.books.add(undoOrder, o.cancelSalesOrder)
	cancellable, cancel := workflow.WithCancel(ctx)
	h := &heldBooking{cancel: cancel}
	in := o.bookingInput(ctx, o.documents.SalesOrder, o.desk.attempt(stepOrder))
	workflow.GoNamed(cancellable, "book-held-order", func(ctx workflow.Context) {
		defer func() { h.done = true }()
		booked, err := run(booking(ctx, o.in.Erp, o.in.Policy, "Create the sales order on hold"), erpWork.CreateSalesOrder, in)
		if err != nil {
			if refused(err) {
				o.desk.attempts[stepOrder]++
			}
			o.log.Warn("sales order not created while on hold; it will be when it is released", "error", err)
			return
		}
		o.view.ErpOrderNumber = booked.Number
		o.tell(ctx, "sales-order-held", "Sales order "+booked.Number+" on hold in the ERP")
		// A review may take days: people look the order up by this number meanwhile. It is written down even if the review ends just now.
		steady, _ := workflow.NewDisconnectedContext(ctx)
		_ = workflow.UpsertTypedSearchAttributes(steady, SearchErpOrderNumber.ValueSet(booked.Number))
		o.flush(steady)
	})
	return h
}

// stop ends the booking where it waits for a retry; one that is being sent ends by itself. The undo looks at what became of it.
func (h *heldBooking) stop(ctx workflow.Context) {
	if h == nil {
		return
	}
	h.cancel()
	h.wait(ctx)
}

func (h *heldBooking) wait(ctx workflow.Context) {
	if h != nil {
		_ = workflow.Await(ctx, func() bool { return h.done })
	}
}
