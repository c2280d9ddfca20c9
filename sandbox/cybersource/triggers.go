package cybersource

import (
	"strings"

	"github.com/shopspring/decimal"
)

// Statuses of payments and of what follows them.
const (
	statusAuthorized        = "AUTHORIZED"
	statusPartial           = "PARTIAL_AUTHORIZED"
	statusHeld              = "AUTHORIZED_PENDING_REVIEW"
	statusRiskDeclined      = "AUTHORIZED_RISK_DECLINED"
	statusPreauthReview     = "PENDING_REVIEW"
	statusAuthentication    = "PENDING_AUTHENTICATION"
	statusDeclined          = "DECLINED"
	statusPending           = "PENDING"
	statusBatched           = "BATCHED"
	statusVoided            = "VOIDED"
	statusReversed          = "REVERSED"
	statusAccepted          = "ACCEPTED"
	statusRejected          = "REJECTED"
	statusInvalidRequest    = "INVALID_REQUEST"
	reasonDecisionReview    = "DECISION_PROFILE_REVIEW"
	reasonDecisionReject    = "DECISION_PROFILE_REJECT"
	reasonAuthenticationDue = "CONSUMER_AUTHENTICATION_REQUIRED"
	reasonBlacklisted       = "BLACKLISTED_CUSTOMER"
)

// scenario is what a trigger makes of a request. The zero value approves.
type scenario struct {
	name   string
	status string // of the payment; "" is AUTHORIZED
	reason string // errorInformation.reason, or the refusal's
	// refuse answers 400 with reason, fail answers 502 with reason.
	refuse, fail bool
	// once makes it happen the first time for a reference only, so that a later try gets through.
	once bool
	// commit makes a failing request take effect all the same.
	commit bool
	// onFollowOn moves the failure from the payment to the first follow-on of that kind: capture, refund, reversal, void.
	onFollowOn string
	// screened marks what Decision Manager decides: DECISION_SKIP turns it off.
	screened bool
}

func decline(reason string) scenario { return scenario{status: statusDeclined, reason: reason} }

// scenarios that are not simply the name of a decline reason.
var namedScenarios = map[string]scenario{
	"approve":                  {},
	"decline":                  decline("PROCESSOR_DECLINED"),
	"insufficient_funds":       decline("INSUFFICIENT_FUND"),
	"review":                   {status: statusHeld, reason: reasonDecisionReview, screened: true},
	"review_preauth":           {status: statusPreauthReview, reason: reasonDecisionReview, screened: true},
	"review_avs":               {status: statusHeld, reason: "AVS_FAILED"},
	"review_cvn":               {status: statusHeld, reason: "CV_FAILED"},
	"review_processor":         {status: statusHeld, reason: "CONTACT_PROCESSOR"},
	"risk_decline":             {status: statusRiskDeclined, reason: reasonDecisionReject, screened: true},
	"risk_score":               {status: statusRiskDeclined, reason: "SCORE_EXCEEDS_THRESHOLD", screened: true},
	"decision_profile_reject":  {status: statusDeclined, reason: reasonDecisionReject, screened: true},
	"score_exceeds_threshold":  {status: statusDeclined, reason: "SCORE_EXCEEDS_THRESHOLD", screened: true},
	"partial":                  {status: statusPartial},
	"pending_authentication":   {status: statusAuthentication, reason: reasonAuthenticationDue},
	"unavailable":              {refuse: true, once: true, reason: "PROCESSOR_UNAVAILABLE"},
	"merchant_configuration":   {refuse: true, reason: "INVALID_MERCHANT_CONFIGURATION"},
	"card_type_not_accepted":   {refuse: true, reason: "CARD_TYPE_NOT_ACCEPTED"},
	"system_error":             {fail: true, once: true, reason: "SYSTEM_ERROR"},
	"server_timeout":           {fail: true, once: true, reason: "SERVER_TIMEOUT"},
	"service_timeout":          {fail: true, once: true, reason: "SERVICE_TIMEOUT"},
	"system_error_committed":   {fail: true, once: true, commit: true, reason: "SYSTEM_ERROR"},
	"server_timeout_committed": {fail: true, once: true, commit: true, reason: "SERVER_TIMEOUT"},
	"service_timeout_committed": {fail: true, once: true, commit: true,
		reason: "SERVICE_TIMEOUT"},
}

// amountScenarios are the triggers by amount: 9 before the numeric reason code of the older APIs.
var amountScenarios = map[int64]string{
	9110: "partial",
	9150: "system_error", 9151: "server_timeout", 9152: "service_timeout",
	9650: "system_error_committed", 9651: "server_timeout_committed", 9652: "service_timeout_committed",
	9200: "avs_failed", 9201: "contact_processor", 9202: "expired_card", 9203: "processor_declined",
	9204: "insufficient_fund", 9205: "stolen_lost_card", 9207: "issuer_unavailable", 9208: "unauthorized_card",
	9210: "exceeds_credit_limit", 9211: "invalid_cvn", 9221: "blacklisted_customer", 9222: "suspended_account",
	9230: "cv_failed", 9231: "invalid_account", 9233: "general_decline",
	9234: "merchant_configuration", 9236: "unavailable",
	9475: "pending_authentication", 9476: "consumer_authentication_failed", 9478: "consumer_authentication_required",
	9480: "review", 9481: "decision_profile_reject", 9483: "review_preauth", 9520: "risk_decline",
}

const namePrefix = "trigger-"

// findScenario looks a name up: hyphens and case don't matter.
func findScenario(name string) (scenario, bool) {
	name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")
	if found, ok := namedScenarios[name]; ok {
		found.name = name
		return found, true
	}
	if _, ok := declines[strings.ToUpper(name)]; ok {
		found := decline(strings.ToUpper(name))
		found.name = name
		return found, true
	}
	for _, kind := range []string{"capture", "refund", "reversal", "void"} {
		rest, isFollowOn := strings.CutPrefix(name, kind+"_")
		if !isFollowOn {
			continue
		}
		if found, ok := namedScenarios[rest]; ok && found.fail {
			found.name, found.onFollowOn = name, kind
			return found, true
		}
	}
	return scenario{}, false
}

// triggered decides what becomes of a request: a token's own scenario goes before the name, the name before the amount.
func (s *Server) triggered(r *paymentRequest, tokenScenario string, amount decimal.Decimal) scenario {
	chosen := s.chosenScenario(r, tokenScenario, amount)
	if chosen.screened && (s.cfg.WithoutDecisionManager || r.Processing.has("DECISION_SKIP")) {
		return scenario{}
	}
	return chosen
}

func (s *Server) chosenScenario(r *paymentRequest, tokenScenario string, amount decimal.Decimal) scenario {
	if found, ok := findScenario(tokenScenario); ok {
		return found
	}
	if name := strings.ToLower(r.Order.BillTo.LastName); strings.HasPrefix(name, namePrefix) {
		if found, ok := findScenario(strings.TrimPrefix(name, namePrefix)); ok {
			return found
		}
	}
	if s.cfg.IgnoreAmountTriggers || !amount.IsInteger() {
		return scenario{}
	}
	found, _ := findScenario(amountScenarios[amount.IntPart()])
	return found
}
