// Package syspro drives SYSPRO through the /APIServices facade, a JSON service over the ERP's business objects. The whole dialect of the
// facade is in this package: paths and bodies in wire.go, codes in codes.go, the table of refusals in errors.go.
package syspro

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

const (
	defaultName    = "erp-syspro"
	defaultTimeout = 25 * time.Second
	maxBody        = 4 * 1024 * 1024 // a full page of a list is below 1 MiB
	basePath       = "/APIServices"
)

// Config describes one SYSPRO company behind a facade. BaseURL and one credential are needed: ClientID with ClientSecret (a token is
// fetched and renewed), or APIKey.
type Config struct {
	BaseURL                string // https://host[:port], with or without /APIServices
	ClientID, ClientSecret string
	APIKey                 string
	CompanyID              string // X-Company-Id; "": the company bound to the credential
	CreditAuthority        string // who releases orders from suspense, as the ERP records it; default "CYB"
	JournalSource          string // SourceCode of journal entries; default "CYB"

	Transport http.RoundTripper // default: outbound.Transport without a rate limit
	Timeout   time.Duration     // one call with its answer; default 25 s
	Clock     func() time.Time  // default time.Now
	Logger    *slog.Logger      // default: nothing is logged
	Name      string            // name in faults and logs; default "erp-syspro"
}

// LogValue keeps the credentials out of logs.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", c.Name), slog.String("baseUrl", c.BaseURL), slog.String("company", c.CompanyID))
}

// Client implements erp.Port, erp.ChangePort, erp.JournalPort and erp.Catalog. It is safe for concurrent use.
type Client struct {
	config Config
	base   *url.URL
	http   *http.Client
	tokens *tokens // nil with an API key
}

var (
	_ erp.Port        = (*Client)(nil)
	_ erp.ChangePort  = (*Client)(nil)
	_ erp.JournalPort = (*Client)(nil)
	_ erp.Catalog     = (*Client)(nil)
)

// New checks the configuration; it calls nobody.
func New(config Config) (*Client, error) {
	base, err := parseBase(config.BaseURL)
	if err != nil {
		return nil, err
	}
	withToken := config.ClientID != "" && config.ClientSecret != ""
	halfToken := !withToken && config.ClientID+config.ClientSecret != ""
	if halfToken || withToken == (config.APIKey != "") {
		return nil, errors.New("configure syspro: either client id with secret, or an API key")
	}
	config = config.withDefaults()
	c := &Client{config: config, base: base, http: outbound.Client(config.Transport)}
	if withToken {
		c.tokens = newTokens(c.fetchToken, config.Clock)
	}
	return c, nil
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = defaultName
	}
	if c.CreditAuthority == "" {
		c.CreditAuthority = "CYB"
	}
	if c.JournalSource == "" {
		c.JournalSource = "CYB"
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Transport == nil {
		c.Transport = outbound.Transport(outbound.Config{System: c.Name, Timeout: c.Timeout, MaxBody: maxBody, Logger: c.Logger, Clock: c.Clock})
	}
	return c
}

func parseBase(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, errors.New("configure syspro: base URL must be http(s)://host")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("configure syspro: base URL carries more than scheme, host and path")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	if !strings.HasSuffix(strings.ToLower(base.Path), strings.ToLower(basePath)) {
		base.Path += basePath
	}
	return base, nil
}

// Check proves reach (Ping needs no credential), then the credential (by a call that only reads).
func (c *Client) Check(ctx context.Context) error {
	if err := c.get(ctx, pathPing, nil, &answer{}); err != nil {
		return err
	}
	return c.get(ctx, pathPeriodStatus, nil, &answer{})
}

// call is one request to the facade.
type call struct {
	method, path string
	query        url.Values
	key          string // Idempotency-Key; only mutations have one
	body         []byte
}

// changes tells whether the call may leave something behind when its answer is lost.
func (c call) changes() bool { return c.key != "" }

// get asks the facade and decodes the answer into into.
func (c *Client) get(ctx context.Context, path string, query url.Values, into wireAnswer) error {
	ctx = outbound.WithReadOnly(ctx)
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query}, into)
}

// post sends a mutation under its idempotency key.
func (c *Client) post(ctx context.Context, path, key string, body []byte, into wireAnswer) error {
	key = erp.IdempotencyKey(key)
	if key == "" {
		return c.bug("a mutation needs an idempotency key")
	}
	ctx = outbound.WithOperation(ctx, key)
	return c.do(ctx, call{method: http.MethodPost, path: path, key: key, body: body}, into)
}

// do sends a call with a credential. A token that the facade does not take any more is renewed once; the replay carries the same
// idempotency key, so that it can't book twice.
func (c *Client) do(ctx context.Context, request call, into wireAnswer) error {
	credential, err := c.credential(ctx)
	if err != nil {
		return err
	}
	err = c.exchange(ctx, request, credential, into)
	if c.tokens != nil && tokenRefused(err) {
		c.tokens.drop(credential.token)
		if credential, err = c.credential(ctx); err != nil {
			return err
		}
		err = c.exchange(ctx, request, credential, into)
	}
	return err
}

// exchange sends the request once and reads its answer.
func (c *Client) exchange(ctx context.Context, request call, credential credential, into wireAnswer) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	httpRequest, err := c.newRequest(ctx, request, credential)
	if err != nil {
		return c.bug("the request can't be built")
	}
	requestID := httpRequest.Header.Get("X-Request-Id")
	response, err := c.http.Do(httpRequest)
	if err != nil {
		return c.noAnswer(request, requestID, err)
	}
	defer response.Body.Close()
	body, readErr := readBounded(response.Body)
	if id := response.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 {
		requestID = id
	}
	if response.StatusCode/100 == 2 {
		if readErr == nil {
			readErr = into.decode(body)
		}
		if readErr != nil {
			return c.unreadable(request, response.StatusCode, requestID, readErr)
		}
		return nil
	}
	refusal := c.refusal(request, response, body, requestID)
	c.config.Logger.LogAttrs(ctx, slog.LevelInfo, "refused by the ERP", slog.String("system", c.config.Name),
		slog.String("path", request.path), slog.Int("status", response.StatusCode), slog.String("kind", string(refusal.Kind)),
		slog.String("code", refusal.Code), slog.String("requestId", refusal.RequestID), slog.String("operation", request.key))
	return refusal
}

func (c *Client) newRequest(ctx context.Context, request call, credential credential) (*http.Request, error) {
	address := *c.base
	address.Path += request.path
	address.RawQuery = request.query.Encode()
	var body io.Reader
	if request.body != nil {
		body = bytes.NewReader(request.body)
	}
	httpRequest, err := http.NewRequestWithContext(ctx, request.method, address.String(), body)
	if err != nil {
		return nil, err
	}
	// net/http replays a request with an Idempotency-Key by itself when its connection breaks, if it can rewind the body. Whoever
	// lost an answer has to ask first, so it can't.
	httpRequest.GetBody = nil
	header := httpRequest.Header
	header.Set("Accept", "application/json")
	header.Set("X-Request-Id", rand.Text())
	if request.body != nil {
		header.Set("Content-Type", "application/json")
	}
	if request.key != "" {
		header.Set("Idempotency-Key", request.key)
	}
	if c.config.CompanyID != "" {
		header.Set("X-Company-Id", c.config.CompanyID)
	}
	credential.apply(header)
	return httpRequest, nil
}

var errTooLong = fmt.Errorf("answer is longer than %d bytes", maxBody)

func readBounded(from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errTooLong
	}
	return body, nil
}

func (c *Client) bug(message string) *fault.Fault {
	return &fault.Fault{Kind: fault.Bug, System: c.config.Name, Message: message}
}

func (c *Client) refuse(kind fault.Kind, code, message string) *fault.Fault {
	return &fault.Fault{Kind: kind, System: c.config.Name, Code: code, Message: message}
}
