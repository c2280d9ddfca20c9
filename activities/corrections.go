package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/mappings"
)

// CodeCorrection marks a correction that is refused. Each field of the fault names a place of the correction, as in /order/billTo/line1, and the
// rule that it breaks.
const CodeCorrection = "CORRECTION"

// The rules of corrections beside those of orders.
const (
	RulePointer    = "pointer"         // no RFC 6901 pointer to a place that is there, or may be
	RuleCorrection = "not_correctable" // a place that no correction may change
)

// Bounds of a correction, which an operator writes by hand.
const (
	mostCorrected     = 100
	longestCorrection = 1000 // characters of a text
)

// CorrectOrder applies an operator's correction to an order and its documents. It may change neither money nor payment nor what the order is
// known by. The order is validated as a new one is, and what the correction touches is mapped anew; the journal keeps the original, and the
// audit the places that were changed, never their values.
func (o *Orders) CorrectOrder(ctx context.Context, in CorrectOrderInput) (CorrectedOrder, error) {
	corrected, err := o.correctOrder(ctx, in)
	return corrected, toTemporal(err)
}

func (o *Orders) correctOrder(ctx context.Context, in CorrectOrderInput) (CorrectedOrder, error) {
	if err := in.Correction.check(); err != nil {
		return CorrectedOrder{}, err
	}
	order, err := correctedOrder(in.Order, in.Correction.Order)
	if err != nil {
		return CorrectedOrder{}, err
	}
	documents, err := o.remapped(in, order)
	if err != nil {
		return CorrectedOrder{}, err
	}
	if err := o.correctDocument(&documents, in, order); err != nil {
		return CorrectedOrder{}, err
	}
	return CorrectedOrder{Order: order, Documents: documents}, o.keepCorrection(ctx, in, order)
}

// keepCorrection stores the corrected order and the audit of it; the same correction of the same parked step once.
func (o *Orders) keepCorrection(ctx context.Context, in CorrectOrderInput, order canonical.Order) error {
	var input []byte // none: the order stays as it is
	if len(in.Correction.Order) > 0 {
		var err error
		if input, err = json.Marshal(order); err != nil {
			return fmt.Errorf("encode corrected order: %w", err)
		}
	}
	correction, err := json.Marshal(in.Correction)
	if err != nil {
		return fmt.Errorf("encode correction: %w", err)
	}
	sum := sha256.Sum256(correction)
	return absent(o.Journal.SaveCorrection(ctx, order.OrderID, input, journal.Action{
		Key: "correct/" + in.AttentionID + "/" + hex.EncodeToString(sum[:]), Actor: in.Actor, Action: "correct", Reason: in.Reason,
		Detail: map[string]string{"attentionId": in.AttentionID, "step": in.Step, "changed": strings.Join(in.Correction.Places(), " ")},
	}))
}

// placeOf names a place for people; a pointer that holds a card number is not repeated.
func placeOf(part, pointer string) string {
	if canonical.HoldsCardNumber(pointer) {
		pointer = "/*"
	}
	return "/" + part + pointer
}

// refusals gathers what is wrong with a correction, to tell all of it at once.
type refusals []fault.Field

func (r *refusals) add(place, rule, message string) {
	*r = append(*r, fault.Field{Path: place, Rule: rule + ": " + message})
}

func (r refusals) fault() error {
	if len(r) == 0 {
		return nil
	}
	return &fault.Fault{Kind: fault.Value, System: "tenderline", Code: CodeCorrection, Message: "the correction can't be taken", Fields: r}
}

// check finds what is wrong with a correction whatever it corrects.
func (c Correction) check() error {
	var refused refusals
	if c.Empty() {
		refused.add("", canonical.RuleRequired, "nothing is corrected")
	}
	if len(c.Order)+len(c.Document) > mostCorrected {
		refused.add("", canonical.RuleMaxItems, fmt.Sprintf("at most %d places are corrected at once", mostCorrected))
		return refused.fault()
	}
	if _, err := time.Parse(time.DateOnly, c.Date); err != nil && c.Date != "" {
		refused.add("/date", canonical.RulePattern, "must be a date, YYYY-MM-DD")
	}
	for part, values := range map[string]map[string]any{"order": c.Order, "document": c.Document} {
		for pointer, value := range values {
			checkCard(&refused, placeOf(part, pointer), pointer, value)
		}
	}
	slices.SortFunc(refused, func(a, b fault.Field) int { return strings.Compare(a.Path, b.Path) })
	return refused.fault()
}

// checkCard refuses a card number in a pointer, or in a value whose place does not tell that it is none.
func checkCard(refused *refusals, place, pointer string, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		refused.add(place, canonical.RuleType, "is not a JSON value")
		return
	}
	found, err := canonical.FindCardNumbers(body)
	if err != nil || len(found) > 0 && !spared(pointer) || canonical.HoldsCardNumber(pointer) {
		refused.add(place, canonical.RuleCardNumber, "holds what looks like a card number")
	}
}

// spared are the places of an order where article numbers may look like cards; the whole order is searched in its turn.
func spared(pointer string) bool {
	return strings.HasPrefix(pointer, "/lines/") && strings.HasSuffix(pointer, "/sku")
}

// correctedOrder is the order with the corrections, valid as a whole.
func correctedOrder(order canonical.Order, corrections map[string]any) (canonical.Order, error) {
	if len(corrections) == 0 {
		return order, nil
	}
	body, err := json.Marshal(order)
	if err != nil {
		return order, fmt.Errorf("encode order: %w", err)
	}
	var refused refusals
	edited := json.RawMessage(body)
	for _, pointer := range slices.Sorted(maps.Keys(corrections)) {
		edited = correctPlace(&refused, edited, pointer, corrections[pointer])
	}
	if len(refused) > 0 {
		return order, refused.fault()
	}
	corrected, err := readCorrected(edited)
	if err != nil {
		return order, err
	}
	if !sameDeal(order, corrected) {
		return order, bug("a correction of order %s would change what was agreed", order.OrderID)
	}
	return corrected, nil
}

// correctPlace sets one place of an order, or says why not.
func correctPlace(refused *refusals, body json.RawMessage, pointer string, value any) json.RawMessage {
	place := placeOf("order", pointer)
	path, ok := parsePointer(pointer)
	switch {
	case !ok:
		refused.add(place, RulePointer, "is no RFC 6901 pointer to a member")
		return body
	case agreed(path):
		refused.add(place, RuleCorrection, "money, payment, channel, time and id of an order are never corrected")
		return body
	}
	edited, err := setAt(body, path, value)
	if err != nil {
		refused.add(place, RulePointer, err.Error())
		return body
	}
	return edited
}

// agreed tells that a place belongs to what was agreed with the customer, or holds such a place.
func agreed(path []string) bool {
	switch path[0] {
	case "orderId", "channel", "placedAt", "currency", "shipping", "discount", "total", "payment":
		return true
	case "lines":
		return len(path) < 3 || slices.Contains([]string{"quantity", "unitPrice", "discount", "tax"}, path[2])
	default:
		return false
	}
}

// readCorrected reads a corrected order as one that is posted: unknown members, wrong types and broken rules are refused, and card numbers.
func readCorrected(body []byte) (canonical.Order, error) {
	var refused refusals
	found, err := canonical.FindCardNumbers(body)
	if err != nil {
		return canonical.Order{}, bug("corrected order: %v", err)
	}
	for _, finding := range found {
		refused.add("/order"+finding.Pointer, canonical.RuleCardNumber, "holds what looks like a card number")
	}
	order, problems, err := canonical.DecodeOrder(bytes.NewReader(body))
	if err != nil {
		return canonical.Order{}, err
	}
	for _, problem := range problems {
		refused.add(placeOf("order", problem.Pointer), problem.Rule, problem.Message)
	}
	return order, refused.fault()
}

// sameDeal tells that two orders are the same but for what may be corrected.
func sameDeal(a, b canonical.Order) bool {
	same := a.OrderID == b.OrderID && a.Channel == b.Channel && a.PlacedAt.Equal(b.PlacedAt) && a.Currency == b.Currency && a.Payment == b.Payment &&
		a.Shipping.Equal(b.Shipping) && a.Discount.Equal(b.Discount) && a.Total.Equal(b.Total)
	return same && slices.EqualFunc(a.Lines, b.Lines, func(a, b canonical.LineItem) bool {
		return a.Quantity.Equal(b.Quantity) && a.UnitPrice.Equal(b.UnitPrice) && a.Discount.Equal(b.Discount) && a.Tax.Equal(b.Tax)
	})
}

// remapped are the documents of a corrected order. One that the correction does not touch stays as it was made; one that it does is mapped
// anew, and keeps what was corrected in it before.
func (o *Orders) remapped(in CorrectOrderInput, order canonical.Order) (Documents, error) {
	if len(in.Correction.Order) == 0 {
		return in.Documents, nil
	}
	fresh, err := o.documents(PrepareOrderInput{Order: order, Erp: in.Erp, Site: in.Site})
	if err != nil {
		return fresh, err
	}
	before, err := o.documents(PrepareOrderInput{Order: in.Order, Erp: in.Erp, Site: in.Site})
	if err != nil {
		return fresh, nil // the order could not be mapped before: that is what the correction mends
	}
	kept, was := documentsByName(in.Documents, in.Erp), documentsByName(before, in.Erp)
	for name, document := range fresh.byMapping(in.Erp) {
		if kept[name].Body != nil && bytes.Equal(document.Body, was[name].Body) && document.Skipped == was[name].Skipped {
			*document = kept[name]
			continue
		}
		if kept[name].Hash != was[name].Hash || document.Skipped {
			continue // made by other rules: what differs may be theirs
		}
		rules, err := o.rules(name, order, in)
		if err != nil {
			return fresh, err
		}
		if document.Body, err = rules.carry(document.Body, kept[name].Body, was[name].Body); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

func documentsByName(documents Documents, erp string) map[string]mappings.Document {
	return maps.Collect(func(yield func(string, mappings.Document) bool) {
		for name, document := range documents.byMapping(erp) {
			if !yield(name, *document) {
				return
			}
		}
	})
}

// correctDocument sets what is corrected of the document of the parked step.
func (o *Orders) correctDocument(documents *Documents, in CorrectOrderInput, order canonical.Order) error {
	if len(in.Correction.Document) == 0 {
		return nil
	}
	var refused refusals
	mapping, known := map[string]string{"sales-order": "/sales_order", "invoice": "/invoice", "receipt": "/receipt", "check": "/customer"}[in.Step]
	if !known {
		refused.add("/document", RuleCorrection, fmt.Sprintf("step %q sends no document that can be corrected", in.Step))
		return refused.fault()
	}
	document := documentsOf(documents, in.Erp)[in.Erp+mapping]
	if document.Skipped || len(document.Body) == 0 {
		refused.add("/document", RuleCorrection, "the step has no document to send")
		return refused.fault()
	}
	rules, err := o.rules(in.Erp+mapping, order, in)
	if err != nil {
		return err
	}
	body := document.Body
	for _, pointer := range slices.Sorted(maps.Keys(in.Correction.Document)) {
		body = rules.correct(&refused, body, pointer, in.Correction.Document[pointer])
	}
	document.Body = body
	return refused.fault()
}

func documentsOf(documents *Documents, erp string) map[string]*mappings.Document {
	return maps.Collect(documents.byMapping(erp))
}

// targetRules tell how each target of a document came about.
type targetRules map[string]mappings.Explanation

// rules explains the document that a mapping makes of an order.
func (o *Orders) rules(name string, order canonical.Order, in CorrectOrderInput) (targetRules, error) {
	mapping, err := o.Mappings.Mapping(name)
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	_, explanations, err := mapping.Explain(o.expected(PrepareOrderInput{Order: order, Erp: in.Erp, Site: in.Site}))
	if err != nil {
		return nil, mappings.AsFault(err)
	}
	rules := make(targetRules, len(explanations))
	for _, explanation := range explanations {
		rules[explanation.Target] = explanation
	}
	return rules, nil
}

// agreedSource finds in a rule's source what was agreed with the customer, and what documents are found by.
var agreedSource = regexp.MustCompile(`\b(quantity|unitPrice|extended|lineDiscount|headerDiscount|discount|tax|net|total|shipping|currency|payment|` +
	`captured|authorized|refunded|amount|orderId|order\.customer\.id)\b`)

// constantSource is the source of a rule that reads nothing and has a default.
const constantSource = `""`

// correctable says why a place can't be corrected; "" where it can. Late targets are made again when the document is sent, so that a correction
// would be lost; constants are the mapping's own.
func (rules targetRules) correctable(path []string) (rule, message string) {
	var leaf mappings.Explanation
	known := false
	for i := range path {
		explanation, there := rules[targetOf(path[:i+1])]
		if there && explanation.Late {
			return RuleCorrection, "is filled in when the document is sent: correct its source"
		}
		if there {
			leaf, known = explanation, true
		}
	}
	switch {
	case !known:
		return canonical.RuleUnknownField, "is no target of the mapping"
	case leaf.Source == constantSource:
		return RuleCorrection, "is fixed by the mapping"
	case agreedSource.MatchString(leaf.Source):
		return RuleCorrection, "amounts, quantities, payment and ids are never corrected"
	default:
		return "", ""
	}
}

// targetOf writes a path as the mappings write targets: LineItems[0].StockCode.
func targetOf(path []string) string {
	var target strings.Builder
	for i, token := range path {
		_, err := strconv.Atoi(token)
		switch {
		case err == nil:
			target.WriteString("[" + token + "]")
		case i > 0:
			target.WriteString("." + token)
		default:
			target.WriteString(token)
		}
	}
	return target.String()
}

// pathOf reads a target of the mappings.
func pathOf(target string) []string {
	return strings.FieldsFunc(target, func(r rune) bool { return strings.ContainsRune(".[]", r) })
}

// correct sets one place of a document, or says why not.
func (rules targetRules) correct(refused *refusals, body json.RawMessage, pointer string, value any) json.RawMessage {
	place := placeOf("document", pointer)
	path, ok := parsePointer(pointer)
	if !ok {
		refused.add(place, RulePointer, "is no RFC 6901 pointer to a member")
		return body
	}
	if rule, message := rules.correctable(path); rule != "" {
		refused.add(place, rule, message)
		return body
	}
	current, there := valueAt(body, path)
	if _, target := rules[targetOf(path)]; !there && !target {
		refused.add(place, RulePointer, "there is no such place")
		return body
	}
	if message := unfit(current, there, value); message != "" {
		refused.add(place, canonical.RuleType, message)
		return body
	}
	edited, err := setAt(body, path, value)
	if err != nil {
		refused.add(place, RulePointer, err.Error())
		return body
	}
	return edited
}

// unfit says why a value can't stand in a document where another one stands, or may stand. Numbers are amounts, quantities and line numbers there.
func unfit(current json.RawMessage, there bool, value any) string {
	switch text := value.(type) {
	case string:
		if there && current[0] != '"' {
			return "must be of the kind that is there"
		}
		if len(text) > longestCorrection || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Sprintf("must be a text of at most %d characters without control characters", longestCorrection)
		}
	case bool:
		if there && current[0] != 't' && current[0] != 'f' {
			return "must be of the kind that is there"
		}
	default:
		return "must be a text, or true or false"
	}
	return ""
}

// carry puts into a document what was corrected by hand in its predecessor: where that differs from what the same rules had made.
func (rules targetRules) carry(body, kept, made json.RawMessage) (json.RawMessage, error) {
	for _, target := range slices.Sorted(maps.Keys(rules)) {
		path := pathOf(target)
		if rule, _ := rules.correctable(path); rule != "" {
			continue
		}
		value, there := valueAt(kept, path)
		if before, was := valueAt(made, path); !there || value[0] != '"' && value[0] != 't' && value[0] != 'f' || was && bytes.Equal(value, before) {
			continue
		}
		var err error
		if body, err = setAt(body, path, value); err != nil {
			return nil, bug("carry %s over: %v", target, err)
		}
	}
	return body, nil
}
