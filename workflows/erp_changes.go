package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/activities"
)

// ErpChangesInput starts ErpChanges; the schedule of the ERP holds it.
type ErpChangesInput struct {
	Erp      string                  `json:"erp"`
	Feeds    []activities.ChangeFeed `json:"feeds"`
	Overlap  time.Duration           `json:"overlap"`  // how far behind its watermark a feed is read again: rows may be committed late
	Lookback time.Duration           `json:"lookback"` // how far back the first poll reads
	PageSize int                     `json:"pageSize"`
	Policy   Policy                  `json:"policy"`
	Resume   *FeedPosition           `json:"resume,omitempty"` // where the run before this one stopped; of one feed only
}

// FeedPosition is where a long poll stopped.
type FeedPosition struct {
	Since  time.Time `json:"since"`
	Cursor string    `json:"cursor"` // of the next page
	New    int       `json:"new"`    // so far
}

// ErpChangesResult tells what was new of a feed; of several, which of them were started, and which are still busy with an earlier poll.
type ErpChangesResult struct {
	New     int                     `json:"new,omitempty"`
	Started []activities.ChangeFeed `json:"started,omitempty"`
	Busy    []activities.ChangeFeed `json:"busy,omitempty"`
}

// ErpFeedWorkflowID is the ID of the poll of one feed; it may be used again once it is closed.
func ErpFeedWorkflowID(erp string, feed activities.ChangeFeed) string {
	return "erp-changes/" + erp + "/" + string(feed)
}

// Names of a poll's steps; the feed's name follows.
const (
	stepCursor  = "cursor-"
	stepPoll    = "poll-"
	stepReceive = "receive-"
)

// pagesPerPoll keeps a run's history small; a longer poll goes on as a new run.
const pagesPerPoll = 200

// changesWork names the inbox's activities; it is nil and never called in a workflow.
var changesWork *activities.Changes

// ErpChanges polls an ERP for what people did there: credit memos, shipments, sales orders, stock. Of several feeds each is polled by a run of
// its own that nothing waits for: one that needs a person holds up neither the others nor their next poll. Each page is durable in the inbox
// before the feed's cursor moves over it; from there each change reaches its own process, so that a bad one waits alone. What is read twice
// is taken once.
func ErpChanges(ctx workflow.Context, in ErpChangesInput) (ErpChangesResult, error) {
	if len(in.Feeds) != 1 {
		return startFeeds(ctx, in)
	}
	p := &poll{in: in, feed: in.Feeds[0]}
	var err error
	if p.desk, err = ownDesk(ctx, ""); err != nil {
		return ErpChangesResult{}, err
	}
	more, err := p.story(ctx)
	if err != nil {
		return ErpChangesResult{New: p.received}, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil || !more {
		return ErpChangesResult{New: p.received}, err
	}
	in.Resume = &FeedPosition{Since: p.ask.Since, Cursor: p.ask.Cursor, New: p.received}
	return ErpChangesResult{}, workflow.NewContinueAsNewError(ctx, ErpChanges, in)
}

// startFeeds starts the poll of each feed, side by side. One that is still busy, or waits for a person, is left alone.
func startFeeds(ctx workflow.Context, in ErpChangesInput) (ErpChangesResult, error) {
	var result ErpChangesResult
	var failed error
	for _, feed := range in.Feeds {
		child := in
		child.Feeds = []activities.ChangeFeed{feed}
		options := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
			WorkflowID:            ErpFeedWorkflowID(in.Erp, feed),
			WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
			StaticSummary:         fmt.Sprintf("Ask %s for changes: %s", in.Erp, feed),
			TypedSearchAttributes: temporal.NewSearchAttributes(SearchErp.ValueSet(in.Erp), SearchNeedsAttention.ValueSet(false)),
		})
		err := workflow.ExecuteChildWorkflow(options, ErpChanges, child).GetChildWorkflowExecution().Get(ctx, nil)
		switch {
		case err == nil:
			result.Started = append(result.Started, feed)
		case temporal.IsWorkflowExecutionAlreadyStartedError(err):
			result.Busy = append(result.Busy, feed)
		default:
			failed = err // the other feeds are started all the same
		}
	}
	return result, failed
}

// poll is the poll of one feed.
type poll struct {
	in        ErpChangesInput
	feed      activities.ChangeFeed
	desk      *desk
	ask       activities.PollChangesInput
	watermark time.Time
	received  int
}

// story reads the feed to its end; more tells that another run is to go on.
func (p *poll) story(ctx workflow.Context) (more bool, err error) {
	if err := p.begin(ctx); err != nil {
		return false, err
	}
	for range pagesPerPoll {
		page, err := p.page(ctx)
		if err != nil {
			return false, err
		}
		if err := p.receive(ctx, page); err != nil {
			return false, err
		}
		p.ask.Cursor = page.Next
		if page.Next == "" {
			return false, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			break
		}
	}
	return true, nil
}

// begin finds out where to read from.
func (p *poll) begin(ctx workflow.Context) error {
	var cursor activities.FeedCursor
	err := p.desk.try(ctx, retried(stepCursor+string(p.feed)), func(ctx workflow.Context, _ int) error {
		var err error
		cursor, err = read(ledger(ctx, "Where the poll of "+string(p.feed)+" stands"), changesWork.ReadCursor,
			activities.ReadCursorInput{Erp: p.in.Erp, Feed: p.feed})
		return err
	})
	p.watermark = cursor.Watermark
	p.ask = activities.PollChangesInput{Feed: p.feed, Since: cursor.Watermark.Add(-p.in.Overlap), Limit: p.in.PageSize}
	if cursor.Watermark.IsZero() {
		p.ask.Since = workflow.Now(ctx).Add(-p.in.Lookback)
	}
	if at := p.in.Resume; at != nil { // the pages go on where the question began
		p.ask.Since, p.ask.Cursor, p.received = at.Since, at.Cursor, at.New
	}
	return err
}

// page asks for one page; an ERP that refuses to answer needs a person.
func (p *poll) page(ctx workflow.Context) (activities.ChangePage, error) {
	var page activities.ChangePage
	s := retried(stepPoll + string(p.feed))
	s.deadline, s.overdue = p.in.Policy.ParkDeadline, ResolveRetry
	err := p.desk.try(ctx, s, func(ctx workflow.Context, _ int) error {
		var err error
		page, err = run(booking(ctx, p.in.Erp, p.in.Policy, "Ask for changes: "+string(p.feed)), erpWork.PollChanges, p.ask)
		return err
	})
	return page, err
}

// receive makes a page durable, and moves the cursor over it. The cursor never goes back: the overlap's rows are older than it.
func (p *poll) receive(ctx workflow.Context, page activities.ChangePage) error {
	in := activities.ReceiveChangesInput{Erp: p.in.Erp, Feed: p.feed, Changes: page.Changes}
	if page.Latest.After(p.watermark) {
		p.watermark, in.Watermark = page.Latest, page.Latest
	}
	return p.desk.try(ctx, retried(stepReceive+string(p.feed)), func(ctx workflow.Context, _ int) error {
		received, err := read(ledger(ctx, "Receive changes of "+string(p.feed)), changesWork.ReceiveChanges, in)
		p.received += received.New
		return err
	})
}
