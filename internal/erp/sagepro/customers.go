package sagepro

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindCustomer looks a customer up with its credit, by code or by the shop's id.
func (c *Client) FindCustomer(ctx context.Context, ref erp.CustomerRef) (erp.Customer, error) {
	if ref.Code == "" && ref.ExternalID == "" {
		return erp.Customer{}, c.bug("a customer look-up needs a code or an external id")
	}
	var found erp.Customer
	err := c.read(ctx, "FindCustomer", func(ctx context.Context, q querier) error {
		code := ref.Code
		if code == "" {
			x, err := q.xrefOf(ctx, entityCustomer, ref.ExternalID)
			if err != nil {
				return err
			}
			if x == nil {
				return c.notFound(codeCustomer, "no customer has this external id")
			}
			code = string(x.ErpKey)
		}
		customer, err := q.customerOf(ctx, code)
		if errors.Is(err, sql.ErrNoRows) {
			return c.notFound(codeCustomer, fmt.Sprintf("the ERP has no customer %q", foldCode(code)))
		}
		found = customer.customer(c)
		return err
	})
	return found, err
}

// customer tells what a process needs to know. A limit of zero is none; bids and returns do not count against it, open orders do.
func (r customerRow) customer(c *Client) erp.Customer {
	customer := erp.Customer{Code: string(r.CustNo), Currency: string(r.Currency), OnHold: r.onHold(c), TermsCode: string(r.PTerms),
		AvailableCredit: r.available()}
	if r.Limit.IsPositive() {
		customer.CreditLimited, customer.CreditLimit = true, r.Limit.Decimal
	}
	return customer
}

// available is what the customer may still buy on account.
func (r customerRow) available() decimal.Decimal {
	return r.Limit.Sub(r.Balance.Decimal).Sub(r.OnOrder.Decimal)
}

// customerDocument is a mapped customer.
type customerDocument struct {
	externalID string
	code       string // "": found by the external id, or numbered
	customer   row
	shipTo     row
}

func (t *tx) readCustomer(doc erp.Document) (customerDocument, error) {
	paper, whole := newPaper(t.site, doc)
	wanted := customerDocument{externalID: whole.text("externalId", longestRef)}
	wanted.customer = whole.child("arcust").columns("arcust", "custno")
	if whole.has("arcadr") {
		wanted.shipTo = whole.child("arcadr").columns("arcadr")
	}
	whole.done()
	code, _ := wanted.customer["custno"].(string)
	wanted.code = foldCode(code)
	delete(wanted.customer, "custno")
	if wanted.code == "" && wanted.externalID == "" {
		paper.wrong("externalId", codeMissingField)
	}
	if currency, given := wanted.customer["currency"].(string); given {
		wanted.customer["currency"] = strings.ToUpper(currency)
	}
	return wanted, paper.fault(t.client)
}

// PutCustomer adds or updates a customer as the document says. Without a code it is the one of the external id, and where there is none a new
// one gets the next number. What a document leaves out stays as it is; "" clears.
func (c *Client) PutCustomer(ctx context.Context, key string, doc erp.Document) (erp.Customer, error) {
	return mutate(ctx, c, key, "PutCustomer", doc, func(ctx context.Context, t *tx) (erp.Customer, error) {
		wanted, err := t.readCustomer(doc)
		if err != nil {
			return erp.Customer{}, err
		}
		if err := t.nameCustomer(ctx, &wanted); err != nil {
			return erp.Customer{}, err
		}
		if err := t.putCustomer(ctx, wanted); err != nil {
			return erp.Customer{}, err
		}
		made, err := t.customerOf(ctx, wanted.code)
		return made.customer(c), err
	})
}

// nameCustomer finds out which customer is meant. An external id belongs to one customer for ever.
func (t *tx) nameCustomer(ctx context.Context, wanted *customerDocument) error {
	if wanted.externalID == "" {
		return nil
	}
	held, err := t.claim(ctx, entityCustomer, wanted.externalID, xref{ErpKey: text(wanted.code)})
	if err != nil {
		return err
	}
	switch {
	case held == nil && wanted.code == "":
		number, err := t.nextCustomer(ctx)
		if err != nil {
			return err
		}
		wanted.code = number
		return t.setXref(ctx, entityCustomer, wanted.externalID, row{"erpkey": number})
	case held == nil:
		return nil
	case wanted.code != "" && wanted.code != string(held.ErpKey):
		return t.client.different(fmt.Sprintf("the external id belongs to customer %s", held.ErpKey))
	}
	wanted.code = string(held.ErpKey)
	return nil
}

// nextCustomer numbers a new customer: the site's prefix, and the counter as long as the column has room.
func (t *tx) nextCustomer(ctx context.Context) (string, error) {
	column, _ := t.site.column("arcust", "custno")
	prefix := foldCode(t.client.config.CustomerPrefix)
	digits := column.size - len(prefix)
	write := func(number int64) string {
		text := strconv.FormatInt(number, 10)
		return prefix + strings.Repeat("0", max(digits-len(text), 0)) + text
	}
	number, err := t.nextNumber(ctx, counterCustomer, func(ctx context.Context, number int64) (bool, error) {
		if len(write(number)) > column.size {
			return false, t.client.refuse(fault.DeclinedByPolicy, codeNumbers, "the numbers of customers with the prefix "+prefix+" are used up")
		}
		return t.exists(ctx, "arcust", "custno", write(number))
	})
	return write(number), err
}

// putCustomer writes the customer and its ship-to address.
func (t *tx) putCustomer(ctx context.Context, wanted customerDocument) error {
	held, err := t.lockCustomer(ctx, wanted.code)
	switch {
	case fault.Is(err, fault.MissingReference):
		err = t.addCustomer(ctx, wanted)
	case err == nil:
		err = t.changeCustomer(ctx, held, wanted)
	}
	if err != nil {
		return err
	}
	return t.putShipTo(ctx, wanted)
}

func (t *tx) addCustomer(ctx context.Context, wanted customerDocument) error {
	if company, _ := wanted.customer["company"].(string); company == "" {
		return t.client.refuse(fault.Value, codeMissingField, "a new customer needs a name", fault.Field{Path: "arcust.company", Rule: codeMissingField})
	}
	wanted.customer["custno"] = wanted.code
	return t.insert(ctx, "arcust", wanted.customer)
}

// changeCustomer leaves the currency of a customer alone: everything that the customer owes is in it.
func (t *tx) changeCustomer(ctx context.Context, held customerRow, wanted customerDocument) error {
	if currency, given := wanted.customer["currency"].(string); given && held.Currency != "" && currency != string(held.Currency) {
		return t.client.different("the customer exists with another currency")
	}
	if len(wanted.customer)+len(held.unlock) == 0 {
		return nil
	}
	return t.setCustomer(ctx, held, wanted.customer)
}

// shipToName is the name of the one ship-to address that a document can give without naming it.
const shipToName = "WEB"

func (t *tx) putShipTo(ctx context.Context, wanted customerDocument) error {
	if len(wanted.shipTo) == 0 {
		return nil
	}
	name, _ := wanted.shipTo["cshipno"].(string)
	delete(wanted.shipTo, "cshipno")
	if name == "" {
		name = shipToName
	}
	full := row{"custno": wanted.code, "cshipno": name}
	made, err := t.insertAbsent(ctx, "arcadr", []string{"custno", "cshipno"}, merged(full, wanted.shipTo))
	if err != nil || made || len(wanted.shipTo) == 0 {
		return err
	}
	return t.updateOne(ctx, "arcadr", full, wanted.shipTo)
}

// merged is one row of two; the second wins.
func merged(first, second row) row {
	all := make(row, len(first)+len(second))
	maps.Copy(all, first)
	maps.Copy(all, second)
	return all
}
