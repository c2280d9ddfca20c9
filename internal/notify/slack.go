package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Slack posts to a Slack-compatible incoming webhook (Slack, Mattermost, Rocket.Chat and others). Slack shows the blocks; those that
// know no blocks show the text, which says the same.
type Slack struct {
	address string // a secret
	client  *http.Client
	clock   func() time.Time
}

// NewSlack makes a notifier for a webhook. The client must follow no redirect and have a time-out; internal/outbound gives such a one.
func NewSlack(address string, client *http.Client, clock func() time.Time) *Slack {
	return &Slack{address: address, client: client, clock: clock}
}

// slackBody is what the webhook takes.
type slackBody struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type string    `json:"type"`
	Text slackText `json:"text"`
}

type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

const (
	slackSection = 3000     // characters that a section takes
	slackAnswer  = 64 << 10 // bytes of an answer that are read, so that the connection can be used again
)

// Send posts a message.
func (s *Slack) Send(ctx context.Context, message Message) error {
	body, err := json.Marshal(slackMessage(message))
	if err != nil {
		return fmt.Errorf("encode alert: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, bytes.NewReader(body))
	if err != nil {
		return &fault.Fault{Kind: fault.Credentials, System: "slack", Message: "the webhook's address is not valid"} // err holds it
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	response, err := s.client.Do(request)
	if err != nil {
		return slackDown(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, slackAnswer))
	return s.answered(response)
}

// answered reads the status; the body says no more than it, and might repeat what was sent.
func (s *Slack) answered(response *http.Response) error {
	f := &fault.Fault{
		System: "slack", HTTPStatus: response.StatusCode, Message: fmt.Sprintf("the webhook answered %d", response.StatusCode),
		RetryAfter: outbound.RetryAfter(response.Header, s.clock()),
	}
	switch status := response.StatusCode; {
	case status/100 == 2:
		return nil
	case status == http.StatusTooManyRequests:
		f.Kind = fault.RateLimit
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		f.Kind = fault.Connection
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		f.Kind = fault.Value
	default: // 403, 404, 410: revoked, or of a channel that is gone; a redirect is no webhook
		f.Kind = fault.Credentials
	}
	return f
}

// slackDown is a post without an answer. The library's error names the address, so only what lies within it is kept.
func slackDown(err error) error {
	f := &fault.Fault{Kind: fault.UnknownOutcome, System: "slack", Message: "the webhook did not answer"}
	if cause := fault.As(err); cause != nil {
		f.Kind, f.Code, f.RetryAfter = cause.Kind, cause.Code, cause.RetryAfter
	}
	var outer *url.Error
	if errors.As(err, &outer) && outer.Timeout() {
		f.Message = "the webhook did not answer in time"
	}
	return f
}

// slackMessage lays a message out.
func slackMessage(message Message) slackBody {
	parts := []string{"*" + mrkdwn(oneLine(message.Subject, maxSubject)) + "*"}
	if text := paragraphs(message.Text, maxText); text != "" {
		parts = append(parts, fitted(text, slackSection))
	}
	if len(message.Lines) > 0 {
		items := make([]string, len(message.Lines))
		for i, line := range message.Lines {
			items[i] = "• " + fitted(oneLine(line, maxLine), slackSection/len(items)-len("• \n"))
		}
		parts = append(parts, strings.Join(items, "\n"))
	}
	if link := slackLink(message.Link); link != "" {
		parts = append(parts, link)
	}
	body := slackBody{Text: strings.Join(parts, "\n")}
	for _, part := range parts {
		body.Blocks = append(body.Blocks, slackBlock{Type: "section", Text: slackText{Type: "mrkdwn", Text: part}})
	}
	return body
}

// fitted escapes a text so that no more than so many characters come out. It is cut before it is escaped: no escape is cut in two.
func fitted(text string, most int) string {
	for {
		escaped := mrkdwn(text)
		over := utf8.RuneCountInString(escaped) - most
		if over <= 0 {
			return escaped
		}
		const longestEscape = len("&amp;")
		text = shorten(text, max(utf8.RuneCountInString(text)-over/longestEscape-1, 1))
	}
}

// slackLink shows a link, or a path that has no address to lead to.
func slackLink(link Link) string {
	switch {
	case link.URL == "":
		return ""
	case strings.HasPrefix(link.URL, "/"):
		return mrkdwn(link.Text + ": " + link.URL)
	default:
		return "<" + strings.NewReplacer("|", "%7C", "<", "%3C", ">", "%3E", " ", "%20").Replace(link.URL) + "|" + mrkdwn(link.Text) + ">"
	}
}

// broadcast fits what wakes a whole channel. Slack reads it in <...> alone, which is escaped; others read it in plain text.
var broadcast = regexp.MustCompile(`(?i)@(channel|here|all|everyone|group)\b`)

// mrkdwn escapes what would be markup: https://api.slack.com/reference/surfaces/formatting names the three characters.
func mrkdwn(text string) string {
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	return broadcast.ReplaceAllString(text, "@\u200b$1")
}
