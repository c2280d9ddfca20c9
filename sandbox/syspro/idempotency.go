package syspro

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// keptAnswers is how long an idempotency record is honoured.
const keptAnswers = 30 * 24 * time.Hour

var idempotencyKey = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// stored is the answer to a request that was carried out.
type stored struct {
	Hash   string          `json:"hash"` // SHA-256 of the canonical body
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
	At     time.Time       `json:"at"`
}

// claims holds the keys whose request is running, with the hash of its body.
type claims struct {
	mu      sync.Mutex
	running map[string]string
}

// take claims a key, or tells that it is claimed.
func (c *claims) take(key, hash string) (other string, claimed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, claimed = c.running[key]; claimed {
		return other, true
	}
	if c.running == nil {
		c.running = map[string]string{}
	}
	c.running[key] = hash
	return "", false
}

func (c *claims) release(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, key)
}

// change collects what one request changes; it is written in one line when the request is carried out.
type change struct {
	now      time.Time
	warnings []warning
	order    []string
	entries  map[string]control.Entry
}

func newChange(now time.Time) *change {
	return &change{now: now, warnings: []warning{}, entries: map[string]control.Entry{}}
}

// put marks an entity as changed. It is encoded only at the end, in its last state.
func (c *change) put(kind, id string, doc any) {
	key := kind + "\x00" + id
	if _, known := c.entries[key]; !known {
		c.order = append(c.order, key)
	}
	c.entries[key] = control.Entry{Kind: kind, ID: id, Doc: doc}
}

func (c *change) warn(code, field, message string) {
	c.warnings = append(c.warnings, warning{Code: code, Message: message, Field: field})
}

type warning struct{ Code, Message, Field string }

// success begins every success body.
type success struct {
	Status   string
	Warnings []warning
}

func (c *change) success() success { return success{Status: "Success", Warnings: c.warnings} }

// operation checks its input whole, changes the state, and returns the HTTP status and body of success.
type operation[I any] func(c *change, in *I) (status int, answer any, p *problem)

// post serves a mutation: authentication, intake, idempotency, the operation, and its durable record, in this order.
func post[I any](s *Server, mux *http.ServeMux, path string, run operation[I]) {
	mux.HandleFunc("POST "+base+path, func(w http.ResponseWriter, r *http.Request) {
		if p := s.authenticate(r); p != nil {
			p.write(w)
			return
		}
		key := r.Header.Get("Idempotency-Key")
		if key == "" {
			refuse(http.StatusBadRequest, "IDEMPOTENCY_KEY_REQUIRED", "Idempotency-Key is missing").write(w)
			return
		}
		if !idempotencyKey.MatchString(key) {
			refuse(http.StatusBadRequest, codeInvalid, "Idempotency-Key takes 1 to 64 of A-Z a-z 0-9 . _ : -").at("Idempotency-Key", "").write(w)
			return
		}
		in := new(I)
		hash, p := intake(r, in)
		if p != nil {
			p.write(w)
			return
		}
		once(s, w, s.config.CompanyID+"|"+path+"|"+key, hash, func(c *change) (int, any, *problem) { return run(c, in) })
	})
}

func intake(r *http.Request, in any) (hash string, p *problem) {
	raw, p := readBody(r)
	if p != nil {
		return "", p
	}
	if p := decodeBody(raw, &struct{}{}); p != nil {
		return "", p
	}
	body, p := tree(raw)
	if p != nil {
		return "", p
	}
	if p := cardData(body, "", 0); p != nil {
		return "", p
	}
	if p := decodeBody(raw, in); p != nil {
		return "", p
	}
	canonical, err := json.Marshal(body) // sorts the names
	if err != nil {
		return "", refuse(http.StatusBadRequest, codeMalformed, "the body is not JSON")
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// once carries a request out at most once per key.
func once(s *Server, w http.ResponseWriter, key, hash string, run func(*change) (int, any, *problem)) {
	if other, claimed := s.claims.take(key, hash); claimed {
		if other != hash {
			keyReused().write(w)
			return
		}
		p := refuse(http.StatusConflict, "REQUEST_IN_PROGRESS", "the first request with this key is still running")
		p.retryAfter = 1
		p.write(w)
		return
	}
	defer s.claims.release(key)

	answer, replayed, p := s.carryOut(key, hash, run)
	if p != nil {
		p.write(w)
		return
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	writeRaw(w, answer.Status, answer.Body)
}

func (s *Server) carryOut(key, hash string, run func(*change) (int, any, *problem)) (*stored, bool, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Clock().UTC()
	if earlier, known := s.state.answers[key]; known && now.Sub(earlier.At) < keptAnswers {
		if earlier.Hash != hash {
			return nil, false, keyReused()
		}
		return earlier, true, nil
	}
	c := newChange(now)
	status, body, p := run(c)
	if p != nil {
		return nil, false, p.freeze()
	}
	raw, p := encode(body)
	if p != nil {
		return nil, false, p
	}
	answer := &stored{Hash: hash, Status: status, Body: raw, At: now}
	s.state.answers[key] = answer
	c.put(kindAnswer, key, answer)
	if err := s.commit(c); err != nil {
		// What was done stays done in memory, the caller can't know: just what a failing ERP does.
		return nil, false, refuse(http.StatusInternalServerError, codeERPError, "the change could not be stored")
	}
	return answer, false, nil
}

// commit writes a change in one line.
func (s *Server) commit(c *change) error {
	entries := make([]control.Entry, 0, len(c.order))
	for _, key := range c.order {
		entries = append(entries, c.entries[key])
	}
	if err := s.log.PutAll(entries...); err != nil {
		s.logger.Error("store change", "error", err)
		return err
	}
	return nil
}

func keyReused() *problem {
	return refuse(http.StatusConflict, "IDEMPOTENCY_KEY_REUSED", "this Idempotency-Key belongs to another body")
}

// get serves a look-up.
func get(s *Server, mux *http.ServeMux, path string, run func(query url.Values) (any, *problem)) {
	mux.HandleFunc("GET "+base+path, func(w http.ResponseWriter, r *http.Request) {
		if p := s.authenticate(r); p != nil {
			p.write(w)
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			refuse(http.StatusBadRequest, codeInvalid, "the query is malformed").write(w)
			return
		}
		raw, p := s.read(func() (any, *problem) { return run(query) })
		if p != nil {
			p.write(w)
			return
		}
		writeRaw(w, http.StatusOK, raw)
	})
}

// read encodes what run returns while nothing can change; a slow reader then holds up nobody.
func (s *Server) read(run func() (any, *problem)) ([]byte, *problem) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	answer, p := run()
	if p != nil {
		return nil, p.freeze()
	}
	return encode(answer)
}

func encode(answer any) (json.RawMessage, *problem) {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, codeERPError, "the answer could not be written: %v", err)
	}
	return raw, nil
}
