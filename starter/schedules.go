package starter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/workflows"
)

// The beginnings of the schedules' IDs; the merchant or the ERP follows.
const (
	settlementSchedules = "settlement/"
	changesSchedules    = "erp-changes/"
)

// ScheduleResult says what became of a schedule.
type ScheduleResult string

// The results.
const (
	ScheduleCreated ScheduleResult = "created"
	ScheduleUpdated ScheduleResult = "updated"
	ScheduleDeleted ScheduleResult = "deleted"
	ScheduleKept    ScheduleResult = "unchanged"
	ScheduleForeign ScheduleResult = "not ours" // somebody else made it under this ID; it is left alone
)

// ScheduleChange tells what was done about one schedule.
type ScheduleChange struct {
	ID     string         `json:"id"`
	Result ScheduleResult `json:"result"`
	When   string         `json:"when,omitempty"` // "daily at 06:00 UTC"
	Paused bool           `json:"paused,omitempty"`
}

// ScheduleSettings are what schedules follow from. Seal names the key that seals their inputs: with another one they are written anew, so
// that an old key may go.
type ScheduleSettings struct {
	Config config.Config
	Seal   string
}

// ReconcileSchedules brings Temporal's schedules in line with the settings: each merchant's settlement tick, each ERP's poll. What is missing
// is created, what differs is updated, and what no setting asks for any more is deleted; but only where this deployment made it. Whether
// a schedule is paused is left as people have it. It is safe to repeat, also by several processes at once.
func ReconcileSchedules(ctx context.Context, schedules client.ScheduleClient, settings ScheduleSettings) ([]ScheduleChange, error) {
	wanted := wantedSchedules(settings)
	var changes []ScheduleChange
	var failed []error
	for _, want := range wanted {
		change, err := ensure(ctx, schedules, want)
		if err != nil {
			failed = append(failed, fmt.Errorf("schedule %s: %w", want.id, err))
			continue
		}
		changes = append(changes, change)
	}
	gone, err := prune(ctx, schedules, settings.Config, wanted)
	return append(changes, gone...), errors.Join(append(failed, err)...)
}

// schedule is one that should be there.
type schedule struct {
	id      string
	spec    client.ScheduleSpec
	action  *client.ScheduleWorkflowAction
	overlap enumspb.ScheduleOverlapPolicy
	catchUp time.Duration
	owner   string
	mark    string // digest of all of it
}

func wantedSchedules(settings ScheduleSettings) []schedule {
	c := settings.Config
	var wanted []schedule
	if merchant, known := c.Merchant(""); known && merchant.Settlement.At != config.Off {
		wanted = append(wanted, settlementSchedule(merchant))
	}
	for _, erp := range c.ERPs() {
		if changes, known := c.Changes(erp); known && changes.Polls() && len(changes.Feeds) > 0 {
			wanted = append(wanted, changesSchedule(erp, changes, c.Policy))
		}
	}
	for i := range wanted {
		wanted[i].owner = c.Deployment
		wanted[i].mark = wanted[i].digest(settings.Seal)
		wanted[i].action.Memo = map[string]any{memoOwner: plain(wanted[i].owner), memoMark: plain(wanted[i].mark)}
	}
	return wanted
}

// settlementSchedule starts a merchant's tick once a day. Ticks don't wait for each other: each starts a day of its own, and after an outage
// several are due at once, of which none may be skipped.
func settlementSchedule(m config.Merchant) schedule {
	hour, minute, _ := config.ClockTime(m.Settlement.At) // checked when the settings were read
	return schedule{
		id: settlementSchedules + m.ID,
		spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{{
				Second: []client.ScheduleRange{{Start: 0}}, Minute: []client.ScheduleRange{{Start: minute}}, Hour: []client.ScheduleRange{{Start: hour}},
				Comment: "the day before is settled",
			}},
			TimeZoneName: m.Settlement.TimeZone,
		},
		action: &client.ScheduleWorkflowAction{
			ID: "settlement-tick/" + m.ID, Workflow: workflows.SettlementTick, TaskQueue: workflows.TaskQueue,
			Args:          []any{workflows.TickInput{Settlement: settlementInput(m)}},
			StaticSummary: "Start the settlement of " + m.ID,
			TypedSearchAttributes: temporal.NewSearchAttributes(
				workflows.SearchErp.ValueSet(m.Erp), workflows.SearchNeedsAttention.ValueSet(false)),
		},
		overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
		catchUp: m.Settlement.CatchUp,
	}
}

// shortCatchUp: a poll that was missed needs no catching up, since the next one reads from the same watermark.
const shortCatchUp = time.Minute

// changesSchedule polls an ERP. A poll that takes longer than the interval is not overtaken: two of them would read the same.
func changesSchedule(erp string, c config.Changes, steps config.Policy) schedule {
	return schedule{
		id:   changesSchedules + erp,
		spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: c.Interval}}, TimeZoneName: "UTC"},
		action: &client.ScheduleWorkflowAction{
			ID: "erp-changes/" + erp, Workflow: workflows.ErpChanges, TaskQueue: workflows.TaskQueue,
			Args:          []any{changesInput(erp, c, steps)},
			StaticSummary: "Ask " + erp + " for changes",
			TypedSearchAttributes: temporal.NewSearchAttributes(
				workflows.SearchErp.ValueSet(erp), workflows.SearchNeedsAttention.ValueSet(false)),
		},
		overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		catchUp: shortCatchUp,
	}
}

// The memo of a schedule's runs says who made the schedule, and of what. It holds nothing to hide, so that it is not sealed.
const (
	memoOwner = "tenderline-deployment"
	memoMark  = "tenderline-definition"
)

func plain(text string) *commonpb.Payload {
	payload, _ := converter.GetDefaultDataConverter().ToPayload(text) // a string is JSON
	return payload
}

// remembered reads an entry of a memo; "" where there is none, or none of ours.
func remembered(memo map[string]any, name string) string {
	payload, _ := memo[name].(*commonpb.Payload)
	var text string
	if payload == nil || converter.GetDefaultDataConverter().FromPayload(payload, &text) != nil {
		return ""
	}
	return text
}

// digest changes with everything that the schedule does.
func (s schedule) digest(seal string) string {
	text, _ := json.Marshal([]any{when(s.spec), s.action.ID, s.action.TaskQueue, s.action.Args, s.action.StaticSummary, s.overlap, s.catchUp, seal}) // plain data
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// ensure creates a schedule, or brings it in line.
func ensure(ctx context.Context, schedules client.ScheduleClient, want schedule) (ScheduleChange, error) {
	change := ScheduleChange{ID: want.id, When: when(want.spec)}
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: want.id, Spec: want.spec, Action: want.action, Overlap: want.overlap, CatchupWindow: want.catchUp, Note: "made by tenderline setup",
	})
	if err == nil {
		change.Result = ScheduleCreated
		return change, nil
	}
	if !taken(err) {
		return change, err
	}
	handle := schedules.GetHandle(ctx, want.id)
	there, err := handle.Describe(ctx)
	if err != nil {
		return change, err
	}
	change.Paused = there.Schedule.State != nil && there.Schedule.State.Paused
	switch {
	case ownerOf(there.Schedule) != want.owner:
		change.Result, change.When = ScheduleForeign, ""
		return change, nil
	case want.fits(there.Schedule):
		change.Result = ScheduleKept
		return change, nil
	}
	change.Result = ScheduleUpdated
	return change, handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(input client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		updated := input.Description.Schedule // with its state: whether people have paused it
		spec := want.spec
		updated.Spec, updated.Action = &spec, want.action
		updated.Policy = &client.SchedulePolicies{Overlap: want.overlap, CatchupWindow: want.catchUp}
		return &client.ScheduleUpdate{Schedule: &updated}, nil
	}})
}

// taken tells that a schedule of this ID is there.
func taken(err error) bool {
	var there *serviceerror.WorkflowExecutionAlreadyStarted
	return errors.Is(err, temporal.ErrScheduleAlreadyRunning) || errors.As(err, &there)
}

// ownerOf is the deployment that made a schedule, "" where none did.
func ownerOf(s client.Schedule) string {
	action, _ := s.Action.(*client.ScheduleWorkflowAction)
	if action == nil {
		return ""
	}
	return remembered(action.Memo, memoOwner)
}

// fits tells that a schedule is as it should be, also where people changed its times by hand since it was made.
func (s schedule) fits(there client.Schedule) bool {
	action, _ := there.Action.(*client.ScheduleWorkflowAction)
	return action != nil && there.Spec != nil && there.Policy != nil &&
		remembered(action.Memo, memoMark) == s.mark && when(*there.Spec) == when(s.spec) &&
		there.Policy.Overlap == s.overlap && there.Policy.CatchupWindow == s.catchUp && !there.Policy.PauseOnFailure
}

// when says in words when a schedule runs. The server fills in ranges that were left out, so that only starts are read.
func when(spec client.ScheduleSpec) string {
	var parts []string
	for _, calendar := range spec.Calendars {
		parts = append(parts, fmt.Sprintf("daily at %02d:%02d %s", startOf(calendar.Hour), startOf(calendar.Minute), spec.TimeZoneName))
	}
	for _, interval := range spec.Intervals {
		parts = append(parts, "every "+strings.Replace(interval.Every.String(), "m0s", "m", 1))
	}
	parts = append(parts, spec.CronExpressions...) // none of ours
	return strings.Join(parts, "; ")
}

func startOf(ranges []client.ScheduleRange) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start
}

// prune deletes what this deployment made and no setting asks for any more. A process that does not know the merchant says nothing about its
// schedule.
func prune(ctx context.Context, schedules client.ScheduleClient, settings config.Config, wanted []schedule) ([]ScheduleChange, error) {
	list, err := schedules.List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	_, knowsMerchant := settings.Merchant("")
	var changes []ScheduleChange
	for list.HasNext() {
		entry, err := list.Next()
		if err != nil {
			return changes, fmt.Errorf("list schedules: %w", err)
		}
		ours := strings.HasPrefix(entry.ID, changesSchedules) || knowsMerchant && strings.HasPrefix(entry.ID, settlementSchedules)
		if !ours || slices.ContainsFunc(wanted, func(s schedule) bool { return s.id == entry.ID }) {
			continue
		}
		deleted, err := remove(ctx, schedules.GetHandle(ctx, entry.ID), settings.Deployment)
		if err != nil {
			return changes, fmt.Errorf("schedule %s: %w", entry.ID, err)
		}
		if deleted {
			changes = append(changes, ScheduleChange{ID: entry.ID, Result: ScheduleDeleted})
		}
	}
	return changes, nil
}

// remove deletes a schedule of this deployment; false for another's, and for one that is gone: the list lags.
func remove(ctx context.Context, handle client.ScheduleHandle, owner string) (bool, error) {
	var gone *serviceerror.NotFound
	there, err := handle.Describe(ctx)
	if errors.As(err, &gone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if ownerOf(there.Schedule) != owner {
		return false, nil
	}
	if err := handle.Delete(ctx); err != nil && !errors.As(err, &gone) {
		return false, err
	}
	return true, nil
}
