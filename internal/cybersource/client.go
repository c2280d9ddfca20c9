// Package cybersource is a client of the Cybersource REST API: payments and their follow-ons, transaction search, case
// actions and webhooks. Every answer becomes a typed Outcome, or a *fault.Fault that says whether anything was processed. Requests are
// prepared first and sent later, so that their bytes can be stored before money moves.
package cybersource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// System is the name of the gateway in faults, logs and records.
const System = "cybersource"

// Auth is the way requests are authenticated.
type Auth string

// The ways to authenticate. OAuth 2.0 is for partners who act for others and is not offered.
const (
	AuthJWT           Auth = "jwt"            // JWT with the shared secret; the default
	AuthJWTP12        Auth = "jwt_p12"        // JWT with the private key of a P12 file
	AuthHTTPSignature Auth = "http_signature" // being retired by the gateway
)

// Config names the account and how it authenticates.
type Config struct {
	BaseURL      string // https://api.cybersource.com; the host is part of every signature
	MerchantID   string // the transacting merchant
	PortfolioID  string // owner of a meta key; empty: the key is the merchant's own
	Auth         Auth   // default AuthJWT
	KeyID        string // of the shared secret
	SharedSecret string // base64, as the gateway shows it
	P12          []byte // for AuthJWTP12: the file's content
	P12Password  string
	Timeout      time.Duration     // one call; default 25 s
	Transport    http.RoundTripper // default: outbound.Transport for System
	Logger       *slog.Logger      // for the default transport
	Clock        func() time.Time  // default time.Now
}

// Client talks to one account. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	signer  signer
	http    *http.Client
	timeout time.Duration
	clock   func() time.Time
}

const defaultTimeout = 25 * time.Second

// New checks the configuration; it sends nothing.
func New(config Config) (*Client, error) {
	base, err := baseURL(config.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", System, err)
	}
	if config.MerchantID == "" {
		return nil, fmt.Errorf("configure %s: merchant id is empty", System)
	}
	signer, err := newSigner(config)
	if err != nil {
		return nil, fmt.Errorf("configure %s: %w", System, err)
	}
	client := &Client{base: base, signer: signer, timeout: config.Timeout, clock: config.Clock}
	if client.timeout <= 0 {
		client.timeout = defaultTimeout
	}
	if client.clock == nil {
		client.clock = time.Now
	}
	transport := config.Transport
	if transport == nil {
		transport = outbound.Transport(outbound.Config{
			System: System, Timeout: client.timeout, Logger: config.Logger, Clock: config.Clock})
	}
	client.http = outbound.Client(transport)
	return client, nil
}

func baseURL(raw string) (*url.URL, error) {
	base, err := url.Parse(raw)
	if err != nil || base.Host == "" || strings.Trim(base.Path, "/") != "" || base.RawQuery != "" || base.User != nil {
		return nil, errors.New("base URL is not scheme and host alone")
	}
	base.Path = ""
	return base, nil
}

// Send sends a prepared request and tells what became of it. An answer about money is an Outcome, refusals of the business kind
// included (a decline). Everything else is a *fault.Fault:
//   - Connection, RateLimit, Busy: nothing was processed; the same request may be sent again;
//   - UnknownOutcome: it may have been processed (no answer, 5xx, an answer that can't be read): look it up first;
//   - Value, MissingReference, Conflict, NotFound, Credentials, Bug: refused before processing; Code is the gateway's reason.
func (c *Client) Send(ctx context.Context, request Request) (Outcome, error) {
	if !strings.HasPrefix(request.Path, "/") || len(request.Body) == 0 {
		return Outcome{}, bug("request was not prepared by a builder")
	}
	answer, err := c.do(ctx, call{method: request.Method, path: request.Path, body: request.Body, accept: acceptHAL})
	if err != nil {
		return Outcome{}, err
	}
	return outcomeOf(request, answer)
}

// Check proves the credential and the right to read transactions. It moves no money.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.searchPage(ctx, "submitTimeUtc:[NOW/DAY-1DAY TO NOW/DAY+1DAY}", 0, 1)
	return err
}

// The media types of requests. Payments and decisions are said to answer 404 to plain application/json.
const (
	acceptHAL  = "application/hal+json;charset=utf-8"
	acceptJSON = "application/json;charset=utf-8"
)

type call struct {
	method, path, accept string
	body                 []byte
	readOnly             bool
}

// answer is a complete answer of any status.
type answer struct {
	status        int
	body          []byte
	correlationID string
	retryAfter    time.Duration
}

func (c *Client) do(ctx context.Context, call call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if call.readOnly {
		ctx = outbound.WithReadOnly(ctx)
	}
	request, err := http.NewRequestWithContext(ctx, call.method, c.base.String()+call.path, bytes.NewReader(call.body))
	if err != nil {
		return answer{}, bug("request path is malformed")
	}
	request.Header.Set("Accept", call.accept)
	if hasBody(call.method) {
		request.Header.Set("Content-Type", "application/json")
	} else {
		request.Body, request.ContentLength = nil, 0
	}
	if err := c.signer.sign(request, call.body, c.clock()); err != nil {
		return answer{}, &fault.Fault{Kind: fault.Credentials, System: System, Message: "the request can't be signed", Err: err}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, lost(err, call.readOnly)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, lost(err, call.readOnly)
	}
	return answer{
		status:        response.StatusCode,
		body:          body,
		correlationID: cut(response.Header.Get("v-c-correlation-id"), 100),
		retryAfter:    outbound.RetryAfter(response.Header, c.clock()),
	}, nil
}

// lost passes on the transport's fault without net/http's wrapping, which quotes the URL. Any other transport says nothing of how
// far the request came, so that the outcome is unknown.
func lost(err error, readOnly bool) error {
	if f := fault.As(err); f != nil {
		return f
	}
	kind := fault.UnknownOutcome
	if readOnly {
		kind = fault.Connection
	}
	return &fault.Fault{Kind: kind, System: System, Code: outbound.CodeNoAnswer, Message: "no complete answer came", Err: errors.Unwrap(err)}
}

func bug(message string) *fault.Fault {
	return &fault.Fault{Kind: fault.Bug, System: System, Message: message}
}
