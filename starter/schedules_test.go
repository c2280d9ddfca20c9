package starter_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// schedules plays Temporal's: what it keeps it gives back as the server does, memo and arguments as payloads, ranges with their ends.
type schedules struct {
	kept    map[string]*client.Schedule
	creates int
	updates int
	fail    error
	lagging map[string]bool // listed, but gone
}

func newSchedules() *schedules {
	return &schedules{kept: map[string]*client.Schedule{}, lagging: map[string]bool{}}
}

func (s *schedules) Create(_ context.Context, o client.ScheduleOptions) (client.ScheduleHandle, error) {
	if s.fail != nil {
		return nil, s.fail
	}
	if s.kept[o.ID] != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	s.creates++
	spec := o.Spec
	s.keep(o.ID, client.Schedule{
		Spec: &spec, Action: o.Action, Policy: &client.SchedulePolicies{Overlap: o.Overlap, CatchupWindow: o.CatchupWindow},
		State: &client.ScheduleState{Note: o.Note, Paused: o.Paused},
	})
	return s.GetHandle(context.Background(), o.ID), nil
}

func (s *schedules) keep(id string, schedule client.Schedule) {
	action := *schedule.Action.(*client.ScheduleWorkflowAction)
	args := slices.Clone(action.Args)
	for i, arg := range args {
		args[i] = payload(arg)
	}
	memo := maps.Clone(action.Memo)
	for name, value := range memo {
		memo[name] = payload(value)
	}
	action.Args, action.Memo = args, memo
	spec := *schedule.Spec
	spec.Calendars = slices.Clone(spec.Calendars)
	for i, calendar := range spec.Calendars {
		spec.Calendars[i].DayOfMonth = []client.ScheduleRange{{Start: 1, End: 31, Step: 1}}
		spec.Calendars[i].Hour = []client.ScheduleRange{{Start: calendar.Hour[0].Start, End: calendar.Hour[0].Start, Step: 1}}
	}
	schedule.Action, schedule.Spec = &action, &spec
	s.kept[id] = &schedule
}

func payload(value any) *commonpb.Payload {
	if made, is := value.(*commonpb.Payload); is {
		return made
	}
	made, err := converter.GetDefaultDataConverter().ToPayload(value)
	if err != nil {
		panic(err)
	}
	return made
}

func (s *schedules) List(context.Context, client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	ids := slices.Sorted(maps.Keys(s.kept))
	return &scheduleList{ids: append(ids, slices.Sorted(maps.Keys(s.lagging))...)}, nil
}

type scheduleList struct{ ids []string }

func (l *scheduleList) HasNext() bool { return len(l.ids) > 0 }

func (l *scheduleList) Next() (*client.ScheduleListEntry, error) {
	entry := &client.ScheduleListEntry{ID: l.ids[0]}
	l.ids = l.ids[1:]
	return entry, nil
}

func (s *schedules) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	return &scheduleHandle{schedules: s, id: id}
}

type scheduleHandle struct {
	client.ScheduleHandle
	schedules *schedules
	id        string
}

func (h *scheduleHandle) Describe(context.Context) (*client.ScheduleDescription, error) {
	kept := h.schedules.kept[h.id]
	if kept == nil {
		return nil, serviceerror.NewNotFound("no such schedule")
	}
	return &client.ScheduleDescription{Schedule: *kept}, nil
}

func (h *scheduleHandle) Update(ctx context.Context, o client.ScheduleUpdateOptions) error {
	description, err := h.Describe(ctx)
	if err != nil {
		return err
	}
	update, err := o.DoUpdate(client.ScheduleUpdateInput{Description: *description})
	if err != nil {
		return err
	}
	h.schedules.updates++
	h.schedules.keep(h.id, *update.Schedule)
	return nil
}

func (h *scheduleHandle) Delete(context.Context) error {
	delete(h.schedules.kept, h.id)
	return nil
}

// scheduled are the settings of a merchant with these variables over them.
func scheduled(t *testing.T, env map[string]string) starter.ScheduleSettings {
	t.Helper()
	values := map[string]string{"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us", "TENDERLINE_SETTLEMENT_TIME_ZONE": "America/Los_Angeles"}
	for name, value := range env {
		values["TENDERLINE_"+name] = value
	}
	settings, err := config.Load(config.Map(values))
	require.NoError(t, err)
	return starter.ScheduleSettings{Config: settings, Seal: "key-1"}
}

func reconcile(t *testing.T, s *schedules, settings starter.ScheduleSettings) map[string]starter.ScheduleResult {
	t.Helper()
	changes, err := starter.ReconcileSchedules(t.Context(), s, settings)
	require.NoError(t, err)
	results := map[string]starter.ScheduleResult{}
	for _, change := range changes {
		results[change.ID] = change.Result
	}
	return results
}

const (
	settlementID = "settlement/acme_us"
	changesID    = "erp-changes/syspro"
)

func TestSchedulesFollowFromTheSettings(t *testing.T) {
	s := newSchedules()
	changes, err := starter.ReconcileSchedules(t.Context(), s, scheduled(t, map[string]string{"SETTLEMENT_AT": "05:30", "SETTLEMENT_SITE": "branch=10"}))
	require.NoError(t, err)
	require.Equal(t, []starter.ScheduleChange{
		{ID: settlementID, Result: starter.ScheduleCreated, When: "daily at 05:30 America/Los_Angeles"},
		{ID: changesID, Result: starter.ScheduleCreated, When: "every 1m"},
	}, changes)

	day := s.kept[settlementID]
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL, day.Policy.Overlap, "after an outage no day is skipped")
	require.Equal(t, 7*24*time.Hour, day.Policy.CatchupWindow)
	require.Equal(t, "America/Los_Angeles", day.Spec.TimeZoneName)
	action := day.Action.(*client.ScheduleWorkflowAction)
	require.Equal(t, workflows.TaskQueue, action.TaskQueue)
	var tick workflows.TickInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(action.Args[0].(*commonpb.Payload), &tick))
	require.Equal(t, []string{"acme_us", "", "syspro", "10", "America/Los_Angeles", "24:00"}, []string{
		tick.Settlement.Merchant, tick.Settlement.Date, tick.Settlement.Erp, tick.Settlement.Site["branch"], tick.Settlement.Policy.TimeZone, tick.Settlement.Policy.Cutoff,
	})
	require.Equal(t, "0.05", tick.Settlement.Policy.Tolerance["*"].String())
	require.Equal(t, 36*time.Hour, tick.Settlement.Policy.Patience)
	require.False(t, tick.Settlement.Policy.ErpRates, "the rates of the settings hold")
	require.Equal(t, 12*time.Hour, tick.Settlement.Steps.ErpPatience)

	poll := s.kept[changesID]
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, poll.Policy.Overlap)
	require.Equal(t, time.Minute, poll.Policy.CatchupWindow)
	var in workflows.ErpChangesInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(poll.Action.(*client.ScheduleWorkflowAction).Args[0].(*commonpb.Payload), &in))
	require.Equal(t, "syspro", in.Erp)
	require.Len(t, in.Feeds, 4)
	require.Equal(t, []time.Duration{5 * time.Minute, 24 * time.Hour}, []time.Duration{in.Overlap, in.Lookback})
}

func TestSchedulesAreReconciled(t *testing.T) {
	for name, test := range map[string]struct {
		between func(t *testing.T, s *schedules)
		env     map[string]string
		seal    string
		want    map[string]starter.ScheduleResult
	}{
		"nothing changed": {want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleKept, changesID: starter.ScheduleKept}},
		"another time": {
			env:  map[string]string{"SETTLEMENT_AT": "07:15"},
			want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleUpdated, changesID: starter.ScheduleKept},
		},
		"another policy": {
			env:  map[string]string{"SETTLEMENT_APPROVAL": "true", "SYSPRO_CHANGES_FEEDS": "credit_memo"},
			want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleUpdated, changesID: starter.ScheduleUpdated},
		},
		"another catch-up": {
			env:  map[string]string{"SETTLEMENT_CATCH_UP": "24h"},
			want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleUpdated, changesID: starter.ScheduleKept},
		},
		"another key seals": {
			seal: "key-2", want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleUpdated, changesID: starter.ScheduleUpdated},
		},
		"changed by hand": {
			between: func(_ *testing.T, s *schedules) { s.kept[changesID].Spec.Intervals[0].Every = time.Hour },
			want:    map[string]starter.ScheduleResult{settlementID: starter.ScheduleKept, changesID: starter.ScheduleUpdated},
		},
		"switched off": {
			env:  map[string]string{"SETTLEMENT_AT": "off", "SYSPRO_CHANGES_INTERVAL": "0s"},
			want: map[string]starter.ScheduleResult{settlementID: starter.ScheduleDeleted, changesID: starter.ScheduleDeleted},
		},
		"no merchant here": {
			env:  map[string]string{"CYBERSOURCE_MERCHANT_ID": ""},
			want: map[string]starter.ScheduleResult{changesID: starter.ScheduleKept},
		},
		"another merchant": {
			env:  map[string]string{"CYBERSOURCE_MERCHANT_ID": "acme_eu"},
			want: map[string]starter.ScheduleResult{"settlement/acme_eu": starter.ScheduleCreated, settlementID: starter.ScheduleDeleted, changesID: starter.ScheduleKept},
		},
		"another deployment's": {
			env:  map[string]string{"DEPLOYMENT": "staging", "SETTLEMENT_AT": "off"},
			want: map[string]starter.ScheduleResult{changesID: starter.ScheduleForeign},
		},
		"a list that lags": {
			between: func(_ *testing.T, s *schedules) { s.lagging["erp-changes/sagepro"] = true },
			want:    map[string]starter.ScheduleResult{settlementID: starter.ScheduleKept, changesID: starter.ScheduleKept},
		},
		"deleted by hand": {
			between: func(_ *testing.T, s *schedules) { delete(s.kept, settlementID) },
			want:    map[string]starter.ScheduleResult{settlementID: starter.ScheduleCreated, changesID: starter.ScheduleKept},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSchedules()
			reconcile(t, s, scheduled(t, nil))
			foreign := *s.kept[changesID]
			foreign.Action = &client.ScheduleWorkflowAction{Workflow: "SomebodyElses"}
			s.kept["nightly/report"], s.kept["erp-changes/elsewhere"] = &foreign, &foreign
			if test.between != nil {
				test.between(t, s)
			}
			settings := scheduled(t, test.env)
			if test.seal != "" {
				settings.Seal = test.seal
			}
			require.Equal(t, test.want, reconcile(t, s, settings))
			require.Contains(t, s.kept, "nightly/report")
			require.Contains(t, s.kept, "erp-changes/elsewhere", "what others made stays")
			for id, result := range reconcile(t, s, settings) {
				require.Contains(t, []starter.ScheduleResult{starter.ScheduleKept, starter.ScheduleForeign}, result, "%s: once more changes nothing", id)
			}
		})
	}
}

// TestEachErpIsPolledAtItsOwnPace: one schedule an ERP that orders are booked in, each from its own settings; days are posted in one ledger.
func TestEachErpIsPolledAtItsOwnPace(t *testing.T) {
	s := newSchedules()
	two := map[string]string{
		"CHANNELS": `{"web-us":{"erp":"sagepro"},"web-eu":{"erp":"syspro"}}`, "SETTLEMENT_ERP": "sagepro",
		"SETTLEMENT_LEDGER_CURRENCY": "USD", "SETTLEMENT_RATES_FROM": "erp", "SAGEPRO_CHANGES_INTERVAL": "5m", "SAGEPRO_CHANGES_FEEDS": "credit_memo,shipment",
	}
	changes, err := starter.ReconcileSchedules(t.Context(), s, scheduled(t, two))
	require.NoError(t, err)
	require.Equal(t, []starter.ScheduleChange{
		{ID: settlementID, Result: starter.ScheduleCreated, When: "daily at 06:00 America/Los_Angeles"},
		{ID: "erp-changes/sagepro", Result: starter.ScheduleCreated, When: "every 5m"},
		{ID: changesID, Result: starter.ScheduleCreated, When: "every 1m"},
	}, changes)
	var in workflows.ErpChangesInput
	action := s.kept["erp-changes/sagepro"].Action.(*client.ScheduleWorkflowAction)
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(action.Args[0].(*commonpb.Payload), &in))
	require.Equal(t, "sagepro", in.Erp)
	require.Equal(t, []activities.ChangeFeed{activities.FeedCreditMemos, activities.FeedShipments}, in.Feeds)
	var tick workflows.TickInput
	action = s.kept[settlementID].Action.(*client.ScheduleWorkflowAction)
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(action.Args[0].(*commonpb.Payload), &tick))
	require.Equal(t, "sagepro", tick.Settlement.Erp)
	require.True(t, tick.Settlement.Policy.ErpRates, "days are converted at its own rates")

	two["CHANNELS"] = `{"web-us":{"erp":"sagepro"}}`
	require.Equal(t, map[string]starter.ScheduleResult{
		settlementID: starter.ScheduleKept, "erp-changes/sagepro": starter.ScheduleKept, changesID: starter.ScheduleDeleted,
	}, reconcile(t, s, scheduled(t, two)), "an ERP that no channel names any more is not asked any more")
}

func TestAPausedScheduleStaysPaused(t *testing.T) {
	s := newSchedules()
	reconcile(t, s, scheduled(t, nil))
	s.kept[settlementID].State = &client.ScheduleState{Paused: true, Note: "year's end"}
	changes, err := starter.ReconcileSchedules(t.Context(), s, scheduled(t, map[string]string{"SETTLEMENT_AT": "09:00"}))
	require.NoError(t, err)
	require.Equal(t, starter.ScheduleChange{
		ID: settlementID, Result: starter.ScheduleUpdated, When: "daily at 09:00 America/Los_Angeles", Paused: true,
	}, changes[0])
	require.Equal(t, &client.ScheduleState{Paused: true, Note: "year's end"}, s.kept[settlementID].State)
}

func TestSchedulesThatCanNotBeMade(t *testing.T) {
	s := newSchedules()
	s.fail = errors.New("no right")
	_, err := starter.ReconcileSchedules(t.Context(), s, scheduled(t, nil))
	require.ErrorContains(t, err, "schedule "+settlementID+": no right")
	require.ErrorContains(t, err, "schedule "+changesID+": no right")
}
