package syspro

import (
	"context"
	"net/url"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// FindCustomer looks a customer up with its credit, by code or by the shop's id.
func (c *Client) FindCustomer(ctx context.Context, ref erp.CustomerRef) (erp.Customer, error) {
	switch {
	case ref.Code != "":
		return c.customerBy(ctx, "CustomerCode", ref.Code)
	case ref.ExternalID != "":
		return c.customerBy(ctx, "ExternalId", ref.ExternalID)
	default:
		return erp.Customer{}, c.bug("a customer look-up needs a code or an external id")
	}
}

func (c *Client) customerBy(ctx context.Context, field, value string) (erp.Customer, error) {
	var got wireCustomer
	if err := c.get(ctx, pathGetCustomer, url.Values{field: {value}}, &got); err != nil {
		return erp.Customer{}, err
	}
	return got.customer(), nil
}

// PutCustomer adds or updates a customer as the document says, and reads it back: the answer of AddCustomer tells the code alone.
func (c *Client) PutCustomer(ctx context.Context, key string, doc erp.Document) (erp.Customer, error) {
	var wanted struct {
		CustomerCode string
		ExternalID   string `json:"ExternalId"`
		Currency     string
	}
	if err := c.read(doc, &wanted); err != nil {
		return erp.Customer{}, err
	}
	var got wireCustomer
	exists, err := c.create(ctx, pathAddCustomer, key, doc.Body, &got)
	if err != nil {
		return erp.Customer{}, err
	}
	customer, err := c.FindCustomer(ctx, erp.CustomerRef{Code: firstOf(got.CustomerCode, wanted.CustomerCode), ExternalID: wanted.ExternalID})
	if err != nil {
		return erp.Customer{}, c.unseen(err)
	}
	if exists && !same(number{}, number{}, customer.Currency, wanted.Currency) {
		return erp.Customer{}, c.different("the customer exists with another currency")
	}
	return customer, nil
}

// Stock asks for the free quantity of every code, in the order of the query.
func (c *Client) Stock(ctx context.Context, query erp.StockQuery) ([]erp.StockBalance, error) {
	known := map[string]decimal.Decimal{}
	for codes := distinct(query.StockCodes); len(codes) > 0; {
		page := codes[:min(len(codes), maxStockCodes)]
		codes = codes[len(page):]
		if err := c.stockPage(ctx, page, query.Warehouse, known); err != nil {
			return nil, err
		}
	}
	balances := make([]erp.StockBalance, 0, len(query.StockCodes))
	for _, stockCode := range query.StockCodes {
		available, ok := known[foldKey(stockCode)]
		balances = append(balances, erp.StockBalance{StockCode: stockCode, Known: ok, Available: available})
	}
	return balances, nil
}

func (c *Client) stockPage(ctx context.Context, codes []string, warehouse string, known map[string]decimal.Decimal) error {
	query := url.Values{"StockCode": codes}
	if warehouse != "" {
		query.Set("Warehouse", warehouse)
	}
	var got wireStock
	err := c.get(ctx, pathStock, query, &got)
	if fault.Is(err, fault.NotFound) {
		return nil // none of the codes exists: an answer like any other
	}
	if err != nil {
		return err
	}
	for _, item := range got.Items {
		available := item.TotalAvailable.Decimal
		if warehouse != "" {
			available = decimal.Zero
			for _, in := range item.Warehouses {
				if sameKey(in.Warehouse, warehouse) {
					available = available.Add(in.AvailableQty.Decimal)
				}
			}
		}
		known[foldKey(item.StockCode)] = available
	}
	return nil
}

func distinct(codes []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, each := range codes {
		if folded := foldKey(each); !seen[folded] {
			seen[folded] = true
			out = append(out, each)
		}
	}
	return out
}

func (w *wireCustomer) customer() erp.Customer {
	available := w.AvailableCredit.Decimal
	if !w.AvailableCredit.Set {
		available = w.CreditLimit.Sub(w.CurrentBalance.Decimal).Sub(w.OpenOrderValue.Decimal)
	}
	customer := erp.Customer{
		Code:            w.CustomerCode,
		Currency:        w.Currency,
		OnHold:          w.OnHold || w.CreditStatus == creditStatusHeld,
		CreditLimited:   w.creditLimited(),
		AvailableCredit: available,
		TermsCode:       w.TermsCode,
	}
	if customer.CreditLimited {
		customer.CreditLimit = w.CreditLimit.Decimal
	}
	return customer
}

// creditLimited reads CreditCheckFlag; blank is the company's default, which is taken for a check where there is a limit.
func (w *wireCustomer) creditLimited() bool {
	switch strings.ToUpper(strings.TrimSpace(w.CreditCheckFlag)) {
	case creditCheckLimit, creditCheckLimitTerms:
		return true
	case creditCheckTerms, creditCheckNone:
		return false
	default:
		return w.CreditLimit.IsPositive()
	}
}
