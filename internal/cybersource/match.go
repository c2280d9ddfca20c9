package cybersource

import (
	"slices"
	"strings"
	"time"
)

// clockSkew is how far the gateway's clock may be behind ours when times are compared. References are unique to an operation
// or order, and ids of other operations are excluded, so that being generous costs nothing.
const clockSkew = 5 * time.Minute

// Succeeded tells whether the application ran and ended well.
func (t Transaction) Succeeded(application string) bool {
	for _, ran := range t.Applications {
		if ran.Name == application {
			return ran.succeeded()
		}
	}
	return false
}

// Has tells whether the application is part of the request, however it ended.
func (t Transaction) Has(application string) bool {
	return slices.ContainsFunc(t.Applications, func(ran Application) bool { return ran.Name == application })
}

func (a Application) succeeded() bool {
	return a.ReasonCode == "100" && (a.RFlag == "" || a.RFlag == "SOK")
}

// Kind tells what the request was, from the services that ran in it; "" where it can't be told. A sale is ics_auth with ics_bill. A sale
// whose capture did not run (declined, held) looks like an authorization. A capture, reversal or void made by a reviewer is a request of
// its own and looks like ours.
func (t Transaction) Kind() Kind {
	switch {
	case t.Has("ics_timeout_auth_reversal"):
		return KindTimeoutReversal
	case t.Has("ics_auth") && t.Has("ics_bill"):
		return KindSale
	case t.Has("ics_auth"), t.screeningOnly():
		return KindAuthorization
	case t.Has("ics_credit"):
		return KindRefund
	case t.Has("ics_bill"):
		return KindCapture
	case t.Has("ics_void"):
		return KindVoid
	case slices.ContainsFunc(t.Applications, func(ran Application) bool { return reverses(ran.Name) }):
		return KindReversal
	case t.Has("ics_cm_action"):
		return KindCaseAction
	default:
		return ""
	}
}

// screeningOnly: a payment that did not get beyond Decision Manager or payer authentication.
func (t Transaction) screeningOnly() bool {
	if len(t.Applications) == 0 {
		return false
	}
	return !slices.ContainsFunc(t.Applications, func(ran Application) bool {
		return ran.Name != "ics_decision" && !strings.HasPrefix(ran.Name, "ics_pa_")
	})
}

// Match picks the transaction that a lost answer was about: right kind, right amount, not before it was sent, not another
// operation's. One that moved or holds money comes before a refused one, an older before a newer. Tries that say nothing of the
// outcome are never picked: refused as duplicate, or ended by a fault of gateway or processor.
func Match(transactions []Transaction, want Wanted) (Transaction, bool) {
	var best Transaction
	found := false
	for _, transaction := range transactions {
		if transaction.fits(want) && (!found || better(transaction, best)) {
			best, found = transaction, true
		}
	}
	return best, found
}

func (t Transaction) fits(want Wanted) bool {
	return t.ID != "" && t.conclusive() && t.fitsKind(want.Kind) && t.fitsAmount(want) &&
		t.fitsTime(want.After) && (want.Exclude == nil || !want.Exclude(t.ID))
}

func (t Transaction) fitsKind(want Kind) bool {
	kind := t.Kind()
	switch want {
	case KindSale:
		return kind == KindSale || kind == KindAuthorization
	case KindTimeoutVoid:
		return kind == KindVoid
	case KindTimeoutReversal:
		return kind == KindTimeoutReversal || kind == KindReversal
	default:
		return kind != "" && kind == want
	}
}

// fitsTime: not before it was sent. A record without a readable time is not ruled out.
func (t Transaction) fitsTime(after time.Time) bool {
	return t.SubmittedAt.IsZero() || !t.SubmittedAt.Before(after.Add(-clockSkew))
}

// fitsAmount compares amounts. Voids and reversals may come without one, a partial approval with less than was asked.
func (t Transaction) fitsAmount(want Wanted) bool {
	switch want.Kind {
	case KindVoid, KindTimeoutVoid, KindReversal, KindTimeoutReversal, KindCaseAction:
		return t.Amount.Currency == "" || want.Amount.Currency == "" || t.Amount.Equal(want.Amount)
	case KindAuthorization, KindSale:
		partly := t.hasCode("110") && t.Amount.Currency == want.Amount.Currency && t.Amount.Amount.LessThan(want.Amount.Amount)
		return partly || t.Amount.Equal(want.Amount)
	default:
		return t.Amount.Equal(want.Amount)
	}
}

// conclusive: the record tells an end. 104 is a refused repeat, 150 to 152 and 236 are faults on the way, which don't tell what
// became of the money, unless another part of the request did its work.
func (t Transaction) conclusive() bool {
	if len(t.Applications) == 0 {
		return false
	}
	return t.moved() || !t.hasCode(inconclusiveCodes()...)
}

func inconclusiveCodes() []string { return []string{"104", "150", "151", "152", "236"} }

// primary names the applications that move or hold money, or undo that.
func primary(name string) bool {
	switch name {
	case "ics_auth", "ics_bill", "ics_credit", "ics_void":
		return true
	default:
		return reverses(name)
	}
}

// reverses names the ways in which a hold is released; the automatic ones are the gateway's own.
func reverses(name string) bool {
	switch name {
	case "ics_auth_reversal", "ics_timeout_auth_reversal", "ics_auto_auth_reversal", "ics_auto_full_auth_reversal", "ics_auto_void_auth_reversal":
		return true
	default:
		return false
	}
}

// ReleasedByItself tells that a hold ended without anybody's doing: it ran out, or the gateway released what a capture or void left of it.
func (t Transaction) ReleasedByItself() bool {
	return slices.ContainsFunc(t.Applications, func(ran Application) bool {
		return reverses(ran.Name) && strings.HasPrefix(ran.Name, "ics_auto_")
	})
}

func better(candidate, best Transaction) bool {
	if candidate.moved() != best.moved() {
		return candidate.moved()
	}
	if !candidate.SubmittedAt.Equal(best.SubmittedAt) {
		return candidate.SubmittedAt.Before(best.SubmittedAt)
	}
	return candidate.ID < best.ID
}

// moved tells whether the request did something: an application that moves or holds money, or undoes that, ended well, or nearly so
// (approved for less; approved and then kept back by a rule); or it waits in review.
func (t Transaction) moved() bool {
	return t.underReview() || slices.ContainsFunc(t.Applications, func(ran Application) bool {
		return primary(ran.Name) && (ran.succeeded() || ran.RCode == "1" || ran.ReasonCode == "110" || ran.ReasonCode == "520")
	})
}

func (t Transaction) underReview() bool { return t.hasCode("480") }

func (t Transaction) hasCode(codes ...string) bool {
	return slices.Contains(codes, t.ReasonCode) || slices.ContainsFunc(t.Applications, func(ran Application) bool {
		return slices.Contains(codes, ran.ReasonCode)
	})
}

// OutcomeOf adopts a transaction that was found: the outcome that its lost answer would have told, or what became of it since (Reversed,
// Voided). It takes the stricter of status and applications: held if one of them says so, a success only if both agree, else Unrecognized.
// For a sale whose capture did not run it gives Kind authorization.
func OutcomeOf(transaction Transaction, detail Detail) Outcome {
	evidence := transaction
	if len(detail.Applications) > 0 {
		evidence = detail.Transaction
	}
	outcome := Outcome{
		Kind:                 evidence.Kind(),
		ID:                   transaction.ID,
		Status:               detail.Status,
		Reason:               detail.Reason,
		Message:              detail.Message,
		Amount:               transaction.Amount,
		SubmittedAt:          transaction.SubmittedAt,
		ReconciliationID:     detail.ReconciliationID,
		ApprovalCode:         detail.ApprovalCode,
		NetworkTransactionID: detail.NetworkTransactionID,
		ProcessorCode:        detail.ProcessorCode,
		CardType:             firstOf(detail.CardType, transaction.CardType),
		CardSuffix:           firstOf(detail.CardSuffix, transaction.CardSuffix),
		AVS:                  detail.AVS,
		CVN:                  detail.CVN,
		Risk:                 detail.Risk,
		Tokens:               detail.Tokens,
		Adopted:              true,
		ByItself:             evidence.ReleasedByItself() && !evidence.Has("ics_auth"),
	}
	if outcome.Reason == "" {
		outcome.Reason = reasonNames[evidence.decidingCode()]
	}
	if outcome.Kind == KindAuthorization || outcome.Kind == KindSale {
		return adoptedPayment(outcome, evidence, detail)
	}
	outcome.Result = adoptedFollowOn(outcome.Kind, evidence, detail.Status)
	return outcome
}

func adoptedPayment(outcome Outcome, evidence Transaction, detail Detail) Outcome {
	if outcome.Kind == KindSale && !evidence.Succeeded("ics_bill") {
		outcome.Kind = KindAuthorization
	}
	outcome.Result = paymentResult(outcome.Kind, evidence, detail)
	if evidence.captureUnknown() && (outcome.Result == Authorized || outcome.Result == Pending) {
		outcome.Result = Unrecognized
	}
	switch outcome.Result {
	case Authorized, Captured, Held, RiskDeclined, PartiallyAuthorized:
		outcome.Authorized = detail.Authorized
		if outcome.Authorized.Currency == "" && outcome.Result != PartiallyAuthorized {
			outcome.Authorized = outcome.Amount
		}
		return authorizedFor(outcome, outcome.Amount)
	default:
		return outcome
	}
}

// captureUnknown: the capture of a sale ended by a fault on the way.
func (t Transaction) captureUnknown() bool {
	return slices.ContainsFunc(t.Applications, func(ran Application) bool {
		return ran.Name == "ics_bill" && slices.Contains(inconclusiveCodes(), ran.ReasonCode)
	})
}

// paymentResult reads a payment's record. What forbids shipping is looked at first.
func paymentResult(kind Kind, evidence Transaction, detail Detail) Result {
	approved := evidence.Succeeded("ics_auth")
	partly := evidence.hasCode("110")
	switch status := detail.Status; status {
	case "REVERSED":
		return Reversed
	case "VOIDED", "CANCELLED":
		return Voided
	case "PENDING_REVIEW", "PENDING_AUTHENTICATION", "AUTHORIZED_RISK_DECLINED", "AUTHORIZED_PENDING_REVIEW", "PARTIAL_AUTHORIZED":
		return paymentResults[status]
	case "INVALID_REQUEST":
		return Invalid
	case "DECLINED", "REJECTED":
		return declined(detail.Reason, approved) // refused after the bank had approved: the money is held
	case "AUTHORIZED", "PENDING", "TRANSMITTED", "BATCHED":
		return approvedResult(kind, status, evidence, approved, partly)
	case "":
		approvedAtBank := approved || detail.ApprovalCode != "" || detail.Authorized.Amount.IsPositive()
		return resultOfCodes(kind, evidence, approvedAtBank, partly)
	default:
		return Unrecognized
	}
}

// approvedResult: the status speaks of success; the applications must not contradict.
func approvedResult(kind Kind, status string, evidence Transaction, approved, partly bool) Result {
	switch {
	case evidence.underReview():
		return Held
	case evidence.hasCode("481", "520"):
		return RiskDeclined
	case partly:
		return PartiallyAuthorized
	case !approved:
		return Unrecognized
	case kind == KindSale:
		return Captured
	case status == "AUTHORIZED":
		return Authorized
	default:
		return Pending
	}
}

// resultOfCodes does without a status. approved means by the bank, whatever the gateway made of it.
func resultOfCodes(kind Kind, evidence Transaction, approved, partly bool) Result {
	switch {
	case evidence.underReview() && evidence.Has("ics_auth"):
		return Held
	case evidence.underReview():
		return HeldUnauthorized
	case approved && evidence.hasCode("481", "520"):
		return RiskDeclined
	case evidence.hasCode("475", "476", "478"):
		return AuthenticationRequired
	case partly:
		return PartiallyAuthorized
	case approved && evidence.hasCode("200", "201", "230"):
		return Held // soft AVS or CVN rule: approved at the bank, kept back
	case !evidence.Succeeded("ics_auth") && approved:
		return Unrecognized
	case approved && kind == KindSale:
		return Captured
	case approved:
		return Authorized
	case evidence.Has("ics_auth") && !evidence.moved(), evidence.screeningOnly():
		return Declined
	default:
		return Unrecognized
	}
}

func adoptedFollowOn(kind Kind, evidence Transaction, status string) Result {
	if !evidence.did(kind) {
		return refusedFollowOn(evidence, status)
	}
	switch kind {
	case KindCapture, KindRefund:
		return moneyMoved(kind, status)
	case KindReversal, KindTimeoutReversal:
		return confirmed(Reversed, status, "REVERSED", "COMPLETED")
	case KindVoid:
		return confirmed(Voided, status, "VOIDED", "CANCELLED", "COMPLETED")
	case KindCaseAction:
		return confirmed(Decided, status, "ACCEPTED", "REJECTED", "COMPLETED")
	default:
		return Unrecognized
	}
}

// did tells whether the service of a follow-on ended well; what else ran in the request proves nothing.
func (t Transaction) did(kind Kind) bool {
	switch kind {
	case KindCapture:
		return t.Succeeded("ics_bill")
	case KindRefund:
		return t.Succeeded("ics_credit")
	case KindVoid:
		return t.Succeeded("ics_void")
	case KindCaseAction:
		return t.Succeeded("ics_cm_action")
	default:
		return slices.ContainsFunc(t.Applications, func(ran Application) bool { return reverses(ran.Name) && ran.succeeded() })
	}
}

func refusedFollowOn(evidence Transaction, status string) Result {
	refused := status == "" || status == "DECLINED" || status == "INVALID_REQUEST" || status == "FAILED"
	if refused && !evidence.moved() && evidence.conclusive() {
		return Declined
	}
	return Unrecognized
}

// moneyMoved reads a capture or refund through its life: accepted, batched, or cancelled in between.
func moneyMoved(kind Kind, status string) Result {
	switch status {
	case "VOIDED", "CANCELLED":
		return Voided
	case "", "PENDING", "TRANSMITTED", "BATCHED", "COMPLETED", "AUTHORIZED":
		if kind == KindRefund {
			return Refunded
		}
		return Captured
	default:
		return Unrecognized
	}
}

// confirmed gives the result where the status says the same, or nothing.
func confirmed(result Result, status string, agreeing ...string) Result {
	if status == "" || slices.Contains(agreeing, status) {
		return result
	}
	return Unrecognized
}

// decidingCode is the code of the first application that did not end well, else of the request.
func (t Transaction) decidingCode() string {
	for _, ran := range t.Applications {
		if !ran.succeeded() && ran.ReasonCode != "" {
			return ran.ReasonCode
		}
	}
	return t.ReasonCode
}

// reasonNames are the REST names of numeric reason codes (cybersource.md 2.8).
var reasonNames = map[string]string{
	"101": "MISSING_FIELD", "102": "INVALID_DATA", "104": "DUPLICATE_REQUEST",
	"150": "SYSTEM_ERROR", "151": "SERVER_TIMEOUT", "152": "SERVICE_TIMEOUT",
	"200": "AVS_FAILED", "201": "CONTACT_PROCESSOR", "202": "EXPIRED_CARD", "203": "PROCESSOR_DECLINED",
	"204": "INSUFFICIENT_FUND", "205": "STOLEN_LOST_CARD", "207": "ISSUER_UNAVAILABLE", "208": "UNAUTHORIZED_CARD",
	"210": "EXCEEDS_CREDIT_LIMIT", "211": "INVALID_CVN", "221": "BLACKLISTED_CUSTOMER", "222": "SUSPENDED_ACCOUNT",
	"230": "CV_FAILED", "231": "INVALID_ACCOUNT", "232": "CARD_TYPE_NOT_ACCEPTED", "233": "GENERAL_DECLINE",
	"234": "INVALID_MERCHANT_CONFIGURATION", "235": "EXCEEDS_AUTH_AMOUNT", "236": "PROCESSOR_UNAVAILABLE",
	"237": "AUTH_ALREADY_REVERSED", "238": "TRANSACTION_ALREADY_SETTLED", "240": "INVALID_CARD_TYPE",
	"243": "TRANSACTION_ALREADY_REVERSED_OR_SETTLED", "246": "NOT_VOIDABLE",
	"475": "CONSUMER_AUTHENTICATION_REQUIRED", "476": "CONSUMER_AUTHENTICATION_FAILED", "478": "CONSUMER_AUTHENTICATION_REQUIRED",
	"480": "DECISION_PROFILE_REVIEW", "481": "DECISION_PROFILE_REJECT", "520": "SCORE_EXCEEDS_THRESHOLD",
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func upper(value text) string { return strings.ToUpper(string(value)) }
