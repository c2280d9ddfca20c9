package cybersource

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// paymentRequest is the body of every call below /pts/v2 and of POST /risk/v1/decisions: each uses a part of it.
// Fields that the stand-in has no use for are ignored, as the real system ignores fields it does not know.
type paymentRequest struct {
	Reference       referenceInfo     `json:"clientReferenceInformation"`
	Processing      processingInfo    `json:"processingInformation"`
	Payment         paymentInfo       `json:"paymentInformation"`
	Order           orderInfo         `json:"orderInformation"`
	Buyer           buyerInfo         `json:"buyerInformation"`
	Device          deviceInfo        `json:"deviceInformation"`
	Token           tokenInfo         `json:"tokenInformation"`
	Reversal        reversalInfo      `json:"reversalInformation"`
	MerchantDefined []merchantDefined `json:"merchantDefinedInformation"`
	Risk            struct {
		Profile struct {
			Name string `json:"name"`
		} `json:"profile"`
	} `json:"riskInformation"`
}

type referenceInfo struct {
	Code          string `json:"code"`
	TransactionID string `json:"transactionId"`
	Comments      string `json:"comments"`
}

type processingInfo struct {
	Capture           flexBool `json:"capture"`
	CommerceIndicator string   `json:"commerceIndicator"`
	ActionList        []string `json:"actionList"`
	ActionTokenTypes  []string `json:"actionTokenTypes"`
	PaymentID         string   `json:"paymentId"` // timeout void: the original's id
	CaptureOptions    struct {
		Sequence flexInt `json:"captureSequenceNumber"`
		Total    flexInt `json:"totalCaptureCount"`
	} `json:"captureOptions"`
	AuthorizationOptions struct {
		Initiator struct {
			Type                 string   `json:"type"`
			CredentialStored     flexBool `json:"credentialStoredOnFile"`
			StoredCredentialUsed flexBool `json:"storedCredentialUsed"`
			MerchantInitiated    struct {
				Reason                string `json:"reason"`
				PreviousTransactionID string `json:"previousTransactionId"`
				OriginalAmount        string `json:"originalAuthorizedAmount"`
			} `json:"merchantInitiatedTransaction"`
		} `json:"initiator"`
	} `json:"authorizationOptions"`
}

func (p processingInfo) has(action string) bool { return slices.Contains(p.ActionList, action) }

type paymentInfo struct {
	Card struct {
		Number          string `json:"number"`
		ExpirationMonth string `json:"expirationMonth"`
		ExpirationYear  string `json:"expirationYear"`
		SecurityCode    string `json:"securityCode"`
		Type            string `json:"type"`
	} `json:"card"`
	Bank struct {
		Account struct {
			Type   string `json:"type"`
			Number string `json:"number"`
		} `json:"account"`
		RoutingNumber string `json:"routingNumber"`
	} `json:"bank"`
	Customer             tokenRef `json:"customer"`
	PaymentInstrument    tokenRef `json:"paymentInstrument"`
	InstrumentIdentifier tokenRef `json:"instrumentIdentifier"`
	ShippingAddress      tokenRef `json:"shippingAddress"`
	LegacyToken          tokenRef `json:"legacyToken"`
}

type tokenRef struct {
	ID         string `json:"id"`
	CustomerID string `json:"customerId"` // legacy name of customer.id
	// Default makes the new instrument or address that of the customer.
	Default flexBool `json:"default"`
}

// customerID is the customer's id under either name.
func (t tokenRef) customerID() string {
	if t.ID != "" {
		return t.ID
	}
	return t.CustomerID
}

type orderInfo struct {
	Amount    amountDetails  `json:"amountDetails"`
	BillTo    address        `json:"billTo"`
	ShipTo    address        `json:"shipTo"`
	LineItems []lineItem     `json:"lineItems"`
	Invoice   invoiceDetails `json:"invoiceDetails"`
}

type amountDetails struct {
	Total      string `json:"totalAmount"`
	Additional string `json:"additionalAmount"`
	Currency   string `json:"currency"`
}

type invoiceDetails struct {
	InvoiceNumber       string `json:"invoiceNumber"`
	PurchaseOrderNumber string `json:"purchaseOrderNumber"`
}

// address is billTo or shipTo, as received and as echoed.
type address struct {
	FirstName          string `json:"firstName,omitempty"`
	LastName           string `json:"lastName,omitempty"`
	Company            string `json:"company,omitempty"`
	Address1           string `json:"address1,omitempty"`
	Address2           string `json:"address2,omitempty"`
	BuildingNumber     string `json:"buildingNumber,omitempty"`
	Locality           string `json:"locality,omitempty"`
	District           string `json:"district,omitempty"`
	AdministrativeArea string `json:"administrativeArea,omitempty"`
	PostalCode         string `json:"postalCode,omitempty"`
	Country            string `json:"country,omitempty"`
	Email              string `json:"email,omitempty"`
	PhoneNumber        string `json:"phoneNumber,omitempty"`
}

// UnmarshalJSON also takes company as an object with a name, which newer specifications have.
func (a *address) UnmarshalJSON(raw []byte) error {
	type plain address
	var read struct {
		plain
		Company json.RawMessage `json:"company"`
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	*a = address(read.plain)
	if len(read.Company) == 0 {
		return nil
	}
	if json.Unmarshal(read.Company, &a.Company) == nil {
		return nil
	}
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(read.Company, &named); err != nil {
		return err
	}
	a.Company = named.Name
	return nil
}

type lineItem struct {
	ProductCode    string  `json:"productCode,omitempty"`
	ProductName    string  `json:"productName,omitempty"`
	ProductSKU     string  `json:"productSku,omitempty"`
	Quantity       flexInt `json:"quantity,omitempty"`
	UnitPrice      string  `json:"unitPrice,omitempty"`
	TotalAmount    string  `json:"totalAmount,omitempty"`
	TaxAmount      string  `json:"taxAmount,omitempty"`
	TaxRate        string  `json:"taxRate,omitempty"`
	DiscountAmount string  `json:"discountAmount,omitempty"`
	CommodityCode  string  `json:"commodityCode,omitempty"`
	UnitOfMeasure  string  `json:"unitOfMeasure,omitempty"`
	InvoiceNumber  string  `json:"invoiceNumber,omitempty"`
}

type buyerInfo struct {
	MerchantCustomerID string `json:"merchantCustomerId,omitempty"`
	CompanyTaxID       string `json:"companyTaxId,omitempty"`
}

type deviceInfo struct {
	IPAddress            string `json:"ipAddress,omitempty"`
	FingerprintSessionID string `json:"fingerprintSessionId,omitempty"`
	UserAgent            string `json:"userAgent,omitempty"`
	HostName             string `json:"hostName,omitempty"`
}

type tokenInfo struct {
	TransientTokenJWT string `json:"transientTokenJwt"`
	JTI               string `json:"jti"`
}

type reversalInfo struct {
	Amount amountDetails `json:"amountDetails"`
	Reason string        `json:"reason"`
}

type merchantDefined struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// flexBool takes true and "true".
type flexBool bool

func (b *flexBool) UnmarshalJSON(raw []byte) error {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true":
		*b = true
	case "false", "null", "":
		*b = false
	default:
		return errors.New("not a boolean")
	}
	return nil
}

// flexInt takes 3 and "3".
type flexInt int

func (i *flexInt) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" || text == "" {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("not an integer")
	}
	*i = flexInt(n)
	return nil
}

// decode reads a body. A value of the wrong type is named without being repeated: it may be a card number.
func decode(body []byte, into any) *refusal {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return invalid(wrong.Field)
	}
	return refuse("INVALID_DATA")
}

// checks collects what is wrong with the fields of a request, all of it, in the order of the checks.
type checks struct {
	details []detail
}

func (c *checks) missing(field string) {
	c.details = append(c.details, detail{Field: field, Reason: "MISSING_FIELD"})
}

func (c *checks) invalid(field string) {
	c.details = append(c.details, detail{Field: field, Reason: "INVALID_DATA"})
}

// max refuses a value of more than n characters.
func (c *checks) max(field, value string, n int) {
	if utf8.RuneCountInString(value) > n {
		c.invalid(field)
	}
}

// required refuses an empty value or one of more than n characters.
func (c *checks) required(field, value string, n int) {
	if strings.TrimSpace(value) == "" {
		c.missing(field)
		return
	}
	c.max(field, value, n)
}

// oneOf refuses a value that is set and is none of the allowed.
func (c *checks) oneOf(field, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		c.invalid(field)
	}
}

// refusal is nil where everything is right. What is missing goes before what is wrong, for the reason's sake.
func (c *checks) refusal() *refusal {
	if len(c.details) == 0 {
		return nil
	}
	for _, d := range c.details {
		if d.Reason == "MISSING_FIELD" {
			return refuse("MISSING_FIELD", c.details...)
		}
	}
	return refuse("INVALID_DATA", c.details...)
}

var (
	upperPair      = regexp.MustCompile(`^[A-Z]{2}$`)
	postalUS       = regexp.MustCompile(`^\d{5}(-\d{4})?$`)
	postalCanada   = regexp.MustCompile(`^[A-Za-z]\d[A-Za-z] \d[A-Za-z]\d$`)
	emailShape     = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
	regionsNeeded  = []string{"US", "CA", "CN"}
	tokenTypes     = []string{"customer", "paymentInstrument", "instrumentIdentifier", "shippingAddress"}
	initiatorTypes = []string{"customer", "merchant"}
)

// Lengths of a reference: screening takes longer ones than payments do.
const (
	maxReference          = 50
	maxScreeningReference = 59
)

// reference checks the fields that every call has.
func (c *checks) reference(r referenceInfo, length int) {
	c.max("clientReferenceInformation.code", r.Code, length)
	c.max("clientReferenceInformation.transactionId", r.TransactionID, 30)
}

// billTo checks the billing address. Without need (a stored instrument has one of its own, or the account is relaxed)
// only what was sent is checked.
func (c *checks) billTo(a address, need bool) {
	const at = "orderInformation.billTo."
	field := c.max
	if need {
		field = c.required
	}
	field(at+"firstName", a.FirstName, 60)
	field(at+"lastName", a.LastName, 60)
	field(at+"address1", a.Address1, 60)
	field(at+"locality", a.Locality, 50)
	field(at+"postalCode", a.PostalCode, 10)
	field(at+"country", a.Country, 2)
	field(at+"email", a.Email, 255)
	if need && slices.Contains(regionsNeeded, a.Country) {
		c.required(at+"administrativeArea", a.AdministrativeArea, 20)
	} else {
		c.max(at+"administrativeArea", a.AdministrativeArea, 20)
	}
	c.max(at+"company", a.Company, 60)
	c.max(at+"address2", a.Address2, 60)
	c.max(at+"district", a.District, 50)
	c.max(at+"buildingNumber", a.BuildingNumber, 256)
	c.max(at+"phoneNumber", a.PhoneNumber, 15)
	c.addressShape(at, a)
	if a.Email != "" && !emailShape.MatchString(a.Email) {
		c.invalid(at + "email")
	}
}

func (c *checks) shipTo(a address) {
	const at = "orderInformation.shipTo."
	c.max(at+"firstName", a.FirstName, 60)
	c.max(at+"lastName", a.LastName, 60)
	c.max(at+"address1", a.Address1, 60)
	c.max(at+"address2", a.Address2, 60)
	c.max(at+"locality", a.Locality, 50)
	c.max(at+"administrativeArea", a.AdministrativeArea, 2)
	c.max(at+"postalCode", a.PostalCode, 10)
	c.max(at+"country", a.Country, 2)
	c.addressShape(at, a)
}

// addressShape checks codes that have a fixed shape, where they have the right length.
func (c *checks) addressShape(at string, a address) {
	if len(a.Country) <= 2 && a.Country != "" && !upperPair.MatchString(a.Country) {
		c.invalid(at + "country")
	}
	if slices.Contains(regionsNeeded, a.Country) && a.AdministrativeArea != "" && !upperPair.MatchString(a.AdministrativeArea) && len(a.AdministrativeArea) <= 20 {
		c.invalid(at + "administrativeArea")
	}
	if a.PostalCode == "" || len(a.PostalCode) > 10 {
		return
	}
	if a.Country == "US" && !postalUS.MatchString(a.PostalCode) || a.Country == "CA" && !postalCanada.MatchString(a.PostalCode) {
		c.invalid(at + "postalCode")
	}
}

func (c *checks) lineItems(items []lineItem, currencyCode string) {
	for i, item := range items {
		at := fmt.Sprintf("orderInformation.lineItems[%d].", i)
		c.max(at+"productCode", item.ProductCode, 255)
		c.max(at+"productName", item.ProductName, 255)
		c.max(at+"productSku", item.ProductSKU, 255)
		c.max(at+"commodityCode", item.CommodityCode, 15)
		c.max(at+"unitOfMeasure", item.UnitOfMeasure, 12)
		c.max(at+"invoiceNumber", item.InvoiceNumber, 23)
		c.max(at+"taxRate", item.TaxRate, 7)
		c.lineAmount(at+"unitPrice", item.UnitPrice, 15, currencyCode)
		c.lineAmount(at+"totalAmount", item.TotalAmount, 13, currencyCode)
		c.lineAmount(at+"taxAmount", item.TaxAmount, 15, currencyCode)
		c.lineAmount(at+"discountAmount", item.DiscountAmount, 13, currencyCode)
		if item.Quantity < 0 {
			c.invalid(at + "quantity")
		}
		c.namedProduct(at, item)
	}
}

func (c *checks) lineAmount(field, value string, n int, currencyCode string) {
	if value == "" {
		return
	}
	if _, ok := parseAmount(value, currencyCode); !ok || len(value) > n {
		c.invalid(field)
	}
}

// namedProduct wants a name, a SKU and a quantity for goods: lines with a product code other than default and than
// shipping and handling.
func (c *checks) namedProduct(at string, item lineItem) {
	switch strings.ToLower(item.ProductCode) {
	case "", "default", "shipping_only", "handling_only", "shipping_and_handling":
		return
	}
	c.requiredOnly(at+"productName", item.ProductName)
	c.requiredOnly(at+"productSku", item.ProductSKU)
	if item.Quantity == 0 {
		c.missing(at + "quantity")
	}
}

func (c *checks) requiredOnly(field, value string) {
	if strings.TrimSpace(value) == "" {
		c.missing(field)
	}
}

func (c *checks) extras(r *paymentRequest) {
	for i, m := range r.MerchantDefined {
		at := fmt.Sprintf("merchantDefinedInformation[%d].", i)
		if n, err := strconv.Atoi(m.Key); err != nil || n < 0 || n > 100 {
			c.invalid(at + "key")
		}
		c.max(at+"value", m.Value, 255)
	}
	c.max("buyerInformation.merchantCustomerId", r.Buyer.MerchantCustomerID, 100)
	c.max("deviceInformation.ipAddress", r.Device.IPAddress, 48)
	c.max("deviceInformation.userAgent", r.Device.UserAgent, 40)
	c.max("processingInformation.commerceIndicator", r.Processing.CommerceIndicator, 20)
	initiator := r.Processing.AuthorizationOptions.Initiator
	const at = "processingInformation.authorizationOptions.initiator."
	c.oneOf(at+"type", initiator.Type, initiatorTypes...)
	c.max(at+"merchantInitiatedTransaction.previousTransactionId", initiator.MerchantInitiated.PreviousTransactionID, 15)
	if reason := initiator.MerchantInitiated.Reason; reason != "" {
		if n, err := strconv.Atoi(reason); err != nil || n < 1 || n > 10 {
			c.invalid(at + "merchantInitiatedTransaction.reason")
		}
	}
	c.merchantInitiated(r)
	for _, kind := range r.Processing.ActionTokenTypes {
		c.oneOf("processingInformation.actionTokenTypes", kind, tokenTypes...)
	}
}

// merchantInitiated checks a charge without the buyer: it needs a stored credential, says so, and says why it is made. A browser token
// would need the buyer.
func (c *checks) merchantInitiated(r *paymentRequest) {
	initiator := r.Processing.AuthorizationOptions.Initiator
	if initiator.Type != "merchant" {
		return
	}
	const at = "processingInformation.authorizationOptions.initiator."
	if !initiator.StoredCredentialUsed {
		c.missing(at + "storedCredentialUsed")
	}
	if initiator.CredentialStored {
		c.invalid(at + "credentialStoredOnFile")
	}
	series := r.Processing.CommerceIndicator == "recurring" || r.Processing.CommerceIndicator == "install"
	if initiator.MerchantInitiated.Reason == "" && !series {
		c.missing(at + "merchantInitiatedTransaction.reason")
	}
	if amount := initiator.MerchantInitiated.OriginalAmount; amount != "" {
		if _, ok := parseAmount(amount, r.Order.Amount.Currency); !ok {
			c.invalid(at + "merchantInitiatedTransaction.originalAuthorizedAmount")
		}
	}
	switch {
	case r.Token.TransientTokenJWT != "":
		c.invalid("tokenInformation.transientTokenJwt")
	case r.Token.JTI != "":
		c.invalid("tokenInformation.jti")
	}
}
