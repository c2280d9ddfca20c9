// Package shop stands in for the shop: it receives callbacks, verifies their Standard Webhooks signature as a careful
// shop would, and lists every delivery.
package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tenderline/tenderline/sandbox/control"
)

const (
	kindCallback = "callback"
	// defaultTolerance is how far a timestamp may be from the clock, as the specification's libraries have it.
	defaultTolerance = 5 * time.Minute
	maxCallback      = 1 << 20
	maxRefused       = 1000
)

// Config sets up a Server.
type Config struct {
	// Clock judges timestamps; nil is time.Now.
	Clock func() time.Time
	// StateDir keeps the callbacks in a file; "" keeps them in memory only.
	StateDir string
	// Secret is the signing secret, "whsec_" and base64.
	Secret string
	// Tolerance is how old or early a timestamp may be; zero is 5 minutes.
	Tolerance time.Duration
	Logger    *slog.Logger
	// Page is served at "/"; nil serves nothing there.
	Page http.Handler
}

// Callback is one message, however often it was delivered.
type Callback struct {
	ID         string          `json:"id"`
	Event      string          `json:"event"`
	OrderID    string          `json:"orderId"`
	Deliveries int             `json:"deliveries"`
	Verified   bool            `json:"verified"`
	Body       json.RawMessage `json:"body"` // of the first delivery
	At         time.Time       `json:"at"`   // of the first delivery
	LastAt     time.Time       `json:"lastAt"`
}

// Server is the shop. It is safe for concurrent use.
type Server struct {
	config  Config
	webhook *webhooks.Webhook
	handler http.Handler
	log     *control.Log

	mu      sync.Mutex
	byID    map[string]*Callback
	all     []*Callback
	refused int // refused deliveries in the list
}

// New returns a shop with what StateDir has kept.
func New(config Config) (*Server, error) {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Tolerance <= 0 {
		config.Tolerance = defaultTolerance
	}
	if config.Secret == "" {
		return nil, errors.New("shop sandbox needs a signing secret")
	}
	webhook, err := webhooks.NewWebhook(config.Secret)
	if err != nil {
		return nil, errors.New("shop sandbox: the signing secret is not whsec_ and base64") // err may quote the secret
	}
	s := &Server{config: config, webhook: webhook, byID: map[string]*Callback{}}
	if s.log, err = control.OpenLog(config.StateDir, "shop", s.replay); err != nil {
		return nil, fmt.Errorf("open shop state: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /callbacks", s.receive)
	if config.Page != nil {
		mux.Handle("GET /{$}", config.Page)
	}
	c := control.New(control.Options{Clock: config.Clock, Logger: config.Logger, MaxBody: maxCallback})
	c.Mount(mux, control.Hooks{Reset: s.reset, Ledger: s.ledger})
	s.handler = c.Wrap(mux)
	return s, nil
}

// Handler serves POST /callbacks, the page and /_sandbox/.
func (s *Server) Handler() http.Handler { return s.handler }

// Close closes the state file.
func (s *Server) Close() error { return s.log.Close() }

// receive answers 204 to a verified callback, a repeat too, and 401 to all else.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		control.Refuse(w, http.StatusRequestEntityTooLarge, errors.New("the callback is too large"))
		return
	}
	if err != nil {
		control.Refuse(w, http.StatusBadRequest, errors.New("the callback could not be read"))
		return
	}
	if err := s.verify(r.Header, body); err != nil {
		s.config.Logger.Warn("callback refused", "error", err)
		if err := s.note(r.Header.Get(webhooks.HeaderWebhookID), body, false); err != nil {
			s.config.Logger.Error("keep refused callback", "error", err)
		}
		control.Refuse(w, http.StatusUnauthorized, err)
		return
	}
	if !json.Valid(body) {
		control.Refuse(w, http.StatusBadRequest, errors.New("the callback is not JSON"))
		return
	}
	if err := s.note(r.Header.Get(webhooks.HeaderWebhookID), body, true); err != nil {
		s.config.Logger.Error("keep callback", "error", err)
		control.Refuse(w, http.StatusInternalServerError, errors.New("the callback could not be stored"))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) verify(header http.Header, body []byte) error {
	if err := s.webhook.VerifyIgnoringTimestamp(body, header); err != nil {
		return errors.New("the signature is missing or wrong")
	}
	seconds, err := strconv.ParseInt(header.Get(webhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil {
		return errors.New("the timestamp is not in Unix seconds")
	}
	if age := s.config.Clock().Sub(time.Unix(seconds, 0)); age > s.config.Tolerance || age < -s.config.Tolerance {
		return errors.New("the timestamp is too old or too new")
	}
	return nil
}

// note keeps a delivery. Refused ones are kept apart from the message whose ID they claim, without their body: nobody
// vouches for it.
func (s *Server) note(id string, body []byte, verified bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Clock().UTC()
	key := id
	if !verified {
		key = "refused " + id
		if _, known := s.byID[key]; !known && s.refused >= maxRefused {
			return nil
		}
	}
	row, known := s.byID[key]
	if !known {
		row = &Callback{ID: id, Verified: verified, At: now, Body: json.RawMessage("null")}
		if verified {
			row.Event, row.OrderID = describe(body)
			row.Body = body
		}
	}
	next := *row
	next.Deliveries++
	next.LastAt = now
	if err := s.log.Put(kindCallback, key, &next); err != nil {
		return err
	}
	*row = next
	if !known {
		s.add(key, row)
	}
	return nil
}

func (s *Server) add(key string, row *Callback) {
	s.byID[key] = row
	s.all = append(s.all, row)
	if !row.Verified {
		s.refused++
	}
}

// describe finds event and order in a payload of the Standard Webhooks form {"type","data":{"orderId"}}, or flat.
func describe(body []byte) (event, orderID string) {
	var payload struct {
		Type    string `json:"type"`
		Event   string `json:"event"`
		OrderID string `json:"orderId"`
		Data    struct {
			OrderID string `json:"orderId"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &payload) != nil {
		return "", ""
	}
	event, orderID = payload.Type, payload.Data.OrderID
	if event == "" {
		event = payload.Event
	}
	if orderID == "" {
		orderID = payload.OrderID
	}
	return event, orderID
}

func (s *Server) replay(kind, id string, doc json.RawMessage) error {
	if kind != kindCallback {
		return fmt.Errorf("unknown kind %q", kind)
	}
	row := &Callback{}
	if err := json.Unmarshal(doc, row); err != nil {
		return err
	}
	s.add(id, row)
	return nil
}

func (s *Server) reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.log.Truncate(); err != nil {
		return err
	}
	s.byID, s.all, s.refused = map[string]*Callback{}, nil, 0
	return nil
}

func (s *Server) ledger() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]Callback, 0, len(s.all))
	for _, row := range s.all {
		rows = append(rows, *row)
	}
	return map[string]any{"callbacks": rows}
}
