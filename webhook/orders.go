package webhook

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// submitOrder takes an order: 202, or 200 where the caller waited and the payment's outcome is known.
func (s *Server) submitOrder(c echo.Context) error {
	wait, err := s.preferredWait(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	order, problems, err := canonical.DecodeOrder(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		p := invalid(problems)
		if broken(problems) {
			p = newProblem(http.StatusBadRequest, typeMalformed, "")
			p.Errors = problems
		}
		return p
	}
	if !callerOf(c).Covers(order.Channel) {
		return newProblem(http.StatusForbidden, typeForbidden, "the API key is not for this channel")
	}
	ctx := c.Request().Context()
	record, _, err := s.deps.Starter.SubmitOrder(ctx, order)
	if err != nil {
		return err
	}
	entryOf(c).order = record.OrderID
	answer, status, err := s.awaited(c, record, wait)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, answer.Links["self"])
	return c.JSON(status, answer)
}

// awaited waits for the payment's outcome as long as the caller prefers.
func (s *Server) awaited(c echo.Context, record journal.OrderRecord, wait time.Duration) (orderAnswer, int, error) {
	if wait <= 0 {
		return viewOrder(record), http.StatusAccepted, nil
	}
	c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	ctx := c.Request().Context()
	view, known, err := s.deps.Starter.PaymentOutcome(ctx, record.OrderID, wait)
	if err != nil {
		return orderAnswer{}, 0, err
	}
	if record, err = s.deps.Store.Order(ctx, record.OrderID); err != nil {
		return orderAnswer{}, 0, err
	}
	answer := viewOrder(record)
	switch {
	case record.Status.Final(): // ended before anybody asked, or while this was answered: the read model is complete
		return answer, http.StatusOK, nil
	case known:
		answer.follow(view)
		return answer, http.StatusOK, nil
	default:
		return answer, http.StatusAccepted, nil
	}
}

// preferredWait reads "Prefer: wait=N", in seconds, up to what the settings allow (RFC 7240). Other preferences are passed over.
func (s *Server) preferredWait(c echo.Context) (time.Duration, error) {
	for _, header := range c.Request().Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			value, _, _ = strings.Cut(value, ";")
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
			if err != nil || n < 0 || n > 3600 {
				return 0, invalidQuery("Prefer", canonical.RulePattern, "wait must be a number of seconds")
			}
			return min(time.Duration(n)*time.Second, s.deps.HTTP.MaxWait), nil
		}
	}
	return 0, nil
}

var orderIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{1,30}$`)

// order reads the order that the path names, if the caller may see it; else there is none.
func (s *Server) order(c echo.Context) (journal.OrderRecord, error) {
	id := c.Param("orderId")
	if !orderIDShape.MatchString(id) {
		return journal.OrderRecord{}, noOrder()
	}
	record, err := s.deps.Store.Order(c.Request().Context(), id)
	if errors.Is(err, journal.ErrNotFound) {
		return journal.OrderRecord{}, noOrder()
	}
	if err != nil {
		return journal.OrderRecord{}, err
	}
	if key := callerOf(c); !seesEverything(key) && !key.Covers(record.Channel) {
		return journal.OrderRecord{}, noOrder()
	}
	entryOf(c).order = record.OrderID
	return record, nil
}

// shopOrder is order for what only the shop itself may do: a person of the house who is a shop too is bound to its channels.
func (s *Server) shopOrder(c echo.Context) (journal.OrderRecord, error) {
	record, err := s.order(c)
	if err == nil && !callerOf(c).Covers(record.Channel) {
		return journal.OrderRecord{}, noOrder()
	}
	return record, err
}

func noOrder() *problem {
	return newProblem(http.StatusNotFound, typeNotFound, "there is no such order")
}

func (s *Server) showOrder(c echo.Context) error {
	record, err := s.order(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	answer := viewOrder(record)
	payment, err := s.deps.Store.Payment(ctx, record.OrderID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	if err == nil {
		answer.Payment = viewPayment(payment.Payment)
	}
	events, err := s.deps.Store.Timeline(ctx, record.OrderID)
	if err != nil {
		return err
	}
	answer.Timeline = viewEvents(events)
	refunds, err := s.deps.Store.Refunds(ctx, record.OrderID)
	if err != nil {
		return err
	}
	answer.Refunds = viewRefunds(refunds)
	return c.JSON(http.StatusOK, answer)
}

func (s *Server) listOrders(c echo.Context) error {
	filter := journal.OrderFilter{Status: canonical.OrderStatus(c.QueryParam("status")), Cursor: c.QueryParam("cursor")}
	if filter.Status != "" && !knownStatus(filter.Status) {
		return invalidQuery("status", canonical.RuleEnum, "must be a status of an order")
	}
	var err error
	if filter.Limit, err = limitOf(c); err != nil {
		return err
	}
	if filter.NeedsAttention, err = flagOf(c, "needsAttention"); err != nil {
		return err
	}
	if filter.Channels, err = channelsOf(c); err != nil {
		return err
	}
	page, next, err := s.deps.Store.Orders(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := orderList{Orders: make([]orderAnswer, 0, len(page)), Next: next}
	for _, record := range page {
		answer.Orders = append(answer.Orders, viewOrder(record))
	}
	return c.JSON(http.StatusOK, answer)
}

// channelsOf narrows a list to the caller's channels, and among them to the one that is asked for; nil: all.
func channelsOf(c echo.Context) ([]string, error) {
	key, asked := callerOf(c), c.QueryParam("channel")
	free := seesEverything(key) || key.Covers(config.AllChannels)
	switch {
	case asked != "" && !free && !key.Covers(asked):
		return nil, newProblem(http.StatusForbidden, typeForbidden, "the API key is not for this channel")
	case asked != "":
		return []string{asked}, nil
	case free:
		return nil, nil
	default:
		return append([]string{}, key.Channels...), nil
	}
}

const maxLimit = 500

// limitOf reads how much a list may hold; 0: the store's default.
func limitOf(c echo.Context) (int, error) {
	text := c.QueryParam("limit")
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, invalidQuery("limit", canonical.RuleMaximum, "must be between 1 and 500")
	}
	return limit, nil
}

func knownStatus(status canonical.OrderStatus) bool {
	switch status {
	case canonical.OrderReceived, canonical.OrderPreparing, canonical.OrderAuthorizing, canonical.OrderAwaitingPayment, canonical.OrderInReview,
		canonical.OrderCapturing, canonical.OrderBooking, canonical.OrderConfirmed, canonical.OrderShipped, canonical.OrderDeclined,
		canonical.OrderRejected, canonical.OrderCancelled, canonical.OrderCompensated:
		return true
	default:
		return false
	}
}

// newPayment gives a declined order another token.
func (s *Server) newPayment(c echo.Context) error {
	record, err := s.shopOrder(c)
	if err != nil {
		return err
	}
	body, err := readTokenBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Token canonical.Token `json:"token"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	if problems := tokenProblems(in.Token); len(problems) > 0 {
		return invalid(problems)
	}
	answer, err := s.deps.Starter.NewToken(c.Request().Context(), record.OrderID, workflows.NewToken{Token: in.Token, Actor: callerOf(c).Name})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, paymentAnswer{OrderID: record.OrderID, Attempt: answer.Attempt})
}

// tokenPlace is where an order document has what this document has at its root.
const tokenPlace = "/payment"

// readTokenBody is readBody for a document with a token at its root: it is searched as if it stood in an order, so that what an order's token
// value may look like it may look like here.
func readTokenBody(c echo.Context) ([]byte, error) {
	body, err := readBody(c)
	var refused *problem
	if err == nil || body == nil || !errors.As(err, &refused) {
		return body, err
	}
	return body, refuseCards(bytes.Join([][]byte{[]byte(`{"payment":`), body, []byte(`}`)}, nil), tokenPlace)
}

// tokenProblems checks a token by the rules of the order document.
func tokenProblems(token canonical.Token) []canonical.Problem {
	var found []canonical.Problem
	order := canonical.Order{Payment: canonical.PaymentMethod{Token: token, Capture: canonical.CaptureImmediate}}
	for _, problem := range order.Validate() {
		if strings.HasPrefix(problem.Pointer, tokenPlace+"/") {
			problem.Pointer = strings.TrimPrefix(problem.Pointer, tokenPlace)
			found = append(found, problem)
		}
	}
	return found
}

// cancelOrder wishes an order cancelled; the body, with the reason, may be left out.
func (s *Server) cancelOrder(c echo.Context) error {
	record, err := s.cancellable(c)
	if err != nil {
		return err
	}
	reason, err := reasonOf(c)
	if err != nil {
		return err
	}
	answer, err := s.deps.Starter.Cancel(c.Request().Context(), record.OrderID, workflows.CancelRequest{Actor: callerOf(c).Name, Reason: reason})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, cancelAnswer{OrderID: record.OrderID, Status: answer.Status})
}

// cancellable is the order that the caller may cancel: an operator any, a shop its own.
func (s *Server) cancellable(c echo.Context) (journal.OrderRecord, error) {
	if callerOf(c).Has(config.RoleOperator) {
		return s.order(c)
	}
	return s.shopOrder(c)
}
