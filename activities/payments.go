package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// AuthorizePayment authorizes an order's payment, or authorizes and captures it in one request. A decline is an answer. A refused or
// expired token is an answer too: a new one may follow.
func (p *Payments) AuthorizePayment(ctx context.Context, in AuthorizePaymentInput) (Authorization, error) {
	auth, err := p.authorizePayment(ctx, in)
	return auth, toTemporal(err)
}

func (p *Payments) authorizePayment(ctx context.Context, in AuthorizePaymentInput) (Authorization, error) {
	key := orderKey(in.OrderID, "authorize", in.Attempt)
	op := money{
		key: key, kind: cybersource.KindAuthorization, orderID: in.OrderID, code: in.OrderID, guard: p.transactionID(key),
		effect: journal.EffectAuthorize, amount: in.Amount, mark: in.Mark, hashOf: []any{in.Token.Type, inputHash(in.Token.Value), in.SkipReview},
	}
	if in.Capture {
		op.kind, op.effect = cybersource.KindSale, journal.EffectSale
	}
	reference := cybersource.PaymentReference{
		Code: op.code, TransactionID: op.guard, Capture: in.Capture, Amount: in.Amount, Token: in.Token, CreateToken: in.SaveCard,
		SkipDecisionManager: in.SkipReview,
	}
	var err error
	if in.Renewal {
		op.hashOf = append(op.hashOf, "renewal")
		reference.SkipDecisionManager = true // people have accepted this payment
		if reference.Renewal, err = p.renewal(ctx, in.OrderID); err != nil {
			return Authorization{}, err
		}
	}
	op.request, err = cybersource.PaymentRequest(in.Document.Body, reference)
	if err != nil {
		return Authorization{}, &fault.Fault{Kind: fault.Value, System: system, Message: err.Error()}
	}
	outcome, err := p.perform(ctx, op)
	if errors.Is(err, errAbsent) {
		return Authorization{Result: Absent}, nil
	}
	if fault.Is(err, fault.MissingReference) {
		payment, paymentErr := p.payment(ctx, in.OrderID)
		return Authorization{Result: TokenRefused, Payment: payment, Retryable: true, ReasonText: "the card token is unknown or has expired"}, paymentErr
	}
	if err != nil {
		return Authorization{}, err
	}
	auth, err := p.authorization(ctx, in.OrderID, outcome)
	if err == nil && auth.Result == Captured {
		err = stillCaptured(auth.Payment, in.Amount)
	}
	return auth, err
}

// renewal is what the bank is told of the authorization that another one takes the place of. Without its network id the vault's own
// serves; the amount is asked for by two brands alone (cybersource.md 2.3).
func (p *Payments) renewal(ctx context.Context, orderID string) (*cybersource.Renewal, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return nil, err
	}
	renewal := &cybersource.Renewal{}
	for _, stored := range operations {
		if stored.State != journal.OperationSucceeded || stored.Effect != journal.EffectAuthorize && stored.Effect != journal.EffectSale {
			continue
		}
		former, err := reread(stored)
		if err != nil {
			return nil, err
		}
		renewal.PreviousTransactionID = former.NetworkTransactionID
		if former.CardType == cardDiscover || former.CardType == cardDiners {
			renewal.OriginalAmount = former.Authorized
		}
	}
	return renewal, nil
}

// The brands that want a renewal to name the original amount (cybersource.md 9.3).
const (
	cardDiscover = "004"
	cardDiners   = "005"
)

// stillCaptured refuses a stored success whose money was taken back since: a run that was reset to before its compensation must not
// book an order that nobody pays for.
func stillCaptured(payment canonical.Payment, want canonical.Money) error {
	if payment.Captured.Sub(payment.Refunded).GreaterThanOrEqual(want.Amount) {
		return nil
	}
	return &fault.Fault{Kind: fault.Conflict, System: "tenderline", Code: codeTakenBack, Message: "the payment was captured and taken back since"}
}

// codeTakenBack is the code of a payment that was captured and taken back.
const codeTakenBack = "TAKEN_BACK"

// results maps the gateway's outcomes to ours; what is not here is no answer.
var results = map[cybersource.Result]AuthorizationResult{
	cybersource.Authorized:             Authorized,
	cybersource.Captured:               Captured,
	cybersource.Declined:               Declined,
	cybersource.Invalid:                Declined,
	cybersource.PartiallyAuthorized:    PartiallyAuthorized,
	cybersource.RiskDeclined:           RiskDeclined,
	cybersource.Held:                   Held,
	cybersource.HeldUnauthorized:       HeldUnauthorized,
	cybersource.AuthenticationRequired: AuthenticationRequired,
	cybersource.Reversed:               Declined, // found by a look-up, and taken back since
	cybersource.Voided:                 Declined,
}

// authorization is a stored outcome as the process reads it.
func (p *Payments) authorization(ctx context.Context, orderID string, outcome cybersource.Outcome) (Authorization, error) {
	result, known := results[outcome.Result]
	if !known {
		return Authorization{}, bug("outcome %q of an authorization", outcome.Result)
	}
	payment, err := p.payment(ctx, orderID)
	if err != nil {
		return Authorization{}, err
	}
	auth := Authorization{
		Result: result, Payment: payment, Retryable: outcome.RetryAdvice != "01", ReasonText: reasonText(result, outcome),
		LiveHold: result == PartiallyAuthorized || result == RiskDeclined || outcome.Result == cybersource.Voided && payment.Authorized.IsPositive(),
	}
	if outcome.Risk != nil {
		auth.RiskScore = outcome.Risk.Score
	}
	return auth, nil
}

// reasonText is what the shop and people read.
func reasonText(result AuthorizationResult, outcome cybersource.Outcome) string {
	switch result {
	case Authorized, Captured:
		return ""
	case PartiallyAuthorized:
		return fmt.Sprintf("only %s was approved", outcome.Authorized)
	case AuthenticationRequired:
		return "the issuer asks for payer authentication"
	default:
		if outcome.Reason != "" {
			return outcome.Reason
		}
		return outcome.Status
	}
}

// payment is an order's money as the process needs it; zero where none was asked for.
func (p *Payments) payment(ctx context.Context, orderID string) (canonical.Payment, error) {
	payment, err := p.Journal.Payment(ctx, orderID)
	if errors.Is(err, journal.ErrNotFound) {
		return canonical.Payment{OrderID: orderID, Status: canonical.PaymentNone}, nil
	}
	return payment.Payment, err
}

// CapturePayment captures an authorization in full. What a reviewer has captured already is adopted.
func (p *Payments) CapturePayment(ctx context.Context, in CapturePaymentInput) (Capture, error) {
	capture, err := p.capturePayment(ctx, in)
	return capture, toTemporal(err)
}

func (p *Payments) capturePayment(ctx context.Context, in CapturePaymentInput) (Capture, error) {
	before, err := p.payment(ctx, in.OrderID)
	if err != nil {
		return Capture{}, err
	}
	if before.CaptureID != "" && before.Captured.Equal(in.Amount.Amount) {
		return Capture{Payment: before, Adopted: true}, nil
	}
	key := orderKey(in.OrderID, "capture", in.Attempt)
	op := money{
		key: key, kind: cybersource.KindCapture, orderID: in.OrderID, code: followOnCode(in.OrderID, "C", key), guard: p.transactionID(key),
		effect: journal.EffectCapture, amount: in.Amount, mark: in.Mark, hashOf: []any{in.AuthorizationID},
		related: in.AuthorizationID, of: in.AuthorizationID, codes: []string{in.OrderID},
	}
	op.request, err = cybersource.CaptureRequest(in.AuthorizationID, op.code, op.guard, in.Amount, 1, 1)
	if err != nil {
		return Capture{}, &fault.Fault{Kind: fault.Value, System: system, Message: err.Error()}
	}
	outcome, err := p.follow(ctx, op, cybersource.Captured)
	if err != nil {
		return Capture{}, err
	}
	after, err := p.payment(ctx, in.OrderID)
	if err == nil {
		err = stillCaptured(after, in.Amount)
	}
	return Capture{Payment: after, Adopted: outcome.Adopted}, err
}

// VoidCapture voids what an order has captured: the sale, or its captures, each by a void of its own. TooLate means that a batch has gone,
// or that something of a capture went back already: a refund is the way for what is left.
func (p *Payments) VoidCapture(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	undone, err := p.voidCapture(ctx, in)
	return undone, toTemporal(err)
}

func (p *Payments) voidCapture(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	if in.RefundID != "" {
		undone, err := p.voidForRefund(ctx, in)
		return p.inParts(ctx, in, undone, err)
	}
	payment, err := p.settled(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil || len(captures) == 0 {
		return Undone{Result: UndoNothing, Payment: payment.Payment}, err
	}
	first, tooLate := "", false
	for _, capture := range captures {
		if capture.Back.IsPositive() {
			tooLate = true
			continue
		}
		op, err := voidOf(in, capture, payment.Currency, undoingKey(in, "void", capture.ID))
		if err != nil {
			return Undone{}, err
		}
		outcome, err := p.follow(ctx, op, cybersource.Voided)
		switch {
		case forbidden(err): // the gateway's word, not our journal's
			tooLate = true
		case err != nil:
			return Undone{}, err
		case first == "":
			first = outcome.ID
		}
	}
	undone, err := p.undone(ctx, in.OrderID, first, nil)
	if tooLate {
		undone.Result, undone.TransactionID = UndoTooLate, ""
	}
	return undone, err
}

// forbidden tells that the state of the payment at the gateway forbids a step: its word, after a look-up, not our journal's.
func forbidden(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Conflict && f.System == system
}

// voidOf cancels a capture, all of it.
func voidOf(in UndoPaymentInput, capture journal.Captured, currency, key string) (money, error) {
	op := money{
		key: key, kind: cybersource.KindVoid, orderID: in.OrderID, code: followOnCode(in.OrderID, "V", key),
		effect: journal.EffectVoidCapture, amount: canonical.NewMoney(capture.Amount, currency), mark: in.Mark, hashOf: []any{capture.ID},
		related: capture.ID, of: capture.ID,
	}
	request, err := cybersource.VoidRequest(resourceOf(capture), capture.ID, op.code)
	if err != nil {
		return money{}, bug("%v", err)
	}
	op.request = request
	return op, nil
}

// undoingKey is the key of taking a transaction back. It names the transaction, since an order may have several in turn (a partial approval
// is reversed, and another card follows), each to be taken back by a first attempt.
func undoingKey(in UndoPaymentInput, step, id string) string {
	return orderKey(in.OrderID, step+"-"+id, in.Attempt)
}

// RefundCapture pays back what is captured and not yet paid back.
func (p *Payments) RefundCapture(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	undone, err := p.refundCapture(ctx, in)
	return undone, toTemporal(err)
}

func (p *Payments) refundCapture(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	if in.RefundID != "" {
		undone, err := p.refundForRefund(ctx, in)
		return p.inParts(ctx, in, undone, err)
	}
	first := ""
	for {
		ops, nothing, err := p.takingBack(ctx, in)
		if err != nil || len(ops) == 0 {
			return nothing, err
		}
		var failure error
		for _, op := range ops {
			outcome, err := p.follow(ctx, op, cybersource.Refunded)
			if alreadyVoided(err) {
				err = p.noteVoided(ctx, in, op.of)
			}
			failure = worse(failure, err)
			if first == "" {
				first = outcome.ID
			}
		}
		undone, err := p.undone(ctx, in.OrderID, first, failure)
		if err != nil {
			return undone, err
		}
		left, err := p.Journal.Payment(ctx, in.OrderID)
		if err != nil || !left.Refundable.IsPositive() {
			return undone, err
		}
	}
}

// takingBack are the refunds of everything that is left to pay back: those that have not ended, then those of this attempt, or new ones.
// Where an attempt has done its work and more was captured since, the next one begins by itself.
func (p *Payments) takingBack(ctx context.Context, in UndoPaymentInput) (ops []money, nothing Undone, err error) {
	begun, err := p.partsOf(ctx, in)
	if err != nil {
		return nil, Undone{}, err
	}
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return nil, Undone{}, err
	}
	mine, attempt := begun.of(in.Attempt), in.Attempt
	switch open := begun.open(); {
	case open != nil:
		ops, err = p.carriedOn(in, payment, open)
	case len(mine) > 0 && (!mine.paid().IsPositive() || !payment.Refundable.IsPositive()):
		ops, err = p.carriedOn(in, payment, mine)
	case !payment.Refundable.IsPositive():
		return nil, Undone{Result: UndoNothing, Payment: payment.Payment}, reservedRefund(payment)
	default:
		if len(mine) > 0 {
			attempt = begun[len(begun)-1].attempt + 1
		}
		ops, err = p.reserveParts(ctx, in, attempt, canonical.NewMoney(payment.Refundable, payment.Currency))
	}
	return ops, Undone{}, err
}

func alreadyVoided(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Conflict && f.Code == cybersource.ReasonCaptureAlreadyVoided
}

// noteVoided takes over that a capture is voided where only the gateway's refusal of a refund says so: by somebody else, or by a void of
// ours that a late index never showed.
func (p *Payments) noteVoided(ctx context.Context, in UndoPaymentInput, id string) error {
	captures, err := p.Journal.Captures(ctx, in.OrderID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(captures, func(c journal.Captured) bool { return c.ID == id })
	if at < 0 {
		return nil // known already
	}
	payment, err := p.Journal.Payment(ctx, in.OrderID)
	if err != nil {
		return err
	}
	op := money{
		key: undoingKey(in, "voided", id), kind: cybersource.KindVoid, orderID: in.OrderID, code: in.OrderID,
		effect: journal.EffectVoidCapture, amount: canonical.NewMoney(captures[at].Amount, payment.Currency), mark: in.Mark,
	}
	stored, _, err := p.Journal.BeginPayment(ctx, journal.Operation{
		Key: op.key, System: system, Kind: string(op.kind), OrderID: op.orderID, Reference: op.code, Amount: op.amount,
		InputHash: inputHash(id), Request: []byte("{}"), Merchant: p.Merchant, Related: id,
	}, op.effect)
	if err != nil || stored.State.Final() {
		return journalFault(err)
	}
	_, err = p.conclude(ctx, op, cybersource.Outcome{Kind: op.kind, Result: cybersource.Voided, Status: "VOIDED", Amount: op.amount, Adopted: true})
	return err
}

// reservedRefund is the failure where money is left to pay back, but all of it is reserved by something whose end is not known.
func reservedRefund(payment journal.Payment) error {
	if !payment.Open || !payment.Captured.Sub(payment.Refunded).Sub(payment.ChargedBack).IsPositive() {
		return nil
	}
	return &fault.Fault{
		Kind: fault.UnknownOutcome, System: system, Final: true,
		Message: "a former refund or void of this payment is not known to have ended: nothing can be paid back before",
	}
}

// ReverseAuthorization releases what the bank still holds of an order's authorization. Where something of it is captured, the gateway may
// release no part: UndoNothing with Why, and the bank lets the rest go by itself.
func (p *Payments) ReverseAuthorization(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	undone, err := p.reverseAuthorization(ctx, in)
	return undone, toTemporal(err)
}

func (p *Payments) reverseAuthorization(ctx context.Context, in UndoPaymentInput) (Undone, error) {
	if in.RefundID != "" {
		return p.reverseForRefund(ctx, in)
	}
	payment, err := p.settled(ctx, in.OrderID)
	if err != nil {
		return Undone{}, err
	}
	if payment.Captured.IsPositive() && held(payment).IsPositive() { // the gateway releases by itself what a last capture leaves
		if payment, _, err = p.reconcile(ctx, in.OrderID); err != nil {
			return Undone{}, err
		}
		if !held(payment).IsPositive() {
			return p.releasedElsewhere(ctx, in, payment)
		}
	}
	if !held(payment).IsPositive() {
		return Undone{Result: UndoNothing, Payment: payment.Payment}, nil
	}
	op, err := p.releasing(ctx, in, payment)
	if err != nil {
		return Undone{}, err
	}
	outcome, err := p.follow(ctx, op, cybersource.Reversed)
	switch {
	case alreadyReversed(err):
		err = p.noteLapsed(ctx, in.OrderID)
	case payment.CaptureID != "" && indivisible(err):
		return p.releaseAgain(ctx, in, op.amount, err)
	}
	return p.undone(ctx, in.OrderID, outcome.ID, err)
}

// releaseAgain is for a release that the gateway refuses of a payment that was captured: it may have released a part by itself, which is
// taken over, and what is held then is another amount.
func (p *Payments) releaseAgain(ctx context.Context, in UndoPaymentInput, asked canonical.Money, refusal error) (Undone, error) {
	payment, _, err := p.reconcile(ctx, in.OrderID)
	switch hold := held(payment); {
	case err != nil:
		return Undone{}, err
	case !hold.IsPositive():
		return p.releasedElsewhere(ctx, in, payment)
	case !hold.Equal(asked.Amount):
		return p.reverseAuthorization(ctx, in)
	case payment.Captured.IsPositive():
		return leftToTheBank(payment), nil
	default:
		return Undone{}, refusal
	}
}

// releasing releases all of a hold: by the reversal that was begun, or by another one where that was for what was held then.
func (p *Payments) releasing(ctx context.Context, in UndoPaymentInput, payment journal.Payment) (money, error) {
	hold := canonical.NewMoney(held(payment), payment.Currency)
	for i := 1; ; i++ {
		step := stepReverse
		if i > 1 {
			step += "-" + strconv.Itoa(i)
		}
		key := undoingKey(in, step, payment.AuthorizationID)
		stored, err := p.Journal.Operations().Get(ctx, key)
		switch {
		case errors.Is(err, journal.ErrNotFound):
			return reversalOf(in, payment, key, hold)
		case err != nil:
			return money{}, err
		case !stored.State.Final() || stored.State != journal.OperationSucceeded && stored.Amount.Equal(hold):
			return reversalOf(in, payment, key, stored.Amount)
		}
	}
}

// indivisible tells that the gateway has refused to release a part of a hold, or what is left beside a capture.
func indivisible(err error) bool {
	f := fault.As(err)
	return f != nil && f.System == system && (f.Kind == fault.Conflict || f.Kind == fault.Value)
}

// leftToTheBank is the end of a release that the gateway refuses because of what is captured: the rest runs out.
func leftToTheBank(payment journal.Payment) Undone {
	return Undone{Result: UndoNothing, Payment: payment.Payment, Why: fmt.Sprintf(
		"the gateway releases no part of an authorization: the bank lets %s go by itself", canonical.NewMoney(held(payment), payment.Currency))}
}

func alreadyReversed(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind == fault.Conflict && f.Code == cybersource.ReasonAuthAlreadyReversed
}

// noteLapsed takes over that a hold is gone of which the look-up has shown no reversal of ours: the bank or the gateway released it by
// itself.
func (p *Payments) noteLapsed(ctx context.Context, orderID string) error {
	return p.Journal.ChangePayment(ctx, orderID, journal.PaymentChange{HoldLapsed: true}, nil)
}

// reversalOf releases a hold.
func reversalOf(in UndoPaymentInput, payment journal.Payment, key string, hold canonical.Money) (money, error) {
	op := money{
		key: key, kind: cybersource.KindReversal, orderID: in.OrderID, code: followOnCode(in.OrderID, "R", key),
		effect: journal.EffectReverse, amount: hold, mark: in.Mark,
		hashOf: []any{payment.AuthorizationID}, related: payment.AuthorizationID, of: payment.AuthorizationID, codes: []string{in.OrderID},
	}
	request, err := cybersource.ReversalRequest(payment.AuthorizationID, op.code, op.amount, in.Reason)
	if err != nil {
		return money{}, bug("%v", err)
	}
	op.request = request
	return op, nil
}

// undone gives the payment after an undo by the transaction of that id, unless the undo failed.
func (p *Payments) undone(ctx context.Context, orderID, id string, err error) (Undone, error) {
	if err != nil {
		return Undone{}, err
	}
	payment, err := p.payment(ctx, orderID)
	return Undone{Result: UndoDone, TransactionID: id, Payment: payment}, err
}

// settled finds out what is unknown of an order's money, so that it can be undone: a lost authorization, sale or capture is adopted or
// undone by its time-out form.
func (p *Payments) settled(ctx context.Context, orderID string) (journal.Payment, error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, orderID)
	if err != nil {
		return journal.Payment{}, err
	}
	for _, stored := range operations {
		if stored.State.Final() || !takesMoney(stored.Effect) {
			continue
		}
		if adopted(stored.Key) { // found at the gateway, and the process that took it over died on the way
			if _, _, err := p.reconcile(ctx, orderID); err != nil {
				return journal.Payment{}, err
			}
			continue
		}
		if err := p.settle(ctx, orderID, stored); err != nil {
			return journal.Payment{}, err
		}
	}
	payment, err := p.Journal.Payment(ctx, orderID)
	if errors.Is(err, journal.ErrNotFound) {
		return journal.Payment{Payment: canonical.Payment{OrderID: orderID, Status: canonical.PaymentNone}}, nil
	}
	return payment, err
}

func takesMoney(effect journal.Effect) bool {
	return effect == journal.EffectAuthorize || effect == journal.EffectSale || effect == journal.EffectCapture
}

// settle ends one operation whose outcome is unknown.
func (p *Payments) settle(ctx context.Context, orderID string, stored journal.Operation) error {
	ctx = outbound.WithOperation(ctx, stored.Key)
	if stored.Sends == 0 {
		return journalFault(p.Journal.AbsentPayment(ctx, stored.Key, journal.PaymentChange{}, nil))
	}
	op := money{
		key: stored.Key, kind: cybersource.Kind(stored.Kind), orderID: orderID, code: stored.Reference, guard: stored.Guard,
		effect: stored.Effect, amount: stored.Amount,
	}
	if stored.Effect == journal.EffectCapture {
		op.codes = []string{orderID}
	}
	_, lost, err := p.lookUp(ctx, op, stored)
	if err != nil {
		now, getErr := p.Journal.Operations().Get(ctx, stored.Key)
		if getErr == nil && now.State.Final() {
			return nil // refused for good: nothing moved
		}
		return err
	}
	if !lost {
		return nil
	}
	_, err = p.undoLost(ctx, op, stored)
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}
