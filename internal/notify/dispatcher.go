package notify

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// Route is one way to an audience.
type Route struct {
	Name     string // in metrics, logs and stored reasons, such as "slack:ops" or "mail": never an address
	Notifier Notifier
}

// Result is what became of a notice on a route.
type Result string

// The results.
const (
	Sent    Result = "sent"
	Failed  Result = "failed"   // this try
	GivenUp Result = "given_up" // for good
)

// Options of a Dispatcher.
type Options struct {
	Outbox    Outbox
	Routes    map[Audience][]Route
	Customers *Customers    // writes to customers; nil: they are not written to
	BaseURL   string        // of links; "": paths alone
	Quiet     time.Duration // after a message, more of the same audience and group are collected for so long
	Tries     int           // of one notice before it is given up
	Retry     time.Duration // pause before the second try, doubling up to maxPause
	Timeout   time.Duration // of one message on one route; default 30 s
	Clock     func() time.Time
	Logger    *slog.Logger
	Observe   func(audience Audience, route string, result Result) // for metrics
}

const (
	page       = 200              // notices of one question to the outbox
	perPass    = 2000             // notices of one pass; what is beyond waits for the next one
	passFor    = time.Minute      // after which a pass begins no further message: half of the outbox's lease
	maxPause   = time.Hour        // between two tries
	routePause = 15 * time.Second // of a route that fails, so that an outage does not stop a pass at every message
	forgetting = 24 * time.Hour   // after which another process must have taken over what we began
)

// Dispatcher takes notices that are due from the outbox and sends them. Several may run beside each other.
//
// A notice is sent at least once. It counts as sent when every route of its audience took it; a route that took it is not asked again by
// the same process. The quiet period of a group, too, is known to one process only.
type Dispatcher struct {
	options  Options
	composer composer

	mutex  sync.Mutex // passes don't overlap
	told   map[group]time.Time
	taken  map[string]delivery  // by notice id: what some routes took and others did not
	paused map[string]time.Time // by route name and audience
}

// group is what is told together.
type group struct {
	audience Audience
	name     string
}

// delivery is how far a notice has come.
type delivery struct {
	routes map[string]bool
	at     time.Time
}

// New makes a dispatcher.
func New(options Options) (*Dispatcher, error) {
	d := &Dispatcher{options: options, told: map[group]time.Time{}, taken: map[string]delivery{}, paused: map[string]time.Time{}}
	if options.BaseURL != "" {
		base, err := url.Parse(options.BaseURL)
		if err != nil {
			return nil, errors.New("the base address of links is not valid")
		}
		d.composer.base = base
	}
	if d.options.Clock == nil {
		d.options.Clock = time.Now
	}
	if d.options.Logger == nil {
		d.options.Logger = slog.New(slog.DiscardHandler)
	}
	if d.options.Observe == nil {
		d.options.Observe = func(Audience, string, Result) {}
	}
	d.options.Timeout = cmp.Or(d.options.Timeout, 30*time.Second)
	d.options.Tries = max(d.options.Tries, 1)
	return d, nil
}

// Run sends what is due until the context ends. A pass that fails is logged; the next one tries again.
func (d *Dispatcher) Run(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if _, err := d.Pass(ctx); err != nil && ctx.Err() == nil {
			d.options.Logger.ErrorContext(ctx, "alerts wait: the outbox does not answer", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Pass sends what is due now and tells how many messages went out.
func (d *Dispatcher) Pass(ctx context.Context) (messages int, err error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.forget()
	begun := d.options.Clock()
	due, err := d.due(ctx)
	var problems []error
	problems = append(problems, err)
	for _, batch := range grouped(due) {
		if ctx.Err() != nil || d.options.Clock().Sub(begun) > passFor {
			break // what was leased comes back when the lease ends
		}
		count, err := d.handle(ctx, batch)
		messages += count
		problems = append(problems, err)
	}
	return messages, errors.Join(problems...)
}

// due takes what is due, so that all of a group that came at once goes into one message.
func (d *Dispatcher) due(ctx context.Context) ([]Notice, error) {
	var list []Notice
	for len(list) < perPass {
		some, err := d.options.Outbox.DueNotices(ctx, d.options.Clock(), page)
		if err != nil {
			return list, err
		}
		list = append(list, some...)
		if len(some) < page {
			break
		}
	}
	return list, nil
}

// grouped puts together what is told together: people who mend things first, customers last. A notice without a group, and one to a
// customer, stands alone.
func grouped(notices []Notice) [][]Notice {
	var batches [][]Notice
	places := map[group]int{}
	for _, notice := range notices {
		key := groupOf(notice)
		at, known := places[key]
		if known && key.name != "" {
			batches[at] = append(batches[at], notice)
			continue
		}
		places[key] = len(batches)
		batches = append(batches, []Notice{notice})
	}
	rank := func(batch []Notice) int {
		if at := slices.Index(Staff(), batch[0].Audience); at >= 0 {
			return at
		}
		return len(Staff())
	}
	slices.SortStableFunc(batches, func(a, b []Notice) int { return rank(a) - rank(b) })
	return batches
}

func groupOf(notice Notice) group {
	if notice.Audience == Customer {
		return group{Customer, ""}
	}
	return group{notice.Audience, notice.Group}
}

// handle sends a batch, or collects it while its group is quiet.
func (d *Dispatcher) handle(ctx context.Context, batch []Notice) (messages int, err error) {
	// A message under way goes to its end, with the note of it, also when the process stops: else it would be sent again.
	ctx = context.WithoutCancel(ctx)
	if batch[0].Audience == Customer {
		return d.customer(ctx, batch[0])
	}
	routes := d.options.Routes[batch[0].Audience]
	if len(routes) == 0 {
		routes = []Route{{Name: "log", Notifier: Log{d.options.Logger}}}
	}
	batch, err = d.collect(ctx, batch)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	var failure error
	for _, route := range routes {
		fresh := d.untaken(batch, route)
		if len(fresh) == 0 {
			continue
		}
		if sendErr := d.send(ctx, route, d.composer.alert(fresh)); sendErr != nil {
			failure = worse(failure, sendErr)
			continue
		}
		messages++
		d.took(fresh, route)
	}
	if messages > 0 {
		d.told[groupOf(batch[0])] = d.options.Clock()
	}
	return messages, d.conclude(ctx, batch, failure)
}

// collect puts off what would be a second message within the quiet period, which is no try of it. What went out on some routes already is no
// second one.
func (d *Dispatcher) collect(ctx context.Context, batch []Notice) ([]Notice, error) {
	key := groupOf(batch[0])
	last, told := d.told[key]
	until := last.Add(d.options.Quiet)
	if key.name == "" || !told || !d.options.Clock().Before(until) {
		return batch, nil
	}
	var now []Notice
	var problems []error
	for _, notice := range batch {
		if _, begun := d.taken[notice.ID]; begun {
			now = append(now, notice)
			continue
		}
		problems = append(problems, concluded(d.options.Outbox.HoldNotice(ctx, notice.ID, until, reasonCollected)))
	}
	return now, errors.Join(problems...)
}

// reasonCollected is why a notice is put off that shares its group with one that was just sent.
const reasonCollected = "collected: others of its group were just sent"

// send carries one message one way. A route that fails rests for a while, so that the next messages don't wait for it too.
func (d *Dispatcher) send(ctx context.Context, route Route, message Message) error {
	now := d.options.Clock()
	place := message.Audience + " " + route.Name
	if rest := d.paused[place].Sub(now); rest > 0 {
		return &fault.Fault{Kind: fault.RateLimit, System: route.Name, Code: "PAUSED", Message: "the route rests after a failure", RetryAfter: rest}
	}
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	err := route.Notifier.Send(ctx, message)
	if err == nil {
		d.options.Observe(message.Audience, route.Name, Sent)
		return nil
	}
	d.options.Observe(message.Audience, route.Name, Failed)
	d.options.Logger.WarnContext(ctx, "alert not delivered", "audience", message.Audience, "route", route.Name, "kind", message.Kind,
		"key", message.Key, "error", reasonOf(err))
	if pauses(err) {
		d.paused[place] = now.Add(max(retryAfter(err), routePause))
	}
	return err
}

// conclude marks what every route took, and puts off or gives up what some did not.
func (d *Dispatcher) conclude(ctx context.Context, batch []Notice, failure error) error {
	if failure == nil {
		ids := make([]string, len(batch))
		for i, notice := range batch {
			ids[i] = notice.ID
			delete(d.taken, notice.ID)
		}
		return d.options.Outbox.NoticesSent(ctx, ids)
	}
	var problems []error
	for _, notice := range batch {
		problems = append(problems, d.again(ctx, notice, failure))
	}
	return errors.Join(problems...)
}

// again puts a notice off, or gives it up when its tries are spent.
func (d *Dispatcher) again(ctx context.Context, notice Notice, failure error) error {
	if notice.Tries+1 >= d.options.Tries {
		return d.giveUp(ctx, notice, reasonOf(failure))
	}
	pause := max(d.pause(notice.Tries), retryAfter(failure))
	return d.postpone(ctx, notice, d.options.Clock().Add(pause), reasonOf(failure))
}

func (d *Dispatcher) postpone(ctx context.Context, notice Notice, until time.Time, reason string) error {
	return concluded(d.options.Outbox.PostponeNotice(ctx, notice.ID, until, reason))
}

// concluded takes for done what another process has ended meanwhile.
func concluded(err error) error {
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	return err
}

func (d *Dispatcher) giveUp(ctx context.Context, notice Notice, reason string) error {
	delete(d.taken, notice.ID)
	d.options.Observe(notice.Audience, "", GivenUp)
	d.options.Logger.ErrorContext(ctx, "alert given up", "audience", notice.Audience, "kind", notice.Kind, "notice", notice.ID,
		"order", notice.OrderID, "tries", notice.Tries+1, "reason", reason)
	return concluded(d.options.Outbox.GiveUpNotice(ctx, notice.ID, reason))
}

// pause before the next try: it doubles.
func (d *Dispatcher) pause(tries int) time.Duration {
	pause := d.options.Retry
	for range tries {
		if pause *= 2; pause >= maxPause {
			return maxPause
		}
	}
	return min(pause, maxPause)
}

// customer writes one mail.
func (d *Dispatcher) customer(ctx context.Context, notice Notice) (messages int, err error) {
	if d.options.Customers == nil {
		d.options.Logger.InfoContext(ctx, "customer not written to: mails to customers are off", "kind", notice.Kind, "order", notice.OrderID)
		return 0, d.options.Outbox.NoticesSent(ctx, []string{notice.ID})
	}
	message, err := d.options.Customers.Write(ctx, notice)
	if moot := (*mootError)(nil); errors.As(err, &moot) {
		d.options.Logger.InfoContext(ctx, "customer not written to", "kind", notice.Kind, "order", notice.OrderID, "reason", moot.why)
		return 0, concluded(d.options.Outbox.GiveUpNotice(ctx, notice.ID, moot.why))
	}
	if err == nil {
		err = d.send(ctx, d.options.Customers.Route, message)
	}
	switch f := fault.As(err); {
	case err == nil:
		return 1, d.conclude(ctx, []Notice{notice}, nil)
	case f != nil && hopeless(f.Kind):
		return 0, d.giveUp(ctx, notice, reasonOf(err))
	default:
		return 0, d.again(ctx, notice, err)
	}
}

// hopeless tells that a mail to a customer will never arrive: the address is wrong, or nobody is there. Whatever is about our own server
// may be mended.
func hopeless(kind fault.Kind) bool { return kind == fault.Value || kind == fault.MissingReference }

// untaken are the notices that a route has not taken.
func (d *Dispatcher) untaken(batch []Notice, route Route) []Notice {
	var list []Notice
	for _, notice := range batch {
		if !d.taken[notice.ID].routes[route.Name] {
			list = append(list, notice)
		}
	}
	return list
}

func (d *Dispatcher) took(batch []Notice, route Route) {
	for _, notice := range batch {
		entry, known := d.taken[notice.ID]
		if !known {
			entry = delivery{routes: map[string]bool{}}
		}
		entry.routes[route.Name], entry.at = true, d.options.Clock()
		d.taken[notice.ID] = entry
	}
}

// forget drops what is over, so that memory stays bounded.
func (d *Dispatcher) forget() {
	now := d.options.Clock()
	for key, at := range d.told {
		if now.Sub(at) >= d.options.Quiet {
			delete(d.told, key)
		}
	}
	for id, entry := range d.taken {
		if now.Sub(entry.at) >= forgetting {
			delete(d.taken, id)
		}
	}
	for place, until := range d.paused {
		if !now.Before(until) {
			delete(d.paused, place)
		}
	}
}

// worse keeps the failure that asks for the longer pause.
func worse(one, other error) error {
	if one == nil || retryAfter(other) > retryAfter(one) {
		return other
	}
	return one
}

func retryAfter(err error) time.Duration {
	if f := fault.As(err); f != nil {
		return f.RetryAfter
	}
	return 0
}

// pauses tells whether a failure is the route's, and not the message's.
func pauses(err error) bool {
	f := fault.As(err)
	return f == nil || !hopeless(f.Kind)
}

// reasonOf is a failure for logs and the outbox. What is no fault was not made here, and may hold anything.
func reasonOf(err error) string {
	if f := fault.As(err); f != nil {
		return f.Error()
	}
	return "failed, for a reason that is not told here"
}
