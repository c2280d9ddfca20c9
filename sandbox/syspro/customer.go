package syspro

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/shopspring/decimal"
)

// address is an address of the facade.
type address struct {
	Name       string `json:",omitempty"`
	Line1      string `json:",omitempty"`
	Line2      string `json:",omitempty"`
	Line3      string `json:",omitempty"`
	Line4      string `json:",omitempty"`
	Line5      string `json:",omitempty"`
	City       string `json:",omitempty"`
	State      string `json:",omitempty"`
	PostalCode string `json:",omitempty"`
	Country    string `json:",omitempty"` // ISO 3166 alpha-2
	Phone      string `json:",omitempty"`
	Email      string `json:",omitempty"`
}

func (c *checks) address(field string, a address) {
	c.text(field+".Name", a.Name, 50)
	for i, line := range []string{a.Line1, a.Line2, a.Line3, a.Line4, a.Line5} {
		c.text(field+".Line"+string(rune('1'+i)), line, 40)
	}
	c.text(field+".City", a.City, 40)
	c.text(field+".State", a.State, 40)
	c.text(field+".PostalCode", a.PostalCode, 15)
	c.country(field+".Country", a.Country)
	c.text(field+".Phone", a.Phone, 20)
	c.text(field+".Email", a.Email, 255)
}

// customer is an AR customer.
type customer struct {
	CustomerCode       string
	Name               string
	ShortName          string
	Contact            string
	Email              string
	Phone              string
	BillToAddress      address
	ShipToAddress      address
	Currency           string
	TermsCode          string
	Branch             string
	Area               string
	Salesperson        string
	PriceCode          string
	CustomerClass      string
	TaxStatus          string
	TaxExemptNumber    string
	CreditLimit        number
	CreditCheckFlag    string // T terms, L limit, B both, N none, "" company default (none)
	CreditStatus       string // 0 current, 1..6 overdue, 9 held by hand
	OnHold             bool
	ExternalId         string
	CybersourceTokenId string
	HasTransactions    bool   // its currency can't change any more
	CurrentBalance     number // open invoices less open credit memos less unapplied cash
	OpenOrderValue     number // orders that are neither invoiced nor cancelled
}

func (cu *customer) availableCredit() decimal.Decimal {
	return cu.CreditLimit.Sub(cu.CurrentBalance.Decimal).Sub(cu.OpenOrderValue.Decimal)
}

func (cu *customer) owes(amount decimal.Decimal) {
	cu.HasTransactions = true
	cu.CurrentBalance = money(cu.CurrentBalance.Add(amount), cu.Currency)
}

func (cu *customer) orders(amount decimal.Decimal) {
	cu.HasTransactions = true
	cu.OpenOrderValue = money(cu.OpenOrderValue.Add(amount), cu.Currency)
}

// credit refuses an order that the customer may not place.
func (cu *customer) credit(total decimal.Decimal) *problem {
	limited := cu.CreditCheckFlag == "L" || cu.CreditCheckFlag == "B"
	if limited && total.GreaterThan(cu.availableCredit()) {
		return unprocessable("CREDIT_LIMIT_EXCEEDED", "customer '%s' has %s %s of credit left", cu.CustomerCode,
			cu.availableCredit().StringFixed(minorUnits(cu.Currency)), cu.Currency).at("CustomerCode", cu.CustomerCode).by("SORTOI", "")
	}
	byTerms := cu.CreditCheckFlag == "T" || cu.CreditCheckFlag == "B"
	if byTerms && cu.CreditStatus >= "1" && cu.CreditStatus <= "6" {
		return unprocessable("CREDIT_LIMIT_EXCEEDED", "customer '%s' is overdue (credit status %s)", cu.CustomerCode,
			cu.CreditStatus).at("CustomerCode", cu.CustomerCode).by("SORTOI", "")
	}
	return nil
}

// customerInput has pointers: on update an absent field stays and "" clears.
type customerInput struct {
	Mode               string
	CustomerCode       string
	Name               *string
	ShortName          *string
	Contact            *string
	Email              *string
	Phone              *string
	BillToAddress      *address
	ShipToAddress      *address
	Currency           *string
	TermsCode          *string
	Branch             *string
	Area               *string
	Salesperson        *string
	PriceCode          *string
	CustomerClass      *string
	TaxStatus          *string
	TaxExemptNumber    *string
	CreditLimit        *numeric
	CreditCheckFlag    *string
	ExternalId         *string
	CybersourceTokenId *string
}

func (in *customerInput) check() (limit decimal.Decimal, p *problem) {
	var c checks
	c.oneOf("Mode", in.Mode, "Add", "Update", "AddOrUpdate")
	c.text("CustomerCode", in.CustomerCode, 15)
	for _, f := range []struct {
		name  string
		value *string
		limit int
	}{
		{"Name", in.Name, 50}, {"ShortName", in.ShortName, 20}, {"Contact", in.Contact, 40}, {"Email", in.Email, 255},
		{"Phone", in.Phone, 20}, {"TermsCode", in.TermsCode, 2}, {"Branch", in.Branch, 10}, {"Area", in.Area, 10},
		{"Salesperson", in.Salesperson, 20}, {"PriceCode", in.PriceCode, 2}, {"CustomerClass", in.CustomerClass, 10},
		{"TaxExemptNumber", in.TaxExemptNumber, 30}, {"ExternalId", in.ExternalId, 50},
		{"CybersourceTokenId", in.CybersourceTokenId, 64},
	} {
		if f.value != nil {
			c.text(f.name, *f.value, f.limit)
		}
	}
	if in.Name != nil && strings.TrimSpace(*in.Name) == "" {
		c.add(codeMissing, "Name", "Name can't be empty")
	}
	if in.Currency != nil {
		c.currency(*in.Currency)
	}
	c.oneOf("TaxStatus", value(in.TaxStatus), "E", "N", "O")
	c.oneOf("CreditCheckFlag", value(in.CreditCheckFlag), "T", "L", "B", "N")
	if in.BillToAddress != nil {
		c.address("BillToAddress", *in.BillToAddress)
	}
	if in.ShipToAddress != nil {
		c.address("ShipToAddress", *in.ShipToAddress)
	}
	if in.CreditLimit != nil {
		limit = c.number("CreditLimit", *in.CreditLimit, 12, 2)
		if limit.IsNegative() {
			c.add(codeInvalid, "CreditLimit", "CreditLimit is negative")
		}
	}
	if in.CustomerCode == "" && value(in.ExternalId) == "" {
		c.add(codeMissing, "ExternalId", "ExternalId is required where CustomerCode is empty")
	}
	return limit, c.problem()
}

type customerAnswer struct {
	success
	CustomerCode string
	ExternalId   string
	Action       string
}

func (s *Server) addCustomer(c *change, in *customerInput) (int, any, *problem) {
	limit, p := in.check()
	if p != nil {
		return 0, nil, p
	}
	st := s.state
	code := strings.TrimSpace(in.CustomerCode)
	external := value(in.ExternalId)
	owner, externalKnown := st.byExternal[external]
	if code == "" && externalKnown {
		code = owner
	}
	existing := st.customers.get(code)
	if code == "" {
		existing = nil
	}
	if external != "" && externalKnown && (existing == nil || existing.CustomerCode != owner) {
		return 0, nil, duplicate(customerAnswer{c.success(), owner, external, "Existing"},
			"ExternalId '%s' belongs to customer '%s'", external, owner).at("ExternalId", external).by("ARSSCS", "")
	}
	switch {
	case existing != nil && in.Mode == "Add":
		answer := customerAnswer{c.success(), existing.CustomerCode, existing.ExternalId, "Existing"}
		if strings.TrimSpace(in.CustomerCode) == "" { // the server was asked for the code of this external ID
			return http.StatusOK, answer, nil
		}
		return 0, nil, duplicate(answer, "customer '%s' exists", code).at("CustomerCode", code).by("ARSSCS", "")
	case existing != nil:
		return s.updateCustomer(c, existing, in, limit)
	case in.Mode == "Update":
		return 0, nil, unprocessable(codeCustomerUnknown, "customer '%s' not found", code).at("CustomerCode", code).by("ARSSCS", "240004")
	case in.Name == nil:
		return 0, nil, refuse(http.StatusBadRequest, codeMissing, "Name is required").at("Name", "")
	}
	if code == "" {
		code = st.next("customer", "C%06d", 1, func(n string) bool { return st.customers.get(n) != nil })
	}
	row := &customer{CustomerCode: code, Currency: "USD", TermsCode: "CC", Branch: "10", TaxStatus: "N", CreditStatus: "0"}
	in.apply(row, limit)
	st.customers.add(code, row)
	st.indexCustomer(row)
	c.put(kindCustomer, code, row)
	return http.StatusCreated, customerAnswer{c.success(), code, row.ExternalId, "Added"}, nil
}

func (s *Server) updateCustomer(c *change, row *customer, in *customerInput, limit decimal.Decimal) (int, any, *problem) {
	if in.Currency != nil && *in.Currency != row.Currency && row.HasTransactions {
		return 0, nil, unprocessable(codeBusinessRule, "customer '%s' has transactions in %s", row.CustomerCode, row.Currency).
			at("Currency", *in.Currency).by("ARSSCS", "")
	}
	s.state.unindexCustomer(row)
	in.apply(row, limit)
	s.state.indexCustomer(row)
	c.put(kindCustomer, row.CustomerCode, row)
	return http.StatusOK, customerAnswer{c.success(), row.CustomerCode, row.ExternalId, "Updated"}, nil
}

func (in *customerInput) apply(row *customer, limit decimal.Decimal) {
	for _, f := range []struct {
		to   *string
		from *string
	}{
		{&row.Name, in.Name}, {&row.ShortName, in.ShortName}, {&row.Contact, in.Contact}, {&row.Email, in.Email},
		{&row.Phone, in.Phone}, {&row.Currency, in.Currency}, {&row.TermsCode, in.TermsCode}, {&row.Branch, in.Branch},
		{&row.Area, in.Area}, {&row.Salesperson, in.Salesperson}, {&row.PriceCode, in.PriceCode},
		{&row.CustomerClass, in.CustomerClass}, {&row.TaxStatus, in.TaxStatus}, {&row.TaxExemptNumber, in.TaxExemptNumber},
		{&row.CreditCheckFlag, in.CreditCheckFlag}, {&row.ExternalId, in.ExternalId},
		{&row.CybersourceTokenId, in.CybersourceTokenId},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if in.BillToAddress != nil {
		row.BillToAddress = *in.BillToAddress
	}
	if in.ShipToAddress != nil {
		row.ShipToAddress = *in.ShipToAddress
	}
	if in.CreditLimit != nil {
		row.CreditLimit = money(limit, row.Currency)
	}
	row.CreditLimit = money(row.CreditLimit.Decimal, row.Currency)
	row.CurrentBalance = money(row.CurrentBalance.Decimal, row.Currency)
	row.OpenOrderValue = money(row.OpenOrderValue.Decimal, row.Currency)
}

type customerView struct {
	success
	*customer
	AvailableCredit number
}

func (s *Server) getCustomer(query url.Values) (any, *problem) {
	var codes []string
	switch {
	case query.Get("CustomerCode") != "":
		codes = []string{query.Get("CustomerCode")}
	case query.Get("ExternalId") != "":
		codes = []string{s.state.byExternal[query.Get("ExternalId")]}
	case query.Get("Email") != "":
		codes = s.state.byEmail[strings.ToLower(query.Get("Email"))]
	default:
		return nil, missingQuery("CustomerCode")
	}
	if len(codes) > 1 {
		return nil, refuse(http.StatusConflict, codeStatusConflict, "%d customers have this e-mail", len(codes)).at("Email", "")
	}
	if len(codes) == 0 || codes[0] == "" || s.state.customers.get(codes[0]) == nil {
		return nil, notFound(codeCustomerUnknown, "customer not found").by("ARSQRY", "")
	}
	row := s.state.customers.get(codes[0])
	return customerView{lookedUp(), row, money(row.availableCredit(), row.Currency)}, nil
}

func lookedUp() success { return success{Status: "Success", Warnings: []warning{}} }

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
