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
	"github.com/tenderline/tenderline/internal/journal"
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

// refundPosting is what of a piece is posted against one credit memo.
type refundPosting struct {
	refundPiece
	memo    string
	further bool // the piece has others before it
}

// postingsOf are the postings of a piece; deposit: it goes back out of a deposit.
func (in BookRefundInput) postingsOf(piece refundPiece) (postings []refundPosting, deposit bool) {
	for _, credited := range in.Credited {
		if credited.TransactionID != piece.TransactionID {
			continue
		}
		one := refundPosting{refundPiece: piece, memo: credited.CreditMemo, further: len(postings) > 0}
		if credited.Amount.Amount.IsPositive() {
			one.Amount = credited.Amount
		}
		postings, deposit = append(postings, one), credited.CreditMemo == ""
	}
	if len(postings) == 0 {
		return []refundPosting{{refundPiece: piece, memo: in.CreditMemo}}, !in.invoiced()
	}
	return postings, deposit
}

// refundCredit is what of a refund is credited of one invoice.
type refundCredit struct {
	invoice     string
	step        string // of its operation
	amount, tax decimal.Decimal
	lines       []mappings.CreditLine // what comes back
	pieces      []creditedPiece
	memo        string // once it is made
}

// creditedPiece is what of a piece is credited of one invoice.
type creditedPiece struct {
	refundPiece
	amount decimal.Decimal
}

// creditedOf says what of a part is credited of which memo; an empty one stands for a deposit.
func creditedOf(part RefundPart, credits []refundCredit) []CreditedPart {
	var list []CreditedPart
	for _, credit := range credits {
		for _, piece := range credit.pieces {
			if piece.TransactionID == part.TransactionID {
				list = append(list, CreditedPart{
					TransactionID: part.TransactionID, CreditMemo: credit.memo, Amount: canonical.NewMoney(piece.amount, part.Amount.Currency),
				})
			}
		}
	}
	switch len(list) {
	case 0:
		return []CreditedPart{{TransactionID: part.TransactionID}}
	case 1:
		list[0].Amount = canonical.Money{}
	}
	return list
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
		shares, err := b.invoicesOf(ctx, in, piece)
		if err != nil {
			return nil, err
		}
		for _, share := range shares {
			at := slices.IndexFunc(credits, func(c refundCredit) bool { return c.invoice == share.invoice })
			if at < 0 {
				at, credits = len(credits), append(credits, refundCredit{invoice: share.invoice, step: creditStep(in.Invoice, share.invoice)})
			}
			credits[at].pieces = append(credits[at].pieces, creditedPiece{piece, share.amount})
			credits[at].amount = credits[at].amount.Add(share.amount)
		}
		credited += min(len(shares), 1)
	}
	shareTax(in, credits)
	shareGoods(in, credits, credited == len(pieces))
	return credits, nil
}

// invoiceShare is what of an amount belongs to one invoice.
type invoiceShare struct {
	invoice string
	amount  decimal.Decimal
}

// invoicesOf divides a piece among the invoices that are credited; none where its money is a deposit still. An order that was paid before it left
// in several shipments has one deposit that several invoices have used: the last one is credited first, each for no more than it took.
func (b *Booking) invoicesOf(ctx context.Context, in BookRefundInput, piece refundPiece) ([]invoiceShare, error) {
	if piece.Shipment == "" && piece.Invoice == "" && in.Invoice != "" {
		used, err := b.usedBy(ctx, in, piece)
		if err != nil {
			return nil, err
		}
		if len(used) > 1 {
			return b.divide(piece, used)
		}
	}
	invoice, err := b.invoiceOf(ctx, in, piece)
	if err != nil || invoice == "" {
		return nil, err
	}
	return []invoiceShare{{invoice, piece.Amount.Amount}}, nil
}

// usedBy is what of a capture's deposit invoices have taken and other refunds have not credited, the last one first.
func (b *Booking) usedBy(ctx context.Context, in BookRefundInput, piece refundPiece) ([]invoiceShare, error) {
	source, err := b.currentDeposit(ctx, in, piece)
	if err != nil || source == "" {
		return nil, err
	}
	all, err := b.Operations.ByOrder(ctx, in.OrderID)
	if err != nil {
		return nil, err
	}
	var used []invoiceShare
	add := func(invoice string, amount decimal.Decimal) {
		at := slices.IndexFunc(used, func(s invoiceShare) bool { return s.invoice == invoice })
		if at >= 0 {
			used[at].amount = used[at].amount.Add(amount)
		} else if amount.IsPositive() {
			used = slices.Insert(used, 0, invoiceShare{invoice, amount})
		}
	}
	for _, stored := range all {
		if stored.Kind != kindApplication || stored.State != journal.OperationSucceeded {
			continue
		}
		sent, err := decoded[erp.DepositApplication](stored.Request)
		if err != nil {
			return nil, err
		}
		if sent.Source == source {
			add(sent.Invoice, sent.Amount)
		}
	}
	for _, stored := range all {
		others := stored.Kind == kindRefundMemo && !strings.HasPrefix(stored.Key, refundKeys(in.OrderID, in.RefundID))
		if others && stored.State != journal.OperationRefused && stored.State != journal.OperationAbsent {
			add(cmp.Or(stored.Related, in.Invoice), stored.Amount.Amount.Neg())
		}
	}
	return used, nil
}

// divide credits each invoice for no more than is left of what it took. What they have not taken is in the deposit, of which no ERP gives a part
// back while others have used it: a person books that.
func (b *Booking) divide(piece refundPiece, used []invoiceShare) ([]invoiceShare, error) {
	left := piece.Amount.Amount
	var shares []invoiceShare
	for _, one := range used {
		if take := decimal.Min(left, one.amount); take.IsPositive() {
			shares, left = append(shares, invoiceShare{one.invoice, take}), left.Sub(take)
		}
	}
	if left.IsPositive() {
		return nil, b.depositInUse(canonical.NewMoney(left, piece.Amount.Currency).String() +
			" of the refund is in a deposit of which invoices have used the rest: book the refund by hand (skip), or wait until the order is invoiced whole")
	}
	return shares, nil
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
