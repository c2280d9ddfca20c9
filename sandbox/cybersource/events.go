package cybersource

import "encoding/json"

// Products of webhook subscriptions.
const (
	productPayments = "payments"
	productCards    = "cardProcessing" // the older names of the same events
	productRisk     = "decisionManager"
	productFraud    = "fraudManagementEssentials"
)

// product is one row of the list of products with their events.
type product struct {
	id        string
	name      string
	encrypted bool // message-level encryption is compulsory
	events    []string
}

// products are what organizations may subscribe to. Events that the stand-in never sends by itself can be emitted by
// hand.
var products = []product{
	{productPayments, "Payments", true, []string{
		"payments.authorization.status.accepted", "payments.authorization.status.reviewed", "payments.authorization.status.rejected",
		"payments.authorization.status.partiallyApproved", "payments.capture.status.accepted", "payments.capture.status.updated",
		"payments.refund.status.accepted", "payments.refund.status.updated", "payments.credit.status.accepted",
		"payments.credit.status.updated", "payments.void.status.accepted", "payments.void.status.rejected",
		"payments.reversal.status.accepted", "payments.reversal.status.rejected",
	}},
	{productCards, "Card Processing", false, []string{
		"payments.payments.accept", "payments.payments.review", "payments.payments.reject", "payments.payments.partial.approval",
		"payments.reversals.accept", "payments.reversals.reject", "payments.captures.accept", "payments.captures.review",
		"payments.captures.reject", "payments.refunds.accept", "payments.refunds.reject", "payments.refunds.partial.approval",
		"payments.credits.accept", "payments.credits.review", "payments.credits.reject", "payments.credits.partial.approval",
		"payments.voids.accept", "payments.voids.reject",
	}},
	{productRisk, "Decision Manager", false, []string{
		"risk.casemanagement.decision.accept", "risk.casemanagement.decision.reject", "risk.casemanagement.addnote", "risk.profile.decision.reject",
	}},
	{productFraud, "Fraud Management Essentials", false, []string{
		"risk.profile.decision.review", "risk.profile.decision.reject", "risk.profile.decision.monitor", "risk.casemanagement.addnote",
		"risk.casemanagement.decision.accept", "risk.casemanagement.decision.reject",
	}},
	{"eCheck", "eCheck", false, []string{
		"payments.payments.accepted", "payments.payments.failed", "payments.credits.accepted", "payments.credits.failed",
		"payments.voids.accepted", "payments.voids.failed",
	}},
	{"alternativePaymentMethods", "Alternative Payment Methods", false, []string{"payments.payments.updated"}},
	{"recurringBilling", "Recurring Billing", false, []string{
		"rbs.subscriptions.charge.created", "rbs.subscriptions.charge.failed", "rbs.subscriptions.charge.pre-notified",
	}},
	{"tokenManagement", "Token Management", false, []string{
		"tms.networktoken.updated", "tms.networktoken.provisioned", "tms.networktoken.binding", "tms.token.created", "tms.token.updated",
	}},
	{"unifiedCheckout", "Unified Checkout", true, []string{"uc.orders.transactionresults"}},
	{"customerInvoicing", "Customer Invoicing", false, []string{
		"invoicing.customer.invoice.send", "invoicing.customer.invoice.cancel", "invoicing.customer.invoice.paid",
		"invoicing.customer.invoice.partial-payment", "invoicing.customer.invoice.partial-resend",
		"invoicing.customer.invoice.reminder", "invoicing.customer.invoice.overdue-reminder",
	}},
	{"payByLink", "Pay By Link", false, []string{"payByLink.customer.payment", "payByLink.merchant.payment"}},
}

func findProduct(id string) (product, bool) {
	for _, p := range products {
		if p.id == id {
			return p, true
		}
	}
	return product{}, false
}

// event is something that subscribers of a product hear of.
type event struct {
	product    string
	name       string
	merchantID string
	payload    json.RawMessage
}

// announce tells of a state of a transaction under its newer and its older name.
func (s *Server) announce(t *transaction, name, older string) {
	payload := func() object { return transactionPayload(t) }
	s.publish(t, productPayments, name, payload)
	if older != "" {
		s.publish(t, productCards, older, payload)
	}
}

// announcePayment tells of a new authorization or sale.
func (s *Server) announcePayment(t *transaction) {
	switch t.Status {
	case statusHeld, statusPreauthReview:
		s.announce(t, "payments.authorization.status.reviewed", "payments.payments.review")
		if t.Reason == reasonDecisionReview {
			s.publish(t, productFraud, "risk.profile.decision.review", func() object { return casePayload(t, "", nil) })
		}
	case statusDeclined, statusRiskDeclined:
		s.announce(t, "payments.authorization.status.rejected", "payments.payments.reject")
		s.announceProfile(t)
	case statusPartial:
		s.announce(t, "payments.authorization.status.partiallyApproved", "payments.payments.partial.approval")
	case statusAuthorized:
		s.announce(t, "payments.authorization.status.accepted", "payments.payments.accept")
		if t.Kind == kindSale {
			s.announce(t, "payments.capture.status.accepted", "payments.captures.accept")
		}
	}
}

// announceProfile tells what the rules of Decision Manager decided.
func (s *Server) announceProfile(t *transaction) {
	switch t.Reason {
	case reasonDecisionReview:
		s.publish(t, productFraud, "risk.profile.decision.review", func() object { return casePayload(t, "", nil) })
	case reasonDecisionReject, "SCORE_EXCEEDS_THRESHOLD":
		s.publish(t, productRisk, "risk.profile.decision.reject", func() object { return casePayload(t, "", nil) })
		s.publish(t, productFraud, "risk.profile.decision.reject", func() object { return casePayload(t, "", nil) })
	}
}

// announceCase tells that a case was decided, and what the decision did to the money.
func (s *Server) announceCase(t *transaction, accepted bool, comments string, embedded object) {
	name := "risk.casemanagement.decision.reject"
	if accepted {
		name = "risk.casemanagement.decision.accept"
	}
	for _, product := range []string{productRisk, productFraud} {
		s.publish(t, product, name, func() object { return casePayload(t, comments, embedded) })
	}
}

func (s *Server) announceNote(t *transaction, comments string) {
	for _, product := range []string{productRisk, productFraud} {
		s.publish(t, product, "risk.casemanagement.addnote", func() object { return casePayload(t, comments, nil) })
	}
}

// announceBatched tells that the batch took a transaction.
func (s *Server) announceBatched(t *transaction) {
	switch t.Kind {
	case kindSale, kindCapture:
		s.announce(t, "payments.capture.status.updated", "")
	case kindRefund:
		s.announce(t, "payments.refund.status.updated", "")
	case kindCredit:
		s.announce(t, "payments.credit.status.updated", "")
	}
}

// transactionPayload tells of a payment or a follow-on. The real shape is not published: this has the ids and states
// that the replies have.
func transactionPayload(t *transaction) object {
	data := object{
		"id": t.ID, "referenceNumber": t.Reference, "status": processingStatus(t), "version": "1.0", "submitTimeUtc": utc(t.At),
		"clientReferenceInformation": object{"code": t.Reference},
		"orderInformation":           object{"amountDetails": object{"totalAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency}},
		"reconciliationId":           t.ReconciliationID,
	}
	if t.RelatedID != "" {
		data["relatedTransactionId"] = t.RelatedID
	}
	return object{"data": data, "organizationId": t.MerchantID}
}

func casePayload(t *transaction, comments string, embedded object) object {
	data := object{"id": t.ID, "referenceNumber": t.Reference, "version": "1.0"}
	if comments != "" {
		data["notes"] = []object{{"comment": comments}}
	}
	links := object{}
	for kind, made := range embedded {
		if body, ok := made.(object); ok {
			own, _ := body["_links"].(object)
			links[kind] = object{"_links": object{"self": own["self"]}}
		}
	}
	if len(links) > 0 {
		data["_embedded"] = links
	}
	return object{"data": data, "organizationId": t.MerchantID}
}

// publish hands an event to every active subscription that wants it. It makes no payload that nobody hears.
func (s *Server) publish(t *transaction, productID, name string, payload func() object) {
	if s.silent {
		return
	}
	wanted := false
	for _, sub := range s.books.subscriptions {
		wanted = wanted || sub.hears(t.MerchantID, productID, name)
	}
	if !wanted {
		return
	}
	raw, err := encode(payload())
	if err != nil {
		s.cfg.Logger.Error("encode notification", "error", err)
		return
	}
	s.notify(event{product: productID, name: name, merchantID: t.MerchantID, payload: raw})
}
