package syspro

import (
	"context"
	"net/url"
	"time"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

const (
	spellingsPerPage = 40 // of the 50 that GetStockBalance takes
	maxSpellings     = 3 * spellingsPerPage
	maxCustomerCodes = 6 // each is a call of its own
)

// NearStockCodes asks GetStockBalance which spellings near a code exist: the facade has no list of stock codes, and up to 50 codes may be
// asked for at once. The likeliest spellings are asked first; less likely ones only while nothing was found, in three calls at most. Of what
// exists, only the nearest are given: who wrote A-100 meant A100, not A200.
func (c *Client) NearStockCodes(ctx context.Context, stockCode, warehouse string, limit int) ([]string, error) {
	for candidates := erp.Spellings(stockCode, maxSpellings); len(candidates) > 0; {
		page := candidates[:min(len(candidates), spellingsPerPage)]
		candidates = candidates[len(page):]
		stocked, err := c.stocked(ctx, page, warehouse)
		if err != nil {
			return nil, err
		}
		near := erp.Nearest(page, func(code string) (string, bool) {
			known, exists := stocked[foldKey(code)]
			return known, exists
		})
		if len(near) > 0 {
			return near[:min(len(near), limit)], nil
		}
	}
	return nil, nil
}

// stocked gives those of the codes that the ERP keeps in a warehouse: by their folded key, as it spells them.
func (c *Client) stocked(ctx context.Context, candidates []erp.Spelling, warehouse string) (map[string]string, error) {
	query := url.Values{}
	for _, candidate := range candidates {
		query.Add("StockCode", candidate.Code)
	}
	if warehouse != "" {
		query.Set("Warehouse", warehouse)
	}
	var got wireStock
	err := c.get(ctx, pathStock, query, &got)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, item := range got.Items {
		kept := warehouse == ""
		for _, in := range item.Warehouses {
			kept = kept || sameKey(in.Warehouse, warehouse)
		}
		if kept {
			known[foldKey(item.StockCode)] = item.StockCode
		}
	}
	return known, nil
}

// NearCustomers asks by the shop's id and by e-mail address, then for a few spellings of the code. The facade finds nobody by name. An
// e-mail address that several customers have tells nothing.
func (c *Client) NearCustomers(ctx context.Context, hint erp.CustomerHint, limit int) ([]erp.Customer, error) {
	type question struct{ field, value string }
	var questions []question
	if hint.ExternalID != "" {
		questions = append(questions, question{"ExternalId", hint.ExternalID})
	}
	if hint.Email != "" {
		questions = append(questions, question{"Email", hint.Email})
	}
	if hint.Code != "" {
		questions = append(questions, question{"CustomerCode", hint.Code})
		for _, candidate := range erp.Spellings(hint.Code, maxCustomerCodes) {
			questions = append(questions, question{"CustomerCode", candidate.Code})
		}
	}
	var found []erp.Customer
	seen := map[string]bool{}
	for _, ask := range questions {
		if len(found) >= limit {
			break
		}
		customer, err := c.customerBy(ctx, ask.field, ask.value)
		switch {
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.Conflict):
			continue
		case err != nil:
			return nil, err
		}
		if folded := foldKey(customer.Code); !seen[folded] {
			seen[folded] = true
			found = append(found, customer)
		}
	}
	return found, nil
}

const periodsPerYear = 12

// OpenPeriods tells the open periods of each module. The facade posts by calendar months: period 7 of 2026 is July 2026.
func (c *Client) OpenPeriods(ctx context.Context) ([]erp.Period, error) {
	var got wirePeriods
	if err := c.get(ctx, pathPeriodStatus, nil, &got); err != nil {
		return nil, err
	}
	var open []erp.Period
	for _, module := range got.Modules {
		for _, back := range []int{2, 1, 0} {
			for _, letter := range module.Open {
				if letter == string("CPB"[back]) {
					open = append(open, periodOf(module.Module, module.CurrentYear, module.CurrentPeriod, back))
				}
			}
		}
	}
	return open, nil
}

// periodOf is the period a number of periods before the current one. A calendar of more than twelve has days that nobody told.
func periodOf(module string, year, current, back int) erp.Period {
	p := erp.Period{Module: module, Year: year, Period: current - back, Current: back == 0}
	if current > periodsPerYear {
		return p
	}
	first := time.Date(year, time.Month(p.Period), 1, 0, 0, 0, 0, time.UTC) // month 0 is December of the year before
	p.Year, p.Period = first.Year(), int(first.Month())
	p.First, p.Last = first.Format(time.DateOnly), first.AddDate(0, 1, -1).Format(time.DateOnly)
	return p
}
