package cybersource

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// Entities of the state file that reporting adds.
const (
	entityDay          = "settlementDay"
	entityDispute      = "dispute"
	entityReportChoice = "reportSubscription"
)

// Statuses of report files.
const (
	reportQueued    = "QUEUED"
	reportRunning   = "RUNNING"
	reportCompleted = "COMPLETED"
	reportFailed    = "ERROR"
	reportNoData    = "NO_DATA"
)

const (
	mimeCSV = "text/csv"
	mimeXML = "application/xml"
)

// reporting is the part of the books that the reports are made from. The Server's lock guards it.
type reporting struct {
	days     map[string]*settlementDay          // by merchant and date
	batched  map[string]map[string]*transaction // by merchant and date, then by id
	batchAt  map[string]time.Time               // when a batch was closed
	disputes []*disputeEvent                    // in the order of their times
	choices  map[string]*reportSubscription     // by merchant and name: what was changed over the API
}

func newReporting() *reporting {
	return &reporting{days: map[string]*settlementDay{}, batched: map[string]map[string]*transaction{}, batchAt: map[string]time.Time{},
		choices: map[string]*reportSubscription{}}
}

// track takes a transaction in that is in a batch.
func (r *reporting) track(t *transaction) {
	if t.Settlement != statusBatched || t.BatchDate == "" {
		return
	}
	key := byMerchant(t.MerchantID, t.BatchDate)
	if r.batched[key] == nil {
		r.batched[key] = map[string]*transaction{}
	}
	r.batched[key][t.ID] = t
}

func (r *reporting) day(merchant, date string) *settlementDay {
	return r.days[byMerchant(merchant, date)]
}

func (r *reporting) addDay(day *settlementDay) {
	r.days[byMerchant(day.MerchantID, day.Date)] = day
	for _, batch := range day.Batches {
		r.batchAt[batch] = day.ClosedAt
	}
}

func (r *reporting) addChoice(sub *reportSubscription) {
	r.choices[byMerchant(sub.MerchantID, sub.Name)] = sub
}

// batchedOn is a day's batch in the order of ids.
func (r *reporting) batchedOn(merchant, date string) []*transaction {
	var rows []*transaction
	for _, t := range r.batched[byMerchant(merchant, date)] {
		rows = append(rows, t)
	}
	slices.SortFunc(rows, func(a, b *transaction) int { return strings.Compare(a.ID, b.ID) })
	return rows
}

// leftOut is what the reports of other days left out and no other day brought since.
func (r *reporting) leftOut(merchant, date string, b *books) []*transaction {
	var ids, came []string
	for _, day := range r.days {
		if day.MerchantID == merchant && day.Date != date {
			ids, came = append(ids, day.Plants.Missing...), append(came, day.Plants.Late...)
		}
	}
	slices.Sort(ids)
	var rows []*transaction
	for _, id := range ids {
		if t := b.byID[id]; t != nil && !slices.Contains(came, id) {
			rows = append(rows, t)
		}
	}
	return rows
}

// merchantDays are a merchant's closed days in order.
func (r *reporting) merchantDays(merchant string) []*settlementDay {
	var days []*settlementDay
	for _, day := range r.days {
		if day.MerchantID == merchant {
			days = append(days, day)
		}
	}
	slices.SortFunc(days, func(a, b *settlementDay) int { return strings.Compare(a.Date, b.Date) })
	return days
}

// reportSubscription orders a report for every closed day.
type reportSubscription struct {
	MerchantID string   `json:"merchantId"`
	Name       string   `json:"reportName"`
	Definition string   `json:"reportDefinitionName"`
	MimeType   string   `json:"reportMimeType"`
	Fields     []string `json:"reportFields,omitempty"` // Group.Field, in the order of the columns
	Classic    bool     `json:"classic,omitempty"`      // the columns and names of old
	Snake      bool     `json:"snake,omitempty"`        // fieldNameConvention SCMP
	Signed     bool     `json:"signed,omitempty"`       // money out is negative
	Removed    bool     `json:"removed,omitempty"`
}

// presetReports exist from the start for every merchant.
func presetReports(merchant string) []*reportSubscription {
	return []*reportSubscription{
		{MerchantID: merchant, Name: "PaymentBatchDetailReport_Daily_Classic", Definition: classPaymentBatch, MimeType: mimeCSV, Classic: true},
		{MerchantID: merchant, Name: "PaymentSubmissionDetailReport_Daily_Classic", Definition: classPaymentBatch, MimeType: mimeCSV, Classic: true,
			Fields: append(slices.Clone(classicBatchFields), "PaymentData.PaymentProcessor")},
		{MerchantID: merchant, Name: "PaymentBatchDetailReport_Daily", Definition: classPaymentBatch, MimeType: mimeCSV},
		{MerchantID: merchant, Name: "PaymentBatchDetailReport_Daily_XML", Definition: classPaymentBatch, MimeType: mimeXML, Fields: xmlBatchFields},
		{MerchantID: merchant, Name: "FeeDetailReport_Daily", Definition: classFee, MimeType: mimeCSV},
		{MerchantID: merchant, Name: "ChargebackAndRetrievalDetailReport_Daily", Definition: classChargeback, MimeType: mimeCSV},
		{MerchantID: merchant, Name: "DepositDetailReport_Daily", Definition: classDeposit, MimeType: mimeCSV},
		{MerchantID: merchant, Name: "FundingDetailReport_Daily", Definition: classFunding, MimeType: mimeCSV},
	}
}

// subscriptions are those of a merchant, presets first.
func (s *Server) subscriptions(merchant string) []*reportSubscription {
	list := presetReports(merchant)
	for i, preset := range list {
		if choice := s.books.reporting.choices[byMerchant(merchant, preset.Name)]; choice != nil {
			list[i] = choice
		}
	}
	var own []*reportSubscription
	for _, choice := range s.books.reporting.choices {
		if choice.MerchantID == merchant && !slices.Contains(list, choice) {
			own = append(own, choice)
		}
	}
	slices.SortFunc(own, func(a, b *reportSubscription) int { return strings.Compare(a.Name, b.Name) })
	return slices.DeleteFunc(append(list, own...), func(sub *reportSubscription) bool { return sub.Removed })
}

// subscribed finds a merchant's report by its name, or nil.
func (s *Server) subscribed(merchant, name string) *reportSubscription {
	for _, sub := range s.subscriptions(merchant) {
		if sub.Name == name {
			return sub
		}
	}
	return nil
}

// statusOf is where a file stands. A file of a day that gave it no rows has nothing to download, and never will.
func (d *settlementDay) statusOf(sub *reportSubscription, v *dayView, now time.Time) string {
	late := len(d.Late) == 0 || slices.Contains(d.Late, sub.Name)
	switch {
	case late && now.Before(d.MadeAt.Add(d.ReadyAt.Sub(d.MadeAt)/2)):
		return reportQueued
	case late && now.Before(d.ReadyAt):
		return reportRunning
	case slices.Contains(d.Failed, sub.Name):
		return reportFailed
	case tables[sub.Definition].empty(v):
		return reportNoData
	default:
		return reportCompleted
	}
}

// reportID is stable over restarts.
func reportID(day *settlementDay, sub *reportSubscription) string {
	sum := sha256.Sum256([]byte(day.MerchantID + "\x00" + day.Date + "\x00" + sub.Name))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// reportsOf lists a day's files for the control surface. The caller holds the lock.
func (s *Server) reportsOf(day *settlementDay) []object {
	view := s.view(day)
	shown := []object{}
	for _, sub := range s.subscriptions(day.MerchantID) {
		shown = append(shown, object{"reportName": sub.Name, "reportDate": day.reportDate(), "reportMimeType": sub.MimeType,
			"status": day.statusOf(sub, view, s.cfg.Clock().UTC())})
	}
	return shown
}

// fieldError names one refused part of a reporting request.
type fieldError struct {
	Path            string `json:"path"`
	Message         string `json:"message"`
	LocalizationKey string `json:"localizationKey"`
}

// reportRefusal is an error in the words of the reporting services.
func reportRefusal(status int, code, message string, fields ...fieldError) reply {
	correlation := randomText(upperHex, 32)
	keys := map[string]string{codeValidation: "cybsapi.validation.errors", codeNoResource: "cybsapi.ondemand.notfound"}
	body := object{"code": code, "correlationId": correlation, "detail": message, "localizationKey": orElse(keys[code], "cybsapi.server.error"), "message": message}
	if len(fields) > 0 {
		body["fields"] = fields
	}
	return reply{status: status, body: body}
}

const (
	codeValidation = "VALIDATION_ERROR"
	codeNoResource = "RESOURCE_NOTFOUND"
)

func reportInvalid(fields ...fieldError) *reply {
	refused := reportRefusal(http.StatusBadRequest, codeValidation, "Field validation errors", fields...)
	return &refused
}

func reportMissing(message string) *reply {
	refused := reportRefusal(http.StatusNotFound, codeNoResource, message)
	return &refused
}

func wrongField(path, message string) fieldError {
	return fieldError{Path: path, Message: message, LocalizationKey: "cybsapi.ondemand.validation." + path}
}

// otherOrganization refuses reports of somebody else.
func otherOrganization(c *call, query url.Values) *reply {
	if asked := query.Get("organizationId"); asked != "" && asked != c.merchant {
		refused := reportRefusal(http.StatusForbidden, "FORBIDDEN", "The organization is not yours")
		return &refused
	}
	return nil
}

// downloadReport is GET /reporting/v3/report-downloads.
func (s *Server) downloadReport(c *call) reply {
	query := c.URL.Query()
	if refused := otherOrganization(c, query); refused != nil {
		return *refused
	}
	var wrong []fieldError
	name := query.Get("reportName")
	if name == "" {
		wrong = append(wrong, wrongField("reportName", "The report name is missing"))
	}
	end, err := time.Parse(time.DateOnly, query.Get("reportDate"))
	if err != nil {
		wrong = append(wrong, wrongField("reportDate", "The report date is not YYYY-MM-DD"))
	}
	if at := query.Get("reportTime"); at != "" {
		if _, err := time.Parse("15:04:05-07:00", at); err != nil {
			wrong = append(wrong, wrongField("reportTime", "The report time is not hh:mm:ss+hh:mm"))
		}
	}
	if len(wrong) > 0 {
		return *reportInvalid(wrong...)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sub := s.subscribed(c.merchant, name)
	// The date of a report is the end of its period.
	day := s.books.reporting.day(c.merchant, end.AddDate(0, 0, -1).Format(time.DateOnly))
	if sub == nil || day == nil {
		return *reportMissing("The requested report is not found")
	}
	view := s.view(day)
	if day.statusOf(sub, view, c.now) != reportCompleted {
		return *reportMissing("The requested report is not found")
	}
	if !accepts(c.Header.Get("Accept"), sub.MimeType) {
		return *reportInvalid(wrongField("Accept", "The report is generated as "+sub.MimeType))
	}
	view.signed = sub.Signed
	return reply{status: http.StatusOK, contentType: sub.MimeType, stream: func(w io.Writer) error { return writeReport(w, sub, view) }}
}

// accepts says whether an Accept header allows the generated format; one that names none allows any.
func accepts(header, generated string) bool {
	if strings.TrimSpace(header) == "" {
		return true
	}
	for _, one := range strings.Split(header, ",") {
		media, _, err := mime.ParseMediaType(strings.TrimSpace(one))
		if err == nil && (media == generated || media == "*/*") {
			return true
		}
	}
	return false
}

// listReports is GET /reporting/v3/reports.
func (s *Server) listReports(c *call) reply {
	query := c.URL.Query()
	if refused := otherOrganization(c, query); refused != nil {
		return *refused
	}
	start, end, wrong := periodAsked(query, c.now)
	kind := query.Get("timeQueryType")
	if kind != "reportTimeFrame" && kind != "executedTime" {
		wrong = append(wrong, wrongField("timeQueryType", "The time query type is reportTimeFrame or executedTime"))
	}
	if len(wrong) > 0 {
		return *reportInvalid(wrong...)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := []object{}
	for _, day := range s.books.reporting.merchantDays(c.merchant) {
		from, to := s.periodOf(day.Date)
		within := !from.Before(start) && !to.After(end)
		if kind == "executedTime" {
			within = !day.ReadyAt.Before(start) && !day.ReadyAt.After(end)
		}
		if !within {
			continue
		}
		view := s.view(day)
		for _, sub := range s.subscriptions(c.merchant) {
			if entry := s.reportEntry(c, day, sub, view); matchesFilters(entry, query) {
				found = append(found, entry)
			}
		}
	}
	return reply{status: http.StatusOK, body: object{"reportSearchResults": found}}
}

// matchesFilters holds an entry to the filters of the list.
func matchesFilters(entry object, query url.Values) bool {
	for parameter, member := range map[string]string{"reportName": "reportName", "reportStatus": "status", "reportMimeType": "reportMimeType",
		"reportFrequency": "reportFrequency", "reportDefinitionId": "reportDefinitionId"} {
		if asked := query.Get(parameter); asked != "" && asked != entry[member] {
			return false
		}
	}
	return true
}

// readReport is GET /reporting/v3/reports/{reportId}.
func (s *Server) readReport(c *call) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, day := range s.books.reporting.merchantDays(c.merchant) {
		for _, sub := range s.subscriptions(c.merchant) {
			if reportID(day, sub) == c.PathValue("reportId") {
				return reply{status: http.StatusOK, body: s.reportEntry(c, day, sub, s.view(day))}
			}
		}
	}
	return *reportMissing("The requested report is not found")
}

// reportEntry is one file in the list.
func (s *Server) reportEntry(c *call, day *settlementDay, sub *reportSubscription, view *dayView) object {
	status := day.statusOf(sub, view, c.now)
	link := url.Values{"reportName": {sub.Name}, "reportDate": {day.reportDate()}}
	entry := object{
		"_link":              object{"reportDownload": object{"href": "/reporting/v3/report-downloads/?" + link.Encode(), "method": "GET"}},
		"reportDefinitionId": tables[sub.Definition].number(), "reportName": sub.Name, "reportMimeType": sub.MimeType, "reportFrequency": "DAILY",
		"status": status, "reportStartTime": utc(view.start), "reportEndTime": utc(view.end), "timezone": s.cfg.TimeZone.String(),
		"reportId": reportID(day, sub), "organizationId": day.MerchantID, "queuedTime": utc(day.MadeAt), "subscriptionType": sub.kind(), "groupId": "",
	}
	if status != reportQueued {
		entry["reportGeneratingTime"] = utc(day.MadeAt)
	}
	if status == reportCompleted || status == reportNoData || status == reportFailed {
		entry["reportCompletedTime"] = utc(day.ReadyAt)
	}
	return entry
}

func (sub *reportSubscription) kind() string {
	if sub.Classic {
		return "CLASSIC"
	}
	return "CUSTOM"
}

// The forms of times in query strings.
var queryTimes = []string{"2006-01-02T15:04:05.999Z07:00", "2006-01-02T15:04:05.999Z0700"}

// oldestReports is how far back the services look, in months.
const oldestReports = 18

// periodAsked reads startTime and endTime.
func periodAsked(query url.Values, now time.Time) (start, end time.Time, wrong []fieldError) {
	read := func(name string) time.Time {
		for _, layout := range queryTimes {
			if at, err := time.Parse(layout, query.Get(name)); err == nil {
				return at.UTC()
			}
		}
		wrong = append(wrong, wrongField(name, "The time is missing or not yyyy-MM-dd'T'HH:mm:ss.SSSZ"))
		return time.Time{}
	}
	start, end = read("startTime"), read("endTime")
	if len(wrong) > 0 {
		return start, end, wrong
	}
	if start.Before(now.AddDate(0, -oldestReports, 0)) {
		wrong = append(wrong, wrongField("startTime", "The start time is older than 18 months"))
	}
	if !start.Before(end) {
		wrong = append(wrong, wrongField("endTime", "The end time is not after the start time"))
	}
	return start, end, wrong
}

// reportOrder is what PUT /reporting/v3/report-subscriptions takes.
type reportOrder struct {
	OrganizationID string   `json:"organizationId"`
	Definition     string   `json:"reportDefinitionName"`
	Fields         []string `json:"reportFields"`
	MimeType       string   `json:"reportMimeType"`
	Frequency      string   `json:"reportFrequency"`
	Name           string   `json:"reportName"`
	Timezone       string   `json:"timezone"`
	StartTime      string   `json:"startTime"`
	Preferences    struct {
		SignedAmounts flexBool `json:"signedAmounts"`
		Naming        string   `json:"fieldNameConvention"`
	} `json:"reportPreferences"`
}

// putSubscription creates a report or replaces it by its name. Only daily reports are made here.
func (s *Server) putSubscription(c *call) reply {
	var body reportOrder
	if refused := decode(c.body, &body); refused != nil {
		return *reportInvalid(wrongField("body", "The body can't be read"))
	}
	if refused := otherOrganization(c, url.Values{"organizationId": {body.OrganizationID}}); refused != nil {
		return *refused
	}
	var wrong []fieldError
	table := tables[body.Definition]
	if table == nil {
		wrong = append(wrong, wrongField("reportDefinitionName", "The report definition is not known"))
	} else {
		for _, field := range body.Fields {
			if !table.knows(field) {
				wrong = append(wrong, wrongField("reportFields", "A report field is not known"))
				break
			}
		}
	}
	if body.MimeType != mimeCSV && body.MimeType != mimeXML {
		wrong = append(wrong, wrongField("reportMimeType", "The mime type is text/csv or application/xml"))
	}
	if body.Frequency != "DAILY" {
		wrong = append(wrong, wrongField("reportFrequency", "The frequency is not supported"))
	}
	if body.Name == "" || len(body.Name) > 128 {
		wrong = append(wrong, wrongField("reportName", "The report name is missing or too long"))
	}
	if !slices.Contains([]string{"", "SOAPI", "SCMP"}, body.Preferences.Naming) {
		wrong = append(wrong, wrongField("reportPreferences.fieldNameConvention", "The convention is SOAPI or SCMP"))
	}
	if len(wrong) > 0 {
		return *reportInvalid(wrong...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.choose(&reportSubscription{MerchantID: c.merchant, Name: body.Name, Definition: body.Definition, MimeType: body.MimeType, Fields: body.Fields,
		Snake: body.Preferences.Naming == "SCMP", Signed: bool(body.Preferences.SignedAmounts)})
	return reply{status: http.StatusOK, raw: []byte{}}
}

func (s *Server) choose(sub *reportSubscription) {
	s.books.reporting.addChoice(sub)
	s.put(control.Entry{Kind: entityReportChoice, ID: byMerchant(sub.MerchantID, sub.Name), Doc: sub})
}

func (sub *reportSubscription) shown() object {
	naming := "SOAPI"
	if sub.Snake || sub.Classic {
		naming = "SCMP"
	}
	return object{"organizationId": sub.MerchantID, "reportDefinitionId": tables[sub.Definition].number(), "reportDefinitionName": sub.Definition,
		"reportMimeType": sub.MimeType, "reportFrequency": "DAILY", "reportName": sub.Name, "reportFields": orEmpty(sub.fields()),
		"reportPreferences": object{"signedAmounts": sub.Signed, "fieldNameConvention": naming}, "subscriptionType": sub.kind()}
}

// fields are the columns of the report.
func (sub *reportSubscription) fields() []string {
	if len(sub.Fields) > 0 {
		return sub.Fields
	}
	if sub.Classic {
		return classicBatchFields
	}
	return tables[sub.Definition].standard()
}

func (s *Server) listSubscriptions(c *call) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	shown := []object{}
	for _, sub := range s.subscriptions(c.merchant) {
		shown = append(shown, sub.shown())
	}
	return reply{status: http.StatusOK, body: object{"subscriptions": shown}}
}

func (s *Server) readSubscription(c *call) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sub := s.subscribed(c.merchant, c.PathValue("reportName"))
	if sub == nil {
		return *reportMissing("The subscription is not found")
	}
	return reply{status: http.StatusOK, body: sub.shown()}
}

func (s *Server) deleteSubscription(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscribed(c.merchant, c.PathValue("reportName"))
	if sub == nil {
		return *reportMissing("The subscription is not found")
	}
	removed := *sub
	removed.Removed = true
	s.choose(&removed)
	return reply{status: http.StatusOK, raw: []byte{}}
}
