package cybersource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

// instrument is what a payment pays with, without a card number.
type instrument struct {
	card           card
	bank           bool
	refusedBank    bool   // the bank account that the real sandbox declines
	invalidAccount bool   // the number can't belong to an account of its brand
	scenario       string // of the token
	hasAddress     bool   // a billing address is not asked for
	billTo         address

	customerID, paymentInstrumentID, identifierID string
}

// outcome is the payment's status and reason.
func (i instrument) outcome(chosen scenario, now time.Time) (status, reason string) {
	switch {
	case i.invalidAccount:
		return statusDeclined, "INVALID_ACCOUNT"
	case i.refusedBank:
		return statusDeclined, "GENERAL_DECLINE"
	case i.bank && chosen.status == statusDeclined:
		return chosen.status, chosen.reason
	case i.bank:
		return statusPending, ""
	case chosen.status != "":
		return chosen.status, chosen.reason
	case i.card.expired(now):
		return statusDeclined, "EXPIRED_CARD"
	}
	return statusAuthorized, ""
}

// storedToken is a token of the vault: customer, paymentInstrument, instrumentIdentifier or shippingAddress.
type storedToken struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	MerchantID string    `json:"merchantId,omitempty"` // "" is every merchant's
	At         time.Time `json:"at"`

	CustomerID           string  `json:"customerId,omitempty"` // of an instrument or an address
	DefaultInstrument    string  `json:"defaultInstrument,omitempty"`
	DefaultAddress       string  `json:"defaultAddress,omitempty"`
	IdentifierID         string  `json:"identifierId,omitempty"`
	Card                 card    `json:"card,omitzero"`
	Address              address `json:"address,omitzero"`
	Scenario             string  `json:"scenario,omitempty"`
	NetworkTransactionID string  `json:"networkTransactionId,omitempty"` // of the last payment, for later charges
}

const (
	tokenCustomer   = "customer"
	tokenInstrument = "paymentInstrument"
	tokenIdentifier = "instrumentIdentifier"
	tokenAddress    = "shippingAddress"
)

// seededScenarios are the stored credentials that exist from the start, numbered from 1 in this order.
var seededScenarios = []string{
	"approve", "insufficient_fund", "review", "risk_decline", "partial", "review_preauth", "pending_authentication",
	"server_timeout_committed", "expired_card", "processor_declined",
}

// seedTokens fills the vault with customers whose payments end in a known way.
func (b *books) seedTokens() {
	billTo := address{
		FirstName: "Ada", LastName: "Byron", Address1: "1 Market St", Locality: "San Francisco", AdministrativeArea: "CA",
		PostalCode: "94105", Country: "US", Email: "ada@example.com",
	}
	for i, name := range seededScenarios {
		n := i + 1
		customer := fmt.Sprintf("C%031d", n)
		instrumentID := fmt.Sprintf("B%031d", n)
		identifier := fmt.Sprintf("7010000000000%02d1111", n)
		kept := card{Prefix: "411111", Suffix: "1111", Type: visa.code, ExpirationMonth: "12", ExpirationYear: "2039"}
		b.instruments[customer] = &storedToken{ID: customer, Kind: tokenCustomer, DefaultInstrument: instrumentID, Scenario: name}
		b.instruments[instrumentID] = &storedToken{
			ID: instrumentID, Kind: tokenInstrument, CustomerID: customer, IdentifierID: identifier, Card: kept, Address: billTo, Scenario: name,
		}
		b.instruments[identifier] = &storedToken{ID: identifier, Kind: tokenIdentifier, Card: kept, Scenario: name}
	}
}

func (b *books) addStored(t *storedToken) {
	b.instruments[t.ID] = t
	if t.Kind == tokenIdentifier {
		b.identifiers[byMerchant(t.MerchantID, t.Card.Prefix+t.Card.Suffix)] = t.ID
	}
}

// stored finds a token of the merchant, or nil. Ids are not case sensitive.
func (b *books) stored(merchant, kind, id string) *storedToken {
	t := b.instruments[strings.ToUpper(id)]
	if t == nil || t.Kind != kind || t.MerchantID != "" && t.MerchantID != merchant {
		return nil
	}
	return t
}

// resolveInstrument finds what a request pays with: a browser token goes before stored credentials, those before a bank
// account or a card in the request. What is wrong with a field goes to problems.
func (s *Server) resolveInstrument(c *call, r *paymentRequest, problems *checks) (instrument, *refusal) {
	switch {
	case r.Token.TransientTokenJWT != "":
		jti, err := s.flex.verify(r.Token.TransientTokenJWT)
		if err != nil {
			problems.invalid("tokenInformation.transientTokenJwt")
			return instrument{}, nil
		}
		return s.transientInstrument(c, r, jti, "tokenInformation.transientTokenJwt", problems), nil
	case r.Token.JTI != "":
		return s.transientInstrument(c, r, r.Token.JTI, "tokenInformation.jti", problems), nil
	case r.Payment.Card.Number != "":
		return s.cardInstrument(c, r, problems)
	case r.Payment.Customer.customerID() != "", r.Payment.PaymentInstrument.ID != "", r.Payment.InstrumentIdentifier.ID != "":
		return s.storedInstrument(c, r, problems), nil
	case r.Payment.LegacyToken.ID != "":
		problems.invalid("paymentInformation.legacyToken.id")
		return instrument{}, nil
	case r.Payment.Bank.Account.Number != "":
		return bankInstrument(r, problems), nil
	}
	return s.cardInstrument(c, r, problems)
}

func (s *Server) transientInstrument(c *call, r *paymentRequest, jti, field string, problems *checks) instrument {
	token := s.books.transients[jti]
	if token == nil || !c.now.Before(token.ExpiresAt) {
		problems.invalid(field)
		return instrument{}
	}
	paid := instrument{card: token.Card, scenario: token.Scenario}
	s.addToCustomer(c, r, &paid, problems)
	return paid
}

// addToCustomer names the customer that a new card is to be kept with.
func (s *Server) addToCustomer(c *call, r *paymentRequest, paid *instrument, problems *checks) {
	id := r.Payment.Customer.customerID()
	if id == "" {
		return
	}
	customer := s.books.stored(c.merchant, tokenCustomer, id)
	if customer == nil {
		problems.invalid("paymentInformation.customer.id")
		return
	}
	paid.customerID = customer.ID
}

// storedInstrument pays with credentials of the vault.
func (s *Server) storedInstrument(c *call, r *paymentRequest, problems *checks) instrument {
	// Even an unknown instrument would have an address: only the id is wrong.
	paid := instrument{hasAddress: r.Payment.Customer.customerID() != "" || r.Payment.PaymentInstrument.ID != ""}
	s.addToCustomer(c, r, &paid, problems)
	s.checkAddressToken(c, r, problems)
	id := r.Payment.PaymentInstrument.ID
	if id == "" && paid.customerID != "" {
		id = s.books.instruments[paid.customerID].DefaultInstrument
		if id == "" && r.Payment.InstrumentIdentifier.ID == "" {
			problems.invalid("paymentInformation.customer.id")
			return paid
		}
	}
	switch {
	case id != "":
		kept := s.books.stored(c.merchant, tokenInstrument, id)
		if kept == nil || paid.customerID != "" && kept.CustomerID != paid.customerID {
			problems.invalid("paymentInformation.paymentInstrument.id")
			return paid
		}
		paid.card, paid.scenario, paid.billTo = kept.Card, kept.Scenario, kept.Address
		paid.customerID, paid.paymentInstrumentID, paid.identifierID = kept.CustomerID, kept.ID, kept.IdentifierID
	case r.Payment.InstrumentIdentifier.ID != "":
		kept := s.books.stored(c.merchant, tokenIdentifier, r.Payment.InstrumentIdentifier.ID)
		if kept == nil {
			problems.invalid("paymentInformation.instrumentIdentifier.id")
			return paid
		}
		paid.card, paid.scenario, paid.identifierID = kept.Card, kept.Scenario, kept.ID
		s.identifierExpiry(r, &paid, problems)
	}
	return paid
}

// identifierExpiry: a card number alone needs an expiry date and an address, unless the merchant charges in a series.
func (s *Server) identifierExpiry(r *paymentRequest, paid *instrument, problems *checks) {
	series := []string{"recurring", "install"}
	if slices.Contains(series, r.Processing.CommerceIndicator) || r.Processing.AuthorizationOptions.Initiator.Type == "merchant" {
		paid.hasAddress = true
		return
	}
	given := r.Payment.Card
	problems.expiry(given.ExpirationMonth, given.ExpirationYear)
	paid.card.ExpirationMonth, paid.card.ExpirationYear = given.ExpirationMonth, fourDigitYear(given.ExpirationYear)
}

func (s *Server) checkAddressToken(c *call, r *paymentRequest, problems *checks) {
	if id := r.Payment.ShippingAddress.ID; id != "" && s.books.stored(c.merchant, tokenAddress, id) == nil {
		problems.invalid("paymentInformation.shippingAddress.id")
	}
}

func bankInstrument(r *paymentRequest, problems *checks) instrument {
	const at = "paymentInformation.bank."
	bank := r.Payment.Bank
	problems.required(at+"routingNumber", bank.RoutingNumber, 9)
	problems.required(at+"account.type", bank.Account.Type, 1)
	problems.oneOf(at+"account.type", bank.Account.Type, "C", "S", "X")
	problems.max(at+"account.number", bank.Account.Number, 17)
	return instrument{bank: true, refusedBank: bank.Account.Number == "550111" && bank.RoutingNumber == "121107882"}
}

// cardInstrument reads the card of a request. The number goes no further than here.
func (s *Server) cardInstrument(c *call, r *paymentRequest, problems *checks) (instrument, *refusal) {
	const at = "paymentInformation.card."
	given := r.Payment.Card
	if given.Number == "" {
		problems.missing(at + "number")
	}
	problems.expiry(given.ExpirationMonth, given.ExpirationYear)
	if given.SecurityCode != "" && (!digits(given.SecurityCode) || len(given.SecurityCode) > 4) {
		problems.invalid(at + "securityCode")
	}
	if given.Type != "" && (!digits(given.Type) || len(given.Type) != 3) {
		problems.invalid(at + "type")
	}
	if given.Number == "" {
		return instrument{}, nil
	}
	if !digits(given.Number) || len(given.Number) < 12 || len(given.Number) > 20 {
		problems.invalid(at + "number")
		return instrument{}, nil
	}
	paid := instrument{card: cardOf(given.Number, given.ExpirationMonth, given.ExpirationYear)}
	s.addToCustomer(c, r, &paid, problems)
	b, known := brandOf(given.Number)
	if !known {
		return paid, refuse("CARD_TYPE_NOT_ACCEPTED")
	}
	paid.invalidAccount = len(given.Number) < b.minLen || len(given.Number) > b.maxLen
	if !paid.invalidAccount && !luhnValid(given.Number) {
		problems.invalid(at + "number")
	}
	if given.Type != "" && !sameBrand(given.Type, b) {
		return paid, refuse("INVALID_CARD_TYPE")
	}
	return paid, nil
}

// sameBrand takes the codes that share a brand's numbers for it.
func sameBrand(code string, b brand) bool {
	switch b.code {
	case visa.code:
		return code == b.code || code == "031" || code == "033"
	case maestro.code:
		return code == b.code || code == "024"
	}
	return code == b.code
}

func (c *checks) expiry(month, year string) {
	const at = "paymentInformation.card."
	switch n, err := strconv.Atoi(month); {
	case month == "":
		c.missing(at + "expirationMonth")
	case len(month) != 2 || err != nil || n < 1 || n > 12:
		c.invalid(at + "expirationMonth")
	}
	switch n, err := strconv.Atoi(fourDigitYear(year)); {
	case year == "":
		c.missing(at + "expirationYear")
	case !digits(year) || err != nil || n < 2000 || n > 9999:
		c.invalid(at + "expirationYear")
	}
}

// createTokens keeps the card of an approved payment in the vault (TOKEN_CREATE) and says under which ids.
func (s *Server) createTokens(c *call, r *paymentRequest, paid instrument, t *transaction) object {
	wanted := r.Processing.ActionTokenTypes
	if len(wanted) == 0 {
		wanted = tokenTypes
	}
	answer := object{}
	identifier, isNew := s.keepIdentifier(c, paid)
	answer["instrumentidentifierNew"] = isNew // spelt so by the real system
	answer["instrumentIdentifier"] = object{"state": "ACTIVE", "id": identifier.ID}
	changed := []*storedToken{identifier}

	var customer *storedToken
	if paid.customerID != "" {
		customer = s.books.instruments[paid.customerID]
	} else if slices.Contains(wanted, tokenCustomer) {
		customer = s.newStored(c, tokenCustomer)
	}
	if slices.Contains(wanted, tokenInstrument) {
		kept := s.newStored(c, tokenInstrument)
		kept.Card, kept.Address, kept.IdentifierID, kept.NetworkTransactionID = paid.card, r.Order.BillTo, identifier.ID, t.NetworkTransactionID
		if customer != nil {
			kept.CustomerID = customer.ID
			customer.DefaultInstrument = defaultToken(customer.DefaultInstrument, kept.ID, r.Payment.PaymentInstrument)
		}
		changed = append(changed, kept)
		answer["paymentInstrument"] = object{"id": kept.ID}
	}
	if customer != nil && slices.Contains(wanted, tokenAddress) && r.Order.ShipTo != (address{}) {
		kept := s.newStored(c, tokenAddress)
		kept.Address, kept.CustomerID = r.Order.ShipTo, customer.ID
		customer.DefaultAddress = defaultToken(customer.DefaultAddress, kept.ID, r.Payment.ShippingAddress)
		changed = append(changed, kept)
		answer["shippingAddress"] = object{"id": kept.ID}
	}
	if customer != nil {
		changed = append(changed, customer)
		answer["customer"] = object{"id": customer.ID}
	}
	s.storeTokens(changed)
	s.books.noteTokens(t, answer)
	s.store(t)
	return answer
}

// defaultToken: the first one of a customer is the default, a later one where it is asked for.
func defaultToken(current, added string, asked tokenRef) string {
	if bool(asked.Default) {
		return added
	}
	return orElse(current, added)
}

// noteTokens writes on the payment which credentials it made.
func (b *books) noteTokens(t *transaction, made object) {
	id := func(kind string) string {
		ref, _ := made[kind].(object)
		text, _ := ref["id"].(string)
		return text
	}
	t.Details.CustomerID = orElse(id(tokenCustomer), t.Details.CustomerID)
	t.Details.PaymentInstrumentID = orElse(id(tokenInstrument), t.Details.PaymentInstrumentID)
	t.Details.InstrumentIdentifier = orElse(id(tokenIdentifier), t.Details.InstrumentIdentifier)
	t.Applications = append(t.Applications, done("ics_pay_subscription_create"))
}

// keepIdentifier gives one card the same identifier every time. Since numbers are not kept, the first six and last four
// digits tell cards apart.
func (s *Server) keepIdentifier(c *call, paid instrument) (*storedToken, bool) {
	if paid.identifierID != "" {
		return s.books.instruments[paid.identifierID], false
	}
	if id, known := s.books.identifiers[byMerchant(c.merchant, paid.card.Prefix+paid.card.Suffix)]; known {
		return s.books.instruments[id], false
	}
	t := &storedToken{
		ID: "70300000" + randomText(decimalDigits, 7) + paid.card.Suffix, Kind: tokenIdentifier, MerchantID: c.merchant, At: c.now, Card: paid.card,
	}
	t.Card.ExpirationMonth, t.Card.ExpirationYear = "", ""
	s.books.addStored(t)
	return t, true
}

func (s *Server) newStored(c *call, kind string) *storedToken {
	return &storedToken{ID: randomText(upperHex, 32), Kind: kind, MerchantID: c.merchant, At: c.now}
}

func (s *Server) storeTokens(tokens []*storedToken) {
	entries := make([]control.Entry, 0, len(tokens))
	for _, t := range tokens {
		s.books.addStored(t)
		entries = append(entries, control.Entry{Kind: entityStored, ID: t.ID, Doc: t})
	}
	s.put(entries...)
}
