package notify

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// The kinds of mail that customers get.
const (
	OrderDelayed    = "order.delayed"    // held up by an outage; nothing for the customer to do
	OrderRejected   = "order.rejected"   // not accepted, money given back; never why
	RefundCompleted = "refund.completed" // money is on its way back
)

// CustomerKinds are all of them.
func CustomerKinds() []string { return []string{OrderDelayed, OrderRejected, RefundCompleted} }

// Orders gives orders with their input.
type Orders interface {
	Order(ctx context.Context, orderID string) (journal.OrderRecord, error)
}

// Customers writes the mails that customers get.
type Customers struct {
	Orders    Orders
	Templates *Templates
	Route     Route
}

// mootError tells that a mail is not true any more, or that nobody is to be written to.
type mootError struct{ why string }

func (e *mootError) Error() string { return e.why }

// Write makes the mail of a notice. The order is read when it is written, so that nobody is told what has changed since.
func (c *Customers) Write(ctx context.Context, notice Notice) (Message, error) {
	if !slices.Contains(CustomerKinds(), notice.Kind) {
		return Message{}, &fault.Fault{Kind: fault.Value, System: "mail", Code: "KIND", Message: "customers get no mail of this kind"}
	}
	record, err := c.Orders.Order(ctx, notice.OrderID)
	if errors.Is(err, journal.ErrNotFound) {
		return Message{}, &mootError{"there is no such order"}
	}
	if err != nil {
		return Message{}, &fault.Fault{Kind: fault.Connection, System: "journal", Message: "the order can't be read", Err: err}
	}
	if notice.Kind == OrderDelayed && !waits(record.Status) {
		return Message{}, &mootError{"the order is not delayed any more"}
	}
	var order canonical.Order
	if err := json.Unmarshal(record.Input, &order); err != nil {
		return Message{}, &fault.Fault{Kind: fault.Value, System: "journal", Message: "the order's document can't be read"} // err may quote it
	}
	letter, err := c.Templates.Render(notice.Kind, letterData(order, notice))
	if err != nil {
		return Message{}, err
	}
	name := safeName(strings.TrimSpace(order.Customer.FirstName + " " + order.Customer.LastName))
	return Message{
		Audience: Customer, Kind: notice.Kind, Subject: letter.Subject, Text: letter.Text, HTML: letter.HTML, Key: notice.ID,
		To: Recipient{Name: name, Address: order.Customer.Email},
	}, nil
}

// waits tells whether an order of this status still can be delayed.
func waits(status canonical.OrderStatus) bool {
	switch status {
	case canonical.OrderConfirmed, canonical.OrderShipped, canonical.OrderDeclined, canonical.OrderRejected, canonical.OrderCancelled,
		canonical.OrderCompensated:
		return false
	default:
		return true
	}
}

// Letter is what templates see of an order: nothing of the payment, and nothing of why it was rejected.
type Letter struct {
	Order     string // its id
	Channel   string
	Date      string // when it was placed, "20 November 2026"
	FirstName string // "" where it could not be one: greet without it
	LastName  string
	Total     string // "48.19"
	Currency  string
	Lines     []LetterLine
	Refund    *LetterRefund // of refund.completed
}

// LetterLine is one line of the order.
type LetterLine struct{ Description, Quantity string }

// LetterRefund is what is paid back.
type LetterRefund struct {
	ID     string
	Amount string // "48.19 USD"; "" where it is not told
}

func letterData(order canonical.Order, notice Notice) Letter {
	letter := Letter{
		Order: oneLine(order.OrderID, maxName), Channel: oneLine(order.Channel, maxName), Date: order.PlacedAt.Format("2 January 2006"),
		FirstName: safeName(order.Customer.FirstName), LastName: safeName(order.Customer.LastName),
		Total: canonical.FormatAmount(order.Total, order.Currency), Currency: oneLine(order.Currency, maxName),
	}
	for _, line := range order.Lines {
		letter.Lines = append(letter.Lines, LetterLine{oneLine(line.Description, maxLine), line.Quantity.String()})
	}
	if notice.Kind == RefundCompleted {
		letter.Refund = &LetterRefund{ID: oneLine(notice.Data[DataRefund], maxName), Amount: oneLine(notice.Data[DataAmount], maxName)}
	}
	return letter
}

// addressLike fits what mail programs turn into links.
var addressLike = regexp.MustCompile(`(?i)://|www\.|@|/|\pL\.\pL{2,}`)

// safeName gives a name for a greeting, or "" for what can't be one. Whoever types a name into a shop decides who gets the mail: a "name"
// that advertises an address would make us the sender of it.
func safeName(text string) string {
	name := oneLine(text, maxName+1)
	if len([]rune(name)) > maxName || addressLike.MatchString(name) {
		return ""
	}
	return name
}
