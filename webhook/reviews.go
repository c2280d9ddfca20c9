package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// reviewView is a review in one line; openapi.yaml calls it Review.
type reviewView struct {
	OrderID        string                  `json:"orderId"`
	Channel        string                  `json:"channel,omitempty"`
	State          journal.ReviewState     `json:"state"`
	Currency       string                  `json:"currency"`
	Total          string                  `json:"total"`
	Score          string                  `json:"score,omitempty"`
	OrderStatus    canonical.OrderStatus   `json:"orderStatus,omitempty"`
	NeedsAttention bool                    `json:"needsAttention,omitempty"`
	Since          time.Time               `json:"since"`
	RemindedAt     *time.Time              `json:"remindedAt,omitempty"`
	EscalatedAt    *time.Time              `json:"escalatedAt,omitempty"`
	Deadline       *time.Time              `json:"deadline,omitempty"`
	Default        string                  `json:"default,omitempty"`
	Decision       canonical.FraudDecision `json:"decision,omitempty"`
	Actor          string                  `json:"actor,omitempty"`
	Source         string                  `json:"source,omitempty"`
	Comment        string                  `json:"comment,omitempty"`
	DecidedAt      *time.Time              `json:"decidedAt,omitempty"`
	Links          map[string]string       `json:"links"`
}

type reviewList struct {
	Reviews []reviewView `json:"reviews"`
	Next    string       `json:"next,omitempty"`
}

// caseView is all that a person needs to decide; openapi.yaml calls it Case. It shows personal data.
type caseView struct {
	Review    reviewView  `json:"review"`
	Risk      riskView    `json:"risk"`
	PaymentID string      `json:"paymentId,omitempty"`
	Order     caseOrder   `json:"order"`
	Match     matchView   `json:"match"`
	History   historyView `json:"history"`
	Notes     []noteView  `json:"notes"`
}

type riskView struct {
	Score     string              `json:"score,omitempty"`
	Factors   []string            `json:"factors,omitempty"`
	Model     string              `json:"model,omitempty"`
	Profile   string              `json:"profile,omitempty"`
	Queue     string              `json:"queue,omitempty"`
	Priority  string              `json:"priority,omitempty"`
	Rules     []ruleView          `json:"rules,omitempty"`
	Velocity  []string            `json:"velocity,omitempty"`
	InfoCodes map[string][]string `json:"infoCodes,omitempty"`
	AVS       string              `json:"avs,omitempty"`
	CVN       string              `json:"cvn,omitempty"`
}

type ruleView struct {
	Name     string `json:"name"`
	Decision string `json:"decision,omitempty"`
}

type caseOrder struct {
	PlacedAt            time.Time         `json:"placedAt"`
	Customer            caseCustomer      `json:"customer"`
	BillTo              canonical.Address `json:"billTo"`
	ShipTo              canonical.Address `json:"shipTo"`
	Lines               []caseLine        `json:"lines"`
	Shipping            string            `json:"shipping"`
	Discount            string            `json:"discount"`
	CardType            string            `json:"cardType,omitempty"`
	CardSuffix          string            `json:"cardSuffix,omitempty"`
	Device              *canonical.Device `json:"device,omitempty"`
	MerchantDefinedData map[string]string `json:"merchantDefinedData,omitempty"`
}

type caseCustomer struct {
	ID        string `json:"id"`
	Company   string `json:"company,omitempty"`
	Email     string `json:"email"`
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Phone     string `json:"phone,omitempty"`
}

type caseLine struct {
	Line        int    `json:"line"`
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Quantity    string `json:"quantity"`
	UnitPrice   string `json:"unitPrice"`
}

type matchView struct {
	Same    bool     `json:"same"`
	Differs []string `json:"differs,omitempty"`
}

type historyView struct {
	Orders      int         `json:"orders"`
	Confirmed   int         `json:"confirmed"`
	Declined    int         `json:"declined"`
	Rejected    int         `json:"rejected"`
	Refunded    int         `json:"refunded"`
	ChargedBack int         `json:"chargedBack"`
	First       *time.Time  `json:"first,omitempty"`
	Last        *time.Time  `json:"last,omitempty"`
	Spent       []string    `json:"spent,omitempty"`
	Recent      []pastOrder `json:"recent,omitempty"`
}

type pastOrder struct {
	OrderID       string                  `json:"orderId"`
	Status        canonical.OrderStatus   `json:"status"`
	PaymentStatus canonical.PaymentStatus `json:"paymentStatus"`
	Total         string                  `json:"total"`
	Currency      string                  `json:"currency"`
	ReceivedAt    time.Time               `json:"receivedAt"`
}

type noteView struct {
	At       time.Time `json:"at"`
	Note     string    `json:"note"`
	Decision string    `json:"decision,omitempty"`
	Actor    string    `json:"actor,omitempty"`
	Source   string    `json:"source,omitempty"`
	Comment  string    `json:"comment,omitempty"`
	Rule     string    `json:"rule,omitempty"`
}

type decisionAnswer struct {
	OrderID    string                  `json:"orderId"`
	Decision   canonical.FraudDecision `json:"decision"`
	Actor      string                  `json:"actor"`
	Late       bool                    `json:"late"`
	LateReject bool                    `json:"lateReject"`
}

func viewReview(r journal.Review) reviewView {
	self := "/v1/fraud-reviews/" + r.OrderID
	links := map[string]string{"self": self, "order": "/v1/orders/" + r.OrderID}
	if r.State == journal.ReviewOpen {
		links["decision"] = self + "/decision"
	}
	return reviewView{
		OrderID: r.OrderID, State: r.State, Currency: r.Amount.Currency, Total: canonical.FormatAmount(r.Amount.Amount, r.Amount.Currency),
		Score: r.Risk.Score, Since: r.Since, RemindedAt: given(r.RemindedAt), EscalatedAt: given(r.EscalatedAt), Deadline: given(r.Deadline),
		Default: r.Default, Decision: r.Decision, Actor: r.Actor, Source: r.Source, Comment: r.Comment, DecidedAt: given(r.DecidedAt), Links: links,
	}
}

// listReviews lists the reviews that wait for a verdict, or as the query says.
func (s *Server) listReviews(c echo.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	filter := journal.ReviewFilter{State: journal.ReviewState(c.QueryParam("state")), Limit: limit, Cursor: c.QueryParam("cursor")}
	switch filter.State {
	case "":
		filter.State = journal.ReviewOpen
	case "all":
		filter.State = ""
	case journal.ReviewOpen, journal.ReviewDecided, journal.ReviewClosed:
	default:
		return invalidQuery("state", canonical.RuleEnum, "must be open, decided, closed or all")
	}
	if filter.Escalated, err = flagOf(c, "escalated"); err != nil {
		return err
	}
	page, next, err := s.deps.Store.Reviews(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := reviewList{Reviews: make([]reviewView, 0, len(page)), Next: next}
	for _, review := range page {
		answer.Reviews = append(answer.Reviews, viewReview(review))
	}
	return c.JSON(http.StatusOK, answer)
}

// flagOf reads a parameter that is true, false or left out.
func flagOf(c echo.Context, name string) (*bool, error) {
	text := c.QueryParam(name)
	if text == "" {
		return nil, nil
	}
	flag, err := strconv.ParseBool(text)
	if err != nil {
		return nil, invalidQuery(name, canonical.RuleType, "must be true or false")
	}
	return &flag, nil
}

// showReview shows a case with all that is known of it: the gateway's answer, the order, and the customer's other orders.
func (s *Server) showReview(c echo.Context) error {
	record, err := s.order(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	review, err := s.deps.Store.Review(ctx, record.OrderID)
	if errors.Is(err, journal.ErrNotFound) {
		return newProblem(http.StatusNotFound, typeNotFound, "the order was never under review")
	}
	if err != nil {
		return err
	}
	var order canonical.Order
	if err := json.Unmarshal(record.Input, &order); err != nil {
		return fmt.Errorf("read order %s: not an order", record.OrderID)
	}
	payment, err := s.deps.Store.Payment(ctx, record.OrderID)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	history, err := s.deps.Store.CustomerHistory(ctx, record.OrderID)
	if err != nil {
		return err
	}
	answer := caseView{
		Review: viewReview(review), Risk: viewRisk(review.Risk), PaymentID: review.PaymentID, Order: viewCaseOrder(order, payment.Payment),
		Match: matchAddresses(order.BillTo, order.ShipTo), History: viewHistory(history), Notes: viewNotes(review.Notes),
	}
	answer.Review.Channel, answer.Review.OrderStatus, answer.Review.NeedsAttention = record.Channel, record.Status, record.NeedsAttention
	return c.JSON(http.StatusOK, answer)
}

// velocityCodes is the group of the gateway's information codes that people look at first.
const velocityCodes = "velocity"

func viewRisk(r journal.ReviewRisk) riskView {
	view := riskView{
		Score: r.Score, Factors: r.Factors, Model: r.Model, Profile: r.Profile, Queue: r.Queue, Priority: r.Priority, AVS: r.AVS, CVN: r.CVN,
	}
	for _, rule := range r.Rules {
		view.Rules = append(view.Rules, ruleView{Name: rule.Name, Decision: rule.Decision})
	}
	for group, codes := range r.InfoCodes {
		if strings.EqualFold(group, velocityCodes) {
			view.Velocity = codes
			continue
		}
		if view.InfoCodes == nil {
			view.InfoCodes = map[string][]string{}
		}
		view.InfoCodes[group] = codes
	}
	return view
}

func viewCaseOrder(o canonical.Order, p canonical.Payment) caseOrder {
	view := caseOrder{
		PlacedAt: o.PlacedAt, BillTo: o.BillTo, ShipTo: o.ShipTo, Lines: make([]caseLine, 0, len(o.Lines)),
		Customer: caseCustomer{
			ID: o.Customer.ID, Company: o.Customer.Company, Email: o.Customer.Email, FirstName: o.Customer.FirstName,
			LastName: o.Customer.LastName, Phone: o.Customer.Phone,
		},
		Shipping: canonical.FormatAmount(o.Shipping, o.Currency), Discount: canonical.FormatAmount(o.Discount, o.Currency),
		CardType: p.CardType, CardSuffix: p.CardSuffix, MerchantDefinedData: o.MerchantDefinedData,
	}
	for i, line := range o.Lines {
		view.Lines = append(view.Lines, caseLine{
			Line: i + 1, SKU: line.SKU, Description: line.Description, Quantity: line.Quantity.String(), UnitPrice: line.UnitPrice.String(),
		})
	}
	if o.Device != (canonical.Device{}) {
		view.Device = &o.Device
	}
	return view
}

// matchAddresses says in what bill-to and ship-to differ; case and blanks make no difference.
func matchAddresses(bill, ship canonical.Address) matchView {
	var differs []string
	for _, part := range []struct{ name, bill, ship string }{
		{"name", bill.Name, ship.Name}, {"street", bill.Line1 + " " + bill.Line2, ship.Line1 + " " + ship.Line2}, {"city", bill.City, ship.City},
		{"region", bill.Region, ship.Region}, {"postal code", bill.PostalCode, ship.PostalCode}, {"country", bill.Country, ship.Country},
	} {
		if !strings.EqualFold(strings.Join(strings.Fields(part.bill), " "), strings.Join(strings.Fields(part.ship), " ")) {
			differs = append(differs, part.name)
		}
	}
	return matchView{Same: len(differs) == 0, Differs: differs}
}

func viewHistory(h journal.CustomerHistory) historyView {
	view := historyView{
		Orders: h.Orders, Confirmed: h.Confirmed, Declined: h.Declined, Rejected: h.Rejected, Refunded: h.Refunded, ChargedBack: h.ChargedBack,
		First: given(h.First), Last: given(h.Last),
	}
	for _, spent := range h.Spent {
		view.Spent = append(view.Spent, canonical.FormatAmount(spent.Amount, spent.Currency)+" "+spent.Currency)
	}
	for _, r := range h.Recent {
		view.Recent = append(view.Recent, pastOrder{
			OrderID: r.OrderID, Status: r.Status, PaymentStatus: r.PaymentStatus, Total: canonical.FormatAmount(r.Total, r.Currency),
			Currency: r.Currency, ReceivedAt: r.ReceivedAt,
		})
	}
	return view
}

func viewNotes(notes []journal.ReviewNoteRecord) []noteView {
	list := make([]noteView, 0, len(notes))
	for _, n := range notes {
		list = append(list, noteView{
			At: n.At, Note: n.Note, Decision: string(n.Decision), Actor: n.Actor, Source: n.Source, Comment: n.Comment, Rule: n.Rule,
		})
	}
	return list
}

// decide takes an analyst's verdict. Who decided is who the key says, whatever the body holds.
func (s *Server) decide(c echo.Context) error {
	record, err := s.order(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var in struct {
		Decision     canonical.FraudDecision `json:"decision"`
		Comment      string                  `json:"comment"`
		MarkCustomer bool                    `json:"markCustomer"`
	}
	if err := decode(body, &in); err != nil {
		return err
	}
	problems := checkRemark("/comment", in.Comment)
	if in.Decision != canonical.FraudAccept && in.Decision != canonical.FraudReject {
		problems = append(problems, canonical.Problem{Pointer: "/decision", Rule: canonical.RuleEnum, Message: "must be accept or reject"})
	}
	if in.MarkCustomer && in.Decision == canonical.FraudAccept {
		problems = append(problems, canonical.Problem{Pointer: "/markCustomer", Rule: canonical.RuleCombination, Message: "goes with reject only"})
	}
	if len(problems) > 0 {
		return invalid(problems)
	}
	verdict, err := s.deps.Starter.Decide(c.Request().Context(), record.OrderID, workflows.Decision{
		Decision: in.Decision, Comment: in.Comment, Actor: callerOf(c).Name, Source: workflows.SourceAPI, Mark: in.MarkCustomer,
	})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, decisionAnswer{
		OrderID: record.OrderID, Decision: verdict.Decision, Actor: verdict.Actor, Late: verdict.Late, LateReject: verdict.LateReject,
	})
}
