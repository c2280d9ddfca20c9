package cybersource

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
)

// reply is the answer to a payment, a follow-on or a case action, and the flat refusal of a 400 (Reason, Message, Details).
type reply struct {
	ID               text                   `json:"id"`
	Status           text                   `json:"status"`
	Reason           text                   `json:"reason"`
	Message          text                   `json:"message"`
	Details          list[refusedField]     `json:"details"`
	SubmitTimeUTC    text                   `json:"submitTimeUtc"`
	ReconciliationID text                   `json:"reconciliationId"`
	Error            part[errorInformation] `json:"errorInformation"`
	Order            part[orderInformation] `json:"orderInformation"`
	Refund           part[amounts]          `json:"refundAmountDetails"`
	Credit           part[amounts]          `json:"creditAmountDetails"`
	Reversal         part[amounts]          `json:"reversalAmountDetails"`
	Void             part[amounts]          `json:"voidAmountDetails"`
	Processor        part[processor]        `json:"processorInformation"`
	PaymentAccount   part[cardHolder]       `json:"paymentAccountInformation"`
	Payment          part[cardHolder]       `json:"paymentInformation"`
	Risk             part[riskInformation]  `json:"riskInformation"`
	Tokens           part[tokenInformation] `json:"tokenInformation"`
	Insights         part[paymentInsights]  `json:"paymentInsightsInformation"`
	Links            part[links]            `json:"_links"`
	Embedded         part[embeddedActions]  `json:"_embedded"`
}

type errorInformation struct {
	Reason  text               `json:"reason"`
	Message text               `json:"message"`
	Details list[refusedField] `json:"details"`
}

type refusedField struct {
	Field  text `json:"field"`
	Reason text `json:"reason"`
}

type orderInformation struct {
	Amounts part[amounts] `json:"amountDetails"`
}

// amounts is every block of amounts; one block uses some of its names.
type amounts struct {
	Total      text `json:"totalAmount"`
	Authorized text `json:"authorizedAmount"`
	Refund     text `json:"refundAmount"`
	Credit     text `json:"creditAmount"`
	Reversed   text `json:"reversedAmount"`
	Void       text `json:"voidAmount"`
	Balance    text `json:"refundBalance"`
	Currency   text `json:"currency"`
}

type processor struct {
	ApprovalCode         text                   `json:"approvalCode"`
	NetworkTransactionID text                   `json:"networkTransactionId"`
	ResponseCode         text                   `json:"responseCode"`
	AVS                  part[codeHolder]       `json:"avs"`
	CardVerification     part[verificationCode] `json:"cardVerification"`
}

type codeHolder struct {
	Code text `json:"code"`
}

type verificationCode struct {
	Code text `json:"resultCode"`
}

type cardHolder struct {
	Card          part[card] `json:"card"`
	TokenizedCard part[card] `json:"tokenizedCard"`
}

type card struct {
	Type   text `json:"type"`
	Suffix text `json:"suffix"`
}

type riskInformation struct {
	Profile struct {
		Name           text `json:"name"`
		MisspeltQueue  text `json:"desinationQueue"` // spelt so in the gateway's model
		CorrectedQueue text `json:"destinationQueue"`
	} `json:"profile"`
	Rules list[struct {
		Name     text `json:"name"`
		Decision text `json:"decision"`
	}] `json:"rules"`
	InfoCodes map[string]texts `json:"infoCodes"`
	Priority  text             `json:"casePriority"`
	Score     part[struct {
		Result      text  `json:"result"`
		FactorCodes texts `json:"factorCodes"`
		Model       text  `json:"modelUsed"`
	}] `json:"score"`
}

type tokenInformation struct {
	Customer                part[identified] `json:"customer"`
	PaymentInstrument       part[identified] `json:"paymentInstrument"`
	InstrumentIdentifier    part[identified] `json:"instrumentIdentifier"`
	ShippingAddress         part[identified] `json:"shippingAddress"`
	InstrumentIdentifierNew flag             `json:"instrumentidentifierNew"` // encoding/json ignores case: either spelling
}

type identified struct {
	ID text `json:"id"`
}

type paymentInsights struct {
	Insights part[struct {
		CategoryCode text `json:"categoryCode"`
	}] `json:"responseInsights"`
}

// links are HAL links by name; a name may hold one or several.
type links map[string]list[link]

type link struct {
	Href text `json:"href"`
}

type embeddedActions struct {
	Capture  part[embeddedAction] `json:"capture"`
	Reversal part[embeddedAction] `json:"reversal"`
}

type embeddedAction struct {
	ID    text        `json:"id"`
	Links part[links] `json:"_links"`
}

func (a embeddedAction) id() string {
	if a.ID != "" {
		return string(a.ID)
	}
	return lastSegment(a.Links.value.href("self"))
}

func (l links) href(name string) string {
	if len(l[name]) == 0 {
		return ""
	}
	return string(l[name][0].Href)
}

// lastSegment is the id at the end of a link; a link may be a path or a whole URL.
func lastSegment(href string) string {
	parsed, err := url.Parse(href)
	if err != nil || parsed.Path == "" {
		return ""
	}
	segment := path.Base(parsed.Path)
	if segment == "/" || segment == "." {
		return ""
	}
	return segment
}

func (r reply) reason() string {
	if r.Error.value.Reason != "" {
		return string(r.Error.value.Reason)
	}
	return string(r.Reason)
}

func (r reply) message() string {
	if r.Error.value.Message != "" {
		return sentence(string(r.Error.value.Message))
	}
	return sentence(string(r.Message))
}

func (r reply) details() []refusedField {
	return append(append([]refusedField(nil), r.Details...), r.Error.value.Details...)
}

var errNoObject = errors.New("answer is not a JSON object")

func decodeReply(body []byte) (reply, error) {
	var decoded reply
	if !isObject(body) {
		return reply{}, errNoObject
	}
	if err := json.Unmarshal(body, &decoded); err != nil {
		return reply{}, errNoObject
	}
	return decoded, nil
}

// outcomeOf reads the answer to a request: an outcome where the gateway processed it, or said that it had it already; else a fault.
func outcomeOf(request Request, answer answer) (Outcome, error) {
	if answer.status != http.StatusBadRequest && (answer.status < 200 || answer.status > 299) {
		return Outcome{}, refusedByStatus(answer)
	}
	decoded, err := decodeReply(answer.body)
	if err != nil {
		return Outcome{}, unreadable(answer)
	}
	outcome := decoded.outcome(request.Kind)
	outcome.CorrelationID = answer.correlationID
	if answer.status == http.StatusBadRequest {
		return refusedByReason(request, outcome, decoded, answer)
	}
	return processed(request, outcome, decoded, answer)
}

// processed judges a 2xx: the resource exists, whatever its status.
func processed(request Request, outcome Outcome, decoded reply, answer answer) (Outcome, error) {
	outcome.Result = resultOf(request.Kind, outcome.Status, outcome.Reason, decoded.holdsMoney())
	switch {
	case outcome.Status == "" && request.Kind == KindMarking:
		outcome.Result = Noted // 201 is all that the reference promises
	case outcome.Status == "SERVER_ERROR", outcome.Status == "":
		return Outcome{}, unreadable(answer)
	case outcome.ID == "" && outcome.Result.leavesTrace():
		// Without its id nothing can follow on it; a look-up finds it.
		return Outcome{}, unreadable(answer)
	}
	asked := askedAmount(request)
	switch outcome.Result {
	case Authorized, Captured, Held, RiskDeclined:
		if request.Kind == KindAuthorization || request.Kind == KindSale {
			return authorizedFor(outcome, asked), nil
		}
	default: // approves nothing
	}
	if outcome.Amount.Currency == "" {
		outcome.Amount = asked
	}
	return outcome, nil
}

// authorizedFor completes the amounts of an approved payment. An approval for less than asked is partial, whatever its status says.
func authorizedFor(outcome Outcome, asked canonical.Money) Outcome {
	if outcome.Authorized.Currency == "" {
		outcome.Authorized = asked
	}
	if outcome.Amount.Currency == "" {
		outcome.Amount = asked
	}
	less := asked.Currency == outcome.Authorized.Currency && outcome.Authorized.Amount.LessThan(asked.Amount)
	if less && (outcome.Result == Authorized || outcome.Result == Captured) {
		outcome.Result = PartiallyAuthorized
	}
	return outcome
}

// askedAmount reads the amount out of a prepared body; zero where it names none.
func askedAmount(request Request) canonical.Money {
	body, err := decodeObject(request.Body)
	if err != nil {
		return canonical.Money{}
	}
	if details, ok := dig(body, "reversalInformation").(object); ok {
		return requestedAmount(object{"orderInformation": details})
	}
	return requestedAmount(body)
}

// leavesTrace tells whether something exists at the gateway that later requests must name.
func (r Result) leavesTrace() bool {
	switch r {
	case Declined, Invalid, AuthenticationRequired, Duplicate, Decided, Noted, Unrecognized:
		return false
	default:
		return true
	}
}

// holdsMoney tells whether a refusal left a hold behind: it offers its reversal.
func (r reply) holdsMoney() bool {
	return r.Links.value.href("authReversal") != "" || r.Links.value.href("reversal") != ""
}

func (r reply) outcome(kind Kind) Outcome {
	order := r.Order.value.Amounts.value
	outcome := Outcome{
		Kind:                 kind,
		ID:                   string(r.ID),
		Status:               strings.ToUpper(string(r.Status)),
		Reason:               r.reason(),
		Message:              r.message(),
		RetryAdvice:          string(r.Insights.value.Insights.value.CategoryCode),
		Authorized:           money(string(order.Authorized), string(order.Currency)),
		Amount:               r.amount(),
		SubmittedAt:          instant(string(r.SubmitTimeUTC)),
		ReconciliationID:     string(r.ReconciliationID),
		ApprovalCode:         string(r.Processor.value.ApprovalCode),
		NetworkTransactionID: string(r.Processor.value.NetworkTransactionID),
		ProcessorCode:        string(r.Processor.value.ResponseCode),
		CardType:             cardType(r.PaymentAccount.value, r.Payment.value),
		CardSuffix:           cardSuffix(r.PaymentAccount.value, r.Payment.value),
		AVS:                  string(r.Processor.value.AVS.value.Code),
		CVN:                  string(r.Processor.value.CardVerification.value.Code),
		Risk:                 r.Risk.value.risk(),
		Tokens:               r.Tokens.value.tokens(),
		CaptureID:            r.Embedded.value.Capture.value.id(),
		ReversalID:           r.Embedded.value.Reversal.value.id(),
	}
	for name := range r.Links.value {
		if href := r.Links.value.href(name); href != "" {
			if outcome.Links == nil {
				outcome.Links = map[string]string{}
			}
			outcome.Links[name] = href
		}
	}
	return outcome
}

// amount is the amount of the request itself, from whichever block the answer has.
func (r reply) amount() canonical.Money {
	order := r.Order.value.Amounts.value
	refund, credit := r.Refund.value, r.Credit.value
	reversal, void := r.Reversal.value, r.Void.value
	for _, candidate := range []struct{ amount, currency text }{
		{refund.Refund, refund.Currency}, {credit.Credit, credit.Currency},
		{reversal.Reversed, reversal.Currency}, {void.Void, void.Currency}, {order.Total, order.Currency},
	} {
		if value := money(string(candidate.amount), string(candidate.currency)); value.Currency != "" {
			return value
		}
	}
	return canonical.Money{}
}

func cardType(holders ...cardHolder) string {
	for _, holder := range holders {
		for _, card := range []card{holder.Card.value, holder.TokenizedCard.value} {
			if card.Type != "" {
				return string(card.Type)
			}
		}
	}
	return ""
}

// cardSuffix is given only where it is exactly the last four digits.
func cardSuffix(holders ...cardHolder) string {
	for _, holder := range holders {
		for _, card := range []card{holder.Card.value, holder.TokenizedCard.value} {
			if len(card.Suffix) == 4 && strings.Trim(string(card.Suffix), "0123456789") == "" {
				return string(card.Suffix)
			}
		}
	}
	return ""
}

func (r riskInformation) risk() *Risk {
	risk := Risk{
		Score:       string(r.Score.value.Result),
		FactorCodes: r.Score.value.FactorCodes,
		Model:       string(r.Score.value.Model),
		Profile:     string(r.Profile.Name),
		Queue:       string(r.Profile.MisspeltQueue),
		Priority:    string(r.Priority),
	}
	if risk.Queue == "" {
		risk.Queue = string(r.Profile.CorrectedQueue)
	}
	for _, rule := range r.Rules {
		risk.Rules = append(risk.Rules, RiskRule{Name: string(rule.Name), Decision: string(rule.Decision)})
	}
	for name, codes := range r.InfoCodes {
		if len(codes) > 0 {
			if risk.InfoCodes == nil {
				risk.InfoCodes = map[string][]string{}
			}
			risk.InfoCodes[name] = codes
		}
	}
	if risk.Score == "" && risk.Profile == "" && risk.Queue == "" && risk.Priority == "" &&
		len(risk.FactorCodes)+len(risk.Rules)+len(risk.InfoCodes) == 0 {
		return nil
	}
	return &risk
}

func (t tokenInformation) tokens() *Tokens {
	tokens := Tokens{
		Customer:                string(t.Customer.value.ID),
		PaymentInstrument:       string(t.PaymentInstrument.value.ID),
		InstrumentIdentifier:    string(t.InstrumentIdentifier.value.ID),
		InstrumentIdentifierNew: bool(t.InstrumentIdentifierNew),
		ShippingAddress:         string(t.ShippingAddress.value.ID),
	}
	if tokens == (Tokens{}) {
		return nil
	}
	return &tokens
}

// resultOf reads a status of cybersource.md 2.5, 2.1 and 4.3. What it does not know stays Unrecognized.
func resultOf(kind Kind, status, reason string, holdsMoney bool) Result {
	if result, known := resultsByKind[kind][status]; known {
		return result
	}
	switch status {
	case "DECLINED":
		return declined(reason, holdsMoney)
	case "INVALID_REQUEST":
		return Invalid
	default:
		return Unrecognized
	}
}

func declined(reason string, holdsMoney bool) Result {
	switch {
	case holdsMoney:
		return RiskDeclined
	case reason == "CONSUMER_AUTHENTICATION_REQUIRED", reason == "PENDING_AUTHENTICATION":
		return AuthenticationRequired
	default:
		return Declined
	}
}

var (
	resultsByKind = map[Kind]map[string]Result{
		KindAuthorization:   with(paymentResults, "AUTHORIZED", Authorized),
		KindSale:            with(with(paymentResults, "AUTHORIZED", Captured), "TRANSMITTED", Captured),
		KindCapture:         {"PENDING": Captured, "TRANSMITTED": Captured},
		KindRefund:          {"PENDING": Refunded, "TRANSMITTED": Refunded, "AUTHORIZED": Refunded, "COMPLETED": Refunded},
		KindReversal:        {"REVERSED": Reversed},
		KindTimeoutReversal: {"REVERSED": Reversed},
		KindVoid:            voidResults,
		KindTimeoutVoid:     voidResults,
		KindCaseAction:      {"ACCEPTED": Decided, "REJECTED": Decided},
		KindComment:         {"COMPLETED": Noted},
		KindMarking:         {"COMPLETED": Noted},
	}
	paymentResults = map[string]Result{
		"PARTIAL_AUTHORIZED":        PartiallyAuthorized,
		"AUTHORIZED_PENDING_REVIEW": Held,
		"AUTHORIZED_RISK_DECLINED":  RiskDeclined,
		"PENDING_REVIEW":            HeldUnauthorized,
		"PENDING_AUTHENTICATION":    AuthenticationRequired,
		"PENDING":                   Pending,
	}
	voidResults = map[string]Result{"VOIDED": Voided, "CANCELLED": Voided, "FAILED": Declined}
)

func with(results map[string]Result, status string, result Result) map[string]Result {
	extended := maps.Clone(results)
	extended[status] = result
	return extended
}

// unreadable is an answer that tells nothing: the request may have been processed.
func unreadable(answer answer) *fault.Fault {
	return answer.fault(fault.UnknownOutcome, CodeUnreadable, "the answer can't be read")
}
