package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/outbound"
)

// OperationKey is the stable key of one mutation outside: <process>:<businessId>:<step>:<n>.
func OperationKey(process, businessID, step string, attempt int) string {
	return fmt.Sprintf("%s:%s:%s:%d", process, businessID, step, attempt)
}

// orderKey is the key of a step of OrderToCash.
func orderKey(orderID, step string, attempt int) string {
	return OperationKey("order", orderID, step, attempt)
}

// inputHash identifies the business input of an operation, so that a key is never used for something else.
func inputHash(parts ...any) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%v\n", part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// refusal is a permanent no as it is stored with a refused operation.
type refusal struct {
	Kind       fault.Kind    `json:"kind"`
	System     string        `json:"system"`
	Code       string        `json:"code,omitempty"`
	Message    string        `json:"message,omitempty"`
	Fields     []fault.Field `json:"fields,omitempty"`
	HTTPStatus int           `json:"httpStatus,omitempty"`
	RequestID  string        `json:"requestId,omitempty"`
}

func encodeRefusal(f *fault.Fault) ([]byte, error) {
	return json.Marshal(refusal{f.Kind, f.System, f.Code, f.Message, f.Fields, f.HTTPStatus, f.RequestID})
}

func decodeRefusal(stored []byte) error {
	var r refusal
	if err := json.Unmarshal(stored, &r); err != nil {
		return fmt.Errorf("read refusal: %w", err)
	}
	return &fault.Fault{Kind: r.Kind, System: r.System, Code: r.Code, Message: r.Message, Fields: r.Fields, HTTPStatus: r.HTTPStatus, RequestID: r.RequestID}
}

// bug is a broken invariant of ours.
func bug(format string, args ...any) error {
	return &fault.Fault{Kind: fault.Bug, System: "tenderline", Message: fmt.Sprintf(format, args...)}
}

// journalFault makes the journal's refusals permanent: the same key with another input is a bug, never to be sent.
func journalFault(err error) error {
	switch {
	case errors.Is(err, journal.ErrInputDiffers), errors.Is(err, journal.ErrOutsideIDTaken), errors.Is(err, journal.ErrConcluded),
		errors.Is(err, journal.ErrPaymentOperation):
		return bug("%v", err)
	default:
		return err
	}
}

// erpOperation is one mutation of an ERP: what it is, how it is found again, how it is sent.
type erpOperation[R any] struct {
	key       string // operation key
	kind      string
	orderID   string
	reference string
	related   string // the document that it follows on; "" for none
	amount    canonical.Money
	input     any                              // business input, stored as the exact request
	hashOf    []any                            // what of it identifies the operation; dates and mapping versions don't
	find      func(context.Context) (R, error) // nil where repeating is harmless by the port's contract
	send      func(ctx context.Context, stored []byte) (R, error)
	id        func(R) string // number of the document it made; nil where it makes none
}

// performErp carries an operation from intent to outcome. It is safe to call any number of times, in any process.
func performErp[R any](ctx context.Context, ops *journal.Operations, system string, op erpOperation[R]) (R, error) {
	var none R
	ctx = outbound.WithOperation(ctx, op.key)
	request, err := json.Marshal(op.input)
	if err != nil {
		return none, fmt.Errorf("encode %s: %w", op.kind, err)
	}
	stored, fresh, err := ops.Begin(ctx, journal.Operation{
		Key: op.key, System: system, Kind: op.kind, OrderID: op.orderID, Reference: op.reference, Amount: op.amount, Related: op.related,
		InputHash: inputHash(append([]any{op.kind, op.orderID, op.amount.String()}, op.hashOf...)...), Request: request,
	})
	if err != nil {
		return none, journalFault(err)
	}
	if !fresh {
		known, result, err := settledErp[R](ctx, ops, op, stored)
		if known || err != nil {
			return result, err
		}
	}
	result, err := op.send(ctx, stored.Request)
	if err != nil {
		return none, notedErp(ctx, ops, op.key, !fresh && stored.Sends > 0, err)
	}
	return result, succeedErp(ctx, ops, op, result)
}

// settledErp looks at an operation that was begun before: known tells that its outcome is, and nothing may be sent.
func settledErp[R any](ctx context.Context, ops *journal.Operations, op erpOperation[R], stored journal.Operation) (known bool, result R, err error) {
	switch stored.State {
	case journal.OperationSucceeded:
		err = json.Unmarshal(stored.Outcome, &result)
		return true, result, err
	case journal.OperationRefused:
		return true, result, decodeRefusal(stored.Outcome)
	case journal.OperationAbsent:
		return true, result, &fault.Fault{Kind: fault.Conflict, System: stored.System, Message: "given up: proven absent, and compensated"}
	case journal.OperationIntent, journal.OperationUnknown: // looked up below
	}
	if stored.Sends > 0 && op.find != nil {
		result, err = op.find(ctx)
		switch {
		case err == nil:
			return true, result, succeedErp(ctx, ops, op, result)
		case !fault.Is(err, fault.NotFound):
			return false, result, err
		}
	}
	return false, result, journalFault(ops.Resend(ctx, stored.Key))
}

func succeedErp[R any](ctx context.Context, ops *journal.Operations, op erpOperation[R], result R) error {
	outcome, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode outcome of %s: %w", op.kind, err)
	}
	id := ""
	if op.id != nil {
		id = op.id(result)
	}
	return journalFault(ops.Succeed(ctx, op.key, id, outcome))
}

// notedErp writes down what a failed send means, and gives the failure back. resent tells that the operation was sent before: a key that
// is not accepted now says nothing of that send, which stays unknown and waits for a person.
func notedErp(ctx context.Context, ops *journal.Operations, key string, resent bool, failure error) error {
	f := fault.As(failure)
	if f != nil && f.Kind == fault.Credentials && resent {
		unknown := *f
		unknown.Kind, unknown.Final = fault.UnknownOutcome, true
		unknown.Message = "an earlier send is not resolved, and the key is not accepted any more: " + f.Message
		return errors.Join(ops.Unknown(ctx, key, f.Code), &unknown)
	}
	if f == nil {
		return errors.Join(failure, ops.Unknown(ctx, key, failure.Error()))
	}
	var err error
	switch f.Kind {
	case fault.Connection, fault.RateLimit:
		err = ops.NotSent(ctx, key)
	case fault.UnknownOutcome, fault.Busy:
		err = ops.Unknown(ctx, key, f.Code)
	default:
		var outcome []byte
		if outcome, err = encodeRefusal(f); err == nil {
			err = ops.Refuse(ctx, key, outcome)
		}
	}
	if err != nil {
		return err
	}
	return failure
}

// refundKey is the key of an ERP step of a refund.
func refundKey(orderID, refundID, step string, attempt int) string {
	return OperationKey("refund", orderID+"/"+refundID, step, attempt)
}

// ofKind picks the operations of a kind.
func ofKind(kind string) func(journal.Operation) bool {
	return func(stored journal.Operation) bool { return stored.Kind == kind }
}

// whichever looks the same document up for every operation.
func whichever[R any](find func(context.Context) (R, error)) func(context.Context, journal.Operation) (R, error) {
	return func(ctx context.Context, _ journal.Operation) (R, error) { return find(ctx) }
}

// resolveErp finds out what became of an order's operation before it is undone, or tried anew: ok tells that its document exists. One
// that may still be on its way gives a retryable failure; one proven absent is closed, so that nothing can send it later.
func resolveErp[R any](ctx context.Context, ops *journal.Operations, orderID string, picked func(journal.Operation) bool,
	settle time.Duration, now time.Time, find func(context.Context, journal.Operation) (R, error),
) (result R, ok bool, err error) {
	all, err := ops.ByOrder(ctx, orderID)
	if err != nil {
		return result, false, err
	}
	for _, stored := range all {
		if !picked(stored) {
			continue
		}
		switch {
		case stored.State == journal.OperationSucceeded:
			return result, true, json.Unmarshal(stored.Outcome, &result)
		case stored.State.Final():
			continue
		}
		found, err := find(ctx, stored)
		if err == nil {
			outcome, err := json.Marshal(found)
			if err != nil {
				return result, false, err
			}
			return found, true, journalFault(ops.Succeed(ctx, stored.Key, "", outcome))
		}
		if !fault.Is(err, fault.NotFound) {
			return result, false, err
		}
		if age := now.Sub(stored.LastSentAt); stored.Sends > 0 && age < settle {
			return result, false, &fault.Fault{
				Kind: fault.UnknownOutcome, System: stored.System, Message: stored.Kind + " may still arrive", RetryAfter: min(settle-age, 5*time.Second),
			}
		}
		if err := ops.Absent(ctx, stored.Key); err != nil {
			return result, false, journalFault(err)
		}
	}
	return result, false, nil
}
