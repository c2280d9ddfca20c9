// Package notify tells people what needs them: analysts, finance, operators and IT by Slack-compatible webhooks and by mail, and
// customers by mail. What is told comes from the journal's outbox of notices, so that it is told at least once, whatever crashes.
//
// Nothing here logs, or puts into an error, an address, a webhook's URL or the text of a notice: those are sealed at rest, and a log is
// not.
package notify

import (
	"context"
	"time"

	"github.com/tenderline/tenderline/internal/journal"
)

// Audience is a group of people with the same concern.
type Audience = journal.Audience

// The audiences.
const (
	Analyst  = journal.AudienceAnalyst  // decides fraud reviews
	Finance  = journal.AudienceFinance  // refunds, settlement
	Operator = journal.AudienceOperator // parked steps
	IT       = journal.AudienceIT       // outages, credentials, defects
	Customer = journal.AudienceCustomer // the buyer of one order
)

// Staff are the audiences that alerts go to, in the order in which they are told.
func Staff() []Audience { return []Audience{IT, Operator, Analyst, Finance} }

// Message is what one route carries. All texts are plain: a Notifier escapes them as its medium needs.
type Message struct {
	Audience Audience
	Kind     string    // of the notices in it, for logs
	Subject  string    // one line
	Text     string    // one or more lines
	Lines    []string  // single items, one line each
	Link     Link      // where to go on; zero: nowhere
	HTML     string    // of a customer's mail, rendered and escaped: beside Text
	To       Recipient // of a customer's mail; others go to their route's own address
	Key      string    // the same for the same message: a repeat can be recognized by it
}

// Link leads to the case, or to the list of cases.
type Link struct {
	Text string
	URL  string // a path alone where no base address is configured
}

// Recipient is whom a mail is for.
type Recipient struct{ Name, Address string }

// Notifier carries messages one way. Errors are *fault.Fault: RateLimit with RetryAfter, Connection and UnknownOutcome may be tried
// again as they are; the others need somebody to change something.
type Notifier interface {
	Send(ctx context.Context, message Message) error
}

// Notice is one entry of the outbox. Its Tries count how often its delivery failed.
type Notice = journal.Notice

// Outbox is where notices wait; *journal.Store is one. DueNotices leases what it gives for two minutes, so that several processes don't
// take the same notice; what is not answered by then comes again.
type Outbox interface {
	DueNotices(ctx context.Context, now time.Time, limit int) ([]Notice, error)
	NoticesSent(ctx context.Context, ids []string) error
	PostponeNotice(ctx context.Context, id string, until time.Time, reason string) error
	HoldNotice(ctx context.Context, id string, until time.Time, reason string) error
	GiveUpNotice(ctx context.Context, id, reason string) error
}
