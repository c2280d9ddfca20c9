package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/mappings"
)

// Bounds of what an ERP is asked for one suggestion.
const (
	maxAskedCodes    = 40 // stock codes, in one request
	maxUnknownCodes  = 3  // each asks for its near codes, in three requests at most
	maxNearCodes     = 3
	maxNearCustomers = 3
)

// SuggestFix asks the ERP for what may mend a step that it refused. Each fix rests on what the ERP answered just now, and says so; where
// the ERP knows nothing better there is none.
func (b *Booking) SuggestFix(ctx context.Context, in SuggestFixInput) (SuggestedFixes, error) {
	fixes, err := b.suggestFix(ctx, in)
	return SuggestedFixes{Fixes: fixes}, toTemporal(err)
}

func (b *Booking) suggestFix(ctx context.Context, in SuggestFixInput) ([]Fix, error) {
	code := ""
	if in.Answer != nil {
		code = in.Answer.Code
	}
	catalog, hasCatalog := b.Port.(erp.Catalog)
	_, corrects := mappingOf(in.Step)
	switch {
	case code == "STOCK_NOT_FOUND" && hasCatalog && corrects:
		return b.nearStock(ctx, catalog, in)
	case code == "CUSTOMER_NOT_FOUND" && hasCatalog && corrects:
		return nearCustomers(ctx, catalog, in)
	case in.Class == fault.ClosedPeriod && hasCatalog:
		return openPeriods(ctx, catalog, in)
	case in.Class == fault.DeclinedByPolicy:
		return b.creditFigures(ctx, in, code)
	case in.Class == fault.Value && in.Answer != nil && corrects:
		return b.shortened(in), nil
	default:
		return nil, nil
	}
}

// nearStock finds the order's codes that the ERP does not know, and for each the codes that it knows instead.
func (b *Booking) nearStock(ctx context.Context, catalog erp.Catalog, in SuggestFixInput) ([]Fix, error) {
	unknown, err := b.unknownCodes(ctx, in)
	if err != nil {
		return nil, err
	}
	var fixes []Fix
	all := Correction{Order: map[string]any{}}
	var every []string
	for _, code := range unknown[:min(len(unknown), maxUnknownCodes)] {
		near, err := b.knownNear(ctx, catalog, code, in.Site["warehouse"])
		if err != nil {
			return nil, err
		}
		for i, other := range near {
			pointers := skuPointers(in.Order, code, other.StockCode)
			fixes = append(fixes, Fix{
				Text:       fmt.Sprintf("Book %s in the place of %s (%s)", other.StockCode, code, linesText(pointers)),
				Evidence:   stockEvidence(code, other, in.Site["warehouse"]),
				Resolution: ResolutionRetryWith, Correction: &Correction{Order: pointers},
			})
			if i == 0 {
				maps.Copy(all.Order, pointers)
				every = append(every, stockEvidence(code, other, in.Site["warehouse"]))
			}
		}
	}
	if len(unknown) > 1 && len(every) == len(unknown) {
		together := Fix{
			Text: "Book the nearest code for every code that the ERP does not know", Evidence: strings.Join(every, " "),
			Resolution: ResolutionRetryWith, Correction: &all,
		}
		fixes = append([]Fix{together}, fixes...)
	}
	return fixes, nil
}

// unknownCodes asks the ERP which of the order's codes it does not know, those that its refusal names first.
func (b *Booking) unknownCodes(ctx context.Context, in SuggestFixInput) ([]string, error) {
	codes := b.namedCodes(in)
	for _, line := range in.Order.Lines {
		codes = append(codes, line.SKU)
	}
	balances, err := b.Port.Stock(ctx, erp.StockQuery{StockCodes: firstDistinct(codes, maxAskedCodes), Warehouse: in.Site["warehouse"]})
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, balance := range balances {
		if !balance.Known {
			unknown = append(unknown, balance.StockCode)
		}
	}
	return unknown, nil
}

// namedCodes are the stock codes of the order that a refusal names: by the code itself, or by a member of the line in the ERP's document.
func (b *Booking) namedCodes(in SuggestFixInput) []string {
	var codes []string
	for _, field := range in.Answer.Fields {
		if code, named := strings.CutPrefix(field.Path, "lines[].sku="); named {
			codes = append(codes, code)
		} else if i, ofLine := b.lineOf(in.Step, field.Path); ofLine && i < len(in.Order.Lines) {
			codes = append(codes, in.Order.Lines[i].SKU)
		}
	}
	return slices.DeleteFunc(codes, func(code string) bool {
		return !slices.ContainsFunc(in.Order.Lines, func(line canonical.LineItem) bool { return line.SKU == code })
	})
}

// orderLines is the list that mappings make the lines of documents of.
const orderLines = "lines"

// lineOf is the order's line that a member of the ERP's document is made of. The mapping knows: each ERP has its own words for its lines.
func (b *Booking) lineOf(step, target string) (line int, ok bool) {
	name, _ := mappingOf(step)
	mapping, err := b.Mappings.Mapping(b.Name + "/" + name)
	if err != nil {
		return 0, false
	}
	field, known := mapping.Field(target)
	return field.Index, known && field.List == orderLines
}

func firstDistinct(codes []string, most int) []string {
	var distinct []string
	for _, code := range codes {
		if len(distinct) < most && !slices.Contains(distinct, code) {
			distinct = append(distinct, code)
		}
	}
	return distinct
}

// knownNear are near codes with what is free of each.
func (b *Booking) knownNear(ctx context.Context, catalog erp.Catalog, code, warehouse string) ([]erp.StockBalance, error) {
	near, err := catalog.NearStockCodes(ctx, code, warehouse, maxNearCodes)
	if err != nil || len(near) == 0 {
		return nil, err
	}
	balances, err := b.Port.Stock(ctx, erp.StockQuery{StockCodes: near, Warehouse: warehouse})
	return slices.DeleteFunc(balances, func(balance erp.StockBalance) bool { return !balance.Known }), err
}

// skuPointers corrects every line of a code.
func skuPointers(order canonical.Order, code, other string) map[string]any {
	pointers := map[string]any{}
	for i, line := range order.Lines {
		if line.SKU == code {
			pointers["/lines/"+strconv.Itoa(i)+"/sku"] = other
		}
	}
	return pointers
}

func linesText(pointers map[string]any) string {
	if len(pointers) == 1 {
		return "one line"
	}
	return strconv.Itoa(len(pointers)) + " lines"
}

func stockEvidence(code string, other erp.StockBalance, warehouse string) string {
	where := ""
	if warehouse != "" {
		where = " in warehouse " + warehouse
	}
	return fmt.Sprintf("The ERP's stock was asked for %s: not found; and for codes spelt like it: %s exists, %s free%s.", code, other.StockCode, other.Available, where)
}

// nearCustomers asks for the customer by each thing that the order tells of it, so that the evidence is of one of them.
func nearCustomers(ctx context.Context, catalog erp.Catalog, in SuggestFixInput) ([]Fix, error) {
	wanted := in.Order.Customer.ErpCode
	if wanted == "" {
		wanted = in.CustomerCode
	}
	asked := []struct {
		by   string
		hint erp.CustomerHint
	}{
		{"the shop's customer id", erp.CustomerHint{ExternalID: in.Order.Customer.ID}},
		{"the order's e-mail address", erp.CustomerHint{Email: in.Order.Customer.Email}},
		{"codes spelt like " + wanted, erp.CustomerHint{Code: wanted}},
	}
	var fixes []Fix
	ofShop := false
	seen := map[string]bool{}
	for i, question := range asked {
		found, err := catalog.NearCustomers(ctx, question.hint, maxNearCustomers)
		if err != nil {
			return nil, err
		}
		for _, customer := range found {
			ofShop = ofShop || i == 0
			if seen[customer.Code] || customer.Currency != "" && customer.Currency != in.Order.Currency {
				continue
			}
			seen[customer.Code] = true
			fixes = append(fixes, customerFix(customer, wanted, question.by))
		}
	}
	if in.Order.Customer.ErpCode != "" && !ofShop {
		fixes = append(fixes, Fix{
			Text:       "Create the customer from the order",
			Evidence:   fmt.Sprintf("The ERP was asked for customer %s, and for one by the shop's customer id: it has neither.", wanted),
			Resolution: ResolutionRetryWith, Correction: &Correction{Order: map[string]any{"/customer/erpCode": ""}},
		})
	}
	return fixes, nil
}

func customerFix(customer erp.Customer, wanted, by string) Fix {
	evidence := fmt.Sprintf("The ERP was asked for a customer by %s: it has %s, kept in %s", by, customer.Code, customer.Currency)
	if customer.OnHold {
		evidence += ", on hold"
	}
	if customer.Code == wanted {
		return Fix{Text: "Try again: the ERP knows customer " + wanted + " by now", Evidence: evidence + ".", Resolution: ResolutionRetry}
	}
	return Fix{
		Text: "Book on customer " + customer.Code, Evidence: evidence + ".", Resolution: ResolutionRetryWith,
		Correction: &Correction{Order: map[string]any{"/customer/erpCode": customer.Code}},
	}
}

// receivables is the ledger whose period counts: all that an order or a refund posts is in it.
const receivables = "AR"

// openPeriods proposes the next open period after the refused date, then the current one.
func openPeriods(ctx context.Context, catalog erp.Catalog, in SuggestFixInput) ([]Fix, error) {
	all, err := catalog.OpenPeriods(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(p erp.Period) bool { return p.Module != receivables || p.First == "" })
	evidence := periodEvidence(open)
	if slices.ContainsFunc(open, func(p erp.Period) bool { return p.Covers(in.Date) }) {
		return []Fix{{Text: "Try again: the period of " + in.Date + " is open by now", Evidence: evidence, Resolution: ResolutionRetry}}, nil
	}
	var fixes []Fix
	propose := func(date, why string) {
		for _, fix := range fixes {
			if fix.Correction.Date == date {
				return
			}
		}
		fixes = append(fixes, Fix{
			Text: fmt.Sprintf("Post on %s, %s", date, why), Evidence: evidence, Resolution: ResolutionRetryWith, Correction: &Correction{Date: date},
		})
	}
	for _, period := range open {
		if period.First > in.Date {
			propose(period.First, "the first day of the next open period")
			break
		}
	}
	for _, period := range open {
		if period.Current && period.Last < in.Date {
			propose(period.Last, "the last day of the current period")
		}
	}
	return fixes, nil
}

func periodEvidence(open []erp.Period) string {
	if len(open) == 0 {
		return "The ERP was asked for its open periods: none of the receivables is."
	}
	texts := make([]string, 0, len(open))
	for _, period := range open {
		text := fmt.Sprintf("%d-%02d (%s to %s)", period.Year, period.Period, period.First, period.Last)
		if period.Current {
			text += ", the current one"
		}
		texts = append(texts, text)
	}
	return "The ERP was asked for the open periods of its receivables: " + strings.Join(texts, "; ") + "."
}

// creditFigures tells what stands between the customer and the order. A refusal by a rule that is neither a hold nor credit has none.
func (b *Booking) creditFigures(ctx context.Context, in SuggestFixInput, code string) ([]Fix, error) {
	ofCredit := code == "CUSTOMER_ON_HOLD" || code == "CREDIT_LIMIT_EXCEEDED"
	if !ofCredit && code != "" {
		return nil, nil
	}
	customer, err := b.Port.FindCustomer(ctx, customerOf(in))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	hold := "not on hold"
	if customer.OnHold {
		hold = "on hold"
	}
	evidence := fmt.Sprintf("The ERP was asked for customer %s: %s, %s.", customer.Code, hold, creditText(customer))
	var text string
	switch {
	case customer.OnHold:
		text = "Take customer " + customer.Code + " off hold in the ERP, then try again"
	case customer.CreditLimited && customer.AvailableCredit.LessThan(in.Order.Total):
		missing := canonical.NewMoney(in.Order.Total.Sub(customer.AvailableCredit), customer.Currency)
		text = fmt.Sprintf("Raise the credit limit of customer %s by %s, or have open items paid, then try again: the order is of %s",
			customer.Code, missing, in.Order.Money(in.Order.Total))
	case code == "CUSTOMER_ON_HOLD":
		text = "Try again: customer " + customer.Code + " is not on hold any more"
	case code == "CREDIT_LIMIT_EXCEEDED":
		text = "Clear the credit status of customer " + customer.Code + " in the ERP, then try again: no limit stands against the order"
	default:
		return nil, nil
	}
	return []Fix{{Text: text, Evidence: evidence, Resolution: ResolutionRetry}}, nil
}

func customerOf(in SuggestFixInput) erp.CustomerRef {
	switch {
	case in.CustomerCode != "":
		return erp.CustomerRef{Code: in.CustomerCode}
	case in.Order.Customer.ErpCode != "":
		return erp.CustomerRef{Code: in.Order.Customer.ErpCode}
	default:
		return erp.CustomerRef{ExternalID: in.Order.Customer.ID}
	}
}

func creditText(customer erp.Customer) string {
	if !customer.CreditLimited {
		return "no credit limit is checked"
	}
	return fmt.Sprintf("%s of credit available, the limit is %s",
		canonical.NewMoney(customer.AvailableCredit, customer.Currency), canonical.NewMoney(customer.CreditLimit, customer.Currency))
}

// mostCharacters is how a refused field tells what fits, in the words of our mappings and of our adapters.
var mostCharacters = regexp.MustCompile(`at most ([0-9]{1,4})\b`)

// shortened cuts the values that the ERP, or its mapping, found too long.
func (b *Booking) shortened(in SuggestFixInput) []Fix {
	name, _ := mappingOf(in.Step)
	mapping, err := b.Mappings.Mapping(b.Name + "/" + name)
	if err != nil {
		return nil
	}
	var fixes []Fix
	for _, refused := range in.Answer.Fields {
		most := mostCharacters.FindStringSubmatch(refused.Rule)
		tooLong := strings.HasPrefix(refused.Rule, "max_length") || strings.HasPrefix(refused.Rule, "FIELD_TOO_LONG")
		if most == nil || !tooLong {
			continue
		}
		limit, err := strconv.Atoi(most[1])
		if err != nil {
			continue
		}
		correction, kept, ok := cut(mapping, in, refused.Path, limit)
		if !ok {
			continue
		}
		fixes = append(fixes, Fix{
			Text:       fmt.Sprintf("Send %s with %d characters", refused.Path, kept),
			Evidence:   fmt.Sprintf("%s was refused by %s: %s.", refused.Path, in.Answer.System, refused.Rule),
			Resolution: ResolutionRetryWith, Correction: &correction,
		})
	}
	return fixes
}

// mappingOf is the mapping of what a step sends, where an operator can correct that; ok is false for steps that send nothing of the order.
func mappingOf(step string) (name string, ok bool) {
	switch step {
	case "check":
		return "customer", true
	case "sales-order":
		return "sales_order", true
	case "invoice":
		return "invoice", true
	case "receipt":
		return "receipt", true
	default:
		return "", false
	}
}

// cut is a target's value in the length that fits, with that length: in the order, where the target is one of its fields, else in the
// document.
func cut(mapping *mappings.Mapping, in SuggestFixInput, target string, limit int) (correction Correction, kept int, ok bool) {
	field, known := mapping.Field(target)
	if !known {
		return Correction{}, 0, false
	}
	if pointer, value, found := orderField(in.Order, field); found {
		short, shorter := shorten(value, limit)
		return Correction{Order: map[string]any{pointer: short}}, utf8.RuneCountInString(short), shorter
	}
	value, found := mappedText(mapping, in, target)
	if !found {
		return Correction{}, 0, false
	}
	short, shorter := shorten(value, limit)
	return Correction{Document: map[string]any{documentPointer(target): short}}, utf8.RuneCountInString(short), shorter
}

// shorten cuts to a number of characters, between words where that loses little; cut is false where nothing had to go.
func shorten(value string, limit int) (short string, cut bool) {
	value = strings.Join(strings.Fields(value), " ")
	if limit < 1 || utf8.RuneCountInString(value) <= limit {
		return "", false
	}
	short = string([]rune(value)[:limit])
	if blank := strings.LastIndexByte(short, ' '); blank > len(short)*2/3 {
		short = short[:blank]
	}
	return strings.TrimSpace(short), true
}

// naming ends the names of members and targets that name something: a code that is cut names something else. ERPs that are databases call
// their columns custno, glacct and the like.
var naming = regexp.MustCompile(`(?i)(sku|item|id|code|no|num|number|ref|reference|email|phone|zip|country|state|region|terms|terr|salesmn|acct|account|` +
	`glsale|glasst|glarec|gllink|currency|umeasur|type|status|method|cybtxn)$`)

// orderField finds the one text of the order that a target is taken from.
func orderField(order canonical.Order, field mappings.Field) (pointer, value string, ok bool) {
	if !field.Plain {
		return "", "", false
	}
	path, ofOrder := strings.CutPrefix(field.Source, "order.")
	if member, ofItem := strings.CutPrefix(field.Source, "item."); ofItem && field.List == orderLines {
		path, ofOrder = orderLines+"."+strconv.Itoa(field.Index)+"."+member, true
	}
	parts := strings.Split(path, ".")
	if !ofOrder || agreed(parts) || naming.MatchString(path) {
		return "", "", false
	}
	body, err := json.Marshal(order)
	if err != nil {
		return "", "", false
	}
	raw, there := valueAt(body, parts)
	if !there || json.Unmarshal(raw, &value) != nil {
		return "", "", false
	}
	return "/" + strings.Join(parts, "/"), value, true
}

// mappedText is what the mapping makes of the order for a target that is more than one of its fields, where it may be corrected.
func mappedText(mapping *mappings.Mapping, in SuggestFixInput, target string) (value string, ok bool) {
	if naming.MatchString(target) {
		return "", false
	}
	_, explained, _ := mapping.Explain(mappings.Input{ // that something does not fit is what this is about
		Order: in.Order, Site: in.Site, Date: in.Date, Customer: mappings.CustomerRef{Code: in.CustomerCode},
	})
	rules := targetRules{}
	for _, each := range explained {
		rules[each.Target] = each
	}
	path, _ := parsePointer(documentPointer(target))
	if rule, _ := rules.correctable(path); rule != "" || json.Unmarshal([]byte(rules[target].Value), &value) != nil {
		return "", false
	}
	return value, true
}

var listIndex = regexp.MustCompile(`\[([0-9]+)\]`)

// documentPointer is the RFC 6901 pointer of a target: "LineItems[1].Description" is /LineItems/1/Description.
func documentPointer(target string) string {
	return "/" + strings.ReplaceAll(listIndex.ReplaceAllString(target, ".$1"), ".", "/")
}
