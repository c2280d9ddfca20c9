package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// The keys of Notice.Data that messages are made of. All are optional.
const (
	DataClass  = "class"    // of a parked step: class of the failure
	DataSystem = "system"   // of a parked step: system outside that failed
	DataStep   = "step"     // of a parked step
	DataRefund = "refundId" // of refund.completed
	DataAmount = "amount"   // of refund.completed: "48.19 USD"
)

// maxItems is how many notices a message about many of them names.
const maxItems = 5

// composer makes messages of notices.
type composer struct{ base *url.URL }

// alert makes one message of notices of one audience and group, at least one.
func (c composer) alert(notices []Notice) Message {
	first := notices[0]
	message := Message{Audience: first.Audience, Kind: first.Kind, Key: keyOf(notices)}
	if len(notices) == 1 {
		message.Subject = oneLine(first.Subject, maxSubject)
		message.Text = paragraphs(first.Text, maxText)
		message.Link = c.link("Open the case", first.Link)
		return message
	}
	message.Subject = oneLine(titleOf(notices), maxSubject)
	message.Text = paragraphs(commonText(notices), maxText)
	for _, notice := range notices[:min(len(notices), maxItems)] {
		message.Lines = append(message.Lines, oneLine(notice.Subject, maxLine))
	}
	if rest := len(notices) - maxItems; rest > 0 {
		message.Lines = append(message.Lines, fmt.Sprintf("and %d more", rest))
	}
	message.Link = c.link("Open the list", listOf(notices))
	return message
}

// titleOf says of many notices of one group what they have in common.
func titleOf(notices []Notice) string {
	first, orders := notices[0], ordersIn(notices)
	switch first.Kind {
	case "step.parked":
		details := strings.Trim(first.Data[DataClass]+", "+first.Data[DataSystem], ", ")
		return strings.TrimSuffix(fmt.Sprintf("%s parked at %s: %s", orders, first.Data[DataStep], details), ": ")
	case "review.opened":
		return orders + " held for review"
	case "review.reminded":
		return orders + " still waiting for a decision"
	case "review.escalated":
		return "Escalated: " + orders + " waiting too long for a decision"
	case "refund.refused":
		return fmt.Sprintf("%d refunds were refused", len(notices))
	case "inbox.given_up":
		return fmt.Sprintf("%d events were given up", len(notices))
	default:
		return fmt.Sprintf("%d alerts of one cause; the first: %s", len(notices), first.Subject)
	}
}

// ordersIn counts orders: one may be there twice, for two of its steps.
func ordersIn(notices []Notice) string {
	orders := map[string]bool{}
	for _, notice := range notices {
		orders[notice.OrderID] = true
	}
	if len(orders) == 1 {
		return "1 order is"
	}
	return fmt.Sprintf("%d orders are", len(orders))
}

// commonText is the text of many notices: what all say, else what the first one says.
func commonText(notices []Notice) string {
	text := notices[0].Text
	if text == "" || !slices.ContainsFunc(notices, func(notice Notice) bool { return notice.Text != text }) {
		return text
	}
	return "The first of them:\n" + text
}

// listOf is the list that all cases are in: the folder that their paths have in common.
func listOf(notices []Notice) string {
	list := notices[0].Link
	for _, notice := range notices[1:] {
		for list != notice.Link && !strings.HasPrefix(notice.Link, strings.TrimSuffix(list, "/")+"/") && list != "/" && list != "." && list != "" {
			list = path.Dir(list)
		}
	}
	return strings.TrimSuffix(list, ".")
}

// link leads to a path under the base address. What is no plain path leads nowhere: an alert must not lead people elsewhere.
func (c composer) link(text, to string) Link {
	target, err := url.Parse(to)
	if err != nil || to == "" || target.IsAbs() || target.Host != "" || target.User != nil || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		return Link{}
	}
	if c.base == nil {
		return Link{text, target.String()}
	}
	full := c.base.JoinPath(target.EscapedPath())
	full.RawQuery, full.Fragment = target.RawQuery, target.Fragment
	return Link{text, full.String()}
}

// keyOf names a set of notices, in whatever order they come.
func keyOf(notices []Notice) string {
	if len(notices) == 1 {
		return notices[0].ID
	}
	ids := make([]string, len(notices))
	for i, notice := range notices {
		ids[i] = notice.ID
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "\x00")))
	return "group-" + hex.EncodeToString(sum[:16])
}
