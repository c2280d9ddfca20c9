package cybersource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Kind is what a request or a transaction does.
type Kind string

// The kinds of requests. A sale is an authorization with its capture in one request.
const (
	KindAuthorization   Kind = "authorization"
	KindSale            Kind = "sale"
	KindCapture         Kind = "capture"
	KindRefund          Kind = "refund"
	KindReversal        Kind = "reversal"
	KindVoid            Kind = "void"
	KindTimeoutReversal Kind = "timeout_reversal" // of an authorization whose id never came, by our transactionId
	KindTimeoutVoid     Kind = "timeout_void"     // of a sale, capture or refund whose id never came, by our transactionId
	KindCaseAction      Kind = "case_action"      // verdict on a held payment
	KindComment         Kind = "comment"          // note on a case
	KindMarking         Kind = "marking"          // entry of a payment's customer on the negative list
)

// Guarded tells whether the gateway refuses a second request of the kind with the same transactionId.
func (k Kind) Guarded() bool {
	return k == KindAuthorization || k == KindSale || k == KindRefund
}

// Request is a prepared request. It is stored before it is sent, and a repeat sends the same bytes; only the signature is made anew.
// Body may hold personal data and a token: store it encrypted, never log it.
type Request struct {
	Kind   Kind            `json:"kind"`
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body"`
}

// Resource is the kind of transaction that a follow-on refers to, as it stands in the path.
type Resource string

// The resources that follow-ons refer to.
const (
	Payments Resource = "payments" // authorizations and sales
	Captures Resource = "captures"
	Refunds  Resource = "refunds"
	Credits  Resource = "credits"
)

// PaymentReference is what makes a mapped payment document a request of one operation.
type PaymentReference struct {
	Code                string          // merchant reference, at most 50 characters
	TransactionID       string          // our unique id of the attempt, at most 30 characters
	Capture             bool            // true: sale
	Amount              canonical.Money // where set, the document must ask for exactly this
	Token               canonical.Token // how it is paid
	CreateToken         bool            // keep the card of a browser token; a stored token is kept already
	SkipDecisionManager bool            // screening is skipped, for payments that are screened elsewhere
	Renewal             *Renewal        // set: the merchant authorizes anew, without the buyer
}

// Renewal is what a merchant-initiated reauthorization tells of the authorization that it takes the place of (cybersource.md 2.3).
type Renewal struct {
	PreviousTransactionID string          // networkTransactionId of the former one, at most 15 characters; empty: the vault knows it
	OriginalAmount        canonical.Money // of the former one, for the brands that ask for it; zero: left out
}

// Limits of cybersource.md 9.2; the code's is the older, shorter one.
const (
	maxCode          = 50
	maxTransactionID = 30
	maxComment       = 255
	maxNotes         = 120
	maxNetworkID     = 15
	maxCaptures      = 99
)

// reasonReauthorization is the reason of a merchant-initiated transaction that renews an authorization.
const reasonReauthorization = "3"

// PaymentRequest completes a mapped payment document (a JSON object in the shape of POST /pts/v2/payments, without token)
// to an authorization or sale. It refuses documents that carry a card or account number.
func PaymentRequest(document json.RawMessage, r PaymentReference) (Request, error) {
	body, err := decodeObject(document)
	if err != nil {
		return Request{}, fmt.Errorf("read payment document: %w", err)
	}
	if err := errors.Join(refuseNumbers(body), checkCode(r.Code), checkTransactionID(r.TransactionID), checkAsked(body, r.Amount)); err != nil {
		return Request{}, fmt.Errorf("prepare payment: %w", err)
	}
	steps := []error{
		set(body, r.Code, "clientReferenceInformation", "code"),
		set(body, r.TransactionID, "clientReferenceInformation", "transactionId"),
		set(body, r.Capture, "processingInformation", "capture"),
		setToken(body, r.Token, r.CreateToken),
	}
	if r.SkipDecisionManager {
		steps = append(steps, addAction(body, "DECISION_SKIP"))
	}
	if r.Renewal != nil {
		steps = append(steps, setRenewal(body, r.Token, *r.Renewal))
	}
	if err := errors.Join(steps...); err != nil {
		return Request{}, fmt.Errorf("prepare payment: %w", err)
	}
	kind := KindAuthorization
	if r.Capture {
		kind = KindSale
	}
	return post(kind, "/pts/v2/payments", body)
}

// CaptureRequest captures money of an authorization. Sequence and count number the captures of an order that has several: the count is
// sequence+1 while the last one is unknown, and the sequence itself for the last one, at most 99. A count of 0 or 1 sends none: the capture
// is the only one.
func CaptureRequest(authorizationID, code, transactionID string, money canonical.Money, sequence, count int) (Request, error) {
	body, err := followOn(authorizationID, code, transactionID)
	if err != nil {
		return Request{}, fmt.Errorf("prepare capture: %w", err)
	}
	amount, err := amountDetails(money)
	if err != nil {
		return Request{}, fmt.Errorf("prepare capture: %w", err)
	}
	body["orderInformation"] = object{"amountDetails": amount}
	if sequence < 0 || sequence > max(count, 1) || count > maxCaptures || count > 1 && sequence < 1 {
		return Request{}, fmt.Errorf("prepare capture: capture %d of %d: the sequence number is not within 1 to count, or the count beyond %d", sequence, count, maxCaptures)
	}
	if count > 1 {
		body["processingInformation"] = object{"captureOptions": object{
			"captureSequenceNumber": sequence, "totalCaptureCount": count}}
	}
	return post(KindCapture, "/pts/v2/payments/"+url.PathEscape(authorizationID)+"/captures", body)
}

// ReversalRequest releases the hold of an authorization; money is the amount that the reply authorized.
func ReversalRequest(authorizationID, code string, money canonical.Money, reason string) (Request, error) {
	body, err := followOn(authorizationID, code, "")
	if err != nil {
		return Request{}, fmt.Errorf("prepare reversal: %w", err)
	}
	if body["reversalInformation"], err = reversal(money, reason); err != nil {
		return Request{}, fmt.Errorf("prepare reversal: %w", err)
	}
	return post(KindReversal, "/pts/v2/payments/"+url.PathEscape(authorizationID)+"/reversals", body)
}

// VoidRequest cancels a sale (Payments), capture, refund or credit that has not been batched.
func VoidRequest(of Resource, id, code string) (Request, error) {
	body, err := followOn(id, code, "")
	if err != nil {
		return Request{}, fmt.Errorf("prepare void: %w", err)
	}
	switch of {
	case Payments, Captures, Refunds, Credits:
		return post(KindVoid, "/pts/v2/"+string(of)+"/"+url.PathEscape(id)+"/voids", body)
	default:
		return Request{}, fmt.Errorf("prepare void: %q can't be voided", of)
	}
}

// RefundRequest pays money back for a capture, or for a payment that captured itself (a sale).
func RefundRequest(of Resource, id, code, transactionID string, money canonical.Money) (Request, error) {
	body, err := followOn(id, code, transactionID)
	if err == nil {
		err = checkTransactionID(transactionID)
	}
	if err != nil {
		return Request{}, fmt.Errorf("prepare refund: %w", err)
	}
	if of != Payments && of != Captures {
		return Request{}, fmt.Errorf("prepare refund: %q can't be refunded", of)
	}
	amount, err := amountDetails(money)
	if err != nil {
		return Request{}, fmt.Errorf("prepare refund: %w", err)
	}
	body["orderInformation"] = object{"amountDetails": amount}
	return post(KindRefund, "/pts/v2/"+string(of)+"/"+url.PathEscape(id)+"/refunds", body)
}

// TimeoutReversalRequest releases the hold of an authorization whose id never came.
func TimeoutReversalRequest(code, transactionID string, money canonical.Money) (Request, error) {
	body, err := timeoutForm(code, transactionID)
	if err != nil {
		return Request{}, fmt.Errorf("prepare time-out reversal: %w", err)
	}
	if body["reversalInformation"], err = reversal(money, "timeout"); err != nil {
		return Request{}, fmt.Errorf("prepare time-out reversal: %w", err)
	}
	return post(KindTimeoutReversal, "/pts/v2/reversals", body)
}

// TimeoutVoidRequest cancels a sale, capture or refund whose id never came.
func TimeoutVoidRequest(code, transactionID string) (Request, error) {
	body, err := timeoutForm(code, transactionID)
	if err != nil {
		return Request{}, fmt.Errorf("prepare time-out void: %w", err)
	}
	return post(KindTimeoutVoid, "/pts/v2/voids", body)
}

// CaseActionRequest takes a verdict on a held payment in Decision Manager. It carries no action list: capture and reversal
// are operations of their own, so that each of them has its own record.
func CaseActionRequest(paymentID string, decision canonical.FraudDecision, comment string) (Request, error) {
	if err := checkID(paymentID); err != nil {
		return Request{}, fmt.Errorf("prepare case action: %w", err)
	}
	verdicts := map[canonical.FraudDecision]string{canonical.FraudAccept: "ACCEPT", canonical.FraudReject: "REJECT"}
	verdict, known := verdicts[decision]
	if !known {
		return Request{}, fmt.Errorf("prepare case action: unknown decision %q", decision)
	}
	information := object{"decision": verdict}
	if comment != "" {
		information["comments"] = cut(comment, maxComment)
	}
	return post(KindCaseAction, "/risk/v1/decisions/"+url.PathEscape(paymentID)+"/actions", object{"decisionInformation": information})
}

// CommentRequest adds a note to the case of a held payment.
func CommentRequest(paymentID, comment string) (Request, error) {
	if err := checkID(paymentID); err != nil {
		return Request{}, fmt.Errorf("prepare comment: %w", err)
	}
	if strings.TrimSpace(comment) == "" {
		return Request{}, errors.New("prepare comment: comment is empty")
	}
	return post(KindComment, "/risk/v1/decisions/"+url.PathEscape(paymentID)+"/comments", object{"comments": cut(comment, maxComment)})
}

// MarkingRequest puts the customer of a payment on the account's negative list, as a suspect: by the e-mail address, the one field that
// the reference names (cybersource.md 4.3).
func MarkingRequest(paymentID, notes string) (Request, error) {
	if err := checkID(paymentID); err != nil {
		return Request{}, fmt.Errorf("prepare marking: %w", err)
	}
	details := object{"reason": "suspected", "fieldsIncluded": []any{"customer_email"}, "action": "add"}
	if notes = strings.TrimSpace(notes); notes != "" {
		details["notes"] = cut(notes, maxNotes)
	}
	body := object{"riskInformation": object{"markingDetails": details}}
	return post(KindMarking, "/risk/v1/decisions/"+url.PathEscape(paymentID)+"/marking", body)
}

type object = map[string]any

func post(kind Kind, path string, body object) (Request, error) {
	encoded, err := encode(body)
	if err != nil {
		return Request{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return Request{Kind: kind, Method: http.MethodPost, Path: path, Body: encoded}, nil
}

// encode writes compact JSON with sorted keys and without HTML escapes: the bytes that are stored, signed and sent.
func encode(body object) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(buffer.Bytes()), nil
}

// decodeObject reads one JSON object and keeps numbers as they are written.
func decodeObject(document json.RawMessage) (object, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var body object
	if err := decoder.Decode(&body); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if body == nil || decoder.More() {
		return nil, errors.New("not exactly one JSON object")
	}
	return body, nil
}

func followOn(id, code, transactionID string) (object, error) {
	if err := errors.Join(checkID(id), checkCode(code)); err != nil {
		return nil, err
	}
	reference := object{"code": code}
	if transactionID != "" {
		if err := checkTransactionID(transactionID); err != nil {
			return nil, err
		}
		reference["transactionId"] = transactionID
	}
	return object{"clientReferenceInformation": reference}, nil
}

func timeoutForm(code, transactionID string) (object, error) {
	if err := errors.Join(checkCode(code), checkTransactionID(transactionID)); err != nil {
		return nil, err
	}
	return object{"clientReferenceInformation": object{"code": code, "transactionId": transactionID}}, nil
}

func reversal(money canonical.Money, reason string) (object, error) {
	amount, err := amountDetails(money)
	if err != nil {
		return nil, err
	}
	information := object{"amountDetails": amount}
	if reason != "" {
		information["reason"] = cut(reason, maxComment)
	}
	return information, nil
}

// amountDetails refuses what the gateway would silently cut: decimals beyond the currency's minor units.
func amountDetails(money canonical.Money) (object, error) {
	if _, err := canonical.MinorUnits(money.Currency); err != nil {
		return nil, err
	}
	if !money.Amount.IsPositive() {
		return nil, errors.New("amount is not positive")
	}
	if !canonical.RoundAmount(money.Amount, money.Currency).Equal(money.Amount) {
		return nil, errors.New("amount has more decimals than its currency")
	}
	return object{"totalAmount": canonical.FormatAmount(money.Amount, money.Currency), "currency": money.Currency}, nil
}

func checkID(id string) error {
	if id == "" || len(id) > 36 || strings.ContainsAny(id, "/?#%") {
		return errors.New("gateway id is empty or malformed")
	}
	return nil
}

func checkCode(code string) error {
	if len(code) > maxCode || !searchable.MatchString(code) {
		return fmt.Errorf("reference code is not 1 to %d of A-Z a-z 0-9 . _ -", maxCode)
	}
	return nil
}

func checkTransactionID(id string) error {
	if id == "" || len(id) > maxTransactionID {
		return fmt.Errorf("transactionId is not 1 to %d characters", maxTransactionID)
	}
	return nil
}

// checkAsked holds the document's amount against what the operation is for.
func checkAsked(body object, want canonical.Money) error {
	if want.Currency == "" {
		return nil
	}
	asked := requestedAmount(body)
	if !asked.Equal(want) {
		return fmt.Errorf("document asks for %s, not for %s", asked, want)
	}
	return nil
}

// requestedAmount is the amount a body asks for; zero where it names none.
func requestedAmount(body object) canonical.Money {
	details, _ := dig(body, "orderInformation", "amountDetails").(object)
	total, _ := details["totalAmount"].(string)
	currency, _ := details["currency"].(string)
	return money(total, currency)
}

// refuseNumbers keeps card and account numbers out, should a mapping ever write one.
func refuseNumbers(body object) error {
	for _, path := range [][]string{
		{"paymentInformation", "card", "number"}, {"paymentInformation", "card", "securityCode"},
		{"paymentInformation", "tokenizedCard", "number"}, {"paymentInformation", "bank", "account", "number"},
	} {
		if dig(body, path...) != nil {
			return errors.New("the document carries " + strings.Join(path, ".") + ", only tokens may be sent")
		}
	}
	return nil
}

func setToken(body object, token canonical.Token, create bool) error {
	if token.Value == "" {
		return errors.New("token is empty")
	}
	stored := map[canonical.TokenType]string{
		canonical.TokenCustomer:             "customer",
		canonical.TokenPaymentInstrument:    "paymentInstrument",
		canonical.TokenInstrumentIdentifier: "instrumentIdentifier",
	}
	if token.Type == canonical.TokenTransient {
		return setBrowserToken(body, token.Value, create)
	}
	name, known := stored[token.Type]
	if !known {
		return fmt.Errorf("unknown token type %q", token.Type)
	}
	return errors.Join(
		set(body, token.Value, "paymentInformation", name, "id"),
		setDefault(body, "customer", "processingInformation", "authorizationOptions", "initiator", "type"),
		setDefault(body, true, "processingInformation", "authorizationOptions", "initiator", "storedCredentialUsed"),
	)
}

// setRenewal makes the merchant the one who asks, whatever the document says of it: the buyer is not there, so that only a stored
// credential can pay.
func setRenewal(body object, token canonical.Token, r Renewal) error {
	if token.Type == canonical.TokenTransient {
		return errors.New("a browser token can't be charged without the buyer: a stored credential is needed")
	}
	if len(r.PreviousTransactionID) > maxNetworkID {
		return fmt.Errorf("previous network transaction id is longer than %d characters", maxNetworkID)
	}
	initiated := object{"reason": reasonReauthorization}
	if r.PreviousTransactionID != "" {
		initiated["previousTransactionId"] = r.PreviousTransactionID
	}
	if !r.OriginalAmount.IsZero() {
		initiated["originalAuthorizedAmount"] = canonical.FormatAmount(r.OriginalAmount.Amount, r.OriginalAmount.Currency)
	}
	initiator := object{"type": "merchant", "storedCredentialUsed": true, "merchantInitiatedTransaction": initiated}
	return set(body, initiator, "processingInformation", "authorizationOptions", "initiator")
}

// setBrowserToken sends the whole token where we have it: the gateway then needs no look-up. What is no JWT is its jti.
func setBrowserToken(body object, value string, create bool) error {
	name := "jti"
	if strings.Count(value, ".") == 2 {
		name = "transientTokenJwt"
	}
	if err := set(body, value, "tokenInformation", name); err != nil || !create {
		return err
	}
	return errors.Join(
		addAction(body, "TOKEN_CREATE"),
		set(body, []any{"customer", "paymentInstrument", "instrumentIdentifier"}, "processingInformation", "actionTokenTypes"),
		setDefault(body, "customer", "processingInformation", "authorizationOptions", "initiator", "type"),
		setDefault(body, true, "processingInformation", "authorizationOptions", "initiator", "credentialStoredOnFile"),
	)
}

func addAction(body object, action string) error {
	list, _ := dig(body, "processingInformation", "actionList").([]any)
	for _, present := range list {
		if present == action {
			return nil
		}
	}
	return set(body, append(list, action), "processingInformation", "actionList")
}

// set writes a value at a path and makes the objects on the way.
func set(body object, value any, path ...string) error {
	for _, name := range path[:len(path)-1] {
		next, present := body[name]
		if !present || next == nil {
			next = object{}
			body[name] = next
		}
		inner, ok := next.(object)
		if !ok {
			return fmt.Errorf("%s of the document is not an object", name)
		}
		body = inner
	}
	body[path[len(path)-1]] = value
	return nil
}

func setDefault(body object, value any, path ...string) error {
	if dig(body, path...) != nil {
		return nil
	}
	return set(body, value, path...)
}

func dig(value any, path ...string) any {
	for _, name := range path {
		inner, ok := value.(object)
		if !ok {
			return nil
		}
		value = inner[name]
	}
	return value
}

// cut shortens to a number of bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
