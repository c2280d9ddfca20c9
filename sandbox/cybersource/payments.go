package cybersource

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Windows of the duplicate guards.
const (
	transactionIDWindow = 60 * 24 * time.Hour
	messageDuplicateID  = "Declined - The transaction identifier sent with this request has already been used in the last 60 days"
	messageDuplicateRef = "Declined - The merchant reference code sent with this request has already been used in a recent request"
	maxIncrements       = 100
)

// createPayment is POST /pts/v2/payments: an authorization or, with processingInformation.capture, a sale.
func (s *Server) createPayment(c *call) reply {
	var r paymentRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, refused := s.pay(c, &r)
	if refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusCreated, body: answer}
}

func (s *Server) pay(c *call, r *paymentRequest) (object, *refusal) {
	paid, amount, refused := s.checkPayment(c, r, maxReference)
	if refused != nil {
		return nil, refused
	}
	if refused := s.duplicate(c, r.Reference, true); refused != nil {
		return nil, refused
	}
	chosen := s.triggered(r, paid.scenario, amount)
	if s.screens(r) && s.books.onNegativeList(c.merchant, orElse(r.Order.BillTo.Email, paid.billTo.Email)) {
		chosen = decline(reasonBlacklisted)
	}
	failed, refused := s.trip(c, r.Reference, chosen)
	if refused != nil {
		return nil, refused
	}
	t := s.newPayment(c, r, paid, amount, chosen)
	t.RootID = t.ID
	s.books.add(t)
	s.store(t)
	var tokens object
	if r.Processing.has("TOKEN_CREATE") && t.Approved {
		tokens = s.createTokens(c, r, paid, t)
	}
	s.announcePayment(t)
	if failed {
		return nil, failure(chosen.reason)
	}
	answer := s.paymentReply(t, r)
	if tokens != nil {
		answer["tokenInformation"] = tokens
	}
	return answer, nil
}

// checkPayment validates a request whole and resolves what it pays with.
func (s *Server) checkPayment(c *call, r *paymentRequest, referenceLength int) (instrument, decimal.Decimal, *refusal) {
	var problems checks
	problems.reference(r.Reference, referenceLength)
	amount := problems.orderAmount(&r.Order)
	paid, refused := s.resolveInstrument(c, r, &problems)
	problems.billTo(r.Order.BillTo, !paid.hasAddress && !s.cfg.RelaxedAddress)
	problems.shipTo(r.Order.ShipTo)
	problems.lineItems(r.Order.LineItems, r.Order.Amount.Currency)
	problems.extras(r)
	if found := problems.refusal(); found != nil {
		return paid, amount, found
	}
	if refused != nil {
		return paid, amount, refused
	}
	if bool(r.Processing.Capture) && amount.IsZero() {
		return paid, amount, invalid("orderInformation.amountDetails.totalAmount")
	}
	if r.Order.BillTo == (address{}) {
		r.Order.BillTo = paid.billTo
	}
	return paid, amount, nil
}

// orderAmount reads the total, or sums it from the lines where it was left out.
func (c *checks) orderAmount(o *orderInfo) decimal.Decimal {
	const at = "orderInformation.amountDetails."
	if o.Amount.Currency == "" {
		c.missing(at + "currency")
		return decimal.Zero
	}
	if !knownCurrency(o.Amount.Currency) {
		c.invalid(at + "currency")
		return decimal.Zero
	}
	if o.Amount.Total == "" && len(o.LineItems) > 0 {
		return linesTotal(o.LineItems, o.Amount.Currency)
	}
	return c.amount(at+"totalAmount", o.Amount.Total, o.Amount.Currency)
}

func (c *checks) amount(field, value, currencyCode string) decimal.Decimal {
	if value == "" {
		c.missing(field)
		return decimal.Zero
	}
	amount, ok := parseAmount(value, currencyCode)
	if !ok {
		c.invalid(field)
	}
	return amount
}

func linesTotal(items []lineItem, currencyCode string) decimal.Decimal {
	total := decimal.Zero
	for _, item := range items {
		price, _ := parseAmount(item.UnitPrice, currencyCode)
		tax, _ := parseAmount(item.TaxAmount, currencyCode)
		quantity := max(int64(item.Quantity), 1)
		total = total.Add(price.Mul(decimal.NewFromInt(quantity))).Add(tax)
	}
	return total
}

// duplicate is the guard by (merchant, transactionId), and the optional one by reference. A request that was refused
// used nothing up.
func (s *Server) duplicate(c *call, r referenceInfo, payment bool) *refusal {
	if r.TransactionID != "" && !s.cfg.IgnoreTransactionIDs {
		for _, earlier := range s.books.byTransaction[byMerchant(c.merchant, r.TransactionID)] {
			if guarded(earlier.Kind) && c.now.Sub(earlier.At) < transactionIDWindow {
				refused := refuse("DUPLICATE_REQUEST")
				refused.message = messageDuplicateID
				return refused
			}
		}
	}
	if !payment || r.Code == "" || s.cfg.DuplicateReferenceWindow <= 0 {
		return nil
	}
	for _, earlier := range s.books.byReference[byMerchant(c.merchant, r.Code)] {
		if earlier.payment() && c.now.Sub(earlier.At) < s.cfg.DuplicateReferenceWindow {
			refused := refuse("DUPLICATE_REQUEST")
			refused.message = messageDuplicateRef
			return refused
		}
	}
	return nil
}

// guarded kinds have the transactionId guard. Captures, voids and reversals have none.
func guarded(kind string) bool {
	return kind == kindAuth || kind == kindSale || kind == kindCredit || kind == kindRefund
}

// trip lets a scenario that refuses or fails do so. failed is set where the request must take effect first.
func (s *Server) trip(c *call, r referenceInfo, chosen scenario) (failed bool, refused *refusal) {
	if chosen.onFollowOn != "" || !chosen.refuse && !chosen.fail {
		return false, nil
	}
	if chosen.once && !s.books.tripFirst(byMerchant(c.merchant, r.Code+"\x00"+chosen.name)) {
		return false, nil
	}
	switch {
	case chosen.refuse:
		return false, refuse(chosen.reason)
	case !chosen.commit:
		return false, failure(chosen.reason)
	}
	return true, nil
}

// tripFirst says whether something happens for the first time.
func (b *books) tripFirst(key string) bool {
	if b.tripped[key] {
		return false
	}
	b.tripped[key] = true
	return true
}

// newPayment decides the outcome and makes the transaction of it.
func (s *Server) newPayment(c *call, r *paymentRequest, paid instrument, amount decimal.Decimal, chosen scenario) *transaction {
	t := s.newTransaction(c, kindAuth, r)
	t.Amount, t.Card, t.Bank = amount, paid.card, paid.bank
	t.Details = detailsOf(r)
	t.Details.CustomerID, t.Details.PaymentInstrumentID, t.Details.InstrumentIdentifier = paid.customerID, paid.paymentInstrumentID, paid.identifierID
	if bool(r.Processing.Capture) || paid.bank {
		t.Kind = kindSale
	}
	if chosen.onFollowOn != "" {
		t.FollowOn = chosen.name
	}
	t.Status, t.Reason = paid.outcome(chosen, c.now)
	s.settleOutcome(t, s.screens(r))
	return t
}

// screens says whether Decision Manager sees the payment.
func (s *Server) screens(r *paymentRequest) bool {
	return !s.cfg.WithoutDecisionManager && !r.Processing.has("DECISION_SKIP")
}

// settleOutcome fills in what follows from the status: hold, batch, review and the services that ran.
func (s *Server) settleOutcome(t *transaction, screened bool) {
	switch t.Status {
	case statusDeclined, statusAuthentication:
	case statusPending: // a bank account: money is collected, there is no hold
		t.Settlement = statusPending
	case statusPreauthReview:
		t.Kind, t.Review = kindAuth, reviewOpen
	case statusHeld:
		t.Kind, t.Review, t.Approved = kindAuth, reviewOpen, true
	case statusRiskDeclined:
		t.Kind, t.Approved = kindAuth, true
	case statusPartial:
		t.Kind, t.Approved = kindAuth, true // the capture of a sale does not run for less than it asked for
		t.Amount = t.Amount.Div(decimal.NewFromInt(2)).Truncate(minorUnits(t.Currency))
	default:
		t.Approved = true
		if t.Kind == kindSale {
			t.Settlement = statusPending
		}
	}
	if t.Approved {
		t.ApprovalCode = "888888"
		t.NetworkTransactionID = t.ID[2:17]
	}
	t.Applications = paymentApplications(t, screened)
}

func paymentApplications(t *transaction, screened bool) []application {
	var ran []application
	main := "ics_auth"
	if t.Bank {
		main = "ics_ecp_debit"
	}
	switch t.Status {
	case statusPreauthReview:
	case statusDeclined:
		if t.Reason != reasonDecisionReject && t.Reason != "SCORE_EXCEEDS_THRESHOLD" {
			ran = append(ran, declinedApplication(main, declines[t.Reason]))
		}
	case statusAuthentication:
		ran = append(ran, application{Name: "ics_pa_enroll", ReasonCode: "475", Flag: "DAUTHENTICATE", RCode: "0", Message: "The cardholder is enrolled in payer authentication. Please authenticate before proceeding with authorization."})
	case statusHeld:
		if why := reviews[t.Reason]; t.Reason != reasonDecisionReview {
			ran = append(ran, declinedApplication(main, why)) // a soft decline: the bank approved
			break
		}
		ran = append(ran, done(main))
	case statusPartial:
		ran = append(ran, application{Name: main, ReasonCode: "110", Flag: "SPARTIALAPPROVAL", RCode: "1", Message: "Only a partial amount was approved."})
	default:
		ran = append(ran, done(main))
		if t.Kind == kindSale && !t.Bank {
			ran = append(ran, done("ics_bill"))
		}
	}
	if !screened {
		return ran
	}
	switch t.Reason {
	case reasonDecisionReview:
		return append(ran, declinedApplication("ics_decision", reviews[t.Reason]))
	case reasonDecisionReject, "SCORE_EXCEEDS_THRESHOLD":
		return append(ran, declinedApplication("ics_decision", declines[t.Reason]))
	}
	return append(ran, done("ics_decision"))
}

func done(name string) application {
	return application{Name: name, ReasonCode: "100", Flag: "SOK", RCode: "1", Message: messageOK}
}

func declinedApplication(name string, why reason) application {
	return application{Name: name, ReasonCode: why.code, Flag: why.flag, RCode: "0", Message: why.message}
}

// newTransaction has what every transaction has.
func (s *Server) newTransaction(c *call, kind string, r *paymentRequest) *transaction {
	t := &transaction{
		ID: s.books.nextID(c.now), Kind: kind, MerchantID: c.merchant, At: c.now,
		Reference: r.Reference.Code, TransactionID: r.Reference.TransactionID, Currency: r.Order.Amount.Currency,
		ReconciliationID: randomText(upperAlphanumeric, 16),
	}
	if t.Reference == "" {
		t.Reference = strconv.FormatInt(c.now.UnixMilli(), 10)
	}
	return t
}

func detailsOf(r *paymentRequest) transactionDetails {
	return transactionDetails{
		BillTo: r.Order.BillTo, ShipTo: r.Order.ShipTo, LineItems: r.Order.LineItems, MerchantDefined: r.MerchantDefined,
		Buyer: r.Buyer, Device: r.Device, CommerceIndicator: orElse(r.Processing.CommerceIndicator, "internet"),
	}
}

// paymentReply is the answer of an authorization or sale.
func (s *Server) paymentReply(t *transaction, r *paymentRequest) object {
	answer := object{
		"id": t.ID, "status": t.Status, "submitTimeUtc": utc(t.At),
		"clientReferenceInformation": object{"code": t.Reference},
		"reconciliationId":           t.ReconciliationID,
	}
	if t.Card.Type != "" {
		answer["paymentAccountInformation"] = object{"card": object{"type": t.Card.Type}}
	}
	if s.screens(r) {
		answer["riskInformation"] = riskInformation(t.Reason, t.At)
	}
	if why, found := errorInformation(t.Status, t.Reason); found {
		answer["errorInformation"] = why
	}
	if !t.Approved && t.Status != statusPending {
		s.unapproved(answer, t)
		return answer
	}
	answer["_links"] = paymentLinks(t)
	answer["orderInformation"] = object{"amountDetails": authorizedAmounts(t)}
	answer["pointOfSaleInformation"] = object{"terminalId": "111111"}
	answer["paymentInformation"] = paymentEcho(t, r)
	answer["processorInformation"] = processorApproval(t)
	if t.Details.PaymentInstrumentID != "" && r.Processing.AuthorizationOptions.Initiator.Type == "merchant" {
		answer["processingInformation"] = object{"paymentSolution": "015"}
	}
	return answer
}

// unapproved is what a decline or a payment held before authorization has.
func (s *Server) unapproved(answer object, t *transaction) {
	if t.Status != statusDeclined {
		return
	}
	delete(answer, "reconciliationId")
	why := declines[t.Reason]
	if why.response == "" {
		return
	}
	processor := object{"responseCode": why.response}
	if t.Reason == "AVS_FAILED" {
		processor["avs"] = object{"code": "N", "codeRaw": "N1"}
	}
	answer["processorInformation"] = processor
	answer["paymentInsightsInformation"] = object{"responseInsights": insights(t.Reason)}
}

// insights is the issuer's advice on trying again.
func insights(reason string) object {
	switch reason {
	case "STOLEN_LOST_CARD", "INVALID_ACCOUNT", "BLOCKED_BY_CARDHOLDER", "SUSPENDED_ACCOUNT":
		return object{"category": "ISSUER_WILL_NEVER_APPROVE", "categoryCode": "01"}
	case "INSUFFICIENT_FUND", "EXCEEDS_CREDIT_LIMIT", "ISSUER_UNAVAILABLE":
		return object{"category": "ISSUER_CANNOT_APPROVE_AT_THIS_TIME", "categoryCode": "02"}
	case "EXPIRED_CARD", "INVALID_CVN", "CVN_NOT_MATCH", "AVS_FAILED":
		return object{"category": "ISSUER_CANNOT_APPROVE_WITH_THESE_DETAILS", "categoryCode": "03"}
	}
	return object{"category": "GENERIC_ERROR", "categoryCode": "04"}
}

func errorInformation(status, reason string) (object, bool) {
	if reason == "" {
		return nil, false
	}
	text := declines[reason].message
	switch status {
	case statusHeld, statusPreauthReview:
		text = reviews[reason].message
	case statusAuthentication:
		text = "The cardholder is enrolled in Payer Authentication. Please authenticate the cardholder before continuing with the transaction."
	}
	return object{"reason": reason, "message": text}, true
}

func link(method, href string) object { return object{"method": method, "href": href} }

func paymentLinks(t *transaction) object {
	base := "/pts/v2/payments/" + t.ID
	links := object{"self": link("GET", base)}
	if t.Kind == kindSale {
		links["void"] = link("POST", base+"/voids")
		return links
	}
	links["authReversal"] = link("POST", base+"/reversals")
	links["capture"] = link("POST", base+"/captures")
	return links
}

func authorizedAmounts(t *transaction) object {
	amounts := object{"currency": t.Currency}
	if !t.Bank {
		amounts["authorizedAmount"] = formatAmount(t.Amount, t.Currency)
	}
	if t.Kind == kindSale {
		amounts["totalAmount"] = formatAmount(t.Amount, t.Currency)
	}
	return amounts
}

func paymentEcho(t *transaction, r *paymentRequest) object {
	if t.Bank {
		return object{"bank": object{"account": object{"type": r.Payment.Bank.Account.Type}}}
	}
	echo := object{"tokenizedCard": object{"type": t.Card.Type}, "card": object{"type": t.Card.Type}}
	if id := t.Details.InstrumentIdentifier; id != "" {
		echo["instrumentIdentifier"] = object{"id": id, "state": "ACTIVE"}
	}
	if id := t.Details.PaymentInstrumentID; id != "" {
		echo["paymentInstrument"] = object{"id": id}
	}
	if id := t.Details.CustomerID; id != "" {
		echo["customer"] = object{"id": id}
	}
	return echo
}

func processorApproval(t *transaction) object {
	if !t.Approved {
		return object{"transactionId": t.ID[2:17], "responseCode": "100"}
	}
	avs := object{"code": "X", "codeRaw": "I1"}
	if t.Reason == "AVS_FAILED" {
		avs = object{"code": "N", "codeRaw": "N1"}
	}
	return object{
		"approvalCode": t.ApprovalCode, "networkTransactionId": t.NetworkTransactionID, "transactionId": t.NetworkTransactionID,
		"responseCode": "100", "avs": avs,
	}
}

// riskInformation is what Decision Manager says about a payment.
func riskInformation(reason string, at time.Time) object {
	profile := object{"name": "Default Profile", "selectorRule": "Default Active Profile"}
	score, factors := "18", []string{"B"}
	switch reason {
	case reasonDecisionReview:
		profile["desinationQueue"] = "Review" // spelt so by the real system
		score, factors = "68", []string{"H", "V"}
	case reasonDecisionReject, "SCORE_EXCEEDS_THRESHOLD":
		score, factors = "92", []string{"F", "H", "V"}
	}
	return object{
		"profile": profile, "casePriority": "3", "localTime": at.Format("15:04:05"),
		"score": object{"result": score, "factorCodes": factors, "modelUsed": "default_us"},
	}
}

// incrementAuthorization is PATCH /pts/v2/payments/{id}: it adds to a hold. Both bodies that are documented serve: the
// addition as totalAmount, or as additionalAmount.
func (s *Server) incrementAuthorization(c *call) reply {
	var r paymentRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, refused := s.increment(c, &r)
	if refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusCreated, body: answer}
}

func (s *Server) increment(c *call, r *paymentRequest) (object, *refusal) {
	var problems checks
	problems.reference(r.Reference, maxReference)
	if r.Order.Amount.Additional != "" {
		r.Order.Amount.Total = r.Order.Amount.Additional
	}
	added := problems.orderAmount(&r.Order)
	if refused := problems.refusal(); refused != nil {
		return nil, refused
	}
	t := s.books.find(c.merchant, c.PathValue("id"), kindAuth, kindSale)
	if refused := s.incrementable(t, r, added); refused != nil {
		return nil, refused
	}
	if refused := s.duplicate(c, r.Reference, false); refused != nil {
		return nil, refused
	}
	chosen := s.triggered(r, "", added)
	failed, refused := s.trip(c, r.Reference, chosen)
	if refused != nil {
		return nil, refused
	}
	if chosen.status == statusDeclined {
		declined := *t // the hold stays as it is
		declined.Status, declined.Reason, declined.Approved = statusDeclined, chosen.reason, false
		return s.paymentReply(&declined, r), nil
	}
	t.Amount = t.Amount.Add(added)
	t.Increments++
	if id := r.Reference.TransactionID; id != "" {
		t.IncrementIDs = append(t.IncrementIDs, id)
		s.books.indexTransactionID(t, id)
	}
	s.store(t)
	if failed {
		return nil, failure(chosen.reason)
	}
	answer := s.paymentReply(t, r)
	answer["submitTimeUtc"] = utc(c.now)
	return answer, nil
}

func (s *Server) incrementable(t *transaction, r *paymentRequest, added decimal.Decimal) *refusal {
	if t == nil {
		return missing("id")
	}
	if refused := s.openHold(t); refused != nil {
		return refused
	}
	switch {
	case t.Increments >= maxIncrements || !slices.Contains([]string{"001", "002", "003", "004"}, t.Card.Type):
		return refuse("NOT_SUPPORTED")
	case s.books.captured(t).IsPositive():
		return refuse("TRANSACTION_ALREADY_SETTLED")
	case r.Order.Amount.Currency != t.Currency:
		return invalid("orderInformation.amountDetails.currency")
	case !added.IsPositive():
		return refuse("INVALID_AMOUNT")
	}
	return nil
}

// openHold refuses what has no hold that one may act upon, in the words of each state.
func (s *Server) openHold(t *transaction) *refusal {
	switch {
	case t.Review == reviewOpen:
		return refuse("NOT_SUPPORTED")
	case t.Status == statusReversed, t.Expired:
		return refuse("AUTH_ALREADY_REVERSED")
	case t.Review != "" && !t.Approved: // decided, but never authorized
		return refuse("MISSING_AUTH")
	case !t.Approved:
		return refuse("INVALID_DATA", detail{Field: "id", Reason: "INVALID_DATA"})
	}
	return nil
}
