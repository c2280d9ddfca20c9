package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
	"github.com/tenderline/tenderline/starter"
)

// settlementAnswer is a settlement day as the API shows it; openapi.yaml calls it Settlement. Amounts are decimals in their currency.
type settlementAnswer struct {
	Merchant    string            `json:"merchant"`
	Date        string            `json:"date"`
	State       string            `json:"state"`
	Why         string            `json:"why,omitempty"`
	Actor       string            `json:"actor,omitempty"`
	Runs        int               `json:"runs"`
	Posted      bool              `json:"posted"` // something of it is in the general ledger, whatever the state
	Rows        int               `json:"rows"`
	Differences int               `json:"differences"`
	States      map[string]int    `json:"states,omitempty"` // rows and operations by what became of them
	Currencies  []settledCurrency `json:"currencies,omitempty"`
	Findings    []findingView     `json:"findings,omitempty"` // unusual, for a person to look at
	Waiting     []string          `json:"waiting,omitempty"`  // reports that the day goes on without
	Drift       []string          `json:"drift,omitempty"`    // columns of the reports that nobody knows
	Postings    []postingView     `json:"postings,omitempty"`
	Reports     []reportView      `json:"reports,omitempty"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	Links       map[string]string `json:"links"`
}

type settledCurrency struct {
	Currency   string            `json:"currency"`
	Outcome    string            `json:"outcome"`
	Net        string            `json:"net"`
	Deposited  string            `json:"deposited"`
	Difference string            `json:"difference"`
	BatchID    string            `json:"batchId,omitempty"`
	Categories []settledCategory `json:"categories"`
}

type settledCategory struct {
	Category string  `json:"category"`
	Reported sumView `json:"reported"`
	Expected sumView `json:"expected"`
	Posted   sumView `json:"posted"`
}

type sumView struct {
	Count  int    `json:"count"`
	Amount string `json:"amount"`
}

type findingView struct {
	Kind     string `json:"kind"`
	Currency string `json:"currency"`
	Value    string `json:"value"`
	Median   string `json:"median"`
	Score    string `json:"score"`
	Days     int    `json:"days"`
	Text     string `json:"text"`
}

// postingView is what of a day is in the general ledger; sequence n is its n-th correction.
type postingView struct {
	Currency  string    `json:"currency"`
	Sequence  int       `json:"sequence"`
	Reference string    `json:"reference,omitempty"`
	Number    string    `json:"number,omitempty"`
	Warning   string    `json:"warning,omitempty"`
	Invoice   string    `json:"invoice,omitempty"` // ours, of the processor's fees
	Document  string    `json:"document,omitempty"`
	PostedAt  time.Time `json:"postedAt"`

	InvoiceWarning string           `json:"invoiceWarning,omitempty"`
	ByHand         *handBookingView `json:"byHand,omitempty"`        // who booked the journal, where it was not us
	InvoiceByHand  *handBookingView `json:"invoiceByHand,omitempty"` // and the invoice
}

// handBookingView tells who booked a document by hand, and as what.
type handBookingView struct {
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason,omitempty"`
	Reference string    `json:"reference,omitempty"`
	At        time.Time `json:"at"`
}

type reportView struct {
	Format    string    `json:"format"`
	Bytes     int64     `json:"bytes"`
	WrittenAt time.Time `json:"writtenAt"`
}

type settlementList struct {
	Settlements []settlementAnswer `json:"settlements"`
	Next        string             `json:"next,omitempty"`
}

type startedDay struct {
	Merchant   string `json:"merchant"`
	Date       string `json:"date"`
	DryRun     bool   `json:"dryRun,omitempty"`
	WorkflowID string `json:"workflowId"`
	Started    bool   `json:"started"`
	Why        string `json:"why,omitempty"`
}

type startedDays struct {
	Days []startedDay `json:"days"`
}

func viewSettlement(r journal.SettlementRecord) (settlementAnswer, error) {
	self := "/v1/settlements/" + r.Date
	query := "?merchant=" + r.Merchant
	answer := settlementAnswer{
		Merchant: r.Merchant, Date: r.Date, State: r.State, Why: r.Why, Actor: r.Actor, Runs: r.Runs, Posted: r.Posted, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Links: map[string]string{"self": self + query, "run": self + "/run"},
	}
	if r.State == string(activities.SettlementApproval) {
		answer.Links["approve"] = self + "/approve"
	}
	if len(r.Files) > 0 {
		answer.Links["discrepancies"] = self + "/discrepancies" + query
	}
	for _, file := range r.Files {
		answer.Reports = append(answer.Reports, reportView{Format: file.Kind, Bytes: file.Size, WrittenAt: file.WrittenAt})
	}
	if len(r.Result) == 0 {
		return answer, nil
	}
	var result activities.SettlementDocument
	if err := json.Unmarshal(r.Result, &result); err != nil {
		return answer, err
	}
	answer.Rows, answer.Differences, answer.States = result.Rows, result.Differences, map[string]int{}
	for state, count := range result.States {
		answer.States[string(state)] = count
	}
	for _, currency := range result.Currencies {
		answer.Currencies = append(answer.Currencies, viewCurrency(currency))
	}
	answer.Waiting, answer.Drift = result.Waiting, result.Drift
	for _, a := range result.Findings {
		answer.Findings = append(answer.Findings, findingView{
			Kind: string(a.Kind), Currency: a.Currency, Value: a.Value.String(), Median: a.Median.String(), Score: a.Score.String(), Days: a.Days, Text: a.Text,
		})
	}
	return answer, nil
}

func viewCurrency(c settlement.CurrencyResult) settledCurrency {
	view := settledCurrency{
		Currency: c.Currency, Outcome: string(c.Outcome), BatchID: c.BatchID, Net: canonical.FormatAmount(c.Net, c.Currency),
		Deposited: canonical.FormatAmount(c.Deposited, c.Currency), Difference: canonical.FormatAmount(c.Difference, c.Currency),
		Categories: make([]settledCategory, 0, len(c.Categories)),
	}
	sum := func(s settlement.Sum) sumView { return sumView{s.Count, canonical.FormatAmount(s.Amount, c.Currency)} }
	for _, total := range c.Categories {
		view.Categories = append(view.Categories, settledCategory{
			Category: string(total.Category), Reported: sum(total.Reported), Expected: sum(total.Expected), Posted: sum(total.Posted),
		})
	}
	return view
}

func viewPostings(postings []journal.Posting) []postingView {
	views := make([]postingView, 0, len(postings))
	for _, p := range postings {
		view := postingView{Currency: p.Currency, Sequence: p.Sequence, Number: p.Number, Warning: p.Warning, PostedAt: p.PostedAt}
		if p.Entry != nil {
			view.Reference, view.ByHand = p.Entry.Reference, (*handBookingView)(p.ByHand)
		}
		if p.Invoice != nil {
			view.Invoice, view.Document, view.InvoiceWarning = p.Invoice.Number, p.Invoice.Document, p.Invoice.Warning
			view.InvoiceByHand = (*handBookingView)(p.Invoice.ByHand)
		}
		views = append(views, view)
	}
	return views
}

var settlementStates = func() []string {
	var names []string
	for _, state := range settlement.DayStates() {
		names = append(names, string(state))
	}
	return names
}()

// listSettlements lists settlement days, the latest first.
func (s *Server) listSettlements(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.SettlementFilter{
		Merchant: c.QueryParam("merchant"), State: c.QueryParam("state"), From: c.QueryParam("from"), To: c.QueryParam("to"),
		Limit: limit, Cursor: c.QueryParam("cursor"),
	}
	if filter.State != "" && !slices.Contains(settlementStates, filter.State) {
		return invalidQuery("state", canonical.RuleEnum, "must be one of "+strings.Join(settlementStates, ", "))
	}
	for name, value := range map[string]string{"from": filter.From, "to": filter.To} {
		if value != "" && !isDate(value) {
			return invalidQuery(name, canonical.RulePattern, "must be a date like 2026-11-30")
		}
	}
	page, next, err := s.deps.Store.SettlementDays(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := settlementList{Settlements: make([]settlementAnswer, 0, len(page)), Next: next}
	for _, record := range page {
		view, err := viewSettlement(record)
		if err != nil {
			return err
		}
		answer.Settlements = append(answer.Settlements, view)
	}
	return c.JSON(http.StatusOK, answer)
}

func isDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

var merchantShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,60}$`)

// settlementDay is the day that the path names: of the merchant in the query, which may be left out where there is one only. A day that was
// never begun may still have the report of a dry run.
func (s *Server) settlementDay(c echo.Context) (journal.SettlementRecord, error) {
	date, merchant := c.Param("date"), c.QueryParam("merchant")
	if !isDate(date) || (merchant != "" && !merchantShape.MatchString(merchant)) {
		return journal.SettlementRecord{}, noSettlement()
	}
	ctx := c.Request().Context()
	days, _, err := s.deps.Store.SettlementDays(ctx, journal.SettlementFilter{Merchant: merchant, From: date, To: date, Limit: 2})
	if err == nil && len(days) == 0 {
		days, err = s.deps.Store.CheckedDays(ctx, merchant, date)
		if err == nil && len(days) == 1 {
			return days[0], nil
		}
	}
	switch {
	case err != nil:
		return journal.SettlementRecord{}, err
	case len(days) == 0:
		return journal.SettlementRecord{}, noSettlement()
	case len(days) > 1:
		return journal.SettlementRecord{}, invalidQuery("merchant", canonical.RuleRequired, "is needed: several merchants settled that day")
	}
	record, err := s.deps.Store.SettlementDay(ctx, days[0].Merchant, date)
	if errors.Is(err, journal.ErrNotFound) {
		return record, noSettlement()
	}
	return record, err
}

func noSettlement() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "that day was not settled")
}

// showSettlement shows a day with its totals and what of it was posted.
func (s *Server) showSettlement(c echo.Context) error {
	record, err := s.settlementDay(c)
	if err != nil {
		return err
	}
	answer, err := viewSettlement(record)
	if err != nil {
		return err
	}
	postings, err := s.deps.Store.Postings(c.Request().Context(), record.Merchant, record.Date)
	if err != nil {
		return err
	}
	answer.Postings = viewPostings(postings)
	return c.JSON(http.StatusOK, answer)
}

// pageCSP lets the discrepancy page show itself and nothing else: no script, no form, no request, no origin of ours.
const pageCSP = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// showDiscrepancies gives the report of what differs: CSV for programs, a page for people.
func (s *Server) showDiscrepancies(c echo.Context) error {
	record, err := s.settlementDay(c)
	if err != nil {
		return err
	}
	kind, err := formatOf(c, "csv", "html")
	if err != nil {
		return err
	}
	file, err := s.deps.Store.SettlementFile(c.Request().Context(), record.Merchant, record.Date, kind)
	if errors.Is(err, journal.ErrNotFound) {
		return newProblem(http.StatusNotFound, typeNotFound, "the day has no report yet")
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header := c.Response().Header()
	name := "discrepancies-" + record.Merchant + "-" + record.Date + "." + kind
	if kind == "html" {
		header.Set(echo.HeaderContentSecurityPolicy, pageCSP)
		header.Set(echo.HeaderContentDisposition, `inline; filename="`+name+`"`)
	} else {
		header.Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
	}
	c.Response().Header().Set(echo.HeaderContentType, mediaTypes[kind])
	c.Response().WriteHeader(http.StatusOK)
	_, err = io.Copy(c.Response(), file)
	return err
}

// mediaTypes are those of the formats that a client may choose between.
var mediaTypes = map[string]string{"csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8", "json": echo.MIMEApplicationJSON}

// formatOf is the format that the client wants: by ?format=, else by Accept, else the first one.
func formatOf(c echo.Context, offered ...string) (string, error) {
	if wanted := c.QueryParam("format"); wanted != "" {
		if !slices.Contains(offered, wanted) {
			return "", invalidQuery("format", canonical.RuleEnum, "must be one of "+strings.Join(offered, ", "))
		}
		return wanted, nil
	}
	best, bestQuality := offered[0], 0.0
	for entry := range strings.SplitSeq(c.Request().Header.Get(echo.HeaderAccept), ",") {
		media, parameters, _ := strings.Cut(entry, ";")
		quality := 1.0
		if _, text, found := strings.Cut(parameters, "q="); found {
			if q, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
				quality = q
			}
		}
		for _, format := range offered {
			own, _, _ := strings.Cut(mediaTypes[format], ";")
			if strings.EqualFold(strings.TrimSpace(media), own) && quality > bestQuality {
				best, bestQuality = format, quality
			}
		}
	}
	return best, nil
}

// settleWish is the body that settles days; all of it may be left out.
type settleWish struct {
	Merchant string `json:"merchant"`
	DryRun   bool   `json:"dryRun"`
	From     string `json:"from"` // of a backfill
	To       string `json:"to"`
}

// runSettlement settles a day by hand.
func (s *Server) runSettlement(c echo.Context) error {
	wish, err := wishOf(c)
	if err != nil {
		return err
	}
	if wish.From != "" || wish.To != "" {
		return invalid([]canonical.Problem{{Pointer: "/from", Rule: canonical.RuleCombination, Message: "goes with /v1/settlements/backfill; the path names the day"}})
	}
	day, err := s.deps.Starter.RunSettlement(c.Request().Context(), starter.SettlementRun{
		Merchant: wish.Merchant, Date: c.Param("date"), DryRun: wish.DryRun, Actor: callerOf(c).Name,
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/v1/settlements/"+day.Date+"?merchant="+day.Merchant)
	return c.JSON(http.StatusAccepted, s.viewStarted(day))
}

// backfillSettlements settles many days, the oldest first.
func (s *Server) backfillSettlements(c echo.Context) error {
	wish, err := wishOf(c)
	if err != nil {
		return err
	}
	days, err := s.deps.Starter.Backfill(c.Request().Context(), wish.From, wish.To, starter.SettlementRun{
		Merchant: wish.Merchant, DryRun: wish.DryRun, Actor: callerOf(c).Name,
	})
	if err != nil {
		return err
	}
	answer := startedDays{Days: make([]startedDay, 0, len(days))}
	for _, day := range days {
		answer.Days = append(answer.Days, s.viewStarted(day))
	}
	return c.JSON(http.StatusAccepted, answer)
}

func wishOf(c echo.Context) (settleWish, error) {
	var wish settleWish
	if c.Request().ContentLength == 0 {
		return wish, nil
	}
	body, err := readBody(c)
	if err != nil {
		return wish, err
	}
	return wish, decode(body, &wish)
}

func (s *Server) viewStarted(day starter.StartedDay) startedDay {
	view := startedDay{Merchant: day.Merchant, Date: day.Date, DryRun: day.DryRun, WorkflowID: day.WorkflowID, Started: day.Err == nil}
	if day.Err != nil {
		view.Why = s.problemOf(day.Err).Detail
	}
	return view
}

// approveSettlement lets a day post that waits for finance.
func (s *Server) approveSettlement(c echo.Context) error {
	var in struct {
		Merchant string `json:"merchant"`
		Reason   string `json:"reason"`
	}
	if c.Request().ContentLength != 0 {
		body, err := readBody(c)
		if err != nil {
			return err
		}
		if err := decode(body, &in); err != nil {
			return err
		}
	}
	if problems := checkRemark("/reason", in.Reason); len(problems) > 0 {
		return invalid(problems)
	}
	answer, err := s.deps.Starter.ApproveSettlement(c.Request().Context(), in.Merchant, c.Param("date"), callerOf(c).Name, in.Reason)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, resolutionAnswer{ID: answer.ID, Resolution: answer.Kind})
}
