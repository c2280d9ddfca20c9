package activities

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
	mark    Mark
	related string // the transaction it follows, where the look-up can tell by it
	// codes are further references under which somebody else may have done the same (a reviewer uses the payment's own).
	codes []string
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
	request, err := json.Marshal(op.request)
	if err != nil {
		return cybersource.Outcome{}, fmt.Errorf("encode %s: %w", op.kind, err)
	}
	stored, fresh, err := p.Journal.BeginPayment(ctx, journal.Operation{
		Key: op.key, System: system, Kind: string(op.kind), OrderID: op.orderID, Reference: op.code, Guard: op.guard, Amount: op.amount,
		InputHash: inputHash(append([]any{op.kind, op.orderID, op.amount.String()}, op.hashOf...)...), Request: request,
	}, op.effect)
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
		if !op.resendable(p.GuardVerified) {
			return p.undoLost(ctx, op, stored)
		}
	}
	if err := p.Journal.Operations().Resend(ctx, op.key); err != nil {
		return cybersource.Outcome{}, journalFault(err)
	}
	stored.Sends++
	return p.send(ctx, op, stored)
}

// resendable tells whether the same bytes may go out again once the look-up has found nothing: kinds with the transactionId guard
// only where the guard is known to work; capture, void and reversal have none, and the gateway's state refuses a second one.
func (op money) resendable(guardVerified bool) bool {
	return !op.kind.Guarded() || guardVerified
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
	case fault.Credentials:
		if stored.Sends > 1 {
			return f // says nothing of the earlier send
		}
		return p.refuse(ctx, op, f)
	default:
		return p.refuse(ctx, op, f)
	}
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
		Kind: fault.UnknownOutcome, System: system, Code: strings.TrimPrefix(detail, refusedDetail),
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
		Reconciliation: outcome.ReconciliationID, Reason: outcome.Reason,
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
		// A sale that was only authorized has captured nothing.
		change.NotCaptured = op.effect == journal.EffectSale && outcome.Result == cybersource.Authorized
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

// undoneSince tells that what a look-up has found was taken back since: nothing of it is left.
func (op money) undoneSince(result cybersource.Result) bool {
	switch op.effect {
	case journal.EffectAuthorize, journal.EffectSale, journal.EffectCapture, journal.EffectRefund:
		return result == cybersource.Reversed || result == cybersource.Voided
	default:
		return false
	}
}

// lookUp asks the gateway what became of an operation that was sent. again tells that it is proven not to be there: it may be sent
// again, or undone.
func (p *Payments) lookUp(ctx context.Context, op money, stored journal.Operation) (outcome cybersource.Outcome, again bool, err error) {
	found, known, err := p.find(ctx, op, stored.FirstSentAt)
	if err != nil {
		return outcome, false, err
	}
	if known {
		outcome, err = p.conclude(ctx, op, found)
		return outcome, false, err
	}
	if age := p.Clock().Sub(stored.LastSentAt); age < p.Timing.Settle {
		return outcome, false, p.askLater(op, stored.Detail)
	}
	if code, refused := strings.CutPrefix(stored.Detail, refusedDetail); refused {
		return outcome, false, p.refuse(ctx, op, &fault.Fault{
			Kind: fault.Conflict, System: system, Code: code, Message: fmt.Sprintf("%s refused: %s", op.kind, code),
		})
	}
	if p.outOfBudget(ctx) {
		return outcome, false, &fault.Fault{
			Kind: fault.UnknownOutcome, System: system, Final: true,
			Message: fmt.Sprintf("still unknown: %s of %s, reference %s, transactionId %s", op.kind, op.amount, op.code, op.guard),
		}
	}
	return outcome, true, nil
}

// outOfBudget tells that this run of the activity has asked long enough.
func (p *Payments) outOfBudget(ctx context.Context) bool {
	return p.Clock().Sub(activity.GetInfo(ctx).ScheduledTime) >= p.Timing.Budget
}

// find searches for the operation's transaction among those that serve no other operation.
func (p *Payments) find(ctx context.Context, op money, since time.Time) (cybersource.Outcome, bool, error) {
	var journalErr error
	want := cybersource.Wanted{Kind: op.kind, Amount: op.amount, After: since, Related: op.related, Exclude: func(id string) bool {
		owners, err := p.Journal.Operations().ByOutsideID(ctx, system, id)
		journalErr = errors.Join(journalErr, err)
		return len(owners) > 0
	}}
	for _, code := range append([]string{op.code}, op.codes...) {
		outcome, found, err := p.Gateway.Find(ctx, cybersource.Query{Code: code, Since: since}, want)
		if err = errors.Join(err, journalErr); err != nil || found {
			return outcome, found, err
		}
	}
	return cybersource.Outcome{}, false, nil
}

// undoLost takes an operation back whose answer was lost and which may not be sent again: by the time-out reversal of an
// authorization, the time-out void of what moves money. Either says that it is undone, or that it was never there.
func (p *Payments) undoLost(ctx context.Context, op money, stored journal.Operation) (cybersource.Outcome, error) {
	undo := money{
		key: stored.Key + ":timeout", kind: cybersource.KindTimeoutReversal, orderID: op.orderID, code: op.code, guard: stored.Guard,
		effect: journal.EffectTimeoutReverse, amount: stored.Amount, hashOf: []any{stored.Key},
	}
	var err error
	if stored.Effect == journal.EffectAuthorize {
		undo.request, err = cybersource.TimeoutReversalRequest(op.code, stored.Guard, stored.Amount)
	} else {
		undo.kind, undo.effect = cybersource.KindTimeoutVoid, journal.EffectTimeoutVoid
		undo.request, err = cybersource.TimeoutVoidRequest(op.code, stored.Guard)
	}
	if err != nil {
		return cybersource.Outcome{}, err
	}
	if _, err := p.performTimeout(ctx, undo); err != nil {
		return cybersource.Outcome{}, err
	}
	if err := p.Journal.AbsentPayment(ctx, stored.Key, journal.PaymentChange{}, nil); err != nil {
		return cybersource.Outcome{}, journalFault(err)
	}
	return cybersource.Outcome{}, errAbsent
}

// performTimeout sends a time-out form. It may be sent as often as needed: a second one finds nothing left to undo. A refusal, after the
// search has found nothing either, says that the original never arrived.
func (p *Payments) performTimeout(ctx context.Context, op money) (undone bool, err error) {
	request, err := json.Marshal(op.request)
	if err != nil {
		return false, err
	}
	ctx = outbound.WithOperation(ctx, op.key)
	stored, fresh, err := p.Journal.BeginPayment(ctx, journal.Operation{
		Key: op.key, System: system, Kind: string(op.kind), OrderID: op.orderID, Reference: op.code, Guard: op.guard, Amount: op.amount,
		InputHash: inputHash(op.hashOf...), Request: request,
	}, op.effect)
	if err != nil {
		return false, journalFault(err)
	}
	if stored.State.Final() {
		return stored.State == journal.OperationSucceeded, nil
	}
	if !fresh {
		if err := p.Journal.Operations().Resend(ctx, op.key); err != nil {
			return false, journalFault(err)
		}
	}
	outcome, err := p.Gateway.Send(ctx, op.request)
	if err == nil {
		_, err = p.conclude(ctx, op, outcome)
		return err == nil, err
	}
	f := fault.As(err)
	if f == nil || f.Kind.Retryable() || f.Kind == fault.Credentials {
		return false, p.noteFailure(ctx, op, stored, err)
	}
	if err := p.refuse(ctx, op, f); fault.As(err) != f {
		return false, err
	}
	return false, nil
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
