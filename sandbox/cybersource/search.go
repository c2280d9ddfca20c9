package cybersource

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/sandbox/control"
)

const (
	defaultSearchLimit = 20
	maxSearchLimit     = 2500
	defaultSort        = "submitTimeUtc:desc"
)

// searchRequest is the body of POST /tss/v2/searches, and what of it is kept.
type searchRequest struct {
	Save     flexBool `json:"save"`
	Name     string   `json:"name"`
	Timezone string   `json:"timezone"`
	Query    string   `json:"query"`
	Offset   flexInt  `json:"offset"`
	Limit    *flexInt `json:"limit"`
	Sort     string   `json:"sort"`
}

// savedSearch is a search that was asked to be kept.
type savedSearch struct {
	ID         string        `json:"id"`
	MerchantID string        `json:"merchantId"`
	Request    searchRequest `json:"request"`
}

func (s *Server) createSearch(c *call) reply {
	var r searchRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	search := &savedSearch{ID: uuid.NewString(), MerchantID: c.merchant, Request: r}
	answer, refused := s.runSearch(c, search)
	if refused != nil {
		return refused.reply(c.now)
	}
	if r.Save {
		s.mu.Lock()
		s.books.searches[search.ID] = search
		s.put(control.Entry{Kind: entitySearch, ID: search.ID, Doc: search})
		s.mu.Unlock()
	}
	return reply{status: http.StatusCreated, body: answer}
}

// repeatSearch is GET /tss/v2/searches/{id}.
func (s *Server) repeatSearch(c *call) reply {
	s.mu.RLock()
	search := s.books.searches[c.PathValue("id")]
	s.mu.RUnlock()
	if search == nil || search.MerchantID != c.merchant {
		return notFound("The search was not found").reply(c.now)
	}
	answer, refused := s.runSearch(c, search)
	if refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusOK, body: answer}
}

func (s *Server) runSearch(c *call, search *savedSearch) (object, *refusal) {
	r := search.Request
	limit := defaultSearchLimit
	if r.Limit != nil {
		limit = int(*r.Limit)
	}
	if limit < 1 || limit > maxSearchLimit {
		return nil, invalid("limit")
	}
	if r.Offset < 0 {
		return nil, invalid("offset")
	}
	if strings.TrimSpace(r.Query) == "" {
		return nil, missing("query")
	}
	zone, err := time.LoadLocation(orElse(r.Timezone, "UTC"))
	if err != nil {
		return nil, invalid("timezone")
	}
	wanted, err := parseQuery(r.Query, c.now, zone)
	if err != nil {
		s.cfg.Logger.Warn("sandbox search refused", "cause", err)
		return nil, invalid("query")
	}
	less, ok := sortOrder(orElse(r.Sort, defaultSort))
	if !ok {
		return nil, invalid("sort")
	}

	s.mu.RLock()
	defer s.mu.RUnlock()
	found := s.findAll(c, wanted)
	slices.SortStableFunc(found, less)
	page := found[min(int(r.Offset), len(found)):]
	page = page[:min(limit, len(page))]
	answer := object{
		"searchId": search.ID, "save": bool(r.Save), "timezone": orElse(r.Timezone, "UTC"), "query": r.Query, "offset": int(r.Offset),
		"limit": limit, "sort": orElse(r.Sort, defaultSort), "count": len(page), "totalCount": len(found), "submitTimeUtc": utc(c.now),
		"_links": object{"self": object{"href": absolute(c, "/tss/v2/searches/"+search.ID), "method": "GET"}},
	}
	if r.Name != "" {
		answer["name"] = r.Name
	}
	if len(page) > 0 {
		summaries := make([]object, len(page))
		for i, t := range page {
			summaries[i] = summary(c, t)
		}
		answer["_embedded"] = object{"transactionSummaries": summaries}
	}
	return answer, nil
}

// findAll gives the merchant's transactions that match and that the index has by now.
func (s *Server) findAll(c *call, wanted query) []*transaction {
	among, indexed := wanted.candidates(s.books, c.merchant)
	if !indexed {
		among = s.books.all
	}
	var found []*transaction
	for _, t := range among {
		if t.MerchantID == c.merchant && !c.now.Before(t.At.Add(s.cfg.SearchLag)) && wanted.matches(t) {
			found = append(found, t)
		}
	}
	return found
}

// sortOrder reads "field:asc,field:desc".
func sortOrder(text string) (func(a, b *transaction) int, bool) {
	type key struct {
		field searchField
		sign  int
	}
	var keys []key
	for _, part := range strings.Split(text, ",") {
		name, direction, _ := strings.Cut(strings.TrimSpace(part), ":")
		field, known := searchFields[name]
		if !known || direction != "" && direction != "asc" && direction != "desc" {
			return nil, false
		}
		sign := 1
		if direction == "desc" {
			sign = -1
		}
		keys = append(keys, key{field, sign})
	}
	return func(a, b *transaction) int {
		for _, k := range keys {
			if order := compareBy(k.field, a, b); order != 0 {
				return k.sign * order
			}
		}
		return keys[0].sign * strings.Compare(a.ID, b.ID)
	}, true
}

func compareBy(field searchField, a, b *transaction) int {
	switch field.kind {
	case numberField:
		return a.Amount.Cmp(b.Amount)
	case timeField:
		return a.At.Compare(b.At)
	default:
		return strings.Compare(field.text(a), field.text(b))
	}
}

// overall is the result of a transaction as a whole: that of the application that went worst.
func overall(t *transaction) application {
	worst := done("")
	for _, ran := range t.Applications {
		if ran.RCode != "1" || worst.ReasonCode == "100" && ran.ReasonCode != "100" {
			worst = ran
		}
	}
	return worst
}

// summary is a transaction in a search result. It has no payment status, as in the real system.
func summary(c *call, t *transaction) object {
	processor := object{"processor": object{"name": "vdcvantiv"}}
	if t.ApprovalCode != "" {
		processor["approvalCode"] = t.ApprovalCode
	}
	shown := object{
		"id": t.ID, "submitTimeUtc": utc(t.At), "merchantId": t.MerchantID,
		"applicationInformation":     applicationInformation(t, false),
		"clientReferenceInformation": object{"code": t.Reference, "applicationName": "REST API", "applicationUser": t.MerchantID},
		"orderInformation": object{
			"amountDetails": object{"totalAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency},
			"billTo":        t.Details.BillTo, "shipTo": t.Details.ShipTo,
		},
		"paymentInformation":   paymentShown(t),
		"processorInformation": processor,
		"_links":               object{"transactionDetail": object{"href": absolute(c, "/tss/v2/transactions/"+t.ID), "method": "GET"}},
	}
	return shown
}

func paymentShown(t *transaction) object {
	if t.Bank {
		return object{"paymentType": object{"type": "check", "method": "DP"}}
	}
	shown := object{"paymentType": object{"type": "credit card", "method": methodOf(t.Card.Type)}}
	if t.Card.Prefix != "" {
		shown["card"] = object{"prefix": t.Card.Prefix, "suffix": t.Card.Suffix, "type": t.Card.Type}
	}
	if t.Details.CustomerID != "" {
		shown["customer"] = object{"customerId": t.Details.CustomerID}
	}
	return shown
}

// applicationInformation lists the services that ran; the details service shows the state too.
func applicationInformation(t *transaction, withStatus bool) object {
	result := overall(t)
	ran := make([]object, len(t.Applications))
	for i, a := range t.Applications {
		ran[i] = object{
			"name": a.Name, "reasonCode": a.ReasonCode, "rCode": a.RCode, "rFlag": a.Flag, "rMessage": a.Message,
			"reconciliationId": t.ReconciliationID, "returnCode": 1010000,
		}
		if withStatus {
			ran[i]["status"] = processingStatus(t)
		}
	}
	shown := object{"reasonCode": result.ReasonCode, "rCode": result.RCode, "rFlag": result.Flag, "applications": ran}
	if withStatus {
		shown["status"] = processingStatus(t)
	}
	return shown
}

// processingStatus is where a transaction stands: that of a sale is where its capture stands.
func processingStatus(t *transaction) string {
	if t.Kind == kindSale && t.Status == statusAuthorized {
		return t.Settlement
	}
	return t.Status
}

func absolute(c *call, path string) string {
	scheme := "https"
	if c.TLS == nil {
		scheme = "http"
	}
	return scheme + "://" + c.Host + path
}

// transactionDetails is GET /tss/v2/transactions/{id}.
func (s *Server) transactionDetails(c *call) reply {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.books.byID[c.PathValue("id")]
	if t == nil || t.MerchantID != c.merchant || !s.recorded(t, c.now) {
		return notFound("The transaction was not found").reply(c.now)
	}
	return reply{status: http.StatusOK, body: s.detailsReply(c, t)}
}

// recorded says whether the details service has the transaction by now.
func (s *Server) recorded(t *transaction, now time.Time) bool {
	return !now.Before(t.At.Add(s.cfg.DetailsLag))
}

func (s *Server) detailsReply(c *call, t *transaction) object {
	amounts := object{"totalAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency}
	if t.Approved {
		amounts["authorizedAmount"] = formatAmount(t.Amount, t.Currency)
	}
	if t.live() && t.Kind != kindRefund && t.Kind != kindCredit {
		amounts["settlementAmount"], amounts["settlementCurrency"] = formatAmount(t.Amount, t.Currency), t.Currency
		amounts["refundBalance"] = formatAmount(t.Amount.Sub(s.refundedOf(t)), t.Currency)
	}
	order := object{"amountDetails": amounts, "billTo": t.Details.BillTo, "shipTo": t.Details.ShipTo}
	if len(t.Details.LineItems) > 0 {
		order["lineItems"] = t.Details.LineItems
	}
	answer := object{
		"id": t.ID, "rootId": t.RootID, "reconciliationId": t.ReconciliationID, "merchantId": t.MerchantID,
		"submitTimeUTC": utc(t.At), "status": t.Status, // submitTimeUTC is spelt so here
		"applicationInformation":     applicationInformation(t, true),
		"clientReferenceInformation": object{"code": t.Reference, "applicationName": "REST API", "applicationUser": t.MerchantID},
		"orderInformation":           order,
		"paymentInformation":         detailedPayment(t),
		"processingInformation":      object{"commerceIndicator": orElse(t.Details.CommerceIndicator, "internet")},
		"processorInformation":       detailedProcessor(t),
		"_links":                     s.relatedLinks(c, t),
	}
	s.addOptionalDetails(answer, t)
	return answer
}

func (s *Server) addOptionalDetails(answer object, t *transaction) {
	if t.payment() || t.Kind == kindDecision {
		answer["riskInformation"] = riskInformation(t.Reason, t.At)
	}
	if why, found := errorInformation(t.Status, t.Reason); found {
		answer["errorInformation"] = why
	}
	if len(t.Details.MerchantDefined) > 0 {
		answer["merchantDefinedInformation"] = t.Details.MerchantDefined
	}
	if t.Details.Buyer != (buyerInfo{}) {
		answer["buyerInformation"] = t.Details.Buyer
	}
	if t.Details.Device != (deviceInfo{}) {
		answer["deviceInformation"] = t.Details.Device
	}
	if n := len(t.Details.Markings); n > 0 {
		answer["fraudMarkingInformation"] = object{"reason": t.Details.Markings[n-1]}
	}
}

func detailedPayment(t *transaction) object {
	shown := paymentShown(t)
	if kept, ok := shown["card"].(object); ok {
		kept["expirationMonth"], kept["expirationYear"] = t.Card.ExpirationMonth, t.Card.ExpirationYear
	}
	if id := t.Details.PaymentInstrumentID; id != "" {
		shown["paymentInstrument"] = object{"id": id}
	}
	if id := t.Details.InstrumentIdentifier; id != "" {
		shown["instrumentIdentifier"] = object{"id": id}
	}
	return shown
}

func detailedProcessor(t *transaction) object {
	shown := object{"processor": object{"name": "vdcvantiv"}}
	if t.Approved {
		shown["approvalCode"], shown["networkTransactionId"], shown["responseCode"] = t.ApprovalCode, t.NetworkTransactionID, "100"
	}
	if t.Status == statusDeclined {
		shown["responseCode"] = declines[t.Reason].response
	}
	return shown
}

// refundedOf is what of one capture or sale went back.
func (s *Server) refundedOf(t *transaction) (total decimal.Decimal) {
	for _, other := range s.books.families[t.RootID] {
		if other.Kind == kindRefund && other.live() && other.RelatedID == t.ID {
			total = total.Add(other.Amount)
		}
	}
	return total
}

// relatedLinks names the rest of the chain, as far as it is recorded by now.
func (s *Server) relatedLinks(c *call, t *transaction) object {
	links := object{"self": object{"href": absolute(c, "/tss/v2/transactions/"+t.ID), "method": "GET"}}
	var related []object
	for _, other := range s.books.families[t.RootID] {
		if other != t && s.recorded(other, c.now) {
			related = append(related, object{"href": absolute(c, "/tss/v2/transactions/"+other.ID), "method": "GET"})
		}
	}
	if len(related) > 0 {
		links["relatedTransactions"] = related
	}
	return links
}
