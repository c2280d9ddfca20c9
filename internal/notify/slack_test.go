package notify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/notify"
	"github.com/tenderline/tenderline/internal/outbound"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// slackPost is what the fake webhook was sent.
type slackPost struct {
	Text   string `json:"text"`
	Blocks []struct {
		Type string `json:"type"`
		Text struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"text"`
	} `json:"blocks"`
}

// fakeSlack is an incoming webhook that answers as told.
type fakeSlack struct {
	url    string
	mutex  sync.Mutex
	posts  []slackPost
	answer func(w http.ResponseWriter)
}

const slackSecret = "/services/T0000/B0000/s3cretPath"

func newSlack(t *testing.T) *fakeSlack {
	t.Helper()
	s := &fakeSlack{answer: func(w http.ResponseWriter) { _, _ = io.WriteString(w, "ok") }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		var post slackPost
		if r.URL.Path != slackSecret || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") ||
			json.NewDecoder(r.Body).Decode(&post) != nil {
			http.Error(w, "invalid_payload", http.StatusBadRequest)
			return
		}
		s.posts = append(s.posts, post)
		s.answer(w)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + slackSecret
	return s
}

func (s *fakeSlack) answers(answer func(w http.ResponseWriter)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.answer = answer
}

func (s *fakeSlack) received() []slackPost {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]slackPost(nil), s.posts...)
}

func (s *fakeSlack) notifier() notify.Notifier {
	client := outbound.Client(outbound.Transport(outbound.Config{System: "slack:ops", Timeout: time.Minute, MaxBody: 1 << 10}))
	return notify.NewSlack(s.url, client, atNoon)
}

func TestSlackShowsEveryPartEscaped(t *testing.T) {
	s := newSlack(t)
	require.NoError(t, s.notifier().Send(t.Context(), notify.Message{
		Subject: "2 orders <!channel> & co\r\nmore", Text: "first\nsecond <https://evil.example|Slack>", Lines: []string{"WEB-1\n• fake", "@channel WEB-2"},
		Link: notify.Link{Text: "Open the list", URL: "https://t.example/v1/attention?a=b|c>d"},
	}))
	want := []string{
		"*2 orders &lt;!channel&gt; &amp; co more*",
		"first\nsecond &lt;https://evil.example|Slack&gt;",
		"• WEB-1 • fake\n• @\u200bchannel WEB-2",
		"<https://t.example/v1/attention?a=b%7Cc%3Ed|Open the list>",
	}
	post := s.received()[0]
	require.Equal(t, strings.Join(want, "\n"), post.Text, "programs that know no blocks show as much")
	require.Len(t, post.Blocks, len(want))
	for i, block := range post.Blocks {
		require.Equal(t, "section", block.Type)
		require.Equal(t, "mrkdwn", block.Text.Type)
		require.Equal(t, want[i], block.Text.Text)
	}
}

func TestSlackShowsAPathWhereThereIsNoAddress(t *testing.T) {
	s := newSlack(t)
	require.NoError(t, s.notifier().Send(t.Context(), notify.Message{Subject: "s", Link: notify.Link{Text: "Open the case", URL: "/v1/attention/1"}}))
	require.Equal(t, "*s*\nOpen the case: /v1/attention/1", s.received()[0].Text)
}

func TestWhateverIsToldFitsSlack(t *testing.T) {
	s := newSlack(t)
	notifier := s.notifier()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom([]rune("&<>@ a\n\r\u202e😀"))), 2, 8)
		parts := texts.Draw(t, "parts")
		times := rapid.IntRange(1, 400).Draw(t, "times")
		message := notify.Message{Subject: strings.Repeat(parts[0], times), Text: strings.Repeat(parts[1], times)}
		for _, line := range parts[2:] {
			message.Lines = append(message.Lines, strings.Repeat(line, times))
		}
		require.NoError(t, notifier.Send(t.Context(), message))
		posts := s.received()
		for _, block := range posts[len(posts)-1].Blocks {
			text := block.Text.Text
			require.LessOrEqual(t, utf8.RuneCountInString(text), 3000)
			require.NotContains(t, text, "<")
			require.NotContains(t, text, ">")
			require.Zero(t, strings.Count(text, "&")-strings.Count(text, "&amp;")-strings.Count(text, "&lt;")-strings.Count(text, "&gt;"), "a cut escape: %q", text)
		}
	})
}

func TestSlacksRefusalsAreTold(t *testing.T) {
	for status, want := range map[int]fault.Kind{
		http.StatusBadRequest: fault.Value, http.StatusForbidden: fault.Credentials, http.StatusNotFound: fault.Credentials, http.StatusGone: fault.Credentials,
		http.StatusFound: fault.Credentials, http.StatusTooManyRequests: fault.RateLimit, http.StatusInternalServerError: fault.Connection,
		http.StatusServiceUnavailable: fault.Connection,
	} {
		s := newSlack(t)
		s.answers(func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "37")
			w.Header().Set("Location", "https://elsewhere.example/")
			http.Error(w, "s3cret body", status)
		})
		err := s.notifier().Send(t.Context(), notify.Message{Subject: "x"})
		require.True(t, fault.Is(err, want), "%d: %v", status, err)
		require.Equal(t, 37*time.Second, fault.As(err).RetryAfter)
		require.NotContains(t, err.Error(), "s3cret")
		require.Len(t, s.received(), 1, "no redirect is followed")
	}
}

func TestErrorsOfSlackNameNoAddress(t *testing.T) {
	s := newSlack(t)
	s.answers(func(w http.ResponseWriter) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = connection.Close()
		}
	})
	err := s.notifier().Send(t.Context(), notify.Message{Subject: "x"})
	require.True(t, fault.Is(err, fault.UnknownOutcome), "%v", err)
	require.NotContains(t, err.Error(), "s3cret")
	require.NotContains(t, err.Error(), "127.0.0.1")

	err = notify.NewSlack("://s3cret", &http.Client{Timeout: time.Second}, atNoon).Send(t.Context(), notify.Message{Subject: "x"})
	require.True(t, fault.Is(err, fault.Credentials))
	require.NotContains(t, err.Error(), "s3cret")

	// A plain client's error quotes the whole address.
	err = notify.NewSlack("http://127.0.0.1:1/s3cret", &http.Client{Timeout: time.Second}, atNoon).Send(t.Context(), notify.Message{Subject: "x"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}
