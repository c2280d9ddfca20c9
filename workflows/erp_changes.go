package workflows

import (
	"time"

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
}

// ErpChangesResult counts what was new, by feed.
type ErpChangesResult struct {
	New map[activities.ChangeFeed]int `json:"new,omitempty"`
}

// changesWork names the inbox's activities; it is nil and never called in a workflow.
var changesWork *activities.Changes

// ErpChanges polls an ERP for what people did there: credit memos, shipments, sales orders, stock. Each page is durable in the inbox before
// the feed's cursor moves over it; from there each change reaches its own process, so that a bad one waits alone. What is read twice is
// taken once.
func ErpChanges(ctx workflow.Context, in ErpChangesInput) (ErpChangesResult, error) {
	result := ErpChangesResult{New: map[activities.ChangeFeed]int{}}
	d, err := ownDesk(ctx, "")
	if err != nil {
		return result, err
	}
	for _, feed := range in.Feeds {
		count, err := pollFeed(ctx, d, in, feed)
		if err != nil {
			return result, err
		}
		result.New[feed] = count
	}
	return result, workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// pollFeed reads one feed to its end.
func pollFeed(ctx workflow.Context, d *desk, in ErpChangesInput, feed activities.ChangeFeed) (int, error) {
	cursor, err := read(ledger(ctx, "Where the poll of "+string(feed)+" stands"), changesWork.ReadCursor, activities.ReadCursorInput{Erp: in.Erp, Feed: feed})
	if err != nil {
		return 0, err
	}
	ask := activities.PollChangesInput{Feed: feed, Since: cursor.Watermark.Add(-in.Overlap), Limit: in.PageSize}
	if cursor.Watermark.IsZero() {
		ask.Since = workflow.Now(ctx).Add(-in.Lookback)
	}
	count := 0
	const pages = 1000 // a run that reads more goes on with the next one, from the cursor
	for range pages {
		page, err := pollPage(ctx, d, in, ask)
		if err != nil {
			return count, err
		}
		received, err := read(ledger(ctx, "Receive changes of "+string(feed)), changesWork.ReceiveChanges, activities.ReceiveChangesInput{
			Erp: in.Erp, Feed: feed, Changes: page.Changes, Watermark: page.Latest,
		})
		if err != nil {
			return count, err
		}
		count += received.New
		if page.Next == "" {
			break
		}
		ask.Cursor = page.Next
	}
	return count, nil
}

// pollPage asks for one page; an ERP that refuses to answer needs a person, one that is away is asked again by the next run too.
func pollPage(ctx workflow.Context, d *desk, in ErpChangesInput, ask activities.PollChangesInput) (activities.ChangePage, error) {
	var page activities.ChangePage
	s := step{name: "poll-" + string(ask.Feed), actions: []ResolutionKind{ResolveRetry}, deadline: in.Policy.ParkDeadline, overdue: ResolveRetry}
	err := d.try(ctx, s, func(ctx workflow.Context, _ int) error {
		var err error
		page, err = run(booking(ctx, in.Erp, in.Policy, "Ask for changes: "+string(ask.Feed)), erpWork.PollChanges, ask)
		return err
	})
	return page, err
}
