package activities

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
)

// A refund of an order that was captured shipment by shipment goes back of several captures. Each piece is booked against what its capture was
// booked as: the invoice of its shipment is credited, and its money posted against that credit memo; what is a deposit still is taken out of
// the deposit.

// memoSeparator stands between the numbers of a refund's credit memos, where it has several.
const memoSeparator = ", "

// refundPiece is what of a refund went back of one capture.
type refundPiece struct {
	RefundPart
	first bool
}

// step is the name of a step of this piece in operation keys and references. That of the first one is the step's own name, as it is where one
// capture has paid for all.
func (p refundPiece) step(name string) string {
	if p.first {
		return name
	}
	return name + "-" + p.TransactionID
}

// pieces are the parts of a refund; all of it is one where none are told.
func (in BookRefundInput) pieces() ([]refundPiece, error) {
	if len(in.Parts) == 0 {
		return []refundPiece{{RefundPart{TransactionID: in.TransactionID, CaptureID: in.CaptureID, Amount: in.Amount}, true}}, nil
	}
	pieces := make([]refundPiece, 0, len(in.Parts))
	total := decimal.Zero
	for i, part := range in.Parts {
		pieces = append(pieces, refundPiece{part, i == 0})
		total = total.Add(part.Amount.Amount)
	}
	if !total.Equal(in.Amount.Amount) {
		return nil, bug("refund %s of %s went back in parts of %s", in.RefundID, in.Amount, total)
	}
	return pieces, nil
}

// creditOf is the credit memo that a piece's money is posted against; deposit: it goes back out of a deposit.
func (in BookRefundInput) creditOf(piece refundPiece) (memo string, deposit bool) {
	for _, credited := range in.Credited {
		if credited.TransactionID == piece.TransactionID {
			return credited.CreditMemo, credited.CreditMemo == ""
		}
	}
	return in.CreditMemo, !in.invoiced()
}

// refundCredit is what of a refund is credited of one invoice.
type refundCredit struct {
	invoice     string
	step        string // of its operation
	amount, tax decimal.Decimal
	lines       []mappings.CreditLine // what comes back
	pieces      []refundPiece
}

// creditStep names the credit of an invoice: that of the order's invoice is the step's own name.
func creditStep(orders, invoice string) string {
	if invoice == orders {
		return refundStepMemo
	}
	return refundStepMemo + "-" + invoice
}

// creditsOf groups the pieces of a refund by the invoices that are to be credited, and divides tax and goods among them.
func (b *Booking) creditsOf(ctx context.Context, in BookRefundInput, pieces []refundPiece) ([]refundCredit, error) {
	if !in.Breakdown.Total.Equal(in.Amount.Amount) {
		return nil, bug("refund %s of %s has a breakdown of %s", in.RefundID, in.Amount, in.Breakdown.Total)
	}
	var credits []refundCredit
	credited := 0
	for _, piece := range pieces {
		invoice, err := b.invoiceOf(ctx, in, piece)
		if err != nil {
			return nil, err
		}
		if invoice == "" {
			continue
		}
		at := slices.IndexFunc(credits, func(c refundCredit) bool { return c.invoice == invoice })
		if at < 0 {
			at, credits = len(credits), append(credits, refundCredit{invoice: invoice, step: creditStep(in.Invoice, invoice)})
		}
		credits[at].pieces = append(credits[at].pieces, piece)
		credits[at].amount = credits[at].amount.Add(piece.Amount.Amount)
		credited++
	}
	shareTax(in, credits)
	shareGoods(in, credits, credited == len(pieces))
	return credits, nil
}

// invoiceOf is the invoice that a piece is credited of; "" where its money is a deposit still. A shipment that has told of no invoice may be
// of the order's, which the ERP made of all that left, or wait for its own: the ERP knows whether its money was used.
func (b *Booking) invoiceOf(ctx context.Context, in BookRefundInput, piece refundPiece) (string, error) {
	port, tells := b.Port.(erp.ChangePort)
	switch {
	case piece.Shipment == "" || !tells:
		return cmp.Or(piece.Invoice, in.Invoice), nil
	case piece.Invoice != "":
		return piece.Invoice, b.awaitApplication(ctx, port, in, piece)
	case in.Invoice == "":
		return "", nil
	}
	if taken, err := b.tookDeposit(ctx, in, piece); taken || err != nil {
		return "", err
	}
	deposit, found, err := b.depositOf(ctx, port, in, piece)
	if err != nil || found && deposit.Unapplied.GreaterThanOrEqual(piece.Amount.Amount) {
		return "", err
	}
	return in.Invoice, nil
}

// depositOf is what a piece's capture stands in, where the ERP has that.
func (b *Booking) depositOf(ctx context.Context, port erp.ChangePort, in BookRefundInput, piece refundPiece) (erp.Deposit, bool, error) {
	source, err := b.currentDeposit(ctx, in, piece)
	if err != nil || source == "" {
		return erp.Deposit{}, false, err
	}
	deposit, err := port.FindDeposit(ctx, source)
	if fault.Is(err, fault.NotFound) {
		return erp.Deposit{}, false, nil
	}
	return deposit, err == nil, err
}

// awaitApplication waits for a shipment's money to reach its invoice. A credit memo of an invoice that is open is set off against that, and no
// refund could be posted against it any more. A void needs no money on the invoice.
func (b *Booking) awaitApplication(ctx context.Context, port erp.ChangePort, in BookRefundInput, piece refundPiece) error {
	if in.Way != WayRefund {
		return nil
	}
	invoice, err := b.Port.FindInvoice(ctx, erp.InvoiceRef{Number: piece.Invoice})
	if err != nil || !invoice.Balance.IsPositive() {
		return err
	}
	deposit, found, err := b.depositOf(ctx, port, in, piece)
	if err != nil || found && !deposit.Unapplied.IsPositive() {
		return err
	}
	return b.busy("invoice " + invoice.Number + " is open, and shipment " + piece.Shipment + " has not paid it yet")
}

// tookDeposit tells that this refund has begun to take a piece out of its deposit: it goes on like that. A refund reverses nothing else; a
// void also takes the receipts of invoices back.
func (b *Booking) tookDeposit(ctx context.Context, in BookRefundInput, piece refundPiece) (bool, error) {
	if in.Way != WayRefund {
		return false, nil
	}
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	mine := in.made(piece.step(refundStepReversal))
	for _, stored := range all {
		if stored.Kind == kindRefundReversal && mine(stored) {
			return true, err
		}
	}
	return false, err
}

// shareTax divides a refund's tax among the credits by their amounts, as differences of rounded sums: together they are exactly what is credited.
func shareTax(in BookRefundInput, credits []refundCredit) {
	amount, before := decimal.Zero, decimal.Zero
	for i := range credits {
		amount = amount.Add(credits[i].amount)
		upTo := canonical.RoundAmount(in.Breakdown.Tax.Mul(amount).DivRound(in.Breakdown.Total, partPlaces), in.Amount.Currency)
		credits[i].tax, before = upTo.Sub(before), upTo
	}
}

// shareGoods gives what comes back to the invoice that it left with. What no shipment has told of is given to the first one, unless it may
// never have left: all says that nothing of the refund is a deposit.
func shareGoods(in BookRefundInput, credits []refundCredit, all bool) {
	gone := make([]map[string]decimal.Decimal, len(credits)) // by stock code
	for i := range credits {
		gone[i] = map[string]decimal.Decimal{}
		for _, piece := range credits[i].pieces {
			for _, line := range piece.Lines {
				gone[i][stockCode(line.StockCode)] = gone[i][stockCode(line.StockCode)].Add(line.Quantity)
			}
		}
	}
	for _, share := range in.Breakdown.Lines {
		left, back := share.Quantity, make([]decimal.Decimal, len(credits))
		for i, code := 0, stockCode(share.SKU); i < len(credits); i++ {
			back[i] = decimal.Min(left, gone[i][code])
			left, gone[i][code] = left.Sub(back[i]), gone[i][code].Sub(back[i])
		}
		if all && len(credits) > 0 {
			back[0] = back[0].Add(left)
		}
		for i, quantity := range back {
			if quantity.IsPositive() {
				credits[i].lines = append(credits[i].lines, mappings.CreditLine{Number: share.Line, SKU: share.SKU, Quantity: quantity})
			}
		}
	}
}

// stockCode is a stock code as it is compared.
func stockCode(code string) string { return strings.ToUpper(strings.TrimSpace(code)) }
