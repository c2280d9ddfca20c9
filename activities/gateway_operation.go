package activities

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Gateway is what the payment steps ask of the Cybersource client.
type Gateway interface {
	Send(ctx context.Context, request cybersource.Request) (cybersource.Outcome, error)
	Find(ctx context.Context, query cybersource.Query, want cybersource.Wanted) (cybersource.Outcome, bool, error)
	Search(ctx context.Context, query cybersource.Query) ([]cybersource.Transaction, error)
	Transaction(ctx context.Context, id string) (cybersource.Detail, error)
}

// GatewayTiming holds how patient the look-up of a lost answer is. All are settings; the embedded run shortens them.
type GatewayTiming struct {
	Settle time.Duration // nothing is sent again or reversed before this long after the send (60 s)
	Budget time.Duration // after which an outcome that is still unknown waits for a person (15 min)
	Lag    time.Duration // of the search index; an empty answer means nothing until it is past several times over
}

// Payments holds the money steps at Cybersource. Gateway operations live in the central journal, in one transaction with the
// payment's reservation.
type Payments struct {
	Gateway       Gateway
	Journal       *journal.Store
	Deployment    string // with Merchant and key it makes the transactionId: two deployments on one merchant never clash
	Merchant      string
	GuardVerified bool // the merchant's processor is known to refuse a transactionId that was used before
	Timing        GatewayTiming
	Clock         func() time.Time
}

// system names the gateway in operations and faults.
const system = "cybersource"

// errAbsent says that an operation is proven not to exist at the gateway.
var errAbsent = errors.New("operation is proven absent")

// refusedDetail marks an operation whose send was refused in a way that must be looked up before it is believed.
const refusedDetail = "refused:"

// resendRefusedDetail marks one that was sent again and refused: its bytes are good for nothing any more (an expired token), and what
// became of the earlier send is as unknown as before.
const resendRefusedDetail = "resend refused:"

// codeAbsent is the code of a follow-on that is proven not to exist at the gateway and was given up.
const codeAbsent = "ABSENT"

// money is one mutation of a payment at the gateway.
type money struct {
	key     string
	kind    cybersource.Kind
	orderID string
	code    string // merchant reference: finds this operation's transactions and no other's
	guard   string
	effect  journal.Effect
	amount  canonical.Money
	request cybersource.Request
	hashOf  []any
	hash    string // of one that was begun: what it was begun with, in place of hashOf
	mark    Mark
	related string // the transaction it follows, where the look-up can tell by it
	of      string // the transaction whose money it moves: of a refund or void its capture, of a capture or reversal its authorization
	// codes are further references under which somebody else may have done the same (a reviewer uses the payment's own).
	codes []string
	// fits tells, before a later try sends, whether there is still room for what it moves; nil where the gateway itself sees to it.
	fits func(context.Context) (bool, error)
}

// concluded is what is stored of a finished operation: an outcome, or a refusal.
type concluded struct {
	Outcome *cybersource.Outcome `json:"outcome,omitempty"`
	Refusal json.RawMessage      `json:"refusal,omitempty"`
}

// transactionID is our unique id of an operation at the gateway: at most 30 characters, the same for the same key.
func (p *Payments) transactionID(key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", p.Deployment, p.Merchant, key))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:26]
}

// followOnCode is the merchant reference of a follow-on: the order's id, what it does, and a hash of its key, so that no order's id
// and no other operation has the same. At most 46 characters.
func followOnCode(orderID, step, key string) string {
	sum := sha256.Sum256([]byte(key))
	return orderID + "-" + step + "-" + hex.EncodeToString(sum[:4])
}

// perform carries an operation from intent to outcome. Called again, in whatever process, it goes on where the journal says; it
// never sends what may have arrived without asking first. Refusals come back as faults, declines as outcomes, errAbsent where the
// operation is proven not to exist.
func (p *Payments) perform(ctx context.Context, op money) (cybersource.Outcome, error) {
	ctx = outbound.WithOperation(ctx, op.key)
	intent, err := p.intent(op)
	if err != nil {
		return cybersource.Outcome{}, err
	}
	stored, fresh, err := p.Journal.BeginPayment(ctx, intent, op.effect)
	if err != nil {
		return cybersource.Outcome{}, journalFault(err)
	}
	if fresh {
		return p.send(ctx, op, stored)
	}
	if stored.State.Final() {
		return reread(stored)
	}
	if stored.Sends > 0 {
		outcome, again, err := p.lookUp(ctx, op, stored)
		if !again {
			return outcome, err
		}
		resend, err := p.mayResend(ctx, op, stored)
		switch {
		case err != nil:
			return cybersource.Outcome{}, err
		case strings.HasPrefix(stored.Detail, refusedDetail):
			return cybersource.Outcome{}, p.askLater(op, stored.Detail)
		case !resend:
			return p.undoLost(ctx, op, stored)
		}
	} else if op.fits != nil { // it never left, and time has passed
		fits, err := op.fits(ctx)
		switch {
		case err != nil:
			return cybersource.Outcome{}, err
		case !fits:
			return p.closeAbsent(ctx, stored)
		}
	}
	if err := p.Journal.Operations().Resend(ctx, op.key); err != nil {
		return cybersource.Outcome{}, journalFault(err)
	}
	stored.Sends++
	return p.send(ctx, op, stored)
}

// intent is an operation as the journal keeps it from before it is sent.
func (p *Payments) intent(op money) (journal.Operation, error) {
	request, err := json.Marshal(op.request)
	if err != nil {
		return journal.Operation{}, fmt.Errorf("encode %s: %w", op.kind, err)
	}
	hash := op.hash
	if hash == "" {
		hash = inputHash(append([]any{op.kind, op.orderID, op.amount.String()}, op.hashOf...)...)
	}
	return journal.Operation{
		Key: op.key, System: system, Kind: string(op.kind), OrderID: op.orderID, Reference: op.code, Guard: op.guard, Amount: op.amount,
		InputHash: hash, Request: request, Merchant: p.Merchant, Related: op.of,
	}, nil
}

// begunAs is an operation as it was begun: it is carried on with what is stored of it, whatever would be asked for now.
func begunAs(stored journal.Operation) money {
	return money{
		key: stored.Key, kind: cybersource.Kind(stored.Kind), orderID: stored.OrderID, code: stored.Reference, guard: stored.Guard,
		effect: stored.Effect, amount: stored.Amount, hash: stored.InputHash, related: stored.Related, of: stored.Related,
	}
}

// mayResend tells whether the same bytes may go out again once the look-up has found nothing: kinds with the transactionId guard
// only where the guard is known to work; capture, void and reversal have none, and the gateway's state refuses a second one. What was
// refused when it was sent again, is being undone, or has no room any more, is not sent.
func (p *Payments) mayResend(ctx context.Context, op money, stored journal.Operation) (bool, error) {
	if strings.HasPrefix(stored.Detail, resendRefusedDetail) || op.kind.Guarded() && !p.GuardVerified {
		return false, nil
	}
	_, open, err := p.undoOf(ctx, stored.Key)
	if err != nil || open || op.fits == nil {
		return !open, err
	}
	return op.fits(ctx)
}

// follow performs a follow-on. What the gateway has processed and refused, and what somebody has undone since, is no success.
func (p *Payments) follow(ctx context.Context, op money, want cybersource.Result) (cybersource.Outcome, error) {
	outcome, err := p.perform(ctx, op)
	switch {
	case errors.Is(err, errAbsent):
		return outcome, &fault.Fault{Kind: fault.Conflict, System: "tenderline", Code: codeAbsent, Message: label(op.kind) + " given up: proven absent"}
	case err == nil && outcome.Result != want:
		code := outcome.Reason
		if code == "" {
			code = outcome.Status
		}
		return outcome, &fault.Fault{Kind: fault.Conflict, System: system, Code: code, Message: fmt.Sprintf("%s is %s", op.kind, outcome.Result)}
	default:
		return outcome, err
	}
}

// reread gives the stored outcome of a finished operation.
func reread(stored journal.Operation) (cybersource.Outcome, error) {
	if stored.State == journal.OperationAbsent {
		return cybersource.Outcome{}, errAbsent
	}
	var c concluded
	if err := json.Unmarshal(stored.Outcome, &c); err != nil {
		return cybersource.Outcome{}, fmt.Errorf("read outcome of %s: %w", stored.Key, err)
	}
	if c.Refusal != nil {
		return cybersource.Outcome{}, decodeRefusal(c.Refusal)
	}
	return *c.Outcome, nil
}

// send sends the stored bytes and writes down what came back.
func (p *Payments) send(ctx context.Context, op money, stored journal.Operation) (cybersource.Outcome, error) {
	var request cybersource.Request
	if err := json.Unmarshal(stored.Request, &request); err != nil {
		return cybersource.Outcome{}, fmt.Errorf("read request of %s: %w", op.key, err)
	}
	outcome, err := p.Gateway.Send(ctx, request)
	if err != nil {
		return cybersource.Outcome{}, p.noteFailure(ctx, op, stored, err)
	}
	return p.conclude(ctx, op, outcome)
}

// noteFailure writes down what a failed send means, and gives the failure that the activity ends with.
func (p *Payments) noteFailure(ctx context.Context, op money, stored journal.Operation, failure error) error {
	f := fault.As(failure)
	if f == nil {
		f = &fault.Fault{Kind: fault.UnknownOutcome, System: system, Message: "no answer", Err: failure}
	}
	switch f.Kind {
	case fault.Connection, fault.RateLimit:
		return errors.Join(p.Journal.Operations().NotSent(ctx, op.key), f)
	case fault.UnknownOutcome, fault.Busy:
		return p.unknown(ctx, op, f.Code)
	case fault.Conflict:
		// The state of the payment forbids it: perhaps because a lost answer, or a reviewer, has done it already.
		return p.unknown(ctx, op, refusedDetail+f.Code)
	default:
		if stored.Sends > 1 {
			return p.refusedAgain(ctx, op, f)
		}
		return p.refuse(ctx, op, f)
	}
}

// refusedAgain is for a refusal of bytes that were sent before: it says nothing of the earlier send, which may have moved money.
func (p *Payments) refusedAgain(ctx context.Context, op money, f *fault.Fault) error {
	if f.Kind == fault.Credentials {
		if err := p.unknown(ctx, op, f.Code); fault.As(err) == nil {
			return err
		}
		return p.stillUnknown(op, f)
	}
	if op.kind.Guarded() {
		return p.unknown(ctx, op, resendRefusedDetail+f.Code)
	}
	return p.unknown(ctx, op, refusedDetail+f.Code)
}

// unknown stores that the outcome is not known, and gives the retryable failure that makes the activity come back and ask.
func (p *Payments) unknown(ctx context.Context, op money, detail string) error {
	if err := p.Journal.UnknownPayment(ctx, op.key, detail, nil); err != nil {
		return journalFault(err)
	}
	return p.askLater(op, detail)
}

// askLater makes the activity come back when the index may know more.
func (p *Payments) askLater(op money, detail string) error {
	return &fault.Fault{
		Kind: fault.UnknownOutcome, System: system, Code: strings.TrimPrefix(strings.TrimPrefix(detail, refusedDetail), resendRefusedDetail),
		Message:    fmt.Sprintf("no answer to %s of %s (reference %s, transactionId %s); looking it up", op.kind, op.amount, op.code, op.guard),
		RetryAfter: max(p.Timing.Lag, time.Second),
	}
}

// refuse stores a final no and gives it back.
func (p *Payments) refuse(ctx context.Context, op money, f *fault.Fault) error {
	refusal, err := encodeRefusal(f)
	if err != nil {
		return err
	}
	stored, err := json.Marshal(concluded{Refusal: refusal})
	if err != nil {
		return err
	}
	progress := p.progress(op, cybersource.Outcome{Status: "refused", Reason: f.Code})
	if err := p.Journal.RefusePayment(ctx, op.key, stored, journal.PaymentChange{}, progress); err != nil {
		return journalFault(err)
	}
	return f
}

// conclude stores an answer: success, decline, or an answer that must be looked up.
func (p *Payments) conclude(ctx context.Context, op money, outcome cybersource.Outcome) (cybersource.Outcome, error) {
	stored, err := json.Marshal(concluded{Outcome: &outcome})
	if err != nil {
		return outcome, err
	}
	change := journal.PaymentChange{
		CardType: outcome.CardType, CardSuffix: outcome.CardSuffix, ApprovalCode: outcome.ApprovalCode,
		Reconciliation: outcome.ReconciliationID, Reason: outcome.Reason, At: outcome.SubmittedAt,
	}
	if outcome.Tokens != nil {
		change.CustomerToken = outcome.Tokens.Customer
	}
	if op.undoneSince(outcome.Result) {
		change.Status = canonical.PaymentStatus(outcome.Result)
		return outcome, journalFault(p.Journal.RefusePayment(ctx, op.key, stored, change, p.progress(op, outcome)))
	}
	switch outcome.Result {
	case cybersource.Authorized, cybersource.Captured, cybersource.Refunded, cybersource.Reversed, cybersource.Voided:
		// A sale that was only authorized, or voided since, holds the money and has captured nothing.
		change.NotCaptured = op.effect == journal.EffectSale && outcome.Result != cybersource.Captured
	case cybersource.PartiallyAuthorized, cybersource.RiskDeclined:
		change.NotCaptured = true
		if outcome.Authorized.Currency != "" {
			change.Amount = &outcome.Authorized.Amount
		}
	case cybersource.Held:
		change.Status = canonical.PaymentHeld
	case cybersource.HeldUnauthorized:
		change.Status = canonical.PaymentHeld
		zero := canonical.Money{}.Amount
		change.Amount = &zero
	case cybersource.Declined, cybersource.AuthenticationRequired, cybersource.Invalid:
		if op.effect == journal.EffectAuthorize || op.effect == journal.EffectSale {
			change.Status = canonical.PaymentDeclined
		}
		return outcome, journalFault(p.Journal.RefusePayment(ctx, op.key, stored, change, p.progress(op, outcome)))
	default: // Duplicate: it is there. Pending, Unrecognized: never a success.
		return outcome, p.unknown(ctx, op, outcome.Status+"/"+outcome.Reason)
	}
	return outcome, journalFault(p.Journal.SucceedPayment(ctx, op.key, outcome.ID, stored, change, p.progress(op, outcome)))
}

// undoneSince tells that what a look-up has found was taken back since: nothing of it is left. Of a voided sale the hold may be left.
func (op money) undoneSince(result cybersource.Result) bool {
	switch op.effect {
	case journal.EffectSale:
		return result == cybersource.Reversed
	case journal.EffectAuthorize, journal.EffectCapture, journal.EffectRefund:
		return takenBack(result)
	default:
		return false
	}
}

// live tells that money is held or taken, or may be.
func live(result cybersource.Result) bool {
	switch result {
	case cybersource.Declined, cybersource.Invalid, cybersource.AuthenticationRequired:
		return false
	default:
		return !takenBack(result)
	}
}

func takenBack(result cybersource.Result) bool {
	return result == cybersource.Reversed || result == cybersource.Voided
}

// lookUp asks the gateway what became of an operation that was sent. again tells that it is proven not to be there, or that its undoing was
// begun: it may be sent again, or undone.
func (p *Payments) lookUp(ctx context.Context, op money, stored journal.Operation) (outcome cybersource.Outcome, again bool, err error) {
	found, known, err := p.find(ctx, op, stored.FirstSentAt)
	if err != nil {
		return outcome, false, p.notTold(ctx, op, stored, err)
	}
	if known {
		return p.adoptFound(ctx, op, stored, found)
	}
	if age := p.Clock().Sub(stored.LastSentAt); age < p.Timing.Settle {
		return outcome, false, p.askLater(op, stored.Detail)
	}
	if code, refused := strings.CutPrefix(stored.Detail, refusedDetail); refused && !op.refusedByItself(stored) {
		return outcome, false, p.refuse(ctx, op, &fault.Fault{
			Kind: fault.Conflict, System: system, Code: code, Message: fmt.Sprintf("%s refused: %s", op.kind, code),
		})
	}
	if p.outOfBudget(ctx, stored) {
		return outcome, false, p.stillUnknown(op, nil)
	}
	return outcome, true, nil
}

// refusedByItself tells that the gateway's state may forbid a resend because the send before it has taken the money: however long the index
// stays empty, that is no refusal.
func (op money) refusedByItself(stored journal.Operation) bool {
	return stored.Sends > 1 && takesMoney(op.effect)
}

// adoptFound takes over what was found. While an undoing is on its way it is carried on, since it may still arrive; once the gateway has
// refused it, what was found holds.
func (p *Payments) adoptFound(ctx context.Context, op money, stored journal.Operation, found cybersource.Outcome) (cybersource.Outcome, bool, error) {
	undo, open, err := p.undoOf(ctx, stored.Key)
	if err != nil {
		return cybersource.Outcome{}, false, err
	}
	if open {
		onItsWay := undo.Sends > 0 && !strings.HasPrefix(undo.Detail, refusedDetail)
		if onItsWay && !op.undoneSince(found.Result) {
			return cybersource.Outcome{}, true, nil
		}
		if err := p.endUndo(ctx, undo, takenBack(found.Result)); err != nil {
			return cybersource.Outcome{}, false, err
		}
	}
	outcome, err := p.conclude(ctx, op, found)
	if err != nil {
		err = p.notTold(ctx, op, stored, err)
	}
	return outcome, false, err
}

// notTold is the failure of a look-up that did not tell. It is never a refusal of the operation itself: what was looked for may be there.
func (p *Payments) notTold(ctx context.Context, op money, stored journal.Operation, err error) error {
	f := fault.As(err)
	if f == nil || f.System != system {
		return err
	}
	if !f.Kind.Retryable() || p.outOfBudget(ctx, stored) {
		return p.stillUnknown(op, f)
	}
	return err
}

// stillUnknown leaves it to a person: what was asked for, and under which names it can be found. cause may be nil.
func (p *Payments) stillUnknown(op money, cause *fault.Fault) error {
	f := &fault.Fault{
		Kind: fault.UnknownOutcome, System: system, Final: true,
		Message: fmt.Sprintf("still unknown: %s of %s, reference %s, transactionId %s", op.kind, op.amount, op.code, op.guard),
	}
	if cause != nil {
		f.Code, f.Fields, f.HTTPStatus, f.RequestID = cause.Code, cause.Fields, cause.HTTPStatus, cause.RequestID
	}
	return f
}

// outOfBudget tells that this run of the activity has asked long enough. A run that had to wait for a worker has not asked yet.
func (p *Payments) outOfBudget(ctx context.Context, stored journal.Operation) bool {
	since := activity.GetInfo(ctx).ScheduledTime
	if stored.FirstSentAt.After(since) {
		since = stored.FirstSentAt
	}
	return p.Clock().Sub(since) >= p.Timing.Budget
}

// find searches for the operation's transaction among those that serve no other operation.
func (p *Payments) find(ctx context.Context, op money, since time.Time) (cybersource.Outcome, bool, error) {
	taken, undoneBefore, err := p.others(ctx, op)
	if err != nil {
		return cybersource.Outcome{}, false, err
	}
	var journalErr error
	want := cybersource.Wanted{Kind: op.kind, Amount: op.amount, After: since, Related: op.related, Exclude: func(id string) bool {
		owners, err := p.Journal.Operations().ByOutsideID(ctx, system, id)
		journalErr = errors.Join(journalErr, err)
		return taken[id] || len(owners) > 0
	}}
	for _, code := range append([]string{op.code}, op.codes...) {
		for {
			outcome, found, err := p.Gateway.Find(ctx, cybersource.Query{Code: code, Since: since}, want)
			if err = errors.Join(p.patient(err), journalErr); err != nil {
				return outcome, false, err
			}
			if !found {
				break
			}
			if !undoneBefore || !takesMoney(op.effect) || live(outcome.Result) || !outcome.SubmittedAt.Before(since.Truncate(time.Second)) {
				return outcome, true, nil
			}
			taken[outcome.ID] = true // of a former attempt that was given up without its id: nothing of it is left, but of ours there may be
		}
	}
	return cybersource.Outcome{}, false, nil
}

// others gives the transactions that answered the order's other operations: refused ones own no id in the journal, and a declined
// attempt has the same reference and amount as the next one. undone tells that a former attempt was sent and undone without its id.
func (p *Payments) others(ctx context.Context, op money) (taken map[string]bool, undone bool, err error) {
	operations, err := p.Journal.Operations().ByOrder(ctx, op.orderID)
	if err != nil {
		return nil, false, err
	}
	taken = map[string]bool{}
	for _, other := range operations {
		if other.System != system || other.Key == op.key || !other.State.Final() {
			continue
		}
		undone = undone || other.State == journal.OperationAbsent && other.Sends > 0 && takesMoney(other.Effect)
		var c concluded
		if len(other.Outcome) == 0 || json.Unmarshal(other.Outcome, &c) != nil || c.Outcome == nil || c.Outcome.ID == "" {
			continue
		}
		taken[c.Outcome.ID] = true
	}
	return taken, undone, nil
}

// patient gives a look-up that came before the gateway's records a pause.
func (p *Payments) patient(err error) error {
	if f := fault.As(err); f != nil && f.Kind == fault.Busy {
		f.RetryAfter = max(f.RetryAfter, p.Timing.Lag, time.Second)
	}
	return err
}

// undoLost takes an operation back whose answer was lost and which may not be sent again: by the time-out reversal of an
// authorization, the time-out void of what moves money. A sale takes both: voided it leaves its hold, and one whose capture did not run (refused
// by risk rules, approved in part) is a hold that no void finds. Either says that it is undone, or that it was never there.
//
// A void that the look-up has not found needs no undoing: the capture's own record shows that it never came through.
func (p *Payments) undoLost(ctx context.Context, op money, stored journal.Operation) (cybersource.Outcome, error) {
	if stored.Effect == journal.EffectVoidCapture {
		return p.closeAbsent(ctx, stored)
	}
	if stored.Effect != journal.EffectAuthorize {
		if err := p.voidLost(ctx, op, stored); err != nil {
			return cybersource.Outcome{}, err
		}
	}
	if stored.Effect == journal.EffectAuthorize || stored.Effect == journal.EffectSale {
		if err := p.reverseLost(ctx, op, stored); err != nil {
			return cybersource.Outcome{}, err
		}
	}
	return p.closeAbsent(ctx, stored)
}

// closeAbsent gives an operation up that is proven not to exist at the gateway.
func (p *Payments) closeAbsent(ctx context.Context, stored journal.Operation) (cybersource.Outcome, error) {
	if err := p.Journal.AbsentPayment(ctx, stored.Key, journal.PaymentChange{}, nil); err != nil {
		return cybersource.Outcome{}, journalFault(err)
	}
	return cybersource.Outcome{}, errAbsent
}

// voidLost sends the time-out void.
func (p *Payments) voidLost(ctx context.Context, op money, stored journal.Operation) (err error) {
	undo := money{
		key: voidKey(stored.Key), kind: cybersource.KindTimeoutVoid, orderID: op.orderID, code: op.code, guard: stored.Guard,
		effect: journal.EffectTimeoutVoid, amount: stored.Amount, hashOf: []any{stored.Key},
	}
	if undo.request, err = cybersource.TimeoutVoidRequest(op.code, stored.Guard); err != nil {
		return err
	}
	return p.performTimeout(ctx, undo)
}

// reverseLost sends the time-out reversal.
func (p *Payments) reverseLost(ctx context.Context, op money, stored journal.Operation) (err error) {
	undo := money{
		key: reversalKey(stored.Key), kind: cybersource.KindTimeoutReversal, orderID: op.orderID, code: op.code, guard: stored.Guard,
		effect: journal.EffectTimeoutReverse, amount: stored.Amount, hashOf: []any{stored.Key},
	}
	if undo.request, err = cybersource.TimeoutReversalRequest(op.code, stored.Guard, stored.Amount); err != nil {
		return err
	}
	return p.performTimeout(ctx, undo)
}

// voidKey and reversalKey are the keys of the time-out forms that undo an operation.
func voidKey(key string) string     { return key + ":timeout-void" }
func reversalKey(key string) string { return key + ":timeout-reversal" }

// undoOf gives the time-out form of an operation that was begun and whose own outcome is not known, if there is one.
func (p *Payments) undoOf(ctx context.Context, key string) (undo journal.Operation, open bool, err error) {
	for _, form := range []string{voidKey(key), reversalKey(key)} {
		undo, err = p.Journal.Operations().Get(ctx, form)
		if err == nil && !undo.State.Final() {
			return undo, true, nil
		}
		if err != nil && !errors.Is(err, journal.ErrNotFound) {
			return undo, false, err
		}
	}
	return journal.Operation{}, false, nil
}

// endUndo closes a time-out form by what became of the operation it was to undo.
func (p *Payments) endUndo(ctx context.Context, undo journal.Operation, undone bool) error {
	if !undone {
		return journalFault(p.Journal.AbsentPayment(ctx, undo.Key, journal.PaymentChange{}, nil))
	}
	stored, err := json.Marshal(concluded{Outcome: &cybersource.Outcome{Kind: cybersource.Kind(undo.Kind), Adopted: true}})
	if err != nil {
		return err
	}
	return journalFault(p.Journal.SucceedPayment(ctx, undo.Key, "", stored, journal.PaymentChange{}, nil))
}

// performTimeout sends a time-out form; nil tells that it has undone the original, or found nothing to undo. The form may be sent as often as
// needed. A refusal that does not say either leaves everything open: not voidable may mean that the money has gone.
func (p *Payments) performTimeout(ctx context.Context, op money) error {
	request, err := json.Marshal(op.request)
	if err != nil {
		return err
	}
	ctx = outbound.WithOperation(ctx, op.key)
	stored, fresh, err := p.Journal.BeginPayment(ctx, journal.Operation{
		Key: op.key, System: system, Kind: string(op.kind), OrderID: op.orderID, Reference: op.code, Guard: op.guard, Amount: op.amount,
		InputHash: inputHash(op.hashOf...), Request: request, Merchant: p.Merchant,
	}, op.effect)
	if err != nil {
		return journalFault(err)
	}
	switch {
	case stored.State == journal.OperationAbsent:
		return p.askLater(op, stored.Detail) // the original was seen alive
	case stored.State.Final():
		return nil
	case !fresh:
		if err := p.Journal.Operations().Resend(ctx, op.key); err != nil {
			return journalFault(err)
		}
	}
	outcome, err := p.Gateway.Send(ctx, op.request)
	f := fault.As(err)
	switch {
	case err == nil && takenBack(outcome.Result):
		_, err = p.conclude(ctx, op, outcome)
		return err
	case err == nil:
		return p.unknown(ctx, op, refusedDetail+outcome.Reason)
	case f == nil || f.Kind.Retryable():
		return p.noteFailure(ctx, op, stored, err)
	case f.Code == cybersource.ReasonAuthAlreadyReversed:
		return p.endUndo(ctx, stored, true)
	case neverArrived(f):
		if err := p.refuse(ctx, op, f); fault.As(err) != f {
			return err
		}
		return nil
	case f.Kind == fault.Credentials:
		if err := p.unknown(ctx, op, f.Code); fault.As(err) == nil {
			return err
		}
		return p.stillUnknown(op, f)
	default:
		return p.unknown(ctx, op, refusedDetail+f.Code)
	}
}

// neverArrived tells that the gateway knows no transaction of the time-out form's transactionId. It must have read the form: a 404 may come
// from anything on the way.
func neverArrived(f *fault.Fault) bool {
	if f.HTTPStatus != http.StatusBadRequest {
		return false
	}
	namesID := len(f.Fields) == 1 && f.Fields[0].Path == "clientReferenceInformation.transactionId"
	return f.Kind == fault.NotFound || f.Kind == fault.Value && namesID
}

// progress is the line of the order's story that an outcome makes.
func (p *Payments) progress(op money, outcome cybersource.Outcome) *journal.Progress {
	summary := fmt.Sprintf("%s of %s: %s", label(op.kind), op.amount, strings.ToLower(outcome.Status))
	if outcome.Reason != "" {
		summary += " (" + outcome.Reason + ")"
	}
	if outcome.Adopted {
		summary += ", found at the gateway"
	}
	progress := &journal.Progress{
		OrderID: op.orderID, Seq: op.mark.Seq, Status: op.mark.Status,
		Events: []journal.Event{{Key: op.key, Kind: "payment." + string(op.kind), Summary: summary, Detail: map[string]string{
			"transactionId": outcome.ID, "reference": op.code, "operationKey": op.key,
		}}},
	}
	if outcome.ID != "" && (op.effect == journal.EffectAuthorize || op.effect == journal.EffectSale) {
		progress.GatewayID, progress.Status = &outcome.ID, statusAfter(outcome.Result)
	}
	return progress
}

// statusAfter is what an order does next after its authorization; "" where the process decides.
func statusAfter(result cybersource.Result) canonical.OrderStatus {
	switch result {
	case cybersource.Authorized:
		return canonical.OrderCapturing
	case cybersource.Captured:
		return canonical.OrderBooking
	case cybersource.Held, cybersource.HeldUnauthorized:
		return canonical.OrderInReview
	default:
		return ""
	}
}

// label names a kind for people.
func label(kind cybersource.Kind) string {
	name := strings.ReplaceAll(string(kind), "_", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}
