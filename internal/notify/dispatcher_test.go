package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/journal/journaltest"
	"github.com/tenderline/tenderline/internal/keyring"
	"github.com/tenderline/tenderline/internal/notify"
)

// outbox is a real journal that remembers what became of notices.
type outbox struct {
	*journal.Store
	mutex     sync.Mutex
	sent      []string
	postponed map[string]string // id: reason
	until     map[string]time.Time
	givenUp   map[string]string
	broken    error
}

func (o *outbox) DueNotices(ctx context.Context, now time.Time, limit int) ([]notify.Notice, error) {
	if o.broken != nil {
		return nil, o.broken
	}
	return o.Store.DueNotices(ctx, now, limit)
}

func (o *outbox) NoticesSent(ctx context.Context, ids []string) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.sent = append(o.sent, ids...)
	return o.Store.NoticesSent(ctx, ids)
}

func (o *outbox) PostponeNotice(ctx context.Context, id string, until time.Time, reason string) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.postponed[id], o.until[id] = reason, until
	return o.Store.PostponeNotice(ctx, id, until, reason)
}

func (o *outbox) HoldNotice(ctx context.Context, id string, until time.Time, reason string) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.postponed[id], o.until[id] = reason, until
	return o.Store.HoldNotice(ctx, id, until, reason)
}

func (o *outbox) GiveUpNotice(ctx context.Context, id, reason string) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.givenUp[id] = reason
	return o.Store.GiveUpNotice(ctx, id, reason)
}

// carrier is a route that keeps what it is given, and fails as told.
type carrier struct {
	messages []notify.Message
	tries    int
	fail     error
	during   func()
}

func (c *carrier) Send(ctx context.Context, message notify.Message) error {
	c.tries++
	if c.during != nil {
		c.during()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.fail != nil {
		return c.fail
	}
	c.messages = append(c.messages, message)
	return nil
}

// subjects are those of the messages, in order.
func (c *carrier) subjects() []string {
	var list []string
	for _, message := range c.messages {
		list = append(list, message.Subject)
	}
	return list
}

// desk is a dispatcher under test, with a clock that is moved by hand.
type desk struct {
	t          *testing.T
	dispatcher *notify.Dispatcher
	outbox     *outbox
	now        time.Time
	slack      *carrier
	mail       *carrier
	customers  *carrier
	log        *strings.Builder
	observed   map[string]int
}

func newDesk(t *testing.T, change func(*notify.Options)) *desk {
	t.Helper()
	d := &desk{t: t, now: noon, slack: &carrier{}, mail: &carrier{}, customers: &carrier{}, log: &strings.Builder{}, observed: map[string]int{}}
	ring, err := keyring.Parse("test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	require.NoError(t, err)
	store, err := journal.Open(t.Context(), "sqlite:"+journaltest.File(t),
		journal.Options{Keyring: ring, Migrate: true, Clock: func() time.Time { return d.now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	d.outbox = &outbox{Store: store, postponed: map[string]string{}, until: map[string]time.Time{}, givenUp: map[string]string{}}
	templates, err := notify.LoadTemplates("")
	require.NoError(t, err)
	options := notify.Options{
		Outbox: d.outbox, BaseURL: "https://t.example/base/", Quiet: 5 * time.Minute, Tries: 4, Retry: 30 * time.Second,
		Routes: map[notify.Audience][]notify.Route{
			notify.Operator: {{Name: "slack:ops", Notifier: d.slack}, {Name: "mail-1", Notifier: d.mail}}, notify.IT: {{Name: "slack:ops", Notifier: d.slack}},
		},
		Customers: &notify.Customers{Orders: store, Templates: templates, Route: notify.Route{Name: "mail", Notifier: d.customers}},
		Clock:     func() time.Time { return d.now }, Logger: slog.New(slog.NewTextHandler(d.log, nil)),
		Observe: func(audience notify.Audience, route string, result notify.Result) {
			d.observed[audience+" "+route+" "+string(result)]++
		},
	}
	if change != nil {
		change(&options)
	}
	d.dispatcher, err = notify.New(options)
	require.NoError(t, err)
	return d
}

// parked is a notice of a step that an outage parked.
func parked(n int) notify.Notice {
	order := fmt.Sprintf("WEB-%02d", n)
	return notify.Notice{
		ID: "parked/" + order + "/operator", Audience: notify.Operator, Kind: "step.parked", Group: "connection/erp-syspro/sales-order", OrderID: order,
		Subject: "Order " + order + " waits at sales-order (connection)", Text: "The ERP does not answer for private@customer.example.",
		Link: "/v1/attention/" + order, At: noon.Add(time.Duration(n) * time.Second),
		Data: map[string]string{"class": "connection", "system": "erp-syspro", "step": "sales-order"},
	}
}

func (d *desk) add(notices ...notify.Notice) {
	d.t.Helper()
	require.NoError(d.t, d.outbox.AddNotices(d.t.Context(), notices...))
}

func (d *desk) pass() int {
	d.t.Helper()
	count, err := d.dispatcher.Pass(d.t.Context())
	require.NoError(d.t, err)
	return count
}

// after lets time go by.
func (d *desk) after(step time.Duration) *desk {
	d.now = d.now.Add(step)
	return d
}

func TestAnAlertGoesToEveryRouteOnce(t *testing.T) {
	d := newDesk(t, nil)
	d.add(parked(1))
	require.Equal(t, 2, d.pass())
	for _, route := range []*carrier{d.slack, d.mail} {
		require.Len(t, route.messages, 1)
		require.Equal(t, notify.Message{
			Audience: notify.Operator, Kind: "step.parked", Subject: "Order WEB-01 waits at sales-order (connection)",
			Text: "The ERP does not answer for private@customer.example.", Key: "parked/WEB-01/operator",
			Link: notify.Link{Text: "Open the case", URL: "https://t.example/base/v1/attention/WEB-01"},
		}, route.messages[0])
	}
	require.Equal(t, []string{"parked/WEB-01/operator"}, d.outbox.sent)
	require.Zero(t, d.after(24*time.Hour).pass(), "nothing is left")
	require.Equal(t, map[string]int{"operator slack:ops sent": 1, "operator mail-1 sent": 1}, d.observed)
}

func TestAnOutageMakesOneMessage(t *testing.T) {
	d := newDesk(t, nil)
	for n := range 12 {
		d.add(parked(n + 1))
	}
	other := parked(30)
	other.ID, other.Group, other.Data = "other", "closed_period//invoice", map[string]string{"class": "closed_period", "step": "invoice"}
	alone := parked(31)
	alone.ID, alone.Group = "alone", ""
	d.add(other, alone)
	d.pass()
	require.Equal(t, []string{
		"12 orders are parked at sales-order: connection, erp-syspro", other.Subject, alone.Subject,
	}, d.slack.subjects())
	message := d.slack.messages[0]
	require.Len(t, message.Lines, 6)
	require.Equal(t, "Order WEB-01 waits at sales-order (connection)", message.Lines[0])
	require.Equal(t, "and 7 more", message.Lines[5])
	require.Equal(t, notify.Link{Text: "Open the list", URL: "https://t.example/base/v1/attention"}, message.Link)
	require.Equal(t, parked(1).Text, message.Text)
	require.Len(t, d.outbox.sent, 14)
}

func TestTheFirstAlertGoesAtOnceAndFurtherOnesAreCollected(t *testing.T) {
	d := newDesk(t, nil)
	d.add(parked(1))
	d.pass()
	for n := range 4 {
		d.add(parked(n + 2))
		d.after(time.Minute).pass()
	}
	require.Len(t, d.slack.messages, 1, "the group is quiet")
	require.Len(t, d.outbox.postponed, 4)
	require.Equal(t, noon.Add(5*time.Minute), d.outbox.until[parked(5).ID])
	d.after(time.Minute).pass()
	require.Equal(t, []string{parked(1).Subject, "4 orders are parked at sales-order: connection, erp-syspro"}, d.slack.subjects())
	require.Equal(t, d.slack.subjects(), d.mail.subjects())

	d.add(parked(9))
	d.after(10 * time.Minute).pass()
	require.Equal(t, parked(9).Subject, d.slack.messages[2].Subject, "a new one, long after")
	require.Len(t, d.outbox.sent, 6)
}

// TestWhatIsCollectedKeepsItsTries: that others of its group were just sent is no failure of an alert.
func TestWhatIsCollectedKeepsItsTries(t *testing.T) {
	d := newDesk(t, nil)
	d.add(parked(1))
	d.pass()
	d.add(parked(2))
	d.after(time.Minute).pass()
	require.Contains(t, d.outbox.postponed[parked(2).ID], "collected")
	down := errors.New("down")
	d.slack.fail, d.mail.fail = down, down
	tries := 0
	for len(d.outbox.givenUp) == 0 {
		d.after(time.Hour).pass()
		tries++
	}
	require.Equal(t, 4, tries)
}

func TestARouteThatTookItIsNotAskedAgain(t *testing.T) {
	d := newDesk(t, nil)
	d.mail.fail = &fault.Fault{Kind: fault.Connection, System: "mail", Message: "down"}
	d.add(parked(1), parked(2))
	d.pass()
	require.Len(t, d.slack.messages, 1)
	require.Empty(t, d.outbox.sent, "sent is what every route took")
	require.Equal(t, noon.Add(30*time.Second), d.outbox.until[parked(1).ID])
	require.Equal(t, "mail: connection: down", d.outbox.postponed[parked(1).ID])

	d.mail.fail = nil
	d.add(parked(3)) // within the quiet period: collected, while the others go on
	d.after(30 * time.Second).pass()
	require.Len(t, d.slack.messages, 1)
	require.Equal(t, []string{"2 orders are parked at sales-order: connection, erp-syspro"}, d.mail.subjects())
	require.Equal(t, d.slack.messages[0].Key, d.mail.messages[0].Key, "the same message")
	require.Len(t, d.outbox.sent, 2)
	d.after(5 * time.Minute).pass()
	require.Len(t, d.slack.messages, 2)
	require.Len(t, d.outbox.sent, 3)
}

func TestTriesGrowApartAndEnd(t *testing.T) {
	d := newDesk(t, func(o *notify.Options) { o.Retry = time.Minute })
	d.slack.fail = errors.New("post https://hooks.example/s3cret: private@customer.example")
	notice := parked(1)
	notice.Audience = notify.IT
	d.add(notice)
	var pauses []time.Duration
	for len(d.outbox.givenUp) == 0 {
		d.pass()
		if until := d.outbox.until[notice.ID]; until.After(d.now) {
			pauses = append(pauses, until.Sub(d.now))
			d.now = until
		}
	}
	require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}, pauses)
	require.Equal(t, 4, d.slack.tries)
	require.Equal(t, map[string]int{"it slack:ops failed": 4, "it  given_up": 1}, d.observed)
	require.Equal(t, "failed, for a reason that is not told here", d.outbox.givenUp[notice.ID], "the words of a strange error may be anything")
	require.Contains(t, d.log.String(), "level=ERROR msg=\"alert given up\"")
	require.NotContains(t, d.log.String(), "s3cret")
	require.NotContains(t, d.log.String(), "private")
	require.Zero(t, d.after(240*time.Hour).pass())
}

func TestPausesEndAtAnHour(t *testing.T) {
	d := newDesk(t, func(o *notify.Options) { o.Tries = 60 })
	d.slack.fail = &fault.Fault{Kind: fault.Connection, System: "slack"}
	notice := parked(1)
	notice.Audience = notify.IT
	d.add(notice)
	for range 50 {
		d.pass()
		require.LessOrEqual(t, d.outbox.until[notice.ID].Sub(d.now), time.Hour)
		d.now = d.outbox.until[notice.ID]
	}
	require.Empty(t, d.outbox.givenUp)
}

func TestRetryAfterIsObeyed(t *testing.T) {
	d := newDesk(t, nil)
	d.slack.fail = &fault.Fault{Kind: fault.RateLimit, System: "slack", RetryAfter: 10 * time.Minute}
	notice := parked(1)
	notice.Audience = notify.IT
	another := notice
	another.ID, another.Group = "another", "other cause"
	d.add(notice, another)
	d.pass()
	require.Equal(t, 1, d.slack.tries, "a route that asks for rest gets it, also from the next message")
	require.Equal(t, noon.Add(10*time.Minute), d.outbox.until[notice.ID])
	require.Equal(t, noon.Add(10*time.Minute), d.outbox.until[another.ID])
	d.slack.fail = nil
	require.Equal(t, 2, d.after(10*time.Minute).pass())
	require.Len(t, d.outbox.sent, 2)
}

func TestAnAudienceWithoutARouteIsToldByTheLog(t *testing.T) {
	d := newDesk(t, nil)
	notice := parked(1)
	notice.Audience = notify.Finance
	d.add(notice)
	d.pass()
	require.Len(t, d.outbox.sent, 1)
	require.Contains(t, d.log.String(), "audience=finance kind=step.parked key=parked/WEB-01/operator link=https://t.example/base/v1/attention/WEB-01")
	require.NotContains(t, d.log.String(), "private", "texts may name people")
}

func TestAStopEndsWhatIsUnderWayAndBeginsNothing(t *testing.T) {
	d := newDesk(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	d.slack.during = stop
	another := parked(2)
	another.ID, another.Group = "another", "other cause"
	d.add(parked(1), another)
	_, err := d.dispatcher.Pass(ctx)
	require.NoError(t, err)
	require.Len(t, d.slack.messages, 1)
	require.Len(t, d.mail.messages, 1)
	require.Len(t, d.outbox.sent, 1)
	d.slack.during = nil
	d.after(3 * time.Minute).pass()
	require.Len(t, d.outbox.sent, 2, "the lease has ended")
}

func TestALongPassLeavesTheRestToItsLease(t *testing.T) {
	d := newDesk(t, nil)
	d.slack.during = func() { d.now = d.now.Add(61 * time.Second) }
	another := parked(2)
	another.ID, another.Group = "another", "other cause"
	d.add(parked(1), another)
	d.pass()
	require.Len(t, d.outbox.sent, 1)
	d.slack.during = nil
	d.after(3 * time.Minute).pass()
	require.Len(t, d.outbox.sent, 2)
}

func TestAnOutboxThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	d := newDesk(t, nil)
	d.outbox.broken = errors.New("database away")
	_, err := d.dispatcher.Pass(t.Context())
	require.ErrorContains(t, err, "database away")
	d.outbox.broken = nil
	d.add(parked(1))
	ctx, stop := context.WithCancel(t.Context())
	d.mail.during = stop // the second route is the last thing of the pass
	require.NoError(t, d.dispatcher.Run(ctx, time.Millisecond))
	require.Len(t, d.outbox.sent, 1)
}

func TestLinksLeadNowhereElse(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/orders/WEB-1?x=1": "https://t.example/base/v1/orders/WEB-1?x=1", "https://evil.example/": "", "//evil.example/x": "", "javascript:alert(1)": "",
		"": "", "v1/orders": "", "/a b": "https://t.example/base/a%20b", "/\x7f": "",
	} {
		d := newDesk(t, nil)
		notice := parked(1)
		notice.Link = path
		d.add(notice)
		d.pass()
		got := d.slack.messages[0].Link.URL
		require.Equal(t, want, got, "%q", path)
		if got != "" {
			u, err := url.Parse(got)
			require.NoError(t, err)
			require.Equal(t, "t.example", u.Host)
		}
	}
	d := newDesk(t, func(o *notify.Options) { o.BaseURL = "" })
	d.add(parked(1))
	d.pass()
	require.Equal(t, "/v1/attention/WEB-01", d.slack.messages[0].Link.URL)
}

func TestTitlesOfGroups(t *testing.T) {
	for kind, want := range map[string]string{
		"review.opened": "2 orders are held for review", "review.reminded": "2 orders are still waiting for a decision",
		"review.escalated": "Escalated: 2 orders are waiting too long for a decision", "refund.refused": "3 refunds were refused",
		"inbox.given_up": "3 events were given up", "new.kind": "3 alerts of one cause; the first: Order WEB-01 waits at sales-order (connection)",
	} {
		d := newDesk(t, nil)
		for n, order := range []string{"WEB-1", "WEB-1", "WEB-2"} {
			notice := parked(n + 1)
			notice.Kind, notice.OrderID, notice.Group, notice.Text = kind, order, kind, order
			d.add(notice)
		}
		d.pass()
		require.Equal(t, want, d.slack.messages[0].Subject)
		require.Equal(t, "The first of them:\nWEB-1", d.slack.messages[0].Text)
	}
}

// order is one whose buyer is to be written to.
func order(id string) canonical.Order {
	return canonical.Order{
		OrderID: id, Channel: "web-us", PlacedAt: noon, Currency: "USD", Total: decimal.RequireFromString("48.19"),
		Customer: canonical.Customer{Email: "ada@customer.example", FirstName: "Ada", LastName: "Park"},
		Lines:    []canonical.LineItem{{SKU: "A100", Description: "Widget", Quantity: decimal.NewFromInt(2)}},
	}
}

func (d *desk) take(order canonical.Order, status canonical.OrderStatus) {
	d.t.Helper()
	input, err := json.Marshal(order)
	require.NoError(d.t, err)
	_, _, err = d.outbox.TakeOrder(d.t.Context(), journal.OrderRecord{
		OrderID: order.OrderID, Channel: order.Channel, BodyHash: order.OrderID, Input: input, Status: status, Currency: order.Currency, Total: order.Total,
		Reason: "rejected: stolen card, velocity rule 7",
	})
	require.NoError(d.t, err)
}

func toCustomer(kind, order string) notify.Notice {
	return notify.Notice{
		ID: kind + "/" + order, Audience: notify.Customer, Kind: kind, OrderID: order, Group: "outage",
		Data: map[string]string{"refundId": "R-7", "amount": "12.00 USD"},
	}
}

func TestCustomersAreWrittenTo(t *testing.T) {
	d := newDesk(t, nil)
	d.take(order("WEB-1"), canonical.OrderBooking)
	d.take(order("WEB-2"), canonical.OrderRejected)
	d.take(order("WEB-3"), canonical.OrderConfirmed)
	d.add(toCustomer(notify.OrderDelayed, "WEB-1"), toCustomer(notify.OrderRejected, "WEB-2"), toCustomer(notify.RefundCompleted, "WEB-3"))
	require.Equal(t, 3, d.pass())
	require.Len(t, d.outbox.sent, 3)
	bySubject := map[string]notify.Message{}
	for _, message := range d.customers.messages {
		require.Equal(t, notify.Recipient{Name: "Ada Park", Address: "ada@customer.example"}, message.To)
		require.Contains(t, message.Text, "Hello Ada,")
		require.Contains(t, message.HTML, "<p>Hello Ada,</p>")
		require.Zero(t, message.Link)
		require.NotContains(t, message.Text+message.HTML+message.Subject, "velocity", "why is never told")
		require.NotContains(t, message.Text+message.HTML+message.Subject, "stolen")
		bySubject[message.Subject] = message
	}
	require.Contains(t, bySubject["Your order WEB-1 takes a little longer"].Text, "48.19 USD")
	require.Contains(t, bySubject["Your order WEB-2 could not be accepted"].HTML, "<strong>WEB-2</strong>")
	require.Contains(t, bySubject["Your refund for order WEB-3"].Text, "we have paid back 12.00 USD")
	require.NotContains(t, d.log.String(), "ada")
}

func TestNobodyIsToldWhatIsNotTrueAnyMore(t *testing.T) {
	d := newDesk(t, nil)
	d.take(order("WEB-1"), canonical.OrderConfirmed)
	d.add(toCustomer(notify.OrderDelayed, "WEB-1"), toCustomer(notify.OrderDelayed, "WEB-9"))
	require.Zero(t, d.pass())
	require.Zero(t, d.customers.tries)
	require.Equal(t, map[string]string{
		"order.delayed/WEB-1": "the order is not delayed any more", "order.delayed/WEB-9": "there is no such order",
	}, d.outbox.givenUp)
	require.Empty(t, d.observed, "nothing failed")
}

func TestMailsToCustomersMayBeOff(t *testing.T) {
	d := newDesk(t, func(o *notify.Options) { o.Customers = nil })
	d.take(order("WEB-1"), canonical.OrderBooking)
	d.add(toCustomer(notify.OrderDelayed, "WEB-1"))
	require.Zero(t, d.pass())
	require.Len(t, d.outbox.sent, 1)
	require.Contains(t, d.log.String(), "mails to customers are off")
}

func TestAMailThatCanNeverArriveIsGivenUpAtOnce(t *testing.T) {
	d := newDesk(t, nil)
	d.take(order("WEB-1"), canonical.OrderBooking)
	d.take(order("WEB-2"), canonical.OrderBooking)
	d.customers.fail = &fault.Fault{Kind: fault.MissingReference, System: "mail", Code: "550 5.1.1", Message: "nobody there"}
	d.add(toCustomer(notify.OrderDelayed, "WEB-1"), toCustomer(notify.OrderDelayed, "WEB-2"), toCustomer("order.forgotten", "WEB-1"))
	d.pass()
	require.Equal(t, 2, d.customers.tries, "one bad address does not stop the others")
	require.Len(t, d.outbox.givenUp, 3)
	require.Contains(t, d.outbox.givenUp["order.delayed/WEB-1"], "550 5.1.1")

	later := newDesk(t, nil)
	later.take(order("WEB-1"), canonical.OrderBooking)
	later.customers.fail = &fault.Fault{Kind: fault.Connection, System: "mail"}
	later.add(toCustomer(notify.OrderDelayed, "WEB-1"))
	later.pass()
	require.Empty(t, later.outbox.givenUp)
	later.customers.fail = nil
	require.Equal(t, 1, later.after(time.Minute).pass())
}

func TestNewRefusesABadBaseAddress(t *testing.T) {
	_, err := notify.New(notify.Options{BaseURL: "http://[::1"})
	require.Error(t, err)
}
