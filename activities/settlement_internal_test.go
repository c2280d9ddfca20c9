package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/internal/settlement/report"
)

func TestHowADisputeEnds(t *testing.T) {
	for want, cases := range map[ChargebackOutcome][]report.Case{
		ChargebackOpen: {{Action: "Open"}, {Action: "Chargeback"}, {}},
		ChargebackWon:  {{Action: "Won"}, {Action: "Chargeback Reversal"}, {Action: "Chargeback", Resolution: "M"}},
		ChargebackLost: {{Action: "Lost"}, {Action: "Chargeback", Resolution: "B"}, {Action: "Chargeback", Resolution: "S"}, {Resolution: "G"}},
	} {
		for _, c := range cases {
			require.Equal(t, want, disputeOutcome(report.Row{Case: &c}), "%+v", c)
		}
	}
}

func TestHeartbeatsComeInTime(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0: 10 * time.Second, time.Minute: 10 * time.Second, 30 * time.Second: 10 * time.Second, 6 * time.Second: 2 * time.Second,
	} {
		require.Equal(t, want, heartbeatPause(timeout), timeout)
	}
}

// The report of a day is the one in whose period the batch was closed, whatever time zone its subscription has.
func TestWhichReportIsTheDays(t *testing.T) {
	los, err := time.LoadLocation("America/Los_Angeles")
	require.NoError(t, err)
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	entry := func(start, end string) cybersource.ReportEntry {
		return cybersource.ReportEntry{Start: at(start), End: at(end), Date: end[:len(time.DateOnly)]}
	}
	const day = "2026-07-28"
	for name, c := range map[string]struct {
		cutoff settlement.Cutoff
		entry  cybersource.ReportEntry
		want   bool
	}{
		"the calendar day":             {settlement.Cutoff{Zone: los, Hour: 24}, entry("2026-07-28T07:00:00Z", "2026-07-29T07:00:00Z"), true},
		"the day before":               {settlement.Cutoff{Zone: los, Hour: 24}, entry("2026-07-27T07:00:00Z", "2026-07-28T07:00:00Z"), false},
		"the day after":                {settlement.Cutoff{Zone: los, Hour: 24}, entry("2026-07-29T07:00:00Z", "2026-07-30T07:00:00Z"), false},
		"by Greenwich":                 {settlement.Cutoff{Zone: los, Hour: 24}, entry("2026-07-29T00:00:00Z", "2026-07-30T00:00:00Z"), true},
		"from batch to batch":          {settlement.Cutoff{Zone: los, Hour: 17}, entry("2026-07-28T00:00:00Z", "2026-07-29T00:00:00Z"), true},
		"a batch closed in the day":    {settlement.Cutoff{Zone: los, Hour: 8}, entry("2026-07-28T07:00:00Z", "2026-07-29T07:00:00Z"), true},
		"a batch closed in the next":   {settlement.Cutoff{Zone: los, Hour: 8}, entry("2026-07-29T07:00:00Z", "2026-07-30T07:00:00Z"), false},
		"a week":                       {settlement.Cutoff{Zone: los, Hour: 24}, entry("2026-07-23T07:00:00Z", "2026-07-30T07:00:00Z"), false},
		"without period, by its date":  {settlement.Cutoff{Zone: los, Hour: 24}, cybersource.ReportEntry{Date: "2026-07-29"}, true},
		"without period, another date": {settlement.Cutoff{Zone: los, Hour: 24}, cybersource.ReportEntry{Date: day}, false},
	} {
		p, err := periodOf(day, c.cutoff)
		require.NoError(t, err)
		require.Equal(t, c.want, p.covers(c.entry), name)
	}
	change, err := periodOf("2026-11-01", settlement.Cutoff{Zone: los, Hour: 24})
	require.NoError(t, err)
	require.True(t, change.covers(entry("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z")), "a day of 25 hours")
}

// Of each subject one report is read: the likeliest to be there, those that may fail first.
func TestWhichReportsAreRead(t *testing.T) {
	wanted := []WantedReport{
		{Name: "Batch", Kind: report.PaymentBatches}, {Name: "Batch2", Kind: report.PaymentBatches}, {Name: "Fee", Kind: report.Fees},
		{Name: "Chargeback", Kind: report.Chargebacks}, {Name: "Deposit", Kind: report.Deposits}, {Name: "Funding", Kind: report.Fundings},
	}
	p, err := periodOf("2026-07-28", settlement.Cutoff{Zone: time.UTC, Hour: 24})
	require.NoError(t, err)
	today := func(name string, status cybersource.ReportStatus) cybersource.ReportEntry {
		return cybersource.ReportEntry{Name: name, Status: status, Date: "2026-07-29"}
	}
	earlier := func(name string) cybersource.ReportEntry {
		return cybersource.ReportEntry{Name: name, Status: cybersource.ReportCompleted, Date: "2026-07-28"}
	}
	for name, c := range map[string]struct {
		listed []cybersource.ReportEntry
		before []ReadReport
		query  bool
		want   []string
	}{
		"nothing listed":            {want: []string{"Batch"}},
		"nothing listed, but asked": {query: true},
		"all there": {
			listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportCompleted), today("Fee", cybersource.ReportCompleted), today("Deposit", cybersource.ReportCompleted),
				today("Funding", cybersource.ReportCompleted)},
			want: []string{"Batch", "Fee", "Deposit"},
		},
		"another form is there": {listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportRunning), today("Batch2", cybersource.ReportCompleted)}, want: []string{"Batch2"}},
		"late ones first": {
			listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportCompleted), today("Fee", cybersource.ReportQueued), earlier("Chargeback")},
			want:   []string{"Chargeback", "Fee", "Batch"},
		},
		"failed, and its like is not": {
			listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportCompleted), today("Deposit", cybersource.ReportError), today("Funding", cybersource.ReportCompleted)},
			want:   []string{"Batch", "Funding"},
		},
		"empty": {
			listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportNoData), today("Fee", "SOMETHING_NEW")}, want: []string{"Batch", "Fee"},
		},
		"read by an earlier run": {
			listed: []cybersource.ReportEntry{today("Batch", cybersource.ReportCompleted)},
			before: []ReadReport{{Name: "Fee", Rows: 3}, {Name: "Funding"}}, want: []string{"Fee", "Batch"},
		},
	} {
		r := &reading{Settlements: &Settlements{Wanted: wanted, Query: c.query}, before: SettlementDocument{Reports: c.before}}
		var names []string
		for _, candidate := range r.candidates(p, c.listed) {
			names = append(names, candidate.Name)
			require.Equal(t, "2026-07-29", candidate.date)
		}
		require.ElementsMatch(t, c.want, names, name)
		if name == "late ones first" || name == "read by an earlier run" {
			require.Equal(t, c.want, names, name)
		}
	}
}
