package syspro

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 100
	maxLimit     = 500
)

// page is what a list endpoint was asked for.
type page struct {
	since time.Time // inclusive
	after mark      // exclusive
	limit int
}

func readPage(query url.Values) (page, *problem) {
	p := page{limit: defaultLimit}
	if text := query.Get("Limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxLimit {
			return p, invalidQuery("Limit", "Limit takes 1 to 500")
		}
		p.limit = limit
	}
	if text := query.Get("ChangedSince"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return p, invalidQuery("ChangedSince", "ChangedSince is not an RFC 3339 timestamp")
		}
		p.since = since
	}
	if text := query.Get("Cursor"); text != "" {
		after, ok := parseCursor(text)
		if !ok {
			return p, invalidQuery("Cursor", "the cursor is not one of this endpoint")
		}
		p.after = after
	}
	return p, nil
}

func invalidQuery(field, message string) *problem {
	return refuse(http.StatusBadRequest, codeInvalid, "%s", message).at(field, "")
}

func missingQuery(field string) *problem {
	return refuse(http.StatusBadRequest, codeMissing, "%s is required", field).at(field, "")
}

func (m mark) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(m.at.UTC().Format(time.RFC3339Nano) + "|" + m.id))
}

func parseCursor(text string) (mark, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return mark{}, false
	}
	at, id, ok := strings.Cut(string(raw), "|")
	stamp, err := time.Parse(time.RFC3339Nano, at)
	return mark{stamp, id}, ok && err == nil
}

// listed is a page of rows with the cursor to go on from. NextCursor is "" only when there was nothing new: the caller
// then keeps the one it has.
type listed[T any] struct {
	rows       []*T
	NextCursor string
	HasMore    bool
}

// list reads a page of a feed. Rows younger than `until` are held back: a commit that is under way may still get a
// place before them.
func list[T any](f *feed, p page, until time.Time, row func(id string) *T, modified func(*T) time.Time, wanted func(*T) bool) listed[T] {
	out := listed[T]{rows: []*T{}}
	start := sort.Search(len(f.marks), func(i int) bool {
		return !f.marks[i].at.Before(p.since) && f.marks[i].compare(p.after) > 0
	})
	for _, m := range f.marks[start:] {
		if m.at.After(until) {
			break
		}
		r := row(m.id)
		if r == nil || !modified(r).Equal(m.at) || !wanted(r) {
			continue
		}
		if len(out.rows) == p.limit {
			out.HasMore = true
			break
		}
		out.rows = append(out.rows, r)
		out.NextCursor = m.cursor()
	}
	return out
}

func (s *Server) listUntil() time.Time {
	hold := max(0, s.config.HoldBack)
	return s.config.Clock().UTC().Add(-hold)
}
