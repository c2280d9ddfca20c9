package activities

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
)

// The kinds of notices that these steps make. Those to customers name a mail template.
const (
	NoticeParked          = "step.parked"
	NoticeReviewOpened    = "review.opened"
	NoticeReviewReminded  = "review.reminded"
	NoticeReviewEscalated = "review.escalated"
	NoticeRefundProposed  = "refund.proposed"
	NoticeRefundRefused   = "refund.refused"

	NoticeSettlementReport = "settlement.report"

	MailDelayed  = "order.delayed"
	MailRejected = "order.rejected"
	MailRefunded = "refund.completed"
)

// audiences are the people whom a parked step concerns: by the class of its failure, and finance where a settlement day waits.
func audiences(in ParkInput, system string) []journal.Audience {
	if system == settlementSystem {
		return []journal.Audience{journal.AudienceFinance} // what differs, or is to be approved
	}
	concerned := concerned(in.Class)
	if settles(in.WorkflowID) && !slices.Contains(concerned, journal.AudienceFinance) {
		concerned = append(concerned, journal.AudienceFinance)
	}
	return concerned
}

// settles tells the process of a settlement day by its ID.
func settles(workflowID string) bool { return strings.HasPrefix(workflowID, "settlement/") }

// concerned are the people whom a failure of a class concerns.
func concerned(class fault.Kind) []journal.Audience {
	switch class {
	case fault.ClosedPeriod:
		return []journal.Audience{journal.AudienceOperator, journal.AudienceFinance}
	case fault.Connection, fault.RateLimit, fault.Busy, fault.UnknownOutcome, fault.Credentials, fault.Bug:
		return []journal.Audience{journal.AudienceIT, journal.AudienceOperator}
	default:
		return []journal.Audience{journal.AudienceOperator}
	}
}

// parkedNotices tell the people of a parked step. What one outage parks is one group, so that it makes one alert.
func parkedNotices(in ParkInput, system string) []journal.Notice {
	var text strings.Builder
	text.WriteString(in.Summary)
	if in.Suggestion != "" {
		text.WriteString("\n" + in.Suggestion)
	}
	if len(in.Actions) > 0 {
		text.WriteString("\nAnswers: " + strings.Join(in.Actions, ", ") + ".")
	}
	data := map[string]string{"class": string(in.Class), "system": system, "step": in.Step, "workflowId": in.WorkflowID}
	if !in.Deadline.IsZero() {
		data["deadline"] = in.Deadline.UTC().Format("2006-01-02 15:04 MST")
		text.WriteString("\nDecided by itself at " + data["deadline"] + ".")
	}
	what := "Order " + in.OrderID
	if in.OrderID == "" {
		what = in.WorkflowID
	}
	notice := journal.Notice{
		Kind: NoticeParked, Group: strings.Join([]string{string(in.Class), system, in.Step}, "/"), OrderID: in.OrderID,
		Subject: fmt.Sprintf("%s waits at %s (%s)", what, in.Step, in.Class), Text: text.String(), Data: data,
		Link: "/v1/attention/" + in.ID, At: in.Since,
	}
	return toAudiences(notice, "parked/"+in.ID, audiences(in, system)...)
}

// toAudiences makes a notice for each of several audiences.
func toAudiences(notice journal.Notice, id string, audiences ...journal.Audience) []journal.Notice {
	notices := make([]journal.Notice, 0, len(audiences))
	for _, audience := range audiences {
		notice.ID, notice.Audience = id+"/"+audience, audience
		notices = append(notices, notice)
	}
	return notices
}

// mail is a notice to the customer of an order: once of a kind, or of what else. None where the order can't be read: no mail is a reason to
// hold up what it tells of.
func mail(record journal.OrderRecord, kind, what string, data map[string]string) []journal.Notice {
	var order canonical.Order
	if json.Unmarshal(record.Input, &order) != nil || order.Customer.Email == "" {
		return nil
	}
	details := map[string]string{
		"email": order.Customer.Email, "name": customerName(order), "firstName": order.Customer.FirstName, "channel": order.Channel,
		"amount": order.Money(order.Total).String(), "currency": order.Currency,
	}
	for name, value := range data {
		details[name] = value
	}
	return []journal.Notice{{
		ID: strings.TrimSuffix(kind+"/"+record.OrderID+"/"+what, "/"), Audience: journal.AudienceCustomer, Kind: kind, OrderID: record.OrderID,
		Data: details, Link: orderLink(record.OrderID),
	}}
}

func customerName(order canonical.Order) string {
	if name := strings.TrimSpace(order.Customer.FirstName + " " + order.Customer.LastName); name != "" {
		return name
	}
	return order.Customer.Company
}

// The paths of what notices tell of; who sends them puts an address before.
func orderLink(orderID string) string  { return "/v1/orders/" + orderID }
func reviewLink(orderID string) string { return "/v1/fraud-reviews/" + orderID }
func settlementLink(merchant, date string) string {
	return "/v1/settlements/" + date + "/discrepancies?merchant=" + url.QueryEscape(merchant)
}
