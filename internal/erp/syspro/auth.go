package syspro

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// credential is what a call proves itself with; one of the two is set, none for the call that fetches a token.
type credential struct{ token, apiKey string }

func (c credential) apply(header http.Header) {
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	if c.apiKey != "" {
		header.Set("X-API-Key", c.apiKey)
	}
}

func (c *Client) credential(ctx context.Context) (credential, error) {
	if c.tokens == nil {
		return credential{apiKey: c.config.APIKey}, nil
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		// A caller that gave up while another one fetched the token has no fault yet. Nothing of its own call was sent.
		if fault.As(err) == nil {
			err = &fault.Fault{Kind: fault.Connection, System: c.config.Name, Message: "gave up before a token was there, nothing was sent", Err: err}
		}
		return credential{}, err
	}
	return credential{token: token}, nil
}

// tokenRefused tells whether a new token may help.
func tokenRefused(err error) bool {
	f := fault.As(err)
	return f != nil && f.HTTPStatus == http.StatusUnauthorized && (f.Code == "TOKEN_EXPIRED" || f.Code == "TOKEN_INVALID")
}

type tokenRequest struct {
	GrantType    string
	ClientID     string `json:"ClientId"`
	ClientSecret string
	CompanyID    string `json:"CompanyId,omitempty"`
}

type tokenAnswer struct {
	answer
	AccessToken string
	ExpiresIn   int64 // seconds
}

func (a *tokenAnswer) decode(body []byte) error {
	if err := decodeAnswer(body, a, &a.answer); err != nil {
		return err
	}
	if a.AccessToken == "" || a.ExpiresIn <= 0 || a.ExpiresIn > int64(maxTokenLife/time.Second) {
		return errors.New("answer holds no token, or one without a sensible life")
	}
	return nil
}

// fetchToken changes nothing in the ledger: whatever goes wrong here, the mutation it was for was not sent.
func (c *Client) fetchToken(ctx context.Context) (string, time.Duration, error) {
	body, err := json.Marshal(tokenRequest{ //nolint:gosec // the facade takes the secret in the body
		GrantType: "client_credentials", ClientID: c.config.ClientID, ClientSecret: c.config.ClientSecret, CompanyID: c.config.CompanyID,
	})
	if err != nil {
		return "", 0, c.bug("the token request can't be written")
	}
	var got tokenAnswer
	err = c.exchange(outbound.WithReadOnly(ctx), call{method: http.MethodPost, path: pathToken, body: body}, credential{}, &got)
	return got.AccessToken, time.Duration(got.ExpiresIn) * time.Second, err
}

const maxTokenLife = 366 * 24 * time.Hour

// tokens keeps one token and renews it when 80 % of its life is over. One caller fetches, the others wait for it.
type tokens struct {
	fetch func(context.Context) (string, time.Duration, error)
	clock func() time.Time
	gate  chan struct{} // holds one permit to fetch; a channel, so that waiting ends with the caller's context

	mu      sync.Mutex
	token   string
	renewAt time.Time
	endsAt  time.Time
}

func newTokens(fetch func(context.Context) (string, time.Duration, error), clock func() time.Time) *tokens {
	return &tokens{fetch: fetch, clock: clock, gate: make(chan struct{}, 1)}
}

// get gives a token that is fresh, or, when it can't be renewed right now, one that is still good.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token, fresh := t.current(); fresh {
		return token, nil
	}
	select {
	case t.gate <- struct{}{}:
		defer func() { <-t.gate }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	old, fresh := t.current()
	if fresh {
		return old, nil // another caller was faster
	}
	token, life, err := t.fetch(ctx)
	if err != nil {
		if old != "" && !fault.Is(err, fault.Credentials) {
			return old, nil
		}
		return "", err
	}
	t.keep(token, life)
	return token, nil
}

// current gives the token ("" for none or a dead one) and whether it needs no renewal.
func (t *tokens) current() (token string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	if t.token == "" || !now.Before(t.endsAt) {
		return "", false
	}
	return t.token, now.Before(t.renewAt)
}

func (t *tokens) keep(token string, life time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	t.token, t.renewAt, t.endsAt = token, now.Add(life*4/5), now.Add(life)
}

// drop forgets a token that was refused, unless it has been renewed since.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}
