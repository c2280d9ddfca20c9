package webhook

import (
	"encoding/csv"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/settlement"
)

// listedPayment is a payment in a list; openapi.yaml calls it ListedPayment. Amounts are in its currency.
type listedPayment struct {
	OrderID     string                  `json:"orderId"`
	Status      canonical.PaymentStatus `json:"status"`
	Currency    string                  `json:"currency"`
	Authorized  string                  `json:"authorized"`
	Captured    string                  `json:"captured"`
	Refunded    string                  `json:"refunded"`
	ChargedBack string                  `json:"chargedBack"`
	Capturable  string                  `json:"capturable"`
	Refundable  string                  `json:"refundable"`
	Open        bool                    `json:"open"` // an operation's outcome is not known yet
	CaptureID   string                  `json:"captureId,omitempty"`
	CardType    string                  `json:"cardType,omitempty"`
	CardSuffix  string                  `json:"cardSuffix,omitempty"`
	SettledOn   string                  `json:"settledOn,omitempty"`
	BatchID     string                  `json:"batchId,omitempty"`
	CreatedAt   time.Time               `json:"createdAt"`
	Links       map[string]string       `json:"links"`
}

type paymentList struct {
	Payments []listedPayment `json:"payments"`
	Next     string          `json:"next,omitempty"`
}

var paymentStatuses = map[canonical.PaymentStatus]bool{
	canonical.PaymentNone: true, canonical.PaymentAuthorized: true, canonical.PaymentHeld: true, canonical.PaymentCaptured: true,
	canonical.PaymentSettled: true, canonical.PaymentVoided: true, canonical.PaymentReversed: true, canonical.PaymentPartiallyRefunded: true,
	canonical.PaymentRefunded: true, canonical.PaymentDeclined: true, canonical.PaymentUnknown: true, canonical.PaymentChargedBack: true,
}

// listPayments lists payments, the latest first.
func (s *Server) listPayments(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.PaymentFilter{
		Status: canonical.PaymentStatus(c.QueryParam("status")), Currency: c.QueryParam("currency"), SettledOn: c.QueryParam("settledOn"),
		Limit: limit, Cursor: c.QueryParam("cursor"),
	}
	if filter.Status != "" && !paymentStatuses[filter.Status] {
		return invalidQuery("status", canonical.RuleEnum, "is no status of a payment")
	}
	if filter.SettledOn != "" && !isDate(filter.SettledOn) {
		return invalidQuery("settledOn", canonical.RulePattern, "must be a date like 2026-11-30")
	}
	if filter.From, filter.To, err = s.span(c); err != nil {
		return err
	}
	page, next, err := s.deps.Store.Payments(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := paymentList{Payments: make([]listedPayment, 0, len(page)), Next: next}
	for _, p := range page {
		answer.Payments = append(answer.Payments, viewListedPayment(p))
	}
	return c.JSON(http.StatusOK, answer)
}

func viewListedPayment(p journal.Payment) listedPayment {
	view := viewPayment(p.Payment)
	return listedPayment{
		OrderID: p.OrderID, Status: p.Status, Currency: p.Currency, Authorized: view.Authorized, Captured: view.Captured, Refunded: view.Refunded,
		ChargedBack: canonical.FormatAmount(p.ChargedBack, p.Currency), Capturable: canonical.FormatAmount(p.Capturable, p.Currency),
		Refundable: canonical.FormatAmount(p.Refundable, p.Currency), Open: p.Open, CaptureID: p.CaptureID, CardType: p.CardType,
		CardSuffix: p.CardSuffix, SettledOn: p.SettledOn, BatchID: p.BatchID, CreatedAt: p.CreatedAt,
		Links: map[string]string{"order": "/v1/orders/" + p.OrderID},
	}
}

// span reads from and to, days of the merchant of which both count, as times from and before.
func (s *Server) span(c echo.Context) (from, before time.Time, err error) {
	first, last, err := days(c)
	if !first.IsZero() {
		from = settlement.Begins(first, s.zone())
	}
	if !last.IsZero() {
		before = settlement.Begins(last.AddDate(0, 0, 1), s.zone())
	}
	return from, before, err
}

// days reads from and to as dates, apart from any zone; one that is not given is zero.
func days(c echo.Context) (from, to time.Time, err error) {
	for name, into := range map[string]*time.Time{"from": &from, "to": &to} {
		text := c.QueryParam(name)
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.DateOnly, text); err != nil {
			return from, to, invalidQuery(name, canonical.RulePattern, "must be a date like 2026-11-30")
		}
	}
	return from, to, nil
}

// zone is the merchant's time zone: days are its own.
func (s *Server) zone() *time.Location {
	if s.deps.Zone == nil {
		return time.UTC
	}
	return s.deps.Zone
}

// cashDay is what happened to the money of a currency on a day.
type cashDay struct {
	Date        string `json:"date"`
	Currency    string `json:"currency"`
	Authorized  string `json:"authorized"`
	Captured    string `json:"captured"`
	Refunded    string `json:"refunded"`
	Settled     string `json:"settled"`
	ChargedBack string `json:"chargedBack"`
	Due         string `json:"due"`
}

func (d cashDay) cells() []string {
	return []string{d.Date, d.Currency, d.Authorized, d.Captured, d.Refunded, d.Settled, d.ChargedBack, d.Due}
}

var cashColumns = []string{"date", "currency", "authorized", "captured", "refunded", "settled", "chargedBack", "due"}

type cashAnswer struct {
	From     string    `json:"from"`
	To       string    `json:"to"`
	TimeZone string    `json:"timeZone"`
	Days     []cashDay `json:"days"`
}

const (
	usualCashDays = 7
	maxCashDays   = 366
)

// showCash gives the cash position by day and currency; without from and to, of the last week.
func (s *Server) showCash(c echo.Context) error {
	format, err := formatOf(c, "json", "csv")
	if err != nil {
		return err
	}
	from, last, err := days(c)
	if err != nil {
		return err
	}
	if last.IsZero() {
		year, month, day := s.clock().In(s.zone()).Date()
		last = time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	if from.IsZero() {
		from = last.AddDate(0, 0, 1-usualCashDays)
	}
	switch {
	case last.Before(from):
		return invalidQuery("to", canonical.RuleMinimum, "must not be before from")
	case last.After(from.AddDate(0, 0, maxCashDays-1)):
		return invalidQuery("to", canonical.RuleMaximum, "makes more than 366 days")
	}
	answer := cashAnswer{From: from.Format(time.DateOnly), To: last.Format(time.DateOnly), TimeZone: s.zone().String()}
	days, err := s.deps.Store.CashPosition(c.Request().Context(), answer.From, answer.To, s.zone())
	if err != nil {
		return err
	}
	answer.Days = make([]cashDay, 0, len(days))
	for _, d := range days {
		answer.Days = append(answer.Days, viewCash(d))
	}
	if format == "json" {
		return c.JSON(http.StatusOK, answer)
	}
	c.Response().Header().Set(echo.HeaderContentType, mediaTypes[format])
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="cash-`+answer.From+"-"+answer.To+`.csv"`)
	c.Response().WriteHeader(http.StatusOK)
	out := csv.NewWriter(c.Response())
	_ = out.Write(cashColumns) // Error tells
	for _, day := range answer.Days {
		_ = out.Write(day.cells())
	}
	out.Flush()
	return out.Error()
}

func viewCash(d journal.CashDay) cashDay {
	return cashDay{
		Date: d.Date, Currency: d.Currency, Authorized: canonical.FormatAmount(d.Authorized, d.Currency),
		Captured: canonical.FormatAmount(d.Captured, d.Currency), Refunded: canonical.FormatAmount(d.Refunded, d.Currency),
		Settled: canonical.FormatAmount(d.Settled, d.Currency), ChargedBack: canonical.FormatAmount(d.ChargedBack, d.Currency),
		Due: canonical.FormatAmount(d.Due, d.Currency),
	}
}

// stockView is the free quantity of a stock code, as the ERP last told it.
type stockView struct {
	Erp       string    `json:"erp"`
	StockCode string    `json:"stockCode"`
	Warehouse string    `json:"warehouse,omitempty"`
	Available string    `json:"available"`
	At        time.Time `json:"at"`
}

type stockList struct {
	Stock []stockView `json:"stock"`
}

const maxStockCodes = 100

// listStock gives the last known free quantities: of the stock codes that the query names, or of all.
func (s *Server) listStock(c echo.Context) error {
	codes := c.QueryParams()["code"]
	if len(codes) > maxStockCodes {
		return invalidQuery("code", canonical.RuleMaxItems, "may be given 100 times at most")
	}
	levels, err := s.deps.Store.Stock(c.Request().Context(), codes...)
	if err != nil {
		return err
	}
	answer := stockList{Stock: make([]stockView, 0, len(levels))}
	for _, l := range levels {
		answer.Stock = append(answer.Stock, stockView{Erp: l.Erp, StockCode: l.Code, Warehouse: l.Warehouse, Available: l.Available.String(), At: l.At})
	}
	return c.JSON(http.StatusOK, answer)
}
