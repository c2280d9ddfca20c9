package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// The headers of pushed changes. The signature is "keyId:base64" of the HMAC-SHA256 over the time, a dot and the body as it stands; several,
// with commas between them, while one key replaces another.
const (
	erpTimeHeader      = "X-Tenderline-Timestamp" // Unix seconds
	erpSignatureHeader = "X-Tenderline-Signature"
)

// ErpVerifier checks what an ERP's side pushes.
type ErpVerifier struct {
	Keys   map[string]string // base64, by id
	MaxAge time.Duration     // largest distance of the signature's time, either way
}

// errUnsigned says why a push is not believed. It is for the log: the caller learns only that it is so.
type errUnsigned string

func (e errUnsigned) Error() string { return string(e) }

func (v ErpVerifier) verify(header http.Header, body []byte, now time.Time) error {
	stamp := header.Get(erpTimeHeader)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errUnsigned("no time")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > v.MaxAge || age < -v.MaxAge {
		return errUnsigned("the time is too far away")
	}
	for entry := range strings.SplitSeq(header.Get(erpSignatureHeader), ",") {
		id, signature, _ := strings.Cut(strings.TrimSpace(entry), ":")
		key, known := v.Keys[id]
		if !known {
			continue
		}
		secret, errKey := base64.StdEncoding.DecodeString(key)
		given, errSignature := base64.StdEncoding.DecodeString(signature)
		if errKey != nil || errSignature != nil {
			continue
		}
		mac := hmac.New(sha256.New, secret)
		_, _ = mac.Write([]byte(stamp + "."))
		_, _ = mac.Write(body)
		if hmac.Equal(mac.Sum(nil), given) {
			return nil
		}
	}
	return errUnsigned("no key fits")
}

// receivedChanges counts what a push brought.
type receivedChanges struct {
	Status string `json:"status"`
	New    int    `json:"new"`
	Known  int    `json:"known"`
}

// receiveErp takes changes that an ERP's side pushes: signed over the body as it stands, each durable in the inbox before the answer, then
// brought to its process. One that was told before, by push or poll, changes nothing.
func (s *Server) receiveErp(c echo.Context) error {
	erp := c.Param("erp")
	verifier, known := s.deps.Erps[erp]
	if !known {
		return newProblem(http.StatusNotFound, typeNotFound, "no such ERP")
	}
	r := c.Request()
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.deps.HTTP.WebhookLimit))
	if err != nil {
		return readFault(err)
	}
	source := activities.ErpSource(erp)
	if err := verifier.verify(r.Header, body, s.clock()); err != nil {
		s.deps.Metrics.Webhook(source, "refused")
		s.log.WarnContext(r.Context(), "pushed changes refused", "erp", erp, "reason", err.Error())
		return newProblem(http.StatusUnauthorized, typeSignature, "the signature does not fit")
	}
	if err := refuseCards(body, ""); err != nil {
		s.deps.Metrics.Webhook(source, "refused")
		return err
	}
	changes, err := decodeChanges(body)
	if err != nil {
		s.deps.Metrics.Webhook(source, "unreadable")
		return err
	}
	answer := receivedChanges{Status: "accepted"}
	for _, change := range changes {
		created, err := s.keepChange(r.Context(), erp, change)
		if err != nil {
			return err // what is kept already is told again by the repeat, and changes nothing
		}
		if created {
			answer.New++
			s.deps.Metrics.Webhook(source, "accepted")
		} else {
			answer.Known++
			s.deps.Metrics.Webhook(source, "duplicate")
		}
	}
	return c.JSON(http.StatusOK, answer)
}

// keepChange stores a change, and has it delivered where it is new.
func (s *Server) keepChange(ctx context.Context, erp string, change activities.Change) (created bool, err error) {
	item, err := activities.ChangeEvent(erp, change)
	if err != nil {
		return false, err
	}
	item.NextTryAt = s.clock().Add(sweepAfter)
	created, err = s.deps.Store.Receive(ctx, item)
	if err == nil && created {
		s.deliver(ctx, func(ctx context.Context) error { return s.deps.Starter.Deliver(ctx, item) })
	}
	return created, err
}

// maxChanges bounds one push.
const maxChanges = 500

// decodeChanges reads an array of changes, strictly; everything wrong in it is told at once.
func decodeChanges(body []byte) ([]activities.Change, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '[' {
		return nil, malformed(canonical.RuleType, "must be an array of changes")
	}
	var pushed []pushedChange
	if err := decode(body, &pushed); err != nil {
		return nil, err
	}
	if len(pushed) > maxChanges {
		return nil, invalid([]canonical.Problem{{Pointer: "", Rule: canonical.RuleMaxItems, Message: "has more than 500 changes"}})
	}
	changes := make([]activities.Change, 0, len(pushed))
	var problems []canonical.Problem
	for i, p := range pushed {
		reader := changeReader{at: "/" + strconv.Itoa(i)}
		changes = append(changes, reader.change(p))
		problems = append(problems, reader.problems...)
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return changes, nil
}

// pushedChange is a change as it is written; openapi.yaml calls it ErpChange. Numbers are bounded before anything is calculated with them.
type pushedChange struct {
	ID       string                       `json:"id"`
	Feed     activities.ChangeFeed        `json:"feed"`
	Number   string                       `json:"number"`
	OrderID  string                       `json:"orderId"`
	At       time.Time                    `json:"at"`
	Memo     *pushedMemo                  `json:"memo"`
	Shipment *pushedShipment              `json:"shipment"`
	Order    *activities.SalesOrderChange `json:"order"`
	Stock    *pushedStock                 `json:"stock"`
}

type pushedMemo struct {
	Own           bool            `json:"own"`
	Reference     string          `json:"reference"`
	CustomerCode  string          `json:"customerCode"`
	SalesOrder    string          `json:"salesOrder"`
	Invoice       string          `json:"invoice"`
	Amount        json.RawMessage `json:"amount"`
	Tax           json.RawMessage `json:"tax"`
	Currency      string          `json:"currency"`
	Reason        string          `json:"reason"`
	TransactionID string          `json:"transactionId"`
	RefundStatus  string          `json:"refundStatus"`
}

type pushedShipment struct {
	SalesOrder string       `json:"salesOrder"`
	Carrier    string       `json:"carrier"`
	Tracking   string       `json:"tracking"`
	ShippedOn  string       `json:"shippedOn"`
	Partial    bool         `json:"partial"`
	Invoice    string       `json:"invoice"`
	Lines      []pushedLine `json:"lines"`
}

type pushedLine struct {
	LineNumber int             `json:"lineNumber"`
	StockCode  string          `json:"stockCode"`
	Quantity   json.RawMessage `json:"quantity"`
}

type pushedStock struct {
	StockCode string          `json:"stockCode"`
	Warehouse string          `json:"warehouse"`
	Available json.RawMessage `json:"available"`
}

// changeReader reads one change and notes what is wrong with it.
type changeReader struct {
	at       string
	problems []canonical.Problem
}

func (r *changeReader) report(pointer, rule, message string) {
	r.problems = append(r.problems, canonical.Problem{Pointer: r.at + pointer, Rule: rule, Message: message})
}

var (
	changeIDShape = regexp.MustCompile(`^[\x21-\x7e]{1,120}$`)
	documentShape = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,60}$`)
)

// text bounds what an ERP wrote.
func (r *changeReader) text(pointer, text string) string {
	r.problems = append(r.problems, checkRemark(r.at+pointer, text)...)
	return text
}

func (r *changeReader) required(pointer, text string) string {
	if text == "" {
		r.report(pointer, canonical.RuleRequired, "is required")
	}
	return r.text(pointer, text)
}

func (r *changeReader) number(pointer string, text json.RawMessage) decimal.Decimal {
	before := len(r.problems)
	value := number(text, r.at+pointer, &r.problems)
	if value == nil {
		if len(r.problems) == before {
			r.report(pointer, canonical.RuleRequired, "is required")
		}
		return decimal.Zero
	}
	return *value
}

func (r *changeReader) change(p pushedChange) activities.Change {
	if !changeIDShape.MatchString(p.ID) {
		r.report("/id", canonical.RulePattern, "must be 1 to 120 printable characters without blanks, the same however often the change is told")
	}
	if !documentShape.MatchString(p.Number) {
		r.report("/number", canonical.RulePattern, "must be the number of the document: 1 to 60 of A-Z, a-z, 0-9, '.', '_', '/' and '-'")
	}
	if p.OrderID != "" && !orderIDShape.MatchString(p.OrderID) {
		r.report("/orderId", canonical.RulePattern, "must be the shop's order id")
	}
	if p.At.IsZero() {
		r.report("/at", canonical.RuleRequired, "is the time of the change")
	}
	change := activities.Change{ID: p.ID, Feed: p.Feed, Number: p.Number, OrderID: p.OrderID, At: p.At}
	parts := map[activities.ChangeFeed]bool{
		activities.FeedCreditMemos: p.Memo != nil, activities.FeedShipments: p.Shipment != nil, activities.FeedOrders: p.Order != nil,
		activities.FeedStock: p.Stock != nil,
	}
	there, foreseen := parts[p.Feed]
	given := 0
	for _, has := range parts {
		if has {
			given++
		}
	}
	switch {
	case !foreseen:
		r.report("/feed", canonical.RuleEnum, "must be credit_memo, shipment, sales_order or stock")
		return change
	case !there || given != 1:
		r.report("", canonical.RuleCombination, "needs the one part that its feed names: memo, shipment, order or stock")
		return change
	}
	switch p.Feed {
	case activities.FeedCreditMemos:
		change.Memo = r.memo(p)
	case activities.FeedShipments:
		change.Shipment = r.shipment(p)
	case activities.FeedOrders:
		change.Order = r.order(*p.Order)
	case activities.FeedStock:
		change.Stock = r.stock(*p.Stock)
	}
	return change
}

func (r *changeReader) memo(p pushedChange) *activities.MemoChange {
	m := p.Memo
	if len(m.Currency) != 3 {
		r.report("/memo/currency", canonical.RuleCurrency, "must be an ISO 4217 code")
	}
	if m.Own && m.Reference == "" { // nobody could tell of which refund it is, and it would wait for that for ever
		r.report("/memo/reference", canonical.RuleRequired, "is required of a memo that is ours")
	}
	return &activities.MemoChange{
		Number: p.Number, Own: m.Own, Reference: r.text("/memo/reference", m.Reference), CustomerCode: r.text("/memo/customerCode", m.CustomerCode),
		SalesOrder: r.text("/memo/salesOrder", m.SalesOrder), Invoice: r.text("/memo/invoice", m.Invoice), Amount: r.number("/memo/amount", m.Amount),
		Tax: r.number("/memo/tax", m.Tax), Currency: m.Currency, Reason: r.text("/memo/reason", m.Reason),
		TransactionID: r.text("/memo/transactionId", m.TransactionID), RefundStatus: r.required("/memo/refundStatus", m.RefundStatus),
	}
}

func (r *changeReader) shipment(p pushedChange) *canonical.Shipment {
	in := p.Shipment
	shipment := &canonical.Shipment{
		Number: p.Number, OrderID: p.OrderID, SalesOrder: r.text("/shipment/salesOrder", in.SalesOrder), Carrier: r.text("/shipment/carrier", in.Carrier),
		Tracking: r.text("/shipment/tracking", in.Tracking), ShippedOn: in.ShippedOn, Partial: in.Partial, Invoice: r.text("/shipment/invoice", in.Invoice),
	}
	if !isDate(in.ShippedOn) {
		r.report("/shipment/shippedOn", canonical.RulePattern, "must be a date like 2026-11-30")
	}
	if len(in.Lines) == 0 {
		r.report("/shipment/lines", canonical.RuleRequired, "says what left")
	}
	for i, line := range in.Lines {
		at := fmt.Sprintf("/shipment/lines/%d", i)
		shipment.Lines = append(shipment.Lines, canonical.ShipmentLine{
			LineNumber: line.LineNumber, StockCode: r.required(at+"/stockCode", line.StockCode), Quantity: r.number(at+"/quantity", line.Quantity),
		})
	}
	return shipment
}

func (r *changeReader) order(in activities.SalesOrderChange) *activities.SalesOrderChange {
	r.required("/order/salesOrder", in.SalesOrder)
	r.text("/order/reason", in.Reason)
	switch in.State {
	case "open", "ready", "held", "cancelled", "complete":
	default:
		r.report("/order/state", canonical.RuleEnum, "must be open, ready, held, cancelled or complete")
	}
	return &in
}

func (r *changeReader) stock(in pushedStock) *activities.StockChange {
	return &activities.StockChange{
		StockCode: r.required("/stock/stockCode", in.StockCode), Warehouse: r.text("/stock/warehouse", in.Warehouse),
		Available: r.number("/stock/available", in.Available),
	}
}
