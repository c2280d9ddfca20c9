package syspro

import (
	"github.com/shopspring/decimal"
)

// What the company has from the start; README.md lists it for people.
const (
	defaultWarehouse = "N"
	defaultBranch    = "10"
	defaultBank      = "CYBCLR"
	firstSupplier    = "CYBSRC"
)

var warehouseCodes = []string{defaultWarehouse, "S"}

// bankAccount gives the GL account of a bank.
func bankAccount(code string) (string, bool) {
	switch key(code) {
	case defaultBank:
		return accountClearing, true
	case "OPER":
		return accountBank, true
	default:
		return "", false
	}
}

func knownSupplier(code string) bool { return key(code) == firstSupplier }

// seed fills a new company. Seeded rows aren't written to the state file until something changes them.
func seed(st *state) {
	for _, i := range []struct {
		code, description, warehouse, onHand, cost string
	}{
		{"A100", "Widget", "N", "1000000", "12.50"},
		{"A100", "Widget", "S", "50000", "12.50"},
		{"A200", "Widget, large", "N", "500000", "21"},
		{"A300", "Widget, blue", "N", "500000", "13.20"},
		{"B100", "Gadget", "N", "250000", "40"},
		{"B200", "Gadget, twin", "N", "250000", "75.25"},
		{"B300", "Gadget, travel", "N", "250000", "18.99"},
		{"C100", "Cable, per metre", "N", "100000.5", "0.375"},
		{"GIFT", "Gift wrapping", "N", "1000000", "0.50"},
		{"LOW3", "Nearly sold out", "N", "3", "9"},
		{"OUT0", "Sold out", "N", "0", "9"},
		{triggerRefused, "Refused at the order", "N", "1000000", "1"},
		{triggerBroken, "Breaks the order service", "N", "1000000", "1"},
		{triggerInvoice, "Refused at the invoice", "N", "1000000", "1"},
		{triggerInvoicePeriod, "Invoice meets a closed period", "N", "1000000", "1"},
		{triggerPayment, "Refused at the receipt", "N", "1000000", "1"},
	} {
		unit := "EA"
		if i.code == "C100" {
			unit = "M"
		}
		st.stock.add(stockKey(i.code, i.warehouse), &stockItem{
			StockCode: i.code, Description: i.description, UnitOfMeasure: unit, Warehouse: i.warehouse,
			QtyOnHand: quantity(decimal.RequireFromString(i.onHand)), UnitCost: quantity(decimal.RequireFromString(i.cost)),
		})
	}
	for _, cu := range []customer{
		{CustomerCode: "WEB", Name: "Web shop, cash sales", Currency: "USD", CreditCheckFlag: "N"},
		{CustomerCode: "ONHOLD", Name: "Held by hand Ltd", Currency: "USD", CreditCheckFlag: "N", OnHold: true, CreditStatus: "9"},
		{CustomerCode: "LIMIT", Name: "Over its limit Inc", Currency: "USD", CreditCheckFlag: "B", CreditLimit: usd("1")},
		{CustomerCode: "OVERDUE", Name: "Pays late Corp", Currency: "USD", CreditCheckFlag: "T", CreditStatus: "2", CreditLimit: usd("100000")},
		{CustomerCode: "ACCOUNT", Name: "Good customer on account", Currency: "USD", CreditCheckFlag: "B", CreditLimit: usd("100000"), TermsCode: "30"},
		{CustomerCode: "WEBGBP", Name: "Web shop, United Kingdom", Currency: "GBP", CreditCheckFlag: "N"},
		{CustomerCode: "WEBEUR", Name: "Web shop, euro", Currency: "EUR", CreditCheckFlag: "N"},
		{CustomerCode: "WEBJPY", Name: "Web shop, Japan", Currency: "JPY", CreditCheckFlag: "N"},
	} {
		row := cu
		row.Branch, row.TaxStatus = defaultBranch, "N"
		if row.TermsCode == "" {
			row.TermsCode = "CC"
		}
		if row.CreditStatus == "" {
			row.CreditStatus = "0"
		}
		(&customerInput{}).apply(&row, decimal.Zero) // gives the amounts the minor units of the currency
		st.customers.add(row.CustomerCode, &row)
	}
}

func usd(amount string) number { return money(decimal.RequireFromString(amount), "USD") }
