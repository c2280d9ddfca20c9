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
	// DataGroup is what one message about many notices of a group says behind their number: "orders are parked at sales-order:
	// connection, erp-syspro".
	DataGroup = "group"
	// DataRefund and DataAmount are the refund that a customer is written about: its id, and "48.19 USD".
	DataRefund = "refundId"
	DataAmount = "amount"
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
	message.Subject = oneLine(fmt.Sprintf("%d %s", countOf(notices), groupTitle(first)), maxSubject)
	message.Text = paragraphs(first.Text, maxText)
	for _, notice := range notices[:min(len(notices), maxItems)] {
		message.Lines = append(message.Lines, oneLine(notice.Subject, maxLine))
	}
	if rest := len(notices) - maxItems; rest > 0 {
		message.Lines = append(message.Lines, fmt.Sprintf("and %d more", rest))
	}
	message.Link = c.link("Open the list", listOf(notices))
	return message
}

// countOf counts orders; notices that are about none count themselves.
func countOf(notices []Notice) int {
	orders := map[string]bool{}
	for _, notice := range notices {
		orders[notice.OrderID] = true
	}
	if orders[""] {
		return len(notices)
	}
	return len(orders)
}

func groupTitle(notice Notice) string {
	if title := notice.Data[DataGroup]; title != "" {
		return title
	}
	return "alerts of one cause: " + notice.Subject
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
