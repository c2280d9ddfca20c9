package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/webhook"
)

// The callers of the tests; their keys are their names.
const (
	shopUS   = "shop-us"
	shopEU   = "shop-eu"
	analyst  = "analyst"
	operator = "operator"
	finance  = "finance"
	nobody   = ""
)

const merchant = "acme_us"

const webhookKey = "d2ViaG9vayBleGFtcGxlIGtleSAwMDAwMDAwMDAwMQ=="

// api is the real router over a journal in a file and a Temporal that the test plays.
type api struct {
	t       testing.TB
	server  *webhook.Server
	store   *journal.Store
	engine  *fakeEngine
	clock   *clock
	logs    *lockedBuffer
	ring    *keyring.Ring
	spec    routers.Router
	journal string // path of the database
}

type setting func(*webhook.Deps, *config.Config)

func newAPI(t testing.TB, settings ...setting) *api {
	t.Helper()
	ring, err := keyring.Parse("test:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, keyring.KeySize)))
	require.NoError(t, err)
	a := &api{
		t: t, engine: newFakeEngine(), clock: &clock{now: time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)}, logs: &lockedBuffer{}, ring: ring,
		spec: specification(t), journal: journaltest.File(t),
	}
	log := slog.New(slog.NewJSONHandler(a.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.store, err = journal.Open(t.Context(), "sqlite:"+a.journal, journal.Options{Keyring: ring, Clock: a.clock.Now, Migrate: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.store.Close()) })

	settingsOf, err := config.Load(config.Map(map[string]string{
		"TENDERLINE_HTTP_ADDRESS":                "127.0.0.1:0",
		"TENDERLINE_HTTP_RATE":                   "0",
		"TENDERLINE_METRICS_ADDRESS":             "127.0.0.1:0",
		"TENDERLINE_CHANNELS":                    `{"web-us":{},"web-eu":{}}`,
		"TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS":    "key-0:b2xkIGtleQ==,key-1:" + webhookKey,
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID":     merchant,
		"TENDERLINE_SETTLEMENT_TIME_ZONE":        "America/Los_Angeles",
		"TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS": "old:b2xkIGtleQ==,new:" + webhookKey,
		"TENDERLINE_API_KEYS": strings.Join([]string{
			shopUS + "|shop|web-us|" + config.HashKey(shopUS), shopEU + "|shop|web-eu|" + config.HashKey(shopEU),
			analyst + "|analyst||" + config.HashKey(analyst), operator + "|operator||" + config.HashKey(operator),
			finance + "|finance||" + config.HashKey(finance),
		}, ","),
	}))
	require.NoError(t, err)
	door, err := starter.New(starter.Options{Engine: a.engine, Store: a.store, Channels: settingsOf, Clock: a.clock.Now, Logger: log})
	require.NoError(t, err)
	deps, err := webhook.Configured(settingsOf)
	require.NoError(t, err)
	deps.Starter, deps.Store, deps.Codec, deps.Logger, deps.Clock = door, a.store, engine.Codec(ring), log, a.clock.Now
	deps.Verifier.Clock = a.clock.Now
	deps.Checks = []webhook.Check{{Name: "journal", Do: a.store.Check}}
	for _, set := range settings {
		set(&deps, &settingsOf)
	}
	deps.HTTP, deps.CodecUse = settingsOf.HTTP, settingsOf.Codec
	a.server, err = webhook.New(deps)
	require.NoError(t, err)
	return a
}

// specification is openapi.yaml as the server gives it away, checked.
var specification = func() func(t testing.TB) routers.Router {
	load := sync.OnceValues(func() (routers.Router, error) {
		openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
		document, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
		if err != nil {
			return nil, err
		}
		if err := document.Validate(context.Background()); err != nil {
			return nil, err
		}
		return legacy.NewRouter(document)
	})
	return func(t testing.TB) routers.Router {
		t.Helper()
		router, err := load()
		require.NoError(t, err)
		return router
	}
}()

// answer is what the API said.
type answer struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// call sends a request through the real router. The answer must be one that openapi.yaml describes, and so must each request that is
// not refused.
func (a *api) call(method, path, caller, body string, change ...func(*http.Request)) answer {
	a.t.Helper()
	request := httptest.NewRequestWithContext(a.t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if caller != nobody {
		request.Header.Set("Authorization", "Bearer "+caller)
	}
	for _, do := range change {
		do(request)
	}
	described := request.Clone(request.Context())
	described.Body = io.NopCloser(strings.NewReader(body))
	recorder := httptest.NewRecorder()
	a.server.Handler().ServeHTTP(recorder, request)
	a.compare(described, recorder)
	return answer{recorder, a.t}
}

func (a *api) compare(request *http.Request, recorder *httptest.ResponseRecorder) {
	a.t.Helper()
	route, parameters, err := a.spec.FindRoute(request)
	if err != nil {
		require.Contains(a.t, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, recorder.Code, "%s %s is served but not described", request.Method, request.URL.Path)
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if recorder.Code < 300 {
		require.NoError(a.t, openapi3filter.ValidateRequest(a.t.Context(), input), "a request that is taken is not described")
	}
	response := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: recorder.Code, Header: recorder.Header(), Options: input.Options,
	}
	response.SetBodyBytes(recorder.Body.Bytes())
	require.NoError(a.t, openapi3filter.ValidateResponse(a.t.Context(), response), "%s %s: the answer is not described", request.Method, request.URL.Path)
}

func (r answer) is(status int) answer {
	r.t.Helper()
	require.Equal(r.t, status, r.Code, r.Body.String())
	return r
}

// refused is a problem of a type.
func (r answer) refused(status int, kind string) answer {
	r.t.Helper()
	r.is(status)
	require.Equal(r.t, "application/problem+json", r.Header().Get("Content-Type"))
	require.Equal(r.t, "urn:tenderline:problem:"+kind, r.json()["type"])
	return r
}

// names checks that the problem names a place and a rule.
func (r answer) names(pointer, rule string) answer {
	r.t.Helper()
	var p struct {
		Errors []struct{ Pointer, Rule, Message string }
	}
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &p))
	for _, e := range p.Errors {
		if e.Pointer == pointer && e.Rule == rule {
			require.NotEmpty(r.t, e.Message)
			return r
		}
	}
	require.Failf(r.t, "not named", "%s %s in %s", pointer, rule, r.Body)
	return r
}

func (r answer) json() map[string]any {
	r.t.Helper()
	var out map[string]any
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &out), r.Body.String())
	return out
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// signed adds the signature of the gateway.
func (a *api) signed(body string, at time.Time) func(*http.Request) {
	key, err := base64.StdEncoding.DecodeString(webhookKey)
	require.NoError(a.t, err)
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%d.%s", at.UnixMilli(), body)
	return header("v-c-signature", fmt.Sprintf("t=%d;keyId=key-1;sig=%s", at.UnixMilli(), base64.StdEncoding.EncodeToString(mac.Sum(nil))))
}

// clock is a time that the test moves.
type clock struct {
	mutex sync.Mutex
	now   time.Time
}

func (c *clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// fakeEngine plays Temporal: it remembers what was asked, and answers as the test says. Without that it answers as a server that has no run.
type fakeEngine struct {
	mutex    sync.Mutex
	starts   []client.StartWorkflowOptions
	inputs   []any
	updates  []client.UpdateWorkflowOptions
	signals  []signal
	startErr error
	onStart  func(client.StartWorkflowOptions) error
	onUpdate func(client.UpdateWorkflowOptions) (any, error)
	onSignal func(signal) error
	results  map[string]any // of ended workflows
}

type signal struct {
	WorkflowID, Name string
	Arg              any
}

func newFakeEngine() *fakeEngine { return &fakeEngine{results: map[string]any{}} }

func (e *fakeEngine) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, _ any, args ...any) (client.WorkflowRun, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.startErr != nil {
		return nil, e.startErr
	}
	for _, earlier := range e.starts {
		if earlier.ID == options.ID {
			return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("started already", "", "")
		}
	}
	e.starts = append(e.starts, options)
	e.inputs = append(e.inputs, args[0])
	if e.onStart != nil {
		return nil, e.onStart(options)
	}
	return nil, nil
}

func (e *fakeEngine) UpdateWorkflow(_ context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	e.mutex.Lock()
	e.updates = append(e.updates, options)
	answer := e.onUpdate
	e.mutex.Unlock()
	if answer == nil {
		return nil, serviceerror.NewNotFound("no run")
	}
	value, err := answer(options)
	return updateHandle{value: value, err: err}, nil
}

func (e *fakeEngine) SignalWorkflow(_ context.Context, workflowID, _, name string, arg any) error {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	s := signal{workflowID, name, arg}
	if e.onSignal != nil {
		if err := e.onSignal(s); err != nil {
			return err
		}
	}
	e.signals = append(e.signals, s)
	return nil
}

func (e *fakeEngine) GetWorkflow(_ context.Context, workflowID, _ string) client.WorkflowRun {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	result, found := e.results[workflowID]
	return run{result: result, found: found}
}

func (e *fakeEngine) signalled() []signal {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return append([]signal(nil), e.signals...)
}

func (e *fakeEngine) started() []client.StartWorkflowOptions {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return append([]client.StartWorkflowOptions(nil), e.starts...)
}

type updateHandle struct {
	client.WorkflowUpdateHandle
	value any
	err   error
}

func (h updateHandle) Get(_ context.Context, into any) error {
	if h.err != nil {
		return h.err
	}
	return assign(h.value, into)
}

type run struct {
	client.WorkflowRun
	result any
	found  bool
}

func (r run) Get(_ context.Context, into any) error {
	if !r.found {
		return serviceerror.NewNotFound("no run")
	}
	return assign(r.result, into)
}

func assign(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// browserToken has the shape of the gateway's transient tokens.
var browserToken = strings.Join([]string{
	base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"08"}`)),
	base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"Flex/00","type":"mf-2.0.0"}`)),
	base64.RawURLEncoding.EncodeToString([]byte("signature")),
}, ".")

// orderJSON is a valid order; replacements come in pairs, as for strings.NewReplacer.
func orderJSON(replacements ...string) string {
	const order = `{"orderId":"WEB-10001","channel":"web-us","placedAt":"2026-11-20T14:03:22Z","currency":"USD","customerPoNumber":"",
 "customer":{"id":"C-2001","erpCode":"","company":"","email":"ada@example.com","firstName":"Ada","lastName":"Park","phone":"+1 415 555 0100"},
 "billTo":{"name":"Ada Park","line1":"1 Market St","city":"San Francisco","region":"CA","postalCode":"94105","country":"US"},
 "shipTo":{"name":"Ada Park","line1":"2 Pier Rd","city":"Oakland","region":"CA","postalCode":"94607","country":"US"},
 "lines":[{"sku":"A100","description":"Widget","quantity":"2","unitPrice":"19.95","discount":"0.00","tax":"3.29"}],
 "shipping":"5.00","discount":"0.00","total":"48.19",
 "payment":{"token":{"type":"transient","value":"BROWSER_TOKEN"},"capture":"immediate","saveCard":false},
 "device":{"ipAddress":"203.0.113.7","fingerprintSessionId":"","userAgent":""},
 "merchantDefinedData":{"1":"web","2":"gold"},"custom":{"crmAccount":"0015"}}`
	replaced := strings.NewReplacer(replacements...).Replace(order)
	return strings.ReplaceAll(replaced, "BROWSER_TOKEN", browserToken)
}
