package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/workflows"
)

// SettlementRun asks to settle a day by hand: one that was missed, or once more.
type SettlementRun struct {
	Merchant string // "": the only one
	Date     string // business date, YYYY-MM-DD
	DryRun   bool   // the discrepancy report is made and nothing posted
	Actor    string
}

// StartedDay is a settlement day that was started, or not: Err is nil, or an *Error of kind Conflict where the day is being settled already.
type StartedDay struct {
	Merchant   string
	Date       string
	WorkflowID string
	DryRun     bool
	Err        error
}

// MaxBackfill is how many days one backfill may start.
const MaxBackfill = 31

// RunSettlement starts a merchant's day. A day that has ended may be run again, which posts nothing twice; one that is running is a Conflict.
func (s *Starter) RunSettlement(ctx context.Context, run SettlementRun) (StartedDay, error) {
	merchant, err := s.merchant(run.Merchant)
	if err != nil {
		return StartedDay{}, err
	}
	date, err := s.businessDate(merchant, "/date", run.Date)
	if err != nil {
		return StartedDay{}, err
	}
	day := s.startDay(ctx, merchant, date.Format(time.DateOnly), run)
	return day, day.Err
}

// Backfill starts the days from one to another, both included, the oldest first. A day that is running already is left alone, and said so
// in its own Err; the first day that can't be started for another reason ends it.
func (s *Starter) Backfill(ctx context.Context, from, to string, run SettlementRun) ([]StartedDay, error) {
	merchant, err := s.merchant(run.Merchant)
	if err != nil {
		return nil, err
	}
	first, errFrom := s.businessDate(merchant, "/from", from)
	last, errTo := s.businessDate(merchant, "/to", to)
	switch {
	case errFrom != nil:
		return nil, errFrom
	case errTo != nil:
		return nil, errTo
	case last.Before(first):
		return nil, invalidDay("/to", canonical.RuleMinimum, "must not be before /from")
	case last.Sub(first) > (MaxBackfill-1)*24*time.Hour:
		return nil, invalidDay("/to", canonical.RuleMaximum, fmt.Sprintf("makes more than %d days", MaxBackfill))
	}
	var days []StartedDay
	for date := first; !date.After(last); date = date.AddDate(0, 0, 1) {
		day := s.startDay(ctx, merchant, date.Format(time.DateOnly), run)
		if day.Err != nil && !Is(day.Err, Conflict) {
			return days, day.Err
		}
		days = append(days, day)
	}
	return days, nil
}

// merchant finds the settings of a gateway account.
func (s *Starter) merchant(id string) (config.Merchant, error) {
	merchant, known := s.settings.Merchant(id)
	if !known {
		return config.Merchant{}, &Error{Kind: NotFound, Message: "this installation settles for no such merchant"}
	}
	return merchant, nil
}

// businessDate reads a day that has begun in the merchant's time zone. It is at midnight UTC, so that days are 24 hours apart.
func (s *Starter) businessDate(merchant config.Merchant, pointer, text string) (time.Time, error) {
	date, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, invalidDay(pointer, canonical.RulePattern, "must be a date such as 2026-11-30")
	}
	zone, err := time.LoadLocation(merchant.Settlement.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("time zone of merchant %s: %w", merchant.ID, err)
	}
	if text > s.clock().In(zone).Format(time.DateOnly) {
		return time.Time{}, invalidDay(pointer, canonical.RuleMaximum, "lies in the future")
	}
	return date, nil
}

func invalidDay(pointer, rule, message string) *Error {
	return &Error{
		Kind: Invalid, Message: "the day can't be settled",
		Problems: []canonical.Problem{{Pointer: pointer, Rule: rule, Message: message}},
	}
}

// startDay starts one day and notes in the audit who did.
func (s *Starter) startDay(ctx context.Context, merchant config.Merchant, date string, run SettlementRun) StartedDay {
	day := StartedDay{Merchant: merchant.ID, Date: date, WorkflowID: workflows.SettlementWorkflowID(merchant.ID, date), DryRun: run.DryRun}
	in := settlementInput(merchant)
	in.Date, in.DryRun = date, run.DryRun
	summary := "Settlement of " + merchant.ID + ", " + date
	if run.DryRun {
		summary += " (dry run)"
	}
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := s.engine.ExecuteWorkflow(bounded, client.StartWorkflowOptions{
		ID:                                       day.WorkflowID,
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            summary,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchErp.ValueSet(merchant.Erp), workflows.SearchNeedsAttention.ValueSet(false)),
	}, workflows.DailySettlement, in)
	switch {
	case temporal.IsWorkflowExecutionAlreadyStartedError(err):
		day.Err = &Error{Kind: Conflict, Message: "the day is being settled already, or waits for a person", Err: err}
	case err != nil:
		day.Err = classify(err)
	default:
		day.Err = s.store.RecordAction(ctx, journal.Action{
			Actor: run.Actor, Action: "settlement.run", Detail: map[string]string{"merchant": merchant.ID, "date": date, "dryRun": fmt.Sprint(run.DryRun)},
		})
	}
	return day
}

// ApproveSettlement approves what a day is about to post. NotNow: the day does not wait for approval.
func (s *Starter) ApproveSettlement(ctx context.Context, merchantID, date, actor, reason string) (workflows.ResolutionAnswer, error) {
	merchant, err := s.merchant(merchantID)
	if err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	if _, err := s.businessDate(merchant, "date", date); err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	item, err := s.approvalOf(ctx, workflows.SettlementWorkflowID(merchant.ID, date))
	if err == nil && item.State != journal.AttentionOpen {
		err = s.approvedSince(ctx, merchant.ID, date, item)
	}
	if err != nil {
		return workflows.ResolutionAnswer{}, err
	}
	return s.Resolve(ctx, workflows.Resolution{ID: item.ID, Kind: workflows.ResolveApprove, Actor: actor, Reason: reason})
}

// approvedSince refuses to take the approval of an earlier run for that of a day that is run again and does not wait for one yet.
func (s *Starter) approvedSince(ctx context.Context, merchant, date string, earlier journal.Attention) error {
	day, err := s.store.SettlementDay(ctx, merchant, date)
	if errors.Is(err, journal.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch settlement.DayState(day.State) {
	case settlement.DayWaiting, settlement.DayMismatch, settlement.DayApproval:
		if day.UpdatedAt.After(earlier.ResolvedAt) {
			return &Error{Kind: NotNow, Message: "the day is run again, and does not wait for an approval yet"}
		}
	default: // approved, or done with
	}
	return nil
}

// approvalOf finds the parked item of a day that takes an approval: the open one, else the last, for who repeats an approval.
func (s *Starter) approvalOf(ctx context.Context, workflowID string) (journal.Attention, error) {
	filter := journal.AttentionFilter{WorkflowID: workflowID, Limit: sweepBatch}
	var last *journal.Attention
	for {
		page, next, err := s.store.Attentions(ctx, filter)
		if err != nil {
			return journal.Attention{}, err
		}
		for _, item := range page {
			switch {
			case !slices.Contains(item.Actions, string(workflows.ResolveApprove)):
			case item.State == journal.AttentionOpen:
				return item, nil
			default:
				last = &item
			}
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	if last == nil {
		return journal.Attention{}, &Error{Kind: NotNow, Message: "the day does not wait for an approval"}
	}
	return *last, nil
}
