package cybersource

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// refundWindow is how long after a payment it may be refunded.
const refundWindow = 180 * 24 * time.Hour

// followOn runs a call that follows on a payment: it decodes, locks and answers.
func (s *Server) followOn(c *call, run func(*paymentRequest) (object, *refusal)) reply {
	var r paymentRequest
	if refused := decode(c.body, &r); refused != nil {
		return refused.reply(c.now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, refused := run(&r)
	if refused != nil {
		return refused.reply(c.now)
	}
	return reply{status: http.StatusCreated, body: answer}
}

// failFollowOn plays a failure that the payment's token, name or amount ordered for its first follow-on of a kind.
// failed is set where the call must take effect first.
func (s *Server) failFollowOn(t *transaction, kind string) (chosen scenario, failed bool, refused *refusal) {
	root := s.books.byID[t.RootID]
	if root == nil {
		return scenario{}, false, nil
	}
	chosen, found := findScenario(root.FollowOn)
	if !found || chosen.onFollowOn != kind || !s.books.tripFirst(root.ID+"\x00"+chosen.name) {
		return scenario{}, false, nil
	}
	if !chosen.commit {
		return chosen, false, failure(chosen.reason)
	}
	return chosen, true, nil
}

// enter books a follow-on together with what it changed.
func (s *Server) enter(t, original *transaction, changed ...*transaction) {
	t.RelatedID, t.RootID = original.ID, original.RootID
	t.Card = original.Card
	s.books.add(t)
	s.store(append([]*transaction{t}, changed...)...)
}

// capturePayment is POST /pts/v2/payments/{id}/captures.
func (s *Server) capturePayment(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		payment, amount, refused := s.checkCapture(c, r)
		if refused != nil {
			return nil, refused
		}
		chosen, failed, refused := s.failFollowOn(payment, kindCapture)
		if refused != nil {
			return nil, refused
		}
		t := s.capture(c, r, payment, amount)
		if failed {
			return nil, failure(chosen.reason)
		}
		return captureReply(t), nil
	})
}

func (s *Server) checkCapture(c *call, r *paymentRequest) (*transaction, decimal.Decimal, *refusal) {
	var problems checks
	problems.required("clientReferenceInformation.code", r.Reference.Code, 50)
	problems.max("clientReferenceInformation.transactionId", r.Reference.TransactionID, 30)
	amount := problems.orderAmount(&r.Order)
	problems.captureOptions(r.Processing)
	if refused := problems.refusal(); refused != nil {
		return nil, amount, refused
	}
	payment := s.books.find(c.merchant, c.PathValue("id"), kindAuth, kindSale)
	if payment == nil {
		return nil, amount, missing("id")
	}
	if refused := s.openHold(payment); refused != nil {
		return nil, amount, refused
	}
	if payment.Status == statusRiskDeclined {
		return nil, amount, refuse("NOT_SUPPORTED")
	}
	if refused := s.captureSequence(payment, r.Processing); refused != nil {
		return nil, amount, refused
	}
	switch held := s.books.held(payment); {
	case r.Order.Amount.Currency != payment.Currency:
		return nil, amount, invalid("orderInformation.amountDetails.currency")
	case !amount.IsPositive():
		return nil, amount, refuse("INVALID_AMOUNT")
	case amount.GreaterThan(held):
		return nil, amount, refuse("EXCEEDS_AUTH_AMOUNT")
	}
	return payment, amount, nil
}

func (c *checks) captureOptions(p processingInfo) {
	const at = "processingInformation.captureOptions."
	sequence, total := p.CaptureOptions.Sequence, p.CaptureOptions.Total
	if sequence == 0 && total == 0 {
		return
	}
	if sequence < 1 || sequence > 99 {
		c.invalid(at + "captureSequenceNumber")
	}
	if total < max(sequence, 1) || total > 99 {
		c.invalid(at + "totalCaptureCount")
	}
}

// captureSequence says whether one more capture may follow those that are there: only where the account is enabled for several, each with a
// number of its own, and none after the last one. The number of a capture that was voided is free again.
func (s *Server) captureSequence(payment *transaction, p processingInfo) *refusal {
	sequence, total := int(p.CaptureOptions.Sequence), int(p.CaptureOptions.Total)
	if total > 1 && !s.cfg.MultiCapture {
		return refuse("NOT_SUPPORTED")
	}
	if payment.Kind == kindSale && payment.live() {
		return refuse("TRANSACTION_ALREADY_SETTLED")
	}
	for _, earlier := range s.books.captures(payment) {
		switch {
		case !earlier.live():
		case !s.cfg.MultiCapture || sequence == 0 || earlier.Sequence == 0 || earlier.Final:
			return refuse("TRANSACTION_ALREADY_SETTLED")
		case earlier.Sequence == sequence:
			return refuse("DUPLICATE_REQUEST", detail{Field: "processingInformation.captureOptions.captureSequenceNumber", Reason: "INVALID_DATA"})
		}
	}
	return nil
}

// capture books a capture and, where it is the last one, releases what it leaves of the hold.
func (s *Server) capture(c *call, r *paymentRequest, payment *transaction, amount decimal.Decimal) *transaction {
	t := s.newTransaction(c, kindCapture, r)
	t.Amount, t.Currency = amount, payment.Currency
	t.Status, t.Settlement = statusPending, statusPending
	t.Sequence = int(r.Processing.CaptureOptions.Sequence)
	t.Final = t.Sequence == 0 || t.Sequence == int(r.Processing.CaptureOptions.Total)
	t.Applications = []application{done("ics_bill")}
	s.enter(t, payment)
	if rest := s.books.held(payment); t.Final && rest.IsPositive() {
		s.release(c, payment, rest, "ics_auto_auth_reversal")
	}
	s.announce(t, "payments.capture.status.accepted", "payments.captures.accept")
	return t
}

// release reverses a part of a hold on the system's own account.
func (s *Server) release(c *call, payment *transaction, amount decimal.Decimal, application string) *transaction {
	t := s.newTransaction(c, kindReversal, &paymentRequest{Reference: referenceInfo{Code: payment.Reference}})
	t.Amount, t.Currency, t.Status = amount, payment.Currency, statusReversed
	t.Applications = done1(application)
	changed := s.reversedWhole(payment, amount)
	s.enter(t, payment, changed...)
	return t
}

// reversedWhole marks a payment as reversed where amount is all of a hold of which nothing is captured.
func (s *Server) reversedWhole(payment *transaction, amount decimal.Decimal) []*transaction {
	if s.books.captured(payment).IsPositive() || amount.LessThan(s.books.held(payment)) {
		return nil
	}
	payment.Status = statusReversed
	return []*transaction{payment}
}

func captureReply(t *transaction) object {
	base := "/pts/v2/captures/" + t.ID
	return object{
		"_links":                     object{"void": link("POST", base+"/voids"), "self": link("GET", base)},
		"clientReferenceInformation": object{"code": t.Reference}, "id": t.ID,
		"orderInformation": object{"amountDetails": object{"totalAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency}},
		"reconciliationId": t.ReconciliationID, "status": t.Status, "submitTimeUtc": utc(t.At),
	}
}

// refundPayment is POST /pts/v2/payments/{id}/refunds.
func (s *Server) refundPayment(c *call) reply {
	return s.refund(c, kindAuth, kindSale)
}

// refundCapture is POST /pts/v2/captures/{id}/refunds.
func (s *Server) refundCapture(c *call) reply {
	return s.refund(c, kindCapture)
}

func (s *Server) refund(c *call, kinds ...string) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		original, amount, refused := s.checkRefund(c, r, kinds)
		if refused != nil {
			return nil, refused
		}
		if refused := s.duplicate(c, r.Reference, false); refused != nil {
			return nil, refused
		}
		chosen, failed, refused := s.failFollowOn(original, kindRefund)
		if refused != nil {
			return nil, refused
		}
		t := s.bookRefund(c, r, original, amount)
		if failed {
			return nil, failure(chosen.reason)
		}
		return refundReply(t), nil
	})
}

func (s *Server) bookRefund(c *call, r *paymentRequest, original *transaction, amount decimal.Decimal) *transaction {
	t := s.newTransaction(c, kindRefund, r)
	t.Amount = amount
	t.Status, t.Settlement = statusPending, statusPending
	t.Applications = []application{done("ics_credit")}
	s.enter(t, original)
	s.announce(t, "payments.refund.status.accepted", "payments.refunds.accept")
	return t
}

func (s *Server) checkRefund(c *call, r *paymentRequest, kinds []string) (*transaction, decimal.Decimal, *refusal) {
	var problems checks
	problems.reference(r.Reference, maxReference)
	amount := problems.orderAmount(&r.Order)
	if refused := problems.refusal(); refused != nil {
		return nil, amount, refused
	}
	original := s.books.find(c.merchant, c.PathValue("id"), kinds...)
	if original == nil {
		return nil, amount, invalid("id")
	}
	captured, refused := s.refundable(original)
	if refused != nil {
		return nil, amount, refused
	}
	spent := decimal.Zero
	switch {
	case !s.cfg.CapRefunds:
	case original.Kind == kindCapture:
		spent = s.refundedOf(original)
	default:
		spent = s.books.refunded(s.books.byID[original.RootID])
	}
	switch {
	case c.now.Sub(original.At) > refundWindow:
		return nil, amount, invalid("id")
	case r.Order.Amount.Currency != original.Currency:
		return nil, amount, invalid("orderInformation.amountDetails.currency")
	case !amount.IsPositive(), amount.Add(spent).GreaterThan(captured):
		return nil, amount, refuse("INVALID_AMOUNT")
	}
	return original, amount, nil
}

// refundable is the captured amount of a payment or capture, if it can be refunded at all.
func (s *Server) refundable(original *transaction) (decimal.Decimal, *refusal) {
	if original.Kind == kindCapture {
		if !original.live() {
			return decimal.Zero, refuse("CAPTURE_ALREADY_VOIDED")
		}
		return original.Amount, nil
	}
	if captured := s.books.captured(original); captured.IsPositive() {
		return captured, nil
	}
	voided := original.Settlement == statusVoided || slices.ContainsFunc(s.books.captures(original), func(t *transaction) bool {
		return t.Settlement == statusVoided
	})
	if voided {
		return decimal.Zero, refuse("CAPTURE_ALREADY_VOIDED")
	}
	return decimal.Zero, invalid("id")
}

func refundReply(t *transaction) object {
	base := "/pts/v2/refunds/" + t.ID
	return object{
		"_links":                     object{"void": link("POST", base+"/voids"), "self": link("GET", base)},
		"clientReferenceInformation": object{"code": t.Reference}, "id": t.ID,
		"refundAmountDetails":  object{"refundAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency},
		"orderInformation":     object{"amountDetails": object{"currency": t.Currency}},
		"processorInformation": object{"approvalCode": "888888", "responseCode": "100"},
		"reconciliationId":     t.ReconciliationID, "status": t.Status, "submitTimeUtc": utc(t.At),
	}
}

// createCredit is POST /pts/v2/credits: money to a card without a payment before.
func (s *Server) createCredit(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		paid, amount, refused := s.checkPayment(c, r, maxReference)
		if refused != nil {
			return nil, refused
		}
		if !amount.IsPositive() {
			return nil, refuse("INVALID_AMOUNT")
		}
		if refused := s.duplicate(c, r.Reference, false); refused != nil {
			return nil, refused
		}
		chosen := s.triggered(r, paid.scenario, amount)
		failed, refused := s.trip(c, r.Reference, chosen)
		if refused != nil {
			return nil, refused
		}
		t := s.newCredit(c, r, paid, amount, chosen)
		if failed {
			return nil, failure(chosen.reason)
		}
		return creditReply(t), nil
	})
}

func (s *Server) newCredit(c *call, r *paymentRequest, paid instrument, amount decimal.Decimal, chosen scenario) *transaction {
	t := s.newTransaction(c, kindCredit, r)
	t.RootID, t.Amount, t.Card, t.Bank, t.Details = t.ID, amount, paid.card, paid.bank, detailsOf(r)
	name := "ics_credit"
	if paid.bank {
		name = "ics_ecp_credit"
	}
	if status, why := paid.outcome(chosen, c.now); status == statusDeclined {
		t.Status, t.Reason = status, why
		t.Applications = []application{declinedApplication(name, declines[why])}
	} else {
		t.Status, t.Settlement = statusPending, statusPending
		t.Applications = []application{done(name)}
		s.announce(t, "payments.credit.status.accepted", "payments.credits.accept")
	}
	s.books.add(t)
	s.store(t)
	return t
}

func creditReply(t *transaction) object {
	if t.Status == statusDeclined {
		why, _ := errorInformation(t.Status, t.Reason)
		return object{
			"id": t.ID, "status": t.Status, "submitTimeUtc": utc(t.At), "errorInformation": why,
			"clientReferenceInformation": object{"code": t.Reference}, "processorInformation": object{"responseCode": declines[t.Reason].response},
		}
	}
	base := "/pts/v2/credits/" + t.ID
	return object{
		"_links":                     object{"void": link("POST", base+"/voids"), "self": link("GET", base)},
		"clientReferenceInformation": object{"code": t.Reference}, "id": t.ID,
		// the real system answers the currency of credits in lower case
		"creditAmountDetails":  object{"creditAmount": formatAmount(t.Amount, t.Currency), "currency": strings.ToLower(t.Currency)},
		"orderInformation":     object{"amountDetails": object{"currency": t.Currency}},
		"processorInformation": object{"approvalCode": "888888", "responseCode": "100"},
		"reconciliationId":     t.ReconciliationID, "status": t.Status, "submitTimeUtc": utc(t.At),
	}
}

// reversePayment is POST /pts/v2/payments/{id}/reversals.
func (s *Server) reversePayment(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		amountOf, refused := checkReversal(r)
		if refused != nil {
			return nil, refused
		}
		payment := s.books.find(c.merchant, c.PathValue("id"), kindAuth, kindSale)
		if payment == nil {
			return nil, missing("id")
		}
		return s.reverse(c, r, payment, amountOf, "ics_auth_reversal")
	})
}

// timeoutReversal is POST /pts/v2/reversals: it reverses an authorization by our transactionId, for one whose answer
// never came.
func (s *Server) timeoutReversal(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		amountOf, refused := checkReversal(r)
		if refused != nil {
			return nil, refused
		}
		if r.Reference.TransactionID == "" {
			return nil, missing("clientReferenceInformation.transactionId")
		}
		payment := s.byTransactionID(c.merchant, r.Reference.TransactionID, kindAuth, kindSale)
		if payment == nil {
			return nil, refuse("MISSING_AUTH")
		}
		answer, refused := s.reverse(c, r, payment, amountOf, "ics_timeout_auth_reversal")
		if answer != nil {
			answer["clientReferenceInformation"] = object{"code": r.Reference.Code, "transactionId": r.Reference.TransactionID}
		}
		return answer, refused
	})
}

// byTransactionID is the newest transaction of one of the kinds with that transactionId.
func (s *Server) byTransactionID(merchant, id string, kinds ...string) *transaction {
	for _, t := range slices.Backward(s.books.byTransaction[byMerchant(merchant, id)]) {
		if slices.Contains(kinds, t.Kind) {
			return t
		}
	}
	return nil
}

// checkReversal validates a reversal. The amount can be read only once the currency, which may be left out, is known.
func checkReversal(r *paymentRequest) (amountOf func(currencyCode string) (decimal.Decimal, bool), refused *refusal) {
	var problems checks
	problems.reference(r.Reference, maxReference)
	const at = "reversalInformation.amountDetails."
	given := r.Reversal.Amount
	if given.Total == "" {
		problems.missing(at + "totalAmount")
	}
	if given.Currency != "" && !knownCurrency(given.Currency) {
		problems.invalid(at + "currency")
	}
	problems.max("reversalInformation.reason", r.Reversal.Reason, 255)
	return func(currencyCode string) (decimal.Decimal, bool) {
		if given.Currency != "" && given.Currency != currencyCode {
			return decimal.Zero, false
		}
		return parseAmount(given.Total, currencyCode)
	}, problems.refusal()
}

func (s *Server) reverse(c *call, r *paymentRequest, payment *transaction, amountOf func(string) (decimal.Decimal, bool), application string) (object, *refusal) {
	amount, ok := amountOf(payment.Currency)
	if !ok {
		return nil, invalid("reversalInformation.amountDetails.totalAmount")
	}
	timeout := application == "ics_timeout_auth_reversal"
	if timeout && payment.Status == statusDeclined {
		return s.reverseNothing(c, r, payment), nil
	}
	if refused := s.reversible(payment, amount); refused != nil {
		return nil, refused
	}
	chosen, failed, refused := s.failFollowOn(payment, kindReversal)
	if refused != nil {
		return nil, refused
	}
	t := s.newTransaction(c, kindReversal, r)
	if timeout {
		t.TransactionID = "" // it names the original, not the reversal
	}
	t.Amount, t.Currency, t.Status = amount, payment.Currency, statusReversed
	t.Applications = done1(application)
	changed := s.reversedWhole(payment, amount)
	s.enter(t, payment, changed...)
	s.announce(t, "payments.reversal.status.accepted", "payments.reversals.accept")
	if failed {
		return nil, failure(chosen.reason)
	}
	return reversalReply(t), nil
}

func done1(name string) []application { return []application{done(name)} }

// reversible says in the words of each state why a hold can't be reversed.
func (s *Server) reversible(payment *transaction, amount decimal.Decimal) *refusal {
	if refused := s.openHold(payment); refused != nil {
		if refused.reason == "INVALID_DATA" { // declined: there is nothing to reverse
			return missing("id")
		}
		return refused
	}
	held := s.books.held(payment)
	captured := s.books.captured(payment).IsPositive()
	switch {
	case captured && (!s.cfg.PartialReversals || !held.IsPositive()):
		return refuse("TRANSACTION_ALREADY_SETTLED")
	case amount.GreaterThan(held):
		return refuse("INVALID_AMOUNT")
	case !s.cfg.PartialReversals && !amount.Equal(held):
		return refuse("INVALID_AMOUNT")
	case !amount.IsPositive() && held.IsPositive():
		return refuse("INVALID_AMOUNT")
	}
	return nil
}

// reverseNothing answers a time-out reversal of an authorization that had failed.
func (s *Server) reverseNothing(c *call, r *paymentRequest, payment *transaction) object {
	t := s.newTransaction(c, kindReversal, r)
	t.TransactionID = ""
	t.Amount, t.Currency, t.Status = decimal.Zero, payment.Currency, statusReversed
	t.Applications = done1("ics_timeout_auth_reversal")
	s.enter(t, payment)
	answer := reversalReply(t)
	answer["reversalAmountDetails"] = object{
		"reversedAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency,
		"originalTransactionAmount": formatAmount(payment.Amount, payment.Currency),
	}
	answer["processorInformation"] = object{"responseCode": declines[payment.Reason].response}
	return answer
}

func reversalReply(t *transaction) object {
	return object{
		"_links":                     object{"self": link("GET", "/pts/v2/reversals/"+t.ID)},
		"clientReferenceInformation": object{"code": t.Reference}, "id": t.ID,
		"orderInformation":      object{"amountDetails": object{"currency": t.Currency}},
		"processorInformation":  object{"responseCode": "200"},
		"reconciliationId":      t.ReconciliationID,
		"reversalAmountDetails": object{"reversedAmount": formatAmount(t.Amount, t.Currency), "currency": t.Currency},
		"status":                t.Status, "submitTimeUtc": utc(t.At),
	}
}

// voidOf is POST /pts/v2/{payments|captures|refunds|credits}/{id}/voids.
func (s *Server) voidOf(kinds ...string) handler {
	return func(c *call) reply {
		return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
			original := s.books.find(c.merchant, c.PathValue("id"), kinds...)
			if original == nil {
				return nil, missing("id")
			}
			return s.void(c, r, original)
		})
	}
}

// timeoutVoid is POST /pts/v2/voids: it voids a sale, capture, refund or credit by our transactionId.
func (s *Server) timeoutVoid(c *call) reply {
	return s.followOn(c, func(r *paymentRequest) (object, *refusal) {
		id := r.Reference.TransactionID
		if id == "" {
			return nil, missing("clientReferenceInformation.transactionId")
		}
		original := s.byTransactionID(c.merchant, id, kindSale, kindCapture, kindRefund, kindCredit)
		if original == nil {
			return nil, invalid("clientReferenceInformation.transactionId")
		}
		if given := r.Processing.PaymentID; given != "" && given != original.ID && given != original.RelatedID {
			return nil, invalid("processingInformation.paymentId")
		}
		answer, refused := s.void(c, r, original)
		if answer != nil {
			answer["clientReferenceInformation"] = object{"code": r.Reference.Code, "transactionId": id}
			if amounts, given := answer["voidAmountDetails"].(object); given {
				amounts["originalTransactionAmount"] = formatAmount(original.Amount, original.Currency)
			}
		}
		return answer, refused
	})
}

func (s *Server) void(c *call, r *paymentRequest, original *transaction) (object, *refusal) {
	var problems checks
	problems.reference(r.Reference, maxReference)
	if refused := problems.refusal(); refused != nil {
		return nil, refused
	}
	if original.Status == statusDeclined || original.Status == statusAuthentication {
		return nil, missing("id")
	}
	if original.Settlement != statusPending {
		return nil, refuse("NOT_VOIDABLE")
	}
	chosen, failed, refused := s.failFollowOn(original, kindVoid)
	if refused != nil {
		return nil, refused
	}
	t := s.newTransaction(c, kindVoid, r)
	t.TransactionID = "" // in a time-out void it names the original; a void has none
	t.Amount, t.Currency, t.Status = original.Amount, original.Currency, statusVoided
	t.Applications = done1("ics_void")
	original.Status, original.Settlement = statusVoided, statusVoided
	s.enter(t, original, original)
	s.announce(t, "payments.void.status.accepted", "payments.voids.accept")
	s.releaseAfterVoid(c, original)
	if failed {
		return nil, failure(chosen.reason)
	}
	return voidReply(t), nil
}

// releaseAfterVoid lets the hold of a voided capture go: on accounts that reverse it by themselves, and where the bank has let go of the
// authorization since, so that there is no hold for it to return to.
func (s *Server) releaseAfterVoid(c *call, original *transaction) {
	if original.Kind != kindCapture && original.Kind != kindSale {
		return
	}
	payment := s.books.byID[original.RootID]
	application := "ics_auto_void_auth_reversal"
	switch {
	case payment.Expired:
		application = "ics_auto_full_auth_reversal"
	case !s.cfg.AutoVoidReversal:
		return
	}
	if held := s.books.held(payment); held.IsPositive() {
		s.release(c, payment, decimal.Min(held, original.Amount), application)
	}
}

func voidReply(t *transaction) object {
	return object{
		"_links":                     object{"self": link("GET", "/pts/v2/voids/"+t.ID)},
		"clientReferenceInformation": object{"code": t.Reference}, "id": t.ID,
		"orderInformation": object{"amountDetails": object{"currency": t.Currency}},
		"status":           t.Status, "submitTimeUtc": utc(t.At),
		"voidAmountDetails": object{"voidAmount": formatAmount(t.Amount, t.Currency), "currency": strings.ToLower(t.Currency)},
	}
}
