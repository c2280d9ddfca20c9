package cybersource

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// The codes of faults that reading reports makes, besides the gateway's own (VALIDATION_ERROR, RESOURCE_NOTFOUND, SERVER_ERROR).
const (
	CodeReportNotReady = "REPORT_NOT_READY" // Busy: not made yet, ask again after RetryAfter
	CodeReportFailed   = "REPORT_FAILED"    // Conflict: the gateway failed to make it; someone has to order it again
	CodeReportFormat   = "REPORT_FORMAT"    // Value: the subscription makes it in another format
)

// ReportFormat is how a report file is written, which its subscription says.
type ReportFormat string

// The formats of report files.
const (
	ReportCSV ReportFormat = "csv"
	ReportXML ReportFormat = "xml"
)

// ReportStatus is where the making of a report file stands.
type ReportStatus string

// The gateway's statuses. NoData is as final as Completed: there is nothing to download, and there never will be.
const (
	ReportCompleted ReportStatus = "COMPLETED"
	ReportPending   ReportStatus = "PENDING"
	ReportQueued    ReportStatus = "QUEUED"
	ReportRunning   ReportStatus = "RUNNING"
	ReportError     ReportStatus = "ERROR"
	ReportNoData    ReportStatus = "NO_DATA"
)

// ReportSettings say how long, how large and how often. Zero values give the defaults named below.
type ReportSettings struct {
	OrganizationID string            // whose reports, where the key owns several; "": the key's own
	MaxFile        int64             // bytes of a file, unpacked; default 2 GiB
	MaxPage        int64             // bytes of an answer to a query; default 64 MiB
	Stall          time.Duration     // longest silence before the first byte, or between two; default 60 s
	Longest        time.Duration     // one download as a whole; default 1 h
	NotReadyPause  time.Duration     // least RetryAfter of a report that is not there yet; default 10 min
	PageSize       int               // requests a page of purchase-refund-details, 1 to 2000; default 2000
	Base           http.RoundTripper // default outbound.NewBase(); not a transport that reads answers into memory
	Logger         *slog.Logger      // default: nothing is logged
	Observe        func(outbound.Call)
}

const (
	defaultMaxFile  = int64(2) << 30
	defaultMaxPage  = int64(64) << 20
	defaultStall    = time.Minute
	defaultLongest  = time.Hour
	defaultNotReady = 10 * time.Minute
	largestPage     = 2000
)

// Reports reads an account's settlement reports. Files and queries are streamed, past the transport of payments, whose answers are
// read into memory within seconds; only the list of files goes through it. It moves no money: every fault may be met by asking again,
// unless its kind says otherwise. It is safe for concurrent use.
type Reports struct {
	client   *Client
	settings ReportSettings
	stream   *http.Client
}

// NewReports reads reports with the client's host, key and clock.
func NewReports(client *Client, settings ReportSettings) *Reports {
	if settings.MaxFile <= 0 {
		settings.MaxFile = defaultMaxFile
	}
	if settings.MaxPage <= 0 {
		settings.MaxPage = defaultMaxPage
	}
	if settings.Stall <= 0 {
		settings.Stall = defaultStall
	}
	if settings.Longest <= 0 {
		settings.Longest = defaultLongest
	}
	if settings.NotReadyPause <= 0 {
		settings.NotReadyPause = defaultNotReady
	}
	if settings.PageSize <= 0 || settings.PageSize > largestPage {
		settings.PageSize = largestPage
	}
	if settings.Base == nil {
		settings.Base = outbound.NewBase()
	}
	if settings.Logger == nil {
		settings.Logger = slog.New(slog.DiscardHandler)
	}
	if settings.Observe == nil {
		settings.Observe = func(outbound.Call) {}
	}
	return &Reports{client: client, settings: settings, stream: outbound.Client(settings.Base)}
}

// ReportEntry is one report file in the gateway's list.
type ReportEntry struct {
	ID          string
	Name        string
	Format      ReportFormat // "" where the list names another one
	Frequency   string       // DAILY, WEEKLY, MONTHLY, USER_DEFINED, ADHOC
	Status      ReportStatus
	Start, End  time.Time // of the period
	Date        string    // YYYY-MM-DD, under which it is downloaded: the end date of the period
	Zone        string    // time zone of the subscription
	CompletedAt time.Time
}

// queryTime is the form of times in query strings; always UTC.
const queryTime = "2006-01-02T15:04:05.000Z"

// ListReports gives the files whose period lies within [start, end], made or not; name "" is all of them. No files at all is an empty
// list. A start more than 18 months back is a Value fault with the field.
func (r *Reports) ListReports(ctx context.Context, start, end time.Time, name string) ([]ReportEntry, error) {
	query := r.period(start, end)
	query.Set("timeQueryType", "reportTimeFrame")
	if name != "" {
		query.Set("reportName", name)
	}
	answer, err := r.client.do(ctx, call{method: http.MethodGet, path: "/reporting/v3/reports?" + query.Encode(), accept: acceptHAL, readOnly: true})
	switch {
	case err != nil:
		return nil, err
	case answer.status == http.StatusNotFound:
		return nil, nil
	case answer.status != http.StatusOK:
		return nil, reportRefusal(answer)
	}
	var decoded reportList
	if !isObject(answer.body) || json.Unmarshal(answer.body, &decoded) != nil || decoded.Results == nil {
		return nil, readAgain(unreadable(answer))
	}
	var entries []ReportEntry
	for _, found := range *decoded.Results {
		if entry := found.entry(); entry.Name != "" && (name == "" || entry.Name == name) {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// period is the part of a query string that all reports over a time share.
func (r *Reports) period(start, end time.Time) url.Values {
	query := r.organization()
	query.Set("startTime", start.UTC().Format(queryTime))
	query.Set("endTime", end.UTC().Format(queryTime))
	return query
}

func (r *Reports) organization() url.Values {
	query := url.Values{}
	if r.settings.OrganizationID != "" {
		query.Set("organizationId", r.settings.OrganizationID)
	}
	return query
}

type reportList struct {
	Results *list[reportResult] `json:"reportSearchResults"` // absent: no answer to this question
}

type reportResult struct {
	Link      part[reportLinks] `json:"_link"`
	ID        text              `json:"reportId"`
	Name      text              `json:"reportName"`
	MimeType  text              `json:"reportMimeType"`
	Frequency text              `json:"reportFrequency"`
	Status    text              `json:"status"`
	Start     text              `json:"reportStartTime"`
	End       text              `json:"reportEndTime"`
	Zone      text              `json:"timezone"`
	Completed text              `json:"reportCompletedTime"`
}

type reportLinks struct {
	Download part[link] `json:"reportDownload"`
}

func (f reportResult) entry() ReportEntry {
	entry := ReportEntry{
		ID: string(f.ID), Name: string(f.Name), Frequency: upper(f.Frequency), Status: ReportStatus(upper(f.Status)),
		Start: instant(string(f.Start)), End: instant(string(f.End)), Zone: string(f.Zone), CompletedAt: instant(string(f.Completed)),
	}
	switch mediaType(string(f.MimeType)) {
	case "text/csv":
		entry.Format = ReportCSV
	case "application/xml":
		entry.Format = ReportXML
	}
	entry.Date = dateOf(string(f.Link.value.Download.value.Href), entry.End, entry.Zone)
	return entry
}

// dateOf is the date of the download: the link says it; without one it is the end of the period in the subscription's time zone.
func dateOf(href string, end time.Time, zone string) string {
	if parsed, err := url.Parse(href); err == nil {
		date := parsed.Query().Get("reportDate")
		if _, err := time.Parse(time.DateOnly, date); err == nil {
			return date
		}
	}
	if end.IsZero() {
		return ""
	}
	if location, err := time.LoadLocation(zone); err == nil && zone != "" && zone != "Local" {
		end = end.In(location)
	}
	return end.Format(time.DateOnly)
}

// errorReply is the error of the reporting services.
type errorReply struct {
	Code    text                `json:"code"`
	Message text                `json:"message"`
	Detail  text                `json:"detail"`
	Fields  list[refusedReport] `json:"fields"`
}

type refusedReport struct {
	Path    text `json:"path"`
	Message text `json:"message"`
}

// reportRefusal is the fault of an answer that is no report. A refused request is a Value: what it asks for comes from settings and
// from the date of a run, so that a person can correct it.
func reportRefusal(answer answer) error {
	f := refusedByStatus(answer)
	var decoded errorReply
	if isObject(answer.body) && json.Unmarshal(answer.body, &decoded) != nil {
		decoded = errorReply{}
	}
	if answer.status == http.StatusBadRequest || answer.status == http.StatusNotAcceptable {
		f.Kind = fault.Value
	}
	if answer.status != http.StatusUnauthorized {
		if decoded.Code != "" {
			f.Code = cut(sentence(string(decoded.Code)), 60)
		}
		if message := decoded.sentence(); message != "" {
			f.Message = message
		}
	}
	for _, field := range decoded.Fields {
		if field.Path != "" {
			f.Fields = append(f.Fields, fault.Field{Path: sentence(string(field.Path)), Rule: sentence(string(field.Message))})
		}
	}
	return readAgain(f)
}

func (e errorReply) sentence() string {
	if e.Message != "" {
		return sentence(string(e.Message))
	}
	return sentence(string(e.Detail))
}
