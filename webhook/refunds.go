package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/starter"
	"github.com/tenderline/tenderline/workflows"
)

// refundAnswer is a refund as the API shows it; openapi.yaml calls it Refund. Amounts are in the order's currency.
type refundAnswer struct {
	OrderID       string                 `json:"orderId"`
	RefundID      string                 `json:"refundId"`
	Status        canonical.RefundStatus `json:"status"`
	Amount        string                 `json:"amount"`
	Currency      string                 `json:"currency"`
	Net           string                 `json:"net"`
	Tax           string                 `json:"tax"`
	Shipping      string                 `json:"shipping"`
	Lines         []refundLine           `json:"lines,omitempty"`
	Way           string                 `json:"way,omitempty"`
	Restock       bool                   `json:"restock"`
	Reason        string                 `json:"reason,omitempty"`
	Origin        string                 `json:"origin"`
	Actor         string                 `json:"actor,omitempty"`
	CancelsOrder  bool                   `json:"cancelsOrder,omitempty"`
	TransactionID string                 `json:"transactionId,omitempty"`
	ErpCreditMemo string                 `json:"erpCreditMemo,omitempty"`
	ErpRefund     string                 `json:"erpRefund,omitempty"`
	Why           string                 `json:"why,omitempty"`
	CreatedAt     time.Time              `json:"createdAt"`
	UpdatedAt     time.Time              `json:"updatedAt"`
	Links         map[string]string      `json:"links"`
}

type refundLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity string `json:"quantity"`
	Net      string `json:"net"`
	Tax      string `json:"tax"`
}

type refundList struct {
	Refunds []refundAnswer `json:"refunds"`
}

func viewRefund(r journal.RefundRecord) refundAnswer {
	amount := func(d decimal.Decimal) string { return canonical.FormatAmount(d, r.Currency) }
	order := "/v1/orders/" + r.OrderID
	answer := refundAnswer{
		OrderID: r.OrderID, RefundID: r.RefundID, Status: r.Status, Amount: amount(r.Amount), Currency: r.Currency,
		Net: amount(r.Breakdown.Net), Tax: amount(r.Breakdown.Tax), Shipping: amount(r.Breakdown.Shipping), Way: r.Way, Restock: r.Restock,
		Reason: r.Reason, Origin: r.Origin, Actor: r.Actor, CancelsOrder: r.Cancels, TransactionID: r.TransactionID,
		ErpCreditMemo: r.ErpCreditMemo, ErpRefund: r.ErpRefund, Why: r.Why, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		Links: map[string]string{"self": order + "/refunds/" + r.RefundID, "order": order},
	}
	if answer.ErpCreditMemo == "" {
		answer.ErpCreditMemo = r.CreditMemo // the memo that asked for it
	}
	for _, line := range r.Breakdown.Lines {
		answer.Lines = append(answer.Lines, refundLine{
			Line: line.Line, SKU: line.SKU, Quantity: line.Quantity.String(), Net: amount(line.Net), Tax: amount(line.Tax),
		})
	}
	return answer
}

func viewRefunds(records []journal.RefundRecord) []refundAnswer {
	list := make([]refundAnswer, 0, len(records))
	for _, record := range records {
		list = append(list, viewRefund(record))
	}
	return list
}

// requestRefund takes a refund: 202, or 200 where the caller waited and it has ended.
func (s *Server) requestRefund(c echo.Context) error {
	wait, err := s.preferredWait(c)
	if err != nil {
		return err
	}
	order, origin, err := s.refundable(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	request, err := decodeRefund(body)
	if err != nil {
		return err
	}
	request.Actor, request.Origin = callerOf(c).Name, origin
	ctx := c.Request().Context()
	record, _, err := s.deps.Starter.RequestRefund(ctx, order.OrderID, request)
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	if wait > 0 {
		c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		if record, err = s.refundEnd(ctx, record, wait); err != nil {
			return err
		}
		if record.Status.Final() {
			status = http.StatusOK
		}
	}
	answer := viewRefund(record)
	c.Response().Header().Set(echo.HeaderLocation, answer.Links["self"])
	return c.JSON(status, answer)
}

// refundable is the order that the caller may refund, and as whom: operators and finance any, a shop its own.
func (s *Server) refundable(c echo.Context) (journal.OrderRecord, workflows.RefundOrigin, error) {
	if callerOf(c).Has(config.RoleOperator, config.RoleFinance) {
		record, err := s.order(c)
		return record, workflows.OriginOperator, err
	}
	record, err := s.shopOrder(c)
	return record, workflows.OriginShop, err
}

// The pauses between two looks at a refund that a caller waits for.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = time.Second
)

// refundEnd looks at the read model until a refund has ended, at most so long; it gives the refund as it then stands.
func (s *Server) refundEnd(ctx context.Context, record journal.RefundRecord, wait time.Duration) (journal.RefundRecord, error) {
	over := time.After(wait)
	for look := firstLook; !record.Status.Final(); look = min(2*look, lastLook) {
		select {
		case <-over:
			return record, nil
		case <-ctx.Done():
			return record, ctx.Err()
		case <-time.After(look):
		}
		var err error
		if record, err = s.deps.Store.Refund(ctx, record.OrderID, record.RefundID); err != nil {
			return record, err
		}
	}
	return record, nil
}

// decodeRefund reads a refund document; every number in it is bounded before anything is calculated with it.
func decodeRefund(body []byte) (starter.RefundRequest, error) {
	var in struct {
		RefundID string          `json:"refundId"`
		Amount   json.RawMessage `json:"amount"`
		Lines    []struct {
			Line     int             `json:"line"`
			Quantity json.RawMessage `json:"quantity"`
		} `json:"lines"`
		Shipping json.RawMessage `json:"shipping"`
		Restock  bool            `json:"restock"`
		Reason   string          `json:"reason"`
	}
	if err := decode(body, &in); err != nil {
		return starter.RefundRequest{}, err
	}
	problems := checkRemark("/reason", in.Reason)
	request := starter.RefundRequest{RefundID: in.RefundID, Restock: in.Restock, Reason: in.Reason}
	request.Wish.Amount = number(in.Amount, "/amount", &problems)
	request.Wish.Shipping = number(in.Shipping, "/shipping", &problems)
	if in.Lines != nil {
		request.Wish.Lines = []canonical.RefundLine{}
	}
	for i, line := range in.Lines {
		pointer := "/lines/" + strconv.Itoa(i) + "/quantity"
		wished := canonical.RefundLine{Line: line.Line}
		if quantity := number(line.Quantity, pointer, &problems); quantity != nil {
			wished.Quantity = *quantity
		} else if len(problems) == 0 {
			problems = append(problems, canonical.Problem{Pointer: pointer, Rule: canonical.RuleRequired, Message: "is required"})
		}
		request.Wish.Lines = append(request.Wish.Lines, wished)
	}
	if len(problems) > 0 {
		return starter.RefundRequest{}, invalid(problems)
	}
	return request, nil
}

var numberShape = regexp.MustCompile(`^-?[0-9]{1,20}(\.[0-9]{1,20})?$`)

// number reads an exact number of a bounded length, written as a JSON string or a JSON number; nil where there is none.
func number(text json.RawMessage, pointer string, problems *[]canonical.Problem) *decimal.Decimal {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	plain := strings.TrimSuffix(strings.TrimPrefix(string(text), `"`), `"`)
	value, err := decimal.NewFromString(plain)
	if err != nil || !numberShape.MatchString(plain) {
		*problems = append(*problems, canonical.Problem{Pointer: pointer, Rule: canonical.RuleType, Message: "must be a decimal number such as 19.95"})
		return nil
	}
	return &value
}

func (s *Server) listRefunds(c echo.Context) error {
	order, err := s.order(c)
	if err != nil {
		return err
	}
	records, err := s.deps.Store.Refunds(c.Request().Context(), order.OrderID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, refundList{Refunds: viewRefunds(records)})
}

func (s *Server) showRefund(c echo.Context) error {
	order, err := s.order(c)
	if err != nil {
		return err
	}
	id := c.Param("refundId")
	if !orderIDShape.MatchString(id) { // both ids have the same shape
		return noRefund()
	}
	record, err := s.deps.Store.Refund(c.Request().Context(), order.OrderID, id)
	if errors.Is(err, journal.ErrNotFound) {
		return noRefund()
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, viewRefund(record))
}

func noRefund() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "there is no such refund")
}
