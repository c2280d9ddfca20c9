package cybersource

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

var (
	errStalled = errors.New("nothing came for too long")
	errLongest = errors.New("it took too long as a whole")
	errTooLong = errors.New("it is longer than allowed")
)

// maxErrorBody is what is read of an answer that is no report.
const maxErrorBody = 64 << 10

// streamed is an answer whose body is still to be read. Close it.
type streamed struct {
	answer      // of an answer that is not 200, with its body
	contentType string
	length      int64 // as the answer tells; -1: it does not
	body        *watchedBody
}

// open sends a GET and gives its answer as soon as the first bytes are there. Errors are faults.
func (r *Reports) open(ctx context.Context, path, accept string, limit int64) (*streamed, error) {
	started := r.client.clock()
	watch := watch(ctx, r.settings.Stall, r.settings.Longest)
	observed := outbound.Call{At: started, System: System, Method: http.MethodGet, Route: outbound.RouteOf(strings.SplitN(path, "?", 2)[0])}
	opened, err := r.send(watch, path, accept, limit)
	if err == nil {
		observed.Status, observed.CorrelationID = opened.status, opened.correlationID
	}
	if err != nil || opened.body == nil {
		watch.end()
		r.observe(ctx, observed, err)
		return opened, err
	}
	opened.body.done = func(err error) {
		watch.end()
		r.observe(ctx, observed, err)
	}
	return opened, nil
}

func (r *Reports) send(watch *watcher, path, accept string, limit int64) (*streamed, error) {
	request, err := http.NewRequestWithContext(watch.ctx, http.MethodGet, r.client.base.String()+path, nil)
	if err != nil {
		return nil, bug("request path is malformed")
	}
	request.Header.Set("Accept", accept)
	// A connection of its own: net/http would send a GET again by itself when a used one breaks, with a token that the gateway may
	// have seen.
	request.Close = true
	if err := r.client.signer.sign(request, nil, r.client.clock()); err != nil {
		return nil, &fault.Fault{Kind: fault.Credentials, System: System, Message: "the request can't be signed", Err: err}
	}
	watch.wait()
	response, err := r.stream.Do(request) //nolint:bodyclose // closed by the caller, through watchedBody
	watch.rest()
	if err != nil {
		var wrapped interface{ Unwrap() error }
		if errors.As(err, &wrapped) {
			err = wrapped.Unwrap() // net/http quotes the URL
		}
		return nil, watch.fault(err, answer{})
	}
	opened := &streamed{contentType: mediaType(response.Header.Get("Content-Type")), length: response.ContentLength, answer: answer{
		status: response.StatusCode, correlationID: cut(response.Header.Get("v-c-correlation-id"), 100),
		retryAfter: outbound.RetryAfter(response.Header, r.client.clock()),
	}}
	body := &watchedBody{source: response.Body, watch: watch, answer: opened.answer, left: limit, done: func(error) {}}
	if opened.status == http.StatusOK {
		opened.body = body
		return opened, nil
	}
	body.left = maxErrorBody
	opened.answer.body, err = io.ReadAll(body)
	_ = body.Close()
	if err != nil && !errors.Is(err, errTooLong) {
		return nil, err
	}
	return opened, nil
}

// observe tells of one call what the transport of payments tells of its own.
func (r *Reports) observe(ctx context.Context, call outbound.Call, err error) {
	call.Duration = r.client.clock().Sub(call.At)
	level := slog.LevelInfo
	if f := fault.As(err); f != nil {
		call.Error = string(f.Kind) + "/" + f.Code
	}
	if call.Error != "" || call.Status >= http.StatusBadRequest {
		level = slog.LevelWarn
	}
	r.settings.Observe(call)
	r.settings.Logger.LogAttrs(ctx, level, "outside call", slog.String("system", call.System), slog.String("method", call.Method),
		slog.String("route", call.Route), slog.Int("status", call.Status), slog.Duration("duration", call.Duration),
		slog.String("correlation_id", call.CorrelationID), slog.String("error", call.Error))
}

// watcher ends a call that falls silent. A download may take as long as its size needs, as long as something comes; the time that
// the reader spends with what came does not count.
type watcher struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
	timer  *time.Timer
	stall  time.Duration
}

func watch(ctx context.Context, stall, longest time.Duration) *watcher {
	ctx, stop := context.WithTimeoutCause(ctx, longest, errLongest)
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watcher{ctx: ctx, cancel: cancel, stop: stop, stall: stall}
	w.timer = time.AfterFunc(stall, func() { cancel(errStalled) })
	w.timer.Stop()
	return w
}

func (w *watcher) wait() { w.timer.Reset(w.stall) }
func (w *watcher) rest() { w.timer.Stop() }

func (w *watcher) end() {
	w.timer.Stop()
	w.cancel(nil)
	w.stop()
}

// fault is what a broken call means: it only reads, so that it may always be repeated.
func (w *watcher) fault(cause error, answer answer) *fault.Fault {
	code, message := outbound.CodeNoAnswer, "no answer came"
	if answer.status != 0 {
		code, message = outbound.CodeBrokenAnswer, "the answer broke off"
	}
	switch ended := context.Cause(w.ctx); {
	case errors.Is(ended, errStalled), errors.Is(ended, errLongest), errors.Is(ended, context.DeadlineExceeded):
		code, cause = outbound.CodeTimeout, ended
	case errors.Is(ended, context.Canceled):
		code, cause = outbound.CodeCancelled, ended
	}
	f := answer.fault(fault.Connection, code, message)
	f.Err = cause
	return f
}

// watchedBody is a body whose errors are faults: broken off, silent for too long, longer than allowed.
type watchedBody struct {
	source io.ReadCloser
	watch  *watcher
	answer answer
	left   int64
	read   int64
	failed error
	done   func(error)
	closed bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more than allowed tells whether there is more
	}
	b.watch.wait()
	n, err := b.source.Read(p)
	b.watch.rest()
	b.read += int64(n)
	if int64(n) > b.left {
		n = int(b.left)
		f := b.answer.fault(fault.DeclinedByPolicy, outbound.CodeAnswerTooLong, "the answer is longer than is allowed here")
		f.Err = errTooLong
		err = f
	} else if err != nil && !errors.Is(err, io.EOF) {
		err = b.watch.fault(err, b.answer)
	}
	b.left -= int64(n)
	b.failed = err
	return n, err
}

// Close ends the call. A body that was not read to its end is given up.
func (b *watchedBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.source.Close()
	if failed := b.failed; errors.Is(failed, io.EOF) {
		b.done(nil)
	} else {
		b.done(failed)
	}
	return err
}

// mediaType is a media type without its parameters, in lower case; "" where it can't be read.
func mediaType(value string) string {
	media, _, err := mime.ParseMediaType(value)
	if err != nil {
		return ""
	}
	return media
}

const byteOrderMark = "\xef\xbb\xbf"

// peeked gives the first byte that is no white space and no byte order mark, and a reader of everything. It waits for no more than
// that byte; 0 is nothing but blanks.
func peeked(body io.Reader) (byte, io.Reader, error) {
	head := make([]byte, 512)
	read := 0
	for read < len(head) {
		n, err := body.Read(head[read:])
		read += n
		seen := bytes.TrimSpace(bytes.TrimPrefix(head[:read], []byte(byteOrderMark)))
		if len(seen) > 0 && !strings.HasPrefix(byteOrderMark, string(seen)) {
			return seen[0], io.MultiReader(bytes.NewReader(head[:read]), body), nil
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, nil, err
		}
	}
	return 0, io.MultiReader(bytes.NewReader(head[:read]), body), nil
}
