package canonical

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// MaxLines is the largest number of lines an order may have.
const MaxLines = 500

// Problem is one thing wrong with an order. Message never repeats a token or anything that looks like a card.
type Problem struct {
	Pointer string `json:"pointer"` // RFC 6901, "/lines/0/quantity"; "" is the whole document
	Rule    string `json:"rule"`    // stable code, one of the Rule constants
	Message string `json:"message"` // one sentence for the shop's developers
}

// The rules that a Problem names.
const (
	RuleRequired      = "required"
	RuleMaxLength     = "max_length"
	RulePattern       = "pattern"
	RuleControl       = "control_character"
	RuleCurrency      = "currency"
	RuleCountry       = "country"
	RuleRegion        = "region"
	RulePostalCode    = "postal_code"
	RuleEmail         = "email"
	RuleMinimum       = "minimum"
	RuleMaximum       = "maximum"
	RuleScale         = "scale"
	RuleMaxItems      = "max_items"
	RuleEnum          = "enum"
	RuleTokenShape    = "token_shape"
	RuleCardNumber    = "card_number"
	RuleTotalMismatch = "total_mismatch"
	RuleIPAddress     = "ip_address"

	RuleMalformed      = "malformed_json"
	RuleTrailingData   = "trailing_data"
	RuleTooDeep        = "too_deep"
	RuleUnknownField   = "unknown_field"
	RuleDuplicateField = "duplicate_field"
	RuleType           = "type"
)

var (
	orderIDShape  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,30}$`)
	channelShape  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,30}$`)
	customKey     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)
	emailShape    = regexp.MustCompile(`^[^\s@<>(),;:"\[\]\\]+@[^\s@<>(),;:"\[\]\\.]+(\.[^\s@<>(),;:"\[\]\\.]+)+$`)
	phoneShape    = regexp.MustCompile(`^\+?[0-9(][0-9 ()./-]*( ?(x|ext\.?) ?[0-9]{1,6})?$`)
	hexTokenShape = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)
	digitsToken   = regexp.MustCompile(`^[0-9]{16,19}$`)

	postalShapes = map[string]*regexp.Regexp{
		"US": regexp.MustCompile(`^[0-9]{5}(-[0-9]{4})?$`),
		"CA": regexp.MustCompile(`^[A-Z][0-9][A-Z] [0-9][A-Z][0-9]$`),
		"GB": regexp.MustCompile(`^[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}$`),
	}
)

// maxAmount keeps every amount, and the sum of MaxLines of them, within the gateway's 19 and the ledger's 14 digits.
var maxAmount = decimal.New(1, 12)

// Validate reports everything that is wrong with the order, in the order of its fields; nil means it can be processed.
func (o Order) Validate() []Problem {
	c := &checker{}
	o.checkHead(c)
	o.Customer.check(c.at("customer"))
	o.BillTo.check(c.at("billTo"))
	o.ShipTo.check(c.at("shipTo"))
	o.checkLines(c.at("lines"))
	o.checkTotals(c)
	o.Payment.check(c.at("payment"))
	o.Device.check(c.at("device"))
	checkMerchantData(c.at("merchantDefinedData"), o.MerchantDefinedData)
	checkCustom(c.at("custom"), o.Custom)
	return c.problems()
}

func (o Order) checkHead(c *checker) {
	switch {
	case o.OrderID == "":
		c.at("orderId").report(RuleRequired, "is required")
	case !orderIDShape.MatchString(o.OrderID):
		c.at("orderId").report(RulePattern, "must be 1 to 30 of A-Z a-z 0-9 . _ -")
	}
	switch {
	case o.Channel == "":
		c.at("channel").report(RuleRequired, "is required")
	case !channelShape.MatchString(o.Channel):
		c.at("channel").report(RulePattern, "must be 1 to 30 of A-Z a-z 0-9 . _ -")
	}
	if o.PlacedAt.IsZero() {
		c.at("placedAt").report(RuleRequired, "is required, as RFC 3339 time")
	} else if year := o.PlacedAt.In(time.UTC).Year(); year < 2000 || year > 9999 {
		c.at("placedAt").report(RulePattern, "must be between the years 2000 and 9999")
	}
	switch {
	case o.Currency == "":
		c.at("currency").report(RuleRequired, "is required")
	case !knownCurrency(o.Currency):
		c.at("currency").report(RuleCurrency, "must be the upper-case ISO 4217 code of a currency in use")
	}
	c.at("customerPoNumber").text(o.CustomerPONumber, 0, 30)
}

func (p Customer) check(c *checker) {
	c.at("id").text(p.ID, 1, 64)
	c.at("erpCode").text(p.ErpCode, 0, 15)
	c.at("company").text(p.Company, 0, 60)
	checkEmail(c.at("email"), p.Email)
	least := 1
	if strings.TrimSpace(p.Company) != "" {
		least = 0 // a company may order without naming a person
	}
	c.at("firstName").text(p.FirstName, least, 60)
	c.at("lastName").text(p.LastName, least, 60)
	checkPhone(c.at("phone"), p.Phone)
}

func checkEmail(c *checker, email string) {
	if !c.text(email, 1, 254) {
		return
	}
	local, _, _ := strings.Cut(email, "@")
	if !emailShape.MatchString(email) || len(local) > 64 || strings.Contains(email, "..") {
		c.report(RuleEmail, "is not an e-mail address")
	}
}

func checkPhone(c *checker, phone string) {
	if c.text(phone, 0, 32) && phone != "" && !phoneShape.MatchString(phone) {
		c.report(RulePattern, "must be digits with the usual separators, + first for the country code")
	}
}

func (a Address) check(c *checker) {
	c.at("name").text(a.Name, 1, 120)
	c.at("line1").text(a.Line1, 1, 60)
	c.at("line2").text(a.Line2, 0, 60)
	c.at("city").text(a.City, 1, 50)
	regionFine := c.at("region").text(a.Region, 0, 20)
	postalFine := c.at("postalCode").text(a.PostalCode, 0, 10)
	if !c.at("country").text(a.Country, 1, 2) {
		return
	}
	if !KnownCountry(a.Country) {
		c.at("country").report(RuleCountry, "must be an ISO 3166-1 alpha-2 code in upper case")
		return
	}
	if regionFine {
		a.checkRegion(c.at("region"))
	}
	if postalFine {
		a.checkPostalCode(c.at("postalCode"))
	}
}

func (a Address) checkRegion(c *checker) {
	switch _, needed := regions[a.Country]; {
	case needed && a.Region == "":
		c.report(RuleRequired, "is required for addresses in "+a.Country)
	case !KnownRegion(a.Country, a.Region):
		c.report(RuleRegion, "must be the ISO 3166-2 code of a subdivision of "+a.Country+", without the country")
	}
}

func (a Address) checkPostalCode(c *checker) {
	shape, known := postalShapes[a.Country]
	switch {
	case !known:
	case a.PostalCode == "":
		c.report(RuleRequired, "is required for addresses in "+a.Country)
	case !shape.MatchString(a.PostalCode):
		c.report(RulePostalCode, "does not have the shape of a postal code in "+a.Country)
	}
}

func (o Order) checkLines(c *checker) {
	switch {
	case len(o.Lines) == 0:
		c.report(RuleRequired, "needs at least one line")
	case len(o.Lines) > MaxLines:
		c.report(RuleMaxItems, fmt.Sprintf("has %d lines, at most %d are taken", len(o.Lines), MaxLines))
		return // thousands of problems would only hide this one
	}
	for i, line := range o.Lines {
		line.check(c.at(strconv.Itoa(i)), o.Currency)
	}
}

func (l LineItem) check(c *checker, currency string) {
	c.at("sku").text(l.SKU, 1, 64)
	c.at("description").text(l.Description, 0, 255)
	if l.Quantity.Sign() <= 0 {
		c.at("quantity").report(RuleMinimum, "must be more than 0")
	}
	c.at("quantity").number(l.Quantity, 6)
	if l.UnitPrice.Sign() < 0 {
		c.at("unitPrice").report(RuleMinimum, "must not be negative")
	}
	c.at("unitPrice").number(l.UnitPrice, 5)
	c.at("discount").amount(l.Discount, currency)
	c.at("tax").amount(l.Tax, currency)
	if l.Discount.IsPositive() && withinReach(l.Quantity) && withinReach(l.UnitPrice) &&
		l.Discount.GreaterThan(l.Extended(currency)) {
		c.at("discount").report(RuleMaximum, "must not be more than quantity times unitPrice")
	}
}

func (o Order) checkTotals(c *checker) {
	c.at("shipping").amount(o.Shipping, o.Currency)
	c.at("discount").amount(o.Discount, o.Currency)
	c.at("total").amount(o.Total, o.Currency)
	if o.Total.Sign() == 0 {
		c.at("total").report(RuleMinimum, "must be more than 0")
	}
	if !knownCurrency(o.Currency) || !o.summable() {
		return // an own problem says why already
	}
	if o.Discount.IsPositive() && o.Discount.GreaterThan(o.Goods()) {
		c.at("discount").report(RuleMaximum, "must not be more than the lines before tax")
	}
	if expected := o.ComputedTotal(); !expected.Equal(o.Total) {
		c.at("total").report(RuleTotalMismatch, fmt.Sprintf("is %s, but lines + tax + shipping - discount = %s",
			o.Total, FormatAmount(expected, o.Currency)))
	}
}

// Goods is the sum of the lines in the order's minor units: quantity times price less line discount, before tax.
func (o Order) Goods() decimal.Decimal {
	sum := decimal.Zero
	for _, line := range o.Lines {
		sum = sum.Add(line.Extended(o.Currency)).Sub(line.Discount)
	}
	return sum
}

// TaxTotal is the sum of the lines' taxes.
func (o Order) TaxTotal() decimal.Decimal {
	sum := decimal.Zero
	for _, line := range o.Lines {
		sum = sum.Add(line.Tax)
	}
	return sum
}

// ComputedTotal is lines + tax + shipping - discount: what Total must say.
func (o Order) ComputedTotal() decimal.Decimal {
	return o.Goods().Add(o.TaxTotal()).Add(o.Shipping).Sub(o.Discount)
}

// summable tells whether the amounts are small enough for arithmetic; the lines that are too many are not worth it.
func (o Order) summable() bool {
	if len(o.Lines) == 0 || len(o.Lines) > MaxLines {
		return false
	}
	amounts := []decimal.Decimal{o.Shipping, o.Discount, o.Total}
	for _, line := range o.Lines {
		amounts = append(amounts, line.Quantity, line.UnitPrice, line.Discount, line.Tax)
	}
	return !slices.ContainsFunc(amounts, func(d decimal.Decimal) bool { return !withinReach(d) })
}

func (p PaymentMethod) check(c *checker) {
	switch p.Capture {
	case CaptureImmediate, CaptureAfterAuthorization, CaptureOnShipment:
	case "":
		c.at("capture").report(RuleRequired, "is required")
	default:
		c.at("capture").report(RuleEnum, "must be immediate, after_authorization or on_shipment")
	}
	p.Token.check(c.at("token"))
}

func (t Token) check(c *checker) {
	if !t.Type.known() {
		rule := RuleEnum
		if t.Type == "" {
			rule = RuleRequired
		}
		c.at("type").report(rule, "must be transient, customer, paymentInstrument or instrumentIdentifier")
	}
	value := c.at("value")
	switch {
	case t.Value == "":
		value.report(RuleRequired, "is required")
	case holdsCard(t.Value) && !t.opaque():
		value.report(RuleCardNumber, "has the shape of a card number; only tokens are taken")
	case t.Type.known() && !t.wellFormed():
		value.report(RuleTokenShape, t.Type.shape())
	}
}

func (t TokenType) known() bool {
	return t == TokenTransient || t == TokenCustomer || t == TokenPaymentInstrument || t == TokenInstrumentIdentifier
}

func (t TokenType) shape() string {
	switch t {
	case TokenTransient:
		return "must be the JSON Web Token that the browser got"
	case TokenInstrumentIdentifier:
		return "must be 32 hexadecimal characters or 16 to 19 digits"
	default:
		return "must be 32 hexadecimal characters"
	}
}

// wellFormed tells whether the value has the shape of its type's tokens.
func (t Token) wellFormed() bool {
	return t.opaque() || t.Type == TokenInstrumentIdentifier && digitsToken.MatchString(t.Value)
}

// opaque tells whether the value can't be mistaken for a card number: a JSON Web Token, or 32 hexadecimal characters.
func (t Token) opaque() bool {
	switch t.Type {
	case TokenTransient:
		return looksLikeJWT(t.Value)
	case TokenCustomer, TokenPaymentInstrument, TokenInstrumentIdentifier:
		return hexTokenShape.MatchString(t.Value)
	default:
		return false
	}
}

// looksLikeJWT checks the compact form: header and claims are base64url of JSON objects, the header names an algorithm.
func looksLikeJWT(value string) bool {
	parts := strings.Split(value, ".")
	if len(value) > 16<<10 || len(parts) != 3 || parts[2] == "" {
		return false
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims map[string]json.RawMessage
	if _, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return false
	}
	return decodesTo(parts[0], &header) && header.Algorithm != "" && decodesTo(parts[1], &claims)
}

func decodesTo(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}

func (d Device) check(c *checker) {
	if c.at("ipAddress").text(d.IPAddress, 0, 48) && d.IPAddress != "" {
		if addr, err := netip.ParseAddr(d.IPAddress); err != nil || addr.Zone() != "" {
			c.at("ipAddress").report(RuleIPAddress, "must be an IPv4 or IPv6 address")
		}
	}
	c.at("fingerprintSessionId").text(d.FingerprintSessionID, 0, 88)
	c.at("userAgent").text(d.UserAgent, 0, 1024)
}

func checkMerchantData(c *checker, data map[string]string) {
	for _, key := range sortedKeys(data) {
		field := c.atName(key)
		if number, err := strconv.Atoi(key); err != nil || number < 1 || number > 100 || strconv.Itoa(number) != key {
			field.report(RulePattern, `must have a field number from "1" to "100" as its name`)
			continue
		}
		field.text(data[key], 0, 255)
	}
}

func checkCustom(c *checker, custom map[string]string) {
	if len(custom) > 100 {
		c.report(RuleMaxItems, "has more than 100 fields")
		return
	}
	for _, key := range sortedKeys(custom) {
		field := c.atName(key)
		if !customKey.MatchString(key) {
			field.report(RulePattern, "must have a name of a letter and at most 63 more of A-Z a-z 0-9 . _ -")
		}
		field.text(custom[key], 0, 1000)
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// checker collects problems; at makes a checker for a member that writes to the same list.
type checker struct {
	pointer string
	parent  *checker
	found   []Problem
}

func (c *checker) at(member string) *checker {
	return &checker{pointer: c.pointer + "/" + member, parent: c.root()}
}

// atName is at for names that come from outside: escaped, bounded and without card numbers.
func (c *checker) atName(name string) *checker { return c.at(pointerToken(name)) }

func (c *checker) root() *checker {
	if c.parent == nil {
		return c
	}
	return c.parent
}

func (c *checker) problems() []Problem { return c.root().found }

func (c *checker) report(rule, message string) {
	root := c.root()
	root.found = append(root.found, Problem{Pointer: c.pointer, Rule: rule, Message: message})
}

// text checks length in characters and refuses what no field may hold; it tells whether the text was fine.
func (c *checker) text(value string, least, most int) bool {
	length := utf8.RuneCountInString(value)
	switch {
	case least > 0 && strings.TrimSpace(value) == "":
		c.report(RuleRequired, "is required")
	case length > most:
		c.report(RuleMaxLength, fmt.Sprintf("has %d characters, at most %d are taken", length, most))
	case !utf8.ValidString(value) || strings.ContainsFunc(value, forbiddenRune):
		c.report(RuleControl, "must not hold control characters or broken UTF-8")
	default:
		return true
	}
	return false
}

// forbiddenRune also catches the replacement character (what a JSON decoder makes of broken UTF-8) and the
// direction overrides that can disguise a text to the people who read it.
func forbiddenRune(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// number bounds decimals and size of a quantity or price.
func (c *checker) number(value decimal.Decimal, places int32) {
	if !withinReach(value) {
		c.report(RuleMaximum, "is too large or too finely divided")
		return
	}
	if !value.Equal(value.Truncate(places)) {
		c.report(RuleScale, fmt.Sprintf("must have at most %d decimals", places))
	}
}

// amount is a number that is never negative and divides no further than the currency does.
func (c *checker) amount(value decimal.Decimal, code string) {
	if value.IsNegative() {
		c.report(RuleMinimum, "must not be negative")
	}
	places, err := MinorUnits(code)
	if err != nil {
		places = 4 // no currency divides further; the currency has a problem of its own
	}
	c.number(value, places)
}

// withinReach keeps arithmetic cheap: a hostile exponent would make a sum of gigabytes.
func withinReach(d decimal.Decimal) bool {
	return d.Exponent() >= -12 && d.Exponent() <= 12 && d.NumDigits() <= 40 && d.Abs().LessThan(maxAmount)
}
