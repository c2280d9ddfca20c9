package outbound

import (
	"context"
	"sync"
	"time"
)

// Call is what may be kept of one outside call: enough to audit and to find it again at the other side, nothing of its content.
type Call struct {
	At            time.Time     `json:"at"`
	System        string        `json:"system"`
	Method        string        `json:"method"`
	Route         string        `json:"route"`                   // path with ids replaced, never a query
	Status        int           `json:"status,omitempty"`        // 0: no answer
	Duration      time.Duration `json:"duration"`                // nanoseconds
	CorrelationID string        `json:"correlationId,omitempty"` // the other side's id of this call
	OperationKey  string        `json:"operationKey,omitempty"`  // set by WithOperation
	Error         string        `json:"error,omitempty"`         // kind, or kind/code; never a message
}

// Recorder collects the calls made under one context. It is safe for concurrent use.
type Recorder struct {
	mutex sync.Mutex
	calls []Call
}

// Calls gives what was recorded so far, oldest first.
func (r *Recorder) Calls() []Call {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return append([]Call(nil), r.calls...)
}

func (r *Recorder) add(call Call) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.calls = append(r.calls, call)
}

type (
	recorderKey  struct{}
	operationKey struct{}
	readOnlyKey  struct{}
)

// WithRecorder makes every call under the context be recorded, refused ones included.
func WithRecorder(ctx context.Context) (context.Context, *Recorder) {
	recorder := &Recorder{}
	return context.WithValue(ctx, recorderKey{}, recorder), recorder
}

// WithOperation names the operation that the calls under the context serve.
func WithOperation(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, operationKey{}, key)
}

// WithReadOnly says that the calls under the context change nothing outside, whatever their method (a search by POST). A lost
// answer is then a Connection fault, safe to repeat, instead of an UnknownOutcome.
func WithReadOnly(ctx context.Context) context.Context {
	return context.WithValue(ctx, readOnlyKey{}, true)
}

func recorderOf(ctx context.Context) *Recorder {
	recorder, _ := ctx.Value(recorderKey{}).(*Recorder)
	return recorder
}

func operationOf(ctx context.Context) string {
	key, _ := ctx.Value(operationKey{}).(string)
	return key
}

func readOnly(ctx context.Context) bool {
	yes, _ := ctx.Value(readOnlyKey{}).(bool)
	return yes
}
